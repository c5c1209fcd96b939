package verify

import (
	"fmt"

	"elicence/crypto/pki"
)

// checkSignerAuthority holds the signer to the issuing authority of the licence
// data, or to the maker of an annotated copy, by the unified social credit code in the certificate. Without this every
// body with a seal of its own could seal in the name of every other.
//
// It adds to the check of the signer's certificate, once the data was read. Another
// body's code condemns the file whoever certified it, so it outweighs a path that
// leaves the matter open; an absent code only takes from a certificate that passed.
func (s *session) checkSignerAuthority() {
	if s.licence == nil {
		return
	}
	path, want, other := s.checks[CheckSignerCertificate], s.licence.Authority.Code, "signer_other_authority"
	if c := s.licence.Copy; c != nil {
		want, other = c.Maker.Code, "signer_other_maker"
	}
	code, err := pki.USCC(s.signature.Certificate)
	evidence := fmt.Sprintf("%s; signer's code %q, %q wanted", path.Evidence, code, want)
	switch {
	case path.Result == ResultFailed:
		return // for a reason of its own, which stands
	case code != "" && code != want:
		s.set(CheckSignerCertificate, other, evidence)
	case path.Result != ResultPassed:
		return
	case err != nil:
		s.set(CheckSignerCertificate, "signer_uscc_malformed", path.Evidence+"; "+err.Error())
	case code == "":
		s.set(CheckSignerCertificate, "signer_uscc_absent", evidence)
	default:
		s.set(CheckSignerCertificate, path.Code, evidence)
	}
}
