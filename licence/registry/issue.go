package registry

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/render"

	"github.com/emmansun/gmsm/sm3"
)

// IssueRequest asks for a new licence.
type IssueRequest struct {
	// Key is the Idempotency-Key.
	Key string
	// Body is the request as it was received, JSON; its issuing authority is the caller's.
	Body []byte
	// File is the document that the licence is drawn on, a PDF as it came; nil for a type
	// that a layout alone draws.
	File []byte
	// item says that it is an item of a batch, whose key has a form of its own.
	item bool
}

// asked is a checked request.
type asked struct {
	key  string
	body [32]byte // SM3 of the body
	licence.Request
	use Use
	// document is what the licence is drawn on, kept as the register keeps it; nil for none.
	document *render.Document
	kept     []byte
	layout   *render.Layout
	// item says that it is an item of a batch.
	item bool
	// portrait is what was made of the request's photograph; nil when it has none.
	portrait []byte
	// op makes a new version of the licence id; empty for a new licence.
	op licence.Operation
	id licence.Identifier
	// by is the version of the type that it was checked against and is made by.
	by *edition
}

// Issued is the answer to an issue. It holds nothing personal, because it is
// stored with the idempotency key for repeats.
type Issued struct {
	Identifier licence.Identifier `json:"identifier"`
	Number     string             `json:"number"`
	TypeCode   string             `json:"type_code"`
	Status     licence.Status     `json:"status"`
	// Supersedes is the version that this one took the place of; empty for the first.
	Supersedes licence.Identifier `json:"supersedes,omitempty"`
	// DataDigest and FileDigest are SM3 of licence.json and of the file, lower-case hex.
	DataDigest string `json:"data_digest"`
	FileDigest string `json:"file_digest"`
	// Timestamped says whether the seal carries a token yet.
	Timestamped bool `json:"timestamped"`
	// Removed names what a document had and the licence has not; empty without a document.
	Removed Removed `json:"removed,omitempty"`
}

// Issue issues a licence, or repeats the answer of the first request with the
// same key. Errors: *licence.RequestError, ErrForbidden, ErrKeyReused, ErrRunning,
// *SealFault, licence.ErrNumberTaken, ErrUnfinished, ErrTimestampAwaited, ErrLog.
func (r *Registry) Issue(ctx context.Context, c Caller, q IssueRequest) (Issued, audit.Receipt, error) {
	a := asked{key: q.Key, body: sm3.Sum(q.Body), item: q.item}
	if q.File != nil { // the same words about another document are another request
		file := sm3.Sum(q.File)
		a.body = sm3.Sum(append(a.body[:], file[:]...))
	}
	attempt := Access{Action: ActionIssue, Digest: a.body[:]}
	attempt.Check = func() error {
		defer func() { attempt.Object, attempt.Use, attempt.Holder = a.TypeCode, a.use, a.Holder }()
		return r.checkIssue(ctx, c, q, &a)
	}
	return r.carryOut(ctx, c, &attempt, &a)
}

// carryOut takes an attempt through the order of issue, its step 1 being the gate.
func (r *Registry) carryOut(ctx context.Context, c Caller, attempt *Access, a *asked) (Issued, audit.Receipt, error) {
	if !a.item {
		r.interactive.Add(1)
		defer r.interactive.Add(-1)
	}
	receipt, err := r.gate.Pass(ctx, c, attempt)
	if err != nil {
		return Issued{}, receipt, err
	}
	claim, rec, err := r.reserve(ctx, c, *a)
	switch {
	case err != nil && !errors.Is(err, errClaimed):
		receipt, err = r.gate.Refuse(ctx, c, attempt, err)
		return Issued{}, receipt, err
	case claim.Answer != nil:
		var first Issued
		return first, receipt, json.Unmarshal(claim.Answer, &first)
	case err != nil:
		receipt, err = r.gate.Refuse(ctx, c, attempt, ErrRunning)
		return Issued{}, receipt, err
	}
	// What is reserved is finished even if the caller goes away.
	issued, done, err := r.finish(context.WithoutCancel(ctx), c, rec)
	if err != nil {
		return Issued{}, receipt, err
	}
	return issued, done, nil
}

