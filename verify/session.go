package verify

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"elicence/crypto/pdfsig"
	"elicence/crypto/pki"
	"elicence/crypto/seal"
	"elicence/crypto/tsa"
	"elicence/licence"

	"github.com/emmansun/gmsm/sm3"
)

// session is one verification: its inputs, what was read so far, and the checks
// made so far. It is used by one goroutine and thrown away.
type session struct {
	verifier *Verifier
	at       time.Time // validation time
	checks   map[Name]Check
	subs     map[Name]SubIndication

	fileDigest  [32]byte // of the whole file; zero when the register was not asked for it
	file        *pdfsig.File
	signature   *seal.Signature
	rangeDigest [32]byte
	// rangeDigests are those of all signatures; nil when they were not made together.
	rangeDigests [][32]byte

	token  *tsa.Token // the token in the file, good or bad; nil: none
	basis  basis
	proof  time.Time // when certificates are judged
	proven bool      // proof is a proven time, else it is the validation time

	external   bool // made on another platform: judged by external.go
	licence    *licence.Licence
	dataDigest [32]byte
	qr         *licence.QRMessage

	coSeals []*session   // judged by themselves, in their order
	seals   []SealReport // theirs and the last one's; nil without co-seals

	entry         *RegisterEntry
	exact         bool  // entry was found by the digest of the whole file
	registerFault error // the register could not be asked
	licenceKnown  bool  // the register has the licence of a copy that it has not

	bundled bool           // the file came in a bundle
	status  licence.Status // of the licence when the bundle was made, as the log proves; empty: it does not
}

func newSession(v *Verifier, at time.Time) *session {
	return &session{verifier: v, at: at, proof: at, basis: basis{anchors: v.Anchors, status: v.Status, now: at},
		checks: map[Name]Check{}, subs: map[Name]SubIndication{}}
}

func digest(b []byte) [32]byte { return sm3.Sum(b) }

// instant formats a time for evidence.
func instant(t time.Time) string {
	if t.IsZero() {
		return "none"
	}
	return t.UTC().Format(time.RFC3339)
}

// set records the outcome of a check; a later one replaces an earlier one.
func (s *session) set(name Name, code, evidence string) {
	r := reasonFor(code)
	s.checks[name] = Check{Name: name, Result: r.result, Code: code, Evidence: clean(evidence, maxEvidence), ZH: r.zh, EN: r.en}
	s.subs[name] = r.sub
}

// names are the checks of the report, in its order.
func (s *session) names() []Name {
	names := Names()
	if s.isCopy() {
		names = slices.Insert(names, slices.Index(names, CheckAttachedData)+1, CheckCopy)
	}
	if s.bundled {
		return append([]Name{CheckLog}, names...)
	}
	return names
}

// good reports whether a check passed.
func (s *session) good(name Name) bool { return s.checks[name].Result == ResultPassed }

// report closes the session.
func (s *session) report() *Report {
	s.fill(s.names())
	r := &Report{Seals: s.seals, FileDigest: s.fileDigest, Origin: s.origin()}
	r.Indication, r.SubIndication = s.indicate()
	s.judgeState(r)
	for _, name := range s.names() {
		r.Checks = append(r.Checks, s.checks[name])
	}
	if r.Indication != TotalFailed {
		r.Licence = s.licence
		r.Copy = s.copyReport()
		if s.qr != nil && s.good(CheckQR) {
			r.QR = &s.qr.Payload
		}
	}
	return r
}

// fill settles the checks that were not reached. Their evidence is what kept them.
func (s *session) fill(names []Name) {
	why := ""
	for _, name := range names {
		if c := s.checks[name]; why == "" && (c.Result == ResultFailed || c.Result == ResultIndeterminate) {
			why = fmt.Sprintf("stopped at %s: %s", name, c.Code)
		}
	}
	for _, name := range names {
		_, done := s.checks[name]
		if done || name == CheckState || name == CheckRegister && s.withoutEntry() {
			continue
		}
		s.set(name, "not_reached", why)
	}
}

// indicate draws the verdict from the checks: a failed one outweighs an
// indeterminate one, and of equals the first in the order of the report gives
// the reason. TotalPassed needs each of the checks that prove a file, or a QR
// code, to have passed: an oversight that leaves one out cannot turn green.
func (s *session) indicate() (Indication, SubIndication) {
	for _, want := range []struct {
		result Result
		Indication
	}{{ResultFailed, TotalFailed}, {ResultIndeterminate, Indeterminate}} {
		for _, name := range s.names() {
			if s.checks[name].Result == want.result {
				return want.Indication, s.subs[name]
			}
		}
	}
	needed := []Name{CheckStructure, CheckQR}
	switch {
	case s.external:
		needed = s.neededExternal()
	case s.file != nil:
		needed = []Name{CheckStructure, CheckCoverage, CheckSealSignature, CheckSeal, CheckSealMaker,
			CheckSignerCertificate, CheckRevocation, CheckDocumentDigest, CheckQR, CheckAttachedData, CheckCoSeals}
	}
	if s.isCopy() {
		needed = append(needed, CheckCopy)
	}
	for _, name := range needed {
		if !s.good(name) {
			return Indeterminate, NoPOE
		}
	}
	return TotalPassed, ""
}

