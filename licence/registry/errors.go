package registry

import (
	"context"
	"errors"
	"fmt"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/consent"
)

// What can go wrong, each with the stable code that stands in the log and in
// problem documents.
var (
	// ErrForbidden: the role, the reach or the grant does not permit it.
	ErrForbidden = errors.New("not permitted")
	// ErrUnauthenticated: unknown client, wrong secret, or a disabled client.
	ErrUnauthenticated = errors.New("unknown client or wrong secret")
	// ErrKeyReused: the Idempotency-Key was first used with another body.
	ErrKeyReused = errors.New("idempotency key was first used with another request")
	// ErrKeyMissing: an operation that changes state came without an Idempotency-Key.
	ErrKeyMissing = errors.New("the Idempotency-Key is required")
	// ErrKeyMalformed: the key is not 1 to 128 printable ASCII characters.
	ErrKeyMalformed = errors.New("the Idempotency-Key is not 1 to 128 printable ASCII characters")
	// ErrRunning: the first request with this key is still being worked on.
	ErrRunning = errors.New("the first request with this idempotency key is still running")
	// ErrPurposeMissing: a reuse must name purpose, case, matter and operator.
	ErrPurposeMissing = errors.New("purpose, case_number, matter_code and operator are all required")
	// ErrLog: the access log could not commit. The operation has not happened, unless the
	// error wraps audit.ErrOutcomeUnknown: then it may have, all of it or nothing.
	ErrLog = errors.New("access log unavailable")
	// ErrUnreachable: the storage of the register cannot be reached now.
	ErrUnreachable = errors.New("the register's storage cannot be reached")
	// ErrNoSeal: the authority has no seal that can be used now.
	ErrNoSeal = errors.New("the issuing authority has no seal that can be used")
	// ErrSigner: the seal is there, but a certificate that it needs cannot be used now.
	ErrSigner = errors.New("a certificate of the issuing authority's seal cannot be used")
	// ErrCoSeal: the seal of a co-sealing authority, or a certificate that it needs, cannot
	// be used now.
	ErrCoSeal = errors.New("the seal of a co-sealing authority cannot be used")
	// ErrNoConsent: no authority of the kind has consented that its seal be used so.
	ErrNoConsent = errors.New("no co-sealing authority has consented to the use of its seal")
	// ErrTimestampAwaited: the licence is reserved, and a co-seal needs its timestamp before
	// the next seal can be used. It comes with ErrUnfinished.
	ErrTimestampAwaited = errors.New("the licence is reserved and waits for the timestamp authority")
	// ErrUnfinished: number and identifier are reserved, but the licence could not be
	// finished now; it will be, and a repeat with the same key gets it.
	ErrUnfinished = errors.New("the licence is reserved but not finished yet; repeat the request with the same Idempotency-Key")
	// ErrEvidence: what an evidence bundle needs cannot be had now, such as revocation data
	// that is newer than the seal.
	ErrEvidence = errors.New("the evidence for a bundle is not at hand")
	// ErrFiles: the file storage does not answer, or refuses.
	ErrFiles = errors.New("file storage unavailable")
	// ErrVersionPending: a new version of the licence is reserved and not finished; it takes
	// the licence's place, or is voided, before another can be made.
	ErrVersionPending = errors.New("a new version of this licence is being made")
	// ErrVersionsExhausted: the identifier has no room for another version.
	ErrVersionsExhausted = errors.New("the licence has as many versions as its identifier has numbers for")
	// ErrSignatureRequired: the client must sign its requests.
	ErrSignatureRequired = errors.New("this client must sign its requests")
	// ErrSignatureUnwanted: the client is registered for tokens alone.
	ErrSignatureUnwanted = errors.New("this client is registered for tokens, not for signatures")
	// ErrReplayed: the nonce of the request's signature was used by another request.
	ErrReplayed = errors.New("a request with this signature's nonce came before")
	// ErrKeyTaken: the key is registered already.
	ErrKeyTaken = errors.New("the key is registered already, perhaps for another client")
	// ErrCaseUnknown: the caller's department has no case of that number.
	ErrCaseUnknown = errors.New("the department has registered no case of this number")
	// ErrCaseClosed: the case is closed, or its time is over.
	ErrCaseClosed = errors.New("the case opens nothing any more")
	// ErrCaseMismatch: the case concerns another holder, matter or type.
	ErrCaseMismatch = errors.New("the case is about something else")
	// ErrQuestionsSpent: too many wrong values, or past days, were asked for in the case.
	ErrQuestionsSpent = errors.New("the case has spent what it may ask in vain: no such question is answered in it any more")
	// ErrCaseTaken: the department has a case of that number already.
	ErrCaseTaken = errors.New("the department has a case of this number already")
	// ErrClientTaken: there is a client of that identifier, in the same letters or in others.
	ErrClientTaken = errors.New("there is a client of this identifier already")
	// ErrPersonTaken: there is, or was, a person of that identifier, in the same letters or in others, or the subject is somebody's already.
	ErrPersonTaken = errors.New("there is, or was, a person of this identifier, or one of this subject")
	// ErrPersonUnknown: whom the provider vouched for is nobody here, or not now.
	ErrPersonUnknown = errors.New("no person of this subject may sign in now")
	// ErrConsentRequired: the grant rests on the holder's consent, and no code of theirs came with the reuse.
	ErrConsentRequired = errors.New("the grant needs the holder's consent: have the holder show a code, and send it as consent_code in place of the case")
	// ErrCopyExpired: the last day of an annotated copy is over.
	ErrCopyExpired = errors.New("the copy's last day is over")
	// ErrBraked: the client was stopped for the way it reuses; a person lets it go.
	ErrBraked = errors.New("the client is stopped for the way it reuses, until an auditor or a superior authority lifts the brake")
	// ErrDisputeStands: the holder disputes the same already, and it is not settled.
	ErrDisputeStands = errors.New("a dispute of this kind about the same stands already")
	// ErrTooManyDisputes: the holder has raised as many disputes as one may.
	ErrTooManyDisputes = errors.New("too many disputes of this holder are unsettled, or were raised within a day")
	// ErrNotRemedied: nothing was done about what was accepted.
	ErrNotRemedied = errors.New("what was accepted has not been put right")
	// ErrNumbersExhausted: the sequence of the type's numbers has outgrown its digits.
	ErrNumbersExhausted = errors.New("the numbers of this licence type are exhausted")
	// ErrTooManySubscriptions: the department has as many subscriptions to events as it may.
	ErrTooManySubscriptions = errors.New("the department has as many subscriptions to events as it may")
	// ErrHeld: entries that may be under a hold must stay where holders are told of them later.
	ErrHeld = errors.New("a hold is in force that may cover entries of the segment")
	// ErrBatchUnreadable: the items of a batch could not be read to their end.
	ErrBatchUnreadable = errors.New("the batch could not be read to its end")
	// ErrBatchSize: a batch has no items, or more than MaxBatchItems.
	ErrBatchSize = fmt.Errorf("a batch has 1 to %d items", MaxBatchItems)
	// ErrTooManyBatches: MaxOpenBatches of the client are at work.
	ErrTooManyBatches = fmt.Errorf("%d batches of this client have not ended", MaxOpenBatches)
	// ErrNoBatch: the client has no such batch.
	ErrNoBatch = errors.New("there is no such batch of this client")
	// ErrReasonMissing: a change of status needs a reason.
	ErrReasonMissing = errors.New("a reason is required")
)

