package registry_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"elicence/crypto/pdfsig"
	"elicence/crypto/tsa"
	"elicence/licence/registry"
	"elicence/licence/registry/registrytest"
	"elicence/verify"

	"github.com/google/go-cmp/cmp"
)

// TestKilledBetweenSeals: what dies between co-seal and seal is finished by the same code,
// with the same number; both keys are used again behind entries of their own.
func TestKilledBetweenSeals(t *testing.T) {
	for _, byRecovery := range []bool{false, true} {
		t.Run(fmt.Sprintf("recovery=%v", byRecovery), func(t *testing.T) {
			s := open(t)
			dying := s.Config
			keys := watch(t, s, &dying)
			keys[registrytest.Authorities[registrytest.JointType].Code].fail = errors.New("killed here")
			from := size(t, s)
			if _, err := issueJoint(t, over(t, dying), "k"); registry.Code(err) != "unfinished" {
				t.Fatal(err)
			}
			if _, err := issueJoint(t, s.Registry, "k"); !errors.Is(err, registry.ErrRunning) {
				t.Errorf("within the lease: %v", err)
			}
			wantTrail(t, s, from, "issue allowed", "reserved allowed", "sealing allowed", "sealing allowed", "issue allowed", "issue refused request_running")
			s.Move(registry.Lease + time.Second)
			from = size(t, s)
			if byRecovery {
				if finished, voided, err := s.Recover(t.Context()); finished != 1 || voided != 0 || err != nil {
					t.Errorf("recovery: %d, %d, %v", finished, voided, err)
				}
				wantTrail(t, s, from, "reserved allowed taken_over", "sealing allowed", "sealing allowed", "issued allowed")
			}
			issued, err := issueJoint(t, s.Registry, "k")
			must(t, err)
			passes(t, s, fileOf(t, s, issued.Identifier))
			next, err := issueJoint(t, s.Registry, "k2")
			if must(t, err); !strings.HasSuffix(issued.Number, "00001号") || !strings.HasSuffix(next.Number, "00002号") {
				t.Errorf("numbers %s and %s", issued.Number, next.Number)
			}
		})
	}
}

// flaky is a TSA that is away for some of the tokens, counted from 0.
type flaky struct {
	registry.Timestamper
	away  func(n int) bool
	asked int
}

func (f *flaky) Timestamp(ctx context.Context, message []byte) (*tsa.Token, error) {
	f.asked++
	if f.away(f.asked - 1) {
		return nil, errors.New("connection refused")
	}
	return f.Timestamper.Timestamp(ctx, message)
}

