package registry

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"elicence/audit"
	"elicence/licence"

	"github.com/emmansun/gmsm/sm3"
)

// Case is a case of a department, for which licences of its holder are reused (办件). The
// department's approval system registers it, which is another client than the one that
// reuses.
type Case struct {
	// Authority is the USCC of the department.
	Authority string
	Number    string
	// MatterCode and MatterName are those of the matter (事项编码、事项名称).
	MatterCode, MatterName string
	// Holder is whom the case concerns; Code and CodeType.
	Holder licence.Holder
	// Types are the codes of the licence types that the case needs.
	Types    []string
	OpenedAt time.Time
	// ValidTo is the last day on which the case opens anything.
	ValidTo licence.Date
	// ClosedAt is when it was closed; zero while it was not.
	ClosedAt time.Time
}

// The bounds on a case.
const (
	maxCaseTypes = 20
	maxCaseDays  = 366
)

// CaseID names the case of a department in addresses, where its number must not stand:
// the beginning of SM3 over both, hex.
func CaseID(authority, number string) string {
	sum := sm3.Sum([]byte(authority + "\x00" + number))
	return hex.EncodeToString(sum[:16])
}

// The actions on cases, as they stand in the access log.
const (
	ActionCaseOpen  audit.Action = "case_open"
	ActionCaseClose audit.Action = "case_close"
)

// CaseRequest registers a case of the caller's own department.
type CaseRequest struct {
	// Key is the Idempotency-Key, Body SM3 of the request body it came with.
	Key  string
	Body [32]byte
	// Case needs all from Number to ValidTo but OpenedAt.
	Case     Case
	Operator string
}

// CaseState is the answer to what is done with a case; it is stored with the key.
type CaseState struct {
	ID         string       `json:"id"`
	CaseNumber string       `json:"case_number"`
	Status     string       `json:"status"` // open or closed
	OpenedAt   time.Time    `json:"opened_at"`
	ValidTo    licence.Date `json:"valid_to"`
	ClosedAt   *time.Time   `json:"closed_at,omitempty"`
}

func (k Case) state() CaseState {
	s := CaseState{ID: CaseID(k.Authority, k.Number), CaseNumber: k.Number, Status: "open", OpenedAt: k.OpenedAt.UTC(), ValidTo: k.ValidTo}
	if !k.ClosedAt.IsZero() {
		at := k.ClosedAt.UTC()
		s.Status, s.ClosedAt = "closed", &at
	}
	return s
}

// OpenCase registers a case of the caller's department. A department has each case number
// once. Errors: ErrForbidden, *licence.RequestError, ErrCaseTaken, ErrKeyReused, ErrLog.
func (r *Registry) OpenCase(ctx context.Context, c Caller, q CaseRequest) (CaseState, audit.Receipt, error) {
	k := q.Case
	k.Authority, k.OpenedAt, k.ClosedAt = c.Authority.Code, r.now(), time.Time{}
	state := k.state()
	receipt, err := r.gate.Pass(ctx, c, &Access{
		Action: ActionCaseOpen, Object: "case/" + state.ID, Digest: q.Body[:], Holder: k.Holder,
		Use: Use{Case: k.Number, Matter: k.MatterCode, Operator: q.Operator},
		Check: func() error {
			if err := CheckKey(q.Key); err != nil {
				return err
			}
			return r.checkCase(k)
		},
		Apply: func(ctx context.Context, tx Tx, e *audit.Entry) error {
			return r.gate.Once(ctx, tx, c, q.Key, q.Body, e, &state, func() error { return tx.InsertCase(ctx, k) })
		},
	})
	return state, receipt, err
}

