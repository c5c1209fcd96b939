// Package verifytest reads and writes the corpus of verification cases, testdata/verify.
//
// A case is a header GROUP/NAME.txt and beside it what is judged: the file NAME.pdf, or
// NAME.qr with the text of a QR code. A header is one "key: value" a line, in this order
// and none left out:
//
//	comment: what was done to the file, for people
//	expect: TotalFailed
//	sub: FormatFailure           (empty for TotalPassed)
//	check: coverage pdf_revisions
//	state: unknown
//	time: 2026-06-01T00:00:00Z   (the validation time)
//	anchors: anchors.pem         (below the corpus; empty for none)
//	register: no
//
// check is the check that decides, with its code; for TotalPassed it is the one that the
// case is about. With "register: yes" the register is what GROUP/NAME.json says, and
// holds nothing else.
//
// The tests of verify make the corpus and judge it; those of api judge it by the
// package, the command line and the API. Only tests import it.
package verifytest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"elicence/crypto/pki"
	"elicence/licence"
	"elicence/verify"
)

// Case is one case of the corpus.
type Case struct {
	Group, Name string

	Comment string
	Expect  verify.Indication
	Sub     verify.SubIndication
	Check   verify.Name
	Code    string
	State   licence.Status
	Time    time.Time
	Anchors string // a file below the corpus; empty: none

	Register   *Register // nil: none is asked
	File       []byte
	QR         string // instead of a file
	AnchorsPEM []byte // what Anchors holds
}

// IsQR reports whether the case is about the text of a QR code.
func (c *Case) IsQR() bool { return c.QR != "" }

// Path is the case's path below the corpus, without an ending.
func (c *Case) Path() string { return c.Group + "/" + c.Name }

// Verifier is what judges the case: its anchors and its register, or none.
func (c *Case) Verifier() (*verify.Verifier, error) {
	v := &verify.Verifier{}
	if c.Register != nil {
		v.Register = c.Register
	}
	if c.Anchors == "" {
		return v, nil
	}
	var err error
	v.Anchors, err = pki.ParseTrustAnchors(c.AnchorsPEM)
	return v, err
}

// Files are the case's own files by name below the corpus.
func (c *Case) Files() (map[string][]byte, error) {
	files := map[string][]byte{c.Path() + ".txt": c.header()}
	if c.IsQR() {
		files[c.Path()+".qr"] = []byte(c.QR + "\n")
	} else {
		files[c.Path()+".pdf"] = c.File
	}
	if c.Anchors != "" {
		files[c.Anchors] = c.AnchorsPEM
	}
	if c.Register == nil {
		return files, nil
	}
	var err error
	files[c.Path()+".json"], err = c.Register.marshal()
	return files, err
}

// header writes the header.
func (c *Case) header() []byte {
	yes := "no"
	if c.Register != nil {
		yes = "yes"
	}
	var out strings.Builder
	for _, line := range [][2]string{
		{"comment", c.Comment}, {"expect", string(c.Expect)}, {"sub", string(c.Sub)}, {"check", string(c.Check) + " " + c.Code},
		{"state", string(c.State)}, {"time", c.Time.UTC().Format(time.RFC3339)}, {"anchors", c.Anchors}, {"register", yes},
	} {
		out.WriteString(strings.TrimRight(line[0]+": "+line[1], " ") + "\n")
	}
	return []byte(out.String())
}

// Load reads the corpus in a folder, in the order of paths.
func Load(dir string) (cases []*Case, err error) {
	headers, err := filepath.Glob(filepath.Join(dir, "*", "*.txt"))
	if err == nil && len(headers) == 0 {
		err = errors.New("no case in " + dir)
	}
	if err != nil {
		return nil, fmt.Errorf("verifytest: %w", err)
	}
	for _, header := range headers {
		c, err := load(dir, strings.TrimSuffix(header, ".txt"))
		if err != nil {
			return nil, fmt.Errorf("verifytest: reading %s: %w", header, err)
		}
		cases = append(cases, c)
	}
	return cases, nil
}

func load(dir, path string) (*Case, error) {
	text, err := os.ReadFile(path + ".txt")
	if err != nil {
		return nil, err
	}
	c := &Case{Group: filepath.Base(filepath.Dir(path)), Name: filepath.Base(path)}
	registered, err := c.parse(string(text))
	if err != nil {
		return nil, err
	}
	if qr, fault := os.ReadFile(path + ".qr"); fault == nil {
		c.QR = strings.TrimSuffix(string(qr), "\n")
	} else if !errors.Is(fault, fs.ErrNotExist) {
		return nil, fault
	} else if c.File, err = os.ReadFile(path + ".pdf"); err != nil {
		return nil, err
	}
	if c.Anchors != "" {
		if c.AnchorsPEM, err = os.ReadFile(filepath.Join(dir, c.Anchors)); err != nil {
			return nil, err
		}
	}
	if !registered {
		return c, nil
	}
	if text, err = os.ReadFile(path + ".json"); err != nil {
		return nil, err
	}
	c.Register, err = parseRegister(text)
	return c, err
}

// parse reads a header.
func (c *Case) parse(text string) (registered bool, err error) {
	var values []string
	keys := []string{"comment", "expect", "sub", "check", "state", "time", "anchors", "register"}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for i, line := range lines {
		key, value, found := strings.Cut(line, ":")
		if !found || i >= len(keys) || key != keys[i] {
			return false, fmt.Errorf("line %d is not the next key", i+1)
		}
		values = append(values, strings.TrimPrefix(value, " "))
	}
	if len(values) != len(keys) {
		return false, fmt.Errorf("%d lines, not %d", len(values), len(keys))
	}
	check, code, _ := strings.Cut(values[3], " ")
	c.Comment, c.Expect, c.Sub, c.State = values[0], verify.Indication(values[1]), verify.SubIndication(values[2]), licence.Status(values[4])
	c.Check, c.Code, c.Anchors = verify.Name(check), code, values[6]
	c.Time, err = time.Parse(time.RFC3339, values[5])
	return values[7] == "yes", err
}
