package licence

import (
	"bytes"
	"fmt"
	"slices"
)

// VersionRequest asks for a new version of a licence, checked: what it is to state, and why.
type VersionRequest struct {
	// Request is what the new version states. Its number is the old one's; empty means
	// that one is made.
	Request
	// Case is the case that the operation belongs to; its members may be empty.
	Case Case
	// Reason is required, at most 512 characters.
	Reason string
}

// versionMembers are the members of a request, and those of its holder, for each
// operation that makes a new version, beside reason and case. What a request leaves out
// stays as it was, apart from the day of issue.
var versionMembers = map[Operation]struct{ members, holder string }{
	OpAmend:    {"issued_on fields", "name"},
	OpRenew:    {"issued_on effective_on expires_on fields", ""},
	OpReissue:  {"", ""},
	OpCorrect:  {"fields", "name code code_type"},
	OpTransfer: {"issued_on fields", "name code code_type"},
}

const maxReasonRunes = 512

// Applies reports whether an operation can be about a licence of this type that has, or
// has not, a last day; if not, the error is ErrNotApplicable.
func (it *CatalogueItem) Applies(op Operation, l *Licence) error {
	switch {
	case op == OpTransfer && !it.Transferable:
		return fmt.Errorf("%w: licences of this type pass to nobody else", ErrNotApplicable)
	case (it.Document || l.Document != nil) && op.MakesVersion():
		return fmt.Errorf("%w: it is drawn on a document; issue the new document as a licence of its own", ErrNotApplicable)
	case op == OpRenew && l.ExpiresOn.IsZero():
		return fmt.Errorf("%w: it has no last day to renew", ErrNotApplicable)
	}
	return nil
}

// ParseVersionRequest reads and checks the JSON body of a request for a new version of
// old, a licence of this type, by the authority a on the day today:
//
//   - amend states other fields or another name of the same holder, and keeps the dates
//   - renew states a later last day; the first day is the old one's, or a later one that
//     has come and leaves no gap behind the old last day
//   - reissue states the same
//   - correct states other fields or another name or code of the holder, and keeps all dates
//   - transfer states another holder, and keeps the dates
//
// amend, renew and transfer are issued today unless they say otherwise, never before old.
// fields, where they are given, are all of them. The error is ErrNotApplicable or one
// *RequestError for everything that is wrong; then the result is zero.
func (it *CatalogueItem) ParseVersionRequest(op Operation, body []byte, old *Licence, a IssuingAuthority, today Date) (VersionRequest, error) {
	if err := it.Applies(op, old); err != nil {
		return VersionRequest{}, err
	}
	var f faults
	doc, ok := parseJSONUpTo(MaxRequest, body, &f)
	if !ok {
		return VersionRequest{}, f.err()
	}
	root := member{f: &f, object: asObject(&f, "", doc)}
	q := VersionRequest{
		Request: Request{TypeCode: it.TypeCode, Number: old.Number, Authority: a, Holder: old.Holder,
			IssuedOn: old.IssuedOn, EffectiveOn: old.EffectiveOn, ExpiresOn: old.ExpiresOn, Fields: old.Fields},
		Case:   Case{Number: root.text("case_number"), MatterCode: root.text("matter_code"), Operator: root.text("operator")},
		Reason: root.text("reason"),
	}
	f.text("reason", q.Reason, maxReasonRunes)
	q.read(op, root, today)
	// A renewal goes on where the old version ends, or counts anew from its own first day.
	next := DateOf(old.ExpiresOn.EndsAt())
	if _, given := root.object["expires_on"]; op == OpRenew && !given {
		q.ExpiresOn = Date{}
		if it.fillExpiry(&q.Request, next); q.ExpiresOn.IsZero() {
			f.add("expires_on", CodeMissing, "is required: the new last day")
		}
	}
	kept, _ := old.Fields[it.Portrait()].(string)
	it.takePhoto(&f, &q.Request, kept)
	q.Request.check(&f, today)
	it.checkOwn(&f, q.Request)
	if op == OpRenew {
		it.checkValidity(&f, q.Request, next, q.EffectiveOn)
	}
	if it.renumbers(op) {
		q.Number = ""
		it.checkNumbering(&f, q.Request)
	}
	q.checkChange(op, &f, old, today)
	if err := f.err(); err != nil {
		return VersionRequest{}, err
	}
	return q, nil
}

