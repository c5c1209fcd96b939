package api_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"elicence/api"
	"elicence/audit"
	"elicence/crypto/cryptotest"
	"elicence/crypto/pdfsig"
	"elicence/licence"
	"elicence/licence/registry"
	"elicence/licence/registry/registrytest"
	"elicence/verify"
)

const reportPath = "/api/v1/verifications/report"

// sealed has a report sealed.
func (w *world) sealed(q ask) (answer, *pdfsig.File) {
	w.t.Helper()
	q.method, q.path = "POST", reportPath
	a := w.do(q)
	if a.StatusCode != http.StatusOK || a.Header.Get("Content-Type") != "application/pdf" {
		w.t.Fatalf("%d %s %v", a.StatusCode, a.body, w.failed.all())
	}
	f, err := pdfsig.Read(a.body)
	must(w.t, err)
	return a, f
}

// tool runs a program that judges from outside, and returns what it prints.
func tool(t testing.TB, pkg, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Fatalf("%s is not installed: install the Debian package %s", name, pkg)
	}
	var out, complaints bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %v: %v\n%s%s", name, args, err, &out, &complaints)
	}
	return out.String()
}

// printed is the text of a PDF without white space, as pdftotext sees it.
func printed(t testing.TB, file []byte) (path, text string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "report.pdf")
	if keep := os.Getenv("ELICENCE_KEEP"); keep != "" {
		path = filepath.Join(keep, strings.NewReplacer("/", "-", " ", "-").Replace(t.Name())+".pdf")
	}
	must(t, os.WriteFile(path, file, 0o644))
	return path, strings.Join(strings.Fields(tool(t, "poppler-utils", "pdftotext", "-raw", path, "-")), "")
}

// reportFile is report.json.
type reportFile struct {
	Format, Number string
	Platform       struct{ Name, Code string }
	AskedBy        *struct{ Name, Code string } `json:"asked_by"`
	Report         json.RawMessage
	Receipt        struct {
		Index uint64
		Leaf  string
	}
}

// TestSealedReport has reports sealed on files and codes, good and bad: each says on
// paper, and in the attached data, what the verification came to; the platform's seal
// is good by every judge; and the log permitted it.
func TestSealedReport(t *testing.T) {
	w := open(t)
	one, two := w.issue(food, "one"), w.issue("food-retail.json", "two")
	file, lifted := w.download(one.Identifier), qrText(t, w.download(two.Identifier))
	changed := bytes.Clone(file)
	changed[len(file)/3] ^= 1
	w.token(verifier)
	for _, c := range []struct {
		name string
		ask
		headline string
		numbered bool // the licence's number is printed
	}{
		{"a file", ask{as: verifier, mediaType: "application/pdf", body: file}, "文件真实，证照有效", true},
		{"by nobody", ask{mediaType: "application/pdf", body: file}, "文件真实，证照有效", true},
		{"a file, its code and a day", formOf(t, part{"file", "a.pdf", string(file)}, part{"qr", "", qrText(t, file)}, part{"as_of", "", "2026-06-01"}), "文件真实，证照有效", true},
		{"a code", ask{as: verifier, body: []byte(`{"qr":"` + qrText(t, file) + `"}`)}, "二维码真实，证照有效", true},
		{"a file and another code", formOf(t, part{"file", "a.pdf", string(file)}, part{"qr", "", lifted}), "验证不通过：这份文件不能采信", false},
		{"a changed file", ask{as: verifier, mediaType: "application/pdf", body: changed}, "验证不通过：这份文件不能采信", false},
		{"nonsense with odd characters", ask{as: verifier, mediaType: "application/pdf", body: []byte("%PDF-1.7\n/SubFilter /😀\u202e𠀀\uf8ff" + strings.Repeat("長", 20) + " ")}, "验证不通过：这份文件不能采信", false},
		{"a code with a made-up key id and signature", ask{body: []byte(`{"qr":"` + forgedCode(t, file) + `"}`)}, "无法确认：现有依据不足", false},
		{"nothing", ask{as: verifier, mediaType: "application/pdf"}, "验证不通过：这份文件不能采信", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := w.size()
			a, f := w.sealed(c.ask)
			path, text := printed(t, a.body)
			var content reportFile
			must(t, json.Unmarshal(f.Attachments["report.json"], &content))
			var r report
			must(t, json.Unmarshal(content.Report, &r))
			wants := []string{content.Number, strings.Join(strings.Fields(c.headline), ""), registrytest.Platform.Name, content.Receipt.Leaf, "第2页"}
			for _, check := range r.Checks {
				wants = append(wants, check.Code+"：")
			}
			for _, m := range regexp.MustCompile(`"(?:file|qr)_digest":"([0-9a-f]{64})"`).FindAllStringSubmatch(string(content.Report), -1) {
				wants = append(wants, m[1])
			}
			for _, m := range regexp.MustCompile(`"zh":"([^"]+)"`).FindAllStringSubmatch(string(content.Report), -1) {
				wants = append(wants, strings.Join(strings.Fields(m[1]), ""))
			}
			for _, want := range wants {
				if !strings.Contains(text, want) {
					t.Errorf("the report lacks %s", want)
				}
			}
			if strings.Contains(text, one.Number) != c.numbered {
				t.Errorf("the licence's number is printed: %v", !c.numbered)
			}
			w.checkSealed(t, path, a, f, content, before, c.as)
		})
	}
}

