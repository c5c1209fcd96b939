package httpsig

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// Base is the signature base (RFC 9421 §2.5): a line for each component, and one for the
// signature's parameters. Errors wrap ErrMalformed: a covered field is not there once, or
// the whole is too long.
func (s *Signature) Base(m Message) (string, error) { return s.base(m.component) }

func (s *Signature) base(component func(name string) (string, error)) (string, error) {
	var b strings.Builder
	for _, name := range s.Components {
		value, err := component(name)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "\"%s\": %s\n", name, value)
	}
	b.WriteString(`"@signature-params": ` + s.params)
	if b.Len() > MaxBase {
		return "", fmt.Errorf("%w: the signature base is longer than %d bytes", ErrMalformed, MaxBase)
	}
	return b.String(), nil
}

// component is the value of a component (§2.1, §2.2).
func (m Message) component(name string) (string, error) {
	if strings.HasPrefix(name, "@") {
		return m.derive(name)
	}
	return field(m.Header, name)
}

// field is the value of a covered field.
func field(h http.Header, name string) (string, error) {
	values := h.Values(name)
	if len(values) != 1 {
		return "", fmt.Errorf("%w: covered field %s stands in the message %d times, want once", ErrMalformed, name, len(values))
	}
	for i := range len(values[0]) {
		if c := values[0][i]; c < ' ' || c > '~' {
			return "", fmt.Errorf("%w: covered field %s is not printable ASCII", ErrMalformed, name)
		}
	}
	return strings.TrimSpace(values[0]), nil
}

// derive is the value of a derived component.
func (m Message) derive(name string) (string, error) {
	scheme, authority, err := m.origin()
	path, query, _ := strings.Cut(m.Target, "?")
	switch {
	case err != nil:
		return "", err
	case !strings.HasPrefix(path, "/"):
		return "", fmt.Errorf("%w: the request's target is no path", ErrMalformed)
	}
	return map[string]string{
		"@method": m.Method, "@scheme": scheme, "@authority": authority, "@path": path,
		"@query": "?" + query, "@target-uri": scheme + "://" + authority + m.Target,
	}[name], nil
}

// origin is the scheme and the authority, in lower case and without a port that is the
// scheme's own (§2.2.3).
func (m Message) origin() (scheme, authority string, err error) {
	u, err := url.Parse(m.Origin)
	if err != nil || u.Host == "" {
		return "", "", fmt.Errorf("httpsig: the origin %q is not a scheme and a host", m.Origin)
	}
	own := map[string]string{"http": ":80", "https": ":443"}[u.Scheme]
	return u.Scheme, strings.TrimSuffix(strings.ToLower(u.Host), own), nil
}
