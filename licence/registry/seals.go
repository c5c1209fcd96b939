package registry

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"elicence/audit"
	"elicence/crypto/seal"
	"elicence/licence"

	"github.com/emmansun/gmsm/sm3"
)

// SealStatus is the stage of a seal's life (电子印章管理办法: 申请、制作、备案、使用、注销).
// That a seal has expired is derived from its dates.
type SealStatus string

// The stages.
const (
	SealApplied   SealStatus = "applied"   // 申请: asked for, not made yet
	SealMade      SealStatus = "made"      // 制作: signed by its maker
	SealRecorded  SealStatus = "recorded"  // 备案: put on record with a number
	SealInUse     SealStatus = "in_use"    // 使用: may seal
	SealSuspended SealStatus = "suspended" // 停用: may not for the time being
	SealRevoked   SealStatus = "revoked"   // 注销: never again; what it sealed stays
	SealDestroyed SealStatus = "destroyed" // 销毁: its key is gone too
)

// ErrSealTaken: a seal with this identifier is in the register already.
var ErrSealTaken = errors.New("a seal with this identifier is registered already")

// SealRecord is a seal as the register holds it.
type SealRecord struct {
	// ID is the seal's identifier (esID), Authority the USCC of whom it belongs to.
	ID, Authority, Name string
	Status              SealStatus
	// DER is the SESeal; nil while it is only applied for.
	DER []byte
	// RecordNumber is what it is on record under (备案编号).
	RecordNumber string
	// Replaces is the seal whose place it took, "" for none.
	Replaces string
	// Reason and At are those of the last change.
	Reason string
	At     time.Time
}

// The actions on seals, as they stand in the access log.
const (
	ActionSealApply   audit.Action = "seal_apply"
	ActionSealMaking  audit.Action = "seal_making" // permits the maker's key; digest: SM3 of the picture
	ActionSealMake    audit.Action = "seal_make"
	ActionSealRecord  audit.Action = "seal_record"
	ActionSealUse     audit.Action = "seal_use"
	ActionSealSuspend audit.Action = "seal_suspend"
	ActionSealRevoke  audit.Action = "seal_revoke"
	ActionSealDestroy audit.Action = "seal_destroy"
)

// sealChange is how a stage is reached: by which action, and from where.
type sealChange struct {
	action audit.Action
	from   []SealStatus
}

// sealChanges are those that need nothing but a reason.
var sealChanges = map[SealStatus]sealChange{
	SealInUse:     {ActionSealUse, []SealStatus{SealRecorded, SealSuspended}},
	SealSuspended: {ActionSealSuspend, []SealStatus{SealInUse}},
	SealRevoked:   {ActionSealRevoke, []SealStatus{SealMade, SealRecorded, SealInUse, SealSuspended}},
	SealDestroyed: {ActionSealDestroy, []SealStatus{SealApplied, SealRevoked}},
}

// ApplySeal enters a seal that is to be made. s needs ID, Authority, Name and Reason.
func (r *Registry) ApplySeal(ctx context.Context, c Caller, s SealRecord) (audit.Receipt, error) {
	s.Status, s.At, s.DER, s.RecordNumber = SealApplied, r.now(), nil, ""
	return r.gate.Pass(ctx, c, &Access{
		Action: ActionSealApply, Object: sealObject(s.ID), Use: Use{Purpose: s.Reason}, PurposeField: "reason",
		Check: func() error { return r.checkApplied(ctx, &s) },
		Apply: func(ctx context.Context, tx Tx, _ *audit.Entry) error { return tx.InsertSeal(ctx, s) },
	})
}

