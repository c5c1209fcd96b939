package store

import (
	"context"
	"errors"
	"fmt"

	"elicence/licence"
)

// scan reads the columns of a row.
type scan func(dest ...any) error

// session runs statements on one engine. Placeholders are $1, $2, …; arguments
// are string, int64, bool and []byte.
type session interface {
	// exec runs a statement and returns how many rows it changed.
	exec(ctx context.Context, query string, args ...any) (int64, error)
	// query calls fn for each row. fn must not use the session.
	query(ctx context.Context, fn func(scan) error, query string, args ...any) error
}

// readSession is a session outside of transactions.
type readSession interface {
	session
	// short makes some short queries together, in their order, and calls row of each for each
	// row; no row must use the session.
	short(ctx context.Context, reads ...read) error
}

// read is a short query, and what takes its rows.
type read struct {
	query string
	args  []any
	row   func(scan) error
}

// shortSession is a session whose queries are short ones.
type shortSession struct{ readSession }

func (s shortSession) query(ctx context.Context, fn func(scan) error, query string, args ...any) error {
	return s.short(ctx, read{query, args, fn})
}

// txSession is a session inside a transaction. A context that is over fails the
// statement it is given to, and only that: one caller's end must not undo what a
// batch does for others. Only the end of the batch's own context does.
type txSession interface {
	session
	// later runs a statement of which only success matters: at once, or together
	// with a following one, but before the savepoint it belongs to is released.
	later(ctx context.Context, query string, args ...any) error
	// change is exec of a statement that nearly always changes a row. Under a savepoint that may be
	// presumed: when it did not, the whole batch fails with audit.ErrConflict, and is told so when it is run again.
	change(ctx context.Context, query string, args ...any) (int64, error)
	// holds reports whether a query finds a row, which may be presumed like what change does.
	holds(ctx context.Context, query string, args ...any) (bool, error)
	// start begins with the statements given to later, and does not wait for them.
	start() error
	// savepoint runs fn and undoes what it did when it fails.
	savepoint(fn func() error) error
	// insertRows stores log entries in one go.
	insertRows(ctx context.Context, logID string, rows []logRow) error
	// insertKeys stores the keys of log entries in one go.
	insertKeys(ctx context.Context, keys []logKeys) error
	// lock is the clause that locks a licence row that is read, or empty.
	lock() string
}

// one reads the single row of a query; licence.ErrNotFound when there is none.
func one(ctx context.Context, s session, query string, args []any, dest ...any) error {
	found := false
	err := s.query(ctx, func(scan scan) error {
		found = true
		return scan(dest...)
	}, query, args...)
	if err == nil && !found {
		return licence.ErrNotFound
	}
	return err
}

// finds reports whether a query finds a row.
func finds(ctx context.Context, s session, query string, args ...any) (found bool, err error) {
	err = s.query(ctx, func(scan) error { found = true; return nil }, query, args...)
	return found, err
}

func notFound(err error) bool { return errors.Is(err, licence.ErrNotFound) }

// changed turns a statement that met no row into licence.ErrNotFound.
func changed(n int64, err error) error {
	if err == nil && n == 0 {
		return licence.ErrNotFound
	}
	return err
}

// doing says in an error what was being done; it keeps nil.
func doing(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}
