package registry

import (
	"context"
	"time"

	"elicence/licence"
	"elicence/licence/dispute"
)

// DisputeQuery asks for disputes.
type DisputeQuery struct {
	// Holder, when set, asks for those of a holder, the newest first, after the one of
	// identifier AfterID.
	Holder licence.Holder
	// State and Kind ask for those alone; empty for all. OverdueAt, unless zero, asks for those
	// that are overdue then.
	State     dispute.State
	Kind      dispute.Kind
	OverdueAt time.Time
	// AfterDue and AfterID are those of the last dispute of the page before: without a holder
	// the order is that of Due, then of ID.
	AfterDue time.Time
	AfterID  string
	Limit    int // 1 to MaxPage
	// Authority, Division and Types are set by the register: those that go to the department,
	// or to one below it, for licences of the types and for uses of any; an empty Authority
	// asks for all.
	Authority, Division string
	Types               []string
}

// DisputeStore is the part of a Store that keeps disputes.
type DisputeStore interface {
	// Dispute returns a dispute by its identifier, settled ones too.
	Dispute(ctx context.Context, id string) (dispute.Dispute, error)
	// Disputes returns the disputes that q asks for; see DisputeQuery.
	Disputes(ctx context.Context, q DisputeQuery) ([]dispute.Dispute, error)
	// AcceptedDisputes returns the disputes of a kind about any version of the licence that
	// id is a version of that are accepted, in the order of their identifiers.
	AcceptedDisputes(ctx context.Context, kind dispute.Kind, id licence.Identifier) ([]dispute.Dispute, error)
	// OverdueDisputes counts the disputes that are overdue at an instant, by kind.
	OverdueDisputes(ctx context.Context, at time.Time) (map[dispute.Kind]int, error)
}

// DisputeTx is the part of a Tx that changes disputes.
type DisputeTx interface {
	// CountDisputes counts the disputes of a holder: those that are unsettled, and those that
	// were raised after an instant.
	CountDisputes(ctx context.Context, h licence.Holder, since time.Time) (unsettled, recent int, err error)
	// InsertDispute stores a dispute that is new; ErrDisputeStands when the holder has one that
	// is unsettled, of the same kind and about the same.
	InsertDispute(ctx context.Context, d dispute.Dispute) error
	// UpdateDispute stores where a dispute stands and all that was answered; licence.ErrWrongStatus
	// when its state is not from.
	UpdateDispute(ctx context.Context, d dispute.Dispute, from dispute.State) error
	// EraseDisputes erases texts and holder of the disputes that were settled before an instant,
	// of a holder or, when it is zero, of everybody.
	EraseDisputes(ctx context.Context, h licence.Holder, before time.Time) error
}
