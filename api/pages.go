package api

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/consent"
	"elicence/licence/dispute"
	"elicence/licence/person"
	"elicence/licence/registry"
	"elicence/templates"
	"elicence/verify"
)

// The pages are for people, most of them on a phone. Their rules: Chinese first,
// the verdict before its reasons, and with every bad news what to do next; colour
// never says what words do not; nothing inline, nothing from another server; they
// work without a script.

// parsePages reads the embedded pages.
func parsePages() (*template.Template, error) {
	t, err := template.New("pages").Funcs(template.FuncMap{
		"checkLabel":   func(n verify.Name) string { return checkLabels[n] },
		"stateLabel":   verify.StateLabel,
		"rare":         rare,
		"pick":         pick,
		"badCount":     badCount,
		"indication":   indicationLabel,
		"actionLabel":  actionLabel,
		"objectLabel":  objectLabel,
		"disputeKind":  func(k dispute.Kind) string { return disputeKindLabels[k] },
		"disputeState": func(s dispute.State) string { return disputeStateLabels[s] },
		"groundLabel":  groundLabel,
		"roleLabel":    func(r person.Role) string { return roleLabels[r] },
		"grantLabel":   func(s registry.GrantStatus) string { return grantLabels[s] },
		"howLabel":     func(h registry.How) string { return howLabels[h] },
		"kindLabel":    func(k consent.Kind) string { return kindLabels[k] },
		"standsLabel":  func(s consent.Status) string { return standsLabels[s] },
		"outcome":      func(r audit.Result) string { return outcomeLabels[r] },
		"lastDay":      func(end time.Time) string { return licence.DateOf(end.Add(-1)).String() },
		"clock":        func(t time.Time) string { return t.In(beijing).Format(time.DateTime) },
	}).ParseFS(templates.Pages(), "*.html")
	if err != nil {
		return nil, fmt.Errorf("api: parsing the pages: %w", err)
	}
	return t, nil
}

// beijing is the time zone people are shown; there is no other in the country.
var beijing = time.FixedZone("+08:00", 8*60*60)

// checkLabels name the checks to people.
var checkLabels = map[verify.Name]string{
	verify.CheckStructure: "文件结构", verify.CheckCoverage: "签章覆盖范围", verify.CheckSealSignature: "电子签章",
	verify.CheckSeal: "电子印章", verify.CheckSealMaker: "制章单位证书", verify.CheckSignerCertificate: "盖章单位证书",
	verify.CheckRevocation: "证书吊销状态", verify.CheckTimestamp: "时间戳", verify.CheckDocumentDigest: "文件内容完整性",
	verify.CheckQR: "二维码签名", verify.CheckAttachedData: "证照数据一致性", verify.CheckRegister: "证照库比对", verify.CheckCoSeals: "联合用印",
	verify.CheckState: "证照状态", verify.CheckCopy: "加注件",
}

// kindLabels and standsLabels name to people what a consent is for, and how it stands.
var (
	kindLabels   = map[consent.Kind]string{consent.Reuse: "用证码", consent.Presentation: "亮证"}
	standsLabels = map[consent.Status]string{consent.Standing: "有效", consent.Spent: "已用完", consent.Revoked: "已撤回", consent.Expired: "已到期"}
)

// rareCharacter is a character that the fonts of many screens lack, and draw as a box. The
// script has the same expression.
var rareCharacter = regexp.MustCompile(`[^\x{0000}-\x{9FA5}\x{FE30}-\x{FE4F}\x{FF00}-\x{FFEF}]`)

