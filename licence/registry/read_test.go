package registry_test

import (
	"context"
	"testing"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/registry"
	"elicence/licence/registry/registrytest"
)

// TestSearchNamesWhatItShows: whose licence was seen stands in the log.
func TestSearchNamesWhatItShows(t *testing.T) {
	s := open(t)
	want := map[string]bool{string(issue(t, s, "food-retail.json", "1").Identifier): true, string(issue(t, s, "food-retail.json", "2").Identifier): true}
	body, c := sample(t, "food-retail.json")
	request, _, err := licence.ParseRequest(body, s.Config.Catalogue, c.Authority, licence.DateOf(s.Now()))
	must(t, err)
	from := size(t, s)
	found, receipt, err := s.Search(t.Context(), c, registry.Query{Holder: request.Holder}, registry.Use{})
	must(t, err)
	if len(found) != 2 || receipt.Index != from+1 {
		t.Errorf("found %d, receipt for entry %d", len(found), receipt.Index)
	}
	for _, e := range entries(t, s, from) {
		if !want[e.Entry.Object] {
			t.Errorf("entry for %q", e.Entry.Object)
		}
		delete(want, e.Entry.Object)
	}
	if len(want) != 0 {
		t.Errorf("shown but not logged: %v", want)
	}
}

func TestStatusChanges(t *testing.T) {
	s := open(t)
	issued := issue(t, s, "food-retail.json", "k")
	_, c := sample(t, "food-retail.json")
	other := registrytest.Approval("11100000MB19000005901") // the city above: may read types it has, not change
	other.Types = c.Types
	from := size(t, s)
	ask := func(do func(context.Context, registry.Caller, licence.Identifier, registry.StatusRequest) (registry.StatusChanged, audit.Receipt, error), c registry.Caller, key, reason string) string {
		t.Helper()
		_, _, err := do(t.Context(), c, issued.Identifier, registry.StatusRequest{Key: key, Body: [32]byte{byte(len(key))}, Reason: reason})
		if err == nil {
			return ""
		}
		return registry.Code(err)
	}
	for i, tt := range []struct{ got, want string }{
		{ask(s.Resume, c, "a", "r"), "wrong_status"},
		{ask(s.Suspend, c, "b", ""), "reason_missing"},
		{ask(s.Suspend, c, "", "r"), "idempotency_key_missing"},
		{ask(s.Suspend, other, "c", "r"), "forbidden"},
		{ask(s.Suspend, registry.Anonymous("x"), "d", "r"), "forbidden"},
		{ask(s.Suspend, c, "e", "r"), ""},
		{ask(s.Suspend, c, "e", "r"), ""}, // the same key: the first answer
		{ask(s.Suspend, c, "f", "r"), "wrong_status"},
		{ask(s.Resume, c, "g", "r"), ""},
		{ask(s.Revoke, c, "h", "r"), ""},
		{ask(s.Resume, c, "i", "r"), "wrong_status"},
		{ask(s.Revoke, c, "h1", "r"), "wrong_status"},
	} {
		if tt.got != tt.want {
			t.Errorf("step %d: got %q, want %q", i, tt.got, tt.want)
		}
	}
	wantTrail(t, s, from, "resume refused wrong_status", "suspend refused reason_missing", "suspend refused idempotency_key_missing",
		"suspend refused forbidden", "suspend refused forbidden", "suspend allowed", "suspend allowed repeated", "suspend refused wrong_status",
		"resume allowed", "revoke allowed", "resume refused wrong_status", "revoke refused wrong_status")
}

func TestReads(t *testing.T) {
	s := open(t)
	issued := issue(t, s, "food-retail.json", "k")
	body, own := sample(t, "food-retail.json")
	doc, _ := licence.ParseJSON(body)
	h := doc.(map[string]any)["holder"].(map[string]any)
	holder := licence.Holder{Code: h["code"].(string), CodeType: licence.HolderCodeType(h["code_type"].(string))}
	as := func(role registry.Role, division string, holder licence.Holder) registry.Caller {
		return registry.Caller{Principal: string(role), Roles: []registry.Role{role}, Holder: holder, Types: own.Types,
			Authority: licence.IssuingAuthority{Code: "11330100002490082C", Division: division}}
	}
	other := licence.Holder{Code: "330102199504080020", CodeType: "111"}
	for _, tt := range []struct {
		name string
		c    registry.Caller
		want string // of Get and Download
		find string // of Search
	}{
		{"the issuing authority", own, "", ""},
		{"its city", as(registry.RoleApprovalSystem, "330100", licence.Holder{}), "", ""},
		{"its city, for another type", func() registry.Caller {
			c := as(registry.RoleApprovalSystem, "330100", licence.Holder{})
			c.Types = []string{"11100000MB19000005901"}
			return c
		}(), "not_found", ""},
		{"its city, for no type", func() registry.Caller {
			c := as(registry.RoleApprovalSystem, "330100", licence.Holder{})
			c.Types = nil
			return c
		}(), "not_found", "forbidden"},
		{"another district", as(registry.RoleApprovalSystem, "330105", licence.Holder{}), "not_found", ""},
		{"another province", as(registry.RoleApprovalSystem, "440000", licence.Holder{}), "not_found", ""},
		{"the holder", as(registry.RoleHolder, "", holder), "", ""},
		{"another holder", as(registry.RoleHolder, "", other), "not_found", "forbidden"},
		{"a holder who is nobody", as(registry.RoleHolder, "", licence.Holder{}), "not_found", "forbidden"},
		{"a partner", as(registry.RolePartner, "330100", licence.Holder{}), "forbidden", "forbidden"},
		{"an auditor", as(registry.RoleAuditor, "330100", licence.Holder{}), "forbidden", "forbidden"},
		{"anybody", registry.Anonymous("r"), "forbidden", "forbidden"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			from := size(t, s)
			_, _, err := s.Get(t.Context(), tt.c, issued.Identifier, registry.Use{})
			wantCode(t, "get", err, tt.want)
			_, _, err = s.Download(t.Context(), tt.c, issued.Identifier, registry.Use{})
			wantCode(t, "download", err, tt.want)
			found, _, err := s.Search(t.Context(), tt.c, registry.Query{Holder: holder}, registry.Use{})
			wantCode(t, "search", err, tt.find)
			if reach := tt.want == ""; (len(found) == 1) != reach {
				t.Errorf("search found %d", len(found))
			}
			if n := size(t, s) - from; n != 3 {
				t.Errorf("%d log entries for three operations", n)
			}
		})
	}
}
