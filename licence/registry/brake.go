package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/brake"
	"elicence/licence/consent"
)

// Brake is a client stopped for the way it reuses (用证熔断): it gets nothing more by reuse
// until a person lifts the brake. Its department, its superiors and the auditor see it. The
// rules are those of licence/brake.
type Brake struct {
	// ID begins with the instant, so that the order of identifiers is that of time.
	ID     string
	Client string
	// Authority is the client's department.
	Authority licence.IssuingAuthority
	// Alarm is the rule that stopped the client, Detail what was counted.
	Alarm, Detail string
	BrakedAt      time.Time
	// LiftedBy, LiftedAt and Reason are empty and zero while the brake stands.
	LiftedBy string
	LiftedAt time.Time
	Reason   string
}

// BrakeState is how a client stands with the brake.
type BrakeState struct {
	Standing bool
	// LiftedAt is when the last brake of it was lifted: what it did before counts no more.
	LiftedAt time.Time
}

// The actions on brakes, as they stand in the access log.
const (
	ActionBrake     audit.Action = "brake"
	ActionBrakeLift audit.Action = "brake_lift"
	ActionBrakeRead audit.Action = "read_brakes"
)

// errSlowed is what every SlowedError is.
var errSlowed = errors.New("too many reuses")

// SlowedError refuses a reuse for the moment.
type SlowedError struct {
	Alarm string
	// After is when the next one may come.
	After time.Duration
}

// Error names the rule.
func (e *SlowedError) Error() string {
	return fmt.Sprintf("%v: %s; whoever goes on faster is stopped", errSlowed, brake.Says(e.Alarm))
}

// Is reports whether target is errSlowed.
func (e *SlowedError) Is(target error) bool { return target == errSlowed }

// brake counts a reuse, and refuses it when there are too many, or when they follow a
// pattern that no department's work has. The counts of all servers are added up in the
// transaction of the reuse's own log entry, once a second for each client.
func (r *Registry) brake(ctx context.Context, c Caller, q ReuseRequest, a *Access) error {
	if c.Brake.Standing {
		return ErrBraked
	}
	now := r.now()
	verdict := r.brakes.Take(braked(c), counted(q), now)
	if len(verdict.Share) > 0 {
		var sums []int64
		a.Count = func(ctx context.Context, tx Tx) (err error) {
			sums, err = tx.CountReuses(ctx, c.Principal, c.Brake.LiftedAt, verdict.Share, now.Add(-brake.Keep))
			return err
		}
		a.Counted = func() { r.brakes.Settle(c.Principal, verdict.Share, sums) }
	}
	switch {
	case verdict.Stop:
		return r.stop(ctx, c, verdict)
	case verdict.Wait > 0:
		return &SlowedError{verdict.Alarm, verdict.Wait}
	}
	return nil
}

// braked is a caller as the brake's rules know it.
func braked(c Caller) brake.Client {
	return brake.Client{ID: c.Principal, Daily: c.DailyReuses, Lifted: c.Brake.LiftedAt}
}

// counted is what the brake's rules count of a reuse.
func counted(q ReuseRequest) brake.Reuse {
	code, _ := consent.ParseCode(q.Code)
	return brake.Reuse{Matter: q.Use.Matter, Operator: q.Use.Operator, Case: cmp.Or(q.Use.Case, code), Identifier: string(q.Identifier), Holder: q.Holder.Code}
}

// stop brakes a client and says so in the log, in one transaction; what stands already,
// another server having been first, is left.
func (r *Registry) stop(ctx context.Context, c Caller, v brake.Verdict) error {
	id, err := r.gate.NewID()
	if err != nil {
		return err
	}
	now := r.now()
	b := Brake{ID: fmt.Sprintf("%012x", now.UnixMilli()) + id[:16], Client: c.Principal, Authority: c.Authority, Alarm: v.Alarm, Detail: v.Detail, BrakedAt: now}
	_, err = r.gate.Step(ctx, c, &Access{
		Action: ActionBrake, Object: b.object(), Use: Use{Purpose: v.Alarm + ": " + v.Detail},
		Apply: func(ctx context.Context, tx Tx, _ *audit.Entry) error { return tx.InsertBrake(ctx, b) },
	})
	if err != nil && !errors.Is(err, ErrBraked) {
		return err
	}
	return ErrBraked
}

