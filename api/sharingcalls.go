package api

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/question"
	"elicence/licence/registry"
	"elicence/verify"

	"github.com/emmansun/gmsm/sm3"
)

// sharedQuery asks for licences of a holder, perhaps by number, or for one.
type sharedQuery struct {
	registry.ReuseRequest
	// number is certNo; empty when it does not matter.
	number string
}

func readByIdentifier(r *reader) sharedQuery {
	q := sharedQuery{ReuseRequest: registry.ReuseRequest{Use: r.sharedUse()}}
	q.Identifier = r.identifier("certIdentifier", r.required("certIdentifier", 256))
	return q
}

// identifier parses an identifier that stands in a member.
func (r *reader) identifier(name, text string) licence.Identifier {
	id, err := licence.ParseIdentifier(text)
	if err != nil && text != "" {
		r.fault(name, licence.CodeBadFormat, "is no identifier of a licence (GB/T 36904)")
	}
	return id
}

func readByHolder(r *reader) sharedQuery {
	return sharedQuery{ReuseRequest: registry.ReuseRequest{Use: r.sharedUse(), Holder: r.sharedHolder(), TypeCode: r.sharedType(), Limit: registry.MaxPage}, number: r.text("certNo", maxText)}
}

// readByQR takes the identifier out of a QR code. That the code is genuine is not asked: it
// says which licence is meant, and what is answered comes from the register.
func readByQR(r *reader) sharedQuery {
	q := sharedQuery{ReuseRequest: registry.ReuseRequest{Use: r.sharedUse()}}
	text := r.required("qrcode", maxText)
	if text == "" {
		return q
	}
	_, message, err := licence.ParseQRText(text)
	if err == nil {
		var m *licence.QRMessage
		if m, err = licence.ParseQRMessage(message); err == nil {
			q.Identifier = m.Payload.Identifier
		}
	}
	if err != nil {
		r.fault("qrcode", licence.CodeBadFormat, "is not the text of a licence's QR code")
	}
	return q
}

// readDownload takes a request for the file of a licence, perhaps with the copy's last day.
func readDownload(r *reader) registry.CopyRequest {
	q := registry.CopyRequest{Use: r.sharedUse(), Identifier: r.identifier("certIdentifier", r.required("certIdentifier", 256))}
	if until := r.text("expiryTime", 64); until != "" {
		day, _, _ := strings.Cut(until, " ") // a copy lasts whole days
		var err error
		if q.ValidTo, err = licence.ParseDate(day); err != nil {
			r.fault("expiryTime", licence.CodeBadFormat, "does not begin with a day, as 2026-12-31")
		}
	}
	return q
}

// sharedDownload makes an annotated copy and says where it is: the original leaves for no
// reuse. These calls have no key of their own, so what says the same on one day is one request.
func (x *exchange) sharedDownload(q registry.CopyRequest) (envelope, audit.Receipt, error) {
	q.Body = sm3.Sum(fmt.Appendf(nil, "gbt36906\n%q %q %+q %s", q.Identifier, q.ValidTo, q.Use, licence.DateOf(x.now())))
	q.Key = "gbt36906-" + hex.EncodeToString(q.Body[:])
	made, receipt, err := x.cfg.Registry.MakeCopy(x.r.Context(), x.caller, q)
	if err != nil {
		return envelope{}, receipt, err
	}
	return shared(sharedOK, map[string]any{"downloadUrl": x.cfg.PublicURL + "/api/v1/reuse/copies/" + string(made.Copy),
		"expiryTime": made.ExpiresOn.String() + " 23:59:59", "fileDigest": made.FileDigest}), receipt, nil
}

// noDownloads refuses the files of all of a holder's licences at once.
func (x *exchange) noDownloads(sharedQuery) (envelope, audit.Receipt, error) {
	return envelope{}, audit.Receipt{}, errOneByOne
}

// sharedNamesOf are the names of GB/T 36903 for what a grant gives.
var sharedNamesOf = map[string]string{
	"number": "certificateNumber", "type_name": "certificateTypeName", "issued_on": "certificateIssuedDate", "effective_on": "certificateEffectiveDate",
	"expires_on": "certificateExpiringDate", "holder.name": "certificateHolderName", "holder.code": "certificateHolderCode", "authority.name": "certificateIssuingAuthorityName",
}

