package audit_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"elicence/audit"
)

// successor begins the next log, and returns its export, cosigned.
func (d *disaster) successor(t testing.TB, entries []audit.Entry) []byte {
	t.Helper()
	f := &fixture{storage: newMemStorage(), config: d.config}
	f.config.LogID, f.config.Storage, f.config.Signer = d.next.Name, f.storage, d.next
	f.log = f.mustOpen(t)
	for _, e := range entries {
		_, err := f.log.Append(t.Context(), &e, nil)
		must(t, err)
	}
	mustAppend(t, f.log, 2)
	head := f.storage.last()
	must(t, f.log.PutCosigned(t.Context(), d.cosigned(t, head.Checkpoint)))
	return exported(t, f.storage, d.next.Name, 0, head.Size)
}

func exported(t testing.TB, s *memStorage, id string, from, to uint64) []byte {
	t.Helper()
	var b bytes.Buffer
	must(t, audit.Export(t.Context(), s, id, from, to, true, &b))
	return b.Bytes()
}

// TestSuccession: a successor's export says what it succeeds; with that of the log before
// it, what is lost, which is less when somebody has kept more.
func TestSuccession(t *testing.T) {
	d := newDisaster(t)
	s, approvals := d.approved(t)
	export := d.successor(t, audit.SuccessionEntries(s, approvals))
	if _, err := audit.VerifyExport(d.policy, bytes.NewReader(export)); err != nil {
		t.Fatal(err)
	}
	found, err := audit.FindSuccession(d.policy, bytes.NewReader(export))
	must(t, err)
	if found == nil || found.Succession != s || len(found.Approvals) != 2 || !found.At.Equal(start.Truncate(1000)) {
		t.Fatalf("%+v", found)
	}
	remains := exported(t, d.left, logID, 0, left)
	if _, err := audit.VerifyExport(d.policy, bytes.NewReader(remains)); !errors.Is(err, audit.ErrNoQuorum) {
		t.Errorf("no witness has cosigned it: %v", err)
	}
	if sum, err := found.VerifyRecovered(d.policy, bytes.NewReader(remains)); err != nil || sum.To != left {
		t.Errorf("%+v, %v", sum, err)
	}
	d.left.cosigned = []audit.Cosigned{{Size: 4, Checkpoint: d.cosigned(t, d.left.heads[3].Checkpoint)}}
	must(t, d.log.PutCosigned(t.Context(), d.witnessed[0].Checkpoint)) // what an auditor had mirrored
	must(t, d.log.PutCosigned(t.Context(), d.cosigned(t, d.known[0].Checkpoint)))
	mirrored := exported(t, d.storage, logID, 0, 9)
	whole := exported(t, d.storage, logID, 0, 10)
	for _, tt := range []struct {
		name     string
		exports  [][]byte
		from, to uint64
	}{
		{"what is left", [][]byte{remains}, 7, 10},
		{"what is left, in two parts", [][]byte{exported(t, d.left, logID, 0, 4), exported(t, d.left, logID, 4, left)}, 7, 10},
		{"what was mirrored", [][]byte{mirrored}, 9, 10},
		{"all, found again", [][]byte{whole}, 10, 10},
	} {
		from, to, err := found.Loss(readers(tt.exports)...)
		if err != nil || from != tt.from || to != tt.to {
			t.Errorf("%s: [%d, %d), %v; want [%d, %d)", tt.name, from, to, err, tt.from, tt.to)
		}
		if got, want := d.pythonSuccession(t, export, tt.exports...), fmt.Sprintf("lost %d %d 张三,li.si", tt.from, tt.to); got != want {
			t.Errorf("%s: Python says %s, want %s", tt.name, got, want)
		}
	}
	if got := d.pythonSuccession(t, mirrored); got != "none" {
		t.Errorf("Python says %s of a log that succeeds none", got)
	}
	if none, err := audit.FindSuccession(d.policy, bytes.NewReader(remains)); none != nil || err != nil {
		t.Errorf("a log that succeeds none: %v, %v", none, err)
	}
}

func readers(exports [][]byte) (all []io.Reader) {
	for _, e := range exports {
		all = append(all, bytes.NewReader(e))
	}
	return all
}

