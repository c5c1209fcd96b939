package pdfsig_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"elicence/crypto/cryptotest"
	"elicence/crypto/pdfsig"
	"elicence/testdata/hostile"
)

// foreign is a file of another maker with any DER for a signature.
func foreign() []byte {
	return cryptotest.ForeignPDF("DJ.GMPkiLite", "GM.sm2cms.detached", 8<<10, func([]byte) []byte { return []byte{0x30, 3, 2, 1, 7} })
}

func TestScanForeign(t *testing.T) {
	file := foreign()
	found, err := pdfsig.ScanForeign(file)
	if err != nil || len(found) != 1 {
		t.Fatalf("%d found: %v", len(found), err)
	}
	f := found[0]
	if f.Filter != "DJ.GMPkiLite" || f.SubFilter != "GM.sm2cms.detached" || !bytes.Equal(f.Contents, []byte{0x30, 3, 2, 1, 7}) || !f.CoversFile {
		t.Errorf("read as %+v", f)
	}
	start, end := bytes.Index(file, []byte("<30030201")), bytes.Index(file, []byte(">/ByteRange"))+1
	if want := append(bytes.Clone(file[:start]), file[end:]...); !bytes.Equal(f.SignedBytes(), want) {
		t.Error("signed bytes are others")
	}
	if _, err := pdfsig.Read(file); err == nil {
		t.Error("Read accepts a file of another maker")
	}
	longer, err := pdfsig.ScanForeign(append(bytes.Clone(file), '\n'))
	if err != nil || len(longer) != 1 || longer[0].CoversFile {
		t.Errorf("with a byte more: %v", err)
	}
	// A second revision brings a second signature; the first covers a prefix.
	second := cryptotest.ForeignPDF("GM.PKILite", "GM.SM2", 8<<10, func([]byte) []byte { return []byte{0x30, 3, 2, 1, 8} })
	broken := append(bytes.Clone(file), second...)
	both, err := pdfsig.ScanForeign(broken)
	if len(both) != 1 || err == nil {
		t.Errorf("two files in one: %d found, %v", len(both), err)
	}
}

func TestScanForeignRefuses(t *testing.T) {
	file := foreign()
	swap := func(old, by string) []byte {
		if !bytes.Contains(file, []byte(old)) {
			t.Fatalf("no %q in the file", old)
		}
		return bytes.Replace(file, []byte(old), []byte(by), 1)
	}
	deep := strings.Repeat("[", 1000)
	for _, c := range []struct {
		name, code string
		file       []byte
	}{
		{"empty", pdfsig.CodeFileSize, nil},
		{"too long", pdfsig.CodeFileSize, make([]byte, pdfsig.MaxFileSize+1)},
		{"no signature", pdfsig.CodeNoSignature, []byte("%PDF-1.7\n")},
		{"key alone", pdfsig.CodeSyntax, []byte("/ByteRange")},
		{"in no object", pdfsig.CodeSyntax, []byte("<< /ByteRange [0 1 2 3] >>")},
		{"key twice", pdfsig.CodeSyntax, swap("/Type /Sig", "/Filter/Sig")},
		{"no key", pdfsig.CodeSyntax, swap("/Type /Sig", "7ype /Sig")},
		{"no value", pdfsig.CodeSyntax, swap("/Reason (a \\) and (b))", "/Reason           >>  ")},
		{"string without end", pdfsig.CodeSyntax, swap("(a \\) and (b))", "(a \\) and (b )")},
		{"name too long", pdfsig.CodeSyntax, swap("/GM.sm2cms", "/"+strings.Repeat("x", 200))},
		{"nested deeply", pdfsig.CodeLimit, swap("/Reason (a \\) and (b))", "/Reason "+deep)},
		{"dictionaries nested deeply", pdfsig.CodeLimit, swap("/Reason (a \\) and (b))", "/Reason "+strings.Repeat("<</A", 1000))},
		{"array without end", pdfsig.CodeSyntax, []byte("1 0 obj <</A [/ByteRange")},
		{"hex without end", pdfsig.CodeSyntax, []byte("1 0 obj <</ByteRange [0 1 2 3]/Contents <00")},
		{"range of three", pdfsig.CodeByteRange, swap("/ByteRange [0 ", "/ByteRange [  ")},
		{"range that is negative", pdfsig.CodeByteRange, swap("/ByteRange [0 ", "/ByteRange [-0 ")},
		{"range of something", pdfsig.CodeByteRange, swap("/ByteRange [0 ", "/ByteRange [a ")},
		{"range from 1", pdfsig.CodeByteRange, swap("/ByteRange [0 ", "/ByteRange [1 ")},
		{"range beyond the file", pdfsig.CodeByteRange, file[:len(file)-1]},
		{"range by reference", pdfsig.CodeByteRange, swap("/ByteRange [0", "/ByteRange 7 0 R/X[0")},
		{"range that leaves out more", pdfsig.CodeByteRange, swap("/Contents <", "/Contents  <")},
		{"no contents", pdfsig.CodeByteRange, swap("/Contents <", "/Cuntents <")},
		{"contents in parentheses", pdfsig.CodeByteRange, parenthesised(file)},
		{"contents that are no digits", pdfsig.CodeContents, swap("<3003", "<30x3")},
		{"contents that are no DER", pdfsig.CodeContents, swap("<3003", "<3103")},
		{"contents shorter than their DER", pdfsig.CodeContents, swap("<3003", "<3083")},
		{"bytes behind the DER", pdfsig.CodeContents, swap("<30030201070", "<30030201071")},
	} {
		t.Run(c.name, func(t *testing.T) {
			found, err := pdfsig.ScanForeign(c.file)
			var fault *pdfsig.FormatError
			if len(found) != 0 || !errors.As(err, &fault) || fault.Code != c.code {
				t.Errorf("%d found, %v; want code %s", len(found), err, c.code)
			}
		})
	}
}

