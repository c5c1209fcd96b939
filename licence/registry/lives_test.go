package registry_test

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"elicence/crypto/pki"
	"elicence/licence/registry/registrytest"
	"elicence/store"
	"elicence/store/pgtest"
)

// TestLives walks random lives against the model, of fixed seeds: a few, or as many as
// ELICENCE_LIVES says, and then a tenth of them on PostgreSQL too.
func TestLives(t *testing.T) {
	lives, long := 20, os.Getenv("ELICENCE_LIVES")
	if long != "" {
		var err error
		lives, err = strconv.Atoi(long)
		must(t, err)
	}
	for name, open := range backends {
		n := lives
		if name == "PostgreSQL" {
			if n /= 10; long == "" {
				continue // what it does otherwise is the conformance suite's
			}
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			total := map[string]int{}
			for seed := range uint64(n+99) / 100 { // the clock must not outlive the seals
				t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
					dir := t.TempDir()
					key := make([]byte, 16)
					rand.Read(key)
					cipher, err := pki.NewCipher(key)
					must(t, err)
					files, err := store.OpenFolder(filepath.Join(dir, "files"), cipher)
					must(t, err)
					w := newLives(t, open(t, dir, store.Secrets{Cipher: cipher, IndexKey: key}), files, seed)
					var all []modelLife
					for range min(n-100*int(seed), 100) {
						all = append(all, w.live(15))
						total["lives"]++
					}
					w.end(all)
					for what, count := range w.counts {
						total[what] += count
					}
				})
			}
			t.Logf("%d lives, %d steps, %d transitions, %d races, %d recovered, %d looks into the past, %d expired, %d invariants, %d files verified",
				total["lives"], total["steps"], total["transitions"], total["races"], total["recovered"], total["looks"], total["expired"], total["invariants"], total["files"])
			for what, count := range total {
				if strings.Contains(what, " ") && testing.Verbose() {
					t.Logf("%s: %d", what, count)
				}
			}
		})
	}
}

// backends open a database of each kind; one in a file is in dir.
var backends = map[string]func(t testing.TB, dir string, s store.Secrets) registrytest.Backend{"SQLite": onSQLite, "PostgreSQL": onPostgres}

func onSQLite(t testing.TB, dir string, s store.Secrets) registrytest.Backend {
	db, err := store.OpenSQLite(t.Context(), filepath.Join(dir, "elicence.db"), s)
	must(t, err)
	t.Cleanup(func() { db.Close() })
	must(t, db.Migrate(t.Context()))
	return db
}

func onPostgres(t testing.TB, _ string, s store.Secrets) registrytest.Backend {
	server := &pgtest.Server{}
	t.Cleanup(server.Stop)
	db, err := store.OpenPostgres(t.Context(), server.DSN(t), s)
	must(t, err)
	t.Cleanup(func() { db.Close() })
	must(t, db.Migrate(t.Context()))
	return db
}
