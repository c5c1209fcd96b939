package main

import (
	"context"
	"crypto/rand"
	"time"

	"elicence/licence"
	"elicence/licence/registry"
	"elicence/verify"
)

// trustList signs the states of all licences that are not simply valid. It speaks
// for the authorities of this instance, every licence of which is in its register.
func (in *instance) trustList(ctx context.Context, now time.Time) ([]byte, error) {
	qr, err := in.keys.qrCertificates()
	if err != nil {
		return nil, err
	}
	cert, key, err := in.keys.pair("trust-list")
	if err != nil {
		return nil, err
	}
	list := &verify.TrustList{Counter: now.Unix(), IssuedAt: now, ExpiresAt: now.Add(24 * time.Hour),
		QRSigners: qr, States: map[[32]byte]licence.Status{}}
	for _, a := range in.settings.Authorities {
		list.Authorities = append(list.Authorities, a.Code)
	}
	_, err = in.registry.States(ctx, registry.System("trust-list"), func(id licence.Identifier, s licence.Status, _ time.Time) error {
		if s != licence.StatusValid {
			list.States[verify.IdentifierDigest(id)] = s
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return verify.SignTrustList(rand.Reader, key, cert, list)
}
