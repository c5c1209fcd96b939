package pki

import (
	"bytes"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"time"
)

const (
	maxPathLength    = 6  // certificates in a path, leaf and anchor included
	maxIntermediates = 16 // certificates a file may offer
	maxPathSteps     = 32 // signatures looked at before the search gives up
)

// PathOptions say what a path is wanted for and when.
type PathOptions struct {
	Intermediates []*Certificate // untrusted certificates to build with, at most 16
	Usage         Usage          // what the leaf must be good for
	At            time.Time      // proven time: validity and revocation are judged here
	Now           time.Time      // validation time: CRLs must be current here
	// Since is the earliest that a CRL, or a Status, may have been made to show that the
	// leaf is not revoked; zero: any that is current at Now will do, as it always does
	// for the CAs above, whose lists may last for months.
	Since time.Time
	// Status is asked for links that no current CRL covers and whose issuer is an
	// anchor. It returns nil when it knows nothing. A nil Status: CRLs alone count.
	Status func(cert, issuer *Certificate) *Status
	// AllowOtherUsage lets a seal maker's certificate that is itself an anchor pass
	// although its extended key usage, not critical, names uses that this project does
	// not know: whoever pinned it vouches for it, and Path.OtherUsage says so. For seals
	// of other makers; what is below an anchor is never let through.
	AllowOtherUsage bool
}

// Path is a good path from a leaf to as far up as the anchors go (证书链).
type Path struct {
	Chain []*Certificate // leaf first
	// RevokedLater is the revocation of a link, the lowest if several, that took
	// effect after At. The path passes, and the caller reports it. Nil: none.
	RevokedLater *Revoked
	// OtherUsage is what a leaf that passed by AllowOtherUsage says that it is for:
	// identifiers in dots. The caller reports it. Empty: the leaf is for Usage.
	OtherUsage []string
}

// PathReason says why there is no good path.
type PathReason string

// The reasons, each with the sub-indication that a report would give.
const (
	NoPath            PathReason = "no_path"            // no way to an anchor
	BadSignature      PathReason = "bad_signature"      // the named issuer's key did not sign it
	NotCA             PathReason = "not_ca"             // a link signs certificates without the right to
	WrongUsage        PathReason = "wrong_usage"        // the leaf is not for this usage
	WrongAlgorithm    PathReason = "wrong_algorithm"    // a link is not SM2 with SM3
	NotYetValid       PathReason = "not_yet_valid"      // At is before a link's validity
	Expired           PathReason = "expired"            // At is after a link's validity
	RevokedLink       PathReason = "revoked"            // a link was revoked at or before At
	RevocationUnknown PathReason = "revocation_unknown" // no CRL of a link's issuer, or other Status, is current at Now, or new enough for Since
)

// PathError is the error of CheckPath.
type PathError struct {
	Reason      PathReason
	Certificate *Certificate // the link at fault
	Detail      string       // the fault in words; may be empty
	RevokedAt   time.Time    // since when it counts as revoked; zero unless Reason says revoked
}

// Error names the certificate and the fault.
func (e *PathError) Error() string {
	text := fmt.Sprintf("certificate %q: %s", e.Certificate.Subject.CommonName, e.Reason)
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	return text
}

// CheckPath builds a path from leaf to an anchor and judges every link of it: its
// algorithm, signature, right to sign, validity at o.At, and revocation by a CRL
// of its issuer that is current at o.Now (thisUpdate ≤ Now ≤ nextUpdate).
//
// Every anchor ends a path, a leaf only for itself; but as long as another anchor
// signed it, the path goes on, and a fault higher up counts too. Only the topmost
// link needs no CRL; and since CRLs come with the anchors alone, what an
// intermediate that is no anchor issued is RevocationUnknown at best. The error, if
// any, is a *PathError; of several possible paths it tells the fault of the first,
// in the order of the anchors.
func (a *TrustAnchors) CheckPath(leaf *Certificate, o PathOptions) (Path, error) {
	s := &search{anchors: a, options: o, steps: maxPathSteps}
	if len(o.Intermediates) > maxIntermediates {
		return Path{}, &PathError{Reason: NoPath, Certificate: leaf, Detail: "too many intermediate certificates"}
	}
	other, err := a.usage(leaf, o)
	if err != nil {
		return Path{}, &PathError{Reason: WrongUsage, Certificate: leaf, Detail: err.Error()}
	}
	path, fault := s.extend([]*Certificate{leaf})
	if fault != nil {
		return Path{}, fault // a nil *PathError would be a non-nil error
	}
	path.OtherUsage = other
	return path, nil
}