// checkCase names what is wrong with a case that is to be registered: a *licence.RequestError.
func (r *Registry) checkCase(k Case) error {
	if k.Authority == "" {
		return fmt.Errorf("%w: the caller is of no department", ErrForbidden)
	}
	for _, f := range []struct{ name, text string }{{"case_number", k.Number}, {"matter_code", k.MatterCode}, {"matter_name", k.MatterName}} {
		if strings.TrimSpace(f.text) == "" {
			return licence.InvalidField(f.name, licence.CodeMissing, "is required")
		}
	}
	if err := r.gate.CheckHolder(k.Holder); err != nil {
		return err
	}
	today := r.today()
	switch {
	case strings.HasPrefix(k.Number, consentObject("")):
		return licence.InvalidField("case_number", licence.CodeNotAllowed, "begins as what the log calls a consent does")
	case len(k.MatterName) > 512:
		return licence.InvalidField("matter_name", licence.CodeTooLong, "is longer than 512 bytes of UTF-8")
	case len(k.Types) == 0 || len(k.Types) > maxCaseTypes:
		return licence.InvalidField("types", licence.CodeOutOfRange, fmt.Sprintf("does not name 1 to %d licence types", maxCaseTypes))
	case k.ValidTo.IsZero():
		return licence.InvalidField("valid_to", licence.CodeMissing, "is required")
	case k.ValidTo.Compare(today) < 0 || k.ValidTo.EndsAt().After(today.EndsAt().AddDate(0, 0, maxCaseDays)):
		return licence.InvalidField("valid_to", licence.CodeOutOfRange, fmt.Sprintf("is not within %d days from today", maxCaseDays))
	}
	for i, code := range k.Types {
		if r.LastItem(code) == nil {
			return licence.InvalidField(fmt.Sprintf("types[%d]", i), licence.CodeUnknownType, "is not in the catalogue")
		}
		if slices.Contains(k.Types[:i], code) {
			return licence.InvalidField(fmt.Sprintf("types[%d]", i), licence.CodeRepeated, "stands there already")
		}
	}
	return nil
}

// CloseCase closes a case of the caller's department: it opens nothing any more. Errors:
// ErrForbidden, ErrReasonMissing, licence.ErrNotFound, licence.ErrWrongStatus, ErrKeyReused, ErrLog.
func (r *Registry) CloseCase(ctx context.Context, c Caller, id string, q StatusRequest) (CaseState, audit.Receipt, error) {
	k, found := r.cfg.Store.Case(ctx, id)
	k.ClosedAt = r.now()
	state := k.state()
	receipt, err := r.gate.Pass(ctx, c, &Access{
		Action: ActionCaseClose, Object: "case/" + id, Digest: q.Body[:], Holder: k.Holder, PurposeField: "reason",
		Use: Use{Purpose: q.Reason, Case: k.Number, Matter: k.MatterCode, Operator: q.Operator},
		Check: func() error {
			switch {
			case found != nil:
				return found
			case c.Authority.Code == "" || k.Authority != c.Authority.Code:
				return ErrOutOfReach
			case q.Reason == "":
				return ErrReasonMissing
			}
			return CheckKey(q.Key)
		},
		Apply: func(ctx context.Context, tx Tx, e *audit.Entry) error {
			return r.gate.Once(ctx, tx, c, q.Key, q.Body, e, &state, func() error { return tx.CloseCase(ctx, id, k.ClosedAt) })
		},
	})
	return state, receipt, err
}

// covers says why a case does not open a reuse, or nil.
func (k Case) covers(q ReuseRequest, day licence.Date) error {
	switch {
	case !k.ClosedAt.IsZero():
		return fmt.Errorf("%w: it is closed", ErrCaseClosed)
	case day.Compare(k.ValidTo) > 0:
		return fmt.Errorf("%w: its last day was %s", ErrCaseClosed, k.ValidTo)
	case !k.Holder.Is(q.Holder):
		return fmt.Errorf("%w: it concerns another holder", ErrCaseMismatch)
	case k.MatterCode != q.Use.Matter:
		return fmt.Errorf("%w: it is of another matter", ErrCaseMismatch)
	case !slices.Contains(k.Types, q.TypeCode):
		return fmt.Errorf("%w: it does not need licences of this type", ErrCaseMismatch)
	}
	return nil
}

// coveredBy says why the case that a reuse names does not open it: ErrCaseUnknown when the
// department has none of that number, and k is zero.
func (r *Registry) coveredBy(c Caller, q ReuseRequest, k Case) error {
	if k.Authority != c.Authority.Code || k.Number != q.Use.Case {
		return ErrCaseUnknown
	}
	return k.covers(q, r.today())
}
