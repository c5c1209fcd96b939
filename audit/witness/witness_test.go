package witness_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"elicence/audit"
	"elicence/audit/witness"
)

// post sends a body to add-checkpoint.
func (f *fixture) post(body []byte) *httptest.ResponseRecorder {
	return ask(f, "POST", "/add-checkpoint", body)
}

func ask(h http.Handler, method, path string, body []byte) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, bytes.NewReader(body)))
	return w
}

// mustAdd has the witness cosign and checks the cosignature as an auditor would.
func (f *fixture) mustAdd(t testing.TB, from, to int) time.Time {
	t.Helper()
	return f.cosigned(t, f.post(f.log.body(t, from, to)), to)
}

// cosigned checks that an answer cosigns the log's checkpoint of a size, and returns when.
func (f *fixture) cosigned(t testing.TB, w *httptest.ResponseRecorder, size int) time.Time {
	t.Helper()
	if w.Code != http.StatusOK {
		t.Fatalf("size %d: %d %s", size, w.Code, w.Body)
	}
	if lines := strings.Count(w.Body.String(), "\n"); lines != 1 || !strings.HasPrefix(w.Body.String(), "— w1.example ") {
		t.Fatalf("answered %q", w.Body)
	}
	policy := withWitnesses(t, f.config.Policy, 1, f.config.Signer)
	signed, err := policy.AddCosignature(f.log.checkpoint(t, size), "w1.example", w.Body.Bytes())
	must(t, err)
	c, at, err := policy.OpenCosigned(signed, "w1.example")
	if err != nil || c.Size != uint64(size) {
		t.Fatalf("size %d: cosigned %+v, %v", size, c, err)
	}
	return at
}

// latest is what the witness says it cosigned last; 0 for nothing.
func (f *fixture) latest(t testing.TB) (size uint64, at time.Time) {
	t.Helper()
	w := ask(f, "GET", "/"+witness.Hash(origin)+"/checkpoint", nil)
	if w.Code == http.StatusNotFound {
		return 0, time.Time{}
	}
	c, at, err := withWitnesses(t, f.config.Policy, 1, f.config.Signer).OpenCosigned(w.Body.Bytes(), "w1.example")
	if err != nil || w.Code != http.StatusOK {
		t.Fatalf("latest: %d %s: %v", w.Code, w.Body, err)
	}
	return c.Size, at
}

// TestGood walks a log up to 80 entries, in steps of every length, with a restart and
// a repetition now and then.
func TestGood(t *testing.T) {
	for step := 1; step < 80; step += 3 {
		f := newFixture(t)
		for from := 0; from < 80; from += step {
			to := min(from+step, 80)
			f.mustAdd(t, from, to)
			if from%7 == 0 {
				f.open(t)
			}
			f.now = f.now.Add(time.Second)
			if at := f.mustAdd(t, to, to); !at.Equal(f.now) {
				t.Errorf("asked again at %s, the cosignature is of %s", f.now, at)
			}
			if size, at := f.latest(t); size != uint64(to) || !at.Equal(f.now) {
				t.Errorf("latest is %d at %s, want %d", size, at, to)
			}
		}
	}
}

// TestRace sends checkpoints of many sizes at the same time, each with the proof from
// what it was told last. Whatever is answered, the history that is kept only grows.
func TestRace(t *testing.T) {
	f := newFixture(t)
	var mu sync.Mutex
	answered := map[int]int{}
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			from := 0
			for to := 1 + worker; to <= 80; {
				w := f.post(f.log.body(t, min(from, to), to))
				mu.Lock()
				answered[w.Code]++
				mu.Unlock()
				switch w.Code {
				case http.StatusOK:
					from, to = to, to+1+worker%3
				case http.StatusConflict:
					size, err := strconv.Atoi(strings.TrimSpace(w.Body.String()))
					if err != nil {
						t.Error(err)
						return
					}
					from, to = size, max(to, size)
				default:
					t.Errorf("%d %s", w.Code, w.Body)
					return
				}
			}
		})
	}
	all.Wait()
	last, cosigned := uint64(0), 0
	for _, signed := range f.store.all {
		c, err := audit.ParseCheckpoint([]byte(signed))
		must(t, err)
		if c.Size < last {
			t.Errorf("kept size %d after %d", c.Size, last)
		}
		last = c.Size
		cosigned++
	}
	if answered[http.StatusOK] != cosigned || answered[http.StatusConflict] == 0 || last != 80 {
		t.Errorf("answers %v, %d kept, the last of size %d", answered, cosigned, last)
	}
}

