package witness_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"elicence/audit"
	"elicence/audit/witness"
)

// liars are witnesses that misbehave.
func liars() map[string]func(t *testing.T, n *network) http.Handler {
	text := func(status int, mediaType, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.Method == "GET" {
				http.NotFound(w, r)
				return
			}
			w.Header().Set("Content-Type", mediaType)
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}
	}
	size := "text/x.tlog.size"
	return map[string]func(t *testing.T, n *network) http.Handler{
		"knows a larger size":      func(*testing.T, *network) http.Handler { return text(409, size, "99\n") },
		"knows an enormous size":   func(*testing.T, *network) http.Handler { return text(409, size, "9223372036854775807\n") },
		"knows a size beyond":      func(*testing.T, *network) http.Handler { return text(409, size, "9223372036854775808\n") },
		"says the size just told":  func(*testing.T, *network) http.Handler { return text(409, size, "0\n") },
		"says no number":           func(*testing.T, *network) http.Handler { return text(409, size, "x\n") },
		"says 409 in another type": func(*testing.T, *network) http.Handler { return text(409, "text/plain", "1\n") },
		"cannot follow":            func(*testing.T, *network) http.Handler { return text(422, "text/plain", "no\n") },
		"does not know the log":    func(*testing.T, *network) http.Handler { return text(404, "text/plain", "unknown\n") },
		"believes no signature":    func(*testing.T, *network) http.Handler { return text(403, "text/plain", "no\n") },
		"is ill":                   func(*testing.T, *network) http.Handler { return text(500, "text/plain", "disk full\n") },
		"answers nothing":          func(*testing.T, *network) http.Handler { return text(200, "text/plain", "") },
		"answers a page":           func(*testing.T, *network) http.Handler { return text(200, "text/html", "<html>") },
		"answers a megabyte":       func(*testing.T, *network) http.Handler { return text(200, "text/plain", strings.Repeat("x", 1<<20)) },
		"redirects": func(_ *testing.T, n *network) http.Handler {
			return http.RedirectHandler(n.servers[1].http.URL, http.StatusTemporaryRedirect)
		},
		"hangs up": func(*testing.T, *network) http.Handler {
			return http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
		},
		"is another witness": func(_ *testing.T, n *network) http.Handler { return n.servers[1] },
		"shows a log of another key": func(t *testing.T, n *network) http.Handler {
			other := newTestLog(newSigner(t, origin), "x", 99)
			return shows(t, other.checkpoint(t, 99), n.servers[0].config.Signer)
		},
		"shows a checkpoint it did not cosign": func(t *testing.T, n *network) http.Handler {
			log := newTestLog(n.key, "another history", 99)
			return shows(t, log.checkpoint(t, 99), newSigner(t, "w1.example"))
		},
	}
}

// TestLiars: a witness that misbehaves is at fault, and nothing else happens: the log
// goes on, and the other witness cosigns.
func TestLiars(t *testing.T) {
	for name, liar := range liars() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNetwork(t, 2)
			l, db := n.newLog(t, "x", 5)
			s := n.submitter(t, 1)
			n.servers[0].answer(liar(t, n))
			for range 3 {
				round(t, s, l)
				n.wantCosigned(t, db, logSize(t, db), 1, "w2.example")
				if f := faults(s); len(f) != 1 || !strings.HasPrefix(f[0], "w1.example") {
					t.Errorf("faults: %q", f)
				}
				n.wait(2 * longest)
				appendTo(t, l, "x", 3)
			}
			n.servers[0].answer(nil) // it mends its ways
			round(t, s, l)
			n.wantCosigned(t, db, logSize(t, db), 1, "w1.example", "w2.example")
		})
	}
}

// shows is a witness that has cosigned a checkpoint and says 409 to all others.
func shows(t *testing.T, signed []byte, key audit.Signer) http.Handler {
	t.Helper()
	cosigned, err := audit.Cosign(rand.Reader, key, signed, start)
	must(t, err)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "GET" {
			w.Write(cosigned)
			return
		}
		w.Header().Set("Content-Type", "text/x.tlog.size")
		w.WriteHeader(409)
		fmt.Fprint(w, "99\n")
	})
}

// TestHangingWitness: one that never answers holds the others up once, and then rests.
func TestHangingWitness(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, 2)
	l, db := n.newLog(t, "x", 5)
	s := n.submitter(t, 1)
	asked, end := make(chan bool, 10), make(chan bool)
	t.Cleanup(func() { close(end) })
	n.servers[0].answer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked <- true
		<-end
	}))
	round(t, s, l)
	n.wantCosigned(t, db, 5, 1, "w2.example")
	appendTo(t, l, "x", 5)
	round(t, s, l)
	n.wantCosigned(t, db, 10, 1, "w2.example")
	if len(asked) != 1 {
		t.Errorf("the witness was asked %d times", len(asked))
	}
}

