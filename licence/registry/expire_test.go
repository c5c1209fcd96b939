package registry_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/emmansun/gmsm/sm3"

	"elicence/audit"
	"elicence/licence/registry"
	"elicence/licence/registry/accesslog"
	"elicence/licence/registry/registrytest"
)

// TestExpirePersonal: past their time all personal values are gone, whoever they were about,
// but for those under a hold, and no holder finds their entries; nothing newer is.
func TestExpirePersonal(t *testing.T) {
	s := open(t)
	w := newWalker(t, s)
	ctx := t.Context()
	investigator := registry.Caller{Principal: "client", Roles: []registry.Role{registry.RoleApprovalSystem}, Authority: w.approval.Authority, Types: w.approval.Types}
	_, err := s.AccessLog().PlaceHold(ctx, walkSystem, registry.Hold{Principal: "client", Case: "x", OrderedBy: "局", Basis: "函", Until: s.Now().Add(48 * time.Hour)})
	must(t, err)
	_, held, err := s.Get(ctx, investigator, w.issued.Identifier, useFor("x"))
	must(t, err)
	_, _, err = s.Get(ctx, w.approval, w.issued.Identifier, registry.Use{Case: "no holder", Operator: "王五"})
	must(t, err)
	s.Move(24 * time.Hour)
	border := s.Now()
	_, recent, err := s.Get(ctx, w.approval, w.issued.Identifier, useFor("new"))
	must(t, err)

	openings := func() (all []uint64) {
		must(t, s.Backend.Rows(ctx, registrytest.LogID, 0, size(t, s), func(row audit.Row) error {
			if row.Opening != nil {
				all = append(all, row.Index)
			}
			return nil
		}))
		return all
	}
	before := openings()
	q := accesslog.ExpireRequest{LogID: registrytest.LogID, Before: border, Reason: "档案管理规定"}
	from := size(t, s)
	n, next, _, err := s.AccessLog().ExpirePersonal(ctx, walkSystem, q)
	if err != nil || next != 0 || n != len(before)-2 || n < 4 {
		t.Fatalf("erased %d of %d, next %d: %v", n, len(before), next, err)
	}
	if left := openings(); fmt.Sprint(left) != fmt.Sprint([]uint64{held.Index, recent.Index}) {
		t.Errorf("the openings of %v are left, want those of %d and %d", left, held.Index, recent.Index)
	}
	var erased []byte
	for _, i := range before {
		if i != held.Index && i != recent.Index {
			erased = fmt.Appendf(erased, "%d\n", i)
		}
	}
	e := entries(t, s, from)[0].Entry
	if want := sm3.Sum(erased); e.Action != registry.ActionErase || !bytes.Equal(e.Digest, want[:]) || !strings.HasPrefix(e.Object, "openings/") {
		t.Errorf("the erasure is logged as %+v", e)
	}
	if got := told(t, s, w.holder); len(got) != 1 || !strings.HasSuffix(got[0], "new") {
		t.Errorf("the holder is told %v", got)
	}
	if n, _, _, err := s.AccessLog().ExpirePersonal(ctx, walkSystem, q); n != 0 || err != nil {
		t.Errorf("erased %d again: %v", n, err)
	}

	without, unknown := q, q
	without.Reason, unknown.LogID = "", "other"
	if _, _, _, err := s.AccessLog().ExpirePersonal(ctx, walkSystem, without); !errors.Is(err, registry.ErrReasonMissing) {
		t.Errorf("without a reason: %v", err)
	}
	if _, _, _, err := s.AccessLog().ExpirePersonal(ctx, walkSystem, unknown); !errors.Is(err, audit.ErrUnknownLog) {
		t.Errorf("of another log: %v", err)
	}
	if _, _, _, err := s.AccessLog().ExpirePersonal(ctx, w.approval, q); !errors.Is(err, registry.ErrForbidden) {
		t.Errorf("by an approval system: %v", err)
	}
}
