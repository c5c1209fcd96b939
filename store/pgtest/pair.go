package pgtest

import (
	"fmt"
	"os"
	"strconv"
	"testing"
)

// Pair is a PostgreSQL with a synchronous standby: nothing is committed before both have
// it on their disks. Both are clusters of its own, whatever ELICENCE_TEST_POSTGRES says.
type Pair struct {
	// DSN names both, and leads to the one that takes writes.
	DSN              string
	primary, standby string // folders
}

// NewPair starts a pair, which is stopped when t ends.
func NewPair(t testing.TB) *Pair {
	t.Helper()
	p := &Pair{primary: newDir(), standby: newDir()}
	dsn, err := sh("start", p.primary, strconv.Itoa(os.Getpid()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.stop(t, p.primary) })
	if _, err := sh("standby", p.standby, p.primary, strconv.Itoa(os.Getpid())); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.stop(t, p.standby) })
	for _, statement := range []string{"ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()"} {
		if err := run(dsn, statement); err != nil {
			t.Fatal(err)
		}
	}
	p.DSN = fmt.Sprintf("postgres://elicence@/postgres?host=%s,%s&target_session_attrs=read-write", p.primary, p.standby)
	return p
}

func (p *Pair) stop(t testing.TB, dir string) {
	if _, err := sh("stop", dir); err != nil {
		t.Error(err)
	}
}

// FailOver kills the primary as a crash would and promotes the standby, which then waits
// for no other.
func (p *Pair) FailOver(t testing.TB) {
	t.Helper()
	if _, err := sh("crash", p.primary); err != nil {
		t.Fatal(err)
	}
	if _, err := sh("promote", p.standby); err != nil {
		t.Fatal(err)
	}
	dsn := "postgres://elicence@/postgres?host=" + p.standby
	for _, statement := range []string{"ALTER SYSTEM SET synchronous_standby_names = ''", "SELECT pg_reload_conf()"} {
		if err := run(dsn, statement); err != nil {
			t.Fatal(err)
		}
	}
}
