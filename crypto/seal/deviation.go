package seal

import (
	"fmt"
	"slices"
)

// Deviation names one way in which products in use depart from the standards. The
// names are stable: they stand in JSON.
type Deviation string

// The deviations that ParseSeal and ParseSignature take in when told to, and no
// others.
const (
	// RawCertificateElements: certList holds the certificates themselves, where
	// the standards put each into an OCTET STRING.
	RawCertificateElements Deviation = "raw_certificate_elements"
	// TypeAboveTwo: a seal's type is neither unit (1) nor person (2).
	TypeAboveTwo Deviation = "type_above_2"
	// DigestWithZA: dataHash or a listed digest of a certificate is SM3(ZA‖M),
	// where the standard wants SM3(M).
	DigestWithZA Deviation = "digest_with_za"
	// SignatureOIDAlias: SM2 with SM3 is named 1.2.156.10197.501, a misprint of
	// 1.2.156.10197.1.501.
	SignatureOIDAlias Deviation = "signature_oid_alias"
)

// Deviations returns all of them in the order of their names: what a reader of
// other makers' seals allows.
func Deviations() []Deviation {
	return []Deviation{DigestWithZA, RawCertificateElements, SignatureOIDAlias, TypeAboveTwo}
}

// reading is what one call of a parser may meet and has met.
type reading struct {
	allowed, found []Deviation
	// known is a signature whose certificate and seal have been parsed already, so
	// that what is made need not parse them again; nil: none.
	known *Signature
}

// meet records a deviation, or refuses one that is not allowed.
func (r *reading) meet(d Deviation, detail string) error {
	if !slices.Contains(r.allowed, d) {
		return fmt.Errorf("%s: deviation %s is not allowed here", detail, d)
	}
	r.found = union(r.found, []Deviation{d})
	return nil
}

// union joins two lists in the order of their names, each deviation once.
func union(a, b []Deviation) []Deviation {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}
