package registry

import (
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"time"

	"elicence/audit"
	"elicence/crypto/pdfsig"
	"elicence/crypto/pdfsig/pades"
)

// PAdESKey signs licences for PDF readers that know no SM2, before their seal.
type PAdESKey struct {
	Chain []*x509.Certificate // the signer's first
	Key   crypto.Signer       // P-256, or RSA of 2,048 bits or more
}

// usable says why nothing can be signed at a time, with ErrNoSeal; nil when it can.
func (k *PAdESKey) usable(at time.Time) error {
	switch {
	case k == nil:
		return fmt.Errorf("%w: the licence type asks for a PAdES signature, and there is no key for it", ErrNoSeal)
	case at.Before(k.Chain[0].NotBefore) || at.After(k.Chain[0].NotAfter):
		return fmt.Errorf("%w: the certificate of the PAdES signature is out of its validity", ErrNoSeal)
	}
	return nil
}

// padesRoom is what a PAdES signature may take beside its certificates: attributes,
// an RSA signature and their encoding.
const padesRoom = 2 << 10

// signPAdES signs the drawn file for readers without SM2, where the licence type asks
// for that. It is the first signature; the entry with the digest of what is signed is
// durable before the key is touched.
func (r *Registry) signPAdES(ctx context.Context, c Caller, s *sealing) error {
	if !s.by.item.PAdES {
		return nil
	}
	key := r.cfg.PAdES
	if err := key.usable(r.now()); err != nil {
		return err
	}
	room := padesRoom
	for _, cert := range key.Chain {
		room += len(cert.Raw)
	}
	prepared, err := s.next(pdfsig.Options{
		SubFilter: pdfsig.SubFilterPAdES, Reserve: room, SignerName: s.lic.Authority.Name, ClaimedTime: r.now()})
	if err != nil {
		return err
	}
	digest := prepared.Digest()
	if _, err := r.gate.Step(ctx, c, &Access{Action: ActionPAdES, Object: string(s.rec.Identifier), Digest: digest[:], Use: Use{Case: s.rec.CaseNumber}}); err != nil {
		return err
	}
	h := sha256.New()
	if _, err := prepared.WriteTo(h); err != nil {
		return err
	}
	der, err := pades.Sign(r.cfg.Rand, key.Key, key.Chain, h.Sum(nil))
	if err != nil {
		return err
	}
	s.file, err = prepared.Finish(der)
	return err
}

// ActionPAdES permits the signature for readers without SM2.
const ActionPAdES audit.Action = "pades_signing"
