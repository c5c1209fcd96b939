package registry

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"elicence/audit"
	"elicence/crypto/seal"
	"elicence/licence"
	"elicence/licence/render"

	"github.com/emmansun/gmsm/sm3"
)

// Annotator makes annotated copies (加注件), as a rule the platform itself, with a seal for
// nothing else (加注专用章).
type Annotator struct {
	Authority licence.IssuingAuthority
	Seal      *SealKey
	// Strip is what copies have above every page; see render.Layout.RenderCopy.
	Strip *render.Layout
}

// check says what an annotator lacks; nil is none.
func (a *Annotator) check() error {
	if a == nil {
		return nil
	}
	if err := a.Strip.CheckSeals(a.Seal.size()); err != nil {
		return fmt.Errorf("the seal of annotated copies: %w", err)
	}
	return nil
}

// CopyRecord is an annotated copy as the register holds it. File is zero until it is made.
type CopyRecord struct {
	ID licence.CopyID
	// Identifier is the licence's.
	Identifier licence.Identifier
	// Receiver is the department that it was made for, by its USCC; Client asked for it.
	Receiver, Client string
	ExpiresOn        licence.Date
	// Data is licence.json of the copy, DataDigest SM3 of it.
	Data       []byte
	DataDigest [32]byte
	File       File
}

// made reports whether the copy is there.
func (c CopyRecord) made() bool { return c.File.Digest != [32]byte{} }

// How long a copy lasts: unless the request says, and at most. It never outlasts its case.
const (
	DefaultCopyDays = 30
	MaxCopyDays     = 90
)

// CopyRequest asks for an annotated copy of a licence for one case.
type CopyRequest struct {
	// Key is the Idempotency-Key, Body SM3 of the request body it came with.
	Key        string
	Body       [32]byte
	Identifier licence.Identifier
	// ValidTo is the copy's last day; zero for DefaultCopyDays, or the case's last day if
	// that is sooner.
	ValidTo licence.Date
	// Use needs all four; the purpose is printed on the copy as its cause (制作事由).
	Use Use
}

// CopyMade is the answer to a request for a copy; it is stored with the key, and holds
// nothing personal.
type CopyMade struct {
	Copy       licence.CopyID     `json:"copy"`
	Identifier licence.Identifier `json:"identifier"`
	CreatedAt  time.Time          `json:"created_at"`
	ExpiresOn  licence.Date       `json:"expires_on"`
	// DataDigest and FileDigest are SM3 of licence.json in the copy and of its file, lower-case hex.
	DataDigest  string `json:"data_digest"`
	FileDigest  string `json:"file_digest"`
	Timestamped bool   `json:"timestamped"`
}

// MakesCopies reports whether somebody makes annotated copies here.
func (r *Registry) MakesCopies() bool { return r.cfg.Annotator != nil }

// copying is a copy on its way.
type copying struct {
	sealing // of the licence, with the copy's data in the place of its own
	soleSeal
	made   CopyRecord
	answer *CopyMade // of an earlier request with the same key
}

// MakeCopy makes an annotated copy of a licence for the caller's department, or repeats the
// answer of the first request with the same key. It takes what a reuse takes, a grant that
// names FieldCopy, and a licence that is valid. The order is that of an issue:
//
//  1. authorise and log; in the transaction of the entry "copy" the copy is reserved, which
//     permits the QR signature;
//  2. sign the QR payload, render, log "copy_sealing" with the digest to be sealed;
//  3. seal, verify as a stranger would, store;
//  4. one transaction: the file, the answer of the key, the entry "copied".
//
// A crash before 4 leaves a reserved copy that no look-up finds, and perhaps a stored file
// that nobody got: the retry with the same key goes on from there once its lease has
// lapsed. Errors: those of Reuse, *SealFault, licence.ErrWrongStatus, ErrKeyReused,
// ErrRunning, ErrUnfinished.
func (r *Registry) MakeCopy(ctx context.Context, c Caller, q CopyRequest) (CopyMade, audit.Receipt, error) {
	p := &copying{}
	a := &Access{Action: ActionCopy, Object: string(q.Identifier), Use: q.Use, Digest: q.Body[:]}
	if c.MayAct(ActionCopy) {
		err := r.copyable(ctx, c, q, a, p)
		a.Check = func() error { return err }
	}
	a.Apply = func(ctx context.Context, tx Tx, e *audit.Entry) error { return r.reserveCopy(ctx, tx, c, q, e, p) }
	receipt, err := r.gate.Pass(ctx, c, a)
	switch {
	case err != nil:
		return CopyMade{}, receipt, err
	case p.answer != nil:
		return *p.answer, receipt, nil
	}
	// What is reserved is finished even if the caller goes away.
	answer, receipt, err := r.finishCopy(context.WithoutCancel(ctx), c, q, p)
	if err != nil {
		if r.cfg.Failed != nil {
			r.cfg.Failed(q.Identifier, "copy", err)
		}
		return CopyMade{}, receipt, fmt.Errorf("%w (copy): %w", ErrUnfinished, err)
	}
	return answer, receipt, nil
}