// TestTimestampAwaited: without a token for the co-seal the licence waits, its number
// kept; it is finished when the TSA is back, by the retry or by recovery. Meanwhile the
// keys of others are not used again and again.
func TestTimestampAwaited(t *testing.T) {
	s := open(t)
	away := s.Config
	authority := &flaky{Timestamper: s.Config.TSA, away: func(int) bool { return true }}
	away.TSA = authority
	resting := error(nil)
	away.TSAResting = func() error { return resting }
	keys := watch(t, s, &away)
	r := over(t, away)
	own := keys[registrytest.Authorities[registrytest.JointType].Code]
	co := keys[registrytest.CoSealer.Code]

	from := size(t, s)
	for _, key := range []string{"k1", "k2"} {
		_, err := issueJoint(t, r, key)
		if registry.Code(err) != "timestamp_awaited" || !errors.Is(err, registry.ErrUnfinished) {
			t.Fatalf("got %v", err)
		}
	}
	wantTrail(t, s, from, "issue allowed", "reserved allowed", "sealing allowed", "issue allowed", "reserved allowed", "sealing allowed")
	_, err := issueJoint(t, r, "k1")
	wantCode(t, "within the lease", err, "request_running")

	s.Move(registry.Lease + time.Second)
	from = size(t, s)
	if finished, voided, err := r.Recover(t.Context()); finished+voided != 0 || err != nil {
		t.Errorf("recovery: %d, %d, %v", finished, voided, err)
	}
	wantTrail(t, s, from, "reserved allowed taken_over", "sealing allowed") // one tried, the other left

	s.Move(registry.Lease + time.Second)
	resting = errors.New("resting")
	from, used := size(t, s), co.used
	if finished, voided, err := r.Recover(t.Context()); finished+voided != 0 || err != nil {
		t.Errorf("recovery while the TSA rests: %d, %d, %v", finished, voided, err)
	}
	_, err = issueJoint(t, r, "k1")
	wantCode(t, "retry while the TSA rests", err, "timestamp_awaited")
	wantTrail(t, s, from, "issue allowed", "reserved allowed")
	if own.used > 0 || co.used != used {
		t.Errorf("the seal was used %d times, the co-seal %d times while the TSA rested", own.used, co.used-used)
	}
	if single := issueOver(t, r, "food-retail.json", "single"); single.Timestamped {
		t.Error("a licence with one seal has a token from nowhere")
	}

	resting, authority.away = nil, func(int) bool { return false }
	s.Move(registry.Lease + time.Second)
	if finished, voided, err := r.Recover(t.Context()); finished != 2 || voided != 0 || err != nil {
		t.Errorf("with the TSA back: %d, %d, %v", finished, voided, err)
	}
	var numbers []string
	for _, key := range []string{"k1", "k2", "k3"} {
		issued, err := issueJoint(t, r, key)
		must(t, err)
		numbers = append(numbers, issued.Number)
		passes(t, s, fileOf(t, s, issued.Identifier))
	}
	if diff := cmp.Diff(numbers, []string{"杭联验〔2026〕00001号", "杭联验〔2026〕00002号", "杭联验〔2026〕00003号"}); diff != "" {
		t.Error(diff)
	}
}

// issueOver issues a sample in a registry of the test's own.
func issueOver(t testing.TB, r *registry.Registry, name, key string) registry.Issued {
	t.Helper()
	body, c := sample(t, name)
	issued, _, err := r.Issue(t.Context(), c, registry.IssueRequest{Key: key, Body: body})
	must(t, err)
	return issued
}

// TestTimestampOfTheLast: the TSA goes away between the tokens. The licence is issued as
// timestamp pending, and its last signature alone is upgraded.
func TestTimestampOfTheLast(t *testing.T) {
	s := open(t)
	away := s.Config
	away.TSA = &flaky{Timestamper: s.Config.TSA, away: func(n int) bool { return n > 0 }}
	issued, err := issueJoint(t, over(t, away), "k")
	if must(t, err); issued.Timestamped {
		t.Fatal("a token from nowhere")
	}
	pending := fileOf(t, s, issued.Identifier)
	passes(t, s, pending)
	if n, err := s.Upgrade(t.Context()); n != 1 || err != nil {
		t.Fatalf("upgraded %d: %v", n, err)
	}
	upgraded := fileOf(t, s, issued.Identifier)
	passes(t, s, upgraded)
	before, err := pdfsig.Read(pending)
	must(t, err)
	after, err := pdfsig.Read(upgraded)
	must(t, err)
	if !bytes.Equal(before.Signatures[0].Contents, after.Signatures[0].Contents) || bytes.Equal(before.Signatures[1].Contents, after.Signatures[1].Contents) ||
		before.Digest(1) != after.Digest(1) {
		t.Error("not the last signature was upgraded, or not alone")
	}
	v := verify.Verifier{Anchors: s.PKI.Anchors}
	for i, want := range []string{"timestamp_own", "timestamp_absent"} {
		if got := timestampOf(v.VerifyFile(t.Context(), pending, s.Now()).Seals[i]); got != want {
			t.Errorf("seal %d of the pending file: %s, want %s", i+1, got, want)
		}
		if got := timestampOf(v.VerifyFile(t.Context(), upgraded, s.Now()).Seals[i]); got != "timestamp_own" {
			t.Errorf("seal %d of the upgraded file: %s", i+1, got)
		}
	}
}

