package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/big"
	"net/http"
	"strings"
	"time"

	"elicence/crypto/pki"
	"elicence/crypto/pki/ocsp"

	"golang.org/x/time/rate"
)

// Where the status service stands, on the listener of the API.
const (
	pkiPath  = "/pki/"
	ocspPath = pkiPath + "ocsp"
	// answersPath has the certificates of the keys that sign answers, the present one first.
	answersPath = pkiPath + "answer.pem"
)

// Bounds of the status service.
const (
	statusRate   = 200 // requests a second, from all together: an answer is one signature
	statusBurst  = 400
	ocspLifetime = 10 * time.Minute
	// evidenceInterval is how often OCSP answers are looked through for old ones.
	evidenceInterval = 5 * time.Second
)

// statusService gives out the lists of both CAs, the trust list and the certificates of
// events and of answers, and answers by OCSP for the issuing CA.
//
// It is public, as RFC 5280 and RFC 6960 want it, and asks for no token. What it answers
// is signed and the same for all, and who asks learns of no licence that they do not
// know already. So it is no operation on licences and makes no entry in the access log;
// making a trust list does.
type statusService struct {
	in        *instance
	cas       map[string]*pki.Certificate // by path, such as /pki/issuing.crl
	answers   []byte                      // certificates that signed answers have, PEM
	responder *ocsp.Responder
	event     *pki.Certificate // whose key signs events; nil when none are sent
	limit     *rate.Limiter
}

// withStatus puts the status service in front of the API.
func (in *instance) withStatus(next http.Handler) (http.Handler, error) {
	s := &statusService{in: in, cas: map[string]*pki.Certificate{}, limit: rate.NewLimiter(statusRate, statusBurst)}
	for _, name := range caNames {
		cert, err := in.keys.certificate(name)
		if err != nil {
			return nil, err
		}
		s.cas[pkiPath+name+".crl"] = cert
	}
	signers, err := in.keys.everCertified(answerKey)
	if err != nil {
		return nil, err
	}
	s.answers = pki.MarshalTrustAnchors(signers, nil)
	if err := s.openResponder(s.cas[pkiPath+"issuing.crl"]); err != nil {
		return nil, err
	}
	if s.event, _, err = in.keys.eventSigner(); err != nil {
		return nil, err
	}
	status := in.server.Observed(pkiPath, s)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, pkiPath) {
			status.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	}), nil
}

// openResponder answers with the certificate that set-up made for it. In an instance
// that is older than that, or where it expired or was revoked, the CA signs itself.
func (s *statusService) openResponder(issuer *pki.Certificate) error {
	cert, key, err := s.in.keys.pair("ocsp")
	if errors.Is(err, fs.ErrNotExist) || err == nil && s.spent(cert, issuer) {
		cert, key, err = s.in.keys.pair("issuing")
	}
	if err != nil {
		return fmt.Errorf("opening the OCSP signer: %w", err)
	}
	s.responder = &ocsp.Responder{
		Issuer: issuer, Certificate: cert, Key: key, Lifetime: ocspLifetime, Now: time.Now, Rand: rand.Reader,
		Revoked: func(serial *big.Int) (*pki.Revoked, error) {
			anchors := s.in.anchors.Load()
			if list, ok := anchors.CRL(issuer); !ok || time.Now().After(list.NextUpdate) {
				return nil, errors.New("there is no current list to answer from")
			}
			return anchors.RevokedSerial(issuer, serial), nil
		},
	}
	return nil
}

// spent reports whether a certificate signs no more answers.
func (s *statusService) spent(cert, issuer *pki.Certificate) bool {
	return time.Now().After(cert.NotAfter) || s.in.anchors.Load().RevokedSerial(issuer, cert.SerialNumber) != nil
}

// ServeHTTP implements http.Handler for what lies under /pki/.
func (s *statusService) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ca := s.cas[r.URL.Path]
	asked := r.URL.Path == ocspPath || strings.HasPrefix(r.URL.Path, ocspPath+"/")
	trust, event, answers := r.URL.Path == trustListPath, r.URL.Path == eventPath, r.URL.Path == answersPath
	switch {
	case ca == nil && !asked && !trust && !event && !answers:
		http.Error(w, "there is nothing at this address", http.StatusNotFound)
	case !s.limit.Allow():
		tooMany(w)
	case asked:
		http.StripPrefix(ocspPath, s.responder).ServeHTTP(w, r)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "GET or HEAD", http.StatusMethodNotAllowed)
	case trust:
		s.trustList(w, r)
	case event:
		s.eventCertificate(w)
	case answers:
		w.Header().Set("Content-Type", "application/pem-certificate-chain")
		w.Header().Set("Cache-Control", "max-age=600")
		w.Write(s.answers)
	default:
		s.list(w, ca)
	}
}

// tooMany refuses one more request of the many at once.
func tooMany(w http.ResponseWriter) {
	w.Header().Set("Retry-After", "1")
	http.Error(w, "too many requests", http.StatusTooManyRequests)
}

// list gives out the newest list of a CA (RFC 2585 §4.2).
func (s *statusService) list(w http.ResponseWriter, ca *pki.Certificate) {
	list, ok := s.in.anchors.Load().CRL(ca)
	if !ok {
		http.Error(w, "there is no list yet", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/pkix-crl")
	w.Header().Set("Last-Modified", list.ThisUpdate.UTC().Format(http.TimeFormat))
	w.Header().Set("Cache-Control", "max-age=60")
	w.Write(list.Raw)
}

// refreshEvidence asks the responders of outside CAs about what seals rely on, so that
// no licence waits for them.
func (in *instance) refreshEvidence(ctx context.Context) {
	in.registry.SealStates() // which asks about every certificate, and so keeps it in mind
	if err := in.evidence.Refresh(ctx); err != nil {
		slog.Warn("no OCSP answer", "fault", err)
	}
}
