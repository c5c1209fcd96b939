package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"elicence/audit"
	"elicence/licence"
)

// How says on what ground a department reuses.
type How string

const (
	// HowFunction is reuse by the department's function (依职能).
	HowFunction How = "function"
	// HowConsent is reuse by the holder's consent (依授权): it takes a code of the holder's.
	HowConsent How = "consent"
)

// GrantStatus is where a grant stands.
type GrantStatus string

// The statuses of a grant. Expired is derived from its last day, never stored.
const (
	GrantRequested GrantStatus = "requested"
	GrantApproved  GrantStatus = "approved"
	GrantWithdrawn GrantStatus = "withdrawn"
	GrantExpired   GrantStatus = "expired"
)

// Grant says which fields of licences of one type a department may reuse for one matter
// (用证授权). Somebody of the department requests it, and somebody else approves it, who
// decides on licences of the type; until then it opens nothing.
type Grant struct {
	// ID is the register's, random.
	ID string
	// Authority is the department that may reuse.
	Authority licence.IssuingAuthority
	TypeCode  string
	// MatterCode is the matter that the grant is for (事项编码), Scenario what the licence is
	// needed for in it (用证场景).
	MatterCode, Scenario string
	// Fields are metadata names, as of ReusableFields, and the type's own as "fields.<key>";
	// FieldCopy permits annotated copies, which show all that the licence shows.
	Fields []string
	// Masked says that the fields are shown masked alone.
	Masked bool
	// Questions are those that may be asked, as of package question; a grant has at least
	// one of them, or one field.
	Questions []string
	How       How
	// LegalBasis is the sentence of law or agreement the grant rests on.
	LegalBasis string
	// ValidFrom and ValidTo bound the grant in days, both inclusive; a zero ValidTo is unbounded.
	ValidFrom, ValidTo licence.Date
	Status             GrantStatus
	// RequestedBy, ApprovedBy and WithdrawnBy are principals; the latter two are empty, and
	// their instants zero, until that is done. Reason is why it was withdrawn.
	RequestedBy, ApprovedBy, WithdrawnBy string
	RequestedAt, ApprovedAt, WithdrawnAt time.Time
	// RequestedPerson, ApprovedPerson and WithdrawnPerson are the identifiers of the people who
	// did so, or who answer for the client that did; empty when nobody is named.
	RequestedPerson, ApprovedPerson, WithdrawnPerson string
	Reason                                           string
}

// GrantRequest asks for a grant for the caller's own department.
type GrantRequest struct {
	// Key is the Idempotency-Key, Body SM3 of the request body it came with.
	Key  string
	Body [32]byte
	// Grant needs all from TypeCode to ValidTo; a zero ValidFrom is today.
	Grant Grant
}

// The actions on grants, as they stand in the access log.
const (
	ActionGrantRequest  audit.Action = "grant_request"
	ActionGrantApprove  audit.Action = "grant_approve"
	ActionGrantWithdraw audit.Action = "grant_withdraw"
	ActionGrantRead     audit.Action = "read_grants"
)

// object names a grant in the log.
func (g Grant) object() string { return "grant/" + g.ID + "/" + g.TypeCode }

// at is the grant as it stands on a day.
func (g Grant) at(day licence.Date) Grant {
	if g.Status == GrantApproved && !g.ValidTo.IsZero() && day.Compare(g.ValidTo) > 0 {
		g.Status = GrantExpired
	}
	return g
}

// RequestGrant asks for a grant for the caller's own department. It opens nothing until
// somebody else approves it. Errors: ErrForbidden, *licence.RequestError, ErrKeyReused, ErrLog.
func (r *Registry) RequestGrant(ctx context.Context, c Caller, q GrantRequest) (Grant, audit.Receipt, error) {
	g := q.Grant
	if g.ValidFrom.IsZero() {
		g.ValidFrom = r.today()
	}
	id, noID := r.gate.NewID()
	g.ID, g.Authority, g.Status, g.RequestedBy, g.RequestedPerson, g.RequestedAt = id, c.Authority, GrantRequested, c.Principal, c.Person, r.now()
	receipt, err := r.gate.Pass(ctx, c, &Access{
		Action: ActionGrantRequest, Object: g.object(), Digest: q.Body[:], PurposeField: "legal_basis",
		Use: Use{Purpose: g.LegalBasis, Matter: g.MatterCode},
		Check: func() error {
			if err := errors.Join(CheckKey(q.Key), noID); err != nil {
				return err
			}
			return r.checkGrant(g)
		},
		Apply: func(ctx context.Context, tx Tx, e *audit.Entry) error {
			return r.gate.Once(ctx, tx, c, q.Key, q.Body, e, &g, func() error { return tx.InsertGrant(ctx, g) })
		},
	})
	return g, receipt, err
}

