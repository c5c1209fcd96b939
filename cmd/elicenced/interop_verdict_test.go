//go:build interop

package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"elicence/crypto/pki"
	"elicence/verify"
)

// The words of a verdict on one part. A part is unreadable when what holds it is
// not in the form that it must have: it is refused, with no opinion on its value.
const (
	good       = "good"
	bad        = "bad"
	absent     = "absent"
	unreadable = "unreadable"
)

// parts of a licence file that have a verdict of their own, as columns of the table.
var columns = []string{"document", "seal", "seal_signature", "timestamp", "qr"}

// verdicts are by part. In what an exhibit wants, a part that is not there may have
// any verdict, and none at all wants that each judge refuses some part.
type verdicts map[string]string

// want reads one word for each column; a dash is no part of the file.
func want(words string) verdicts {
	v := verdicts{}
	for i, word := range strings.Fields(words) {
		if word != "-" {
			v[columns[i]] = word
		}
	}
	return v
}

// refused reports whether some part is bad or unreadable.
func (v verdicts) refused() bool {
	for _, verdict := range v {
		if verdict == bad || verdict == unreadable {
			return true
		}
	}
	return false
}

// checkOf is where a report holds the verdict on a part.
var checkOf = map[string]verify.Name{
	"document": verify.CheckDocumentDigest, "seal": verify.CheckSeal, "seal_signature": verify.CheckSealSignature,
	"timestamp": verify.CheckTimestamp, "qr": verify.CheckQR,
}

// wrong are the codes that speak of a part's own value; any other fault is one of form,
// or of trust and time, which strangers are not asked about.
var wrong = []string{
	"document_digest_differs", "seal_maker_signature_wrong", "signer_not_listed", "seal_signature_wrong",
	"timestamp_other_signature", "timestamp_wrong", "qr_signature_wrong", "qr_other_key", "qr_key_unknown",
}

// reportVerdicts reads a report part by part.
func reportVerdicts(r *verify.Report) verdicts {
	v := verdicts{}
	for part, name := range checkOf {
		v[part] = checkVerdict(r, name)
	}
	severalVerdicts(r, v)
	return v
}

func checkVerdict(r *verify.Report, name verify.Name) string {
	i := slices.IndexFunc(r.Checks, func(c verify.Check) bool { return c.Name == name })
	switch c := r.Checks[i]; {
	case c.Code == "timestamp_absent":
		return absent
	case c.Code == "not_reached" || strings.HasSuffix(c.Code, "_malformed"):
		return unreadable
	case slices.Contains(wrong, c.Code):
		return bad
	}
	return good
}

// qrVerdict is the verdict of package verify on a QR code whose signer it knows.
func qrVerdict(t *testing.T, anchors, file []byte) verdicts {
	t.Helper()
	lines := strings.Split(string(file), "\n")
	der, err := hex.DecodeString(lines[1])
	must(t, err)
	signer, err := pki.ParseCertificate(der)
	must(t, err)
	v := verify.Verifier{QRSigners: []*pki.Certificate{signer}}
	v.Anchors, err = pki.ParseTrustAnchors(anchors)
	must(t, err)
	r := v.VerifyQR(context.Background(), lines[0], time.Now())
	return verdicts{"qr": checkVerdict(r, verify.CheckQR)}
}

// compare fails for every part on which judges disagree, and for every verdict that
// is not the one wanted.
func compare(t *testing.T, said map[string]map[string]verdicts, all []exhibit) {
	t.Helper()
	for _, e := range all {
		for _, fault := range faults(said, e) {
			t.Errorf("%s (%s): %s", e.name, e.change, fault)
		}
	}
}

func faults(said map[string]map[string]verdicts, e exhibit) (list []string) {
	for _, part := range append(severalParts, "signature") {
		words := map[string]bool{}
		for _, v := range said {
			words[v[e.name][part]] = true
		}
		wanted, fixed := e.want[part]
		if fixed && (len(words) != 1 || !words[wanted]) || words[good] && words[bad] {
			list = append(list, fmt.Sprintf("%s, wanted %q: %s", part, wanted, who(said, e.name, part)))
		}
	}
	for name, v := range said {
		if len(e.want) == 0 && !v[e.name].refused() {
			list = append(list, name+" refuses no part of it")
		}
	}
	return list
}

