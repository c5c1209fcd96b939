package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/consent"
	"elicence/licence/registry"
)

// refusal is a request that was refused before the register saw it.
type refusal struct {
	code, detail string
	// after is when to come back; zero says nothing.
	after time.Duration
}

// Error is the detail.
func (r *refusal) Error() string { return r.detail }

// The refusals of this package. Those of the register are its errors.
var (
	errNoRoute      = &refusal{code: "no_such_route", detail: "there is nothing at this address"}
	errNoMethod     = &refusal{code: "no_such_method", detail: "the method is not offered at this address"}
	errNoToken      = &refusal{code: "unauthenticated", detail: "an Authorization header with a bearer token, or a signature, is needed"}
	errBadToken     = &refusal{code: "token_malformed", detail: "the bearer token is not one of this server"}
	errOldToken     = &refusal{code: "token_expired", detail: "the bearer token has expired; fetch a new one"}
	errNoClient     = &refusal{code: "token_client_gone", detail: "the client of the bearer token is not registered or was disabled"}
	errBadLink      = &refusal{code: "link_spent", detail: "the sign-in link was used already, or has expired"}
	errSignIn       = &refusal{code: "sign_in_failed", detail: "the identity provider did not vouch for this sign-in, or it was begun elsewhere, or more than a quarter of an hour ago"}
	errUnknown      = &refusal{code: "sign_in_unknown", detail: "the identity provider names no citizen number for this person"}
	errForm         = &refusal{code: "forbidden", detail: "the form is not one of this session"}
	errPersonGone   = &refusal{code: "person_unknown", detail: "this person may not sign in any more"}
	errNoProvider   = &refusal{code: "no_such_route", detail: "no identity provider is configured"}
	errIdentity     = &refusal{code: "identity_unavailable", detail: "the identity provider does not answer", after: 30 * time.Second}
	errNoSession    = &refusal{code: "not_signed_in", detail: "sign in first"}
	errTooLarge     = &refusal{code: "too_large", detail: "the body is larger than is accepted here"}
	errUnreadable   = &refusal{code: "body_unreadable", detail: "the body ended early, came too slowly or could not be read"}
	errMalformed    = &refusal{code: "malformed_json", detail: "the body is not JSON"}
	errBadUpload    = &refusal{code: "malformed_upload", detail: "the upload is not a form with a file, a qr text or both, each once, and at most an as_of beside them"}
	errBadBatch     = &refusal{code: "malformed_upload", detail: "the upload is not a form of 1 to 100 parts file or qr, and at most one as_of"}
	errKept         = &refusal{code: "rate_limited", detail: "too many items in batches at once; the oldest are forgotten a quarter of an hour after they came", after: time.Minute}
	errNoBatch      = &refusal{code: "no_such_batch", detail: "there is no such batch of this client; a batch is kept for a quarter of an hour"}
	errNoReport     = &refusal{code: "no_such_report", detail: "the access log has no verification that this report could be on"}
	errNoChoice     = &refusal{code: "malformed_parameter", detail: "the form names no licence, or too many"}
	errBadParameter = &refusal{code: "malformed_parameter", detail: "a query parameter is missing, unknown, repeated or not a number in range"}
	errOneByOne     = &refusal{code: "one_by_one", detail: "annotated copies are made one by one: ask downloadUrl for each licence that the case needs"}
	errDrawing      = &refusal{code: "busy", detail: "too many previews and dry runs at once", after: 5 * time.Second}
	errBusy         = &refusal{code: "busy", detail: "too many uploads at once", after: 5 * time.Second}
	errCrowd        = &refusal{code: "rate_limited", detail: "too many uploads at once from this address or client", after: 5 * time.Second}
	errNotReady     = &refusal{code: "not_ready", detail: "storage or the access log cannot be reached", after: 5 * time.Second}
)

// errMediaType is a body of another media type than those accepted.
func errMediaType(accepted ...string) *refusal {
	return &refusal{code: "unsupported_media_type", detail: "the Content-Type must be " + strings.Join(accepted, " or ") + ", of text in UTF-8, without a Content-Encoding"}
}

// errLimited is a refusal of a rate limit.
func errLimited(after time.Duration) *refusal {
	return &refusal{code: "rate_limited", detail: "too many requests from this address", after: after}
}

