package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/dispute"
)

// The actions on disputes, as they stand in the access log.
const (
	ActionDisputeRaise    audit.Action = "dispute_raise"
	ActionDisputeWithdraw audit.Action = "dispute_withdraw"
	ActionDisputeAccept   audit.Action = "dispute_accept"
	ActionDisputeReject   audit.Action = "dispute_reject"
	ActionDisputeClose    audit.Action = "dispute_close"
	ActionDisputeRead     audit.Action = "read_disputes"
)

// The most disputes of a holder: unsettled at once, and raised within disputeDay.
const (
	maxUnsettled = 10
	maxRaised    = 20
	disputeDay   = 24 * time.Hour
)

// DisputableFields are the names, beside the type's own, of what a holder may dispute.
var DisputableFields = slices.DeleteFunc(slices.Clone(ReusableFields), func(name string) bool { return name == "status" })

// DisputeRequest raises a dispute.
type DisputeRequest struct {
	// Key is the Idempotency-Key, Body SM3 of the request body it came with.
	Key  string
	Body [32]byte
	// Dispute needs Kind, Statement and what it is about: Licence, or TypeCode and the
	// authority's code for MissingLicence, or Entry for UnknownUse.
	Dispute dispute.Dispute
}

// DisputeState is the answer to what is done with a dispute. It holds nothing that the
// holder wrote, because it is stored with the key.
type DisputeState struct {
	ID            string             `json:"id"`
	Kind          dispute.Kind       `json:"kind"`
	State         dispute.State      `json:"state"`
	AuthorityCode string             `json:"authority_code"` // empty when it goes to the auditor alone
	AuthorityName string             `json:"authority_name"`
	RaisedAt      time.Time          `json:"raised_at"`
	Due           time.Time          `json:"due"`
	Version       licence.Identifier `json:"version,omitempty"`
}

func disputeState(d dispute.Dispute) DisputeState {
	return DisputeState{ID: d.ID, Kind: d.Kind, State: d.State, AuthorityCode: d.Authority.Code, AuthorityName: d.Authority.Name,
		RaisedAt: d.RaisedAt.UTC(), Due: d.Due.UTC(), Version: d.Version}
}

// disputeObject names a dispute in the log.
func disputeObject(id string) string { return "dispute/" + id }

// sameHolder reports whether two are one holder, whom both name, in a time that does not
// depend on where they differ: who names a case or a code must not measure whose it is.
func sameHolder(a, b licence.Holder) bool {
	return a.Code != "" && sameText(string(a.CodeType)+" "+a.Code, string(b.CodeType)+" "+b.Code)
}

// RaiseDispute raises a dispute of the caller, who must be a holder. What they write is
// committed to in the log and never shown there. Errors: ErrForbidden, *licence.RequestError,
// licence.ErrNotFound for a licence or an entry that is not the holder's, audit.ErrArchived,
// ErrDisputeStands, ErrTooManyDisputes, ErrKeyReused, ErrLog.
func (r *Registry) RaiseDispute(ctx context.Context, c Caller, q DisputeRequest) (DisputeState, audit.Receipt, error) {
	id, noID := r.gate.NewID()
	now := r.now()
	d := dispute.Dispute{ID: fmt.Sprintf("%012x", now.UnixMilli()) + id[:16], Kind: q.Dispute.Kind, State: dispute.Open, Holder: c.Holder, Statement: q.Dispute.Statement, RaisedAt: now}
	state := disputeState(d)
	receipt, err := r.gate.Pass(ctx, c, &Access{
		Action: ActionDisputeRaise, Object: disputeObject(d.ID), Holder: c.Holder,
		Texts: map[string]string{"field": d.Statement.Field, "should_be": d.Statement.ShouldBe, "text": d.Statement.Text},
		Check: func() error {
			if err := errors.Join(CheckKey(q.Key), noID); err != nil {
				return err
			}
			err := r.checkDispute(ctx, c, q.Dispute, &d)
			state = disputeState(d)
			return err
		},
		Apply: func(ctx context.Context, tx Tx, e *audit.Entry) error {
			return r.gate.Once(ctx, tx, c, q.Key, q.Body, e, &state, func() error {
				unsettled, recent, err := tx.CountDisputes(ctx, c.Holder, now.Add(-disputeDay))
				if err == nil && (unsettled >= maxUnsettled || recent >= maxRaised) {
					err = ErrTooManyDisputes
				}
				if err != nil {
					return err
				}
				return tx.InsertDispute(ctx, d)
			})
		},
	})
	return state, receipt, err
}

