package licence_test

import (
	"errors"
	"testing"
	"time"

	"elicence/licence"
)

// TestCheckTransition goes through every pair of statuses: only those listed here
// are allowed.
func TestCheckTransition(t *testing.T) {
	all := []licence.Status{
		licence.StatusPending, licence.StatusVoided, licence.StatusValid, licence.StatusSuspended, licence.StatusRevoked,
		licence.StatusWithdrawn, licence.StatusCancelled, licence.StatusSuperseded,
		licence.StatusExpired, licence.StatusNotYetValid, licence.StatusUnknown, "", "VALID",
	}
	allowed := map[[2]licence.Status]bool{
		{"pending", "valid"}: true, {"pending", "voided"}: true,
		{"valid", "suspended"}: true, {"valid", "revoked"}: true, {"valid", "withdrawn"}: true,
		{"valid", "cancelled"}: true, {"valid", "superseded"}: true,
		{"suspended", "valid"}: true, {"suspended", "revoked"}: true, {"suspended", "withdrawn"}: true, {"suspended", "cancelled"}: true,
	}
	for _, from := range all {
		for _, to := range all {
			err := licence.CheckTransition(from, to)
			if ok := allowed[[2]licence.Status{from, to}]; ok != (err == nil) || !ok && !errors.Is(err, licence.ErrWrongStatus) {
				t.Errorf("%s to %s: %v; want allowed: %t", from, to, err, ok)
			}
		}
	}
}

// TestFinal holds Final to the transitions: what is stored and final changes to
// nothing, and what may change is not final.
func TestFinal(t *testing.T) {
	stored := map[licence.Status]bool{
		"pending": false, "voided": true, "valid": false, "suspended": false,
		"revoked": true, "withdrawn": true, "cancelled": true, "superseded": true,
	}
	for from, final := range stored {
		for to := range stored {
			if final && licence.CheckTransition(from, to) == nil {
				t.Errorf("%s is final and changes to %s", from, to)
			}
		}
		if from.Final() != final {
			t.Errorf("%s: final %t", from, from.Final())
		}
	}
	for _, s := range []licence.Status{"expired", "not_yet_valid", "unknown", "", "REVOKED"} {
		if s.Final() {
			t.Errorf("%q is final", s)
		}
	}
}

func TestStatusAt(t *testing.T) {
	l := licence.Licence{IssuedOn: date("2026-02-26"), EffectiveOn: date("2026-03-01"), ExpiresOn: date("2031-02-28")}
	forever := l
	forever.ExpiresOn = licence.Date{}
	for _, c := range []struct {
		name   string
		l      licence.Licence
		stored licence.Status
		at     string
		want   licence.Status
	}{
		{"the instant before the first day", l, "valid", "2026-02-28T15:59:59.999Z", "not_yet_valid"},
		{"the first instant", l, "valid", "2026-02-28T16:00:00Z", "valid"},
		{"the last instant", l, "valid", "2031-02-28T15:59:59.999Z", "valid"},
		{"the instant after", l, "valid", "2031-02-28T16:00:00Z", "expired"},
		{"unknown before", l, "unknown", "2026-01-01T00:00:00Z", "not_yet_valid"},
		{"unknown within", l, "unknown", "2027-01-01T00:00:00Z", "unknown"},
		{"unknown after", l, "unknown", "2032-01-01T00:00:00Z", "expired"},
		{"no last day", forever, "valid", "2199-01-01T00:00:00Z", "valid"},
		{"no last day, before", forever, "valid", "2026-01-01T00:00:00Z", "not_yet_valid"},
		{"suspended after", l, "suspended", "2032-01-01T00:00:00Z", "suspended"},
		{"revoked before", l, "revoked", "2026-01-01T00:00:00Z", "revoked"},
		{"pending after", l, "pending", "2032-01-01T00:00:00Z", "pending"},
		{"voided", l, "voided", "2032-01-01T00:00:00Z", "voided"},
		{"superseded", l, "superseded", "2032-01-01T00:00:00Z", "superseded"},
	} {
		at, err := time.Parse(time.RFC3339Nano, c.at)
		if err != nil {
			t.Fatal(err)
		}
		p := licence.QRPayload{IssuedOn: c.l.IssuedOn, EffectiveOn: c.l.EffectiveOn, ExpiresOn: c.l.ExpiresOn}
		if got, qr := c.l.StatusAt(c.stored, at), p.StatusAt(c.stored, at); got != c.want || qr != c.want {
			t.Errorf("%s: %s, by the QR payload %s; want %s", c.name, got, qr, c.want)
		}
	}
}