// checkApplied names what an application lacks.
func (r *Registry) checkApplied(ctx context.Context, s *SealRecord) error {
	if s.Reason == "" {
		return ErrReasonMissing
	}
	if err := errors.Join(licence.CheckText("id", s.ID, maxSealText), licence.CheckText("name", s.Name, maxSealText)); err != nil {
		return err
	}
	if strings.ContainsFunc(s.ID, func(c rune) bool { return c <= ' ' || c > '~' }) { // esID is an IA5String
		return licence.InvalidField("id", licence.CodeBadFormat, "must be of ASCII letters, digits and signs, without spaces")
	}
	if err := licence.CheckUSCC(s.Authority); err != nil {
		return licence.InvalidField("authority", licence.CodeBadHolderCode, "is wrong: "+err.Error())
	}
	if s.Replaces == "" {
		return nil
	}
	if err := licence.CheckText("replaces", s.Replaces, maxSealText); err != nil {
		return err
	}
	old, err := r.cfg.Store.SealStage(ctx, s.Replaces)
	if errors.Is(err, licence.ErrNotFound) || err == nil && old.Authority != s.Authority {
		return licence.InvalidField("replaces", licence.CodeInvalid, "names no seal of this authority in the register")
	}
	return err
}

// maxSealText is how many characters a seal's identifier, name and number on record may have.
const maxSealText = 64

// MakeSeal has the seal that was applied for made by the instance's own maker, and takes
// it in: make is called once the entry that permits the maker's key is durable. picture
// is the SM3 digest of the seal's picture. When make fails the seal stays applied for.
func (r *Registry) MakeSeal(ctx context.Context, c Caller, id, reason string, picture [32]byte, make func() (der []byte, err error)) (audit.Receipt, error) {
	s, found := r.cfg.Store.SealStage(ctx, id)
	receipt, err := r.gate.Pass(ctx, c, &Access{
		Action: ActionSealMaking, Object: sealObject(id), Digest: picture[:], Use: Use{Purpose: reason}, PurposeField: "reason",
		Check: func() error {
			switch {
			case found != nil:
				return found
			case reason == "":
				return ErrReasonMissing
			case s.Status != SealApplied:
				return fmt.Errorf("%w: the seal %s is %s", licence.ErrWrongStatus, id, s.Status)
			}
			return nil
		},
	})
	if err != nil {
		return receipt, err
	}
	der, err := make()
	if err != nil {
		return receipt, fmt.Errorf("making the seal %s: %w", id, err)
	}
	return r.AcceptSeal(ctx, c, id, der, reason)
}

// AcceptSeal takes in the seal that was made, here or elsewhere: it must be the one
// applied for, and its maker's signature good.
func (r *Registry) AcceptSeal(ctx context.Context, c Caller, id string, der []byte, reason string) (audit.Receipt, error) {
	return r.takeSeal(ctx, c, id, der, reason, SealMade, sealChange{ActionSealMake, []SealStatus{SealApplied}})
}

// RemakeSeal puts a seal made anew, for a renewed certificate of its signer, in the
// place of the one in use. The log entries of both have their digests.
func (r *Registry) RemakeSeal(ctx context.Context, c Caller, id string, der []byte, reason string) (audit.Receipt, error) {
	return r.takeSeal(ctx, c, id, der, reason, SealInUse, sealChange{ActionSealMake, []SealStatus{SealInUse}})
}

// takeSeal takes in a seal under an identifier and name that the register knows.
func (r *Registry) takeSeal(ctx context.Context, c Caller, id string, der []byte, reason string, to SealStatus, change sealChange) (audit.Receipt, error) {
	digest := sm3.Sum(der)
	return r.changeSeal(ctx, c, id, to, change, reason, digest[:], func(s *SealRecord) error {
		made, err := seal.ParseSeal(der)
		if err == nil {
			err = made.CheckSignature()
		}
		if err == nil && (made.ID != s.ID || made.Name != s.Name) {
			err = fmt.Errorf("it is %q, %q, not %q, %q", made.ID, made.Name, s.ID, s.Name)
		}
		if err != nil {
			return licence.InvalidField("seal", licence.CodeInvalid, err.Error())
		}
		s.DER = bytes.Clone(der)
		return nil
	})
}

