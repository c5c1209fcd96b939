package store

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"elicence/internal/gather"
)

// roundTime bounds one round trip, for which others wait.
const roundTime = 10 * time.Second

// rounds lets those who read at the same time share one round trip to PostgreSQL: of what a
// short query costs, on both sides, that is the greater part. What several ask alike, as
// colleagues do for the grants of their department, is asked once. The zero value is ready.
type rounds struct{ gather.Group[*asked] }

// asked is what one caller reads.
type asked struct {
	reads []read
	made  []bool // which of them
	// mu is held while a row is taken, so that who gives up does not leave while one is.
	mu   sync.Mutex
	gone bool
	err  error
}

// answered reports whether all reads were made, or one failed. That a round breaks before it
// comes to them is no fault of theirs.
func (a *asked) answered() bool { return a.err != nil || !slices.Contains(a.made, false) }

// ask makes some reads together with those of others.
func (r *rounds) ask(ctx context.Context, pool *pgxpool.Pool, reads []read) error {
	a := &asked{reads: reads, made: make([]bool, len(reads))}
	err := r.Do(ctx, a, func(ctx context.Context, all []*asked) {
		ctx, cancel := context.WithTimeout(ctx, roundTime)
		defer cancel()
		_ = send(ctx, pool, all) // whoever was not answered asks alone
	})
	if err != nil {
		a.leave()
		return err
	}
	if !a.answered() {
		if err := send(ctx, pool, []*asked{a}); !a.answered() {
			return unreachable(err) // no connection was to be had
		}
	}
	return a.err
}

// shared is a read, and who makes it.
type shared struct {
	read
	by []reading
}

// reading is one of the reads of a caller, by its place among them.
type reading struct {
	*asked
	i int
}

// share puts together what all have not read yet, each read once.
func share(all []*asked) (reads []*shared) {
	known := map[string]*shared{}
	for _, a := range all {
		for i, r := range a.reads {
			if a.made[i] {
				continue
			}
			key := r.key()
			if known[key] == nil {
				known[key] = &shared{read: r}
				reads = append(reads, known[key])
			}
			known[key].by = append(known[key].by, reading{a, i})
		}
	}
	return reads
}

// key is the same of reads that ask alike.
func (r read) key() string {
	key := append(make([]byte, 0, len(r.query)+256), r.query...)
	for _, arg := range r.args {
		text := fmt.Sprint(arg)
		key = append(append(strconv.AppendInt(append(key, 0), int64(len(text)), 10), ':'), text...)
	}
	return string(key)
}

// send makes the reads of all in one round trip, and says why it did not come to all of them.
func send(ctx context.Context, pool *pgxpool.Pool, all []*asked) error {
	reads, batch := share(all), &pgx.Batch{}
	for _, r := range reads {
		batch.Queue(r.query, r.args...)
	}
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	results := conn.SendBatch(ctx, batch)
	defer func() { _ = results.Close() }() // what came is complete
	for _, r := range reads {
		if err := r.take(results); err != nil {
			return err // PostgreSQL passes over what follows
		}
	}
	return nil
}

// take takes the results of one read. The error is that of the statement, after which there are
// no more results; what a row is refused for is the fault of who refuses it.
func (s *shared) take(results pgx.BatchResults) error {
	rows, err := results.Query()
	met := false
	if err == nil {
		for rows.Next() {
			met = true
			for _, m := range s.by {
				if m.err == nil {
					m.err = m.row(m.reads[m.i], rows)
				}
			}
		}
		rows.Close()
		err = rows.Err()
	}
	for n, m := range s.by {
		switch {
		case err == nil:
			m.made[m.i] = true
		case n == 0 || met: // others ask alone, unless they took a row, which they would take again
			m.err = unreachable(err)
		}
	}
	return err
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
