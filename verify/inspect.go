package verify

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"elicence/crypto/pdfsig"
	"elicence/crypto/pki"
	"elicence/crypto/seal"
	"elicence/crypto/tsa"
	"elicence/licence"
)

// Parts are the pieces of a licence file, for those who want to check it with
// tools of their own. Nothing in them has been judged.
type Parts struct {
	// Container holds the place of the signature in the file.
	Container pdfsig.Container
	// SignedBytes are the bytes that the byte ranges cover, Digest their SM3.
	SignedBytes []byte
	Digest      [32]byte
	// Seal is the seal, Signature the seal signature that holds it; of a bare seal, nil.
	Seal      *seal.Seal
	Signature *seal.Signature
	// Deviations are the ways in which seal and seal signature depart from the
	// standards. What has any never passes VerifyFile.
	Deviations []seal.Deviation
	// Token is the timestamp token over the seal signature, SealToken the one over
	// the seal (version 5), TimeToken the one that a seal signature of version 1 may
	// have for a time. Each is nil when there is none that can be read.
	Token, SealToken, TimeToken *tsa.Token
	// CoSeals are the parts of the seals before this one, each by itself, in their order.
	CoSeals []*Parts
	// Attachments are the attached files by name.
	Attachments map[string][]byte
	// QR is the attached QR message and QRSigner the attached certificate of its
	// signer; both are nil when one of them is absent.
	QR       *licence.QRMessage
	QRSigner *pki.Certificate
}

// Inspect takes a licence file apart. The error says what could not be read. A
// signature for readers without SM2 is left out.
func Inspect(file []byte) (*Parts, error) {
	f, err := pdfsig.Read(file)
	if err != nil {
		return nil, err
	}
	last := len(f.Signatures) - 1 // the main seal
	p, err := sealParts(f, last)
	if err != nil {
		return nil, err
	}
	for i, c := range f.Signatures[:last] {
		if c.SubFilter != pdfsig.SubFilter {
			continue
		}
		coSeal, err := sealParts(f, i)
		if err != nil {
			return nil, fmt.Errorf("signature %q: %w", quote(c.FieldName), err)
		}
		p.CoSeals = append(p.CoSeals, coSeal)
	}
	p.Attachments = f.Attachments
	message, der := f.Attachments[attachedQR], f.Attachments[attachedQRSigner]
	if message == nil || der == nil {
		return p, nil
	}
	if p.QR, err = licence.ParseQRMessage(message); err != nil {
		return nil, err
	}
	p.QRSigner, err = pki.ParseCertificate(der)
	return p, err
}

// Refusal is what a report says of a file that Inspect refused with err; empty for faults
// that it does not lay to the file's form as a PDF.
func Refusal(err error) (zh, en string) {
	var fault *pdfsig.FormatError
	if !errors.As(err, &fault) {
		return "", ""
	}
	r := reasonFor("pdf_" + fault.Code)
	return r.zh, r.en
}

// sealParts are those of the seal that made signature i.
func sealParts(f *pdfsig.File, i int) (*Parts, error) {
	sig, err := seal.ParseSignature(f.Signatures[i].Contents, seal.Deviations()...)
	if err != nil {
		return nil, err
	}
	p := &Parts{Container: f.Signatures[i], SignedBytes: f.SignedBytes(i), Digest: f.Digest(i)}
	p.setSignature(sig)
	return p, nil
}

// InspectSeal takes a bare SES_Signature or SESeal (DER) of any version apart.
func InspectSeal(der []byte) (*Parts, error) {
	p := &Parts{}
	if !seal.IsSignature(der) {
		sl, err := seal.ParseSeal(der, seal.Deviations()...)
		if err != nil {
			return nil, err
		}
		p.setSeal(sl)
		return p, nil
	}
	sig, err := seal.ParseSignature(der, seal.Deviations()...)
	if err != nil {
		return nil, err
	}
	p.setSignature(sig)
	return p, nil
}

func (p *Parts) setSeal(sl *seal.Seal) {
	p.Seal, p.Deviations, p.SealToken = sl, sl.Deviations, readToken(sl.Timestamp)
}

func (p *Parts) setSignature(sig *seal.Signature) {
	p.setSeal(sig.Seal)
	p.Signature, p.Deviations = sig, sig.Deviations
	p.Token, p.TimeToken = readToken(sig.Timestamp), readToken(sig.TimeToken)
	if p.SignedBytes != nil && sig.CoversWithZA(p.SignedBytes) && !slices.Contains(p.Deviations, seal.DigestWithZA) {
		p.Deviations = append([]seal.Deviation{seal.DigestWithZA}, p.Deviations...) // the first by name
	}
}

// readToken returns nil for no token, and for one that cannot be read: that is a
// token which proves nothing, and no reason to keep quiet about the rest.
func readToken(der []byte) *tsa.Token {
	token, err := tsa.ParseToken(der)
	if err != nil {
		return nil
	}
	return token
}

// SigningTime is the time that the signer claims; zero without a seal signature.
func (p *Parts) SigningTime() time.Time {
	switch {
	case p.TimeToken != nil:
		return p.TimeToken.Time
	case p.Signature != nil:
		return p.Signature.SigningTime
	}
	return time.Time{}
}

// PartSignature is one signature of a file and whether its value is right for the
// key that it names. It says nothing of whether that key is to be trusted.
type PartSignature struct {
	// Part is "seal", "seal_signature", "timestamp" or "qr".
	Part string `json:"part"`
	// SignatureValid says that the signature value verifies.
	SignatureValid bool `json:"signature_valid"`
	// Of is "seal" for a timestamp over the seal itself (version 5), and otherwise
	// empty: a timestamp is over the seal signature.
	Of string `json:"of,omitempty"`
}

// Signatures checks every signature value of the file but those of its co-seals, which
// have parts of their own. The token in the timeInfo of
// version 1 is not among them: what it is over could not be established.
func (p *Parts) Signatures() []PartSignature {
	list := []PartSignature{{Part: "seal", SignatureValid: p.Seal.CheckSignature() == nil}}
	if p.Seal.Timestamp != nil {
		list = append(list, PartSignature{"timestamp", dates(p.SealToken, p.Seal.SignatureValue), "seal"})
	}
	if sig := p.Signature; sig != nil {
		list = append(list, PartSignature{Part: "seal_signature", SignatureValid: sig.CheckSignature() == nil})
		if sig.Timestamp != nil {
			list = append(list, PartSignature{Part: "timestamp", SignatureValid: dates(p.Token, sig.SignatureValue)})
		}
	}
	if p.QR != nil {
		valid := pki.VerifyMessage(p.QRSigner.PublicKey, p.QR.Signed, pki.DERSignature(p.QR.Signature))
		list = append(list, PartSignature{Part: "qr", SignatureValid: valid})
	}
	return list
}

// dates reports whether a token, which may be nil, is one over value.
func dates(token *tsa.Token, value []byte) bool { return token != nil && token.Check(value) == nil }
