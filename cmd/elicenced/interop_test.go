//go:build interop

package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"elicence/licence"
	"elicence/licence/registry"
	"elicence/verify"
)

// rounds is how often each sample is issued with a timestamp, and how often without
// one; the latter are judged again with the timestamp that they get later.
const rounds = 2

// exhibit is one file that every judge sees.
type exhibit struct {
	name, change string // change is a row of the table of verdicts
	data         []byte
	want         verdicts
}

// TestInterop has four programs that share no code judge licences, other makers'
// seals, and changed copies of both, and compares what they say part by part.
func TestInterop(t *testing.T) {
	dir := t.TempDir()
	s := newSite(t, "")
	subjects := s.licences(t)
	random := rand.New(rand.NewPCG(1, 2))
	var all []exhibit
	for _, subject := range subjects {
		all = append(all, subject.unchanged()...)
	}
	all = append(all, ownSeals(t, s)...)
	files := len(all)
	all = append(all, changed(t, subjects, random)...)
	several, foreign, others := s.severalFiles(t, random), foreignFiles(t, random), otherSeals(t, random)
	every := slices.Concat(all, several, foreign, others)
	for _, e := range every {
		must(t, os.WriteFile(filepath.Join(dir, e.name), e.data, 0o644))
	}
	compare(t, judgeAll(t, s, dir, every), every)
	t.Logf("%d files as issued, %d changed; with changed copies %d files with several signatures, %d containers and %d seals of other makers",
		files, len(all)-files, len(several), len(foreign), len(others))
	if licences := len(subjects); licences < 50 || len(all)-files < 500 {
		t.Errorf("%d licences and %d changes are fewer than 50 and 500", licences, len(all)-files)
	}
	writeTables(t, all, several, foreign, others)
}

// licences issues the samples with one seal: with a timestamp, pending, and timestamped
// later.
func (s *site) licences(t *testing.T) (subjects []*subject) {
	t.Helper()
	own := s.serve(t)
	for _, l := range s.issueRounds(t, own, "own") {
		subjects = append(subjects, s.exhibit(t, own, l, "timestamped"))
	}
	own.stop(t)
	alone := s.serve(t, "--tsa-url", "http://127.0.0.1:1/")
	late := s.issueRounds(t, alone, "pending")
	for _, l := range late {
		subjects = append(subjects, s.exhibit(t, alone, l, "timestamp pending"))
	}
	alone.stop(t)
	again := s.serve(t)
	defer again.stop(t)
	waitFor(t, "the pending files have timestamps", func() bool { return s.timestamped(t, again, late) })
	for _, l := range late {
		subjects = append(subjects, s.exhibit(t, again, l, "timestamped later"))
	}
	return subjects
}

// issuedSample is a licence and the client that it was issued to.
type issuedSample struct{ name, client, identifier string }

func (s *site) issueRounds(t *testing.T, r *running, key string) (issued []issuedSample) {
	t.Helper()
	samples, err := loadSamples()
	must(t, err)
	for round := range rounds {
		for _, sample := range samples {
			if sample.asks.TypeCode == demoJoint {
				continue // severalFiles has those
			}
			var answer registry.Issued
			name := fmt.Sprintf("%s-%s-%d", key, sample.name, round)
			must(t, s.as(t, r, clientFor(sample)).post(t.Context(), "/licences", name, sample.body, &answer))
			issued = append(issued, issuedSample{name, clientFor(sample), string(answer.Identifier)})
		}
	}
	return issued
}

func (s *site) file(t *testing.T, r *running, l issuedSample) []byte {
	t.Helper()
	file, err := s.as(t, r, l.client).get(t.Context(), "/licences/"+l.identifier+"/file")
	must(t, err)
	return file
}

func (s *site) timestamped(t *testing.T, r *running, all []issuedSample) bool {
	t.Helper()
	for _, l := range all {
		if parts, err := verify.Inspect(s.file(t, r, l)); err != nil || parts.Token == nil {
			return false
		}
	}
	return true
}

func (s *site) exhibit(t *testing.T, r *running, l issuedSample, state string) *subject {
	t.Helper()
	file := s.file(t, r, l)
	parts, err := verify.Inspect(file)
	must(t, err)
	if pending := state == "timestamp pending"; pending != (parts.Token == nil) {
		t.Fatalf("%s is not %s", l.name, state)
	}
	name := strings.ReplaceAll(state, " ", "-") + "-" + l.name
	return &subject{name: name, state: state, pdf: file, parts: parts}
}

// otherSeals are the seals in ELICENCE_VECTORS, as they are and changed. Of a folder
// that was named, there must be some.
func otherSeals(t *testing.T, random *rand.Rand) (all []exhibit) {
	t.Helper()
	dir, named := os.LookupEnv("ELICENCE_VECTORS")
	if !named {
		dir = "../../../shared/vectors"
	}
	files, err := filepath.Glob(filepath.Join(dir, "seals", "*.esl"))
	must(t, err)
	t.Logf("%d seals of other makers read", len(files))
	if named && len(files) == 0 {
		t.Error("ELICENCE_VECTORS names a folder without seals")
	}
	for _, file := range files {
		der, err := os.ReadFile(file)
		must(t, err)
		name := "other-" + strings.TrimSuffix(filepath.Base(file), ".esl")
		all = append(all, exhibit{name + ".esl", "seal of another maker", der, want("- good - - -")})
		all = append(all, changedSeal(t, name, der, random)...)
	}
	return all
}

