package pdfsig_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"elicence/crypto/pdfsig"
	"elicence/crypto/pdfsig/pdftest"
	"elicence/testdata/hostile"
)

// FuzzReadEdited has an attacker who knows the format edit objects, which keeps every
// offset, length and range right: what FuzzRead seldom hits upon. An edit is six bytes,
// and the text that it puts in: section, object, place (two), bytes taken out, bytes
// put in.
func FuzzReadEdited(f *testing.F) {
	bases := [][]byte{small(f), signedOn(f, smallPage(), 3)}
	digests := map[[32]byte][]byte{}
	var apart []*pdftest.File
	for i, base := range bases {
		apart = append(apart, pdftest.Split(f, base))
		file, err := pdfsig.Read(base)
		if err != nil {
			f.Fatal(err)
		}
		for j := range file.Signatures {
			digests[file.Digest(j)] = file.Signatures[j].Contents
		}
		f.Add(uint8(i), []byte{})
		f.Add(uint8(i), []byte{1, 0, 0, 12, 0, 9, ' ', '/', 'O', 'C', ' ', '1', ' ', '0', ' ', 'R'})
		f.Add(uint8(i), []byte{0, 1, 0, 30, 4, 2, '9', '9', 1, 3, 0, 9, 9, 0})
	}
	f.Fuzz(func(t *testing.T, base uint8, script []byte) {
		e := clone(apart[int(base)%len(apart)])
		edit(e, script)
		file := e.Bytes()
		var got *pdfsig.File
		var err error
		hostile.Within(t, func() { got, err = pdfsig.Read(file) })
		var format *pdfsig.FormatError
		switch {
		case err != nil && (got != nil || !errors.As(err, &format)):
			t.Errorf("Read returned %v, %v", got, err)
		case err == nil:
			checkAccepted(t, file, got)
			last := len(got.Signatures) - 1
			if contents, known := digests[got.Digest(last)]; known && bytes.Equal(contents, got.Signatures[last].Contents) && !slices.ContainsFunc(bases, func(b []byte) bool { return bytes.Equal(b, file) }) {
				t.Errorf("another file with the same digest and signature:\n%q", file)
			}
		}
	})
}

func clone(f *pdftest.File) *pdftest.File {
	out := &pdftest.File{Header: f.Header}
	for _, s := range f.Sections {
		s.Parts = slices.Clone(s.Parts)
		out.Sections = append(out.Sections, s)
	}
	return out
}

// edit follows a script as far as it is one.
func edit(e *pdftest.File, script []byte) {
	for len(script) >= 6 {
		s := &e.Sections[int(script[0])%len(e.Sections)]
		p := &s.Parts[int(script[1])%len(s.Parts)]
		at := (int(script[2])<<8 | int(script[3])) % (len(p.Text) + 1)
		out, in := min(int(script[4]), len(p.Text)-at), min(int(script[5]), len(script)-6)
		p.Text = p.Text[:at] + string(script[6:6+in]) + p.Text[at+out:]
		script = script[6+in:]
	}
}

// checkAccepted holds a file that Read accepted to the package's invariants.
func checkAccepted(t *testing.T, file []byte, got *pdfsig.File) {
	t.Helper()
	last := len(got.Signatures) - 1
	s := got.Signatures[last]
	again, err := pdfsig.ReplaceContents(file, s.Contents)
	if err != nil || !bytes.Equal(again, file) {
		t.Fatalf("a file that was accepted is not canonical (%v)", err)
	}
	if int64(len(got.SignedBytes(last)))+s.ByteRange[2]-s.ByteRange[1] != int64(len(file)) {
		t.Fatal("the byte range does not cover the file")
	}
	for page := range got.Pages {
		if content, err := got.PageContent(page + 1); len(content) > pdfsig.MaxStream || err != nil && content != nil {
			t.Fatalf("content of %d bytes, %v", len(content), err)
		}
	}
}
