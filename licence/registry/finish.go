package registry

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"elicence/audit"
	"elicence/crypto/pdfsig"
	"elicence/crypto/pki"
	"elicence/crypto/seal"
	"elicence/licence"
	"elicence/licence/render"
)

// errHopeless says that a licence was voided because it can never be finished.
var errHopeless = errors.New("the licence was voided")

// QRSignerFile is the attached file that holds the QR signer's certificate.
const QRSignerFile = "qr-signer.cer"

// finish takes a pending licence through steps 3 to 6. ErrUnfinished, wrapping
// the cause, when a step failed and the licence stays pending; errHopeless when
// it can never succeed and was voided.
func (r *Registry) finish(ctx context.Context, c Caller, rec Record) (Issued, audit.Receipt, error) {
	s := &sealing{rec: rec}
	for _, step := range []struct {
		name string
		do   func(context.Context, *sealing) error
	}{
		{"supersede", r.checkOld},
		{"render", r.draw},
		{"PAdES", func(ctx context.Context, s *sealing) error { return r.signPAdES(ctx, c, s) }},
		{"seal", func(ctx context.Context, s *sealing) error { return r.sealAll(ctx, c, s) }},
		{"check", r.check},
	} {
		if err := step.do(ctx, s); err != nil {
			return Issued{}, audit.Receipt{}, r.stopped(ctx, c, rec, step.name, err)
		}
	}
	issued, receipt, err := r.enter(ctx, c, s)
	if err != nil {
		return Issued{}, receipt, r.stopped(ctx, c, rec, "enter", err)
	}
	return issued, receipt, nil
}

// stopped decides what a failed step leaves behind: a licence that cannot be
// drawn never will be and is voided; any other stays pending for a retry.
func (r *Registry) stopped(ctx context.Context, c Caller, rec Record, step string, cause error) error {
	if r.cfg.Failed != nil {
		r.cfg.Failed(rec.Identifier, step, cause)
	}
	var invalid *licence.RequestError
	if !errors.As(cause, &invalid) && !errors.Is(cause, errOvertaken) {
		return fmt.Errorf("%w (%s): %w", ErrUnfinished, step, cause)
	}
	if err := r.void(ctx, c, rec, cause.Error()); err != nil {
		return fmt.Errorf("%w (voiding): %w", ErrUnfinished, err)
	}
	return fmt.Errorf("%w: %w", errHopeless, cause)
}

// void gives up a pending licence. Its number stays used; its key is free again,
// so that a corrected request may come with it.
func (r *Registry) void(ctx context.Context, c Caller, rec Record, reason string) error {
	_, err := r.gate.Step(ctx, c, &Access{Action: ActionVoid, Object: string(rec.Identifier), Holder: rec.Holder, Use: Use{Purpose: Clip(reason, 512)},
		Apply: func(ctx context.Context, tx Tx, e *audit.Entry) error {
			change := Change{Reason: reason, CaseNumber: rec.CaseNumber, At: r.now()}
			if err := tx.SetStatus(ctx, rec.Identifier, []licence.Status{licence.StatusPending}, licence.StatusVoided, change); err != nil {
				return err
			}
			return tx.ReleaseKey(ctx, rec.Client, rec.IdempotencyKey)
		}})
	return err
}

// draw begins step 3: sign the QR payload and render. The entry "reserved" permits
// the QR key.
func (r *Registry) draw(ctx context.Context, s *sealing) error {
	if err := r.lay(ctx, s); err != nil {
		return err
	}
	if err := r.gatherSeals(s); err != nil {
		return err // no key is used; the licence waits for seals that can be
	}
	in, err := r.drawing(ctx, s)
	if err != nil {
		return err
	}
	in.SealPicture = s.own().key.Picture
	s.out, err = s.layout.Render(r.cfg.Fonts, in)
	return err
}

// lay finds what a licence, or a copy, is drawn by.
func (r *Registry) lay(ctx context.Context, s *sealing) (err error) {
	if s.lic, err = licence.ParseData(s.rec.Data); err != nil {
		return fmt.Errorf("reading licence data: %w", err)
	}
	if s.by, err = r.madeBy(ctx, &s.rec); err != nil {
		return fmt.Errorf("finding the catalogue item: %w", err)
	}
	document, err := r.kept(ctx, s.lic)
	if err != nil {
		return err
	}
	if s.layout, err = s.by.on(document, s.lic.Document); err != nil {
		return err
	}
	if document != nil {
		s.removed = Removed(strings.Join(document.Removed, " "))
	}
	return nil
}

