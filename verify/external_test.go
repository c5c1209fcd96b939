package verify_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"elicence/crypto/cryptotest"
	"elicence/crypto/pki"
	"elicence/licence"
	"elicence/testdata/hostile"
	"elicence/verify"
)

const foreignFiles = "../testdata/foreign"

// externalAt is when the files of testdata/foreign are judged: their certificates are valid.
var externalAt = time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)

// externalLicence is what is known of the licence that they are.
func externalLicence(t testing.TB) *licence.Licence {
	t.Helper()
	l := *sampleLicence(t)
	id, err := licence.NewIdentifier("11100000MB0143028R901", "11330105002500287C", "2025052201", 1)
	must(t, err)
	l.Identifier, l.TypeCode, l.Version, l.Number, l.Authority.Code = id, id.TypeCode(), id.Version(), "JY23301050000777", id.AuthorityCode()
	return &l
}

// imported is a register that holds one file of another platform.
type imported struct {
	verify.RegisterEntry
	digest [32]byte
}

func (r *imported) ByFileDigest(_ context.Context, digest [32]byte) (verify.RegisterEntry, error) {
	if digest != r.digest {
		return verify.RegisterEntry{}, licence.ErrNotFound
	}
	return r.RegisterEntry, nil
}

func (r *imported) ByIdentifier(_ context.Context, id licence.Identifier) (verify.RegisterEntry, error) {
	if id != r.Identifier {
		return verify.RegisterEntry{}, licence.ErrNotFound
	}
	return r.RegisterEntry, nil
}

func (r *imported) ByCopy(context.Context, licence.CopyID) (verify.RegisterEntry, error) {
	return verify.RegisterEntry{}, licence.ErrNotFound
}

