package registry_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"elicence/audit"
	"elicence/crypto/pki"
	"elicence/licence"
	"elicence/licence/registry"
	"elicence/licence/registry/accesslog"
	"elicence/licence/registry/registrytest"

	"github.com/emmansun/gmsm/sm3"
	"github.com/google/go-cmp/cmp"
)

// proved holds every entry of a page to its record, its leaf and its proof.
func proved(t *testing.T, p accesslog.Page) {
	t.Helper()
	checkpoint, err := audit.ParseCheckpoint(p.Checkpoint)
	must(t, err)
	if checkpoint.Size != p.Size {
		t.Errorf("size %d, the checkpoint's is %d", p.Size, checkpoint.Size)
	}
	last := p.Size
	for _, e := range p.Entries {
		record, err := checkpoint.Includes(e.Raw, e.Proof)
		if err != nil || e.Leaf != audit.LeafHash(e.Raw) {
			t.Errorf("entry %d: %v", e.Index, err)
		}
		if diff := cmp.Diff(e.Record, record); diff != "" {
			t.Errorf("entry %d is shown otherwise than it is logged:\n%s", e.Index, diff)
		}
		if e.Index >= last {
			t.Errorf("entry %d comes after %d", e.Index, last)
		}
		last = e.Index
	}
}

// told is what a holder is told, as "principal action result code case" lines, oldest
// first, over pages of 3. Their own looks are left out.
func told(t *testing.T, s *registrytest.Service, holder registry.Caller) (lines []string) {
	t.Helper()
	q := accesslog.Query{Limit: 3}
	for {
		page, receipt, err := s.AccessLog().Own(t.Context(), holder, q, registry.Use{})
		must(t, err)
		proved(t, page)
		if receipt.Index < page.Size-1 {
			t.Errorf("the reading is entry %d, the proofs lead to %d", receipt.Index, page.Size)
		}
		for _, e := range page.Entries {
			if e.Entry.Action != registry.ActionOwnLog {
				lines = append(lines, strings.TrimSpace(strings.Join([]string{e.Entry.Principal, string(e.Entry.Action), string(e.Entry.Result), e.Entry.Code, e.Entry.Case}, " ")))
			}
		}
		if q.Below = page.Next; q.Below == 0 {
			slices.Reverse(lines)
			return lines
		}
		if len(page.Entries) != 3 {
			t.Errorf("a page of %d with a next one", len(page.Entries))
		}
	}
}

// use is what reads of these tests are for.
func useFor(caseNumber string) registry.Use {
	return registry.Use{Purpose: "核对", Case: caseNumber, Operator: "王五"}
}

