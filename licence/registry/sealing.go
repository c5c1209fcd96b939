package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"elicence/crypto/pdfsig"
	"elicence/crypto/seal"
	"elicence/crypto/tsa"
	"elicence/licence"
	"elicence/licence/render"
)

// tokenRoom is what /Contents keeps free for a timestamp token that comes later.
const tokenRoom = 4 << 10

// sealing is a licence between its steps.
type sealing struct {
	rec Record
	old Record // the version that rec supersedes; zero for none
	lic *licence.Licence
	by  *edition // that the licence is made by
	// seals are used in this order: the co-seals, then the issuing authority's own.
	seals      []sealUse
	layout     *render.Layout // put on the document, where there is one
	removed    Removed        // of the document
	qr         licence.QRText
	out        render.Output
	file       []byte           // with the signatures so far; nil before the first
	last       *pdfsig.Prepared // that file was finished from
	fileDigest [32]byte         // of the finished file, once it is checked
	waiting    []pdfsig.Field   // of the signatures still to be made
	digests    [][32]byte       // of the bytes that each seal covers, as logged
	// sealedAt and token are the last seal's; token is zero while its timestamp is pending.
	sealedAt, token time.Time
}

// sealUse is one seal that a licence gets.
type sealUse struct {
	key  *SealKey
	by   licence.CoSealer // whose seal it is
	kind string           // of a co-seal; empty for the issuing authority's own
}

// own is the issuing authority's seal.
func (s *sealing) own() sealUse { return s.seals[len(s.seals)-1] }

// sealReason is what PDF readers show as the reason of a signature.
const sealReason = "电子证照签发"

// gatherSeals finds the seals that the licence data ask for and their places. An error
// when one cannot be used, or when a co-seal could not get its timestamp.
func (r *Registry) gatherSeals(s *sealing) error {
	places := s.layout.CoSealPlacements()
	if n := len(s.lic.CoSealers); n != len(s.by.item.CoSeals) || n != len(places) {
		return fmt.Errorf("licence with %d co-seals of a type with %d", n, len(s.by.item.CoSeals))
	}
	if err := r.tsaResting(); err != nil && len(places) > 0 {
		return fmt.Errorf("%w: %w", ErrTimestampAwaited, err)
	}
	for i, c := range s.lic.CoSealers {
		s.seals = append(s.seals, sealUse{r.cfg.Seals[c.Code], c, s.by.item.CoSeals[i]})
	}
	s.seals = append(s.seals, sealUse{r.cfg.Seals[s.rec.AuthorityCode], licence.CoSealer{Name: s.lic.Authority.Name, Code: s.rec.AuthorityCode}, ""})
	if s.by.item.PAdES {
		s.waiting = append(s.waiting, pdfsig.Field{Name: "pades"})
	}
	places = append(places, s.layout.SealPlacement())
	for i, u := range s.seals {
		if err := u.told(r.usable(u.key, 0)); err != nil {
			return err
		}
		name := "seal"
		if u.kind != "" {
			name = fmt.Sprintf("co-seal-%d", i+1)
		}
		size := u.key.size()
		x, y := places[i].Centred(size[0], size[1])
		s.waiting = append(s.waiting, pdfsig.Field{Name: name, X: x, Y: y, Width: size[0], Height: size[1]})
	}
	return nil
}

// told is an error about the seal, told as a co-seal's where it is one.
func (u sealUse) told(err error) error {
	if u.kind == "" {
		return err
	}
	return ofCoSealer(u.by, err)
}

// tsaResting says why no token is to be had for the moment.
func (r *Registry) tsaResting() error {
	if r.cfg.TSAResting == nil {
		return nil
	}
	return r.cfg.TSAResting()
}

// next appends the revision that will carry the next signature. The first makes the
// fields of all.
func (s *sealing) next(o pdfsig.Options) (*pdfsig.Prepared, error) {
	field, base := s.waiting[0], s.file
	s.waiting = s.waiting[1:]
	o.FieldName, o.Reason = field.Name, sealReason
	if base == nil {
		base, o.Page, o.X, o.Y, o.Later = s.out.PDF, s.out.Seal.Page, field.X, field.Y, s.waiting
	}
	prepared, err := pdfsig.Prepare(base, o)
	if err != nil {
		return nil, fmt.Errorf("preparing the file for its signature %q: %w", field.Name, err)
	}
	return prepared, nil
}

