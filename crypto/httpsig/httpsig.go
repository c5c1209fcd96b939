// Package httpsig signs and verifies HTTP requests, and answers, with SM2 keys (RFC 9421),
// and checks their bodies (RFC 9530).
//
// It holds to a profile of RFC 9421: one signature to a request; components without
// parameters; fields that stand in the request once; the parameters created, nonce, keyid
// and alg, and expires if wanted, no others; of an answer tag in the place of nonce and
// expires (see VerifyResponse). The algorithm has no registered name: ours is
// private. docs/request-signatures.md and docs/signed-answers.md describe
// the profile, with test vectors.
//
// # Invariants
//
//   - A Signature-Input or Content-Digest that parses marshals to the same bytes: two
//     readers cannot understand it differently.
//   - Nothing that was not parsed completely is used, and everything is bounded before
//     it is parsed: the fields, the components, the signature base.
//
// The package knows no keys, keeps no nonces and decides nothing about who may do what.
// We do not use common-fate/httpsig: it serialises the parameters anew in an order of its
// own, so that it refuses the RFC's own examples, knows neither @path nor @query, and
// spends a nonce before it has checked the signature.
package httpsig

import (
	"crypto"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"elicence/crypto/pki"

	"github.com/dunglas/httpsfv"
	"github.com/emmansun/gmsm/sm3"
)

// Algorithm is the private name of SM2 with SM3 (GB/T 32918.2, identifier
// 1234567812345678) over the signature base; the signature is r‖s, 32 bytes each,
// big-endian. The IANA registry of HTTP signature algorithms has no name for it.
const Algorithm = "sm2-sm3"

// The bounds, in bytes unless they say otherwise.
const (
	MaxInput      = 1024 // Signature-Input
	MaxBase       = 4096 // signature base
	maxSignature  = 256  // Signature
	maxComponents = 24   // components covered
	maxLabel      = 64
	minNonce      = 16
	maxNonce      = 64
)

// Skew is how far the clocks of a client and of the server may be apart, and at most how
// long a signature lasts.
const Skew = 5 * time.Minute

// What can be wrong with a signature, each wrapped by errors that say where.
var (
	// ErrMalformed: it is not of the profile.
	ErrMalformed = errors.New("malformed request signature")
	// ErrIncomplete: it leaves out what it has to cover.
	ErrIncomplete = errors.New("incomplete request signature")
	// ErrNotCurrent: created is too far from the present, or expires is past.
	ErrNotCurrent = errors.New("request signature is not current")
)

// Message is what of a request is signed.
type Message struct {
	Method string
	// Origin is the scheme and the host by which clients reach the server, as in
	// https://zz.example.gov.cn: not what the request claims, so that a request to one
	// server is no request to another.
	Origin string
	// Target is path and query, as they stand in the request line.
	Target string
	Header http.Header
}

// Signature is the one signature of a request, not verified yet.
type Signature struct {
	// Components are covered, in the order of the signature base.
	Components []string
	Created    time.Time
	Expires    time.Time // zero without
	// Nonce is 16 to 64 characters, and empty of an answer; KeyID is as KeyID gives it. Tag is
	// an answer's: AnswerTag.
	Nonce, KeyID, Tag string
	// Input and Field are the values of Signature-Input and Signature.
	Input, Field string
	Value        [64]byte // r‖s
	params       string   // the value of @signature-params
}

// KeyID names a public key: SM3 of its SubjectPublicKeyInfo in lower-case hex. A name of
// another key cannot be made, so that the signature base says whose key signed it.
func KeyID(pub crypto.PublicKey) (string, error) {
	der, err := pki.MarshalPublicKeyInfo(pub)
	if err != nil {
		return "", err
	}
	sum := sm3.Sum(der)
	return hex.EncodeToString(sum[:]), nil
}

// Present reports whether a request claims to be signed.
func Present(h http.Header) bool {
	return len(h.Values("Signature-Input")) > 0 || len(h.Values("Signature")) > 0
}

// Parse parses the fields Signature-Input and Signature of a request. Errors wrap
// ErrMalformed.
func Parse(h http.Header) (*Signature, error) {
	return parse(h, request)
}

