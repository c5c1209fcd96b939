package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"elicence/audit"
	"elicence/audit/audittest"
)

const watchedLog = "log.example/city"

// watched is a service whose log is watched, with two witnesses who sign whatever they
// are shown. It shows what its test makes it show.
type watched struct {
	t         testing.TB
	log       *audittest.Log
	witnesses [2]audit.Signer
	server    *httptest.Server

	checkpoint func(http.ResponseWriter)                 // of the service
	proof      func(http.ResponseWriter, uint64, uint64) // of the service
	cosigned   func(http.ResponseWriter)                 // of witness w1
	policy     string                                    // files
	token      string
	state      string
}

func newWatched(t testing.TB) *watched {
	t.Helper()
	dir := t.TempDir()
	w := &watched{t: t, log: audittest.New(t, watchedLog, time.Now()), policy: filepath.Join(dir, "policy"), token: filepath.Join(dir, "token"), state: filepath.Join(dir, "state")}
	w.append(w.log, "entry", 3)
	policy := "log " + strings.Fields(string(w.log.Policy))[1] + "\n"
	for i := range w.witnesses {
		w.witnesses[i] = audittest.NewSigner(t, fmt.Sprintf("w%d.example", i+1))
		key, err := w.witnesses[i].WitnessKey()
		must(t, err)
		policy += fmt.Sprintf("witness w%d %s\n", i+1, key)
	}
	must(t, os.WriteFile(w.policy, []byte(policy+"quorum 1\n"), 0o600))
	must(t, os.WriteFile(w.token, []byte("abc.def\n"), 0o600))
	w.honest()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/log/checkpoint", func(a http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer abc.def" {
			t.Error("asked without the token")
		}
		w.checkpoint(a)
	})
	mux.HandleFunc("GET /api/v1/log/proof", func(a http.ResponseWriter, r *http.Request) {
		if index := r.FormValue("index"); index != "" {
			w.include(a, index, r.FormValue("size"))
			return
		}
		from, err1 := strconv.ParseUint(r.FormValue("from"), 10, 64)
		to, err2 := strconv.ParseUint(r.FormValue("to"), 10, 64)
		if err1 != nil || err2 != nil {
			t.Errorf("asked for %s", r.URL)
		}
		w.proof(a, from, to)
	})
	mux.HandleFunc(fmt.Sprintf("GET /w1/%x/checkpoint", sha256.Sum256([]byte(watchedLog))), func(a http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("the witness is shown the service's token")
		}
		w.cosigned(a)
	})
	w.server = httptest.NewServer(mux)
	t.Cleanup(w.server.Close)
	return w
}

func (w *watched) append(log *audittest.Log, object string, n int) {
	w.t.Helper()
	for i := range n {
		log.MustAppend(w.t, audit.Entry{Principal: "clerk", Action: "read", Object: fmt.Sprint(object, i), Result: audit.ResultAllowed})
	}
}

// honest has service and witness show what they should.
func (w *watched) honest() {
	w.show(w.log, -1, time.Now(), 0)
	w.proof = func(a http.ResponseWriter, from, to uint64) { prove(a, w.log, from, to) }
	w.cosigned = func(a http.ResponseWriter) { a.Write(w.note(w.log, -1, time.Now(), 0)) }
}

// prove answers with a consistency proof like the service.
func prove(a http.ResponseWriter, log *audittest.Log, from, to uint64) {
	hashes, err := log.ConsistencyProof(context.Background(), from, to)
	answer(a, hashes, err, map[string]any{"from": from, "to": to})
}

// include answers with an inclusion proof.
func (w *watched) include(a http.ResponseWriter, index, size string) {
	i, err1 := strconv.ParseUint(index, 10, 64)
	n, err2 := strconv.ParseUint(size, 10, 64)
	hashes, err := w.log.InclusionProof(context.Background(), i, n)
	answer(a, hashes, errors.Join(err, err1, err2), map[string]any{"index": i, "size": n})
}

