package registry

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"elicence/audit"
	"elicence/licence"
)

// View is a licence as a reader gets it.
type View struct {
	*licence.Licence
	// AsOf is the instant that all of this was so.
	AsOf time.Time
	// Status is the status at that time, expiry derived, StatusCode what the type's own
	// specification calls it; empty when it is not known to call it anything.
	Status       licence.Status
	StatusCode   string
	StatusReason string
	StatusAt     time.Time
	// Operation is what made a version after the first, SupersededBy the version that has
	// taken this one's place.
	Operation    licence.Operation
	SupersededBy licence.Identifier
	// Newest is the newest version that had been issued by AsOf, empty when there was none;
	// of one licence read by itself.
	Newest     licence.Identifier
	DataDigest [32]byte
	// File describes the newest file; its digest is zero when there is none.
	File File

	item *licence.CatalogueItem // nil when the type is in no catalogue any more
}

// Item is the licence's type as the catalogue has it; nil when it is in none any more.
func (v View) Item() *licence.CatalogueItem { return v.item }

// Masked is the view for somebody who need not see all: see licence.CatalogueItem.Masked.
func (v View) Masked() View {
	v.Licence = v.item.Masked(v.Licence)
	return v
}

// view reads the licence of a record, with its status at t.
func (r *Registry) view(rec Record, t time.Time) (View, error) {
	l, err := licence.ReadData(rec.Data)
	if err != nil {
		return View{}, fmt.Errorf("reading the data of %s: %w", rec.Identifier, err)
	}
	v := View{Licence: l, AsOf: t, Status: l.StatusAt(rec.Status, t), StatusReason: rec.StatusReason, StatusAt: rec.StatusAt,
		Operation: rec.Operation, SupersededBy: rec.SupersededBy, DataDigest: rec.DataDigest, File: rec.File}
	if v.item = r.LastItem(rec.TypeCode); v.item != nil {
		v.StatusCode = v.item.StatusCodes[v.Status]
	}
	return v, nil
}

// admit lets a caller at one licence, or logs the refusal. A licence that does
// not exist is refused like one out of reach, with its own code in the log
// alone: an outsider cannot tell the two apart.
func (r *Registry) admit(ctx context.Context, c Caller, action audit.Action, id licence.Identifier, use Use) (Record, audit.Receipt, error) {
	return r.admitAs(ctx, c, action, id, use, func() error { return nil })
}

// admitAs is admit with one check more, of what is asked of a licence within reach.
func (r *Registry) admitAs(ctx context.Context, c Caller, action audit.Action, id licence.Identifier, use Use, check func() error) (Record, audit.Receipt, error) {
	rec, found := r.cfg.Store.Licence(ctx, id)
	receipt, err := r.gate.Pass(ctx, c, &Access{
		Action: action, Object: string(id), Use: use, Holder: rec.Holder, Digest: rec.File.Digest[:],
		Check: func() error {
			if found != nil {
				return found
			}
			if !c.Reaches(&rec) {
				return ErrOutOfReach
			}
			return check()
		},
	})
	return rec, receipt, err
}

// Get reads one licence.
func (r *Registry) Get(ctx context.Context, c Caller, id licence.Identifier, use Use) (View, audit.Receipt, error) {
	return r.GetAsOf(ctx, c, id, time.Time{}, use)
}

// GetAsOf reads one licence as it was at an instant; zero is now. licence.ErrNotFound
// before it was reserved, a *licence.RequestError for an instant to come.
func (r *Registry) GetAsOf(ctx context.Context, c Caller, id licence.Identifier, asOf time.Time, use Use) (View, audit.Receipt, error) {
	at, fault := r.instantOf(asOf)
	rec, receipt, err := r.admitAs(ctx, c, ActionRead, id, use, func() error { return fault })
	if err != nil {
		return View{}, receipt, err
	}
	if rec, err = r.asOf(ctx, rec, asOf); err != nil {
		return View{}, receipt, err
	}
	newest := id // what was issued and not superseded has none after it
	if !rec.Status.Issued() || rec.Status == licence.StatusSuperseded {
		if newest, err = r.newest(ctx, id, at); err != nil {
			return View{}, receipt, err
		}
	}
	v, err := r.view(rec, at)
	v.Newest = newest
	return v, receipt, err
}