// PutSealOnRecord notes the number that a seal is on record under.
func (r *Registry) PutSealOnRecord(ctx context.Context, c Caller, id, number, reason string) (audit.Receipt, error) {
	return r.changeSeal(ctx, c, id, SealRecorded, sealChange{ActionSealRecord, []SealStatus{SealMade}}, reason, nil, func(s *SealRecord) error {
		s.RecordNumber = number
		return licence.CheckText("record_number", number, maxSealText)
	})
}

// ChangeSeal moves a seal to in_use, suspended, revoked or destroyed. Errors:
// ErrReasonMissing, licence.ErrNotFound, licence.ErrWrongStatus.
func (r *Registry) ChangeSeal(ctx context.Context, c Caller, id string, to SealStatus, reason string) (audit.Receipt, error) {
	change, known := sealChanges[to]
	if !known {
		return r.gate.Refuse(ctx, c, &Access{Action: ActionConfigure, Object: sealObject(id), Use: Use{Purpose: reason}},
			fmt.Errorf("%w: no way leads to %q", licence.ErrWrongStatus, to))
	}
	return r.changeSeal(ctx, c, id, to, change, reason, nil, func(*SealRecord) error { return nil })
}

// changeSeal is one change in one transaction with its log entry.
func (r *Registry) changeSeal(ctx context.Context, c Caller, id string, to SealStatus, change sealChange, reason string, digest []byte, edit func(*SealRecord) error) (audit.Receipt, error) {
	s, found := r.cfg.Store.Seal(ctx, id)
	s.Status, s.Reason, s.At = to, reason, r.now()
	s.DER, s.RecordNumber = nil, "" // unless edit gives new ones
	return r.gate.Pass(ctx, c, &Access{
		Action: change.action, Object: sealObject(id), Digest: digest, Use: Use{Purpose: reason}, PurposeField: "reason",
		Check: func() error {
			switch {
			case found != nil:
				return found
			case reason == "":
				return ErrReasonMissing
			}
			return edit(&s)
		},
		Apply: func(ctx context.Context, tx Tx, _ *audit.Entry) error { return tx.UpdateSeal(ctx, s, change.from) },
	})
}

// Seals are the seals of the register, ordered by authority. They are no personal
// data and on public record, so that reading them is no operation.
func (r *Registry) Seals(ctx context.Context) ([]SealRecord, error) { return r.cfg.Store.Seals(ctx) }

// Seal is one of them; licence.ErrNotFound when there is none.
func (r *Registry) Seal(ctx context.Context, id string) (SealRecord, error) {
	return r.cfg.Store.Seal(ctx, id)
}

// sealObject names a seal in the log.
func sealObject(id string) string { return "seal/" + id }

// RegisterSeals brings the seals of the configuration that the register does not know
// yet, or did not finish entering, into use, for the set-up of an instance. What
// somebody suspended or revoked stays so.
func (r *Registry) RegisterSeals(ctx context.Context, c Caller) error {
	for _, s := range r.ownSeals() {
		for {
			again, err := r.enterSeal(ctx, c, s.authority, s.SealKey)
			if err != nil {
				return fmt.Errorf("entering the seal %s: %w", s.Seal.ID, err)
			}
			if !again {
				break
			}
		}
	}
	return nil
}

// ownSeal is a seal that this service seals with.
type ownSeal struct {
	authority string // unified social credit code
	use       string // SealsLicences or SealsCopies
	*SealKey
}

// ownSeals are all of them, in the order of the authorities' codes, that of copies last.
func (r *Registry) ownSeals() (all []ownSeal) {
	for _, code := range slices.Sorted(maps.Keys(r.cfg.Seals)) {
		all = append(all, ownSeal{code, SealsLicences, r.cfg.Seals[code]})
	}
	if a := r.cfg.Annotator; a != nil {
		all = append(all, ownSeal{a.Authority.Code, SealsCopies, a.Seal})
	}
	return all
}

