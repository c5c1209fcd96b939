package api_test

import (
	"fmt"
	"testing"
	"time"

	"elicence/audit"
	"elicence/licence/registry"
	"elicence/licence/registry/registrytest"
)

// TestInsiders has people of the service's own ask for more than is theirs, with what each of
// them knows. Each is refused, under their own name, by one entry.
func TestInsiders(t *testing.T) {
	t.Parallel()
	w := open(t)
	own, others := w.issue(food, "own").Identifier, w.issue("food-retail.json", "others").Identifier
	dispute := w.dispute("disputed", own)
	grant := w.made("/api/v1/grants", keeper, "grant", grantBody(t, nil))
	client := func(id, role, name, more string) string {
		return fmt.Sprintf(`{"id":%q,"roles":[%q],"authority":{"name":%q,"code":"11330100MB1K0321XR","division":"330100"}%s}`, id, role, name, more)
	}
	platform, types, rotated := registrytest.Platform.Name, fmt.Sprintf(`,"types":[%q]`, foodType), fmt.Sprintf(`{"reason":"例行轮换","old_until":%q}`, w.Now().Add(time.Hour).Format(time.RFC3339))
	for name, c := range map[string]struct {
		as, path, body string // GET without a body
		status         int
		code, logged   string // logged is empty where it is the code
	}{
		"a decider makes itself an approval system of their types": {approver, "clients", client("a", "approval_system", platform, types), 403, "forbidden", ""},
		"or one that registers cases":                              {approver, "clients", client("a", "approval_system", platform, ""), 403, "forbidden", ""},
		"or an auditor":                                            {approver, "clients", client("a", "auditor", platform, ""), 403, "forbidden", ""},
		"or a second decider, to approve what it requests":         {approver, "clients", client("a", "authority", platform, types), 403, "forbidden", ""},
		"a decider goes by the name of the police":                 {approver, "clients", client("a", "partner", "杭州市公安局", ""), 422, "invalid_request", ""},
		"or by a citizen's pseudonym":                              {approver, "clients", client("holder.00000000000000000000000000000000", "partner", platform, ""), 422, "invalid_request", ""},
		"or by the service's name":                                 {approver, "clients", client("SYSTEM", "partner", platform, ""), 422, "invalid_request", ""},
		"takes over the approval system of a district":             {approver, "clients/" + approval + "/rotate", `{"reason":"例行轮换"}`, 404, "not_found", "out_of_reach"},
		"takes over the partner of a city's department beside":     {approver, "clients/" + partner + "/rotate", `{"reason":"例行轮换"}`, 404, "not_found", "out_of_reach"},
		"takes over its own partner unnoticed":                     {requester, "clients/" + partner + "/rotate", rotated, 422, "invalid_request", ""},
		"approves its own request":                                 {keeper, "grants/" + grant + "/approve", `{}`, 403, "forbidden", ""},
		"reads a licence by deciding on its type":                  {approver, "licences/" + string(own), "", 403, "forbidden", ""},
		"an operator closes another department's case":             {approval, "cases/" + registry.CaseID(registrytest.Authorities["11100000000013338W901"].Code, "C-2") + "/close", `{"reason":"办结"}`, 404, "not_found", "out_of_reach"},
		"reuses by the case of their own making":                   {elsewhere, "reuse", string(reuseBody(t, nil)), 403, "forbidden", ""},
		"opens a case under a consent's name":                      {elsewhere, "cases", string(caseBody(t, map[string]any{"case_number": "consent/0000000000000000000000000000"})), 422, "invalid_request", ""},
		"changes a licence of a department below":                  {elsewhere, "licences/" + string(own) + "/suspend", `{"reason":"r"}`, 403, "forbidden", ""},
		"a holder downloads another's":                             {holder, "licences/" + string(others) + "/file", "", 404, "not_found", "out_of_reach"},
		"reads how another's changed":                              {holder, "licences/" + string(others) + "/history", "", 404, "not_found", "out_of_reach"},
		"agrees to the use of another's":                           {holder, "consents", string(consentBody(t, string(others), nil)), 404, "not_found", "out_of_reach"},
		"disputes another's":                                       {holder, "disputes", string(disputeBody(others)), 404, "not_found", "out_of_reach"},
		"answers their own dispute":                                {holder, "disputes/" + dispute + "/accept", `{"reason":"属实"}`, 403, "forbidden", ""},
		"the auditor reads a licence":                              {auditor, "licences/" + string(own), "", 403, "forbidden", ""},
		"answers a dispute that is not theirs":                     {auditor, "disputes/" + dispute + "/accept", `{"reason":"属实"}`, 404, "not_found", "out_of_reach"},
		"takes over a holder's client":                             {auditor, "clients/" + holder + "/rotate", `{"reason":"例行轮换"}`, 404, "not_found", "out_of_reach"},
	} {
		q := ask{method: "GET", path: "/api/v1/" + c.path, as: c.as}
		if c.body != "" {
			q.method, q.key, q.body = "POST", fmt.Sprintf("key-%d", w.size()), []byte(c.body)
		}
		w.token(c.as)
		from := w.size()
		w.refused(q, c.status, c.code)
		want := c.logged
		if want == "" {
			want = c.code
		}
		if all := w.since(from); len(all) != 1 || all[0].Principal != c.as || all[0].Result != audit.ResultRefused || all[0].Code != want {
			t.Errorf("%s: logged as %+v, want %s", name, all, want)
		}
	}
	if d := w.disputed(auditor, dispute); d.State != "open" || d.Holder != nil || d.Text+d.Licence != "" {
		t.Errorf("the auditor reads of a dispute that others answer: %+v", d)
	}
}
