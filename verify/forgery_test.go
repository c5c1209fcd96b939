package verify_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"elicence/crypto/cryptotest"
	"elicence/crypto/pdfsig"
	"elicence/licence/render/pdf"
	"elicence/verify"
)

// replace returns a tampering that changes one text for another of any length.
func replace(old, new string) func(*bench, []byte) []byte {
	return func(b *bench, file []byte) []byte {
		b.t.Helper()
		i := bytes.LastIndex(file, []byte(old))
		if i < 0 {
			b.t.Fatalf("%q is not in the file", old)
		}
		out := append(bytes.Clone(file[:i]), new...)
		return append(out, file[i+len(old):]...)
	}
}

// add returns a tampering that appends text.
func add(text string) func(*bench, []byte) []byte {
	return func(_ *bench, file []byte) []byte { return append(bytes.Clone(file), text...) }
}

// gap returns where the /Contents string begins and ends in a file.
func gap(b *bench, file []byte) (start, end int) {
	f, err := pdfsig.Read(file)
	if err != nil {
		b.t.Fatal(err)
	}
	r := f.Signatures[0].ByteRange
	return int(r[1]), int(r[2])
}

// inGap returns a tampering of the hexadecimal digits of /Contents.
func inGap(change func(digits []byte)) func(*bench, []byte) []byte {
	return func(b *bench, file []byte) []byte {
		start, end := gap(b, file)
		out := bytes.Clone(file)
		change(out[start+1 : end-1])
		return out
	}
}

// appendUpdate writes an incremental update with one new object over the catalogue.
func appendUpdate(_ *bench, file []byte) []byte {
	body := "1 0 obj\n<</Type /Catalog /Pages 2 0 R>>\nendobj\n"
	xref := len(file) + len(body)
	return fmt.Appendf(bytes.Clone(file), "%sxref\n1 1\n%010d 00000 n \ntrailer\n<</Size 24 /Root 1 0 R /Prev 1>>\nstartxref\n%d\n%%%%EOF\n",
		body, len(file), xref)
}

// moveRange moves the second range back by a few bytes and leaves a hole.
func moveRange(b *bench, file []byte) []byte {
	start, end := gap(b, file)
	old := fmt.Sprintf("/ByteRange [0 %d %d %d", start, end, len(file)-end)
	return replace(old, fmt.Sprintf("/ByteRange [0 %d %d %d", start, end+4, len(file)-end-4))(b, file)
}

