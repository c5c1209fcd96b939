package witness_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"elicence/audit"
	"elicence/audit/witness"
	"elicence/crypto/pki"
	"elicence/store"
)

// server is a witness on a listener, whose handler may be replaced.
type server struct {
	*fixture
	http *httptest.Server

	mu      sync.Mutex
	handler http.Handler
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	h := s.handler
	s.mu.Unlock()
	h.ServeHTTP(w, r)
}

// answer replaces the handler; nil is the witness itself.
func (s *server) answer(h http.Handler) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.handler = h; h == nil {
		s.handler = s.Witness
	}
}

// network is a log's key with witnesses w1, w2, … and a clock.
type network struct {
	key     audit.Signer
	servers []*server
	mu      sync.Mutex
	now     time.Time
}

func newNetwork(t *testing.T, witnesses int) *network {
	t.Helper()
	n := &network{key: newSigner(t, origin), now: start}
	for i := range witnesses {
		f := &fixture{store: newMemStore(), now: start}
		f.config = witness.Config{
			Signer: newSigner(t, fmt.Sprintf("w%d.example", i+1)), Policy: policyOf(t, n.key), Store: f.store, Rand: rand.Reader, Now: n.Now,
		}
		f.open(t)
		s := &server{fixture: f}
		s.answer(nil)
		s.http = httptest.NewServer(s)
		t.Cleanup(s.http.Close)
		n.servers = append(n.servers, s)
	}
	return n
}

func (n *network) Now() time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.now
}

// wait moves the clock.
func (n *network) wait(d time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.now = n.now.Add(d)
}

func (n *network) policy(t *testing.T, quorum int) *audit.Policy {
	t.Helper()
	var keys []audit.Signer
	for _, s := range n.servers {
		keys = append(keys, s.config.Signer)
	}
	return withWitnesses(t, policyOf(t, n.key), quorum, keys...)
}

func (n *network) submitter(t *testing.T, quorum int) *witness.Submitter {
	t.Helper()
	addresses := map[string]string{}
	for _, s := range n.servers {
		addresses[s.config.Signer.Name] = s.http.URL
	}
	s, err := witness.NewSubmitter(witness.SubmitterConfig{
		Origin: origin, Policy: n.policy(t, quorum), Addresses: addresses, Stale: 5 * time.Minute, Now: n.Now,
	})
	must(t, err)
	return s
}

// database is a log's storage in a file.
func database(t *testing.T, file string) *store.SQLite {
	t.Helper()
	cipher, err := pki.NewCipher(make([]byte, 16))
	must(t, err)
	db, err := store.OpenSQLite(t.Context(), file, store.Secrets{Cipher: cipher, IndexKey: make([]byte, 16)})
	must(t, err)
	t.Cleanup(func() { db.Close() })
	must(t, db.Migrate(t.Context()))
	return db
}

// log opens a log of the network's key.
func (n *network) log(t *testing.T, db *store.SQLite, known ...audit.Known) *audit.Log {
	t.Helper()
	l, err := audit.Open(t.Context(), audit.Config{LogID: origin, Storage: db, Signer: n.key, Now: n.Now, Rand: rand.Reader, Known: known})
	must(t, err)
	return l
}

// newLog is a log of n entries about an object.
func (n *network) newLog(t *testing.T, object string, entries int) (*audit.Log, *store.SQLite) {
	t.Helper()
	db := database(t, filepath.Join(t.TempDir(), "log.db"))
	l := n.log(t, db)
	appendTo(t, l, object, entries)
	return l, db
}

func appendTo(t *testing.T, l *audit.Log, object string, entries int) {
	t.Helper()
	for range entries {
		_, err := l.Append(t.Context(), &audit.Entry{Principal: "p", Action: "read", Object: object, Result: audit.ResultAllowed}, nil)
		must(t, err)
	}
}

// wantCosigned checks the newest checkpoint that was kept with a quorum.
func (n *network) wantCosigned(t *testing.T, db *store.SQLite, size uint64, quorum int, by ...string) {
	t.Helper()
	kept, err := db.NewestCosigned(t.Context(), origin)
	if size == 0 {
		if !errors.Is(err, audit.ErrNoCheckpoint) {
			t.Errorf("cosigned: size %d, %v; want none", kept.Size, err)
		}
		return
	}
	must(t, err)
	c, cosigners, err := n.policy(t, quorum).OpenCheckpoint(kept.Checkpoint)
	if err != nil || c.Size != size || kept.Size != size || !slices.Equal(cosigners, by) {
		t.Errorf("cosigned: size %d by %v, %v; want %d by %v", c.Size, cosigners, err, size, by)
	}
}

func round(t *testing.T, s *witness.Submitter, l *audit.Log) {
	t.Helper()
	must(t, s.Round(t.Context(), l))
}

func faults(s *witness.Submitter) (faults []string) {
	states, _ := s.States()
	for _, state := range states {
		if state.Fault != "" {
			faults = append(faults, state.Name+": "+state.Fault)
		}
	}
	return faults
}

