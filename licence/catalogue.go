package licence

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// CatalogueItem describes one licence type (证照目录信息, GB/T 36902). It is
// immutable once loaded and safe for concurrent use.
type CatalogueItem struct {
	// TypeCode is the type's code (证照类型代码), 21 characters.
	TypeCode string `json:"type_code"`
	// Name is the type's Chinese name (证照类型名称).
	Name string `json:"name"`
	// DefiningAuthority defines the type (证照定义机构); its code begins TypeCode.
	DefiningAuthority DefiningAuthority `json:"defining_authority"`
	// HolderKinds are the kinds of holder the type is issued to.
	HolderKinds []HolderKind `json:"holder_kinds"`
	// HolderCodeTypes are the code types a holder may be named by.
	HolderCodeTypes []HolderCodeType `json:"holder_code_types"`
	// Kind says what such licences are: 证照 (also when empty), 批文, 证明 or 材料. The
	// standard has no such member; deployed catalogues do.
	Kind string `json:"kind"`
	// HolderCategory is 自然人, 法人, 其他组织 or 混合 (持证主体类别); it may be empty.
	HolderCategory string `json:"holder_category"`
	// RelatedItemName and RelatedItemCode name the government service item that leads to
	// such a licence (关联事项); they may be empty.
	RelatedItemName string `json:"related_item_name"`
	RelatedItemCode string `json:"related_item_code"`
	// ValidityRange is how long such licences are valid, as GB/T 36902 words it: "30天",
	// "6月", "5年", "长期", several joined by "^". What it does is said by ValidityCheck.
	ValidityRange string `json:"validity_range"`
	// ValidityCheck holds the dates of requests to ValidityRange; see its values.
	ValidityCheck ValidityCheck `json:"validity_check"`
	// UntilAge ends a licence on the day before its holder, who must be named by a citizen
	// number, reaches that age, when the range does not end it before; 0: age does not matter.
	UntilAge int `json:"until_age"`
	// IssuingLevels are the levels of authority that issue such licences (证照颁发机构级别):
	// 2 province, 3 prefecture, 4 county, 5 township, by the authority's division. Issuers are codes of authorities that do
	// besides. With both empty any may.
	IssuingLevels []int    `json:"issuing_levels"`
	Issuers       []string `json:"issuers"`
	// LongTermAllowed says that a licence may have no last day.
	LongTermAllowed bool `json:"long_term_allowed"`
	// Layout names the layout that licences of the type are drawn with; empty: the
	// layout.json beside the item.
	Layout string `json:"layout"`
	// NumberRule is the pattern of the type's licence numbers: literal characters
	// and placeholders, see FormatNumber.
	NumberRule string `json:"number_rule"`
	// NumberCodes gives for each {field:name} of NumberRule the digits that stand for
	// a text of that field, by the text's beginning.
	NumberCodes map[string]map[string]string `json:"number_codes"`
	// FieldOrder lists the type's own fields in the order of the paper licence.
	FieldOrder []string `json:"field_order"`
	// PAdES says that licences of the type also bear a signature for PDF readers that
	// know no SM2, below their seal.
	PAdES bool `json:"pades"`
	// CoSeals are the kinds of authority whose seals stand on licences of the type beside
	// the issuing authority's (联合用印), in the order in which they seal, before it; at
	// most MaxCoSeals. Which authority of a kind seals is for the register to know.
	CoSeals []string `json:"co_seals"`
	// Document says that licences of the type are drawn on a document which comes with the
	// request (批文、证明); Layout is then that of the block with the symbol.
	Document bool `json:"document"`
	// Transferable says that a licence of the type may pass to another holder (转让).
	Transferable bool `json:"transferable"`
	// Renumbers are the operations whose new version takes a new number, made by
	// NumberRule; after any other it keeps the number of the version before.
	Renumbers []Operation `json:"renumbers"`
	// StatusCodes are the codes that the type's own specification has for statuses,
	// derived ones too. A status without one has none there, or none that is known.
	StatusCodes map[Status]string `json:"status_codes"`
	// Remarks say, in Chinese, what is known of the code and of the number rule.
	Remarks string `json:"remarks"`

	labels map[string]string
	schema *jsonschema.Schema
	rule   []numberPart
	spans  []span // of ValidityRange
	masks  map[string]mask
	// properties are the schemas of the fields, as ParseJSON gives them.
	properties map[string]any
	// columns are the members of the rows of each field that is a list of rows.
	columns map[string][]string
}

// DefiningAuthority is the body that defines a licence type (证照定义机构).
type DefiningAuthority struct {
	Name string `json:"name"`
	Code string `json:"code"`
	// Level is 1 national, 2 province or ministry, 3 prefecture, 4 county, 5 other.
	Level int `json:"level"`
}

// Label is the Chinese label of one of the type's own fields, "" for a field the
// type does not have.
func (it *CatalogueItem) Label(field string) string { return it.labels[field] }

