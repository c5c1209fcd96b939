package dispute_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"elicence/licence"
	"elicence/licence/dispute"
)

// TestDeadlines counts days as the notice of 2026 has them: the day after is the first, the
// last counts to its end in Asia/Shanghai.
func TestDeadlines(t *testing.T) {
	t.Parallel()
	rules := dispute.Shipped()
	for _, c := range []struct {
		name, raised string
		kind         dispute.Kind
		answer       string // the last day
		remedy       string
	}{
		{"a plain week", "2026-03-02T01:00:00Z", dispute.WrongData, "2026-03-09", "2026-03-16"},
		{"on a Friday", "2026-03-06T15:00:00Z", dispute.WrongData, "2026-03-13", "2026-03-20"},
		{"late in Greenwich is the next day", "2026-03-06T16:00:00Z", dispute.WrongLicence, "2026-03-13", "2026-03-20"},
		{"before the Spring Festival", "2026-02-12T02:00:00Z", dispute.WrongData, "2026-02-26", "2026-03-04"},
		{"before the National Day", "2026-09-18T02:00:00Z", dispute.WrongData, "2026-09-24", "2026-10-09"},
		{"across the National Day", "2026-09-28T02:00:00Z", dispute.MissingLicence, "2026-10-16", "2026-10-30"},
		{"over the end of the known years", "2026-12-30T02:00:00Z", dispute.WrongData, "2027-01-06", "2027-01-13"},
		{"in calendar days", "2026-02-12T02:00:00Z", dispute.UnknownUse, "2026-02-27", "2026-02-27"},
		{"in calendar days over the year", "2026-12-20T02:00:00Z", dispute.UnknownUse, "2027-01-04", "2027-01-04"},
	} {
		at, err := time.Parse(time.RFC3339, c.raised)
		if err != nil {
			t.Fatal(err)
		}
		for _, due := range []struct {
			last string
			got  time.Time
		}{{c.answer, rules.Answer(c.kind, at)}, {c.remedy, rules.Remedy(c.kind, at)}} {
			day, err := licence.ParseDate(due.last)
			if err != nil {
				t.Fatal(err)
			}
			if !due.got.Equal(day.EndsAt()) {
				t.Errorf("%s: due %s, want the end of %s", c.name, due.got, due.last)
			}
		}
	}
}

// TestRulesDocumented compares the rules that the program ships with those of docs/disputes.md.
func TestRulesDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/disputes.md")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Kinds map[dispute.Kind]dispute.Rule
	}
	b, err := os.ReadFile("rules.json")
	if err == nil {
		err = json.Unmarshal(b, &file)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range dispute.Kinds {
		r := file.Kinds[kind]
		if line := fmt.Sprintf("| `%s` | %d | %d | %s |\n", kind, r.Decide, r.Remedy, r.Days); !strings.Contains(string(page), line) {
			t.Errorf("docs/disputes.md lacks %s", line)
		}
	}
}

// TestRulesRefused: what an operator may get wrong in a file of rules.
func TestRulesRefused(t *testing.T) {
	t.Parallel()
	kinds := `"kinds":{"wrong_data":{"decide":5,"remedy":10,"days":"working"},"wrong_licence":{"decide":5,"remedy":10,"days":"working"},` +
		`"missing_licence":{"decide":10,"remedy":20,"days":"working"},"unknown_use":{"decide":15,"remedy":15,"days":"calendar"}}`
	year := func(days string) string { return `{` + kinds + `,"years":{"2027":{"basis":"b",` + days + `}}}` }
	for want, file := range map[string]string{
		"":                            `{` + kinds + `}`,
		"EOF":                         ``,
		"unknown field":               `{` + kinds + `,"more":1}`,
		"something follows":           `{` + kinds + `}{}`,
		"kinds.wrong_data needs":      `{"kinds":{}}`,
		"kinds.wrong_licence needs":   strings.Replace(`{`+kinds+`}`, `"wrong_licence":{"decide":5`, `"wrong_licence":{"decide":0`, 1),
		"kinds.missing_licence needs": strings.Replace(`{`+kinds+`}`, `"remedy":20`, `"remedy":366`, 1),
		"kinds.unknown_use needs":     strings.Replace(`{`+kinds+`}`, `calendar`, `lunar`, 1),
		`no kind "other"`:             strings.Replace(`{`+kinds+`}`, `{"wrong_data"`, `{"other":{"decide":5,"remedy":10,"days":"working"},"wrong_data"`, 1),
		"malformed date":              year(`"off":["1 January"],"work":[]`),
		"does not exist":              year(`"off":["2027-02-29"],"work":[]`),
		"no range of days":            year(`"off":["2027-02-10/2027-02-01"],"work":[]`),
		"within the year":             year(`"off":["2027-12-31/2028-01-02"],"work":[]`),
		"stands there twice":          year(`"off":["2027-01-01/2027-01-03"],"work":["2027-01-03"]`),
		"malformed date \"\"":         year(`"off":["2027-01-01/"],"work":[]`),
	} {
		_, err := dispute.ParseRules([]byte(file))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", file, err, want)
		}
	}
}

