package api

import (
	"net/http"
	"time"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/registry"

	"github.com/emmansun/gmsm/sm3"
)

// clientJSON is a client, without its secret.
type clientJSON struct {
	ID            string          `json:"id"`
	Roles         []registry.Role `json:"roles"`
	AuthorityName string          `json:"authority_name"`
	AuthorityCode string          `json:"authority_code"`
	Division      string          `json:"division"`
	Types         []string        `json:"types"`
	DailyReuses   int64           `json:"daily_reuses"`
	Person        string          `json:"person"` // who answers for it; empty when nobody is named
	Disabled      bool            `json:"disabled"`
	Braked        bool            `json:"braked"`
	// OldUntil is until when the secret before the present one is good; absent without one.
	OldUntil *time.Time `json:"old_until,omitempty"`
}

// clientsAnswer is one page of clients.
type clientsAnswer struct {
	Clients []clientJSON `json:"clients"`
	// NextCursor is empty on the last page.
	NextCursor string `json:"next_cursor"`
}

// secretAnswer gives a secret, which is shown this once: a repeat gets none.
type secretAnswer struct {
	ID     string `json:"id"`
	Secret string `json:"secret,omitempty"`
}

// parseClient reads a body of POST /clients.
func parseClient(body []byte) (registry.ClientRequest, error) {
	return parseJSON(body, func(r *reader) registry.ClientRequest {
		authority := r.sub("authority")
		c := registry.Client{
			ID: r.required("id", 64), Person: r.text("person", 50), Types: r.texts("types", 200, maxType), DailyReuses: int64(r.integer("daily_reuses", 0, 1_000_000_000)),
			Authority: licence.IssuingAuthority{Name: authority.required("name", maxText), Code: authority.required("code", maxCode), Division: authority.required("division", 9)},
		}
		for _, role := range r.texts("roles", 10, 32) {
			c.Roles = append(c.Roles, registry.Role(role))
		}
		return registry.ClientRequest{Body: sm3.Sum(append([]byte("clients\n"), body...)), Client: c}
	})
}

// addClient registers a client.
func (x *exchange) addClient(q registry.ClientRequest) (a secretAnswer, receipt audit.Receipt, err error) {
	if q.Key, err = x.idempotencyKey(); err != nil {
		return a, receipt, err
	}
	secret, receipt, err := x.cfg.Registry.AddClient(x.r.Context(), x.caller, q)
	return secretAnswer{q.Client.ID, secret}, receipt, err
}

// rotation is a body of POST /clients/{client}/rotate.
type rotation struct {
	until time.Time
	registry.StatusRequest
}

func parseRotation(body []byte) (rotation, error) {
	return parseJSON(body, func(r *reader) rotation {
		return rotation{r.instant("old_until"), registry.StatusRequest{Body: sm3.Sum(body), Reason: r.text("reason", maxText)}}
	})
}

// rotateClient gives a client a new secret.
func (x *exchange) rotateClient(q rotation) (a secretAnswer, receipt audit.Receipt, err error) {
	if err := x.decision(clientIDForm, &q.StatusRequest); err != nil {
		return a, receipt, err
	}
	secret, receipt, err := x.cfg.Registry.RotateClient(x.r.Context(), x.caller, x.name, q.until, q.StatusRequest)
	return secretAnswer{x.name, secret}, receipt, err
}

// disableClient ends a client.
func (x *exchange) disableClient(q registry.StatusRequest) (a secretAnswer, receipt audit.Receipt, err error) {
	if err := x.decision(clientIDForm, &q); err != nil {
		return a, receipt, err
	}
	receipt, err = x.cfg.Registry.DisableClient(x.r.Context(), x.caller, x.name, q)
	return secretAnswer{ID: x.name}, receipt, err
}

// clients lists clients.
func (x *exchange) clients() (func(), audit.Receipt, error) {
	q := registry.ClientQuery{Limit: defaultPage}
	if err := x.listQuery(clientIDForm, &q.After, &q.Limit, func(string, string) bool { return false }); err != nil {
		return nil, audit.Receipt{}, err
	}
	clients, receipt, err := x.cfg.Registry.Clients(x.r.Context(), x.caller, q)
	a := clientsAnswer{Clients: make([]clientJSON, 0, len(clients))}
	for _, c := range clients {
		a.Clients = append(a.Clients, clientJSON{c.ID, c.Roles, c.Authority.Name, c.Authority.Code, c.Authority.Division, append([]string{}, c.Types...),
			c.DailyReuses, c.Person, c.Disabled, c.Brake.Standing, givenInstant(c.OldUntil)})
	}
	if len(clients) == q.Limit {
		a.NextCursor = strictBase64.EncodeToString([]byte(clients[len(clients)-1].ID))
	}
	return func() { x.json(http.StatusOK, a) }, receipt, err
}
