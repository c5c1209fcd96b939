package question_test

import (
	"strings"
	"testing"

	"elicence/licence"
	"elicence/licence/question"
	"elicence/templates"
)

func day(t *testing.T, s string) licence.Date {
	t.Helper()
	d, err := licence.ParseDate(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestCheckName: what can stand in a grant, for a type of legal persons and one of people.
func TestCheckName(t *testing.T) {
	catalogue, err := licence.LoadCatalogue(templates.Catalogue())
	if err != nil {
		t.Fatal(err)
	}
	common := func(field string) bool { return field == "number" || field == "holder.name" }
	const food, driver = "11100000MB0143028R901", "11100000000019713D071"
	for _, tt := range []struct {
		typeCode, name string
		ok             bool
	}{
		{food, "valid", true}, {food, "equals:number", true}, {food, "equals:holder.name", true}, {food, "equals:fields.premises", true},
		{driver, "over:18", true}, {driver, "over:120", true}, {driver, "over:1", true},
		{food, "over:18", false},
		{driver, "over:", false}, {driver, "over:0", false}, {driver, "over:121", false}, {driver, "over:018", false}, {driver, "over:+18", false},
		{driver, "over:18.5", false}, {driver, "over:-1", false}, {driver, "over: 18", false}, {driver, "over:99999999999999999999", false},
		{food, "", false}, {food, "Valid", false}, {food, "valid ", false}, {food, "valid:2026-01-01", false}, {food, "equals:", false}, {food, "equals:fields.", false},
		{food, "equals:fields.colour", false}, {food, "equals:premises", false}, {food, "equals:holder", false}, {food, "equals:authority.name", false},
		{food, "equals:fields.business_items", false}, {food, "equals:equals:number", false}, {food, "under:18", false}, {food, "equals:number\n", false},
	} {
		it, err := catalogue.Item(tt.typeCode)
		if err != nil {
			t.Fatal(err)
		}
		if err := question.CheckName(tt.name, it, common); (err == nil) != tt.ok {
			t.Errorf("%s of %s: %v", tt.name, tt.typeCode, err)
		}
	}
}

// TestCheckValue: a value goes with equals, and with nothing else.
func TestCheckValue(t *testing.T) {
	for _, tt := range []struct {
		name  string
		value any
		ok    bool
	}{
		{"valid", nil, true}, {"over:18", nil, true}, {"equals:number", "1", true}, {"equals:number", int64(0), true}, {"equals:number", false, true},
		{"valid", "x", false}, {"over:18", int64(18), false}, {"valid", false, false},
		{"equals:number", nil, false}, {"equals:number", "", false}, {"equals:number", " 　", false}, {"equals:number", strings.Repeat("a", question.MaxValue+1), false},
		{"equals:number", []any{"1"}, false}, {"equals:number", map[string]any{}, false}, {"equals:number", 1.5, false},
	} {
		if err := (question.Question{Name: tt.name, Value: tt.value}).CheckValue(); (err == nil) != tt.ok {
			t.Errorf("%s %v: %v", tt.name, tt.value, err)
		}
	}
}

// TestAsk: the answers, of one licence.
func TestAsk(t *testing.T) {
	citizen := licence.Holder{Name: "阿依古丽·买买提", Code: "11010519491231002X", CodeType: licence.CodeTypeCitizenNumber}
	leap := licence.Holder{Code: "110105200002290013", CodeType: licence.CodeTypeCitizenNumber}
	company := licence.Holder{Name: "中国铁建（杭州）有限公司", Code: "91110000600037341L", CodeType: licence.CodeTypeUSCC}
	fields := map[string]any{"number": "JY2330106012345X", "holder.name": company.Name, "fields.seats": int64(40), "fields.school": true, "fields.list": []any{"a"}, "expires_on": ""}
	for _, tt := range []struct {
		name   string
		value  any
		holder licence.Holder
		status licence.Status
		day    string
		want   question.Answer
	}{
		{"valid", nil, company, licence.StatusValid, "2026-03-01", question.Yes},
		{"valid", nil, company, licence.StatusExpired, "2026-03-01", question.No},
		{"valid", nil, company, licence.StatusNotYetValid, "2026-03-01", question.No},
		{"valid", nil, company, licence.StatusSuspended, "2026-03-01", question.No},
		{"valid", nil, company, licence.StatusRevoked, "2026-03-01", question.No},
		{"valid", nil, company, licence.StatusUnknown, "2026-03-01", question.No},
		{"over:76", nil, citizen, licence.StatusValid, "2026-03-01", question.Yes},
		{"over:77", nil, citizen, licence.StatusValid, "2026-12-30", question.No},
		{"over:77", nil, citizen, licence.StatusValid, "2026-12-31", question.Yes},
		{"over:77", nil, citizen, licence.StatusRevoked, "2026-12-31", question.Yes},
		{"over:26", nil, leap, licence.StatusValid, "2026-02-28", question.No},
		{"over:26", nil, leap, licence.StatusValid, "2026-03-01", question.Yes},
		{"over:18", nil, company, licence.StatusValid, "2026-03-01", question.Unknown},
		{"over:18", nil, licence.Holder{Code: "E12345678", CodeType: "414"}, licence.StatusValid, "2026-03-01", question.Unknown},
		{"over:18", nil, licence.Holder{Code: "110105194912310021", CodeType: licence.CodeTypeCitizenNumber}, licence.StatusValid, "2026-03-01", question.Unknown},
		{"equals:number", "JY2330106012345X", company, licence.StatusValid, "2026-03-01", question.Yes},
		{"equals:number", " ｊｙ２３３０１０６０１２３４５x ", company, licence.StatusValid, "2026-03-01", question.Yes},
		{"equals:number", "JY2330106012345", company, licence.StatusValid, "2026-03-01", question.No},
		{"equals:number", int64(40), company, licence.StatusValid, "2026-03-01", question.No},
		{"equals:holder.name", "中国铁建(杭州)有限公司", company, licence.StatusValid, "2026-03-01", question.Yes},
		{"equals:holder.name", "中国铁建杭州有限公司", company, licence.StatusValid, "2026-03-01", question.No},
		{"equals:fields.seats", int64(40), company, licence.StatusValid, "2026-03-01", question.Yes},
		{"equals:fields.seats", int64(41), company, licence.StatusValid, "2026-03-01", question.No},
		{"equals:fields.seats", "40", company, licence.StatusValid, "2026-03-01", question.No},
		{"equals:fields.school", true, company, licence.StatusValid, "2026-03-01", question.Yes},
		{"equals:fields.school", false, company, licence.StatusValid, "2026-03-01", question.No},
		{"equals:fields.list", "a", company, licence.StatusValid, "2026-03-01", question.Unknown},
		{"equals:fields.none", "a", company, licence.StatusValid, "2026-03-01", question.Unknown},
		{"equals:expires_on", "2026-03-01", company, licence.StatusValid, "2026-03-01", question.Unknown},
	} {
		s := question.Subject{Status: tt.status, Day: day(t, tt.day), Holder: tt.holder, Value: func(field string) any { return fields[field] }}
		if got := s.Ask(question.Question{Name: tt.name, Value: tt.value}); got != tt.want {
			t.Errorf("%s %v of %s on %s: %s, want %s", tt.name, tt.value, tt.status, tt.day, got, tt.want)
		}
	}
	for status, want := range map[licence.Status]question.Answer{licence.StatusValid: question.Unknown, licence.StatusRevoked: question.No, licence.StatusExpired: question.No} {
		s := question.Subject{Status: status, Unproved: true}
		if got := s.Ask(question.Question{Name: "valid"}); got != want {
			t.Errorf("valid of %s, unproved: %s, want %s", status, got, want)
		}
	}
	minority := question.Subject{Value: func(string) any { return citizen.Name }}
	for _, written := range []string{"阿依古丽•买买提", "阿依古丽・买买提", "阿依古丽‧买买提", "阿依古丽．买买提"} {
		if got := minority.Ask(question.Question{Name: "equals:holder.name", Value: written}); got != question.Yes {
			t.Errorf("%s: %s", written, got)
		}
	}
}

// TestWrong: what counts as a guess.
func TestWrong(t *testing.T) {
	type answers = []question.Answer
	for _, tt := range []struct {
		name    string
		answers answers
		want    bool
	}{
		{"equals:number", answers{question.No}, true}, {"equals:number", answers{question.No, question.No}, true}, {"equals:number", answers{question.Unknown, question.No}, true},
		{"equals:number", answers{question.No, question.Yes}, false}, {"equals:number", answers{question.Unknown}, false}, {"equals:number", nil, false},
		{"valid", answers{question.No}, false}, {"over:18", answers{question.No}, false},
	} {
		if got := question.Wrong(question.Question{Name: tt.name}, tt.answers); got != tt.want {
			t.Errorf("%s %v: %v", tt.name, tt.answers, got)
		}
	}
}