// object names a brake in the log.
func (b Brake) object() string { return "brake/" + b.ID }

// BrakeQuery asks for brakes, the newest first.
type BrakeQuery struct {
	// Standing leaves out those that were lifted.
	Standing bool
	// Authority and Division are set by the register: what the caller may see, empty for all.
	Authority, Division string
	After               string
	Limit               int // 1 to MaxPage
}

// Brakes lists brakes: all of them for an auditor, those of its subtree for an authority,
// those of its own department for a partner.
func (r *Registry) Brakes(ctx context.Context, c Caller, q BrakeQuery) ([]Brake, audit.Receipt, error) {
	q.Authority, q.Division, q.Limit = "", "", min(max(q.Limit, 1), MaxPage)
	receipt, err := r.gate.Pass(ctx, c, &Access{Action: ActionBrakeRead, Object: "brakes", Check: func() error {
		switch {
		case c.Has(RoleAuditor), c.Has(RoleSystem):
		case c.Has(RoleAuthority):
			q.Division = c.Authority.Division
		default:
			q.Authority = c.Authority.Code
		}
		if q.Division+q.Authority == "" && !c.Has(RoleAuditor) && !c.Has(RoleSystem) {
			return fmt.Errorf("%w: the caller is of no department", ErrForbidden)
		}
		return nil
	}})
	if err != nil {
		return nil, receipt, err
	}
	brakes, err := r.cfg.Store.Brakes(ctx, q)
	return brakes, receipt, err
}

// StandingBrakes counts the brakes that stand, by alarm, for those who watch; it shows
// nothing of a licence.
func (r *Registry) StandingBrakes(ctx context.Context) (map[string]int, error) {
	return r.cfg.Store.StandingBrakes(ctx)
}

// LiftBrake lets a braked client go on, for a reason. Nobody lifts the brake of their own
// department: an auditor does, or an authority above it. Errors: ErrForbidden,
// ErrReasonMissing, licence.ErrNotFound, licence.ErrWrongStatus, ErrKeyReused, ErrLog.
func (r *Registry) LiftBrake(ctx context.Context, c Caller, id string, q StatusRequest) (Brake, audit.Receipt, error) {
	b, found := r.cfg.Store.Brake(ctx, id)
	b.ID, b.LiftedBy, b.LiftedAt, b.Reason = id, c.Principal, r.now(), q.Reason
	receipt, err := r.gate.Pass(ctx, c, &Access{
		Action: ActionBrakeLift, Object: b.object(), Digest: q.Body[:], PurposeField: "reason",
		Use: Use{Purpose: q.Reason, Case: q.CaseNumber, Matter: q.MatterCode, Operator: q.Operator},
		Check: func() error {
			above := c.Has(RoleAuthority) && licence.Within(b.Authority.Division, c.Authority.Division)
			switch {
			case found != nil:
				return found
			case !c.Has(RoleAuditor) && !c.Has(RoleSystem) && !above:
				return ErrOutOfReach
			case c.Authority.Code != "" && c.Authority.Code == b.Authority.Code:
				return fmt.Errorf("%w: nobody lifts the brake of their own department", ErrForbidden)
			case q.Reason == "":
				return ErrReasonMissing
			}
			return CheckKey(q.Key)
		},
		Apply: func(ctx context.Context, tx Tx, e *audit.Entry) error {
			return r.gate.Once(ctx, tx, c, q.Key, q.Body, e, &b, func() error { return tx.LiftBrake(ctx, b) })
		},
	})
	return b, receipt, err
}