// rare names the rare characters of a text with their code points, so that two texts can
// be compared where a box is drawn; empty when there are none.
func rare(s string) string {
	var names []string
	for _, c := range rareCharacter.FindAllString(s, -1) {
		if name := fmt.Sprintf("%s（U+%04X）", c, []rune(c)[0]); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return "含罕见字：" + strings.Join(names, "、")
}

// indicationLabel names an indication to people; code may have a sub-indication behind
// a slash.
func indicationLabel(code string) string {
	indication, _, _ := strings.Cut(code, "/")
	return map[string]string{string(verify.TotalPassed): "通过", string(verify.TotalFailed): "不通过", string(verify.Indeterminate): "无法确认"}[indication]
}

// pick returns the checks with one of some results.
func pick(checks []verify.Check, results ...verify.Result) []verify.Check {
	return slices.DeleteFunc(slices.Clone(checks), func(c verify.Check) bool { return !slices.Contains(results, c.Result) })
}

// badCount counts the checks that failed, and apart from them those that are undecided.
func badCount(checks []verify.Check) string {
	var parts []string
	for _, c := range []struct {
		result verify.Result
		words  string
	}{{verify.ResultFailed, "项没有通过"}, {verify.ResultIndeterminate, "项无法确认"}} {
		if n := len(pick(checks, c.result)); n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, c.words))
		}
	}
	return strings.Join(parts, "，")
}

// pageData is what every page gets.
type pageData struct {
	// Host is the name people should see in their browser's address bar.
	Host string
	// Official says that the page is one of officials.
	Official bool
	// Body is the page's own.
	Body any
}

// show answers with a page, which is made whole before its first byte goes out.
func (x *exchange) show(status int, name string, body any) {
	host := x.cfg.PublicURL
	if u, err := url.Parse(x.cfg.PublicURL); err == nil {
		host = u.Host
	}
	var b bytes.Buffer
	if err := x.pages.ExecuteTemplate(&b, name, pageData{host, x.official, body}); err != nil {
		x.report(fmt.Errorf("making page %s: %w", name, err))
		http.Error(x.w, "500", http.StatusInternalServerError)
		return
	}
	x.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	x.w.WriteHeader(status)
	if _, err := x.w.Write(b.Bytes()); err != nil {
		x.report(fmt.Errorf("writing the answer: %w", err))
	}
}

// landingPage says what is where.
func (x *exchange) landingPage() { x.show(http.StatusOK, "landing", nil) }

// verificationBody is the verification page's: a report, or none yet, and the
// statuses for its script.
type verificationBody struct {
	Report *reportJSON
	// Sealed says that the report can be had as a sealed file.
	Sealed bool
	// Today is the last day whose state can be asked for.
	Today licence.Date
	// Empty and Check are what the script fills in.
	Empty  *reportJSON
	Check  verify.Check
	Checks map[verify.Name]string
	States map[licence.Status]string
}

func (x *exchange) verificationBody(r *reportJSON) verificationBody {
	_, sealed := x.cfg.Registry.Reporter()
	return verificationBody{Report: r, Sealed: sealed, Today: licence.DateOf(x.now()), Checks: checkLabels, States: verify.StateLabels(),
		Empty: &reportJSON{Report: &verify.Report{AsOf: &verify.StateAsOf{}, Copy: &verify.CopyReport{}}, Licence: &verify.Stated{}}}
}

// verificationPage is the page that a QR code opens. The code's payload is in the
// fragment, which only the page's script sees.
func (x *exchange) verificationPage() {
	x.show(http.StatusOK, "verification", x.verificationBody(nil))
}

// crossOrigin keeps other sites from sending our forms (see http.CrossOriginProtection).
var crossOrigin = http.NewCrossOriginProtection()

// errCrossOrigin is a form that another site sent.
var errCrossOrigin = &refusal{code: "forbidden", detail: "the form was sent from another site"}

// verificationForm verifies an upload from a browser without scripts.
func (x *exchange) verificationForm() {
	x.page = true
	if crossOrigin.Check(x.r) != nil {
		x.refuse(x.stranger(errCrossOrigin))
		return
	}
	if report, _ := x.verified(x.upload); report != nil {
		x.show(http.StatusOK, "verification", x.verificationBody(report))
	}
}

