package verify_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"elicence/crypto/ofd"
	"elicence/crypto/pdfsig"
	"elicence/licence"
	"elicence/verify"
)

// stored and derived are the statuses a sentence may be about.
var statuses = []licence.Status{licence.StatusPending, licence.StatusVoided, licence.StatusSuspended, licence.StatusRevoked,
	licence.StatusWithdrawn, licence.StatusCancelled, licence.StatusSuperseded, licence.StatusExpired, licence.StatusNotYetValid}

// codes are all reason codes: those that the tables of reason.go name, and those
// made of a family's prefix.
func codes(t *testing.T) []string {
	t.Helper()
	var decls []ast.Decl
	for _, name := range []string{"reason.go", "externalreason.go"} {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		decls = append(decls, file.Decls...)
	}
	named := map[string][]string{} // by function
	for _, d := range decls {
		if f, ok := d.(*ast.FuncDecl); ok {
			ast.Inspect(f, func(n ast.Node) bool {
				if c, ok := n.(*ast.CaseClause); ok {
					for _, e := range c.List {
						if lit, ok := e.(*ast.BasicLit); ok && lit.Kind == token.STRING {
							code, _ := strconv.Unquote(lit.Value)
							named[f.Name.Name] = append(named[f.Name.Name], code)
						}
					}
				}
				return true
			})
		}
	}
	var all []string
	for _, table := range []string{"fileReason", "sealReason", "timestampReason", "dataReason", "coSealReason", "registerReason", "externalReason"} {
		if len(named[table]) == 0 {
			t.Fatalf("no codes in %s", table)
		}
		all = append(all, named[table]...)
	}
	for _, role := range []string{"maker", "signer", "tsa", "qr_signer"} {
		for _, fault := range named["pathFault"] {
			all = append(all, role+"_"+fault)
		}
	}
	for _, s := range statuses {
		all = append(all, "state_"+string(s))
	}
	for _, c := range []string{pdfsig.CodeSyntax, pdfsig.CodeLimit, pdfsig.CodeXref, pdfsig.CodeTrailer, pdfsig.CodeObject, pdfsig.CodeProfile,
		pdfsig.CodeUpdate, pdfsig.CodeField, pdfsig.CodeStream, pdfsig.CodeAttachment} {
		all = append(all, "pdf_"+c)
	}
	for _, c := range []string{ofd.CodeContainer, ofd.CodeName, ofd.CodeEntry, ofd.CodeXML, ofd.CodeDocument, ofd.CodeSignature} {
		all = append(all, "ofd_"+c)
	}
	return all
}

// TestSentences: what a clerk reads is whole sentences without the trade's words, and
// ends, where a check did not pass, with what to do next.
func TestSentences(t *testing.T) {
	all := codes(t)
	if len(all) < 120 {
		t.Fatalf("%d codes found", len(all))
	}
	for _, code := range all {
		result, sub, zh, en, known := verify.Reason(code)
		if !known {
			t.Errorf("%s means nothing", code)
			continue
		}
		readable(t, code, result, zh, en)
		wantSub := result == verify.ResultIndeterminate || result == verify.ResultFailed && !strings.HasPrefix(code, "state_")
		if (sub != "") != wantSub {
			t.Errorf("%s: sub-indication %q of %s", code, sub, result)
		}
	}
	asOf := []string{"valid", "unknown", "unavailable", "not_judged", "future", "changed"}
	for _, s := range statuses {
		asOf = append(asOf, string(s))
	}
	for _, code := range asOf {
		result, zh, en := verify.AsOfReason(code)
		readable(t, "as_of_"+code, result, strings.ReplaceAll(zh, "%s", "有效"), strings.ReplaceAll(en, "%s", "valid"))
	}
	if _, _, _, _, known := verify.Reason("no_such_code"); known {
		t.Error("an unknown code has a meaning")
	}
}

// jargon are words that a counter clerk need not know. QR and PDF they know.
var (
	jargonZH = regexp.MustCompile(`杂凑|哈希|摘要|公钥|私钥|字节|编码|解析|信任锚|吊销列表|[A-Za-z]{2,}`)
	jargonEN = regexp.MustCompile(`(?i)\b(hash|digest|byte|bytes|key|keys|crl|crls|ocsp|asn\.1|der|cms|pki|sm2|sm3|xref|anchor|anchors|token|payload)\b`)
	abbrev   = regexp.MustCompile(`QR|PDF|SM2`)
)

func readable(t *testing.T, code string, result verify.Result, zh, en string) {
	t.Helper()
	if !strings.HasSuffix(zh, "。") || !strings.HasSuffix(en, ".") || strings.Contains(zh+en, "%") {
		t.Errorf("%s: not whole sentences: %s %s", code, zh, en)
	}
	if word := jargonZH.FindString(abbrev.ReplaceAllString(zh, "")); word != "" {
		t.Errorf("%s says %s: %s", code, word, zh)
	}
	if word := jargonEN.FindString(abbrev.ReplaceAllString(en, "")); word != "" {
		t.Errorf("%s says %s: %s", code, word, en)
	}
	if result == verify.ResultPassed {
		return
	}
	advice := slices.ContainsFunc([]string{"请", "建议", "可下载"}, func(word string) bool { return strings.Contains(zh, word) })
	if !advice || strings.Count(en, ". ")+strings.Count(en, "; ") == 0 {
		t.Errorf("%s does not say what to do next: %s %s", code, zh, en)
	}
}