func answer(a http.ResponseWriter, hashes [][]byte, err error, proof map[string]any) {
	if err != nil {
		http.Error(a, `{"code":"out_of_range","detail":"there is no such size","request_id":"r-1"}`, http.StatusNotFound)
		return
	}
	all := make([]string, len(hashes))
	for i, h := range hashes {
		all[i] = hex.EncodeToString(h)
	}
	proof["hashes"] = all
	json.NewEncoder(a).Encode(proof)
}

// note is the checkpoint of a log at a size, -1 for its newest, cosigned by witnesses.
func (w *watched) note(log *audittest.Log, size int, at time.Time, witnesses ...int) []byte {
	w.t.Helper()
	heads := log.Storage.Heads
	if size < 0 {
		size = len(heads)
	}
	signed := heads[size-1].Checkpoint
	for _, i := range witnesses {
		var err error
		signed, err = audit.Cosign(rand.Reader, w.witnesses[i], signed, at)
		must(w.t, err)
	}
	return signed
}

func (w *watched) show(log *audittest.Log, size int, at time.Time, witnesses ...int) {
	w.checkpoint = func(a http.ResponseWriter) { a.Write(w.note(log, size, at, witnesses...)) }
}

// watch runs the command once.
func (w *watched) watch(more ...string) (code int, says string) {
	var out bytes.Buffer
	args := []string{"audit", "watch", "--policy", w.policy, "--server", w.server.URL, "--token-file", w.token, "--state", w.state}
	code = run(append(args, more...), terminal{&out, &out})
	return code, out.String()
}

func failing(status int) func(http.ResponseWriter) {
	return func(a http.ResponseWriter) { http.Error(a, `{"code":"log_unavailable"}`, status) }
}

// watchCase is what a watch is shown, or told, after the log had five entries.
type watchCase struct {
	name   string
	change func()
	more   []string
	code   int
	says   string
}

// watchTest is a log of eight entries, of which the watch has seen five; and others that
// it might be shown.
type watchTest struct {
	*watched
	kept                      []byte // the state file
	fork, stranger, elsewhere *audittest.Log
	now, hourAgo              time.Time
}

func newWatchTest(t *testing.T) *watchTest {
	t.Helper()
	w := &watchTest{watched: newWatched(t), now: time.Now(), hourAgo: time.Now().Add(-time.Hour)}
	if code, says := w.watch("--once"); code != exitGood || !strings.Contains(says, "good: "+watchedLog+", 3 entries") {
		t.Fatalf("at first: %d %s", code, says)
	}
	if code, says := w.watch("--once"); code != exitGood || says != "" {
		t.Errorf("nothing new: %d %s", code, says)
	}
	w.append(w.log, "more", 2)
	if code, says := w.watch("--once"); code != exitGood || !strings.Contains(says, "5 entries") {
		t.Fatalf("grown: %d %s", code, says)
	}
	w.kept = w.read(w.state)
	if c, err := audit.ParseCheckpoint(w.kept); err != nil || c.Size != 5 {
		t.Fatalf("kept %q", w.kept)
	}
	w.append(w.log, "later", 3)
	w.fork = audittest.Open(t, w.log.Signer, w.now)
	w.append(w.fork, "another", 9)
	w.stranger = audittest.New(t, watchedLog, w.now)
	w.append(w.stranger, "entry", 9)
	w.elsewhere = audittest.New(t, "log.example/other", w.now)
	w.append(w.elsewhere, "entry", 9)
	return w
}

