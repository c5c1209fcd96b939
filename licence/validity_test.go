package licence_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"elicence/licence"
)

// edited is the food type with members of its item replaced, as JSON.
func edited(t testing.TB, members map[string]any) (*licence.CatalogueItem, error) {
	t.Helper()
	var doc map[string]any
	if err := json.Unmarshal([]byte(readFile(t, "../templates/catalogue/food-business/item.json")), &doc); err != nil {
		t.Fatal(err)
	}
	for name, value := range members {
		if doc[name] = value; value == nil {
			delete(doc, name)
		}
	}
	b, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return licence.ParseItem(b, []byte(readFile(t, "../templates/catalogue/food-business/fields.schema.json")))
}

func mustEdit(t testing.TB, members map[string]any) *licence.CatalogueItem {
	t.Helper()
	it, err := edited(t, members)
	if err != nil {
		t.Fatal(err)
	}
	return it
}

// born are citizen numbers by date of birth.
func born(day string) string {
	code := "330106" + strings.ReplaceAll(day, "-", "") + "001"
	for _, check := range "0123456789X" {
		if today, _ := licence.ParseDate("2100-01-01"); licence.CheckCitizenNumber(code+string(check), today) == nil {
			return code + string(check)
		}
	}
	panic("no check digit for " + day)
}

// askFor asks for a licence of a type; expires "" leaves it out.
func askFor(t testing.TB, it *licence.CatalogueItem, effective, expires, citizen string) (licence.Request, error) {
	t.Helper()
	var doc map[string]any
	if err := json.Unmarshal([]byte(readFile(t, "../testdata/requests/food-restaurant.json")), &doc); err != nil {
		t.Fatal(err)
	}
	doc["issued_on"], doc["effective_on"] = effective, effective
	if doc["expires_on"] = expires; expires == "" {
		delete(doc, "expires_on")
	}
	if citizen != "" {
		doc["holder"] = map[string]any{"name": "王某", "code": citizen, "code_type": "111"}
	}
	b, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	today, _ := licence.ParseDate("2099-01-01")
	r, _, err := licence.ParseRequest(b, licence.NewCatalogue([]*licence.CatalogueItem{it}), licence.IssuingAuthority{Name: "局", Code: "11330106002504122C", Division: "330106"}, today)
	return r, err
}

