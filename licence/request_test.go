package licence_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"elicence/licence"
	"elicence/testdata/hostile"

	"github.com/google/go-cmp/cmp"
)

func TestParseRequest(t *testing.T) {
	types := map[string]int{}
	for _, name := range append(sampleNames(t), namesIn(t, "types/", 8)...) {
		body, a := sample(t, name)
		r, k, err := licence.ParseRequest(body, catalogue(t), a, today)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if r.Authority != a || r.Holder.Name == "" || r.IssuedOn.IsZero() || k.Number == "" || k.MatterCode == "" || k.Operator == "" {
			t.Errorf("%s: %+v, %+v", name, r, k)
		}
		types[r.TypeCode]++
	}
	for _, it := range catalogue(t).Items() {
		if types[it.TypeCode] == 0 && !it.Document { // their samples need a file: testdata/documents
			t.Errorf("%s has no sample request", it.Name)
		}
	}
}

// TestParseRequestRefuses changes one thing in a good request; exactly the fields
// it says must be named, with those codes.
func TestParseRequestRefuses(t *testing.T) {
	const food, many, birth, driver = "food-canteen", "qualification-many", "birth-two-parents", "driver-freight"
	name := `"name": "杭州市云栖样例实验小学"`
	rep := func(s string) string { return `"name": "` + s + `"` }
	for _, c := range []struct{ name, sample, old, new, want string }{
		{"unknown type", food, "11100000MB0143028R901", "11100000MB0143028R999", "type_code unknown_type"},
		{"no type", food, `"type_code": "11100000MB0143028R901",`, ``, "type_code unknown_type"},
		{"type a number", food, `"type_code": "11100000MB0143028R901"`, `"type_code": 1`, "type_code wrong_type"},
		{"extra member", food, `"holder": {`, `"status": "valid", "holder": {`, "status unknown_field"},
		{"authority in the body", food, `"holder": {`, `"authority": {"code": "1"}, "holder": {`, "authority unknown_field"},
		{"extra member of holder", food, name, name + `, "address": "x"`, "holder.address unknown_field"},
		{"extra field", food, `"signatory"`, `"colour": "red", "signatory"`, "fields.colour unknown_field"},
		{"field of another type", food, `"signatory"`, `"mother_age": 3, "signatory"`, "fields.mother_age unknown_field"},
		{"missing field", food, `"signatory": "郑立群"`, `"colour": "red"`, "fields.colour unknown_field;fields.signatory missing"},
		{"member twice", food, name, name + "," + name, "holder.name duplicate_member"},
		{"odd member name", food, `"signatory"`, `"a\u0000\u202e.b[": "x", "signatory"`, `fields."a\x00\u202e.b[" control_character`},
		{"holder a text", food, "\"holder\": {\n    \"name\": \"杭州市云栖样例实验小学\",\n    \"code\": \"123301060000000192\",\n    \"code_type\": \"001\"\n  }", `"holder": "x"`,
			"holder wrong_type;holder.code missing;holder.code_type missing;holder.name missing"},

		{"no name", food, name + ",", ``, "holder.name missing"},
		{"empty name", food, name, rep(""), "holder.name too_short"},
		{"name of blank Braille", food, name, rep(`\u2800\u2800`), "holder.name bad_format"},
		{"name of marks", food, name, rep("——（）·"), "holder.name bad_format"},
		{"null name", food, name, `"name": null`, "holder.name wrong_type"},
		{"name of 201", food, name, rep(strings.Repeat("长", 201)), "holder.name too_long"},
		{"name of 1,000", food, name, rep(strings.Repeat("𪚥", 1000)), "holder.name too_long"},
		{"line end", food, name, rep(`a\nb`), "holder.name control_character"},
		{"bell", food, name, rep(`a\u0007`), "holder.name control_character"},
		{"delete", food, name, rep(`a\u007f`), "holder.name control_character"},
		{"next line", food, name, rep(`a\u0085b`), "holder.name control_character"},
		{"line separator", food, name, rep(`a\u2028b`), "holder.name control_character"},
		{"right-to-left override", food, name, rep(`a\u202eb`), "holder.name bidi_control"},
		{"isolate", food, name, rep(`a\u2066b`), "holder.name bidi_control"},
		{"Arabic letter mark", food, name, rep(`a\u061cb`), "holder.name bidi_control"},
		{"zero-width space", food, name, rep(`a\u200bb`), "holder.name zero_width"},
		{"zero-width joiner", food, name, rep(`a\u200db`), "holder.name zero_width"},
		{"byte order mark", food, name, rep(`a\ufeffb`), "holder.name zero_width"},
		{"soft hyphen", food, name, rep(`a\u00adb`), "holder.name zero_width"},
		{"Hangul filler", food, name, rep(`a\u3164b`), "holder.name zero_width"},
		{"variation selector", food, name, rep(`葛\udb40\udd00`), "holder.name zero_width"},
		{"tag character", food, name, rep(`a\udb40\udc41`), "holder.name zero_width"},
		{"private use", food, name, rep(`\ue000`), "holder.name private_use"},
		{"private use, plane 16", food, name, rep(`\udbff\udffd`), "holder.name private_use"},
		{"noncharacter", food, name, rep(`a\ufffe`), "holder.name bad_character"},
		{"replacement character", food, name, rep(`a\ufffd`), "holder.name bad_character"},
		{"half a surrogate", food, name, rep(`\ud842`), "holder.name invalid_utf8"},
		{"invalid UTF-8", food, name, rep("a\xffb"), "holder.name invalid_utf8"},
		{"space before", food, name, rep(" a"), "holder.name surrounding_space"},
		{"ideographic space behind", food, name, rep("a\u3000"), "holder.name surrounding_space"},
		{"only spaces", food, name, rep("  "), "holder.name surrounding_space"},

		{"check character", food, "123301060000000192", "123301060000000193", "holder.code bad_code"},
		{"citizen number for a company", food, "123301060000000192", "11010519491231002X", "holder.code bad_code"},
		{"person for a company's type", food, "\"123301060000000192\",\n    \"code_type\": \"001\"", `"11010519491231002X", "code_type": "111"`, "holder.code_type not_allowed"},
		{"unknown code type", food, `"code_type": "001"`, `"code_type": "002"`, "holder.code_type not_allowed"},
		{"code type a number", food, `"code_type": "001"`, `"code_type": 1`, "holder.code_type wrong_type"},
		{"long code", food, "123301060000000192", strings.Repeat("1", 10_000), "holder.code bad_code"},

		{"not issued", food, `"issued_on": "2026-02-26",`, ``, "issued_on missing"},
		{"no such day", food, "2026-02-26", "2026-02-29", "issued_on bad_format"},
		{"date with time", food, "2026-02-26", "2026-02-26T00:00:00Z", "issued_on bad_format"},
		{"date a number", food, `"2026-02-26"`, "20260226", "issued_on wrong_type"},
		{"empty date", food, "2031-02-28", "", "expires_on too_short"},
		{"1899", food, "2026-02-26", "1899-12-31", "issued_on out_of_range"},
		{"the day after tomorrow", food, "2026-02-26", "2026-07-02", "issued_on out_of_range"},
		{"years ahead", food, `"2026-02-26"`, `"2029-02-26"`, "issued_on out_of_range"},
		{"2201", food, "2031-02-28", "2201-01-01", "expires_on out_of_range"},
		{"expires before effective", food, "2031-02-28", "2026-02-28", "expires_on date_order"},
		{"expires before issue", food, "2026-02-26", "2031-03-01", "expires_on date_order;issued_on out_of_range"},
		{"no last day", food, `"expires_on": "2031-02-28",`, ``, "expires_on missing"},

		{"no case", food, `"case_number": "3301062026022600004",`, ``, "case_number missing"},
		{"long case", food, "3301062026022600004", strings.Repeat("1", 65), "case_number too_long"},
		{"case a number", food, `"3301062026022600004"`, "33010620260226", "case_number wrong_type"},
		{"matter with a line end", food, "330131021001", `330\r\n131`, "matter_code control_character"},
		{"empty operator", food, "西湖区审批窗口-02", "", "operator too_short"},

		{"number of another rule", food, `"holder": {`, `"number": "SC10133010600001", "holder": {`, "number bad_number"},
		{"number's check digit", food, `"holder": {`, `"number": "JY33301060000018", "holder": {`, "number bad_number"},
		{"number's division", food, `"holder": {`, `"number": "JY33301050000019", "holder": {`, "number bad_number"},
		{"number's business form", food, `"holder": {`, `"number": "JY23301060000014", "holder": {`, "number bad_number"},
		{"number cut", food, `"holder": {`, `"number": "JY3330106000001", "holder": {`, "number bad_number"},
		{"number too long", food, `"holder": {`, `"number": "JY333010600000191", "holder": {`, "number bad_number"},
		{"full-width number", food, `"holder": {`, `"number": "JY3330106００００0019", "holder": {`, "number bad_number"},
		{"very long number", food, `"holder": {`, `"number": "` + strings.Repeat("1", 1000) + `", "holder": {`, "number too_long"},
		{"empty number", food, `"holder": {`, `"number": "", "holder": {`, "number too_short"},

		{"field of the wrong type", food, `"signatory": "郑立群"`, `"signatory": ["郑立群"]`, "fields.signatory wrong_type"},
		{"field too long", food, "沈若愚", strings.Repeat("长", 51), "fields.legal_representative too_long"},
		{"field empty", food, "沈若愚", "", "fields.legal_representative too_short"},
		{"field null", food, `"沈若愚"`, "null", "fields.legal_representative wrong_type"},
		{"field with a control", food, "沈若愚", `沈\t若愚`, "fields.legal_representative control_character"},
		{"pattern", food, `"12315"`, `"12315 ext 4"`, "fields.complaint_telephone bad_format"},
		{"business form", food, "集中用餐单位食堂（学校食堂）", "烧烤摊", "fields.business_form bad_format"},
		{"list empty", food, "\"何静\",\n      \"钱一鸣\"", "", "fields.supervisors too_few"},
		{"list of five", food, `"何静"`, `"a","b","c","d"`, "fields.supervisors too_many"},
		{"list with a number", food, `"何静"`, `1`, "fields.supervisors[0] wrong_type"},
		{"list with an override", food, `"何静"`, `"何\u202e静"`, "fields.supervisors[0] bidi_control"},
		{"fraction", birth, "3280", "3280.5", "fields.weight_grams not_an_integer"},
		{"too heavy", birth, "3280", "32800", "fields.weight_grams out_of_range"},
		{"too light", birth, "3280", "-1", "fields.weight_grams out_of_range"},
		{"weight a text", birth, "3280", `"3280"`, "fields.weight_grams wrong_type"},
		{"enum", birth, `"sex": "女"`, `"sex": "F"`, "fields.sex not_allowed"},
		{"time of birth on no day", birth, "2026-03-05T", "2026-02-30T", "fields.born_at bad_format"},
		{"time of birth", birth, "T08:12", "T25:12", "fields.born_at bad_format"},
		{"date in a field", driver, `"birth_date": "1988-07-16"`, `"birth_date": "1988-02-30"`, "fields.birth_date bad_format"},
		{"date in a row", driver, `"valid_until": "2032-05-19"`, `"valid_until": "长期"`, "fields.categories[0].valid_until bad_format"},
		{"missing in a row", many, `"grade": "壹级",`, ``, "fields.qualifications[0].grade missing"},
		{"extra in a row", many, `"grade": "壹级",`, `"grade": "壹级", "x": 1,`, "fields.qualifications[0].x unknown_field"},
		{"row a text", many, `"qualifications": [`, `"qualifications": ["x",`, "fields.qualifications[0] wrong_type"},
		{"61 rows", many, `"qualifications": [`, `"qualifications": [` + strings.Repeat(`{"category":"a","grade":"b","approved_on":"2026-01-01"},`, 13), "fields.qualifications too_many"},
		{"fields a list", food, `"fields": {`, `"other": {`, "fields missing;" + missingFood + ";other unknown_field"},
	} {
		body, a := sample(t, c.sample)
		if !strings.Contains(string(body), c.old) {
			t.Fatalf("%s: %q is not in %s", c.name, c.old, c.sample)
		}
		body = []byte(strings.Replace(string(body), c.old, c.new, 1))
		r, k, err := licence.ParseRequest(body, catalogue(t), a, today)
		if got := faults(t, err); got != c.want {
			t.Errorf("%s: %s; want %s\n%v", c.name, got, c.want, err)
		}
		r.TypeCode = "" // all that there may be
		if diff := cmp.Diff(r, licence.Request{}); diff != "" || k != (licence.Case{}) {
			t.Errorf("%s: results beside the error: %s %v", c.name, diff, k)
		}
		if err != nil && len(err.Error()) > 20_000 {
			t.Errorf("%s: an error of %d bytes", c.name, len(err.Error()))
		}
	}
}

