package licence

import (
	"slices"
	"strings"
	"unicode"
)

// Request asks for one licence: what an approval system sends when a case
// completes, with the authority that the system acts for.
type Request struct {
	// TypeCode names the licence type.
	TypeCode string
	// Number is the licence number, if the approval system gives one; empty means
	// that one is made by the type's number rule.
	Number string
	// Holder is who the licence is for.
	Holder Holder
	// Authority issues it. It comes from the caller's registration, never from the
	// body of a request.
	Authority IssuingAuthority
	// CoSealers seal beside it. They come from the consents that the register holds,
	// never from the body of a request either.
	CoSealers []CoSealer
	// IssuedOn and EffectiveOn are required; a zero ExpiresOn means no last day.
	IssuedOn, EffectiveOn, ExpiresOn Date
	// Fields are the type's own fields, as ParseJSON gives them.
	Fields map[string]any
	// Photo is the photograph that the portrait, if the type has one, is to be made of,
	// JPEG or PNG as it came; nil when there is none, or the portrait of the version before stays.
	Photo []byte
	// Document says where symbol and seal go on a document; nil for a type without.
	Document *Document
}

// Case is the administrative case that an operation belongs to.
type Case struct {
	// Number is the case number (办件编号), MatterCode the code of the matter
	// (事项编码), Operator who acts at the caller's desk. All are required.
	Number, MatterCode, Operator string
}

func (c Case) check(f *faults) {
	f.text("case_number", c.Number, maxNumberRunes)
	f.text("matter_code", c.MatterCode, maxNumberRunes)
	f.text("operator", c.Operator, maxNameRunes)
}

// Check reports everything that is wrong with r as a request for a licence of
// this type made on the day today: a *RequestError that names each field.
func (it *CatalogueItem) Check(r Request, today Date) error {
	var f faults
	if r.TypeCode != it.TypeCode {
		f.add("type_code", CodeUnknownType, "is not %s", it.TypeCode)
	}
	r.check(&f, today)
	it.checkOwn(&f, r)
	it.checkValidity(&f, r, r.EffectiveOn)
	it.checkNumbering(&f, r)
	return f.err()
}

// check looks at all that does not depend on the type.
func (r Request) check(f *faults, today Date) {
	r.Authority.check(f)
	f.text("holder.name", r.Holder.Name, maxNameRunes)
	if r.Holder.Name != "" && !strings.ContainsFunc(r.Holder.Name, isLetterOrDigit) {
		f.add("holder.name", CodeBadFormat, "has no letter and no digit")
	}
	if r.Holder.CodeType == "" {
		f.add("holder.code_type", CodeMissing, "is required")
	} else if r.Holder.CodeType.Kind() == "" {
		f.add("holder.code_type", CodeNotAllowed, "is not a holder code type of GB/T 36903")
	}
	if r.Holder.Code == "" {
		f.add("holder.code", CodeMissing, "is required")
	} else if r.Holder.CodeType.Kind() != "" {
		if err := CheckHolderCode(r.Holder.CodeType, r.Holder.Code, today); err != nil {
			f.add("holder.code", CodeBadHolderCode, "is wrong: %v", err)
		}
	}
	if r.Number != "" {
		f.text("number", r.Number, maxNumberRunes)
	}
	r.checkDates(f)
	// A day of grace is for a client whose clock is ahead.
	if tomorrow := DateOf(today.EndsAt()); r.IssuedOn.inRange() && r.IssuedOn.Compare(tomorrow) > 0 {
		f.add("issued_on", CodeOutOfRange, "is after %s, tomorrow in Asia/Shanghai", tomorrow)
	}
	f.value("fields", r.Fields, maxDepth)
	if b, err := MarshalCanonical(r.Fields); err == nil && len(b) > maxFieldsBytes {
		f.add("fields", CodeTooLarge, "are larger than %d bytes", maxFieldsBytes)
	}
}

