package verify_test

import (
	"bytes"
	"cmp"
	"context"
	"flag"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"elicence/crypto/cryptotest"
	"elicence/crypto/pki"
	"elicence/verify"
	"elicence/verify/verifytest"
)

//go:generate go test -count=1 -run ^TestCorpus . -update

// corpusDir is where the corpus lies, corpusAnchors the anchors of cases that want no others.
const corpusDir, corpusAnchors = "../testdata/verify", "anchors.pem"

var update = flag.Bool("update", false, "write the corpus and the tables of docs/verification.md, and not only compare")

// group is an attack class of the corpus.
type group struct {
	name, title string
	cases       []fileCase
	// forged says that structure or coverage stops all of its cases, whoever is trusted.
	forged bool
}

func groups() []group {
	return []group{
		{"usf", "USF: the signature's value or byte range taken out", usfCases(), true},
		{"isa", "ISA: something appended, inserted or cut off", isaCases(), true},
		{"swa", "SWA: ranges moved, the signature wrapped", swaCases(), true},
		{"shadow", "shadow: content prepared to be hidden or replaced, and hidden or replaced", shadowCases(), true},
		{"annotation", "EAA and SSA: annotations, second signatures, certification weakened", annotationCases(), true},
		{"resource", "resource attacks", resourceCases(), true},
		{"gap", "gap: other bytes of the same meaning in the place of the signature", gapCases(), false},
		{"content", "content changed", contentCases(), false},
		{"seal", "seal tricks", append(sealCases(), deviationCases()...), false},
		{"authority", "another body's genuine seal", authorityCases(), false},
		{"certificate", "certificate tricks", append(certificateCases(), revocationCases()...), false},
		{"time", "time tricks", append(timeCases(), strippedCases()...), false},
		{"data", "attached data and QR message", append(dataCases(), portraitCases()...), false},
		{"qr", "QR code alone", qrCases(), false},
		{"several", "several signatures, one of them wrong", severalCases(), false},
		{"co-seals", "seals of several authorities, not those that the data name", coSealCases(), false},
		{"register", "what the register knows", registerCases(), false},
		{"foreign", "files of other makers", foreignCases(), true},
		{"genuine", "genuine, though they look odd", genuineCases(), false},
	}
}

// seed is where the randomness of a part of the corpus begins. Each case has its own, so
// that a new one leaves the others as they are.
func seed(of string) [32]byte { return sm3Of([]byte("elicence verification corpus: " + of)) }

// TestCorpus makes every case again, wants the corpus to hold exactly that, and judges
// it by the package. With -update it writes the corpus.
func TestCorpus(t *testing.T) {
	random := rand.NewChaCha8(seed("certificates"))
	p := cryptotest.NewFrom(t, random)
	made := map[string][]byte{}
	anchors := map[string]string{string(p.AnchorsPEM): corpusAnchors} // files by what they hold
	whole := true                                                     // no case was left out by -run
	for _, g := range groups() {
		for _, c := range g.cases {
			ran := false
			t.Run(g.name+"/"+slug(c.name), func(t *testing.T) {
				ran = true
				random.Seed(seed(g.name + "/" + c.name))
				v := c.inCorpus(t, g.name, p, anchors)
				files, err := v.Files()
				must(t, err)
				for name, data := range files {
					if old, twice := made[name]; twice && !bytes.Equal(old, data) {
						t.Fatalf("%s is made twice", name)
					}
				}
				maps.Copy(made, files)
				c.judge(t, v)
			})
			whole = whole && ran
		}
	}
	if !whole {
		return // which anchors are shared depends on all cases
	}
	if *update && !t.Failed() {
		writeCorpus(t, made)
	}
	compareCorpus(t, made)
}

// inCorpus makes the case as it stands in the corpus. It shares the file of anchors with
// a case before it that has the same.
func (c *fileCase) inCorpus(t *testing.T, group string, p *cryptotest.PKI, anchors map[string]string) *verifytest.Case {
	b := newBench(t, p)
	_, file := c.build(b)
	v := &verifytest.Case{Group: group, Name: slug(c.name), Comment: c.comment, Expect: c.want, Sub: c.sub, Check: c.check, Code: c.code,
		State: c.state, Time: b.at, File: file, AnchorsPEM: anchorsPEM(b.v.Anchors)}
	if v.Comment == "" {
		v.Comment = c.name
	}
	if v.State == "" {
		v.State = "unknown"
	}
	if c.qr != nil {
		v.QR = c.qr(b)
	}
	if r, ok := b.v.Register.(*register); ok {
		v.Register = &r.Register
	}
	if v.AnchorsPEM != nil {
		key := string(v.AnchorsPEM)
		anchors[key] = cmp.Or(anchors[key], v.Path()+".pem")
		v.Anchors = anchors[key]
	}
	return v
}

