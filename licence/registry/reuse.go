package registry

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode"

	"elicence/audit"
	"elicence/licence"
)

// ReuseRequest asks for granted fields of a holder's licences for one case (用证).
type ReuseRequest struct {
	// Identifier, when set, asks for the licence of that identifier alone, and Holder and
	// TypeCode are left to the register.
	Identifier licence.Identifier
	Holder     licence.Holder // Code and CodeType
	TypeCode   string
	// Fields are the fields asked for; empty asks for all that is granted.
	Fields []string
	// After and Limit (1 to MaxPage, 0 for MaxPage) choose a page, as of a Query.
	After licence.Identifier
	Limit int
	// AsOf asks for the licences as they were at an instant, as of a Query.
	AsOf time.Time
	Use  Use
	// Code is the holder's (用证码), or the text of its QR symbol. The reuse then rests on the
	// holder's consent in place of a case, which Use must not name, and only grants by consent
	// count. Holder may be empty; After and AsOf must be.
	Code string
}

// Reused is what a reuse gives of one licence: the granted fields, by name, and the names of
// those that are masked.
type Reused struct {
	Identifier licence.Identifier
	Status     licence.Status
	// Origin is licence.OriginExternal of what another platform issued; else empty.
	Origin licence.Origin
	Fields map[string]any
	Masked []string
}

// Reuse reads granted fields of a holder's licences of one type. It needs an open case of
// the caller's department that concerns the holder, the matter and the type; a grant to
// the department for type, matter and every field asked for; and all of purpose, case,
// matter and operator. With a holder's code it needs no case, but a grant by consent, and
// gives no field that the holder has not agreed to. Every licence it shows is one log entry; a reuse
// that finds nothing is one too. The receipt is that of the last entry. Whoever does not
// reuse as people do is slowed, and then stopped; see Brake.
// Errors: ErrForbidden, ErrPurposeMissing, *licence.RequestError, ErrCaseUnknown, ErrCaseClosed,
// ErrCaseMismatch, ErrConsentRequired, those of package consent, *SlowedError, ErrBraked, ErrLog.
func (r *Registry) Reuse(ctx context.Context, c Caller, q ReuseRequest) ([]Reused, audit.Receipt, error) {
	a := &Access{Action: ActionReuse, Object: q.TypeCode, Use: q.Use, Holder: q.Holder}
	fields, records, err := r.reusable(ctx, c, &q, a)
	a.Check = func() error { return err }
	receipt, err := r.show(ctx, c, a, records)
	if err != nil {
		return nil, receipt, err
	}
	views, err := r.views(ctx, records, q.AsOf)
	answer := make([]Reused, 0, len(views))
	for _, v := range views {
		answer = append(answer, v.reused(fields))
	}
	return answer, receipt, err
}

// reusable decides a reuse and finds its licences, and the fields to show of them; nothing
// is shown before the gate has logged it. A caller whose role does not permit a reuse is
// left to the gate.
func (r *Registry) reusable(ctx context.Context, c Caller, q *ReuseRequest, a *Access) (fields map[string]bool, records []Record, err error) {
	if !c.MayAct(a.Action) {
		return nil, nil, nil
	}
	if q.Identifier != "" {
		if err := r.identified(ctx, q, a); err != nil {
			return nil, nil, err
		}
	}
	var o opening
	err = r.unlock(ctx, c, *q, a, func(opened opening) (err error) {
		o = opened
		fields, err = o.fieldsOf(q.Fields)
		return err
	})
	switch {
	case q.Identifier != "" && errors.Is(err, ErrCaseMismatch):
		return nil, nil, ErrOutOfReach // not telling whose it is, or that it is nobody's
	case err != nil:
		return nil, nil, err
	case q.Identifier != "" && !slices.ContainsFunc(o.licences, func(rec Record) bool { return rec.Status.Issued() }):
		return nil, nil, ErrOutOfReach
	case q.Code != "":
		a.Basis.Consent = o.consent.ID
	}
	return fields, o.licences, nil
}

// identified completes a reuse of one licence. Where there is none of that identifier the
// holder stays empty, whom no case concerns.
func (r *Registry) identified(ctx context.Context, q *ReuseRequest, a *Access) error {
	q.Holder, q.TypeCode = licence.Holder{}, q.Identifier.TypeCode()
	a.Object = string(q.Identifier)
	rec, err := r.cfg.Store.Licence(ctx, q.Identifier)
	if errors.Is(err, licence.ErrNotFound) {
		return nil
	}
	q.Holder, a.Holder = rec.Holder, rec.Holder
	return err
}