// checkSealed judges a report as a file, and holds it to the log.
func (w *world) checkSealed(t *testing.T, path string, a answer, f *pdfsig.File, content reportFile, before uint64, as string) {
	t.Helper()
	if out := tool(t, "qpdf", "qpdf", "--check", path); !strings.Contains(out, "No syntax or stream encoding errors") {
		t.Errorf("qpdf: %s", out)
	}
	if out := tool(t, "poppler-utils", "pdfsig", "-nocert", path); !strings.Contains(out, "Total document signed") {
		t.Errorf("pdfsig: %s", out)
	}
	parts, err := verify.Inspect(a.body)
	must(t, err)
	if sig := parts.Signature; !cryptotest.OpenSSLVerifies(t, sig.Certificate.PublicKey, sig.TBSRaw, sig.SignatureValue) ||
		!cryptotest.OpenSSLVerifies(t, sig.Seal.Maker.PublicKey, sig.Seal.SignedRaw, sig.Seal.SignatureValue) {
		t.Error("OpenSSL refuses a signature")
	}
	v := verify.Verifier{Anchors: w.PKI.Anchors}
	r := v.VerifyFile(t.Context(), a.body, w.Now())
	if zh, _ := r.Headline(); r.Indication != verify.Indeterminate || r.SubIndication != verify.SignedDataNotFound || r.Green() || !strings.HasPrefix(zh, "这是核验报告，不是证照") {
		t.Errorf("verified: %s/%s, %s, %+v", r.Indication, r.SubIndication, zh, r.Checks)
	}
	entries := w.since(before)
	digest := f.Digest(0)
	if len(entries) != 2 || entries[0].Action != "verify" || entries[1].Action != "report" || entries[1].Object != content.Number || !bytes.Equal(entries[1].Digest, digest[:]) {
		t.Fatalf("log: %+v", entries)
	}
	if content.Format != "elicence-verification-report/1" || content.Receipt.Index != before || content.Number != registry.ReportNumber(before) ||
		content.Platform.Code != registrytest.Platform.Code || (content.AskedBy == nil) != (as == "") {
		t.Errorf("attached: %+v", content)
	}
	if a.Header.Get("Elicence-Log-Leaf") == content.Receipt.Leaf || a.Header.Get("Content-Disposition") == "" {
		t.Errorf("headers: %v", a.Header)
	}
}