// judge holds the package's report against the case, whose check is the one that
// decides.
func (c *fileCase) judge(t *testing.T, v *verifytest.Case) {
	verifier, err := v.Verifier()
	must(t, err)
	r := &verify.Report{}
	if v.IsQR() {
		r = verifier.VerifyQR(context.Background(), v.QR, v.Time)
	} else {
		r = verifier.VerifyFile(context.Background(), v.File, v.Time)
	}
	compare(t, r, *c)
	decisive := map[verify.Indication]verify.Result{verify.TotalFailed: verify.ResultFailed, verify.Indeterminate: verify.ResultIndeterminate}[c.want]
	for _, check := range r.Checks {
		if check.Result == decisive {
			if check.Name != c.check {
				t.Errorf("decided by %s %s, not by %s", check.Name, check.Code, c.check)
			}
			break
		}
	}
}

// anchorsPEM writes anchors as the command line reads them.
func anchorsPEM(a *pki.TrustAnchors) []byte {
	if a == nil {
		return nil
	}
	var lists [][]byte
	for _, cert := range a.Certificates() {
		if list, found := a.CRL(cert); found {
			lists = append(lists, list.Raw)
		}
	}
	return pki.MarshalTrustAnchors(a.Certificates(), lists)
}

// slug is a case's name as that of a file.
func slug(name string) string {
	return strings.NewReplacer(" ", "-", ",", "", "'", "", "’", "").Replace(strings.ToLower(name))
}

// writeCorpus replaces the corpus.
func writeCorpus(t *testing.T, made map[string][]byte) {
	for _, g := range groups() {
		must(t, os.RemoveAll(filepath.Join(corpusDir, g.name)))
	}
	for name, data := range made {
		path := filepath.Join(corpusDir, name)
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.WriteFile(path, data, 0o644))
	}
}

// compareCorpus wants the corpus to be what was made, and nothing else.
func compareCorpus(t *testing.T, made map[string][]byte) {
	missing, other := maps.Clone(made), []string{}
	must(t, filepath.WalkDir(corpusDir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(corpusDir, path)
		must(t, err)
		data, err := os.ReadFile(path)
		must(t, err)
		name = filepath.ToSlash(name)
		if want, known := made[name]; name != pdfsigRecord && (!known || !bytes.Equal(data, want)) {
			other = append(other, name)
		}
		delete(missing, name)
		return nil
	}))
	other = append(other, slices.Sorted(maps.Keys(missing))...)
	if n := len(other); n > 0 {
		t.Errorf("%d files are missing, too many, or not what is made (make generate): %s", n, strings.Join(other[:min(n, 8)], ", "))
	}
}

// TestTrustDoesNotSave makes all forgeries on the files of one who is trusted without
// reserve: every certificate in them, a forger's own too, is an anchor. The untouched
// original passes structure and coverage; the forgery fails there all the same.
func TestTrustDoesNotSave(t *testing.T) {
	p := cryptotest.New(t)
	n := 0
	for _, g := range groups() {
		for _, c := range g.cases {
			if !g.forged {
				continue
			}
			n++
			t.Run(g.name+"/"+slug(c.name), func(t *testing.T) {
				b := newBench(t, p)
				original, forged := c.build(b)
				b.trustAll()
				r := b.v.VerifyFile(context.Background(), original, b.at)
				if r.Check(verify.CheckStructure).Result != verify.ResultPassed || r.Check(verify.CheckCoverage).Result != verify.ResultPassed || r.Indication != verify.TotalPassed {
					t.Errorf("original: %s/%s", r.Indication, r.SubIndication)
				}
				r = b.v.VerifyFile(context.Background(), forged, b.at)
				failed := r.Check(verify.CheckStructure).Result == verify.ResultFailed || r.Check(verify.CheckCoverage).Result == verify.ResultFailed
				if r.Indication != verify.TotalFailed || r.SubIndication != verify.FormatFailure || !failed {
					t.Errorf("forgery: %s/%s", r.Indication, r.SubIndication)
				}
			})
		}
	}
	if n < 50 {
		t.Errorf("only %d forgeries", n)
	}
}