// TestStoreFails: nothing is cosigned that is not kept, and after the failure, with
// or without a restart, only what continues the last cosignature given out is.
func TestStoreFails(t *testing.T) {
	for _, how := range []string{"failed", "persisted"} {
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, restart %t", how, restart), func(t *testing.T) {
				f := newFixture(t)
				f.mustAdd(t, 0, 20)
				f.store.fail = how
				w := f.post(f.log.body(t, 20, 30))
				if w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "w1.example") || len(f.faults) != 1 {
					t.Fatalf("%d %q, %v", w.Code, w.Body, f.faults)
				}
				f.store.fail = ""
				if restart {
					f.open(t)
				}
				size, _ := f.latest(t)
				if want := uint64(20); !(restart && how == "persisted") && size != want {
					t.Errorf("the witness has %d, want %d", size, want)
				}
				fork := newTestLog(f.log.signer, "another history", 40)
				if w := f.post(fork.body(t, int(size), 35)); w.Code != http.StatusUnprocessableEntity {
					t.Errorf("another history: %d", w.Code)
				}
				f.mustAdd(t, int(size), 40)
			})
		}
	}
}

// TestClockBackwards: a later cosignature never states an earlier time.
func TestClockBackwards(t *testing.T) {
	f := newFixture(t)
	first := f.mustAdd(t, 0, 10)
	f.now = start.Add(-time.Hour)
	if at := f.mustAdd(t, 10, 20); !at.Equal(first) {
		t.Errorf("clock set back: %s after %s", at, first)
	}
	f.open(t)
	if at := f.mustAdd(t, 20, 30); !at.Equal(first) {
		t.Errorf("clock set back, restarted: %s after %s", at, first)
	}
	f.now = start.Add(time.Hour)
	if at := f.mustAdd(t, 30, 40); !at.Equal(f.now) {
		t.Errorf("clock right again: %s", at)
	}
}

// TestOpen: a witness does not go on from what it did not write.
func TestOpen(t *testing.T) {
	f := newFixture(t)
	f.mustAdd(t, 0, 20)
	kept := f.store.kept[origin]
	other := newTestLog(newSigner(t, "other.example"), "x", 5)
	bad := map[string]func(c *witness.Config, s *memStore){
		"empty":         func(_ *witness.Config, s *memStore) { s.kept[origin] = []byte{} },
		"no note":       func(_ *witness.Config, s *memStore) { s.kept[origin] = []byte("20\n") },
		"not cosigned":  func(_ *witness.Config, s *memStore) { s.kept[origin] = f.log.checkpoint(t, 20) },
		"not the log's": func(_ *witness.Config, s *memStore) { s.kept[origin] = other.checkpoint(t, 5) },
		"a bit flipped": func(_ *witness.Config, s *memStore) { s.kept[origin][len(kept)-9] ^= 1 },
		"a larger size": func(_ *witness.Config, s *memStore) {
			s.kept[origin] = bytes.Replace(kept, []byte("\n20\n"), []byte("\n21\n"), 1)
		},
		"another witness key": func(c *witness.Config, _ *memStore) { c.Signer = newSigner(t, "w1.example") },
		"another log key":     func(c *witness.Config, _ *memStore) { c.Policy = policyOf(t, newSigner(t, origin)) },
		"no key":              func(c *witness.Config, _ *memStore) { c.Signer.Key = nil },
		"the log's key":       func(c *witness.Config, _ *memStore) { c.Signer = f.log.signer },
		"policy with a witness": func(c *witness.Config, _ *memStore) {
			c.Policy = withWitnesses(t, c.Policy, 1, newSigner(t, "w2.example"))
		},
		"another log's checkpoint": func(c *witness.Config, s *memStore) {
			c.Policy = policyOf(t, f.log.signer, other.signer)
			s.kept["other.example"] = kept
		},
	}
	for name, spoil := range bad {
		config, store := f.config, newMemStore()
		store.kept[origin] = bytes.Clone(kept)
		config.Store = store
		spoil(&config, store)
		if w, err := witness.Open(config); err == nil || w != nil {
			t.Errorf("%s: opened", name)
		}
	}
	// A log may have two keys, as while one replaces the other.
	second := newTestLog(newSigner(t, origin), "the history", 80)
	f.config.Policy = policyOf(t, f.log.signer, second.signer)
	f.open(t)
	f.cosigned(t, f.post(second.body(t, 20, 40)), 40)
	if size, _ := f.latest(t); size != 40 {
		t.Errorf("the second key's checkpoint was not cosigned: %d", size)
	}
}
