package verify_test

import (
	"bytes"
	"context"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"elicence/crypto/cryptotest"
	"elicence/licence"
	"elicence/verify"
)

// bench is what a case is made from and judged with.
type bench struct {
	t   testing.TB
	pki *cryptotest.PKI
	r   *recipe
	v   *verify.Verifier
	at  time.Time
}

// fileCase is one situation: how file, verifier and time differ from a good file
// judged at now, and what the report must say. An empty check stands for
// TotalPassed and an empty state for unknown.
type fileCase struct {
	name   string
	set    func(*bench)
	tamper func(b *bench, file []byte) []byte

	want  verify.Indication
	sub   verify.SubIndication
	check verify.Name
	code  string
	state licence.Status
}

// run judges the file of every case.
func run(t *testing.T, cases []fileCase) {
	t.Helper()
	p := cryptotest.New(t)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := &bench{t: t, pki: p, r: newRecipe(t, p), v: &verify.Verifier{Anchors: p.Anchors}, at: now}
			if c.set != nil {
				c.set(b)
			}
			file := b.r.make(t)
			if c.tamper != nil {
				file = c.tamper(b, file)
			}
			if v, ok := b.v.Register.(*register); ok {
				v.finish(b, file)
			}
			compare(t, b.v.VerifyFile(context.Background(), file, b.at), c)
		})
	}
}

// compare holds a report against a case, and against what every report must be.
func compare(t *testing.T, r *verify.Report, c fileCase) {
	t.Helper()
	if c.state == "" {
		c.state = licence.StatusUnknown
	}
	if r.Indication != c.want || r.SubIndication != c.sub || r.LicenceState != c.state {
		t.Errorf("got %s/%s, %s; want %s/%s, %s", r.Indication, r.SubIndication, r.LicenceState, c.want, c.sub, c.state)
	}
	if c.check != "" && r.Check(c.check).Code != c.code {
		t.Errorf("%s: got %q, want %q", c.check, r.Check(c.check).Code, c.code)
	}
	wellFormed(t, r)
	if t.Failed() {
		for _, check := range r.Checks {
			t.Logf("%-18s %-13s %s: %s", check.Name, check.Result, check.Code, check.Evidence)
		}
	}
}

// wellFormed checks the invariants of a report.
func wellFormed(t *testing.T, r *verify.Report) {
	t.Helper()
	names := verify.Names()
	if len(r.Checks) != len(names) {
		t.Fatalf("report of %d checks, want %d", len(r.Checks), len(names))
	}
	results := map[verify.Result]int{}
	for i, c := range r.Checks {
		if c.Name != names[i] || c.Code == "" || c.ZH == "" || c.EN == "" || c.Result == "" {
			t.Errorf("check %d is incomplete or out of order: %+v", i, c)
		}
		if c.Name != verify.CheckState {
			results[c.Result]++
		}
		if !documented(c.Code) {
			t.Errorf("code %s is not in docs/verification.md", c.Code)
		}
	}
	want := verify.TotalPassed
	if results[verify.ResultIndeterminate] > 0 {
		want = verify.Indeterminate
	}
	if results[verify.ResultFailed] > 0 {
		want = verify.TotalFailed
	}
	if r.Indication != want {
		t.Errorf("indication %s does not follow from the checks", r.Indication)
	}
	if (r.SubIndication == "") != (r.Indication == verify.TotalPassed) {
		t.Errorf("sub-indication %q of %s", r.SubIndication, r.Indication)
	}
	if r.Indication == verify.TotalFailed && (r.Licence != nil || r.QR != nil || r.LicenceState != licence.StatusUnknown) {
		t.Error("a file that failed says something of its licence")
	}
	if r.AsKnownAt.IsZero() {
		t.Error("no time of knowledge")
	}
	if zh, en := r.Headline(); zh == "" || en == "" {
		t.Error("no headline")
	}
}

// documentation is docs/verification.md; empty when it is missing, which fails every code.
var documentation = sync.OnceValue(func() []byte {
	text, _ := os.ReadFile("../docs/verification.md")
	return text
})

// documented reports whether the documentation names a code, or the part after
// its family's prefix.
func documented(code string) bool {
	for _, family := range []string{"", "maker_", "signer_", "tsa_", "qr_signer_"} {
		if rest, ok := strings.CutPrefix(code, family); ok && bytes.Contains(documentation(), []byte("`"+rest+"`")) {
			return true
		}
	}
	return strings.HasPrefix(code, "pdf_") || strings.HasPrefix(code, "state_")
}
