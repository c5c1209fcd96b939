package verify

import (
	"errors"

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
	// Token is the timestamp token; nil when there is none.
	Token *tsa.Token
	// Attachments are the attached files by name.
	Attachments map[string][]byte
	// QR is the attached QR message and QRSigner the attached certificate of its
	// signer; both are nil when one of them is absent.
	QR       *licence.QRMessage
	QRSigner *pki.Certificate
}

// Inspect takes a licence file apart. The error says what could not be read.
func Inspect(file []byte) (*Parts, error) {
	f, err := pdfsig.Read(file)
	if err != nil {
		return nil, err
	}
	last := len(f.Signatures) - 1 // the main seal
	sig, err := seal.ParseSignature(f.Signatures[last].Contents)
	if err != nil {
		return nil, err
	}
	p := &Parts{Container: f.Signatures[last], SignedBytes: f.SignedBytes(last), Digest: f.Digest(last), Attachments: f.Attachments}
	if err := p.setSignature(sig); err != nil {
		return nil, err
	}
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

// InspectSeal takes a bare SES_Signature or SESeal (DER) apart.
func InspectSeal(der []byte) (*Parts, error) {
	sl, err := seal.ParseSeal(der)
	if err == nil {
		return &Parts{Seal: sl}, nil
	}
	sig, sigErr := seal.ParseSignature(der)
	if sigErr != nil {
		return nil, errors.Join(err, sigErr)
	}
	p := &Parts{}
	if err := p.setSignature(sig); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *Parts) setSignature(sig *seal.Signature) (err error) {
	p.Signature, p.Seal = sig, sig.Seal
	if len(sig.Timestamp) > 0 {
		p.Token, err = tsa.ParseToken(sig.Timestamp)
	}
	return err
}

// PartSignature is one signature of a file and whether its value is right for the
// key that it names. It says nothing of whether that key is to be trusted.
type PartSignature struct {
	// Part is "seal", "seal_signature", "timestamp" or "qr".
	Part string `json:"part"`
	// SignatureValid says that the signature value verifies.
	SignatureValid bool `json:"signature_valid"`
}

// Signatures checks every signature value of the file.
func (p *Parts) Signatures() []PartSignature {
	list := []PartSignature{{"seal", p.Seal.CheckSignature() == nil}}
	if p.Signature != nil {
		list = append(list, PartSignature{"seal_signature", p.Signature.CheckSignature() == nil})
	}
	if p.Token != nil {
		list = append(list, PartSignature{"timestamp", p.Token.Check(p.Signature.SignatureValue) == nil})
	}
	if p.QR != nil {
		list = append(list, PartSignature{"qr", pki.VerifyMessage(p.QRSigner.PublicKey, p.QR.Signed, pki.DERSignature(p.QR.Signature))})
	}
	return list
}
