package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"elicence/licence"
	"elicence/licence/registry"
)

// reader reads the register and the log, outside of transactions; registry.Store
// and audit.Storage say what each method promises.
type reader struct {
	readSession
	secrets Secrets
	// writing is for what changes outside of a batch, statement by statement; see
	// registry.EventStore. skip is the clause that passes over rows, of d, which another claims,
	// share the one that waits for whoever changes a row, and keeps others from it.
	writing     session
	skip, share string
}

// Licence implements registry.Store.
func (r reader) Licence(ctx context.Context, id licence.Identifier) (registry.Record, error) {
	rec, err := r.secrets.record(ctx, shortSession{r}, selectLicence+`WHERE l.identifier = $1`, string(id))
	return rec, doing("reading licence", err)
}

// licencePage is how many licences one statement looks up; fewer are filled up with the
// first, so that there is one statement.
const licencePage = 16

var (
	selectLicences = selectLicence + `WHERE l.identifier IN ($1` + morePlaceholders(2, licencePage) + `)`
	selectByFiles  = selectByFile + `WHERE f.digest IN ($1` + morePlaceholders(2, licencePage) + `)`
)

func morePlaceholders(from, to int) string {
	var b strings.Builder
	for i := from; i <= to; i++ {
		fmt.Fprintf(&b, ", $%d", i)
	}
	return b.String()
}

// Licences implements registry.Store.
func (r reader) Licences(ctx context.Context, ids []string) (all []registry.Record, err error) {
	for _, args := range licencePages(ids) {
		records, err := r.secrets.records(ctx, shortSession{r}, selectLicences, args...)
		if err != nil {
			return nil, doing("reading licences", err)
		}
		all = append(all, records...)
	}
	return all, nil
}

// LicencesByFile implements registry.Store.
func (r reader) LicencesByFile(ctx context.Context, digests []string) (all []registry.Filed, err error) {
	for page := range slices.Chunk(digests, licencePage) {
		filed, err := r.secrets.filed(ctx, shortSession{r}, selectByFiles, filledUp(page, func(digest string) any { return []byte(digest) })...)
		if err != nil {
			return nil, doing("reading licences by file", err)
		}
		all = append(all, filed...)
	}
	return all, nil
}

// filledUp is a page of names as the arguments of its statement.
func filledUp(page []string, argument func(string) any) []any {
	args := make([]any, licencePage)
	for i := range args {
		args[i] = argument(page[0])
		if i < len(page) {
			args[i] = argument(page[i])
		}
	}
	return args
}

// licencePages are the arguments of selectLicences for licences.
func licencePages(ids []string) (pages [][]any) {
	for page := range slices.Chunk(ids, licencePage) {
		pages = append(pages, filledUp(page, func(id string) any { return id }))
	}
	return pages
}

// Search implements registry.Store. At most 1,000 licences are returned.
func (r reader) Search(ctx context.Context, q registry.Query) ([]registry.Record, error) {
	records, err := r.secrets.records(ctx, r, searchLicences, r.searchArgs(q)...)
	return records, doing("searching licences", err)
}

const searchLicences = selectLicence + `
		WHERE l.holder_index = $1 AND ($2 = '' OR l.identifier < $2)
		AND ($3 = '' OR $3 LIKE '% ' || l.type_code || ' %')
		AND substr(l.division, 1, length(CAST($4 AS text))) = $4
		AND (NOT $5 OR l.status NOT IN ('pending', 'voided'))
		AND (CAST($6 AS bigint) = 0 OR (SELECT s.status FROM licence_status s WHERE s.identifier = l.identifier AND s.at <= $6
			ORDER BY s.at DESC, s.id DESC LIMIT 1) NOT IN ('pending', 'voided'))
		ORDER BY l.identifier DESC LIMIT $7`

func (r reader) searchArgs(q registry.Query) []any {
	return []any{r.secrets.holderIndex(q.Holder), string(q.After), typeList(q.Types), licence.Subtree(q.Division), q.Issued, nanos(q.AsOf), int64(limit(q.Limit))}
}

// typeList is type codes, which hold no blanks or wildcards, as Search and Lapsed
// compare them; empty for none.
func typeList(codes []string) string {
	if len(codes) == 0 {
		return ""
	}
	return " " + strings.Join(codes, " ") + " "
}

// Lapsed implements registry.Store. At most 1,000 licences are named, the longest
// lapsed first.
func (r reader) Lapsed(ctx context.Context, now time.Time, without []string, n int) ([]licence.Identifier, error) {
	found, err := identifiers(ctx, r, `SELECT identifier FROM licence
		WHERE status = 'pending' AND lease_until < $1 AND $2 NOT LIKE '% ' || type_code || ' %'
		ORDER BY lease_until, identifier LIMIT $3`,
		nanos(now), typeList(without), int64(limit(n)))
	return found, doing("reading lapsed licences", err)
}

// Untimestamped implements registry.Store. At most 1,000 licences are named.
func (r reader) Untimestamped(ctx context.Context, n int) ([]licence.Identifier, error) {
	found, err := identifiers(ctx, r, `SELECT l.identifier FROM licence l JOIN licence_file c ON c.digest = l.file_digest
		WHERE NOT c.timestamped AND c.identifier = l.identifier AND l.status = 'valid' AND l.importer = ''
		ORDER BY c.id LIMIT $1`, int64(limit(n)))
	return found, doing("reading licences without timestamp", err)
}

