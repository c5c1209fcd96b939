package registry

import (
	"cmp"
	"context"
	"slices"

	"elicence/audit"
)

// GrantBoard is what people see of grants at once.
type GrantBoard struct {
	// Awaiting are those of all types that the caller decides on and did not ask for. Of one
	// type there are none: they come first in Listed.
	Awaiting []Grant
	// Listed are those that Grants lists, without Awaiting: first those that are asked for,
	// then the others, of both the newest first.
	Listed []Grant
}

// GrantBoard reads grants as Grants does, and is logged as one such reading. q.After is the
// last of the page before.
func (r *Registry) GrantBoard(ctx context.Context, c Caller, q GrantQuery) (b GrantBoard, receipt audit.Receipt, err error) {
	if receipt, err = r.passGrants(ctx, c, &q); err != nil {
		return b, receipt, err
	}
	if q.TypeCode == "" {
		b.Awaiting, err = r.awaiting(ctx, c)
	}
	var all []Grant
	if err == nil {
		all, err = r.allGrants(ctx, q)
	}
	if r.gate.altered(ctx, err); err != nil {
		return GrantBoard{}, receipt, err
	}
	all = slices.DeleteFunc(all, func(g Grant) bool { return place(b.Awaiting, g.ID) >= 0 })
	slices.SortFunc(all, before)
	all = all[place(all, q.After)+1:]
	b.Listed = all[:min(len(all), max(q.Limit, 1), MaxPage)]
	return b, receipt, nil
}

// awaiting are the grants that a caller decides on and did not ask for, the newest first.
func (r *Registry) awaiting(ctx context.Context, c Caller) (found []Grant, err error) {
	for _, code := range c.Types {
		all, err := r.allGrants(ctx, GrantQuery{TypeCode: code, Division: c.Authority.Division, Status: GrantRequested})
		if err != nil {
			return nil, err
		}
		for _, g := range all {
			if c.decides(g) && g.RequestedBy != c.Principal && (c.Person == "" || g.RequestedPerson != c.Person) {
				found = append(found, g)
			}
		}
	}
	slices.SortFunc(found, before)
	return found, nil
}

// allGrants are all grants of a query, as they stand today.
func (r *Registry) allGrants(ctx context.Context, q GrantQuery) (all []Grant, err error) {
	for q.After, q.Limit = "", MaxPage; ; q.After = all[len(all)-1].ID {
		grants, err := r.cfg.Store.Grants(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, g := range grants {
			all = append(all, g.at(r.today()))
		}
		if len(grants) < q.Limit {
			return all, nil
		}
	}
}

// place is where a grant stands in a list, -1 where it is not there.
func place(all []Grant, id string) int {
	return slices.IndexFunc(all, func(g Grant) bool { return g.ID == id })
}

// before puts grants that are asked for first, and the newest before the older.
func before(a, b Grant) int {
	waits := func(g Grant) int {
		if g.Status == GrantRequested {
			return 0
		}
		return 1
	}
	return cmp.Or(waits(a)-waits(b), b.RequestedAt.Compare(a.RequestedAt), cmp.Compare(a.ID, b.ID))
}