// TestValidity: the last day that a range gives, leap days and days beyond 2038 among them,
// is filled in and enforced.
func TestValidity(t *testing.T) {
	natural := map[string]any{"holder_kinds": []string{"natural_person"}, "holder_code_types": []string{"111"}}
	for _, w := range []struct {
		span, check, from string
		age               int
		born              string
		want              string // filled in; empty: nothing is
		refused           string // a last day that is refused
		allowed           string // another that is not
	}{
		{span: "5年", check: "exact", from: "2026-03-12", want: "2031-03-11", refused: "2031-03-12"},
		{span: "5年", check: "at_most", from: "2026-03-12", want: "2031-03-11", refused: "2031-03-12", allowed: "2030-01-01"},
		{span: "1年", check: "exact", from: "2028-02-29", want: "2029-02-28", refused: "2029-03-01"},
		{span: "4年", check: "exact", from: "2028-02-29", want: "2032-02-28", refused: "2032-02-29"},
		{span: "1年", check: "exact", from: "2027-03-01", want: "2028-02-29", refused: "2028-02-28"},
		{span: "1月", check: "exact", from: "2027-01-31", want: "2027-02-28", refused: "2027-03-02"},
		{span: "1月", check: "exact", from: "2028-01-30", want: "2028-02-29", refused: "2028-02-28"},
		{span: "18月", check: "exact", from: "2026-08-15", want: "2028-02-14", refused: "2028-02-15"},
		{span: "30天", check: "exact", from: "2026-12-15", want: "2027-01-13", refused: "2027-01-14"},
		{span: "1天", check: "exact", from: "2026-12-31", want: "2026-12-31", refused: "2027-01-01"},
		{span: "50年", check: "exact", from: "2026-03-12", want: "2076-03-11", refused: "2038-01-19"},
		{span: "3年^5年", check: "exact", from: "2026-03-12", refused: "2030-03-11", allowed: "2029-03-11"},
		{span: "3年^5年", check: "at_most", from: "2026-03-12", refused: "2031-03-12", allowed: "2031-03-11"},
		{span: "6年", check: "exact", from: "2026-03-12", age: 60, born: "1990-05-01", want: "2032-03-11", refused: "2050-04-30"},
		{span: "6年", check: "exact", from: "2026-03-12", age: 60, born: "1968-05-01", want: "2028-04-30", refused: "2032-03-11"},
		{span: "长期", check: "exact", from: "2026-03-12", age: 18, born: "2020-02-29", want: "2038-02-28", refused: "2038-03-01"},
		{span: "长期", check: "exact", from: "2026-03-12", age: 20, born: "2020-02-29", want: "2040-02-28", refused: "2040-02-29"},
		{span: "300年", check: "exact", from: "2026-03-12", refused: "2100-01-01"}, // beyond all dates
		{span: "长期", check: "exact", from: "2026-03-12", age: 18, born: "2000-01-01", refused: "2030-01-01"},
	} {
		members := map[string]any{"validity_range": w.span, "validity_check": w.check}
		if w.age > 0 {
			members["until_age"] = w.age
			for name, value := range natural {
				members[name] = value
			}
		}
		it := mustEdit(t, members)
		citizen := ""
		if w.born != "" {
			citizen = born(w.born)
		}
		r, err := askFor(t, it, w.from, "", citizen)
		if got := r.ExpiresOn.String(); got != w.want || (err == nil) != (w.want != "") {
			t.Errorf("%+v: filled in %q, %v", w, got, err)
		}
		for _, allowed := range []string{w.want, w.allowed} {
			if _, err := askFor(t, it, w.from, allowed, citizen); allowed != "" && err != nil {
				t.Errorf("%+v: %s is refused: %v", w, allowed, err)
			}
		}
		var invalid *licence.RequestError
		if _, err := askFor(t, it, w.from, w.refused, citizen); !errors.As(err, &invalid) || invalid.Fields[0].Field != "expires_on" {
			t.Errorf("%+v: %s is not refused: %v", w, w.refused, err)
		}
	}
}

// TestValidityRenewed: a renewal counts from the day after the old last day, and may leave
// its own out.
func TestValidityRenewed(t *testing.T) {
	it := mustEdit(t, map[string]any{"validity_check": "exact"})
	r, err := askFor(t, it, "2023-03-01", "2028-02-29", "")
	if err != nil {
		t.Fatal(err)
	}
	old := &licence.Licence{TypeCode: it.TypeCode, Number: "JY23301060000018", Holder: r.Holder, Authority: r.Authority,
		IssuedOn: r.IssuedOn, EffectiveOn: r.EffectiveOn, ExpiresOn: r.ExpiresOn, Fields: r.Fields}
	today, _ := licence.ParseDate("2028-02-01")
	for body, want := range map[string]string{
		`{"reason": "延续"}`:                                                           "2033-02-28",
		`{"reason": "延续", "expires_on": "2033-02-28"}`:                               "2033-02-28",
		`{"reason": "延续", "expires_on": "2033-03-01"}`:                               "",
		`{"reason": "延续", "expires_on": "2033-01-31", "effective_on": "2028-02-01"}`: "2033-01-31",
	} {
		q, err := it.ParseVersionRequest(licence.OpRenew, []byte(body), old, r.Authority, today)
		if got := q.ExpiresOn.String(); got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %s, %v; want %s", body, got, err, want)
		}
	}
}

