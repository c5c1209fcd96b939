package store

import (
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"elicence/licence/registry"
)

// TestShare: reads are put together that ask alike, and no others.
func TestShare(t *testing.T) {
	reads := []read{
		{query: "a"}, {query: "b"}, {query: "a", args: []any{""}}, {query: "a", args: []any{"", ""}}, {query: "a", args: []any{"x", "y"}},
		{query: "a", args: []any{"xy", ""}}, {query: "a", args: []any{"", "xy"}}, {query: "a", args: []any{"x\x001:y"}}, {query: "a", args: []any{"x\x00", "y"}}, {query: "a", args: []any{"x", "\x00y"}},
		{query: "a", args: []any{int64(1)}}, {query: "a", args: []any{int64(11)}}, {query: "a", args: []any{[]byte{1, 2}}}, {query: "a", args: []any{[]byte{12}}}, {query: "a", args: []any{nil}},
		{query: "a", args: []any{false}}, {query: "a", args: []any{true}},
	}
	all := []*asked{{}, {}, {}}
	for _, a := range all {
		a.reads, a.made = reads, make([]bool, len(reads))
	}
	all[1].made[3], all[2].made[3] = true, true
	shared := share(all)
	if len(shared) != len(reads) {
		t.Fatalf("%d reads, want %d", len(shared), len(reads))
	}
	for i, s := range shared {
		want := 3
		if i == 3 {
			want = 1
		}
		if len(s.by) != want || s.by[0].asked != all[0] || s.by[want-1].asked != all[want-1] || s.by[0].i != i || s.query != reads[i].query {
			t.Errorf("read %d: %q for %d, want %d", i, s.query, len(s.by), want)
		}
	}
}

// TestNoRoom: a statement for which the disk has no room says that storage is away.
func TestNoRoom(t *testing.T) {
	full := &pgconn.PgError{Code: "53100", SeverityUnlocalized: "ERROR"}
	if err := new(pgTx).note(full); !errors.Is(err, registry.ErrUnreachable) || !errors.Is(err, full) {
		t.Errorf("in a transaction: %v", err)
	}
	if err := unreachable(fmt.Errorf("reading: %w", full)); !errors.Is(err, registry.ErrUnreachable) {
		t.Errorf("in a read: %v", err)
	}
	for _, code := range []string{"23505", "42P01", "22021"} {
		if err := new(pgTx).note(&pgconn.PgError{Code: code, SeverityUnlocalized: "ERROR"}); errors.Is(err, registry.ErrUnreachable) {
			t.Errorf("%s: %v", code, err)
		}
	}
}