// Scalar reports whether one of the type's own fields holds a text, a whole number, or true
// or false.
func (it *CatalogueItem) Scalar(field string) bool {
	property, _ := it.properties[field].(map[string]any)
	return slices.Contains([]any{"string", "integer", "boolean"}, property["type"])
}

// Dated reports whether one of the type's own fields holds a day, or a time of one.
func (it *CatalogueItem) Dated(field string) bool {
	property, _ := it.properties[field].(map[string]any)
	return slices.Contains([]any{"date", formatMinute}, property["format"])
}

// Columns are the members of the rows of one of the type's own fields, in order; nil for a
// field without rows.
func (it *CatalogueItem) Columns(field string) []string { return it.columns[field] }

// Catalogue is the set of licence types (证照目录).
type Catalogue struct{ items []*CatalogueItem }

// Item is the type of that code, or ErrNotFound.
func (c *Catalogue) Item(typeCode string) (*CatalogueItem, error) {
	for _, it := range c.items {
		if it.TypeCode == typeCode {
			return it, nil
		}
	}
	return nil, fmt.Errorf("%w: licence type %.40q", ErrNotFound, typeCode)
}

// Items are all types, ordered by code.
func (c *Catalogue) Items() []*CatalogueItem { return slices.Clone(c.items) }

// LoadCatalogue reads every */item.json of fsys with the fields.schema.json beside
// it. The error names the file. At least one item must be there.
func LoadCatalogue(fsys fs.FS) (*Catalogue, error) {
	files, err := fs.Glob(fsys, "*/item.json")
	if err != nil {
		return nil, fmt.Errorf("listing the catalogue: %w", err)
	}
	c := &Catalogue{}
	for _, file := range files {
		it, err := loadItem(fsys, path.Dir(file))
		if err != nil {
			return nil, err
		}
		if _, err := c.Item(it.TypeCode); err == nil {
			return nil, fmt.Errorf("licence: %s: type code %s is in the catalogue twice", file, it.TypeCode)
		}
		c.items = append(c.items, it)
	}
	if len(c.items) == 0 {
		return nil, errors.New("licence: the catalogue is empty: no */item.json")
	}
	return NewCatalogue(c.items), nil
}

func loadItem(fsys fs.FS, dir string) (*CatalogueItem, error) {
	item, err := readFile(fsys, path.Join(dir, ItemFile))
	if err != nil {
		return nil, err
	}
	schema, err := readFile(fsys, path.Join(dir, SchemaFile))
	if err != nil {
		return nil, err
	}
	it, err := ParseItem(item, schema)
	if err != nil {
		return nil, fmt.Errorf("licence: %s/%w", dir, err)
	}
	if it.Layout == "" {
		return nil, fmt.Errorf("licence: %s/%s: layout is missing", dir, ItemFile)
	}
	return it, nil
}

// The files that a licence type is read from.
const (
	ItemFile   = "item.json"
	SchemaFile = "fields.schema.json"
)

// ParseItem reads a licence type from the content of its two files. The error begins
// with the name of the file at fault.
func ParseItem(item, schema []byte) (*CatalogueItem, error) {
	it := &CatalogueItem{}
	if _, err := strictJSON(item); err != nil {
		return nil, fmt.Errorf("%s: %w", ItemFile, err)
	}
	d := json.NewDecoder(bytes.NewReader(item))
	d.DisallowUnknownFields()
	if err := d.Decode(it); err != nil {
		return nil, fmt.Errorf("%s: %w", ItemFile, err)
	}
	doc, err := strictJSON(schema)
	if err == nil {
		err = it.compileSchema(doc, schema)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", SchemaFile, err)
	}
	if it.rule, err = parseNumberRule(it.NumberRule); err == nil {
		err = it.validate()
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ItemFile, err)
	}
	return it, nil
}

// NewCatalogue is the catalogue of these types, of which no two have the same code.
func NewCatalogue(items []*CatalogueItem) *Catalogue {
	c := &Catalogue{items: slices.Clone(items)}
	slices.SortFunc(c.items, func(a, b *CatalogueItem) int { return strings.Compare(a.TypeCode, b.TypeCode) })
	return c
}

// strictJSON reads bounded, strict JSON: a member given twice would otherwise be one that
// a reader and we may see differently.
func strictJSON(b []byte) (any, error) {
	if len(b) > MaxJSON {
		return nil, fmt.Errorf("larger than %d bytes", MaxJSON)
	}
	return ParseJSON(b)
}

func readFile(fsys fs.FS, file string) ([]byte, error) {
	info, err := fs.Stat(fsys, file)
	if err != nil {
		return nil, fmt.Errorf("reading the catalogue: %w", err)
	}
	if info.Size() > MaxJSON {
		return nil, fmt.Errorf("licence: %s: larger than %d bytes", file, MaxJSON)
	}
	b, err := fs.ReadFile(fsys, file)
	if err != nil {
		return nil, fmt.Errorf("reading the catalogue: %w", err)
	}
	return b, nil
}

