package licence_test

import (
	"errors"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"elicence/licence"

	"github.com/google/go-cmp/cmp"
)

func TestCatalogue(t *testing.T) {
	c := catalogue(t)
	got := map[string]string{}
	for _, it := range c.Items() {
		got[it.TypeCode] = it.Name + " " + it.Layout + " " + it.WidestNumber()
		for _, field := range it.FieldOrder {
			if it.Label(field) == "" {
				t.Errorf("%s: %s has no label", it.Name, field)
			}
		}
		if found, err := c.Item(it.TypeCode); err != nil || found != it {
			t.Errorf("Item(%s): %v, %v", it.TypeCode, found, err)
		}
	}
	want := map[string]string{
		"11100000MB0143028R901": "食品经营许可证 food-business JY88888888888888",
		"11100000000013338W901": "安全生产许可证 work-safety （浙）JZ安许证字〔8888〕888888",
		"11100000MB19000005901": "出生医学证明 birth W888888888",
		"11100000000019713D071": "道路运输从业人员从业资格证 road-transport 8888888888888888888",
		"113301000024903302901": "建设工程竣工联合验收意见书 joint-acceptance 杭联验〔8888〕88888号",
		"113301000024903302902": "建设项目批准文件 approval-document 杭建批〔8888〕88888号",
		"11100000000013338W902": "建筑业企业资质证书 construction-qualification D388888888",
		"11100000000013338W903": "建筑工程施工许可证 construction-permit 888888888888888888",
		"11100000MB0143028R902": "营业执照 business-licence 888888888888888888",
		"11100000MB03271699001": "不动产权证书 real-estate 浙（8888）杭州市不动产权第8888888号",
		"11100000MB19000005902": "公共场所卫生许可证 public-hygiene 卫公证字〔8888〕第888888888888号",
		"11100000MB19000192901": "特种作业操作证 special-operation T888888888888888888",
		"11100000MB1900027W901": "民办学校办学许可证 private-school 教民188888888888888号",
		"11100000MB1900035P901": "烟草专卖零售许可证 tobacco-retail 888888188888",
		"11100000MB1900043J901": "取水许可证 water-abstraction D88888888888-8888",
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Error(diff)
	}
	for _, code := range []string{"", "11100000MB0143028R999", strings.Repeat("1", 10<<10)} {
		if it, err := c.Item(code); !errors.Is(err, licence.ErrNotFound) || it != nil || len(err.Error()) > 200 {
			t.Errorf("Item(%.30q): %v, %.200v", code, it, err)
		}
	}
	if c.Items()[0].Label("no such field") != "" {
		t.Error("a field that is not there has a label")
	}
}

