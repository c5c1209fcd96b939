package registry_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"elicence/audit"
	"elicence/crypto/pdfsig"
	"elicence/crypto/pki"
	"elicence/licence"
	"elicence/licence/registry"
	"elicence/licence/registry/registrytest"
	"elicence/store"
	"elicence/testdata/requests"
	"elicence/verify"

	"github.com/google/go-cmp/cmp"
)

// stranger verifies a file with the anchors alone.
func stranger(anchors *pki.TrustAnchors) func(context.Context, *pdfsig.File, time.Time) error {
	return func(ctx context.Context, f *pdfsig.File, at time.Time) error {
		v := verify.Verifier{Anchors: anchors}
		if r := v.VerifyRead(ctx, f, at); r.Indication != verify.TotalPassed {
			return fmt.Errorf("%s/%s: %+v", r.Indication, r.SubIndication, r.Checks)
		}
		return nil
	}
}

// passes holds a file that was downloaded to the stranger's verdict.
func passes(t *testing.T, s *registrytest.Service, file []byte) {
	t.Helper()
	f, err := pdfsig.Read(file)
	must(t, err)
	must(t, stranger(s.PKI.Anchors)(t.Context(), f, s.Now()))
}

// open opens a service over a fresh SQLite database.
func open(t testing.TB) *registrytest.Service {
	t.Helper()
	s, dir := openOn(t, "SQLite")
	databases.Store(s, filepath.Join(dir, "elicence.db"))
	return s
}

// openOn is a service on a database of a kind, with its files below dir.
func openOn(t testing.TB, kind string) (s *registrytest.Service, dir string) {
	t.Helper()
	key := make([]byte, 16)
	rand.Read(key)
	cipher, err := pki.NewCipher(key)
	must(t, err)
	dir = t.TempDir()
	db := backends[kind](t, dir, store.Secrets{Cipher: cipher, IndexKey: key})
	files, err := store.OpenFolder(filepath.Join(dir, "files"), cipher)
	must(t, err)
	return registrytest.New(t, db, files, stranger), dir
}

// databases are the database files of services, by service.
var databases sync.Map

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// sample reads a sample request and its type.
func sample(t testing.TB, name string) (body []byte, caller registry.Caller) {
	t.Helper()
	files := requests.Files
	if strings.HasPrefix(name, "types/") {
		files = requests.Types
	}
	body, err := files.ReadFile(name)
	must(t, err)
	doc, err := licence.ParseJSON(body)
	must(t, err)
	return body, registrytest.Approval(doc.(map[string]any)["type_code"].(string))
}

// issue issues a sample under a key.
func issue(t testing.TB, s *registrytest.Service, name, key string) registry.Issued {
	t.Helper()
	body, c := sample(t, name)
	issued, _, err := s.Issue(t.Context(), c, registry.IssueRequest{Key: key, Body: body})
	must(t, err)
	return issued
}

// entries reads the log from an index on, as stored.
func entries(t testing.TB, s *registrytest.Service, from uint64) (all []audit.Record) {
	t.Helper()
	head, err := s.Backend.Head(t.Context(), registrytest.LogID)
	must(t, err)
	must(t, s.Backend.Rows(t.Context(), registrytest.LogID, from, head.Size, func(row audit.Row) error {
		r, err := audit.ParseRecord(row.Record)
		all = append(all, r)
		return err
	}))
	return all
}

// size is how many entries the log has.
func size(t testing.TB, s *registrytest.Service) uint64 {
	t.Helper()
	head, err := s.Backend.Head(t.Context(), registrytest.LogID)
	must(t, err)
	return head.Size
}

// trail is the log from an index on, as "action result code" lines.
func trail(t testing.TB, s *registrytest.Service, from uint64) (lines []string) {
	t.Helper()
	for _, r := range entries(t, s, from) {
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %s %s", r.Entry.Action, r.Entry.Result, r.Entry.Code)))
	}
	return lines
}

func wantTrail(t testing.TB, s *registrytest.Service, from uint64, want ...string) {
	t.Helper()
	if diff := cmp.Diff(trail(t, s, from), want); diff != "" {
		t.Errorf("log (-got +want):\n%s", diff)
	}
}

