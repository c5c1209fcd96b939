package disputes

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/dispute"
	"elicence/licence/registry"
)

// The most disputes of a holder: unsettled at once, and raised within disputeDay.
const (
	maxUnsettled = 10
	maxRaised    = 20
	disputeDay   = 24 * time.Hour
)

// Fields are the names, beside the type's own, of what a holder may dispute.
var Fields = slices.DeleteFunc(slices.Clone(registry.ReusableFields), func(name string) bool { return name == "status" })

// Request raises a dispute.
type Request struct {
	// Key is the Idempotency-Key, Body SM3 of the request body it came with.
	Key  string
	Body [32]byte
	// Dispute needs Kind, Statement and what it is about: Licence, or TypeCode and the
	// authority's code for MissingLicence, or Entry for UnknownUse.
	Dispute dispute.Dispute
}

// Answer is the answer to what is done with a dispute. It holds nothing that the
// holder wrote, because it is stored with the key.
type Answer struct {
	ID            string             `json:"id"`
	Kind          dispute.Kind       `json:"kind"`
	State         dispute.State      `json:"state"`
	AuthorityCode string             `json:"authority_code"` // empty when it goes to the auditor alone
	AuthorityName string             `json:"authority_name"`
	RaisedAt      time.Time          `json:"raised_at"`
	Due           time.Time          `json:"due"`
	Version       licence.Identifier `json:"version,omitempty"`
}

func answerOf(d dispute.Dispute) Answer {
	return Answer{ID: d.ID, Kind: d.Kind, State: d.State, AuthorityCode: d.Authority.Code, AuthorityName: d.Authority.Name,
		RaisedAt: d.RaisedAt.UTC(), Due: d.Due.UTC(), Version: d.Version}
}