// TestSubmitter: a quorum of two of three, one of them away for a while, then two.
func TestSubmitter(t *testing.T) {
	n := newNetwork(t, 3)
	l, db := n.newLog(t, "x", 0)
	s := n.submitter(t, 2)
	round(t, s, l)
	n.wantCosigned(t, db, 0, 2)

	all := []string{"w1.example", "w2.example", "w3.example"}
	for size := uint64(1); size < 40; size += 7 {
		appendTo(t, l, "x", int(size)-int(logSize(t, db)))
		round(t, s, l)
		n.wantCosigned(t, db, size, 2, all...)
	}
	away := http.NotFoundHandler()
	n.servers[1].answer(away)
	appendTo(t, l, "x", 10)
	round(t, s, l)
	n.wantCosigned(t, db, 46, 2, "w1.example", "w3.example")

	n.servers[2].answer(away)
	appendTo(t, l, "x", 10)
	round(t, s, l)
	n.wantCosigned(t, db, 46, 2, "w1.example", "w3.example")
	if f := faults(s); len(f) != 2 || !strings.Contains(f[0], "w2.example") || !strings.Contains(f[1], "w3.example") {
		t.Errorf("faults: %q", f)
	}
	n.servers[1].answer(nil)
	n.servers[2].answer(nil)
	round(t, s, l) // the two rest
	n.wantCosigned(t, db, 46, 2, "w1.example", "w3.example")
	n.wait(2 * time.Second)
	round(t, s, l)
	n.wantCosigned(t, db, 56, 2, all...)
	if f := faults(s); len(f) > 0 {
		t.Errorf("faults: %q", f)
	}

	// Another process, or this one after a restart, learns the sizes from the witnesses.
	again := n.submitter(t, 2)
	known, err := again.Known(t.Context(), false)
	if err != nil || len(known) != 3 {
		t.Fatalf("known: %d, %v", len(known), err)
	}
	restarted := n.log(t, db, known...)
	appendTo(t, restarted, "x", 5)
	round(t, again, restarted)
	n.wantCosigned(t, db, 61, 2, all...)
	// And this one finds that another was there.
	appendTo(t, l, "x", 5)
	round(t, s, l)
	n.wantCosigned(t, db, 66, 2, all...)
	if f := append(faults(s), faults(again)...); len(f) > 0 {
		t.Errorf("faults: %q", f)
	}
}

func logSize(t *testing.T, db *store.SQLite) uint64 {
	t.Helper()
	head, err := db.Head(t.Context(), origin)
	must(t, err)
	return head.Size
}

// TestTwoServers: two processes append to one log and submit at the same time.
func TestTwoServers(t *testing.T) {
	n := newNetwork(t, 2)
	file := filepath.Join(t.TempDir(), "log.db")
	dbs := []*store.SQLite{database(t, file), database(t, file)}
	var all sync.WaitGroup
	for _, db := range dbs {
		l, s := n.log(t, db), n.submitter(t, 2)
		all.Go(func() {
			for range 40 {
				appendTo(t, l, "x", 1)
				if err := s.Round(context.Background(), l); err != nil {
					t.Error(err)
				}
			}
			if f := faults(s); len(f) > 0 && !strings.Contains(f[0], "too fast") {
				t.Errorf("faults: %q", f)
			}
		})
	}
	all.Wait()
	n.wait(2 * longest)
	round(t, n.submitter(t, 2), n.log(t, dbs[0]))
	n.wantCosigned(t, dbs[1], 80, 2, "w1.example", "w2.example")
}

const longest = time.Minute // that a witness rests

// TestStale: what /readyz shows, by the clock.
func TestStale(t *testing.T) {
	n := newNetwork(t, 3)
	l, _ := n.newLog(t, "x", 3)
	s := n.submitter(t, 2)
	stale := func(what string, names string, quorum bool) {
		t.Helper()
		states, since := s.States()
		var got []string
		for _, state := range states {
			if state.Stale {
				got = append(got, state.Name[:2])
			}
		}
		if strings.Join(got, " ") != names || since.IsZero() == quorum {
			t.Errorf("%s: stale %v, quorum since %s; want %q, %t", what, got, since, names, quorum)
		}
	}
	stale("at first", "", false)
	round(t, s, l)
	n.wait(4 * time.Minute)
	stale("idle for four minutes", "", false)
	n.servers[0].answer(http.NotFoundHandler())
	round(t, s, l)
	n.wait(2 * time.Minute)
	stale("one gone for six minutes", "w1", false)
	n.servers[1].answer(http.NotFoundHandler())
	n.servers[2].answer(http.NotFoundHandler())
	appendTo(t, l, "x", 1)
	round(t, s, l)
	n.wait(5*time.Minute + time.Second)
	stale("all gone", "w1 w2 w3", true)
	for _, server := range n.servers {
		server.answer(nil)
	}
	round(t, s, l)
	stale("back", "", false)
	n.wait(time.Hour)
	stale("nobody asked for an hour", "w1 w2 w3", true)
	round(t, s, l)
	stale("asked again", "", false)
}

