package registry

import (
	"crypto/subtle"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/bundle"
	"elicence/licence/person"

	"github.com/emmansun/gmsm/sm3"
)

// Role says what a caller may do. A caller may have several.
type Role = person.Role

// The machine roles, and the two that no client can be registered with.
const (
	// RoleApprovalSystem issues licences and changes their status (审批系统).
	RoleApprovalSystem Role = "approval_system"
	// RolePartner reuses granted fields for a case (用证部门).
	RolePartner Role = "partner"
	// RoleVerifier verifies files and QR codes on an authority's behalf (查验).
	RoleVerifier Role = "verifier"
	// RoleHolder reads the licences of one holder (持证主体).
	RoleHolder Role = "holder"
	// RoleAuditor reads the access log and the brakes, and lifts these (电子监察).
	RoleAuditor = person.Auditor
	// RoleAuthority is somebody who decides for an authority: keeps the licence types that it
	// is registered for, requests grants for it, and approves grants on licences of its types.
	RoleAuthority = person.Authority
	// RoleSystem is the service itself: recovery, set-up, trust lists; and who runs it (系统运维).
	RoleSystem = person.System
	// RoleAnonymous is anybody: the verification page.
	RoleAnonymous Role = "anonymous"
)

// Registrable lists the roles a machine client may have.
var Registrable = []Role{RoleApprovalSystem, RolePartner, RoleVerifier, RoleHolder, RoleAuditor, RoleAuthority}

// Caller is who asks. It is always an argument, never fished out of a context,
// so that no operation can forget it.
type Caller struct {
	// Principal is the client identifier, that of a person after person.Prefix, "anonymous" or "system".
	Principal string
	// Person is the identifier of who signed in, or answers for the client; empty when nobody is named.
	Person string
	Roles  []Role
	// Authority is whom the caller acts for; its division bounds what is reached.
	Authority licence.IssuingAuthority
	// Types are the codes of the licence types that an approval system issues and
	// reads, or that somebody of role authority keeps and decides on; with none it reaches nothing.
	Types []string
	// Holder is whom a caller of role holder is; zero for others.
	Holder licence.Holder
	// DailyReuses and Brake are those of the client.
	DailyReuses int64
	Brake       BrakeState
	// RequestID is carried into every log entry of the request.
	RequestID string
	// Signed is the signature of the request, verified; nil of one that has none.
	Signed *Signed
}

// Anonymous is the caller of the open verification page.
func Anonymous(requestID string) Caller {
	return Caller{Principal: "anonymous", Roles: []Role{RoleAnonymous}, RequestID: requestID}
}

// System is the service acting for itself, for the reason requestID gives.
func System(requestID string) Caller {
	return Caller{Principal: "system", Roles: []Role{RoleSystem}, RequestID: requestID}
}

// Use says what a read is for. A reuse needs all four; other reads carry what they are given.
type Use struct {
	// Purpose is a sentence, Case the case number, Matter the matter code (事项编码).
	Purpose, Case, Matter string
	// Operator is the person at the caller's desk; committed to in the log, never in clear.
	Operator string
}

// check bounds what goes into the log entry: lengths in bytes are audit's, and
// no text may hide characters from whoever reads the log. The error is a
// *licence.RequestError; purposeField is what the request calls the purpose.
func (u Use) check(purposeField string) error {
	var wrong []licence.FieldError
	for _, f := range []struct {
		name, text string
		most       int
	}{{purposeField, u.Purpose, 512}, {"case_number", u.Case, 128}, {"matter_code", u.Matter, 256}, {"operator", u.Operator, 512}} {
		switch {
		case len(f.text) > f.most:
			wrong = append(wrong, licence.FieldError{Field: f.name, Code: licence.CodeTooLong, Detail: fmt.Sprintf("is longer than %d bytes of UTF-8", f.most)})
		case !utf8.ValidString(f.text) || strings.ContainsFunc(f.text, licence.Hidden):
			wrong = append(wrong, licence.FieldError{Field: f.name, Code: licence.CodeBadCharacter, Detail: "holds a control or invisible character"})
		}
	}
	if wrong == nil {
		return nil
	}
	return &licence.RequestError{Fields: wrong}
}

