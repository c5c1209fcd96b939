package registry_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"elicence/audit"
	"elicence/crypto/pdfsig"
	"elicence/licence"
	"elicence/licence/registry"
	"elicence/licence/registry/registrytest"
)

// TestRefusedReplace: what is refused changes nothing, has a stable code and is logged.
func TestRefusedReplace(t *testing.T) {
	l := newLife(t)
	other := registrytest.Approval("11100000MB19000005901")
	other.Types = l.c.Types
	reads := l.c
	reads.Types, reads.Roles, reads.Holder = nil, append(reads.Roles, registry.RoleHolder), licence.Holder{Code: "92330106MA0000A27G", CodeType: "001"}
	unknown, err := l.first.Identifier.Next()
	must(t, err)
	long := strings.Repeat("长", 171)
	for _, c := range []struct {
		name, code, field string
		op                licence.Operation
		body              string
		caller            registry.Caller
		id                licence.Identifier
	}{
		{"no role", "forbidden", "", licence.OpAmend, bodies[licence.OpAmend], registry.Anonymous("r"), l.first.Identifier},
		{"another authority", "forbidden", "", licence.OpAmend, bodies[licence.OpAmend], other, l.first.Identifier},
		{"a holder of the authority who issues no such type", "forbidden", "", licence.OpAmend, bodies[licence.OpAmend], reads, l.first.Identifier},
		{"unknown licence", "not_found", "", licence.OpAmend, bodies[licence.OpAmend], l.c, unknown},
		{"no identifier", "not_found", "", licence.OpAmend, bodies[licence.OpAmend], l.c, ""},
		{"not JSON", "invalid_request", "", licence.OpAmend, `{`, l.c, l.first.Identifier},
		{"no reason", "invalid_request", "reason missing", licence.OpReissue, `{}`, l.c, l.first.Identifier},
		{"empty reason", "invalid_request", "reason too_short", licence.OpReissue, `{"reason": ""}`, l.c, l.first.Identifier},
		{"blank reason", "invalid_request", "reason surrounding_space", licence.OpReissue, `{"reason": " "}`, l.c, l.first.Identifier},
		{"reason of 513 bytes", "invalid_request", "reason too_long", licence.OpReissue, `{"reason": "` + long + `"}`, l.c, l.first.Identifier},
		{"reason of 513 characters", "invalid_request", "reason too_long", licence.OpReissue, `{"reason": "` + strings.Repeat("a", 513) + `"}`, l.c, l.first.Identifier},
		{"reason with a line break", "invalid_request", "reason control_character", licence.OpReissue, `{"reason": "a\nb"}`, l.c, l.first.Identifier},
		{"reason no text", "invalid_request", "reason wrong_type", licence.OpReissue, `{"reason": 1}`, l.c, l.first.Identifier},
		{"unknown member", "invalid_request", "colour unknown_field", licence.OpReissue, `{"reason": "r", "colour": "red"}`, l.c, l.first.Identifier},
		{"a member of issue", "invalid_request", "number unknown_field", licence.OpAmend, `{"reason": "r", "holder": {"name": "样例"}, "number": "JY13301060000017"}`, l.c, l.first.Identifier},
		{"dates of an amendment", "invalid_request", "expires_on unknown_field", licence.OpAmend, `{"reason": "r", "holder": {"name": "样例"}, "expires_on": "2036-04-07"}`, l.c, l.first.Identifier},
		{"dates of a correction", "invalid_request", "issued_on unknown_field", licence.OpCorrect, `{"reason": "r", "holder": {"name": "样例"}, "issued_on": "2026-04-07"}`, l.c, l.first.Identifier},
		{"fields of a reissue", "invalid_request", "fields unknown_field", licence.OpReissue, `{"reason": "r", "fields": {}}`, l.c, l.first.Identifier},
		{"holder of a renewal", "invalid_request", "holder unknown_field", licence.OpRenew, `{"reason": "r", "expires_on": "2036-04-07", "holder": {"name": "样例"}}`, l.c, l.first.Identifier},
		{"another holder by amendment", "invalid_request", "holder.code unknown_field", licence.OpAmend, `{"reason": "r", "holder": ` + newHolder + `}`, l.c, l.first.Identifier},
		{"amendment of nothing", "invalid_request", "fields unchanged", licence.OpAmend, `{"reason": "r"}`, l.c, l.first.Identifier},
		{"amendment to the same name", "invalid_request", "fields unchanged", licence.OpAmend, `{"reason": "r", "holder": {"name": "杭州市西湖区㛃记样例粮油店"}}`, l.c, l.first.Identifier},
		{"correction of nothing", "invalid_request", "fields unchanged", licence.OpCorrect, `{"reason": "r"}`, l.c, l.first.Identifier},
		{"fields that the type has not", "invalid_request", "fields.colour unknown_field", licence.OpAmend, `{"reason": "r", "fields": {"colour": "red"}}`, l.c, l.first.Identifier},
		{"a name that no font draws", "invalid_request", "holder.name private_use", licence.OpAmend, `{"reason": "r", "holder": {"name": "样\ue000"}}`, l.c, l.first.Identifier},
		{"issued before", "invalid_request", "issued_on date_order", licence.OpAmend, `{"reason": "r", "holder": {"name": "样例"}, "issued_on": "2026-04-07"}`, l.c, l.first.Identifier},
		{"issued in the future", "invalid_request", "issued_on out_of_range", licence.OpAmend, `{"reason": "r", "holder": {"name": "样例"}, "issued_on": "2030-04-07"}`, l.c, l.first.Identifier},
		{"renewal without a last day", "invalid_request", "expires_on missing", licence.OpRenew, `{"reason": "r"}`, l.c, l.first.Identifier},
		{"renewal to the same day", "invalid_request", "expires_on date_order", licence.OpRenew, `{"reason": "r", "expires_on": "2031-04-07"}`, l.c, l.first.Identifier},
		{"renewal to a day that does not exist", "invalid_request", "expires_on bad_format", licence.OpRenew, `{"reason": "r", "expires_on": "2035-02-29"}`, l.c, l.first.Identifier},
		{"renewal beyond all days", "invalid_request", "expires_on out_of_range", licence.OpRenew, `{"reason": "r", "expires_on": "2201-01-01"}`, l.c, l.first.Identifier},
		{"renewal from before", "invalid_request", "effective_on date_order", licence.OpRenew, `{"reason": "r", "expires_on": "2036-04-07", "effective_on": "2026-04-07"}`, l.c, l.first.Identifier},
		{"renewal from a day to come", "invalid_request", "effective_on out_of_range", licence.OpRenew, `{"reason": "r", "expires_on": "2036-04-07", "effective_on": "2031-04-08"}`, l.c, l.first.Identifier},
		{"renewal with a gap", "invalid_request", "effective_on date_order", licence.OpRenew, `{"reason": "r", "expires_on": "2036-04-07", "effective_on": "2031-04-09"}`, l.c, l.first.Identifier},
		{"transfer to nobody", "invalid_request", "holder missing", licence.OpTransfer, `{"reason": "r"}`, l.c, l.first.Identifier},
		{"transfer to half a holder", "invalid_request", "holder.name missing", licence.OpTransfer, `{"reason": "r", "holder": {"code": "92330106MA0000A35B", "code_type": "001"}}`, l.c, l.first.Identifier},
		{"transfer to the holder", "invalid_request", "holder.code unchanged", licence.OpTransfer, `{"reason": "r", "holder": {"name": "样例", "code": "92330106MA0000A27G", "code_type": "001"}}`, l.c, l.first.Identifier},
		{"transfer to a wrong code", "invalid_request", "holder.code bad_code", licence.OpTransfer, `{"reason": "r", "holder": {"name": "样例", "code": "92330106MA0000A35C", "code_type": "001"}}`, l.c, l.first.Identifier},
		{"transfer to a code type of others", "invalid_request", "holder.code_type not_allowed", licence.OpTransfer, `{"reason": "r", "holder": {"name": "样例", "code": "330102199504080020", "code_type": "111"}}`, l.c, l.first.Identifier},
	} {
		t.Run(c.name, func(t *testing.T) {
			from := size(t, l.Service)
			_, receipt, err := replacers(l.r)[c.op](t.Context(), c.caller, c.id, registry.VersionRequest{Key: l.key(), Body: []byte(c.body)})
			wantCode(t, c.name, err, c.code)
			logged := trail(t, l.Service, from)
			if want := string(c.op) + " refused " + c.code; len(logged) != 1 || !strings.HasPrefix(want, logged[0]) && logged[0] != want && logged[0] != string(c.op)+" refused out_of_reach" || receipt.Index != from {
				t.Errorf("log %v, receipt %d", logged, receipt.Index)
			}
			var invalid *licence.RequestError
			if c.field != "" && (!errors.As(err, &invalid) || !strings.Contains(fmt.Sprint(fieldCodes(invalid)), c.field)) {
				t.Errorf("fault %v, want %s", err, c.field)
			}
		})
	}
	_, err = l.do(licence.OpRenew, issue(t, l.Service, "birth-one-parent.json", "b").Identifier, bodies[licence.OpRenew])
	if versions, fault := l.Backend.Versions(t.Context(), l.first.Identifier); len(versions) != 1 || fault != nil {
		t.Errorf("versions after all refusals: %v, %v", versions, fault)
	}
	wantCode(t, "renewal by another authority", err, "not_found")
	born := issue(t, l.Service, "birth-one-parent.json", "b2")
	_, midwife := sample(t, "birth-one-parent.json")
	_, _, err = l.r.Renew(t.Context(), midwife, born.Identifier, registry.VersionRequest{Key: "b", Body: []byte(bodies[licence.OpRenew])})
	wantCode(t, "renewal without a last day", err, "not_applicable")
	_, _, err = l.r.Transfer(t.Context(), midwife, born.Identifier, registry.VersionRequest{Key: "b", Body: []byte(bodies[licence.OpTransfer])})
	wantCode(t, "transfer of what passes to nobody", err, "not_applicable")
}