// checkIssue is step 1's check: the request itself, seal, characters, boxes and
// QR symbol, with the widest number and identifier the reservation could give.
func (r *Registry) checkIssue(ctx context.Context, c Caller, q IssueRequest, a *asked) error {
	if err := a.CheckKey(); err != nil {
		return err
	}
	all := r.editions.Load()
	request, aCase, err := licence.ParseRequest(q.Body, all.current, c.Authority, r.today())
	a.by = all.byType[request.TypeCode]
	// A caller who may not issue this type at all need not mend the rest first.
	if a.by != nil && !slices.Contains(c.Types, request.TypeCode) {
		return fmt.Errorf("%w: the caller does not issue licences of type %s", ErrForbidden, request.TypeCode)
	}
	if err != nil {
		return err
	}
	a.Request, a.use = request, Use{Case: aCase.Number, Matter: aCase.MatterCode, Operator: aCase.Operator}
	if err := r.takeDocument(ctx, q.File, a); err != nil {
		return err
	}
	return r.checkMakeable(ctx, c, a)
}

// checkMakeable ends step 1's check: whether what is asked for can be sealed and drawn.
func (r *Registry) checkMakeable(ctx context.Context, c Caller, a *asked) (err error) {
	if a.layout, err = a.by.on(a.document, a.Document); err != nil {
		return err
	}
	if a.CoSealers, err = r.checkSeals(ctx, a, c.Authority.Code); err != nil {
		return err
	}
	if a.by.item.PAdES {
		if err := r.cfg.PAdES.usable(r.now()); err != nil {
			return err
		}
	}
	if err := r.makePortrait(a.by.item, a); err != nil {
		return err
	}
	return r.checkDrawable(a)
}

// checkSeals says who co-seals, or why one of the seals cannot be used for a new licence:
// a *SealFault.
func (r *Registry) checkSeals(ctx context.Context, a *asked, issuing string) ([]licence.CoSealer, error) {
	own := r.cfg.Seals[issuing]
	if err := r.checkSeal(ctx, own); err != nil {
		return nil, err
	}
	coSealers, err := r.coSealers(ctx, a.by.item, issuing)
	if err != nil {
		return nil, err
	}
	var sizes [][2]float64
	for _, c := range coSealers {
		k := r.cfg.Seals[c.Code]
		if err := ofCoSealer(c, r.checkSeal(ctx, k)); err != nil {
			return nil, err
		}
		sizes = append(sizes, k.size())
	}
	if a.document != nil {
		return nil, nil // where its seal goes is the request's to say: see checkDocument
	}
	if err := a.layout.CheckSeals(append(sizes, own.size())...); err != nil {
		return nil, &SealFault{"seal_misplaced", err.Error(), ErrNoSeal}
	}
	return coSealers, nil
}

// checkSeal says why a seal cannot be used for a new licence, as a *SealFault.
func (r *Registry) checkSeal(ctx context.Context, k *SealKey) error {
	if err := r.usable(k, r.cfg.SealMargin); err != nil {
		return err
	}
	return r.sealInUse(ctx, k)
}

// checkDrawable draws nothing, but proves that the licence can be.
func (r *Registry) checkDrawable(a *asked) error {
	item := a.by.item
	id, err := a.id, error(nil) // as wide as that of any other version
	if a.op == "" {
		id, err = licence.NewIdentifier(item.TypeCode, a.Authority.Code, widestSerial, 1)
	}
	if err != nil {
		return err
	}
	widest := newLicence(item, a.Request, id, cmp.Or(a.Number, item.WidestNumber()))
	if err := a.layout.Check(r.cfg.Fonts, widest); err != nil {
		return err
	}
	payload, err := licence.FitQRPayload(licence.NewQRPayload(widest, nil), r.cfg.PublicURL)
	if err != nil {
		return err
	}
	return r.checkDocument(a, widest, payload, r.cfg.Seals[a.Authority.Code])
}