// checkDispute checks what a holder disputes, and fills in whom it goes to and by when it
// is due.
func (r *Registry) checkDispute(ctx context.Context, c Caller, asked dispute.Dispute, d *dispute.Dispute) (err error) {
	if c.Holder.Code == "" {
		return fmt.Errorf("%w: the caller is no holder", ErrForbidden)
	}
	if !slices.Contains(dispute.Kinds, d.Kind) {
		return sealFault("kind", licence.CodeNotAllowed, "is none of wrong_data, wrong_licence, missing_licence and unknown_use")
	}
	if err := d.Check(); err != nil {
		return err
	}
	switch d.Kind {
	case dispute.MissingLicence:
		d.TypeCode = asked.TypeCode
		if r.lastItem(d.TypeCode) == nil {
			return sealFault("type_code", licence.CodeUnknownType, "is not in the catalogue")
		}
		i := slices.IndexFunc(r.Issuers(), func(a licence.IssuingAuthority) bool { return a.Code == asked.Authority.Code })
		if i < 0 {
			return sealFault("authority_code", licence.CodeNotAllowed, "is no authority that issues licences here")
		}
		d.Authority = r.Issuers()[i]
	case dispute.UnknownUse:
		d.Entry = asked.Entry
		err = r.disputedUse(ctx, c, d)
	default:
		err = r.disputedLicence(ctx, c, asked.Licence, d)
	}
	d.Due = r.cfg.DisputeRules.Answer(d.Kind, d.RaisedAt)
	return err
}

// Issuers are the authorities that have a seal here, by code. Their division is that of
// their code (GB 32100, characters 3 to 8), of a township's that of its county.
func (r *Registry) Issuers() (all []licence.IssuingAuthority) {
	for code, key := range r.cfg.Seals {
		if key != nil && len(code) == 18 {
			all = append(all, licence.IssuingAuthority{Name: key.Certificate.Subject.CommonName, Code: code, Division: code[2:8]})
		}
	}
	slices.SortFunc(all, func(a, b licence.IssuingAuthority) int { return cmp.Compare(a.Code, b.Code) })
	return all
}

// disputedLicence finds a licence that the holder disputes.
func (r *Registry) disputedLicence(ctx context.Context, c Caller, id licence.Identifier, d *dispute.Dispute) error {
	rec, err := r.cfg.Store.Licence(ctx, id)
	switch {
	case err != nil:
		return err
	case !sameHolder(rec.Holder, c.Holder) || !issued(rec.Status):
		return ErrOutOfReach
	}
	l, err := licence.ParseData(rec.Data)
	if err != nil {
		return fmt.Errorf("reading the data of %s: %w", id, err)
	}
	by, err := r.madeBy(ctx, &rec)
	if err != nil {
		return err
	}
	d.Licence, d.TypeCode, d.Authority = id, rec.TypeCode, l.Authority
	if rec.Importer != "" { // of what another platform issued, whoever imported it answers for what stands here
		client, err := r.cfg.Store.Client(ctx, rec.Client)
		if err != nil {
			return fmt.Errorf("reading who imported %s: %w", id, err)
		}
		d.Authority = client.Authority
	}
	return d.CheckField(by.item.FieldOrder, DisputableFields)
}

// disputedUse finds the log entry of a use that the holder knows nothing of: one about them,
// and under no hold.
func (r *Registry) disputedUse(ctx context.Context, c Caller, d *dispute.Dispute) error {
	head, err := r.cfg.LogReader.Head(ctx, r.cfg.LogID)
	if err != nil {
		return fmt.Errorf("reading log head: %w", err)
	}
	if d.Entry >= head.Size {
		return ErrOutOfReach
	}
	own := audit.HolderKey(string(c.Holder.CodeType), c.Holder.Code)
	found, _, err := r.cfg.Log.Search(ctx, audit.Query{Keys: []audit.Key{own}, Below: d.Entry + 1, Limit: 1, Hidden: r.held(ctx)})
	switch {
	case err != nil:
		return fmt.Errorf("searching the access log: %w", err)
	case len(found) == 0 || found[0].Parsed.Index != d.Entry:
		return ErrOutOfReach
	case found[0].Archived != nil:
		return audit.ErrArchived
	}
	e := found[0].Parsed.Entry
	if id, err := licence.ParseIdentifier(e.Object); err == nil {
		d.Licence = id
	}
	client, err := r.cfg.Store.Client(ctx, e.Principal)
	if err != nil && !errors.Is(err, licence.ErrNotFound) {
		return err
	}
	d.Authority = client.Authority
	return nil
}

