package api_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"elicence/api"
	"elicence/audit"
)

// TestActionLabels: each action that any program writes into the log has a Chinese name, and
// no name is of an action that there is not.
func TestActionLabels(t *testing.T) {
	declared := map[audit.Action]bool{}
	for _, dir := range []string{"api", "audit", "cmd", "licence", "store"} {
		must(t, filepath.WalkDir(filepath.Join("..", dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			return eachAction(path, func(a audit.Action) { declared[a] = true })
		}))
	}
	if len(declared) < 100 {
		t.Errorf("%d actions are declared", len(declared))
	}
	for a := range declared {
		if label := api.ActionLabels[a]; label == "" || label == string(a) {
			t.Errorf("%s has no name", a)
		}
	}
	for a := range api.ActionLabels {
		if !declared[a] {
			t.Errorf("%s is no action", a)
		}
	}
}

// eachAction calls do with the constants of type audit.Action that a file declares.
func eachAction(path string, do func(audit.Action)) error {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		kind, ok := spec.Type.(*ast.SelectorExpr)
		if !ok || kind.Sel.Name != "Action" {
			return true
		}
		for _, value := range spec.Values {
			if text, ok := value.(*ast.BasicLit); ok && text.Kind == token.STRING {
				name, _ := strconv.Unquote(text.Value)
				do(audit.Action(name))
			}
		}
		return true
	})
	return nil
}
