package registry

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"elicence/audit"
	"elicence/licence"
)

// ReuseRequest asks for granted fields of a holder's licences for one case (用证).
type ReuseRequest struct {
	Holder   licence.Holder // Code and CodeType
	TypeCode string
	// Fields are the fields asked for; empty asks for all that is granted.
	Fields []string
	// After and Limit (1 to MaxPage, 0 for MaxPage) choose a page, as of a Query.
	After licence.Identifier
	Limit int
	// AsOf asks for the licences as they were at an instant, as of a Query.
	AsOf time.Time
	Use  Use
}

// Reused is what a reuse gives of one licence: the granted fields, by name.
type Reused struct {
	Identifier licence.Identifier
	Status     licence.Status
	Fields     map[string]any
}

// Reuse reads granted fields of a holder's licences of one type. It needs an open case of
// the caller's department that concerns the holder, the matter and the type; a grant to
// the department for type, matter and every field asked for; and all of purpose, case,
// matter and operator. Every licence it shows is one log entry; a reuse
// that finds nothing is one too. The receipt is that of the last entry. Whoever does not
// reuse as people do is slowed, and then stopped; see Brake.
// Errors: ErrForbidden, ErrPurposeMissing, *licence.RequestError, ErrCaseUnknown, ErrCaseClosed,
// ErrCaseMismatch, ErrConsentRequired, *SlowedError, ErrBraked, ErrLog.
func (r *Registry) Reuse(ctx context.Context, c Caller, q ReuseRequest) ([]Reused, audit.Receipt, error) {
	a := &access{action: ActionReuse, object: q.TypeCode, use: q.Use, holder: q.Holder}
	fields, records, err := r.reusable(ctx, c, q, a)
	a.check = func() error { return err }
	receipt, err := r.show(ctx, c, a, records)
	if err != nil {
		return nil, receipt, err
	}
	views, err := r.views(ctx, records, q.AsOf)
	answer := make([]Reused, 0, len(views))
	for _, v := range views {
		answer = append(answer, Reused{v.Identifier, v.Status, v.pick(fields)})
	}
	return answer, receipt, err
}

// reusable decides a reuse and finds its licences, and the fields to show of them; nothing
// is shown before the gate has logged it. A caller whose role does not permit a reuse is
// left to the gate.
func (r *Registry) reusable(ctx context.Context, c Caller, q ReuseRequest, a *access) ([]string, []Record, error) {
	if !c.MayAct(ActionReuse) {
		return nil, nil, nil
	}
	if err := r.checkReuse(q); err != nil {
		return nil, nil, err
	}
	if err := r.brake(ctx, c, q, a); err != nil {
		return nil, nil, err
	}
	_, fields, err := r.opened(ctx, c, q)
	if err != nil {
		return nil, nil, err
	}
	fields = slices.DeleteFunc(fields, func(f string) bool { return f == FieldCopy })
	limit := q.Limit
	if limit < 1 || limit > MaxPage {
		limit = MaxPage
	}
	records, err := r.cfg.Store.Search(ctx, Query{Holder: q.Holder, Types: []string{q.TypeCode}, After: q.After, Limit: limit, Issued: true, AsOf: q.AsOf})
	return fields, records, err
}

// checkReuse names what is wrong with a request, whatever is granted.
func (r *Registry) checkReuse(q ReuseRequest) error {
	if err := q.Use.stated(); err != nil {
		return err
	}
	if slices.Contains(q.Fields, FieldCopy) {
		return sealFault("fields", licence.CodeNotAllowed, "name a copy, which is no field: ask for an annotated copy")
	}
	if _, err := r.instantOf(q.AsOf); err != nil {
		return err
	}
	return r.checkHolder(q.Holder)
}

// stated names what is wrong with what a reuse is for.
func (u Use) stated() error {
	if u.Purpose == "" || u.Case == "" || u.Matter == "" || u.Operator == "" {
		return ErrPurposeMissing
	}
	if err := u.check("purpose"); err != nil {
		return err
	}
	if saysNothing(u.Purpose) {
		return sealFault("purpose", licence.CodeNotAllowed, "says nothing: say what this case needs the licence for")
	}
	return nil
}

// opened is what case and grant open to a reuse: the case, and the fields to show. What they
// do not open is counted by the brake.
func (r *Registry) opened(ctx context.Context, c Caller, q ReuseRequest) (Case, []string, error) {
	k, err := r.caseFor(ctx, c, q)
	var fields []string
	if err == nil {
		fields, err = r.granted(ctx, c, q, k)
	}
	if err != nil && Code(err) != "internal" {
		r.brakes.refused(c, r.now())
	}
	return k, fields, err
}

