package store

import (
	"cmp"
	"context"
	"slices"
	"time"

	"elicence/licence"
	"elicence/licence/registry"
)

// countable restricts a query to types and a division's subtree; its parameters are the
// first two. Pending and voided licences were never issued.
const countable = ` FROM licence WHERE $1 LIKE '% ' || type_code || ' %'
	AND substr(division, 1, length(CAST($2 AS text))) = $2 AND status NOT IN ('pending', 'voided')`

// dayOf is the day in Beijing of an instant, counted from 1970-01-01, as a column.
const dayOf = `(status_at + 28800000000000) / 86400000000000`

// originOf is a licence's origin, as a column.
const originOf = `CASE WHEN importer = '' THEN '' ELSE 'external' END`

// counted are the three queries of Counts. Each row is type, division, origin, measure,
// month, day and count; either month or day is given, or neither.
var counted = []string{
	`SELECT type_code, division, ` + originOf + `, CASE WHEN operation = '' THEN 'issued' ELSE operation END, substr(issued_on, 1, 7), 0, count(*)` + countable + `
		AND issued_on >= $3 AND issued_on <= $4 GROUP BY 1, 2, 3, 4, 5`,
	`SELECT type_code, division, ` + originOf + `, status, '', ` + dayOf + `, count(*)` + countable + `
		AND status IN ('revoked', 'withdrawn', 'cancelled') AND ` + dayOf + ` BETWEEN $3 AND $4 GROUP BY 1, 2, 3, 4, 6`,
	`SELECT type_code, division, ` + originOf + `, CASE WHEN status <> 'valid' THEN status WHEN effective_on > $3 THEN 'not_yet_valid'
			WHEN expires_on <> '' AND expires_on < $3 THEN 'expired' WHEN expires_on <> '' AND expires_on <= $4 THEN 'expiring' ELSE 'valid' END,
			'', 0, count(*)` + countable + ` AND status IN ('valid', 'suspended') GROUP BY 1, 2, 3, 4`,
}

// Counts implements registry.Store.
func (r reader) Counts(ctx context.Context, q registry.CountQuery) ([]registry.Count, error) {
	all := map[registry.Count]int64{}
	add := func(scan scan) error {
		var c registry.Count
		var day, n int64
		if err := scan(&c.TypeCode, &c.Division, &c.Origin, &c.Measure, &c.Month, &day, &n); err != nil {
			return err
		}
		if day > 0 {
			c.Month = time.Unix(day*24*60*60, 0).UTC().Format("2006-01")
		}
		all[c] += n
		if c.Measure == registry.MeasureExpiring {
			c.Measure = string(licence.StatusValid)
			all[c] += n
		}
		return nil
	}
	args := [][2]any{{q.From.String(), q.To.String()}, {days(q.From), days(q.To)}, {q.Today.String(), q.Soon.String()}}
	for i, query := range counted {
		if err := r.query(ctx, add, query, typeList(q.Types), licence.Subtree(q.Division), args[i][0], args[i][1]); err != nil {
			return nil, doing("counting licences", err)
		}
	}
	var counts []registry.Count
	for c, n := range all {
		c.Count = n
		counts = append(counts, c)
	}
	slices.SortFunc(counts, func(a, b registry.Count) int {
		return cmp.Or(cmp.Compare(a.Measure, b.Measure), cmp.Compare(a.TypeCode, b.TypeCode), cmp.Compare(a.Division, b.Division), cmp.Compare(a.Month, b.Month), cmp.Compare(a.Origin, b.Origin))
	})
	return counts, nil
}

// days counts the days of a date from 1970-01-01.
func days(d licence.Date) int64 { return (d.StartsAt().Unix() + 8*60*60) / (24 * 60 * 60) }
