package verify

import (
	"crypto/sha256"
	"fmt"
	"strings"

	"elicence/crypto/pdfsig"
	"elicence/crypto/pdfsig/pades"
	"elicence/crypto/pki"
)

// sealChecks are the checks that concern a seal by itself.
var sealChecks = []Name{CheckSealSignature, CheckSeal, CheckSealMaker, CheckSignerCertificate, CheckRevocation, CheckTimestamp, CheckDocumentDigest}

// checkEarlier judges the signatures before the last seal: seals of other
// authorities, and one for readers without SM2. Each covers its prefix of the file
// and the last covers them all, so that what proves its time proves theirs too. What
// is wrong with one of them counts as wrong with the file.
func (s *session) checkEarlier() {
	n := len(s.file.Signatures)
	if n == 1 {
		return
	}
	own := s.sealReport(n - 1)
	for i, c := range s.file.Signatures[:n-1] {
		who := fmt.Sprintf("signature %d of %d, %s: ", i+1, n, quote(c.FieldName))
		if c.SubFilter == pdfsig.SubFilterPAdES {
			s.checkPAdES(i, who)
			continue
		}
		child := s.earlierSeal(i)
		s.coSeals = append(s.coSeals, child)
		s.seals = append(s.seals, child.sealReport(i))
		s.adopt(child, who)
	}
	if len(s.seals) > 0 {
		s.seals = append(s.seals, own)
	}
}

// sealReport is what was found with the session's seal, of signature i.
func (s *session) sealReport(i int) SealReport {
	r := SealReport{Field: quote(s.file.Signatures[i].FieldName)}
	if s.signature != nil {
		r.Name = quote(s.signature.Seal.Name)
		r.Code, _ = pki.USCC(s.signature.Certificate)
	}
	s.fill(sealChecks)
	for _, name := range sealChecks {
		r.Checks = append(r.Checks, s.checks[name])
	}
	return r
}

// earlierSeal judges one earlier seal by itself.
func (s *session) earlierSeal(i int) *session {
	child := newSession(s.verifier, s.at)
	child.file, child.rangeDigest, child.basis, child.proof, child.proven = s.file, s.digestOf(i), s.basis, s.proof, s.proven
	if !child.readSeal(s.file.Signatures[i].Contents) {
		return child
	}
	child.checkSealSignature()
	child.checkTimestamp()
	child.proveTime()
	child.checkSeal()
	child.checkCertificates()
	child.checkDocumentDigest()
	return child
}

// adopt takes over what is worse than the last seal's.
func (s *session) adopt(child *session, who string) {
	for name, check := range child.checks {
		if gravity(check) > gravity(s.checks[name]) {
			s.set(name, check.Code, who+check.Evidence)
		}
	}
}

// gravity orders checks; one that was not made takes nothing from one that was.
func gravity(c Check) int {
	switch {
	case c.Result == ResultFailed:
		return 3
	case c.Result == ResultIndeterminate:
		return 2
	case strings.HasSuffix(c.Code, trustedOtherUsage): // passed, but never in silence
		return 1
	}
	return 0
}

// checkCoSeals holds the seals before the last to the co-sealing authorities of the
// licence data: these and no others, in this order. Without it a seal that somebody
// lent, or used where nobody asked for it, would lend weight to a licence.
func (s *session) checkCoSeals() {
	if s.licence == nil {
		return
	}
	named := s.licence.CoSealers
	if s.isCopy() {
		named = nil // a copy has its maker's seal, and pictures of the others
	}
	switch {
	case s.isCopy() && len(s.coSeals) == 0:
		s.set(CheckCoSeals, "copy_seal_alone", "no seal before the maker's")
		return
	case len(s.coSeals) == 0 && len(named) == 0:
		s.set(CheckCoSeals, "co_seals_none", "no seal before the issuing authority's; the data name none")
		return
	case len(s.coSeals) < len(named):
		s.set(CheckCoSeals, "co_seal_missing", fmt.Sprintf("%d seals before the issuing authority's; the data name %d", len(s.coSeals), len(named)))
		return
	case len(s.coSeals) > len(named):
		s.set(CheckCoSeals, "co_seal_unexpected", fmt.Sprintf("%d seals before the issuing authority's; the data name %d", len(s.coSeals), len(named)))
		return
	}
	worst, evidence := "co_seals_ok", make([]string, len(named))
	for i, child := range s.coSeals {
		code := child.coSealer(named[i].Code)
		if gravity(Check{Result: reasonFor(code).result}) > gravity(Check{Result: reasonFor(worst).result}) {
			worst = code
		}
		evidence[i] = fmt.Sprintf("seal %d: signer's code %q, co-sealing authority's %q (%s)", i+1, s.seals[i].Code, named[i].Code, quote(named[i].Name))
	}
	s.set(CheckCoSeals, worst, strings.Join(evidence, "; "))
}

// coSealer compares the signer of an earlier seal with the authority whose turn it was.
func (s *session) coSealer(want string) (code string) {
	if s.signature == nil {
		return "co_seal_unreadable"
	}
	switch got, err := pki.USCC(s.signature.Certificate); {
	case err != nil:
		return "co_seal_uscc_malformed"
	case got == "":
		return "co_seal_uscc_absent"
	case got != want:
		return "co_seal_other_authority"
	}
	return "co_seals_ok"
}

// checkPAdES checks that the signature for readers without SM2 is over this file.
// Its certificate is not judged: those readers have their own trust lists, and no
// verdict of ours rests on it.
func (s *session) checkPAdES(i int, who string) {
	signature, err := pades.Parse(s.file.Signatures[i].Contents)
	if err == nil {
		h := sha256.New()
		_ = s.file.WriteSignedBytes(h, i) // a hash takes everything
		err = signature.Check(h.Sum(nil))
	}
	if err != nil && s.checks[CheckSealSignature].Result != ResultFailed {
		s.set(CheckSealSignature, "pades_wrong", who+err.Error())
	}
}
