package licence

import "time"

// Status is the state of a licence (证照状态). The first eight are stored; the
// last three are derived and never stored.
type Status string

// The statuses.
const (
	StatusPending     Status = "pending"       // number reserved, file not finished
	StatusVoided      Status = "voided"        // reserved and given up, with a reason
	StatusValid       Status = "valid"         // 有效
	StatusSuspended   Status = "suspended"     // 暂停、暂扣
	StatusRevoked     Status = "revoked"       // 吊销, by the authority as a penalty
	StatusWithdrawn   Status = "withdrawn"     // 撤销, by the authority: it should not have been issued
	StatusCancelled   Status = "cancelled"     // 注销, at the holder's wish or because its ground has gone
	StatusSuperseded  Status = "superseded"    // replaced by a later version
	StatusExpired     Status = "expired"       // 过期, derived: the last day is over
	StatusNotYetValid Status = "not_yet_valid" // 未生效, derived: the first day is to come
	StatusUnknown     Status = "unknown"       // no register was asked
)

// readerStatuses are those that a reader of an issued licence may see.
var readerStatuses = []Status{StatusValid, StatusSuspended, StatusRevoked, StatusWithdrawn, StatusCancelled, StatusSuperseded, StatusExpired, StatusNotYetValid}

// Final reports whether a licence with this stored status keeps it for ever. A
// status that is derived, or that does not exist, is never final.
func (s Status) Final() bool {
	switch s {
	case StatusVoided, StatusRevoked, StatusWithdrawn, StatusCancelled, StatusSuperseded:
		return true
	}
	return false
}

// Issued reports whether a licence that has the status was ever issued.
func (s Status) Issued() bool { return s != StatusPending && s != StatusVoided }

// StatusAt is the status of l at the instant t when the stored one is stored: a
// licence that is valid, or whose stored status is unknown, is not yet valid
// before its first day and expired after the end of its last. Every other stored
// status says more than the dates and stands.
func (l *Licence) StatusAt(stored Status, t time.Time) Status {
	return statusAt(stored, l.EffectiveOn, l.ExpiresOn, t)
}

// StatusAt is Licence.StatusAt from the dates of the QR payload.
func (p QRPayload) StatusAt(stored Status, t time.Time) Status {
	return statusAt(stored, p.EffectiveOn, p.ExpiresOn, t)
}

func statusAt(stored Status, effective, expires Date, t time.Time) Status {
	switch {
	case stored != StatusValid && stored != StatusUnknown:
		return stored
	case t.Before(effective.StartsAt()):
		return StatusNotYetValid
	case !expires.IsZero() && !t.Before(expires.EndsAt()):
		return StatusExpired
	}
	return stored
}
