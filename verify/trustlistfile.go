package verify

import (
	"bytes"
	"crypto"
	"encoding/base64"
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
const trustListFormat = "elicence-trust-list/2"

// The limits of a trust list.
const (
	// MaxTrustList is the largest trust list in bytes.
	MaxTrustList         = 32 << 20
	maxListedAuthorities = 10_000
	maxListedCAs         = 64
	maxListedCRLs        = 64
	maxListedQR          = 1024
	maxListedStates      = 1_000_000
)

// trustListFile is the file: one JSON object in one form, without white space but the
// line feed at its end, members in the order below, base64 with padding, times in UTC
// to the second.
//
//	{"body":{"format":"elicence-trust-list/2","counter":7,
//	  "issued_at":"2026-03-02T01:00:00Z","expires_at":"2026-03-02T09:00:00Z",
//	  "authorities":["11330106002504122C",…],
//	  "certificates":["<DER>",…],"crls":["<DER>",…],"qr_signers":["<DER>",…],
//	  "states":{"revoked":"<keys>","suspended":"<keys>",…}},
//	 "certificate":"<DER>","signature":"<DER SEQUENCE{r,s}>"}
//
// The authorities ascend, each once; so do the statuses by name, none of them without
// keys; <keys> is the base64 of one StateKey after the other, ascending, each once. The
// signature is SM2 with SM3 over the bytes of body as they stand.
type trustListFile struct{ body, certificate, signature []byte }

type trustListBody struct {
	Format       string                    `json:"format"`
	Counter      int64                     `json:"counter"`
	IssuedAt     time.Time                 `json:"issued_at"`
	ExpiresAt    time.Time                 `json:"expires_at"`
	Authorities  []string                  `json:"authorities"`
	Certificates [][]byte                  `json:"certificates"`
	CRLs         [][]byte                  `json:"crls"`
	QRSigners    [][]byte                  `json:"qr_signers"`
	States       map[licence.Status][]byte `json:"states"`
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
	return trustListFile{body, cert.Raw, signature}.marshal()
}

// marshal encodes the body.
func (t *TrustList) marshal() ([]byte, error) {
	b := trustListBody{
		Format: trustListFormat, Counter: t.Counter,
		IssuedAt: t.IssuedAt.UTC().Truncate(time.Second), ExpiresAt: t.ExpiresAt.UTC().Truncate(time.Second),
		Authorities:  slices.Compact(slices.Sorted(slices.Values(t.Authorities))),
		Certificates: rawCertificates(t.Certificates), CRLs: append([][]byte{}, t.CRLs...), QRSigners: rawCertificates(t.QRSigners),
		States: t.States.marshal(),
	}
	if err := b.check(); err != nil {
		return nil, fmt.Errorf("verify: trust list: %w", err)
	}
	return json.Marshal(b)
}

func rawCertificates(certs []*pki.Certificate) [][]byte {
	raw := make([][]byte, len(certs))
	for i, cert := range certs {
		raw[i] = cert.Raw
	}
	return raw
}

// marshal packs the keys of each status that has any.
func (s States) marshal() map[licence.Status][]byte {
	packed := map[licence.Status][]byte{}
	for status, keys := range s {
		if len(keys) > 0 {
			packed[status] = marshalKeys(keys)
		}
	}
	return packed
}

// marshalKeys puts keys in order, each once.
func marshalKeys(keys []StateKey) []byte {
	keys = slices.Compact(slices.SortedFunc(slices.Values(keys), StateKey.compare))
	packed := make([]byte, 0, len(keys)*len(StateKey{}))
	for _, key := range keys {
		packed = append(packed, key[:]...)
	}
	return packed
}

// What stands around the parts of the file.
const (
	beforeBody        = `{"body":`
	beforeCertificate = `,"certificate":"`
	beforeSignature   = `","signature":"`
	afterSignature    = "\"}\n"
)

// marshal encodes the file. By hand, for encoding/json would go through the body, which
// is nearly all of it, twice more.
func (f trustListFile) marshal() ([]byte, error) {
	line := slices.Concat([]byte(beforeBody), f.body, []byte(beforeCertificate))
	line = append(base64.StdEncoding.AppendEncode(line, f.certificate), beforeSignature...)
	line = append(base64.StdEncoding.AppendEncode(line, f.signature), afterSignature...)
	if len(line) > MaxTrustList {
		return nil, fmt.Errorf("verify: trust list of more than %d bytes", MaxTrustList)
	}
	return line, nil
}

// parseTrustListFile takes the file apart; the body may still be anything.
func parseTrustListFile(b []byte) (f trustListFile, err error) {
	if len(b) > MaxTrustList {
		return f, fmt.Errorf("more than %d bytes", MaxTrustList)
	}
	text, begins := bytes.CutPrefix(b, []byte(beforeBody))
	text, ends := bytes.CutSuffix(text, []byte(afterSignature))
	certificate := bytes.LastIndex(text, []byte(beforeCertificate))
	signature := bytes.LastIndex(text, []byte(beforeSignature))
	if !begins || !ends || certificate < 0 || signature < certificate+len(beforeCertificate) {
		return f, errors.New("not body, certificate and signature")
	}
	f.body = text[:certificate]
	f.certificate, err = base64.StdEncoding.AppendDecode(nil, text[certificate+len(beforeCertificate):signature])
	if err != nil {
		return f, fmt.Errorf("certificate: %w", err)
	}
	f.signature, err = base64.StdEncoding.AppendDecode(nil, text[signature+len(beforeSignature):])
	if err != nil {
		return f, fmt.Errorf("signature: %w", err)
	}
	if again, err := f.marshal(); err != nil || !bytes.Equal(again, b) {
		return f, errors.New("not in its one form")
	}
	return f, nil
}

func (b *trustListBody) check() error {
	switch {
	case b.Format != trustListFormat:
		return fmt.Errorf("format %.40q is not %q", b.Format, trustListFormat)
	case b.Counter < 1:
		return fmt.Errorf("counter %d is not positive", b.Counter)
	case !b.IssuedAt.Before(b.ExpiresAt):
		return errors.New("it expires before it is issued")
	case b.Certificates == nil || b.CRLs == nil || b.QRSigners == nil || b.States == nil:
		return errors.New("null where there is nothing")
	case len(b.Authorities) > maxListedAuthorities || len(b.Certificates) > maxListedCAs || len(b.CRLs) > maxListedCRLs || len(b.QRSigners) > maxListedQR:
		return errors.New("too many entries")
	}
	if err := b.checkAuthorities(); err != nil {
		return err
	}
	return b.checkStates()
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

// checkStates wants keys of one status at least, whole, in ascending order, each once.
func (b *trustListBody) checkStates() error {
	const size = len(StateKey{})
	total := 0
	for status, packed := range b.States {
		if !slices.Contains(listable, status) {
			return fmt.Errorf("state %.20q is not one that is listed", status)
		}
		if len(packed) == 0 || len(packed)%size != 0 {
			return fmt.Errorf("the keys of state %s are not whole", status)
		}
		for i := size; i < len(packed); i += size {
			if bytes.Compare(packed[i-size:i], packed[i:i+size]) >= 0 {
				return fmt.Errorf("key %d of state %s is out of order", i/size, status)
			}
		}
		total += len(packed) / size
	}
	if total > maxListedStates {
		return fmt.Errorf("more than %d states", maxListedStates)
	}
	return nil
}

// ParseTrustList reads a trust list: at most MaxTrustList bytes, in exactly the form
// that SignTrustList writes, signed by a certificate whose path leads to the
// anchors for the usage trust_list at the instant now; the CRLs of the list itself
// serve for that too. A list that has expired is returned all the same, for it still
// tells final states; see Stale.
func ParseTrustList(b []byte, anchors *pki.TrustAnchors, now time.Time) (*TrustList, error) {
	file, err := parseTrustListFile(b)
	if err != nil {
		return nil, fmt.Errorf("verify: malformed trust list: %w", err)
	}
	cert, err := pki.ParseCertificate(file.certificate)
	if err != nil {
		return nil, fmt.Errorf("verify: malformed trust list: %w", err)
	}
	if !pki.VerifyMessage(cert.PublicKey, file.body, file.signature) {
		return nil, errors.New("verify: the trust list's signature does not verify")
	}
	if anchors == nil {
		return nil, errors.New("verify: a trust list needs trust anchors")
	}
	t, err := decodeTrustList(file.body)
	if err != nil {
		return nil, fmt.Errorf("verify: malformed trust list: %w", err)
	}
	if t.Anchors, err = anchors.With(t.Certificates, t.CRLs, now); err != nil {
		return nil, fmt.Errorf("verify: malformed trust list: %w", err)
	}
	if _, err := t.Anchors.CheckPath(cert, pki.PathOptions{Usage: pki.UsageTrustList, At: now, Now: now}); err != nil {
		return nil, fmt.Errorf("checking the trust list's signer: %w", err)
	}
	return t, nil
}

// decodeTrustList reads the body of a trust list, and holds it to the one form that is
// written: encoding it again must give the same bytes, which leaves no room for a second
// member of the same name or for unknown ones. Anybody can sign a list of tiny elements,
// which in memory are fifty times as large, so they are counted first; and what is
// refused anyway is not encoded. No text of a list needs an escape.
func decodeTrustList(raw []byte) (*TrustList, error) {
	const maxElements = maxListedAuthorities + maxListedCAs + maxListedCRLs + maxListedQR + 100
	switch {
	case bytes.Count(raw, []byte{','}) > maxElements:
		return nil, errors.New("too many entries")
	case bytes.IndexByte(raw, '\\') >= 0:
		return nil, errors.New("body is not in its one form")
	}
	var body trustListBody
	if err := json.Unmarshal(raw, &body); err != nil {
		return nil, err
	}
	if err := body.check(); err != nil {
		return nil, err
	}
	if again, err := json.Marshal(body); err != nil || !bytes.Equal(again, raw) {
		return nil, errors.New("body is not in its one form")
	}
	return body.list()
}

// list turns a body into a TrustList.
func (b *trustListBody) list() (*TrustList, error) {
	t := &TrustList{Counter: b.Counter, IssuedAt: b.IssuedAt, ExpiresAt: b.ExpiresAt, Authorities: b.Authorities,
		CRLs: b.CRLs, States: States{}}
	for _, part := range []struct {
		from [][]byte
		to   *[]*pki.Certificate
	}{{b.Certificates, &t.Certificates}, {b.QRSigners, &t.QRSigners}} {
		for _, der := range part.from {
			cert, err := pki.ParseCertificate(der)
			if err != nil {
				return nil, err
			}
			*part.to = append(*part.to, cert)
		}
	}
	for status, packed := range b.States {
		keys := make([]StateKey, 0, len(packed)/len(StateKey{}))
		for key := range slices.Chunk(packed, len(StateKey{})) {
			keys = append(keys, StateKey(key))
		}
		t.States[status] = keys
	}
	return t, nil
}