// TestSteps tries every step in every state.
func TestSteps(t *testing.T) {
	t.Parallel()
	may := map[dispute.State]map[dispute.Step]dispute.State{
		dispute.Open:     {dispute.Accept: dispute.Accepted, dispute.Reject: dispute.Rejected, dispute.Withdraw: dispute.Withdrawn},
		dispute.Accepted: {dispute.Close: dispute.Closed},
	}
	for _, from := range []dispute.State{dispute.Open, dispute.Accepted, dispute.Closed, dispute.Rejected, dispute.Withdrawn, ""} {
		for _, step := range []dispute.Step{dispute.Accept, dispute.Reject, dispute.Close, dispute.Withdraw, ""} {
			want, permitted := may[from][step]
			got, err := from.After(step)
			if permitted && (err != nil || got != want) || !permitted && !errors.Is(err, licence.ErrWrongStatus) {
				t.Errorf("%q, %q: %q, %v", from, step, got, err)
			}
		}
	}
}

// TestCheck has the words of disputes checked, most of them wrong.
func TestCheck(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("错", dispute.MaxText+1)
	own, general := []string{"business_items"}, []string{"number", "holder.name"}
	for _, c := range []struct {
		kind                  dispute.Kind
		field, shouldBe, text string
		want                  string // field and code; empty for none
	}{
		{dispute.WrongData, "fields.business_items", "预包装食品销售", "", ""},
		{dispute.WrongData, "holder.name", "杭州某某商贸有限公司", "名称已变更", ""},
		{dispute.WrongLicence, "", "", "本公司没有申请过这份许可证", ""},
		{dispute.MissingLicence, "", "", "2025年12月已领取纸质证书", ""},
		{dispute.UnknownUse, "", "", strings.Repeat("错", dispute.MaxText), ""},
		{dispute.WrongData, "", "x", "", "field missing"},
		{dispute.WrongData, "holder.name", "", "错了", "should_be missing"},
		{dispute.WrongData, "holder.name", strings.Repeat("长", 101), "", "should_be too_long"},
		{dispute.WrongData, "holder.name", "a\nb", "", "should_be control_character"},
		{dispute.WrongData, "holder.name", "a", "b\x00", "text control_character"},
		{dispute.WrongData, "holder.name", "a", long, "text too_long"},
		{dispute.WrongData, "holder.name", "a\u202eb", "", "should_be bidi_control"},
		{dispute.WrongData, "fields.", "a", "", "field not_allowed"},
		{dispute.WrongData, "business_items", "a", "", "field not_allowed"},
		{dispute.WrongData, "fields.holder.name", "a", "", "field not_allowed"},
		{dispute.WrongData, "status", "a", "", "field not_allowed"},
		{dispute.WrongLicence, "holder.name", "", "错", "field not_allowed"},
		{dispute.UnknownUse, "", "a", "错", "should_be not_allowed"},
		{dispute.WrongLicence, "", "", "", "text missing"},
		{dispute.MissingLicence, "", "", " 有空格", "text surrounding_space"},
		{dispute.MissingLicence, "", "", "\xff", "text invalid_utf8"},
		{dispute.UnknownUse, "", "", long, "text too_long"},
	} {
		d := dispute.Dispute{Kind: c.kind, Statement: dispute.Statement{Field: c.field, ShouldBe: c.shouldBe, Text: c.text}}
		err := d.Check()
		if err == nil {
			err = d.CheckField(own, general)
		}
		got := ""
		if invalid := (*licence.RequestError)(nil); errors.As(err, &invalid) {
			got = invalid.Fields[0].Field + " " + invalid.Fields[0].Code
		}
		if got != c.want {
			t.Errorf("%+v: %q, want %q", c, got, c.want)
		}
	}
}

// TestSubject: two versions of a licence are one subject; different things are two.
func TestSubject(t *testing.T) {
	t.Parallel()
	first, err := licence.NewIdentifier("11100000MB0143028R901", "11330106002504122C", "0000000001", 1)
	if err != nil {
		t.Fatal(err)
	}
	second, err := first.Next()
	if err != nil {
		t.Fatal(err)
	}
	subject := func(d dispute.Dispute) string { return d.Subject() }
	if a, b := subject(dispute.Dispute{Kind: dispute.WrongData, Licence: first}), subject(dispute.Dispute{Kind: dispute.WrongData, Licence: second}); a != b || a == "" {
		t.Errorf("versions of one licence: %q, %q", a, b)
	}
	missing := dispute.Dispute{Kind: dispute.MissingLicence, TypeCode: "t"}
	other := missing
	other.Authority.Code = "a"
	if subject(missing) == subject(other) {
		t.Error("a licence missing of two authorities is one subject")
	}
	if subject(dispute.Dispute{Kind: dispute.UnknownUse, Entry: 1, Licence: first}) == subject(dispute.Dispute{Kind: dispute.UnknownUse, Entry: 2, Licence: first}) {
		t.Error("two entries are one subject")
	}
	late := dispute.Dispute{State: dispute.Open, Due: time.Unix(100, 0)}
	if late.Overdue(time.Unix(99, 0)) || !late.Overdue(time.Unix(100, 0)) {
		t.Error("a dispute is overdue from the end of its last day on")
	}
	if late.State = dispute.Closed; late.Overdue(time.Unix(200, 0)) {
		t.Error("a settled one is not overdue")
	}
}
