package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"elicence/licence"
	"elicence/licence/registry"
	"elicence/verify"
)

// TestDemoAgain: a demo whose licences somebody has changed meanwhile goes on when it is run again,
// also on the same day.
func TestDemoAgain(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	file, err := os.ReadFile(filepath.Join(s.Dir, "sample-food-canteen.pdf"))
	must(t, err)
	parts, err := verify.Inspect(file)
	must(t, err)
	l, err := licence.ParseData(parts.Attachments["licence.json"])
	must(t, err)
	fields := l.Fields
	fields["premises"] = "浙江省杭州市西湖区转塘街道样例路2号"
	issued := registry.Issued{Identifier: l.Identifier}
	for _, step := range []struct {
		operation string
		body      map[string]any
		wants     string
	}{
		{"correct", map[string]any{"reason": "更正经营场所", "case_number": "GZ-1", "fields": fields}, "copied   annotated-copy.pdf"},
		{"suspend", map[string]any{"reason": "核查", "case_number": "HC-1"}, "skipped  annotated copy"},
	} {
		server := s.serve(t)
		body, err := json.Marshal(step.body)
		must(t, err)
		must(t, s.as(t, server, "approval-market").post(t.Context(), "/licences/"+string(issued.Identifier)+"/"+step.operation, step.operation, body, &issued))
		server.stop(t)
		out, err := s.command("demo", "--once", "--listen", "127.0.0.1:0").CombinedOutput()
		if err != nil || !strings.Contains(string(out), step.wants) {
			t.Errorf("after %s: %v\n%s", step.operation, err, out)
		}
	}
}
