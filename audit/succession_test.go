package audit_test

import (
	"bytes"
	"crypto/rand"
	"errors"
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