// Expired implements registry.Store. At most 1,000 licences are named.
func (r reader) Expired(ctx context.Context, day licence.Date, n int) ([]licence.Identifier, error) {
	found, err := identifiers(ctx, r, expired, day.String(), int64(limit(n)))
	return found, doing("reading expired licences", err)
}

// expired reads no row of licence_expiring but those that it names.
const expired = `SELECT identifier FROM licence WHERE status = 'valid' AND expires_on <> '' AND NOT expiry_told AND expires_on < $1
	ORDER BY expires_on, identifier LIMIT $2`

// identifiers reads a query of one column.
func identifiers(ctx context.Context, from session, query string, args ...any) ([]licence.Identifier, error) {
	var found []licence.Identifier
	err := from.query(ctx, func(scan scan) error {
		var id string
		err := scan(&id)
		found = append(found, licence.Identifier(id))
		return err
	}, query, args...)
	return found, err
}

// EachNotValid implements registry.Store. It reads in pages, outside of any
// transaction, so fn may take its time and may use the store. That a row was altered it does
// not tell: whatever is not valid is named, and the list is not given up for one row.
func (r reader) EachNotValid(ctx context.Context, fn func(licence.Identifier, licence.Status) error) error {
	type entry struct{ identifier, status string }
	for after, more := "", true; more; {
		var page []entry
		err := r.query(ctx, func(scan scan) error {
			var e entry
			err := scan(&e.identifier, &e.status)
			page = append(page, e)
			return err
		}, `SELECT identifier, status FROM licence
			WHERE status <> 'valid' AND importer = '' AND identifier > $1 ORDER BY identifier LIMIT $2`, after, int64(maxRows))
		if err != nil {
			return doing("reading statuses", err)
		}
		for _, e := range page {
			if err := fn(licence.Identifier(e.identifier), licence.Status(e.status)); err != nil {
				return err
			}
			after = e.identifier
		}
		more = len(page) == maxRows
	}
	return nil
}

// selectStanding selects the columns that versions reads.
var selectStanding = standingTable.selection()

// versions reads a query that begins with selectStanding.
func (s Secrets) versions(ctx context.Context, from session, query string, args ...any) (found []registry.Version, err error) {
	err = from.query(ctx, func(scan scan) error {
		var (
			identifier, status  string
			reason, digest, mac []byte
			at                  int64
		)
		if err := scan(&identifier, &status, &reason, &at, &digest, &mac); err != nil {
			return err
		}
		found = append(found, registry.Version{Identifier: licence.Identifier(identifier), Status: licence.Status(status)})
		return s.authentic(standingTable, mac, identifier, status, reason, at, digest)
	}, query, args...)
	return found, err
}

// Versions implements registry.Store.
func (r reader) Versions(ctx context.Context, id licence.Identifier) ([]registry.Version, error) {
	from, to := id.Versions()
	found, err := r.secrets.versions(ctx, r, selectStanding+`WHERE identifier > $1 AND identifier < $2 ORDER BY identifier`, string(from), string(to))
	return found, doing("reading versions", err)
}

// StatusAsOf implements registry.Store; licence.ErrNotFound also for an instant
// before the licence existed.
func (r reader) StatusAsOf(ctx context.Context, id licence.Identifier, at time.Time) (registry.Past, error) {
	found, err := r.past(ctx, id, `AND at <= $2 ORDER BY at DESC, id DESC LIMIT 1`, nanos(at))
	if err == nil && len(found) == 0 {
		err = licence.ErrNotFound
	}
	if err != nil {
		return registry.Past{}, doing("reading status history", err)
	}
	return found[0], nil
}

// History implements registry.Store.
func (r reader) History(ctx context.Context, id licence.Identifier, n int) ([]registry.Past, error) {
	found, err := r.past(ctx, id, `ORDER BY at DESC, id DESC LIMIT $2`, int64(limit(n)))
	return found, doing("reading status history", err)
}

// past reads statuses of a licence.
func (r reader) past(ctx context.Context, id licence.Identifier, which string, arg any) (found []registry.Past, err error) {
	err = r.query(ctx, func(scan scan) error {
		var (
			p           registry.Past
			status      string
			reason, mac []byte
			at          int64
		)
		if err := scan(&status, &reason, &p.CaseNumber, &at, &mac); err != nil {
			return err
		}
		if err := r.secrets.authentic(statusTable, mac, string(id), status, reason, p.CaseNumber, at); err != nil {
			return err
		}
		opened, err := r.secrets.open(place{"licence_status.reason", string(id)}, reason)
		p.Status, p.Reason, p.At = licence.Status(status), string(opened), instant(at)
		found = append(found, p)
		return err
	}, `SELECT status, reason, case_number, at, mac FROM licence_status WHERE identifier = $1 `+which, string(id), arg)
	return found, err
}

// FileAsOf implements registry.Store.
func (r reader) FileAsOf(ctx context.Context, id licence.Identifier, at time.Time) (registry.File, error) {
	var row fileRow
	err := one(ctx, r, `SELECT `+foundColumns+` FROM licence_file f WHERE f.identifier = $1 AND f.created_at <= $2
		ORDER BY f.created_at DESC, f.id DESC LIMIT 1`, []any{string(id), nanos(at)}, row.dest()...)
	if err != nil {
		return registry.File{}, doing("reading files", err)
	}
	return row.file(r.secrets, string(id))
}