// CheckKey bounds the idempotency key, unless it is the register's own.
func (a *asked) CheckKey() error {
	if a.item {
		return nil
	}
	return CheckKey(a.key)
}

// newLicence is the licence of a checked request.
func newLicence(item *licence.CatalogueItem, q licence.Request, id licence.Identifier, number string) *licence.Licence {
	return &licence.Licence{
		Identifier: id, Number: number, TypeCode: item.TypeCode, TypeName: item.Name, Version: id.Version(),
		Holder: q.Holder, Authority: q.Authority, CoSealers: q.CoSealers,
		IssuedOn: q.IssuedOn, EffectiveOn: q.EffectiveOn, ExpiresOn: q.ExpiresOn, Fields: q.Fields, Document: q.Document,
	}
}

// reserve is step 2: one transaction that claims the key and reserves
// identifier and number, or finds what an earlier attempt reserved.
func (r *Registry) reserve(ctx context.Context, c Caller, q asked) (Claim, Record, error) {
	if err := r.storePortrait(ctx, q.portrait); err != nil {
		return Claim{}, Record{}, err
	}
	if err := r.keep(ctx, &q); err != nil {
		return Claim{}, Record{}, fmt.Errorf("storing the document: %w", err)
	}
	serial, err := newSerial(r.cfg.Rand)
	var id licence.Identifier // of a new licence, which is known before its number is
	if err == nil && q.op == "" {
		id, err = licence.NewIdentifier(q.by.item.TypeCode, q.Authority.Code, serial, 1)
	}
	if err != nil {
		return Claim{}, Record{}, err
	}
	var claim Claim
	var rec Record
	_, err = r.gate.Step(ctx, c, &Access{
		Action: ActionReserve, Use: q.use, Holder: q.Holder,
		Apply: func(ctx context.Context, tx Tx, e *audit.Entry) (err error) {
			if claim, err = r.gate.takeKeyFor(ctx, tx, Key{Client: c.Principal, Key: q.key, Body: q.body, Identifier: id}); err != nil {
				return err
			}
			switch {
			case claim.Identifier != id: // random, so that no earlier attempt can have had it
				rec, err = r.takeOver(ctx, tx, claim.Identifier)
			case q.op != "":
				rec, err = r.insertVersion(ctx, tx, c, q)
			default:
				rec, err = r.insert(ctx, tx, c, q, id)
			}
			e.Object, e.Digest = string(rec.Identifier), bytes.Clone(rec.DataDigest[:])
			return err
		},
	})
	return claim, rec, err
}

// takeOver leases the pending licence that a dead attempt left behind.
func (r *Registry) takeOver(ctx context.Context, tx Tx, id licence.Identifier) (Record, error) {
	now := r.now()
	if err := tx.Lease(ctx, id, now, now.Add(Lease)); err != nil {
		return Record{}, err
	}
	return tx.Licence(ctx, id)
}

// insert reserves a number and the identifier that the key is bound to for a new pending licence.
func (r *Registry) insert(ctx context.Context, tx Tx, c Caller, q asked, id licence.Identifier) (Record, error) {
	item := q.by.item
	record := func(number string) (Record, error) {
		return r.pending(newLicence(item, q.Request, id, number), c, q)
	}
	if q.Number == "" {
		return insertNumbered(ctx, tx, item, q.Request, record)
	}
	rec, err := record(q.Number)
	if err != nil {
		return Record{}, err
	}
	return rec, tx.InsertLicence(ctx, rec)
}

// pending is the record of a licence that is reserved and not yet issued.
func (r *Registry) pending(l *licence.Licence, c Caller, q asked) (Record, error) {
	data, err := l.Data()
	if err != nil {
		return Record{}, fmt.Errorf("writing licence data: %w", err)
	}
	now := r.now()
	return Record{
		Identifier: l.Identifier, Number: l.Number, TypeCode: l.TypeCode, Version: l.Version,
		Operation: q.op, Supersedes: l.Supersedes, AuthorityCode: l.Authority.Code, Division: l.Authority.Division, Holder: l.Holder,
		Data: data, DataDigest: sm3.Sum(data), CatalogueVersion: q.by.version, IssuedOn: l.IssuedOn, EffectiveOn: l.EffectiveOn, ExpiresOn: l.ExpiresOn, Status: licence.StatusPending, StatusReason: q.use.Purpose, StatusAt: now,
		Client: c.Principal, IdempotencyKey: q.key, CaseNumber: q.use.Case,
		CreatedAt: now, LeaseUntil: now.Add(Lease),
	}, nil
}

