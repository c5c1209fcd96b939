package verify

import (
	"bytes"
	"crypto"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"elicence/crypto/pki"
	"elicence/licence"
)

// trustListFormat names the format and its version; a reader refuses any other.
const trustListFormat = "elicence-trust-list/1"

// The limits of a trust list.
const (
	// MaxTrustList is the largest trust list in bytes: some 300,000 states.
	MaxTrustList         = 32 << 20
	maxListedAuthorities = 10_000
	maxListedQR          = 1024
	maxListedStates      = 400_000
)

// TrustList (信任列表) tells an offline verifier what it cannot know by itself: the
// certificates of QR signers, and the state of every licence that is not simply
// valid among those of the authorities it speaks for. A licence is named by the SM3
// digest of its identifier, so that the list gives no register away.
//
// A listed state counts whoever issued the licence. A licence that is not listed was
// valid, its dates apart, when the list was issued, but only if one of Authorities
// issued it, for of another's the list knows nothing; and only if it had been sealed
// by then, for of a later one the list knows nothing either. So whoever makes a list
// lists pending and voided licences too.
//
// A list that has expired still tells the states that are final: a revoked licence
// does not come back because nobody fetched the newest list.
//
// The file is one JSON object in one fixed form: no white space but the line feed
// at its end, members in the order below, authorities and states ordered, each once,
// base64 with padding, times in UTC to the second:
//
//	{"body":{"format":"elicence-trust-list/1","counter":7,
//	  "issued_at":"2026-03-02T01:00:00Z","expires_at":"2026-03-02T09:00:00Z",
//	  "authorities":["11330106002504122C",…],
//	  "qr_signers":["<DER>",…],"states":{"<64 hex digits>":"revoked",…}},
//	 "certificate":"<DER>","signature":"<DER SEQUENCE{r,s}>"}
//
// The signature is SM2 with SM3 over the bytes of body as they stand.
type TrustList struct {
	// Counter grows with every list. A caller that has seen a higher one holds an old list.
	Counter int64
	// IssuedAt is when the states were so; from ExpiresAt on only final ones count.
	IssuedAt, ExpiresAt time.Time
	// Authorities are the unified social credit codes of the issuing authorities that
	// the list speaks for: its scope. One at least, in any order; parsed, ascending.
	Authorities []string
	// QRSigners are certificates to look QR key ids up in. Their paths are followed all the same.
	QRSigners []*pki.Certificate
	// States are the licences that are not simply valid.
	States map[[32]byte]licence.Status
}

type trustListFile struct {
	Body        json.RawMessage `json:"body"`
	Certificate []byte          `json:"certificate"`
	Signature   []byte          `json:"signature"`
}

type trustListBody struct {
	Format      string                    `json:"format"`
	Counter     int64                     `json:"counter"`
	IssuedAt    time.Time                 `json:"issued_at"`
	ExpiresAt   time.Time                 `json:"expires_at"`
	Authorities []string                  `json:"authorities"`
	QRSigners   [][]byte                  `json:"qr_signers"`
	States      map[string]licence.Status `json:"states"`
}

// IdentifierDigest is the name of a licence in a trust list: SM3 of its identifier.
func IdentifierDigest(id licence.Identifier) [32]byte { return digest([]byte(id)) }

// State returns the state of a listed licence; found is false when it is not listed.
func (t *TrustList) State(id licence.Identifier) (status licence.Status, found bool) {
	status, found = t.States[IdentifierDigest(id)]
	return status, found
}

// SpeaksFor reports whether the list knows of every licence of the authority with
// this unified social credit code.
func (t *TrustList) SpeaksFor(authorityCode string) bool {
	return slices.Contains(t.Authorities, authorityCode)
}

// Stale reports whether the list has expired at the instant at, and tells nothing
// any more but final states.
func (t *TrustList) Stale(at time.Time) bool { return !at.Before(t.ExpiresAt) }

// qrSigners is QRSigners, of no list none.
func (t *TrustList) qrSigners() []*pki.Certificate {
	if t == nil {
		return nil
	}
	return t.QRSigners
}

func (t *TrustList) describe() string {
	return fmt.Sprintf("trust list %d, issued %s, expires %s, %d authorities, %d states",
		t.Counter, instant(t.IssuedAt), instant(t.ExpiresAt), len(t.Authorities), len(t.States))
}

// SignTrustList writes t, signed by a key of usage trust_list. Times are kept to
// the second. It refuses a list that ParseTrustList would.
func SignTrustList(rand io.Reader, key crypto.Signer, cert *pki.Certificate, t *TrustList) ([]byte, error) {
	if !pki.SamePublicKey(cert, key) {
		return nil, errors.New("verify: key is not the trust list signer's")
	}
	body, err := t.marshal()
	if err != nil {
		return nil, err
	}
	signature, err := pki.SignMessage(rand, key, body)
	if err != nil {
		return nil, fmt.Errorf("signing trust list: %w", err)
	}
	return marshalLine(trustListFile{body, cert.Raw, signature})
}

// marshal encodes the body.
func (t *TrustList) marshal() ([]byte, error) {
	b := trustListBody{
		Format: trustListFormat, Counter: t.Counter,
		IssuedAt: t.IssuedAt.UTC().Truncate(time.Second), ExpiresAt: t.ExpiresAt.UTC().Truncate(time.Second),
		Authorities: slices.Compact(slices.Sorted(slices.Values(t.Authorities))),
		QRSigners:   make([][]byte, len(t.QRSigners)), States: make(map[string]licence.Status, len(t.States)),
	}
	for i, cert := range t.QRSigners {
		b.QRSigners[i] = cert.Raw
	}
	for id, status := range t.States {
		b.States[hex.EncodeToString(id[:])] = status
	}
	if err := b.check(); err != nil {
		return nil, fmt.Errorf("verify: trust list: %w", err)
	}
	return json.Marshal(b)
}

