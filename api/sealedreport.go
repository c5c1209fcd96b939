package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/registry"
	"elicence/verify"
)

// errNoReporter is a service that seals no reports.
var errNoReporter = &refusal{code: "no_seal", detail: "nobody seals verification reports here"}

// reportFileJSON is report.json, attached to a verification report: everything that
// the verification came to, and its receipt. Its format is final.
type reportFileJSON struct {
	Format   string       `json:"format"` // elicence-verification-report/1
	Number   string       `json:"number"`
	Platform partyJSON    `json:"platform"`
	AskedBy  *partyJSON   `json:"asked_by,omitempty"` // absent: somebody who did not sign in
	FileSize *int         `json:"file_size,omitempty"`
	Report   *reportJSON  `json:"report"`
	Receipt  *receiptJSON `json:"receipt"`
}

type partyJSON struct {
	Name string `json:"name"`
	Code string `json:"code"`
}

// sealedReport verifies, and answers with the report as a sealed file to keep.
func (x *exchange) sealedReport() {
	if x.identified() {
		if err := x.authenticate(); err != nil {
			x.refuse(err)
			return
		}
	}
	x.answerSealed(x.input)
}

// sealedReportForm is the same for a browser's form.
func (x *exchange) sealedReportForm() {
	x.page = true
	if crossOrigin.Check(x.r) != nil {
		x.refuse(x.stranger(errCrossOrigin))
		return
	}
	x.answerSealed(x.upload)
}

func (x *exchange) answerSealed(read func() (verify.Input, error)) {
	platform, found := x.cfg.Registry.Reporter()
	if !found {
		x.refuse(errNoReporter)
		return
	}
	if x.anonymous() {
		if wait := x.reports.take(x.remote(), x.now()); wait > 0 {
			x.refuse(x.summed(x.reports.refused, errLimited(wait)))
			return
		}
	}
	report, receipt := x.verified(read)
	if report == nil {
		return
	}
	if report.Indication != verify.TotalPassed {
		report.Licence = nil // the platform's seal vouches for no content that nobody is known to have signed
	}
	file, receipt, err := x.seal(platform, report, receipt)
	if !x.settle(receipt, err) {
		return
	}
	x.w.Header().Set("Content-Disposition", `attachment; filename="verification-report-`+report.LogIndex+`.pdf"`)
	x.bytes("application/pdf", file)
}

// seal has the registry seal a report, as one of so many at once of its room.
func (x *exchange) seal(platform licence.IssuingAuthority, report *reportJSON, receipt audit.Receipt) ([]byte, audit.Receipt, error) {
	number := registry.ReportNumber(receipt.Index)
	content := reportFileJSON{Format: "elicence-verification-report/1", Number: number, Platform: partyJSON{platform.Name, platform.Code},
		Report: report, Receipt: newReceipt(receipt)}
	if a := x.caller.Authority; a.Name != "" {
		content.AskedBy = &partyJSON{a.Name, a.Code}
	}
	if report.FileDigest != "" {
		content.FileSize = &report.size
	}
	data, err := json.Marshal(content)
	if err != nil {
		return nil, audit.Receipt{}, fmt.Errorf("encoding report %s: %w", number, err)
	}
	room, _ := x.room()
	select {
	case room.sealing <- struct{}{}:
		defer func() { <-room.sealing }()
	case <-x.r.Context().Done():
		return nil, audit.Receipt{}, x.r.Context().Err()
	}
	return x.cfg.Registry.SealReport(x.r.Context(), x.caller, registry.ReportRequest{
		Verification: receipt, Data: data, Fields: content.fields(receipt)})
}

// The most characters of a value on the printed report; report.json has it whole.
const (
	maxPrinted         = 48
	maxPrintedEvidence = 480
	maxPrintedReasons  = 2
)

// short is a text for the printed report.
func short(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "……"
	}
	return s
}

// fields is what the layout templates/reports/verification prints.
func (c *reportFileJSON) fields(receipt audit.Receipt) map[string]any {
	r := c.Report
	f := map[string]any{
		"verified_at": chineseClock(r.VerifiedAt), "state": c.state(), "reasons": c.reasons(), "summary": c.summary(), "checks": c.rows(),
		"unstated": c.unstated(), "file_digest": r.FileDigest, "qr_digest": r.QRDigest, "asked_by": "未登录的公众",
		"log_index": r.LogIndex, "log_leaf": c.Receipt.Leaf, "log_name": "—", "log_checkpoint": "—",
		"headline_" + map[tone]string{toneGood: "good", toneFailed: "bad", toneUnusable: "bad", toneUndecided: "open", toneUnchecked: "open"}[r.Tone]: r.Headline.ZH,
	}
	if c.AskedBy != nil {
		f["asked_by"] = short(c.AskedBy.Name, maxPrinted)
	}
	if c.FileSize != nil {
		f["file_size"] = strconv.Itoa(*c.FileSize) + " 字节"
	}
	if l := r.Licence; l != nil {
		f["type_name"], f["holder_name"], f["licence_number"] = short(l.TypeName, maxPrinted), short(l.HolderName, maxPrinted), short(l.Number, maxPrinted)
		f["authority_name"], f["identifier"], f["dates"] = short(l.AuthorityName, maxPrinted), string(l.Identifier), dates(l)
	}
	if note := strings.SplitN(string(receipt.Checkpoint), "\n", 4); len(note) == 4 { // origin, size, root
		f["log_name"], f["log_checkpoint"] = short(note[0], maxPrinted), "共 "+note[1]+" 条，根 "+note[2]
	}
	return f
}