const missingFood = "fields.business_form missing;fields.business_items missing;fields.complaint_telephone missing;" +
	"fields.legal_representative missing;fields.premises missing;fields.residence missing;fields.signatory missing;" +
	"fields.supervising_body missing;fields.supervisors missing"

// faults writes an error as "path code;path code".
func faults(t *testing.T, err error) string {
	t.Helper()
	var invalid *licence.RequestError
	if !errors.As(err, &invalid) {
		t.Errorf("%v is not a RequestError", err)
		return ""
	}
	var list []string
	for _, f := range invalid.Fields {
		if f.Detail == "" {
			t.Errorf("%s %s has no detail", f.Field, f.Code)
		}
		list = append(list, f.Field+" "+f.Code)
	}
	return strings.Join(list, ";")
}

// TestEveryFaultAtOnce proves that one refusal names all that is wrong.
func TestEveryFaultAtOnce(t *testing.T) {
	body := `{"type_code":"11100000MB19000005901","number":"X1","colour":"red",
		"holder":{"name":"a\u200bb","code":"110105194912310021","code_type":"111","x":1},
		"issued_on":"2026-02-30","effective_on":"1800-01-01",
		"fields":{"newborn_name":"","sex":"x","born_at":"now","gestation_weeks":1.5,"weight_grams":"3","length_cm":500,
			"birth_place":"a\u0000","facility":null,"mother_age":31,"mother_nationality":"中国","mother_ethnicity":"汉族","mystery":1},
		"case_number":"","operator":7}`
	_, _, err := licence.ParseRequest([]byte(body), catalogue(t), licence.IssuingAuthority{}, today)
	want := strings.Join([]string{
		"authority.code bad_code", "authority.division bad_format", "authority.name missing",
		"case_number too_short", "colour unknown_field", "effective_on out_of_range",
		"fields.birth_place control_character", "fields.born_at bad_format", "fields.facility wrong_type", "fields.gestation_weeks not_an_integer",
		"fields.length_cm out_of_range", "fields.mother_address missing", "fields.mystery unknown_field", "fields.newborn_name too_short",
		"fields.sex not_allowed", "fields.weight_grams wrong_type",
		"holder.code bad_code", "holder.name zero_width", "holder.x unknown_field",
		"issued_on bad_format", "matter_code missing", "number bad_number", "operator wrong_type",
	}, ";")
	if got := faults(t, err); got != want {
		t.Errorf("%s", cmp.Diff(strings.Split(got, ";"), strings.Split(want, ";")))
	}
}