// statuses gives each code its status and title. A code that is not here is 500.
var statuses = map[string]struct {
	status int
	title  string
}{
	"no_such_route":             {404, "Not found"},
	"no_such_method":            {405, "Method not allowed"},
	"unauthenticated":           {401, "Not authenticated"},
	"token_malformed":           {401, "Not authenticated"},
	"token_expired":             {401, "Not authenticated"},
	"token_client_gone":         {401, "Not authenticated"},
	"signature_required":        {401, "Not authenticated"},
	"signature_unwanted":        {401, "Not authenticated"},
	"signature_malformed":       {401, "Not authenticated"},
	"signature_incomplete":      {401, "Not authenticated"},
	"signature_not_current":     {401, "Not authenticated"},
	"signature_key_unknown":     {401, "Not authenticated"},
	"signature_key_ended":       {401, "Not authenticated"},
	"signature_invalid":         {401, "Not authenticated"},
	"signature_client_gone":     {401, "Not authenticated"},
	"signature_replayed":        {401, "Not authenticated"},
	"credentials_twice":         {400, "Two credentials"},
	"content_digest_mismatch":   {400, "Body is another"},
	"link_spent":                {401, "Not authenticated"},
	"sign_in_failed":            {401, "Not authenticated"},
	"sign_in_unknown":           {403, "Not known here"},
	"person_unknown":            {403, "Not known here"},
	"person_taken":              {409, "Person taken"},
	"identity_unavailable":      {503, "Identity provider unavailable"},
	"not_signed_in":             {401, "Not authenticated"},
	"forbidden":                 {403, "Not permitted"},
	"not_found":                 {404, "Not found"},
	"one_by_one":                {404, "One by one"},
	"no_such_batch":             {404, "Not found"},
	"batch_size":                {422, "Batch too large or empty"},
	"too_many_batches":          {429, "Too many batches"},
	"duplicate_item":            {409, "Duplicate item"},
	"no_such_report":            {404, "Not found"},
	"idempotency_key_missing":   {400, "Idempotency-Key missing"},
	"idempotency_key_malformed": {400, "Idempotency-Key malformed"},
	"idempotency_key_reused":    {422, "Idempotency-Key used with another request"},
	"request_running":           {409, "First request still running"},
	"number_taken":              {409, "Number taken"},
	"wrong_status":              {409, "Wrong status"},
	"not_applicable":            {409, "Not applicable"},
	"external_licence":          {409, "Of another platform"},
	"already_imported":          {409, "Imported already"},
	"import_invalid":            {422, "File not genuine"},
	"wrong_stage":               {409, "Wrong stage"},
	"catalogue_changed":         {409, "Catalogue changed"},
	"numbers_exhausted":         {409, "Numbers exhausted"},
	"no_raster":                 {501, "No PNG"},
	"version_pending":           {409, "New version pending"},
	"versions_exhausted":        {409, "Versions exhausted"},
	"no_seal":                   {409, "No seal"},
	"signer_not_usable":         {409, "Certificate not usable"},
	"co_seal_not_usable":        {409, "Co-seal not usable"},
	"no_consent":                {403, "No consent to a co-seal"},
	"too_large":                 {413, "Body too large"},
	"unsupported_media_type":    {415, "Media type not accepted"},
	"body_unreadable":           {400, "Body unreadable"},
	"malformed_json":            {400, "Body is not JSON"},
	"malformed_upload":          {400, "Upload malformed"},
	"malformed_header":          {400, "Header malformed"},
	"malformed_parameter":       {400, "Parameter malformed"},
	"invalid_request":           {422, "Invalid request"},
	"purpose_missing":           {422, "Purpose missing"},
	"case_unknown":              {403, "No such case"},
	"case_closed":               {403, "Case closed"},
	"case_mismatch":             {403, "Case is about something else"},
	"questions_spent":           {403, "Asked in vain too often"},
	"case_taken":                {409, "Case number taken"},
	"too_many_subscriptions":    {409, "Too many subscriptions"},
	"copy_expired":              {410, "Copy expired"},
	"client_taken":              {409, "Client identifier taken"},
	"dispute_stands":            {409, "Disputed already"},
	"not_remedied":              {409, "Not put right"},
	"too_many_disputes":         {429, "Too many disputes"},
	"consent_required":          {403, "Holder's consent required"},
	"consent_unknown":           {403, "No such code"},
	"consent_mismatch":          {403, "Consent is for something else"},
	"consent_expired":           {403, "Code expired"},
	"consent_revoked":           {403, "Consent revoked"},
	"consent_spent":             {403, "Consent spent"},
	"too_many_consents":         {409, "Too many consents"},
	"braked":                    {403, "Braked"},
	"record_altered":            {403, "Altered outside of the register"},
	"reason_missing":            {422, "Reason missing"},
	"out_of_range":              {404, "Not in the log"},
	"rate_limited":              {429, "Too many requests"},
	"busy":                      {503, "Busy"},
	"not_ready":                 {503, "Not ready"},
	"log_unavailable":           {503, "Access log unavailable"},
	"storage_unavailable":       {503, "Storage unavailable"},
	"outcome_unknown":           {503, "Outcome unknown"},
	"unfinished":                {503, "Not finished yet"},
	"timestamp_awaited":         {503, "Waiting for a timestamp"},
	"entry_archived":            {409, "Entry archived"},
	"evidence_unavailable":      {503, "Evidence not at hand"},
	"answer_unsigned":           {503, "Answer not signed"},
	"files_unavailable":         {503, "File storage unavailable"},
	"cancelled":                 {503, "Cancelled"},
	"timeout":                   {503, "Timed out"},
}

