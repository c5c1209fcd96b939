package registry

import (
	"context"
	"time"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/consent"
)

// ActionPresent is a look at what a holder presents (亮证), as it stands in the access log.
const ActionPresent audit.Action = "present"

// LookRequest asks for what a holder presents by a code.
type LookRequest struct {
	// Code is the code, or the text of its QR symbol.
	Code string
	// From is the class of the address that somebody unknown looks from; empty for others.
	From string
	// Operator is the person who looks, of a client's; committed to in the log.
	Operator string
}

// Presentation is what a holder presents.
type Presentation struct {
	Consent consent.Consent
	// SeenAt is when it was so.
	SeenAt   time.Time
	Licences []Presented
}

// Presented is what is presented of one licence: the fields agreed to, by name.
type Presented struct {
	Reused
	TypeName string
	// Names are the fields that the licence has, in the consent's order, Labels what they are
	// called in Chinese.
	Names  []string
	Labels map[string]string
	// Portrait is the holder's, a JPEG, where the licence has one and its field is agreed to;
	// that field is then not among Names.
	Portrait []byte
}

// Look shows what a holder presents to whoever has the code, which is one use of the
// consent. Every licence it shows is one log entry, about the holder. Errors: ErrForbidden,
// those of package consent, ErrLog.
func (r *Registry) Look(ctx context.Context, c Caller, q LookRequest) (Presentation, audit.Receipt, error) {
	a := &Access{Action: ActionPresent, Object: "presentation", Code: q.From, Use: Use{Operator: q.Operator}}
	k, records, err := r.presented(ctx, c, q, a)
	var portraits map[licence.Identifier]shownPortrait
	if err == nil { // before the consent is spent
		portraits, err = r.portraits(ctx, records, k.Fields)
	}
	a.Check = func() error { return err }
	receipt, err := r.show(ctx, c, a, records)
	if err != nil {
		return Presentation{}, receipt, err
	}
	p := Presentation{Consent: k, SeenAt: r.now()}
	views, err := r.views(ctx, records, time.Time{})
	for _, v := range views {
		p.Licences = append(p.Licences, r.present(v, k.Fields, portraits[v.Identifier]))
	}
	return p, receipt, err
}

// presented decides a look and finds its licences; nothing is shown before the gate has
// logged it. A caller whose role does not permit a look is left to the gate.
func (r *Registry) presented(ctx context.Context, c Caller, q LookRequest, a *Access) (k consent.Consent, records []Record, err error) {
	if !c.MayAct(ActionPresent) {
		return k, nil, nil
	}
	found, err := r.openedByCode(ctx, c, q.Code, consent.Presentation, ReuseQuery{}, a)
	if k = found.Consent; err != nil {
		return k, nil, err
	}
	a.Use.Purpose = k.Purpose
	records, err = consentedTo(k, found.Licences, "")
	a.Basis = &Basis{Consent: k.ID}
	return k, records, err
}

// present is what is shown of a licence.
func (r *Registry) present(v View, fields []string, portrait shownPortrait) Presented {
	p := Presented{Portrait: portrait.jpeg, Reused: Reused{Identifier: v.Identifier, Status: v.Status, Origin: v.Origin, Fields: v.Pick(fields)}, TypeName: v.TypeName, Labels: map[string]string{}}
	for _, name := range fields {
		if _, ok := p.Fields[name]; !ok {
			continue
		}
		if p.Labels[name] = r.FieldLabel([]licence.Identifier{v.Identifier}, name); name != portrait.field {
			p.Names = append(p.Names, name)
		}
	}
	return p
}

// FieldLabels are what the fields that every licence has are called in Chinese (GB/T 36903);
// ReusableFields lists them.
var FieldLabels = map[string]string{
	"number": "证照编号", "type_name": "证照名称", "status": "证照状态", "issued_on": "颁发日期", "effective_on": "有效期起始日期", "expires_on": "有效期截止日期",
	"holder.name": "持证主体名称", "holder.code": "持证主体代码", "authority.name": "颁发机构名称",
}
