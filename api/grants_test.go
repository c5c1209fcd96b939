package api_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"elicence/audit"
	"elicence/licence/brake"
	"elicence/licence/registry"
	"elicence/licence/registry/registrytest"
)

// with is a body with members replaced, or taken out where the value is nil.
func with(t testing.TB, body, members map[string]any) []byte {
	t.Helper()
	for name, value := range members {
		if body[name] = value; value == nil {
			delete(body, name)
		}
	}
	b, err := json.Marshal(body)
	must(t, err)
	return b
}

// grantBody asks for a grant in another matter than the one of the tests.
func grantBody(t testing.TB, members map[string]any) []byte {
	return with(t, map[string]any{"type_code": foodType, "matter_code": "330100000001", "scenario": "核验食堂经营许可",
		"fields": []string{"number", "status"}, "how": "function", "legal_basis": "《食品安全法》"}, members)
}

// caseBody registers a case of the holder of the tests.
func caseBody(t testing.TB, members map[string]any) []byte {
	return with(t, map[string]any{"case_number": "C-3", "matter_code": matter, "matter_name": "项目部备案", "holder": json.RawMessage(holderCode(t)),
		"types": []string{foodType}, "valid_to": "2026-12-31"}, members)
}

// clientBody registers a partner of the market's authority.
func clientBody(t testing.TB, id string) []byte {
	return with(t, map[string]any{"id": id, "roles": []string{"partner"},
		"authority": map[string]string{"name": "杭州市西湖区市场监督管理局", "code": "11330106002504122C", "division": "330106"}}, nil)
}

// changesClient changes a client that was registered.
func (w *routeWalk) changesClient() walkStep {
	w.name = w.made("/api/v1/clients", approver, w.next(), clientBody(w.t, w.next()))
	return w.withToken(ask{as: approver, key: w.next(), body: []byte(`{"reason":"r"}`)})
}

// decidesGrant decides on a grant that was requested.
func (w *routeWalk) decidesGrant() walkStep {
	w.name = w.newGrant(w.next())
	return w.withToken(ask{as: approver, key: w.next(), body: []byte(`{"reason":"r"}`)})
}

// made posts something that is made, and returns its id.
func (w *world) made(path, as, key string, body []byte) string {
	w.t.Helper()
	a := w.do(ask{method: "POST", path: path, as: as, key: key, body: body})
	var got struct {
		ID string `json:"id"`
	}
	if a.json(w.t, &got); a.StatusCode != http.StatusCreated {
		w.t.Fatalf("%s: %d %s", path, a.StatusCode, a.body)
	}
	return got.ID
}

// newGrant requests a grant.
func (w *world) newGrant(key string) string {
	return w.made("/api/v1/grants", requester, key, grantBody(w.t, nil))
}

// newCase registers a case under a number, which is its key too.
func (w *world) newCase(number string) string {
	return w.made("/api/v1/cases", elsewhere, number, caseBody(w.t, map[string]any{"case_number": number}))
}

// brake brakes a client.
func (w *world) brake(client string) string {
	return w.brakeNamed("0000000000000000000000000001", client)
}

func (w *world) brakeNamed(id, client string) string {
	w.t.Helper()
	b := registry.Brake{ID: id, Client: client, Authority: registrytest.Authorities["11100000000013338W901"], Alarm: brake.AlarmBurst, BrakedAt: w.Now()}
	must(w.t, w.Backend.Batch(w.t.Context(), func(tx audit.Tx) error { return tx.(registry.Tx).InsertBrake(w.t.Context(), b) }))
	return b.ID
}