// run runs cases. Whatever is wrong must be said, and must not replace what was kept.
func (w *watchTest) run(t *testing.T, cases []watchCase) {
	t.Helper()
	for _, tt := range cases {
		witnesses, policy := w.witnesses, w.read(w.policy)
		must(t, os.RemoveAll(w.state))
		must(t, os.WriteFile(w.state, w.kept, 0o600))
		_ = os.Remove(w.state + ".alarm")
		w.honest()
		tt.change()
		code, says := w.watch(append([]string{"--once"}, tt.more...)...)
		if code != tt.code || !strings.Contains(says, tt.says) {
			t.Errorf("%s: exits with %d and says %s", tt.name, code, says)
		}
		left, err := os.ReadFile(w.state)
		if code == exitBad && !strings.Contains(says, "no quorum") && !bytes.Equal(left, w.kept) {
			t.Errorf("%s: kept %q, %v", tt.name, left, err)
		}
		_, err = os.Stat(w.state + ".alarm")
		if evidence := err == nil; evidence != (code == exitBad && !strings.Contains(says, "stale")) {
			t.Errorf("%s: evidence was kept: %t", tt.name, evidence)
		}
		w.witnesses = witnesses
		must(t, os.WriteFile(w.policy, policy, 0o600))
		must(t, os.WriteFile(w.token, []byte("abc.def\n"), 0o600))
	}
}

// TestWatch shows the command a log in many ways.
func TestWatch(t *testing.T) {
	w := newWatchTest(t)
	w.run(t, []watchCase{
		{"another history", func() { w.show(w.fork, 8, w.now, 0) }, nil, exitBad, "alarm: forked: the service shows a log of 8 entries that does not continue the one of 5 that it showed before"},
		{"another history with its proof", func() {
			w.show(w.fork, -1, w.now, 0)
			w.proof = func(a http.ResponseWriter, from, to uint64) { prove(a, w.fork, from, to) }
		}, nil, exitBad, "alarm: forked"},
		{"another history of that size", func() { w.show(w.fork, 5, w.now, 0) }, nil, exitBad, "alarm: forked: the service shows a log of 5 entries"},
		{"cut", func() { w.show(w.log, 4, w.now, 0) }, nil, exitBad, "alarm: backwards: the service shows a log of 4 entries, and it showed before one of 5"},
		{"cut and rewritten", func() { w.show(w.fork, 4, w.now, 0) }, nil, exitBad, "alarm: backwards"},
		{"not cosigned", func() { w.show(w.log, -1, w.now) }, nil, exitBad, "alarm: not cosigned: audit: too few cosignatures: 0 of 1"},
		{"cosigned by somebody", func() {
			w.witnesses[0], w.witnesses[1] = w.witnesses[1], audittest.NewSigner(t, "w1.example")
			w.show(w.log, -1, w.now, 1)
		}, nil, exitBad, "alarm: not cosigned"},
		{"cosigned an hour ago", func() { w.show(w.log, -1, w.hourAgo, 0) }, nil, exitBad, "alarm: stale: no quorum of witnesses has cosigned the log since " + w.hourAgo.UTC().Format(time.RFC3339)},
		{"cosigned an hour ago, which is not too long", func() { w.show(w.log, -1, w.hourAgo, 0) }, []string{"--stale=2h"}, exitGood, "8 entries"},
		{"one of two cosigned an hour ago", func() {
			signed := w.note(w.log, -1, w.hourAgo, 0)
			signed, err := audit.Cosign(rand.Reader, w.witnesses[1], signed, w.now)
			must(t, err)
			w.checkpoint = func(a http.ResponseWriter) { a.Write(signed) }
		}, nil, exitGood, "8 entries"},
		{"another key", func() { w.show(w.stranger, -1, w.now, 0) }, nil, exitBad, "alarm: not signed: audit: bad checkpoint signature"},
		{"another log", func() { w.show(w.elsewhere, -1, w.now, 0) }, nil, exitBad, "alarm: not signed: audit: unknown log"},
		{"nothing new for an hour", func() { w.show(w.log, 5, w.now, 0); must(t, os.Chtimes(w.state, w.hourAgo, w.hourAgo)) }, nil, exitBad, "alarm: stale: nothing newer than 5 entries was shown since"},
		{"nothing new for a while", func() { w.show(w.log, 5, w.now, 0) }, nil, exitGood, ""},
		{"away", func() { w.checkpoint = failing(503) }, nil, exitUnavailable, "503"},
		{"away for an hour", func() { w.checkpoint = failing(503); must(t, os.Chtimes(w.state, w.hourAgo, w.hourAgo)) }, nil, exitBad, "alarm: stale: nothing newer than 5 entries was shown since"},
		{"no checkpoint", func() { w.checkpoint = func(a http.ResponseWriter) { fmt.Fprint(a, "<html>") } }, nil, exitUnavailable, "no checkpoint"},
		{"endless", func() { w.checkpoint = func(a http.ResponseWriter) { a.Write(make([]byte, 1<<20)) } }, nil, exitUnavailable, "no checkpoint"},
		{"elsewhere", func() {
			w.checkpoint = func(a http.ResponseWriter) { a.Header().Set("Location", "https://x.example"); a.WriteHeader(302) }
		}, nil, exitUnavailable, "302"},
		{"no proof", func() { w.proof = func(a http.ResponseWriter, _, _ uint64) { failing(500)(a) } }, nil, exitUnavailable, "proof from 5 to 8 entries"},
		{"no proof for an hour", func() {
			w.proof = func(a http.ResponseWriter, _, _ uint64) { failing(500)(a) }
			must(t, os.Chtimes(w.state, w.hourAgo, w.hourAgo))
		}, nil, exitBad, "alarm: stale: nothing newer than 5 entries"},
		{"proof of something else", func() { w.proof = func(a http.ResponseWriter, from, to uint64) { prove(a, w.log, from-1, to) } }, nil, exitUnavailable, "other entries or sizes"},
		{"proof that is none", func() { w.proof = func(a http.ResponseWriter, _, _ uint64) { fmt.Fprint(a, "{}") } }, nil, exitUnavailable, "malformed"},
		{"proof of nothing", func() {
			w.proof = func(a http.ResponseWriter, from, to uint64) {
				fmt.Fprintf(a, `{"from":%d,"to":%d,"hashes":[]}`, from, to)
			}
		}, nil, exitBad, "alarm: forked"},
	})
}

