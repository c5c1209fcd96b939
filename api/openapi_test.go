package api_test

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"elicence/api"

	"github.com/google/go-cmp/cmp"
)

// TestRoutesAreDescribed compares the routes with openapi.yaml, both ways.
func TestRoutesAreDescribed(t *testing.T) {
	w := open(t)
	var served, described []string
	parameter := regexp.MustCompile(`:([a-z]+)`)
	for method, path := range w.server.Routes() {
		served = append(served, method+" "+parameter.ReplaceAllString(path, "{$1}"))
	}
	doc, err := document()
	must(t, err)
	for path, item := range doc.Paths.Map() {
		for method := range item.Operations() {
			described = append(described, method+" "+path)
		}
	}
	slices.Sort(served)
	slices.Sort(described)
	if diff := cmp.Diff(described, served); diff != "" {
		t.Errorf("openapi.yaml and the routes differ (-described +served):\n%s", diff)
	}
}

// TestDocumented: docs/api.md names every route and every error code with its status.
func TestDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/api.md")
	must(t, err)
	doc := string(text)
	parameter := regexp.MustCompile(`:([a-z]+)`)
	for method, path := range open(t).server.Routes() {
		if route := "`" + method + " " + parameter.ReplaceAllString(path, "{$1}") + "`"; !strings.Contains(doc, route) {
			t.Errorf("docs/api.md lacks %s", route)
		}
	}
	for code, status := range api.Statuses() {
		line := regexp.MustCompile(`(?m)^\| ` + strconv.Itoa(status) + " .*`" + code + "`")
		if !line.MatchString(doc) {
			t.Errorf("docs/api.md lacks %s under %d", code, status)
		}
	}
}