// nowhere answers where nothing is: a browser with a page, a program with a
// problem document.
func (x *exchange) nowhere(err *refusal) {
	x.page = strings.Contains(x.r.Header.Get("Accept"), "text/html")
	x.fail(err)
}

// problemWords are what a page says of a problem, and what to do next.
var problemWords = map[string]struct{ Title, Next string }{
	"no_such_route":          {"没有这个页面", "网址可能不完整，或者已经失效。请从下面的链接重新进入。"},
	"no_such_method":         {"不能这样打开这个网址", "请从下面的链接重新进入。"},
	"not_signed_in":          {"请先登录", "请用统一身份认证登录，或使用发给您的一次性登录链接进入本页。"},
	"sign_in_failed":         {"登录没有成功", "统一身份认证没有确认本次登录，或登录超时。请重新登录。"},
	"sign_in_unknown":        {"无法确认您的身份信息", "统一身份认证没有提供有效的公民身份号码。请先在统一身份认证平台完成实名认证。"},
	"person_unknown":         {"您的账号没有在本平台登记", "统一身份认证已经确认您的身份，但本平台没有为您登记，或者登记尚未生效、已经停用。请联系本单位的管理员。"},
	"identity_unavailable":   {"统一身份认证暂时不可用", "请稍后再试，或使用发给您的一次性登录链接。"},
	"link_spent":             {"登录链接已失效", "一次性登录链接只能使用一次，且有时间限制。请索取新的链接。"},
	"consent_unknown":        {"没有这个码", "码可能不完整或有误。请让持证人重新出示，再扫一次。"},
	"consent_expired":        {"码已失效", "码每分钟更新一次。请让持证人打开“授权与亮证”页面重新出示。"},
	"consent_spent":          {"已用完授权的次数", "持证人同意的使用次数已经用完。如仍需使用，请持证人另行授权。"},
	"consent_revoked":        {"授权已撤回", "持证人已经撤回这次授权。"},
	"consent_mismatch":       {"这个码不能在这里查看", "它是用证码，或只授权给指定单位。请由该单位在其业务系统中扫码使用。"},
	"too_many_consents":      {"有效的授权太多", "请先撤回不再需要的授权，或等它到期。"},
	"malformed_parameter":    {"没有选择证照", "请返回“我的证照”，选择要授权或出示的证照（不超过 20 份）。"},
	"no_seal":                {"这里不能出具核验报告", "本平台没有用于核验报告的电子印章。请直接打印查验结果页面。"},
	"no_such_report":         {"没有这份核验报告", "访问日志里没有这份核验报告的记录，它不是本平台出具的。请勿采信，并与提交报告的人核实。"},
	"not_found":              {"没有找到", "这份证照、这条记录或这件异议不存在，或者不在您名下。请返回“我的证照”，从列表中重新打开。"},
	"dispute_stands":         {"已有一件同样的异议", "同一事项的异议还没有办结，请在“我的异议”中查看进度。"},
	"too_many_disputes":      {"异议太多", "未办结的异议不超过十件，一天内提出的不超过二十件。请等待答复，或撤回不再需要的异议。"},
	"wrong_status":           {"现在不能进行这项操作", "这件异议的状态已经改变，请在“我的异议”中查看。"},
	"entry_archived":         {"这条记录已归档", "请向本平台申请调取后再提出异议。"},
	"too_large":              {"文件太大", "电子证照文件不超过 20 MB。请确认所选文件是否正确。"},
	"malformed_upload":       {"没有收到文件或二维码", "请返回上一页，选择一个电子证照文件（PDF），或填入二维码的内容后再提交。"},
	"invalid_request":        {"填写的内容有误", "请返回上一页检查：必填的内容不能为空，文字不能过长或含有特殊字符；二维码内容应完整，日期应为今天或以前的一天。"},
	"unsupported_media_type": {"没有收到文件", "请返回上一页，选择一个电子证照文件（PDF）后再提交。"},
	"rate_limited":           {"操作过于频繁", "请稍等一分钟后再试。"},
	"busy":                   {"当前查验人数较多", "请稍后再试。"},
	"log_unavailable":        {"服务暂时不可用", "访问日志暂时无法写入，因此本次操作没有进行。请稍后再试。"},
	"storage_unavailable":    {"服务暂时不可用", "证照库暂时无法访问。请稍后再试。"},
	"outcome_unknown":        {"不确定操作是否完成", "记录本次操作时存储中断，操作可能已经完成，也可能没有进行。请稍后返回查看，必要时再试一次。"},
	"forbidden":              {"不能进行这项操作", "请从本网站的页面重新操作。"},
}