// checkGrant names what is wrong with a grant that is asked for: a *licence.RequestError.
func (r *Registry) checkGrant(g Grant) error {
	item := r.LastItem(g.TypeCode)
	if item == nil {
		return licence.InvalidField("type_code", licence.CodeUnknownType, "is not in the catalogue")
	}
	for _, f := range []struct{ name, text string }{{"matter_code", g.MatterCode}, {"scenario", g.Scenario}, {"legal_basis", g.LegalBasis}} {
		if strings.TrimSpace(f.text) == "" {
			return licence.InvalidField(f.name, licence.CodeMissing, "is required")
		}
	}
	switch {
	case len(g.Scenario) > 512:
		return licence.InvalidField("scenario", licence.CodeTooLong, "is longer than 512 bytes of UTF-8")
	case g.How != HowFunction && g.How != HowConsent:
		return licence.InvalidField("how", licence.CodeNotAllowed, "is neither function nor consent")
	case len(g.Fields)+len(g.Questions) == 0:
		return licence.InvalidField("fields", licence.CodeTooFew, "names no field, and questions no question")
	case !g.ValidTo.IsZero() && g.ValidTo.Compare(g.ValidFrom) < 0:
		return licence.InvalidField("valid_to", licence.CodeDateOrder, "is before valid_from")
	case !g.ValidTo.IsZero() && g.ValidTo.Compare(r.today()) < 0:
		return licence.InvalidField("valid_to", licence.CodeOutOfRange, "has passed")
	}
	if err := checkQuestions(g.Questions, item); err != nil {
		return err
	}
	return checkFields(g, item)
}

// checkFields names what is wrong with the fields that a grant is to give.
func checkFields(g Grant, item *licence.CatalogueItem) error {
	for i, name := range g.Fields {
		at := fmt.Sprintf("fields[%d]", i)
		key, own := strings.CutPrefix(name, "fields.")
		switch {
		case slices.Contains(g.Fields[:i], name):
			return licence.InvalidField(at, licence.CodeRepeated, "stands there already")
		case name == FieldCopy && (g.Masked || g.How != HowFunction):
			return licence.InvalidField(at, licence.CodeNotAllowed, "goes with a grant by function alone that masks nothing")
		case name == FieldCopy:
		case own && !slices.Contains(item.FieldOrder, key), !own && !slices.Contains(ReusableFields, name):
			return licence.InvalidField(at, licence.CodeNotAllowed, "is no field of this type")
		case g.Masked && !item.CanMask(name):
			return licence.InvalidField(at, licence.CodeNotAllowed, "has no mask: ask for it by a grant of its own")
		}
	}
	return nil
}

// decides reports whether a caller decides on grants of a licence type to a department of
// a division: the type must be theirs, and the division in their subtree.
func (c Caller) decides(g Grant) bool {
	return c.Has(RoleAuthority) && slices.Contains(c.Types, g.TypeCode) && licence.Within(g.Authority.Division, c.Authority.Division)
}

// ApproveGrant approves a grant that somebody else requested: another principal, and another
// person. Where one of the two is a person, so is the other. Errors: ErrForbidden,
// licence.ErrNotFound out of the caller's reach, licence.ErrWrongStatus, ErrKeyReused, ErrLog.
func (r *Registry) ApproveGrant(ctx context.Context, c Caller, id string, q StatusRequest) (Grant, audit.Receipt, error) {
	another := r.anotherPerson(ctx, c, id)
	return r.changeGrant(ctx, c, ActionGrantApprove, id, q, func(g *Grant) error {
		switch {
		case !c.decides(*g):
			return ErrOutOfReach
		case g.RequestedBy == c.Principal:
			return errOwnGrant
		case another != nil:
			return another
		case g.at(r.today()).Status != GrantRequested:
			return licence.ErrWrongStatus
		}
		g.Status, g.ApprovedBy, g.ApprovedPerson, g.ApprovedAt = GrantApproved, c.Principal, c.Person, r.now()
		return nil
	})
}

