package main

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"elicence/api"
	"elicence/crypto/pdfsig"
	"elicence/crypto/pki"
	"elicence/licence"
	"elicence/licence/registry"
	"elicence/licence/registry/bundles"
	"elicence/verify"
)

// keepFor is how far ahead a bundle is verified before it is given out: by then every
// certificate but perhaps a CA's has expired and no list is current.
const keepFor = 10 // years

// gatherEvidence is the evidence for bundles.New: the CA certificates on the path of each
// certificate and, link by link, a statement that it is not revoked.
func (in *instance) gatherEvidence(_ context.Context, relied []bundles.Relied) (bundles.Evidence, error) {
	used := slices.MaxFunc(relied, func(x, y bundles.Relied) int { return x.At.Compare(y.At) }).At
	anchors, err := in.anchorsSince(used)
	if err != nil {
		return bundles.Evidence{}, err
	}
	e := &evidence{anchors: anchors, status: in.evidence.Asking, now: time.Now()}
	for _, r := range relied {
		path, err := anchors.CheckPath(r.Certificate, pki.PathOptions{
			Usage: r.Usage, At: r.At, Now: e.now, Intermediates: r.Intermediates, Status: in.evidence.Asking})
		if err != nil {
			return bundles.Evidence{}, fmt.Errorf("%w: %w", registry.ErrEvidence, err)
		}
		for i, cert := range path.Chain[:len(path.Chain)-1] {
			since := time.Time{} // a CA's own list may be older than what it certified
			if i == 0 {
				since = r.At
			}
			if err := e.add(cert, path.Chain[i+1], since); err != nil {
				return bundles.Evidence{}, err
			}
		}
	}
	return e.Evidence, nil
}

// listSkew is how much older than the use of a certificate a statement on it may say
// that it is: our own lists are dated back a minute, and clocks differ. A verifier
// allows for more.
const listSkew = 2 * time.Minute

// anchorsSince are the anchors with lists of our own CAs that are not older than since:
// where they are, the CAs sign new ones.
func (in *instance) anchorsSince(since time.Time) (*pki.TrustAnchors, error) {
	issuing, err := in.keys.certificate("issuing")
	if err != nil {
		return nil, err
	}
	anchors := in.anchors.Load()
	if list, ok := anchors.CRL(issuing); ok && !list.ThisUpdate.Before(since.Add(-listSkew)) {
		return anchors, nil
	}
	if err := renewCRLs(in.keys, time.Now(), since); err != nil {
		return nil, fmt.Errorf("renewing the revocation lists: %w", err)
	}
	if anchors, err = in.keys.anchors(); err != nil {
		return nil, err
	}
	in.anchors.Store(anchors)
	return anchors, nil
}

// evidence is what is gathered for one bundle.
type evidence struct {
	bundles.Evidence
	anchors *pki.TrustAnchors
	status  func(cert, issuer *pki.Certificate) *pki.Status
	now     time.Time
}

// add takes in an issuer and its statement on a certificate, made at since or later: its
// list, or else an OCSP answer.
func (e *evidence) add(cert, issuer *pki.Certificate, since time.Time) error {
	keep(&e.Certificates, issuer.Raw)
	fit := func(thisUpdate, nextUpdate time.Time) bool {
		return !e.now.Before(thisUpdate) && !e.now.After(nextUpdate) && !thisUpdate.Before(since.Add(-listSkew))
	}
	if list, ok := e.anchors.CRL(issuer); ok && fit(list.ThisUpdate, list.NextUpdate) {
		keep(&e.CRLs, list.Raw)
		return nil
	}
	if status := e.status(cert, issuer); status != nil && status.Raw != nil && fit(status.ThisUpdate, status.NextUpdate) {
		keep(&e.OCSP, status.Raw)
		return nil
	}
	return fmt.Errorf("%w: nothing that %q said of %q since %s", registry.ErrEvidence,
		issuer.Subject.CommonName, cert.Subject.CommonName, since.UTC().Format(time.RFC3339))
}

// keep adds what is not there yet.
func keep(list *[][]byte, der []byte) {
	if !slices.ContainsFunc(*list, func(b []byte) bool { return bytes.Equal(b, der) }) {
		*list = append(*list, der)
	}
}

// checkBundle is the check for bundles.New: with the bare certificates of the anchors, so
// that every list has to be in the bundle, and years from now.
func (in *instance) checkBundle(ctx context.Context, raw []byte) error {
	bare, err := pki.ParseTrustAnchors(pki.MarshalTrustAnchors(in.anchors.Load().Certificates(), nil))
	if err != nil {
		return err
	}
	v := verify.Verifier{Anchors: bare, Policy: in.policy}
	return passed(v.VerifyBundle(ctx, raw, time.Now().AddDate(keepFor, 0, 0)))
}

// check verifies a finished file as a stranger with the anchors would, and what OCSP
// evidence is at hand.
func (in *instance) check(ctx context.Context, f *pdfsig.File, at time.Time) error {
	v := verify.Verifier{Anchors: in.anchors.Load(), Status: in.evidence.Known}
	return passed(v.VerifyRead(ctx, f, at))
}

// judgeImport implements registry.Config.JudgeImport: only who is among the anchors for other
// platforms is trusted, so a file of one is indeterminate until its root is put there.
func (in *instance) judgeImport(ctx context.Context, file []byte, l *licence.Licence) (registry.Judgement, error) {
	v := verify.Verifier{Anchors: in.anchors.Load(), ForeignAnchors: in.foreign.Load(), Status: in.evidence.Known}
	return api.Judged(v.VerifyExternal(ctx, file, l, time.Now()))
}

// passed says by an error why a report is not TotalPassed.
func passed(report *verify.Report) error {
	if report.Indication == verify.TotalPassed {
		return nil
	}
	for _, c := range report.Checks {
		if c.Result == verify.ResultFailed || c.Result == verify.ResultIndeterminate {
			return fmt.Errorf("%s/%s: %s: %s (%s)", report.Indication, report.SubIndication, c.Name, c.Code, c.Evidence)
		}
	}
	return fmt.Errorf("%s/%s", report.Indication, report.SubIndication)
}
