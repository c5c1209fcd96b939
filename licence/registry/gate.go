package registry

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"sync"
	"time"
	"unicode"

	"elicence/audit"
	"elicence/licence"
)

// Access is one operation at the gate.
type Access struct {
	Action audit.Action
	// Object is what the operation is about: an identifier, a type code, a name.
	Object string
	Use    Use
	// Consented says that Use.Case names a consent that was found.
	Consented bool
	// PurposeField is what the request calls Use.Purpose; empty is "purpose".
	PurposeField string
	// Holder, when set, is whom the operation is about: committed to in the log with the
	// operator. It is set whenever Object is a licence of the register.
	Holder licence.Holder
	// Texts are further personal values that the log commits to, by name; empty ones are left out.
	Texts  map[string]string
	Digest []byte
	// Questions are the names of those asked, committed to in the log.
	Questions []string
	// Code is what came of an operation that was allowed; empty for nearly all.
	Code string
	// Check decides what the role alone cannot: reach, grant, validity of the
	// request. It runs only for callers whose role permits the action.
	Check func() error
	// Basis, of a reuse, must still stand in the transaction of the entry; nil of others.
	Basis *Basis
	// Apply runs in the transaction of the log entry; nil for reads.
	Apply func(context.Context, Tx, *audit.Entry) error
	// Count notes the operation in the transaction of its entry, whether it is allowed or
	// refused; nil when there is nothing to note.
	Count func(context.Context, Tx) error
	// Counted is told that the entry with Count is committed; nil with Count.
	Counted func()
	// Before are other operations that Apply does too: their entries, made of all but Check
	// and Apply, are committed with this one's and stand before it.
	Before []*Access
}

// Gate is the kernel of the register: every operation, wherever it lies, passes here to be
// authorised and logged, and changes the register in the transaction of its entry alone. Of
// the packages outside this folder none but the program that puts the parts together has it.
type Gate struct {
	cfg *Config
	// alteredRows are those that this server has logged.
	alteredRows sync.Map
}

// Store is where operations read; they change nothing but in Access.Apply.
func (g *Gate) Store() Store { return g.cfg.Store }

// Log is the access log, for what reads it; none but the gate appends to it.
func (g *Gate) Log() *audit.Log { return g.cfg.Log }

// LogReader reads the rows of the access log and of those that it succeeds.
func (g *Gate) LogReader() audit.Storage { return g.cfg.LogReader }

// Logs are the names of the log and of those that it succeeds, the newest first.
func (g *Gate) Logs() []string { return append([]string{g.cfg.LogID}, g.cfg.Succeeded...) }

// Witnessed reports whether proofs end where a quorum of witnesses has cosigned.
func (g *Gate) Witnessed() bool { return g.cfg.Witnessed }

// Now is the present instant in UTC, to the millisecond that the log keeps.
func (g *Gate) Now() time.Time { return g.cfg.Now().UTC().Truncate(time.Millisecond) }

// Today is the present day in Asia/Shanghai.
func (g *Gate) Today() licence.Date { return licence.DateOf(g.Now()) }

// NewID is a random name of 128 bits for something of the register.
func (g *Gate) NewID() (string, error) {
	var b [16]byte
	_, err := io.ReadFull(g.cfg.Rand, b[:])
	return hex.EncodeToString(b[:]), err
}

// Pass authorises an operation and logs it: the only way to either. A refusal
// is logged before it is returned; an operation is applied in the transaction
// of its entry, or not at all. When the log cannot commit the answer is ErrLog.
func (g *Gate) Pass(ctx context.Context, c Caller, a *Access) (audit.Receipt, error) {
	if err := a.decide(c); err != nil {
		return g.Refuse(ctx, c, a, err)
	}
	return g.pass(ctx, c, a)
}

// pass is what the gate does once it has decided for the caller.
func (g *Gate) pass(ctx context.Context, c Caller, a *Access) (audit.Receipt, error) {
	receipt, err := g.append(ctx, c, a)
	if err != nil && !errors.Is(err, ErrLog) {
		return g.Refuse(ctx, c, a, err)
	}
	return receipt, err
}