// officialWords are those for officials, where they are others.
var officialWords = map[string]struct{ Title, Next string }{
	"not_signed_in":       {"请先登录", "请用统一身份认证登录。登录后 15 分钟内有效。"},
	"wrong_status":        {"现在不能进行这项操作", "它的状态已经改变，请返回列表查看。"},
	"not_found":           {"没有找到", "它不存在，或者不在您的职责范围内。请返回列表重新打开。"},
	"forbidden":           {"不能进行这项操作", "您的角色或部门不允许，或者不是从本网站的页面操作的。本人申请的授权须由他人审批，本部门的熔断须由上级或电子监察解除。"},
	"reason_missing":      {"请填写理由", "请返回上一页，写明理由后再提交。理由会记入访问日志。"},
	"invalid_request":     {"填写的内容有误", "请返回上一页检查：文字不能过长或含有特殊字符，日期应为年-月-日。"},
	"malformed_parameter": {"网址有误", "请返回“工作人员”页面，重新进入。"},
}

// doorway is where to sign in where that is what a problem needs; empty where it cannot help.
func (x *exchange) doorway(p problem) string {
	provider, path := x.cfg.Identity, "/sign-in/holder"
	if x.official {
		provider, path = x.cfg.Officials, "/sign-in/official"
	}
	if p.Status != http.StatusUnauthorized || provider == nil {
		return ""
	}
	return path
}

// problemPage shows a problem to a person.
func (x *exchange) problemPage(p problem) {
	words, ok := problemWords[p.Code]
	if x.action == registry.ActionConsent && p.Code == "invalid_request" {
		words.Next = "请返回上一页检查：至少选择一项内容，写明用途，次数为 1 至 100，时间为 1 分钟至 7 天。"
	}
	signIn := x.doorway(p)
	if own, official := officialWords[p.Code]; official && x.official {
		words, ok = own, true
	} else if p.Code == "not_signed_in" && signIn == "" {
		words.Next = "请使用发给您的一次性登录链接进入本页。"
	}
	if !ok {
		words.Title, words.Next = "操作没有完成", "请稍后再试；如仍不成功，请把下面的请求编号告知服务单位。"
	}
	x.show(p.Status, "problem", struct {
		Title, Next, Code, RequestID string
		SignIn                       string
	}{words.Title, words.Next, p.Code, p.RequestID, signIn})
}

// assetTypes lists what pages load.
var assetTypes = map[string]string{
	"style.css": "text/css; charset=utf-8",
	"verify.js": "text/javascript; charset=utf-8",
	"live.js":   "text/javascript; charset=utf-8",
	"icon.svg":  "image/svg+xml",
}

// asset serves what pages load.
func (x *exchange) asset(name string) {
	mediaType, ok := assetTypes[name]
	b, err := fs.ReadFile(templates.Pages(), name)
	if !ok || err != nil {
		x.fail(errNoRoute)
		return
	}
	x.w.Header().Set("Cache-Control", "public, max-age=300")
	x.bytes(mediaType, b)
}

//go:embed openapi.yaml
var openAPI []byte

// openAPI serves the description of the machine interface.
func (x *exchange) openAPI() { x.bytes("application/yaml", openAPI) }