// marshalLine encodes the file.
func marshalLine(f trustListFile) ([]byte, error) {
	line, err := json.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("encoding trust list: %w", err)
	}
	if len(line) >= MaxTrustList {
		return nil, fmt.Errorf("verify: trust list of more than %d bytes", MaxTrustList)
	}
	return append(line, '\n'), nil
}

func (b *trustListBody) check() error {
	switch {
	case b.Format != trustListFormat:
		return fmt.Errorf("format %.40q is not %q", b.Format, trustListFormat)
	case b.Counter < 1:
		return fmt.Errorf("counter %d is not positive", b.Counter)
	case !b.IssuedAt.Before(b.ExpiresAt):
		return errors.New("it expires before it is issued")
	case len(b.Authorities) > maxListedAuthorities || len(b.QRSigners) > maxListedQR || len(b.States) > maxListedStates:
		return errors.New("too many entries")
	}
	if err := b.checkAuthorities(); err != nil {
		return err
	}
	for id, status := range b.States {
		if !slices.Contains(listable, status) {
			return fmt.Errorf("state %.20q of %.64q is not one that is listed", status, id)
		}
	}
	return nil
}

// checkAuthorities wants codes that are right, in ascending order, each once. A list
// without any would only look as if it cleared a licence.
func (b *trustListBody) checkAuthorities() error {
	if len(b.Authorities) == 0 {
		return errors.New("it speaks for no authority")
	}
	for i, code := range b.Authorities {
		if err := licence.CheckUSCC(code); err != nil {
			return fmt.Errorf("authority %.20q: %w", code, err)
		}
		if i > 0 && b.Authorities[i-1] >= code {
			return fmt.Errorf("authority %q is out of order", code)
		}
	}
	return nil
}

// listable are the statuses that a trust list tells: a valid licence is not
// listed, and what the dates tell is derived.
var listable = []licence.Status{licence.StatusPending, licence.StatusVoided, licence.StatusSuspended, licence.StatusRevoked,
	licence.StatusWithdrawn, licence.StatusCancelled, licence.StatusSuperseded}

// ParseTrustList reads a trust list: at most MaxTrustList bytes, in exactly the form
// that SignTrustList writes, signed by a certificate whose path leads to the
// anchors for the usage trust_list at the instant now. A list that has expired is
// returned all the same, for it still tells final states; see Stale.
func ParseTrustList(b []byte, anchors *pki.TrustAnchors, now time.Time) (*TrustList, error) {
	file, body, err := decodeTrustList(b)
	if err != nil {
		return nil, fmt.Errorf("verify: malformed trust list: %w", err)
	}
	cert, err := pki.ParseCertificate(file.Certificate)
	if err != nil {
		return nil, fmt.Errorf("verify: malformed trust list: %w", err)
	}
	if !pki.VerifyMessage(cert.PublicKey, file.Body, file.Signature) {
		return nil, errors.New("verify: the trust list's signature does not verify")
	}
	if anchors == nil {
		return nil, errors.New("verify: a trust list needs trust anchors")
	}
	if _, err := anchors.CheckPath(cert, pki.PathOptions{Usage: pki.UsageTrustList, At: now, Now: now}); err != nil {
		return nil, fmt.Errorf("checking the trust list's signer: %w", err)
	}
	t, err := body.list()
	if err != nil {
		return nil, fmt.Errorf("verify: malformed trust list: %w", err)
	}
	return t, nil
}

// decodeTrustList reads the file and its body, and holds both to the one form that
// is written: encoding them again must give the same bytes, which leaves no room
// for a second member of the same name or for unknown ones.
func decodeTrustList(b []byte) (file trustListFile, body trustListBody, err error) {
	if len(b) > MaxTrustList {
		return file, body, fmt.Errorf("more than %d bytes", MaxTrustList)
	}
	if err := json.Unmarshal(b, &file); err != nil {
		return file, body, err
	}
	if err := json.Unmarshal(file.Body, &body); err != nil {
		return file, body, err
	}
	again, err := json.Marshal(body)
	if err != nil || !bytes.Equal(again, file.Body) {
		return file, body, errors.New("body is not in its one form")
	}
	if again, err = marshalLine(file); err != nil || !bytes.Equal(again, b) {
		return file, body, errors.New("not in its one form")
	}
	return file, body, body.check()
}

// list turns a body into a TrustList.
func (b *trustListBody) list() (*TrustList, error) {
	t := &TrustList{Counter: b.Counter, IssuedAt: b.IssuedAt, ExpiresAt: b.ExpiresAt, Authorities: b.Authorities,
		States: make(map[[32]byte]licence.Status, len(b.States))}
	for _, der := range b.QRSigners {
		cert, err := pki.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		t.QRSigners = append(t.QRSigners, cert)
	}
	for key, status := range b.States {
		id, err := hex.DecodeString(key)
		if err != nil || len(id) != 32 || hex.EncodeToString(id) != key {
			return nil, fmt.Errorf("%.64q is not a digest in lower-case hexadecimal", key)
		}
		t.States[[32]byte(id)] = status
	}
	return t, nil
}
