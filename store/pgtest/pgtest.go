// Package pgtest gives tests a real PostgreSQL, started for them and thrown away.
//
// A test package has one Server, stops it at its end, and asks it for a DSN in
// each test:
//
//	var postgres pgtest.Server
//
//	func TestMain(m *testing.M) {
//		code := m.Run()
//		postgres.Stop()
//		os.Exit(code)
//	}
//
// The server is the one that ELICENCE_TEST_POSTGRES names by its DSN, or else a
// new one, made by postgres.sh from the server binaries of the machine and
// stopped even when the test process is killed. It runs with fsync on. Its user must be
// allowed to make schemas and roles.
//
// Invariants:
//   - every DSN leads to a schema of its own, dropped when its test ends;
//   - without any PostgreSQL a test fails and says what to install.
package pgtest

import (
	"bytes"
	"context"
	"crypto/rand"
	_ "embed"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

//go:embed postgres.sh
var script string

// Server is a PostgreSQL that starts when it is first needed. The zero value is
// ready for use. It is safe for concurrent use.
type Server struct {
	start sync.Once
	dsn   string
	dir   string // empty when the server is not ours
	err   error
}

// DSN returns the DSN of a new, empty schema, which is dropped with its content
// when t ends.
func (s *Server) DSN(t testing.TB) string {
	t.Helper()
	s.start.Do(func() { s.dsn, s.dir, s.err = start() })
	if s.err != nil {
		t.Fatal(s.err)
	}
	schema := "test_" + strings.ToLower(rand.Text())
	if err := run(s.dsn, "CREATE SCHEMA "+schema); err != nil {
		t.Fatalf("making a schema: %v", err)
	}
	t.Cleanup(func() {
		if err := run(s.dsn, "DROP SCHEMA "+schema+" CASCADE"); err != nil {
			t.Errorf("dropping the schema: %v", err)
		}
	})
	return within(s.dsn, schema)
}

// OwnDSN starts a cluster of its own, whatever ELICENCE_TEST_POSTGRES says, and returns the
// DSN of its superuser and its first database. A Server is this or what DSN makes it.
func (s *Server) OwnDSN(t testing.TB) string {
	t.Helper()
	s.start.Do(func() { s.dsn, s.dir, s.err = startCluster() })
	if s.err != nil {
		t.Fatal(s.err)
	}
	return s.dsn
}

// Member returns dsn for a new user who is a member of a role, and nothing else. The role
// must be there; the user is dropped when t ends.
func (s *Server) Member(t testing.TB, dsn, role string) string {
	t.Helper()
	user, password := "member_"+strings.ToLower(rand.Text()), rand.Text()
	if err := run(dsn, "CREATE ROLE "+user+" LOGIN PASSWORD '"+password+"' IN ROLE "+role); err != nil {
		t.Fatalf("making a user: %v", err)
	}
	t.Cleanup(func() {
		if err := run(dsn, "DROP ROLE "+user); err != nil {
			t.Errorf("dropping the user: %v", err)
		}
	})
	u, err := url.Parse(dsn)
	if err != nil || u.Scheme == "" {
		return dsn + " user=" + user + " password=" + password
	}
	u.User = url.UserPassword(user, password)
	return u.String()
}

// Stop stops the server, if it was started, and removes its files.
func (s *Server) Stop() {
	if s.dir == "" {
		return
	}
	if _, err := sh("stop", s.dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

func start() (dsn, dir string, err error) {
	if dsn := os.Getenv("ELICENCE_TEST_POSTGRES"); dsn != "" {
		return dsn, "", nil
	}
	return startCluster()
}

func startCluster() (dsn, dir string, err error) {
	dir = newDir()
	dsn, err = sh("start", dir, strconv.Itoa(os.Getpid()))
	return dsn, dir, err
}

// newDir names a folder for a cluster. It is not in t.TempDir: the server runs as another
// user, and its socket wants a short name.
func newDir() string {
	return filepath.Join(os.TempDir(), "pgtest-"+strings.ToLower(rand.Text()[:12]))
}

func sh(args ...string) (string, error) {
	cmd := exec.Command("sh", append([]string{"-s"}, args...)...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(script), &out, &errs
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w", strings.TrimSpace(errs.String()), err)
	}
	return strings.TrimSpace(out.String()), nil
}

// within returns the DSN, a URL or keywords and values, with a search_path.
func within(dsn, schema string) string {
	u, err := url.Parse(dsn)
	if err != nil || u.Scheme == "" {
		return dsn + " search_path=" + schema
	}
	q := u.Query()
	q.Set("search_path", schema)
	u.RawQuery = strings.ReplaceAll(q.Encode(), "+", "%20") // pgx reads a plus as a plus
	return u.String()
}

func run(dsn, statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	_, err = conn.Exec(ctx, statement)
	return err
}
