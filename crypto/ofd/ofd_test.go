package ofd_test

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"elicence/crypto/ofd"
	"elicence/testdata/hostile"
)

const foreign = "../../testdata/foreign"

func mustRead(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(foreign, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestRead reads what another maker's script made.
func TestRead(t *testing.T) {
	const page, res = "Doc_0/Pages/Page_0/Content.xml", "Doc_0/PublicRes.xml"
	for _, c := range []struct {
		file                        string
		covered                     []int // of each signature
		changed, missing, uncovered string
		weak                        string
	}{
		{file: "sealed.ofd", covered: []int{5}},
		{file: "version1.ofd", covered: []int{5}},
		{file: "cms.ofd", covered: []int{4}},
		{file: "two-seals.ofd", covered: []int{5, 8}},
		{file: "unsigned.ofd", uncovered: "Doc_0/Document.xml " + page + " " + res + " OFD.xml"},
		{file: "page-changed.ofd", covered: []int{4}, changed: page},
		{file: "file-missing.ofd", covered: []int{4}, missing: res},
		{file: "page-uncovered.ofd", covered: []int{4}, uncovered: page},
		{file: "file-added.ofd", covered: []int{5}, uncovered: "Doc_0/Attachs/more.xml"},
		{file: "md5.ofd", covered: []int{0}, weak: "MD5", uncovered: "Doc_0/Document.xml " + page + " " + res + " Doc_0/Signs/Sign_0/Seal.esl OFD.xml"},
	} {
		f, err := ofd.Read(mustRead(t, c.file))
		if err != nil || len(f.Signatures) != len(c.covered) || strings.Join(f.Uncovered, " ") != c.uncovered {
			t.Errorf("%s: %v; %+v", c.file, err, f)
			continue
		}
		for i, s := range f.Signatures {
			if len(s.Covered) != c.covered[i] || strings.Join(s.Changed, " ") != c.changed || strings.Join(s.Missing, " ") != c.missing || s.Weak != c.weak {
				t.Errorf("%s, signature %d: covered %s, changed %s, missing %s, weak %q", c.file, i, s.Covered, s.Changed, s.Missing, s.Weak)
			}
		}
		if f.Custom["ZZBH"] != "JY23301050000777" {
			t.Errorf("%s: own data %v", c.file, f.Custom)
		}
	}
}

// files are those of a good document, for cases that change some.
func files(t testing.TB) map[string]string {
	t.Helper()
	b := mustRead(t, "sealed.ofd")
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		all[f.Name] = string(text)
	}
	return all
}

// pack makes an archive of files, deflated, and of more that are added by the header.
func pack(t testing.TB, all map[string]string, more ...func(*zip.Writer)) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, text := range all {
		add(t, z, &zip.FileHeader{Name: name, Method: zip.Deflate}, []byte(text))
	}
	for _, f := range more {
		f(z)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func add(t testing.TB, z *zip.Writer, h *zip.FileHeader, data []byte) {
	t.Helper()
	w, err := z.CreateHeader(h)
	if err == nil {
		_, err = w.Write(data)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// edited is the good document with one file changed.
func edited(t testing.TB, name, old, new string) []byte {
	t.Helper()
	all := files(t)
	if !strings.Contains(all[name], old) {
		t.Fatalf("%s does not hold %q", name, old)
	}
	all[name] = strings.Replace(all[name], old, new, 1)
	return pack(t, all)
}

// with is the good document with one more file, of any name.
func with(t testing.TB, name string) []byte {
	return pack(t, files(t), func(z *zip.Writer) { add(t, z, &zip.FileHeader{Name: name}, []byte("x")) })
}

// bomb is an entry that says that it holds so many bytes and unpacks to more.
func bomb(t testing.TB, name string, says, holds int) func(*zip.Writer) {
	return func(z *zip.Writer) {
		var b bytes.Buffer
		f, _ := flate.NewWriter(&b, 9)
		f.Write(make([]byte, holds))
		f.Close()
		w, err := z.CreateRaw(&zip.FileHeader{Name: name, Method: zip.Deflate, CRC32: crc32.ChecksumIEEE(make([]byte, holds)), CompressedSize64: uint64(b.Len()), UncompressedSize64: uint64(says)})
		if err == nil {
			_, err = w.Write(b.Bytes())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// many is an archive with so many entries.
func many(t testing.TB, n int) []byte {
	return pack(t, nil, func(z *zip.Writer) {
		for i := range n {
			add(t, z, &zip.FileHeader{Name: fmt.Sprint(i)}, nil)
		}
	})
}

// at changes an archive in place.
func at(b []byte, change func([]byte)) []byte {
	b = bytes.Clone(b)
	change(b)
	return b
}

// within puts bytes between the last record of a directory and its end, as another directory
// would lie that readers of ZIP64 find.
func within(good []byte) []byte {
	end := len(good) - 22
	file := slices.Concat(good[:end], make([]byte, 64), good[end:])
	size := file[len(file)-22+12:]
	binary.LittleEndian.PutUint32(size, binary.LittleEndian.Uint32(size)+64)
	return file
}

// TestHostile holds refusals to their code and to the bound on memory.
func TestHostile(t *testing.T) {
	good, plain := mustRead(t, "sealed.ofd"), files(t)
	const top, list, info = "OFD.xml", "Doc_0/Signs/Signatures.xml", "Doc_0/Signs/Sign_0/Signature.xml"
	head := `<?xml version="1.0"?>`
	for _, c := range []struct {
		name, code string
		file       []byte
	}{
		{"empty", ofd.CodeFileSize, nil},
		{"too large", ofd.CodeFileSize, make([]byte, ofd.MaxFileSize+1)},
		{"PDF named OFD", ofd.CodeContainer, mustRead(t, "sealed.pdf")},
		{"cut", ofd.CodeContainer, good[:len(good)-1]},
		{"something behind", ofd.CodeContainer, append(bytes.Clone(good), 0)},
		{"something before", ofd.CodeContainer, append([]byte{0}, good...)},
		{"comment", ofd.CodeContainer, pack(t, plain, func(z *zip.Writer) { z.SetComment("x") })},
		{"no archive in the end record", ofd.CodeContainer, at(good, func(b []byte) { b[len(b)-6]++ })},
		{"another name in the header of the entry", ofd.CodeContainer, at(good, func(b []byte) { b[30] = 'X' })},
		{"another method in the header of the entry", ofd.CodeContainer, at(good, func(b []byte) { b[8] = 0 })},
		{"other sizes in the header of the entry", ofd.CodeContainer, at(good, func(b []byte) { b[22]++ })},
		{"something in the directory that belongs to no entry", ofd.CodeContainer, within(good)},
		{"hidden entry", ofd.CodeContainer, hidden(good)},
		{"entries upon each other", ofd.CodeContainer, overlapping(t)},
		{"encrypted", ofd.CodeEncrypted, pack(t, plain, func(z *zip.Writer) { add(t, z, &zip.FileHeader{Name: "x", Flags: 1}, nil) })},
		{"packed another way", ofd.CodeContainer, pack(t, plain, func(z *zip.Writer) {
			if _, err := z.CreateRaw(&zip.FileHeader{Name: "x", Method: 12}); err != nil {
				t.Fatal(err)
			}
		})},
		{"upwards", ofd.CodeName, with(t, "../x")},
		{"upwards within", ofd.CodeName, with(t, "Doc_0/../../x")},
		{"dots alone", ofd.CodeName, with(t, "..")},
		{"from the root", ofd.CodeName, with(t, "/etc/passwd")},
		{"of Windows", ofd.CodeName, with(t, `..\x`)},
		{"drive", ofd.CodeName, with(t, "C:x")},
		{"control character", ofd.CodeName, with(t, "a\x00b")},
		{"no UTF-8", ofd.CodeName, with(t, "a\xff")},
		{"long", ofd.CodeName, with(t, strings.Repeat("a", 257))},
		{"no shortest path", ofd.CodeName, with(t, "Doc_0//x")},
		{"twice", ofd.CodeName, with(t, "OFD.xml")},
		{"twice, in small letters", ofd.CodeName, with(t, "ofd.xml")},
		{"a million entries", ofd.CodeLimit, millions(many(t, 5000))},
		{"65000 entries", ofd.CodeLimit, many(t, 65000)},
		{"4097 entries", ofd.CodeLimit, many(t, 4097)},
		{"bomb", ofd.CodeLimit, pack(t, plain, bomb(t, "x", 20<<20, 20<<20))},
		{"bomb of many", ofd.CodeLimit, pack(t, plain, manyTimes(t, 100, 1<<20))},
		{"bomb of many small", ofd.CodeLimit, pack(t, plain, manyTimes(t, 50, 1<<20))},
		{"bomb that says less", ofd.CodeEntry, pack(t, map[string]string{}, bomb(t, "OFD.xml", 100, 16<<20))},
		{"huge entry", ofd.CodeLimit, pack(t, plain, bomb(t, "x", 1<<31, 10))},
		{"wrong checksum", ofd.CodeEntry, wrongChecksum(t)},
		{"no OFD.xml", ofd.CodeEntry, pack(t, map[string]string{"x": "y"})},
		{"OFD within OFD alone", ofd.CodeEntry, pack(t, map[string]string{"Doc_0/inner.ofd": string(good)})},
		{"no XML", ofd.CodeXML, pack(t, map[string]string{top: "x"})},
		{"GBK", ofd.CodeXML, edited(t, top, "UTF-8", "GBK")},
		{"no UTF-8 inside", ofd.CodeXML, edited(t, top, "JY2330", "\xff")},
		{"document type", ofd.CodeXML, edited(t, top, "<ofd:OFD", `<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><ofd:OFD`)},
		{"external entity", ofd.CodeXML, edited(t, top, "JY23301050000777", "&xxe;")},
		{"instruction", ofd.CodeXML, edited(t, top, "<ofd:OFD", `<?php x?><ofd:OFD`)},
		{"deep", ofd.CodeLimit, edited(t, top, "<ofd:DocInfo>", strings.Repeat("<a>", 100))},
		{"100000 elements", ofd.CodeLimit, edited(t, top, "<ofd:DocInfo>", strings.Repeat("<a/>", 100000)+"<ofd:DocInfo>")},
		{"long text", ofd.CodeLimit, edited(t, top, "JY23301050000777", strings.Repeat("9", 5000))},
		{"long text in pieces", ofd.CodeLimit, edited(t, top, "<ofd:OFD", strings.Repeat(" <!-- -->", 100000)+"<ofd:OFD")},
		{"attribute twice", ofd.CodeXML, edited(t, top, `Version="1.0"`, `Version="1.0" Version="1.0"`)},
		{"description of 2 MB", ofd.CodeLimit, edited(t, top, "<ofd:OFD", strings.Repeat("<!---->", 300000)+"<ofd:OFD")},
		{"another root", ofd.CodeDocument, edited(t, top, " xmlns:ofd=\"http://www.ofdspec.org/2016\"", " xmlns:ofd=\"urn:x\"")},
		{"no document", ofd.CodeDocument, pack(t, map[string]string{top: head + `<OFD xmlns="http://www.ofdspec.org/2016"/>`})},
		{"DocRoot twice", ofd.CodeDocument, edited(t, top, "<ofd:DocRoot>", "<ofd:DocRoot>x</ofd:DocRoot><ofd:DocRoot>")},
		{"DocRoot outside", ofd.CodeEntry, edited(t, top, "Doc_0/Document.xml", "../../Document.xml")},
		{"DocRoot to itself", ofd.CodeDocument, edited(t, top, "Doc_0/Document.xml", "OFD.xml")},
		{"17 documents", ofd.CodeDocument, edited(t, top, "<ofd:DocBody>", strings.Repeat("<ofd:DocBody/>", 16)+"<ofd:DocBody>")},
		{"two lists of signatures", ofd.CodeDocument, edited(t, top, "<ofd:Signatures>", "<ofd:Signatures>x</ofd:Signatures><ofd:Signatures>")},
		{"list that is none", ofd.CodeDocument, edited(t, top, "Doc_0/Signs/Signatures.xml", "OFD.xml")},
		{"17 signatures", ofd.CodeLimit, edited(t, list, "<ofd:Signature ", strings.Repeat(`<ofd:Signature BaseLoc="/`+info+`"/>`, 16)+"<ofd:Signature ")},
		{"signature without a place", ofd.CodeSignature, edited(t, list, "BaseLoc", "Base")},
		{"signature of an unknown type", ofd.CodeSignature, edited(t, list, "Seal", "Stamp")},
		{"signature missing", ofd.CodeEntry, edited(t, list, "Sign_0", "Sign_9")},
		{"signature without a value", ofd.CodeSignature, edited(t, info, "</ofd:SignedInfo>", "</ofd:SignedInfo><ofd:SignedValue/>")},
		{"value missing", ofd.CodeEntry, edited(t, info, "SignedValue.dat", "Value.dat")},
		{"no references", ofd.CodeSignature, edited(t, info, "<ofd:References", "<ofd:References/><ofd:References")},
		{"two SignedInfo", ofd.CodeSignature, edited(t, info, "<ofd:SignedInfo>", "<ofd:SignedInfo/><ofd:SignedInfo>")},
		{"digest not in base64", ofd.CodeSignature, edited(t, info, "<ofd:CheckValue>", "<ofd:CheckValue>*")},
		{"two digests of one", ofd.CodeSignature, edited(t, info, "<ofd:CheckValue>", "<ofd:CheckValue>AA==</ofd:CheckValue><ofd:CheckValue>")},
	} {
		t.Run(c.name, func(t *testing.T) {
			hostile.Within(t, func() {
				f, err := ofd.Read(c.file)
				var fault *ofd.FormatError
				if f != nil || !errors.As(err, &fault) || fault.Code != c.code || len(err.Error()) > 1000 {
					t.Errorf("%v, want code %s", err, c.code)
				}
			})
		})
	}
}

// millions says so in the end record of ZIP64, which another reader would believe.
func millions(b []byte) []byte {
	end := len(b) - 22
	b = append(bytes.Clone(b), make([]byte, 76)...)
	copy(b[end+76:], b[end:end+22])
	clear(b[end : end+76])
	copy(b[end:], "PK\x06\x06")
	b[end+4] = 44
	binary.LittleEndian.PutUint64(b[end+24:], 1_000_000)
	binary.LittleEndian.PutUint64(b[end+32:], 1_000_000)
	copy(b[end+56:], "PK\x06\x07")
	binary.LittleEndian.PutUint64(b[end+64:], uint64(end))
	copy(b[len(b)-14:], "\xff\xff\xff\xff")
	return b
}

// hidden puts an entry in front of the directory that the directory does not name.
func hidden(good []byte) []byte {
	end := len(good) - 22
	start := int(binary.LittleEndian.Uint32(good[end+16:]))
	local := make([]byte, 31)
	copy(local, "PK\x03\x04")
	local[26], local[30] = 1, 'x'
	b := append(append(bytes.Clone(good[:start]), local...), good[start:]...)
	binary.LittleEndian.PutUint32(b[len(b)-6:], uint32(start+len(local)))
	return b
}

// overlapping has the directory name the first entry's bytes a second time.
func overlapping(t testing.TB) []byte {
	b := pack(t, map[string]string{"OFD.xml": strings.Repeat("x", 100), "OFD2xml": strings.Repeat("x", 100)})
	second := bytes.LastIndex(b, []byte("PK\x01\x02"))
	binary.LittleEndian.PutUint32(b[second+42:], 0)
	return b
}

// wrongChecksum has a stored OFD.xml that was changed.
func wrongChecksum(t testing.TB) []byte {
	all := files(t)
	text := all["OFD.xml"]
	delete(all, "OFD.xml")
	b := pack(t, all, func(z *zip.Writer) { add(t, z, &zip.FileHeader{Name: "OFD.xml"}, []byte(text)) })
	return bytes.Replace(b, []byte("JY23301050000777"), []byte("JY23301050000778"), 1)
}

func manyTimes(t testing.TB, n, size int) func(*zip.Writer) {
	return func(z *zip.Writer) {
		for i := range n {
			bomb(t, fmt.Sprint(i), size, size)(z)
		}
	}
}

// TestNested: an OFD inside is a file like others.
func TestNested(t *testing.T) {
	all := files(t)
	all["Doc_0/Attachs/inner.ofd"] = string(mustRead(t, "two-seals.ofd"))
	f, err := ofd.Read(pack(t, all))
	if err != nil || len(f.Signatures) != 1 || strings.Join(f.Uncovered, " ") != "Doc_0/Attachs/inner.ofd" {
		t.Errorf("%v: %+v", err, f)
	}
}

// FuzzOFD holds the reader to its bounds: no panic, nothing beside an error, and of what
// is read no entry both covered and not.
func FuzzOFD(f *testing.F) {
	names, err := filepath.Glob(foreign + "/*.ofd")
	if err != nil || len(names) < 10 {
		f.Fatal("no files of other makers: ", err)
	}
	for _, name := range names {
		f.Add(mustRead(f, filepath.Base(name)), "", "")
	}
	good := files(f)
	f.Add([]byte(nil), "OFD.xml", good["OFD.xml"])
	f.Add([]byte(nil), "Doc_0/Signs/Signatures.xml", good["Doc_0/Signs/Signatures.xml"])
	f.Add([]byte(nil), "Doc_0/Signs/Sign_0/Signature.xml", good["Doc_0/Signs/Sign_0/Signature.xml"])
	f.Fuzz(func(t *testing.T, file []byte, name, text string) {
		if len(file) == 0 { // else no change to a text would get past the checksum
			all := map[string]string{name: text}
			for n, content := range good {
				if n != name {
					all[n] = content
				}
			}
			file = packed(all)
		}
		hostile.Within(t, func() {
			got, err := ofd.Read(file)
			if (got == nil) == (err == nil) {
				t.Fatal("a file and an error, or neither")
			}
			if err != nil {
				if fault := (*ofd.FormatError)(nil); !errors.As(err, &fault) {
					t.Fatal(err)
				}
				return
			}
			for _, s := range got.Signatures {
				if len(s.Covered)+len(s.Changed) > len(got.Entries) {
					t.Error("more files covered than there are")
				}
			}
		})
	})
}

// packed is pack of whatever names there are; nil when there can be no such archive.
func packed(all map[string]string) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, text := range all {
		w, err := z.CreateHeader(&zip.FileHeader{Name: name})
		if err == nil {
			_, err = w.Write([]byte(text))
		}
		if err != nil {
			return nil
		}
	}
	if z.Close() != nil {
		return nil
	}
	return b.Bytes()
}