// OverdueDisputes counts the disputes whose answer or remedy is late, by kind, for those who
// watch; it shows nothing of a licence.
func (r *Registry) OverdueDisputes(ctx context.Context) (map[dispute.Kind]int, error) {
	return r.cfg.Store.OverdueDisputes(ctx, r.now())
}

// Disputes lists disputes: the caller's own, those that go to their department and to those
// below it, or for an auditor all. What a holder wrote, and who that is, only the holder
// finds in the list. Of q only State, Kind, OverdueAt and what chooses the page count.
// Errors: ErrForbidden, ErrLog.
func (r *Registry) Disputes(ctx context.Context, c Caller, q DisputeQuery, use Use) ([]dispute.Dispute, audit.Receipt, error) {
	q.Holder, q.Authority, q.Division, q.Types, q.Limit = licence.Holder{}, "", "", nil, min(max(q.Limit, 1), MaxPage)
	receipt, err := r.gate.Pass(ctx, c, &Access{Action: ActionDisputeRead, Object: "disputes", Holder: c.Holder, Use: use, Check: func() error {
		switch {
		case c.Holder.Code != "":
			q.Holder = c.Holder
		case c.Has(RoleAuditor):
		case c.Authority.Code == "" || !licence.Within(c.Authority.Division, c.Authority.Division):
			return fmt.Errorf("%w: the caller is of no department", ErrForbidden)
		default:
			q.Authority, q.Division, q.Types = c.Authority.Code, c.Authority.Division, c.Types
		}
		return nil
	}})
	if err != nil {
		return nil, receipt, err
	}
	found, err := r.cfg.Store.Disputes(ctx, q)
	for i := range found {
		if q.Holder.Code == "" {
			withoutPersonal(&found[i])
		}
	}
	return found, receipt, err
}

// withoutPersonal leaves of a dispute what tells when, by whom and how it is answered.
func withoutPersonal(d *dispute.Dispute) {
	d.Holder, d.Licence, d.Statement, d.Reason, d.Remedy = licence.Holder{}, "", dispute.Statement{}, "", ""
}

// Dispute reads one dispute whole: the holder their own, and who answers it. The auditor, who
// sees to it that disputes are answered, reads those that others answer as the list has them.
// Errors: ErrForbidden, licence.ErrNotFound out of the caller's reach, ErrLog.
func (r *Registry) Dispute(ctx context.Context, c Caller, id string, use Use) (dispute.Dispute, audit.Receipt, error) {
	d, found := r.cfg.Store.Dispute(ctx, id)
	receipt, err := r.gate.Pass(ctx, c, &Access{Action: ActionDisputeRead, Object: disputeObject(id), Holder: d.Holder, Use: use, Check: func() error {
		if found == nil && !sameHolder(c.Holder, d.Holder) && !c.Has(RoleAuditor) && !c.answers(&d) {
			return ErrOutOfReach
		}
		return found
	}})
	if err != nil {
		return dispute.Dispute{}, receipt, err
	}
	if !sameHolder(c.Holder, d.Holder) && !c.answers(&d) {
		withoutPersonal(&d)
	}
	return d, receipt, nil
}

// answers reports whether a caller answers a dispute: somebody of role authority of the
// department that it goes to, or of one above it, who decides on licences of the type; and
// the auditor, a use that a holder knows nothing of.
func (c Caller) answers(d *dispute.Dispute) bool {
	if d.Kind == dispute.UnknownUse && c.Has(RoleAuditor) {
		return true
	}
	county := licence.County(c.Authority.Division) // which is all that Issuers know of a township
	own := c.Authority.Code == d.Authority.Code && (licence.Within(d.Authority.Division, c.Authority.Division) || county != "" && d.Authority.Division == county)
	return c.Has(RoleAuthority) && (own || c.Above(d.Authority)) && (d.Kind == dispute.UnknownUse || slices.Contains(c.Types, d.TypeCode))
}
