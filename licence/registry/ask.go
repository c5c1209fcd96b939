package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/question"
)

// AskRequest asks questions about a holder's licences of one type for one case, of which
// the answers are yes or no (核验).
type AskRequest struct {
	Holder    licence.Holder // Code and CodeType
	TypeCode  string
	Questions []question.Question
	// AsOf asks about the licences as they were at an instant, as of a Query.
	AsOf time.Time
	Use  Use
}

// MaxQuestions bounds the questions of one request.
const MaxQuestions = 10

// MaxInVain is how often a question may be asked in vain in one case: with a value that is
// wrong, or about the past, where every day asked for narrows a date down. It leaves room
// for slips of the pen, and is too few to find a value.
const MaxInVain = 5

// Answered are the answers about one licence.
type Answered struct {
	// Origin is licence.OriginExternal where another platform issued it.
	Origin  licence.Origin
	Answers []question.Answer
}

// Ask answers questions about a holder's licences of one type: for each licence but
// superseded ones the answers, in the order of the questions. It needs what a Reuse needs,
// and a grant that permits each question; it is counted by the brake like one, and a wrong
// value besides like a refusal. Every licence that is asked about is one log entry, which
// commits to the names of the questions; one entry when there is none. No value that is
// asked for is kept. Errors: those of Reuse, ErrQuestionsSpent.
func (r *Registry) Ask(ctx context.Context, c Caller, q AskRequest) ([]Answered, audit.Receipt, error) {
	a := &Access{Action: ActionAsk, Object: q.TypeCode, Use: q.Use, Holder: q.Holder}
	answers, records, err := r.answerable(ctx, c, q, a)
	a.Check = func() error { return err }
	receipt, err := r.show(ctx, c, a, records)
	// What is refused because the count is full is counted whatever the value: else the brake
	// would tell a wrong one from the right one.
	if errors.Is(err, ErrQuestionsSpent) || err == nil && slices.ContainsFunc(q.Questions, wrongIn(q, answers)) {
		r.brakes.Refused(braked(c), r.now())
	}
	if err != nil {
		return nil, receipt, err
	}
	return answers, receipt, nil
}

// wrongIn reports whether a question of a request asked for a wrong value.
func wrongIn(q AskRequest, answers []Answered) func(question.Question) bool {
	return func(asked question.Question) bool {
		i := slices.Index(q.Questions, asked)
		var got []question.Answer
		for _, of := range answers {
			got = append(got, of.Answers[i])
		}
		return question.Wrong(asked, got)
	}
}

// answerable decides questions, and finds the licences and the answers; nothing is told
// before the gate has logged it. A caller whose role does not permit questions is left to
// the gate.
func (r *Registry) answerable(ctx context.Context, c Caller, q AskRequest, a *Access) ([]Answered, []Record, error) {
	if !c.MayAct(ActionAsk) {
		return nil, nil, nil
	}
	reuse := ReuseRequest{Holder: q.Holder, TypeCode: q.TypeCode, AsOf: q.AsOf, Use: q.Use}
	if err := r.checkAsked(q); err != nil {
		return nil, nil, err
	}
	for _, asked := range q.Questions {
		a.Questions = append(a.Questions, asked.Name)
	}
	var records []Record
	err := r.unlock(ctx, c, reuse, a, func(o opening) error {
		records = o.licences
		for _, name := range a.Questions {
			if !slices.Contains(o.questions, name) {
				return fmt.Errorf("%w: question %s is not granted", ErrForbidden, name)
			}
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	views, err := r.views(ctx, records, q.AsOf)
	if err != nil {
		return nil, nil, err
	}
	answers := []Answered{}
	var asked []Record
	for i, v := range views {
		if v.Status != licence.StatusSuperseded {
			of, err := r.answered(ctx, v, q.Questions)
			if err != nil {
				return nil, nil, err
			}
			answers, asked = append(answers, of), append(asked, records[i])
		}
	}
	countInVain(c, q, a, wrongIn(q, answers))
	return answers, asked, nil
}

// checkAsked names what is wrong with the questions of a request: a *licence.RequestError.
func (r *Registry) checkAsked(q AskRequest) error {
	if len(q.Questions) == 0 || len(q.Questions) > MaxQuestions {
		return licence.InvalidField("questions", licence.CodeOutOfRange, fmt.Sprintf("are not 1 to %d", MaxQuestions))
	}
	item := r.LastItem(q.TypeCode)
	if item == nil {
		return licence.InvalidField("type_code", licence.CodeUnknownType, "is not in the catalogue")
	}
	var names []string
	for _, asked := range q.Questions {
		names = append(names, asked.Name)
	}
	if err := checkQuestions(names, item); err != nil {
		return err
	}
	for i, asked := range q.Questions {
		if err := asked.CheckValue(); err != nil {
			return licence.InvalidField(fmt.Sprintf("questions[%d].value", i), licence.CodeNotAllowed, err.Error())
		}
	}
	return nil
}

// checkQuestions names what is wrong with the names of questions about licences of a type:
// a *licence.RequestError.
func checkQuestions(names []string, item *licence.CatalogueItem) error {
	for i, name := range names {
		at := fmt.Sprintf("questions[%d]", i)
		if slices.Contains(names[:i], name) {
			return licence.InvalidField(at, licence.CodeRepeated, "stands there already")
		}
		if err := question.CheckName(name, item, func(field string) bool { return slices.Contains(ReusableFields, field) }); err != nil {
			return licence.InvalidField(at, licence.CodeNotAllowed, err.Error())
		}
	}
	return nil
}

// answered answers questions about one licence. One of another platform is in force for nobody who
// asks, unless its file was found valid when it came: what is not proved is not said.
func (r *Registry) answered(ctx context.Context, v View, questions []question.Question) (Answered, error) {
	values, unproved := v.values(), false
	if v.Origin == licence.OriginExternal {
		came, err := r.cfg.Store.Import(ctx, v.Identifier)
		if err != nil {
			return Answered{}, err
		}
		unproved = came.Verdict != ImportValid
	}
	s := question.Subject{Status: v.Status, Day: licence.DateOf(v.AsOf), Holder: v.Holder, Unproved: unproved, Value: func(field string) any {
		value, _ := values(field)
		return value
	}}
	answers := make([]question.Answer, len(questions))
	for i, asked := range questions {
		answers[i] = s.Ask(asked)
	}
	return Answered{Origin: v.Origin, Answers: answers}, nil
}

// countInVain has the questions counted that were asked in vain, in the transaction of the
// first entry: no answer is told before. A question whose count is full is answered neither
// yes nor no, so that silence says nothing either.
func countInVain(c Caller, q AskRequest, a *Access, wrong func(question.Question) bool) {
	add := map[string]int{}
	for _, asked := range q.Questions {
		_, value := question.Field(asked.Name)
		if !value && q.AsOf.IsZero() {
			continue
		}
		add[asked.Name] = 0
		if wrong(asked) || !q.AsOf.IsZero() {
			add[asked.Name] = 1
		}
	}
	if len(add) > 0 {
		id := CaseID(c.Authority.Code, q.Use.Case)
		a.Apply = func(ctx context.Context, tx Tx, _ *audit.Entry) error {
			return tx.CountQuestions(ctx, id, add, MaxInVain)
		}
	}
}