func TestLoadCatalogueRefuses(t *testing.T) {
	item, err := os.ReadFile("../templates/catalogue/food-business/item.json")
	if err != nil {
		t.Fatal(err)
	}
	schema, err := os.ReadFile("../templates/catalogue/food-business/fields.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, file, old, new, says string }{
		{"not JSON", "item", "{", "", "not JSON"},
		{"member twice", "item", `"type_code":`, `"type_code": "x", "type_code":`, "twice"},
		{"unknown member", "item", `"layout"`, `"colour": "red", "layout"`, "colour"},
		{"wrong type", "item", `"long_term_allowed": false`, `"long_term_allowed": "no"`, "long_term_allowed"},
		{"type code", "item", `"11100000MB0143028R901"`, `"11100000MB0143028R000"`, "type code"},
		{"type code's check", "item", `"11100000MB0143028R901"`, `"11100000MB0143028X901"`, "check character"},
		{"defining authority", "item", `"code": "11100000MB0143028R"`, `"code": "11100000000013338W"`, "defining_authority"},
		{"level", "item", `"level": 1`, `"level": 6`, "level"},
		{"no name", "item", "食品经营许可证", "", "name"},
		{"no layout", "item", `"food-business"`, `""`, "layout"},
		{"no kinds", "item", "\"legal_person\"\n", "\n", "holder_kinds"},
		{"code type of another kind", "item", `"001"`, `"111"`, "111"},
		{"unknown code type", "item", `"001"`, `"002"`, "002"},
		{"three co-seals", "item", `"layout"`, `"co_seals": ["a", "b", "c"], "layout"`, "at most 2"},
		{"co-seal twice", "item", `"layout"`, `"co_seals": ["a", "a"], "layout"`, "twice"},
		{"co-seal of no kind", "item", `"layout"`, `"co_seals": ["a", ""], "layout"`, "co_seals[1]"},
		{"co-seal with a control character", "item", `"layout"`, `"co_seals": ["a\u200b"], "layout"`, "U+200B"},
		{"co-seals no list", "item", `"layout"`, `"co_seals": "a", "layout"`, "co_seals"},
		{"field not in the schema", "item", `"signatory"`, `"signature"`, "signature"},
		{"field twice", "item", `"signatory"`, `"residence"`, "residence"},
		{"field left out", "item", ",\n    \"signatory\"", "", "field_order"},
		{"no sequence", "item", "{sequence:6}", "", "sequence"},
		{"two sequences", "item", "{sequence:6}", "{sequence:6}{sequence:6}", "sequence"},
		{"sequence without width", "item", "{sequence:6}", "{sequence}", "sequence"},
		{"sequence too wide", "item", "{sequence:6}", "{sequence:13}", "sequence"},
		{"sequence of none", "item", "{sequence:6}", "{sequence:0}", "sequence"},
		{"division too wide", "item", "{division}", "{division:7}", "division"},
		{"unknown placeholder", "item", "{division}", "{colour}", "placeholder"},
		{"open placeholder", "item", "{division}", "{division", "placeholder"},
		{"check with a width", "item", "{check}", "{check:2}", "check"},
		{"check in the middle", "item", "{check}", "{check}A", "check"},
		{"field without codes", "item", "{field:business_form}", "{field:residence}", "residence"},
		{"field without name", "item", "{field:business_form}", "{field}", "field"},
		{"code of two digits", "item", `"食品销售经营者": "1"`, `"食品销售经营者": "12"`, "12"},
		{"rule with a control character", "item", `"JY{`, `"JY\u0000{`, "U+0000"},
		{"no rule", "item", `"JY{field:business_form}{division}{sequence:6}{check}"`, `""`, "number_rule"},
		{"schema not JSON", "schema", "{", "", "not JSON"},
		{"a list as schema", "schema", string(schema), "[]", "$schema"},
		{"other draft", "schema", "2020-12", "2019-09", "$schema"},
		{"extra fields let in", "schema", "\"additionalProperties\": false", "\"additionalProperties\": true", "additionalProperties"},
		{"extra fields not mentioned", "schema", "\"additionalProperties\": false,", "", "additionalProperties"},
		{"unbounded text", "schema", `"maxLength": 50`, `"minLength": 50`, "twice"},
		{"no maxLength", "schema", ",\n      \"maxLength\": 50", "", "maxLength"},
		{"large maxLength", "schema", `"maxLength": 50`, `"maxLength": 2001`, "maxLength"},
		{"maxLength a text", "schema", `"maxLength": 50`, `"maxLength": "50"`, "maxLength"},
		{"no maxItems", "schema", "\"maxItems\": 40,", "", "maxItems"},
		{"large maxItems", "schema", `"maxItems": 40`, `"maxItems": 100000`, "maxItems"},
		{"no title", "schema", `"title": "签发人",`, "", "title"},
		{"remote reference", "schema", `"title": "签发人",`, `"title": "签发人", "$ref": "https://example.com/schema",`, "$ref"},
		{"file reference", "schema", `"title": "签发人",`, `"title": "签发人", "$ref": "file:///etc/passwd",`, "$ref"},
		{"own reference", "schema", `"title": "签发人",`, `"title": "签发人", "$ref": "#",`, "$ref"},
		{"identifier", "schema", `"title": "签发人",`, `"title": "签发人", "$id": "https://example.com/",`, "$id"},
		{"combination", "schema", `"title": "签发人",`, `"title": "签发人", "anyOf": [true],`, "anyOf"},
		{"several types", "schema", `"type": "string"`, `"type": ["string", "null"]`, "type"},
		{"number type", "schema", `"type": "string"`, `"type": "number"`, "type"},
		{"bad pattern", "schema", `^[0-9-]{5,20}$`, `^[0-9-{5,20}$`, "pattern"},
		{"a pattern that grows", "schema", `^[0-9-]{5,20}$`, `^(.{100}){10}(.{100}){10}[0-9-]{5,20}$`, "steps for a character"},
		{"patterns that grow together", "schema", `"title": "签发人",`, `"title": "签发人", "enum": [` + strings.Repeat(`{"pattern": ".{900}"},`, 14) + `"x"],`, "together"},
		{"bad required", "schema", `"required": [`, `"required": [1,`, "required"},
		{"field name", "schema", `"signatory": {`, `"Signatory!": {`, "snake_case"},
		{"deep", "schema", string(schema), strings.Repeat(`{"items":`, 200), "nested"},
		{"large", "schema", string(schema), strings.Repeat(" ", 300<<10), "larger"},
	} {
		files := map[string]string{"item": string(item), "schema": string(schema)}
		if !strings.Contains(files[c.file], c.old) {
			t.Fatalf("%s: %q is not in the file", c.name, c.old)
		}
		files[c.file] = strings.Replace(files[c.file], c.old, c.new, 1)
		got, err := licence.LoadCatalogue(fstest.MapFS{
			"a/item.json":          {Data: []byte(files["item"])},
			"a/fields.schema.json": {Data: []byte(files["schema"])},
		})
		if err == nil || got != nil || !strings.Contains(err.Error(), "a/") || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, %v; want an error naming the file and %q", c.name, got, err, c.says)
		}
	}
	for name, fsys := range map[string]fstest.MapFS{
		"nothing":   {},
		"no schema": {"a/item.json": {Data: item}},
		"type twice": {
			"a/item.json": {Data: item}, "a/fields.schema.json": {Data: schema},
			"b/item.json": {Data: item}, "b/fields.schema.json": {Data: schema},
		},
	} {
		if c, err := licence.LoadCatalogue(fsys); err == nil || c != nil {
			t.Errorf("%s: %v, %v; want an error", name, c, err)
		}
	}
}

