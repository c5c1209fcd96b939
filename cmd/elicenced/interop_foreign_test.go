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
	"strings"
	"testing"
	"time"

	"elicence/crypto/cryptotest"
	"elicence/crypto/pdfsig"
	"elicence/crypto/tsa"
)

// foreignColumns are the parts of a file made elsewhere.
var foreignColumns = []string{"document", "signature"}

// foreignFiles are the containers of other makers, written by tests of ours and by
// BouncyCastle, and changed copies of each.
func foreignFiles(t *testing.T, random *rand.Rand) (all []exhibit) {
	t.Helper()
	p := cryptotest.New(t)
	bound := map[string]bool{} // by name: the signature is over the document's digest
	for _, row := range cryptotest.Rows() {
		name := "foreign-" + row.Name + ".cms"
		if row.CMS == nil {
			name = "foreign-" + row.Name + ".ses"
		}
		bound[name] = row.CMS == nil || row.CMS.Digest || row.CMS.Attributes
		all = append(all, exhibit{name, container(row.Filter, row.SubFilter), p.MustForeign(t, row), foreignWant("good good")})
	}
	for _, e := range strangersFiles(t) {
		bound[e.name] = true
		all = append(all, e)
	}
	for _, e := range all {
		all = append(all, changedForeign(t, e, bound[e.name], random)...)
	}
	return all
}

func container(filter, subFilter string) string { return "`" + filter + "` `" + subFilter + "`" }

func foreignWant(words string) verdicts {
	document, signature, _ := strings.Cut(words, " ")
	return verdicts{"document": document, "signature": signature}
}

// strangersFiles have signatures that BouncyCastle made.
func strangersFiles(t *testing.T) (all []exhibit) {
	t.Helper()
	kinds := []string{"detached", "digest", "direct"}
	documents := map[string][]byte{}
	file := func(kind string, der []byte) []byte {
		return cryptotest.ForeignPDF("Adobe.PPKLite", "adbe.pkcs7.detached", 8<<10, func(document []byte) []byte {
			documents[kind] = document
			return der
		})
	}
	for _, kind := range kinds {
		file(kind, []byte{0x30, 3, 2, 1, 0})
	}
	made := made(t, kinds, documents)
	for _, kind := range kinds {
		all = append(all, exhibit{"bouncycastle-" + kind + ".cms", "BouncyCastle, " + kind, file(kind, made[kind]), foreignWant("good good")})
	}
	return all
}

// made has BouncyCastle make one thing of each kind over its document.
func made(t *testing.T, kinds []string, documents map[string][]byte) map[string][]byte {
	t.Helper()
	dir, jobs, made := t.TempDir(), "", map[string][]byte{}
	for _, kind := range kinds {
		in, out := filepath.Join(dir, kind+".in"), filepath.Join(dir, kind+".out")
		must(t, os.WriteFile(in, documents[kind], 0o644))
		jobs += fmt.Sprintln(kind, in, out)
	}
	cmd := exec.CommandContext(t.Context(), "java", "-cp", os.Getenv("ELICENCE_BOUNCYCASTLE"), "../../testdata/interop/Maker.java")
	cmd.Stdin = strings.NewReader(jobs)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("BouncyCastle: %v\n%s", err, out)
	}
	for _, kind := range kinds {
		der, err := os.ReadFile(filepath.Join(dir, kind+".out"))
		must(t, err)
		made[kind] = der
	}
	return made
}

// changedForeign changes the document, and the end of the signature value, which ends
// /Contents in all of these. A signature that is over the document itself, and not over its
// digest, cannot tell the two apart.
func changedForeign(t *testing.T, e exhibit, bound bool, r *rand.Rand) []exhibit {
	t.Helper()
	found, err := pdfsig.ScanForeign(e.data)
	must(t, err)
	der := found[0].Contents
	document, value := bytes.Clone(e.data), bytes.Clone(e.data)
	document[20+r.IntN(100)] ^= 1 << r.IntN(8)
	at := len(der) - 1 - r.IntN(20)
	copy(value[int(found[0].ByteRange[1])+1+2*at:], hex.EncodeToString([]byte{der[at] ^ 1<<r.IntN(8)}))
	name := func(what string) string { return strings.Replace(e.name, ".", "-"+what+".", 1) }
	if !bound {
		return []exhibit{
			{name("document"), "document; signed as it is", document, foreignWant("bad bad")},
			{name("value"), "signature value; signed as it is", value, foreignWant("bad bad")},
		}
	}
	return []exhibit{
		{name("document"), "document; signed by its digest", document, foreignWant("bad good")},
		{name("value"), "signature value; signed by its digest", value, foreignWant("good bad")},
	}
}

// foreignVerdict is what elicence inspect says of a file made elsewhere.
func foreignVerdict(t *testing.T, tool, path string) verdicts {
	t.Helper()
	out, err := exec.Command(tool, "inspect", "--json", path).Output()
	var report struct {
		Foreign []struct {
			DocumentMatches bool `json:"document_matches"`
			SignatureValid  bool `json:"signature_valid"`
		} `json:"foreign"`
	}
	if err != nil || json.Unmarshal(out, &report) != nil || len(report.Foreign) != 1 {
		return verdicts{"document": unreadable, "signature": unreadable}
	}
	word := map[bool]string{true: good, false: bad}
	return verdicts{"document": word[report.Foreign[0].DocumentMatches], "signature": word[report.Foreign[0].SignatureValid]}
}

// TestInteropToken reads a timestamp token that BouncyCastle made: the identifiers of RFC
// 5652, SM2 as 1.2.156.10197.1.501, attributes that ours do not have.
func TestInteropToken(t *testing.T) {
	document := []byte("signature value")
	der := made(t, []string{"token"}, map[string][]byte{"token": document})["token"]
	token, err := tsa.ParseToken(der)
	must(t, err)
	must(t, token.Check(document))
	if age := time.Since(token.Time); token.Policy != "1.2.3.4" || token.Accuracy != 500*time.Millisecond || age < -time.Second || age > time.Minute {
		t.Errorf("policy %s, accuracy %s, %s old", token.Policy, token.Accuracy, age)
	}
	if token.Check(document[1:]) == nil {
		t.Error("the token is good for another message")
	}
	info := bytes.Index(der, token.Imprint)
	for name, at := range map[string]int{"imprint": info, "signature": len(der) - 2, "certificate": bytes.Index(der, token.Certificate.Raw) + 40} {
		changed := bytes.Clone(der)
		changed[at] ^= 1
		if token, err := tsa.ParseToken(changed); err == nil && token.Check(document) == nil {
			t.Errorf("%s changed, and nobody sees it", name)
		}
	}
}
