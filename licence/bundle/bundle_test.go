package bundle_test

import (
	"archive/zip"
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"elicence/licence"
	"elicence/licence/bundle"
	"elicence/testdata/hostile"
)

const identifier = "1.2.156.3005.2.11100000000013338W011.11430000006122244L.20230000403.001.U"

// sample is a bundle of every kind of file. What is in them is not this package's matter.
func sample() *bundle.Bundle {
	hash := func(n byte) []byte { return bytes.Repeat([]byte{n}, 32) }
	return &bundle.Bundle{
		Identifier: identifier, Status: "valid", File: []byte("%PDF-1.7 licence"),
		Certificates: [][]byte{[]byte("issuing"), []byte("root")}, CRLs: [][]byte{[]byte("list")}, OCSP: [][]byte{[]byte("answer")},
		Checkpoint: []byte("log.example\n3\nroot\n\n— signature\n"),
		Entries:    []bundle.Entry{{Record: []byte("issued"), Proof: [][]byte{hash(0xab), hash(2)}}, {Record: []byte("bundled")}},
	}
}

func mustMarshal(t testing.TB, b *bundle.Bundle) []byte {
	t.Helper()
	raw, err := b.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestRoundTrip(t *testing.T) {
	for name, change := range map[string]func(*bundle.Bundle){
		"everything":      func(*bundle.Bundle) {},
		"no lists":        func(b *bundle.Bundle) { b.Certificates, b.CRLs, b.OCSP = nil, nil, nil },
		"empty parts":     func(b *bundle.Bundle) { b.CRLs, b.Checkpoint, b.Entries[1].Record = [][]byte{{}}, []byte{}, []byte{} },
		"as many as may":  func(b *bundle.Bundle) { b.CRLs = slices.Repeat(b.CRLs, 16) },
		"longest proof":   func(b *bundle.Bundle) { b.Entries[0].Proof = slices.Repeat(b.Entries[0].Proof[:1], 63) },
		"largest file":    func(b *bundle.Bundle) { b.File = make([]byte, bundle.MaxFile) },
		"another status":  func(b *bundle.Bundle) { b.Status = "not_yet_valid" },
		"eight entries":   func(b *bundle.Bundle) { b.Entries = slices.Repeat(b.Entries, 4) },
		"bytes of a head": func(b *bundle.Bundle) { b.File = []byte("PK\x03\x04PK\x01\x02PK\x05\x06") },
	} {
		want := sample()
		change(want)
		raw := mustMarshal(t, want)
		got, err := bundle.Parse(raw)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !bytes.Equal(want.File, got.File) {
			t.Errorf("%s: another file", name)
		}
		want.File, got.File = nil, nil // too large for what follows
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", name, diff)
		}
		if !bundle.IsBundle(raw) || bundle.IsBundle(raw[:40]) || bundle.IsBundle(raw[1:]) || bundle.IsBundle([]byte("PK\x03\x04")) {
			t.Errorf("%s: not told by its first bytes, and by all of them", name)
		}
	}
}