// parenthesised makes the contents a literal string of the same length.
func parenthesised(file []byte) []byte {
	out := bytes.Clone(file)
	start, end := bytes.Index(file, []byte("<30030201")), bytes.Index(file, []byte(">/ByteRange"))
	out[start], out[end] = '(', ')'
	return out
}

// TestScanForeignBounds: what is there many times, or nested without end, costs little.
func TestScanForeignBounds(t *testing.T) {
	size := pdfsig.MaxFileSize / 2
	for name, file := range map[string][]byte{
		"keys":         bytes.Repeat([]byte(" obj <</ByteRange "), size/18),
		"keys in one":  append([]byte("1 0 obj <<"), bytes.Repeat([]byte("/ByteRange "), size/11)...),
		"arrays":       append(append([]byte("1 0 obj <</A"), bytes.Repeat([]byte("["), size)...), "/ByteRange"...),
		"dictionaries": append(append([]byte("1 0 obj <<"), bytes.Repeat([]byte("/A<<"), 200_000)...), "/ByteRange"...),
		"parentheses":  append(append([]byte("1 0 obj <</A"), bytes.Repeat([]byte("("), 1_000_000)...), "/ByteRange"...),
		"comment":      append(append([]byte("1 0 obj <<%"), bytes.Repeat([]byte("x"), 1_000_000)...), "/ByteRange"...),
		"keys at will": append(append([]byte("1 0 obj <</ByteRange 1"), bytes.Repeat([]byte("/Ab 1/Bb 1"), 500_000)...), ">>"...),
		"to the end":   append(bytes.Repeat([]byte("1 0 obj <</ByteRange 1/A[%"), 16), append([]byte("\n"), bytes.Repeat([]byte("22 "), 3_000_000)...)...),
		"numbers":      append(append([]byte("1 0 obj <</A["), bytes.Repeat([]byte("1 "), 500_000)...), "/ByteRange"...),
	} {
		var found []pdfsig.Foreign
		var err error
		allocated := hostile.Allocated(func() { found, err = pdfsig.ScanForeign(file) })
		if len(found) > 0 || err == nil || allocated > 2<<20 {
			t.Errorf("%s: %d found, %v, %d kB allocated", name, len(found), err, allocated>>10)
		}
	}
}

func FuzzScanForeign(f *testing.F) {
	f.Add(foreign())
	for _, file := range hostile.Corpus(f, "../..") {
		f.Add(file)
	}
	f.Add([]byte("1 0 obj <</A[1 0 R(\\))<00>/B<<>>]/ByteRange [0 1 2 3]/Contents <30>"))
	f.Fuzz(func(t *testing.T, file []byte) {
		var found []pdfsig.Foreign
		hostile.Within(t, func() { found, _ = pdfsig.ScanForeign(file) })
		for _, s := range found {
			if n := len(s.SignedBytes()); n > len(file) || s.CoversFile != (n+int(s.ByteRange[2]-s.ByteRange[1]) == len(file)) {
				t.Errorf("%+v of a file of %d bytes", s.ByteRange, len(file))
			}
		}
	})
}