func TestIssueEverySample(t *testing.T) {
	s := open(t)
	names, err := fs.Glob(requests.Files, "*.json")
	must(t, err)
	types, err := fs.Glob(requests.Types, "types/*.json")
	must(t, err)
	names = append(names, types...)
	seen := map[string]bool{}
	for _, name := range names {
		from := size(t, s)
		issued := issue(t, s, name, "key-"+name)
		want := []string{"issue allowed", "reserved allowed", "sealing allowed", "issued allowed"}
		if issued.TypeCode == registrytest.JointType {
			want = slices.Insert(want, 2, "sealing allowed")
		}
		wantTrail(t, s, from, want...)
		if issued.Status != licence.StatusValid || !issued.Timestamped {
			t.Errorf("%s: %+v", name, issued)
		}
		if seen[issued.Number] || seen[string(issued.Identifier)] {
			t.Errorf("%s: number %s or identifier given twice", name, issued.Number)
		}
		seen[issued.Number], seen[string(issued.Identifier)] = true, true
		_, c := sample(t, name)
		file, _, err := s.Download(t.Context(), c, issued.Identifier, registry.Use{})
		must(t, err)
		passes(t, s, file)
	}
	if len(names) < 20 {
		t.Errorf("only %d sample requests", len(names))
	}
}

func TestRepeatedKey(t *testing.T) {
	s := open(t)
	body, c := sample(t, "food-retail.json")
	first := issue(t, s, "food-retail.json", "k")
	from := size(t, s)
	again, _, err := s.Issue(t.Context(), c, registry.IssueRequest{Key: "k", Body: body})
	must(t, err)
	if again != first {
		t.Errorf("repeat got %+v, want %+v", again, first)
	}
	wantTrail(t, s, from, "issue allowed")
	other := append(body, ' ')
	if _, _, err := s.Issue(t.Context(), c, registry.IssueRequest{Key: "k", Body: other}); !errors.Is(err, registry.ErrKeyReused) {
		t.Errorf("another body under the same key: %v", err)
	}
	wantTrail(t, s, from+1, "issue allowed", "issue refused idempotency_key_reused")
}

func TestRefusedIssueReservesNothing(t *testing.T) {
	s := open(t)
	good, c := sample(t, "food-retail.json")
	edit := func(old, new string) []byte {
		t.Helper()
		if !strings.Contains(string(good), old) {
			t.Fatalf("the sample lacks %s", old)
		}
		return []byte(strings.Replace(string(good), old, new, 1))
	}
	stranger := c
	stranger.Roles = []registry.Role{registry.RolePartner}
	otherTypes := c
	otherTypes.Types = []string{"11100000MB19000005901"}
	unsealed := c
	unsealed.Authority.Code = "11100000000013338W"
	for _, tt := range []struct {
		name, key string
		body      []byte
		caller    registry.Caller
		code      string
	}{
		{"no role", "k", good, stranger, "forbidden"},
		{"anonymous", "k", good, registry.Anonymous("r"), "forbidden"},
		{"type that is not the caller's", "k", good, otherTypes, "forbidden"},
		{"authority without a seal", "k", good, unsealed, "no_seal"},
		{"no key", "", good, c, "idempotency_key_missing"},
		{"key with a line break", "a\nb", good, c, "idempotency_key_malformed"},
		{"key of 129 characters", strings.Repeat("k", 129), good, c, "idempotency_key_malformed"},
		{"not JSON", "k", []byte("{"), c, "invalid_request"},
		{"wrong check digit", "k", edit("92330106MA0000A27G", "92330106MA0000A27H"), c, "invalid_request"},
		{"unknown type", "k", edit("11100000MB0143028R901", "11100000MB0143028R999"), c, "invalid_request"},
		{"character no font has", "k", edit("孙", "\U000E0100"), c, "invalid_request"},
		{"private use character", "k", edit("孙", "\uE000"), c, "invalid_request"},
		{"control character", "k", edit("孙", "\\u0007"), c, "invalid_request"},
		{"address that overflows its box", "k", edit("曙光路样例农贸市场", strings.Repeat("曙光路样例农贸市场", 11)), c, "invalid_request"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			from := size(t, s)
			_, receipt, err := s.Issue(t.Context(), tt.caller, registry.IssueRequest{Key: tt.key, Body: tt.body})
			if registry.Code(err) != tt.code {
				t.Fatalf("got %v (%s), want %s", err, registry.Code(err), tt.code)
			}
			wantTrail(t, s, from, "issue refused "+tt.code)
			if receipt.Index != from {
				t.Errorf("receipt for entry %d, want %d", receipt.Index, from)
			}
		})
	}
	if issued := issue(t, s, "food-retail.json", "k"); !strings.HasSuffix(issued.Number[:len(issued.Number)-1], "000001") {
		t.Errorf("the first number is %s: a refusal used one", issued.Number)
	}
}

