package audit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"elicence/audit"

	"github.com/emmansun/gmsm/sm3"
	"github.com/transparency-dev/merkle/proof"
	"pgregory.net/rapid"
)

func TestOpen(t *testing.T) {
	stranger := newSigner(t, logID)
	tests := map[string]struct {
		change func(f *fixture)
		want   error
	}{
		"as it was":            {func(*fixture) {}, nil},
		"last record edited":   {func(f *fixture) { f.storage.rows[9].Record[60] ^= 1 }, audit.ErrForked},
		"record edited":        {func(f *fixture) { f.storage.rows[4].Record[60] ^= 1 }, audit.ErrForked},
		"record not CBOR":      {func(f *fixture) { f.storage.rows[4].Record = []byte{0xff} }, audit.ErrForked},
		"leaf edited":          {func(f *fixture) { f.storage.rows[4].Leaf[0] ^= 1 }, audit.ErrForked},
		"row deleted":          {func(f *fixture) { f.storage.rows = append(f.storage.rows[:4], f.storage.rows[5:]...) }, audit.ErrForked},
		"tail rows deleted":    {func(f *fixture) { f.storage.rows = f.storage.rows[:8] }, audit.ErrBackwards},
		"row beyond":           {func(f *fixture) { r := f.storage.rows[9]; r.Index = 10; f.storage.rows = append(f.storage.rows, r) }, audit.ErrForked},
		"range edited":         {func(f *fixture) { f.storage.heads[9].Range[0][3] ^= 1 }, audit.ErrForked},
		"range cut":            {func(f *fixture) { f.storage.heads[9].Range = f.storage.heads[9].Range[:1] }, audit.ErrForked},
		"range of short hash":  {func(f *fixture) { f.storage.heads[9].Range[1] = []byte{1} }, audit.ErrForked},
		"last leaf edited":     {func(f *fixture) { f.storage.heads[9].LastLeaf[0] ^= 1 }, audit.ErrForked},
		"last record missing":  {func(f *fixture) { f.storage.heads[9].LastRecord = nil }, audit.ErrBackwards},
		"last record of other": {func(f *fixture) { f.storage.heads[9].LastRecord = f.storage.heads[8].LastRecord }, audit.ErrForked},
		"older checkpoint":     {func(f *fixture) { f.storage.heads[9].Checkpoint = f.storage.heads[8].Checkpoint }, audit.ErrForked},
		"head behind checkpoint": {func(f *fixture) {
			h := f.storage.heads[8]
			h.Checkpoint = f.storage.heads[9].Checkpoint
			f.storage.heads[9] = h
		}, audit.ErrBackwards},
		"checkpoint missing": {func(f *fixture) { f.storage.heads[9].Checkpoint = nil }, audit.ErrForked},
		"another log's key":  {func(f *fixture) { f.config.Signer = stranger }, audit.ErrForked},
		"last row replaced, consistently but for the root": {func(f *fixture) {
			f.storage.rows[9].Record = append([]byte{}, f.storage.rows[9].Record...)
			f.storage.rows[9].Record[60] ^= 1
			f.storage.rows[9].Leaf = audit.LeafHash(f.storage.rows[9].Record)
			f.storage.heads[9].LastLeaf = f.storage.rows[9].Leaf
			f.storage.heads[9].LastRecord = f.storage.rows[9].Record
		}, audit.ErrForked},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			mustAppend(t, f.log, 10)
			tt.change(f)
			l, err := audit.Open(t.Context(), f.config)
			if !errors.Is(err, tt.want) || (l == nil) != (tt.want != nil) {
				t.Errorf("got %v, %v, want %v", l, err, tt.want)
			}
		})
	}
}

