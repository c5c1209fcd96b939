package registry

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"elicence/licence"
	"elicence/licence/consent"
)

// ReuseQuery asks, all at once, for what a reuse rests on.
type ReuseQuery struct {
	// Authority, TypeCode and Matter are those of the grants: approved ones to a department for
	// a type and matter.
	Authority, TypeCode, Matter string
	// Case is a case's identifier, as of CaseID, Consent a consent's; empty asks for none.
	Case, Consent string
	// Identifiers name licences, as for Store.Licences; with none Licences, unless its Limit is
	// 0, says which of a holder's are asked for.
	Identifiers []string
	Licences    Query
}

// ReuseRecords are what a reuse rests on.
type ReuseRecords struct {
	// Grants are in the order of their identifiers; none without an authority.
	Grants []Grant
	// Case and Consent are zero where there is none; closed and revoked ones are there too.
	Case     Case
	Consent  consent.Consent
	Licences []Record
}

// opening is what case and grants open: the fields, true of those that are shown masked
// alone, the questions, and whether the file is given as annotated copies.
type opening struct {
	kase      Case     // zero where there is a consent in its place
	grants    []string // identifiers of those that open something
	fields    map[string]bool
	questions []string
	copies    bool
	// consent is what the holder agreed to in place of a case.
	consent consent.Consent
	// licences are those that the reuse is about.
	licences []Record
}

// fieldsOf are the fields that are asked for, or all that are open when none is named.
func (o opening) fieldsOf(asked []string) (map[string]bool, error) {
	if len(o.fields) == 0 {
		return nil, fmt.Errorf("%w: the grant gives no fields", ErrForbidden)
	}
	if len(asked) == 0 {
		return o.fields, nil
	}
	fields := map[string]bool{}
	for _, f := range asked {
		masked, granted := o.fields[f]
		if !granted {
			return nil, fmt.Errorf("%w: field %s is not granted", ErrForbidden, f)
		}
		fields[f] = masked
	}
	return fields, nil
}

// opened is what case and grants open to a reuse, or a consent and grants.
func (r *Registry) opened(ctx context.Context, c Caller, q ReuseRequest, a *Access) (o opening, err error) {
	if q.Code != "" {
		return r.consented(ctx, c, q, a)
	}
	found, err := r.cfg.Store.ForReuse(ctx, q.query(c))
	if err != nil {
		return o, err
	}
	o, refused := openedBy(found.Grants, HowFunction, r.today())
	o.licences = found.Licences
	if q.Identifier != "" && refused != nil {
		return o, refused // before the case, which would tell whose licence it is
	}
	o.kase = found.Case
	if err := r.coveredBy(c, q, o.kase); err != nil {
		return o, err
	}
	if folded(o.kase.MatterName) == folded(q.Use.Purpose) {
		return o, purposeFault
	}
	return o, refused
}

// query asks for what a reuse rests on.
func (q ReuseRequest) query(c Caller) ReuseQuery {
	b := ReuseQuery{Authority: c.Authority.Code, TypeCode: q.TypeCode, Matter: q.Use.Matter, Case: CaseID(c.Authority.Code, q.Use.Case)}
	if q.Identifier != "" {
		b.Identifiers = []string{string(q.Identifier)}
		return b
	}
	limit := q.Limit
	if limit < 1 || limit > MaxPage {
		limit = MaxPage
	}
	b.Licences = Query{Holder: q.Holder, Types: []string{q.TypeCode}, After: q.After, Limit: limit, Issued: true, AsOf: q.AsOf}
	return b
}

// consented is what a holder's code and the grants by consent open to a reuse. That it is
// shown is one use of the consent.
func (r *Registry) consented(ctx context.Context, c Caller, q ReuseRequest, a *Access) (o opening, err error) {
	found, err := r.openedByCode(ctx, c, q.Code, consent.Reuse, ReuseQuery{Authority: c.Authority.Code, TypeCode: q.TypeCode, Matter: q.Use.Matter}, a)
	if err != nil {
		return o, err
	}
	k := found.Consent
	if o, err = openedBy(found.Grants, HowConsent, r.today()); err != nil {
		return o, err
	}
	if q.Holder.Code != "" && !q.Holder.Is(k.Holder) {
		return o, fmt.Errorf("%w: it is another holder's", consent.ErrMismatch)
	}
	maps.DeleteFunc(o.fields, func(name string, _ bool) bool { return !slices.Contains(k.Fields, name) })
	if len(o.fields) == 0 {
		return o, fmt.Errorf("%w: no field is both granted and agreed to", ErrForbidden)
	}
	o.consent = k
	o.licences, err = consentedTo(k, found.Licences, q.TypeCode)
	return o, err
}

// openedBy is what all grants of a kind open together that are in force on a day. A field
// that one of them gives whole is whole.
func openedBy(grants []Grant, how How, day licence.Date) (o opening, err error) {
	err = fmt.Errorf("%w: the department has no grant for licences of this type in this matter", ErrForbidden)
	o.fields = map[string]bool{}
	for _, g := range grants {
		switch {
		case g.at(day).Status != GrantApproved || day.Compare(g.ValidFrom) < 0:
			if !errors.Is(err, ErrConsentRequired) {
				err = fmt.Errorf("%w: the grant is not in force", ErrForbidden)
			}
		case g.How != how && how == HowFunction:
			err = ErrConsentRequired
		case g.How != how:
			err = fmt.Errorf("%w: the grant is by function, so the reuse needs a case and no code", ErrForbidden)
		default:
			o.grants = append(o.grants, g.ID)
			for _, f := range g.Fields {
				if f == FieldCopy {
					o.copies = o.copies || !g.Masked
					continue
				}
				masked, known := o.fields[f]
				o.fields[f] = g.Masked && (masked || !known)
			}
			o.questions = append(o.questions, g.Questions...)
		}
	}
	if len(o.grants) > 0 {
		err = nil
	}
	return o, err
}