// retryAfter says when to come back for the register's own errors that pass.
var retryAfter = map[string]time.Duration{
	"too_many_batches": time.Minute, "too_many_disputes": time.Hour, "request_running": time.Second, "version_pending": time.Second, "log_unavailable": 5 * time.Second, "outcome_unknown": 5 * time.Second, "storage_unavailable": 5 * time.Second,
	"unfinished": registry.Lease, "timestamp_awaited": registry.Lease, "evidence_unavailable": time.Minute, "files_unavailable": 5 * time.Second, "timeout": 5 * time.Second, "cancelled": time.Second,
}

// problem is a problem document (RFC 9457).
type problem struct {
	Type      string         `json:"type"`
	Title     string         `json:"title"`
	Status    int            `json:"status"`
	Detail    string         `json:"detail"`
	Code      string         `json:"code"`
	RequestID string         `json:"request_id"`
	Errors    []problemField `json:"errors,omitempty"`
}

// problemField is one field that is wrong.
type problemField struct {
	Field  string `json:"field"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

// codeOf is the stable code of an error; "internal" when it has none.
func codeOf(err error) string {
	var r *refusal
	if errors.As(err, &r) {
		return r.code
	}
	var invalid *licence.RequestError
	if errors.As(err, &invalid) && invalid.Fields[0].Code == licence.CodeMalformed {
		return "malformed_json"
	}
	if code := logCode(err); code != "" {
		return code
	}
	return registry.Code(err)
}

// problemOf is the problem document of an error. The detail of an error that is
// not known stays in the server.
func problemOf(err error, requestID string) problem {
	code := codeOf(err)
	known, ok := statuses[code]
	if !ok {
		known.status, known.title, code = http.StatusInternalServerError, "Internal error", "internal"
	}
	return problem{
		Type: "urn:elicence:problem:" + code, Title: known.title, Status: known.status,
		Detail: detailOf(err, code), Code: code, RequestID: requestID, Errors: fieldsOf(err, code),
	}
}

// details are what the register's errors say to a client; their own text may
// hold more than the client may know.
var details = map[string]string{
	"forbidden":                 "your role, division or grant does not permit this",
	"not_found":                 "there is nothing of this name within your reach",
	"signature_required":        registry.ErrSignatureRequired.Error() + "; it gets no answer for a token",
	"signature_replayed":        registry.ErrReplayed.Error() + "; sign every request anew, with another nonce",
	"idempotency_key_missing":   registry.ErrKeyMissing.Error(),
	"idempotency_key_malformed": registry.ErrKeyMalformed.Error(),
	"idempotency_key_reused":    registry.ErrKeyReused.Error(),
	"request_running":           registry.ErrRunning.Error(),
	"number_taken":              "another licence of this type and authority has this number",
	"wrong_status":              "its status does not permit this",
	"not_applicable":            "the operation does not apply to this licence: it has no last day to renew, or its type allows no transfer",
	"external_licence":          registry.ErrExternal.Error(),
	"already_imported":          registry.ErrImported.Error(),
	"import_invalid":            registry.ErrImportInvalid.Error(),
	"wrong_stage":               registry.ErrWrongStage.Error(),
	"catalogue_changed":         registry.ErrVersionTaken.Error(),
	"numbers_exhausted":         registry.ErrNumbersExhausted.Error() + ": nothing was reserved",
	"no_raster":                 "a PNG needs pdftoppm, of poppler, on the server; ask for a PDF",
	"version_pending":           registry.ErrVersionPending.Error(),
	"versions_exhausted":        registry.ErrVersionsExhausted.Error(),
	"batch_size":                registry.ErrBatchSize.Error(),
	"too_many_batches":          registry.ErrTooManyBatches.Error(),
	"no_such_batch":             registry.ErrNoBatch.Error() + "; what came of one is kept for a week after its end",
	"duplicate_item":            "the batch has the same item before it",
	"unauthenticated":           registry.ErrUnauthenticated.Error(),
	"no_seal":                   registry.ErrNoSeal.Error(),
	"signer_not_usable":         registry.ErrSigner.Error(),
	"co_seal_not_usable":        registry.ErrCoSeal.Error(),
	"no_consent":                registry.ErrNoConsent.Error(),
	"invalid_request":           "fields of the request are wrong; errors names each",
	"malformed_json":            errMalformed.detail,
	"purpose_missing":           registry.ErrPurposeMissing.Error(),
	"case_unknown":              registry.ErrCaseUnknown.Error(),
	"case_closed":               registry.ErrCaseClosed.Error(),
	"questions_spent":           registry.ErrQuestionsSpent.Error(),
	"case_taken":                registry.ErrCaseTaken.Error(),
	"too_many_subscriptions":    registry.ErrTooManySubscriptions.Error(),
	"copy_expired":              registry.ErrCopyExpired.Error(),
	"person_taken":              registry.ErrPersonTaken.Error(),
	"person_unknown":            registry.ErrPersonUnknown.Error(),
	"client_taken":              registry.ErrClientTaken.Error(),
	"dispute_stands":            registry.ErrDisputeStands.Error(),
	"not_remedied":              registry.ErrNotRemedied.Error() + ": the licence is still in force",
	"too_many_disputes":         registry.ErrTooManyDisputes.Error(),
	"consent_required":          registry.ErrConsentRequired.Error(),
	"consent_unknown":           consent.ErrUnknown.Error(),
	"consent_expired":           consent.ErrExpired.Error(),
	"consent_revoked":           consent.ErrRevoked.Error(),
	"consent_spent":             consent.ErrSpent.Error(),
	"too_many_consents":         registry.ErrTooManyConsents.Error(),
	"braked":                    registry.ErrBraked.Error(),
	"record_altered":            "what the register keeps about this was altered outside of it, so that it opens nothing until it is put right: tell whoever runs the register",
	"reason_missing":            registry.ErrReasonMissing.Error(),
	"log_unavailable":           "the access log cannot record this request, so nothing was done",
	"storage_unavailable":       registry.ErrUnreachable.Error() + " now",
	"outcome_unknown":           "storage broke off while it recorded this request: all of it was done or nothing; repeat it, with the same Idempotency-Key if it has one",
	"unfinished":                registry.ErrUnfinished.Error(),
	"timestamp_awaited":         registry.ErrTimestampAwaited.Error() + "; repeat the request with the same Idempotency-Key",
	"entry_archived":            "the access log's entry lies in an archive file: ask the operator for it, or to restore it",
	"evidence_unavailable":      registry.ErrEvidence.Error(),
	"files_unavailable":         "the file storage does not answer; what the access log says was read was not given out",
	"cancelled":                 "the request was cancelled",
	"timeout":                   "the request took too long",
	"out_of_range":              "the access log has no such index, size or range",
	"internal":                  "something went wrong on the server; the operator finds it by the request id",
}

func detailOf(err error, code string) string {
	var r *refusal
	if errors.As(err, &r) {
		return r.detail
	}
	var fault *registry.SealFault
	if errors.As(err, &fault) && code == registry.Code(fault) {
		return fault.Error()
	}
	if archived := (*audit.ArchivedError)(nil); errors.As(err, &archived) {
		return fmt.Sprintf("entry %d of the access log lies in an archive file, %s: ask the operator for it, or to restore it", archived.Index, archived.Segment)
	}
	if slowed := (*registry.SlowedError)(nil); errors.As(err, &slowed) || code == "case_mismatch" || code == "consent_mismatch" {
		return err.Error() // of the caller's own reuses and cases, and of a code that they have
	}
	if wrong := (*licence.StatusError)(nil); errors.As(err, &wrong) && code == "wrong_status" {
		return "its status, " + string(wrong.Status) + ", does not permit this" // which is checked last: the caller may change the licence
	}
	if code == "forbidden" && strings.HasPrefix(err.Error(), registry.ErrForbidden.Error()) {
		return err.Error() // names the caller's own role, types or grant
	}
	return details[code]
}

// fieldsOf names the fields at fault.
func fieldsOf(err error, code string) []problemField {
	var invalid *licence.RequestError
	switch {
	case errors.As(err, &invalid):
		fields := make([]problemField, len(invalid.Fields))
		for i, f := range invalid.Fields {
			fields[i] = problemField(f)
		}
		return fields
	case code == "import_invalid":
		fault := (*registry.ImportFault)(nil)
		errors.As(err, &fault)
		fields := make([]problemField, len(fault.Codes))
		for i, reason := range fault.Codes {
			fields[i] = problemField{"file", reason, "is not genuine"}
		}
		return fields
	case code == "number_taken":
		return []problemField{{"number", code, "is taken"}}
	case code == "idempotency_key_reused", code == "idempotency_key_missing", code == "idempotency_key_malformed":
		return []problemField{{"Idempotency-Key", code, details[code]}}
	}
	return nil
}

// fail answers with the problem document of an error that is logged, or is
// about nothing that the log knows.
func (x *exchange) fail(err error) {
	p := problemOf(err, x.requestID)
	if p.Status >= 500 || p.Code == "record_altered" {
		x.fault(x.r.Context(), x.requestID, err)
	}
	x.announce(err, p)
	if x.enveloped {
		x.write(p.Status, "application/json", envelopeOf(p))
		return
	}
	if x.page {
		x.problemPage(p)
		return
	}
	x.write(p.Status, "application/problem+json", p)
}

// actionAppend stands in the entry that sums up the requests that were refused
// because the log could not record them.
const actionAppend audit.Action = "append_log"

// fault reports an error that is the server's own, which a refusal is not. One of
// the log is counted: until the log has recorded the count, the server is not ready.
func (s *Server) fault(ctx context.Context, requestID string, err error) {
	var r *refusal
	if errors.As(err, &r) {
		return
	}
	s.tell(requestID, err)
	withdrawn := ctx.Err() != nil // by a caller who went away
	if errors.Is(err, registry.ErrLog) && !errors.Is(err, audit.ErrInvalidEntry) && !withdrawn {
		s.unlogged.add()
	}
}

// announce sets the headers that go with a problem.
func (x *exchange) announce(err error, p problem) {
	after := retryAfter[p.Code]
	var r *refusal
	if errors.As(err, &r) && r.after > 0 {
		after = r.after
	}
	if slowed := (*registry.SlowedError)(nil); errors.As(err, &slowed) {
		after = slowed.After
	}
	if after > 0 {
		x.w.Header().Set("Retry-After", strconv.Itoa(int((after+time.Second-1)/time.Second)))
	}
	switch {
	case p.Status != http.StatusUnauthorized || x.page:
	case p.Code == errNoToken.code, strings.HasPrefix(p.Code, "signature_"):
		x.w.Header().Set("WWW-Authenticate", `Bearer realm="elicence"`)
	default:
		x.w.Header().Set("WWW-Authenticate", `Bearer realm="elicence", error="invalid_token"`)
	}
}

// refuse logs a refusal that was decided here, and answers with it. An error
// that is no refusal, as when storage is away, is not logged as one.
func (x *exchange) refuse(err error) {
	code := codeOf(err)
	if problemOf(err, "").Status >= 500 || x.action == "" {
		x.fail(err)
		return
	}
	receipt, logErr := x.logRefused(code)
	x.receipt(receipt)
	if logErr != nil {
		err = fmt.Errorf("logging the refusal %s: %w", code, logErr)
	}
	x.fail(err)
}

// logRefused writes one refusal to the access log, even if the caller went away:
// a body that could not be read is often one who did.
func (x *exchange) logRefused(code string) (audit.Receipt, error) {
	object := x.identifier
	if len(object) > 160 || !identifierForm.MatchString(object) {
		object = ""
	}
	return x.cfg.Registry.Refused(context.WithoutCancel(x.r.Context()), x.caller, x.action, object, code, 1)
}
