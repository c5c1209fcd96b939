package store

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// roundTime bounds one round trip, for which others wait.
const roundTime = 10 * time.Second

// rounds lets those who read at the same time share one round trip to PostgreSQL: of what a
// short query costs, on both sides, that is the greater part. What is read goes with the next
// round, which begins when the one before is answered. The zero value is ready.
type rounds struct {
	mu       sync.Mutex
	gathered *round // not sent yet
	sent     *round
}

type round struct {
	asked []*asked
	done  chan struct{}
}

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

// ask makes some reads together, in their order. The first of those who gather sends for all;
// that he goes away meanwhile is no reason to leave the others without an answer.
func (r *rounds) ask(ctx context.Context, pool *pgxpool.Pool, reads []read) error {
	a := &asked{reads: reads}
	q, before, first := r.join(a)
	if first {
		r.run(context.WithoutCancel(ctx), pool, q, before)
	} else {
		select {
		case <-q.done:
		case <-ctx.Done():
			a.leave()
			return ctx.Err()
		}
	}
	if !a.answered {
		alone := &round{asked: []*asked{a}}
		if err := alone.send(ctx, pool); !a.answered {
			return err
		}
	}
	return a.err
}

// join adds to the round that gathers. For the first it begins one, and returns the one that
// has to be answered before.
func (r *rounds) join(a *asked) (q, before *round, first bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if first = r.gathered == nil; first {
		r.gathered = &round{done: make(chan struct{})}
	}
	q = r.gathered
	q.asked = append(q.asked, a)
	return q, r.sent, first
}

func (r *rounds) run(ctx context.Context, pool *pgxpool.Pool, q, before *round) {
	if before != nil {
		<-before.done
	}
	r.mu.Lock()
	r.gathered, r.sent = nil, q
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		if r.sent == q {
			r.sent = nil
		}
		r.mu.Unlock()
		close(q.done)
	}()
	ctx, cancel := context.WithTimeout(ctx, roundTime)
	defer cancel()
	_ = q.send(ctx, pool) // whoever was not answered asks alone
}

// send makes the reads of all in one round trip, and says why it did not come to all of them.
func (q *round) send(ctx context.Context, pool *pgxpool.Pool) error {
	batch := &pgx.Batch{}
	for _, a := range q.asked {
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
	for _, a := range q.asked {
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
