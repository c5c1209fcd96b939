package verify

import (
	"crypto/sha256"
	"fmt"
	"strings"

	"elicence/crypto/pdfsig"
	"elicence/crypto/pdfsig/pades"
)

// checkEarlier judges the signatures before the last seal: seals of other
// authorities, and one for readers without SM2. Each covers its prefix of the file
// and the last covers them all, so that what proves its time proves theirs too. What
// is wrong with one of them counts as wrong with the file.
func (s *session) checkEarlier() {
	n := len(s.file.Signatures)
	for i, c := range s.file.Signatures[:n-1] {
		who := fmt.Sprintf("signature %d of %d, %s: ", i+1, n, quote(c.FieldName))
		if c.SubFilter == pdfsig.SubFilterPAdES {
			s.checkPAdES(i, who)
		} else {
			s.adopt(s.earlierSeal(i), who)
		}
	}
}

// earlierSeal judges one earlier seal by itself.
func (s *session) earlierSeal(i int) *session {
	child := newSession(s.verifier, s.at)
	child.file, child.rangeDigest, child.proof, child.proven = s.file, s.file.Digest(i), s.proof, s.proven
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

// checkPAdES checks that the signature for readers without SM2 is over this file.
// Its certificate is not judged: those readers have their own trust lists, and no
// verdict of ours rests on it.
func (s *session) checkPAdES(i int, who string) {
	signature, err := pades.Parse(s.file.Signatures[i].Contents)
	if err == nil {
		digest := sha256.Sum256(s.file.SignedBytes(i))
		err = signature.Check(digest[:])
	}
	if err != nil && s.checks[CheckSealSignature].Result != ResultFailed {
		s.set(CheckSealSignature, "pades_wrong", who+err.Error())
	}
}
