package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"elicence/licence"
	"elicence/licence/consent"
	"elicence/licence/registry"
)

// selectGrant selects the columns that grantRow takes.
var selectGrant = grantTable.selection()

// grants reads a query that begins with selectGrant.
func (s Secrets) grants(ctx context.Context, from session, query string, args ...any) (found []registry.Grant, err error) {
	err = from.query(ctx, s.grantRow(&found), query, args...)
	return found, doing("reading grants", err)
}

// grantRow takes a row of selectGrant.
func (s Secrets) grantRow(found *[]registry.Grant) func(scan) error {
	return func(scan scan) error {
		var g registry.Grant
		var fields, questions, how, first, last, status string
		var masked, requested, approved, withdrawn int64
		var mac []byte
		row := []any{&g.ID, &g.Authority.Name, &g.Authority.Code, &g.Authority.Division, &g.TypeCode, &g.MatterCode, &g.Scenario, &fields, &masked, &questions, &how, &g.LegalBasis,
			&first, &last, &status, &g.RequestedBy, &requested, &g.ApprovedBy, &approved, &g.WithdrawnBy, &withdrawn, &g.Reason,
			&g.RequestedPerson, &g.ApprovedPerson, &g.WithdrawnPerson}
		if err := scan(append(row, &mac)...); err != nil {
			return err
		}
		if err := s.authentic(grantTable, mac, row...); err != nil {
			return err
		}
		g.How, g.Status = registry.How(how), registry.GrantStatus(status)
		g.Masked = masked == 1
		g.RequestedAt, g.ApprovedAt, g.WithdrawnAt = instant(requested), instant(approved), instant(withdrawn)
		if err := json.Unmarshal([]byte(fields), &g.Fields); err != nil {
			return doing("reading reuse_grant.fields", err)
		}
		if err := json.Unmarshal([]byte(questions), &g.Questions); err != nil {
			return doing("reading reuse_grant.questions", err)
		}
		if err := g.ValidFrom.UnmarshalText([]byte(first)); err != nil {
			return doing("reading reuse_grant.valid_from", err)
		}
		if err := g.ValidTo.UnmarshalText([]byte(last)); err != nil {
			return doing("reading reuse_grant.valid_to", err)
		}
		*found = append(*found, g)
		return nil
	}
}

// grant reads the one grant of an identifier.
func (s Secrets) grant(ctx context.Context, from session, id string) (registry.Grant, error) {
	found, err := s.grants(ctx, from, selectGrant+`WHERE id = $1`, id)
	if err == nil && len(found) == 0 {
		err = licence.ErrNotFound
	}
	if err != nil {
		return registry.Grant{}, err
	}
	return found[0], nil
}

// Grant implements registry.Store.
func (r reader) Grant(ctx context.Context, id string) (registry.Grant, error) {
	return r.secrets.grant(ctx, r, id)
}

var grantsFor = selectGrant + `WHERE authority_code = $1 AND type_code = $2 AND matter_code = $3 AND status = 'approved'
	ORDER BY id LIMIT $4`

// ForReuse implements registry.Store. At most 1,000 grants are returned.
func (r reader) ForReuse(ctx context.Context, q registry.ReuseQuery) (b registry.ReuseRecords, err error) {
	var reads []read
	if q.Authority != "" {
		reads = append(reads, read{grantsFor, []any{q.Authority, q.TypeCode, q.Matter, int64(maxRows)}, r.secrets.grantRow(&b.Grants)})
	}
	if q.Consent != "" {
		reads = append(reads, read{selectConsent + `WHERE id = $1`, []any{q.Consent}, r.consentRow(func(c consent.Consent) { b.Consent = c })})
	}
	if q.Case != "" {
		reads = append(reads, read{selectCase, []any{q.Case}, r.caseRow(q.Case, &b.Case)})
	}
	for _, args := range licencePages(q.Identifiers) {
		reads = append(reads, read{selectLicences, args, r.secrets.recordRow(&b.Licences)})
	}
	if len(q.Identifiers) == 0 && q.Licences.Limit > 0 {
		reads = append(reads, read{searchLicences, r.searchArgs(q.Licences), r.secrets.recordRow(&b.Licences)})
	}
	return b, doing("reading what a reuse rests on", r.short(ctx, reads...))
}

