package registry_test

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"elicence/licence"
	"elicence/licence/registry"
	"elicence/licence/render"
	"elicence/templates"
	"elicence/testdata/requests"
)

// noFont is a character of Unicode that none of our fonts draws.
const noFont = "क"

// TestEveryTextIsCovered puts a character that no font draws into every text of every
// sample request, lists and rows of tables among them: all are refused by the name of
// the field, and none uses a number.
func TestEveryTextIsCovered(t *testing.T) {
	s := open(t)
	names, err := fs.Glob(requests.Files, "*.json")
	must(t, err)
	undrawable := 0
	for _, name := range names {
		body, c := sample(t, name)
		doc, err := licence.ParseJSON(body)
		must(t, err)
		request := doc.(map[string]any)
		for _, member := range []string{"holder", "fields"} {
			eachText(request[member], member, func(path string, set func(string), was string) {
				set(was + noFont)
				defer set(was)
				changed, err := licence.MarshalCanonical(request)
				must(t, err)
				_, _, err = s.Issue(t.Context(), c, registry.IssueRequest{Key: "k", Body: changed})
				var refused *licence.RequestError
				list, _, _ := strings.Cut(path, "[") // texts of a list may be drawn as one
				if !errors.As(err, &refused) || refused.Fields[0].Field != path && refused.Fields[0].Field != list {
					t.Errorf("%s: %s with a character that no font has: %v", name, path, err)
				} else if refused.Fields[0].Code == render.CodeUndrawable {
					undrawable++
				}
			})
		}
	}
	if undrawable < 60 {
		t.Errorf("only %d texts were refused for the character", undrawable)
	}
	if issued := issue(t, s, "food-retail.json", "k"); !strings.HasSuffix(issued.Number[:len(issued.Number)-1], "000001") {
		t.Errorf("the first number is %s: a refusal used one", issued.Number)
	}
}

// eachText calls do with every text in v, its path, and how to change it.
func eachText(v any, path string, do func(path string, set func(string), was string)) {
	switch v := v.(type) {
	case map[string]any:
		for key, member := range v {
			if s, ok := member.(string); ok {
				do(path+"."+key, func(s string) { v[key] = s }, s)
			} else {
				eachText(member, path+"."+key, do)
			}
		}
	case []any:
		for i, item := range v {
			at := fmt.Sprintf("%s[%d]", path, i)
			if s, ok := item.(string); ok {
				do(at, func(s string) { v[i] = s }, s)
			} else {
				eachText(item, at, do)
			}
		}
	}
}

// TestRestIsCovered: what the request does not say is looked at as well before a number is
// used: the authority's and a co-sealer's name, the type's name, what stands in its numbers.
func TestRestIsCovered(t *testing.T) {
	s := open(t)
	for name, change := range map[string]struct {
		request, old, new, field string // old and new in the catalogue
		caller                   func(*registry.Caller)
		consent                  func(*registry.SealConsent)
	}{
		"authority": {request: "safety-builder.json", field: "authority.name", caller: func(c *registry.Caller) { c.Authority.Name += noFont }},
		"number":    {request: "safety-builder.json", old: "安许证字", new: "安许证字" + noFont, field: "number"},
		"type":      {request: "safety-builder.json", old: `"name": "安全生产许可证"`, new: `"name": "安全生产许可证` + noFont + `"`, field: "type_name"},
		"co-sealer": {request: "joint-school.json", field: "co_sealer.1.name", consent: func(c *registry.SealConsent) { c.CoSealer.Name += noFont }},
		"nothing":   {request: "safety-builder.json"}, // and it is issued
	} {
		t.Run(name, func(t *testing.T) {
			cfg := s.Config
			if change.old != "" {
				cfg.Catalogue = catalogueWith(t, change.old, change.new)
			}
			r, err := registry.New(cfg)
			must(t, err)
			if change.consent != nil {
				consent := s.SealConsent(t)
				change.consent(&consent)
				_, err := r.PutSealConsent(t.Context(), registry.System("test"), consent)
				must(t, err)
			}
			body, c := sample(t, change.request)
			if change.caller != nil {
				change.caller(&c)
			}
			_, _, err = r.Issue(t.Context(), c, registry.IssueRequest{Key: name, Body: body})
			var refused *licence.RequestError
			if change.field == "" {
				must(t, err)
			} else if !errors.As(err, &refused) || refused.Fields[0].Field != change.field || refused.Fields[0].Code != render.CodeUndrawable {
				t.Errorf("got %v, want %s refused", err, change.field)
			}
		})
	}
}

// catalogueWith is the catalogue of the templates with a text changed.
func catalogueWith(t *testing.T, old, new string) *licence.Catalogue {
	t.Helper()
	files, changed := fstest.MapFS{}, 0
	must(t, fs.WalkDir(templates.Catalogue(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(templates.Catalogue(), path)
		changed += strings.Count(string(data), old)
		files[path] = &fstest.MapFile{Data: []byte(strings.ReplaceAll(string(data), old, new))}
		return err
	}))
	if changed == 0 {
		t.Fatalf("the catalogue does not say %s", old)
	}
	c, err := licence.LoadCatalogue(files)
	must(t, err)
	return c
}
