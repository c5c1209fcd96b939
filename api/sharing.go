package api

import (
	"fmt"
	"net/http"
	"strings"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/registry"

	"github.com/gin-gonic/gin"
)

// The sharing services (电子证照共享服务, GB/T 36906) as they are deployed: an envelope and calls
// that translate to the operations of the register, under the same gate, grants, cases and
// brake. The text of the standard was not at hand: docs/gbt36906.md says field by field
// what maps to what, and what is known of it.

// sharingPath is where the calls stand.
const sharingPath = "/api/gbt36906"

// sharingRoutes are those of the sharing services.
func (s *Server) sharingRoutes(g *gin.RouterGroup) {
	g.POST("/searchCert", serveSharing(s, registry.ActionReuse, licence.MaxJSON, readByHolder, (*exchange).sharedSearch))
	g.POST("/queryCertInfo", serveSharing(s, registry.ActionReuse, licence.MaxJSON, readByIdentifier, (*exchange).sharedInfo))
	g.POST("/queryCertInfoByHolderCode", serveSharing(s, registry.ActionReuse, licence.MaxJSON, readByHolder, (*exchange).sharedInfos))
	g.POST("/queryCertInfoByQRcode", serveSharing(s, registry.ActionReuse, licence.MaxJSON, readByQR, (*exchange).sharedInfo))
	g.POST("/verifyCertInfo", serveSharing(s, registry.ActionAsk, licence.MaxJSON, readCertInfo, (*exchange).verifyCertInfo))
	g.POST("/verifyFile", serveSharing(s, registry.ActionVerify, maxSharedBody, readSharedFile, (*exchange).verifySharedFile))
	g.POST("/downloadUrl", serveSharing(s, registry.ActionCopy, licence.MaxJSON, readDownload, (*exchange).sharedDownload))
	g.POST("/downloadUrlsByHolderCode", serveSharing(s, registry.ActionCopy, licence.MaxJSON, readByHolder, (*exchange).noDownloads))
}

// envelope is an answer.
type envelope struct {
	Head envelopeHead `json:"head"`
	Data any          `json:"data"`
}

// envelopeHead says what came of a call: a status in digits, and what it means.
type envelopeHead struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

// The statuses. Those below 100 are deployed ones, the others ours.
const (
	sharedOK           = "0"
	sharedNotOffered   = "2"
	sharedNotFound     = "10"
	sharedUnknown      = "11"
	sharedMissing      = "12"
	sharedNoType       = "13"
	sharedEnded        = "21"
	sharedExpired      = "22"
	sharedRestricted   = "23"
	sharedOther        = "99"
	sharedForbidden    = "100"
	sharedTooMany      = "101"
	sharedBraked       = "102"
	sharedWrongRequest = "103"
)

// sharedMessages are what the statuses mean.
var sharedMessages = map[string]string{
	sharedOK: "成功", sharedNotOffered: "证照源未提供此服务接口", sharedNotFound: "未找到匹配的证照信息", sharedUnknown: "身份验证不通过", sharedMissing: "必填参数为空",
	sharedNoType: "证照类型不存在或未发布", sharedEnded: "证照已废止或已注销", sharedExpired: "证照已过期", sharedRestricted: "证照受限使用", sharedOther: "其他异常",
	sharedForbidden: "无权限", sharedTooMany: "请求过于频繁", sharedBraked: "用证已被熔断", sharedWrongRequest: "参数不正确",
}

// sharedStatuses are those of stable codes; of others the HTTP status decides.
var sharedStatuses = map[string]string{
	"one_by_one": sharedNotOffered, "seal_missing": sharedNotOffered, "wrong_status": sharedRestricted, "external_licence": sharedRestricted,
	"not_found": sharedNotFound, "purpose_missing": sharedMissing, "braked": sharedBraked,
	"rate_limited": sharedTooMany, "busy": sharedTooMany,
}

// sharedNames are the names of fields in these calls, by those of the register.
var sharedNames = map[string]string{
	"holder.code": "data.holderCode", "type_code": "data.certTypeCode", "purpose": "data.useCause", "case_number": "data.businessCode", "matter_code": "data.itemCode",
	"operator": "data.username", "valid_to": "data.expiryTime", "identifier": "data.certIdentifier",
}

// envelopeOf is a problem as these calls tell it.
func envelopeOf(p problem) envelope {
	status, known := sharedStatuses[p.Code]
	switch {
	case known:
	case p.Status == http.StatusUnauthorized:
		status = sharedUnknown
	case p.Status == http.StatusForbidden:
		status = sharedForbidden
	case p.Status < 500:
		status = sharedWrongRequest
	default:
		status = sharedOther
	}
	message := p.Code
	if len(p.Errors) == 0 {
		message += ": " + p.Detail
	}
	for i, f := range p.Errors {
		name := f.Field
		if ours := sharedNames[name]; ours != "" {
			name = ours
		}
		if f.Code == licence.CodeMissing && status == sharedWrongRequest {
			status = sharedMissing
		}
		if f.Code == licence.CodeUnknownType {
			status = sharedNoType
		}
		if i < 5 {
			message += "; " + name + " " + f.Detail
		}
	}
	return envelope{envelopeHead{status, fmt.Sprintf("%s (%s, request %s)", sharedMessages[status], message, p.RequestID)}, map[string]any{}}
}

