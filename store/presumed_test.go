package store_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/registry"
	"elicence/store"
)

// TestPresumed has many callers change the register with their entries at once, some of them what is
// not there, or is there already: whoever's change met nothing is told so, and the others' are stored, each
// once, whatever was presumed of the batch they shared.
func TestPresumed(t *testing.T) {
	t.Parallel()
	for _, open := range engines {
		e := open(t)
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			db := migrated(t, e)
			l := openLog(t, db, "log", 0)
			now := time.Now()
			take := func(tx audit.Tx, key string) (registry.Claim, error) {
				return tx.(registry.Tx).TakeKey(context.Background(), registry.Key{Client: "c", Key: key, Identifier: "1.2.3", LeaseUntil: now.Add(time.Minute)}, now)
			}
			must(t, db.Batch(t.Context(), func(tx audit.Tx) error { _, err := take(tx, "old"); return err }))

			const callers = 70
			failed, wrong := make([]error, callers), errors.New("taken")
			want := func(n int) error { return []error{nil, nil, nil, nil, wrong, licence.ErrNotFound, wrong}[n%7] }
			var all sync.WaitGroup
			for n := range callers {
				all.Go(func() {
					_, failed[n] = l.Append(t.Context(), &audit.Entry{Principal: "p", Action: "read", Object: fmt.Sprint(n), Result: audit.ResultAllowed}, func(tx audit.Tx) error {
						key := fmt.Sprint("key ", n)
						claim, err := take(tx, key)
						if want(n) == wrong {
							claim, err = take(tx, "old")
							switch {
							case err == nil && !claim.Mine:
								err = wrong
							case err == nil && n%7 == 6: // and fails by what it presumes
								err = errors.New("the key is not its own")
							}
						} else if want(n) != nil {
							key = "not there"
						}
						if err != nil {
							return err
						}
						return tx.(registry.Tx).AnswerKey(context.Background(), "c", key, []byte("answer"))
					})
				})
			}
			all.Wait()
			stored := 0
			for n, err := range failed {
				if !errors.Is(err, want(n)) {
					t.Errorf("caller %d got %v, want %v", n, err, want(n))
				}
				var claim registry.Claim
				must(t, again(db, func(tx audit.Tx) (err error) { claim, err = take(tx, fmt.Sprint("key ", n)); return err }))
				if claim.Mine != (want(n) != nil) || (claim.Answer != nil) != (want(n) == nil) {
					t.Errorf("the key of caller %d: %+v", n, claim)
				}
				if want(n) == nil {
					stored++
				}
			}
			if head, err := db.Head(t.Context(), "log"); err != nil || head.Size != uint64(stored) {
				t.Errorf("%d entries for %d callers: %v", head.Size, stored, err)
			}
		})
	}
}

// TestPresumedAtCommit presumes wrongly at the very end of a batch: nothing of it is stored, and
// the batch that is run again is told.
func TestPresumedAtCommit(t *testing.T) {
	db := migrated(t, postgresEngine(t))
	answer := func(tx audit.Tx) (err error) {
		outer := tx.(registry.Tx).PutShared(t.Context(), "kind", "key", []byte("value"), time.Now(), time.Now().Add(time.Minute))
		return errors.Join(outer, tx.Savepoint(t.Context(), func() error {
			return tx.(registry.Tx).AnswerKey(t.Context(), "c", "not there", nil)
		}))
	}
	if err := db.Batch(t.Context(), answer); !errors.Is(err, audit.ErrConflict) {
		t.Errorf("a batch that presumed wrongly: %v", err)
	}
	err := db.Batch(t.Context(), func(tx audit.Tx) error {
		return tx.(registry.Tx).TakeShared(t.Context(), "kind", "key", time.Now())
	})
	if !errors.Is(err, licence.ErrNotFound) {
		t.Errorf("a part of it is stored: %v", err)
	}
	if err := db.Batch(t.Context(), answer); !errors.Is(err, licence.ErrNotFound) {
		t.Errorf("the batch that is run again: %v", err)
	}
}

// again runs a batch until it meets no conflict.
func again(db backend, fn func(audit.Tx) error) error {
	for {
		if err := db.Batch(context.Background(), fn); !errors.Is(err, audit.ErrConflict) {
			return err
		}
	}
}