// TestReportPage compares the printed code with the log, as who holds the paper does.
func TestReportEntryPage(t *testing.T) {
	w := open(t)
	issued := w.issue(food, "v")
	file := w.download(issued.Identifier)
	a, f := w.sealed(ask{mediaType: "application/pdf", body: file})
	var content reportFile
	must(t, json.Unmarshal(f.Attachments["report.json"], &content))
	path, _ := printed(t, a.body)
	tool(t, "poppler-utils", "pdftoppm", "-r", "200", "-png", "-singlefile", "-f", "1", path, path)
	link := strings.TrimSpace(tool(t, "zbar-tools", "zbarimg", "-q", "--raw", "-Sdisable", "-Sqrcode.enable", path+".png"))
	if link != strings.ToUpper(registrytest.PublicURL)+"/R/"+strings.TrimPrefix(link, strings.ToUpper(registrytest.PublicURL)+"/R/") {
		t.Fatalf("the code says %s", link)
	}
	name := link[strings.LastIndex(link, "/")+1:]
	get := func(path string) answer { return w.do(ask{method: "GET", path: path}) }
	for _, path := range []string{"/R/" + name, "/r/" + strings.ToLower(name)} {
		before := w.size()
		a := get(path)
		page := string(a.body)
		for _, want := range []string{content.Number, sm3Hex(file), "2026-06-01 08:00:00", "<strong>通过</strong>", "改动打印件无法由本页发现", string(issued.Identifier)} {
			if a.StatusCode != 200 || !strings.Contains(page, want) {
				t.Errorf("%s: %d, the page lacks %s", path, a.StatusCode, want)
			}
		}
		if e := w.since(before); len(e) != 1 || e[0].Action != "read_report" || e[0].Object != content.Number || e[0].Result != audit.ResultAllowed {
			t.Errorf("log: %+v", e)
		}
	}
	index, leaf, _ := strings.Cut(name, "-")
	wrong := strings.Repeat("0", 64)
	other := "0" + leaf
	for _, path := range []string{"/R/" + index + "-" + wrong, "/R/0-" + leaf, "/R/99999999-" + leaf, "/R/" + index + "-" + other[:64], "/R/" + index, "/R/0" + index + "-" + leaf,
		"/R/-1-" + leaf, "/R/" + index + "-" + strings.Repeat("z", 64), "/R/99999999999999999999-" + leaf, "/R/x"} {
		before := w.size()
		a := get(path)
		if a.StatusCode != 404 || !strings.Contains(string(a.body), "没有这份核验报告") || strings.Contains(string(a.body), sm3Hex(file)) || w.size() != before+1 {
			t.Errorf("%s: %d", path, a.StatusCode)
		}
	}
	// A verification that no report was sealed on has no page, though its verifier knows the leaf.
	bare := w.do(ask{method: "POST", path: "/api/v1/verifications", mediaType: "application/pdf", body: file})
	if a := get("/R/" + bare.Header.Get("Elicence-Log-Index") + "-" + bare.Header.Get("Elicence-Log-Leaf")); bare.StatusCode != 200 || a.StatusCode != 404 {
		t.Errorf("no report: %d, %d", bare.StatusCode, a.StatusCode)
	}
	// Nor has one whose report was refused.
	_, err := w.ChangeSeal(t.Context(), registry.System("test"), "TEST"+registrytest.Platform.Code, registry.SealSuspended, "r")
	must(t, err)
	refused := w.size()
	w.do(ask{method: "POST", path: reportPath, mediaType: "application/pdf", body: file})
	if e := w.since(refused); len(e) != 2 || e[1].Result != audit.ResultRefused {
		t.Errorf("log: %+v", e)
	} else if a := get("/R/" + strconv.FormatUint(refused, 10) + "-" + w.leaf(refused)); a.StatusCode != 404 {
		t.Errorf("a refused report: %d", a.StatusCode)
	}
	// An entry that is no verification is none, whoever knows its leaf.
	issue := w.do(ask{method: "GET", path: "/api/v1/licences/" + string(issued.Identifier), as: approval})
	if a := get("/R/" + issue.Header.Get("Elicence-Log-Index") + "-" + issue.Header.Get("Elicence-Log-Leaf")); a.StatusCode != 404 {
		t.Errorf("another entry: %d", a.StatusCode)
	}
}

// TestNoSealedReport: what cannot be sealed is refused, and what may not be.
func TestNoSealedReport(t *testing.T) {
	w := open(t)
	body := []byte(`{"qr":"x"}`)
	q := ask{method: "POST", path: reportPath, body: body, remote: "198.51.100.7:1"}
	limited := 0
	for range 8 {
		if a := w.do(q); a.StatusCode == http.StatusTooManyRequests {
			limited++
		}
	}
	if limited != 3 {
		t.Errorf("%d of 8 refused", limited)
	}
	q.as = verifier
	if a := w.do(q); a.StatusCode != http.StatusOK {
		t.Errorf("with a token: %d", a.StatusCode)
	}
	q.as = auditor
	if p := problemIn(t, w.do(q)); p.Code != "forbidden" {
		t.Errorf("an auditor: %+v", p)
	}
	q.as = verifier
	_, err := w.ChangeSeal(t.Context(), registry.System("test"), "TEST"+registrytest.Platform.Code, registry.SealSuspended, "r")
	must(t, err)
	before := w.size()
	if p := problemIn(t, w.do(q)); p.Code != "no_seal" || !strings.Contains(p.Detail, "suspended") {
		t.Errorf("with the seal suspended: %+v", p)
	}
	if e := w.since(before); len(e) != 2 || e[1].Action != "report" || e[1].Result != audit.ResultRefused || e[1].Code != "no_seal" {
		t.Errorf("log: %+v", e)
	}
	parts := w.Config
	parts.Reporter = nil
	none, err := registry.New(parts)
	must(t, err)
	s := w.serve(func(c *api.Config) { w.over(c, none) })
	q.handler = s
	if p := problemIn(t, w.do(q)); p.Code != "no_seal" || p.Status != 409 {
		t.Errorf("without a reporter: %+v", p)
	}
	for handler, want := range map[http.Handler]bool{s: false, w.server: true} {
		if page := string(w.do(ask{method: "GET", path: "/V", handler: handler}).body); strings.Contains(page, `formaction="/V/report"`) != want {
			t.Errorf("the page offers a report: %v", !want)
		}
	}
}

