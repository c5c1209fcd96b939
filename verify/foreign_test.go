package verify_test

import (
	"cmp"
	"context"
	"encoding/asn1"
	"os"
	"path/filepath"
	"testing"
	"time"

	"elicence/crypto/cryptotest"
	"elicence/crypto/pdfsig"
	"elicence/crypto/pki"
	"elicence/crypto/seal"
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

// foreignSigned is the SES_Signature that somebody makes with a seal he has not the key
// for: it names the signer that the seal lists, and its value is of another key.
func foreignSigned(t *testing.T, p *cryptotest.PKI, s *seal.Seal, signer []byte, digest [32]byte) []byte {
	t.Helper()
	at := s.ValidFrom.Add(time.Hour).UTC().Truncate(time.Second)
	sign := func(tbs []byte) asn1.BitString {
		value, err := pki.SignMessage(p.Rand, p.SealSigner.Key, tbs)
		must(t, err)
		return bits(value)
	}
	if s.Version == 1 {
		clock, err := asn1.MarshalWithParams(at, "utc")
		must(t, err)
		tbs := mustDER(t, struct {
			Version        int
			Seal           asn1.RawValue
			Time, DataHash asn1.BitString
			Property       string `asn1:"ia5"`
			Cert           []byte
			Algorithm      asn1.ObjectIdentifier
		}{1, asn1.RawValue{FullBytes: s.Raw}, bits(clock), bits(digest[:]), "ByteRange", signer, oidSM2WithSM3})
		return mustDER(t, struct {
			TBS   asn1.RawValue
			Value asn1.BitString
		}{asn1.RawValue{FullBytes: tbs}, sign(tbs)})
	}
	tbs := mustDER(t, forgedTBS{s.Version, asn1.RawValue{FullBytes: s.Raw}, at, bits(digest[:]), "ByteRange"})
	return mustDER(t, forgedSignature{asn1.RawValue{FullBytes: tbs}, signer, oidSM2WithSM3, sign(tbs)})
}

// TestForeignSeals puts the seals that another implementation made into containers of
// ours and of others. They lie outside the repository, in the folder ELICENCE_VECTORS,
// from the module's root. Each is reported as foreign and none passes, its maker and
// signer being anchors or not.
func TestForeignSeals(t *testing.T) {
	dir := cmp.Or(os.Getenv("ELICENCE_VECTORS"), "../shared/vectors")
	if !filepath.IsAbs(dir) {
		dir = filepath.Join("..", dir)
	}
	files, err := filepath.Glob(filepath.Join(dir, "seals", "*.esl"))
	must(t, err)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			der, err := os.ReadFile(file)
			must(t, err)
			s, err := seal.ParseSeal(der, seal.Deviations()...)
			must(t, err)
			checkForeignSeal(t, s)
		})
	}
	t.Logf("%d seals of others read from %s", len(files), dir)
	if len(files) == 0 {
		t.Log("none: set ELICENCE_VECTORS to a folder with some")
	}
}

func checkForeignSeal(t *testing.T, s *seal.Seal) {
	p := cryptotest.New(t)
	signer, err := pki.ParseCertificate(s.CertList[0].Value)
	must(t, err)
	b := newBench(t, p)
	b.others = []*pki.Certificate{s.Maker, signer}
	ours := func() []byte {
		prepared, err := pdfsig.Prepare(b.r.render(t), pdfsig.Options{FieldName: "Seal1", Page: 1, Reserve: 25_000})
		must(t, err)
		file, err := prepared.Finish(foreignSigned(t, p, s, signer.Raw, prepared.Digest()))
		must(t, err)
		return file
	}
	theirs := func(filter string) []byte {
		return cryptotest.ForeignPDF(filter, "GM.sm2seal", 25_000, func(document []byte) []byte { return foreignSigned(t, p, s, signer.Raw, sm3Of(document)) })
	}
	// A form that no standard has is read as far as its maker; one of another version
	// is judged, and is not ours.
	name, code := verify.CheckSealSignature, "seal_signature_foreign"
	if s.Deviations == nil {
		name, code = verify.CheckSeal, "seal_foreign_version"
	}
	for _, c := range []struct {
		container string
		file      []byte
		check     verify.Name
		code      string
	}{
		{"ours", ours(), name, code},
		{"another maker's", theirs("Gomain.GMPkiLite"), verify.CheckStructure, "foreign_signature"},
		{"one more maker's", theirs("DJ.GMPkiLite"), verify.CheckStructure, "foreign_signature"},
		{"another's with our name", theirs(pdfsig.Filter), verify.CheckStructure, "pdf_header"},
	} {
		for range 2 {
			for _, at := range []time.Time{now, s.ValidFrom.Add(2 * time.Hour)} {
				r := b.v.VerifyFile(context.Background(), c.file, at)
				wellFormed(t, r)
				if r.Indication == verify.TotalPassed || r.Green() {
					t.Errorf("%s: %s", c.container, r.Indication)
				}
				if at != now && (r.Indication != verify.TotalFailed || r.Check(c.check).Code != c.code) {
					t.Errorf("%s: %s/%s, %s %s (%s)", c.container, r.Indication, r.SubIndication, c.check, r.Check(c.check).Code, r.Check(c.check).Evidence)
				}
			}
			b.trustAll()
		}
		b.v.Anchors = p.Anchors
	}
}
