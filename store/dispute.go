package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"elicence/licence"
	"elicence/licence/dispute"
	"elicence/licence/registry"
)

// selectDispute selects the columns that disputes reads.
const selectDispute = `SELECT id, kind, state, holder_code, holder_code_type, licence, type_code, log_index, authority_name, authority_code, division,
	statement, raised_at, due_at, decided_by, decided_at, acted, reason, closed_by, closed_at, version, remedy FROM dispute `

// unsettled is what is to be done something about, as the partial indexes have it.
const unsettled = `state IN ('open', 'accepted')`

// disputes reads a query that begins with selectDispute.
func (r reader) disputes(ctx context.Context, query string, args ...any) (found []dispute.Dispute, err error) {
	err = r.query(ctx, func(scan scan) error {
		var d dispute.Dispute
		var kind, state, codeType, disputed, version string
		var code, statement, reason, remedy []byte
		var index, raised, due, decided, closed int64
		if err := scan(&d.ID, &kind, &state, &code, &codeType, &disputed, &d.TypeCode, &index, &d.Authority.Name, &d.Authority.Code, &d.Authority.Division,
			&statement, &raised, &due, &d.DecidedBy, &decided, &d.Acted, &reason, &d.ClosedBy, &closed, &version, &remedy); err != nil {
			return err
		}
		d.Kind, d.State, d.Licence, d.Version, d.Entry = dispute.Kind(kind), dispute.State(state), licence.Identifier(disputed), licence.Identifier(version), uint64(index)
		d.RaisedAt, d.Due, d.DecidedAt, d.ClosedAt = instant(raised), instant(due), instant(decided), instant(closed)
		for _, c := range []struct {
			column string
			sealed []byte
			set    func([]byte) error
		}{
			{"dispute.holder_code", code, func(b []byte) error { d.Holder.Code = string(b); return nil }},
			{"dispute.statement", statement, func(b []byte) error { return json.Unmarshal(b, &d.Statement) }},
			{"dispute.reason", reason, func(b []byte) error { d.Reason = string(b); return nil }},
			{"dispute.remedy", remedy, func(b []byte) error { d.Remedy = string(b); return nil }},
		} {
			value, err := r.secrets.open(place{c.column, d.ID}, c.sealed)
			if err == nil && value != nil {
				err = c.set(value)
			}
			if err != nil {
				return doing("reading "+c.column, err)
			}
		}
		if d.Holder.Code != "" {
			d.Holder.CodeType = licence.HolderCodeType(codeType)
		}
		found = append(found, d)
		return nil
	}, query, args...)
	return found, doing("reading disputes", err)
}

// Dispute implements registry.DisputeStore.
func (r reader) Dispute(ctx context.Context, id string) (dispute.Dispute, error) {
	found, err := r.disputes(ctx, selectDispute+`WHERE id = $1`, id)
	if err == nil && len(found) == 0 {
		err = licence.ErrNotFound
	}
	if err != nil {
		return dispute.Dispute{}, err
	}
	return found[0], nil
}

// Disputes implements registry.DisputeStore.
func (r reader) Disputes(ctx context.Context, q registry.DisputeQuery) ([]dispute.Dispute, error) {
	const which = `WHERE ($1 = '' OR state = $1) AND ($2 = '' OR kind = $2) AND (CAST($3 AS bigint) = 0 OR due_at <= $3 AND ` + unsettled + `) `
	args := []any{string(q.State), string(q.Kind), nanos(q.OverdueAt)}
	if q.Holder.Code != "" {
		return r.disputes(ctx, selectDispute+which+`AND holder_index = $4 AND ($5 = '' OR id < $5) ORDER BY id DESC LIMIT $6`,
			append(args, r.secrets.holderIndex(q.Holder), q.AfterID, int64(limit(q.Limit)))...)
	}
	// A department lies below another when its division and that of its code do, and neither is the same.
	return r.disputes(ctx, selectDispute+which+`AND (due_at > $4 OR due_at = $4 AND id > $5)
		AND ($6 = '' OR ($7 LIKE '% ' || type_code || ' %' OR type_code = '') AND (authority_code = $6 AND $10 <> '' AND division = $10
			OR substr(division, 1, length(CAST($8 AS text))) = $8
			AND (authority_code = $6 OR division <> $9 AND substr(authority_code, 3, length(CAST($8 AS text))) = $8 AND substr(authority_code, 3, 6) <> $9)))
		ORDER BY due_at, id LIMIT $11`,
		append(args, nanos(q.AfterDue), q.AfterID, q.Authority, typeList(q.Types), licence.Subtree(q.Division), q.Division, licence.County(q.Division), int64(limit(q.Limit)))...)
}

// AcceptedDisputes implements registry.DisputeStore.
func (r reader) AcceptedDisputes(ctx context.Context, kind dispute.Kind, id licence.Identifier) ([]dispute.Dispute, error) {
	from, to := id.Versions()
	return r.disputes(ctx, selectDispute+`WHERE state = 'accepted' AND kind = $1 AND licence > $2 AND licence < $3 ORDER BY id`, string(kind), string(from), string(to))
}

