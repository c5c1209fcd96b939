package licence_test

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"elicence/licence"
)

// allStatuses are the statuses, stored and derived, and what is none.
var allStatuses = []licence.Status{
	licence.StatusPending, licence.StatusVoided, licence.StatusValid, licence.StatusSuspended, licence.StatusRevoked,
	licence.StatusWithdrawn, licence.StatusCancelled, licence.StatusSuperseded,
	licence.StatusExpired, licence.StatusNotYetValid, licence.StatusUnknown, "", "VALID",
}

// TestOperations goes through every operation and every status: only what stands here
// and in docs/lifecycle.md is allowed.
func TestOperations(t *testing.T) {
	allowed := map[licence.Operation]struct {
		from string
		to   licence.Status
	}{
		"suspend":  {"valid not_yet_valid", "suspended"},
		"resume":   {"suspended", "valid"},
		"revoke":   {"valid not_yet_valid suspended expired", "revoked"},
		"withdraw": {"valid not_yet_valid suspended expired", "withdrawn"},
		"cancel":   {"valid not_yet_valid suspended expired", "cancelled"},
		"amend":    {"valid not_yet_valid", "superseded"},
		"renew":    {"valid expired", "superseded"},
		"reissue":  {"valid not_yet_valid", "superseded"},
		"correct":  {"valid not_yet_valid expired", "superseded"},
		"transfer": {"valid", "superseded"},
	}
	if len(licence.Operations()) != len(allowed) {
		t.Errorf("operations %v, want those of %v", licence.Operations(), allowed)
	}
	text, err := os.ReadFile("../docs/lifecycle.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, op := range append(licence.Operations(), "", "issue", "SUSPEND") {
		want := allowed[op]
		if op.To() != want.to || op.MakesVersion() != (want.to == "superseded") {
			t.Errorf("%s leads to %q, makes a version: %t", op, op.To(), op.MakesVersion())
		}
		row := "| `" + string(op) + "` |"
		for _, from := range allStatuses {
			ok := from != "" && slices.Contains(strings.Fields(want.from), string(from))
			if err := op.Check(from); ok != (err == nil) || !ok && !errors.Is(err, licence.ErrWrongStatus) {
				t.Errorf("%s of %s: %v; want allowed: %t", op, from, err, ok)
			}
		}
		for _, from := range []string{"valid", "not_yet_valid", "suspended", "expired"} {
			if slices.Contains(strings.Fields(want.from), from) {
				row += " yes |"
			} else {
				row += " – |"
			}
		}
		if row += " `" + string(want.to) + "` |"; want.to != "" && !strings.Contains(string(text), row) {
			t.Errorf("docs/lifecycle.md lacks the row %s", row)
		}
	}
}

// TestFinal holds Final to the operations: nothing is done to what is final, and what
// something may be done to is not.
func TestFinal(t *testing.T) {
	stored := map[licence.Status]bool{
		"pending": false, "voided": true, "valid": false, "suspended": false,
		"revoked": true, "withdrawn": true, "cancelled": true, "superseded": true,
	}
	for from, final := range stored {
		for _, op := range licence.Operations() {
			if final && op.Check(from) == nil {
				t.Errorf("%s is final, and %s is allowed", from, op)
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