func (it *CatalogueItem) renumbers(op Operation) bool { return slices.Contains(it.Renumbers, op) }

// read takes the members that the operation has.
func (q *VersionRequest) read(op Operation, root member, today Date) {
	may := versionMembers[op]
	members := may.members + " reason case_number matter_code operator"
	if may.holder != "" {
		members += " holder"
	}
	root.only(members)
	if _, given := root.object["holder"]; may.holder != "" && (given || op == OpTransfer) {
		q.readHolder(op, member{f: root.f, path: "holder", object: root.sub("holder")}, may.holder)
	}
	if _, given := root.object["fields"]; given {
		q.Fields = root.sub("fields")
	}
	if op != OpReissue && op != OpCorrect && today.Compare(q.IssuedOn) > 0 {
		q.IssuedOn = today
	}
	for name, date := range map[string]*Date{"issued_on": &q.IssuedOn, "effective_on": &q.EffectiveOn, "expires_on": &q.ExpiresOn} {
		if _, given := root.object[name]; given {
			*date = root.date(name)
		}
	}
}

// readHolder takes the members of the holder; a new holder needs them all.
func (q *VersionRequest) readHolder(op Operation, m member, may string) {
	m.only(may)
	if op == OpTransfer {
		q.Holder = Holder{}
	}
	var codeType string
	for name, to := range map[string]*string{"name": &q.Holder.Name, "code": &q.Holder.Code, "code_type": &codeType} {
		if _, given := m.object[name]; given {
			*to = m.text(name)
		}
	}
	if codeType != "" {
		q.Holder.CodeType = HolderCodeType(codeType)
	}
}

// checkChange compares what is to be stated with what is.
func (q *VersionRequest) checkChange(op Operation, f *faults, old *Licence, today Date) {
	if q.IssuedOn.Compare(old.IssuedOn) < 0 {
		f.add("issued_on", CodeDateOrder, "is before %s, when the version before was issued", old.IssuedOn)
	}
	sameHolder := q.Holder.Code == old.Holder.Code && q.Holder.CodeType == old.Holder.CodeType
	switch op {
	case OpAmend, OpCorrect:
		if sameHolder && q.Holder.Name == old.Holder.Name && sameFields(q.Fields, old.Fields) {
			f.add("fields", CodeUnchanged, "and holder state what the licence states already")
		}
	case OpTransfer:
		if sameHolder {
			f.add("holder.code", CodeUnchanged, "is the present holder's")
		}
	case OpRenew:
		q.checkRenewal(f, old, today)
	}
}

// checkRenewal: the new dates go on where the old ones end, and the new version is in
// force at once, for the old one is superseded at once.
func (q *VersionRequest) checkRenewal(f *faults, old *Licence, today Date) {
	next := DateOf(old.ExpiresOn.EndsAt())
	switch {
	case q.ExpiresOn.Compare(old.ExpiresOn) <= 0:
		f.add("expires_on", CodeDateOrder, "is not after %s, the present last day", old.ExpiresOn)
	case q.ExpiresOn.Compare(today) < 0:
		f.add("expires_on", CodeDateOrder, "is over already")
	}
	switch {
	case q.EffectiveOn.Compare(old.EffectiveOn) < 0:
		f.add("effective_on", CodeDateOrder, "is before %s, the present first day", old.EffectiveOn)
	case q.EffectiveOn.Compare(next) > 0:
		f.add("effective_on", CodeDateOrder, "leaves a gap: the present last day is %s", old.ExpiresOn)
	case q.EffectiveOn.Compare(today) > 0:
		f.add("effective_on", CodeOutOfRange, "is after %s, today: the version before would end with nothing in force", today)
	}
}

// sameFields compares a type's own fields by what would be attached to the file. Fields
// that have no form there are another's fault.
func sameFields(a, b map[string]any) bool {
	x, errX := MarshalCanonical(a)
	y, errY := MarshalCanonical(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}
