package verify

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"elicence/crypto/pki"
	"elicence/crypto/tsa"
)

// clockSkew is how far the clocks of signer, timestamp authority and verifier may
// differ before their times contradict each other.
const clockSkew = 5 * time.Minute

// checkTimestamp checks the token over the value of the seal signature. Only a
// token that passes here proves a time; one that is there and does not pass
// never leaves the file TotalPassed.
func (s *session) checkTimestamp() {
	if len(s.signature.Timestamp) == 0 {
		s.set(CheckTimestamp, "timestamp_absent", "no token in the seal signature")
		return
	}
	token, err := tsa.ParseToken(s.signature.Timestamp)
	if err == nil && !s.external && !bytes.Equal(token.Minimal(), token.Raw) {
		// No signature covers these parts, and in a licence file no byte may have a second value.
		err = errors.New("verify: timestamp token is not in its minimal form")
	}
	if err != nil {
		s.set(CheckTimestamp, "timestamp_malformed", err.Error())
		return
	}
	s.token = token
	value := digest(s.signature.SignatureValue)
	evidence := fmt.Sprintf("token of %s, imprint %x; SM3 of the signature value %x", instant(token.Time), token.Imprint, value)
	if !bytes.Equal(token.Imprint, value[:]) {
		s.set(CheckTimestamp, "timestamp_other_signature", evidence)
		return
	}
	if err := token.Check(s.signature.SignatureValue); err != nil {
		s.set(CheckTimestamp, "timestamp_wrong", evidence+"; "+err.Error())
		return
	}
	s.checkTokenTime(evidence)
}

// checkTokenTime follows the path of the token's signer at the token's own time,
// and holds that time against the others.
func (s *session) checkTokenTime(evidence string) {
	token := s.token
	// Nothing proves the time of the token itself, so a path that was not good at
	// that time leaves the matter open rather than failing the file.
	path := s.follow(token.Certificate, pki.UsageTimestamp, token.Time, false)
	evidence += "; " + path.text
	switch claimed := s.signature.SigningTime; {
	case path.fault != "trusted":
		s.set(CheckTimestamp, string(roleTSA)+"_"+path.fault, evidence)
	case path.path.RevokedLater != nil && !retired(path.path.RevokedLater) && !s.basis.before(path.path.RevokedLater):
		s.set(CheckTimestamp, string(roleTSA)+"_revoked_no_poe", evidence+"; revoked later: "+path.path.RevokedLater.Reason.String())
	case token.Time.After(s.at.Add(clockSkew)):
		s.set(CheckTimestamp, "timestamp_in_future", evidence+"; validation time "+instant(s.at))
	case token.Time.After(s.latest().Add(clockSkew)):
		s.set(CheckTimestamp, "timestamp_after_log", evidence+"; logged "+instant(s.basis.logged))
	case claimed.After(token.Time.Add(clockSkew)):
		s.set(CheckTimestamp, "timestamp_before_claimed", evidence+"; claimed signing time "+instant(claimed))
	case bytes.Equal(token.Certificate.RawIssuer, s.signature.Certificate.RawIssuer):
		s.set(CheckTimestamp, "timestamp_own", evidence)
	default:
		s.set(CheckTimestamp, "timestamp_outside", evidence)
	}
}

// retired reports whether a timestamp authority's certificate was revoked for a
// reason that leaves its earlier tokens good (RFC 3161, 4.1). For any other
// reason its key may have been used to date tokens back.
func retired(r *pki.Revoked) bool {
	return r.Reason == pki.AffiliationChanged || r.Reason == pki.Superseded || r.Reason == pki.CessationOfOperation
}

// proveTime settles when certificates are judged: at the time of a good token,
// else of the log entry for exactly this file, be it a bundle's or the register's,
// else now. proven says that the proof is of the signing itself. A token proves no more than that the signature was there when its time,
// as accurate as it says it is, was over.
func (s *session) proveTime() {
	switch {
	case s.good(CheckTimestamp):
		s.proof, s.proven = s.token.Time.Add(s.token.Accuracy), true
		if s.proof.After(s.latest()) {
			s.proof = s.latest()
		}
	case !s.basis.logged.IsZero():
		s.proof, s.proven = s.basis.logged, true
	case s.entry != nil && (s.exact || s.registeredQR()) && !s.entry.ProvenAt.IsZero():
		// An import says that the file was there by then, and not that it was signed then: what was good by
		// then was good; what had ended may have been signed before, as on the day of the import itself.
		s.proof, s.proven = s.entry.ProvenAt, s.entry.External == nil
	}
}
