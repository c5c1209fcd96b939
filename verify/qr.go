package verify

import (
	"bytes"
	"crypto/subtle"
	"fmt"

	"elicence/crypto/pki"
	"elicence/licence"
)

// The files attached to every licence file, and no others but a portrait.
const (
	attachedData      = "licence.json"     // the licence data
	attachedPinyin    = licence.PinyinFile // the same under other names
	attachedQR        = "qr.cbor"          // the QR message, as drawn
	attachedQRSigner  = "qr-signer.cer"    // the QR signer's certificate, DER
	attachedFileCount = 4
)

// checkAttachedData reads the attached files and compares QR payload and licence
// data. What the QR message's signature is worth is checkQR's matter.
func (s *session) checkAttachedData() {
	files := s.file.Attachments
	data, message := files[attachedData], files[attachedQR]
	count := attachedFileCount
	if files[attachedPortrait] != nil {
		count++
	}
	if len(files) != count || data == nil || message == nil || files[attachedQRSigner] == nil || files[attachedPinyin] == nil {
		s.set(CheckAttachedData, "attachments_wrong", fmt.Sprintf("%d attached files; want %s, %s, %s, %s",
			len(files), attachedData, attachedPinyin, attachedQR, attachedQRSigner))
		return
	}
	s.dataDigest = digest(data)
	var err error
	if s.qr, err = licence.ParseQRMessage(message); err != nil {
		s.set(CheckQR, "qr_malformed", err.Error())
	}
	if s.licence, err = licence.ParseData(data); err != nil {
		s.set(CheckAttachedData, "licence_malformed", err.Error())
		return
	}
	if code, evidence := s.portraitFault(); code != "" {
		s.set(CheckAttachedData, code, evidence)
		return
	}
	if s.qr != nil {
		s.compareWithQR(licence.NewQRPayload(s.licence, data))
	}
}

// compareWithQR compares the QR payload with the one that the licence data gives, and
// then the data's other form.
func (s *session) compareWithQR(want licence.QRPayload) {
	got := s.qr.Payload
	evidence := fmt.Sprintf("SM3 of %s %x; digest in the QR code %x", attachedData, want.DataDigest, got.DataDigest)
	if got.DataDigest != want.DataDigest {
		s.set(CheckAttachedData, "data_digest_differs", evidence)
		return
	}
	if got.TypeName == "" {
		want.TypeName = "" // left out for want of room; its code is in the identifier
	}
	if got.HolderName == "" {
		want.HolderName = "" // left out for want of room; the digest binds it
	}
	if got != want {
		s.set(CheckAttachedData, "qr_data_differ", evidence+"; the identifier, type, number, name or a date differs")
		return
	}
	// Programs may read the pinyin form alone: it has to say the same.
	if pinyin, err := s.licence.PinyinData(); err != nil || !bytes.Equal(pinyin, s.file.Attachments[attachedPinyin]) {
		s.set(CheckAttachedData, "pinyin_differs", evidence+fmt.Sprintf("; %s is not what %s gives", attachedPinyin, attachedData))
		return
	}
	s.set(CheckAttachedData, "attached_data_ok", evidence+"; identifier, type, number, name and dates are equal")
}

// checkQR checks the attached QR message against the attached certificate of its
// signer, and follows that to the anchors. Both are under the seal, so they are
// judged at the file's proven time.
func (s *session) checkQR() {
	if s.qr == nil {
		return
	}
	cert, err := pki.ParseCertificate(s.file.Attachments[attachedQRSigner])
	if err != nil {
		s.set(CheckQR, "qr_certificate_malformed", err.Error())
		return
	}
	if id := pki.KeyID(cert); subtle.ConstantTimeCompare(id[:], s.qr.KeyID[:]) != 1 {
		s.set(CheckQR, "qr_other_key", fmt.Sprintf("key id %x in the QR code; %x of the attached certificate", s.qr.KeyID, id))
		return
	}
	s.checkQRSignature([]*pki.Certificate{cert})
}

// checkQRText holds the text of a QR code that came with the file to the file's own
// QR message: a genuine code of another licence must not speak for this one. The file's
// message is the only one that was ever signed for it, so nothing but equality will do.
func (s *session) checkQRText(text string) {
	attached := s.file.Attachments[attachedQR]
	if text == "" || attached == nil || s.checks[CheckQR].Result == ResultFailed {
		return
	}
	_, message, err := licence.ParseQRText(text)
	evidence := fmt.Sprintf("QR message of the text, SM3 %x; %s of the file, SM3 %x", digest(message), attachedQR, digest(attached))
	switch {
	case err != nil:
		s.set(CheckQR, "qr_text_malformed", err.Error())
	case !bytes.Equal(message, attached):
		s.set(CheckQR, "qr_text_of_other_file", evidence)
	case s.good(CheckQR):
		s.set(CheckQR, "qr_text_ok", s.checks[CheckQR].Evidence+"; "+evidence)
	}
}

// openQR reads the text of a QR code.
func (s *session) openQR(text string) bool {
	host, message, err := licence.ParseQRText(text)
	if err != nil {
		s.set(CheckStructure, "qr_text_malformed", err.Error())
		return false
	}
	if s.qr, err = licence.ParseQRMessage(message); err != nil {
		s.set(CheckStructure, "qr_malformed", err.Error())
		return false
	}
	s.set(CheckStructure, "qr_structure_ok", fmt.Sprintf("QR message of %d bytes for %s", len(message), host))
	return true
}

// checkLookedUpQR checks a QR message alone. Its key id only finds certificates:
// the signature and the path of what was found decide.
func (s *session) checkLookedUpQR() {
	var found []*pki.Certificate
	for _, list := range [][]*pki.Certificate{s.verifier.Trust.qrSigners(), s.verifier.QRSigners, s.pinned()} {
		for _, cert := range list {
			if pki.KeyID(cert) == s.qr.KeyID {
				found = append(found, cert)
			}
		}
	}
	if len(found) == 0 {
		s.set(CheckQR, "qr_key_unknown", fmt.Sprintf("key id %x", s.qr.KeyID))
		return
	}
	s.checkQRSignature(found)
}

// pinned returns the anchors, among which a QR signer may stand for itself.
func (s *session) pinned() []*pki.Certificate {
	if s.verifier.Anchors == nil {
		return nil
	}
	return s.verifier.Anchors.Certificates()
}

// checkQRSignature checks the QR message with the one of the certificates whose
// key made it.
func (s *session) checkQRSignature(certs []*pki.Certificate) {
	der := pki.DERSignature(s.qr.Signature)
	for _, cert := range certs {
		if !pki.VerifyMessage(cert.PublicKey, s.qr.Signed, der) {
			continue
		}
		path := s.follow(cert, pki.UsageQR, s.proof, s.proven)
		if path.fault == "trusted" {
			s.set(CheckQR, "qr_ok", path.text)
		} else {
			s.set(CheckQR, string(roleQR)+"_"+path.fault, path.text)
		}
		return
	}
	s.set(CheckQR, "qr_signature_wrong", fmt.Sprintf("SM2 signature over %d bytes of Sig_structure, key id %x", len(s.qr.Signed), s.qr.KeyID))
}