// TestExternal judges what another maker's script made: with its root among the anchors
// and without, imported and not.
func TestExternal(t *testing.T) {
	pem, err := os.ReadFile(filepath.Join(foreignFiles, "anchors.pem"))
	must(t, err)
	trusted := mustParseAnchors(t, pem)
	const (
		structure, coverage, signature, sealed = verify.CheckStructure, verify.CheckCoverage, verify.CheckSealSignature, verify.CheckSeal
		signer, revocation, digest, data       = verify.CheckSignerCertificate, verify.CheckRevocation, verify.CheckDocumentDigest, verify.CheckAttachedData
	)
	for _, c := range []struct {
		file    string
		want    verify.Indication // imported, trusted
		check   verify.Name
		code    string
		without verify.Indication // not trusted
	}{
		{"sealed.ofd", verify.TotalPassed, coverage, "external_coverage_ok", verify.Indeterminate},
		{"version1.ofd", verify.TotalPassed, sealed, "seal_ok", verify.Indeterminate},
		{"two-seals.ofd", verify.Indeterminate, coverage, "external_partly_covered", verify.Indeterminate},
		{"cms.ofd", verify.TotalPassed, sealed, "external_no_seal", verify.Indeterminate},
		{"sealed.pdf", verify.TotalPassed, structure, "external_structure_ok", verify.Indeterminate},
		{"cms.pdf", verify.TotalPassed, signature, "external_signature_ok", verify.Indeterminate},
		{"unsigned.ofd", verify.Indeterminate, structure, "external_unsigned", verify.Indeterminate},
		{"../documents/approval.pdf", verify.Indeterminate, structure, "external_unsigned", verify.Indeterminate},
		{"page-uncovered.ofd", verify.Indeterminate, coverage, "external_partly_covered", verify.Indeterminate},
		{"file-added.ofd", verify.Indeterminate, coverage, "external_partly_covered", verify.Indeterminate},
		{"md5.ofd", verify.Indeterminate, digest, "external_content_weak", verify.Indeterminate},
		{"other-authority.ofd", verify.Indeterminate, signer, "external_signer_other_authority", verify.Indeterminate},
		{"page-changed.ofd", verify.TotalFailed, digest, "external_content_changed", verify.TotalFailed},
		{"file-missing.ofd", verify.TotalFailed, digest, "external_content_changed", verify.TotalFailed},
		{"description-changed.ofd", verify.TotalFailed, digest, "document_digest_differs", verify.TotalFailed},
		{"value-changed.ofd", verify.TotalFailed, signature, "seal_signature_wrong", verify.TotalFailed},
		{"value-no-signature.ofd", verify.TotalFailed, signature, "seal_signature_malformed", verify.TotalFailed},
		{"page-changed.pdf", verify.TotalFailed, digest, "document_digest_differs", verify.TotalFailed},
		{"not-listed.ofd", verify.TotalFailed, sealed, "signer_not_listed", verify.TotalFailed},
		{"revoked.ofd", verify.Indeterminate, revocation, "signer_revoked_no_poe", verify.Indeterminate},
		{"seal-expired.ofd", verify.Indeterminate, sealed, "seal_outside_validity_no_poe", verify.Indeterminate},
	} {
		t.Run(c.file, func(t *testing.T) {
			t.Parallel()
			file, err := os.ReadFile(filepath.Join(foreignFiles, c.file))
			must(t, err)
			l := externalLicence(t)
			register := &imported{verify.RegisterEntry{Identifier: l.Identifier, Status: licence.StatusValid, External: l, ProvenAt: externalAt.Add(-time.Hour)}, sm3Of(file)}

			got := judgedExternally(t, &verify.Verifier{Anchors: trusted, Register: register}, file)
			if got.Indication != c.want || got.Check(c.check).Code != c.code {
				t.Errorf("imported and trusted: %s %s, %s is %s: %s", got.Indication, got.SubIndication, c.check, got.Check(c.check).Code, got.Check(c.check).Evidence)
			}
			if code := got.Check(verify.CheckRegister).Code; code != "registered_external" || got.Origin != licence.OriginExternal {
				t.Errorf("imported: register says %s, origin %q", code, got.Origin)
			}
			if got.Green() != (c.want == verify.TotalPassed) || c.want != verify.TotalFailed && (got.LicenceState != licence.StatusValid || got.Licence.Identifier != l.Identifier) {
				t.Errorf("imported: green %t, state %s", got.Green(), got.LicenceState)
			}

			got = judgedExternally(t, &verify.Verifier{Register: register}, file)
			if got.Indication != c.without {
				t.Errorf("imported, without anchors: %s %s", got.Indication, got.SubIndication)
			}

			got = judgedExternally(t, &verify.Verifier{Anchors: mustParseAnchors(t, nil), ForeignAnchors: trusted, Register: register}, file)
			if got.Indication != c.want {
				t.Errorf("imported, trusted for such files alone: %s %s", got.Indication, got.SubIndication)
			}

			got = judgedExternally(t, &verify.Verifier{Anchors: trusted, Register: &imported{}}, file)
			if got.Indication == verify.TotalPassed || got.Licence != nil || got.LicenceState != licence.StatusUnknown {
				t.Errorf("not imported: %s, state %s", got.Indication, got.LicenceState)
			}

			got = (&verify.Verifier{Anchors: trusted}).VerifyExternal(context.Background(), file, l, externalAt)
			wellFormed(t, got)
			if got.Indication != c.want || got.Origin != licence.OriginExternal {
				t.Errorf("for an import: %s %s", got.Indication, got.SubIndication)
			}
		})
	}
}

func judgedExternally(t *testing.T, v *verify.Verifier, file []byte) *verify.Report {
	t.Helper()
	r := v.VerifyFile(context.Background(), file, externalAt)
	wellFormed(t, r)
	return r
}

