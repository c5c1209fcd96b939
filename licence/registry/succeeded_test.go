package registry_test

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"testing"
	"time"

	"elicence/audit"
	"elicence/crypto/pki"
	"elicence/licence"
	"elicence/licence/registry"
	"elicence/licence/registry/accesslog"
	"elicence/licence/registry/registrytest"
)

// TestSucceededLog: a register whose log succeeds another still compares reports with the
// entries of the other, and says of a licence entered there why it has no bundle.
func TestSucceededLog(t *testing.T) {
	s := open(t)
	issued := issue(t, s, "food-retail.json", "k")
	receipt, err := s.Verify(t.Context(), registry.Anonymous("r"), func() [32]byte { return [32]byte{1} }, func(registry.Lookup) registry.Verdict {
		return registry.Verdict{Code: "TotalPassed", Object: string(issued.Identifier)}
	})
	must(t, err)
	_, _, err = s.SealReport(t.Context(), registry.Anonymous("r"), registry.ReportRequest{Verification: receipt, Data: []byte("{}"), Fields: map[string]any{}})
	must(t, err)
	leaf := hex.EncodeToString(receipt.LeafHash[:])
	succeeding := func(succeeded ...string) *registry.Registry {
		t.Helper()
		c := s.Config
		key, err := pki.GenerateKey(rand.Reader)
		must(t, err)
		c.LogID, c.Succeeded = "elicence/next-"+rand.Text(), succeeded
		c.Log, err = audit.Open(t.Context(), audit.Config{LogID: c.LogID, Storage: s.Backend, Signer: audit.Signer{Name: c.LogID, Key: key}, Now: s.Now, Rand: rand.Reader})
		must(t, err)
		t.Cleanup(func() { c.Log.Close() })
		r, err := registry.New(c)
		must(t, err)
		return r
	}
	next, stranger := succeeding(s.Config.LogID), succeeding()
	anybody := registry.Anonymous("r")
	if e, _, err := accesslog.New(next).ReadReport(t.Context(), anybody, receipt.Index, leaf); err != nil || e.Code != "TotalPassed" || e.Identifier != string(issued.Identifier) {
		t.Errorf("report of the log before: %+v, %v", e, err)
	}
	if _, _, err := accesslog.New(next).ReadReport(t.Context(), anybody, receipt.Index, leaf[2:]+"00"); !errors.Is(err, licence.ErrNotFound) {
		t.Errorf("another leaf: %v", err)
	}
	if _, _, err := accesslog.New(stranger).ReadReport(t.Context(), anybody, receipt.Index, leaf); !errors.Is(err, licence.ErrNotFound) {
		t.Errorf("report of a log that is none of its own: %v", err)
	}
	checkOlderEntries(t, s, next, issued.Identifier)
	_, approval := sample(t, "food-retail.json")
	if _, _, err := s.BundlesOf(next).Make(t.Context(), approval, issued.Identifier, registry.Use{Purpose: "p"}); !errors.Is(err, registry.ErrEvidence) {
		t.Errorf("bundle: %v, want ErrEvidence", err)
	}
	if _, _, err := s.BundlesOf(stranger).Make(t.Context(), approval, issued.Identifier, registry.Use{Purpose: "p"}); err == nil || errors.Is(err, registry.ErrEvidence) {
		t.Errorf("bundle without the log's entries: %v", err)
	}
}

// checkOlderEntries: after the pages of the present log come those of the one before, with
// proofs that its own last checkpoint bears out; holders see theirs, holds count there, and
// personal values are erased.
func checkOlderEntries(t *testing.T, s *registrytest.Service, next *registry.Registry, id licence.Identifier) {
	t.Helper()
	ctx := t.Context()
	rec, err := s.Backend.Licence(ctx, id)
	must(t, err)
	holder := registry.Caller{Principal: "holder", Roles: []registry.Role{registry.RoleHolder}, Holder: rec.Holder, RequestID: "r"}
	pages := func() (older int) {
		q := accesslog.Query{Limit: 3}
		for {
			page, _, err := accesslog.New(next).Own(ctx, holder, q, registry.Use{})
			must(t, err)
			checkpoint, err := audit.ParseCheckpoint(page.Checkpoint)
			must(t, err)
			for _, e := range page.Entries {
				if _, err := checkpoint.Includes(e.Raw, e.Proof); err != nil {
					t.Errorf("entry %d of %s: %v", e.Index, checkpoint.Origin, err)
				}
				if checkpoint.Origin == s.Config.LogID {
					older++
				}
			}
			if page.Next == 0 {
				return older
			}
			q.Below, q.Log = page.Next, page.NextLog
		}
	}
	before := pages()
	if before < 4 {
		t.Errorf("%d entries of the log before are shown to the holder", before)
	}
	var refused *licence.RequestError
	if _, _, err := accesslog.New(next).Own(ctx, holder, accesslog.Query{Limit: 3, Log: 2}, registry.Use{}); !errors.As(err, &refused) {
		t.Errorf("a log that there is not: %v", err)
	}
	found, _, err := accesslog.New(next).Search(ctx, walkAuditor, accesslog.Query{Object: string(id), Limit: 50})
	must(t, err)
	if len(found.Entries) != 0 || found.NextLog != 1 || found.Next == 0 {
		t.Errorf("the auditor's first page: %d entries, next %d in log %d", len(found.Entries), found.Next, found.NextLog)
	}
	found, _, err = accesslog.New(next).Search(ctx, walkAuditor, accesslog.Query{Object: string(id), Limit: 50, Below: found.Next, Log: found.NextLog})
	must(t, err)
	if len(found.Entries) < 4 || found.Next != 0 {
		t.Errorf("the auditor's second page: %d entries, next %d", len(found.Entries), found.Next)
	}
	erase := accesslog.EraseRequest{Holder: rec.Holder, Before: s.Now().Add(-time.Hour), Reason: "r"}
	if n, _, err := accesslog.New(next).ErasePersonal(ctx, walkSystem, erase); n != 0 || err != nil {
		t.Errorf("erased too early: %d, %v", n, err)
	}
	erase.Before = s.Now().Add(time.Hour)
	total := 0
	for {
		n, _, err := accesslog.New(next).ErasePersonal(ctx, walkSystem, erase)
		must(t, err)
		if n == 0 {
			break
		}
		total += n
	}
	if after := pages(); after != 0 || total < before {
		t.Errorf("erased %d of %d, %d entries are still found by the holder", total, before, after)
	}
}
