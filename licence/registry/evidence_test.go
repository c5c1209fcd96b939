package registry_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"elicence/audit"
	"elicence/crypto/pki"
	"elicence/licence"
	"elicence/licence/bundle"
	"elicence/licence/registry"
	"elicence/licence/registry/bundles"
	"elicence/licence/registry/registrytest"
	"elicence/verify"

	"github.com/emmansun/gmsm/sm3"
)

// judge verifies a bundle with the root's certificate and the log's policy, at a time.
func judge(t testing.TB, s *registrytest.Service, raw []byte, at time.Time) *verify.Report {
	t.Helper()
	root, err := pki.ParseTrustAnchors(pki.MarshalTrustAnchors([]*pki.Certificate{s.PKI.Root.Certificate}, nil))
	must(t, err)
	vkey, err := s.LogKey.VerifierKey()
	must(t, err)
	policy, err := audit.NewPolicy(vkey)
	must(t, err)
	v := verify.Verifier{Anchors: root, Policy: policy}
	return v.VerifyBundle(context.Background(), raw, at)
}

// TestBundle makes bundles of licences with a token, without one, and with one that came
// later, among other entries of the log, and verifies them ten years later.
func TestBundle(t *testing.T) {
	s := open(t)
	away := s.Config
	away.TSA = awayTSA{}
	untimed, err := registry.New(away)
	must(t, err)
	body, c := sample(t, "food-retail.json")
	first, _, err := untimed.Issue(t.Context(), c, registry.IssueRequest{Key: "first", Body: body})
	must(t, err)
	s.Move(time.Minute)
	second := issue(t, s, "food-retail.json", "second")
	s.Move(time.Hour)
	wantBundle := func(name string, id licence.Identifier, timestamp string, entries int) {
		t.Helper()
		before := size(t, s)
		raw, receipt, err := s.Bundles().Make(t.Context(), c, id, registry.Use{Purpose: "诉讼举证", Operator: "李四"})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		r := judge(t, s, raw, s.Now().AddDate(10, 0, 0))
		if r.Indication != verify.TotalPassed || r.Check(verify.CheckLog).Code != "logged" || r.Check(verify.CheckTimestamp).Code != timestamp {
			t.Errorf("%s: %s/%s %+v", name, r.Indication, r.SubIndication, r.Checks)
		}
		b, err := bundle.Parse(raw)
		must(t, err)
		if len(b.Entries) != entries || b.Identifier != id || b.Status != licence.StatusValid {
			t.Errorf("%s: %d entries, %s, %s", name, len(b.Entries), b.Identifier, b.Status)
		}
		file, _, err := s.Download(t.Context(), c, id, registry.Use{})
		must(t, err)
		if !bytes.Equal(file, b.File) {
			t.Errorf("%s: not the licence's current file", name)
		}
		logged := entriesOf(t, s, before)
		manifest := sm3.Sum(b.Manifest())
		if e := logged[0].Entry; receipt.Index != before || e.Action != registry.ActionBundle || e.Object != string(id) || e.Purpose != "诉讼举证" ||
			!bytes.Equal(e.Digest, manifest[:]) || len(logged[0].Commitment) != 32 {
			t.Errorf("%s: entry %d is %+v", name, receipt.Index, e)
		}
	}
	wantBundle("without token", first.Identifier, "timestamp_absent", 2)
	wantBundle("with token", second.Identifier, "timestamp_own", 2)
	if n, err := s.Upgrade(t.Context()); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	s.Move(time.Hour)
	wantBundle("with a late token", first.Identifier, "timestamp_own", 3)
}

// entriesOf is entries, one at least.
func entriesOf(t testing.TB, s *registrytest.Service, from uint64) []audit.Record {
	t.Helper()
	all := entries(t, s, from)
	if len(all) == 0 {
		t.Fatal("nothing was logged")
	}
	return all
}

