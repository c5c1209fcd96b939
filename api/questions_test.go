package api_test

import (
	"encoding/json"
	"net/http"
	"testing"
)

// TestQuestions: what is asked over HTTP, and what is wrong with it.
func TestQuestions(t *testing.T) {
	t.Parallel()
	w := open(t)
	issued := w.issue(food, "questions")
	post := func(members map[string]any) answer {
		return w.do(ask{method: "POST", path: "/api/v1/questions", as: partner, body: questionBody(t, members)})
	}
	one := func(q any) map[string]any { return map[string]any{"questions": []any{q}} }
	a := post(map[string]any{"questions": []any{map[string]any{"question": "valid"}, map[string]any{"question": "equals:number", "value": issued.Number}}})
	want := `{"licences":[[{"question":"valid","answer":"yes"},{"question":"equals:number","value":"` + issued.Number + `","answer":"yes"}]]}` + "\n"
	if a.StatusCode != http.StatusOK || string(a.body) != want {
		t.Errorf("%d %s, want %s", a.StatusCode, a.body, want)
	}
	for name, tt := range map[string]struct {
		members map[string]any
		code    string
	}{
		"a question without a grant":    {one(map[string]any{"question": "equals:holder.name", "value": "x"}), "forbidden"},
		"no questions":                  {map[string]any{"questions": nil}, "invalid_request"},
		"an empty list":                 {map[string]any{"questions": []any{}}, "invalid_request"},
		"a text":                        {map[string]any{"questions": "valid"}, "invalid_request"},
		"a list of texts":               {one("valid"), "invalid_request"},
		"another member":                {one(map[string]any{"question": "valid", "answer": "yes"}), "invalid_request"},
		"no name":                       {one(map[string]any{"value": "x"}), "invalid_request"},
		"a value of two":                {one(map[string]any{"question": "equals:number", "value": []any{"x"}}), "invalid_request"},
		"a value of none":               {one(map[string]any{"question": "equals:number", "value": json.RawMessage("null")}), "invalid_request"},
		"another question in the value": {one(map[string]any{"question": "equals:number", "value": map[string]any{"question": "valid"}}), "invalid_request"},
		"fields":                        {map[string]any{"fields": []string{"number"}}, "invalid_request"},
		"a holder's code with a slip":   {map[string]any{"holder": map[string]any{"code": "91330106MA2CFL0B9X", "code_type": "001"}}, "invalid_request"},
		"another department's case":     {map[string]any{"case_number": "C-other"}, "case_unknown"},
		"tomorrow":                      {map[string]any{"as_of": "2199-01-01"}, "invalid_request"},
	} {
		a := post(tt.members)
		var p struct {
			Code string `json:"code"`
		}
		if a.json(t, &p); p.Code != tt.code || a.Header.Get("Elicence-Log-Index") == "" {
			t.Errorf("%s: %d %s", name, a.StatusCode, a.body)
		}
	}
	many := make([]any, 11)
	for i := range many {
		many[i] = map[string]any{"question": "valid"}
	}
	if a := post(map[string]any{"questions": many}); a.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("eleven: %d %s", a.StatusCode, a.body)
	}
}