// pythonSuccession is what verify_succession.py says.
func (d *disaster) pythonSuccession(t testing.TB, successor []byte, exports ...[]byte) string {
	t.Helper()
	dir := t.TempDir()
	args := []string{filepath.Join(testdata, "verify_succession.py")}
	for i, content := range append([][]byte{d.policy.Marshal(), successor}, exports...) {
		args = append(args, filepath.Join(dir, fmt.Sprint(i)))
		mustWrite(t, args[i+1], content)
	}
	cmd := exec.Command("python3", args...)
	var faults bytes.Buffer
	cmd.Stderr = &faults
	out, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) || faults.Len() > 0 {
		t.Fatalf("verify_succession.py (Debian: apt-get install python3): %v\n%s", err, faults.String())
	}
	return strings.TrimSpace(string(out))
}

// TestBadSuccession is a table of what a successor's first entries must not say, though the
// key of the log signs it and a witness cosigns it.
func TestBadSuccession(t *testing.T) {
	d := newDisaster(t)
	s, approvals := d.approved(t)
	good := audit.SuccessionEntries(s, approvals)
	stranger := newSigner(t, "mallory")
	_, forged := d.declared(t, d.approvers[0], stranger)
	var all audit.Approvers
	for _, signer := range []audit.Signer{d.approvers[0], stranger} {
		all = admitted(t, all, approverKey(t, signer))
	}
	_, strange, err := audit.OpenSuccession(forged, all)
	must(t, err)
	other := s
	other.Recovered.RootHash[0] ^= 1
	edit := func(i int, change func(*audit.Entry)) []audit.Entry {
		entries := slices.Clone(good)
		change(&entries[i])
		return entries
	}
	for name, entries := range map[string][]audit.Entry{
		"no approval":                good[:1],
		"one approval":               good[:2],
		"one approval, twice":        {good[0], good[1], good[1]},
		"approvals of another":       {audit.SuccessionEntries(other, nil)[0], good[1], good[2]},
		"less lost":                  edit(0, func(e *audit.Entry) { e.Matter = strings.Replace(e.Matter, " 10 ", " 9 ", 1) }),
		"another reason":             edit(0, func(e *audit.Entry) { e.Purpose = "r" }),
		"another log":                edit(0, func(e *audit.Entry) { e.Object = "log.example/other" }),
		"refused":                    edit(0, func(e *audit.Entry) { e.Result, e.Code = audit.ResultRefused, "x" }),
		"an approval refused":        edit(1, func(e *audit.Entry) { e.Result, e.Code = audit.ResultRefused, "x" }),
		"a second declaration":       {good[0], good[1], good[2], good[0]},
		"another digest":             edit(0, func(e *audit.Entry) { e.Digest = bytes.Repeat([]byte{1}, 32) }),
		"no checkpoints":             edit(0, func(e *audit.Entry) { e.Matter = "" }),
		"another name of a person":   edit(1, func(e *audit.Entry) { e.Principal = "li.si" }),
		"no key of a person":         edit(1, func(e *audit.Entry) { e.Object = "x" }),
		"no signature":               edit(2, func(e *audit.Entry) { e.Digest = nil }),
		"a signature with a bit off": edit(2, func(e *audit.Entry) { e.Digest = append(slices.Clone(e.Digest[:63]), e.Digest[63]^1) }),
	} {
		export := d.successor(t, entries)
		if _, err := audit.VerifyExport(d.policy, bytes.NewReader(export)); err != nil {
			t.Errorf("%s: the log itself is good, and got %v", name, err)
		}
		if found, err := audit.FindSuccession(d.policy, bytes.NewReader(export)); !errors.Is(err, audit.ErrBadExport) || found != nil {
			t.Errorf("%s: %+v, %v", name, found, err)
		}
		if got := d.pythonSuccession(t, export); !strings.HasPrefix(got, "bad: ") {
			t.Errorf("%s: Python says %s", name, got)
		}
	}

	// These are good in themselves, and contradicted by what is left.
	contradicted := func(name, says string, found *audit.Declared, exports ...[]byte) {
		t.Helper()
		if _, _, err := found.Loss(readers(exports)...); !errors.Is(err, audit.ErrBadExport) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want an error that says %q", name, err, says)
		}
		vouching := d.successor(t, audit.SuccessionEntries(found.Succession, found.Approvals))
		if got := d.pythonSuccession(t, vouching, exports...); !strings.HasPrefix(got, "bad: ") && !strings.HasPrefix(got, "entry ") {
			t.Errorf("%s: Python says %s", name, got)
		}
	}
	find := func(s audit.Succession, approvals []audit.Approval) *audit.Declared {
		t.Helper()
		found, err := audit.FindSuccession(d.policy, bytes.NewReader(d.successor(t, audit.SuccessionEntries(s, approvals))))
		must(t, err)
		return found
	}
	remains := exported(t, d.left, logID, 0, left)
	contradicted("approved by a stranger", "mallory approved it, whom no entry", find(s, strange), remains)
	found := find(s, approvals)
	contradicted("cut further", "these exports end before entry 6", found, exported(t, d.left, logID, 0, 6))
	contradicted("without the beginning", "entry 0 of log.example/city is not in the exports", found, exported(t, d.left, logID, 2, left))
	contradicted("with a gap", "entry 3 of", found, exported(t, d.left, logID, 0, 3), exported(t, d.left, logID, 4, left))
	if _, err := found.VerifyRecovered(d.policy, bytes.NewReader(exported(t, d.left, logID, 0, 6))); !errors.Is(err, audit.ErrNoQuorum) {
		t.Errorf("what is left, cut further: %v", err)
	}
	contradicted("rewritten after the last cosignature", "the first 7 entries", found, d.rewritten(t))
}

