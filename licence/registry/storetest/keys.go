package storetest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"elicence/licence"
	"elicence/licence/registry"
)

func testKeys(t *testing.T, b Backend) {
	k := registry.Key{Client: "c", Key: "k", Body: digest(1), LeaseUntil: after(30 * time.Second)}
	take := func(k registry.Key, now time.Time, want registry.Claim) {
		t.Helper()
		change(t, b, func(tx Tx) error {
			got, err := tx.TakeKey(t.Context(), k, now)
			if diff := cmp.Diff(got, want); diff != "" {
				t.Errorf("claim differs (got, want):\n%s", diff)
			}
			return err
		})
	}
	other := k
	other.Body, other.LeaseUntil = digest(2), after(time.Hour)
	elsewhere := k
	elsewhere.Client = "d"

	take(k, base, registry.Claim{Mine: true, Body: k.Body})
	take(k, base, registry.Claim{Body: k.Body})
	take(elsewhere, base, registry.Claim{Mine: true, Body: k.Body})
	change(t, b, func(tx Tx) error { return tx.BindKey(t.Context(), "c", "k", identifier(1)) })
	take(other, after(30*time.Second), registry.Claim{Body: k.Body, Identifier: identifier(1)})
	take(other, after(30*time.Second+1), registry.Claim{Mine: true, Body: k.Body, Identifier: identifier(1)})
	take(k, after(31*time.Second), registry.Claim{Body: k.Body, Identifier: identifier(1)})
	change(t, b, func(tx Tx) error { return tx.ReleaseKey(t.Context(), "c", "k") })
	take(k, after(31*time.Second), registry.Claim{Mine: true, Body: k.Body})
	change(t, b, func(tx Tx) error { return tx.AnswerKey(t.Context(), "c", "k", []byte("answer")) })
	take(k, after(48*time.Hour), registry.Claim{Body: k.Body, Answer: []byte("answer")})
	take(elsewhere, base, registry.Claim{Body: k.Body})

	bound, later := k, k
	bound.Key, bound.Identifier = "bound", identifier(1)
	later.Key, later.Identifier = "bound", identifier(2)
	take(bound, base, registry.Claim{Mine: true, Body: k.Body, Identifier: identifier(1)})
	take(later, base, registry.Claim{Body: k.Body, Identifier: identifier(1)})
	take(later, after(31*time.Second), registry.Claim{Mine: true, Body: k.Body, Identifier: identifier(1)})
	bound.Key, later.Key, bound.Identifier = "bound late", "bound late", ""
	take(bound, base, registry.Claim{Mine: true, Body: k.Body})
	take(later, base, registry.Claim{Body: k.Body})
	take(later, after(31*time.Second), registry.Claim{Mine: true, Body: k.Body, Identifier: identifier(2)})

	for name, fn := range map[string]func(Tx) error{
		"binding an unknown key":    func(tx Tx) error { return tx.BindKey(t.Context(), "c", "unknown", identifier(1)) },
		"releasing an unknown key":  func(tx Tx) error { return tx.ReleaseKey(t.Context(), "c", "unknown") },
		"releasing an answered key": func(tx Tx) error { return tx.ReleaseKey(t.Context(), "c", "k") },
		"answering an unknown key":  func(tx Tx) error { return tx.AnswerKey(t.Context(), "c", "unknown", []byte("a")) },
	} {
		wantError(t, name, rerun(t.Context(), b, fn), licence.ErrNotFound)
	}
}

