package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"elicence/audit"
	"elicence/licence"

	"github.com/emmansun/gmsm/sm3"
)

// VersionRequest asks for a new version of a licence.
type VersionRequest struct {
	// Key is the Idempotency-Key.
	Key string
	// Body is the request as it was received, JSON; see licence.ParseVersionRequest.
	Body []byte
	// item says that it is an item of a batch, whose key has a form of its own.
	item bool
}

// Amend issues a licence anew with what it states changed (变更).
func (r *Registry) Amend(ctx context.Context, c Caller, id licence.Identifier, q VersionRequest) (Issued, audit.Receipt, error) {
	return r.replace(ctx, c, licence.OpAmend, id, q)
}

// Renew issues a licence anew with a later last day (延续).
func (r *Registry) Renew(ctx context.Context, c Caller, id licence.Identifier, q VersionRequest) (Issued, audit.Receipt, error) {
	return r.replace(ctx, c, licence.OpRenew, id, q)
}

// Reissue issues a licence once more as it is (补发、换发).
func (r *Registry) Reissue(ctx context.Context, c Caller, id licence.Identifier, q VersionRequest) (Issued, audit.Receipt, error) {
	return r.replace(ctx, c, licence.OpReissue, id, q)
}

// Correct issues a licence anew with an error mended (更正).
func (r *Registry) Correct(ctx context.Context, c Caller, id licence.Identifier, q VersionRequest) (Issued, audit.Receipt, error) {
	return r.replace(ctx, c, licence.OpCorrect, id, q)
}

// Transfer issues a licence anew for another holder (转让).
func (r *Registry) Transfer(ctx context.Context, c Caller, id licence.Identifier, q VersionRequest) (Issued, audit.Receipt, error) {
	return r.replace(ctx, c, licence.OpTransfer, id, q)
}

// replace puts a new version in a licence's place, or repeats the answer of the first
// request with the same key. Only the authority that issued the licence does. Errors:
// those of Issue, and licence.ErrNotFound, licence.ErrWrongStatus,
// licence.ErrNotApplicable, ErrVersionPending, ErrVersionsExhausted.
func (r *Registry) replace(ctx context.Context, c Caller, op licence.Operation, id licence.Identifier, q VersionRequest) (Issued, audit.Receipt, error) {
	rec, found := r.cfg.Store.Licence(ctx, id)
	body := sm3.Sum(q.Body)
	a := asked{key: q.Key, op: op, id: id, item: q.item,
		// The same words about another licence, or to another end, are another request.
		body: sm3.Sum(fmt.Appendf(nil, "%s\n%s\n%s", op, id, body[:]))}
	attempt := Access{Action: audit.Action(op), Object: string(id), Holder: rec.Holder, Digest: a.body[:], PurposeField: "reason"}
	attempt.Check = func() error {
		defer func() { attempt.Use = a.use }()
		if err := errors.Join(mayChange(c, op, &rec, found), a.CheckKey()); err != nil {
			return err
		}
		return r.checkReplace(ctx, c, &rec, q.Body, &a)
	}
	return r.carryOut(ctx, c, &attempt, &a)
}

// checkReplace is step 1's check of a request for a new version. The licence's status is
// left to step 2, behind the key, so that a repeat gets its answer; only where something
// else is wrong too, it comes first.
func (r *Registry) checkReplace(ctx context.Context, c Caller, rec *Record, body []byte, a *asked) error {
	old, err := licence.ParseData(rec.Data)
	if err != nil {
		return fmt.Errorf("reading the data of %s: %w", rec.Identifier, err)
	}
	if err := r.checkVersion(ctx, c, old, body, a); err != nil {
		return cmp.Or(a.op.Check(old.StatusAt(rec.Status, r.now())), err)
	}
	return nil
}

// checkVersion checks what the new version is to be.
func (r *Registry) checkVersion(ctx context.Context, c Caller, old *licence.Licence, body []byte, a *asked) error {
	by, err := r.published(old.TypeCode)
	if err != nil {
		return err
	}
	v, err := by.item.ParseVersionRequest(a.op, body, old, c.Authority, r.today())
	if err != nil {
		return err
	}
	a.by, a.Request, a.use = by, v.Request, Use{Purpose: v.Reason, Case: v.Case.Number, Matter: v.Case.MatterCode, Operator: v.Case.Operator}
	return r.checkMakeable(ctx, c, a)
}

// insertVersion reserves the next identifier for a pending version. Voided versions keep
// theirs, so that a number is never used twice.
func (r *Registry) insertVersion(ctx context.Context, tx Tx, c Caller, q asked) (Record, error) {
	if _, err := r.standing(ctx, tx, q.id, q.op); err != nil {
		return Record{}, err
	}
	last, err := tx.LastVersion(ctx, q.id)
	switch {
	case err != nil:
		return Record{}, err
	case last.Status == licence.StatusPending:
		return Record{}, ErrVersionPending
	case last.Identifier.Version() == licence.MaxVersion:
		return Record{}, ErrVersionsExhausted
	}
	id, err := last.Identifier.Next()
	if err != nil {
		return Record{}, err
	}
	record := func(number string) (Record, error) {
		l := newLicence(q.by.item, q.Request, id, number)
		l.Supersedes = q.id
		return r.pending(l, c, q)
	}
	var rec Record
	if q.Number == "" {
		rec, err = insertNumbered(ctx, tx, q.by.item, q.Request, record)
	} else if rec, err = record(q.Number); err == nil {
		err = tx.InsertVersion(ctx, rec)
	}
	if err != nil {
		return Record{}, err
	}
	return rec, tx.BindKey(ctx, c.Principal, q.key, id)
}

// errOvertaken says that the version to be superseded was changed since the new one was
// reserved: the new one is voided.
var errOvertaken = fmt.Errorf("%w: the version before was changed meanwhile", licence.ErrWrongStatus)

// checkOld looks, before a key is used, whether the version that is to be superseded
// still may be.
func (r *Registry) checkOld(ctx context.Context, s *sealing) (err error) {
	if s.rec.Supersedes == "" {
		return nil
	}
	if s.old, err = r.cfg.Store.Licence(ctx, s.rec.Supersedes); err == nil && s.old.Status != licence.StatusValid {
		return errOvertaken
	}
	return err
}

// superseding is the log entry about the old version; none when there is no such version.
func (s *sealing) superseding() []*Access {
	if s.rec.Supersedes == "" {
		return nil
	}
	return []*Access{{Action: ActionSupersede, Object: string(s.rec.Supersedes), Holder: s.old.Holder,
		Use: Use{Purpose: s.rec.StatusReason, Case: s.rec.CaseNumber}}}
}

// supersede makes the old version superseded, in the transaction that makes the new one
// valid. The order of issue allowed it when the number was reserved; that a last day passed
// since does not matter.
func (r *Registry) supersede(ctx context.Context, tx Tx, s *sealing, now time.Time) error {
	if s.rec.Supersedes == "" {
		return nil
	}
	change := Change{Reason: s.rec.StatusReason, CaseNumber: s.rec.CaseNumber, At: now}
	err := tx.SetStatus(ctx, s.rec.Supersedes, []licence.Status{licence.StatusValid}, licence.StatusSuperseded, change)
	if errors.Is(err, licence.ErrWrongStatus) {
		return errOvertaken
	}
	return err
}
