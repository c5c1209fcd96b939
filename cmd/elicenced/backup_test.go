package main

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// backUp makes a backup of the site with three shares, and returns its files.
func (s *site) backUp(t *testing.T) (archive string, shares []string) {
	t.Helper()
	dir := t.TempDir()
	archive = filepath.Join(dir, "keys.backup")
	s.output(t, "keys", "backup", "-o", archive, "--shares", "3", "--share-dir", dir)
	shares, err := filepath.Glob(filepath.Join(dir, "share-*-of-3.txt"))
	must(t, err)
	if len(shares) != 3 {
		t.Fatalf("%d shares", len(shares))
	}
	for _, file := range append(shares, archive) {
		if st, err := os.Stat(file); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", file, st.Mode(), err)
		}
	}
	return archive, shares
}

// restore restores a backup into a new folder, which it returns as a site.
func (s *site) restore(t *testing.T, archive string, shares []string) *site {
	t.Helper()
	restored := &site{location{Dir: filepath.Join(t.TempDir(), "restored")}, s.fileFlags, s.demo}
	args := []string{"keys", "restore", archive}
	for _, file := range shares {
		args = append(args, "--share-file", file)
	}
	restored.output(t, args...)
	return restored
}

// TestBackup is the ceremony of docs/keys.md: back up, restore into a new folder, put
// the database beside it, serve, issue, verify. One key is in a device, one retired.
func TestBackup(t *testing.T) {
	s, d := newSite(t, ""), newFakeDevice(t)
	s.output(t, "keys", "rotate", "qr")
	s.output(t, "keys", "rotate", sealName(t), "--sdf-library", d.library, "--sdf-index", "1", "--sdf-password-file", d.password)
	r := s.serve(t)
	old := s.issueFile(t, r, "before")
	archive, shares := s.backUp(t) // beside the service
	r.stop(t)
	if n := s.logged(t)[actionBackup]; n != 1 {
		t.Errorf("the backup is logged %d times", n)
	}

	slices.Reverse(shares) // their order does not matter
	restored := s.restore(t, archive, shares)
	if was, is := readTree(t, filepath.Join(s.Dir, "keys")), readTree(t, filepath.Join(restored.Dir, "keys")); !maps.Equal(was, is) {
		t.Errorf("restored %v\nof %v", slices.Sorted(maps.Keys(is)), slices.Sorted(maps.Keys(was)))
	}
	restored.wantRefusedRestore(t, "is there already", archive, shares)
	for _, name := range []string{"elicence.db", "checkpoint", "log-policy.txt"} {
		text, err := os.ReadFile(filepath.Join(s.Dir, name))
		must(t, err)
		must(t, os.WriteFile(filepath.Join(restored.Dir, name), text, 0o600))
	}
	copyTree(t, filepath.Join(restored.Dir, "files"), filepath.Join(s.Dir, "files"))
	r = restored.serve(t)
	defer r.stop(t)
	restored.wantGenuine(t, r, "from before the backup", old)
	restored.wantGenuine(t, r, "issued after it was restored", restored.issueFile(t, r, "restored"))
}

// TestRestoredAlone: the keys are enough for an instance without a past.
func TestRestoredAlone(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	archive, shares := s.backUp(t)
	restored := s.restore(t, archive, shares)
	restored.demo = demoFile{}
	restored.output(t, "demo", "--once", "--listen", "127.0.0.1:0")
	file, err := os.ReadFile(filepath.Join(restored.Dir, "sample-food-retail.pdf"))
	must(t, err)
	r := restored.serve(t)
	defer r.stop(t)
	restored.wantGenuine(t, r, "sealed with restored keys", file)
	for _, name := range []string{"seal-" + demoAuthorities[0].Code + ".cer.pem", "instance.json"} {
		was, err := os.ReadFile(filepath.Join(s.Dir, "keys", name))
		must(t, err)
		is, err := os.ReadFile(filepath.Join(restored.Dir, "keys", name))
		must(t, err)
		if !bytes.Equal(was, is) {
			t.Errorf("%s is another", name)
		}
	}
}

// wantRefusedRestore checks that a restore ends with an error that says something,
// and leaves no more than there was.
func (s *site) wantRefusedRestore(t *testing.T, says, archive string, shares []string) {
	t.Helper()
	before := map[string]string{}
	if there, _ := exists(s.Dir); there {
		before = readTree(t, s.Dir)
	}
	r := restoreCmd{Dir: s.Dir, File: archive, ShareFile: shares}
	if err := r.Run(t.Context()); err == nil || !strings.Contains(err.Error(), says) {
		t.Errorf("got %v, want an error that says %q", err, says)
	}
	after := map[string]string{}
	if there, _ := exists(s.Dir); there {
		after = readTree(t, s.Dir)
	}
	if !maps.Equal(before, after) {
		t.Errorf("%s: left behind: %v", says, slices.Sorted(maps.Keys(after)))
	}
}