// parallel runs fn n times at once and fails with the first error.
func parallel(t *testing.T, n int, fn func(i int) error) {
	t.Helper()
	var wg sync.WaitGroup
	errs := make([]error, n)
	for i := range n {
		wg.Go(func() { errs[i] = fn(i) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// testKeysInParallel takes a new key, and then a lapsed one, from all sides.
func testKeysInParallel(t *testing.T, b Backend) {
	for round, now := range []time.Time{base, after(time.Hour)} {
		mine := make([]bool, 12)
		parallel(t, len(mine), func(i int) error {
			return rerun(t.Context(), b, func(tx Tx) error {
				k := registry.Key{Client: "c", Key: "k", Body: digest(1), LeaseUntil: now.Add(30 * time.Second)}
				c, err := tx.TakeKey(t.Context(), k, now)
				mine[i] = c.Mine
				return err
			})
		})
		if won := len(slices.DeleteFunc(slices.Clone(mine), func(m bool) bool { return !m })); won != 1 {
			t.Errorf("round %d: %d callers hold the key", round, won)
		}
	}
}

func testNumbers(t *testing.T, b Backend) {
	next := func(series string, want int64) func(Tx) error {
		return func(tx Tx) error {
			got, err := tx.NextNumber(t.Context(), series)
			if got != want {
				t.Errorf("next number of %s: got %d, want %d", series, got, want)
			}
			return err
		}
	}
	change(t, b, next("a", 1))
	change(t, b, func(tx Tx) error { return errors.Join(next("a", 2)(tx), next("a", 3)(tx), next("b", 1)(tx)) })
	undo := errors.New("undo")
	err := rerun(t.Context(), b, func(tx Tx) error { return errors.Join(next("a", 4)(tx), undo) })
	wantError(t, "batch", err, undo)
	change(t, b, func(tx Tx) error {
		err := tx.Savepoint(t.Context(), func() error { return errors.Join(next("a", 4)(tx), undo) })
		wantError(t, "savepoint", err, undo)
		return next("a", 4)(tx)
	})
	change(t, b, func(tx Tx) error { return tx.RaiseNumber(t.Context(), "raised", 7) }) // one that has not begun
	change(t, b, next("raised", 1))
	change(t, b, func(tx Tx) error { return tx.RaiseNumber(t.Context(), "raised", 7) })
	change(t, b, next("raised", 8))
	change(t, b, func(tx Tx) error { return errors.Join(tx.RaiseNumber(t.Context(), "raised", 3), next("raised", 9)(tx)) })
	kept := record(1)
	insert(t, b, kept)
	change(t, b, func(tx Tx) error {
		for _, c := range []struct {
			typeCode, authority, number string
			want                        bool
		}{{kept.TypeCode, kept.AuthorityCode, kept.Number, true}, {kept.TypeCode, kept.AuthorityCode, kept.Number + "0", false},
			{kept.TypeCode, "another", kept.Number, false}, {"another", kept.AuthorityCode, kept.Number, false}} {
			if taken, err := tx.NumberTaken(t.Context(), c.typeCode, c.authority, c.number); err != nil || taken != c.want {
				t.Errorf("%+v: %v, %v", c, taken, err)
			}
		}
		return nil
	})
	for range 2 { // numbers that may have been given out are passed over, in new series too
		change(t, b, func(tx Tx) error { return tx.SkipNumbers(t.Context(), 100) })
	}
	change(t, b, func(tx Tx) error {
		return errors.Join(next("a", 205)(tx), next("b", 202)(tx), next("c", 201)(tx), next("c", 202)(tx))
	})
}

// testNumbersInParallel draws from two series in opposite orders, so that an
// engine that locks must resolve deadlocks.
func testNumbersInParallel(t *testing.T, b Backend) {
	const callers, rounds = 6, 8
	drawn := make([]map[string][]int64, callers)
	parallel(t, callers, func(i int) error {
		drawn[i] = map[string][]int64{}
		order := []string{"a", "b"}
		if i%2 == 1 {
			order = []string{"b", "a"}
		}
		for range rounds {
			numbers := map[string]int64{}
			err := rerun(t.Context(), b, func(tx Tx) error {
				for _, series := range order {
					n, err := tx.NextNumber(t.Context(), series)
					if err != nil {
						return err
					}
					numbers[series] = n
				}
				return nil
			})
			if err != nil {
				return err
			}
			for series, n := range numbers {
				drawn[i][series] = append(drawn[i][series], n)
			}
		}
		return nil
	})
	for _, series := range []string{"a", "b"} {
		var all []int64
		for _, d := range drawn {
			all = append(all, d[series]...)
		}
		slices.Sort(all)
		for i, n := range all {
			if n != int64(i+1) {
				t.Fatalf("numbers of %s are not 1 to %d: %v", series, callers*rounds, all)
			}
		}
	}
}

// testStatusInParallel revokes one licence from all sides: one succeeds.
func testStatusInParallel(t *testing.T, b Backend) {
	r := record(1)
	r.Status = licence.StatusValid
	insert(t, b, r)
	done := make([]bool, 8)
	parallel(t, len(done), func(i int) error {
		err := rerun(t.Context(), b, func(tx Tx) error {
			if _, err := tx.Licence(t.Context(), r.Identifier); err != nil {
				return err
			}
			c := registry.Change{Reason: fmt.Sprint(i), At: after(time.Second)}
			return tx.SetStatus(t.Context(), r.Identifier, []licence.Status{licence.StatusValid}, licence.StatusRevoked, c)
		})
		done[i] = err == nil
		if errors.Is(err, licence.ErrWrongStatus) {
			return nil
		}
		return err
	})
	got, err := b.Licence(t.Context(), r.Identifier)
	if err != nil {
		t.Fatal(err)
	}
	for i, d := range done {
		if d != (got.StatusReason == fmt.Sprint(i)) {
			t.Errorf("caller %d succeeded: %v; the reason stored is that of caller %s", i, d, got.StatusReason)
		}
	}
}
