package registry

import (
	"context"
	"crypto"
	"errors"
	"time"

	"elicence/crypto/pdfsig"
	"elicence/crypto/pki"
	"elicence/crypto/seal"
	"elicence/licence"
	"elicence/licence/render"
)

// SealKey is the seal of one authority with the key that signs with it.
type SealKey struct {
	Seal        *seal.Seal
	Certificate *pki.Certificate
	Key         crypto.Signer
	// Appearance is what the widget shows: drawn and deflated once, not per licence.
	Appearance pdfsig.Appearance
	// Picture is the same as drawn, for layouts with riding seals, which cut slices
	// of it.
	Picture *render.SealPicture
}

// size is the picture's width and height in points.
func (k *SealKey) size() [2]float64 { return [2]float64{k.Appearance.Width, k.Appearance.Height} }

// expiresAt is the last moment of the seal or of its signer's certificate, whichever
// comes first.
func (k *SealKey) expiresAt() time.Time {
	if k.Seal.ValidTo.Before(k.Certificate.NotAfter) {
		return k.Seal.ValidTo
	}
	return k.Certificate.NotAfter
}

// SealFault says why nothing can be sealed for an authority now. It is ErrNoSeal when
// the seal itself is at fault, else ErrSigner; either is ErrCoSeal where the seal is a
// co-sealing authority's, and ErrNoConsent says that it may not be used.
type SealFault struct {
	// Reason is stable: seal_missing, seal_not_yet_valid, seal_expired, seal_unregistered, seal_misplaced,
	// seal_ and a [SealStatus], signer_not_listed, expires_soon; signer_, maker_ or qr_signer_ and a [pki.PathReason];
	// or consent_missing, consent_not_yet_valid, consent_ended.
	Reason string
	Detail string // for people
	kind   error
}

// Error names the fault.
func (f *SealFault) Error() string { return f.kind.Error() + ": " + f.Detail }

// Unwrap gives ErrNoSeal or ErrSigner.
func (f *SealFault) Unwrap() error { return f.kind }

// ofCoSealer is an error about a co-sealing authority's seal, told as that.
func ofCoSealer(c licence.CoSealer, err error) error {
	var fault *SealFault
	if errors.As(err, &fault) {
		return &SealFault{fault.Reason, c.Name + " (" + c.Code + "): " + fault.Detail, ErrCoSeal}
	}
	return err
}

// usable says why nothing can be sealed now, as a *SealFault; nil when it can. With a
// margin it also refuses what ends within that time. It is asked before anything is
// reserved, with the margin, and again, without, before a key is used.
func (r *Registry) usable(k *SealKey, margin time.Duration) error {
	at := r.now()
	if fault := k.fault(at, margin); fault != nil {
		return fault
	}
	if r.cfg.Trusted == nil {
		return nil
	}
	for _, c := range []struct {
		role  string
		cert  *pki.Certificate
		usage pki.Usage
	}{
		{"signer", k.Certificate, pki.UsageSealSigner},
		{"maker", k.Seal.Maker, pki.UsageSealMaker},
		{"qr_signer", r.cfg.QR.Certificate, pki.UsageQR},
	} {
		if err := r.cfg.Trusted(c.cert, c.usage, at); err != nil {
			return &SealFault{c.role + "_" + pathReason(err), err.Error(), ErrSigner}
		}
	}
	return nil
}

// pathReason is the stable reason of a path that is not good.
func pathReason(err error) string {
	var fault *pki.PathError
	if errors.As(err, &fault) {
		return string(fault.Reason)
	}
	return string(pki.NoPath)
}

// fault judges the seal and its signer's certificate by their own dates.
func (k *SealKey) fault(at time.Time, margin time.Duration) *SealFault {
	if k == nil {
		return &SealFault{"seal_missing", "the authority has none", ErrNoSeal}
	}
	day := func(t time.Time) string { return t.UTC().Format(time.RFC3339) }
	switch cert := k.Certificate; {
	case !k.Seal.Lists(cert):
		return &SealFault{"signer_not_listed", "the seal does not list its signer's certificate", ErrNoSeal}
	case at.Before(k.Seal.ValidFrom):
		return &SealFault{"seal_not_yet_valid", "the seal's validity begins at " + day(k.Seal.ValidFrom), ErrNoSeal}
	case at.After(k.Seal.ValidTo):
		return &SealFault{"seal_expired", "the seal's validity ended at " + day(k.Seal.ValidTo), ErrNoSeal}
	case at.Before(cert.NotBefore):
		return &SealFault{"signer_not_yet_valid", "the signer's certificate is valid from " + day(cert.NotBefore), ErrSigner}
	case at.After(cert.NotAfter):
		return &SealFault{"signer_expired", "the signer's certificate expired at " + day(cert.NotAfter), ErrSigner}
	case margin > 0 && at.Add(margin).After(k.expiresAt()):
		return &SealFault{"expires_soon", "seal or certificate end at " + day(k.expiresAt()) + ", which is too soon for a new licence", ErrSigner}
	}
	return nil
}

// What a seal is for. Reports are sealed with that of licences.
const (
	SealsLicences = "licences"
	SealsCopies   = "copies"
)

// SealState is whether an authority's seal can be used, for those who watch.
type SealState struct {
	Authority string     // unified social credit code
	Use       string     // what it is for: SealsLicences or SealsCopies
	Fault     *SealFault // why a new licence would be refused; nil: it would not
	ExpiresAt time.Time  // when the seal or its signer's certificate ends
}

// SealStates tells of every seal, in the order of the authorities' codes. It shows
// nothing of a licence, so it is no operation and not logged.
func (r *Registry) SealStates() []SealState {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	var states []SealState
	for _, s := range r.ownSeals() {
		k := s.SealKey
		state := SealState{Authority: s.authority, Use: s.use, ExpiresAt: k.expiresAt()}
		if !errors.As(r.usable(k, r.cfg.SealMargin), &state.Fault) {
			errors.As(r.sealInUse(ctx, k), &state.Fault)
		}
		states = append(states, state)
	}
	return states
}