// parse parses both fields of a message.
func parse(h http.Header, p profile) (*Signature, error) {
	input, err := single(h, "Signature-Input", MaxInput)
	if err != nil {
		return nil, err
	}
	field, err := single(h, "Signature", maxSignature)
	if err != nil {
		return nil, err
	}
	s, label, err := parseInput(input, p)
	if err != nil {
		return nil, err
	}
	s.Field = field
	return s, s.parseField(label)
}

// profile is what a signature may be of: the derived components (RFC 9421 §2.2) and the
// parameters that are texts; created and, in a request, expires go with them.
type profile struct {
	derived, texts []string
	expires        bool
}

var (
	request  = profile{[]string{"@method", "@target-uri", "@scheme", "@authority", "@path", "@query"}, []string{"alg", "keyid", "nonce"}, true}
	response = profile{[]string{"@status"}, []string{"alg", "keyid", "tag"}, false}
)

// single is the value of a field that stands in a request once.
func single(h http.Header, name string, most int) (string, error) {
	switch values := h.Values(name); {
	case len(values) != 1:
		return "", fmt.Errorf("%w: %s stands there %d times, want once", ErrMalformed, name, len(values))
	case len(values[0]) > most:
		return "", fmt.Errorf("%w: %s is longer than %d bytes", ErrMalformed, name, most)
	default:
		return values[0], nil
	}
}

// member is the one member of a dictionary that is in its canonical form.
func member(name, value string) (httpsfv.Member, string, error) {
	d, err := dictionary(name, value)
	if err != nil {
		return nil, "", err
	}
	if len(d.Names()) != 1 || len(d.Names()[0]) > maxLabel {
		return nil, "", fmt.Errorf("%w: %s has %d labels, or a long one; want one signature", ErrMalformed, name, len(d.Names()))
	}
	m, _ := d.Get(d.Names()[0])
	return m, d.Names()[0], nil
}

// dictionary parses a dictionary that is in its canonical form and has no %: httpsfv v1.1.0
// panics at a display string (RFC 9651 §3.3.8) that ends early, and nothing here needs one.
func dictionary(name, value string) (*httpsfv.Dictionary, error) {
	if strings.Contains(value, "%") {
		return nil, fmt.Errorf("%w: %s has a %%", ErrMalformed, name)
	}
	d, err := httpsfv.UnmarshalDictionary([]string{value})
	if err != nil {
		return nil, fmt.Errorf("%w: %s is no dictionary", ErrMalformed, name)
	}
	if again, err := httpsfv.Marshal(d); err != nil || again != value {
		return nil, fmt.Errorf("%w: %s is not in canonical form", ErrMalformed, name)
	}
	return d, nil
}

// ParseInput parses the value of a Signature-Input field, and returns the label too. The
// signature has no Field and no Value.
func ParseInput(input string) (s *Signature, label string, err error) {
	return parseInput(input, request)
}

func parseInput(input string, p profile) (s *Signature, label string, err error) {
	if len(input) > MaxInput {
		return nil, "", fmt.Errorf("%w: Signature-Input is longer than %d bytes", ErrMalformed, MaxInput)
	}
	m, label, err := member("Signature-Input", input)
	if err != nil {
		return nil, "", err
	}
	list, ok := m.(httpsfv.InnerList)
	if !ok || len(list.Items) == 0 || len(list.Items) > maxComponents {
		return nil, "", fmt.Errorf("%w: want a list of 1 to %d components", ErrMalformed, maxComponents)
	}
	s = &Signature{Input: input, params: strings.TrimPrefix(input, label+"=")}
	for _, item := range list.Items {
		name, ok := item.Value.(string)
		switch {
		case !ok || len(item.Params.Names()) > 0 || !p.isComponent(name):
			return nil, "", fmt.Errorf("%w: unknown component %.64q, or one with parameters", ErrMalformed, item.Value)
		case slices.Contains(s.Components, name):
			return nil, "", fmt.Errorf("%w: component %q is covered twice", ErrMalformed, name)
		}
		s.Components = append(s.Components, name)
	}
	return s, label, s.parseParams(list.Params, p)
}

// isComponent reports whether name is a derived component of the profile or may be a
// field's in lower case.
func (p profile) isComponent(name string) bool {
	field := name != "" && len(name) <= 64 && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
	return slices.Contains(p.derived, name) || field && name != "signature" && name != "signature-input"
}