func TestFormatNumber(t *testing.T) {
	c := catalogue(t)
	for _, s := range []struct {
		name     string
		sequence int64
		want     string
		scope    string
	}{
		{"food-restaurant", 1, "JY23301060000014", "JY2330106##"},
		{"food-canteen", 1, "JY33301060000019", "JY3330106##"},
		{"food-retail", 999999, "JY13301069999990", "JY1330106##"},
		{"safety-builder", 403, "（浙）JZ安许证字〔2026〕000403", "（浙）JZ安许证字〔2026〕#"},
		{"birth-one-parent", 127, "W330000127", "W33#"},
		{"driver-freight", 123, "3301002026000000123", "3301002026#"},
		{"qualification-one", 127, "D333000127", "D333#"},
	} {
		body, a := sample(t, s.name)
		r, _, err := licence.ParseRequest(body, c, a, today)
		if err != nil {
			t.Fatal(err)
		}
		it, err := c.Item(r.TypeCode)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := it.FormatNumber(r, s.sequence); err != nil || got != s.want || it.NumberScope(r) != s.scope {
			t.Errorf("%s: %q, %v, scope %q; want %q, %q", s.name, got, err, it.NumberScope(r), s.want, s.scope)
		}
		// A number that the rule makes is one that a request may bring.
		if r.Number = s.want; it.Check(r, today) != nil {
			t.Errorf("%s: its own number is refused: %v", s.name, it.Check(r, today))
		}
		for _, sequence := range []int64{0, -1, 1e9, 1 << 62} {
			if got, err := it.FormatNumber(r, sequence); err == nil || got != "" {
				t.Errorf("%s: sequence %d: %q", s.name, sequence, got)
			}
		}
		if got, err := it.FormatNumber(licence.Request{}, 1); err == nil || got != "" {
			t.Errorf("%s: an empty request: %q", s.name, got)
		}
	}
}