// TestPresumedNumbers draws numbers by one server, long alone, and then by two in turns, some draws
// being undone: every number is given out once, and none is left out.
func TestPresumedNumbers(t *testing.T) {
	t.Parallel()
	e := postgresEngine(t)
	servers, undo := []backend{migrated(t, e), migrated(t, e)}, errors.New("undo")
	want := int64(0)
	draw := func(server, numbers int, fails bool) {
		var got []int64
		must(t, again(servers[server], func(tx audit.Tx) error {
			got = nil
			for range numbers {
				err := tx.Savepoint(context.Background(), func() error {
					n, err := tx.(registry.Tx).NextNumber(context.Background(), "series")
					got = append(got, n)
					return err
				})
				if err != nil {
					return err
				}
			}
			if !fails {
				return nil
			}
			err := tx.Savepoint(context.Background(), func() error {
				_, err := tx.(registry.Tx).NextNumber(context.Background(), "series")
				return errors.Join(err, undo)
			})
			if errors.Is(err, undo) {
				return nil
			}
			return err
		}))
		for _, n := range got {
			if want++; n != want {
				t.Fatalf("server %d drew %d, want %d", server, n, want)
			}
		}
	}
	for i := range 150 {
		draw(0, 1+i%3, i%50 == 49)
	}
	for i := range 300 {
		draw(i/7%2, 1+i%2, i%11 == 0)
	}
}

// TestPresumedBehindLock has one caller's statement wait for a lock in vain: whoever shares its
// batch is not told of success, or has it.
func TestPresumedBehindLock(t *testing.T) {
	dsn := postgres.DSN(t)
	db := migrated(t, engine{"PostgreSQL", func(ctx context.Context, s store.Secrets) (backend, error) {
		return opened(store.OpenPostgres(ctx, with(t, dsn, "lock_timeout", "300ms"), s))
	}})
	now := time.Now()
	must(t, db.Batch(t.Context(), func(tx audit.Tx) error {
		_, err := tx.(registry.Tx).TakeKey(t.Context(), registry.Key{Client: "c", Key: "k", Identifier: "1.2.3", LeaseUntil: now.Add(time.Minute)}, now)
		return err
	}))
	other, err := raw(t, "pgx", dsn).BeginTx(t.Context(), nil)
	must(t, err)
	_, err = other.Exec("SELECT 1 FROM idempotency_key FOR UPDATE")
	must(t, err)
	answered, read := errors.New("not run"), errors.New("not run")
	err = db.Batch(t.Context(), func(tx audit.Tx) error {
		answered = tx.Savepoint(t.Context(), func() error { return tx.(registry.Tx).AnswerKey(t.Context(), "c", "k", []byte("a")) })
		read = tx.Savepoint(t.Context(), func() error { _, err := tx.(registry.Tx).Licence(t.Context(), "none"); return err })
		return nil
	})
	must(t, other.Rollback())
	if err == nil || answered != nil || read == nil {
		t.Errorf("a batch whose lock was waited for in vain: %v; its callers: %v, %v", err, answered, read)
	}
}

// TestPresumedFailure has a caller fail by what was wrongly presumed of his own statement: that is
// found out before his error is believed.
func TestPresumedFailure(t *testing.T) {
	db, now, wrong := migrated(t, postgresEngine(t)), time.Now(), errors.New("the key is its own")
	var claim registry.Claim
	take := func(tx audit.Tx) (err error) {
		claim, err = tx.(registry.Tx).TakeKey(t.Context(), registry.Key{Client: "c", Key: "k", Identifier: "1.2.3", LeaseUntil: now.Add(time.Minute)}, now)
		return err
	}
	must(t, db.Batch(t.Context(), take))
	again := func() error {
		return db.Batch(t.Context(), func(tx audit.Tx) error {
			return tx.Savepoint(t.Context(), func() error {
				if err := take(tx); err != nil || !claim.Mine {
					return err
				}
				return wrong
			})
		})
	}
	if err := again(); !errors.Is(err, audit.ErrConflict) {
		t.Errorf("a failure that rests on a wrong presumption: %v", err)
	}
	if err := again(); err != nil || claim.Mine {
		t.Errorf("run again: %+v, %v", claim, err)
	}
}