// Download returns the current file of a licence; licence.ErrNotFound while it is pending.
func (r *Registry) Download(ctx context.Context, c Caller, id licence.Identifier, use Use) ([]byte, audit.Receipt, error) {
	rec, receipt, err := r.admit(ctx, c, ActionDownload, id, use)
	if err != nil {
		return nil, receipt, err
	}
	if rec.File.Digest == ([32]byte{}) {
		return nil, receipt, fmt.Errorf("%w: the licence has no file", licence.ErrNotFound)
	}
	file, err := r.gate.LicenceFile(ctx, rec)
	return file, receipt, err
}

// MaxPage is the most licences one answer of Search or Reuse holds.
const MaxPage = 100

// Search finds the licences of a holder, at most q.Limit (1 to MaxPage), in
// descending identifier order after q.After, as they are or, unless q.AsOf is zero, as they
// were at that instant: then those that had been issued by then. An authority sees its own types in its division's
// subtree, a holder their own licences only. Every licence it shows is one log entry;
// a search that finds nothing is one too. The receipt is that of the last entry.
func (r *Registry) Search(ctx context.Context, c Caller, q Query, use Use) ([]View, audit.Receipt, error) {
	a := &Access{Action: ActionSearch, Object: strings.Join(q.Types, " "), Use: use, Holder: q.Holder}
	records, err := r.searchable(ctx, c, q)
	a.Check = func() error { return err }
	receipt, err := r.show(ctx, c, a, records)
	if err != nil {
		return nil, receipt, err
	}
	views, err := r.views(ctx, records, q.AsOf)
	return views, receipt, err
}

// show logs that the caller is shown each of some licences, or that there is none.
func (r *Registry) show(ctx context.Context, c Caller, a *Access, records []Record) (receipt audit.Receipt, err error) {
	if len(records) == 0 {
		return r.gate.Pass(ctx, c, a)
	}
	for _, rec := range records {
		a.Object, a.Digest, a.Holder = string(rec.Identifier), rec.File.Digest[:], rec.Holder
		if receipt, err = r.gate.Pass(ctx, c, a); err != nil {
			return receipt, err
		}
		a.Count, a.Counted, a.Apply, a.Basis = nil, nil, nil, a.Basis.spent() // with the first
	}
	return receipt, nil
}

// searchable decides a search and finds its licences; nothing of them is shown
// before the gate has logged it. A caller whose role does not permit a search is
// left to the gate.
func (r *Registry) searchable(ctx context.Context, c Caller, q Query) ([]Record, error) {
	if !c.MayAct(ActionSearch) {
		return nil, nil
	}
	if err := r.checkSearch(c, &q); err != nil {
		return nil, err
	}
	records, err := r.cfg.Store.Search(ctx, q)
	return slices.DeleteFunc(records, func(rec Record) bool { return !c.Reaches(&rec) }), err
}

// checkSearch bounds a search to what the caller reaches.
func (r *Registry) checkSearch(c Caller, q *Query) error {
	q.Issued = true
	if _, err := r.instantOf(q.AsOf); err != nil {
		return err
	}
	if q.Limit < 1 || q.Limit > MaxPage {
		q.Limit = MaxPage
	}
	if c.Has(RoleApprovalSystem) {
		// Within reach by the query already: a page must not come out short of what there is.
		q.Division = c.Authority.Division
		if len(q.Types) == 0 {
			q.Types = c.Types
		}
		if len(q.Types) == 0 || slices.ContainsFunc(q.Types, func(t string) bool { return !slices.Contains(c.Types, t) }) {
			return fmt.Errorf("%w: the caller does not read licences of this type", ErrForbidden)
		}
		return r.gate.CheckHolder(q.Holder)
	}
	if q.Holder.Code != c.Holder.Code || q.Holder.CodeType != c.Holder.CodeType {
		return fmt.Errorf("%w: a holder searches their own licences", ErrForbidden)
	}
	return nil
}

// views turns records into views, at the present time or at an instant.
func (r *Registry) views(ctx context.Context, records []Record, asOf time.Time) ([]View, error) {
	at, err := r.instantOf(asOf)
	if err != nil {
		return nil, err
	}
	views := make([]View, 0, len(records))
	for _, rec := range records {
		if rec, err = r.asOf(ctx, rec, asOf); err != nil {
			return nil, err
		}
		v, err := r.view(rec, at)
		if err != nil {
			return nil, err
		}
		views = append(views, v)
	}
	return views, nil
}
