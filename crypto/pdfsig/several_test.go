package pdfsig_test

import (
	"bytes"
	"crypto/sha256"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/emmansun/gmsm/sm3"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"elicence/crypto/pdfsig"
	"elicence/crypto/pdfsig/pdftest"
)

// severalOptions are those of a PAdES signature that shows nothing, and two seals.
func severalOptions() []pdfsig.Options {
	seal := sampleOptions()
	a := seal.Appearance
	first := pdfsig.Options{FieldName: "PAdES", Page: 1, SubFilter: pdfsig.SubFilterPAdES, Reserve: 300, ClaimedTime: sampleTime,
		Later: []pdfsig.Field{{Name: "Seal1", X: 340.5, Y: 120.25, Width: a.Width, Height: a.Height}, {Name: "Seal2", X: 100, Y: 120, Width: a.Width, Height: a.Height}}}
	second, third := seal, seal
	second.Page, second.X, second.Y = 0, 0, 0
	third.Page, third.X, third.Y, third.FieldName, third.Reason = 0, 0, 0, "Seal2", ""
	return []pdfsig.Options{first, second, third}
}

// signed adds the first n signatures.
func signed(t testing.TB, n int) []byte { return signedOn(t, render(t), n) }

// signedOn is signed on a rendering of one's own.
func signedOn(t testing.TB, file []byte, n int) []byte {
	t.Helper()
	for _, o := range severalOptions()[:n] {
		var err error
		if file, err = prepare(t, file, o).Finish(sampleDER); err != nil {
			t.Fatal(err)
		}
	}
	return file
}

func TestSeveralSignatures(t *testing.T) {
	file := signed(t, 3)
	f, err := pdfsig.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	want := []pdfsig.Container{
		{FieldName: "PAdES", Filter: "Adobe.PPKLite", SubFilter: "ETSI.CAdES.detached", Page: 1, ClaimedTime: sampleTime},
		{FieldName: "Seal1", Filter: "Elicence.GMPkiLite", SubFilter: "GM.sm2seal", Page: 1, Rect: [4]float64{340.5, 120.25, 459.555, 239.305},
			SignerName: "市场监督管理局", Reason: "Issue (licence)", ClaimedTime: sampleTime},
		{FieldName: "Seal2", Filter: "Elicence.GMPkiLite", SubFilter: "GM.sm2seal", Page: 1, Rect: [4]float64{100, 120, 219.055, 239.055},
			SignerName: "市场监督管理局", ClaimedTime: sampleTime},
	}
	if diff := cmp.Diff(f.Signatures, want, cmpopts.IgnoreFields(pdfsig.Container{}, "ByteRange", "Contents")); diff != "" {
		t.Error(diff)
	}
	apart := [][32]byte{sm3.Sum(f.SignedBytes(0)), sm3.Sum(f.SignedBytes(1)), f.Digest(2)}
	if signed, whole := f.Digests(); !slices.Equal(signed, apart) || whole != sm3.Sum(file) || whole != f.WholeDigest() {
		t.Error("the digests made together are others than those made apart")
	}
	end := int64(0)
	for i, s := range f.Signatures {
		if e := s.ByteRange[2] + s.ByteRange[3]; e <= end || !bytes.HasSuffix(file[:e], []byte("%%EOF\n")) {
			t.Errorf("signature %d covers the file up to byte %d", i, e)
		} else {
			end = e
		}
	}
	if end != int64(len(file)) {
		t.Errorf("the last signature covers %d of %d bytes", end, len(file))
	}
	for i := range 3 {
		if before := signed(t, i+1); !bytes.HasPrefix(file, before) {
			t.Errorf("signature %d changed what was there", i+1)
		}
	}
}

// TestWhatIsSigned: a signer of another digest gets the bytes themselves.
func TestWhatIsSigned(t *testing.T) {
	p := prepare(t, render(t), severalOptions()[0])
	h := sha256.New()
	if _, err := p.WriteTo(h); err != nil {
		t.Fatal(err)
	}
	file, err := p.Finish(sampleDER)
	if err != nil {
		t.Fatal(err)
	}
	gap := bytes.Index(file, []byte("/Contents <")) + len("/Contents ")
	end := gap + bytes.IndexByte(file[gap:], '>') + 1
	want := sha256.Sum256(append(bytes.Clone(file[:gap]), file[end:]...))
	if !bytes.Equal(h.Sum(nil), want[:]) {
		t.Error("WriteTo gives other bytes than the byte range")
	}
}

// TestWaitingFields: what is not signed through is no licence yet.
func TestWaitingFields(t *testing.T) {
	for n := 1; n < 3; n++ {
		wantRefused(t, signed(t, n), pdfsig.CodeField)
	}
}