// usage tells why leaf does not serve o.Usage, or, if only o.AllowOtherUsage lets it,
// what other uses it names.
func (a *TrustAnchors) usage(leaf *Certificate, o PathOptions) (other []string, err error) {
	pinned := a.isAnchor(leaf)
	err = allowedFor(leaf, o.Usage, pinned)
	if purpose := (*purposeError)(nil); pinned && o.AllowOtherUsage && o.Usage == UsageSealMaker && errors.As(err, &purpose) {
		other = otherUsage(leaf)
	}
	if other != nil {
		return other, nil
	}
	return nil, err
}

func (a *TrustAnchors) isAnchor(cert *Certificate) bool { return a.pinned[string(cert.Raw)] }

// search is one call of CheckPath. steps bounds its work: issuers with equal names
// could otherwise make it grow without end.
type search struct {
	anchors *TrustAnchors
	options PathOptions
	steps   int
}

// extend returns the first good path that begins with chain, or the fault of the
// first that is not good.
func (s *search) extend(chain []*Certificate) (Path, *PathError) {
	top := chain[len(chain)-1]
	if len(chain) > maxPathLength {
		return Path{}, &PathError{Reason: NoPath, Certificate: top, Detail: "path is too long"}
	}
	if fault := s.checkLink(top); fault != nil {
		return Path{}, fault
	}
	issuers, named := s.issuers(chain)
	if len(issuers) == 0 {
		return s.end(chain, named)
	}
	var first *PathError
	for _, issuer := range issuers {
		path, fault := s.extend(append(slices.Clone(chain), issuer))
		if fault == nil {
			return path, nil
		}
		if first == nil {
			first = fault
		}
	}
	return Path{}, first
}

// end closes a path whose top nothing known signed: it must be an anchor. named
// reports whether a certificate bore the issuer's name.
func (s *search) end(chain []*Certificate, named bool) (Path, *PathError) {
	top := chain[len(chain)-1]
	switch {
	case s.steps == 0: // what was not looked at may hold a fault
		return Path{}, &PathError{Reason: NoPath, Certificate: top, Detail: "too many possible issuers"}
	case s.anchors.isAnchor(top):
		return s.judge(chain)
	case named:
		return Path{}, &PathError{Reason: BadSignature, Certificate: top, Detail: "its issuer's key did not sign it"}
	}
	return Path{}, &PathError{Reason: NoPath, Certificate: top, Detail: "no trust anchor leads to it"}
}

// issuers returns the certificates that signed the top of chain. An anchor is
// followed only to other anchors, so that what a file brings along cannot bend a
// path that is already trusted. named reports whether one had the right name.
func (s *search) issuers(chain []*Certificate) (issuers []*Certificate, named bool) {
	top := chain[len(chain)-1]
	if bytes.Equal(top.RawIssuer, top.RawSubject) && s.anchors.verifies(top, top) {
		return nil, false
	}
	candidates := slices.Clone(s.anchors.byName[string(top.RawIssuer)])
	if !s.anchors.isAnchor(top) {
		for _, c := range s.options.Intermediates {
			if bytes.Equal(c.RawSubject, top.RawIssuer) {
				candidates = append(candidates, c)
			}
		}
	}
	for _, c := range candidates {
		if s.steps == 0 || slices.ContainsFunc(chain, c.Equal) || slices.ContainsFunc(issuers, c.Equal) {
			continue
		}
		s.steps--
		named = true
		if s.anchors.verifies(top, c) {
			issuers = append(issuers, c)
		}
	}
	return issuers, named
}

// The critical extensions that checkLink, allowedFor and checkCA act upon.
var (
	oidKeyUsage         = asn1.ObjectIdentifier{2, 5, 29, 15}
	oidBasicConstraints = asn1.ObjectIdentifier{2, 5, 29, 19}
	oidNameConstraints  = asn1.ObjectIdentifier{2, 5, 29, 30}
)

