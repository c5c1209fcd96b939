package store

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"

	"elicence/licence"
	"elicence/licence/person"
	"elicence/licence/registry"
)

// selectPerson selects the columns that people reads.
var selectPerson = personTable.selection()

// people reads a query that begins with selectPerson.
func (s Secrets) people(ctx context.Context, from session, query string, args ...any) (found []person.Person, err error) {
	err = from.query(ctx, func(scan scan) error {
		var p person.Person
		var subject, index, name, mac []byte
		var roles, types string
		var first, last int64
		row := []any{&p.ID, &p.Issuer, &subject, &index, &name, &roles, &p.Authority.Name, &p.Authority.Code, &p.Authority.Division, &types, &first, &last, &p.Disabled}
		if err := scan(append(row, &mac)...); err != nil {
			return err
		}
		if err := s.authentic(personTable, mac, row...); err != nil {
			return err
		}
		p.From, p.Until = instant(first), instant(last)
		for column, c := range map[string]struct {
			sealed []byte
			to     *string
		}{"person.subject": {subject, &p.Subject}, "person.name": {name, &p.Name}} {
			value, err := s.open(place{column, p.ID}, c.sealed)
			if err != nil {
				return err
			}
			*c.to = string(value)
		}
		if err := json.Unmarshal([]byte(roles), &p.Roles); err != nil {
			return doing("reading person.roles", err)
		}
		if err := json.Unmarshal([]byte(types), &p.Types); err != nil {
			return doing("reading person.types", err)
		}
		found = append(found, p)
		return nil
	}, query, args...)
	return found, doing("reading people", err)
}

// onePerson reads a query of at most one person.
func (s Secrets) onePerson(ctx context.Context, from session, query string, args ...any) (person.Person, error) {
	found, err := s.people(ctx, from, query, args...)
	if err == nil && len(found) == 0 {
		err = licence.ErrNotFound
	}
	if err != nil {
		return person.Person{}, err
	}
	return found[0], nil
}

// Person implements registry.PersonStore.
func (r reader) Person(ctx context.Context, id string) (person.Person, error) {
	return r.secrets.onePerson(ctx, r, selectPerson+`WHERE id = $1`, id)
}

// Person implements registry.PersonTx.
func (t *transaction) Person(ctx context.Context, id string) (person.Person, error) {
	return t.secrets.onePerson(ctx, t, selectPerson+`WHERE id = $1`, id)
}

// PersonBySubject implements registry.PersonStore.
func (r reader) PersonBySubject(ctx context.Context, issuer, subject string) (person.Person, error) {
	return r.secrets.onePerson(ctx, r, selectPerson+`WHERE subject_index = $1 ORDER BY disabled, id LIMIT 1`, r.secrets.subjectIndex(issuer, subject))
}

// subjectIndex is the keyed digest by which a person is found.
func (s Secrets) subjectIndex(issuer, subject string) []byte {
	return s.index("person", issuer, subject)
}

// People implements registry.PersonStore.
func (r reader) People(ctx context.Context, q registry.PersonQuery) ([]person.Person, error) {
	return r.secrets.people(ctx, r, selectPerson+`WHERE id > $1 AND substr(division, 1, length(CAST($2 AS text))) = $2 ORDER BY id LIMIT $3`,
		q.After, licence.Subtree(q.Division), int64(limit(q.Limit)))
}

// InsertPerson implements registry.PersonTx.
func (t *transaction) InsertPerson(ctx context.Context, p person.Person) error {
	roles, err := json.Marshal(p.Roles)
	if err != nil {
		return fmt.Errorf("storing person.roles: %w", err)
	}
	types, err := json.Marshal(p.Types)
	if err != nil {
		return fmt.Errorf("storing person.types: %w", err)
	}
	subject, err := t.secrets.seal(place{"person.subject", p.ID}, []byte(p.Subject))
	if err != nil {
		return err
	}
	name, err := t.secrets.seal(place{"person.name", p.ID}, []byte(p.Name))
	if err != nil {
		return err
	}
	if alike, err := t.alike(ctx, personTable, p.ID); err != nil || alike {
		return cmp.Or(err, registry.ErrPersonTaken)
	}
	n, err := t.insertRow(ctx, personTable, `ON CONFLICT DO NOTHING`,
		p.ID, p.Issuer, subject, t.secrets.subjectIndex(p.Issuer, p.Subject), name, string(roles), p.Authority.Name, p.Authority.Code, p.Authority.Division, string(types),
		nanos(p.From), nanos(p.Until), p.Disabled)
	if err == nil && n == 0 {
		return registry.ErrPersonTaken
	}
	return doing("storing person", err)
}

// DisablePerson implements registry.PersonTx.
func (t *transaction) DisablePerson(ctx context.Context, id string) error {
	if err := t.alterRow(ctx, personTable, id, disabled); err != nil {
		return doing("disabling person", err)
	}
	var clients []string
	err := t.query(ctx, func(scan scan) error {
		var client string
		err := scan(&client)
		clients = append(clients, client)
		return err
	}, `SELECT id FROM client WHERE person = $1`, id)
	for _, client := range clients {
		if err == nil {
			err = t.alterRow(ctx, clientTable, client, disabled)
		}
	}
	return doing("disabling a person's clients", err)
}

// disabled is a change of a row.
func disabled(row map[string]any) error {
	row["disabled"] = true
	return nil
}
