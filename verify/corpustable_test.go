package verify_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"elicence/verify"
	"elicence/verify/verifytest"
)

const documentFile = "../docs/verification.md"

// TestCorpusTable holds the tables of docs/verification.md that are made of the corpus:
// each class with what becomes of its cases, and what a clerk reads of five of them.
// With -update it writes them.
func TestCorpusTable(t *testing.T) {
	cases, err := verifytest.Load(corpusDir)
	must(t, err)
	text, err := os.ReadFile(documentFile)
	must(t, err)
	want := string(text)
	for name, table := range map[string]string{"corpus": classTable(t, cases), "clerk": clerkTable(t, cases)} {
		begin, end := "<!-- "+name+": made by make generate -->\n", "<!-- end of "+name+" -->\n"
		before, rest, found := strings.Cut(want, begin)
		_, after, ended := strings.Cut(rest, end)
		if !found || !ended {
			t.Fatalf("no place for %s in %s", name, documentFile)
		}
		want = before + begin + table + end + after
	}
	switch {
	case want == string(text):
	case *update:
		must(t, os.WriteFile(documentFile, []byte(want), 0o644))
	default:
		t.Errorf("%s does not show the corpus (make generate)", documentFile)
	}
}

// classTable is a line for each group of the corpus.
func classTable(t *testing.T, cases []*verifytest.Case) string {
	version, record := readRecord(t)
	var out strings.Builder
	fmt.Fprintf(&out, "| class (folder) | cases | passed | undecided | failed | decided by | pdfsig %s: whole file signed | value valid | no signature seen |\n", version)
	out.WriteString("|---|---|---|---|---|---|---|---|---|\n")
	sum := classRow{decided: map[verify.Name]int{}}
	for _, g := range groups() {
		row := classRow{decided: map[verify.Name]int{}}
		for _, c := range cases {
			if c.Group == g.name {
				row.count(c, record[c.Path()])
				sum.count(c, record[c.Path()])
			}
		}
		out.WriteString(row.line(g.title + " (`" + g.name + "`)"))
	}
	out.WriteString(sum.line("all"))
	return out.String()
}

type classRow struct {
	cases, passed, undecided, failed, whole, valid, unseen int
	decided                                                map[verify.Name]int
}

func (r *classRow) count(c *verifytest.Case, pdfsig string) {
	r.cases++
	switch c.Expect {
	case verify.TotalPassed:
		r.passed++
	case verify.Indeterminate:
		r.undecided++
	default:
		r.failed++
	}
	if c.Expect != verify.TotalPassed {
		r.decided[c.Check]++
	}
	switch {
	case c.IsQR():
	case pdfsig == "no signature" || pdfsig == "cannot be opened":
		r.unseen++
	default:
		r.whole += min(1, strings.Count(pdfsig, "whole"))
		r.valid += min(1, strings.Count(pdfsig, "valid"))
	}
}

func (r *classRow) line(title string) string {
	var decided []string
	for _, name := range verify.Names() {
		if n := r.decided[name]; n > 0 {
			decided = append(decided, fmt.Sprintf("%s %d", name, n))
		}
	}
	return fmt.Sprintf("| %s | %d | %d | %d | %d | %s | %d | %d | %d |\n",
		title, r.cases, r.passed, r.undecided, r.failed, strings.Join(decided, ", "), r.whole, r.valid, r.unseen)
}

// told are the cases whose sentences the document shows, with what happened in
// Chinese.
var told = [][2]string{
	{"isa/page-replaced-by-an-update", "有人在盖章之后给文件加了一段，把页面换掉"},
	{"content/page-drawn-anew", "有人改了页面的内容，其余原样"},
	{"seal/signer-not-listed", "有人拿到了印章，用自己的证书盖章"},
	{"authority/another-authoritys-seal", "别的单位用自己的真印章，盖了这个单位的证照"},
	{"time/token-after-the-revocation", "有人在证书吊销之后还用它盖章"},
	{"data/qr-code-of-another-licence", "有人把另一张证照的二维码放进文件"},
	{"register/token-stripped", "有人去掉了文件里的时间戳"},
}

// clerkTable is what a clerk reads of those cases: headline, and the sentence of the
// check that decides.
func clerkTable(t *testing.T, cases []*verifytest.Case) string {
	byPath := map[string]*verifytest.Case{}
	for _, c := range cases {
		byPath[c.Path()] = c
	}
	var out strings.Builder
	for _, story := range told {
		c := byPath[story[0]]
		if c == nil {
			t.Fatalf("no case %s; there are %v", story[0], slices.Sorted(maps.Keys(byPath)))
		}
		v, err := c.Verifier()
		must(t, err)
		r := v.VerifyFile(context.Background(), c.File, c.Time)
		headline, _ := r.Headline()
		fmt.Fprintf(&out, "- %s（`%s`）  \n  **%s** — %s\n", story[1], story[0], headline, r.Check(c.Check).ZH)
	}
	return out.String()
}