// OverdueDisputes implements registry.DisputeStore.
func (r reader) OverdueDisputes(ctx context.Context, at time.Time) (map[dispute.Kind]int, error) {
	counts := map[dispute.Kind]int{}
	err := r.query(ctx, func(scan scan) error {
		var kind string
		var n int64
		err := scan(&kind, &n)
		counts[dispute.Kind(kind)] = int(n)
		return err
	}, `SELECT kind, count(*) FROM dispute WHERE `+unsettled+` AND due_at <= $1 GROUP BY kind`, nanos(at))
	return counts, doing("counting disputes", err)
}

// CountDisputes implements registry.DisputeTx.
func (t *transaction) CountDisputes(ctx context.Context, h licence.Holder, since time.Time) (open, recent int, err error) {
	var all [2]int64
	err = one(ctx, t, `SELECT coalesce(sum(CASE WHEN `+unsettled+` THEN 1 ELSE 0 END), 0), coalesce(sum(CASE WHEN raised_at > $2 THEN 1 ELSE 0 END), 0)
		FROM dispute WHERE holder_index = $1`, []any{t.secrets.holderIndex(h), nanos(since)}, &all[0], &all[1])
	return int(all[0]), int(all[1]), doing("counting disputes", err)
}

// sealTexts encrypts texts for their columns of a dispute, in the same order.
func (t *transaction) sealTexts(id string, texts ...[2]string) (sealed []any, err error) {
	for _, c := range texts {
		b, err := t.secrets.seal(place{"dispute." + c[0], id}, []byte(c[1]))
		if err != nil {
			return nil, err
		}
		sealed = append(sealed, b)
	}
	return sealed, nil
}

// InsertDispute implements registry.DisputeTx.
func (t *transaction) InsertDispute(ctx context.Context, d dispute.Dispute) error {
	statement, err := json.Marshal(d.Statement)
	if err != nil {
		return fmt.Errorf("storing dispute.statement: %w", err)
	}
	sealed, err := t.sealTexts(d.ID, [2]string{"holder_code", d.Holder.Code}, [2]string{"statement", string(statement)}, [2]string{"reason", d.Reason}, [2]string{"remedy", d.Remedy})
	if err != nil {
		return err
	}
	subject := t.secrets.index("dispute", string(d.Holder.CodeType), d.Holder.Code, string(d.Kind), d.Subject())
	n, err := t.exec(ctx, `INSERT INTO dispute (holder_code, statement, reason, remedy, id, kind, state, holder_code_type, holder_index, subject_index, licence, type_code, log_index,
			authority_name, authority_code, division, raised_at, due_at, decided_by, decided_at, acted, closed_by, closed_at, version)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24)
		ON CONFLICT (subject_index) WHERE `+unsettled+` DO NOTHING`,
		append(sealed, d.ID, string(d.Kind), string(d.State), string(d.Holder.CodeType), t.secrets.holderIndex(d.Holder), subject, string(d.Licence), d.TypeCode, position(d.Entry),
			d.Authority.Name, d.Authority.Code, d.Authority.Division, nanos(d.RaisedAt), nanos(d.Due), d.DecidedBy, nanos(d.DecidedAt), d.Acted, d.ClosedBy, nanos(d.ClosedAt), string(d.Version))...)
	if err == nil && n == 0 {
		err = registry.ErrDisputeStands
	}
	return doing("storing dispute", err)
}

// UpdateDispute implements registry.DisputeTx.
func (t *transaction) UpdateDispute(ctx context.Context, d dispute.Dispute, from dispute.State) error {
	sealed, err := t.sealTexts(d.ID, [2]string{"reason", d.Reason}, [2]string{"remedy", d.Remedy})
	if err != nil {
		return err
	}
	err = wrongStatus(t.exec(ctx, `UPDATE dispute SET reason = $1, remedy = $2, state = $5, due_at = $6, decided_by = $7, decided_at = $8, acted = $9,
			closed_by = $10, closed_at = $11, version = $12
		WHERE id = $3 AND state = $4`,
		append(sealed, d.ID, string(from), string(d.State), nanos(d.Due), d.DecidedBy, nanos(d.DecidedAt), d.Acted, d.ClosedBy, nanos(d.ClosedAt), string(d.Version))...))
	return doing("changing dispute", err)
}

// EraseDisputes implements registry.DisputeTx.
func (t *transaction) EraseDisputes(ctx context.Context, h licence.Holder, before time.Time) error {
	_, err := t.exec(ctx, `UPDATE dispute SET holder_code = NULL, holder_index = NULL, subject_index = NULL, statement = NULL, reason = NULL, remedy = NULL
		WHERE holder_index IS NOT NULL AND NOT `+unsettled+` AND closed_at < $1 AND ($2 OR holder_index = $3)`,
		nanos(before), h.Code == "", t.secrets.holderIndex(h))
	return doing("erasing disputes", err)
}