// copyable decides a request for a copy, and prepares what is to be reserved. A licence that
// there is none of is refused like one of another holder than the case's.
func (r *Registry) copyable(ctx context.Context, c Caller, q CopyRequest, a *Access, p *copying) error {
	if _, err := licence.ParseIdentifier(string(q.Identifier)); err != nil {
		return licence.InvalidField("identifier", licence.CodeBadFormat, "is no licence identifier")
	}
	rec, err := r.cfg.Store.Licence(ctx, q.Identifier)
	if err != nil && !errors.Is(err, licence.ErrNotFound) {
		return err
	}
	a.Holder = rec.Holder
	if err := CheckKey(q.Key); err != nil {
		return err
	}
	reuse := ReuseRequest{Identifier: q.Identifier, Holder: rec.Holder, TypeCode: q.Identifier.TypeCode(), Use: q.Use}
	var k Case
	err = r.unlock(ctx, c, reuse, a, func(o opening) error {
		if k = o.kase; !o.copies {
			return fmt.Errorf("%w: the grant permits no annotated copies", ErrForbidden)
		}
		return nil
	})
	if errors.Is(err, ErrCaseMismatch) {
		return ErrCaseMismatch // not telling in what
	}
	if err != nil {
		return err
	}
	if q.ValidTo, err = r.copyEnds(q.ValidTo, k); err != nil {
		return err
	}
	if err := r.annotatorReady(ctx); err != nil {
		return err
	}
	return r.annotate(c, rec, q, p)
}

// annotatorReady says why no copy can be sealed now, as a *SealFault.
func (r *Registry) annotatorReady(ctx context.Context) error {
	a := r.cfg.Annotator
	if a == nil {
		return &SealFault{"seal_missing", "nobody makes annotated copies here", ErrNoSeal}
	}
	if err := r.usable(a.Seal, 0); err != nil {
		return err
	}
	return r.sealInUse(ctx, a.Seal)
}

// copyEnds is the last day of a copy for a case.
func (r *Registry) copyEnds(asked licence.Date, k Case) (licence.Date, error) {
	today := r.today()
	within := func(days int) licence.Date { // a copy of one day ends today
		last := licence.DateOf(today.StartsAt().AddDate(0, 0, days-1))
		if last.Compare(k.ValidTo) > 0 {
			return k.ValidTo
		}
		return last
	}
	most := within(MaxCopyDays)
	switch {
	case asked.IsZero():
		return within(DefaultCopyDays), nil
	case asked.Compare(today) < 0 || asked.Compare(most) > 0:
		return asked, licence.InvalidField("valid_to", licence.CodeOutOfRange, fmt.Sprintf("is not from today to %s: a copy lasts %d days at most, and no longer than its case", most, MaxCopyDays))
	}
	return asked, nil
}

// annotate makes the data of a copy of a licence that is valid, and proves that they can be
// drawn.
func (r *Registry) annotate(c Caller, rec Record, q CopyRequest, p *copying) error {
	l, err := licence.ParseData(rec.Data)
	if err != nil {
		return fmt.Errorf("reading the data of %s: %w", rec.Identifier, err)
	}
	if rec.Importer != "" {
		return ErrExternal // its file is not ours to draw
	}
	now := r.now()
	if l.StatusAt(rec.Status, now) != licence.StatusValid {
		return fmt.Errorf("%w: only a valid licence is copied", licence.ErrWrongStatus)
	}
	for _, f := range []struct {
		name, text string
		most       int
	}{{"purpose", q.Use.Purpose, 512}, {"case_number", q.Use.Case, 128}} {
		if err := licence.CheckText(f.name, f.text, f.most); err != nil {
			return err
		}
	}
	id, err := r.gate.NewID()
	if err != nil {
		return err
	}
	maker := r.cfg.Annotator.Authority
	l.Copy = &licence.Copy{
		ID: licence.CopyID(id), CreatedAt: now.Truncate(time.Second), ExpiresOn: q.ValidTo, Cause: q.Use.Purpose, CaseNumber: q.Use.Case,
		Maker: licence.Party{Name: maker.Name, Code: maker.Code}, Receiver: licence.Party{Name: c.Authority.Name, Code: c.Authority.Code},
	}
	data, err := l.Data()
	if err != nil {
		return fmt.Errorf("writing the data of a copy: %w", err)
	}
	if _, err := licence.FitQRPayload(licence.NewQRPayload(l, data), r.cfg.PublicURL); err != nil {
		return fmt.Errorf("the code of a copy of %s: %v", rec.Identifier, err) // no fault of the request
	}
	p.rec = rec
	p.made = CopyRecord{ID: l.Copy.ID, Identifier: rec.Identifier, Receiver: c.Authority.Code, Client: c.Principal,
		ExpiresOn: q.ValidTo, Data: data, DataDigest: sm3.Sum(data)}
	return r.cfg.Annotator.Strip.CheckCopy(r.cfg.Fonts, l)
}