// TestOwnLog: a holder is told of everything that was done with their licences, by
// whomever, or refused; of nobody else's; in pages, with proofs.
func TestOwnLog(t *testing.T) {
	s := open(t)
	w := newWalker(t, s)
	ctx, id := t.Context(), w.issued.Identifier
	stranger := registrytest.Approval("11100000MB19000005901")
	_, _, err := s.Get(ctx, w.approval, id, useFor("c1"))
	must(t, err)
	if _, _, err = s.Get(ctx, stranger, id, useFor("c2")); err == nil {
		t.Fatal("a stranger read it")
	}
	_, err = s.Refused(ctx, registry.Anonymous("r"), registry.ActionDownload, string(id), "token_malformed", 1)
	must(t, err)
	_, err = s.Verify(ctx, registry.Anonymous("r"), func() [32]byte { return [32]byte{1} }, func(l registry.Lookup) registry.Verdict {
		_, err := l.ByIdentifier(ctx, id)
		must(t, err)
		return registry.Verdict{Object: string(id), Code: "TotalPassed"}
	})
	must(t, err)
	_, _, err = s.Suspend(ctx, w.approval, id, registry.StatusRequest{Key: "k", Reason: "r", CaseNumber: "c3"})
	must(t, err)
	opened := "approval-" + registrytest.Department.Code
	w.openCase("c4")
	_, _, err = s.Reuse(ctx, registrytest.Partner(), w.reuse("c4"))
	must(t, err)
	issue(t, s, "birth-one-parent.json", "another") // of another holder
	_, _, err = s.Search(ctx, w.approval, registry.Query{Holder: licence.Holder{Code: "91330106MA27XXXXXX"}}, useFor("c5"))
	if err == nil {
		t.Fatal("searched for a code that is none")
	}

	issuing := w.approval.Principal
	want := []string{
		issuing + " issue allowed  " + caseOf(t, w), issuing + " reserved allowed  " + caseOf(t, w),
		issuing + " sealing allowed  " + caseOf(t, w), issuing + " issued allowed  " + caseOf(t, w),
		issuing + " read allowed  c1", stranger.Principal + " read refused out_of_reach c2",
		"anonymous download refused token_malformed", "anonymous verify allowed TotalPassed",
		issuing + " suspend allowed  c3", opened + " case_open allowed  c4", "partner reuse allowed  c4",
	}
	if diff := cmp.Diff(told(t, s, w.holder), want); diff != "" {
		t.Errorf("told (-got +want):\n%s", diff)
	}
	if got := told(t, s, w.holder); len(got) != len(want) {
		t.Errorf("told the second time: %v", got)
	}
	for _, other := range []licence.Holder{{Code: w.holder.Holder.Code, CodeType: "111"}, {Code: "x", CodeType: w.holder.Holder.CodeType}} {
		c := registry.Caller{Principal: "other", Roles: []registry.Role{registry.RoleHolder}, Holder: other}
		if got := told(t, s, c); len(got) != 0 {
			t.Errorf("%+v is told %v", other, got)
		}
	}
	nobody := registry.Caller{Principal: "none", Roles: []registry.Role{registry.RoleHolder}}
	if _, _, err := s.AccessLog().Own(ctx, nobody, accesslog.Query{}, registry.Use{}); !errors.Is(err, registry.ErrForbidden) {
		t.Errorf("a holder of nothing: %v", err)
	}
}

// caseOf is the case number of the sample.
func caseOf(t *testing.T, w *walker) string {
	t.Helper()
	_, c, err := licence.ParseRequest(w.body, w.Config.Catalogue, w.approval.Authority, licence.DateOf(w.Now()))
	must(t, err)
	return c.Number
}

// TestSearchLog: an auditor finds entries by everything at once, held ones too.
func TestSearchLog(t *testing.T) {
	s := open(t)
	w := newWalker(t, s)
	ctx, id := t.Context(), w.issued.Identifier
	from := size(t, s)
	for i := range 6 {
		s.Move(time.Minute)
		_, _, err := s.Get(ctx, w.approval, id, useFor(fmt.Sprint("c", i%2)))
		must(t, err)
		_, _, err = s.Download(ctx, w.approval, id, useFor("d"))
		must(t, err)
	}
	_, err := s.AccessLog().PlaceHold(ctx, walkSystem, registry.Hold{Principal: "client", Case: "h", OrderedBy: "局", Basis: "函", Until: s.Now().AddDate(0, 0, 1)})
	must(t, err)
	held := registry.Caller{Principal: "client", Roles: []registry.Role{registry.RoleApprovalSystem}, Authority: w.approval.Authority, Types: w.approval.Types}
	_, _, err = s.Get(ctx, held, id, useFor("h"))
	must(t, err)
	start := s.Now().Add(-5 * time.Minute)
	for _, c := range []struct {
		name string
		q    accesslog.Query
		want []uint64
	}{
		{"action", accesslog.Query{Action: "read"}, []uint64{13, 10, 8, 6, 4, 2, 0}},
		{"action and case", accesslog.Query{Action: "read", Case: "c1"}, []uint64{10, 6, 2}},
		{"object", accesslog.Query{Object: string(id), From: start.Add(time.Minute)}, []uint64{13, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2}},
		{"object until", accesslog.Query{Object: string(id), From: start.Add(time.Minute), To: start.Add(2 * time.Minute)}, []uint64{3, 2}},
		{"principal", accesslog.Query{Principal: "client"}, []uint64{13}},
		{"case of a hold", accesslog.Query{Case: "h"}, []uint64{13, 12}},
		{"time alone", accesslog.Query{From: start.Add(4 * time.Minute), To: start.Add(5 * time.Minute)}, []uint64{9, 8}},
		{"nothing", accesslog.Query{Case: "no such"}, nil},
	} {
		for _, limit := range []int{2, 100} {
			var got []uint64
			q := c.q
			for q.Limit = limit; ; {
				page, _, err := s.AccessLog().Search(ctx, walkAuditor, q)
				must(t, err)
				proved(t, page)
				for _, e := range page.Entries {
					if until := e.HeldUntil; until.IsZero() == (e.Index == from+13) {
						t.Errorf("%s: entry %d is held until %v", c.name, e.Index-from, until)
					}
					if e.Index >= from {
						got = append(got, e.Index-from)
					}
				}
				if q.Below = page.Next; q.Below == 0 {
					break
				}
			}
			if diff := cmp.Diff(got, c.want); diff != "" {
				t.Errorf("%s, by %d (-got +want):\n%s", c.name, limit, diff)
			}
		}
	}
	before := size(t, s)
	_, _, err = s.AccessLog().Search(ctx, walkAuditor, accesslog.Query{Object: "o", Case: "c", Action: "a", From: start})
	must(t, err)
	if got := entries(t, s, before)[0].Entry.Object; got != `object="o" case="c" action="a" from=`+start.UTC().Format(time.RFC3339Nano) {
		t.Errorf("the search is logged as %s", got)
	}
	if _, _, err := s.AccessLog().Search(ctx, w.holder, accesslog.Query{}); !errors.Is(err, registry.ErrForbidden) {
		t.Errorf("a holder searches the log: %v", err)
	}
}