// TestSealedReportForm is the browser's way to a report.
func TestSealedReportForm(t *testing.T) {
	w := open(t)
	file := w.download(w.issue(food, "v").Identifier)
	q := formOf(t, part{"file", "a.pdf", string(file)}, part{"qr", "", ""}, part{"as_of", "", ""})
	q.method, q.path = "POST", "/V/report"
	a := w.do(q)
	if a.StatusCode != 200 || a.Header.Get("Content-Type") != "application/pdf" || !strings.HasPrefix(a.Header.Get("Content-Disposition"), "attachment; filename=\"verification-report-") {
		t.Errorf("%d %v", a.StatusCode, a.Header)
	}
	q.header = map[string]string{"Sec-Fetch-Site": "cross-site"}
	if a := w.do(q); a.StatusCode != http.StatusForbidden {
		t.Errorf("from another site: %d", a.StatusCode)
	}
	empty := formOf(t, part{"file", "", ""})
	empty.method, empty.path = "POST", "/V/report"
	if a := w.do(empty); a.StatusCode != 400 || !strings.Contains(string(a.body), "没有收到文件或二维码") {
		t.Errorf("nothing: %d", a.StatusCode)
	}
}

// forgedCode is a file's QR code with another key id and a signature out of thin air.
func forgedCode(t testing.TB, file []byte) string {
	t.Helper()
	f, err := pdfsig.Read(file)
	must(t, err)
	m, err := licence.ParseQRMessage(f.Attachments["qr.cbor"])
	must(t, err)
	forged, err := m.Payload.Message([8]byte{1, 2, 3}, [64]byte{31: 1, 63: 1})
	must(t, err)
	text, err := licence.NewQRText(registrytest.PublicURL, forged)
	must(t, err)
	return text.String()
}

// TestSealedReportContent: only what was verified and passed has its content on paper, in
// report.json and on the page; else the report says why there is none.
func TestSealedReportContent(t *testing.T) {
	w := open(t)
	file := w.download(w.issue(food, "v").Identifier)
	forged := forgedCode(t, file)
	w.token(verifier)
	report, _ := w.sealed(ask{mediaType: "application/pdf", body: file})
	const holder = "杭州西湖知味样例餐饮有限公司"
	for _, c := range []struct {
		name string
		ask
		want, not string
	}{
		{"a forged code", ask{body: []byte(`{"qr":"` + forged + `"}`)}, "未能确认真伪，不列出证照内容", holder},
		{"no code", ask{body: []byte(`{"qr":"x"}`)}, "二维码没有通过核验，不列出证照内容", "文件没有通过核验"},
		{"the state of no code", ask{body: []byte(`{"qr":"x"}`)}, "二维码没有通过核验，不对证照状态作判断", "文件没有通过核验"},
		{"no file", ask{mediaType: "application/pdf", body: []byte("x")}, "文件没有通过核验，不列出证照内容", "二维码没有通过核验"},
		{"a report", ask{mediaType: "application/pdf", body: report.body}, "这是核验报告，不是证照，没有证照内容", "没有通过核验"},
		{"a licence", ask{mediaType: "application/pdf", body: file}, holder, "不列出证照内容"},
	} {
		c.as = verifier
		a, f := w.sealed(c.ask)
		_, text := printed(t, a.body)
		if !strings.Contains(text, c.want) || strings.Contains(text, c.not) {
			t.Errorf("%s: the report lacks %q, or has %q:\n%s", c.name, c.want, c.not, text)
		}
		if data := string(f.Attachments["report.json"]); strings.Contains(data, `"licence":`) != (c.want == holder) {
			t.Errorf("%s: attached: %s", c.name, data)
		}
	}
	q := formOf(t, part{"file", "", ""}, part{"qr", "", forged})
	q.method, q.path = "POST", "/V"
	if page := string(w.do(q).body); !strings.Contains(page, `<section class="report undecided"`) || strings.Contains(page, holder) {
		t.Error("the page shows what a forged code states")
	}
}