// read reads the file strictly; nil, with the reason as a check, when it is refused.
func (s *session) read(file []byte) *pdfsig.File {
	f, err := pdfsig.Read(file)
	if err == nil {
		return f
	}
	if s.external = isOFD(file); !s.external {
		s.refuse(file, err)
	}
	return nil
}

// open finds the parts of the file: structure and coverage. It reports whether there
// is a seal signature to judge.
func (s *session) open(f *pdfsig.File) bool {
	last := len(f.Signatures) - 1
	c := f.Signatures[last]
	if c.Filter != pdfsig.Filter || c.SubFilter != pdfsig.SubFilter {
		s.set(CheckStructure, "foreign_signature", c.Filter+" "+c.SubFilter)
		return false
	}
	s.file = f
	s.rangeDigest = s.digestOf(last)
	size := int(c.ByteRange[2] + c.ByteRange[3]) // the last signature covers the whole file
	s.set(CheckStructure, "structure_ok", structureEvidence(f, size))
	s.set(CheckCoverage, "coverage_ok", coverageEvidence(c.ByteRange, size))
	return s.readSeal(c.Contents)
}

// digestOf is SM3 of what signature i covers.
func (s *session) digestOf(i int) [32]byte {
	if s.rangeDigests == nil {
		return s.file.Digest(i)
	}
	return s.rangeDigests[i]
}

// readSeal reads a seal signature. One that can only be read by allowing what other
// makers do is foreign, not damaged.
func (s *session) readSeal(der []byte) bool {
	sig, err := seal.ParseSignature(der)
	if err == nil {
		s.signature = sig
		return true
	}
	if foreign, fault := seal.ParseSignature(der, seal.Deviations()...); fault == nil {
		s.set(CheckSealSignature, "seal_signature_foreign", fmt.Sprintf("seal %s %q of version %d by %s, which deviates from the standard: %s",
			quote(foreign.Seal.ID), quote(foreign.Seal.Name), foreign.Seal.Version, describe(foreign.Seal.Maker), foreign.Deviations))
	} else {
		s.set(CheckSealSignature, "seal_signature_malformed", err.Error())
	}
	return false
}

// refuse reports why the strict reader did not accept the file.
func (s *session) refuse(file []byte, err error) {
	var fault *pdfsig.FormatError
	if !errors.As(err, &fault) {
		s.set(CheckStructure, "pdf_unreadable", err.Error())
		return
	}
	name := CheckStructure
	switch fault.Code {
	case pdfsig.CodeRevisions, pdfsig.CodeByteRange, pdfsig.CodeContents:
		name = CheckCoverage
	case pdfsig.CodeField: // which only a file that is ours as far as that can have
	default:
		if foreign := foreignSubFilters(file); foreign != "" {
			s.set(CheckStructure, "foreign_signature", foreign+"; "+fault.Error())
			return
		}
	}
	s.set(name, "pdf_"+fault.Code, fault.Error())
}

// certificatePath is the outcome of following a certificate to the anchors.
type certificatePath struct {
	path  pki.Path
	fault string // the part of a code after the role; "trusted" when good
	text  string // evidence
}

// follow judges a certificate for a usage at an instant, which is a proven time or
// is not.
func (s *session) follow(cert *pki.Certificate, usage pki.Usage, at time.Time, proven bool) certificatePath {
	anchors := s.basis.anchors
	if usage == pki.UsageForeign && s.verifier.ForeignAnchors != nil {
		anchors = s.verifier.ForeignAnchors
	}
	if anchors == nil {
		return certificatePath{fault: "untrusted", text: describe(cert) + "; no trust anchors given"}
	}
	o := pki.PathOptions{Usage: usage, At: at, Now: s.basis.now, Intermediates: s.basis.between, Status: s.basis.status, AllowOtherUsage: true}
	if !s.basis.logged.IsZero() {
		o.Since = at.Add(-clockSkew) // evidence is not to be older than what it is about
	}
	path, err := anchors.CheckPath(cert, o)
	if err == nil {
		return certificatePath{path: path, fault: "trusted", text: describe(cert) + "; path of " + pathText(path) + " at " + instant(at)}
	}
	text := describe(cert) + "; at " + instant(at) + ": " + err.Error()
	var fault *pki.PathError
	if !errors.As(err, &fault) {
		return certificatePath{fault: "untrusted", text: text}
	}
	if !fault.RevokedAt.IsZero() {
		text += "; revoked " + instant(fault.RevokedAt)
	}
	return certificatePath{fault: pathFaultCode(fault.Reason, proven), text: text}
}

// pathFaultCode names the fault of a path for its code. Without a proven time,
// neither expiry nor revocation says whether the signature came before it.
func pathFaultCode(reason pki.PathReason, proven bool) string {
	switch reason {
	case pki.BadSignature:
		return "chain_broken"
	case pki.NotCA, pki.WrongUsage:
		return "wrong_usage"
	case pki.WrongAlgorithm:
		return "algorithm"
	case pki.RevocationUnknown:
		return "revocation_unknown"
	case pki.NotYetValid, pki.Expired:
		if !proven {
			return "outside_validity_no_poe"
		}
		return string(reason)
	case pki.RevokedLink:
		if !proven {
			return "revoked_no_poe"
		}
		return string(reason)
	}
	return "untrusted"
}
