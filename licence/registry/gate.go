package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"
	"unicode"

	"elicence/audit"
	"elicence/licence"
)

// access is one operation at the gate.
type access struct {
	action audit.Action
	// object is what the operation is about: an identifier, a type code, a name.
	object string
	use    Use
	// consented says that use.Case names a consent that was found.
	consented bool
	// purposeField is what the request calls use.Purpose; empty is "purpose".
	purposeField string
	// holder, when set, is whom the operation is about: committed to in the log with the
	// operator. It is set whenever object is a licence of the register.
	holder licence.Holder
	// texts are further personal values that the log commits to, by name; empty ones are left out.
	texts  map[string]string
	digest []byte
	// questions are the names of those asked, committed to in the log.
	questions []string
	// code is what came of an operation that was allowed; empty for nearly all.
	code string
	// check decides what the role alone cannot: reach, grant, validity of the
	// request. It runs only for callers whose role permits the action.
	check func() error
	// basis, of a reuse, must still stand in the transaction of the entry; nil of others.
	basis *Basis
	// apply runs in the transaction of the log entry; nil for reads.
	apply func(context.Context, Tx, *audit.Entry) error
	// count notes the operation in the transaction of its entry, whether it is allowed or
	// refused; nil when there is nothing to note.
	count func(context.Context, Tx) error
	// counted is told that the entry with count is committed; nil with count.
	counted func()
	// before are other operations that apply does too: their entries, made of all but check
	// and apply, are committed with this one's and stand before it.
	before []*access
}

// gate authorises an operation and logs it: the only way to either. A refusal
// is logged before it is returned; an operation is applied in the transaction
// of its entry, or not at all. When the log cannot commit the answer is ErrLog.
func (r *Registry) gate(ctx context.Context, c Caller, a *access) (audit.Receipt, error) {
	if err := a.decide(c); err != nil {
		return r.refuse(ctx, c, a, err)
	}
	return r.pass(ctx, c, a)
}

// pass is what the gate does once it has decided for the caller.
func (r *Registry) pass(ctx context.Context, c Caller, a *access) (audit.Receipt, error) {
	receipt, err := r.append(ctx, c, a)
	if err != nil && !errors.Is(err, ErrLog) {
		return r.refuse(ctx, c, a, err)
	}
	return receipt, err
}

// decide is the whole decision: role, then what the operation itself checks.
func (a *access) decide(c Caller) error {
	if !c.MayAct(a.action) {
		return fmt.Errorf("%w: your role may not %s", ErrForbidden, a.action)
	}
	if a.check != nil {
		if err := a.check(); err != nil {
			return err
		}
	}
	if !a.consented && strings.HasPrefix(a.use.Case, consentObject("")) {
		return sealFault("case_number", licence.CodeNotAllowed, "begins as what the log calls a consent does")
	}
	return a.use.check(cmp.Or(a.purposeField, "purpose"))
}

// append logs an allowed operation and applies it in the same transaction, which spends
// the caller's signature too. An error of either comes back as it is; any other is the log's.
func (r *Registry) append(ctx context.Context, c Caller, a *access) (audit.Receipt, error) {
	e := a.entry(c)
	if a.apply == nil && a.basis == nil {
		receipt, err := r.note(ctx, c, a, e)
		if errors.Is(err, ErrReplayed) {
			return receipt, err
		}
		return receipt, logError(err)
	}
	var all []*audit.Entry
	for _, b := range a.before {
		all = append(all, b.entry(c))
	}
	all = append(all, e)
	var applied error
	receipt, err := r.cfg.Log.AppendAll(ctx, all, func(tx audit.Tx) error {
		// A caller who goes away must not break the batch of the others.
		ctx := context.WithoutCancel(ctx)
		if applied = c.Signed.spend(ctx, tx.(Tx), r.now()); applied == nil {
			applied = a.basis.check(ctx, tx.(Tx))
		}
		if applied == nil && a.apply != nil {
			applied = a.apply(ctx, tx.(Tx), e)
		}
		if applied != nil || a.count == nil {
			return applied
		}
		return a.count(ctx, tx.(Tx))
	})
	if err == nil && a.counted != nil {
		a.counted()
	}
	if err != nil && applied != nil && errors.Is(err, applied) {
		return receipt, err
	}
	return receipt, logError(err)
}

// refuse logs a refusal and returns its cause.
func (r *Registry) refuse(ctx context.Context, c Caller, a *access, cause error) (audit.Receipt, error) {
	code := Code(cause)
	r.altered(ctx, cause)
	if errors.Is(cause, errOutOfReach) {
		code = "out_of_reach" // for the log alone
	}
	if errors.Is(cause, ErrReplayed) {
		c.Signed = c.Signed.spent()
	}
	receipt, err := r.refused(ctx, c, a, code)
	if err != nil {
		return receipt, err
	}
	return receipt, cause
}

