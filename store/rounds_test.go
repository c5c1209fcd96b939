package store_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/registry"
)

// TestReadsAtOnce has many read at the same time, which on PostgreSQL share their round trips:
// each gets its own answer, a damaged row is the fault of who reads it alone, and so is it to
// go away; when the connection breaks all go on.
func TestReadsAtOnce(t *testing.T) {
	for _, e := range rawEngines(t) {
		t.Run(e.name, func(t *testing.T) {
			b := migrated(t, e.engine)
			for i := range 4 {
				client := registry.Client{ID: fmt.Sprint(i), SecretHash: []byte{1}, Salt: []byte{1}, HolderCode: personal[1]}
				must(t, b.Batch(t.Context(), func(tx audit.Tx) error { return tx.(registry.Tx).PutClient(t.Context(), client) }))
			}
			exec := func(statement string) {
				t.Helper()
				if _, err := e.raw.ExecContext(t.Context(), statement); err != nil {
					t.Fatalf("%s: %v", statement, err)
				}
			}
			exec(`UPDATE client SET holder_code = (SELECT holder_code FROM client WHERE id = '1') WHERE id = '2'`)
			gone, leave := context.WithCancel(t.Context())
			leave()
			var lost atomic.Int64
			var wait sync.WaitGroup
			for i := range 64 {
				wait.Go(func() {
					for n := range 50 {
						ctx, id := t.Context(), fmt.Sprint((i+n)%6)
						if i%8 == 7 {
							ctx = gone
						}
						c, err := b.Client(ctx, id)
						_, unknown := map[string]bool{"4": true, "5": true}[id]
						switch {
						case errors.Is(err, registry.ErrUnreachable):
							lost.Add(1)
						case ctx == gone && errors.Is(err, context.Canceled):
						case id == "2" && err != nil && !errors.Is(err, licence.ErrNotFound) && !errors.Is(err, context.Canceled):
						case unknown && errors.Is(err, licence.ErrNotFound):
						case id < "4" && id != "2" && err == nil && c.ID == id && c.HolderCode == personal[1]:
						default:
							t.Errorf("client %s: %+v, %v", id, c, err)
						}
					}
				})
			}
			if e.name == "PostgreSQL" {
				for range 3 {
					exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND usename = current_user AND datname = current_database()`)
				}
			}
			wait.Wait()
			if lost.Load() > 64*3 {
				t.Errorf("%d reads were lost with three connections", lost.Load())
			}
			_, err := b.Client(t.Context(), "1")
			for broken := 1; errors.Is(err, registry.ErrUnreachable) && broken <= 4; broken++ { // connections that nobody has read by since
				_, err = b.Client(t.Context(), "1")
			}
			if err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}