// TestVersionsExhausted: after version 999 there is none, and nothing is half done.
func TestVersionsExhausted(t *testing.T) {
	l := newLife(t)
	last, err := licence.NewIdentifier(l.first.TypeCode, l.c.Authority.Code, l.first.Identifier.Serial(), licence.MaxVersion)
	must(t, err)
	must(t, l.Backend.Batch(t.Context(), func(tx audit.Tx) error {
		return tx.(registry.Tx).InsertVersion(t.Context(), registry.Record{Identifier: last, Number: l.first.Number, TypeCode: l.first.TypeCode,
			AuthorityCode: l.c.Authority.Code, Version: licence.MaxVersion, Supersedes: l.first.Identifier, Status: licence.StatusVoided})
	}))
	from := size(t, l.Service)
	_, err = l.do(licence.OpAmend, l.first.Identifier, bodies[licence.OpAmend])
	wantCode(t, "after the last version", err, "versions_exhausted")
	wantTrail(t, l.Service, from, "amend allowed", "amend refused versions_exhausted")
	must(t, l.change(licence.OpCancel, l.first.Identifier))
}

// fieldCodes are the faults of a request as "field code".
func fieldCodes(e *licence.RequestError) (all []string) {
	for _, f := range e.Fields {
		all = append(all, f.Field+" "+f.Code)
	}
	return all
}

