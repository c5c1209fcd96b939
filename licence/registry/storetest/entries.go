package storetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"elicence/audit"
	"elicence/crypto/pki"
	"elicence/licence"
	"elicence/licence/registry"
)

// accessLog is a log over a backend, with a clock that a test moves.
type accessLog struct {
	*audit.Log
	policy *audit.Policy
	now    time.Time
}

func openLog(t *testing.T, b Backend, id string) *accessLog {
	t.Helper()
	key, err := pki.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	l := &accessLog{now: base}
	signer := audit.Signer{Name: id, Key: key}
	l.Log, err = audit.Open(t.Context(), audit.Config{LogID: id, Storage: b, Signer: signer, Now: func() time.Time { return l.now }, Rand: rand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	vkey, err := signer.VerifierKey()
	if err != nil {
		t.Fatal(err)
	}
	if l.policy, err = audit.NewPolicy(vkey); err != nil {
		t.Fatal(err)
	}
	return l
}

// about is the n-th entry of a log in which principals, actions, objects, cases and
// holders each come back at their own pace. A principal is called like a case.
func about(n int) audit.Entry {
	e := audit.Entry{
		Principal: fmt.Sprint("p", n%3), Action: audit.Action(fmt.Sprint("a", n%5)), Object: string(identifier(n % 7)), Result: audit.ResultAllowed,
	}
	if n%4 != 0 {
		e.Case = fmt.Sprint("p", n%4)
	}
	if n%6 != 0 {
		e.Personal = map[string]string{audit.PersonalHolderCodeType: "111", audit.PersonalHolderCode: fmt.Sprint("h", n%6), "operator": "p1"}
	}
	return e
}

const minutes = 240 // entries of a filled log, one a minute

// fill appends them, several at once where they are of one minute.
func (l *accessLog) fill(t *testing.T) {
	t.Helper()
	for n := range minutes {
		l.now = after(time.Duration(n) * time.Minute)
		e := about(n)
		if _, err := l.Append(t.Context(), &e, nil); err != nil {
			t.Fatal(err)
		}
	}
}

// keyCases are queries with what answers them.
var keyCases = []struct {
	name string
	keys []audit.Key
	ok   func(n int) bool
}{
	{"everything", nil, func(int) bool { return true }},
	{"principal", []audit.Key{{Kind: audit.KeyPrincipal, Value: "p1"}}, func(n int) bool { return n%3 == 1 }},
	{"action", []audit.Key{{Kind: audit.KeyAction, Value: "a3"}}, func(n int) bool { return n%5 == 3 }},
	{"object", []audit.Key{{Kind: audit.KeyObject, Value: string(identifier(2))}}, func(n int) bool { return n%7 == 2 }},
	{"case", []audit.Key{{Kind: audit.KeyCase, Value: "p1"}}, func(n int) bool { return n%4 == 1 }},
	{"holder", []audit.Key{audit.HolderKey("111", "h2")}, func(n int) bool { return n%6 == 2 }},
	{"holder of another code type", []audit.Key{audit.HolderKey("001", "h2")}, func(int) bool { return false }},
	{"an operator is no key", []audit.Key{{Kind: "operator", Value: "p1"}}, func(int) bool { return false }},
	{"unknown object", []audit.Key{{Kind: audit.KeyObject, Value: "x"}}, func(int) bool { return false }},
	{"two", []audit.Key{{Kind: audit.KeyPrincipal, Value: "p0"}, {Kind: audit.KeyAction, Value: "a1"}}, func(n int) bool { return n%3 == 0 && n%5 == 1 }},
	{"three", []audit.Key{{Kind: audit.KeyPrincipal, Value: "p0"}, {Kind: audit.KeyCase, Value: "p3"}, {Kind: audit.KeyObject, Value: string(identifier(6))}},
		func(n int) bool { return n%3 == 0 && n%4 == 3 && n%7 == 6 }},
	{"two that never meet", []audit.Key{{Kind: audit.KeyPrincipal, Value: "p0"}, {Kind: audit.KeyPrincipal, Value: "p1"}}, func(int) bool { return false }},
}

// testLogSearch compares every search with a walk over the whole log, page by page.
func testLogSearch(t *testing.T, b Backend) {
	other := openLog(t, b, "other/log")
	other.fill(t)
	l := openLog(t, b, "a/log")
	l.fill(t)
	// Entries keep microseconds.
	minute := func(n int) time.Time { return after(time.Duration(n) * time.Minute).Truncate(time.Microsecond) }
	for _, c := range keyCases {
		for _, span := range []struct {
			name     string
			from, to time.Time
			low, end int
			below    uint64
		}{
			{"always", time.Time{}, time.Time{}, 0, minutes, minutes},
			{"since", minute(100), time.Time{}, 100, minutes, minutes},
			{"until", time.Time{}, minute(77), 0, 77, minutes},
			{"between", minute(50).Add(time.Second), minute(90), 51, 90, minutes},
			{"never", minute(500), time.Time{}, 0, 0, minutes},
			{"below", time.Time{}, time.Time{}, 0, 33, 33},
			{"nothing below", time.Time{}, time.Time{}, 0, 0, 0},
		} {
			var want []uint64
			for n := span.end - 1; n >= span.low; n-- {
				if c.ok(n) {
					want = append(want, uint64(n))
				}
			}
			q := audit.Query{Keys: c.keys, From: span.from, To: span.to, Below: span.below}
			for _, limit := range []int{1, 7, 1000} {
				if q.Limit = limit; limit == 1 && len(want) > 50 {
					continue
				}
				if diff := cmp.Diff(l.pages(t, q), want); diff != "" {
					t.Errorf("%s, %s, by %d (-got +want):\n%s", c.name, span.name, limit, diff)
				}
			}
		}
	}
}

// pages searches page by page.
func (l *accessLog) pages(t *testing.T, q audit.Query) (indexes []uint64) {
	t.Helper()
	for {
		found, next, err := l.Search(t.Context(), q)
		if err != nil || len(found) > q.Limit {
			t.Fatalf("%d found: %v", len(found), err)
		}
		for _, f := range found {
			if want := about(int(f.Index)); f.Parsed.Entry.Object != want.Object || f.Parsed.Index != f.Index {
				t.Fatalf("entry %d is %+v", f.Index, f.Parsed)
			}
			indexes = append(indexes, f.Index)
		}
		if next == 0 {
			return indexes
		}
		q.Below = next
	}
}

// testKeyed holds Keyed to its limit, its order and its own log.
func testKeyed(t *testing.T, b Backend) {
	l := openLog(t, b, "a/log")
	l.fill(t)
	get := func(logID string, key audit.Key, below uint64, limit int) []uint64 {
		t.Helper()
		indexes, err := b.Keyed(t.Context(), logID, key, below, limit)
		if err != nil {
			t.Fatal(err)
		}
		return indexes
	}
	action := audit.Key{Kind: audit.KeyAction, Value: "a3"}
	for name, c := range map[string]struct{ got, want []uint64 }{
		"newest first": {get("a/log", action, 1<<63, 3), []uint64{238, 233, 228}},
		"below":        {get("a/log", action, 233, 2), []uint64{228, 223}},
		"the last":     {get("a/log", action, 4, 9), []uint64{3}},
		"none below":   {get("a/log", action, 3, 9), nil},
		"another log":  {get("b/log", action, 1<<63, 9), nil},
		"another kind": {get("a/log", audit.Key{Kind: audit.KeyCase, Value: "a3"}, 1<<63, 9), nil},
	} {
		if diff := cmp.Diff(c.got, c.want); diff != "" {
			t.Errorf("%s (-got +want):\n%s", name, diff)
		}
	}
	// A transaction that is undone leaves no key.
	e := about(3)
	e.Action = "undone"
	if _, err := l.Append(t.Context(), &e, func(audit.Tx) error { return context.Canceled }); err == nil {
		t.Error("appended")
	}
	if got := get("a/log", audit.Key{Kind: audit.KeyAction, Value: "undone"}, 1<<63, 1); got != nil {
		t.Errorf("keys of an undone entry: %v", got)
	}
	// Those of a batch have theirs, in any order of callers.
	var callers sync.WaitGroup
	for range 50 {
		callers.Go(func() {
			e := audit.Entry{Principal: "batch", Action: "b", Result: audit.ResultAllowed}
			if _, err := l.Append(t.Context(), &e, nil); err != nil {
				t.Error(err)
			}
		})
	}
	callers.Wait()
	if got := get("a/log", audit.Key{Kind: audit.KeyPrincipal, Value: "batch"}, 1<<63, 100); len(got) != 50 || !slices.IsSortedFunc(got, func(a, b uint64) int { return int(b) - int(a) }) {
		t.Errorf("keys of batches: %v", got)
	}
}

// testErasure erases what entries commit to: it is gone, and so is the way to it, and the
// log verifies as it did.
func testErasure(t *testing.T, b Backend) {
	l := openLog(t, b, "a/log")
	l.fill(t)
	key := audit.HolderKey("111", "h2")
	mine, err := b.Keyed(t.Context(), "a/log", key, minutes, 1000)
	if err != nil || len(mine) != minutes/6 {
		t.Fatalf("%d entries of the holder: %v", len(mine), err)
	}
	before := stored(t, b, "a/log", 0, minutes)
	erased := mine[10:]
	change(t, b, func(tx Tx) error { return tx.EraseOpenings(t.Context(), "a/log", erased, key) })

	for i, row := range stored(t, b, "a/log", 0, minutes) {
		want := before[i]
		if slices.Contains(erased, row.Index) {
			if want.Opening == nil {
				t.Errorf("entry %d had no opening", i)
			}
			want.Opening = nil
		}
		if diff := cmp.Diff(row, want); diff != "" {
			t.Errorf("entry %d (-got +want):\n%s", i, diff)
		}
	}
	left, err := b.Keyed(t.Context(), "a/log", key, minutes, 1000)
	if diff := cmp.Diff(left, mine[:10]); err != nil || diff != "" {
		t.Errorf("found by the holder afterwards: %v\n%s", err, diff)
	}
	object := audit.Key{Kind: audit.KeyObject, Value: about(int(erased[0])).Object}
	if found, err := b.Keyed(t.Context(), "a/log", object, erased[0]+1, 1); err != nil || !slices.Equal(found, erased[:1]) {
		t.Errorf("an erased entry by its object: %v, %v", found, err)
	}
	var export bytes.Buffer
	if err := audit.Export(t.Context(), b, "a/log", 0, 0, false, &export); err != nil {
		t.Fatal(err)
	}
	if s, err := audit.VerifyExport(l.policy, &export); err != nil || s.To != minutes {
		t.Errorf("the log afterwards: %d entries, %v", s.To, err)
	}
	// Once more, and of what has none, changes nothing.
	change(t, b, func(tx Tx) error { return tx.EraseOpenings(t.Context(), "a/log", []uint64{erased[0], 0, 1 << 40}, key) })
}

// testHolds stores holds, prolongs and lifts them.
func testHolds(t *testing.T, b Backend) {
	put := func(h registry.Hold) error {
		return rerun(t.Context(), b, func(tx Tx) error { return tx.PutHold(t.Context(), h) })
	}
	want := func(want ...registry.Hold) {
		t.Helper()
		got, err := b.Holds(t.Context(), "p", "c")
		if diff := cmp.Diff(got, want); err != nil || diff != "" {
			t.Errorf("holds (-got +want): %v\n%s", err, diff)
		}
	}
	want()
	first := registry.Hold{Principal: "p", Case: "c", OrderedBy: "某局", Basis: "某函", PlacedAt: base, Until: after(time.Hour)}
	second, elsewhere := first, first
	second.PlacedAt, second.Until = after(2*time.Hour), after(3*time.Hour)
	elsewhere.Case = "d"
	for _, h := range []registry.Hold{second, first, elsewhere} {
		wantError(t, "placing", put(h), nil)
	}
	want(first, second)
	first.Until, first.Basis = after(90*time.Minute), "另一函"
	wantError(t, "prolonging", put(first), nil)
	want(first, second)
	first.LiftedAt = after(80 * time.Minute)
	wantError(t, "lifting", put(first), nil)
	want(first, second)
	again := first
	again.LiftedAt = time.Time{}
	wantError(t, "placing again what was lifted", put(again), licence.ErrNotFound)
	want(first, second)
}