// WithdrawGrant takes a grant or a request for one back, for a reason: who decides on it,
// or the department itself. Errors: as of ApproveGrant, ErrReasonMissing.
func (r *Registry) WithdrawGrant(ctx context.Context, c Caller, id string, q StatusRequest) (Grant, audit.Receipt, error) {
	return r.changeGrant(ctx, c, ActionGrantWithdraw, id, q, func(g *Grant) error {
		switch {
		case !c.decides(*g) && g.Authority.Code != c.Authority.Code:
			return ErrOutOfReach
		case q.Reason == "":
			return ErrReasonMissing
		case g.Status == GrantWithdrawn:
			return licence.ErrWrongStatus
		}
		g.Status, g.WithdrawnBy, g.WithdrawnPerson, g.WithdrawnAt, g.Reason = GrantWithdrawn, c.Principal, c.Person, r.now(), q.Reason
		return nil
	})
}

// changeGrant changes a grant in one transaction with its log entry and the answer of its
// key. decide is asked again inside, of the grant as it stands there.
func (r *Registry) changeGrant(ctx context.Context, c Caller, action audit.Action, id string, q StatusRequest, decide func(*Grant) error) (Grant, audit.Receipt, error) {
	g, found := r.cfg.Store.Grant(ctx, id)
	g.ID = id
	receipt, err := r.gate.Pass(ctx, c, &Access{
		Action: action, Object: g.object(), Digest: q.Body[:], PurposeField: "reason",
		Use: Use{Purpose: q.Reason, Case: q.CaseNumber, Matter: g.MatterCode, Operator: q.Operator},
		Check: func() error {
			if found != nil {
				return found
			}
			reached := g // a repeat finds it changed already; only its reach is asked here
			if err := decide(&reached); err != nil && !errors.Is(err, licence.ErrWrongStatus) {
				return err
			}
			return CheckKey(q.Key)
		},
		Apply: func(ctx context.Context, tx Tx, e *audit.Entry) error {
			return r.gate.Once(ctx, tx, c, q.Key, q.Body, e, &g, func() (err error) {
				if g, err = tx.Grant(ctx, id); err != nil {
					return err
				}
				from := g.Status
				if err := decide(&g); err != nil {
					return err
				}
				return tx.UpdateGrant(ctx, g, from)
			})
		},
	})
	return g, receipt, err
}

// GrantQuery asks for grants, in the order of their identifiers.
type GrantQuery struct {
	// TypeCode asks for those of a type that the caller decides on; empty asks for those of
	// the caller's own department.
	TypeCode string
	// Authority and Division are set by the register: the department, or the subtree of those of a type.
	Authority, Division string
	// Status asks, of a type, for those of a status alone; empty for all.
	Status GrantStatus
	After  string
	Limit  int // 1 to MaxPage
}

// Grants lists the grants of the caller's department, or those of a type it decides on.
// They are no personal data; the reading is logged all the same.
func (r *Registry) Grants(ctx context.Context, c Caller, q GrantQuery) ([]Grant, audit.Receipt, error) {
	receipt, err := r.passGrants(ctx, c, &q)
	if err != nil {
		return nil, receipt, err
	}
	q.Limit = min(max(q.Limit, 1), MaxPage)
	grants, err := r.cfg.Store.Grants(ctx, q)
	r.gate.altered(ctx, err)
	for i := range grants {
		grants[i] = grants[i].at(r.today())
	}
	return grants, receipt, err
}

// passGrants permits and logs the reading of a query, whose reach it sets.
func (r *Registry) passGrants(ctx context.Context, c Caller, q *GrantQuery) (audit.Receipt, error) {
	q.Authority, q.Division = c.Authority.Code, ""
	if q.TypeCode != "" {
		q.Authority, q.Division = "", c.Authority.Division
	}
	return r.gate.Pass(ctx, c, &Access{Action: ActionGrantRead, Object: strings.TrimSuffix("grants/"+q.TypeCode, "/"),
		Check: func() error {
			if q.TypeCode != "" && !(c.Has(RoleAuthority) && slices.Contains(c.Types, q.TypeCode)) {
				return fmt.Errorf("%w: the caller does not decide on licences of this type", ErrForbidden)
			}
			if q.Authority == "" && q.Division == "" {
				return fmt.Errorf("%w: the caller is of no department", ErrForbidden)
			}
			return nil
		}})
}
