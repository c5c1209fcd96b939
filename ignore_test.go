package elicence_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestSessionsLeaveNothing: what the walks of the README and of
// docs/catalogue.md and the session of docs/certificates.md write into the repository is in .gitignore, for some of it is secret.
func TestSessionsLeaveNothing(t *testing.T) {
	ignored, err := os.ReadFile(".gitignore")
	if err != nil {
		t.Fatal(err)
	}
	written := regexp.MustCompile(`(?:-o|> ?|tee) ?([a-z][a-z.-]*)`)
	for file, mark := range map[string]string{"README.md": "walk", "docs/certificates.md": "session", "docs/catalogue.md": "walk"} {
		page, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, session, _ := strings.Cut(string(page), "<!-- "+mark+" -->")
		session, _, _ = strings.Cut(session, "<!-- /"+mark+" -->")
		names := written.FindAllStringSubmatch(session, -1)
		if len(names) < 3 {
			t.Errorf("%s: %d files found", file, len(names))
		}
		for _, name := range names {
			if !strings.Contains(string(ignored), "\n/"+name[1]+"\n") {
				t.Errorf("%s writes %s, which .gitignore lacks", file, name[1])
			}
		}
	}
}