func TestParseRequestBounds(t *testing.T) {
	a := authorities["food"]
	for name, c := range map[string]struct{ body, want string }{
		"empty":    {"", " malformed_json"},
		"a list":   {"[]", " wrong_type"},
		"10 MB":    {`{"x":"` + strings.Repeat("x", 10<<20) + `"}`, " too_large"},
		"deep":     {`{"fields":` + strings.Repeat("[", 100_000), "fields" + strings.Repeat("[0]", 11) + " too_deep"},
		"not JSON": {`{"type_code":"1"`, " malformed_json"},
		"form":     {"type_code=1", " malformed_json"},
	} {
		_, _, err := licence.ParseRequest([]byte(c.body), catalogue(t), a, today)
		got := faults(t, err)
		if first, _, _ := strings.Cut(got, ";"); first != c.want {
			t.Errorf("%s: %.200s; want %s", name, got, c.want)
		}
	}
	var b strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&b, `"k%d":1,`, i)
	}
	_, _, err := licence.ParseRequest([]byte("{"+b.String()+`"z":1}`), catalogue(t), a, today)
	var invalid *licence.RequestError
	if !errors.As(err, &invalid) || len(invalid.Fields) > 200 {
		t.Errorf("5,000 unknown members: %.200v", err)
	}
}