// The actions, as they stand in the access log.
const (
	ActionAuthenticate audit.Action = "authenticate"
	ActionConfigure    audit.Action = "configure"
	ActionIssue        audit.Action = "issue"             // step 1: the attempt
	ActionReserve      audit.Action = "reserved"          // step 2: permits the QR signature
	ActionSeal         audit.Action = "sealing"           // step 3: permits the seal signature
	ActionIssued       audit.Action = bundle.ActionIssued // step 6
	ActionVoid         audit.Action = "voided"
	ActionTimestamp    audit.Action = bundle.ActionTimestamped
	ActionRead         audit.Action = "read"
	ActionDownload     audit.Action = "download"
	ActionBundle       audit.Action = bundle.ActionBundle
	ActionSearch       audit.Action = "search"
	ActionReuse        audit.Action = "reuse"
	ActionAsk          audit.Action = "ask"
	ActionCopy         audit.Action = "copy"          // reserves an annotated copy, and permits the QR signature
	ActionCopySeal     audit.Action = "copy_sealing"  // permits the seal of the copy
	ActionCopied       audit.Action = "copied"        // the copy is there
	ActionCopyDownload audit.Action = "copy_download" // by its receiver
	ActionVerify       audit.Action = "verify"
	ActionReport       audit.Action = "report"      // permits the seal of a verification report
	ActionReadReport   audit.Action = "read_report" // compares a report with the log
	ActionSuspend      audit.Action = "suspend"
	ActionResume       audit.Action = "resume"
	ActionRevoke       audit.Action = "revoke"
	ActionWithdraw     audit.Action = "withdraw"
	ActionCancel       audit.Action = "cancel"
	ActionAmend        audit.Action = "amend" // and the next four: the attempt at a new version
	ActionRenew        audit.Action = "renew"
	ActionReissue      audit.Action = "reissue"
	ActionCorrect      audit.Action = "correct"
	ActionTransfer     audit.Action = "transfer"
	ActionSupersede    audit.Action = "superseded" // the old version, with step 6 of the new one
	ActionHistory      audit.Action = "read_history"
	ActionStatistics   audit.Action = "statistics"
	ActionLogRead      audit.Action = "read_log"
	ActionTrustList    audit.Action = "trust_list"
)

// permitted is the whole policy by role: an action that is not here is nobody's.
var permitted = map[audit.Action][]Role{
	ActionConfigure: {RoleSystem},
	// Until people sign in with roles of their own, seals are the system's.
	ActionSealApply: {RoleSystem}, ActionSealMaking: {RoleSystem}, ActionSealMake: {RoleSystem}, ActionSealRecord: {RoleSystem}, ActionSealUse: {RoleSystem},
	ActionSealSuspend: {RoleSystem}, ActionSealRevoke: {RoleSystem}, ActionSealDestroy: {RoleSystem},
	ActionSealConsent: {RoleSystem}, ActionSealConsentEnd: {RoleSystem},
	ActionTrustList:     {RoleSystem},
	ActionCatalogueRead: {RoleApprovalSystem, RoleAuthority, RoleSystem}, ActionCatalogueImport: {RoleAuthority, RoleSystem}, ActionCataloguePublish: {RoleAuthority, RoleSystem},
	ActionCatalogueRetire: {RoleAuthority, RoleSystem}, ActionCataloguePreview: {RoleAuthority, RoleSystem}, ActionCatalogueDryRun: {RoleAuthority, RoleSystem},
	ActionIssue:  {RoleApprovalSystem},
	ActionImport: {RoleApprovalSystem, RoleAuthority}, ActionReadImport: {RoleApprovalSystem, RoleAuthority, RoleHolder},
	ActionRead:     {RoleApprovalSystem, RoleHolder},
	ActionDownload: {RoleApprovalSystem, RoleHolder},
	ActionBundle:   {RoleApprovalSystem, RoleHolder},
	ActionSearch:   {RoleApprovalSystem, RoleHolder},
	ActionReuse:    {RolePartner},
	ActionAsk:      {RolePartner},
	ActionCopy:     {RolePartner}, ActionCopyDownload: {RolePartner},
	// Who requests a grant and who approves it are two; see ApproveGrant.
	ActionGrantRequest: {RoleAuthority}, ActionGrantApprove: {RoleAuthority}, ActionGrantWithdraw: {RoleAuthority},
	ActionGrantRead: {RoleAuthority, RolePartner},
	ActionConsent:   {RoleHolder}, ActionConsentCode: {RoleHolder}, ActionConsentRevoke: {RoleHolder}, ActionConsentRead: {RoleHolder},
	// Whoever the holder shows the code to.
	ActionPresent: {RoleAnonymous, RoleVerifier, RoleApprovalSystem, RolePartner},
	// Whoever registers cases does not reuse for them; see checkClient.
	ActionCaseOpen: {RoleApprovalSystem}, ActionCaseClose: {RoleApprovalSystem},
	ActionClientAdd: {RoleAuthority, RoleSystem}, ActionClientDisable: {RoleAuthority, RoleSystem}, ActionClientRead: {RoleAuthority, RoleSystem},
	ActionClientRotate: append([]Role{RoleSystem}, Registrable...), // a client its own
	ActionPersonAdd:    {RoleAuthority, RoleSystem}, ActionPersonDisable: {RoleAuthority, RoleSystem}, ActionPersonRead: {RoleAuthority, RoleSystem},
	ActionBrakeRead: {RoleAuditor, RoleAuthority, RolePartner, RoleSystem},
	ActionBrakeLift: {RoleAuditor, RoleAuthority, RoleSystem},
	// Who answers a dispute decides answers(); a use that a holder knows nothing of, the auditor too.
	ActionDisputeRaise: {RoleHolder}, ActionDisputeWithdraw: {RoleHolder}, ActionDisputeRead: {RoleHolder, RoleAuthority, RoleAuditor},
	ActionDisputeAccept: {RoleAuthority, RoleAuditor}, ActionDisputeReject: {RoleAuthority, RoleAuditor}, ActionDisputeClose: {RoleAuthority, RoleAuditor},
	// Whoever reads licences is told of them; the system looks after it for them.
	ActionSubscribe: {RoleApprovalSystem, RolePartner, RoleSystem}, ActionUnsubscribe: {RoleApprovalSystem, RolePartner, RoleSystem},
	ActionSubscriptionEnable: {RoleApprovalSystem, RolePartner, RoleSystem}, ActionEventReplay: {RoleApprovalSystem, RolePartner, RoleSystem},
	ActionSubscriptionRead: {RoleApprovalSystem, RolePartner, RoleSystem}, ActionDeadEventsRead: {RoleApprovalSystem, RolePartner, RoleSystem},
	ActionVerify: {RoleAnonymous, RoleVerifier, RoleApprovalSystem, RolePartner, RoleHolder},
	// Whoever verifies may have it in writing.
	ActionReport:      {RoleAnonymous, RoleVerifier, RoleApprovalSystem, RolePartner, RoleHolder},
	ActionReadReport:  {RoleAnonymous},
	ActionBatch:       {RoleApprovalSystem},
	ActionBatchRead:   {RoleApprovalSystem},
	ActionBatchCancel: {RoleApprovalSystem},
	ActionSuspend:     {RoleApprovalSystem},
	ActionResume:      {RoleApprovalSystem},
	ActionRevoke:      {RoleApprovalSystem},
	ActionWithdraw:    {RoleApprovalSystem},
	ActionCancel:      {RoleApprovalSystem},
	ActionAmend:       {RoleApprovalSystem},
	ActionRenew:       {RoleApprovalSystem},
	ActionReissue:     {RoleApprovalSystem},
	ActionCorrect:     {RoleApprovalSystem},
	ActionTransfer:    {RoleApprovalSystem},
	ActionHistory:     {RoleApprovalSystem, RoleHolder},
	ActionStatistics:  {RoleApprovalSystem},
	ActionLogRead:     {RoleAuditor},
	ActionLogSearch:   {RoleAuditor},
	ActionOwnLog:      {RoleHolder},
	ActionSignOut:     {RoleHolder, RoleAuthority, RoleAuditor, RoleSystem},
	// Shown to whoever is to be convinced; the whole opening goes with it.
	ActionReadRequest: {RoleSystem},
	// Ordered by others, entered by whoever runs the instance.
	ActionHold: {RoleSystem}, ActionHoldLift: {RoleSystem}, ActionErase: {RoleSystem},
	ActionArchive: {RoleSystem}, ActionRemove: {RoleSystem}, ActionRestore: {RoleSystem},
}

