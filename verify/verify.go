// Package verify judges licence files and QR texts, offline or with a register.
//
// It follows the order of GB/T 38540-2020 for a seal signature and states its
// verdict in the words of ETSI EN 319 102-1: an indication and a
// sub-indication, below them one Check for each step. It departs from EN
// 319 102-1 in one respect: where GB/T 38540 calls a seal signature invalid on
// evidence that is in hand (the signer is not in the seal's certificate list, a
// certificate is not for this use), the verdict is TotalFailed and not
// Indeterminate, which is kept for what could not be established.
//
// # Invariants
//
//   - A report always holds every check, once each, in the order of Names; that on
//     a bundle, CheckLog before them; that on an annotated copy, CheckCopy among them.
//   - A failed check, the state of the licence apart, makes the file
//     TotalFailed; else an indeterminate one makes it Indeterminate. A check
//     that lacked its input is not_checked and changes nothing.
//   - Whether the file is genuine (Indication) and whether the licence is in
//     force (LicenceState) are two questions; neither answer is derived from
//     the other, except that nothing is said of a licence whose file failed.
//   - Certificates and seals are judged at a proven time, a timestamp token's or
//     the log's, and otherwise at the validation time. The claimed signing
//     time proves nothing.
//   - A file passes only under the seal of the authority that its data names: the
//     signer's certificate states that authority's unified social credit code. Seals
//     before it must be those of the co-sealing authorities that the data name, each
//     once, in their order, and no others. An annotated copy passes only under the seal of
//     the maker that its data name, and within its own time; what its QR signer vouches for
//     by the digest of these data is that it may make copies.
//   - A file of another platform, OFD or PDF, passes only where the register holds that very
//     file as imported, under the seal or signature of the authority that it holds as the
//     issuing one, over all of it. What nobody imported is Indeterminate at best.
//   - Everything is judged over the bytes received, never over a re-encoding.
//   - No input makes the package panic; work and memory are bounded by the
//     limits of the parsers it calls.
//
// What it does not do: it does not know which licence types have co-seals, so that data
// which name none are judged as they stand; it does not read the page, neither its text, which is what
// the sealed bytes show and is not compared with the data, nor the drawn QR symbol
// (that it equals the attached payload is proved when a licence is issued); and it
// fetches nothing from a network (a Status that it is given may). Its callers are cmd/elicence, api and
// cmd/elicenced, and a browser by way of GOOS=js.
package verify

import (
	"context"
	"time"

	"elicence/audit"
	"elicence/crypto/pdfsig"
	"elicence/crypto/pki"
	"elicence/licence"
)

// Verifier holds what a verification relies on. It is not changed by use and is
// safe for concurrent use when its Register is.
type Verifier struct {
	// Anchors are the certificates and CRLs trusted. With nil no path can be
	// followed and no file is TotalPassed.
	Anchors *pki.TrustAnchors
	// ForeignAnchors are trusted for the files of other platforms in place of Anchors, and for
	// nothing else: whoever is known to sign there signs nothing here. Nil: Anchors are.
	ForeignAnchors *pki.TrustAnchors
	// Status is asked about certificates that no current CRL covers (see
	// pki.PathOptions); nil: CRLs alone count, as offline.
	Status func(cert, issuer *pki.Certificate) *pki.Status
	// Trust is the signed list of QR signers and licence states; nil when there is none.
	Trust *TrustList
	// QRSigners are further certificates whose QR payloads VerifyQR can look up by
	// key id. They are looked up, not trusted: their path is followed to Anchors.
	QRSigners []*pki.Certificate
	// Policy says whose checkpoints to believe in a bundle; nil: nobody's.
	Policy *audit.Policy
	// Register is asked for what it knows of the licence; nil when offline.
	Register Register
	// StatusAsOf tells the stored status that a licence of Register had at an instant,
	// licence.ErrNotFound before it was there. Nil: the past is not known.
	StatusAsOf func(context.Context, licence.Identifier, time.Time) (licence.Status, error)
}

// Input is what is verified: a file, the text of a QR code, or both.
type Input struct {
	// File is a licence file; nil when there is none.
	File []byte
	// QR is the text of a QR code; empty when there is none. Beside a file it has to be
	// the text of that file's own code; beside a file of another platform it is not looked at.
	QR string
	// AsOf is a day for which the licence's state is asked besides that of now; zero: none.
	AsOf licence.Date
}

// Verify judges in at the validation time at. It never fails: whatever the bytes are,
// the report says what is known of them.
func (v *Verifier) Verify(ctx context.Context, in Input, at time.Time) *Report {
	s := newSession(v, at)
	if in.File != nil {
		f := s.read(in.File)
		s.lookUpFile(ctx, in.File, f)
		if s.takeExternal(f); s.external {
			s.judgeExternal(in.File)
			s.checkRegister(ctx)
		} else {
			s.judge(ctx, f, in.QR)
		}
	} else {
		s.judgeQR(ctx, in.QR)
	}
	r := s.report()
	r.CodeAlone = in.File == nil
	r.AsOf = s.asOf(ctx, in.AsOf, r.Indication)
	return r
}

// VerifyFile is Verify of a file alone.
func (v *Verifier) VerifyFile(ctx context.Context, file []byte, at time.Time) *Report {
	if file == nil {
		file = []byte{}
	}
	return v.Verify(ctx, Input{File: file}, at)
}

// VerifyQR is Verify of the text of a QR code alone. The QR signer is looked up by its
// key id in the trust list and in QRSigners.
func (v *Verifier) VerifyQR(ctx context.Context, text string, at time.Time) *Report {
	return v.Verify(ctx, Input{QR: text}, at)
}

// VerifyRead is VerifyFile for a caller that has read the file for itself. It asks
// the register by the licence's identifier alone, not for the whole file.
func (v *Verifier) VerifyRead(ctx context.Context, f *pdfsig.File, at time.Time) *Report {
	s := newSession(v, at)
	s.judge(ctx, f, "")
	return s.report()
}

// judge makes the checks of a file, as far as there is one, and of the text of a QR code
// that came with it; empty: none.
func (s *session) judge(ctx context.Context, f *pdfsig.File, text string) {
	if f != nil && s.open(f) {
		s.checkSealSignature()
		s.checkTimestamp()
		s.proveTime()
		s.checkSeal()
		s.checkCertificates()
		s.checkDocumentDigest()
		if s.isReport() {
			s.checkEarlier()
			s.checkReport()
			return
		}
		s.checkAttachedData()
		s.checkSignerAuthority()
		s.checkEarlier()
		s.checkCoSeals()
		s.checkCopy()
		s.checkQR()
		s.checkQRText(text)
		s.checkRegister(ctx)
	}
}

func (s *session) judgeQR(ctx context.Context, text string) {
	for _, name := range []Name{CheckCoverage, CheckSealSignature, CheckSeal, CheckSealMaker, CheckSignerCertificate,
		CheckRevocation, CheckTimestamp, CheckDocumentDigest, CheckAttachedData, CheckCoSeals} {
		s.set(name, "not_in_qr", "a QR code and no file")
	}
	if s.openQR(text) {
		s.lookUpIdentifier(ctx)
		s.proveTime()
		s.checkLookedUpQR()
		s.checkRegisteredQR()
		s.checkCopy()
	}
}
