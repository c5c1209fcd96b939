package httpsig

import (
	"bytes"
	"crypto"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"elicence/crypto/pki"
)

// AnswerTag is the tag (RFC 9421 §2.3) of the signatures of answers, so that none of another
// purpose by the same key can be taken for one.
const AnswerTag = "elicence-answer"

// The fields of a signed answer that bind it to its request.
const (
	// RequestDigest is Content-Digest of the request's body.
	RequestDigest = "Elicence-Request-Digest"
	// RequestSignature is the value of the request's Signature field; absent of a request that
	// was not signed.
	RequestSignature = "Elicence-Request-Signature"
)

// answerFields are those that the signature of an answer covers at least, beside @status.
var answerFields = []string{"content-type", "content-digest", strings.ToLower(RequestDigest)}

// Response is what of an answer is signed.
type Response struct {
	Status int
	Header http.Header
}

// Answer is a signed answer.
type Answer struct {
	Response
	Body []byte
}

// component is the value of a component (RFC 9421 §2.1, §2.2.9).
func (r Response) component(name string) (string, error) {
	if name == "@status" {
		return strconv.Itoa(r.Status), nil
	}
	return field(r.Header, name)
}

// SignResponse signs an answer with an SM2 key at an instant. It sets Content-Digest, and
// the two fields that bind the answer to its request, of which requestSignature may be
// empty; and covers these, @status, Content-Type and the fields named, each of which must
// be there once.
func SignResponse(random io.Reader, key crypto.Signer, r Response, body, request []byte, requestSignature string, created time.Time, fields ...string) error {
	id, err := KeyID(key.Public())
	if err != nil {
		return err
	}
	r.Header.Set("Content-Digest", ContentDigest(body))
	r.Header.Set(RequestDigest, ContentDigest(request))
	names := append(append([]string{"@status"}, answerFields...), fields...)
	if requestSignature != "" {
		r.Header.Set(RequestSignature, requestSignature)
		names = append(names, strings.ToLower(RequestSignature))
	}
	input := fmt.Sprintf(`%s=("%s");created=%d;keyid="%s";alg="%s";tag="%s"`, label, strings.Join(names, `" "`), created.Unix(), id, Algorithm, AnswerTag)
	s, name, err := parseInput(input, response)
	if err != nil {
		return err
	}
	base, err := s.base(r.component)
	if err != nil {
		return err
	}
	return sign(random, key, base, input, name, r.Header)
}

// ErrForged says that an answer is not what the key signed.
var ErrForged = errors.New("the signature is not by this key, or the answer was changed")

// ParseResponse parses the signature of an answer: of the tag AnswerTag, covering @status and
// what SignResponse covers. Errors wrap ErrMalformed or ErrIncomplete.
func ParseResponse(a Answer) (*Signature, error) {
	s, err := parse(a.Header, response)
	if err != nil {
		return nil, err
	}
	if s.Tag != AnswerTag {
		return nil, fmt.Errorf("%w: tag is not %q", ErrMalformed, AnswerTag)
	}
	must := append([]string{"@status"}, answerFields...)
	if len(a.Header.Values(RequestSignature)) > 0 {
		must = append(must, strings.ToLower(RequestSignature))
	}
	for _, name := range must {
		if !slices.Contains(s.Components, name) {
			return nil, fmt.Errorf("%w: %s is not covered", ErrIncomplete, name)
		}
	}
	return s, nil
}

// VerifyResponse verifies an answer with the key of its signature. Errors wrap ErrForged,
// ErrDigest or ErrMalformed.
func (s *Signature) VerifyResponse(pub crypto.PublicKey, a Answer) error {
	if id, err := KeyID(pub); err != nil || id != s.KeyID {
		return fmt.Errorf("%w: the key is not that of keyid", ErrForged)
	}
	base, err := s.base(a.component)
	if err != nil {
		return err
	}
	if !s.Verify(pub, base) {
		return ErrForged
	}
	body, err := Body(a.Header, io.NopCloser(bytes.NewReader(a.Body)))
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, body)
	return err
}

// Covered is the value of a field of an answer, empty of one that the signature does not cover.
func (s *Signature) Covered(a Answer, name string) string {
	if !slices.Contains(s.Components, strings.ToLower(name)) {
		return ""
	}
	return a.Header.Get(name)
}

// Answers reports whether a verified answer is the one to a request with this body.
func (a Answer) Answers(request []byte) bool {
	return subtle.ConstantTimeCompare([]byte(a.Header.Get(RequestDigest)), []byte(ContentDigest(request))) == 1
}

// MaxAnswerHeader is the most bytes of the status line and the fields of a stored answer.
const MaxAnswerHeader = 64 << 10

// ParseAnswer parses an answer as it was stored: the status line, the fields, an empty line,
// and the body to the end, as HTTP tools print it (curl -i). Interim answers before it, 100
// Continue say, are left out. Errors wrap ErrMalformed.
func ParseAnswer(stored []byte) (Answer, error) {
	for {
		head, body, found := cutHead(stored)
		if !found || len(head) > MaxAnswerHeader {
			return Answer{}, fmt.Errorf("%w: there is no empty line behind the fields, within %d bytes", ErrMalformed, MaxAnswerHeader)
		}
		r, err := parseHead(string(head))
		if err != nil || r.Status >= 200 {
			return Answer{r, body}, err
		}
		stored = body
	}
}

// cutHead cuts at the first empty line.
func cutHead(b []byte) (head, body []byte, found bool) {
	head, body, found = bytes.Cut(b, []byte("\n\n"))
	if h, rest, ok := bytes.Cut(b, []byte("\r\n\r\n")); ok && (!found || len(h) < len(head)) {
		return h, rest, true
	}
	return head, body, found
}

// parseHead parses status line and fields.
func parseHead(head string) (Response, error) {
	lines := strings.Split(strings.ReplaceAll(head, "\r\n", "\n"), "\n")
	version, rest, _ := strings.Cut(lines[0], " ")
	code, _, _ := strings.Cut(rest, " ")
	status, err := strconv.Atoi(code)
	if err != nil || len(code) != 3 || !strings.HasPrefix(version, "HTTP/") {
		return Response{}, fmt.Errorf("%w: it does not begin with a status line", ErrMalformed)
	}
	r := Response{status, http.Header{}}
	for _, line := range lines[1:] {
		name, value, ok := strings.Cut(line, ":")
		if !ok || strings.Trim(name, tokenCharacters) != "" || name == "" {
			return Response{}, fmt.Errorf("%w: %.64q is no field", ErrMalformed, line)
		}
		r.Header.Add(name, strings.Trim(value, " \t"))
	}
	return r, nil
}

// tokenCharacters are those of the names of fields (RFC 9110 §5.6.2) that occur.
const tokenCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

// CertificateField carries the certificate of an answer's signer: a byte sequence (RFC 9651
// §3.3.5) of its DER. The signature need not cover it, for keyid names the key.
const CertificateField = "Elicence-Certificate"

// SignerCertificate reads it. Errors wrap ErrMalformed.
func (a Answer) SignerCertificate() (*pki.Certificate, error) {
	value, err := single(a.Header, CertificateField, maxCertificate)
	if err != nil {
		return nil, err
	}
	text, begins := strings.CutPrefix(value, ":")
	text, ends := strings.CutSuffix(text, ":")
	der, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || !begins || !ends {
		return nil, fmt.Errorf("%w: %s is no byte sequence", ErrMalformed, CertificateField)
	}
	cert, err := pki.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrMalformed, CertificateField, err)
	}
	return cert, nil
}

// maxCertificate is the most bytes of CertificateField.
const maxCertificate = 8 << 10
