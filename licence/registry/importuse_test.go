package registry_test

import (
	"fmt"
	"testing"

	"elicence/licence"
	"elicence/licence/question"
	"elicence/licence/registry"
	"elicence/licence/registry/registrytest"
)

// TestImportAsked: of a licence that another platform issued a department is told that it is valid
// only where its file was found so, and always whose it is.
func TestImportAsked(t *testing.T) {
	t.Parallel()
	s := importing(t)
	_, c := sample(t, "food-retail.json")
	q := registry.AskRequest{TypeCode: c.Types[0], Questions: []question.Question{{Name: question.Valid}}, Use: registry.Use{Purpose: "核对食品经营者的许可状态", Case: "C1", Matter: "m", Operator: "o"}}
	s.Grant(t, registry.Grant{Authority: registrytest.Department, TypeCode: q.TypeCode, Questions: []string{question.Valid}, MatterCode: "m"})
	var got []registry.Imported
	for i, file := range []string{"valid 1", "indeterminate 2", "invalid 3", ""} {
		r := registry.ImportRequest{Key: fmt.Sprint(i), Body: importBody(t, map[string]any{"identifier": foreignIdentifier(t, fmt.Sprint("Q", i), 1), "number": fmt.Sprint("JY2330105000077", i),
			"override_reason": "存量", "existing": true}), File: []byte(file)}
		if file == "" {
			r.File = nil
		}
		imported, _, err := s.Import(t.Context(), c, r)
		must(t, err)
		got = append(got, imported)
	}
	v, _, err := s.Get(t.Context(), c, got[0].Identifier, registry.Use{})
	must(t, err)
	q.Holder = v.Holder
	s.Case(t, registrytest.Department, registry.Case{Number: "C1", MatterCode: "m", Holder: v.Holder, Types: []string{q.TypeCode}})
	ask := func() (all string) {
		answers, _, err := s.Ask(t.Context(), registrytest.Partner(), q)
		must(t, err)
		for _, a := range answers {
			if a.Origin != licence.OriginExternal {
				t.Errorf("%+v does not say whose it is", a)
			}
			all += string(a.Answers[0]) + " "
		}
		return all
	}
	if got := ask(); got != "unknown unknown unknown yes " { // the newest first
		t.Errorf("in force: %s", got)
	}
	for _, one := range got {
		_, _, err := s.Revoke(t.Context(), c, one.Identifier, registry.StatusRequest{Key: "r" + string(one.Identifier), Reason: "吊销"})
		must(t, err)
	}
	if got := ask(); got != "no no no no " {
		t.Errorf("revoked: %s", got)
	}
}

// TestImportNumbers: the next number of an authority is one that none of its imported licences has.
func TestImportNumbers(t *testing.T) {
	t.Parallel()
	s := importing(t)
	body, c := sample(t, "food-retail.json")
	r, _, err := licence.ParseRequest(body, s.Config.Catalogue, c.Authority, licence.DateOf(s.Now()))
	must(t, err)
	item, err := s.Config.Catalogue.Item(r.TypeCode)
	must(t, err)
	bring := func(sequences ...int64) {
		for _, n := range sequences {
			number, err := item.FormatNumber(r, n)
			must(t, err)
			_, _, err = s.Import(t.Context(), c, registry.ImportRequest{Key: number, Body: importBody(t, map[string]any{"identifier": number, "number": number, "existing": true,
				"authority": map[string]any{"name": c.Authority.Name, "code": c.Authority.Code, "division": c.Authority.Division}})})
			must(t, err)
		}
	}
	issue := func(key string, want int64) {
		t.Helper()
		issued, _, err := s.Issue(t.Context(), c, registry.IssueRequest{Key: key, Body: body})
		number, _ := item.FormatNumber(r, want)
		if err != nil || issued.Number != number {
			t.Errorf("%s: %s, %v; want %s", key, issued.Number, err, number)
		}
	}
	bring(1, 2, 3, 4, 5, 6, 7, 9)
	issue("behind-a-run", 8)
	issue("behind-one-more", 10)
	issue("as-ever", 11)
}