// TestRenewDates: leap days, days beyond 2038, and a renewal after the last day.
func TestRenewDates(t *testing.T) {
	l := newLife(t)
	c := l.Transferable(t)
	c.Trusted, c.Check = nil, func(context.Context, *pdfsig.File, time.Time) error { return nil } // the lists of the test's CAs end first
	var err error
	l.r, err = registry.New(c)
	must(t, err)
	next := l.must(licence.OpRenew, l.first.Identifier, `{"reason": "r", "expires_on": "2032-02-29"}`)
	next = l.must(licence.OpRenew, next.Identifier, `{"reason": "r", "expires_on": "2100-02-28", "effective_on": "2026-04-08"}`)
	v, _ := l.view(next.Identifier, time.Time{})
	if v.ExpiresOn.String() != "2100-02-28" || v.EffectiveOn.String() != "2026-04-08" || v.Status != licence.StatusValid {
		t.Errorf("renewed to %s – %s, %s", v.EffectiveOn, v.ExpiresOn, v.Status)
	}
	short := bytes.Replace([]byte(sampleBody(t)), []byte("2031-04-07"), []byte("2026-12-31"), 1)
	brief, _, err := l.r.Issue(t.Context(), l.c, registry.IssueRequest{Key: "short", Body: short})
	must(t, err)
	end := time.Date(2026, 12, 31, 16, 0, 0, 0, time.UTC) // of the day in Shanghai
	l.Move(end.Add(48 * time.Hour).Sub(l.Now()))
	for _, op := range []licence.Operation{licence.OpAmend, licence.OpReissue, licence.OpTransfer} {
		_, err := l.do(op, brief.Identifier, bodies[op])
		wantCode(t, string(op)+" after the last day", err, "wrong_status")
	}
	wantCode(t, "suspension after the last day", l.change(licence.OpSuspend, brief.Identifier), "wrong_status")
	_, err = l.do(licence.OpRenew, brief.Identifier, `{"reason": "r", "expires_on": "2027-01-01"}`)
	wantCode(t, "renewal to a day that is over", err, "invalid_request")
	late := l.must(licence.OpRenew, brief.Identifier, `{"reason": "r", "effective_on": "2027-01-01", "expires_on": "2028-02-29"}`)
	if v, _ := l.view(late.Identifier, time.Time{}); v.Status != licence.StatusValid || v.Supersedes != brief.Identifier {
		t.Errorf("renewed after the last day: %s, supersedes %s", v.Status, v.Supersedes)
	}
}

func sampleBody(t *testing.T) string {
	body, _ := sample(t, "food-retail.json")
	return string(body)
}