// TestBundleRefused holds back what is not for the caller, not whole, or not provable.
func TestBundleRefused(t *testing.T) {
	s := open(t)
	issued := issue(t, s, "food-retail.json", "k")
	_, c := sample(t, "food-retail.json")
	_, other := sample(t, "driver-freight.json")
	partner := registry.Caller{Principal: "partner", Roles: []registry.Role{registry.RolePartner}, RequestID: "test"}
	old := bundles.New(s.Registry, func(context.Context, []bundles.Relied) (bundles.Evidence, error) {
		return bundles.Evidence{}, registry.ErrEvidence
	}, registrytest.Readable)
	wrong := bundles.New(s.Registry, s.Evidence, func(context.Context, []byte) error { return errors.New("not passed") })
	cfg := s.Config
	cfg.Files = noFiles{}
	lost := s.BundlesOf(over(t, cfg))
	for _, tt := range []struct {
		name string
		r    *bundles.Register
		c    registry.Caller
		id   licence.Identifier
		want error
		code string // in the log; empty: the entry is of an allowed operation
	}{
		{"out of reach", s.Bundles(), other, issued.Identifier, licence.ErrNotFound, "out_of_reach"},
		{"not there", s.Bundles(), c, issued.Identifier[:len(issued.Identifier)-1], licence.ErrNotFound, "not_found"},
		{"another role", s.Bundles(), partner, issued.Identifier, registry.ErrForbidden, "forbidden"},
		{"no evidence", old, c, issued.Identifier, registry.ErrEvidence, "evidence_unavailable"},
		{"not verified", wrong, c, issued.Identifier, registry.ErrEvidence, ""},
		{"file lost", lost, c, issued.Identifier, registry.ErrFiles, "files_unavailable"},
	} {
		before := size(t, s)
		raw, _, err := tt.r.Make(t.Context(), tt.c, tt.id, registry.Use{})
		if !errors.Is(err, tt.want) || raw != nil {
			t.Errorf("%s: %d bytes, %v", tt.name, len(raw), err)
		}
		logged := entriesOf(t, s, before)
		if e := logged[len(logged)-1].Entry; len(logged) != 1 || e.Action != registry.ActionBundle || e.Code != tt.code || (e.Result == audit.ResultAllowed) != (tt.code == "") {
			t.Errorf("%s: logged %+v", tt.name, logged)
		}
	}
}

// noFiles has lost every file.
type noFiles struct{ registry.Files }

func (noFiles) Get(context.Context, [32]byte) ([]byte, error) { return nil, licence.ErrNotFound }

// TestBundleRelies wants the evidence asked for to be that of everything that a file
// relies on, as of its token.
func TestBundleRelies(t *testing.T) {
	s := open(t)
	issued := issue(t, s, "food-retail.json", "k")
	sealed := s.Now()
	s.Move(time.Hour)
	_, c := sample(t, "food-retail.json")
	asked := map[pki.Usage]int{}
	evidence := func(ctx context.Context, relied []bundles.Relied) (bundles.Evidence, error) {
		for _, r := range relied {
			asked[r.Usage]++
			if d := r.At.Sub(sealed).Abs(); d > time.Second {
				t.Errorf("%s relied on at %s, %s from the seal", r.Usage, r.At, d)
			}
		}
		return s.Evidence(ctx, relied)
	}
	_, _, err := bundles.New(s.Registry, evidence, registrytest.Readable).Make(t.Context(), c, issued.Identifier, registry.Use{})
	must(t, err)
	for _, usage := range []pki.Usage{pki.UsageSealSigner, pki.UsageSealMaker, pki.UsageTimestamp, pki.UsageQR} {
		if asked[usage] != 1 || len(asked) != 4 {
			t.Errorf("evidence asked for: %v", asked)
		}
	}
}

