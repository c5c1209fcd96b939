package registry_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"elicence/licence"
	"elicence/licence/question"
	"elicence/licence/registry"
	"elicence/licence/registry/registrytest"

	"github.com/google/go-cmp/cmp"
)

// walkQuestions are those that the walk's grant permits.
var walkQuestions = []string{"valid", "equals:number", "equals:fields.premises"}

// ask asks in a case.
func (w *walker) ask(number string, questions ...question.Question) registry.AskRequest {
	q := w.reuse(number)
	return registry.AskRequest{Holder: q.Holder, TypeCode: q.TypeCode, Questions: questions, Use: q.Use}
}

// number is a question for the licence's number.
func number(value any) question.Question {
	return question.Question{Name: "equals:number", Value: value}
}

// TestAsk: a question needs what a reuse needs, and a grant that names it; each attempt is
// one entry.
func TestAsk(t *testing.T) {
	s := open(t)
	w := newWalker(t, s)
	w.openCase("c")
	s.Grant(t, registry.Grant{Authority: registrytest.Department, TypeCode: w.issued.TypeCode, MatterCode: "questions", Questions: []string{"valid"}})
	k := w.newCase("questions")
	k.MatterCode = "questions"
	s.Case(t, registrytest.Department, k)
	empty := w.newCase("empty")
	empty.Holder = licence.Holder{Code: "11330100002490082C", CodeType: licence.CodeTypeUSCC}
	s.Case(t, registrytest.Department, empty)
	valid := question.Question{Name: "valid"}
	partner := registrytest.Partner()
	for _, tt := range []struct {
		name   string
		c      registry.Caller
		q      registry.AskRequest
		change func(*registry.AskRequest)
		code   string
		want   []registry.Answered
	}{
		{"several", partner, w.ask("c", valid, number(w.issued.Number), number(w.issued.Number)), func(q *registry.AskRequest) { q.Questions[2].Name = "equals:fields.premises" }, "", []registry.Answered{{Answers: []question.Answer{question.Yes, question.Yes, question.No}}}},
		{"before it was issued", partner, w.ask("c", valid), func(q *registry.AskRequest) { q.AsOf = s.Now().AddDate(-1, 0, 0) }, "", []registry.Answered{}},
		{"a holder without such a licence", partner, w.ask("empty", valid), func(q *registry.AskRequest) { q.Holder = empty.Holder }, "", []registry.Answered{}},
		{"a grant of questions alone", partner, w.ask("questions", valid), func(q *registry.AskRequest) { q.Use.Matter = "questions" }, "", []registry.Answered{{Answers: []question.Answer{question.Yes}}}},
		{"a question that is not granted", partner, w.ask("c", valid, question.Question{Name: "equals:holder.name", Value: "x"}), nil, "forbidden", nil},
		{"a field that is granted as data alone", partner, w.ask("questions", number("x")), func(q *registry.AskRequest) { q.Use.Matter = "questions" }, "forbidden", nil},
		{"another matter", partner, w.ask("c", valid), func(q *registry.AskRequest) { q.Use.Matter = "x" }, "case_mismatch", nil},
		{"no such case", partner, w.ask("none", valid), nil, "case_unknown", nil},
		{"another holder than the case's", partner, w.ask("c", valid), func(q *registry.AskRequest) { q.Holder = empty.Holder }, "case_mismatch", nil},
		{"no purpose", partner, w.ask("c", valid), func(q *registry.AskRequest) { q.Use.Purpose = "" }, "purpose_missing", nil},
		{"an empty phrase", partner, w.ask("c", valid), func(q *registry.AskRequest) { q.Use.Purpose = "核验证照" }, "invalid_request", nil},
		{"no question", partner, w.ask("c"), nil, "invalid_request", nil},
		{"eleven questions", partner, w.ask("c", make([]question.Question, 11)...), nil, "invalid_request", nil},
		{"one question twice", partner, w.ask("c", number("1"), number("2")), nil, "invalid_request", nil},
		{"no such question", partner, w.ask("c", question.Question{Name: "colour"}), nil, "invalid_request", nil},
		{"an age of a company", partner, w.ask("c", question.Question{Name: "over:18"}), nil, "invalid_request", nil},
		{"no value", partner, w.ask("c", number(nil)), nil, "invalid_request", nil},
		{"a value that nobody asks for", partner, w.ask("c", question.Question{Name: "valid", Value: "x"}), nil, "invalid_request", nil},
		{"an instant to come", partner, w.ask("c", valid), func(q *registry.AskRequest) { q.AsOf = s.Now().Add(time.Hour) }, "invalid_request", nil},
		{"a type that does not exist", partner, w.ask("c", valid), func(q *registry.AskRequest) { q.TypeCode = "x" }, "invalid_request", nil},
		{"who registers the case", w.registrar(), w.ask("c", valid), nil, "forbidden", nil},
		{"anybody", registry.Anonymous("r"), w.ask("c", valid), nil, "forbidden", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			from := size(t, s)
			if tt.change != nil {
				tt.change(&tt.q)
			}
			got, _, err := s.Ask(t.Context(), tt.c, tt.q)
			wantCode(t, "ask", err, tt.code)
			if n := size(t, s) - from; n != 1 {
				t.Errorf("%d log entries", n)
			}
			if diff := cmp.Diff(got, tt.want); diff != "" {
				t.Errorf("answers (got, want):\n%s", diff)
			}
		})
	}
	q := w.reuse("questions")
	q.Use.Matter = "questions"
	_, _, err := s.Reuse(t.Context(), partner, q)
	wantCode(t, "data by a grant of questions", err, "forbidden")
}