// reserveCopy claims the key and reserves the copy, or finds what an earlier attempt reserved
// or answered.
func (r *Registry) reserveCopy(ctx context.Context, tx Tx, c Caller, q CopyRequest, e *audit.Entry, p *copying) error {
	claim, err := r.gate.takeKey(ctx, tx, c, q.Key, q.Body)
	switch {
	case errors.Is(err, errClaimed) && claim.Answer != nil:
		e.Code, p.answer = "repeated", &CopyMade{}
		return json.Unmarshal(claim.Answer, p.answer)
	case errors.Is(err, errClaimed):
		return ErrRunning
	case err != nil:
		return err
	case claim.Identifier != "":
		if p.made, err = tx.Copy(ctx, licence.CopyID(claim.Identifier)); err != nil {
			return err
		}
	default:
		rec, err := tx.Licence(ctx, p.made.Identifier)
		if err == nil && rec.Status != p.rec.Status {
			err = licence.ErrWrongStatus
		}
		if err != nil {
			return err
		}
		if err := tx.InsertCopy(ctx, p.made); err != nil {
			return err
		}
		if err := tx.BindKey(ctx, c.Principal, q.Key, licence.Identifier(p.made.ID)); err != nil {
			return err
		}
	}
	e.Digest = p.made.DataDigest[:]
	return nil
}

// finishCopy takes a reserved copy through the rest.
func (r *Registry) finishCopy(ctx context.Context, c Caller, q CopyRequest, p *copying) (CopyMade, audit.Receipt, error) {
	if err := r.drawCopy(ctx, p); err != nil {
		return CopyMade{}, audit.Receipt{}, err
	}
	if err := r.sealInUse(ctx, p.key); err != nil {
		return CopyMade{}, audit.Receipt{}, err
	}
	holder := p.rec.Holder
	receipt, err := r.gate.Step(ctx, c, &Access{Action: ActionCopySeal, Object: string(p.made.Identifier), Holder: holder, Digest: p.digest[:],
		Use: Use{Purpose: sealObject(p.key.Seal.ID), Case: q.Use.Case}})
	if err != nil {
		return CopyMade{}, receipt, err
	}
	file, err := r.sealAlone(ctx, &p.soleSeal)
	if err == nil {
		err = r.checkCopy(ctx, p, file)
	}
	if err != nil {
		return CopyMade{}, receipt, fmt.Errorf("sealing a copy of %s: %w", p.made.Identifier, err)
	}
	return r.enterCopy(ctx, c, q, p, file)
}

// drawCopy does all that needs no seal key.
func (r *Registry) drawCopy(ctx context.Context, p *copying) error {
	who, s := r.cfg.Annotator, &p.sealing
	s.rec.Data, s.rec.DataDigest = p.made.Data, p.made.DataDigest
	if err := r.lay(ctx, s); err != nil {
		return err
	}
	s.rec.CreatedAt = s.lic.Copy.CreatedAt
	in, err := r.drawing(ctx, s)
	if err != nil {
		return err
	}
	if s.out, err = s.layout.RenderCopy(r.cfg.Fonts, in, who.Strip, r.sealPictures(s)); err != nil {
		return fmt.Errorf("drawing a copy: %w", err)
	}
	p.key, p.soleSeal.sealedAt = who.Seal, r.now().Truncate(time.Second)
	return p.prepare(s.out, who.Authority.Name, "加注件制作")
}