// TestKnown: what the witnesses must have before a log is opened. Of three the quorum
// is two, so that any two know every checkpoint that was cosigned.
func TestKnown(t *testing.T) {
	gone, ill := http.NotFoundHandler(), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
	tests := map[string]struct {
		answers []http.Handler // nil: as it should
		fresh   bool
		known   int // -1: refused
	}{
		"all":                       {[]http.Handler{nil, nil, nil}, false, 3},
		"one ill":                   {[]http.Handler{nil, ill, nil}, false, 2},
		"two ill":                   {[]http.Handler{ill, nil, ill}, false, -1},
		"two ill, fresh":            {[]http.Handler{ill, nil, ill}, true, -1},
		"one has nothing":           {[]http.Handler{nil, nil, gone}, false, 2},
		"two have nothing":          {[]http.Handler{gone, nil, gone}, false, -1},
		"two have nothing, fresh":   {[]http.Handler{gone, nil, gone}, true, 1},
		"nobody has any":            {[]http.Handler{gone, gone, gone}, false, -1},
		"nobody has any, fresh":     {[]http.Handler{gone, gone, gone}, true, 0},
		"one ill, one nothing":      {[]http.Handler{gone, ill, nil}, false, -1},
		"one ill, rest fresh":       {[]http.Handler{gone, ill, gone}, true, 0},
		"garbage":                   {[]http.Handler{nil, page("x"), page("y")}, false, -1},
		"each shows another's name": {nil, false, -1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNetwork(t, 3)
			l, db := n.newLog(t, "x", 5)
			round(t, n.submitter(t, 2), l)
			n.wantCosigned(t, db, 5, 2, "w1.example", "w2.example", "w3.example")
			if tt.answers == nil {
				a, b := n.servers[0].Witness, n.servers[1].Witness
				tt.answers = []http.Handler{b, a, a}
			}
			for i, h := range tt.answers {
				n.servers[i].answer(h)
			}
			known, err := n.submitter(t, 2).Known(t.Context(), tt.fresh)
			if (err != nil) != (tt.known < 0) || err == nil && len(known) != tt.known {
				t.Fatalf("%d known, %v; want %d", len(known), err, tt.known)
			}
			if tt.known > 0 {
				n.log(t, db, known...)
				older, _ := n.newLog(t, "x", 4)
				for _, k := range known {
					if err := older.Compare(t.Context(), k.Checkpoint); !errors.Is(err, audit.ErrBackwards) {
						t.Errorf("%s: %v", k.From, err)
					}
				}
			}
		})
	}
}

func page(text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) })
}

func TestSubmitterConfig(t *testing.T) {
	n := newNetwork(t, 2)
	good := func() witness.SubmitterConfig {
		return witness.SubmitterConfig{Origin: origin, Policy: n.policy(t, 1), Stale: time.Minute, Now: n.Now,
			Addresses: map[string]string{"w1.example": "https://w1.example", "w2.example": "http://127.0.0.1:8081/prefix/"}}
	}
	if _, err := witness.NewSubmitter(good()); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*witness.SubmitterConfig){
		"another log":        func(c *witness.SubmitterConfig) { c.Origin = "other.example" },
		"no witnesses":       func(c *witness.SubmitterConfig) { c.Policy, c.Addresses = policyOf(t, n.key), nil },
		"quorum 0":           func(c *witness.SubmitterConfig) { c.Policy = n.policy(t, 0) },
		"an address missing": func(c *witness.SubmitterConfig) { delete(c.Addresses, "w1.example") },
		"an address more":    func(c *witness.SubmitterConfig) { c.Addresses["w3.example"] = "https://w3.example" },
		"another name":       func(c *witness.SubmitterConfig) { delete(c.Addresses, "w1.example"); c.Addresses["w3"] = "https://w3" },
		"http elsewhere":     func(c *witness.SubmitterConfig) { c.Addresses["w1.example"] = "http://w1.example" },
		"no scheme":          func(c *witness.SubmitterConfig) { c.Addresses["w1.example"] = "w1.example" },
		"another scheme":     func(c *witness.SubmitterConfig) { c.Addresses["w1.example"] = "ftp://w1.example" },
		"with a query":       func(c *witness.SubmitterConfig) { c.Addresses["w1.example"] = "https://w1.example/?a=b" },
		"with a password":    func(c *witness.SubmitterConfig) { c.Addresses["w1.example"] = "https://u:p@w1.example/" },
		"no host":            func(c *witness.SubmitterConfig) { c.Addresses["w1.example"] = "https:///path" },
	} {
		c := good()
		spoil(&c)
		if s, err := witness.NewSubmitter(c); err == nil || s != nil {
			t.Errorf("%s: made", name)
		}
	}
}