// errHead is an envelope whose head is none.
var errHead = &refusal{code: "unauthenticated", detail: "head needs accessId and accessToken, texts both, or the request an Authorization header or a signature"}

// authenticateHead sets the caller from the head of a request that has no other credentials:
// the client's identifier, and its bearer token.
func (x *exchange) authenticateHead(head any) error {
	if x.identified() {
		if head != nil {
			return x.stranger(errTwoCredentials)
		}
		return nil // done before the body was read
	}
	members, _ := head.(map[string]any)
	id, named := members["accessId"].(string)
	token, given := members["accessToken"].(string)
	if !named || !given || len(members) != 2 {
		return x.stranger(errHead)
	}
	client, err := redeem(x.cfg.TokenKey, useBearer, token, x.now())
	switch {
	case err == errTokenOld && client == id:
		x.caller.Principal = client
		return x.stranger(errOldToken)
	case err != nil || client != id:
		return x.stranger(errBadToken)
	}
	return x.become(client)
}

// serveSharing makes a handler of one call: who calls, what is asked, do it, answer signed.
func serveSharing[Q any](s *Server, action audit.Action, limit int64, read func(*reader) Q, do func(*exchange, Q) (envelope, audit.Receipt, error)) gin.HandlerFunc {
	return s.handle(action, func(x *exchange) {
		x.enveloped = true
		leave, err := x.lodged(limit)
		if err != nil {
			x.refuse(err)
			return
		}
		defer leave()
		body, q, err := receiveShared(x, limit, read)
		if err != nil {
			x.refuse(err)
			return
		}
		answer, receipt, err := do(x, q)
		if x.settle(receipt, err) {
			signed(x, body, answer)
		}
	})
}

// lodged authenticates a request that says in its header whose it is, and gives a large one
// its place among those that are received at once, until leave.
func (x *exchange) lodged(limit int64) (leave func(), err error) {
	if x.identified() {
		if err := x.authenticate(); err != nil {
			return nil, err
		}
	}
	if limit <= licence.MaxJSON {
		return func() {}, nil
	}
	room, sender := x.room()
	if !room.enter(sender) {
		return nil, x.summed(x.verifications.refused, errCrowd)
	}
	body := &lodger{ReadCloser: x.r.Body, room: room}
	x.r.Body = body
	return func() { room.leave(sender); room.free(body.size) }, nil
}

// receiveShared reads a request, and authenticates it by its head where nothing else does.
// What is wrong with a body is told to nobody whose credentials it should have held.
func receiveShared[Q any](x *exchange, limit int64, read func(*reader) Q) (body []byte, q Q, err error) {
	if body, err = x.read("application/json", limit); err != nil {
		return nil, q, err
	}
	v, err := licence.ParseJSONUpTo(int(limit), body)
	members, ok := v.(map[string]any)
	if err == nil && !ok {
		err = errMalformed
	}
	if err != nil {
		if !x.identified() {
			err = x.stranger(errMalformed)
		}
		return nil, q, err
	}
	if err := x.authenticateHead(members["head"]); err != nil {
		return nil, q, err
	}
	delete(members, "head")
	q, err = parseMembers(members, func(r *reader) Q { return read(r.sub("data")) })
	return body, q, err
}

// sharedUse takes what a call is for: useCause as a text or an object, and the elements of
// an audit (审计要素) beside it.
func (r *reader) sharedUse() registry.Use {
	use := registry.Use{Case: r.text("businessCode", maxText), Matter: r.required("itemCode", maxText), Operator: r.required("username", maxText)}
	r.text("orgName", maxText) // who it is and what the matter is called is known of client and case
	r.text("itemName", maxText)
	if _, object := r.members["useCause"].(map[string]any); object {
		cause := r.sub("useCause")
		use.Purpose = cause.required("certificateCopyCause", maxText)
		for _, name := range []string{"certificateSystemName", "certificateCallCategory", "certificateMatterName"} {
			cause.text(name, maxText)
		}
		event := cause.text("certificateEventCode", maxText)
		if use.Case != "" && event != "" && event != use.Case {
			cause.fault("certificateEventCode", licence.CodeNotAllowed, "is not businessCode")
		}
		if use.Case == "" {
			use.Case = event
		}
	} else {
		use.Purpose = r.required("useCause", maxText)
	}
	if strings.TrimSpace(use.Case) == "" {
		r.fault("businessCode", licence.CodeMissing, "is required, or certificateEventCode of useCause")
	}
	return use
}

// sharedType takes a licence type.
func (r *reader) sharedType() string {
	code := r.required("certTypeCode", maxType)
	if code != "" && licence.CheckTypeCode(code) != nil {
		r.fault("certTypeCode", licence.CodeUnknownType, "is no code of a licence type")
	}
	return code
}

// sharedHolder takes a holder.
func (r *reader) sharedHolder() licence.Holder {
	return licence.Holder{Code: r.required("holderCode", maxCode), CodeType: licence.HolderCodeType(r.required("holderTypeCode", maxCodeType))}
}