// TestStrangersOpenIt has other readers of ZIP archives list and test a bundle.
func TestStrangersOpenIt(t *testing.T) {
	want := sample()
	raw := mustMarshal(t, want)
	archive, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range archive.File {
		names = append(names, f.Name)
		if f.Name != "licence.pdf" {
			continue
		}
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if data, err := io.ReadAll(r); err != nil || !bytes.Equal(data, want.File) {
			t.Errorf("archive/zip reads %q, %v", data, err)
		}
	}
	file := filepath.Join(t.TempDir(), "bundle.zip")
	if err := os.WriteFile(file, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	const script = `import sys, zipfile
z = zipfile.ZipFile(sys.argv[1])
assert z.testzip() is None
print("\n".join(z.namelist()))`
	out, err := exec.Command("python3", "-c", script, file).CombinedOutput()
	if err != nil {
		t.Fatalf("python3: %v\n%s", err, out)
	}
	if got := strings.TrimSpace(string(out)); got != strings.Join(names, "\n") || len(names) != 11 {
		t.Errorf("Python lists\n%s\narchive/zip lists %q", got, names)
	}
}

func TestMarshalRefuses(t *testing.T) {
	for name, change := range map[string]func(*bundle.Bundle){
		"no identifier":  func(b *bundle.Bundle) { b.Identifier = "" },
		"wrong check":    func(b *bundle.Bundle) { b.Identifier = licence.Identifier(identifier[:len(identifier)-1] + "X") },
		"no status":      func(b *bundle.Bundle) { b.Status = "" },
		"status":         func(b *bundle.Bundle) { b.Status = "valid\",\"x\":\"" },
		"long status":    func(b *bundle.Bundle) { b.Status = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" },
		"no file":        func(b *bundle.Bundle) { b.File = nil },
		"file too large": func(b *bundle.Bundle) { b.File = make([]byte, bundle.MaxFile+1) },
		"9 certificates": func(b *bundle.Bundle) { b.Certificates = make([][]byte, 9) },
		"17 CRLs":        func(b *bundle.Bundle) { b.CRLs = make([][]byte, 17) },
		"17 answers":     func(b *bundle.Bundle) { b.OCSP = make([][]byte, 17) },
		"one entry":      func(b *bundle.Bundle) { b.Entries = b.Entries[:1] },
		"nine entries":   func(b *bundle.Bundle) { b.Entries = slices.Repeat(b.Entries[:1], 9) },
		"all too large":  func(b *bundle.Bundle) { b.CRLs = [][]byte{make([]byte, bundle.MaxSize)} },
	} {
		b := sample()
		change(b)
		if raw, err := b.Marshal(); err == nil || raw != nil {
			t.Errorf("%s: written", name)
		}
	}
}

// rewrite opens a bundle with another writer of ZIP archives, which does not know its form.
func rewrite(t testing.TB, raw []byte, method uint16, change func(name string, data []byte) (string, []byte)) []byte {
	t.Helper()
	in, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, f := range in.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		name := f.Name
		if change != nil {
			name, data = change(name, data)
		}
		part, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: method})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := part.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestParseRefuses has archives that other tools take, and pieces of archives.
func TestParseRefuses(t *testing.T) {
	good := mustMarshal(t, sample())
	swap := func(old, new string) []byte { return []byte(strings.Replace(string(good), old, new, 1)) }
	for name, raw := range map[string][]byte{
		"empty":              nil,
		"a PDF":              []byte("%PDF-1.7"),
		"magic alone":        []byte("PK\x03\x04"),
		"empty archive":      append([]byte("PK\x05\x06"), make([]byte, 18)...),
		"a byte before":      append([]byte{0}, good...),
		"a byte after":       append(bytes.Clone(good), 0),
		"twice":              append(bytes.Clone(good), good...),
		"other writer":       rewrite(t, good, zip.Store, nil),
		"deflated":           rewrite(t, good, zip.Deflate, nil),
		"name in other case": swap("licence.pdf", "Licence.pdf"),
		"name up the tree":   swap("crls/1.crl", "../../1.cr"),
		"size of 4 GiB":      swap("\x0b\x00\x00\x00licence.pdf", "\xff\xff\x00\x00licence.pdf"),
		"upper-case hex":     fix(t, sample(), func(m map[string][]byte) { m["log/1.proof"] = bytes.ToUpper(m["log/1.proof"]) }),
		"proof without end":  fix(t, sample(), func(m map[string][]byte) { m["log/1.proof"] = bytes.TrimSpace(m["log/1.proof"]) }),
		"proof of 33 bytes":  fix(t, sample(), func(m map[string][]byte) { m["log/2.proof"] = []byte(strings.Repeat("ab", 33) + "\n") }),
		"64 hashes": fix(t, sample(), func(m map[string][]byte) {
			m["log/2.proof"] = []byte(strings.Repeat(strings.Repeat("ab", 32)+"\n", 64))
		}),
		"blank line":          fix(t, sample(), func(m map[string][]byte) { m["log/2.proof"] = []byte("\n") }),
		"licence swapped":     fix(t, sample(), func(m map[string][]byte) { m["licence.pdf"] = []byte("%PDF-1.7 another") }),
		"list swapped":        fix(t, sample(), func(m map[string][]byte) { m["crls/1.crl"] = []byte("older") }),
		"list left out":       fix(t, sample(), func(m map[string][]byte) { delete(m, "crls/1.crl") }),
		"certificate missing": fix(t, sample(), func(m map[string][]byte) { delete(m, "certificates/1.cer") }),
		"file too many":       fix(t, sample(), func(m map[string][]byte) { m["crls/2.crl"] = nil }),
		"no manifest":         fix(t, sample(), func(m map[string][]byte) { delete(m, "manifest.json") }),
		"no licence":          fix(t, sample(), func(m map[string][]byte) { delete(m, "licence.pdf") }),
		"no checkpoint":       fix(t, sample(), func(m map[string][]byte) { delete(m, "log/checkpoint") }),
		"no log":              fix(t, sample(), func(m map[string][]byte) { delete(m, "log/1.record"); delete(m, "log/1.proof") }),
		"record alone":        fix(t, sample(), func(m map[string][]byte) { delete(m, "log/2.proof") }),
		"manifest not JSON":   manifest(t, "{", "["),
		"manifest null":       fix(t, sample(), func(m map[string][]byte) { m["manifest.json"] = []byte("null\n") }),
		"manifest with blank": manifest(t, `":"`, `": "`),
		"manifest in CRLF":    manifest(t, "\n", "\r\n"),
		"member twice":        manifest(t, `{"format"`, `{"format":"elicence-bundle/1","format"`),
		"member of no use":    manifest(t, `,"files"`, `,"x":"","files"`),
		"other format":        manifest(t, "bundle/1", "bundle/2"),
		"other identifier":    manifest(t, identifier, strings.Replace(identifier, "403.", "404.", 1)),
		"status null":         manifest(t, `"valid"`, `null`),
		"status upper case":   manifest(t, `"valid"`, `"VALID"`),
		"digest altered":      manifest(t, `"licence.pdf":"`, `"licence.pdf":"0`),
		"manifest of 17 KiB":  manifest(t, `{"format"`, strings.Repeat(" ", 17<<10)+`{"format"`),
	} {
		if b, err := bundle.Parse(raw); err == nil || b != nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for i := range good {
		if _, err := bundle.Parse(good[:i]); err == nil {
			t.Fatalf("accepted when cut to %d bytes", i)
		}
		for _, mask := range []byte{0x01, 0x20, 0x80} {
			altered := bytes.Clone(good)
			altered[i] ^= mask
			if _, err := bundle.Parse(altered); err == nil {
				t.Fatalf("accepted with byte %d altered", i)
			}
		}
	}
	if _, err := bundle.Parse(make([]byte, bundle.MaxSize+1)); err == nil {
		t.Error("accepted beyond the size limit")
	}
}

// fix writes a bundle with other files in it, in the form of a bundle otherwise.
func fix(t testing.TB, b *bundle.Bundle, change func(map[string][]byte)) []byte {
	t.Helper()
	files := map[string][]byte{}
	rewrite(t, mustMarshal(t, b), zip.Store, func(name string, data []byte) (string, []byte) {
		files[name] = data
		return name, data
	})
	change(files)
	order := []string{"manifest.json", "licence.pdf", "certificates/1.cer", "certificates/2.cer", "crls/1.crl", "crls/2.crl", "ocsp/1.ors",
		"log/checkpoint", "log/1.record", "log/1.proof", "log/2.record", "log/2.proof"}
	var names []string
	var contents [][]byte
	for _, name := range order {
		if data, ok := files[name]; ok {
			names, contents = append(names, name), append(contents, data)
		}
	}
	return bundle.MarshalZIP(names, contents)
}

func manifest(t testing.TB, old, new string) []byte {
	return fix(t, sample(), func(m map[string][]byte) {
		text := string(m["manifest.json"])
		if m["manifest.json"] = []byte(strings.Replace(text, old, new, 1)); string(m["manifest.json"]) == text {
			t.Errorf("%q is not in the manifest", old)
		}
	})
}

// TestBounds: a bundle is taken apart in twice its size, whatever is in it.
func TestBounds(t *testing.T) {
	b := sample()
	b.File, b.CRLs = make([]byte, 5<<20), slices.Repeat([][]byte{make([]byte, 1<<20)}, 16)
	raw := mustMarshal(t, b)
	allocated := hostile.Allocated(func() {
		if _, err := bundle.Parse(raw); err != nil {
			t.Error(err)
		}
	})
	if most := int64(2*len(raw) + 2<<20); allocated > most {
		t.Errorf("%d MB allocated for %d MB", allocated>>20, len(raw)>>20)
	}
	head := append([]byte("PK\x03\x04"), make([]byte, 26)...)
	for name, raw := range map[string][]byte{
		"members":                bytes.Repeat(head, 1_000_000),
		"ends":                   bytes.Repeat(append([]byte("PK\x05\x06"), make([]byte, 18)...), 1_000_000),
		"a member beyond 4 GiB":  append(append(bytes.Clone(head[:18]), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), make([]byte, 100)...),
		"more than a bundle has": make([]byte, bundle.MaxSize+1),
	} {
		if n := hostile.Allocated(func() {
			if b, err := bundle.Parse(raw); err == nil || b != nil {
				t.Errorf("%s: taken in", name)
			}
		}); n > 2<<20 {
			t.Errorf("%s: %d MB allocated", name, n>>20)
		}
	}
}

// FuzzParse wants what parses to marshal to the same bytes.
func FuzzParse(f *testing.F) {
	f.Add(mustMarshal(f, sample()))
	f.Add([]byte("PK\x03\x04"))
	f.Add(append([]byte("PK\x05\x06"), make([]byte, 18)...))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var b *bundle.Bundle
		var err error
		hostile.Within(t, func() { b, err = bundle.Parse(raw) })
		if err != nil {
			if b != nil {
				t.Error("a bundle beside an error")
			}
			return
		}
		if again, err := b.Marshal(); err != nil || !bytes.Equal(again, raw) {
			t.Errorf("marshals to other bytes: %v", err)
		}
	})
}

// FuzzParseMembers puts any files into the container, which most changes would break.
func FuzzParseMembers(f *testing.F) {
	f.Add(string(sample().Manifest()), []byte("%PDF-1.7 licence"), "log/2.proof", "abab\n")
	f.Add(`{"format":"elicence-bundle/1","identifier":"","status":"","files":{}}`+"\n", []byte{}, "crls/1.crl", "")
	f.Fuzz(func(t *testing.T, manifest string, file []byte, name, content string) {
		raw := fix(t, sample(), func(m map[string][]byte) {
			m["manifest.json"], m["licence.pdf"], m[name] = []byte(manifest), file, []byte(content)
		})
		var b *bundle.Bundle
		var err error
		hostile.Within(t, func() { b, err = bundle.Parse(raw) })
		if err == nil {
			if again, err := b.Marshal(); err != nil || !bytes.Equal(again, raw) {
				t.Errorf("marshals to other bytes: %v", err)
			}
		}
	})
}