// TestCheck is for callers that build a Request themselves, with values that no
// parser has seen.
func TestCheck(t *testing.T) {
	c := catalogue(t)
	for name, k := range map[string]struct {
		change func(*licence.Request)
		want   string
	}{
		"other type":      {func(r *licence.Request) { r.TypeCode = "x" }, "type_code unknown_type"},
		"no authority":    {func(r *licence.Request) { r.Authority = licence.IssuingAuthority{} }, "authority.code bad_code;authority.division bad_format;authority.name missing"},
		"division":        {func(r *licence.Request) { r.Authority.Division = "990000" }, "number bad_number"},
		"float":           {func(r *licence.Request) { r.Fields["scope"] = 1.5 }, "fields.scope wrong_type"},
		"struct":          {func(r *licence.Request) { r.Fields["scope"] = struct{}{} }, "fields.scope wrong_type"},
		"invalid UTF-8":   {func(r *licence.Request) { r.Holder.Name = "\xed\xa0\x80" }, "holder.name invalid_utf8"},
		"deep":            {func(r *licence.Request) { r.Fields["scope"] = nested(20) }, "fields.scope wrong_type;fields.scope" + strings.Repeat("[0]", 7) + " too_deep"},
		"large":           {func(r *licence.Request) { r.Fields["scope"] = strings.Repeat("x", 140<<10) }, "fields too_large;fields.scope too_long"},
		"many items":      {func(r *licence.Request) { r.Fields["scope"] = make([]any, 1001) }, "fields.scope too_many"},
		"no fields":       {func(r *licence.Request) { r.Fields = nil }, "fields.address missing;fields.economic_type missing;fields.principal missing;fields.scope missing"},
		"key with a bell": {func(r *licence.Request) { r.Fields["\a"] = "x" }, `fields."\a" control_character`},
	} {
		body, a := sample(t, "safety-builder")
		r, _, err := licence.ParseRequest(body, c, a, today)
		if err != nil {
			t.Fatal(err)
		}
		it, err := c.Item(r.TypeCode)
		if err != nil {
			t.Fatal(err)
		}
		k.change(&r)
		if got := faults(t, it.Check(r, today)); got != k.want {
			t.Errorf("%s: %s; want %s", name, got, k.want)
		}
	}
}

