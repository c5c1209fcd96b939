package verify_test

import (

	"elicence/crypto/cryptotest"
	"elicence/verify"
)

// foreignCases are files of other makers, signed with a certificate that is trusted
// here, and one of ours that names another maker.
func foreignCases() []fileCase {
	foreign := func(name, comment string, tamper tampering) fileCase {
		return fileCase{name: name, comment: comment, tamper: tamper, want: verify.TotalFailed, sub: verify.FormatFailure,
			check: verify.CheckStructure, code: "foreign_signature"}
	}
	cases := []fileCase{
		foreign("our form with another handler", "", replace("/Elicence.GMPkiLite", "/Elicencf.GMPkiLite")),
	}
	for _, row := range cryptotest.Rows() {
		cases = append(cases, foreign(row.Name, row.Filter+" "+row.SubFilter, func(b *bench, _ []byte) []byte { return b.pki.MustForeign(b.t, row) }))
	}
	return cases
}