// TestErasePersonal: what entries commit to is gone for everybody, nobody's name is in
// the entry of the erasure, held entries keep theirs, and the log verifies.
func TestErasePersonal(t *testing.T) {
	s := open(t)
	w := newWalker(t, s)
	ctx := t.Context()
	_, _, err := s.Get(ctx, w.approval, w.issued.Identifier, useFor("old"))
	must(t, err)
	investigator := registry.Caller{Principal: "client", Roles: []registry.Role{registry.RoleApprovalSystem}, Authority: w.approval.Authority, Types: w.approval.Types}
	_, err = s.AccessLog().PlaceHold(ctx, walkSystem, registry.Hold{Principal: "client", Case: "x", OrderedBy: "局", Basis: "函", Until: s.Now().Add(48 * time.Hour)})
	must(t, err)
	_, _, err = s.Get(ctx, investigator, w.issued.Identifier, useFor("x"))
	must(t, err)
	s.Move(24 * time.Hour)
	border := s.Now()
	_, _, err = s.Get(ctx, w.approval, w.issued.Identifier, useFor("new"))
	must(t, err)
	before := len(told(t, s, w.holder))

	q := accesslog.EraseRequest{Holder: w.holder.Holder, Before: border, Reason: "保存期满"}
	from := size(t, s)
	n, _, err := s.AccessLog().ErasePersonal(ctx, walkSystem, q)
	if err != nil || n != before-1 || before < 6 {
		t.Errorf("erased %d of %d: %v", n, before, err)
	}
	e := entries(t, s, from)[0]
	var indexes []byte
	must(t, s.Backend.Rows(ctx, registrytest.LogID, 0, from, func(row audit.Row) error {
		record, err := audit.ParseRecord(row.Record)
		if err != nil || record.Commitment == nil {
			return err
		}
		personal, err := record.OpenPersonal(row.Opening)
		switch {
		case row.Opening == nil:
			indexes = fmt.Appendf(indexes, "%d\n", row.Index)
		case err != nil:
			t.Errorf("entry %d: %v", row.Index, err)
		case personal[audit.PersonalHolderCode] == w.holder.Holder.Code && record.Entry.Time.Before(border) && record.Entry.Case != "x":
			t.Errorf("entry %d (%s) still says %v", row.Index, record.Entry.Action, personal)
		}
		return nil
	}))
	if want := sm3.Sum(indexes); !bytes.Equal(e.Entry.Digest, want[:]) || e.Commitment != nil || strings.Contains(fmt.Sprint(e), w.holder.Holder.Code) {
		t.Errorf("the erasure of %q is logged as %+v", indexes, e)
	}
	if got := told(t, s, w.holder); len(got) != 1 || !strings.HasSuffix(got[0], "new") {
		t.Errorf("the holder is told %v", got)
	}
	n, _, err = s.AccessLog().ErasePersonal(ctx, walkSystem, q)
	if n != 0 || err != nil {
		t.Errorf("erased %d again: %v", n, err)
	}
	s.Move(25 * time.Hour)
	if got := told(t, s, w.holder); len(got) != 2 || !strings.HasSuffix(got[0], "x") {
		t.Errorf("after the hold the holder is told %v", got)
	}
	vkey, err := s.LogKey.VerifierKey()
	must(t, err)
	policy, err := audit.NewPolicy(vkey)
	must(t, err)
	var export bytes.Buffer
	must(t, audit.Export(ctx, s.Backend, registrytest.LogID, 0, 0, false, &export))
	if _, err := audit.VerifyExport(policy, &export); err != nil {
		t.Errorf("the log afterwards: %v", err)
	}
	for name, c := range map[string]struct {
		caller registry.Caller
		spoil  func(*accesslog.EraseRequest)
		code   string
	}{
		"by the holder":       {w.holder, func(*accesslog.EraseRequest) {}, "forbidden"},
		"by an auditor":       {walkAuditor, func(*accesslog.EraseRequest) {}, "forbidden"},
		"without reason":      {walkSystem, func(q *accesslog.EraseRequest) { q.Reason = "" }, "reason_missing"},
		"a code that is none": {walkSystem, func(q *accesslog.EraseRequest) { q.Holder.Code = "x" }, "invalid_request"},
	} {
		q, from := q, size(t, s)
		c.spoil(&q)
		if _, _, err := s.AccessLog().ErasePersonal(ctx, c.caller, q); registry.Code(err) != c.code {
			t.Errorf("%s: %v", name, err)
		}
		wantTrail(t, s, from, "erase_personal refused "+c.code)
	}
}

