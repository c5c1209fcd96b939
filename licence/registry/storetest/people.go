package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"elicence/licence"
	"elicence/licence/person"
	"elicence/licence/registry"
)

// aPerson has every field.
func aPerson(id, subject string) person.Person {
	return person.Person{ID: id, Issuer: "https://id.example.gov.cn", Subject: subject, Name: "䶮", Roles: []person.Role{person.Authority},
		Authority: licence.IssuingAuthority{Name: "市场监督管理局", Code: "11440305MB2C92008N", Division: "440305"}, Types: []string{typeCode},
		From: base, Until: after(time.Hour)}
}

func testPeople(t *testing.T, b Backend) {
	p, auditor := aPerson("p1", "s1"), person.Person{ID: "p2", Issuer: "https://id.example.gov.cn", Subject: "s2", Name: "李四", Roles: []person.Role{person.Auditor}}
	_, err := b.Person(t.Context(), p.ID)
	wantError(t, "unknown person", err, licence.ErrNotFound)
	_, err = b.PersonBySubject(t.Context(), p.Issuer, p.Subject)
	wantError(t, "unknown subject", err, licence.ErrNotFound)
	change(t, b, func(tx Tx) error {
		return errors.Join(tx.InsertPerson(t.Context(), p), tx.InsertPerson(t.Context(), auditor))
	})
	for _, want := range []person.Person{p, auditor} {
		got, err := b.Person(t.Context(), want.ID)
		found, errFound := b.PersonBySubject(t.Context(), want.Issuer, want.Subject)
		if diff := cmp.Diff([]person.Person{got, found}, []person.Person{want, want}); err != nil || errFound != nil || diff != "" {
			t.Errorf("person differs (got, want): %v %v\n%s", err, errFound, diff)
		}
	}
	elsewhere := aPerson("p3", "s1")
	elsewhere.Issuer += "/2"
	change(t, b, func(tx Tx) error { return tx.InsertPerson(t.Context(), elsewhere) })
	for name, taken := range map[string]person.Person{"identifier": aPerson("p1", "s9"), "subject": aPerson("p9", "s1")} {
		err := rerun(t.Context(), b, func(tx Tx) error { return tx.InsertPerson(t.Context(), taken) })
		wantError(t, "the same "+name, err, registry.ErrPersonTaken)
	}
	wantError(t, "disabling nobody", rerun(t.Context(), b, func(tx Tx) error { return tx.DisablePerson(t.Context(), "none") }), licence.ErrNotFound)
	wantError(t, "nobody, inside", rerun(t.Context(), b, func(tx Tx) error { _, err := tx.Person(t.Context(), "none"); return err }), licence.ErrNotFound)
	change(t, b, func(tx Tx) error {
		err := tx.DisablePerson(t.Context(), p.ID)
		if got, fault := tx.Person(t.Context(), p.ID); fault != nil || !got.Disabled || got.Name != p.Name {
			t.Errorf("disabled in the same transaction: %+v, %v", got, fault)
		}
		return err
	})
	p.Disabled = true
	if got, err := b.PersonBySubject(t.Context(), p.Issuer, p.Subject); err != nil || got.ID != p.ID || !got.Disabled {
		t.Errorf("a disabled person: %+v, %v", got, err)
	}
	again := aPerson("p0", "s1")
	change(t, b, func(tx Tx) error { return tx.InsertPerson(t.Context(), again) })
	wantError(t, "the identifier in capitals", rerun(t.Context(), b, func(tx Tx) error { return tx.InsertPerson(t.Context(), aPerson("P1", "s8")) }), registry.ErrPersonTaken)
	wantError(t, "the identifier of a disabled person", rerun(t.Context(), b, func(tx Tx) error { return tx.InsertPerson(t.Context(), aPerson("p1", "s7")) }), registry.ErrPersonTaken)
	if got, err := b.PersonBySubject(t.Context(), p.Issuer, p.Subject); err != nil || got.ID != again.ID {
		t.Errorf("who came after a disabled person: %+v, %v", got, err)
	}
	for division, want := range map[string][]person.Person{"": {again, p, auditor, elsewhere}, "440300": {again, p, elsewhere}, "110000": nil} {
		got, err := b.People(t.Context(), registry.PersonQuery{Division: division, Limit: 10})
		if diff := cmp.Diff(got, want); err != nil || diff != "" {
			t.Errorf("people of %q (got, want): %v\n%s", division, err, diff)
		}
	}
	if got, err := b.People(t.Context(), registry.PersonQuery{After: "p1", Limit: 1}); err != nil || len(got) != 1 || got[0].ID != "p2" {
		t.Errorf("a page: %v, %v", got, err)
	}
}

// testPeoplesClients: whoever is disabled takes the clients along that they answer for, and no others.
func testPeoplesClients(t *testing.T, b Backend) {
	change(t, b, func(tx Tx) error {
		errs := []error{tx.InsertPerson(t.Context(), aPerson("p1", "s1")), tx.InsertPerson(t.Context(), aPerson("p2", "s2"))}
		for id, who := range map[string]string{"c1": "p1", "c2": "p2", "c3": ""} {
			errs = append(errs, tx.InsertClient(t.Context(), registry.Client{ID: id, SecretHash: []byte{1}, Salt: []byte{2}, Person: who}))
		}
		return errors.Join(errs...)
	})
	change(t, b, func(tx Tx) error { return tx.DisablePerson(t.Context(), "p1") })
	for id, want := range map[string]registry.Client{"c1": {Person: "p1", Disabled: true}, "c2": {Person: "p2"}, "c3": {}} {
		if got, err := b.Client(t.Context(), id); err != nil || got.Person != want.Person || got.Disabled != want.Disabled {
			t.Errorf("%s: %+v, %v", id, got, err)
		}
	}
}
