package licence

import (
	"encoding/hex"
	"errors"
	"slices"
	"strings"

	"github.com/emmansun/gmsm/sm3"
)

// ImportRequest asks to enter a licence that another platform issued, or that was issued
// before there was one (存量).
type ImportRequest struct {
	// Licence is what is stated of it, Origin OriginExternal.
	Licence *Licence
	// Given is the identifier that the other platform gave it, as it came; empty: none.
	// Where it is one of GB/T 36904 it is Licence.Identifier, else that was made by the
	// rule of ParseImport.
	Given string
	// Platform names who issued the file, for people; may be empty.
	Platform string
	// Existing says that it is 存量: file and the type's own fields may be missing.
	Existing bool
	// Override is the reason to enter it although its signature is wrong, or its identifier
	// has a wrong check character; empty: it is then refused.
	Override string
	Case     Case // of which nothing is required
}

// CodeCheckCharacter is the code of an identifier that claims to be one of GB/T 36904 and has a
// wrong check character, or another form.
const CodeCheckCharacter = "check_character"

// ParseImport reads and checks the JSON body of a request to import a licence, by an
// authority of a division, on the day today. What it states of the issuing authority is
// that of the other platform. The error is one *RequestError for everything that is wrong;
// then the result holds the type code at most.
//
// An identifier that begins as those of GB/T 36904 do has to be one, agree with type and
// issuing authority, and have its check character; with a reason to override, it is kept as
// Given alone. A licence without such an identifier gets one that names it in this register: of its
// type, its issuing authority, version 1, and the serial "E" with the first 31 digits of SM3 over Given, or where there is
// none over the number, so that the same licence gets the same again.
func ParseImport(body []byte, c *Catalogue, division string, today Date) (ImportRequest, error) {
	var f faults
	doc, ok := parseJSONUpTo(MaxRequest, body, &f)
	if !ok {
		return ImportRequest{}, f.err()
	}
	root := member{f: &f, object: asObject(&f, "", doc)}
	q, r := root.importRequest(division)
	it, err := c.Item(r.TypeCode)
	if err != nil {
		f.add("type_code", CodeUnknownType, "is not in the catalogue")
	} else {
		q.check(&f, it, r, today)
	}
	if err := f.err(); err != nil {
		return ImportRequest{Licence: &Licence{TypeCode: r.TypeCode}}, err
	}
	q.Licence.TypeName = it.Name
	return q, nil
}

// importRequest takes the members of a request.
func (root member) importRequest(division string) (ImportRequest, Request) {
	holder := member{f: root.f, path: "holder", object: root.sub("holder")}
	authority := member{f: root.f, path: "authority", object: root.sub("authority")}
	r := Request{
		TypeCode: root.text("type_code"), Number: root.text("number"),
		Holder:    Holder{Name: holder.text("name"), Code: holder.text("code"), CodeType: HolderCodeType(holder.text("code_type"))},
		Authority: IssuingAuthority{Name: authority.text("name"), Code: authority.text("code"), Division: authority.text("division")},
		IssuedOn:  root.date("issued_on"), EffectiveOn: root.date("effective_on"), ExpiresOn: root.date("expires_on"),
		Fields: map[string]any{},
	}
	if _, there := root.object["fields"]; there {
		r.Fields = root.sub("fields")
	}
	if r.EffectiveOn.IsZero() {
		r.EffectiveOn = r.IssuedOn
	}
	if r.Authority.Division == "" {
		r.Authority.Division = division
	}
	q := ImportRequest{Given: root.text("identifier"), Platform: root.text("platform"), Existing: root.flag("existing"), Override: root.text("override_reason"),
		Case: Case{Number: root.text("case_number"), MatterCode: root.text("matter_code"), Operator: root.text("operator")}}
	q.Licence = &Licence{Origin: OriginExternal, Number: r.Number, TypeCode: r.TypeCode, Holder: r.Holder, Authority: r.Authority,
		IssuedOn: r.IssuedOn, EffectiveOn: r.EffectiveOn, ExpiresOn: r.ExpiresOn, Fields: r.Fields}
	root.only("type_code number identifier platform holder authority issued_on effective_on expires_on fields existing override_reason case_number matter_code operator")
	holder.only("name code code_type")
	authority.only("name code division")
	return q, r
}

// flag is the truth of that name, false when it is not there.
func (m member) flag(name string) bool {
	v, there := m.object[name]
	b, isFlag := v.(bool)
	if there && !isFlag {
		m.f.add(pathKey(m.path, name), CodeWrongType, "must be true or false")
	}
	return b
}

// check looks at all of a request but what the register alone knows.
func (q *ImportRequest) check(f *faults, it *CatalogueItem, r Request, today Date) {
	for field, text := range map[string]string{"identifier": q.Given, "platform": q.Platform, "override_reason": q.Override} {
		if text != "" {
			f.text(field, text, maxNameRunes)
		}
	}
	f.text("number", r.Number, maxNumberRunes)
	q.identify(f)
	own := faults{}
	authority := r.Authority
	if q.Given != "" && string(q.Licence.Identifier) == q.Given {
		authority.Code = it.TypeCode[:18] // whatever its platform calls the authority, the identifier says so too
	}
	r.Authority = authority
	r.check(&own, today)
	if t := r.Holder.CodeType; t.Kind() != "" && !slices.Contains(it.HolderCodeTypes, t) {
		own.add("holder.code_type", CodeNotAllowed, "must be one of %s for this licence type", listed(it.HolderCodeTypes))
	}
	it.checkFields(&own, r.Fields)
	portrait := pathKey("fields", it.Portrait()) // it is in the file, and nowhere else
	for _, e := range own.list {
		if left := strings.HasPrefix(e.Field, "fields.") && e.Code == CodeMissing; !left || !q.Existing && e.Field != portrait {
			f.add(e.Field, e.Code, "%s", e.Detail)
		}
	}
}

// identify settles the identifier.
func (q *ImportRequest) identify(f *faults) {
	l := q.Licence
	if strings.HasPrefix(q.Given, identifierRoot) {
		id, err := ParseIdentifier(q.Given)
		switch {
		case err == nil && (id.TypeCode() != l.TypeCode || id.AuthorityCode() != l.Authority.Code):
			f.add("identifier", CodeNotAllowed, "is of another licence type or issuing authority")
			return
		case err == nil:
			l.Identifier, l.Version = id, id.Version()
			return
		case q.Override == "" && errors.Is(err, ErrCheckCharacter):
			f.add("identifier", CodeCheckCharacter, "has a wrong check character (GB/T 36904); with override_reason it is kept as it came")
			return
		case q.Override == "":
			f.add("identifier", CodeCheckCharacter, "begins like one of GB/T 36904 and is none; with override_reason it is kept as it came")
			return
		}
	}
	named := "number\x00" + l.Number
	if q.Given != "" {
		named = "identifier\x00" + q.Given
	}
	sum := sm3.Sum([]byte(named))
	id, err := NewIdentifier(l.TypeCode, l.Authority.Code, "E"+strings.ToUpper(hex.EncodeToString(sum[:])[:31]), 1)
	if err != nil {
		f.add("authority.code", CodeBadHolderCode, "is no unified social credit code, which a licence without an identifier of GB/T 36904 needs")
		return
	}
	l.Identifier, l.Version = id, 1
}
