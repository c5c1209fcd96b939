package registry

import (
	"context"
	"errors"
	"fmt"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/event"
)

// ActionExpired is that the end of a licence's term was told, as it stands in the access log.
const ActionExpired audit.Action = "expired"

// TellExpired has it told that licences have expired: upkeepPage at most, those that ended first.
// The status is derived and does not change by it. Each licence is one transaction, so that a
// crash leaves it told, with its entry, or still to be told; of several servers one tells it. A
// suspended licence is told when it was resumed. The error joins those of licences that it had to
// leave; when the log does not answer it stops.
func (r *Registry) TellExpired(ctx context.Context) (told int, err error) {
	due, err := r.cfg.Store.Expired(ctx, r.today(), upkeepPage)
	if err != nil {
		return 0, fmt.Errorf("finding expired licences: %w", err)
	}
	for _, id := range due {
		fault := r.tellExpired(ctx, id)
		if fault == nil {
			told++
		}
		if fault == nil || errors.Is(fault, licence.ErrWrongStatus) { // another server was first, or it was changed
			continue
		}
		err = errors.Join(err, fmt.Errorf("telling that %s has expired: %w", id, fault))
		if errors.Is(fault, ErrLog) || ctx.Err() != nil {
			break
		}
	}
	return told, err
}

// tellExpired tells it of one licence; licence.ErrWrongStatus when there is nothing to tell.
func (r *Registry) tellExpired(ctx context.Context, id licence.Identifier) error {
	rec, err := r.cfg.Store.Licence(ctx, id)
	if err != nil {
		return err
	}
	now := r.now()
	_, err = r.gate.Step(ctx, System("expiry"), &Access{Action: ActionExpired, Object: string(id), Holder: rec.Holder,
		Apply: func(ctx context.Context, tx Tx, _ *audit.Entry) error {
			rec, err := tx.Licence(ctx, id)
			if err != nil {
				return err
			}
			l, err := licence.ParseData(rec.Data)
			if err != nil {
				return fmt.Errorf("reading licence data: %w", err)
			}
			if l.StatusAt(rec.Status, now) != licence.StatusExpired {
				return licence.ErrWrongStatus
			}
			if err := tx.SetExpiryTold(ctx, id); err != nil {
				return err
			}
			e := event.Event{Type: event.Expired, Time: l.ExpiresOn.EndsAt()}
			if rec.StatusAt.After(e.Time) { // imported, corrected or resumed since
				e.Time = rec.StatusAt
			}
			return r.insertEvent(ctx, tx, &rec, e, now)
		}})
	return err
}