// TestIssuers: who may issue, by level and by name.
func TestIssuers(t *testing.T) {
	for _, w := range []struct {
		levels  []int
		issuers []string
		ok      bool
	}{{nil, nil, true}, {[]int{4}, nil, true}, {[]int{2, 3}, nil, false}, {nil, []string{"11330106002504122C"}, true}, {nil, []string{"11330100002490170T"}, false},
		{[]int{3}, []string{"11330106002504122C"}, true}} {
		it := mustEdit(t, map[string]any{"issuing_levels": append([]int{}, w.levels...), "issuers": append([]string{}, w.issuers...)})
		_, err := askFor(t, it, "2026-03-12", "2031-03-11", "")
		var invalid *licence.RequestError
		if (err == nil) != w.ok || err != nil && (!errors.As(err, &invalid) || invalid.Fields[0].Field != "authority.code") {
			t.Errorf("%+v: %v", w, err)
		}
	}
}

// TestItemRefuses is a table of members that do not fit together.
func TestItemRefuses(t *testing.T) {
	for _, w := range []struct {
		says    string
		members map[string]any
	}{
		{"kind", map[string]any{"kind": "执照"}},
		{"holder_category", map[string]any{"holder_category": "公司"}},
		{"holder_category 自然人 does not fit", map[string]any{"holder_category": "自然人"}},
		{"holder_category 混合 does not fit", map[string]any{"holder_category": "混合"}},
		{"validity_range", map[string]any{"validity_range": ""}},
		{"validity_range", map[string]any{"validity_range": "5年^5年"}},
		{"validity_range", map[string]any{"validity_range": "05年"}},
		{"validity_range", map[string]any{"validity_range": "-5年"}},
		{"validity_range", map[string]any{"validity_range": "5年^"}},
		{"validity_range", map[string]any{"validity_range": "99999年"}},
		{"validity_range", map[string]any{"validity_range": "五年"}},
		{"validity_check", map[string]any{"validity_check": "roughly"}},
		{"long_term_allowed", map[string]any{"validity_check": "exact", "validity_range": "长期"}},
		{"long_term_allowed", map[string]any{"validity_check": "exact", "long_term_allowed": true}},
		{"until_age without", map[string]any{"until_age": 60}},
		{"until_age needs", map[string]any{"until_age": 60, "validity_check": "exact"}},
		{"until_age is outside", map[string]any{"until_age": 151, "validity_check": "exact"}},
		{"issuing_levels", map[string]any{"issuing_levels": []int{1}}},
		{"issuing_levels", map[string]any{"issuing_levels": []int{3, 3}}},
		{"township", map[string]any{"number_rule": "J{division:9}{sequence:4}", "number_codes": nil}},
		{"issuing_levels must be 5", map[string]any{"number_rule": "J{division:7}{sequence:4}", "number_codes": nil, "issuing_levels": []int{4, 5}}},
		{"issuing_levels must be 5", map[string]any{"number_rule": "J{division:9}{sequence:4}", "number_codes": nil, "issuing_levels": []int{5}, "issuers": []string{"11330106002504122C"}}},
		{"width of 1 to 9", map[string]any{"number_rule": "J{division:10}{sequence:4}", "number_codes": nil, "issuing_levels": []int{5}}},
		{"issuers", map[string]any{"issuers": []string{"11330106002504122X"}}},
		{"listed twice", map[string]any{"issuing_levels": []int{6}}},
		{"issuers lists", map[string]any{"issuers": []string{"11330106002504122C", "11330106002504122C"}}},
	} {
		if it, err := edited(t, w.members); it != nil || err == nil || !strings.Contains(err.Error(), w.says) {
			t.Errorf("%v: %v, want %q", w.members, err, w.says)
		}
	}
}