// answer is what a request for rec gets once its file is f, with the status that
// a reader would see at that time.
func (rec Record) answer(l *licence.Licence, f File) Issued {
	return Issued{
		Identifier: rec.Identifier, Number: rec.Number, TypeCode: rec.TypeCode, Status: l.StatusAt(licence.StatusValid, f.CreatedAt), Supersedes: rec.Supersedes,
		DataDigest: hex.EncodeToString(rec.DataDigest[:]), FileDigest: hex.EncodeToString(f.Digest[:]),
		Timestamped: f.Timestamped,
	}
}

// Recover finishes pending licences whose lease lapsed, as a retry of their
// request would, or voids those that can never be finished, with the reason. It
// returns how many it finished and voided; the error joins those of licences that
// it had to leave. While the TSA is away those with co-seals wait, for each attempt would
// use the keys of others for nothing. The server runs it at start and then every Lease.
func (r *Registry) Recover(ctx context.Context) (finished, voided int, err error) {
	var waiting []string // types whose licences wait until the TSA is back
	if r.tsaResting() != nil {
		waiting = r.coSealedTypes()
	}
	lapsed, err := r.cfg.Store.Lapsed(ctx, r.now(), waiting, upkeepPage)
	if err != nil {
		return 0, 0, fmt.Errorf("finding pending licences: %w", err)
	}
	c := System("recovery-" + r.now().Format(time.RFC3339))
	for _, id := range lapsed {
		if slices.Contains(waiting, id.TypeCode()) {
			continue
		}
		done, gone, fault := r.recoverOne(ctx, c, id)
		finished, voided = finished+done, voided+gone
		if errors.Is(fault, ErrTimestampAwaited) {
			waiting, fault = r.coSealedTypes(), nil
		}
		if fault != nil {
			err = errors.Join(err, fmt.Errorf("recovering %s: %w", id, fault))
		}
	}
	return finished, voided, err
}

// coSealedTypes are the codes of the types with co-seals.
func (r *Registry) coSealedTypes() (codes []string) {
	for _, item := range r.catalogue().Items() {
		if len(item.CoSeals) > 0 {
			codes = append(codes, item.TypeCode)
		}
	}
	return codes
}

// upkeepPage is how many licences one round of upkeep takes on.
const upkeepPage = 1000

// recoverOne takes over one pending licence and finishes or voids it. Somebody
// else's lease, and a step that failed for the time being, leave it pending.
func (r *Registry) recoverOne(ctx context.Context, c Caller, id licence.Identifier) (finished, voided int, err error) {
	rec, err := r.cfg.Store.Licence(ctx, id)
	if err != nil {
		return 0, 0, err
	}
	_, err = r.gate.Step(ctx, c, &Access{Action: ActionReserve, Object: string(id), Holder: rec.Holder,
		Apply: func(ctx context.Context, tx Tx, e *audit.Entry) (err error) {
			rec, err = r.takeOver(ctx, tx, id)
			e.Digest, e.Code = bytes.Clone(rec.DataDigest[:]), "taken_over"
			return err
		}})
	if errors.Is(err, ErrRunning) || errors.Is(err, licence.ErrWrongStatus) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, err
	}
	_, _, err = r.finish(ctx, c, rec)
	switch {
	case err == nil:
		return 1, 0, nil
	case errors.Is(err, errHopeless):
		return 0, 1, nil
	case errors.Is(err, ErrUnfinished) && !errors.Is(err, ErrTimestampAwaited):
		return 0, 0, nil
	}
	return 0, 0, err
}
