package registry

import (
	"context"
	"fmt"
	"time"

	"elicence/crypto/pdfsig"
	"elicence/crypto/seal"
	"elicence/licence/render"
)

// soleSeal is the one seal of a file that the platform makes: a report, or an annotated copy.
type soleSeal struct {
	key      *SealKey
	prepared *pdfsig.Prepared
	digest   [32]byte // of the bytes the seal covers
	// sealedAt is when it is used; token is the time of its timestamp, zero while there is none.
	sealedAt, token time.Time
}

// prepare appends the revision that will carry the seal.
func (s *soleSeal) prepare(out render.Output, sealer, reason string) (err error) {
	a := s.key.Appearance
	o := pdfsig.Options{
		FieldName: "seal", Page: out.Seal.Page, Appearance: a,
		SignerName: sealer, Reason: reason, ClaimedTime: s.sealedAt,
		Reserve: len(s.key.Seal.Raw) + len(s.key.Certificate.Raw) + 512 + tokenRoom,
	}
	o.X, o.Y = out.Seal.Centred(a.Width, a.Height)
	if s.prepared, err = pdfsig.Prepare(out.PDF, o); err != nil {
		return fmt.Errorf("preparing the file for its seal: %w", err)
	}
	s.digest = s.prepared.Digest()
	return nil
}

// sealAlone uses the key. Without a token the file is as good: its entry in the log
// proves its time.
func (r *Registry) sealAlone(ctx context.Context, s *soleSeal) ([]byte, error) {
	signature, err := seal.Sign(r.cfg.Rand, s.key.Key, s.key.Certificate, s.key.Seal, s.digest[:], "ByteRange", s.sealedAt)
	if err != nil {
		return nil, err
	}
	if token, err := r.timestamp(ctx, signature.SignatureValue); err == nil {
		s.token = token.Time
		if signature, err = signature.WithTimestamp(token.Raw); err != nil {
			return nil, err
		}
	}
	return s.prepared.Finish(signature.Raw)
}