// info is a licence as these calls give it: the granted fields alone, under the names of
// GB/T 36903, the type's own as KZ_ and their name.
func info(l registry.Reused) map[string]any {
	data := sharedHead(l)
	named := func(field string) string {
		if own, ok := strings.CutPrefix(field, "fields."); ok {
			return "KZ_" + own
		}
		return sharedNamesOf[field]
	}
	for field, value := range l.Fields {
		if name := named(field); name != "" {
			data[name] = value
		}
	}
	masked := []string{}
	for _, field := range l.Masked {
		masked = append(masked, named(field))
	}
	data["maskedFields"] = masked
	return data
}

// statusShared is the status of an answer about one licence.
func statusShared(s licence.Status) string {
	switch s {
	case licence.StatusValid:
		return sharedOK
	case licence.StatusExpired:
		return sharedExpired
	case licence.StatusSuspended, licence.StatusNotYetValid:
		return sharedRestricted
	}
	return sharedEnded
}

// shared is an answer of a status.
func shared(status string, data any) envelope {
	return envelope{envelopeHead{status, sharedMessages[status]}, data}
}

// found reuses, and keeps the licences of the number that was asked for. Who is not granted
// the number cannot choose by it: else it could be guessed.
func (x *exchange) found(q sharedQuery) ([]registry.Reused, audit.Receipt, error) {
	got, receipt, err := x.cfg.Registry.Reuse(x.r.Context(), x.caller, q.ReuseRequest)
	if err != nil || q.number == "" {
		return got, receipt, err
	}
	for _, l := range got {
		if _, granted := l.Fields["number"]; !granted {
			return nil, receipt, fmt.Errorf("%w: field number is not granted, which certNo chooses by", registry.ErrForbidden)
		}
	}
	return slices.DeleteFunc(got, func(l registry.Reused) bool { return l.Fields["number"] != q.number }), receipt, nil
}

// sharedSearch tells which licences a holder has of a type, and how they stand.
func (x *exchange) sharedSearch(q sharedQuery) (envelope, audit.Receipt, error) {
	got, receipt, err := x.found(q)
	list := []map[string]any{}
	for _, l := range got {
		list = append(list, sharedHead(l))
	}
	return listShared(list), receipt, err
}

// sharedInfos tells the granted fields of the licences that a holder has of a type.
func (x *exchange) sharedInfos(q sharedQuery) (envelope, audit.Receipt, error) {
	got, receipt, err := x.found(q)
	list := []map[string]any{}
	for _, l := range got {
		list = append(list, info(l))
	}
	return listShared(list), receipt, err
}

// sharedHead is what every licence says of itself; origin only of another platform's.
func sharedHead(l registry.Reused) map[string]any {
	head := map[string]any{"certificateIdentifier": l.Identifier, "certificateTypeCode": l.Identifier.TypeCode(), "certStatus": l.Status}
	if l.Origin != "" {
		head["origin"] = l.Origin
	}
	return head
}

// listShared answers with a list; how each licence stands is said with it.
func listShared(list []map[string]any) envelope {
	if len(list) == 0 {
		return shared(sharedNotFound, list)
	}
	return shared(sharedOK, list)
}

// sharedInfo tells the granted fields of one licence.
func (x *exchange) sharedInfo(q sharedQuery) (envelope, audit.Receipt, error) {
	got, receipt, err := x.found(q)
	if err != nil || len(got) == 0 {
		return shared(sharedNotFound, map[string]any{}), receipt, err
	}
	return shared(statusShared(got[0].Status), info(got[0])), receipt, nil
}

// The results of a verification.
const (
	resultGood       = "0"
	resultEnded      = "3"
	resultIncomplete = "4"
	resultUnknown    = "5"
)

// sharedResults are what the results mean.
var sharedResults = map[string]string{
	resultGood: "信息正确且有效", "1": "信息正确但未生效", "2": "信息正确但暂时失效", resultEnded: "信息正确但已失效", resultIncomplete: "信息不全，无法验证", resultUnknown: "查无此信息",
}

// resultShared is an answer to a verification.
func resultShared(result string) envelope {
	return shared(sharedOK, map[string]any{"verifyResult": result, "verifyMessage": sharedResults[result]})
}

// certDataFields are the fields that certData may hold, beside the type's own.
var certDataFields = map[string]string{
	"holder": "holder.name", "certNo": "number", "issuedDate": "issued_on", "effectiveDate": "effective_on", "expiringDate": "expires_on", "issuingAuthority": "authority.name",
}

