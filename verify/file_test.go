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
	"elicence/crypto/pki"
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
	// others are further signers that a case made.
	others []*pki.Certificate
}

// newBench is a good file's, judged offline with the anchors at now.
func newBench(t testing.TB, p *cryptotest.PKI) *bench {
	return &bench{t: t, pki: p, r: newRecipe(t, p), v: &verify.Verifier{Anchors: p.Anchors}, at: now}
}

// fileCase is one situation: how file, verifier and time differ from a good file
// judged at now, and what the report must say. An empty check stands for
// TotalPassed and an empty state for unknown.
type fileCase struct {
	name    string
	comment string // what was done, where the name does not say it
	set     func(*bench)
	base    func(*bench) []byte // the untouched original; nil: one seal
	tamper  func(b *bench, file []byte) []byte
	qr      func(*bench) string // judged instead of a file

	want  verify.Indication
	sub   verify.SubIndication
	check verify.Name
	code  string
	state licence.Status
}

// build makes a case's file, and returns the untouched original beside it.
func (c *fileCase) build(b *bench) (original, file []byte) {
	b.t.Helper()
	if c.set != nil {
		c.set(b)
	}
	if c.qr != nil {
		return nil, nil
	}
	original = one(b)
	if c.base != nil {
		original = c.base(b)
	}
	if file = original; c.tamper != nil {
		file = c.tamper(b, original)
	}
	if r, ok := b.v.Register.(*register); ok {
		r.finish(b, original)
	}
	return original, file
}

// one is a file with one seal.
func one(b *bench) []byte { return b.r.make(b.t) }

// trustAll makes every certificate that signed something here an anchor.
func (b *bench) trustAll() {
	leaves := append(b.others, b.pki.SealMaker.Certificate, b.pki.SealSigner.Certificate, b.pki.QR.Certificate, b.pki.TSA.Certificate)
	b.v.Anchors = mustParseAnchors(b.t, append(pki.MarshalTrustAnchors(leaves, nil), b.pki.AnchorsPEM...))
}

// run judges cases that are not in the corpus: for what they differ in, a header has no
// word.
func run(t *testing.T, cases []fileCase) {
	t.Helper()
	p := cryptotest.New(t)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, p)
			_, file := c.build(b)
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
	if r.Checks[0].Name == verify.CheckLog {
		names = append([]verify.Name{verify.CheckLog}, names...)
	}
	if len(r.Checks) != len(names) {
		t.Fatalf("report of %d checks, want %d", len(r.Checks), len(names))
	}
	results := map[verify.Result]int{}
	for i, c := range r.Checks {
		if c.Name != names[i] || c.Code == "" || c.ZH == "" || c.EN == "" || c.Result == "" || c.Evidence == "" {
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