// drawing signs the QR payload and gathers what is drawn and attached.
func (r *Registry) drawing(ctx context.Context, s *sealing) (render.Input, error) {
	message, err := r.signQR(s)
	if err != nil {
		return render.Input{}, fmt.Errorf("signing the QR payload: %w", err)
	}
	if s.qr, err = licence.NewQRText(r.cfg.PublicURL, message); err != nil {
		return render.Input{}, err
	}
	pinyin, err := s.lic.PinyinData()
	if err != nil {
		return render.Input{}, err
	}
	in := render.Input{
		Licence: s.lic, QR: s.qr, CreatedAt: s.rec.CreatedAt,
		Attachments: []render.Attachment{
			{Name: "licence.json", Description: "Licence data", Data: s.rec.Data},
			{Name: licence.PinyinFile, Description: "Metadata in pinyin initials", Data: pinyin},
			{Name: "qr.cbor", Description: "Signed QR message", Data: message},
			{Name: QRSignerFile, Description: "QR signer certificate", Data: r.cfg.QR.Certificate.Raw},
		},
	}
	return in, r.addPortrait(ctx, s, &in)
}

// signQR signs the payload that the symbol carries.
func (r *Registry) signQR(s *sealing) ([]byte, error) {
	id := pki.KeyID(r.cfg.QR.Certificate)
	payload, err := licence.FitQRPayload(licence.NewQRPayload(s.lic, s.rec.Data), r.cfg.PublicURL)
	if err != nil {
		return nil, err
	}
	signed, err := payload.SignedBytes(id)
	if err != nil {
		return nil, err
	}
	der, err := pki.SignMessage(r.cfg.Rand, r.cfg.QR.Key, signed)
	if err != nil {
		return nil, err
	}
	raw, err := pki.RawSignature(der)
	if err != nil {
		return nil, err
	}
	return payload.Message(id, raw)
}

// check is step 5: the finished file verified as a stranger would, the drawn QR
// symbol decoded, and the digest compared with the logged one.
func (r *Registry) check(ctx context.Context, s *sealing) error {
	f, err := s.last.Read(s.file)
	if err == nil {
		err = r.cfg.Check(ctx, f, r.now())
	}
	if err != nil {
		return fmt.Errorf("verifying the finished file: %w", err)
	}
	if err := s.checkDigests(f); err != nil {
		return err
	}
	s.fileDigest = f.WholeDigest()
	return s.checkContent(f)
}

// checkContent compares the drawn QR symbols and the attached data with what was reserved.
func (s *sealing) checkContent(f *pdfsig.File) error {
	var decoder render.QRDecoder
	for left := s.symbols(); len(left) > 0; {
		page := left[0].box.Page
		var boxes []render.QRBox
		for _, m := range left {
			if m.box.Page != page {
				continue
			}
			if !s.layout.Drew(m.section, f.Backdrop(page)) {
				return errors.New("the page does not begin with the layout's backdrop")
			}
			boxes = append(boxes, m.box)
		}
		left = slices.DeleteFunc(left, func(m symbol) bool { return m.box.Page == page })
		if err := s.checkSymbols(f, page, boxes, &decoder); err != nil {
			return err
		}
	}
	if !bytes.Equal(f.Attachments["licence.json"], s.rec.Data) {
		return errors.New("the attached data are not what was reserved")
	}
	return nil
}

// symbol is where the QR symbol is drawn, on a page of the licence, 0, or of its duplicate of
// a number from 1.
type symbol struct {
	section int
	box     render.QRBox
}

// symbols are all that are drawn; a copy has one more on the strip above its first page.
func (s *sealing) symbols() []symbol {
	all := []symbol{{0, s.out.QR}}
	for i, box := range s.out.Duplicates {
		all = append(all, symbol{i + 1, box})
	}
	if s.out.Strip.Page != 0 {
		all = append(all, symbol{0, s.out.Strip})
	}
	return all
}

// checkSymbols decodes the QR symbols that are drawn on a page.
func (s *sealing) checkSymbols(f *pdfsig.File, page int, boxes []render.QRBox, decoder *render.QRDecoder) error {
	content, err := f.PageContent(page)
	if err != nil {
		return err
	}
	drawn, err := decoder.Decode(content, boxes...)
	if err != nil {
		return fmt.Errorf("decoding the drawn QR symbols: %w", err)
	}
	for _, text := range drawn {
		if text != s.qr.String() {
			return errors.New("a drawn QR symbol is not what was signed")
		}
	}
	return nil
}