// ownSeals are those of the instance, the same way.
func ownSeals(t *testing.T, s *site) (all []exhibit) {
	t.Helper()
	for _, a := range demoAuthorities {
		der, err := os.ReadFile(filepath.Join(s.Dir, "keys", "seal-"+a.Code+".esl"))
		must(t, err)
		all = append(all, exhibit{"own-" + a.Code + ".esl", "seal alone", der, want("- good - - -")})
	}
	return all
}

// judge is a program that reads names and answers with verdicts.
type judge struct {
	name string
	argv []string
}

// judges are the strangers. scripts/interop.sh sets what they need.
var judges = []judge{
	{"OpenSSL", []string{"python3", "../../testdata/interop/openssl.py"}},
	{"BouncyCastle", []string{"java", "-cp", os.Getenv("ELICENCE_BOUNCYCASTLE"), "../../testdata/interop/BouncyCastle.java"}},
	{"sm-crypto", []string{"node", "../../testdata/interop/smcrypto.js"}},
}

// judgeAll asks every judge about every exhibit; ours is the first.
func judgeAll(t *testing.T, s *site, dir string, all []exhibit) map[string]map[string]verdicts {
	t.Helper()
	said := map[string]map[string]verdicts{"elicence": ours(t, s, dir, all)}
	for _, j := range judges {
		said[j.name] = j.judge(t, dir, all)
	}
	return said
}

func (j judge) judge(t *testing.T, dir string, all []exhibit) map[string]verdicts {
	t.Helper()
	var names, faults strings.Builder
	for _, e := range all {
		fmt.Fprintln(&names, filepath.Join(dir, e.name))
	}
	cmd := exec.CommandContext(t.Context(), j.argv[0], j.argv[1:]...)
	cmd.Stdin, cmd.Stderr = strings.NewReader(names.String()), &faults
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", j.name, err, faults.String())
	}
	said := map[string]verdicts{}
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		v := verdicts{}
		for _, word := range words[1:] {
			part, verdict, _ := strings.Cut(word, "=")
			v[part] = verdict
		}
		said[words[0]] = v
	}
	return said
}

// ours are the verdicts of the command line on licence files and seals, and of
// package verify on QR codes.
func ours(t *testing.T, s *site, dir string, all []exhibit) map[string]verdicts {
	t.Helper()
	tool := filepath.Join(t.TempDir(), "elicence")
	if out, err := exec.Command("go", "build", "-o", tool, "../elicence").CombinedOutput(); err != nil {
		t.Fatalf("building elicence: %v\n%s", err, out)
	}
	text, err := os.ReadFile(filepath.Join(s.Dir, "anchors.pem"))
	must(t, err)
	said, files := map[string]verdicts{}, []string{}
	for _, e := range all {
		switch path := filepath.Join(dir, e.name); filepath.Ext(path) {
		case ".pdf":
			files = append(files, path)
		case ".esl":
			said[e.name] = sealVerdict(t, tool, path)
		case ".cms", ".ses":
			said[e.name] = foreignVerdict(t, tool, path)
		case ".qr":
			said[e.name] = qrVerdict(t, text, e.data)
		}
	}
	cmd := exec.Command(tool, append([]string{"verify", "--json", "--anchors", filepath.Join(s.Dir, "anchors.pem")}, files...)...)
	out, err := cmd.Output()
	if len(out) == 0 {
		t.Fatalf("elicence verify: %v", err)
	}
	for line := range bytes.Lines(out) {
		var report struct {
			File string `json:"file"`
			verify.Report
		}
		must(t, json.Unmarshal(line, &report))
		said[filepath.Base(report.File)] = reportVerdicts(&report.Report)
	}
	return said
}

// sealVerdict is what elicence inspect says of a bare seal.
func sealVerdict(t *testing.T, tool, path string) verdicts {
	t.Helper()
	out, err := exec.Command(tool, "inspect", "--json", path).Output()
	if err != nil {
		return verdicts{"seal": unreadable}
	}
	var found struct {
		Signatures []verify.PartSignature `json:"signatures"`
	}
	must(t, json.Unmarshal(out, &found))
	if found.Signatures[0].SignatureValid {
		return verdicts{"seal": good}
	}
	return verdicts{"seal": bad}
}

// qrLines is the file of a QR code: its text, and its signer's certificate.
func qrLines(publicURL string, message, certificate []byte) ([]byte, error) {
	text, err := licence.NewQRText(publicURL, message)
	return []byte(text.String() + "\n" + hex.EncodeToString(certificate) + "\n"), err
}