// parseParams takes the parameters of the signature.
func (s *Signature) parseParams(params *httpsfv.Params, p profile) error {
	var algorithm string
	texts := map[string]*string{"nonce": &s.Nonce, "keyid": &s.KeyID, "alg": &algorithm, "tag": &s.Tag}
	maps.DeleteFunc(texts, func(name string, _ *string) bool { return !slices.Contains(p.texts, name) })
	times := map[string]*time.Time{"created": &s.Created}
	if p.expires {
		times["expires"] = &s.Expires
	}
	for _, name := range params.Names() {
		value, _ := params.Get(name)
		text, isText := value.(string)
		seconds, isTime := value.(int64)
		switch {
		case isText && texts[name] != nil:
			*texts[name] = text
		case isTime && times[name] != nil && seconds > 0 && seconds <= maxSeconds:
			*times[name] = time.Unix(seconds, 0).UTC()
		default:
			return fmt.Errorf("%w: unknown parameter %.64q, or one of the wrong type", ErrMalformed, name)
		}
	}
	switch {
	case algorithm != Algorithm:
		return fmt.Errorf("%w: alg is not %q", ErrMalformed, Algorithm)
	case s.Created.IsZero() || texts["nonce"] != nil && s.Nonce == "" || s.KeyID == "":
		return fmt.Errorf("%w: created, nonce and keyid are required", ErrMalformed)
	case texts["nonce"] != nil && (len(s.Nonce) < minNonce || len(s.Nonce) > maxNonce):
		return fmt.Errorf("%w: nonce is not %d to %d characters", ErrMalformed, minNonce, maxNonce)
	case len(s.KeyID) != 2*sm3.Size || strings.Trim(s.KeyID, "0123456789abcdef") != "":
		return fmt.Errorf("%w: keyid is not SM3 in lower-case hex", ErrMalformed)
	}
	return nil
}

// maxSeconds is the end of the year 9999.
const maxSeconds = 253402300799

// parseField takes the value of the Signature field under a label.
func (s *Signature) parseField(label string) error {
	m, name, err := member("Signature", s.Field)
	if err != nil {
		return err
	}
	item, _ := m.(httpsfv.Item)
	value, ok := item.Value.([]byte)
	if !ok || name != label || len(value) != len(s.Value) || len(item.Params.Names()) > 0 {
		return fmt.Errorf("%w: Signature is not 64 bytes under the label of Signature-Input", ErrMalformed)
	}
	s.Value = [64]byte(value)
	return nil
}

// Current reports whether the signature may be taken at an instant; the error wraps
// ErrNotCurrent.
func (s *Signature) Current(now time.Time) error {
	switch {
	case s.Created.Before(now.Add(-Skew)) || s.Created.After(now.Add(Skew)):
		return fmt.Errorf("%w: created is more than %v from the server's clock", ErrNotCurrent, Skew)
	case !s.Expires.IsZero() && !now.Before(s.Expires):
		return fmt.Errorf("%w: expires is past", ErrNotCurrent)
	}
	return nil
}

// Until is when the signature can be taken no more.
func (s *Signature) Until() time.Time {
	until := s.Created.Add(Skew + time.Nanosecond) // Current takes the last instant too
	if !s.Expires.IsZero() && s.Expires.Before(until) {
		return s.Expires
	}
	return until
}

// Covers wants @method, the whole target, and each of the fields; the error wraps
// ErrIncomplete.
func (s *Signature) Covers(fields ...string) error {
	has := func(name string) bool { return slices.Contains(s.Components, name) }
	if !has("@target-uri") && !(has("@authority") && has("@path") && has("@query")) {
		return fmt.Errorf("%w: neither @target-uri nor all of @authority, @path and @query are covered", ErrIncomplete)
	}
	for _, name := range append([]string{"@method"}, fields...) {
		if !has(name) {
			return fmt.Errorf("%w: %s is not covered", ErrIncomplete, name)
		}
	}
	return nil
}

// Verify reports whether the signature over a base is by a key.
func (s *Signature) Verify(pub crypto.PublicKey, base string) bool {
	return pki.VerifyMessage(pub, []byte(base), pki.DERSignature(s.Value))
}