func timestampOf(s verify.SealReport) string {
	for _, c := range s.Checks {
		if c.Name == verify.CheckTimestamp {
			return c.Code
		}
	}
	return ""
}

// TestCoSealWaits: what is reserved when a co-seal is taken back is sealed by nobody, and
// finished when it may be used again.
func TestCoSealWaits(t *testing.T) {
	s := open(t)
	system, good := registry.System("test"), s.SealConsent(t)
	other := good
	other.CoSealer = registrytest.ThirdSealer
	put := func(c registry.SealConsent) {
		t.Helper()
		_, err := s.PutSealConsent(t.Context(), system, c)
		must(t, err)
	}
	for name, tt := range map[string]struct {
		take, give func()
		cause      error
	}{
		"consent ended": {func() {
			_, err := s.EndSealConsent(t.Context(), system, good.TypeCode, good.Issuing, good.Kind, "r")
			must(t, err)
		}, func() { put(good) }, registry.ErrNoConsent},
		"another authority in its place": {func() { put(other) }, func() { put(good) }, registry.ErrNoConsent},
		"co-seal suspended": {func() {
			_, err := s.ChangeSeal(t.Context(), system, s.Config.Seals[good.CoSealer.Code].Seal.ID, registry.SealSuspended, "r")
			must(t, err)
		}, func() {
			_, err := s.ChangeSeal(t.Context(), system, s.Config.Seals[good.CoSealer.Code].Seal.ID, registry.SealInUse, "r")
			must(t, err)
		}, registry.ErrCoSeal},
		"seal suspended": {func() {
			_, err := s.ChangeSeal(t.Context(), system, s.Config.Seals[good.Issuing].Seal.ID, registry.SealSuspended, "r")
			must(t, err)
		}, func() {
			_, err := s.ChangeSeal(t.Context(), system, s.Config.Seals[good.Issuing].Seal.ID, registry.SealInUse, "r")
			must(t, err)
		}, registry.ErrNoSeal},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := s.Config
			taken := false
			cfg.TSAResting = func() error { // asked behind the reservation, before any key is used
				if !taken {
					taken = true
					tt.take()
				}
				return nil
			}
			keys := watch(t, s, &cfg)
			r := over(t, cfg)
			key := strings.ReplaceAll(name, " ", "-")
			_, err := issueJoint(t, r, key)
			if registry.Code(err) != "unfinished" || !errors.Is(err, tt.cause) || !taken {
				t.Fatalf("got %v (%s), want unfinished for %v", err, registry.Code(err), tt.cause)
			}
			s.Move(registry.Lease + time.Second)
			if finished, voided, err := r.Recover(t.Context()); finished+voided != 0 || err != nil {
				t.Errorf("recovery: %d, %d, %v", finished, voided, err)
			}
			for code, k := range keys {
				if k.used > 0 {
					t.Errorf("the key of %s was used", code)
				}
			}
			tt.give()
			s.Move(registry.Lease + time.Second)
			if finished, voided, err := r.Recover(t.Context()); finished != 1 || voided != 0 || err != nil {
				t.Errorf("given back: %d, %d, %v", finished, voided, err)
			}
			issued, err := issueJoint(t, r, key)
			must(t, err)
			passes(t, s, fileOf(t, s, issued.Identifier))
		})
	}
}

// TestCoSealPlaces: a registry whose layouts have no place for every co-seal does not start.
func TestCoSealPlaces(t *testing.T) {
	s := open(t)
	cfg := s.Config
	cfg.Layouts = s.Three(t).Layouts
	if r, err := registry.New(cfg); r != nil || err == nil || !strings.Contains(err.Error(), "2 places for 1 co-seals") {
		t.Errorf("got %v, %v", r, err)
	}
}
