package audit

import (
	"crypto"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"elicence/crypto/pki"

	"golang.org/x/mod/sumdb/note"
)

// A verifier key is written as C2SP signed-note has it:
//
//	<name>+<key id, 8 lower-case hex digits>+base64(0xFF ‖ identifier ‖ public key)
//
// 0xFF is the signature type for algorithms without a registered number; an
// identifier in ASCII tells ours from others'. The public key is 65 bytes,
// 04 ‖ x ‖ y. The key id is the first 4 bytes of
// SHA-256(name ‖ "\n" ‖ 0xFF ‖ identifier ‖ public key): it only helps to find the
// key, and SHA-256 is what every signed-note tool computes.
const (
	signatureType     = 0xFF
	logIdentifier     = "elicence/sm2-sm3/v1"
	witnessIdentifier = "elicence/sm2-sm3/cosignature/v1"

	maxName        = 100
	maxVerifierKey = 512
	publicKeySize  = 65
)

// Signer is a named SM2 key that signs checkpoints.
type Signer struct {
	Name string        // the log's origin, or the witness's name; no space, no plus sign, at most 100 bytes
	Key  crypto.Signer // SM2
}

// VerifierKey returns the verifier key (vkey) of s as the key of a log.
func (s Signer) VerifierKey() (string, error) { return s.encode(logIdentifier) }

// WitnessKey returns the verifier key of s as the key of a witness.
func (s Signer) WitnessKey() (string, error) { return s.encode(witnessIdentifier) }

func (s Signer) encode(identifier string) (string, error) {
	v, err := s.verifier(identifier)
	if err != nil {
		return "", err
	}
	return v.String(), nil
}

func (s Signer) verifier(identifier string) (*verifier, error) {
	if s.Key == nil {
		return nil, errors.New("audit: signer has no key")
	}
	public, err := pki.PublicKeyBytes(s.Key.Public())
	if err != nil {
		return nil, fmt.Errorf("reading signer's public key: %w", err)
	}
	return newVerifier(s.Name, identifier, public)
}

// verifier is a parsed verifier key. It implements note.Verifier.
type verifier struct {
	name       string
	hash       uint32
	identifier string
	public     []byte // 65 bytes
	key        crypto.PublicKey
}

func newVerifier(name, identifier string, public []byte) (*verifier, error) {
	if !validName(name) {
		return nil, fmt.Errorf("audit: malformed key name %q", name)
	}
	key, err := pki.ParsePublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("audit: malformed verifier key: %w", err)
	}
	v := &verifier{name: name, identifier: identifier, public: public, key: key}
	sum := sha256.Sum256(append([]byte(name+"\n"), v.encoded()...))
	v.hash = binary.BigEndian.Uint32(sum[:])
	return v, nil
}

// validName reports whether name can stand in a note's signature line. It is
// narrower than signed-note: no control characters, and bounded.
func validName(name string) bool {
	bad := func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) || r == '+' }
	return name != "" && len(name) <= maxName && utf8.ValidString(name) && !strings.ContainsFunc(name, bad)
}

// parseVerifier parses a verifier key of either identifier.
func parseVerifier(vkey string) (*verifier, error) {
	name, rest, _ := strings.Cut(vkey, "+")
	_, encoded, _ := strings.Cut(rest, "+")
	raw, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil || len(vkey) > maxVerifierKey || len(raw) < 1+publicKeySize || raw[0] != signatureType {
		return nil, errors.New("audit: malformed verifier key: not a key of type 0xFF")
	}
	identifier := string(raw[1 : len(raw)-publicKeySize])
	if identifier != logIdentifier && identifier != witnessIdentifier && identifier != approverIdentifier {
		return nil, errors.New("audit: malformed verifier key: unknown signature identifier")
	}
	v, err := newVerifier(name, identifier, raw[len(raw)-publicKeySize:])
	if err != nil {
		return nil, err
	}
	if v.String() != vkey {
		return nil, errors.New("audit: malformed verifier key: wrong key id")
	}
	return v, nil
}

func (v *verifier) encoded() []byte {
	return append(append([]byte{signatureType}, v.identifier...), v.public...)
}

// String returns the vkey.
func (v *verifier) String() string {
	return fmt.Sprintf("%s+%08x+%s", v.name, v.hash, base64.StdEncoding.EncodeToString(v.encoded()))
}

// Name returns the key's name.
func (v *verifier) Name() string { return v.name }

// KeyHash returns the key id.
func (v *verifier) KeyHash() uint32 { return v.hash }

// Verify reports whether sig signs the note text msg. A log's signature is
// r ‖ s over the text, and so is an approver's; a witness's is time ‖ r ‖ s over the message of cosigned.
func (v *verifier) Verify(msg, sig []byte) bool {
	if v.identifier == witnessIdentifier {
		if len(sig) != 8+64 {
			return false
		}
		msg, sig = cosigned(msg, binary.BigEndian.Uint64(sig)), sig[8:]
	}
	if len(sig) != 64 {
		return false
	}
	return pki.VerifyMessage(v.key, msg, pki.DERSignature([64]byte(sig)))
}

// cosigned returns what a witness signs for the note text at a time in
// seconds since 1970 (C2SP tlog-cosignature).
func cosigned(text []byte, at uint64) []byte {
	return append(fmt.Appendf(nil, "cosignature/v1\ntime %d\n", at), text...)
}

// noteSigner implements note.Signer over a Signer's key.
type noteSigner struct {
	*verifier
	rand io.Reader
	key  crypto.Signer
	at   uint64 // seconds since 1970; for a witness only
}

// Sign returns the bytes that follow the key id in the signature line.
func (s noteSigner) Sign(msg []byte) ([]byte, error) {
	var head []byte
	if s.identifier == witnessIdentifier {
		head = binary.BigEndian.AppendUint64(nil, s.at)
		msg = cosigned(msg, s.at)
	}
	der, err := pki.SignMessage(s.rand, s.key, msg)
	if err != nil {
		return nil, err
	}
	raw, err := pki.RawSignature(der)
	if err != nil {
		return nil, err
	}
	return append(head, raw[:]...), nil
}

var _ note.Signer = noteSigner{}