// sealAll ends step 3 and is step 4, for each seal in turn. Only the last may go without
// a timestamp, for what a signature covers cannot change any more.
func (r *Registry) sealAll(ctx context.Context, c Caller, s *sealing) error {
	for i, u := range s.seals {
		s.sealedAt = r.now().Truncate(time.Second)
		var err error
		s.last, err = s.next(pdfsig.Options{
			Appearance: u.key.Appearance, SignerName: u.by.Name, ClaimedTime: s.sealedAt,
			Reserve: len(u.key.Seal.Raw) + len(u.key.Certificate.Raw) + 512 + tokenRoom,
		})
		if err != nil {
			return err
		}
		digest := s.last.Digest()
		if err := r.permitSeal(ctx, c, s, i, digest); err != nil {
			return err
		}
		signature, err := r.seal(ctx, s, u, digest)
		if err != nil {
			return err
		}
		if s.file, err = s.last.Finish(signature.Raw); err != nil {
			return err
		}
		s.digests = append(s.digests, digest)
	}
	return nil
}

// permitSeal logs the digest to be sealed: the entry is durable before the seal key is
// touched. All seals that are still to come must be free to be used, so that none is used
// for a licence that another one keeps back.
func (r *Registry) permitSeal(ctx context.Context, c Caller, s *sealing, i int, digest [32]byte) error {
	for _, u := range s.seals[i:] {
		if err := r.free(ctx, s.lic, u); err != nil {
			return err // changed since step 1: the licence waits
		}
	}
	_, err := r.gate.Step(ctx, c, &Access{Action: ActionSeal, Object: string(s.rec.Identifier), Holder: s.rec.Holder, Digest: digest[:],
		Use: Use{Purpose: sealObject(s.seals[i].key.Seal.ID), Case: s.rec.CaseNumber}})
	return err
}

// free says why a seal must not be used for a licence, whatever its certificates.
func (r *Registry) free(ctx context.Context, l *licence.Licence, u sealUse) error {
	if u.kind != "" {
		consent, err := r.consent(ctx, l.TypeCode, l.Authority.Code, u.kind)
		if err != nil {
			return err
		}
		if consent.CoSealer.Code != u.by.Code {
			return &SealFault{"consent_missing", "of " + u.by.Name + "; " + consent.CoSealer.Name + " has taken its place", ErrNoConsent}
		}
	}
	return u.told(r.sealInUse(ctx, u.key))
}

// seal makes one seal signature with its timestamp. ErrTimestampAwaited when a co-seal
// gets none; the last seal goes without, as timestamp pending.
func (r *Registry) seal(ctx context.Context, s *sealing, u sealUse, digest [32]byte) (*seal.Signature, error) {
	signature, err := seal.Sign(r.cfg.Rand, u.key.Key, u.key.Certificate, u.key.Seal, digest[:], "ByteRange", s.sealedAt)
	if err != nil {
		return nil, fmt.Errorf("sealing: %w", err)
	}
	s.token = time.Time{}
	token, err := r.timestamp(ctx, signature.SignatureValue)
	if err != nil && u.kind != "" {
		return nil, fmt.Errorf("%w: %w", ErrTimestampAwaited, err)
	}
	if err != nil {
		if r.cfg.Failed != nil {
			r.cfg.Failed(s.rec.Identifier, "timestamp", err)
		}
		return signature, nil
	}
	s.token = token.Time
	if signature, err = signature.WithTimestamp(token.Raw); err != nil {
		return nil, fmt.Errorf("adding the timestamp token: %w", err)
	}
	return signature, nil
}

// timestamp asks for a token that fits the room kept for it: an authority that sends
// more stops no issue, but counts as away.
func (r *Registry) timestamp(ctx context.Context, message []byte) (*tsa.Token, error) {
	token, err := r.cfg.TSA.Timestamp(ctx, message)
	if err == nil && len(token.Raw) > tokenRoom {
		return nil, fmt.Errorf("timestamp token of %d bytes in room for %d", len(token.Raw), tokenRoom)
	}
	return token, err
}

// checkDigests compares what each seal of the finished file covers with what was logged
// before that seal was used. That the digests are those of the file's bytes was checked.
func (s *sealing) checkDigests(f *pdfsig.File) error {
	sealed := 0
	for _, c := range f.Signatures {
		if c.SubFilter != pdfsig.SubFilter {
			continue
		}
		signature, err := seal.ParseSignature(c.Contents)
		if err != nil {
			return err
		}
		if sealed == len(s.digests) || !bytes.Equal(signature.DocumentDigest, s.digests[sealed][:]) {
			return errors.New("the finished file differs from what was logged before sealing")
		}
		sealed++
	}
	if sealed != len(s.digests) {
		return fmt.Errorf("the finished file bears %d of %d seals", sealed, len(s.digests))
	}
	return nil
}