func admitted(t testing.TB, a audit.Approvers, vkey string) audit.Approvers {
	t.Helper()
	s := newMemStorage()
	f := &fixture{storage: s}
	f.config = audit.Config{LogID: logID, Storage: s, Signer: newSigner(t, logID), Now: newFixture(t).config.Now, Rand: rand.Reader}
	f.log = f.mustOpen(t)
	keys := append(a.Keys(), vkey)
	for _, key := range keys {
		f.mustEnter(t, audit.ActionAppoint, key)
	}
	got, err := audit.ReadApprovers(t.Context(), s, logID, uint64(len(keys)))
	must(t, err)
	return got
}

// rewritten is the export of a log that holds the same approvers and other entries.
func (d *disaster) rewritten(t testing.TB) []byte {
	t.Helper()
	f := &fixture{storage: newMemStorage(), config: d.config}
	f.config.Storage = f.storage
	f.log = f.mustOpen(t)
	for _, a := range d.approvers[:2] {
		f.mustEnter(t, audit.ActionAppoint, approverKey(t, a))
	}
	mustAppend(t, f.log, 6)
	return exported(t, f.storage, logID, 0, left)
}

// TestSucceed: a log begins as a successor once, in whatever pieces, and no other way.
func TestSucceed(t *testing.T) {
	d := newDisaster(t)
	s, approvals := d.approved(t)
	f := &fixture{storage: newMemStorage(), config: d.config}
	f.config.LogID, f.config.Storage, f.config.Signer = d.next.Name, f.storage, d.next
	f.log = f.mustOpen(t)
	commits := 0
	f.storage.inject = func(step string) fault {
		if step == "commit" {
			if commits++; commits == 2 {
				return fails
			}
		}
		return works
	}
	if err := f.log.Succeed(t.Context(), s, approvals, add("skipped")); !errors.Is(err, errDisk) {
		t.Fatalf("cut short: %v", err)
	}
	for range 2 { // goes on, and has nothing left to do
		must(t, f.log.Succeed(t.Context(), s, approvals, add("skipped")))
	}
	if len(f.storage.rows) != 3 || f.storage.state["skipped"] != 1 {
		t.Errorf("%d entries, numbers skipped %d times", len(f.storage.rows), f.storage.state["skipped"])
	}
	other := s
	other.Skip++
	if err := f.log.Succeed(t.Context(), other, approvals, nil); err == nil || !strings.Contains(err.Error(), "entry 0") {
		t.Errorf("begun twice, differently: %v", err)
	}
	if err := d.log.Succeed(t.Context(), s, approvals, nil); err == nil {
		t.Error("a log succeeded itself")
	}
	if got := fmt.Sprint(len(d.storage.rows)); got != "10" {
		t.Errorf("the old log has %s entries", got)
	}
}