// TestOpenKnown compares a log with a checkpoint kept outside its storage.
func TestOpenKnown(t *testing.T) {
	f := newFixture(t)
	receipts := mustAppend(t, f.log, 10)
	other := newFixture(t)
	other.config.Signer = f.config.Signer // the same key over another content
	other.config.Now = func() time.Time { return start.Add(time.Second) }
	other.log = other.mustOpen(t)
	foreign := mustAppend(t, other.log, 12)
	tests := map[string]struct {
		known []byte
		size  int // what is left of the storage
		want  error
	}{
		"newest":            {receipts[9].Checkpoint, 10, nil},
		"older":             {receipts[4].Checkpoint, 10, nil},
		"oldest":            {receipts[0].Checkpoint, 10, nil},
		"backup restored":   {receipts[9].Checkpoint, 7, audit.ErrBackwards},
		"emptied":           {receipts[9].Checkpoint, 0, audit.ErrBackwards},
		"forked, same size": {foreign[9].Checkpoint, 10, audit.ErrForked},
		"forked, older":     {foreign[4].Checkpoint, 10, audit.ErrForked},
		"forked, newer":     {foreign[11].Checkpoint, 10, audit.ErrBackwards},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			config := f.config
			config.Storage = &memStorage{rows: f.storage.rows[:tt.size], heads: f.storage.heads[:tt.size]}
			config.Known = []audit.Known{{From: "somebody", Checkpoint: tt.known}}
			if _, err := audit.Open(t.Context(), config); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
	config := f.config
	config.Known = []audit.Known{{From: "somebody", Checkpoint: []byte("no note")}}
	if _, err := audit.Open(t.Context(), config); err == nil {
		t.Error("opened with a known checkpoint that is none")
	}
}

// TestOpenLong opens a log longer than the tail that is recomputed.
// raced is a storage to which another process appends once its head was read.
type raced struct {
	*memStorage
	once   sync.Once
	append func()
}

func (r *raced) Head(ctx context.Context, logID string) (audit.Head, error) {
	head, err := r.memStorage.Head(ctx, logID)
	r.once.Do(r.append)
	return head, err
}

// TestOpenBesideAnother: what another process appends while the log is opened is none
// of the entries that no checkpoint covers.
func TestOpenBesideAnother(t *testing.T) {
	f := newFixture(t)
	mustAppend(t, f.log, 3)
	cfg := f.config
	cfg.Storage = &raced{memStorage: f.storage, append: func() { mustAppend(t, f.log, 2) }}
	l, err := audit.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	mustAppend(t, l, 1)
	f.mustVerify(t, 6)
}

func TestOpenLong(t *testing.T) {
	f := newFixture(t)
	receipts := mustAppend(t, f.log, 6000)
	f.mustOpen(t)
	f.config.Known = []audit.Known{{From: "somebody", Checkpoint: receipts[100].Checkpoint}}
	f.mustOpen(t)
	f.storage.rows[5000].Record[60] ^= 1
	if _, err := audit.Open(t.Context(), f.config); !errors.Is(err, audit.ErrForked) {
		t.Errorf("entry of the tail edited: %v", err)
	}
}

func TestOpenConfig(t *testing.T) {
	f := newFixture(t)
	tests := map[string]func(*audit.Config){
		"no storage":         func(c *audit.Config) { c.Storage = nil },
		"no clock":           func(c *audit.Config) { c.Now = nil },
		"no randomness":      func(c *audit.Config) { c.Rand = nil },
		"no key":             func(c *audit.Config) { c.Signer.Key = nil },
		"signer named apart": func(c *audit.Config) { c.Signer.Name = "other" },
		"negative batch":     func(c *audit.Config) { c.MaxBatch = -1 },
		"id with a space":    func(c *audit.Config) { c.LogID, c.Signer.Name = "a b", "a b" },
		"id with a newline":  func(c *audit.Config) { c.LogID, c.Signer.Name = "a\nb", "a\nb" },
		"id with a plus":     func(c *audit.Config) { c.LogID, c.Signer.Name = "a+b", "a+b" },
		"empty id":           func(c *audit.Config) { c.LogID, c.Signer.Name = "", "" },
	}
	for name, spoil := range tests {
		config := f.config
		spoil(&config)
		if l, err := audit.Open(t.Context(), config); err == nil || l != nil {
			t.Errorf("%s: opened", name)
		}
	}
}

// hasher is SM3 in RFC 6962's shape, written apart from the code under test.
type hasher struct{}

func (hasher) Size() int         { return 32 }
func (hasher) EmptyRoot() []byte { s := sm3.Sum(nil); return s[:] }
func (hasher) HashLeaf(record []byte) []byte {
	s := sm3.Sum([]byte("\x00" + string(record)))
	return s[:]
}
func (hasher) HashChildren(l, r []byte) []byte {
	s := sm3.Sum([]byte("\x01" + string(l) + string(r)))
	return s[:]
}

// root computes a tree's root by the definition of RFC 6962 §2.1.
func root(leaves [][]byte) []byte {
	switch n := len(leaves); n {
	case 0:
		return hasher{}.EmptyRoot()
	case 1:
		return leaves[0]
	default:
		k := 1
		for k*2 < n {
			k *= 2
		}
		return hasher{}.HashChildren(root(leaves[:k]), root(leaves[k:]))
	}
}

// TestProofs takes proofs between any sizes of logs whose nodes are all stored, or only
// the later ones, as they are older than the storing of nodes, or none.
func TestProofs(t *testing.T) {
	for _, batch := range []int{1, 7, provable} { // entries from one stored checkpoint to the next
		for _, lost := range []uint64{0, 300, provable} { // the nodes of so many entries are not stored
			t.Run(fmt.Sprintf("%d/%d", batch, lost), func(t *testing.T) { checkProofs(t, batch, lost) })
		}
	}
}

const provable = 700

func checkProofs(t *testing.T, batch int, lost uint64) {
	f := newFixture(t)
	mustAppend(t, f.log, provable)
	f.storage.nodes = slices.DeleteFunc(f.storage.nodes, func(n audit.Node) bool {
		_, end := n.Coverage()
		return end <= lost
	})
	if stored := len(f.storage.nodes); (stored > 0) != (lost < provable) {
		t.Fatalf("%d nodes are stored", stored)
	}
	var leaves [][]byte
	for _, row := range f.storage.rows {
		leaves = append(leaves, hasher{}.HashLeaf(row.Record))
	}
	all := slices.Clone(f.storage.heads)
	f.storage.heads = slices.DeleteFunc(f.storage.heads, func(h audit.Head) bool { return h.Size%uint64(batch) != 0 })
	rapid.Check(t, func(t *rapid.T) {
		to := rapid.Uint64Range(1, provable).Draw(t, "to")
		from := rapid.Uint64Range(0, to).Draw(t, "from")
		index := rapid.Uint64Range(0, to-1).Draw(t, "index")
		c, _, err := f.policy.OpenCheckpoint(all[to-1].Checkpoint)
		if err != nil || c.Size != to || string(c.RootHash[:]) != string(root(leaves[:to])) {
			t.Fatalf("checkpoint %+v: %v", c, err)
		}
		p, err := f.log.InclusionProof(t.Context(), index, to)
		if err != nil {
			t.Fatal(err)
		}
		if err := proof.VerifyInclusion(hasher{}, index, to, leaves[index], p, c.RootHash[:]); err != nil {
			t.Fatal(err)
		}
		record := f.storage.rows[index].Record
		if r, err := c.Includes(record, p); err != nil || r.Index != index {
			t.Fatalf("%+v, %v", r, err)
		}
		for i := range p { // one bit of any node, and the proof is none
			p[i] = bytes.Clone(p[i]) // it may be the storage's
			p[i][int(index)%32] ^= 1
			_, err := c.Includes(record, p)
			if proof.VerifyInclusion(hasher{}, index, to, leaves[index], p, c.RootHash[:]) == nil || !errors.Is(err, audit.ErrNotIncluded) {
				t.Fatal("a damaged inclusion proof verifies")
			}
			p[i][int(index)%32] ^= 1
		}
		for _, wrong := range [][][]byte{append(slices.Clone(p), make([]byte, 32)), append(slices.Clone(p), nil), p[:len(p)-min(len(p), 1)]} {
			if _, err := c.Includes(record, wrong); len(wrong) != len(p) && !errors.Is(err, audit.ErrNotIncluded) {
				t.Fatalf("a proof of %d hashes instead of %d: %v", len(wrong), len(p), err)
			}
		}
		p, err = f.log.ConsistencyProof(t.Context(), from, to)
		if err != nil {
			t.Fatal(err)
		}
		if err := proof.VerifyConsistency(hasher{}, from, to, p, root(leaves[:from]), c.RootHash[:]); err != nil {
			t.Fatal(err)
		}
		checkConsistency(t, audit.Checkpoint{Size: from, RootHash: [32]byte(root(leaves[:from]))}, c, p)
	})
}

// checkConsistency takes a good proof for good, and none that differs.
func checkConsistency(t *rapid.T, older, newer audit.Checkpoint, p [][]byte) {
	if err := audit.VerifyConsistency(older, newer, p); err != nil {
		t.Fatal(err)
	}
	bad := func(what string, older, newer audit.Checkpoint, p [][]byte) {
		if err := audit.VerifyConsistency(older, newer, p); !errors.Is(err, audit.ErrBadProof) {
			t.Fatalf("%s: %v", what, err)
		}
	}
	bad("a hash too many", older, newer, append(slices.Clone(p), make([]byte, 32)))
	other := newer
	other.RootHash[older.Size%32] ^= 1
	if older.Size > 0 {
		bad("another root", older, other, p)
		other, smaller := older, newer
		other.RootHash[newer.Size%32] ^= 1
		bad("another old root", other, newer, p)
		smaller.Size = older.Size - 1
		bad("smaller", older, smaller, p)
	}
	if len(p) == 0 {
		return
	}
	bad("a hash too few", older, newer, p[1:])
	i := int(newer.Size) % len(p)
	longer := slices.Clone(p)
	longer[i] = append(slices.Clone(p[i]), 0)
	bad("a longer hash", older, newer, longer)
	p[i] = bytes.Clone(p[i]) // it may be the storage's
	p[i][older.Size%32] ^= 1
	bad("one bit flipped", older, newer, p)
}

// TestEmptyCheckpoint: the empty tree has one root.
func TestEmptyCheckpoint(t *testing.T) {
	empty := audit.Checkpoint{RootHash: sm3.Sum(nil)}
	if err := audit.VerifyConsistency(audit.Checkpoint{}, empty, nil); err != nil {
		t.Error(err)
	}
	empty.RootHash[0] ^= 1
	if err := audit.VerifyConsistency(audit.Checkpoint{}, empty, nil); !errors.Is(err, audit.ErrBadProof) {
		t.Errorf("another root: %v", err)
	}
}

func TestProofsOutOfRange(t *testing.T) {
	f := newFixture(t)
	mustAppend(t, f.log, 5)
	for _, r := range [][2]uint64{{5, 5}, {6, 5}, {0, 0}, {0, 6}, {3, 1 << 20}} {
		if _, err := f.log.InclusionProof(t.Context(), r[0], r[1]); !errors.Is(err, audit.ErrOutOfRange) {
			t.Errorf("inclusion %v: %v", r, err)
		}
	}
	for _, r := range [][2]uint64{{5, 4}, {0, 6}, {3, 6}} {
		if _, err := f.log.ConsistencyProof(t.Context(), r[0], r[1]); !errors.Is(err, audit.ErrOutOfRange) {
			t.Errorf("consistency %v: %v", r, err)
		}
	}
	if _, err := f.log.InclusionProof(t.Context(), 0, 1<<40); !errors.Is(err, audit.ErrOutOfRange) {
		t.Errorf("enormous tree: %v", err)
	}
	f.storage.rows = slices.Delete(f.storage.rows, 1, 2)
	if _, err := f.log.InclusionProof(t.Context(), 0, 5); !errors.Is(err, audit.ErrForked) {
		t.Errorf("row missing: %v", err)
	}
	f.storage.heads = f.storage.heads[4:]
	if _, err := f.log.InclusionProof(t.Context(), 4, 5); !errors.Is(err, audit.ErrForked) {
		t.Errorf("row missing below a checkpoint: %v", err)
	}
}

// TestFind looks for entries in a log whose times stand still, jump, and stand still.
func TestFind(t *testing.T) {
	f := newFixture(t)
	if _, err := f.log.Find(t.Context(), start, func(*audit.Record) bool { return true }); !errors.Is(err, audit.ErrNoEntry) {
		t.Errorf("empty log: %v", err)
	}
	clock := start
	f.config.Now = func() time.Time { return clock }
	f.log = f.mustOpen(t)
	for i := range 30 {
		clock = start.Add(time.Duration(i/10) * time.Second)
		if _, err := f.log.Append(t.Context(), newEntry(i), nil); err != nil {
			t.Fatal(err)
		}
	}
	object := func(i int) func(*audit.Record) bool {
		return func(r *audit.Record) bool { return r.Entry.Object == newEntry(i).Object }
	}
	second := func(n int) time.Time { return start.Add(time.Duration(n) * time.Second) }
	for _, c := range []struct {
		since time.Time
		look  int
		want  bool
	}{
		{second(-5), 0, true}, {second(0), 9, true}, {second(1), 9, false}, {second(1), 10, true}, {second(1), 29, true},
		{second(1).Add(time.Microsecond), 19, false}, {second(2), 20, true}, {second(2), 19, false}, {second(3), 29, false}, {second(0), 30, false},
	} {
		row, err := f.log.Find(t.Context(), c.since, object(c.look))
		if found := err == nil; found != c.want || found && row.Index != uint64(c.look) || !found && !errors.Is(err, audit.ErrNoEntry) {
			t.Errorf("entry %d since %s: %d, %v", c.look, c.since, row.Index, err)
		}
	}
	if row, err := f.log.Entry(t.Context(), 29); err != nil || row.Index != 29 || audit.LeafHash(row.Record) != row.Leaf {
		t.Errorf("%+v, %v", row, err)
	}
	if _, err := f.log.Entry(t.Context(), 30); !errors.Is(err, audit.ErrNoEntry) {
		t.Error(err)
	}
	f.storage.rows[14].Record = []byte{0x90}
	if _, err := f.log.Find(t.Context(), second(0), object(20)); !errors.Is(err, audit.ErrForked) {
		t.Errorf("damaged record: %v", err)
	}
}

func TestCheckpoint(t *testing.T) {
	f := newFixture(t)
	if _, err := f.log.Checkpoint(t.Context()); !errors.Is(err, audit.ErrNoCheckpoint) {
		t.Errorf("empty log: %v", err)
	}
	receipts := mustAppend(t, f.log, 3)
	got, err := f.log.Checkpoint(t.Context())
	if err != nil || string(got) != string(receipts[2].Checkpoint) || !strings.HasPrefix(string(got), logID+"\n3\n") {
		t.Errorf("got %q, %v", got, err)
	}
}