// ErrOutOfReach is what a caller meets who must not know whether a licence exists.
var ErrOutOfReach = fmt.Errorf("%w: out of reach", licence.ErrNotFound)

// codes gives each error its stable code; the first match counts.
var codes = []struct {
	err  error
	code string
}{
	{ErrForbidden, "forbidden"},
	{ErrUnauthenticated, "unauthenticated"},
	{ErrSignatureRequired, "signature_required"},
	{ErrSignatureUnwanted, "signature_unwanted"},
	{ErrReplayed, "signature_replayed"},
	{ErrKeyTaken, "key_taken"},
	{ErrKeyReused, "idempotency_key_reused"},
	{ErrKeyMissing, "idempotency_key_missing"},
	{ErrKeyMalformed, "idempotency_key_malformed"},
	{ErrRunning, "request_running"},
	{ErrPurposeMissing, "purpose_missing"},
	{ErrCaseUnknown, "case_unknown"},
	{ErrCaseClosed, "case_closed"},
	{ErrCaseMismatch, "case_mismatch"},
	{ErrQuestionsSpent, "questions_spent"},
	{ErrCaseTaken, "case_taken"},
	{ErrClientTaken, "client_taken"},
	{ErrPersonTaken, "person_taken"},
	{ErrPersonUnknown, "person_unknown"},
	{ErrConsentRequired, "consent_required"},
	{consent.ErrUnknown, "consent_unknown"},
	{consent.ErrMismatch, "consent_mismatch"},
	{consent.ErrExpired, "consent_expired"},
	{consent.ErrRevoked, "consent_revoked"},
	{consent.ErrSpent, "consent_spent"},
	{ErrTooManyConsents, "too_many_consents"},
	{ErrCopyExpired, "copy_expired"},
	{ErrBraked, "braked"},
	{errAltered, "record_altered"},
	{errSlowed, "rate_limited"},
	{ErrReasonMissing, "reason_missing"},
	{ErrDisputeStands, "dispute_stands"},
	{ErrTooManyDisputes, "too_many_disputes"},
	{ErrNotRemedied, "not_remedied"},
	{ErrTimestampAwaited, "timestamp_awaited"},
	{ErrUnfinished, "unfinished"}, // whatever the cause, the log's too: something is reserved
	{audit.ErrOutcomeUnknown, "outcome_unknown"},
	{ErrLog, "log_unavailable"},
	{ErrFiles, "files_unavailable"},
	{ErrUnreachable, "storage_unavailable"},
	{ErrNoSeal, "no_seal"},
	{ErrSigner, "signer_not_usable"},
	{ErrCoSeal, "co_seal_not_usable"},
	{ErrNoConsent, "no_consent"},
	{ErrHeld, "held"},
	{ErrBatchUnreadable, "batch_unreadable"},
	{ErrBatchSize, "batch_size"},
	{ErrTooManyBatches, "too_many_batches"},
	{ErrNoBatch, "no_such_batch"},
	{audit.ErrArchived, "entry_archived"},
	{audit.ErrUnknownLog, "no_such_log"},
	{ErrEvidence, "evidence_unavailable"},
	{ErrSealTaken, "seal_taken"},
	{licence.ErrNotFound, "not_found"},
	{licence.ErrNumberTaken, "number_taken"},
	{licence.ErrWrongStatus, "wrong_status"},
	{ErrWrongStage, "wrong_stage"},
	{ErrNoRaster, "no_raster"},
	{ErrVersionTaken, "catalogue_changed"},
	{ErrTooManySubscriptions, "too_many_subscriptions"},
	{ErrNumbersExhausted, "numbers_exhausted"},
	{licence.ErrNotApplicable, "not_applicable"},
	{ErrExternal, "external_licence"},
	{ErrImported, "already_imported"},
	{ErrImportInvalid, "import_invalid"},
	{ErrVersionPending, "version_pending"},
	{ErrVersionsExhausted, "versions_exhausted"},
	{context.Canceled, "cancelled"},
	{context.DeadlineExceeded, "timeout"},
}

// Code returns the stable code of an error; "internal" when it has none.
func Code(err error) string {
	var invalid *licence.RequestError
	if errors.As(err, &invalid) {
		return "invalid_request"
	}
	for _, c := range codes {
		if errors.Is(err, c.err) {
			return c.code
		}
	}
	return "internal"
}
