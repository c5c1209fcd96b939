package verify_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"elicence/verify/verifytest"
)

// pdfsigRecord holds what poppler's pdfsig says of every file of the corpus: a line with
// its version, then one for each file. It is kept, because other versions may say
// other things, and no table of ours should change with the machine it is made on.
const pdfsigRecord = "pdfsig.txt"

var askPDFSig = flag.Bool("pdfsig", false, "ask pdfsig about every file of the corpus, and record what it says")

// TestPDFSig has pdfsig repeat its record: of every file that it called valid, and
// every tenth other. Only the version that made the record has to agree with it.
func TestPDFSig(t *testing.T) {
	version := pdfsigVersion(t)
	if *askPDFSig {
		writeRecord(t, version, ask(t, pdfCases(t)))
		return
	}
	recorded, record := readRecord(t)
	var sample []string
	for i, path := range slices.Sorted(maps.Keys(record)) {
		if i%10 == 0 || strings.Contains(record[path], "valid") {
			sample = append(sample, path)
		}
	}
	said := ask(t, append(sample, "genuine/plain"))
	if !strings.HasPrefix(said["genuine/plain"], "whole") {
		t.Errorf("of a genuine file pdfsig says: %s", said["genuine/plain"])
	}
	for path, now := range said {
		if now == record[path] {
			continue
		}
		if version == recorded {
			t.Errorf("%s: %s, and recorded is: %s", path, now, record[path])
		} else {
			t.Logf("%s: %s, and pdfsig %s said: %s", path, now, recorded, record[path])
		}
	}
}

// pdfCases are the paths of all cases with a file.
func pdfCases(t *testing.T) (paths []string) {
	cases, err := verifytest.Load(corpusDir)
	must(t, err)
	for _, c := range cases {
		if !c.IsQR() {
			paths = append(paths, c.Path())
		}
	}
	return paths
}

func pdfsigVersion(t *testing.T) string {
	out, err := exec.Command("pdfsig", "-v").CombinedOutput()
	if err != nil && len(out) == 0 {
		t.Fatal("pdfsig is missing: install poppler's tools (Debian: poppler-utils)")
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return strings.TrimPrefix(line, "pdfsig version ")
}

// ask runs pdfsig on files, a few at a time.
func ask(t *testing.T, paths []string) map[string]string {
	said := map[string]string{}
	var wait sync.WaitGroup
	var mu sync.Mutex // guards said
	next := make(chan string)
	for range runtime.GOMAXPROCS(0) {
		wait.Go(func() {
			for path := range next {
				verdict, err := judgePDF(filepath.Join(corpusDir, path+".pdf"))
				mu.Lock()
				if said[path] = verdict; err != nil {
					t.Errorf("%s: %v", path, err)
				}
				mu.Unlock()
			}
		})
	}
	for _, path := range paths {
		next <- path
	}
	close(next)
	wait.Wait()
	return said
}

// judgePDF puts what pdfsig says of a file into few words: for each signature whether it
// covers the whole file or a part, and whether its value is valid, wrong or not judged.
func judgePDF(file string) (string, error) {
	out, err := exec.Command("pdfsig", "-nocert", file).Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return "", err
	}
	_, list, found := strings.Cut(string(out), "Signature #")
	switch {
	case strings.Contains(string(out), "does not contain any signatures"):
		return "no signature", nil
	case !found:
		return "cannot be opened", nil
	}
	var words []string
	for signature := range strings.SplitSeq(list, "Signature #") {
		coverage, value := "part", "not judged"
		if strings.Contains(signature, "- Total document signed") {
			coverage = "whole"
		}
		switch {
		case strings.Contains(signature, "Signature is Valid"):
			value = "valid"
		case strings.Contains(signature, "Signature is Invalid"), strings.Contains(signature, "Digest Mismatch"):
			value = "wrong"
		}
		words = append(words, coverage+" "+value)
	}
	return strings.Join(words, ", "), nil
}

func writeRecord(t *testing.T, version string, said map[string]string) {
	var out bytes.Buffer
	fmt.Fprintf(&out, "%s\n", version)
	for _, path := range slices.Sorted(maps.Keys(said)) {
		fmt.Fprintf(&out, "%s: %s\n", path, said[path])
	}
	must(t, os.WriteFile(filepath.Join(corpusDir, pdfsigRecord), out.Bytes(), 0o644))
}

// readRecord wants one line for each file of the corpus, and no other.
func readRecord(t *testing.T) (version string, record map[string]string) {
	text, err := os.ReadFile(filepath.Join(corpusDir, pdfsigRecord))
	must(t, err)
	version, rest, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	record = map[string]string{}
	for line := range strings.SplitSeq(rest, "\n") {
		path, said, _ := strings.Cut(line, ": ")
		record[path] = said
	}
	if !slices.Equal(slices.Sorted(maps.Keys(record)), slices.Sorted(slices.Values(pdfCases(t)))) {
		t.Fatal("the record of pdfsig is not of the corpus (make pdfsig)")
	}
	return version, record
}
