package store

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"elicence/internal/gather"
)

// roundTime bounds one round trip, for which others wait.
const roundTime = 10 * time.Second

// rounds lets those who read at the same time share one round trip to PostgreSQL: of what a
// short query costs, on both sides, that is the greater part. The zero value is ready.
type rounds struct{ gather.Group[*asked] }

// asked is what one caller reads.
type asked struct {
	reads []read
	// mu is held while a row is taken, so that who gives up does not leave while one is.
	mu   sync.Mutex
	gone bool
	// answered says that the reads were made, or failed with err. That a round breaks before
	// it comes to them is no fault of theirs.
	answered bool
	err      error
}

// ask makes some reads, in their order, together with those of others.
func (r *rounds) ask(ctx context.Context, pool *pgxpool.Pool, reads []read) error {
	a := &asked{reads: reads}
	err := r.Do(ctx, a, func(ctx context.Context, all []*asked) {
		ctx, cancel := context.WithTimeout(ctx, roundTime)
		defer cancel()
		_ = send(ctx, pool, all) // whoever was not answered asks alone
	})
	if err != nil {
		a.leave()
		return err
	}
	if !a.answered {
		if err := send(ctx, pool, []*asked{a}); !a.answered {
			return err
		}
	}
	return a.err
}

// send makes the reads of all in one round trip, and says why it did not come to all of them.
func send(ctx context.Context, pool *pgxpool.Pool, all []*asked) error {
	batch := &pgx.Batch{}
	for _, a := range all {
		for _, r := range a.reads {
			batch.Queue(r.query, r.args...)
		}
	}
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	results := conn.SendBatch(ctx, batch)
	defer func() { _ = results.Close() }() // what came is complete
	for _, a := range all {
		if err := a.take(results); err != nil {
			return err // PostgreSQL passes over what follows
		}
	}
	return nil
}

// take takes the results of one caller's reads. The error is that of a statement, after which
// there are no more results; what a row is refused for is the caller's alone.
func (a *asked) take(results pgx.BatchResults) error {
	a.answered = true
	for _, r := range a.reads {
		rows, err := results.Query()
		if err == nil {
			for rows.Next() {
				if a.err == nil {
					a.err = a.row(r, rows)
				}
			}
			rows.Close()
			err = rows.Err()
		}
		if err != nil {
			a.err = unreachable(err)
			return err
		}
	}
	return nil
}

func (a *asked) row(r read, rows pgx.Rows) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.gone {
		return context.Canceled
	}
	return r.row(rows.Scan)
}

// leave gives up: no row is taken any more.
func (a *asked) leave() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.gone = true
}
