package licence

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
)

// dataFormat names the form of licence data; another form gets another name.
const dataFormat = "elicence-licence/1"

// The metadata elements that are additions of ours: the co-sealing authorities, and the
// version that this one takes the place of (关联证照标识, which specifications of single
// licence types require of renewed and amended licences).
const (
	coSealersMember  = "certificateCoSealingAuthorities"
	supersedesMember = "certificateAssociatedIdentifier"
)

// maxDataBytes bounds licence data: the fields and room for the metadata.
const maxDataBytes = maxFieldsBytes + 16<<10

// Data is the machine-readable licence that is attached to its file as
// licence.json: RFC 8785 canonical JSON, with no Unicode normalisation,
//
//	{"fields":{…},"format":"elicence-licence/1","metadata":{…}}
//
// The metadata elements have the English names of GB/T 36903; certificateAreaCode
// is an addition that deployed systems share. certificateExpiringDate is absent
// when there is no last day. Two are additions of ours: certificateCoSealingAuthorities,
// [{"code":…,"name":…}], is absent when one authority seals alone,
// certificateAssociatedIdentifier, the version before, when there is none. A licence that is
// drawn on a document says so in a member "document", one that another platform issued in a
// member "origin"; those of an annotated copy have the
// elements of Copy besides. Data refuses a licence whose parts contradict each other.
func (l *Licence) Data() ([]byte, error) {
	if err := l.check(); err != nil {
		return nil, err
	}
	doc := map[string]any{"fields": l.Fields, "format": dataFormat, "metadata": l.metadata()}
	if l.Document != nil {
		doc["document"] = l.Document.data()
	}
	if l.Origin != "" {
		doc["origin"] = string(l.Origin)
	}
	b, err := MarshalCanonical(doc)
	if err == nil && len(b) > maxDataBytes {
		err = fmt.Errorf("licence: data larger than %d bytes", maxDataBytes)
	}
	if err != nil {
		return nil, err
	}
	return b, nil
}

// metadata are the elements by their English names.
func (l *Licence) metadata() map[string]any {
	metadata := map[string]any{
		"certificateName":                 l.TypeName,
		"certificateTypeName":             l.TypeName,
		"certificateTypeCode":             l.TypeCode,
		"certificateNumber":               l.Number,
		"certificateIdentifier":           string(l.Identifier),
		"certificateIssuingAuthorityName": l.Authority.Name,
		"certificateIssuingAuthorityCode": l.Authority.Code,
		"certificateAreaCode":             l.Authority.Division,
		"certificateIssuedDate":           l.IssuedOn.String(),
		"certificateEffectiveDate":        l.EffectiveOn.String(),
		"certificateHolderName":           l.Holder.Name,
		"certificateHolderCode":           l.Holder.Code,
		"certificateHolderTypeName":       l.Holder.CodeType.Name(),
		"certificateHolderTypeCode":       string(l.Holder.CodeType),
	}
	if !l.ExpiresOn.IsZero() {
		metadata["certificateExpiringDate"] = l.ExpiresOn.String()
	}
	if l.Supersedes != "" {
		metadata[supersedesMember] = string(l.Supersedes)
	}
	var coSealers []any
	for _, c := range l.CoSealers {
		coSealers = append(coSealers, map[string]any{"code": c.Code, "name": c.Name})
	}
	if coSealers != nil {
		metadata[coSealersMember] = coSealers
	}
	l.Copy.describe(metadata)
	return metadata
}

// check reports the first thing in which the licence contradicts itself.
func (l *Licence) check() error {
	if _, err := ParseIdentifier(string(l.Identifier)); err != nil {
		return err
	}
	switch id := l.Identifier; {
	case id.TypeCode() != l.TypeCode:
		return errors.New("licence: type code and identifier differ")
	case id.AuthorityCode() != l.Authority.Code:
		return errors.New("licence: issuing authority code and identifier differ")
	case id.Version() != l.Version:
		return errors.New("licence: version and identifier differ")
	case l.Origin != "" && (l.Origin != OriginExternal || l.Document != nil || l.CoSealers != nil):
		return errors.New("licence: no such origin, or one that has neither documents nor co-sealing authorities")
	case (l.Version > 1) != (l.Supersedes != "") && !(l.Origin == OriginExternal && l.Supersedes == ""):
		return errors.New("licence: only versions after the first supersede another")
	case l.Supersedes != "" && !l.Supersedes.Precedes(id):
		return errors.New("licence: the superseded identifier is none of an earlier version of this licence")
	case l.Holder.CodeType.Kind() == "":
		return fmt.Errorf("licence: holder code type %.10q does not exist", l.Holder.CodeType)
	case l.Fields == nil:
		return errors.New("licence: no fields")
	}
	var f faults
	f.text("type name", l.TypeName, maxNameRunes)
	f.text("number", l.Number, maxNumberRunes)
	f.text("holder name", l.Holder.Name, maxNameRunes)
	f.text("holder code", l.Holder.Code, 128)
	f.text("issuing authority name", l.Authority.Name, maxNameRunes)
	if err := CheckDivision(l.Authority.Division); err != nil {
		f.add("division", CodeBadFormat, "%v", err)
	}
	l.checkCoSealers(&f)
	f.value("fields", l.Fields, maxDepth)
	if l.Document != nil {
		l.Document.check(&f)
	}
	if l.Copy != nil {
		l.Copy.check(&f)
	}
	Request{IssuedOn: l.IssuedOn, EffectiveOn: l.EffectiveOn, ExpiresOn: l.ExpiresOn}.checkDates(&f)
	return f.first()
}

