package accesslog

import (
	"context"
	"fmt"

	"elicence/audit"
	"elicence/crypto/httpsig"
	"elicence/licence"
	"elicence/licence/registry"
)

// SignedRequest is what proves to a stranger that a client made a request: the record of its
// entry, the opening that the record commits to, with signature and signature base, and the
// key. The opening has the entry's other personal values too: they cannot be told apart.
type SignedRequest struct {
	Record, Opening []byte
	Key             registry.ClientKey
}

// SignedRequest takes out the signed request of an entry, for a reason. Whomever the entry is
// about, its taking out is about too.
// Errors: ErrReasonMissing, licence.ErrNotFound when the entry holds no signature, or none
// any more, audit.ErrNoEntry, audit.ErrArchived.
func (r *Register) SignedRequest(ctx context.Context, c registry.Caller, index uint64, reason string) (q SignedRequest, receipt audit.Receipt, err error) {
	a := &registry.Access{Action: registry.ActionReadRequest, Object: fmt.Sprintf("entry/%d", index), Use: registry.Use{Purpose: reason}, PurposeField: "reason"}
	a.Check = func() error {
		if reason == "" {
			return registry.ErrReasonMissing
		}
		row, err := r.gate.Log().Entry(ctx, index)
		if err != nil {
			return err
		}
		q.Record, q.Opening = row.Record, row.Opening
		a.Holder, err = r.openRequest(ctx, &q)
		return err
	}
	receipt, err = r.gate.Pass(ctx, c, a)
	if err != nil {
		return SignedRequest{}, receipt, err
	}
	return q, receipt, nil
}

// openRequest finds the key of a signed request, and whom its entry is about.
func (r *Register) openRequest(ctx context.Context, q *SignedRequest) (about licence.Holder, err error) {
	if q.Opening == nil {
		return about, fmt.Errorf("%w: the entry has no personal values, or they were erased", licence.ErrNotFound)
	}
	record, err := audit.ParseRecord(q.Record)
	if err != nil {
		return about, err
	}
	personal, err := record.OpenPersonal(q.Opening)
	if err != nil {
		return about, err
	}
	about = licence.Holder{Code: personal[audit.PersonalHolderCode], CodeType: licence.HolderCodeType(personal[audit.PersonalHolderCodeType])}
	if personal[registry.PersonalSignatureInput] == "" {
		return about, fmt.Errorf("%w: the entry is of no signed request", licence.ErrNotFound)
	}
	s, _, err := httpsig.ParseInput(personal[registry.PersonalSignatureInput])
	if err != nil {
		return about, err
	}
	q.Key, err = r.gate.Store().ClientKey(ctx, s.KeyID)
	return about, err
}