// refusalTime bounds how long a refusal waits for its entry.
const refusalTime = 10 * time.Second

// refused logs a refusal, even of a caller who has hung up: else probing could be
// hidden. What was refused may be anything, so its texts are made what an entry holds.
// ErrReplayed comes with a receipt: what was refused before is refused for that alone now.
func (r *Registry) refused(ctx context.Context, c Caller, a *access, code string) (audit.Receipt, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), refusalTime)
	defer cancel()
	r.findHolder(ctx, a)
	e := a.entry(c)
	e.Result, e.Code, e.Personal = audit.ResultRefused, code, a.personal()
	for text, most := range map[*string]int{&e.Object: 256, &e.Purpose: 512, &e.Case: 128, &e.Matter: 256} {
		*text = clip(*text, most)
	}
	for name, value := range e.Personal {
		e.Personal[name] = clip(value, 512)
	}
	maps.Copy(e.Personal, c.Signed.personal())
	receipt, err := r.note(ctx, c, a, e)
	if errors.Is(err, ErrReplayed) {
		e.Code = Code(ErrReplayed)
		if receipt, err = r.cfg.Log.Append(ctx, e, nil); err == nil {
			return receipt, ErrReplayed
		}
	}
	return receipt, logError(err)
}

// note logs an operation that changes nothing, but spends the caller's signature and counts.
func (r *Registry) note(ctx context.Context, c Caller, a *access, e *audit.Entry) (audit.Receipt, error) {
	if a.count == nil && !c.Signed.unspent() {
		return r.cfg.Log.Append(ctx, e, nil)
	}
	receipt, err := r.cfg.Log.Append(ctx, e, func(tx audit.Tx) error {
		// A caller who went away leaves an entry all the same.
		ctx := context.WithoutCancel(ctx)
		if err := c.Signed.spend(ctx, tx.(Tx), r.now()); err != nil || a.count == nil {
			return err
		}
		return a.count(ctx, tx.(Tx))
	})
	if err == nil && a.counted != nil {
		a.counted()
	}
	return receipt, err
}

// findHolder finds whom an operation is about that was refused before its licence was
// read. Where that cannot be told the refusal is logged all the same.
func (r *Registry) findHolder(ctx context.Context, a *access) {
	id, err := licence.ParseIdentifier(a.object)
	if err != nil || a.holder.Code != "" {
		return
	}
	if rec, err := r.cfg.Store.Licence(ctx, id); err == nil {
		a.holder = rec.Holder
	}
}

// clip makes a text what an entry may hold: valid UTF-8 of at most so many bytes, a
// replacement character for each that is not seen.
func clip(text string, most int) string {
	text = strings.Map(func(c rune) rune {
		if licence.Hidden(c) {
			return unicode.ReplacementChar
		}
		return c
	}, text[:min(len(text), most)])
	return strings.ToValidUTF8(text[:min(len(text), most)], "")
}

// entry is the log entry of an allowed operation.
func (a *access) entry(c Caller) *audit.Entry {
	personal := a.personal()
	maps.Copy(personal, c.Signed.personal())
	return &audit.Entry{
		Principal: c.Principal, Authority: c.Authority.Code, RequestID: c.RequestID,
		Action: a.action, Object: a.object, Result: audit.ResultAllowed, Digest: a.digest,
		Purpose: a.use.Purpose, Case: a.use.Case, Matter: a.use.Matter, Code: a.code, Personal: personal,
	}
}

// personal is what the log commits to without showing it.
func (a *access) personal() map[string]string {
	p := map[string]string{}
	for name, value := range map[string]string{
		"operator": a.use.Operator, "questions": clip(strings.Join(a.questions, " "), signaturePart), audit.PersonalHolderCode: a.holder.Code, audit.PersonalHolderCodeType: string(a.holder.CodeType),
	} {
		if value != "" {
			p[name] = value
		}
	}
	for name, text := range a.texts {
		if text != "" {
			p[name] = text
		}
	}
	return p
}

// step logs a step that an earlier, authorised entry permits: the service goes
// on with what the caller began. That entry holds the caller's signature.
func (r *Registry) step(ctx context.Context, c Caller, a *access) (audit.Receipt, error) {
	c.Signed = nil
	return r.append(ctx, c, a)
}

// Refused logs a refusal that was decided before an operation could be named:
// a bad token, an unreadable body, a rate limit. count says how many it stands for.
func (r *Registry) Refused(ctx context.Context, c Caller, action audit.Action, object, code string, count int) (audit.Receipt, error) {
	if count > 1 {
		code = fmt.Sprintf("%s*%d", code, count)
	}
	return r.refused(ctx, c, &access{action: action, object: object}, code)
}

// logError marks an error of the log, so that the caller refuses the access.
func logError(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrLog, err)
}