// Has reports whether the caller has a role.
func (c Caller) Has(r Role) bool { return slices.Contains(c.Roles, r) }

// MayAct reports whether one of the caller's roles permits the action.
func (c Caller) MayAct(a audit.Action) bool {
	return slices.ContainsFunc(permitted[a], c.Has)
}

// Reaches reports whether a caller may read a licence: an authority those of its
// own types in its own division and below, a holder their own (市级统建、分级使用).
func (c Caller) Reaches(r *Record) bool {
	if c.Has(RoleApprovalSystem) && slices.Contains(c.Types, r.TypeCode) && licence.Within(r.Division, c.Authority.Division) && r.asSealed() {
		return true
	}
	return c.Has(RoleHolder) && c.Holder.Is(r.Holder)
}

// HashSecret is how client secrets are kept. Secrets are random and at least
// 128 bits long, so one hash with a salt is enough.
func HashSecret(salt []byte, secret string) []byte {
	sum := sm3.Sum(append(append([]byte{}, salt...), secret...))
	return sum[:]
}

// holds reports, in constant time, whether secret is the client's: the present one, or the
// one before while that is good.
func (c Client) holds(secret string, now time.Time) bool {
	present := subtle.ConstantTimeCompare(HashSecret(c.Salt, secret), c.SecretHash)
	old := subtle.ConstantTimeCompare(HashSecret(c.OldSalt, secret), c.OldSecretHash)
	return present == 1 || old == 1 && now.Before(c.OldUntil)
}

// caller is the client as a caller.
func (c Client) caller(requestID string) Caller {
	return Caller{
		Principal: c.ID, Person: c.Person, Roles: c.Roles, Authority: c.Authority, Types: c.Types, RequestID: requestID,
		DailyReuses: c.DailyReuses, Brake: c.Brake,
		Holder: licence.Holder{Code: c.HolderCode, CodeType: c.HolderCodeType},
	}
}