// checkCoSealers looks at the authorities that seal beside the issuing one, of which
// each seals once.
func (l *Licence) checkCoSealers(f *faults) {
	codes := []string{l.Authority.Code}
	for i, c := range l.CoSealers {
		field := pathIndex("co_sealers", i)
		if c.check(f, field); slices.Contains(codes, c.Code) {
			f.add(field, CodeRepeated, "seals already")
		}
		codes = append(codes, c.Code)
	}
	if len(l.CoSealers) > MaxCoSeals {
		f.add("co_sealers", CodeTooMany, "are %d; at most %d fit a licence", len(l.CoSealers), MaxCoSeals)
	}
}

// ParseData reads licence data. It accepts the bytes that Data writes and no
// others: canonical JSON, exactly these members, nothing that contradicts.
func ParseData(b []byte) (*Licence, error) {
	l, err := ReadData(b)
	if err != nil {
		return nil, err
	}
	again, err := l.Data()
	if err != nil {
		return nil, fmt.Errorf("licence: malformed data: %w", err)
	}
	// Whatever licenceOf left out, or read in a second form, shows here.
	if !bytes.Equal(again, b) {
		return nil, errors.New("licence: malformed data: not in canonical form, or with missing or unknown members")
	}
	return l, nil
}

// ReadData reads licence data that are known to be what Data wrote, as those are that a
// register keeps under authenticated encryption: it compares nothing, and takes half as long.
func ReadData(b []byte) (*Licence, error) {
	if len(b) > maxDataBytes {
		return nil, fmt.Errorf("licence: malformed data: larger than %d bytes", maxDataBytes)
	}
	doc, err := ParseJSON(b)
	if err != nil {
		return nil, fmt.Errorf("licence: malformed data: %v", err)
	}
	return licenceOf(doc), nil
}

// licenceOf takes from doc what it finds. What is missing, of the wrong type or
// unknown makes a licence that does not marshal to the same bytes.
func licenceOf(doc any) *Licence {
	root, _ := doc.(map[string]any)
	metadata, _ := root["metadata"].(map[string]any)
	text := func(name string) string { s, _ := metadata[name].(string); return s }
	date := func(name string) Date { d, _ := ParseDate(text(name)); return d }
	fields, _ := root["fields"].(map[string]any)
	coSealers, _ := metadata[coSealersMember].([]any)
	id := Identifier(text("certificateIdentifier"))
	return &Licence{
		Identifier: id,
		Number:     text("certificateNumber"),
		TypeCode:   text("certificateTypeCode"),
		TypeName:   text("certificateTypeName"),
		Version:    id.Version(),
		Supersedes: Identifier(text(supersedesMember)),
		Holder: Holder{
			Name:     text("certificateHolderName"),
			Code:     text("certificateHolderCode"),
			CodeType: HolderCodeType(text("certificateHolderTypeCode")),
		},
		Authority: IssuingAuthority{
			Name:     text("certificateIssuingAuthorityName"),
			Code:     text("certificateIssuingAuthorityCode"),
			Division: text("certificateAreaCode"),
		},
		CoSealers:   coSealersOf(coSealers),
		IssuedOn:    date("certificateIssuedDate"),
		EffectiveOn: date("certificateEffectiveDate"),
		ExpiresOn:   date("certificateExpiringDate"),
		Fields:      fields,
		Document:    documentOf(root["document"]),
		Origin:      originOf(root["origin"]),
		Copy:        copyOf(metadata),
	}
}

// originOf takes an origin from licence data, in the way of licenceOf.
func originOf(v any) Origin { s, _ := v.(string); return Origin(s) }

// coSealersOf reads the list of co-sealing authorities, in the way of licenceOf.
func coSealersOf(list []any) (found []CoSealer) {
	for _, v := range list {
		c, _ := v.(map[string]any)
		name, _ := c["name"].(string)
		code, _ := c["code"].(string)
		found = append(found, CoSealer{name, code})
	}
	return found
}