// TestForgedFiles holds the published ways to change a signed PDF: USF, ISA,
// SWA, shadow and gap tricks. All must fail whoever is trusted.
func TestForgedFiles(t *testing.T) {
	const structure, coverage = verify.CheckStructure, verify.CheckCoverage
	format := func(name string, tamper func(*bench, []byte) []byte, check verify.Name, code string) fileCase {
		return fileCase{name: name, tamper: tamper, want: verify.TotalFailed, sub: verify.FormatFailure, check: check, code: code}
	}
	run(t, []fileCase{
		format("empty file", func(*bench, []byte) []byte { return nil }, structure, "pdf_file_size"),
		format("no PDF", func(*bench, []byte) []byte { return []byte("licence") }, structure, "pdf_header"),
		format("too large", func(*bench, []byte) []byte { return make([]byte, pdfsig.MaxFileSize+1) }, structure, "pdf_file_size"),
		format("unsigned rendering", func(b *bench, _ []byte) []byte { return b.r.render(b.t) }, structure, "pdf_no_signature"),
		format("USF contents all zeros", inGap(func(d []byte) { fill(d, '0') }), coverage, "pdf_contents"),
		format("USF contents missing", replace("/Contents <", "/Contentz <"), structure, "pdf_no_signature"),
		format("USF contents null", replace("/Contents <", "/Contents null <"), structure, "pdf_syntax"),
		format("USF byte range missing", replace("/ByteRange [", "/ByteRangf ["), coverage, "pdf_byte_range"),
		format("USF byte range null", replace("/ByteRange [0 ", "/ByteRange null % "), structure, "pdf_syntax"),
		format("USF byte range of two", replace("/ByteRange [0 ", "/ByteRange [0] % "), structure, "pdf_syntax"),
		format("USF byte range negative", replace("/ByteRange [0 4", "/ByteRange [0 -"), coverage, "pdf_byte_range"),
		format("USF byte range twice", replace("/ByteRange [", "/ByteRange [0 1 2 3] /ByteRange ["), structure, "pdf_syntax"),
		format("ISA update appended", appendUpdate, coverage, "pdf_revisions"),
		format("ISA body without xref", add("1 0 obj\n<</Type /Catalog>>\nendobj\n"), coverage, "pdf_revisions"),
		format("ISA trailer only", add("trailer\n<</Size 24 /Root 1 0 R>>\nstartxref\n0\n%%EOF\n"), coverage, "pdf_revisions"),
		format("ISA one byte", add("\n"), coverage, "pdf_revisions"),
		format("ISA comment", add("%%EOF\n"), coverage, "pdf_revisions"),
		format("SWA second range moved", moveRange, coverage, "pdf_byte_range"),
		format("SWA signature copied", func(b *bench, file []byte) []byte {
			start, end := gap(b, file)
			return append(append(bytes.Clone(file), file[start:end]...), "\n%%EOF\n"...)
		}, coverage, "pdf_revisions"),
		format("update cut off", func(b *bench, file []byte) []byte {
			return file[:bytes.Index(file, []byte("%%EOF\n"))+len("%%EOF\n")]
		}, structure, "pdf_no_signature"),
		format("last byte cut off", func(_ *bench, file []byte) []byte { return file[:len(file)-1] }, structure, "pdf_trailer"),
		format("other sub-filter", replace("/SubFilter /GM.sm2seal", "/SubFilter /GM.sm2xxxx"), structure, "foreign_signature"),
		format("CMS sub-filter", replace("/SubFilter /GM.sm2seal", "/SubFilter /adbe.pkcs7.detached"), structure, "foreign_signature"),
		format("other handler", replace("/Elicence.GMPkiLite", "/Elicencf.GMPkiLite"), structure, "pdf_profile"),
		format("DocMDP removed", replace("/Perms <</DocMDP 23 0 R>>", "                         "), structure, "pdf_profile"),
		format("DocMDP allows forms", replace("/P 1 /V", "/P 2 /V"), structure, "pdf_update"),
		format("seal moved", replace("/Rect [300 100", "/Rect [100 100"), structure, "pdf_update"),
		format("action on the seal", replace("/F 132 /P 13 0 R", "/F 132 /A 13 0 R"), structure, "pdf_active_content"),
		format("optional content", replace("/F 132 /P 13 0 R", "/F 1 /OC 13 0 R "), structure, "pdf_optional_content"),
		format("encrypted", replace("/Root 1 0 R", "/Encrypt 1 0 R /Root 1 0 R"), structure, "pdf_encrypted"),
		format("gap upper case", inGap(func(d []byte) { copy(d, bytes.ToUpper(d[:64])) }), structure, "pdf_syntax"),
		format("gap padding", inGap(func(d []byte) { d[len(d)-1] = '1' }), coverage, "pdf_contents"),
		format("gap blank", inGap(func(d []byte) { d[len(d)-1] = ' ' }), structure, "pdf_syntax"),
		format("gap not a seal signature", inGap(func(d []byte) { fill(d, '0'); copy(d, "3003020104") }),
			verify.CheckSealSignature, "seal_signature_malformed"),
		format("gap not hexadecimal", inGap(func(d []byte) { d[9] = 'g' }), structure, "pdf_syntax"),
		{name: "page altered", tamper: replace("/Name <feff6d4b", "/Name <feff6d4c"), want: verify.TotalFailed,
			sub: verify.HashFailure, check: verify.CheckDocumentDigest, code: "document_digest_differs"},
		{name: "signing time altered", tamper: replace("(D:20260531230000Z)", "(D:20250531230000Z)"), want: verify.TotalFailed,
			sub: verify.HashFailure, check: verify.CheckDocumentDigest, code: "document_digest_differs"},
	})
}

// TestForgeriesWithoutTrust checks that structure and coverage stop a forgery
// whoever is trusted, here nobody.
func TestForgeriesWithoutTrust(t *testing.T) {
	p := cryptotest.New(t)
	file := newRecipe(t, p).make(t)
	b := &bench{t: t, pki: p}
	for name, tamper := range map[string]func(*bench, []byte) []byte{
		"update": appendUpdate, "byte": add("\n"), "moved range": moveRange, "no value": inGap(func(d []byte) { fill(d, '0') }),
	} {
		r := (&verify.Verifier{}).VerifyFile(context.Background(), tamper(b, file), now)
		if r.Indication != verify.TotalFailed || r.SubIndication != verify.FormatFailure {
			t.Errorf("%s: %s/%s", name, r.Indication, r.SubIndication)
		}
	}
	r := (&verify.Verifier{}).VerifyFile(context.Background(), file, now)
	if r.Check(verify.CheckStructure).Result != verify.ResultPassed || r.Check(verify.CheckCoverage).Result != verify.ResultPassed {
		t.Error("the untouched file does not pass structure and coverage")
	}
}

func fill(b []byte, c byte) {
	for i := range b {
		b[i] = c
	}
}

// TestLookAlikes holds files that look odd and are good.
func TestLookAlikes(t *testing.T) {
	good := func(name string, page func(*pdf.Document)) fileCase {
		return fileCase{name: name, set: func(b *bench) { b.r.page = page }, want: verify.TotalPassed,
			check: verify.CheckCoverage, code: "coverage_ok"}
	}
	run(t, []fileCase{
		good("plain", nil),
		good("byte range in the text", func(d *pdf.Document) { d.Title = "/Byte Range [0 1 2 3] %%EOF" }),
		good("several pages", func(d *pdf.Document) { d.Pages = append(d.Pages, []byte("0 0 5 5 re f\n"), nil) }),
		good("long text", func(d *pdf.Document) { d.Pages[0] = bytes.Repeat([]byte("0 0 5 5 re f\n"), 5000) }),
		good("hexadecimal title", func(d *pdf.Document) { d.Title = "<30820102>" }),
		good("title with parentheses", func(d *pdf.Document) { d.Title = `\((\` }),
	})
}