// decide is the whole decision: role, then what the operation itself checks.
func (a *Access) decide(c Caller) error {
	if !c.MayAct(a.Action) {
		return fmt.Errorf("%w: your role may not %s", ErrForbidden, a.Action)
	}
	if a.Check != nil {
		if err := a.Check(); err != nil {
			return err
		}
	}
	return a.checkUse()
}

// checkUse is what decide checks of every operation: what it says of its use.
func (a *Access) checkUse() error {
	if !a.Consented && strings.HasPrefix(a.Use.Case, consentObject("")) {
		return licence.InvalidField("case_number", licence.CodeNotAllowed, "begins as what the log calls a consent does")
	}
	return a.Use.check(cmp.Or(a.PurposeField, "purpose"))
}

// append logs an allowed operation and applies it in the same transaction, which spends
// the caller's signature too. An error of either comes back as it is; any other is the log's.
func (g *Gate) append(ctx context.Context, c Caller, a *Access) (audit.Receipt, error) {
	e := a.entry(c)
	if a.Apply == nil && a.Basis == nil {
		receipt, err := g.note(ctx, c, a, e)
		if errors.Is(err, ErrReplayed) {
			return receipt, err
		}
		return receipt, logError(err)
	}
	var all []*audit.Entry
	for _, b := range a.Before {
		all = append(all, b.entry(c))
	}
	all = append(all, e)
	var applied error
	receipt, err := g.cfg.Log.AppendAll(ctx, all, func(tx audit.Tx) error {
		// A caller who goes away must not break the batch of the others.
		ctx := context.WithoutCancel(ctx)
		if applied = c.Signed.spend(ctx, tx.(Tx), g.Now()); applied == nil {
			applied = a.Basis.check(ctx, tx.(Tx), g.Now())
		}
		if applied == nil && a.Apply != nil {
			applied = a.Apply(ctx, tx.(Tx), e)
		}
		if applied != nil || a.Count == nil {
			return applied
		}
		return a.Count(ctx, tx.(Tx))
	})
	if err == nil && a.Counted != nil {
		a.Counted()
	}
	if err != nil && applied != nil && errors.Is(err, applied) {
		return receipt, err
	}
	return receipt, logError(err)
}

// Refuse logs a refusal and returns its cause.
func (g *Gate) Refuse(ctx context.Context, c Caller, a *Access, cause error) (audit.Receipt, error) {
	code := Code(cause)
	g.altered(ctx, cause)
	if errors.Is(cause, ErrOutOfReach) {
		code = "out_of_reach" // for the log alone
	}
	if errors.Is(cause, ErrReplayed) {
		c.Signed = c.Signed.spent()
	}
	receipt, err := g.refused(ctx, c, a, code)
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
func (g *Gate) refused(ctx context.Context, c Caller, a *Access, code string) (audit.Receipt, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), refusalTime)
	defer cancel()
	g.findHolder(ctx, a)
	e := a.entry(c)
	e.Result, e.Code, e.Personal = audit.ResultRefused, code, a.personal()
	for text, most := range map[*string]int{&e.Object: 256, &e.Purpose: 512, &e.Case: 128, &e.Matter: 256} {
		*text = Clip(*text, most)
	}
	for name, value := range e.Personal {
		e.Personal[name] = Clip(value, 512)
	}
	maps.Copy(e.Personal, c.Signed.personal())
	receipt, err := g.note(ctx, c, a, e)
	if errors.Is(err, ErrReplayed) {
		e.Code = Code(ErrReplayed)
		if receipt, err = g.cfg.Log.Append(ctx, e, nil); err == nil {
			return receipt, ErrReplayed
		}
	}
	return receipt, logError(err)
}

// note logs an operation that changes nothing, but spends the caller's signature and counts.
func (g *Gate) note(ctx context.Context, c Caller, a *Access, e *audit.Entry) (audit.Receipt, error) {
	if a.Count == nil && !c.Signed.unspent() {
		return g.cfg.Log.Append(ctx, e, nil)
	}
	receipt, err := g.cfg.Log.Append(ctx, e, func(tx audit.Tx) error {
		// A caller who went away leaves an entry all the same.
		ctx := context.WithoutCancel(ctx)
		if err := c.Signed.spend(ctx, tx.(Tx), g.Now()); err != nil || a.Count == nil {
			return err
		}
		return a.Count(ctx, tx.(Tx))
	})
	if err == nil && a.Counted != nil {
		a.Counted()
	}
	return receipt, err
}

