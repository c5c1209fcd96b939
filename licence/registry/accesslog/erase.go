package accesslog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/emmansun/gmsm/sm3"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/registry"
)

// EraseRequest asks that the personal values of log entries be erased.
type EraseRequest struct {
	Holder licence.Holder // Code and CodeType: whom the entries are about
	Before time.Time      // erase what was logged before
	Reason string         // stands in the log
}

// maxErase is how many entries one operation erases the personal values of.
const maxErase = 500

// ErasePersonal erases the salts and personal values that log entries about a holder
// commit to, and that they are about that holder. Records, hashes and proofs stay as they
// are, and nobody can tell any more what was committed to. It takes 500 entries at most,
// of the log or, once there are none, of one that it succeeds, whose name ends the object;
// and returns how many it took: repeat it until there is none. The entry of the erasure
// names no holder; its digest is SM3 of the indexes in decimal, ascending, each with a
// line feed. Entries under a hold keep their values while it lasts. What the holder wrote in
// disputes that were settled before the instant is erased with them, and who it was.
// Errors: ErrForbidden, ErrReasonMissing, *licence.RequestError, ErrLog.
func (r *Register) ErasePersonal(ctx context.Context, c registry.Caller, q EraseRequest) (erased int, receipt audit.Receipt, err error) {
	key := audit.HolderKey(string(q.Holder.CodeType), q.Holder.Code)
	var indexes []uint64
	var logID string
	a := &registry.Access{Action: registry.ActionErase, Use: registry.Use{Purpose: q.Reason}, PurposeField: "reason",
		Apply: func(ctx context.Context, tx registry.Tx, _ *audit.Entry) error {
			return errors.Join(tx.EraseOpenings(ctx, logID, indexes, key), tx.EraseDisputes(ctx, q.Holder, q.Before))
		}}
	a.Check = func() error {
		if q.Reason == "" {
			return registry.ErrReasonMissing
		}
		if err := r.gate.CheckHolder(q.Holder); err != nil {
			return err
		}
		for _, logID = range r.gate.Logs() {
			if indexes, err = r.erasable(ctx, logID, key, q.Before); err != nil || len(indexes) > 0 {
				break
			}
		}
		a.Object, a.Digest = erasure(indexes)
		if len(indexes) > 0 && logID != r.gate.Logs()[0] {
			a.Object += "/" + logID
		}
		return err
	}
	receipt, err = r.gate.Pass(ctx, c, a)
	return len(indexes), receipt, err
}

// erasable are the entries with a key whose personal values may be erased, ascending.
func (r *Register) erasable(ctx context.Context, logID string, key audit.Key, before time.Time) (indexes []uint64, err error) {
	head, err := r.gate.LogReader().Head(ctx, logID)
	if err != nil {
		return nil, err
	}
	q := audit.Query{LogID: logID, Keys: []audit.Key{key}, To: before, Below: head.Size, Limit: maxErase, Hidden: r.gate.Held(ctx)}
	for q.Below > 0 && len(indexes) < maxErase {
		var found []audit.Found
		if found, q.Below, err = r.gate.Log().Search(ctx, q); err != nil {
			return nil, err
		}
		for _, f := range found {
			indexes = append(indexes, f.Parsed.Index)
		}
	}
	indexes = indexes[:min(len(indexes), maxErase)]
	slices.Reverse(indexes)
	return indexes, nil
}

// erasure names the entries of an erasure, and is what its entry vouches for.
func erasure(indexes []uint64) (object string, digest []byte) {
	if len(indexes) == 0 {
		return "openings/none", nil
	}
	var b []byte
	for _, i := range indexes {
		b = append(strconv.AppendUint(b, i, 10), '\n')
	}
	sum := sm3.Sum(b)
	return fmt.Sprintf("openings/%d/%d-%d", len(indexes), indexes[0], indexes[len(indexes)-1]), sum[:]
}
