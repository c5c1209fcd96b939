package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"elicence/audit"
)

// party is a witness of its own: a process with a folder, at a fixed address.
type party struct {
	dir, policy, vkey, address string
}

// newParty makes a witness for the log of a site.
func (s *site) newParty(t testing.TB, name string) *party {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0") // for an address that is free
	must(t, err)
	must(t, listener.Close())
	p := &party{dir: filepath.Join(t.TempDir(), name), address: listener.Addr().String()}
	p.policy = filepath.Join(t.TempDir(), "logs")
	must(t, os.WriteFile(p.policy, []byte("log "+s.logVkey(t)+"\n"), 0o600))
	out, err := exec.Command(witnessBinary, "init", "--dir", p.dir, "--name", name+".example").Output()
	must(t, err)
	p.vkey = strings.TrimSpace(string(out))
	return p
}

// logVkey is the verifier key of the site's log.
func (s *site) logVkey(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.Dir, "log-policy.txt"))
	must(t, err)
	return strings.Fields(string(text))[1]
}

func (p *party) start(t testing.TB) *running {
	t.Helper()
	return start(t, exec.Command(witnessBinary, "serve", "--dir", p.dir, "--policy", p.policy, "--listen", p.address))
}

// witnessed are the flags of a service that has these witnesses.
func (s *site) witnessed(t testing.TB, quorum int, parties ...*party) (args []string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "policy")
	text := "log " + s.logVkey(t) + "\n"
	args = []string{"--log-policy", file}
	for i, p := range parties {
		text += fmt.Sprintf("witness w%d %s\n", i, p.vkey)
		args = append(args, "--witness", fmt.Sprintf("w%d=http://%s", i, p.address))
	}
	must(t, os.WriteFile(file, fmt.Appendf(nil, "%squorum %d\n", text, quorum), 0o600))
	return args
}

func policyIn(t testing.TB, args []string) *audit.Policy {
	t.Helper()
	text, err := os.ReadFile(args[1])
	must(t, err)
	p, err := audit.ParsePolicy(text)
	must(t, err)
	return p
}

// TestDemoWitness: the demo's policy asks for its witness, whose cosignature the export
// has; one bit of it flipped, and the export is bad.
func TestDemoWitness(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	text, err := os.ReadFile(filepath.Join(s.Dir, "log-policy.txt"))
	must(t, err)
	policy, err := audit.ParsePolicy(text)
	must(t, err)
	if policy.Quorum() != 1 || !slices.Equal(policy.Witnesses(), []string{ownWitnessName}) {
		t.Errorf("policy:\n%s", text)
	}
	export, err := os.ReadFile(filepath.Join(s.Dir, "log-export"))
	must(t, err)
	summary, err := audit.VerifyExport(policy, bytes.NewReader(export))
	if err != nil || !slices.Equal(summary.Cosigners, policy.Witnesses()) {
		t.Errorf("cosigned by %v, %v", summary.Cosigners, err)
	}
	export[len(export)-20] ^= 1
	if _, err := audit.VerifyExport(policy, bytes.NewReader(export)); err == nil {
		t.Error("a cosignature with a bit flipped passes")
	}
	s.command("keys", "rotate", "qr").Run() // an entry of a command, without a witness
	out, err := s.command("log", "export", "-o", filepath.Join(t.TempDir(), "export")).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "no quorum of witnesses has cosigned them (--to ") {
		t.Errorf("exporting what is not cosigned: %v\n%s", err, out)
	}
	r := s.serve(t) // which runs the demo's witness too
	r.stop(t)
	if c, head := s.cosigned(t); c != head {
		t.Errorf("%d of %d entries are cosigned after the service ended", c, head)
	}
	must(t, os.RemoveAll(filepath.Join(s.Dir, "witness", "checkpoints")))
	s.wantRefusedStart(t, "a witness that forgot", "checkpoints: no such file")
}

// cosigned returns how many entries a quorum has cosigned, and how many there are.
func (s *site) cosigned(t testing.TB) (cosigned, all uint64) {
	t.Helper()
	set, err := s.settings()
	must(t, err)
	db, err := s.openDatabase(context.Background(), secrets{storage: make([]byte, 16), index: make([]byte, 32)})
	must(t, err)
	defer db.Close()
	head, err := db.Head(context.Background(), set.LogID)
	must(t, err)
	c, err := db.NewestCosigned(context.Background(), set.LogID)
	must(t, err)
	return c.Size, head.Size
}