// unlock decides whether a reuse, or a question, is let through: what it says, the brake,
// the case, the grants, and what choose takes of that which they open.
func (r *Registry) unlock(ctx context.Context, c Caller, q ReuseRequest, a *Access, choose func(opening) error) error {
	if err := r.checkReuse(q); err != nil {
		return err
	}
	if err := r.brake(ctx, c, q, a); err != nil {
		return err
	}
	o, err := r.opened(ctx, c, q, a)
	if err == nil {
		err = choose(o)
	}
	a.Basis = o.basis(c)
	if err != nil && Code(err) != "internal" && !errors.Is(err, errAltered) {
		r.brakes.Refused(braked(c), r.now())
	}
	if q.Identifier != "" && (err == nil || errors.Is(err, ErrCaseMismatch)) {
		r.brakes.Identified(braked(c), counted(q), err == nil, r.now())
	}
	return err
}

// checkReuse names what is wrong with a request, whatever is granted.
func (r *Registry) checkReuse(q ReuseRequest) error {
	if q.Use.Purpose == "" || q.Use.Case == "" && q.Code == "" || q.Use.Matter == "" || q.Use.Operator == "" {
		return ErrPurposeMissing
	}
	if slices.Contains(q.Fields, FieldCopy) {
		return licence.InvalidField("fields", licence.CodeNotAllowed, "name a copy, which is no field: ask for an annotated copy")
	}
	if err := q.Use.check("purpose"); err != nil {
		return err
	}
	if saysNothing(q.Use.Purpose) {
		return licence.InvalidField("purpose", licence.CodeNotAllowed, "says nothing: say what this case needs the licence for")
	}
	if _, err := r.instantOf(q.AsOf); err != nil {
		return err
	}
	for _, name := range []string{q.Use.Matter, q.Use.Case, q.Use.Operator} {
		if folded(name) == folded(q.Use.Purpose) {
			return purposeFault
		}
	}
	switch {
	case q.Code != "":
		return r.checkCode(q)
	case q.Identifier != "":
		return nil
	}
	return r.gate.CheckHolder(q.Holder)
}

// purposeFault refuses a purpose that says what stands beside it.
var purposeFault = licence.InvalidField("purpose", licence.CodeNotAllowed, "is only the name of the matter, the case or the operator: say what the licence is needed for")

// checkCode names what does not go with a holder's code.
func (r *Registry) checkCode(q ReuseRequest) error {
	for name, given := range map[string]bool{"identifier": q.Identifier != "", "case_number": q.Use.Case != "", "cursor": q.After != "", "as_of": !q.AsOf.IsZero()} {
		if given {
			return licence.InvalidField(name, licence.CodeNotAllowed, "does not go with consent_code")
		}
	}
	if q.Holder == (licence.Holder{}) {
		return nil
	}
	return r.gate.CheckHolder(q.Holder)
}

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

// reused is what a reuse gives of a licence: the named fields, true of those that are
// shown masked. One it lacks is left out, and so is one without a mask that must have one.
func (v View) reused(fields map[string]bool) Reused {
	r := Reused{Identifier: v.Identifier, Status: v.Status, Origin: v.Origin, Fields: map[string]any{}, Masked: []string{}}
	whole, masked := v.values(), v.Masked().values()
	for name, mask := range fields {
		from := whole
		if mask {
			from = masked
			if v.item == nil || !v.item.CanMask(name) {
				continue
			}
		}
		value, ok := from(name)
		if !ok {
			continue
		}
		if r.Fields[name] = value; mask {
			r.Masked = append(r.Masked, name)
		}
	}
	slices.Sort(r.Masked)
	return r
}

// Pick returns the named fields of a licence; one it lacks is left out.
func (v View) Pick(names []string) map[string]any {
	picked, from := map[string]any{}, v.values()
	for _, name := range names {
		if value, ok := from(name); ok {
			picked[name] = value
		}
	}
	return picked
}

// values gives the fields of a licence by their names; not ok of one that it lacks.
func (v View) values() func(name string) (value any, ok bool) {
	own := map[string]any{
		"number": v.Number, "type_name": v.TypeName, "status": string(v.Status),
		"issued_on": v.IssuedOn.String(), "effective_on": v.EffectiveOn.String(), "expires_on": v.ExpiresOn.String(),
		"holder.name": v.Holder.Name, "holder.code": v.Holder.Code, "authority.name": v.Authority.Name,
	}
	return func(name string) (value any, ok bool) {
		if key, field := strings.CutPrefix(name, "fields."); field {
			value, ok = v.Fields[key]
			return value, ok
		}
		value, ok = own[name]
		return value, ok
	}
}