// TestWitnessedProofs: proofs lead to what witnesses have cosigned, where that covers the
// page, and else to the log's own newest checkpoint.
func TestWitnessedProofs(t *testing.T) {
	s := open(t)
	w := newWalker(t, s)
	cfg := s.Config
	cfg.Witnessed = true
	r, err := registry.New(cfg)
	must(t, err)
	key, err := pki.GenerateKey(rand.Reader)
	must(t, err)
	cosign := func() uint64 {
		t.Helper()
		note, err := cfg.Log.Checkpoint(t.Context())
		must(t, err)
		note, err = audit.Cosign(rand.Reader, audit.Signer{Name: "w1.example", Key: key}, note, s.Now())
		must(t, err)
		must(t, cfg.Log.PutCosigned(t.Context(), note))
		return size(t, s)
	}
	own := func() accesslog.Page {
		t.Helper()
		page, _, err := accesslog.New(r).Own(t.Context(), w.holder, accesslog.Query{Limit: 5}, registry.Use{})
		must(t, err)
		proved(t, page)
		return page
	}
	if p := own(); p.Size != size(t, s) || bytes.Contains(p.Checkpoint, []byte("w1.example")) {
		t.Errorf("before any witness: size %d\n%s", p.Size, p.Checkpoint)
	}
	cosigned := cosign()
	if p := own(); p.Size != cosigned || !bytes.Contains(p.Checkpoint, []byte("w1.example")) {
		t.Errorf("cosigned: size %d, want %d\n%s", p.Size, cosigned, p.Checkpoint)
	}
	if p := own(); p.Size != size(t, s) || bytes.Contains(p.Checkpoint, []byte("w1.example")) {
		t.Errorf("with a newer entry: size %d\n%s", p.Size, p.Checkpoint)
	}
}