// TestWatchWitness has it ask a witness, too.
func TestWatchWitness(t *testing.T) {
	w := newWatchTest(t)
	witness := "--witness=w1=" + w.server.URL + "/w1"
	w.run(t, []watchCase{
		{"witness has the same", func() {}, []string{witness}, exitGood, "8 entries"},
		{"witness has less", func() { w.cosigned = func(a http.ResponseWriter) { a.Write(w.note(w.log, 2, w.now, 0)) } }, []string{witness}, exitGood, "8 entries"},
		{"witness has more", func() { w.show(w.log, 7, w.now, 0) }, []string{witness}, exitGood, "7 entries"},
		{"witness has another", func() { w.cosigned = func(a http.ResponseWriter) { a.Write(w.note(w.fork, 7, w.now, 0)) } }, []string{witness}, exitBad,
			"alarm: forked: the service shows a log of 8 entries that does not continue the one of 7 that witness w1 has cosigned"},
		{"witness has another of that size", func() { w.cosigned = func(a http.ResponseWriter) { a.Write(w.note(w.fork, 8, w.now, 0)) } }, []string{witness}, exitBad, "alarm: forked"},
		{"witness has more of another", func() {
			w.show(w.log, 7, w.now, 0)
			w.cosigned = func(a http.ResponseWriter) { a.Write(w.note(w.fork, 8, w.now, 0)) }
		}, []string{witness}, exitBad, "alarm: forked: witness w1 has cosigned a log of 8 entries that does not continue the one of 7 that the service shows"},
		{"witness has more than there is", func() { w.cosigned = func(a http.ResponseWriter) { a.Write(w.note(w.fork, 9, w.now, 0)) } }, []string{witness}, exitBad,
			"alarm: backwards: witness w1 has cosigned a log of 9 entries, and the service has less"},
		{"witness did not cosign", func() { w.cosigned = func(a http.ResponseWriter) { a.Write(w.note(w.log, 8, w.now, 1)) } }, []string{witness}, exitUnavailable, "witness w1"},
		{"witness did not cosign, and the log goes on", func() {
			w.cosigned = func(a http.ResponseWriter) { a.Write(w.note(w.log, 8, w.now, 1)) }
		}, []string{witness}, exitUnavailable, "good: " + watchedLog + ", 8 entries"},
		{"witness has nothing", func() { w.cosigned = failing(404) }, []string{witness}, exitUnavailable, "witness w1"},
		{"witness away", func() {}, []string{"--witness=w2=http://127.0.0.1:1"}, exitUnavailable, "witness w2"},
		{"no such witness", func() {}, []string{"--witness=w3=http://127.0.0.1:1"}, exitUsage, "no witness"},
		{"witness in clear", func() {}, []string{"--witness=w1=http://w1.example"}, exitUsage, "https"},
	})
}