func isLetterOrDigit(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// maxFieldsBytes bounds a type's own fields in canonical JSON, so that a licence
// built from a checked request is one that ParseData reads.
const maxFieldsBytes = 128 << 10

func (r Request) checkDates(f *faults) {
	for _, d := range []struct {
		field    string
		date     Date
		required bool
	}{{"issued_on", r.IssuedOn, true}, {"effective_on", r.EffectiveOn, true}, {"expires_on", r.ExpiresOn, false}} {
		if d.date.IsZero() && d.required {
			f.add(d.field, CodeMissing, "is required")
		} else if !d.date.IsZero() && !d.date.inRange() {
			f.add(d.field, CodeOutOfRange, "must lie between %s and %s", minDate, maxDate)
		}
	}
	if !r.ExpiresOn.IsZero() && (r.ExpiresOn.Compare(r.EffectiveOn) < 0 || r.ExpiresOn.Compare(r.IssuedOn) < 0) {
		f.add("expires_on", CodeDateOrder, "is before effective_on or issued_on")
	}
}

// checkOwn looks at what the type asks for.
func (it *CatalogueItem) checkOwn(f *faults, r Request) {
	if t := r.Holder.CodeType; t.Kind() != "" && !slices.Contains(it.HolderCodeTypes, t) {
		f.add("holder.code_type", CodeNotAllowed, "must be one of %s for this licence type", listed(it.HolderCodeTypes))
	}
	if r.ExpiresOn.IsZero() && !it.LongTermAllowed {
		f.add("expires_on", CodeMissing, "is required: this licence type has a last day")
	}
	it.checkIssuer(f, r.Authority)
	it.checkFields(f, r.Fields)
	for name := range it.NumberCodes {
		if it.fieldDigit(name, r.Fields) == "" {
			f.add(pathKey("fields", name), CodeNotAllowed, "begins with none of the texts that a number can be made for")
		}
	}
}

// checkNumbering looks at the number that came, or whether one can be made.
func (it *CatalogueItem) checkNumbering(f *faults, r Request) {
	if r.Number != "" && !f.has("number") {
		it.checkNumber(f, r)
	} else if _, err := it.FormatNumber(r, 1); err != nil && r.Number == "" && len(f.list) == 0 {
		f.add("number", CodeBadNumber, "cannot be made: %s", strings.TrimPrefix(err.Error(), "licence: "))
	}
}

// ParseRequest reads and checks the JSON body of a request to issue, for the
// authority a on the day today. The error is one *RequestError for everything that
// is wrong with the body, its members and their values; then the other results are
// zero, but for the type code.
func ParseRequest(body []byte, c *Catalogue, a IssuingAuthority, today Date) (Request, Case, error) {
	var f faults
	doc, ok := parseJSONUpTo(MaxRequest, body, &f)
	if !ok {
		return Request{}, Case{}, f.err()
	}
	root := member{f: &f, object: asObject(&f, "", doc)}
	holder := member{f: &f, path: "holder", object: root.sub("holder")}
	r := Request{
		TypeCode: root.text("type_code"), Number: root.text("number"), Authority: a,
		Holder: Holder{
			Name: holder.text("name"), Code: holder.text("code"), CodeType: HolderCodeType(holder.text("code_type")),
		},
		IssuedOn: root.date("issued_on"), EffectiveOn: root.date("effective_on"), ExpiresOn: root.date("expires_on"),
		Fields: root.sub("fields"), Document: root.document(),
	}
	k := Case{Number: root.text("case_number"), MatterCode: root.text("matter_code"), Operator: root.text("operator")}
	root.only("type_code number holder issued_on effective_on expires_on fields document case_number matter_code operator")
	holder.only("name code code_type")
	it, err := c.Item(r.TypeCode)
	if err == nil {
		it.fillExpiry(&r, r.EffectiveOn)
	}
	k.check(&f)
	if err == nil {
		it.takePhoto(&f, &r, "")
	}
	r.check(&f, today)
	if err == nil {
		it.checkOwn(&f, r)
		it.checkValidity(&f, r, r.EffectiveOn)
		it.checkNumbering(&f, r)
		it.checkDocument(&f, r.Document)
	} else {
		f.add("type_code", CodeUnknownType, "is not in the catalogue")
	}
	if err = f.err(); err != nil {
		return Request{TypeCode: r.TypeCode}, Case{}, err
	}
	return r, k, nil
}

// member reads the members of one object of a request.
type member struct {
	f      *faults
	path   string
	object map[string]any
}

func asObject(f *faults, path string, v any) map[string]any {
	object, ok := v.(map[string]any)
	if !ok {
		f.add(path, CodeWrongType, "must be an object")
	}
	return object
}

// sub is the object of that name; it is required.
func (m member) sub(name string) map[string]any {
	v, ok := m.object[name]
	if !ok {
		m.f.add(pathKey(m.path, name), CodeMissing, "is required")
		return nil
	}
	return asObject(m.f, pathKey(m.path, name), v)
}

// text is the text of that name, "" when it is not there. An empty text that is
// there is a fault: whether something is given must not depend on the reader.
func (m member) text(name string) string {
	v, ok := m.object[name]
	s, isText := v.(string)
	switch {
	case ok && !isText:
		m.f.add(pathKey(m.path, name), CodeWrongType, "must be a text")
	case ok && s == "":
		m.f.add(pathKey(m.path, name), CodeTooShort, "is empty")
	}
	return s
}

func (m member) date(name string) Date {
	s := m.text(name)
	d, err := ParseDate(s)
	if err != nil && s != "" {
		m.f.add(pathKey(m.path, name), CodeBadFormat, "is not a date that exists, written YYYY-MM-DD")
	}
	return d
}

// only adds a fault for every member that is not among the names.
func (m member) only(names string) {
	known := strings.Fields(names)
	for name := range m.object {
		if !slices.Contains(known, name) {
			m.f.add(pathKey(m.path, name), CodeUnknownField, "is not a member of a request")
		}
	}
}