// TestBadRestores is a table of what is not restored.
func TestBadRestores(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	archive, shares := s.backUp(t)
	_, others := s.backUp(t)
	dir := t.TempDir()
	whole, err := os.ReadFile(archive)
	must(t, err)
	put := func(name string, content []byte) string {
		file := filepath.Join(dir, name)
		must(t, os.WriteFile(file, content, 0o600))
		return file
	}
	line, err := os.ReadFile(shares[2])
	must(t, err)
	with := func(name, text string) []string { return []string{shares[0], shares[1], put(name, []byte(text))} }
	foreign := &site{location: location{Dir: filepath.Join(t.TempDir(), "new")}}
	huge := put("huge", nil)
	must(t, os.Truncate(huge, maxBackup+1))
	open := put("open", line)
	must(t, os.Chmod(open, 0o604))

	for says, wrong := range map[string][]string{
		"missing of the 3 shares: 1, 2, 3": nil,
		"missing of the 3 shares: 3":       shares[:2],
		"missing of the 3 shares: 1":       shares[1:],
		"share 1 was given twice":          {shares[0], shares[1], shares[0]},
		"share 2 was given twice":          append(slices.Clone(shares), shares[1]),
		"belongs to the backup":            {shares[0], shares[1], others[2]},
		"share 1 of 3 belongs":             others,
		"five words":                       with("empty", ""),
		"with five words":                  with("two lines", string(line)+string(line)),
		"one line":                         with("other format", strings.Replace(string(line), "share-1", "share-2", 1)),
		"over 1 KiB":                       with("endless", string(line)+strings.Repeat(" ", maxShare)),
		"another form":                     with("short", strings.Replace(string(line), " 3/3", " 3", 1)),
		"check at its end":                 with("another number", strings.Replace(string(line), " 3/3", " 2/3", 1)),
		"chmod o=":                         {shares[0], shares[1], open},
		"no such file":                     {shares[0], shares[1], filepath.Join(dir, "absent")},
	} {
		foreign.wantRefusedRestore(t, says, archive, wrong)
	}
	for says, file := range map[string]string{
		"no such file":                filepath.Join(dir, "absent"),
		"not a backup":                put("a share", line),
		"over 67108864 bytes":         huge,
		"cut short":                   put("empty", nil),
		"belongs to":                  put("another id", append([]byte(backupFormat+"xxxxxxxx\x03"), whole[len(backupFormat)+9:]...)),
		"with 2 shares":               put("another count", bytes.Replace(whole, []byte{3}, []byte{2}, 1)),
		"do not give the secret":      put("another check", flipped(whole, backupHeader-1)),
		"but the archive was cut":     put("one byte less", whole[:len(whole)-1]),
		"archive was cut short or":    put("header alone", whole[:backupHeader]),
		"the shares are right, but":   put("one byte more", append(slices.Clone(whole), 0)),
		"cut short or altered":        put("flipped", flipped(whole, len(whole)/2)),
		"are right, but the archive ": put("flipped tag", flipped(whole, len(whole)-1)),
	} {
		foreign.wantRefusedRestore(t, says, file, shares)
	}
	must(t, os.MkdirAll(foreign.Dir, 0o700))
	must(t, os.WriteFile(filepath.Join(foreign.Dir, "passphrase"), []byte("another passphrase"), 0o600))
	foreign.wantRefusedRestore(t, "another passphrase", archive, shares)
	must(t, os.Remove(filepath.Join(foreign.Dir, "passphrase")))
	for cut := 0; cut < len(whole); cut += len(whole) / 50 {
		foreign.wantRefusedRestore(t, "", put("cut", whole[:cut]), shares)
	}
	must(t, os.Mkdir(filepath.Join(foreign.Dir, "keys.new"), 0o700)) // of a restore that was cut short
	must(t, (&restoreCmd{Dir: foreign.Dir, File: archive, ShareFile: shares}).Run(t.Context()))
}

func flipped(b []byte, i int) []byte {
	b = slices.Clone(b)
	b[i] ^= 1
	return b
}

