package verify_test

import (
	"fmt"
	"strings"
	"testing"

	"elicence/crypto/pki"
	"elicence/crypto/seal"
	"elicence/licence/render/pdf"
	"elicence/verify"
)

// TestReportFile: a verification report is never a licence, whoever sealed it, and is
// genuine only under the seal of the body that it names.
func TestReportFile(t *testing.T) {
	const attached, signer = verify.CheckAttachedData, verify.CheckSignerCertificate
	of := func(data string) func(*bench) {
		return func(b *bench) {
			b.r.page = func(d *pdf.Document) { d.Attachments = []pdf.Attachment{{Name: "report.json", Data: []byte(data)}} }
		}
	}
	by := func(code string) string {
		return fmt.Sprintf(`{"format":"elicence-verification-report/1","number":"HY-0000000001","platform":{"name":"x","code":%q},"report":{"indication":"TotalPassed"}}`, code)
	}
	failed := func(name, data string, sub verify.SubIndication, check verify.Name, code string) fileCase {
		return fileCase{name: name, set: of(data), want: verify.TotalFailed, sub: sub, check: check, code: code}
	}
	run(t, []fileCase{
		{name: "genuine", set: of(by(uscc)), want: verify.Indeterminate, sub: verify.SignedDataNotFound, check: attached, code: "verification_report"},
		{name: "with a register", set: func(b *bench) { of(by(uscc))(b); registered(b, "valid", nil) }, want: verify.Indeterminate,
			sub: verify.SignedDataNotFound, check: verify.CheckRegister, code: "not_in_report"},
		{name: "without a token", set: func(b *bench) { of(by(uscc))(b); b.r.token = nil }, want: verify.Indeterminate,
			sub: verify.SignedDataNotFound, check: verify.CheckState, code: "not_in_report"},
		{name: "with a trust list", set: func(b *bench) { of(by(uscc))(b); b.v.Trust = mustTrustList(t, b.pki, sampleList(b.pki)) }, want: verify.Indeterminate,
			sub: verify.SignedDataNotFound, check: verify.CheckState, code: "not_in_report"},
		{name: "signer untrusted", set: func(b *bench) { of(by(uscc))(b); b.v.Anchors = nil }, want: verify.Indeterminate,
			sub: verify.NoCertificateChainFound, check: signer, code: "signer_untrusted"},
		failed("in another's name", by(otherUSCC), verify.SigConstraintsFailure, signer, "signer_other_reporter"),
		failed("of nobody", by(""), verify.FormatFailure, attached, "report_malformed"),
		failed("of a bad code", by("11330106002504122D"), verify.FormatFailure, attached, "report_malformed"),
		failed("another format", strings.Replace(by(uscc), "report/1", "report/2", 1), verify.FormatFailure, attached, "report_malformed"),
		failed("no JSON", "hello", verify.FormatFailure, attached, "report_malformed"),
		failed("empty", "", verify.FormatFailure, attached, "report_malformed"),
		failed("a member twice", strings.Replace(by(uscc), `"platform"`, `"platform":{"name":"x","code":"`+otherUSCC+`"},"platform"`, 1), verify.FormatFailure, attached, "report_malformed"),
		failed("a list", "[]", verify.FormatFailure, attached, "report_malformed"),
		{name: "a licence besides", set: func(b *bench) {
			b.r.page = func(d *pdf.Document) {
				d.Attachments = append(d.Attachments, pdf.Attachment{Name: "report.json", Data: []byte(by(uscc))})
			}
		}, want: verify.TotalFailed, sub: verify.FormatFailure, check: attached, code: "attachments_wrong"},
		{name: "altered", set: of(by(uscc)), tamper: func(b *bench, file []byte) []byte { return append(file, '\n') }, want: verify.TotalFailed,
			sub: verify.FormatFailure, check: verify.CheckCoverage, code: "pdf_revisions"},
		{name: "sealed by a certificate without a code", set: func(b *bench) {
			of(by(uscc))(b)
			b.r.signer = mustIssueFor(t, b.pki, "", pki.UsageSealSigner, now.AddDate(-1, 0, 0), now.AddDate(1, 0, 0))
			b.r.seal = mustSeal(t, b.pki, b.pki.SealMaker, func(s *seal.Template) { s.Signers = []*pki.Certificate{b.r.signer.Certificate} })
		}, want: verify.TotalFailed, sub: verify.SigConstraintsFailure, check: signer, code: "signer_other_reporter"},
	})
}

// TestReportHeadline: only a report with nothing else wrong is called genuine.
func TestReportHeadline(t *testing.T) {
	bad := verify.Check{Name: verify.CheckAttachedData, Result: verify.ResultIndeterminate, Code: "verification_report"}
	worse := verify.Check{Name: verify.CheckRevocation, Result: verify.ResultIndeterminate, Code: "signer_revocation_unknown"}
	for _, c := range []struct {
		checks  []verify.Check
		genuine bool
	}{{[]verify.Check{bad}, true}, {[]verify.Check{worse, bad}, false}, {[]verify.Check{worse}, false}, {nil, false}} {
		zh, en := (&verify.Report{Indication: verify.Indeterminate, Checks: c.checks}).Headline()
		if genuine := strings.HasPrefix(zh, "这是核验报告"); genuine != c.genuine || genuine != strings.Contains(en, "genuine verification report") {
			t.Errorf("%d checks: %s %s", len(c.checks), zh, en)
		}
	}
}
