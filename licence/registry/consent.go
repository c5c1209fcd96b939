package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/consent"
)

// The actions on holders' consents, as they stand in the access log.
const (
	ActionConsent       audit.Action = "consent" // a holder makes one
	ActionConsentCode   audit.Action = "consent_code"
	ActionConsentRevoke audit.Action = "consent_revoke"
	ActionConsentRead   audit.Action = "read_consents"
)

// ErrTooManyConsents: as many consents of the holder stand as may at once.
var ErrTooManyConsents = fmt.Errorf("%d consents of the holder stand already; revoke one, or let one end", consent.MaxStanding)

// ConsentRequest asks for a consent to licences of the caller's own.
type ConsentRequest struct {
	// Key is the Idempotency-Key, Body SM3 of the request body it came with.
	Key  string
	Body [32]byte
	// Consent needs all from Kind to Uses.
	Consent consent.Consent
	// Life is how long it lasts.
	Life time.Duration
}

// ConsentQuery asks for the consents of a holder, the newest first.
type ConsentQuery struct {
	Holder licence.Holder // Code and CodeType; set by the register
	// StandingAt leaves out those that do not stand at that instant; zero: none.
	StandingAt time.Time
	After      string
	Limit      int // 1 to MaxPage
}

// ConsentCode is a code that opens a consent for a moment (用证码).
type ConsentCode struct {
	Consent consent.Consent
	Code    string
	// Until is when it opens nothing any more.
	Until time.Time
}

// consentObject names a consent in the log, also as what a use rests on, in place of a case.
func consentObject(id string) string { return "consent/" + id }

// MakeConsent makes a consent to licences of the caller, who must be a holder. It opens
// nothing but by a code; see NewConsentCode. Errors: ErrForbidden, licence.ErrNotFound for
// what is no licence of theirs, *licence.RequestError, ErrTooManyConsents, ErrKeyReused, ErrLog.
func (r *Registry) MakeConsent(ctx context.Context, c Caller, q ConsentRequest) (consent.Consent, audit.Receipt, error) {
	k := q.Consent
	id, noID := r.gate.NewID()
	k.ID = fmt.Sprintf("%012x", r.now().UnixMilli()) + id[:16]
	k.Holder = licence.Holder{Code: c.Holder.Code, CodeType: c.Holder.CodeType}
	k.MadeAt, k.EndsAt, k.RevokedAt, k.Used = r.now(), r.now().Add(q.Life), time.Time{}, 0
	k.ReceiverName = r.nameOf(ctx, k.Receiver)
	receipt, err := r.gate.Pass(ctx, c, &Access{
		Action: ActionConsent, Object: consentObject(k.ID), Digest: q.Body[:], Holder: c.Holder, Use: Use{Purpose: k.Purpose},
		Check: func() error {
			if err := errors.Join(CheckKey(q.Key), noID); err != nil {
				return err
			}
			return r.checkConsent(ctx, c, k)
		},
		Apply: func(ctx context.Context, tx Tx, e *audit.Entry) error {
			return r.gate.Once(ctx, tx, c, q.Key, q.Body, e, &k, func() error { return tx.InsertConsent(ctx, k) })
		},
	})
	return k, receipt, err
}

// nameOf is what a department is called that has asked for a grant; empty when none has, or
// it cannot be told now, for it is only shown.
func (r *Registry) nameOf(ctx context.Context, code string) string {
	if code == "" {
		return ""
	}
	grants, err := r.cfg.Store.Grants(ctx, GrantQuery{Authority: code, Limit: 1})
	if err != nil || len(grants) == 0 {
		return ""
	}
	return grants[0].Authority.Name
}

// checkConsent names what is wrong with a consent that is asked for. That it is one too
// many is looked at before, outside the transaction: two at once may both be let through.
func (r *Registry) checkConsent(ctx context.Context, c Caller, k consent.Consent) error {
	if len(k.Licences) == 0 || len(k.Licences) > consent.MaxLicences {
		return licence.InvalidField("licences", licence.CodeOutOfRange, fmt.Sprintf("does not name 1 to %d licences", consent.MaxLicences))
	}
	var ids []string
	for i, id := range k.Licences {
		if slices.Contains(k.Licences[:i], id) {
			return licence.InvalidField(fmt.Sprintf("licences[%d]", i), licence.CodeRepeated, "stands there already")
		}
		ids = append(ids, string(id))
	}
	records, err := r.cfg.Store.Licences(ctx, ids)
	if err != nil {
		return err
	}
	for _, id := range k.Licences {
		own := func(rec Record) bool {
			return rec.Identifier == id && rec.Status.Issued() && c.Holder.Is(rec.Holder)
		}
		if !slices.ContainsFunc(records, own) {
			return ErrOutOfReach
		}
	}
	if err := k.Check(func(field string) bool { return r.fieldOf(records, field) }); err != nil {
		return err
	}
	standing, err := r.cfg.Store.Consents(ctx, ConsentQuery{Holder: k.Holder, StandingAt: r.now(), Limit: consent.MaxStanding})
	if err == nil && len(standing) >= consent.MaxStanding {
		err = ErrTooManyConsents
	}
	return err
}