// checkLink judges a certificate by itself.
func (s *search) checkLink(cert *Certificate) *PathError {
	fault := func(reason PathReason, detail string) *PathError {
		return &PathError{Reason: reason, Certificate: cert, Detail: detail}
	}
	for _, ext := range cert.Extensions {
		if ext.Id.Equal(oidNameConstraints) {
			return fault(NotCA, "name constraints are not supported")
		}
	}
	if err := CheckExtensions(cert.Extensions, oidKeyUsage, oidBasicConstraints, oidExtendedKeyUsage); err != nil {
		return fault(WrongUsage, err.Error())
	}
	switch {
	case !usesSM2(cert):
		return fault(WrongAlgorithm, "not SM2 with SM3")
	case s.options.At.Before(cert.NotBefore):
		return fault(NotYetValid, "valid from "+cert.NotBefore.UTC().Format(time.RFC3339))
	case s.options.At.After(cert.NotAfter):
		return fault(Expired, "valid until "+cert.NotAfter.UTC().Format(time.RFC3339))
	}
	return nil
}

// judge checks each link of a path against the one above it: the right to sign,
// the length allowed, and revocation.
func (s *search) judge(chain []*Certificate) (Path, *PathError) {
	path := Path{Chain: chain}
	for i, cert := range chain[:len(chain)-1] {
		issuer := chain[i+1]
		if err := checkCA(issuer); err != nil {
			return Path{}, &PathError{Reason: NotCA, Certificate: issuer, Detail: err.Error()}
		}
		if limit := issuer.MaxPathLen; limit >= 0 && i > limit {
			return Path{}, &PathError{Reason: NotCA, Certificate: issuer, Detail: "path is longer than it allows"}
		}
		since := time.Time{}
		if i == 0 {
			since = s.options.Since
		}
		later, fault := s.checkRevocation(cert, issuer, since)
		if fault != nil {
			return Path{}, fault
		}
		if path.RevokedLater == nil {
			path.RevokedLater = later
		}
	}
	return path, nil
}

// checkRevocation looks cert up in its issuer's newest CRL and in the newest that is
// current, and asks o.Status when none is. A list that is not current still proves a
// revocation; it only cannot prove the absence. Where Now is long past both lists count,
// because a CA may leave expired certificates out of its later ones (RFC 5280 §5).
func (s *search) checkRevocation(cert, issuer *Certificate, since time.Time) (later *Revoked, fault *PathError) {
	lists := s.anchors.crls[string(issuer.RawSubjectPublicKeyInfo)]
	serial := cert.SerialNumber.String()
	if len(lists) > 0 {
		later = newest(lists).revoked[serial]
	}
	fit := slices.DeleteFunc(slices.Clone(lists), func(c *crl) bool { return !s.current(c.thisUpdate, c.nextUpdate, since) })
	known := len(fit) > 0
	if known {
		later = earlier(later, newest(fit).revoked[serial])
	} else {
		if status := s.status(cert, issuer, since); status != nil {
			known, later = true, earlier(later, status.Revoked)
		}
	}
	switch {
	case later != nil && !later.Effective().After(s.options.At):
		return nil, &PathError{Reason: RevokedLink, Certificate: cert, Detail: later.Reason.String(), RevokedAt: later.Effective()}
	case known:
		return later, nil
	case len(lists) == 0:
		return nil, &PathError{Reason: RevocationUnknown, Certificate: cert, Detail: "no CRL of its issuer"}
	}
	return nil, &PathError{Reason: RevocationUnknown, Certificate: cert, Detail: "the CRL of its issuer is not current, or too old"}
}

// status is what o.Status knows at Now. What an issuer that is no anchor says of its
// certificates is not asked for: its address would come from a stranger's file.
func (s *search) status(cert, issuer *Certificate, since time.Time) *Status {
	if s.options.Status == nil || !s.anchors.isAnchor(issuer) {
		return nil
	}
	status := s.options.Status(cert, issuer)
	if status == nil || !s.current(status.ThisUpdate, status.NextUpdate, since) {
		return nil
	}
	return status
}

// current reports whether Now lies within an issuer's statement, both ends included,
// and the statement was not made before since.
func (s *search) current(thisUpdate, nextUpdate, since time.Time) bool {
	now := s.options.Now
	return !now.Before(thisUpdate) && !now.After(nextUpdate) && !thisUpdate.Before(since)
}
