package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"elicence/audit"
	"elicence/licence"
)

// StatusRequest asks for a change of status.
type StatusRequest struct {
	// Key is the Idempotency-Key, Body SM3 of the request body it came with.
	Key  string
	Body [32]byte
	// Reason is required; the others are as the case has them.
	Reason, CaseNumber, MatterCode, Operator string
}

// StatusChanged is the answer to a change of status; it is stored with the key.
type StatusChanged struct {
	Identifier licence.Identifier `json:"identifier"`
	Status     licence.Status     `json:"status"`
	Reason     string             `json:"reason"`
	ChangedAt  time.Time          `json:"changed_at"`
}

// Suspend stops a valid licence for a time (暂停).
func (r *Registry) Suspend(ctx context.Context, c Caller, id licence.Identifier, q StatusRequest) (StatusChanged, audit.Receipt, error) {
	return r.change(ctx, c, licence.OpSuspend, id, q)
}

// Resume ends a suspension (恢复).
func (r *Registry) Resume(ctx context.Context, c Caller, id licence.Identifier, q StatusRequest) (StatusChanged, audit.Receipt, error) {
	return r.change(ctx, c, licence.OpResume, id, q)
}

// Revoke ends a licence as a sanction (吊销); there is no way back.
func (r *Registry) Revoke(ctx context.Context, c Caller, id licence.Identifier, q StatusRequest) (StatusChanged, audit.Receipt, error) {
	return r.change(ctx, c, licence.OpRevoke, id, q)
}

// Withdraw ends a licence that should not have been issued (撤销).
func (r *Registry) Withdraw(ctx context.Context, c Caller, id licence.Identifier, q StatusRequest) (StatusChanged, audit.Receipt, error) {
	return r.change(ctx, c, licence.OpWithdraw, id, q)
}

// Cancel ends a licence at its holder's wish, or because its ground has gone (注销).
func (r *Registry) Cancel(ctx context.Context, c Caller, id licence.Identifier, q StatusRequest) (StatusChanged, audit.Receipt, error) {
	return r.change(ctx, c, licence.OpCancel, id, q)
}

// change moves a licence to another status in one transaction with its log
// entry and the answer of its key. Only the authority that issued a licence, or imported it,
// changes it. A new version that is pending does not hold it up, but is voided instead of
// taking the place of what is not valid any more. Errors: ErrForbidden, ErrReasonMissing,
// ErrKeyReused, licence.ErrNotFound, licence.ErrWrongStatus, ErrLog.
func (r *Registry) change(ctx context.Context, c Caller, op licence.Operation, id licence.Identifier, q StatusRequest) (StatusChanged, audit.Receipt, error) {
	rec, found := r.cfg.Store.Licence(ctx, id)
	changed := StatusChanged{Identifier: id, Status: op.To(), Reason: q.Reason, ChangedAt: r.now()}
	receipt, err := r.gate.Pass(ctx, c, &Access{
		Action: audit.Action(op), Object: string(id), Holder: rec.Holder, Digest: q.Body[:],
		PurposeField: "reason",
		Use:          Use{Purpose: q.Reason, Case: q.CaseNumber, Matter: q.MatterCode, Operator: q.Operator},
		Check: func() error {
			if err := errors.Join(mayChange(c, op, &rec, found), CheckKey(q.Key)); err != nil || q.Reason != "" {
				return err
			}
			return ErrReasonMissing
		},
		Apply: func(ctx context.Context, tx Tx, e *audit.Entry) error {
			return r.gate.Once(ctx, tx, c, q.Key, q.Body, e, &changed, func() error {
				if err := tx.BindKey(ctx, c.Principal, q.Key, id); err != nil {
					return err
				}
				return r.applyChange(ctx, tx, changed, q, op)
			})
		},
	})
	return changed, receipt, err
}

// mayChange says whether the caller may change the licence at all: the authority that issued
// it, or imported it, which then tells what its issuer did.
func mayChange(c Caller, op licence.Operation, rec *Record, found error) error {
	switch {
	case found != nil:
		return found
	case !c.Reaches(rec):
		return ErrOutOfReach
	case rec.Importer != "" && op.MakesVersion():
		return ErrExternal
	case cmp.Or(rec.Importer, rec.AuthorityCode) != c.Authority.Code:
		return fmt.Errorf("%w: only the authority that issued a licence changes it", ErrForbidden)
	case !slices.Contains(c.Types, rec.TypeCode):
		return fmt.Errorf("%w: the caller does not issue licences of type %s", ErrForbidden, rec.TypeCode)
	}
	return nil
}

// applyChange is the change itself.
func (r *Registry) applyChange(ctx context.Context, tx Tx, changed StatusChanged, q StatusRequest, op licence.Operation) error {
	rec, err := r.standing(ctx, tx, changed.Identifier, op)
	if err != nil {
		return err
	}
	change := Change{Reason: q.Reason, CaseNumber: q.CaseNumber, At: changed.ChangedAt}
	if err := tx.SetStatus(ctx, changed.Identifier, []licence.Status{rec.Status}, changed.Status, change); err != nil {
		return err
	}
	return r.tell(ctx, tx, &rec, op, changed.ChangedAt)
}

// standing reads a licence inside the transaction, and says with licence.ErrWrongStatus
// when an operation may not be done to it as it stands now, its dates counted.
func (r *Registry) standing(ctx context.Context, tx Tx, id licence.Identifier, op licence.Operation) (Record, error) {
	rec, err := tx.Licence(ctx, id)
	if err != nil {
		return rec, err
	}
	l, err := licence.ParseData(rec.Data)
	if err != nil {
		return rec, fmt.Errorf("reading the data of %s: %w", id, err)
	}
	return rec, op.Check(l.StatusAt(rec.Status, r.now()))
}