// fieldOf reports whether a name is that of a field of one of some licences.
func (r *Registry) fieldOf(records []Record, name string) bool {
	key, own := strings.CutPrefix(name, "fields.")
	return !own && slices.Contains(ReusableFields, name) || own && slices.ContainsFunc(records, func(rec Record) bool {
		item := r.LastItem(rec.TypeCode)
		return item != nil && slices.Contains(item.FieldOrder, key)
	})
}

// Consents lists the consents of the caller, who must be a holder.
func (r *Registry) Consents(ctx context.Context, c Caller, q ConsentQuery) ([]consent.Consent, audit.Receipt, error) {
	q.Holder, q.Limit = c.Holder, min(max(q.Limit, 1), MaxPage)
	receipt, err := r.gate.Pass(ctx, c, &Access{Action: ActionConsentRead, Object: "consents", Holder: c.Holder})
	if err != nil {
		return nil, receipt, err
	}
	all, err := r.cfg.Store.Consents(ctx, q)
	r.gate.altered(ctx, err)
	return all, receipt, err
}

// ownConsent is a consent of the caller; what it is nobody else learns, not even that there is one.
func (r *Registry) ownConsent(ctx context.Context, c Caller, id string) (consent.Consent, error) {
	k, err := r.cfg.Store.Consent(ctx, id)
	if err == nil && !c.Holder.Is(k.Holder) {
		k, err = consent.Consent{}, ErrOutOfReach
	}
	return k, err
}

// sharedCode is the kind under which a code is kept, as a keyed digest: a copy of the
// database opens nothing, and to look one up takes as long whatever it is like.
const sharedCode = "consent_code"

// codeValue is what is kept under a code: the consent and, so that they are read together with
// it, its licences. It is kept until keepCode after the consent's end, so that a code that has
// lapsed is told from one that never was.
type codeValue struct {
	Consent  string               `json:"consent"`
	Licences []licence.Identifier `json:"licences"`
	Until    time.Time            `json:"until"`
}

const keepCode = 24 * time.Hour

// NewConsentCode makes a code for a consent of the caller's that stands. Those made before
// lapse by themselves. Errors: ErrForbidden, licence.ErrNotFound, consent.ErrExpired,
// consent.ErrRevoked, consent.ErrSpent, ErrLog.
func (r *Registry) NewConsentCode(ctx context.Context, c Caller, id string) (ConsentCode, audit.Receipt, error) {
	k, found := r.ownConsent(ctx, c, id)
	now := r.now()
	answer := ConsentCode{Consent: k, Until: now.Add(consent.CodeLife)}
	if answer.Until.After(k.EndsAt) {
		answer.Until = k.EndsAt
	}
	receipt, err := r.gate.Pass(ctx, c, &Access{
		Action: ActionConsentCode, Object: consentObject(id), Holder: c.Holder,
		Check: func() (err error) {
			if found != nil {
				return found
			}
			if err := k.Stands(now); err != nil {
				return err
			}
			answer.Code, err = consent.NewCode(r.cfg.Rand)
			return err
		},
		Apply: func(ctx context.Context, tx Tx, _ *audit.Entry) error {
			value, err := json.Marshal(codeValue{id, k.Licences, answer.Until})
			if err != nil {
				return err
			}
			return tx.PutShared(ctx, sharedCode, answer.Code, value, now, k.EndsAt.Add(keepCode))
		},
	})
	if err != nil {
		return ConsentCode{}, receipt, err
	}
	return answer, receipt, nil
}

// RevokeConsent takes a consent of the caller's back: from then on it opens nothing.
// Errors: ErrForbidden, licence.ErrNotFound, licence.ErrWrongStatus, ErrKeyReused, ErrLog.
func (r *Registry) RevokeConsent(ctx context.Context, c Caller, id string, q StatusRequest) (consent.Consent, audit.Receipt, error) {
	k, found := r.ownConsent(ctx, c, id)
	k.RevokedAt = r.now()
	receipt, err := r.gate.Pass(ctx, c, &Access{
		Action: ActionConsentRevoke, Object: consentObject(id), Digest: q.Body[:], Holder: c.Holder, PurposeField: "reason", Use: Use{Purpose: q.Reason},
		Check: func() error { return errors.Join(found, CheckKey(q.Key)) },
		Apply: func(ctx context.Context, tx Tx, e *audit.Entry) error {
			return r.gate.Once(ctx, tx, c, q.Key, q.Body, e, &k, func() error { return tx.RevokeConsent(ctx, id, k.RevokedAt) })
		},
	})
	return k, receipt, err
}