// who says what of a part.
func who(said map[string]map[string]verdicts, name, part string) string {
	var words []string
	for judge, v := range said {
		words = append(words, judge+" says "+v[name][part])
	}
	slices.Sort(words)
	return strings.Join(words, ", ")
}

const verdictsFile = "../../docs/interop.md"

// writeTables puts the tables of this run into the document. That of other makers'
// seals stays as it is when there were none.
func writeTables(t *testing.T, all, several, foreign, others []exhibit) {
	t.Helper()
	if t.Failed() {
		return
	}
	text, err := os.ReadFile(verdictsFile)
	must(t, err)
	written := between(t, string(text), "verdicts", table(all, columns))
	written = between(t, written, "several", severalTable(several))
	written = between(t, written, "foreign", table(foreign, foreignColumns))
	if len(others) > 0 {
		written = between(t, written, "others", table(others, columns[1:2]))
	}
	must(t, os.WriteFile(verdictsFile, []byte(written), 0o644))
}

// between replaces what stands between two markers.
func between(t *testing.T, text, marker, content string) string {
	t.Helper()
	before, rest, begins := strings.Cut(text, "<!-- "+marker+" -->\n")
	_, after, ends := strings.Cut(rest, "<!-- /"+marker+" -->")
	if !begins || !ends {
		t.Fatalf("%s has no place for the table %q", verdictsFile, marker)
	}
	return before + "<!-- " + marker + " -->\n" + content + "<!-- /" + marker + " -->" + after
}

// table has a row for each change, in the order of the exhibits. Every judge said
// every word of it, or compare would have failed.
func table(all []exhibit, parts []string) string {
	var b strings.Builder
	b.WriteString("| what was changed | files |")
	for _, part := range parts {
		fmt.Fprintf(&b, " %s |", headings.Replace(part))
	}
	fmt.Fprintf(&b, "\n|---|---|%s\n", strings.Repeat("---|", len(parts)))
	changes, count, wanted := tally(all)
	for _, change := range changes {
		fmt.Fprintf(&b, "| %s | %d |%s\n", change, count[change], cells(wanted[change], parts))
	}
	return b.String()
}

var headings = strings.NewReplacer("seal_signature", "seal signature", "qr", "QR code")

// cells are the verdicts of one row; of a change with no verdict wanted, that it is refused.
func cells(v verdicts, parts []string) string {
	if len(v) == 0 {
		return " **refused** |" + strings.Repeat(" |", len(parts)-1)
	}
	var b strings.Builder
	for _, part := range parts {
		fmt.Fprintf(&b, " %s |", strings.Replace(v[part], bad, "**bad**", 1))
	}
	return b.String()
}

// TestInteropDisagreement holds compare to its word.
func TestInteropDisagreement(t *testing.T) {
	for _, c := range []struct {
		name, want, a, b string
		fault            bool
	}{
		{"all as wanted", "good bad", "good bad", "good bad", false},
		{"absent as wanted", "good absent", "good absent", "good absent", false},
		{"refused by both, each in its way", "", "good unreadable", "bad bad", true},
		{"refused by both", "", "good unreadable", "good bad", false},
		{"agreed, but not as wanted", "good bad", "good good", "good good", true},
		{"unreadable where bad is wanted", "good bad", "good bad", "good unreadable", true},
		{"good against bad", "good bad", "good bad", "good good", true},
		{"no verdict at all", "good bad", "good bad", "good", true},
		{"refused by one", "", "good bad", "good unreadable", false},
		{"refused by one alone", "", "good good", "good unreadable", true},
	} {
		said := map[string]map[string]verdicts{"a": {"x": want(c.a)}, "b": {"x": want(c.b)}}
		if got := faults(said, exhibit{name: "x", want: want(c.want)}); (len(got) > 0) != c.fault {
			t.Errorf("%s: %q", c.name, got)
		}
	}
}