// Grants implements registry.Store.
func (r reader) Grants(ctx context.Context, q registry.GrantQuery) ([]registry.Grant, error) {
	if q.TypeCode != "" {
		return r.secrets.grants(ctx, r, selectGrant+`WHERE type_code = $1 AND id > $2 AND substr(division, 1, length(CAST($3 AS text))) = $3
			AND (CAST($4 AS text) = '' OR status = $4) ORDER BY id LIMIT $5`, q.TypeCode, q.After, licence.Subtree(q.Division), string(q.Status), int64(limit(q.Limit)))
	}
	return r.secrets.grants(ctx, r, selectGrant+`WHERE authority_code = $1 AND id > $2 ORDER BY id LIMIT $3`, q.Authority, q.After, int64(limit(q.Limit)))
}

// Grant implements registry.Tx.
func (t *transaction) Grant(ctx context.Context, id string) (registry.Grant, error) {
	return t.secrets.grant(ctx, t, id)
}

// InsertGrant implements registry.Tx.
func (t *transaction) InsertGrant(ctx context.Context, g registry.Grant) error {
	fields, err := json.Marshal(g.Fields)
	if err != nil {
		return fmt.Errorf("storing reuse_grant.fields: %w", err)
	}
	questions, err := json.Marshal(g.Questions)
	if err != nil {
		return fmt.Errorf("storing reuse_grant.questions: %w", err)
	}
	masked := int64(0)
	if g.Masked {
		masked = 1
	}
	_, err = t.insertRow(ctx, grantTable, ``,
		g.ID, g.Authority.Name, g.Authority.Code, g.Authority.Division, g.TypeCode, g.MatterCode, g.Scenario, string(fields), masked, string(questions), string(g.How), g.LegalBasis,
		g.ValidFrom.String(), g.ValidTo.String(), string(g.Status), g.RequestedBy, nanos(g.RequestedAt), g.ApprovedBy, nanos(g.ApprovedAt), g.WithdrawnBy, nanos(g.WithdrawnAt), g.Reason,
		g.RequestedPerson, g.ApprovedPerson, g.WithdrawnPerson)
	return doing("storing grant", err)
}

// missing turns a row that is not there into licence.ErrWrongStatus.
func missing(err error) error {
	if notFound(err) {
		return licence.ErrWrongStatus
	}
	return err
}

// wrongStatus turns a statement that met no row into licence.ErrWrongStatus.
func wrongStatus(n int64, err error) error {
	if err == nil && n == 0 {
		return licence.ErrWrongStatus
	}
	return err
}

// UpdateGrant implements registry.Tx.
func (t *transaction) UpdateGrant(ctx context.Context, g registry.Grant, from registry.GrantStatus) error {
	err := t.alterRow(ctx, grantTable, g.ID, func(row map[string]any) error {
		if row["status"] != string(from) {
			return licence.ErrWrongStatus
		}
		row["status"], row["approved_by"], row["approved_at"] = string(g.Status), g.ApprovedBy, nanos(g.ApprovedAt)
		row["withdrawn_by"], row["withdrawn_at"], row["reason"] = g.WithdrawnBy, nanos(g.WithdrawnAt), g.Reason
		row["approved_person"], row["withdrawn_person"] = g.ApprovedPerson, g.WithdrawnPerson
		return nil
	})
	return doing("changing grant", missing(err))
}

var selectCase = caseTable.selection() + `WHERE id = $1`

// Case implements registry.Store.
func (r reader) Case(ctx context.Context, id string) (k registry.Case, err error) {
	err = r.query(ctx, r.caseRow(id, &k), selectCase, id)
	if err == nil && k.Authority == "" {
		err = licence.ErrNotFound
	}
	return k, doing("reading case", err)
}

// caseRow takes the row of a case.
func (r reader) caseRow(id string, to *registry.Case) func(scan) error {
	return func(scan scan) error {
		var k registry.Case
		var code []byte
		var codeType, types, last string
		var opened, closed int64
		var key string
		var mac []byte
		row := []any{&key, &k.Authority, &k.Number, &k.MatterCode, &k.MatterName, &code, &codeType, &types, &opened, &last, &closed}
		if err := scan(append(row, &mac)...); err != nil {
			return err
		}
		if err := r.secrets.authentic(caseTable, mac, row...); err != nil {
			return err
		}
		value, err := r.secrets.open(place{"reuse_case.holder_code", id}, code)
		if err != nil {
			return err
		}
		k.Holder = licence.Holder{Code: string(value), CodeType: licence.HolderCodeType(codeType)}
		k.OpenedAt, k.ClosedAt = instant(opened), instant(closed)
		if err := json.Unmarshal([]byte(types), &k.Types); err != nil {
			return doing("reading reuse_case.types", err)
		}
		if err := k.ValidTo.UnmarshalText([]byte(last)); err != nil {
			return doing("reading reuse_case.valid_to", err)
		}
		*to = k
		return nil
	}
}