// TestWitnessedService: two witnesses of three are enough; checkpoint and export of the
// interface carry their cosignatures; /readyz and /metrics name the one that is away.
func TestWitnessedService(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	one, two, three := s.newParty(t, "one"), s.newParty(t, "two"), s.newParty(t, "three")
	args := s.witnessed(t, 2, one, two, three)
	policy := policyIn(t, args)
	defer one.start(t).stop(t)
	s.wantRefusedStart(t, "one witness of three", "2 must", append(args, "--new-witnesses")...)
	second := two.start(t)
	s.wantRefusedStart(t, "witnesses that know nothing", "--new-witnesses", args...)
	r := s.serve(t, append(args, "--new-witnesses", "--witness-stale-after", "2s")...)
	if _, err := s.issueOne(t, r, "witnessed"); err != nil {
		t.Fatal(err)
	}
	_, size := s.cosigned(t)
	auditor := s.as(t, r, "auditor-demo")
	within(t, "the checkpoint is cosigned", func() bool {
		note, err := auditor.get(t.Context(), "/log/checkpoint")
		must(t, err)
		c, by, err := policy.OpenCheckpoint(note)
		return err == nil && c.Size >= size && slices.Equal(by, []string{"w0", "w1"})
	})
	export, err := auditor.get(t.Context(), "/log/export")
	must(t, err)
	if summary, err := audit.VerifyExport(policy, bytes.NewReader(export)); err != nil || summary.To < size {
		t.Errorf("export to %d of %d: %v", summary.To, size, err)
	}
	older, err := auditor.get(t.Context(), fmt.Sprintf("/log/export?from=3&to=%d", size-2))
	must(t, err)
	if summary, err := audit.VerifyExport(policy, bytes.NewReader(older)); err != nil || summary.From != 3 {
		t.Errorf("export of a range: %+v, %v", summary, err)
	}
	within(t, "the third is stale", func() bool { return slices.Equal(s.ready(t, r).stale(), []string{"w2"}) })
	if m := s.metrics(t, r); !strings.Contains(m, `elicence_witness_stale{witness="w2"} 1`) || !strings.Contains(m, `elicence_witness_stale{witness="w0"} 0`) ||
		!strings.Contains(m, "elicence_log_unwitnessed 0") {
		t.Error(m)
	}
	second.kill()
	within(t, "the quorum is gone", func() bool { return s.ready(t, r).UnwitnessedSince != nil })
	if _, err := s.issueOne(t, r, "unwitnessed"); err != nil {
		t.Errorf("issuing without a quorum: %v", err)
	}
	if m := s.metrics(t, r); !strings.Contains(m, "elicence_log_unwitnessed 1") {
		t.Error(m)
	}
	second = two.start(t)
	defer func() { second.stop(t) }()
	within(t, "the quorum is back", func() bool { return s.ready(t, r).UnwitnessedSince == nil })
	r.stop(t)
	if c, head := s.cosigned(t); c != head {
		t.Errorf("%d of %d entries are cosigned after the service ended", c, head)
	}
}

// within asks for half a minute until something is so.
func within(t testing.TB, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !so(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("gave up waiting until %s", what)
		}
	}
}

// readiness is what /readyz says of witnesses.
type readiness struct {
	StaleWitnesses []struct {
		Name string `json:"name"`
	} `json:"stale_witnesses"`
	UnwitnessedSince *time.Time `json:"unwitnessed_since"`
}

func (r readiness) stale() (names []string) {
	for _, w := range r.StaleWitnesses {
		names = append(names, w.Name)
	}
	return names
}

func (s *site) ready(t testing.TB, r *running) (ready readiness) {
	t.Helper()
	must(t, json.Unmarshal([]byte(s.page(t, r, "/readyz")), &ready))
	return ready
}

func (s *site) metrics(t testing.TB, r *running) string { return s.page(t, r, "/metrics") }

func (s *site) page(t testing.TB, r *running, path string) string {
	t.Helper()
	b, err := (&apiClient{base: r.baseURL}).get(context.Background(), path)
	must(t, err)
	return string(b)
}

