package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"net/http"
	"time"

	"elicence/crypto/pki"
	"elicence/licence"
	"elicence/licence/registry"
	"elicence/verify"

	"github.com/emmansun/gmsm/sm3"
)

const (
	// trustListPath is where the newest trust list is to be had.
	trustListPath = pkiPath + "trust.json"
	// trustListInterval is how often one is made, and how long a cache may keep it.
	trustListInterval = 10 * time.Minute
	// trustListLife is from its issue to its expiry.
	trustListLife = 24 * time.Hour
)

// trustList signs the states of all licences that are not valid, beside the CRLs and QR
// signers of this instance. It speaks for the authorities of the instance, every licence
// of which is in its register. Its cost is that of the licences named: the valid ones
// are not read.
func (in *instance) trustList(ctx context.Context, now time.Time) ([]byte, error) {
	cert, key, err := in.keys.pair("trust-list")
	if err != nil {
		return nil, err
	}
	list := &verify.TrustList{IssuedAt: now, ExpiresAt: now.Add(trustListLife), States: verify.States{}}
	if list.QRSigners, err = in.keys.everCertified("qr"); err != nil {
		return nil, err
	}
	list.Certificates, list.CRLs = issuers(in.anchors.Load())
	for _, a := range in.settings.Authorities {
		list.Authorities = append(list.Authorities, a.Code)
	}
	receipt, err := in.registry.States(ctx, registry.System("trust-list"), func(id licence.Identifier, s licence.Status) error {
		list.States[s] = append(list.States[s], verify.StateKeyOf(id))
		return nil
	}, func() [32]byte { return list.States.Digest() })
	if err != nil {
		return nil, err
	}
	list.Counter = int64(receipt.Index) + 1 // positive, and grows with the log, whichever server makes the list
	return verify.SignTrustList(rand.Reader, key, cert, list)
}

// issuers are the CAs among the anchors that others certified, and the newest CRL of each
// anchor. Roots are left out: nobody would take one from a list.
func issuers(anchors *pki.TrustAnchors) (certs []*pki.Certificate, crls [][]byte) {
	for _, cert := range anchors.Certificates() {
		if cert.IsCA && !bytes.Equal(cert.RawSubject, cert.RawIssuer) {
			certs = append(certs, cert)
		}
		if list, ok := anchors.CRL(cert); ok {
			crls = append(crls, list.Raw)
		}
	}
	return certs, crls
}

// publishedList is a trust list as it is given out.
type publishedList struct {
	content []byte
	tag     string // ETag: SM3 of the content, quoted
	made    time.Time
}

// publishTrustList makes a new list. While that fails the old one is given out, which
// says itself when it expires.
func (in *instance) publishTrustList(ctx context.Context) {
	now := time.Now().UTC().Truncate(time.Second)
	content, err := in.trustList(ctx, now)
	if err != nil {
		if ctx.Err() == nil {
			slog.Error("trust list not made", "fault", err)
		}
		return
	}
	sum := sm3.Sum(content)
	in.published.Store(&publishedList{content, `"` + hex.EncodeToString(sum[:]) + `"`, now})
}

// trustList gives out the newest list, the same for all: a request costs no look into
// the register and no signature.
func (s *statusService) trustList(w http.ResponseWriter, r *http.Request) {
	list := s.in.published.Load()
	if list == nil {
		w.Header().Set("Retry-After", "5")
		http.Error(w, "there is no list yet", http.StatusServiceUnavailable)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "public, max-age=600")
	h.Set("ETag", list.tag)
	http.ServeContent(w, r, "", list.made, bytes.NewReader(list.content))
}