// sealPictures are those of the seals that a licence bears, as these authorities have them
// now; nil for one that has none here.
func (r *Registry) sealPictures(s *sealing) (all []*render.SealPicture) {
	for _, c := range append(s.lic.CoSealers, licence.CoSealer{Code: s.lic.Authority.Code}) {
		var picture *render.SealPicture
		if k := r.cfg.Seals[c.Code]; k != nil {
			picture = k.Picture
		}
		all = append(all, picture)
	}
	return all
}

// checkCopy verifies the finished copy as a stranger would, and compares it with what was
// reserved and logged.
func (r *Registry) checkCopy(ctx context.Context, p *copying, file []byte) error {
	f, err := p.prepared.Read(file)
	if err == nil {
		err = r.cfg.Check(ctx, f, r.now())
	}
	if err != nil {
		return fmt.Errorf("verifying the finished copy: %w", err)
	}
	p.fileDigest = f.WholeDigest()
	signature, err := seal.ParseSignature(f.Signatures[0].Contents)
	if err != nil {
		return err
	}
	if string(signature.DocumentDigest) != string(p.digest[:]) {
		return errors.New("the finished copy differs from what was logged before sealing")
	}
	return p.checkContent(f)
}

// enterCopy ends it: file, answer and log entry in one transaction.
func (r *Registry) enterCopy(ctx context.Context, c Caller, q CopyRequest, p *copying, file []byte) (CopyMade, audit.Receipt, error) {
	digest := p.fileDigest
	if err := r.cfg.Files.Put(ctx, digest, file); err != nil {
		return CopyMade{}, audit.Receipt{}, fmt.Errorf("storing the copy: %w", err)
	}
	f := File{Digest: digest, RangeDigest: p.digest, Size: int64(len(file)), Timestamped: !p.soleSeal.token.IsZero(), TimestampedAt: p.soleSeal.token,
		SealedAt: p.soleSeal.sealedAt, CreatedAt: r.now()}
	answer := CopyMade{Copy: p.made.ID, Identifier: p.made.Identifier, CreatedAt: p.lic.Copy.CreatedAt, ExpiresOn: p.made.ExpiresOn,
		DataDigest: hex.EncodeToString(p.made.DataDigest[:]), FileDigest: hex.EncodeToString(digest[:]), Timestamped: f.Timestamped}
	stored, err := json.Marshal(answer)
	if err != nil {
		return CopyMade{}, audit.Receipt{}, err
	}
	receipt, err := r.gate.Step(ctx, c, &Access{
		Action: ActionCopied, Object: string(p.made.Identifier), Holder: p.rec.Holder, Digest: digest[:], Use: Use{Case: q.Use.Case, Matter: q.Use.Matter},
		Apply: func(ctx context.Context, tx Tx, _ *audit.Entry) error {
			if err := tx.SetCopyFile(ctx, p.made.ID, f); err != nil {
				return err
			}
			return tx.AnswerKey(ctx, c.Principal, q.Key, stored)
		},
	})
	return answer, receipt, err
}

// GetCopy returns the file of an annotated copy to the department that it was made for, to
// the end of its last day. licence.ErrNotFound for anybody else's, ErrCopyExpired, ErrBraked.
func (r *Registry) GetCopy(ctx context.Context, c Caller, id licence.CopyID, use Use) ([]byte, audit.Receipt, error) {
	made, found := r.cfg.Store.Copy(ctx, id)
	rec, known := Record{}, error(nil)
	if found == nil {
		rec, known = r.cfg.Store.Licence(ctx, made.Identifier)
	}
	a := &Access{Action: ActionCopyDownload, Object: "copy/" + string(id), Use: use, Holder: rec.Holder, Basis: &Basis{Client: c.Principal}}
	a.Check = func() error {
		switch {
		case found != nil || known != nil:
			return errors.Join(found, known)
		case made.Receiver != c.Authority.Code || c.Authority.Code == "" || !made.made() || !made.asSealed():
			return ErrOutOfReach
		}
		a.Object, a.Holder, a.Digest = string(made.Identifier), rec.Holder, made.File.Digest[:]
		switch {
		case c.Brake.Standing:
			return ErrBraked
		case !r.now().Before(made.ExpiresOn.EndsAt()):
			return ErrCopyExpired
		}
		return nil
	}
	receipt, err := r.gate.Pass(ctx, c, a)
	if err != nil {
		return nil, receipt, err
	}
	file, err := r.gate.stored(ctx, made.File.Digest)
	if err == nil {
		err = ownFile(file, made.Data)
	}
	if err != nil {
		return nil, receipt, fmt.Errorf("the file of copy %s: %w", id, err)
	}
	return file, receipt, nil
}