// openedByCode is what a code opens for a caller, of a kind, and what else q asks for. Whose it is,
// and which consent, goes into the access, so that the holder sees a refusal too. Errors: those of
// package consent.
func (r *Registry) openedByCode(ctx context.Context, c Caller, text string, kind consent.Kind, q ReuseQuery, a *Access) (ReuseRecords, error) {
	known, err := r.codeOf(ctx, text)
	if err != nil {
		return ReuseRecords{}, err
	}
	q.Consent = known.Consent
	for _, id := range known.Licences {
		q.Identifiers = append(q.Identifiers, string(id))
	}
	found, err := r.cfg.Store.ForReuse(ctx, q)
	if err != nil {
		return found, err
	}
	k := found.Consent
	if k.ID == "" {
		return found, licence.ErrNotFound
	}
	a.Holder, a.Object, a.Use.Case, a.Consented = k.Holder, consentObject(k.ID), consentObject(k.ID), true
	if err := k.Opens(kind, c.Authority.Code, r.now()); err != nil {
		return found, err
	}
	if !r.now().Before(known.Until) {
		return found, consent.ErrExpired
	}
	return found, nil
}

// codeOf is what is kept under a code. One that names no licences is of a server before this
// one and has lapsed: the holder's page shows the next.
func (r *Registry) codeOf(ctx context.Context, text string) (known codeValue, err error) {
	code, ok := consent.ParseCode(text)
	if !ok {
		return known, consent.ErrUnknown
	}
	value, err := r.Shared(ctx, sharedCode, code)
	if errors.Is(err, licence.ErrNotFound) {
		return known, consent.ErrUnknown
	}
	if err == nil {
		err = json.Unmarshal(value, &known)
	}
	if err == nil && len(known.Licences) == 0 {
		err = consent.ErrExpired
	}
	return known, err
}

// consentedTo are the licences of a consent, of a type or, when it is empty, of all.
func consentedTo(k consent.Consent, records []Record, typeCode string) ([]Record, error) {
	records = slices.DeleteFunc(records, func(rec Record) bool {
		return typeCode != "" && rec.TypeCode != typeCode || !rec.Status.Issued() || !rec.Holder.Is(k.Holder) || !slices.Contains(k.Licences, rec.Identifier)
	})
	slices.SortFunc(records, func(a, b Record) int { return strings.Compare(string(b.Identifier), string(a.Identifier)) })
	if len(records) == 0 {
		return nil, fmt.Errorf("%w: it names no such licence", consent.ErrMismatch)
	}
	return records, nil
}

// Receivers are the departments that hold a grant by consent in force, on licences of a
// type: those that a holder can agree to a reuse by, in the order of their codes.
func (r *Registry) Receivers(ctx context.Context, c Caller, typeCode string) ([]licence.IssuingAuthority, audit.Receipt, error) {
	receipt, err := r.gate.Pass(ctx, c, &Access{Action: ActionConsentRead, Object: Clip("receivers/"+typeCode, 256), Holder: c.Holder})
	if err != nil {
		return nil, receipt, err
	}
	grants, err := r.allGrants(ctx, GrantQuery{TypeCode: typeCode})
	if err != nil {
		return nil, receipt, err
	}
	found := map[string]licence.IssuingAuthority{}
	for _, g := range grants {
		if g.How == HowConsent && g.Status == GrantApproved && r.today().Compare(g.ValidFrom) >= 0 {
			found[g.Authority.Code] = g.Authority
		}
	}
	return slices.SortedFunc(maps.Values(found), func(a, b licence.IssuingAuthority) int { return strings.Compare(a.Code, b.Code) }), receipt, nil
}

// FieldLabel is what a field is called in Chinese, of a consent to some licences.
func (r *Registry) FieldLabel(ids []licence.Identifier, name string) string {
	key, own := strings.CutPrefix(name, "fields.")
	if !own {
		return FieldLabels[name]
	}
	for _, id := range ids {
		if item := r.LastItem(id.TypeCode()); item != nil && item.Label(key) != "" {
			return item.Label(key)
		}
	}
	return key
}
