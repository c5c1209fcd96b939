package api

import (
	"fmt"
	"time"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/question"
	"elicence/licence/registry"
)

// maxQuestion is the most bytes of a question's name.
const maxQuestion = 256

// parseQuestions reads a body of POST /questions.
func (s *Server) parseQuestions(body []byte) (registry.AskRequest, error) {
	return parseJSON(body, func(r *reader) registry.AskRequest {
		return registry.AskRequest{Holder: r.caseHolder((*reader).required), TypeCode: r.required("type_code", maxType),
			Questions: r.questions("questions"), AsOf: r.asOf("as_of", s.cfg.Now), Use: r.caseUse((*reader).required)}
	})
}

// questions takes a list of questions.
func (r *reader) questions(name string) (list []question.Question) {
	given, _ := member[[]any](r, name, "a list")
	if len(given) > registry.MaxQuestions {
		r.fault(name, licence.CodeTooMany, "has %d items; at most %d are allowed", len(given), registry.MaxQuestions)
		return nil
	}
	for i, v := range given {
		at := fmt.Sprintf("%s[%d]", r.at(name), i)
		members, ok := v.(map[string]any)
		if !ok {
			r.faultAt(at, licence.CodeWrongType, "must be an object")
			continue
		}
		q := &reader{path: at, members: members, asked: map[string]bool{}, faults: r.faults}
		r.inner = append(r.inner, q)
		list = append(list, question.Question{Name: q.required("question", maxQuestion), Value: q.any("value")})
	}
	return list
}

// any takes a member as it is; nil when absent.
func (r *reader) any(name string) any {
	r.asked[name] = true
	return r.members[name]
}

// answeredJSON is one question with its answer.
type answeredJSON struct {
	question.Question
	Answer question.Answer `json:"answer"`
	// Origin is external where another platform issued the licence; absent for our own.
	Origin licence.Origin `json:"origin,omitempty"`
}

// askAnswer is the answer to questions: for each licence that was asked about, the
// newest first, which is not named.
type askAnswer struct {
	Licences [][]answeredJSON `json:"licences"`
	// AsOf is the instant that was asked for; absent when none was.
	AsOf *time.Time `json:"as_of,omitempty"`
}

// ask answers questions about the licences of a holder.
func (x *exchange) ask(q registry.AskRequest) (askAnswer, audit.Receipt, error) {
	answers, receipt, err := x.cfg.Registry.Ask(x.r.Context(), x.caller, q)
	a := askAnswer{Licences: make([][]answeredJSON, 0, len(answers)), AsOf: givenInstant(q.AsOf)}
	for _, of := range answers {
		one := make([]answeredJSON, 0, len(of.Answers))
		for i, answer := range of.Answers {
			one = append(one, answeredJSON{q.Questions[i], answer, of.Origin})
		}
		a.Licences = append(a.Licences, one)
	}
	return a, receipt, err
}
