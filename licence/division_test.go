package licence_test

import (
	"strings"
	"testing"

	"elicence/licence"
)

// TestCheckDivision: of 6 digits, or of 9 for a township, and nothing else.
func TestCheckDivision(t *testing.T) {
	for code, says := range map[string]string{
		"330000": "", "330100": "", "330106": "", "330106001": "", "330106100": "", "441900003": "", "659001500": "",
		"": "6 digits", "33010": "6 digits", "3301060": "6 digits", "33010600": "6 digits", "3301060011": "6 digits", "330106001001": "6 digits",
		"030106": "6 digits", "030106001": "6 digits", "33010a": "6 digits", "33010６": "6 digits", "330106 01": "6 digits", "-30106001": "6 digits",
		"330000001": "of a province", "330000000": "of a province", "330106000": "000", "330100000": "000",
	} {
		err := licence.CheckDivision(code)
		if (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want %q", code, err, says)
		}
	}
}

func TestWithin(t *testing.T) {
	for _, tt := range []struct {
		division, root string
		want           bool
	}{
		{"330106", "330106", true}, {"330106", "330100", true}, {"330106", "330000", true}, {"330100", "330106", false},
		{"330106", "330105", false}, {"440100", "330000", false}, {"330106", "", false}, {"", "330000", false}, {"", "", false}, {"330106", "000000", false},
		{"330106001", "330106", true}, {"330106001", "330100", true}, {"330106001", "330000", true}, {"330106001", "330106001", true},
		{"330106001", "330107", false}, {"330106", "330106001", false}, {"330106001", "330106002", false}, {"330106101", "330106100", false},
		{"441900003", "441900", true}, {"330106001", "3301", false}, {"3301", "330100", false}, {"330106001", "000000000", false},
	} {
		if got := licence.Within(tt.division, tt.root); got != tt.want {
			t.Errorf("Within(%q, %q) = %v", tt.division, tt.root, got)
		}
	}
}

// TestTownship: a township issues by its level, and its number says its county or itself.
func TestTownship(t *testing.T) {
	r, err := askFor(t, mustEdit(t, nil), "2026-03-12", "2031-03-11", "")
	if err != nil {
		t.Fatal(err)
	}
	const rule, wide = "J{division}{sequence:4}", "J{division:9}{sequence:4}"
	for _, w := range []struct {
		levels         []int
		rule, division string
		number, scope  string // of the first licence; empty: the authority does not issue
	}{
		{[]int{5}, rule, "330106001", "J3301060001", "J330106#"},
		{[]int{5}, rule, "330106002", "J3301060001", "J330106#"}, // the next sequence within the county
		{[]int{5}, wide, "330106001", "J3301060010001", "J330106001#"},
		{[]int{4, 5}, rule, "330106001", "J3301060001", "J330106#"},
		{[]int{4, 5}, "J{division:2}{sequence:4}", "330106001", "J330001", "J33#"},
		{[]int{4}, rule, "330106001", "", ""},
		{[]int{5}, rule, "330106", "", ""},
		{[]int{5}, wide, "330106", "", ""},
	} {
		it := mustEdit(t, map[string]any{"issuing_levels": w.levels, "number_rule": w.rule, "number_codes": nil})
		asked := r
		asked.Authority.Division = w.division
		if err := it.Check(asked, today); (err == nil) != (w.number != "") {
			t.Errorf("%v of %s: %v", w.levels, w.division, err)
		}
		if w.number == "" {
			continue
		}
		number, err := it.FormatNumber(asked, 1)
		if err != nil || number != w.number || it.NumberScope(asked) != w.scope || len(it.WidestNumber()) != len(number) {
			t.Errorf("%s of %s: %s, %s, %v", w.rule, w.division, number, it.NumberScope(asked), err)
		}
		if asked.Number = number; it.Check(asked, today) != nil {
			t.Errorf("%s of %s: its own number is refused: %v", w.rule, w.division, it.Check(asked, today))
		}
		if _, err := it.Sample(nil, today); err != nil {
			t.Errorf("%s: no sample: %v", w.rule, err)
		}
	}
}
