package pdfsig_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"elicence/crypto/pdfsig"
	"elicence/licence/render/pdf"
	"elicence/testdata/hostile"
)

// smallPage is a rendering with an empty font, the picture of a seal and a page of another size.
func smallPage() []byte {
	return pdf.Write(pdf.Document{Width: 595, Height: 842, CreatedAt: sampleTime, Metadata: []byte("<x:xmpmeta/>"), Title: "a",
		Attachments: []pdf.Attachment{{Name: "licence.json", Data: []byte("{}")}}, Pages: [][]byte{[]byte("0 0 1 1 re f\n")},
		Seals: []pdf.Form{{Width: 9, Height: 9, Content: pdf.Deflate([]byte("0 0 9 9 re f\n"))}},
		More:  []pdf.Part{{Width: 9, Height: 9, Pages: [][]byte{[]byte("q 0 0 9 9 re W n /S1 Do Q\n")}}}})
}

// small signs a small page, so that every byte can be tried.
func small(t testing.TB) []byte {
	t.Helper()
	o := sampleOptions()
	o.Reserve = 60
	file, err := prepare(t, smallPage(), o).Finish([]byte{0x30, 0x0a, 2, 3, 0xab, 0xcd, 0xef, 2, 3, 4, 5, 6})
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// TestEveryByteCounts flips bits in every byte of a file. Either Read refuses,
// or the digest is another, or the signature is: nothing changes unnoticed.
// The log says which part of the file each of the three guards.
func TestEveryByteCounts(t *testing.T) {
	file := small(t)
	original, err := pdfsig.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	r, digest := original.Signatures[0].ByteRange, original.Digest(0)
	noticed := map[string]int{}
	for _, bits := range []byte{0x01, 0x20} {
		for i := range file {
			flipped := bytes.Clone(file)
			flipped[i] ^= bits
			where := "protected"
			if int64(i) >= r[1] && int64(i) < r[2] {
				where = "contents"
			}
			f, err := pdfsig.Read(flipped)
			var format *pdfsig.FormatError
			switch {
			case errors.As(err, &format):
				noticed[where+": refused, "+format.Code]++
			case err != nil:
				t.Fatalf("byte %d: %v is no FormatError", i, err)
			case f.Digest(0) != digest:
				noticed[where+": other digest"]++
			case !bytes.Equal(f.Signatures[0].Contents, original.Signatures[0].Contents):
				noticed[where+": other signature"]++
			default:
				t.Errorf("byte %d (%q) with %#02x flipped changes nothing", i, file[i], bits)
			}
		}
	}
	var lines []string
	for _, what := range slices.Sorted(maps.Keys(noticed)) {
		lines = append(lines, fmt.Sprintf("%6d %s", noticed[what], what))
	}
	t.Logf("%d bytes, two flips each:\n%s", len(file), strings.Join(lines, "\n"))
	if noticed["protected: other signature"] != 0 || noticed["contents: other digest"] != 0 {
		t.Error("a change was noticed in the wrong place")
	}
}

func TestEveryTruncationFails(t *testing.T) {
	file := small(t)
	for n := range file {
		if f, err := pdfsig.Read(file[:n:n]); err == nil || f != nil {
			t.Errorf("the first %d of %d bytes were accepted", n, len(file))
		}
	}
}

func TestEveryByteAppendedFails(t *testing.T) {
	file := small(t)
	for c := range 256 {
		wantRefused(t, append(bytes.Clone(file), byte(c)), pdfsig.CodeRevisions)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(small(f))
	f.Add(signed(f, 3))
	for _, file := range hostile.Corpus(f, "../..") {
		f.Add(file)
	}
	f.Add([]byte("%PDF-1.7\n%µ¶\n1 0 obj\n<</A [1 0 R (x) <00> -1.5]>>\nendobj\nxref\n0 2\n"))
	for _, bad := range []string{"/Contents null", "/Contents <>", "/OC 2 0 R"} {
		f.Add(bytes.Replace(small(f), []byte("/Contents "), []byte(bad+" "), 1))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		var got *pdfsig.File
		var err error
		hostile.Within(t, func() { got, err = pdfsig.Read(file) })
		if err != nil {
			var format *pdfsig.FormatError
			if got != nil || !errors.As(err, &format) || format.Code == "" || format.Offset < 0 || format.Offset > int64(len(file)) {
				t.Fatalf("Read returned %v, %v", got, err)
			}
			return
		}
		checkAccepted(t, file, got)
	})
}

// FuzzPrepare checks that whatever Prepare accepts, Read accepts afterwards.
func FuzzPrepare(f *testing.F) {
	f.Add(render(f), "Seal1", "name", 340.5)
	f.Add(small(f), "章", "", 0.0)
	f.Fuzz(func(t *testing.T, file []byte, field, name string, x float64) {
		o := sampleOptions()
		o.FieldName, o.SignerName, o.X = field, name, x
		p, err := pdfsig.Prepare(file, o)
		if err != nil {
			if p != nil {
				t.Fatal("Prepare returned something with an error")
			}
			return
		}
		signed, err := p.Finish(sampleDER)
		if err != nil {
			t.Fatal(err)
		}
		got, err := pdfsig.Read(signed)
		if err != nil {
			t.Fatalf("Prepare accepted what Read refuses: %v", err)
		}
		if s := got.Signatures[0]; s.FieldName != field || s.SignerName != name || got.Digest(0) != p.Digest() {
			t.Fatalf("%q by %q came back as %q by %q", field, name, s.FieldName, s.SignerName)
		}
	})
}