// TestWatchCalls calls it in other ways than it should be.
func TestWatchCalls(t *testing.T) {
	w := newWatchTest(t)
	w.run(t, []watchCase{
		{"no state", func() { must(t, os.Remove(w.state)) }, nil, exitGood, "8 entries"},
		{"state is none", func() { must(t, os.WriteFile(w.state, []byte("x"), 0o600)) }, nil, exitUsage, "malformed"},
		{"state of another log", func() { must(t, os.WriteFile(w.state, w.note(w.elsewhere, 3, w.now), 0o600)) }, nil, exitUsage, "unknown log"},
		{"state without a cosignature", func() { must(t, os.WriteFile(w.state, w.note(w.log, 3, w.now), 0o600)) }, nil, exitGood, "8 entries"},
		{"state is a folder", func() { must(t, os.Remove(w.state)); must(t, os.Mkdir(w.state, 0o700)) }, nil, exitNoInput, ""},
		{"state in no folder", func() {}, []string{"--state=" + filepath.Join(t.TempDir(), "none", "state")}, exitInternal, "no such file"},
		{"no token", func() { must(t, os.Remove(w.token)) }, nil, exitNoInput, "token"},
		{"no policy", func() {}, []string{"--policy=" + w.state}, exitUsage, "malformed policy"},
		{"policy of two logs", func() {
			both := append(bytes.Clone(w.log.Policy), w.elsewhere.Policy...)
			must(t, os.WriteFile(w.policy, bytes.Replace(both, []byte("quorum 0\n"), nil, 2), 0o600))
		}, nil, exitUsage, "2 logs"},
		{"never", func() {}, []string{"--every=0s"}, exitUsage, "--every"},
		{"plain address", func() {}, []string{"--server=http://licence.example"}, exitUsage, "https"},
	})
}

func (w *watched) read(name string) []byte {
	w.t.Helper()
	b, err := os.ReadFile(name)
	must(w.t, err)
	return b
}

// TestWatchOn goes on until there is an alarm, over a time in which the service is away.
func TestWatchOn(t *testing.T) {
	w := newWatched(t)
	rounds := 0
	w.checkpoint = func(a http.ResponseWriter) {
		switch rounds++; {
		case rounds == 3:
			failing(503)(a)
		case rounds < 6:
			w.append(w.log, "more", 1)
			fallthrough
		default:
			a.Write(w.note(w.log, -1, time.Now(), 0))
		}
	}
	code, says := w.watch("--every", "10ms", "--stale", "1s")
	if code != exitBad || strings.Count(says, "good: ") != 4 || !strings.Contains(says, "503") || !strings.Contains(says, "alarm: stale: ") {
		t.Errorf("after %d rounds: %d %s", rounds, code, says)
	}
}
