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

// disaster is a log of ten entries, cosigned at nine, of which seven are left. Its first
// three entries appoint approvers, of whom the fourth entry dismisses the third.
type disaster struct {
	*fixture
	left      *memStorage
	witness   audit.Signer
	policy    *audit.Policy // of the log with its witness
	approvers []audit.Signer
	witnessed []audit.Known
	known     []audit.Known
	next      audit.Signer
}

const left = 7

func newDisaster(t *testing.T) *disaster {
	t.Helper()
	d := &disaster{fixture: newFixture(t), witness: newSigner(t, "w.example"), next: newSigner(t, "log.example/next")}
	for _, name := range []string{"张三", "li.si", "wang.wu"} {
		d.approvers = append(d.approvers, newSigner(t, name))
	}
	for _, a := range d.approvers {
		d.mustEnter(t, audit.ActionAppoint, approverKey(t, a))
	}
	d.mustEnter(t, audit.ActionDismiss, approverKey(t, d.approvers[2]))
	mustAppend(t, d.log, 6)
	d.left = d.storage.upTo(left)
	key, err := d.witness.WitnessKey()
	must(t, err)
	d.policy, err = mustPolicy(t, d.config.Signer, d.next).WithWitness("w", key, 1)
	must(t, err)
	d.witnessed = []audit.Known{{From: "witness w", Checkpoint: d.cosigned(t, d.storage.heads[8].Checkpoint)}}
	d.known = []audit.Known{{From: "file", Checkpoint: d.storage.heads[9].Checkpoint}}
	return d
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func approverKey(t testing.TB, s audit.Signer) string {
	t.Helper()
	key, err := s.ApproverKey()
	must(t, err)
	return key
}

func (d *disaster) cosigned(t testing.TB, signed []byte) []byte {
	t.Helper()
	cosigned, err := audit.Cosign(rand.Reader, d.witness, signed, start)
	must(t, err)
	return cosigned
}

func (f *fixture) mustEnter(t testing.TB, action audit.Action, object string) {
	t.Helper()
	_, err := f.log.Append(t.Context(), &audit.Entry{Principal: "system", Action: action, Object: object, Result: audit.ResultAllowed}, nil)
	must(t, err)
}

// upTo is the storage as it was at a size.
func (s *memStorage) upTo(size int) *memStorage {
	older := newMemStorage()
	older.rows, older.heads = slices.Clone(s.rows[:size]), slices.Clone(s.heads[:size])
	for _, n := range s.nodes {
		if (n.Index+1)<<n.Level <= uint64(size) {
			older.nodes = append(older.nodes, n)
		}
	}
	return older
}

// examine examines a storage.
func (d *disaster) examine(t testing.TB, s *memStorage, witnessed, known []audit.Known) (audit.Remains, error) {
	c := d.config
	c.Storage, c.Known = s, known
	return audit.ExamineRemains(t.Context(), c, witnessed)
}

// declared is the declaration, and the note that two approvers have signed.
func (d *disaster) declared(t testing.TB, signers ...audit.Signer) (audit.Succession, []byte) {
	t.Helper()
	r, err := d.examine(t, d.left, d.witnessed, d.known)
	must(t, err)
	vkey, err := d.next.VerifierKey()
	must(t, err)
	s := audit.Succession{Origin: logID, Recovered: r.Recovered, Witnessed: r.Witnessed, Last: r.Last, Successor: vkey, Skip: 3, Reason: "机房起火，磁盘全毁"}
	signed, err := s.Draft(rand.Reader, d.config.Signer)
	must(t, err)
	for _, person := range signers {
		signed, err = audit.Approve(rand.Reader, person, signed)
		must(t, err)
	}
	return s, signed
}

// approved are the approvals of the first two approvers.
func (d *disaster) approved(t testing.TB) (audit.Succession, []audit.Approval) {
	t.Helper()
	s, signed := d.declared(t, d.approvers[:2]...)
	got, approvals, err := audit.OpenSuccession(signed, d.remaining(t))
	must(t, err)
	if got != s || len(approvals) != 2 || approvals[0].Name() != "张三" {
		t.Fatalf("got %+v by %v", got, approvals)
	}
	return s, approvals
}

func (d *disaster) remaining(t testing.TB) audit.Approvers {
	t.Helper()
	r, err := d.examine(t, d.left, d.witnessed, d.known)
	must(t, err)
	return r.Approvers
}

func TestExamineRemains(t *testing.T) {
	d := newDisaster(t)
	r, err := d.examine(t, d.left, d.witnessed, d.known)
	must(t, err)
	if r.Recovered.Size != left || r.Witnessed.Size != 9 || r.Last.Size != 10 || len(r.Approvers.Keys()) != 2 {
		t.Errorf("%+v", r)
	}
	fork := newFixture(t)
	fork.config.Signer = d.config.Signer
	fork.log = fork.mustOpen(t)
	mustAppend(t, fork.log, 12)
	other := func(size int) []audit.Known {
		return []audit.Known{{From: "other", Checkpoint: fork.storage.heads[size-1].Checkpoint}}
	}
	stranger := newFixture(t)
	mustAppend(t, stranger.log, 1)
	altered, lacking, headless := d.left.upTo(left), d.left.upTo(left), d.left.upTo(left)
	altered.rows[2].Record = altered.rows[3].Record
	lacking.rows = slices.Delete(lacking.rows, 2, 3)
	headless.heads = headless.heads[:5]
	for _, tt := range []struct {
		name             string
		s                *memStorage
		witnessed, known []audit.Known
		want             error
	}{
		{"nothing known", d.left, nil, nil, audit.ErrNothingLost},
		{"nothing lost", d.storage, d.witnessed, d.known, audit.ErrNothingLost},
		{"known as far as what is left", d.left, nil, []audit.Known{{From: "file", Checkpoint: d.left.heads[6].Checkpoint}}, audit.ErrNothingLost},
		{"went on differently", d.left, other(5), d.known, audit.ErrForked},
		{"differs at the end", d.left, other(left), d.known, audit.ErrForked},
		{"two histories of what is lost", d.left, d.witnessed, append(d.known, other(9)...), audit.ErrForked},
		{"a row altered", altered, d.witnessed, d.known, audit.ErrForked},
		{"a row lost", lacking, d.witnessed, d.known, audit.ErrForked},
		{"rows beyond the checkpoint", headless, d.witnessed, d.known, audit.ErrForked},
		{"a checkpoint by another key", d.left, d.witnessed, []audit.Known{{From: "x", Checkpoint: stranger.storage.heads[0].Checkpoint}}, audit.ErrBadSignature},
	} {
		if _, err := d.examine(t, tt.s, tt.witnessed, tt.known); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
}

// TestApprovals is a table of who has signed a declaration.
func TestApprovals(t *testing.T) {
	d := newDisaster(t)
	approvers := d.remaining(t)
	stranger, namesake := newSigner(t, "mallory"), newSigner(t, "li.si")
	for _, tt := range []struct {
		name    string
		signers []audit.Signer
		want    error
	}{
		{"nobody", nil, audit.ErrNotApproved},
		{"one", d.approvers[:1], audit.ErrNotApproved},
		{"one and a stranger", []audit.Signer{d.approvers[0], stranger}, audit.ErrNotApproved},
		{"one and who was dismissed", []audit.Signer{d.approvers[0], d.approvers[2]}, audit.ErrNotApproved},
		{"one and a namesake of the other", []audit.Signer{d.approvers[0], namesake}, audit.ErrNotApproved},
		{"two", d.approvers[:2], nil},
		{"two, and a stranger between them", []audit.Signer{d.approvers[1], stranger, d.approvers[0]}, nil},
	} {
		_, signed := d.declared(t, tt.signers...)
		if _, _, err := audit.OpenSuccession(signed, approvers); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
	_, signed := d.declared(t, d.approvers[0])
	if _, err := audit.Approve(rand.Reader, d.approvers[0], signed); err == nil {
		t.Error("one person signed twice")
	}
	if _, err := audit.Approve(rand.Reader, d.approvers[0], d.storage.heads[0].Checkpoint); err == nil {
		t.Error("an approver signed what is no declaration")
	}
	twice, err := d.approvers[0].ApproverKey()
	must(t, err)
	renamed := approverKey(t, audit.Signer{Name: "other", Key: d.approvers[0].Key})
	witness, err := d.witness.WitnessKey()
	must(t, err)
	for _, vkey := range []string{twice, renamed, approverKey(t, namesake), witness, "", "x+y+z"} {
		if _, err := approvers.Admit(vkey); err == nil {
			t.Errorf("appointed: %s", vkey)
		}
	}
}

// TestApprovedEveryByte: with any byte of a declaration changed, or of an approver's
// signature, it is not approved.
func TestApprovedEveryByte(t *testing.T) {
	d := newDisaster(t)
	approvers := d.remaining(t)
	_, signed := d.declared(t, d.approvers[:2]...)
	signature := bytes.Index(signed, []byte("\n\n")) + 2
	own := signature + bytes.IndexByte(signed[signature:], '\n') // of the log, which the approvers do not need
	for i := range signed {
		if i > signature && i < own {
			continue
		}
		changed := slices.Clone(signed)
		changed[i] ^= 1
		if _, _, err := audit.OpenSuccession(changed, approvers); err == nil {
			t.Errorf("byte %d changed, and approved: %q", i, changed)
		}
	}
}

// TestDeclarations: what parses is written the same; what makes no sense does not parse.
func TestDeclarations(t *testing.T) {
	d := newDisaster(t)
	s, _ := d.declared(t)
	text := s.Text()
	if got, err := audit.ParseSuccession(text); err != nil || got != s {
		t.Fatalf("%+v, %v", got, err)
	}
	own, err := d.config.Signer.VerifierKey()
	must(t, err)
	root := strings.Fields(text)[4]
	for name, bad := range map[string]string{
		"nothing":               "",
		"another version":       strings.Replace(text, "/1\n", "/2\n", 1),
		"a line more":           text + "x\n",
		"a line less":           strings.Replace(text, "skip 3\n", "", 1),
		"lines exchanged":       strings.Replace(strings.Replace(text, "skip", "reason", 1), "reason", "skip", 2),
		"a leading zero":        strings.Replace(text, "skip 3", "skip 03", 1),
		"nothing recovered":     strings.Replace(text, "recovered 7", "recovered 0", 1),
		"nothing lost":          strings.Replace(text, "recovered 7", "recovered 10", 1),
		"witnessed more":        strings.Replace(text, "witnessed 9", "witnessed 11", 1),
		"witnessed differently": strings.Replace(text, "witnessed 9", "witnessed 10", 1),
		"witnessed nothing":     strings.Replace(text, "witnessed 9", "witnessed 0", 1),
		"no root":               strings.Replace(text, root, "AAAA", 1),
		"its own successor":     strings.Replace(text, s.Successor, own, 1),
		"no successor":          strings.Replace(text, s.Successor, "x", 1),
		"an approver succeeds":  strings.Replace(text, s.Successor, approverKey(t, d.approvers[0]), 1),
		"no reason":             strings.Replace(text, s.Reason, "", 1),
		"a long reason":         strings.Replace(text, s.Reason, strings.Repeat("r", 513), 1),
		"a bell":                strings.Replace(text, s.Reason, "\a", 1),
		"negative":              strings.Replace(text, "skip 3", "skip -3", 1),
		"far too many":          strings.Replace(text, "skip 3", "skip 18446744073709551615", 1),
	} {
		if _, err := audit.ParseSuccession(bad); err == nil {
			t.Errorf("%s: parsed", name)
		}
	}
	s.Reason = ""
	if _, err := s.Draft(rand.Reader, d.config.Signer); err == nil {
		t.Error("drawn up without a reason")
	}
}

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
