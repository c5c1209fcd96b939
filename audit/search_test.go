package audit_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"elicence/audit"
	"elicence/audit/audittest"
)

// crowd is a log of n entries whose principals and actions never agree, but for entry 7.
func crowd(t *testing.T, n int) *audittest.Log {
	t.Helper()
	l := audittest.New(t, logID, start)
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			for range n / 8 {
				if _, err := l.Append(t.Context(), &audit.Entry{Principal: "p", Action: "a", Case: "c", Result: audit.ResultAllowed}, nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
	callers.Wait()
	return l
}

// TestSearchPauses: a search that finds next to nothing in very much gives back what it
// has and where to go on, and in the end finds all the same.
func TestSearchPauses(t *testing.T) {
	const entries = 48_000
	l := crowd(t, entries)
	q := audit.Query{Below: entries, Limit: 10, Hidden: func(r *audit.Record) (bool, error) { return r.Index != 7, nil }}
	var pauses, looked int
	for q.Below > 0 {
		found, next, err := l.Search(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			if looked++; f.Index != 7 {
				t.Errorf("found entry %d", f.Index)
			}
		}
		if q.Below-next > 25_000 {
			t.Errorf("looked from %d to %d at once", q.Below, next)
		}
		q.Below = next
		pauses++
	}
	if looked != 1 || pauses != 3 {
		t.Errorf("found %d entries in %d searches", looked, pauses)
	}
}

// TestSearchTakesTheShortWay: something rare among very much is found without walking
// through it, whichever of the keys is the rare one.
func TestSearchTakesTheShortWay(t *testing.T) {
	f := newFixture(t)
	for i := range 2000 {
		e := newEntry(i)
		e.Principal, e.Case = "often", ""
		if i%500 == 3 {
			e.Case = "rare"
		}
		if _, err := f.log.Append(t.Context(), e, nil); err != nil {
			t.Fatal(err)
		}
	}
	rare, often := audit.Key{Kind: audit.KeyCase, Value: "rare"}, audit.Key{Kind: audit.KeyPrincipal, Value: "often"}
	for _, keys := range [][]audit.Key{{rare, often}, {often, rare}} {
		f.storage.keyed = 0
		found, next, err := f.log.Search(t.Context(), audit.Query{Keys: keys, Below: 2000, Limit: 10})
		if err != nil || next != 0 || len(found) != 4 || found[0].Index != 1503 || found[3].Index != 3 {
			t.Errorf("%d found, next %d, %v", len(found), next, err)
		}
		if f.storage.keyed > 12 {
			t.Errorf("%d look-ups", f.storage.keyed)
		}
	}
}

// TestSearchErrors: what cannot be read is no answer.
func TestSearchErrors(t *testing.T) {
	f := newFixture(t)
	mustAppend(t, f.log, 10)
	fault := errors.New("fault")
	hidden := func(*audit.Record) (bool, error) { return false, fault }
	if found, _, err := f.log.Search(t.Context(), audit.Query{Below: 10, Limit: 1, Hidden: hidden}); !errors.Is(err, fault) || found != nil {
		t.Errorf("%v, %v", found, err)
	}
	f.storage.rows[5].Record = []byte("not a record")
	for name, q := range map[string]audit.Query{
		"met":             {Below: 10, Limit: 10},
		"met by the time": {Below: 10, Limit: 10, From: start.Add(-time.Hour)},
	} {
		if found, _, err := f.log.Search(t.Context(), q); !errors.Is(err, audit.ErrForked) || found != nil {
			t.Errorf("%s: %v, %v", name, found, err)
		}
	}
	if found, next, err := f.log.Search(t.Context(), audit.Query{Below: 10, Limit: 3}); err != nil || len(found) != 3 || next != 7 {
		t.Errorf("above it: %d found, next %d, %v", len(found), next, err)
	}
}

// TestKeysOfARow: what a stored row is found by.
func TestKeysOfARow(t *testing.T) {
	f := newFixture(t)
	e := newEntry(0)
	e.Personal = map[string]string{audit.PersonalHolderCode: "11010119900307123X", audit.PersonalHolderCodeType: "111", "operator": "张三"}
	if _, err := f.log.Append(t.Context(), e, nil); err != nil {
		t.Fatal(err)
	}
	row := f.storage.rows[0]
	want := fmt.Sprint([]audit.Key{{Kind: audit.KeyPrincipal, Value: e.Principal}, {Kind: audit.KeyAction, Value: "download"}, {Kind: audit.KeyObject, Value: e.Object},
		{Kind: audit.KeyCase, Value: e.Case}, audit.HolderKey("111", "11010119900307123X")})
	if got := fmt.Sprint(row.FindKeys()); got != want {
		t.Errorf("keys %s, want %s", got, want)
	}
	if got := fmt.Sprint(row.Keys); got != want {
		t.Errorf("appended with the keys %s", got)
	}
	opening := row.Opening
	row.Opening = nil
	if got := row.FindKeys(); len(got) != 4 {
		t.Errorf("keys of an erased row: %v", got)
	}
	row.Opening = append([]byte{}, opening...)
	row.Opening[40] ^= 1
	if got := row.FindKeys(); len(got) != 4 {
		t.Errorf("keys of a row with another opening: %v", got)
	}
	row.Record = row.Record[1:]
	if got := row.FindKeys(); got != nil {
		t.Errorf("keys of a spoilt row: %v", got)
	}
}