func nested(n int) any {
	v := any("x")
	for range n {
		v = []any{v}
	}
	return v
}

// FuzzParseRequest looks for a panic, and for a request that is accepted and makes
// no licence.
func FuzzParseRequest(f *testing.F) {
	for _, name := range sampleNames(f) {
		body, _ := sample(f, name)
		f.Add(body)
	}
	c := catalogue(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		var r licence.Request
		var err error
		hostile.Within(t, func() { r, _, err = licence.ParseRequest(body, c, authorities["birth"], today) })
		if err != nil {
			if !cmp.Equal(r, licence.Request{}) {
				t.Error("a request with an error")
			}
			return
		}
		it, err := c.Item(r.TypeCode)
		if err != nil || it.Check(r, today) != nil {
			t.Fatalf("%v, %v", err, it.Check(r, today))
		}
		if r.Number == "" {
			if r.Number, err = it.FormatNumber(r, 1); err != nil {
				t.Fatal(err)
			}
		}
		id, err := licence.NewIdentifier(r.TypeCode, r.Authority.Code, "1", 1)
		if err != nil {
			t.Fatal(err)
		}
		l := licence.Licence{
			Identifier: id, Number: r.Number, TypeCode: r.TypeCode, TypeName: it.Name, Version: 1, Holder: r.Holder, Authority: r.Authority,
			IssuedOn: r.IssuedOn, EffectiveOn: r.EffectiveOn, ExpiresOn: r.ExpiresOn, Fields: r.Fields,
		}
		data, err := l.Data()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := licence.ParseData(data); err != nil || !cmp.Equal(got, &l) {
			t.Fatalf("%v\n%s", err, cmp.Diff(got, &l))
		}
		if _, err := licence.FitQRPayload(licence.NewQRPayload(&l, data), "https://licence.example"); err != nil {
			t.Fatal(err)
		}
	})
}

// TestIssuedTomorrow: tomorrow is the last day that a licence may be issued on.
func TestIssuedTomorrow(t *testing.T) {
	body, a := sample(t, "food-canteen")
	s := strings.Replace(string(body), `"issued_on": "2026-02-26"`, `"issued_on": "2026-07-01"`, 1)
	if _, _, err := licence.ParseRequest([]byte(s), catalogue(t), a, today); err != nil || s == string(body) {
		t.Error(err)
	}
}