// enterSeal takes a seal one stage on, and reports whether there is another.
func (r *Registry) enterSeal(ctx context.Context, c Caller, authority string, k *SealKey) (again bool, err error) {
	const reason = "set-up"
	id := k.Seal.ID
	s, err := r.cfg.Store.Seal(ctx, id)
	unknown := errors.Is(err, licence.ErrNotFound)
	if err != nil && !unknown {
		return false, err
	}
	old, err := r.predecessor(ctx, authority, k, s.Replaces)
	if err != nil {
		return false, err
	}
	switch {
	case unknown:
		_, err = r.ApplySeal(ctx, c, SealRecord{ID: id, Authority: authority, Name: k.Seal.Name, Replaces: old.ID, Reason: reason})
	case s.Status == SealApplied:
		_, err = r.AcceptSeal(ctx, c, id, k.Seal.Raw, reason)
	case s.Status == SealMade:
		_, err = r.PutSealOnRecord(ctx, c, id, id, reason)
	case s.Status == SealRecorded && old.Status == SealSuspended:
		return false, nil // a seal made anew does not end a suspension
	case s.Status == SealRecorded:
		_, err = r.ChangeSeal(ctx, c, id, SealInUse, reason)
	case s.Status == SealInUse && s.Replaces != "" && s.Replaces == old.ID:
		_, err = r.ChangeSeal(ctx, c, old.ID, SealRevoked, "replaced by "+id)
	case s.Status == SealInUse && !bytes.Equal(s.DER, k.Seal.Raw):
		_, err = r.RemakeSeal(ctx, c, id, k.Seal.Raw, "made anew")
	default:
		return false, nil
	}
	return err == nil, err
}

// sealInUse says why a seal may not be used by the register, as a *SealFault; nil when
// it may. It is asked before a number is used, and again before the key is.
func (r *Registry) sealInUse(ctx context.Context, k *SealKey) error {
	s, err := r.seals.ask(ctx, k.Seal.ID, one(r.cfg.Store.SealStage))
	switch {
	case errors.Is(err, licence.ErrNotFound):
		return &SealFault{"seal_unregistered", "the seal " + k.Seal.ID + " is not in the register", ErrNoSeal}
	case err != nil:
		return err
	case s.Status != SealInUse:
		return &SealFault{"seal_" + string(s.Status), fmt.Sprintf("the seal %s is %s (%s)", s.ID, s.Status, s.Reason), ErrNoSeal}
	}
	return r.sameSeal(ctx, k, s.At)
}

// sameSeal compares our seal with the register's, once for every change of the latter.
func (r *Registry) sameSeal(ctx context.Context, k *SealKey, changed time.Time) error {
	if at, known := r.compared.Load(k); known && changed.Equal(at.(time.Time)) {
		return nil
	}
	s, err := r.cfg.Store.Seal(ctx, k.Seal.ID)
	if err != nil {
		return err
	}
	if !bytes.Equal(s.DER, k.Seal.Raw) {
		return &SealFault{"seal_unregistered", "the seal " + s.ID + " is not the one in the register", ErrNoSeal}
	}
	r.compared.Store(k, s.At)
	return nil
}

// predecessor is the seal of the same authority that a new one takes the place of: by
// its application, or else one of the same name; the zero record when there is none.
func (r *Registry) predecessor(ctx context.Context, authority string, k *SealKey, replaces string) (SealRecord, error) {
	seals, err := r.cfg.Store.Seals(ctx)
	for _, s := range seals {
		same := s.ID == replaces || replaces == "" && s.Name == k.Seal.Name
		if s.Authority == authority && same && s.ID != k.Seal.ID && (s.Status == SealInUse || s.Status == SealSuspended) {
			return s, nil
		}
	}
	return SealRecord{}, err
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
