package registry

import (
	"context"
	"time"

	"elicence/licence"
	"elicence/licence/event"
)

// tell has an event about a licence, as it is after an operation, told to those who
// subscribed to it. It is part of the operation's transaction: there is no change that is not
// told, and nothing is told that did not happen.
func (r *Registry) tell(ctx context.Context, tx Tx, rec *Record, op licence.Operation, at time.Time) error {
	e := event.Event{Type: event.Of(op), Time: at}
	if op == "" || op.MakesVersion() {
		e.Supersedes = rec.Supersedes
	}
	return r.insertEvent(ctx, tx, rec, e, at)
}

// insertEvent names an event and the licence that it is about; see EventTx.InsertEvent.
func (r *Registry) insertEvent(ctx context.Context, tx Tx, rec *Record, e event.Event, from time.Time) (err error) {
	if e.ID, err = r.gate.NewID(); err != nil {
		return err
	}
	e.Subject, e.TypeCode, e.Version = rec.Identifier, rec.TypeCode, rec.Version
	return tx.InsertEvent(ctx, e, rec.Division, from)
}