// TestPrepareLaterRefuses is a table of signatures that do not come next.
func TestPrepareLaterRefuses(t *testing.T) {
	options := severalOptions()
	for _, tt := range []struct {
		name string
		file []byte
		edit func(*pdfsig.Options)
	}{
		{"field that is not next", signed(t, 1), func(o *pdfsig.Options) { o.FieldName = "Seal2" }},
		{"field that is not there", signed(t, 1), func(o *pdfsig.Options) { o.FieldName = "Seal9" }},
		{"field that is signed", signed(t, 1), func(o *pdfsig.Options) { o.FieldName = "PAdES" }},
		{"another place", signed(t, 1), func(o *pdfsig.Options) { o.X = 12 }},
		{"another page", signed(t, 1), func(o *pdfsig.Options) { o.Page = 1 }},
		{"another size", signed(t, 1), func(o *pdfsig.Options) { o.Appearance.Width = 100 }},
		{"nothing to be seen", signed(t, 1), func(o *pdfsig.Options) { o.Appearance = pdfsig.Appearance{} }},
		{"further fields", signed(t, 1), func(o *pdfsig.Options) { o.Later = []pdfsig.Field{{Name: "x"}} }},
		{"all signed", signed(t, 3), func(o *pdfsig.Options) { o.FieldName = "Seal2" }},
		{"one that stands alone", sign(t), func(o *pdfsig.Options) {}},
		{"no encoding we know", signed(t, 1), func(o *pdfsig.Options) { o.SubFilter = "adbe.pkcs7.detached" }},
	} {
		o := options[1]
		tt.edit(&o)
		if p, err := pdfsig.Prepare(tt.file, o); err == nil || p != nil {
			t.Errorf("%s: accepted", tt.name)
		}
	}
	for name, later := range map[string][]pdfsig.Field{
		"five signatures": {{Name: "a"}, {Name: "b"}, {Name: "c"}, {Name: "d"}},
		"two of a name":   {{Name: "a"}, {Name: "a"}},
		"its own name":    {{Name: "PAdES"}},
		"full stop":       {{Name: "a.b"}},
		"off the page":    {{Name: "a", X: 590, Y: 0, Width: 50, Height: 50}},
		"no height":       {{Name: "a", X: 1, Y: 1, Width: 50}},
	} {
		o := options[0]
		o.Later = later
		if p, err := pdfsig.Prepare(render(t), o); err == nil || p != nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// laterAttacks edit the revisions of a file with three signatures.
var laterAttacks = []struct {
	name string
	edit change
	code string
}{
	{"revision in between taken out", func(_ *testing.T, e *pdftest.File) { e.Sections = append(e.Sections[:2], e.Sections[3]) }, pdfsig.CodeUpdate},
	{"revisions swapped", func(_ *testing.T, e *pdftest.File) { e.Sections[2], e.Sections[3] = e.Sections[3], e.Sections[2] }, pdfsig.CodeUpdate},
	{"last one twice", func(_ *testing.T, e *pdftest.File) { e.Sections = append(e.Sections, e.Sections[3]) }, pdfsig.CodeRevisions},
	{"first permits changes of any kind", inSection(1, "/P 2 /V", "/P 3 /V"), pdfsig.CodeUpdate},
	{"first forbids what follows", inSection(1, "/P 2 /V", "/P 1 /V"), pdfsig.CodeUpdate},
	{"last locks nothing", inSection(3, " /Lock <</Type /SigFieldLock /Action /All /P 1>>", ""), pdfsig.CodeUpdate},
	{"last locks some fields", inSection(3, "/SigFieldLock /Action /All", "/SigFieldLock /Action /Include"), pdfsig.CodeUpdate},
	{"middle one locks", inSection(2, " /V ", " /Lock <</Type /SigFieldLock /Action /All /P 1>> /V "), pdfsig.CodeByteRange},
	{"other place", inSection(2, "340.5 120.25 459.555", "341.5 120.25 460.555"), pdfsig.CodeField},
	{"other name", inSection(2, "(Seal1)", "(Seal7)"), pdfsig.CodeField},
	{"action", inSection(2, "/FT /Sig", "/FT /Sig /A <</S /URI>>"), pdfsig.CodeActiveContent},
	{"page redefined", func(t *testing.T, e *pdftest.File) { e.Redefine(2, e.Find(t, 1, "/Type /Page ")) }, pdfsig.CodeUpdate},
	{"catalogue redefined", func(t *testing.T, e *pdftest.File) { e.Redefine(2, e.Find(t, 1, "/Type /Catalog")) }, pdfsig.CodeUpdate},
	{"content redefined", func(t *testing.T, e *pdftest.File) { e.Redefine(3, e.Find(t, 0, "12 0 obj\n")) }, pdfsig.CodeUpdate},
	{"first seal's appearance redefined", func(t *testing.T, e *pdftest.File) { e.Redefine(3, e.Find(t, 2, "/Subtype /Form")) }, pdfsig.CodeUpdate},
	{"first signature redefined", func(t *testing.T, e *pdftest.File) { e.Redefine(3, e.Find(t, 1, "/SubFilter")) }, pdfsig.CodeByteRange},
	{"object nobody uses", func(_ *testing.T, e *pdftest.File) { e.Add(3, "<</Type /Font>>") }, pdfsig.CodeUpdate},
	{"handler of the other kind", inSection(2, "/Elicence.GMPkiLite", "/Adobe.PPKLite"), pdfsig.CodeProfile},
	{"encoding of the other kind", inSection(1, "/ETSI.CAdES.detached", "/adbe.pkcs7.detached"), pdfsig.CodeProfile},
	{"contents empty", inSection(2, "<30820100", "<00820100"), pdfsig.CodeContents},
	{"padding not zero", inSection(2, "00>\n/ByteRange", "01>\n/ByteRange"), pdfsig.CodeContents},
	{"fourth field", func(t *testing.T, e *pdftest.File) {
		e.Replace(t, 1, " /SigFlags 3", " /SigFlags 3 /Fields []")
	}, pdfsig.CodeSyntax},
	{"field hidden", inSection(1, "(Seal2) /F 132", "(Seal2) /F 134"), pdfsig.CodeUpdate},
	{"unseen signature moved onto the page", inSection(1, "/Rect [0 0 0 0]", "/Rect [0 0 9 9]"), pdfsig.CodeUpdate},
}

// inSection replaces a text in one object of a section.
func inSection(section int, old, new string) change {
	return func(t *testing.T, e *pdftest.File) { e.Replace(t, section, old, new) }
}

func TestAttacksOnLaterSignatures(t *testing.T) {
	file := signed(t, 3)
	if got := pdftest.Split(t, file).Bytes(); !bytes.Equal(got, file) {
		t.Fatal("a file taken apart and put together is another")
	}
	for _, tt := range laterAttacks {
		t.Run(tt.name, func(t *testing.T) {
			e := pdftest.Split(t, file)
			tt.edit(t, e)
			wantRefused(t, e.Bytes(), tt.code)
		})
	}
}

// TestEveryByteOfSeveral flips a bit of every byte: refused, or some digest or
// signature is another.
func TestEveryByteOfSeveral(t *testing.T) {
	file := signed(t, 3)
	original, err := pdfsig.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	from := original.Signatures[0].ByteRange[1] - 3000 // what stands before is one revision's business
	for i := from; i < int64(len(file)); i++ {
		flipped := bytes.Clone(file)
		flipped[i] ^= 0x01
		f, err := pdfsig.Read(flipped)
		if err != nil {
			continue
		}
		same := true
		for k, s := range f.Signatures {
			same = same && f.Digest(k) == original.Digest(k) && bytes.Equal(s.Contents, original.Signatures[k].Contents)
		}
		if same {
			t.Errorf("byte %d (%q) changes nothing", i, file[i])
		}
	}
	for _, n := range []int{len(file) - 1, len(file) - 1000, len(file) - 3000} {
		if _, err := pdfsig.Read(file[:n]); err == nil {
			t.Errorf("accepted when cut to %d bytes", n)
		}
	}
}

var signatureRange = regexp.MustCompile(`Signed Ranges: \[0 - (\d+)\], \[(\d+) - (\d+)\]`)

// TestSeveralBeforeOutsideJudges: pdfsig finds three, of which the last covers all.
func TestSeveralBeforeOutsideJudges(t *testing.T) {
	file := filepath.Join(t.TempDir(), "several.pdf")
	if err := os.WriteFile(file, signed(t, 3), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := judge(t, "qpdf", "--check", file); strings.Contains(out, "WARNING") {
		t.Errorf("qpdf: %s", out)
	}
	out := judge(t, "pdfsig", "-nocert", file)
	if n := len(signatureRange.FindAllString(out, -1)); n != 3 || strings.Count(out, "Total document signed") != 1 || strings.Count(out, "Not total document signed") != 2 {
		t.Errorf("pdfsig: %s", out)
	}
	if perms := judge(t, "mutool", "show", file, "trailer/Root/Perms/DocMDP/Reference"); !strings.Contains(perms, "/P 2") {
		t.Errorf("mutool: %s", perms)
	}
}

// TestReplaceLast puts another value into the last signature, and only there.
func TestReplaceLast(t *testing.T) {
	file := signed(t, 3)
	other := append([]byte{0x30, 3, 2, 1}, 7)
	replaced, err := pdfsig.ReplaceContents(file, other)
	if err != nil {
		t.Fatal(err)
	}
	f, err := pdfsig.Read(replaced)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(f.Signatures[2].Contents, other) || !bytes.Equal(f.Signatures[1].Contents, sampleDER) || len(replaced) != len(file) {
		t.Error("not the last signature was replaced")
	}
}
