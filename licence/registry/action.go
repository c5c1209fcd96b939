package registry

import "elicence/audit"

// The actions on the access log that are about entries, as they stand in it.
const (
	ActionLogSearch audit.Action = "search_log"
	ActionOwnLog    audit.Action = "read_own_log" // a holder reads what is about them
	ActionErase     audit.Action = "erase_personal"
)

// The actions on the log's own rows, as they stand in it.
const (
	ActionArchive audit.Action = "archive_log"     // a segment is on record; digest: SM3 of its file
	ActionRemove  audit.Action = "remove_archived" // rows that segments hold leave the database
	ActionRestore audit.Action = "restore_log"     // rows of a segment are put back; digest: SM3 of its file
)

// The actions on holds, as they stand in the access log.
const (
	ActionHold     audit.Action = "hold"
	ActionHoldLift audit.Action = "hold_lift"
)

// ActionReadRequest takes out the signature of a request, to be shown to others.
const ActionReadRequest audit.Action = "read_request"

// The actions on disputes, as they stand in the access log.
const (
	ActionDisputeRaise    audit.Action = "dispute_raise"
	ActionDisputeWithdraw audit.Action = "dispute_withdraw"
	ActionDisputeAccept   audit.Action = "dispute_accept"
	ActionDisputeReject   audit.Action = "dispute_reject"
	ActionDisputeClose    audit.Action = "dispute_close"
	ActionDisputeRead     audit.Action = "read_disputes"
)

// The actions on batches, as they stand in the access log. Each item makes the entries of an
// issue or a renewal besides.
const (
	ActionBatch       audit.Action = "batch"
	ActionBatchRead   audit.Action = "read_batch"
	ActionBatchCancel audit.Action = "cancel_batch"
)

// The actions on subscriptions to events, as they stand in the access log.
const (
	ActionSubscribe          audit.Action = "event_subscribe"
	ActionUnsubscribe        audit.Action = "event_unsubscribe"
	ActionSubscriptionEnable audit.Action = "event_enable"
	ActionSubscriptionRead   audit.Action = "read_subscriptions"
	ActionDeadEventsRead     audit.Action = "read_dead_events"
	ActionEventReplay        audit.Action = "event_replay"
	// ActionSubscriptionDisable is the service's own; see disable.
	ActionSubscriptionDisable audit.Action = "event_disable"
)