// enter is step 6: file, status, answer and log entry in one transaction.
func (r *Registry) enter(ctx context.Context, c Caller, s *sealing) (Issued, audit.Receipt, error) {
	if err := r.cfg.Files.Put(ctx, s.fileDigest, s.file); err != nil {
		return Issued{}, audit.Receipt{}, fmt.Errorf("storing the file: %w", err)
	}
	now := r.now()
	file := File{Digest: s.fileDigest, RangeDigest: s.digests[len(s.digests)-1], Size: int64(len(s.file)),
		Timestamped: !s.token.IsZero(), TimestampedAt: s.token, SealedAt: s.sealedAt, CreatedAt: now}
	issued := s.rec.answer(s.lic, file)
	issued.Removed = s.removed
	corrected, noDisputes := r.corrects(ctx, &s.rec)
	answer, err := json.Marshal(issued)
	if err = errors.Join(noDisputes, err); err != nil {
		return Issued{}, audit.Receipt{}, err
	}
	receipt, err := r.gate.Step(ctx, c, &Access{
		Action: ActionIssued, Object: string(s.rec.Identifier), Digest: s.fileDigest[:], Holder: s.rec.Holder, Use: Use{Case: s.rec.CaseNumber},
		Before: append(s.superseding(), corrected.entries(&s.rec)...),
		Apply: func(ctx context.Context, tx Tx, _ *audit.Entry) error {
			if err := r.supersede(ctx, tx, s, now); err != nil {
				return err
			}
			if err := corrected.apply(ctx, tx, c.Principal, s.rec.Identifier, now); err != nil {
				return err
			}
			change := Change{Reason: cmp.Or(s.rec.StatusReason, "issued"), CaseNumber: s.rec.CaseNumber, At: now}
			if err := tx.Issue(ctx, s.rec.Identifier, file, change); err != nil {
				return err
			}
			if err := r.tell(ctx, tx, &s.rec, s.rec.Operation, now); err != nil {
				return err
			}
			if err := tx.AnswerKey(ctx, s.rec.Client, s.rec.IdempotencyKey, answer); err != nil {
				return err
			}
			return s.rec.settle(ctx, tx, answer)
		},
	})
	return issued, receipt, err
}

// Upgrade fetches tokens for files issued while the TSA was away and replaces
// /Contents in place, in the room kept for it: the sealed bytes stay the same,
// both files stay on record. It returns how many were upgraded; the error joins
// those of files that it had to leave. When the TSA itself does not answer it stops:
// the next run goes on.
func (r *Registry) Upgrade(ctx context.Context) (upgraded int, err error) {
	pending, err := r.cfg.Store.Untimestamped(ctx, upkeepPage)
	if err != nil {
		return 0, fmt.Errorf("finding files without a timestamp: %w", err)
	}
	for _, id := range pending {
		fault := r.upgrade(ctx, id)
		if fault == nil {
			upgraded++
		}
		if fault == nil || errors.Is(fault, errUpgraded) {
			continue
		}
		err = errors.Join(err, fmt.Errorf("timestamping %s: %w", id, fault))
		if errors.Is(fault, errTSA) {
			break
		}
	}
	return upgraded, err
}

// errTSA marks a fault of the TSA, which every other file would meet too.
var errTSA = errors.New("the timestamp authority gave no token")

// upgrade timestamps one file; errUpgraded when another server was first.
func (r *Registry) upgrade(ctx context.Context, id licence.Identifier) error {
	rec, err := r.cfg.Store.Licence(ctx, id)
	if err != nil {
		return err
	}
	if rec.File.Timestamped {
		return errUpgraded
	}
	old, err := r.gate.LicenceFile(ctx, rec)
	if err != nil {
		return err
	}
	file, at, err := r.timestamped(ctx, old)
	if err != nil {
		return err
	}
	f, err := pdfsig.Read(file)
	if err == nil {
		err = r.cfg.Check(ctx, f, r.now())
	}
	if err != nil {
		return fmt.Errorf("verifying the upgraded file: %w", err)
	}
	next := rec.File
	next.Digest = f.WholeDigest()
	if err := r.cfg.Files.Put(ctx, next.Digest, file); err != nil {
		return err
	}
	next.Timestamped, next.TimestampedAt, next.CreatedAt = true, at, r.now()
	_, err = r.gate.Step(ctx, System("timestamp-upgrade"), &Access{
		Action: ActionTimestamp, Object: string(rec.Identifier), Holder: rec.Holder, Digest: next.Digest[:],
		Apply: func(ctx context.Context, tx Tx, _ *audit.Entry) error {
			if now, err := tx.Licence(ctx, id); err != nil || now.File.Digest != rec.File.Digest {
				return errors.Join(err, errUpgraded)
			}
			return tx.SetFile(ctx, id, next)
		},
	})
	return err
}

// errUpgraded stops an upgrade of a file that is not the current one any more: each server
// upgrades, and the first counts.
var errUpgraded = errors.New("another server has replaced the file")

// timestamped returns the file with a token in its seal signature.
func (r *Registry) timestamped(ctx context.Context, file []byte) ([]byte, time.Time, error) {
	f, err := pdfsig.Read(file)
	if err != nil {
		return nil, time.Time{}, err
	}
	signature, err := seal.ParseSignature(f.Signatures[len(f.Signatures)-1].Contents)
	if err != nil {
		return nil, time.Time{}, err
	}
	token, err := r.timestamp(ctx, signature.SignatureValue)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("%w: %w", errTSA, err)
	}
	if signature, err = signature.WithTimestamp(token.Raw); err != nil {
		return nil, time.Time{}, err
	}
	upgraded, err := pdfsig.ReplaceContents(file, signature.Raw)
	return upgraded, token.Time, err
}