// TestExternalOnRecord: what is on record of a licence has to agree with what its file says,
// and another file under its identifier is none of it.
func TestExternalOnRecord(t *testing.T) {
	pem, err := os.ReadFile(filepath.Join(foreignFiles, "anchors.pem"))
	must(t, err)
	file, err := os.ReadFile(filepath.Join(foreignFiles, "sealed.ofd"))
	must(t, err)
	v := &verify.Verifier{Anchors: mustParseAnchors(t, pem)}
	for name, change := range map[string]func(*licence.Licence){
		"number":    func(l *licence.Licence) { l.Number = "JY23301050000778" },
		"authority": func(l *licence.Licence) { l.Authority.Code = otherUSCC },
	} {
		l := externalLicence(t)
		change(l)
		r := v.VerifyExternal(context.Background(), file, l, externalAt)
		if r.Indication != verify.Indeterminate || r.Check(verify.CheckAttachedData).Code != "external_data_differs" {
			t.Errorf("%s: %s, %s", name, r.Indication, r.Check(verify.CheckAttachedData).Code)
		}
	}
	// Nobody may pass a key of ours for one of theirs.
	p := cryptotest.New(t)
	for _, u := range []pki.Usage{pki.UsageQR, pki.UsageTimestamp, pki.UsageTrustList, pki.UsageOCSP} {
		leaf := mustIssueFor(t, p, uscc, u, now.AddDate(-1, 0, 0), now.AddDate(1, 0, 0))
		if pki.CheckUsage(leaf.Certificate, pki.UsageForeign) == nil {
			t.Errorf("a certificate for %s signs files", u)
		}
	}
}

// TestExternalHostile: an archive that is no OFD is what it was, and a hostile one fails.
func TestExternalHostile(t *testing.T) {
	file, err := os.ReadFile(filepath.Join(foreignFiles, "sealed.ofd"))
	must(t, err)
	for _, c := range []struct {
		name, code string
		file       []byte
	}{
		{"archive without OFD.xml", "pdf_header", bytes.ReplaceAll(file, []byte("OFD.xml"), []byte("DOC.xml"))},
		{"cut", "ofd_container", file[:len(file)-1]},
		{"name in the directory alone", "ofd_container", bytes.Replace(file, []byte("OFD.xml"), []byte("ofd.xml"), 1)},
		{"PDF behind an archive", "ofd_container", append(bytes.Clone(file), "%PDF-1.7"...)},
	} {
		hostile.Within(t, func() {
			r := (&verify.Verifier{}).VerifyFile(context.Background(), c.file, externalAt)
			if r.Indication != verify.TotalFailed || r.Check(verify.CheckStructure).Code != c.code {
				t.Errorf("%s: %s, %s", c.name, r.Indication, r.Check(verify.CheckStructure).Code)
			}
		})
	}
}

// TestExternalStated has a file that is built like our own imported as what it is, and as
// another licence's.
func TestExternalStated(t *testing.T) {
	file, err := os.ReadFile("../testdata/verify/genuine/duplicate.pdf")
	must(t, err)
	pem, err := os.ReadFile("../testdata/verify/anchors.pem")
	must(t, err)
	parts, err := verify.Inspect(file)
	must(t, err)
	for name, state := range map[string]func(*licence.Licence){
		"": func(*licence.Licence) {}, "another number": func(l *licence.Licence) { l.Number += "1" }, "another identifier": func(l *licence.Licence) { l.Identifier = "" },
		"another holder": func(l *licence.Licence) { l.Holder.Code = "" }, "another authority": func(l *licence.Licence) { l.Authority.Code = "" },
	} {
		l, err := licence.ParseData(parts.Attachments["licence.json"])
		must(t, err)
		state(l)
		foreign := &verify.Verifier{Anchors: mustParseAnchors(t, nil), ForeignAnchors: mustParseAnchors(t, pem)}
		if r := foreign.VerifyExternal(t.Context(), file, l, time.Now()); r.Check(verify.CheckSignerCertificate).Result == verify.ResultPassed {
			t.Errorf("%q: whoever is trusted for other platforms' files signs ours", name)
		}
		code := (&verify.Verifier{Anchors: mustParseAnchors(t, pem)}).VerifyExternal(t.Context(), file, l, time.Now()).Check(verify.CheckAttachedData).Code
		if (code == "external_data_differs") != (name != "") {
			t.Errorf("%q: %s", name, code)
		}
	}
}