// TestBundleOfSeveralSeals wants every seal of a licence to be provable, one with a token
// of its own, the last with a token that came hours later.
func TestBundleOfSeveralSeals(t *testing.T) {
	s := open(t)
	_, c := sample(t, joint)
	away := s.Config
	away.TSA = &flaky{Timestamper: s.Config.TSA, away: func(n int) bool { return n > 0 }}
	issued, err := issueJoint(t, over(t, away), "k")
	must(t, err)
	want := func(name string, codes ...string) {
		t.Helper()
		raw, _, err := s.Bundles().Make(t.Context(), c, issued.Identifier, registry.Use{})
		must(t, err)
		r := judge(t, s, raw, s.Now().AddDate(10, 0, 0))
		if r.Indication != verify.TotalPassed || len(r.Seals) != len(codes) {
			t.Errorf("%s: %s/%s, %d seals, %+v", name, r.Indication, r.SubIndication, len(r.Seals), r.Checks)
			return
		}
		for i, code := range codes {
			if got := timestampOf(r.Seals[i]); got != code {
				t.Errorf("%s: seal %d: %s, want %s", name, i+1, got, code)
			}
		}
	}
	want("the last without token", "timestamp_own", "timestamp_absent")
	s.Move(5 * time.Hour)
	if n, err := s.Upgrade(t.Context()); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	s.Move(time.Hour)
	want("the last with a late token", "timestamp_own", "timestamp_own")
	asked := map[pki.Usage][]time.Time{}
	evidence := func(ctx context.Context, relied []bundles.Relied) (bundles.Evidence, error) {
		for _, r := range relied {
			asked[r.Usage] = append(asked[r.Usage], r.At)
		}
		return s.Evidence(ctx, relied)
	}
	_, _, err = bundles.New(s.Registry, evidence, registrytest.Readable).Make(t.Context(), c, issued.Identifier, registry.Use{})
	must(t, err)
	signers := asked[pki.UsageSealSigner]
	if len(signers) != 2 || signers[0].Sub(signers[1]) != 5*time.Hour || len(asked[pki.UsageTimestamp]) != 2 || !asked[pki.UsageQR][0].Equal(signers[0]) {
		t.Errorf("evidence asked for: %v", asked)
	}
}

// TestBundleWitnessed: where the log has witnesses, a bundle waits for them, and its
// checkpoint carries their cosignatures.
func TestBundleWitnessed(t *testing.T) {
	s := open(t)
	issued := issue(t, s, "food-retail.json", "k")
	_, c := sample(t, "food-retail.json")
	cfg := s.Config
	cfg.Witnessed = true
	r, err := registry.New(cfg)
	must(t, err)
	soon, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if raw, _, err := s.BundlesOf(r).Make(soon, c, issued.Identifier, registry.Use{Purpose: "诉讼举证"}); raw != nil || !errors.Is(err, registry.ErrEvidence) {
		t.Errorf("without a quorum: %d bytes, %v", len(raw), err)
	}

	key, err := pki.GenerateKey(rand.Reader)
	must(t, err)
	w := audit.Signer{Name: "w1.example", Key: key}
	done, stopped := make(chan bool), make(chan error)
	go func() {
		for {
			select {
			case <-done:
				stopped <- nil
				return
			case <-time.After(50 * time.Millisecond):
			}
			note, err := cfg.Log.Checkpoint(context.Background())
			if err == nil {
				note, err = audit.Cosign(rand.Reader, w, note, s.Now())
			}
			if err == nil {
				err = cfg.Log.PutCosigned(context.Background(), note)
			}
			if err != nil {
				stopped <- err
				return
			}
		}
	}()
	raw, receipt, err := s.BundlesOf(r).Make(t.Context(), c, issued.Identifier, registry.Use{Purpose: "诉讼举证"})
	close(done)
	must(t, errors.Join(err, <-stopped))
	b, err := bundle.Parse(raw)
	must(t, err)
	logKey, err := s.LogKey.VerifierKey()
	must(t, err)
	policy, err := audit.NewPolicy(logKey)
	must(t, err)
	witnessKey, err := w.WitnessKey()
	must(t, err)
	policy, err = policy.WithWitness("w1", witnessKey, 1)
	must(t, err)
	checkpoint, by, err := policy.OpenCheckpoint(b.Checkpoint)
	if err != nil || len(by) != 1 || checkpoint.Size <= receipt.Index {
		t.Errorf("checkpoint %+v by %v, %v", checkpoint, by, err)
	}
	if report := judge(t, s, raw, s.Now()); report.Indication != verify.TotalPassed {
		t.Errorf("%s/%s", report.Indication, report.SubIndication)
	}
}