// TestWitnessStale: by policy the service ends when no quorum cosigns any more, and
// does not start again until one does. It runs beside no other: three seconds are short.
func TestWitnessStale(t *testing.T) {
	s := newSite(t, "")
	p := s.newParty(t, "city")
	args := append(s.witnessed(t, 1, p), "--witness-stale", "stop", "--witness-stale-after", "3s")
	w := p.start(t)
	r := s.serve(t, append(args, "--new-witnesses")...)
	within(t, "the witness has cosigned", func() bool { return !strings.Contains(s.metrics(t, r), `elicence_witness_size{witness="w0"} 0`) })
	w.kill()
	select {
	case err := <-r.exited:
		if says := r.faults.String(); err == nil || !strings.Contains(says, "no quorum of witnesses has cosigned the access log since") {
			t.Errorf("ended with %v: %s", err, says)
		}
	case <-time.After(30 * time.Second):
		r.kill()
		t.Fatal("the service goes on without its witness")
	}
	s.wantRefusedStart(t, "witness away", "fetching the log's last checkpoint", args...)
	defer p.start(t).stop(t)
	s.serve(t, args...).stop(t)
}

// TestPutBackBehindWitness: only the witness remembers, for the checkpoint kept beside
// the database was put back with it. A database that lost entries, is empty, or went on
// differently does not start, and each time the message says which.
func TestPutBackBehindWitness(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	must(t, os.RemoveAll(filepath.Join(s.Dir, "witness"))) // the demo's own
	p := s.newParty(t, "city")
	defer p.start(t).stop(t)
	args := s.witnessed(t, 1, p)
	db, kept := filepath.Join(s.Dir, "elicence.db"), filepath.Join(s.Dir, "checkpoint")
	s.serve(t, append(args, "--new-witnesses")...).stop(t)
	old, err := os.ReadFile(db)
	must(t, err)
	r := s.serve(t, args...)
	if _, err := s.issueOne(t, r, "later"); err != nil {
		t.Fatal(err)
	}
	r.stop(t)
	newest, err := os.ReadFile(db)
	must(t, err)
	put := func(content []byte) {
		for _, file := range []string{db + "-wal", db + "-shm", kept} {
			_ = os.Remove(file)
		}
		must(t, os.WriteFile(db, content, 0o600))
	}
	put(old)
	s.wantRefusedStart(t, "put back", "the log went backwards", args...)
	s.wantRefusedStart(t, "put back, witnesses called new", "the checkpoint kept by witness w0 covers", append(args, "--new-witnesses")...)
	put(nil)
	s.wantRefusedStart(t, "emptied", "the log went backwards: 0 entries", args...)
	put(old)
	r = s.serve(t) // nobody hinders a service that has no witnesses
	for i := range 3 {
		if _, err := s.issueOne(t, r, fmt.Sprint("other-", i)); err != nil {
			t.Fatal(err)
		}
	}
	r.stop(t)
	s.wantRefusedStart(t, "went on differently", "the log differs from its checkpoint", args...)
	put(newest)
	s.serve(t, args...).stop(t)
}

// TestWitnessFlags is a table of what serve does not start with.
func TestWitnessFlags(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	p := s.newParty(t, "city")
	args := s.witnessed(t, 1, p)
	file := func(text string) string {
		name := filepath.Join(t.TempDir(), "policy")
		must(t, os.WriteFile(name, []byte(text), 0o600))
		return name
	}
	text, err := os.ReadFile(args[1])
	must(t, err)
	other := newSiteWith(t, "", fileFlags{})
	s.wantRefusedStart(t, "no policy", "--witness needs --log-policy", args[2:]...)
	s.wantRefusedStart(t, "no address", "addresses are given of the witnesses", args[:2]...)
	s.wantRefusedStart(t, "no such policy", "no such file", "--log-policy", "nowhere")
	s.wantRefusedStart(t, "malformed policy", "malformed policy: line 1", "--log-policy", file("logs\n"))
	s.wantRefusedStart(t, "policy of another log", "does not name the key of this log", "--log-policy", file("log "+other.logVkey(t)+"\n"))
	s.wantRefusedStart(t, "policy without witnesses", "asks for no witness", "--log-policy", file("log "+s.logVkey(t)+"\n"))
	s.wantRefusedStart(t, "quorum 0", "quorum is 0", "--log-policy", file(strings.Replace(string(text), "quorum 1", "quorum 0", 1)), args[2], args[3])
	s.wantRefusedStart(t, "http elsewhere", "is not https://", "--log-policy", args[1], "--witness", "w0=http://witness.example")
	s.wantRefusedStart(t, "another name", "addresses are given", "--log-policy", args[1], "--witness", "w1=http://127.0.0.1:1")
	s.wantRefusedStart(t, "witness away", "connection refused", args...)
	s.wantRefusedStart(t, "stale is no such thing", "--witness-stale", append(args, "--witness-stale", "ignore")...)
}