// InsertCase implements registry.Tx.
func (t *transaction) InsertCase(ctx context.Context, k registry.Case) error {
	id := registry.CaseID(k.Authority, k.Number)
	code, err := t.secrets.seal(place{"reuse_case.holder_code", id}, []byte(k.Holder.Code))
	if err != nil {
		return err
	}
	types, err := json.Marshal(k.Types)
	if err != nil {
		return fmt.Errorf("storing reuse_case.types: %w", err)
	}
	n, err := t.insertRow(ctx, caseTable, `ON CONFLICT (id) DO NOTHING`,
		id, k.Authority, k.Number, k.MatterCode, k.MatterName, code, string(k.Holder.CodeType), string(types), nanos(k.OpenedAt), k.ValidTo.String(), nanos(k.ClosedAt))
	if err == nil && n == 0 {
		err = registry.ErrCaseTaken
	}
	return doing("storing case", err)
}

// CloseCase implements registry.Tx.
func (t *transaction) CloseCase(ctx context.Context, id string, at time.Time) error {
	return doing("closing case", missing(t.alterRow(ctx, caseTable, id, endAt("closed_at", at))))
}

// endAt enters when something ended; licence.ErrWrongStatus when it has.
func endAt(column string, at time.Time) func(map[string]any) error {
	return func(row map[string]any) error {
		if row[column] != int64(0) {
			return licence.ErrWrongStatus
		}
		row[column] = nanos(at)
		return nil
	}
}

// Basis implements registry.Tx. A consent is read, for its MAC, and then used in the same way to
// PostgreSQL and back as the rest is looked at: for each the batch waits.
func (t *transaction) Basis(ctx context.Context, b registry.Basis, at time.Time) (s registry.BasisState, err error) {
	approved, args := "0", []any{b.Client, true, b.Case}
	if len(b.Grants) > 0 {
		in := make([]string, len(b.Grants))
		for i, id := range b.Grants {
			args = append(args, id)
			in[i] = "$" + strconv.Itoa(len(args))
		}
		approved = `(SELECT count(*) FROM reuse_grant WHERE id IN (` + strings.Join(in, ", ") + `) AND status = 'approved')`
	}
	var disabled, braked, open, grants int64
	used := b.Consent != ""
	if used {
		err := t.useConsent(ctx, b.Consent, at)
		if used = err == nil; !used && !errors.Is(err, licence.ErrWrongStatus) {
			return s, err
		}
	}
	if b.Client == "" { // who is shown a licence needs the consent alone
		return registry.BasisState{Used: used}, nil
	}
	err = one(ctx, t, `SELECT (SELECT count(*) FROM client WHERE id = $1 AND disabled = $2), (SELECT count(*) FROM reuse_brake WHERE client = $1 AND lifted_at = 0),
		(SELECT count(*) FROM reuse_case WHERE id = $3 AND closed_at = 0), `+approved, args, &disabled, &braked, &open, &grants)
	return registry.BasisState{Disabled: disabled > 0, Braked: braked > 0, CaseOpen: open > 0, Grants: int(grants), Used: used}, doing("reading what a reuse rests on", err)
}

// CountQuestions implements registry.Tx. The names are taken in order, so that no two
// transactions wait for one another.
func (t *transaction) CountQuestions(ctx context.Context, caseID string, add map[string]int, most int) error {
	for _, name := range slices.Sorted(maps.Keys(add)) {
		n, err := t.exec(ctx, `INSERT INTO reuse_question (case_id, question, n) VALUES ($1, $2, $3)
			ON CONFLICT (case_id, question) DO UPDATE SET n = reuse_question.n + excluded.n WHERE reuse_question.n < $4`,
			caseID, name, int64(add[name]), int64(most))
		if err == nil && n == 0 {
			err = registry.ErrQuestionsSpent
		}
		if err != nil {
			return doing("counting questions", err)
		}
	}
	return nil
}