// TestAskInVain: a value cannot be found by asking; after MaxInVain wrong ones the case answers no
// such question any more, the right one neither, on any server and however many ask at once.
func TestAskInVain(t *testing.T) {
	s := open(t)
	w := newWalker(t, s)
	w.openCase("c")
	w.openCase("other")
	partner := registrytest.Partner()
	var told, spent int
	var mu sync.Mutex
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			got, _, err := s.Ask(t.Context(), partner, w.ask("c", number("wrong")))
			mu.Lock()
			defer mu.Unlock()
			switch {
			case registry.Code(err) == "questions_spent":
				spent++
			case err != nil || got[0].Answers[0] != question.No:
				t.Errorf("wrong value: %v, %v", got, err)
			default:
				told++
			}
		})
	}
	all.Wait()
	if told != registry.MaxInVain || spent != 20-registry.MaxInVain {
		t.Errorf("%d wrong values were answered, %d refused", told, spent)
	}
	// A quarter of an hour later, so that the brake has nothing to say; and another server.
	s.Move(61 * time.Minute)
	again, err := registry.New(s.Config)
	must(t, err)
	_, _, err = again.Ask(t.Context(), partner, w.ask("c", number(w.issued.Number)))
	wantCode(t, "the right value, too late", err, "questions_spent")
	_, _, err = again.Ask(t.Context(), partner, w.ask("c", question.Question{Name: "valid"}))
	wantCode(t, "what nobody can guess", err, "")
	got, _, err := again.Ask(t.Context(), partner, w.ask("other", number(w.issued.Number)))
	must(t, err)
	if got[0].Answers[0] != question.Yes {
		t.Errorf("another case: %v", got)
	}
	for i := range registry.MaxInVain + 1 {
		q := w.ask("other", question.Question{Name: "valid"})
		q.AsOf = s.Now().AddDate(0, 0, -i-1)
		_, _, err := again.Ask(t.Context(), partner, q)
		wantCode(t, "a day of the past", err, map[bool]string{true: "questions_spent"}[i == registry.MaxInVain])
	}
}

// TestAskBraked: wrong values count like refusals: case after case they stop the client.
func TestAskBraked(t *testing.T) {
	s := open(t)
	w := newWalker(t, s)
	partner := registrytest.Partner()
	var codes []string
	for i := range 100 {
		name := w.next()
		w.openCase(name)
		_, _, err := s.Ask(t.Context(), partner, w.ask(name, number("wrong")))
		codes = append(codes, registry.Code(err))
		if registry.Code(err) == "braked" {
			break
		}
		if i > 18 {
			s.Move(11 * time.Second)
		}
	}
	if n := len(codes); codes[n-1] != "braked" || n > 42 {
		t.Errorf("braked after %d wrong values: %v", n, codes)
	}
}

// TestMaskedGrant: a grant that says so gives its fields masked, unless another gives them
// whole; and fields without a mask cannot be asked for so.
func TestMaskedGrant(t *testing.T) {
	s := open(t)
	w := newWalker(t, s)
	ask := func(fields ...string) error {
		_, _, err := s.RequestGrant(t.Context(), registrytest.Requester(registrytest.Department), registry.GrantRequest{Key: w.next(), Grant: registry.Grant{
			TypeCode: w.issued.TypeCode, MatterCode: "m", Scenario: "s", Fields: fields, Masked: true, How: registry.HowFunction, LegalBasis: "test"}})
		return err
	}
	for _, field := range []string{"number", "expires_on", "status", "fields.premises", "fields.business_items"} {
		wantCode(t, field, ask("holder.name", field), "invalid_request")
	}
	body, _ := sample(t, "driver-freight.json")
	driver := issue(t, s, "driver-freight.json", w.next())
	request, _, err := licence.ParseRequest(body, s.Config.Catalogue, registrytest.Authorities[driver.TypeCode], licence.DateOf(s.Now()))
	must(t, err)
	k := w.newCase("c")
	k.Holder, k.Types = request.Holder, []string{driver.TypeCode}
	s.Case(t, registrytest.Department, k)
	reuse := func() registry.Reused {
		q := w.reuse("c")
		q.Holder, q.TypeCode = request.Holder, driver.TypeCode
		got, _, err := s.Reuse(t.Context(), registrytest.Partner(), q)
		must(t, err)
		return got[0]
	}
	grant := registry.Grant{Authority: registrytest.Department, TypeCode: driver.TypeCode, MatterCode: "m", Fields: []string{"holder.name", "holder.code"}, Masked: true}
	s.Grant(t, grant)
	name, code := []rune(request.Holder.Name), request.Holder.Code
	masked := map[string]any{"holder.name": string(name[:1]) + strings.Repeat("*", len(name)-1), "holder.code": code[:3] + strings.Repeat("*", 11) + code[14:]}
	if diff := cmp.Diff(reuse(), registry.Reused{Identifier: driver.Identifier, Status: licence.StatusValid, Fields: masked, Masked: []string{"holder.code", "holder.name"}}); diff != "" {
		t.Errorf("masked (got, want):\n%s", diff)
	}
	grant.Fields, grant.Masked = []string{"holder.name"}, false
	s.Grant(t, grant)
	masked["holder.name"] = request.Holder.Name
	if diff := cmp.Diff(reuse(), registry.Reused{Identifier: driver.Identifier, Status: licence.StatusValid, Fields: masked, Masked: []string{"holder.code"}}); diff != "" {
		t.Errorf("one of two grants gives the name whole (got, want):\n%s", diff)
	}
}