// Raise raises a dispute of the caller, who must be a holder. What they write is
// committed to in the log and never shown there. Errors: ErrForbidden, *licence.RequestError,
// licence.ErrNotFound for a licence or an entry that is not the holder's, audit.ErrArchived,
// ErrDisputeStands, ErrTooManyDisputes, ErrKeyReused, ErrLog.
func (r *Register) Raise(ctx context.Context, c registry.Caller, q Request) (Answer, audit.Receipt, error) {
	id, noID := r.gate.NewID()
	now := r.gate.Now()
	d := dispute.Dispute{ID: fmt.Sprintf("%012x", now.UnixMilli()) + id[:16], Kind: q.Dispute.Kind, State: dispute.Open, Holder: c.Holder, Statement: q.Dispute.Statement, RaisedAt: now}
	state := answerOf(d)
	receipt, err := r.gate.Pass(ctx, c, &registry.Access{
		Action: registry.ActionDisputeRaise, Object: dispute.Object(d.ID), Holder: c.Holder,
		Texts: map[string]string{"field": d.Statement.Field, "should_be": d.Statement.ShouldBe, "text": d.Statement.Text},
		Check: func() error {
			if err := errors.Join(registry.CheckKey(q.Key), noID); err != nil {
				return err
			}
			err := r.check(ctx, c, q.Dispute, &d)
			state = answerOf(d)
			return err
		},
		Apply: func(ctx context.Context, tx registry.Tx, e *audit.Entry) error {
			return r.gate.Once(ctx, tx, c, q.Key, q.Body, e, &state, func() error {
				unsettled, recent, err := tx.CountDisputes(ctx, c.Holder, now.Add(-disputeDay))
				if err == nil && (unsettled >= maxUnsettled || recent >= maxRaised) {
					err = registry.ErrTooManyDisputes
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

// check checks what a holder disputes, and fills in whom it goes to and by when it
// is due.
func (r *Register) check(ctx context.Context, c registry.Caller, asked dispute.Dispute, d *dispute.Dispute) (err error) {
	if c.Holder.Code == "" {
		return fmt.Errorf("%w: the caller is no holder", registry.ErrForbidden)
	}
	if !slices.Contains(dispute.Kinds, d.Kind) {
		return licence.InvalidField("kind", licence.CodeNotAllowed, "is none of wrong_data, wrong_licence, missing_licence and unknown_use")
	}
	if err := d.Check(); err != nil {
		return err
	}
	switch d.Kind {
	case dispute.MissingLicence:
		d.TypeCode = asked.TypeCode
		if r.registry.LastItem(d.TypeCode) == nil {
			return licence.InvalidField("type_code", licence.CodeUnknownType, "is not in the catalogue")
		}
		i := slices.IndexFunc(r.registry.Issuers(), func(a licence.IssuingAuthority) bool { return a.Code == asked.Authority.Code })
		if i < 0 {
			return licence.InvalidField("authority_code", licence.CodeNotAllowed, "is no authority that issues licences here")
		}
		d.Authority = r.registry.Issuers()[i]
	case dispute.UnknownUse:
		d.Entry = asked.Entry
		err = r.disputedUse(ctx, c, d)
	default:
		err = r.disputedLicence(ctx, c, asked.Licence, d)
	}
	d.Due = r.rules.Answer(d.Kind, d.RaisedAt)
	return err
}

// disputedLicence finds a licence that the holder disputes.
func (r *Register) disputedLicence(ctx context.Context, c registry.Caller, id licence.Identifier, d *dispute.Dispute) error {
	rec, err := r.gate.Store().Licence(ctx, id)
	switch {
	case err != nil:
		return err
	case !rec.Holder.Is(c.Holder) || !rec.Status.Issued():
		return registry.ErrOutOfReach
	}
	l, err := licence.ParseData(rec.Data)
	if err != nil {
		return fmt.Errorf("reading the data of %s: %w", id, err)
	}
	item, err := r.registry.ItemOf(ctx, &rec)
	if err != nil {
		return err
	}
	d.Licence, d.TypeCode, d.Authority = id, rec.TypeCode, l.Authority
	if rec.Importer != "" { // of what another platform issued, whoever imported it answers for what stands here
		client, err := r.gate.Store().Client(ctx, rec.Client)
		if err != nil {
			return fmt.Errorf("reading who imported %s: %w", id, err)
		}
		d.Authority = client.Authority
	}
	return d.CheckField(item.FieldOrder, Fields)
}

// disputedUse finds the log entry of a use that the holder knows nothing of: one about them,
// and under no hold.
func (r *Register) disputedUse(ctx context.Context, c registry.Caller, d *dispute.Dispute) error {
	head, err := r.gate.LogReader().Head(ctx, r.gate.Logs()[0])
	if err != nil {
		return fmt.Errorf("reading log head: %w", err)
	}
	if d.Entry >= head.Size {
		return registry.ErrOutOfReach
	}
	own := audit.HolderKey(string(c.Holder.CodeType), c.Holder.Code)
	found, _, err := r.gate.Log().Search(ctx, audit.Query{Keys: []audit.Key{own}, Below: d.Entry + 1, Limit: 1, Hidden: r.gate.Held(ctx)})
	switch {
	case err != nil:
		return fmt.Errorf("searching the access log: %w", err)
	case len(found) == 0 || found[0].Parsed.Index != d.Entry:
		return registry.ErrOutOfReach
	case found[0].Archived != nil:
		return audit.ErrArchived
	}
	e := found[0].Parsed.Entry
	if id, err := licence.ParseIdentifier(e.Object); err == nil {
		d.Licence = id
	}
	client, err := r.gate.Store().Client(ctx, e.Principal)
	if err != nil && !errors.Is(err, licence.ErrNotFound) {
		return err
	}
	d.Authority = client.Authority
	return nil
}

// Overdue counts the disputes whose answer or remedy is late, by kind, for those who
// watch; it shows nothing of a licence.
func (r *Register) Overdue(ctx context.Context) (map[dispute.Kind]int, error) {
	return r.gate.Store().OverdueDisputes(ctx, r.gate.Now())
}

// List lists disputes: the caller's own, those that go to their department and to those
// below it, or for an auditor all. What a holder wrote, and who that is, only the holder
// finds in the list. Of q only State, Kind, OverdueAt and what chooses the page count.
// Errors: ErrForbidden, ErrLog.
func (r *Register) List(ctx context.Context, c registry.Caller, q registry.DisputeQuery, use registry.Use) ([]dispute.Dispute, audit.Receipt, error) {
	q.Holder, q.Authority, q.Division, q.Types, q.Limit = licence.Holder{}, "", "", nil, min(max(q.Limit, 1), registry.MaxPage)
	receipt, err := r.gate.Pass(ctx, c, &registry.Access{Action: registry.ActionDisputeRead, Object: "disputes", Holder: c.Holder, Use: use, Check: func() error {
		switch {
		case c.Holder.Code != "":
			q.Holder = c.Holder
		case c.Has(registry.RoleAuditor):
		case c.Authority.Code == "" || !licence.Within(c.Authority.Division, c.Authority.Division):
			return fmt.Errorf("%w: the caller is of no department", registry.ErrForbidden)
		default:
			q.Authority, q.Division, q.Types = c.Authority.Code, c.Authority.Division, c.Types
		}
		return nil
	}})
	if err != nil {
		return nil, receipt, err
	}
	found, err := r.gate.Store().Disputes(ctx, q)
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

// Get reads one dispute whole: the holder their own, and who answers it. The auditor, who
// sees to it that disputes are answered, reads those that others answer as the list has them.
// Errors: ErrForbidden, licence.ErrNotFound out of the caller's reach, ErrLog.
func (r *Register) Get(ctx context.Context, c registry.Caller, id string, use registry.Use) (dispute.Dispute, audit.Receipt, error) {
	d, found := r.gate.Store().Dispute(ctx, id)
	receipt, err := r.gate.Pass(ctx, c, &registry.Access{Action: registry.ActionDisputeRead, Object: dispute.Object(id), Holder: d.Holder, Use: use, Check: func() error {
		if found == nil && !c.Holder.Is(d.Holder) && !c.Has(registry.RoleAuditor) && !answers(c, &d) {
			return registry.ErrOutOfReach
		}
		return found
	}})
	if err != nil {
		return dispute.Dispute{}, receipt, err
	}
	if !c.Holder.Is(d.Holder) && !answers(c, &d) {
		withoutPersonal(&d)
	}
	return d, receipt, nil
}

// answers reports whether a caller answers a dispute: somebody of role authority of the
// department that it goes to, or of one above it, who decides on licences of the type; and
// the auditor, a use that a holder knows nothing of.
func answers(c registry.Caller, d *dispute.Dispute) bool {
	if d.Kind == dispute.UnknownUse && c.Has(registry.RoleAuditor) {
		return true
	}
	county := licence.County(c.Authority.Division) // which is all that Issuers know of a township
	own := c.Authority.Code == d.Authority.Code && (licence.Within(d.Authority.Division, c.Authority.Division) || county != "" && d.Authority.Division == county)
	return c.Has(registry.RoleAuthority) && (own || c.Above(d.Authority)) && (d.Kind == dispute.UnknownUse || slices.Contains(c.Types, d.TypeCode))
}