// readCertInfo takes what is to be verified of a licence: each value is a question.
func readCertInfo(r *reader) registry.AskRequest {
	q := registry.AskRequest{TypeCode: r.sharedType(), Use: r.sharedUse(), Questions: []question.Question{{Name: question.Valid}}}
	data := r.sub("certData")
	q.Holder = licence.Holder{Code: data.required("holderCode", maxCode), CodeType: licence.HolderCodeType(data.text("holderTypeCode", maxCodeType))}
	if q.Holder.CodeType == "" {
		q.Holder.CodeType = codeTypeOf(q.Holder.Code)
	}
	for _, member := range slices.Sorted(maps.Keys(data.members)) {
		if field := certDataFields[member]; field != "" {
			q.Questions = append(q.Questions, question.Question{Name: "equals:" + field, Value: data.required(member, question.MaxValue)})
		}
		if own, ok := strings.CutPrefix(member, "KZ_"); ok {
			q.Questions = append(q.Questions, question.Question{Name: "equals:fields." + own, Value: data.any(member)})
		}
	}
	if len(q.Questions) > registry.MaxQuestions {
		r.fault("certData", licence.CodeTooMany, "asks for more than %d fields", registry.MaxQuestions-1)
	}
	return q
}

// codeTypeOf tells the two code types that carry check digits by these.
func codeTypeOf(code string) licence.HolderCodeType {
	if licence.CheckUSCC(code) == nil {
		return licence.CodeTypeUSCC
	}
	return licence.CodeTypeCitizenNumber
}

// verifyCertInfo verifies what is known of a licence, by yes or no.
func (x *exchange) verifyCertInfo(q registry.AskRequest) (envelope, audit.Receipt, error) {
	answers, receipt, err := x.cfg.Registry.Ask(x.r.Context(), x.caller, q)
	result := resultUnknown
	for _, of := range answers {
		valid, rest := of.Answers[0], of.Answers[1:]
		switch {
		case slices.Contains(rest, question.No):
		case slices.Contains(of.Answers, question.Unknown): // also of one in force elsewhere, which nothing proves
			if result == resultUnknown {
				result = resultIncomplete
			}
		case valid == question.Yes:
			return resultShared(resultGood), receipt, err
		default:
			result = resultEnded
		}
	}
	return resultShared(result), receipt, err
}

// maxSharedFile is the most bytes of a file in a call, maxSharedBody of its request.
const (
	maxSharedFile = 4 << 20
	maxSharedBody = maxSharedFile/3*4 + licence.MaxJSON
)

// sharedFile is a file to be verified, and the type that it is said to be of.
type sharedFile struct {
	typeCode string
	file     []byte
}

func readSharedFile(r *reader) sharedFile {
	q := sharedFile{typeCode: r.sharedType()}
	if kind := r.required("contentType", 16); kind != "" && kind != "base64" {
		r.fault("contentType", licence.CodeNotAllowed, "is not base64")
	}
	r.required("useCause", maxText)
	var err error
	if q.file, err = base64.StdEncoding.Strict().DecodeString(r.required("content", maxSharedBody)); err != nil || len(q.file) > maxSharedFile {
		r.fault("content", licence.CodeBadFormat, "is not base64 of at most %d bytes", maxSharedFile)
	}
	return q
}

// verifySharedFile verifies a file as POST /verifications does.
func (x *exchange) verifySharedFile(q sharedFile) (envelope, audit.Receipt, error) {
	room, _ := x.room()
	report, receipt, err := x.judge(x.r.Context(), x.caller, room, verify.Input{File: q.file})
	if err != nil {
		return envelope{}, receipt, err
	}
	result := fileResult(report, q.typeCode)
	if report.Copy != nil && report.Copy.ReceiverCode != x.caller.Authority.Code {
		result = resultIncomplete // whoever reads the digit alone takes it for the licence
	}
	answer := resultShared(result)
	if data := answer.Data.(map[string]any); report.Copy != nil {
		data["verifyMessage"], data["copy"] = report.Headline.ZH, report.Copy
	}
	return answer, receipt, nil
}

// fileResult is the result of a report on a file that is said to be of a type.
func fileResult(r *reportJSON, typeCode string) string {
	switch {
	case r.Indication == verify.TotalFailed, r.Licence != nil && r.Licence.Identifier.TypeCode() != typeCode:
		return resultUnknown
	case r.Indication != verify.TotalPassed:
		return resultIncomplete
	}
	switch r.LicenceState {
	case licence.StatusValid:
		return resultGood
	case licence.StatusNotYetValid:
		return "1"
	case licence.StatusSuspended:
		return "2"
	case licence.StatusUnknown:
		return resultIncomplete
	}
	return resultEnded
}
