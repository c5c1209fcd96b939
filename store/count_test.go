package store_test

import (
	"testing"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/registry"
)

// TestOldLicencesGetDates: licences of before there were columns for their dates get them
// when the tables are brought up to date; one whose data nobody can read is left.
func TestOldLicencesGetDates(t *testing.T) {
	id, err := licence.NewIdentifier("11100000MB0143028R901", "11330106002504122C", "OLD", 1)
	if err != nil {
		t.Fatal(err)
	}
	var days [3]licence.Date
	for i, s := range []string{"2026-01-31", "2026-02-28", "2031-02-27"} {
		if days[i], err = licence.ParseDate(s); err != nil {
			t.Fatal(err)
		}
	}
	l := licence.Licence{Identifier: id, Number: "1", TypeCode: id.TypeCode(), TypeName: "证", Version: 1,
		Holder:    licence.Holder{Name: "甲", Code: "92330106MA0000A27G", CodeType: licence.CodeTypeUSCC},
		Authority: licence.IssuingAuthority{Name: "局", Code: id.AuthorityCode(), Division: "330106"},
		IssuedOn:  days[0], EffectiveOn: days[1], ExpiresOn: days[2], Fields: map[string]any{}}
	data, err := l.Data()
	if err != nil {
		t.Fatal(err)
	}
	for _, engine := range engines {
		e := engine(t)
		t.Run(e.name, func(t *testing.T) {
			db := migrated(t, e)
			err := db.Batch(t.Context(), func(tx audit.Tx) error {
				old := registry.Record{Identifier: id, Number: "1", TypeCode: l.TypeCode, Data: data, Status: licence.StatusValid}
				broken := registry.Record{Identifier: id + "-", Number: "2", TypeCode: l.TypeCode, Data: []byte("{"), Status: licence.StatusValid}
				for _, rec := range []registry.Record{old, broken} {
					if err := tx.(registry.Tx).InsertLicence(t.Context(), rec); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			must(t, undone(t, db, 25))
			must(t, db.Migrate(t.Context()))
			got, err := db.Licence(t.Context(), id)
			if err != nil || [3]licence.Date{got.IssuedOn, got.EffectiveOn, got.ExpiresOn} != days {
				t.Errorf("%+v, %v", got, err)
			}
			if got, err = db.Licence(t.Context(), id+"-"); err != nil || !got.IssuedOn.IsZero() {
				t.Errorf("unreadable: %+v, %v", got, err)
			}
		})
	}
}
