package api

import (
	"net/http"
	"time"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/person"
	"elicence/licence/registry"

	"github.com/emmansun/gmsm/sm3"
)

// personJSON is an official, without what the provider calls them.
type personJSON struct {
	ID            string          `json:"id"`
	Name          string          `json:"name"`
	Issuer        string          `json:"issuer"`
	Roles         []registry.Role `json:"roles"`
	AuthorityName string          `json:"authority_name"`
	AuthorityCode string          `json:"authority_code"`
	Division      string          `json:"division"`
	Types         []string        `json:"types"`
	From          time.Time       `json:"from"`
	Until         *time.Time      `json:"until,omitempty"`
	Disabled      bool            `json:"disabled"`
}

// peopleAnswer is one page of people.
type peopleAnswer struct {
	People []personJSON `json:"people"`
	// NextCursor is empty on the last page.
	NextCursor string `json:"next_cursor"`
}

// personAnswer names the person that something was done about.
type personAnswer struct {
	ID string `json:"id"`
}

// parsePerson reads a body of POST /people.
func parsePerson(body []byte) (registry.PersonRequest, error) {
	return parseJSON(body, func(r *reader) registry.PersonRequest {
		authority := r.sub("authority")
		p := person.Person{
			ID: r.required("id", 50), Issuer: r.required("issuer", 255), Subject: r.required("subject", 255), Name: r.required("name", 200), Types: r.texts("types", 200, maxType),
			Authority: licence.IssuingAuthority{Name: authority.required("name", maxText), Code: authority.required("code", maxCode), Division: authority.required("division", 9)},
			From:      r.instant("from"), Until: r.instant("until"),
		}
		for _, role := range r.texts("roles", 10, 32) {
			p.Roles = append(p.Roles, registry.Role(role))
		}
		return registry.PersonRequest{Body: sm3.Sum(append([]byte("people\n"), body...)), Person: p}
	})
}

// addPerson registers an official.
func (x *exchange) addPerson(q registry.PersonRequest) (a personAnswer, receipt audit.Receipt, err error) {
	if q.Key, err = x.idempotencyKey(); err != nil {
		return a, receipt, err
	}
	receipt, err = x.cfg.Registry.AddPerson(x.r.Context(), x.caller, q)
	return personAnswer{q.Person.ID}, receipt, err
}

// disablePerson ends an official's access.
func (x *exchange) disablePerson(q registry.StatusRequest) (a personAnswer, receipt audit.Receipt, err error) {
	if err := x.decision(person.IDForm, &q); err != nil {
		return a, receipt, err
	}
	receipt, err = x.cfg.Registry.DisablePerson(x.r.Context(), x.caller, x.name, q)
	return personAnswer{x.name}, receipt, err
}

// people lists officials.
func (x *exchange) people() (func(), audit.Receipt, error) {
	q := registry.PersonQuery{Limit: defaultPage}
	if err := x.listQuery(person.IDForm, &q.After, &q.Limit, func(string, string) bool { return false }); err != nil {
		return nil, audit.Receipt{}, err
	}
	people, receipt, err := x.cfg.Registry.People(x.r.Context(), x.caller, q)
	a := peopleAnswer{People: make([]personJSON, 0, len(people))}
	for _, p := range people {
		a.People = append(a.People, personJSON{p.ID, p.Name, p.Issuer, p.Roles, p.Authority.Name, p.Authority.Code, p.Authority.Division, listOf(p.Types),
			p.From.UTC(), givenInstant(p.Until), p.Disabled})
	}
	if len(people) == q.Limit {
		a.NextCursor = strictBase64.EncodeToString([]byte(people[len(people)-1].ID))
	}
	return func() { x.json(http.StatusOK, a) }, receipt, err
}
