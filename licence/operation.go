package licence

import (
	"errors"
	"fmt"
	"slices"
)

// Operation is what may be done to a licence that was issued: a change of status, or
// a new version in the licence's place.
type Operation string

// The operations. The first five change a status, the others make a new version.
const (
	OpSuspend  Operation = "suspend"  // 暂停、暂扣
	OpResume   Operation = "resume"   // 恢复
	OpRevoke   Operation = "revoke"   // 吊销
	OpWithdraw Operation = "withdraw" // 撤销
	OpCancel   Operation = "cancel"   // 注销
	OpAmend    Operation = "amend"    // 变更: what the licence states, its dates kept
	OpRenew    Operation = "renew"    // 延续: a later last day
	OpReissue  Operation = "reissue"  // 补发、换发: the same once more
	OpCorrect  Operation = "correct"  // 更正: what was wrong from the beginning
	OpTransfer Operation = "transfer" // 转让: another holder, where the type allows it
)

// ErrNotApplicable says that a licence is none that an operation can be about, in any
// status: its type does not allow a transfer, or it has no last day to renew.
var ErrNotApplicable = errors.New("licence: the operation does not apply to this licence")

// lifecycle is the life of an issued licence: what each operation may begin from, as a
// reader sees the status, and what it leads to. Pending licences become valid or voided
// by the order of issue alone. A suspended licence is replaced only after it has been
// resumed. An expired one may still be renewed, for the decision on a timely application
// may come late; corrected, for what it stated counts in the past; and ended. docs/lifecycle.md
// has this table.
var lifecycle = map[Operation]struct {
	from []Status
	to   Status
}{
	OpSuspend:  {[]Status{StatusValid, StatusNotYetValid}, StatusSuspended},
	OpResume:   {[]Status{StatusSuspended}, StatusValid},
	OpRevoke:   {[]Status{StatusValid, StatusNotYetValid, StatusSuspended, StatusExpired}, StatusRevoked},
	OpWithdraw: {[]Status{StatusValid, StatusNotYetValid, StatusSuspended, StatusExpired}, StatusWithdrawn},
	OpCancel:   {[]Status{StatusValid, StatusNotYetValid, StatusSuspended, StatusExpired}, StatusCancelled},
	OpAmend:    {[]Status{StatusValid, StatusNotYetValid}, StatusSuperseded},
	OpRenew:    {[]Status{StatusValid, StatusExpired}, StatusSuperseded},
	OpReissue:  {[]Status{StatusValid, StatusNotYetValid}, StatusSuperseded},
	OpCorrect:  {[]Status{StatusValid, StatusNotYetValid, StatusExpired}, StatusSuperseded},
	OpTransfer: {[]Status{StatusValid}, StatusSuperseded},
}

// Operations are all of them, in the order above.
func Operations() []Operation {
	return []Operation{OpSuspend, OpResume, OpRevoke, OpWithdraw, OpCancel, OpAmend, OpRenew, OpReissue, OpCorrect, OpTransfer}
}

// To is the stored status that the operation leads to; of one that makes a new
// version, that of the old one. "" when there is no such operation.
func (o Operation) To() Status { return lifecycle[o].to }

// MakesVersion reports whether the operation puts a new version in the licence's place.
func (o Operation) MakesVersion() bool { return o.To() == StatusSuperseded }

// Check reports whether the operation may be done to a licence with the status that
// StatusAt gives; if not, the error is a *StatusError.
func (o Operation) Check(status Status) error {
	if !slices.Contains(lifecycle[o].from, status) {
		return &StatusError{o, status}
	}
	return nil
}

// StatusError is ErrWrongStatus of an operation, with the status that does not allow it.
type StatusError struct {
	Operation Operation
	Status    Status
}

// Error implements error.
func (e *StatusError) Error() string {
	return fmt.Sprintf("%v: %.20s when it is %.20s", ErrWrongStatus, e.Operation, e.Status)
}

// Unwrap is ErrWrongStatus.
func (e *StatusError) Unwrap() error { return ErrWrongStatus }