// dates are day of issue and validity on one line.
func dates(s *verify.Stated) string {
	return s.IssuedOn + " 颁发，有效期 " + s.EffectiveOn + " 至 " + s.Until()
}

func chineseClock(t time.Time) string { return t.In(beijing).Format("2006年1月2日 15:04:05") }

// state is the licence's state now, and on the day that was asked for.
func (c *reportFileJSON) state() string {
	r := c.Report
	if r.Tone == toneFailed {
		return c.subject() + "没有通过核验，不对证照状态作判断"
	}
	s := "证照状态：" + verify.StateLabel(r.LicenceState) + "（截至北京时间 " + r.AsKnownAt.In(beijing).Format(time.DateTime) + "）"
	if r.AsOf != nil {
		s += "　" + r.AsOf.Date.String() + " 的状态：" + verify.StateLabel(r.AsOf.State)
	}
	if r.Origin == licence.OriginExternal {
		s += "　其他平台签发"
	}
	return s
}

// subject is what was verified.
func (c *reportFileJSON) subject() string {
	if c.Report.CodeAlone {
		return "二维码"
	}
	return "文件"
}

// unstated says why the report states no content; empty when it does.
func (c *reportFileJSON) unstated() string {
	switch r := c.Report; {
	case r.Licence != nil:
		return ""
	case r.GenuineReport():
		return "这是核验报告，不是证照，没有证照内容"
	case r.Tone == toneFailed:
		return c.subject() + "没有通过核验，不列出证照内容"
	}
	return "未能确认真伪，不列出证照内容"
}

// reasons are the first checks that did not pass; of a good report what to do with it.
func (c *reportFileJSON) reasons() string {
	bad := pick(c.Report.Checks, verify.ResultFailed, verify.ResultIndeterminate)
	if len(bad) == 0 {
		return "请将下列证照内容与对方出示的证照逐项核对，完全一致方可采信。"
	}
	var b strings.Builder
	for _, check := range bad[:min(len(bad), maxPrintedReasons)] {
		b.WriteString(checkLabels[check.Name] + "：" + check.ZH)
	}
	if len(bad) > maxPrintedReasons {
		b.WriteString("（另有 " + badCount(bad[maxPrintedReasons:]) + "，见第 2 页起）")
	}
	return b.String()
}

// resultLabels name the results to people.
var resultLabels = map[verify.Result]string{verify.ResultPassed: "通过", verify.ResultFailed: "未通过",
	verify.ResultIndeterminate: "无法确认", verify.ResultNotChecked: "未进行"}

func (c *reportFileJSON) summary() string {
	count := func(r verify.Result) int { return len(pick(c.Report.Checks, r)) }
	return fmt.Sprintf("共 %d 项：通过 %d 项，未通过 %d 项，无法确认 %d 项，未进行 %d 项。逐项情况见第 2 页起。", len(c.Report.Checks),
		count(verify.ResultPassed), count(verify.ResultFailed), count(verify.ResultIndeterminate), count(verify.ResultNotChecked))
}

// rows are the checks one by one, and the past day behind them.
func (c *reportFileJSON) rows() []any {
	var rows []any
	row := func(name, result, sentence, code, evidence string) {
		rows = append(rows, map[string]any{"name": name, "result": result, "sentence": sentence, "evidence": short(code+"："+evidence, maxPrintedEvidence)})
	}
	for _, check := range c.Report.Checks {
		row(checkLabels[check.Name], resultLabels[check.Result], check.ZH, check.Code, check.Evidence)
	}
	if p := c.Report.AsOf; p != nil {
		row(p.Date.String()+" 的证照状态", verify.StateLabel(p.State), p.ZH, p.Code, p.Evidence)
	}
	return rows
}

// parseReportName reads INDEX-LEAF, which stands in the code of a printed report.
func parseReportName(text string) (index uint64, leaf string, ok bool) {
	number, leaf, found := strings.Cut(text, "-")
	index, err := strconv.ParseUint(number, 10, 63)
	return index, strings.ToLower(leaf), found && err == nil && len(leaf) == 64 && number == strconv.FormatUint(index, 10)
}

// reportPage compares a printed report with the access log.
func (x *exchange) reportPage() {
	x.page = true
	if wait := x.verifications.take(x.remote(), x.now()); wait > 0 {
		x.refuse(x.summed(x.verifications.refused, errLimited(wait)))
		return
	}
	index, leaf, ok := parseReportName(x.name)
	if !ok {
		x.refuse(errNoReport)
		return
	}
	found, receipt, err := x.cfg.AccessLog.ReadReport(x.r.Context(), x.caller, index, leaf)
	if errors.Is(err, licence.ErrNotFound) {
		err = errNoReport
	}
	if x.settle(receipt, err) {
		x.show(http.StatusOK, "report_entry", found)
	}
}