// TestBadContents is a table of backups that are properly sealed, and whose content
// makes no keyring.
func TestBadContents(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	keys, err := s.keys("")
	must(t, err)
	whole, err := keys.content()
	must(t, err)
	for _, c := range []struct {
		name, says string
		spoil      func(c *backupContent)
	}{
		{"no files", "instance.json", func(c *backupContent) { clear(c.Files) }},
		{"no settings", "instance.json", func(c *backupContent) { delete(c.Files, "instance.json") }},
		{"settings of nothing", "not the settings", func(c *backupContent) { c.Files["instance.json"] = []byte("{}") }},
		{"no secrets", "secrets.sealed", func(c *backupContent) { delete(c.Files, "secrets.sealed") }},
		{"a key missing", "qr.key.pem", func(c *backupContent) { delete(c.Files, "qr.key.pem") }},
		{"the log's key missing", "log.key.pem", func(c *backupContent) { delete(c.Files, "log.key.pem") }},
		{"keys swapped", "does not belong", func(c *backupContent) { c.Files["qr.key.pem"] = c.Files["tsa.key.pem"] }},
		{"another passphrase", "opening", func(c *backupContent) { c.Passphrase = []byte("another passphrase") }},
		{"a file outside", "not a name", func(c *backupContent) { c.Files["../outside"] = nil }},
		{"a file at the root", "not a name", func(c *backupContent) { c.Files["/tmp/outside"] = nil }},
		{"a file without a name", "", func(c *backupContent) { c.Files["."] = nil }},
		{"a retired key missing", "retired", func(c *backupContent) { c.Files["retired/qr-00.cer.pem"] = c.Files["tsa.cer.pem"] }},
	} {
		t.Run(c.name, func(t *testing.T) {
			content := backupContent{whole.Passphrase, maps.Clone(whole.Files)}
			c.spoil(&content)
			archive, shares, err := sealBackup(content, 2)
			must(t, err)
			dir := t.TempDir()
			must(t, os.WriteFile(filepath.Join(dir, "b"), archive, 0o600))
			var files []string
			for i, share := range shares {
				files = append(files, filepath.Join(dir, fmt.Sprint(i)))
				must(t, os.WriteFile(files[i], []byte(share.String()), 0o600))
			}
			foreign := &site{location: location{Dir: filepath.Join(dir, "new")}}
			foreign.wantRefusedRestore(t, c.says, filepath.Join(dir, "b"), files)
		})
	}
}

// TestRefusedBackups: nothing is overwritten, and nothing half written is left.
func TestRefusedBackups(t *testing.T) {
	t.Parallel()
	s, dir := newSite(t, ""), t.TempDir()
	there := filepath.Join(dir, "there")
	must(t, os.WriteFile(there, []byte("precious"), 0o600))
	s.refuses(t, "2 to 16", "keys", "backup", "-o", filepath.Join(dir, "b"), "--shares", "1")
	s.refuses(t, "2 to 16", "keys", "backup", "-o", filepath.Join(dir, "b"), "--shares", "17")
	s.refuses(t, "file exists", "keys", "backup", "-o", there, "--shares", "2")
	s.refuses(t, "no such file", "keys", "backup", "-o", filepath.Join(dir, "b"), "--shares", "2", "--share-dir", filepath.Join(dir, "absent"))
	must(t, os.Rename(filepath.Join(s.Dir, "keys", "qr.key.pem"), filepath.Join(s.Dir, "qr.key.pem")))
	s.refuses(t, "qr.key.pem", "keys", "backup", "-o", filepath.Join(dir, "b"), "--shares", "2")
	must(t, os.Rename(filepath.Join(s.Dir, "qr.key.pem"), filepath.Join(s.Dir, "keys", "qr.key.pem")))
	if left := readTree(t, dir); len(left) != 1 || left["/there"] != "precious" {
		t.Errorf("left behind: %v", slices.Sorted(maps.Keys(left)))
	}
	if said := s.output(t, "keys", "backup", "-o", filepath.Join(dir, "b"), "--shares", "2"); strings.Count(said, "\n"+shareFormat+" ") != 2 {
		t.Errorf("printed: %s", said)
	}
}

// TestShares splits and joins; all shares are needed, in any spelling that a person
// may type, and one letter wrong is found.
func TestShares(t *testing.T) {
	id := [8]byte{1, 2, 3, 4, 5, 6, 7, 8}
	for n := minShares; n <= maxShares; n++ {
		secret, shares, err := splitSecret(id, n)
		must(t, err)
		var typed []share
		for _, s := range shares {
			again, err := parseShare("  " + strings.ToLower(strings.ReplaceAll(s.String(), " ", "\t")) + "\r\n")
			if err != nil || again != s {
				t.Fatalf("%s: %+v, %v", s, again, err)
			}
			typed = append(typed, again)
		}
		if got, err := joinShares(id, n, typed); err != nil || got != secret {
			t.Errorf("%d shares: %v", n, err)
		}
		for i := range typed {
			if _, err := joinShares(id, n, slices.Delete(slices.Clone(typed), i, i+1)); err == nil {
				t.Errorf("%d shares without %d: no error", n, i+1)
			}
		}
	}
	_, shares, err := splitSecret(id, 2)
	must(t, err)
	line := shares[0].String()
	for i := range line {
		for _, c := range []byte("A2x 0-/") {
			mistyped := line[:i] + string(c) + line[i+1:]
			s, err := parseShare(mistyped)
			if err == nil && s != shares[0] {
				t.Errorf("%q was read as %+v", mistyped, s)
			}
		}
	}
	for _, text := range []string{"", " ", shareFormat, line + " more", line[1:], line[:len(line)-1], strings.Repeat(line, 2),
		share{id, 0, 2, shares[0].value}.String(), share{id, 3, 2, shares[0].value}.String(), share{id, 1, 17, shares[0].value}.String(),
		share{id, -1, 2, shares[0].value}.String(), share{id, 1, 1, shares[0].value}.String()} {
		if s, err := parseShare(text); err == nil {
			t.Errorf("%q was read as %+v", text, s)
		}
	}
}