// TestTakeOver finishes what a dead attempt reserved: the retry with the same key
// after the lease, and Recover on its own.
func TestTakeOver(t *testing.T) {
	for _, byRecovery := range []bool{false, true} {
		t.Run(fmt.Sprintf("recovery=%v", byRecovery), func(t *testing.T) {
			s := open(t)
			body, c := sample(t, "food-retail.json")
			dying := s.Config
			dying.Check = func(context.Context, *pdfsig.File, time.Time) error { return errors.New("killed here") }
			dead, err := registry.New(dying)
			must(t, err)
			_, _, err = dead.Issue(t.Context(), c, registry.IssueRequest{Key: "k", Body: body})
			if !errors.Is(err, registry.ErrUnfinished) {
				t.Fatal(err)
			}
			if _, _, err := s.Issue(t.Context(), c, registry.IssueRequest{Key: "k", Body: body}); !errors.Is(err, registry.ErrRunning) {
				t.Errorf("within the lease: %v", err)
			}
			if finished, voided, err := s.Recover(t.Context()); finished+voided != 0 || err != nil {
				t.Errorf("recovery within the lease: %d, %d, %v", finished, voided, err)
			}
			s.Move(registry.Lease + time.Second)
			if byRecovery {
				if finished, voided, err := s.Recover(t.Context()); finished != 1 || voided != 0 || err != nil {
					t.Errorf("recovery: %d, %d, %v", finished, voided, err)
				}
			}
			issued, _, err := s.Issue(t.Context(), c, registry.IssueRequest{Key: "k", Body: body})
			must(t, err)
			if issued.Number[len(issued.Number)-7:len(issued.Number)-1] != "000001" || issued.Status != licence.StatusValid {
				t.Errorf("%+v", issued)
			}
			if next := issue(t, s, "food-retail.json", "k2"); next.Number == issued.Number {
				t.Errorf("number %s twice", next.Number)
			}
		})
	}
}

// TestVoid gives up a pending licence that can no longer be drawn, and frees its key.
func TestVoid(t *testing.T) {
	s := open(t)
	body, c := sample(t, "food-retail.json")
	dying := s.Config
	dying.Check = func(context.Context, *pdfsig.File, time.Time) error {
		return licence.InvalidField("fields.premises", "overflow", "does not fit")
	}
	dead, err := registry.New(dying)
	must(t, err)
	if _, _, err := dead.Issue(t.Context(), c, registry.IssueRequest{Key: "k", Body: body}); err == nil {
		t.Fatal("issued")
	}
	from := size(t, s)
	issued, _, err := s.Issue(t.Context(), c, registry.IssueRequest{Key: "k", Body: body})
	must(t, err)
	if issued.Number[len(issued.Number)-7:len(issued.Number)-1] != "000002" {
		t.Errorf("got number %s; the first was voided and stays used", issued.Number)
	}
	wantTrail(t, s, from, "issue allowed", "reserved allowed", "sealing allowed", "issued allowed")
	if before := trail(t, s, from-1); before[0] != "voided allowed" {
		t.Errorf("before: %v", before)
	}
}

// TestUnusableSeals: what cannot be sealed is refused before a number is used.
func TestUnusableSeals(t *testing.T) {
	s := open(t)
	body, c := sample(t, "food-retail.json")
	from := size(t, s)
	s.Move(100 * 365 * 24 * time.Hour)
	_, _, err := s.Issue(t.Context(), c, registry.IssueRequest{Key: "k", Body: body})
	if !errors.Is(err, registry.ErrNoSeal) || !strings.Contains(err.Error(), "validity") {
		t.Errorf("after the end of the seal: %v", err)
	}
	wantTrail(t, s, from, "issue refused no_seal")
}