// TestMasked: what a mask leaves, also of texts too short for it.
func TestMasked(t *testing.T) {
	item, schema := readFile(t, "../templates/catalogue/food-business/item.json"), readFile(t, "../templates/catalogue/food-business/fields.schema.json")
	masked := func(rule string) (*licence.CatalogueItem, error) {
		return licence.ParseItem([]byte(item), bytes.Replace([]byte(schema), []byte(`"title": "投诉举报电话",`), []byte(`"title": "投诉举报电话", "mask": `+rule+`,`), 1))
	}
	it, err := masked(`{"first": 3, "last": 2}`)
	if err != nil {
		t.Fatal(err)
	}
	for given, want := range map[string]string{"057112345678": "057*******78", "123456": "123*56", "12345": "*****", "": "", "一二三四五六七": "一二三**六七"} {
		l := &licence.Licence{Holder: licence.Holder{Name: "杭州某公司", Code: "91330106MA0000A19Q", CodeType: "001"}, Fields: map[string]any{"complaint_telephone": given, "residence": "x"}}
		got := it.Masked(l)
		if got.Fields["complaint_telephone"] != want || got.Fields["residence"] != "x" || got.Holder != l.Holder || l.Fields["complaint_telephone"] != given {
			t.Errorf("%q: %+v", given, got)
		}
	}
	person := &licence.Licence{Number: born("1990-05-01"), Holder: licence.Holder{Name: "欧阳一诺", Code: born("1990-05-01"), CodeType: "111"}}
	var none *licence.CatalogueItem
	if got := none.Masked(person); got.Holder.Name != "欧***" || got.Holder.Code != born("1990-05-01")[:3]+"***********"+born("1990-05-01")[14:] || got.Number != got.Holder.Code {
		t.Errorf("a person: %+v", got)
	}
	for _, rule := range []string{`1`, `{"first": -1}`, `{"first": 1000}`, `{"middle": 1}`, `{"first": "3"}`} {
		if _, err := masked(rule); err == nil {
			t.Errorf("mask %s is taken", rule)
		}
	}
	rows := strings.Replace(schema, `"items": {`, `"items": {"mask": {"first": 1},`, 1)
	if _, err := licence.ParseItem([]byte(item), []byte(rows)); err == nil {
		t.Error("a mask inside a list is taken")
	}
}

// TestSample: of every shipped type a sample can be made, and it is a request for it.
func TestSample(t *testing.T) {
	today, _ := licence.ParseDate("2026-03-01")
	for _, it := range catalogue(t).Items() {
		r, err := it.Sample(nil, today)
		if err != nil || r.TypeCode != it.TypeCode || len(r.Fields) != len(it.FieldOrder) {
			t.Errorf("%s: %+v, %v", it.Name, r, err)
		}
	}
}

// TestCheckCharacters compares the schemes with numbers of other makers: a citizen number of
// GB 11643 (MOD 11-2) and an identifier of GB/T 36904 (MOD 37,36).
func TestCheckCharacters(t *testing.T) {
	for _, w := range []struct{ rule, want string }{
		{"110105{year}1231{sequence:3}{check:mod11_2}", "11010519491231002X"},
		{"11100000000013338W009.11330105002500287C.{sequence:10}.002.{check:mod37_36}", "11100000000013338W009.11330105002500287C.2025052201.002.0"},
	} {
		it := mustEdit(t, map[string]any{"number_rule": w.rule, "number_codes": nil})
		issued, _ := licence.ParseDate("1949-12-31")
		sequence := int64(2)
		if strings.Contains(w.rule, "sequence:10") {
			sequence = 2025052201
		}
		if got, err := it.FormatNumber(licence.Request{IssuedOn: issued}, sequence); err != nil || got != w.want {
			t.Errorf("%s: %s, %v; want %s", w.rule, got, err, w.want)
		}
	}
	for _, rule := range []string{"{sequence:3}{check:mod97}", "{sequence:3}{check:1}", "{check:mod11_2}{sequence:3}"} {
		if _, err := edited(t, map[string]any{"number_rule": rule, "number_codes": nil}); err == nil {
			t.Errorf("%s is taken", rule)
		}
	}
}
