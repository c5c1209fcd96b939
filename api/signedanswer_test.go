package api_test

import (
	"bytes"
	"crypto"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"elicence/api"
	"elicence/crypto/httpsig"
	"elicence/crypto/pki"
	"elicence/licence/registry"
)

// stored is an answer as curl -i prints it.
func stored(a answer) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %s\r\n", a.Status)
	for name, values := range a.Header {
		for _, value := range values {
			fmt.Fprintf(&b, "%s: %s\r\n", name, value)
		}
	}
	b.WriteString("\r\n")
	b.Write(a.body)
	return b.Bytes()
}

// verified verifies a stored answer as whoever files it does.
func verified(stored, request []byte) (httpsig.Answer, *httpsig.Signature, error) {
	a, err := httpsig.ParseAnswer(stored)
	if err != nil {
		return a, nil, err
	}
	s, err := httpsig.ParseResponse(a)
	if err != nil {
		return a, nil, err
	}
	cert, err := a.SignerCertificate()
	if err != nil {
		return a, s, err
	}
	if err := s.VerifyResponse(cert.PublicKey, a); err != nil {
		return a, s, err
	}
	if !a.Answers(request) {
		return a, s, errors.New("another request's")
	}
	return a, s, nil
}

// byPython runs the script that shares no code with us.
func byPython(t *testing.T, stored, request []byte) error {
	t.Helper()
	dir := t.TempDir()
	answer, body := filepath.Join(dir, "answer.http"), filepath.Join(dir, "request.json")
	must(t, errors.Join(os.WriteFile(answer, stored, 0o600), os.WriteFile(body, request, 0o600)))
	out, err := exec.Command("python3", filepath.Join("..", "testdata", "signatures", "verify_answer.py"), answer, body).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// TestSignedAnswers: answers to reuse and questions are signed, by token and by signed
// request; OpenSSL says so too; and what was changed is found by both.
func TestSignedAnswers(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.issue(food, "signed-answer")
	key := w.signer(partner, registry.ByEither)
	for name, q := range map[string]ask{
		"reuse":                      {path: "/api/v1/reuse", body: reuseBody(t, nil), as: partner},
		"question":                   {path: "/api/v1/questions", body: questionBody(t, nil), as: partner},
		"reuse by a signed request":  w.signed(key, ask{method: "POST", path: "/api/v1/reuse", body: reuseBody(t, nil)}),
		"nothing found":              {path: "/api/v1/questions", body: questionBody(t, map[string]any{"as_of": "2001-01-01"}), as: partner},
		"question by signed request": w.signed(key, ask{method: "POST", path: "/api/v1/questions", body: questionBody(t, nil)}),
	} {
		t.Run(name, func(t *testing.T) {
			q.method = "POST"
			got := w.do(q)
			if got.StatusCode != http.StatusOK {
				t.Fatalf("%d %s", got.StatusCode, got.body)
			}
			file := stored(got)
			a, s, err := verified(file, q.body)
			must(t, err)
			if slices.Contains([]string{"question", "reuse by a signed request"}, name) {
				must(t, byPython(t, file, q.body))
			}
			if !s.Created.Equal(w.Now()) || s.Covered(a, "Elicence-Log-Index") != got.Header.Get("Elicence-Log-Index") || s.Covered(a, "Elicence-Log-Leaf") == "" {
				t.Errorf("covers %v at %s", s.Components, s.Created)
			}
			if signed := q.header["Signature"]; s.Covered(a, httpsig.RequestSignature) != signed {
				t.Errorf("request's signature %q, want %q", s.Covered(a, httpsig.RequestSignature), signed)
			}
			cert, err := a.SignerCertificate()
			must(t, err)
			_, err = w.PKI.Anchors.CheckPath(cert, pki.PathOptions{Usage: pki.UsageAnswer, At: w.Now(), Now: w.Now()})
			must(t, err)
			if _, err := w.PKI.Anchors.CheckPath(cert, pki.PathOptions{Usage: pki.UsageSealSigner, At: w.Now(), Now: w.Now()}); err == nil {
				t.Error("the key of answers could seal")
			}
		})
	}
	got := w.do(ask{method: "POST", path: "/api/v1/questions", body: questionBody(t, nil), as: partner})
	other := w.do(ask{method: "POST", path: "/api/v1/reuse", body: reuseBody(t, nil), as: partner})
	good := string(stored(got))
	for name, change := range map[string]func(string) string{
		"another answer":    func(s string) string { return strings.Replace(s, `"yes"`, `"no"`, 1) },
		"a byte more":       func(s string) string { return s + " " },
		"cut":               func(s string) string { return s[:len(s)-1] },
		"another status":    func(s string) string { return strings.Replace(s, " 200 ", " 403 ", 1) },
		"another log entry": func(s string) string { return strings.Replace(s, "Elicence-Log-Index: ", "Elicence-Log-Index: 1", 1) },
		"another type":      func(s string) string { return strings.Replace(s, "application/json", "text/html", 1) },
		"another request": func(s string) string {
			return replaceField(s, httpsig.RequestDigest, other.Header.Get("Content-Digest"))
		},
		"another's signature": func(s string) string { return replaceField(s, "Signature", other.Header.Get("Signature")) },
		"a parameter more":    func(s string) string { return strings.Replace(s, ";created=", `;nonce="0123456789abcdef";created=`, 1) },
		"less covered":        func(s string) string { return strings.Replace(s, ` "content-digest"`, "", 1) },
		"no status covered":   func(s string) string { return strings.Replace(s, `"@status" `, "", 1) },
		"later":               func(s string) string { return strings.Replace(s, ";created=1", ";created=2", 1) },
		"another tag":         func(s string) string { return strings.Replace(s, `tag="elicence-answer"`, `tag="elicence-request"`, 1) },
		"another algorithm":   func(s string) string { return strings.Replace(s, `alg="sm2-sm3"`, `alg="ed25519"`, 1) },
		"no signature":        func(s string) string { return strings.Replace(s, "\r\nSignature: ", "\r\nX-Signature: ", 1) },
		"two signatures": func(s string) string {
			return strings.Replace(s, "\r\nSignature: ", "\r\nSignature: a\r\nSignature: ", 1)
		},
		"a log entry twice": func(s string) string {
			return strings.Replace(s, "\r\nElicence-Log-Index: ", "\r\nElicence-Log-Index: 1\r\nElicence-Log-Index: ", 1)
		},
		"another's certificate": func(s string) string {
			return replaceField(s, httpsig.CertificateField, derField(w.PKI.QR.Certificate))
		},
		"no certificate":     func(s string) string { return replaceField(s, httpsig.CertificateField, "::") },
		"no status line":     func(s string) string { return s[strings.Index(s, "\r\n")+2:] },
		"nothing but a head": func(s string) string { return s[:strings.Index(s, "\r\n\r\n")] },
		"an added request's sign": func(s string) string {
			return strings.Replace(s, "\r\nSignature: ", "\r\nElicence-Request-Signature: a=:AA==:\r\nSignature: ", 1)
		},
	} {
		changed := change(good)
		if changed == good {
			t.Errorf("%s: nothing changed", name)
		}
		if _, _, err := verified([]byte(changed), questionBody(t, nil)); err == nil {
			t.Errorf("%s: verified", name)
		}
	}
	if byPython(t, []byte(strings.Replace(good, `"yes"`, `"no"`, 1)), questionBody(t, nil)) == nil {
		t.Error("the script takes a changed answer")
	}
	if byPython(t, []byte(good), reuseBody(t, nil)) == nil {
		t.Error("the script takes another request")
	}
}

// derField is a certificate as a byte sequence.
func derField(cert *pki.Certificate) string {
	return ":" + base64.StdEncoding.EncodeToString(cert.Raw) + ":"
}

// replaceField gives a field another value.
func replaceField(s, name, value string) string {
	at := strings.Index(s, "\r\n"+name+": ") + len(name) + 4
	return s[:at] + value + s[at+strings.Index(s[at:], "\r\n"):]
}

// awaySigner is a key in a device that is away.
type awaySigner struct{ crypto.Signer }

func (awaySigner) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("the device is away")
}

// TestAnswerUnsigned: what cannot be signed is not given out, and the log has its entry.
func TestAnswerUnsigned(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.issue(food, "unsigned")
	w.server = w.serve(func(c *api.Config) { c.Answers.Key = awaySigner{c.Answers.Key} })
	w.token(partner)
	for path, body := range map[string][]byte{"/api/v1/reuse": reuseBody(t, nil), "/api/v1/questions": questionBody(t, nil)} {
		before := w.size()
		got := w.do(ask{method: "POST", path: path, body: body, as: partner})
		if got.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(got.body), "answer_unsigned") || strings.Contains(string(got.body), "licences") {
			t.Errorf("%s: %d %s", path, got.StatusCode, got.body)
		}
		if n := w.size() - before; n != 1 {
			t.Errorf("%s: %d entries", path, n)
		}
		for _, name := range []string{"Signature", "Content-Digest", httpsig.CertificateField} {
			if got.Header.Get(name) != "" {
				t.Errorf("%s: a problem with %s", path, name)
			}
		}
	}
}