// TestUpkeepGoesOn leaves what it cannot mend and mends the rest.
func TestUpkeepGoesOn(t *testing.T) {
	s := open(t)
	away := s.Config
	away.TSA = awayTSA{}
	r, err := registry.New(away)
	must(t, err)
	body, c := sample(t, "food-retail.json")
	var last registry.Issued
	for i := range 3 {
		last, _, err = r.Issue(t.Context(), c, registry.IssueRequest{Key: fmt.Sprint("k", i), Body: body})
		must(t, err)
	}
	broken := s.Config
	broken.Files = &oneMissing{Files: s.Config.Files}
	if r, err = registry.New(broken); err != nil {
		t.Fatal(err)
	}
	if n, err := r.Upgrade(t.Context()); n != 2 || err == nil || !strings.Contains(err.Error(), "gone") {
		t.Errorf("upgraded %d of 3 with one file gone: %v", n, err)
	}
	file, _, err := s.Download(t.Context(), c, last.Identifier, registry.Use{})
	must(t, err)
	passes(t, s, file)
}

// oneMissing is a file store that lost the first file asked for.
type oneMissing struct {
	registry.Files
	lost *[32]byte
}

func (f *oneMissing) Get(ctx context.Context, digest [32]byte) ([]byte, error) {
	if f.lost == nil {
		f.lost = &digest
	}
	if digest == *f.lost {
		return nil, errors.New("the file is gone")
	}
	return f.Files.Get(ctx, digest)
}

// TestRefusalsAreLogged even when the caller has hung up, and whatever they sent.
func TestRefusalsAreLogged(t *testing.T) {
	s := open(t)
	from := size(t, s)
	gone, hangUp := context.WithCancel(t.Context())
	hangUp()
	_, _, err := s.Get(gone, registry.Anonymous("r"), "x", registry.Use{Purpose: "a\u202eb\u200b\x00c\xff" + strings.Repeat("长", 300)})
	wantCode(t, "get", err, "forbidden")
	wantTrail(t, s, from, "read refused forbidden")
	if e := entries(t, s, from)[0].Entry; !utf8.ValidString(e.Purpose) || strings.ContainsAny(e.Purpose, "\u202e\u200b\x00") || len(e.Purpose) > 512 {
		t.Errorf("the log holds %q", e.Purpose)
	}
}

func wantCode(t testing.TB, what string, err error, want string) {
	t.Helper()
	got := ""
	if err != nil {
		got = registry.Code(err)
	}
	if got != want {
		t.Errorf("%s: got %q (%v), want %q", what, got, err, want)
	}
}

// TestStoppedLog refuses every access when the log cannot commit.
func TestStoppedLog(t *testing.T) {
	s := open(t)
	issued := issue(t, s, "food-retail.json", "k")
	body, c := sample(t, "food-retail.json")
	must(t, s.Config.Log.Close())
	_, _, err := s.Get(t.Context(), c, issued.Identifier, registry.Use{})
	wantCode(t, "get", err, "log_unavailable")
	_, _, err = s.Issue(t.Context(), c, registry.IssueRequest{Key: "k2", Body: body})
	wantCode(t, "issue", err, "log_unavailable")
	_, _, err = s.Revoke(t.Context(), c, issued.Identifier, registry.StatusRequest{Key: "k3", Reason: "r"})
	wantCode(t, "revoke", err, "log_unavailable")
	rec, err := s.Backend.Licence(t.Context(), issued.Identifier)
	must(t, err)
	if rec.Status != licence.StatusValid {
		t.Errorf("the licence is %s without an entry", rec.Status)
	}
}

// BenchmarkIssue issues the samples with one seal, and those with two, in turn, one at a
// time, without HTTP in front.
func BenchmarkIssue(b *testing.B) {
	names, err := fs.Glob(requests.Files, "*.json")
	must(b, err)
	for seals, joint := range map[string]bool{"one seal": false, "two seals": true} {
		b.Run(seals, func(b *testing.B) {
			s := open(b)
			own := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return strings.HasPrefix(name, "joint-") != joint })
			for i := 0; b.Loop(); i++ {
				issue(b, s, own[i%len(own)], fmt.Sprint("key-", i))
			}
		})
	}
}
