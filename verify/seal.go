package verify

import (
	"fmt"
	"strings"
	"time"

	"elicence/crypto/pki"
	"elicence/crypto/seal"
)

// sealVersion is the structure version of GB/T 38540-2020.
const sealVersion = 4

// checkSealSignature checks the signer's signature over the raw TBS_Sign.
func (s *session) checkSealSignature() {
	sig := s.signature
	if err := sig.CheckSignature(); err != nil {
		s.set(CheckSealSignature, "seal_signature_wrong", err.Error())
		return
	}
	s.set(CheckSealSignature, "seal_signature_ok", fmt.Sprintf("SM2 signature over %d bytes of TBS_Sign, by the key of %s",
		len(sig.TBSRaw), describe(sig.Certificate)))
}

// checkSeal checks the seal by itself: its maker's signature over the raw
// SES_SealInfo, that the signer may use it, and its validity period.
func (s *session) checkSeal() {
	sig, sl := s.signature, s.signature.Seal
	period := fmt.Sprintf("%s %q valid %s to %s, used at %s", quote(sl.ID), quote(sl.Name), instant(sl.ValidFrom), instant(sl.ValidTo), instant(s.proof))
	switch err := sl.CheckSignature(); {
	case err != nil:
		s.set(CheckSeal, "seal_maker_signature_wrong", err.Error())
	case !sl.Lists(sig.Certificate):
		s.set(CheckSeal, "signer_not_listed", fmt.Sprintf("%s is not among the %d of the certificate list", describe(sig.Certificate), len(sl.CertList)))
	case !sl.ValidAt(s.proof) && !s.proven:
		s.set(CheckSeal, "seal_outside_validity_no_poe", period)
	case s.proof.Before(sl.ValidFrom):
		s.set(CheckSeal, "seal_not_yet_valid", period)
	case !sl.ValidAt(s.proof):
		s.set(CheckSeal, "seal_expired", period)
	case (sig.Version != sealVersion || sl.Version != sealVersion) && !s.external:
		s.set(CheckSeal, "seal_foreign_version", fmt.Sprintf("seal of version %d, seal signature of version %d", sl.Version, sig.Version))
	default:
		s.set(CheckSeal, "seal_ok", period)
	}
}

// checkCertificates follows the certificates of seal maker and signer.
func (s *session) checkCertificates() {
	asMaker, asSigner := pki.UsageSealMaker, pki.UsageSealSigner
	if s.external {
		asMaker, asSigner = pki.UsageForeign, pki.UsageForeign
	}
	maker := s.follow(s.signature.Seal.Maker, asMaker, s.proof, s.proven)
	signer := s.follow(s.signature.Certificate, asSigner, s.proof, s.proven)
	s.setPath(CheckSealMaker, roleMaker, maker)
	s.setPath(CheckSignerCertificate, roleSigner, signer)
	s.checkRevocation(signer, maker)
}

// checkRevocation reports the graver fault of two paths.
func (s *session) checkRevocation(signer, maker certificatePath) {
	later := signer.path.RevokedLater
	if later == nil {
		later = maker.path.RevokedLater
	}
	switch {
	case maker.revocation() && (maker.fault == "revoked" || !signer.revocation()):
		s.set(CheckRevocation, string(roleMaker)+"_"+maker.fault, maker.text)
	case signer.revocation():
		s.set(CheckRevocation, string(roleSigner)+"_"+signer.fault, signer.text)
	case signer.fault != "trusted" || maker.fault != "trusted":
		s.set(CheckRevocation, "revocation_not_reached", fmt.Sprintf("path of the signer %s, of the maker %s", signer.fault, maker.fault))
	case later != nil:
		s.set(CheckRevocation, "revoked_later", fmt.Sprintf("serial %x revoked %s (%s), judged at %s",
			later.SerialNumber, instant(later.Effective()), later.Reason, instant(s.proof)))
	default:
		s.set(CheckRevocation, "not_revoked", fmt.Sprintf("CRLs current at %s, judged at %s", instant(s.basis.now), instant(s.proof)))
	}
}

// revocation reports whether the fault is one of revocation. A path is judged
// for revocation last, so such a path is good in every other respect.
func (p certificatePath) revocation() bool {
	return p.fault == "revoked" || p.fault == "revoked_no_poe" || p.fault == "revocation_unknown"
}

// trustedOtherUsage is the code, after the role, of a certificate that is trusted by
// its own place among the anchors, against what it says that it is for.
const trustedOtherUsage = "trusted_other_usage"

// setPath records a path under its own check, leaving revocation to the check of
// that name.
func (s *session) setPath(name Name, who role, p certificatePath) {
	fault := p.fault
	if p.revocation() {
		fault = "trusted"
	}
	if len(p.path.OtherUsage) > 0 {
		fault, p.text = trustedOtherUsage, p.text+"; itself an anchor; extended key usage "+strings.Join(p.path.OtherUsage, ", ")
	}
	s.set(name, string(who)+"_"+fault, p.text)
}

// JudgeSeal judges a seal by itself, which nothing was sealed with: its maker's
// signature, its validity period and its maker's certificate, all at the given time. It
// makes the checks CheckSeal, CheckSealMaker and CheckRevocation, of any version.
func (v *Verifier) JudgeSeal(sl *seal.Seal, at time.Time) []Check {
	s := newSession(v, at)
	period := fmt.Sprintf("%s %q valid %s to %s, judged at %s", quote(sl.ID), quote(sl.Name), instant(sl.ValidFrom), instant(sl.ValidTo), instant(at))
	switch err := sl.CheckSignature(); {
	case err != nil:
		s.set(CheckSeal, "seal_maker_signature_wrong", err.Error())
	case !sl.ValidAt(at):
		s.set(CheckSeal, "bare_seal_outside_validity", period)
	default:
		s.set(CheckSeal, "bare_seal_ok", period)
	}
	maker := s.follow(sl.Maker, pki.UsageSealMaker, at, false)
	s.setPath(CheckSealMaker, roleMaker, maker)
	s.checkRevocation(certificatePath{fault: "trusted"}, maker)
	return []Check{s.checks[CheckSeal], s.checks[CheckSealMaker], s.checks[CheckRevocation]}
}

// checkDocumentDigest compares the file with the digest that was sealed.
func (s *session) checkDocumentDigest() {
	sealed := s.signature.DocumentDigest
	evidence := fmt.Sprintf("SM3 of the byte ranges %x; sealed digest %x", s.rangeDigest, sealed)
	if string(sealed) != string(s.rangeDigest[:]) {
		s.set(CheckDocumentDigest, "document_digest_differs", evidence)
		return
	}
	s.set(CheckDocumentDigest, "document_digest_ok", evidence)
}
