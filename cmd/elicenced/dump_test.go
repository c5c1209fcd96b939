package main

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"elicence/crypto/pki"
	"elicence/licence"
	"elicence/store"
)

// TestDump takes the database and the files as they lie on the disks and has a program in
// Python search them for holders and their data, in several encodings. It finds none; in
// the same records and files as the service reads them it finds each.
func TestDump(t *testing.T) {
	t.Parallel()
	for name, dsn := range backends {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testDump(t, newSite(t, dsn(t)))
		})
	}
}

func testDump(t *testing.T, s *site) {
	stored, read := t.TempDir(), t.TempDir()
	s.copyStored(t, stored)
	texts := s.copyRead(t, read)
	needles := filepath.Join(t.TempDir(), "texts")
	must(t, os.WriteFile(needles, []byte(strings.Join(texts, "\n")), 0o600))
	out, err := searchDump(needles, stored)
	t.Log("what is stored: ", strings.TrimSpace(out))
	if err != nil {
		t.Error(err)
	}
	out, err = searchDump(needles, read)
	found := strings.TrimSpace(out)
	t.Log("what is read: ", found[strings.LastIndex(found, "\n")+1:])
	if err == nil {
		t.Error("nothing is found in what is read either: the search proves nothing")
	}
	for _, text := range texts {
		if !strings.Contains(out, ": "+text+" in ") {
			t.Errorf("%q is not found in what is read", text)
		}
	}
}

func searchDump(needles, dir string) (string, error) {
	out, err := exec.Command("python3", "../../testdata/dump/search.py", needles, dir).CombinedOutput()
	return string(out), err
}

// copyStored copies what lies in the database and the folder of files. Every file begins as
// an encrypted one, and does not open with another key.
func (s *site) copyStored(t *testing.T, dir string) {
	t.Helper()
	if s.Database != "" {
		dsn, schema := libpq(t, s.Database)
		postgresTool(t, "pg_dump", "--dbname", dsn, "--schema", schema, "--file", filepath.Join(dir, "dump.sql"))
	}
	names, err := filepath.Glob(filepath.Join(s.Dir, "elicence.db*"))
	must(t, err)
	for _, name := range names {
		b, err := os.ReadFile(name)
		must(t, err)
		must(t, os.WriteFile(filepath.Join(dir, filepath.Base(name)), b, 0o600))
	}
	copyTree(t, filepath.Join(dir, "files"), filepath.Join(s.Dir, "files"))
	must(t, filepath.WalkDir(filepath.Join(dir, "files"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if !bytes.HasPrefix(b, []byte("ELC1")) {
			t.Errorf("%s begins with % x", path, b[:min(len(b), 8)])
		}
		return err
	}))
}

// copyRead writes all licences and their files as the service reads them, and returns texts
// about holders that stand in them.
func (s *site) copyRead(t *testing.T, dir string) (texts []string) {
	t.Helper()
	keys, err := s.keys("")
	must(t, err)
	secrets, err := keys.secrets()
	must(t, err)
	db, err := s.openDatabase(t.Context(), secrets)
	must(t, err)
	defer db.Close()
	files, other := s.folder(t, secrets.storage), s.folder(t, make([]byte, 16))
	rows, err := s.tables(t).Query(`SELECT identifier FROM licence`)
	must(t, err)
	defer rows.Close()
	for rows.Next() {
		var id licence.Identifier
		must(t, rows.Scan(&id))
		rec, err := db.Licence(t.Context(), id)
		must(t, err)
		record, err := json.Marshal(rec)
		must(t, err)
		file, err := files.Get(t.Context(), rec.File.Digest)
		must(t, err)
		if _, err := other.Get(t.Context(), rec.File.Digest); err == nil {
			t.Errorf("the file of %s opens with another key", id)
		}
		must(t, os.WriteFile(filepath.Join(dir, string(id)+".json"), record, 0o600))
		must(t, os.WriteFile(filepath.Join(dir, string(id)+".pdf"), file, 0o600))
		texts = append(texts, rec.Holder.Name, rec.Holder.Code)
		texts = append(texts, personal(t, rec.Data)...)
	}
	must(t, rows.Err())
	slices.Sort(texts)
	return slices.DeleteFunc(slices.Compact(texts), func(text string) bool { return len(text) < 6 })
}

// personal are the names, addresses and numbers among a licence's own fields.
func personal(t *testing.T, data []byte) (texts []string) {
	t.Helper()
	lic, err := licence.ParseData(data)
	must(t, err)
	for name, value := range lic.Fields {
		about := strings.HasSuffix(name, "_name") || strings.HasSuffix(name, "_address") || strings.HasSuffix(name, "_number")
		if text, ok := value.(string); ok && about {
			texts = append(texts, text)
		}
	}
	return texts
}

func (s *site) folder(t *testing.T, key []byte) *store.Folder {
	t.Helper()
	cipher, err := pki.NewCipher(key)
	must(t, err)
	f, err := store.OpenFolder(filepath.Join(s.Dir, "files"), cipher)
	must(t, err)
	return f
}