// findHolder finds whom an operation is about that was refused before its licence was
// read. Where that cannot be told the refusal is logged all the same.
func (g *Gate) findHolder(ctx context.Context, a *Access) {
	id, err := licence.ParseIdentifier(a.Object)
	if err != nil || a.Holder.Code != "" {
		return
	}
	if rec, err := g.cfg.Store.Licence(ctx, id); err == nil {
		a.Holder = rec.Holder
	}
}

// Clip makes a text what an entry may hold: valid UTF-8 of at most so many bytes, a
// replacement character for each that is not seen.
func Clip(text string, most int) string {
	text = strings.Map(func(c rune) rune {
		if licence.Hidden(c) {
			return unicode.ReplacementChar
		}
		return c
	}, text[:min(len(text), most)])
	return strings.ToValidUTF8(text[:min(len(text), most)], "")
}

// entry is the log entry of an allowed operation.
func (a *Access) entry(c Caller) *audit.Entry {
	personal := a.personal()
	maps.Copy(personal, c.Signed.personal())
	return &audit.Entry{
		Principal: c.Principal, Authority: c.Authority.Code, RequestID: c.RequestID,
		Action: a.Action, Object: a.Object, Result: audit.ResultAllowed, Digest: a.Digest,
		Purpose: a.Use.Purpose, Case: a.Use.Case, Matter: a.Use.Matter, Code: a.Code, Personal: personal,
	}
}

// personal is what the log commits to without showing it.
func (a *Access) personal() map[string]string {
	p := map[string]string{}
	for name, value := range map[string]string{
		"operator": a.Use.Operator, "questions": Clip(strings.Join(a.Questions, " "), signaturePart), audit.PersonalHolderCode: a.Holder.Code, audit.PersonalHolderCodeType: string(a.Holder.CodeType),
	} {
		if value != "" {
			p[name] = value
		}
	}
	for name, text := range a.Texts {
		if text != "" {
			p[name] = text
		}
	}
	return p
}

// Step logs a step that an earlier, authorised entry permits: the service goes
// on with what the caller began. That entry holds the caller's signature.
func (g *Gate) Step(ctx context.Context, c Caller, a *Access) (audit.Receipt, error) {
	c.Signed = nil
	return g.append(ctx, c, a)
}

// Refused logs a refusal that was decided before an operation could be named:
// a bad token, an unreadable body, a rate limit. count says how many it stands for.
func (r *Registry) Refused(ctx context.Context, c Caller, action audit.Action, object, code string, count int) (audit.Receipt, error) {
	if count > 1 {
		code = fmt.Sprintf("%s*%d", code, count)
	}
	return r.gate.refused(ctx, c, &Access{Action: action, Object: object}, code)
}

// unloggedAttempts is how often a change is made again when others are in the way.
const unloggedAttempts = 5

// Unlogged changes what is nothing of a licence: a batch as it is taken in, and which items
// of one are worked on. An error is ErrLog, unless fn gave it: the storage is the log's.
func (g *Gate) Unlogged(ctx context.Context, fn func(context.Context, Tx) error) (err error) {
	for range unloggedAttempts {
		err = g.cfg.LogReader.Batch(ctx, func(tx audit.Tx) error { return fn(ctx, tx.(Tx)) })
		if !errors.Is(err, audit.ErrConflict) {
			break
		}
	}
	return logError(err)
}

// CheckHolder reports a holder's code that is none, as a fault of its field.
func (g *Gate) CheckHolder(h licence.Holder) error {
	if err := licence.CheckHolderCode(h.CodeType, h.Code, g.Today()); err != nil {
		return licence.InvalidField("holder.code", licence.CodeBadHolderCode, "is wrong: "+err.Error())
	}
	return nil
}

// logError marks an error of the log, so that the caller refuses the access.
func logError(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrLog, err)
}