// validate reports the first thing in the item that does not fit together.
func (it *CatalogueItem) validate() error {
	if err := CheckTypeCode(it.TypeCode); err != nil {
		return err
	}
	for _, s := range []string{it.Name, it.DefiningAuthority.Name, cmp.Or(it.Layout, "-"), cmp.Or(it.RelatedItemName, "-"), cmp.Or(it.RelatedItemCode, "-")} {
		var f faults
		if f.text("name, defining_authority.name, layout, related_item_name or related_item_code", s, maxNameRunes); len(f.list) > 0 {
			return f.err()
		}
	}
	switch {
	case it.DefiningAuthority.Code != it.TypeCode[:18]:
		return errors.New("type_code does not begin with defining_authority.code")
	case it.DefiningAuthority.Level < 1 || it.DefiningAuthority.Level > 5:
		return errors.New("defining_authority.level is outside 1 to 5")
	case len(it.HolderKinds) == 0 || len(it.HolderCodeTypes) == 0:
		return errors.New("holder_kinds or holder_code_types is empty")
	}
	for _, t := range it.HolderCodeTypes {
		if t.Kind() == "" || !slices.Contains(it.HolderKinds, t.Kind()) {
			return fmt.Errorf("holder code type %q belongs to none of holder_kinds", t)
		}
	}
	if it.Document && len(it.CoSeals) > 0 {
		return errors.New("document: its file bears one seal, so co_seals must be empty")
	}
	if err := cmp.Or(it.validateCategory(), it.validateValidity(), it.validateIssuers(), it.validateCoSeals(), it.validateLife()); err != nil {
		return err
	}
	return it.validateFields()
}

// validateCategory looks at the members of GB/T 36902 that are words of a list.
func (it *CatalogueItem) validateCategory() error {
	if !slices.Contains([]string{"", "证照", "批文", "证明", "材料"}, it.Kind) {
		return fmt.Errorf("kind %.20q is not one of 证照, 批文, 证明 and 材料", it.Kind)
	}
	natural, legal := slices.Contains(it.HolderKinds, NaturalPerson), slices.Contains(it.HolderKinds, LegalPerson)
	fits, known := map[string]bool{"": true, "自然人": natural && !legal, "法人": legal && !natural, "其他组织": legal && !natural, "混合": natural && legal}[it.HolderCategory]
	switch {
	case !known:
		return fmt.Errorf("holder_category %.20q is not one of 自然人, 法人, 其他组织 and 混合", it.HolderCategory)
	case !fits:
		return fmt.Errorf("holder_category %s does not fit holder_kinds", it.HolderCategory)
	}
	return nil
}

// validateLife looks at what the type says of a licence's life.
func (it *CatalogueItem) validateLife() error {
	for i, op := range it.Renumbers {
		if !op.MakesVersion() || slices.Contains(it.Renumbers[:i], op) {
			return fmt.Errorf("renumbers lists %.20q, which makes no new version or is listed twice", op)
		}
	}
	for status, code := range it.StatusCodes {
		if !slices.Contains(readerStatuses, status) || !isAlphanumeric(code) || len(code) > 8 {
			return fmt.Errorf("status_codes: %.20q: %.20q: no status that a reader sees, or its code is not 1 to 8 digits and capitals", status, code)
		}
	}
	return nil
}

func (it *CatalogueItem) validateCoSeals() error {
	if len(it.CoSeals) > MaxCoSeals {
		return fmt.Errorf("co_seals lists %d kinds; at most %d fit a licence", len(it.CoSeals), MaxCoSeals)
	}
	var f faults
	for i, kind := range it.CoSeals {
		if f.text(pathIndex("co_seals", i), kind, maxNameRunes); slices.Contains(it.CoSeals[:i], kind) {
			return fmt.Errorf("co_seals lists %q twice", kind)
		}
	}
	return f.err()
}

func (it *CatalogueItem) validateFields() error {
	if len(it.FieldOrder) != len(it.labels) {
		return fmt.Errorf("field_order lists %d fields, the schema has %d", len(it.FieldOrder), len(it.labels))
	}
	for i, name := range it.FieldOrder {
		if it.labels[name] == "" || slices.Contains(it.FieldOrder[:i], name) {
			return fmt.Errorf("field_order: %q is not in the schema, or listed twice", name)
		}
	}
	for _, p := range it.rule {
		if p.kind != partField {
			continue
		}
		codes := it.NumberCodes[p.text]
		if len(codes) == 0 || it.labels[p.text] == "" {
			return fmt.Errorf("number_rule: no number_codes for the field %q", p.text)
		}
		for _, digits := range codes {
			if len(digits) != 1 || !isDigits(digits) {
				return fmt.Errorf("number_codes: %q is not one digit", digits)
			}
		}
	}
	return nil
}
