package pgtest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Cluster is a PostgreSQL of a test's own, which it may kill. It is never the one that
// ELICENCE_TEST_POSTGRES names.
type Cluster struct {
	DSN string
	dir string
}

// NewCluster starts a cluster in a new folder below parent (empty: the one for temporary
// files), which is stopped and removed when t ends.
func NewCluster(t testing.TB, parent string) *Cluster {
	t.Helper()
	c := &Cluster{dir: newDir()}
	if parent != "" {
		c.dir = filepath.Join(parent, filepath.Base(c.dir))
	}
	var err error
	if c.DSN, err = sh("start", c.dir, strconv.Itoa(os.Getpid())); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.sh(t, "stop") })
	return c
}

func (c *Cluster) sh(t testing.TB, command string) {
	t.Helper()
	if _, err := sh(command, c.dir); err != nil {
		t.Fatal(err)
	}
}

// Crash kills the postmaster with SIGKILL. Its backends end as soon as they notice.
func (c *Cluster) Crash(t testing.TB) { t.Helper(); c.sh(t, "crash") }

// Restart starts the cluster after Crash, or after it gave up by itself, and returns when
// it has recovered. It does nothing to one that runs.
func (c *Cluster) Restart(t testing.TB) { t.Helper(); c.sh(t, "restart") }

// Backends are the processes that serve a connection at present.
func (c *Cluster) Backends(t testing.TB) (pids []int) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(c.dir, "data", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	postmaster, _, _ := strings.Cut(string(text), "\n")
	children, err := os.ReadFile(fmt.Sprintf("/proc/%s/task/%s/children", postmaster, postmaster))
	if err != nil {
		t.Fatal(err)
	}
	for _, child := range strings.Fields(string(children)) {
		title, err := os.ReadFile("/proc/" + child + "/cmdline")
		if err == nil && strings.HasPrefix(string(title), "postgres: elicence ") {
			pid, _ := strconv.Atoi(child)
			pids = append(pids, pid)
		}
	}
	return pids
}

// Recovered waits until the cluster takes connections.
func (c *Cluster) Recovered(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, c.DSN)
		if err == nil {
			_ = conn.Close(ctx)
			return
		}
		if ctx.Err() != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