// granted is what a grant opens to a reuse for a case.
func (r *Registry) granted(ctx context.Context, c Caller, q ReuseRequest, k Case) ([]string, error) {
	for _, name := range []string{k.MatterName, k.MatterCode, k.Number, q.Use.Operator} {
		if folded(name) == folded(q.Use.Purpose) {
			return nil, sealFault("purpose", licence.CodeNotAllowed, "is only the name of the matter, the case or the operator: say what the licence is needed for")
		}
	}
	grants, err := r.cfg.Store.GrantsFor(ctx, c.Authority.Code, q.TypeCode, q.Use.Matter)
	if err != nil {
		return nil, err
	}
	granted, err := fieldsGranted(grants, r.today())
	if err != nil {
		return nil, err
	}
	for _, f := range q.Fields {
		if !slices.Contains(granted, f) {
			return nil, fmt.Errorf("%w: field %s is not granted", ErrForbidden, f)
		}
	}
	if len(q.Fields) > 0 {
		return q.Fields, nil
	}
	return granted, nil
}

// fieldsGranted are the fields of all grants that are in force on a day.
func fieldsGranted(grants []Grant, day licence.Date) (fields []string, err error) {
	err = fmt.Errorf("%w: the department has no grant for licences of this type in this matter", ErrForbidden)
	for _, g := range grants {
		switch {
		case g.at(day).Status != GrantApproved || day.Compare(g.ValidFrom) < 0:
			if len(fields) == 0 && !errors.Is(err, ErrConsentRequired) {
				err = fmt.Errorf("%w: the grant is not in force", ErrForbidden)
			}
		case g.How != HowFunction:
			err = ErrConsentRequired
		default:
			fields = append(fields, g.Fields...)
		}
	}
	if len(fields) > 0 {
		err = nil
	}
	slices.Sort(fields)
	return slices.Compact(fields), err
}

// sameText compares two texts in a time that does not depend on where they differ.
func sameText(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// emptyPhrases are purposes that say nothing, as they are found in logs; folded.
var emptyPhrases = []string{
	"查询", "查询证照", "证照查询", "信息查询", "数据查询", "查询数据", "查看证照", "核验", "核验证照", "证照核验", "办事", "办理业务", "业务办理", "办理事项",
	"工作需要", "业务需要", "因工作需要", "系统调用", "接口调用", "接口测试", "测试", "测试数据", "用证", "证照复用", "数据共享", "共享", "其他", "其它", "无", "暂无", "默认", "审批", "审核",
	"test", "testing", "query", "check", "default", "none", "null", "undefined", "other", "work", "business", "string", "purpose",
}

// leastPurpose is how many letters and digits a purpose has at least, and how many of them differ.
const leastPurpose, leastDifferent = 5, 4

// folded is what two texts that mean the same have in common: letters and digits alone, small.
func folded(text string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsLetter(c) || unicode.IsDigit(c) {
			return unicode.ToLower(c)
		}
		return -1
	}, text)
}

// saysNothing reports whether a purpose is a phrase that fits everything, too short to say
// anything, or one character over and over.
func saysNothing(purpose string) bool {
	text := folded(purpose)
	letters := []rune(text)
	slices.Sort(letters)
	different := slices.Compact(letters)
	return slices.Contains(emptyPhrases, text) || len([]rune(text)) < leastPurpose || len(different) < leastDifferent ||
		!slices.ContainsFunc(different, unicode.IsLetter)
}

// FieldCopy is what a grant names that permits annotated copies of the licence's file.
const FieldCopy = "copy"

// ReusableFields are the names, beside the type's own, of what can be granted of a licence.
var ReusableFields = []string{"number", "type_name", "status", "issued_on", "effective_on", "expires_on", "holder.name", "holder.code", "authority.name"}

// pick returns the named fields of a licence; one it lacks is left out.
func (v View) pick(names []string) map[string]any {
	own := map[string]any{
		"number": v.Number, "type_name": v.TypeName, "status": string(v.Status),
		"issued_on": v.IssuedOn.String(), "effective_on": v.EffectiveOn.String(), "expires_on": v.ExpiresOn.String(),
		"holder.name": v.Holder.Name, "holder.code": v.Holder.Code, "authority.name": v.Authority.Name,
	}
	picked := map[string]any{}
	for _, name := range names {
		value, ok := own[name]
		if key, field := strings.CutPrefix(name, "fields."); field {
			value, ok = v.Fields[key]
		}
		if ok {
			picked[name] = value
		}
	}
	return picked
}