// stopped checks that a round ended in evidence against the log, which takes nothing more.
func stopped(t *testing.T, s *witness.Submitter, l *audit.Log, want error) {
	t.Helper()
	err := s.Round(t.Context(), l)
	if !errors.Is(err, want) || !strings.Contains(err.Error(), "witness w1.example") {
		t.Errorf("round: %v, want %v", err, want)
	}
	_, err = l.Append(t.Context(), &audit.Entry{Principal: "p", Action: "a", Result: audit.ResultAllowed}, nil)
	if !errors.Is(err, audit.ErrStopped) || !errors.Is(err, want) {
		t.Errorf("append after it: %v", err)
	}
}

// TestEvidence: a log that is not what its witness cosigned is stopped, by what its
// own key signed.
func TestEvidence(t *testing.T) {
	t.Run("forked", func(t *testing.T) {
		n := newNetwork(t, 1)
		seen, _ := n.newLog(t, "what the witness saw", 10)
		round(t, n.submitter(t, 1), seen)
		l, _ := n.newLog(t, "another history", 12)
		stopped(t, n.submitter(t, 1), l, audit.ErrForked)
	})
	t.Run("forked, same size", func(t *testing.T) {
		n := newNetwork(t, 1)
		seen, _ := n.newLog(t, "what the witness saw", 10)
		round(t, n.submitter(t, 1), seen)
		l, _ := n.newLog(t, "another history", 10)
		stopped(t, n.submitter(t, 1), l, audit.ErrForked)
	})
	t.Run("went backwards", func(t *testing.T) {
		n := newNetwork(t, 1)
		seen, _ := n.newLog(t, "x", 10)
		round(t, n.submitter(t, 1), seen)
		l, _ := n.newLog(t, "x", 7) // the same beginning
		stopped(t, n.submitter(t, 1), l, audit.ErrBackwards)
	})
}

// TestTwoViews: whoever shows two histories to two witnesses gets no quorum for
// either, and is found out as soon as one asks both: their checkpoints are by the
// log's key, of one size, and differ.
func TestTwoViews(t *testing.T) {
	n := newNetwork(t, 2)
	one := &network{key: n.key, now: start, servers: n.servers[:1]}
	other := &network{key: n.key, now: start, servers: n.servers[1:]}
	l1, _ := n.newLog(t, "as the auditor sees it", 10)
	l2, db2 := n.newLog(t, "as the citizen sees it", 10)
	round(t, one.submitter(t, 1), l1)
	round(t, other.submitter(t, 1), l2)

	var roots [][32]byte
	for _, server := range n.servers {
		client, err := witness.NewClient(server.http.URL)
		must(t, err)
		signed, err := client.Latest(t.Context(), origin)
		must(t, err)
		c, _, err := n.policy(t, 2).OpenCosigned(signed, server.config.Signer.Name)
		if err != nil || c.Size != 10 {
			t.Fatalf("%s: %+v, %v", server.config.Signer.Name, c, err)
		}
		roots = append(roots, c.RootHash)
	}
	if roots[0] == roots[1] {
		t.Error("both witnesses saw the same history")
	}
	appendTo(t, l2, "x", 1)
	stopped(t, n.submitter(t, 2), l2, audit.ErrForked)
	n.wantCosigned(t, db2, 10, 1, "w2.example") // from before, by one
}

// TestWitnessGoesBack: a witness that was put back to an earlier state is not believed
// again, for it could be made to cosign another history.
func TestWitnessGoesBack(t *testing.T) {
	n := newNetwork(t, 1)
	l, db := n.newLog(t, "x", 5)
	s := n.submitter(t, 1)
	round(t, s, l)
	w := n.servers[0]
	earlier, err := w.store.Latest(origin)
	must(t, err)
	appendTo(t, l, "x", 5)
	round(t, s, l)
	w.store.kept[origin] = earlier
	w.open(t)
	w.answer(nil)
	appendTo(t, l, "x", 5)
	round(t, s, l)
	if f := faults(s); len(f) != 1 || !strings.Contains(f[0], "it went back: it had cosigned size 10, and says 5") {
		t.Errorf("faults: %q", f)
	}
	n.wantCosigned(t, db, 10, 1, "w1.example")
}
