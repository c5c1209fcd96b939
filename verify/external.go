package verify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"elicence/crypto/cms"
	"elicence/crypto/ofd"
	"elicence/crypto/pdfsig"
	"elicence/crypto/pki"
	"elicence/crypto/seal"
	"elicence/licence"
)

// maxExternalWork is how many signed bytes of a PDF are looked at, those that several
// signatures cover counted for each.
const maxExternalWork = 32 << 20

// VerifyExternal judges the file of a licence that another platform issued, of which l is
// known: its signatures, as far as they can be read, and that the issuing authority of l
// made one of them. It asks no register.
func (v *Verifier) VerifyExternal(ctx context.Context, file []byte, l *licence.Licence, at time.Time) *Report {
	s := newSession(v, at)
	f := s.read(file)
	if f != nil { // built like our own: then it has to be as good, and what is stated
		s.judge(ctx, f, "")
		s.compareStated(l)
	} else {
		s.checks, s.subs = map[Name]Check{}, map[Name]SubIndication{}
		s.external, s.licence = true, l
		s.judgeExternal(file)
	}
	r := s.report()
	r.Origin = licence.OriginExternal
	return r
}

// compareStated compares what a file that is built like our own says of itself with what is
// stated of it. Who imports a copy, or another licence's file, has no licence.
func (s *session) compareStated(l *licence.Licence) {
	own := s.licence
	if own == nil {
		return // it failed, or is a report
	}
	same := own.Copy == nil && own.Identifier == l.Identifier && own.Number == l.Number && own.TypeCode == l.TypeCode &&
		own.Holder.Code == l.Holder.Code && own.Authority.Code == l.Authority.Code
	if !same && s.checks[CheckAttachedData].Result != ResultFailed {
		s.set(CheckAttachedData, "external_data_differs", fmt.Sprintf("the file: %s, number %q; stated: %s, number %q", own.Identifier, quote(own.Number), l.Identifier, quote(l.Number)))
	}
}

// isOFD reports whether a file is an archive that names what every OFD has. Others, and
// evidence bundles among them, are no licence files of anybody.
func isOFD(file []byte) bool { return ofd.IsOFD(file) && bytes.Contains(file, []byte("OFD.xml")) }

// takeExternal takes from the register what it holds of a licence of another platform, when
// this is its file. f is what the strict reader made of it; a file that is built like our own
// is judged as one.
func (s *session) takeExternal(f *pdfsig.File) {
	if f == nil && s.exact && s.entry.External != nil {
		s.external, s.licence = true, s.entry.External
		s.checks, s.subs = map[Name]Check{}, map[Name]SubIndication{}
	}
}

// origin is what the report says of whose file or licence it is.
func (s *session) origin() licence.Origin {
	if s.external || s.entry != nil && s.entry.External != nil {
		return licence.OriginExternal
	}
	return ""
}

// neededExternal are the checks that must have passed.
func (s *session) neededExternal() []Name {
	needed := []Name{CheckStructure, CheckCoverage, CheckSealSignature, CheckSignerCertificate, CheckRevocation, CheckDocumentDigest}
	if s.checks[CheckSeal].Code != "external_no_seal" {
		needed = append(needed, CheckSeal, CheckSealMaker)
	}
	return needed
}

// externalSignature is one signature in the file of another platform: its value, and the
// bytes that it is over.
type externalSignature struct {
	who      string
	contents []byte
	document func() []byte
	// whole says of a signature of a PDF that it ends with the file.
	whole bool
}

// judgeExternal makes the checks of a file of another platform.
func (s *session) judgeExternal(file []byte) {
	for _, name := range []Name{CheckQR, CheckAttachedData, CheckCoSeals} {
		s.set(name, "not_in_external", "a file of another platform")
	}
	if s.licence == nil { // who should have signed is known from the register alone
		s.set(CheckAttachedData, "external_not_on_record", "no register that holds this file was asked")
	}
	var signatures []externalSignature
	if isOFD(file) {
		signatures = s.openOFD(file)
	} else {
		signatures = s.openForeignPDF(file)
	}
	issuing, whole, others := false, false, false
	for i, sig := range signatures {
		child := newSession(s.verifier, s.at)
		child.external, child.basis, child.entry, child.exact = true, s.basis, s.entry, s.exact
		code := child.judgeExternalSignature(sig)
		own := s.licence != nil && code == s.licence.Authority.Code
		issuing, whole, others = issuing || own, whole || own && sig.whole, others || !own
		s.join(child, sig.who, i == 0)
		if len(signatures) > 1 {
			s.seals = append(s.seals, child.externalReport(sig.who, code))
		}
	}
	if len(signatures) > 0 && s.licence != nil && !issuing && s.checks[CheckSignerCertificate].Result == ResultPassed {
		s.set(CheckSignerCertificate, "external_signer_other_authority", fmt.Sprintf("%s; no signer states the issuing authority's code %q",
			s.checks[CheckSignerCertificate].Evidence, s.licence.Authority.Code))
	}
	// What others signed, or their seals show, the issuing authority need not have seen.
	if issuing && !whole && (others || !isOFD(file)) && s.checks[CheckCoverage].Result == ResultPassed {
		s.set(CheckCoverage, "external_partly_covered", "not all of it by the signature of the issuing authority")
	}
}

// join takes over what was found with the first signature, and what is worse with a later one.
func (s *session) join(child *session, who string, first bool) {
	for name, check := range child.checks {
		if _, there := s.checks[name]; !there && first {
			s.set(name, check.Code, who+": "+check.Evidence)
		}
	}
	s.adopt(child, who+": ")
}

func (s *session) externalReport(who, code string) SealReport {
	r := SealReport{Field: quote(who), Code: code}
	if s.signature != nil {
		r.Name = quote(s.signature.Seal.Name)
	}
	s.fill(sealChecks)
	for _, name := range sealChecks {
		r.Checks = append(r.Checks, s.checks[name])
	}
	return r
}

// openOFD makes the checks of the archive, and finds its signatures.
func (s *session) openOFD(file []byte) (found []externalSignature) {
	f, err := ofd.Read(file)
	if fault := (*ofd.FormatError)(nil); errors.As(err, &fault) {
		s.set(CheckStructure, "ofd_"+fault.Code, err.Error())
		return nil
	}
	if s.compareOFDData(f.Custom); len(f.Signatures) == 0 {
		s.set(CheckStructure, "external_unsigned", fmt.Sprintf("OFD of %d files, no signature", len(f.Entries)))
		return nil
	}
	s.set(CheckStructure, "external_structure_ok", fmt.Sprintf("OFD of %d files, %d signatures", len(f.Entries), len(f.Signatures)))
	s.set(CheckCoverage, "external_coverage_ok", fmt.Sprintf("%d files, each covered by a signature or part of one", len(f.Entries)))
	if len(f.Uncovered) > 0 {
		s.set(CheckCoverage, "external_partly_covered", fmt.Sprintf("%d of %d files that no signature covers: %s", len(f.Uncovered), len(f.Entries), several(f.Uncovered)))
	}
	for _, sig := range f.Signatures {
		switch {
		case len(sig.Changed)+len(sig.Missing) > 0:
			s.set(CheckDocumentDigest, "external_content_changed", fmt.Sprintf("%s: changed: %s; missing: %s", quote(sig.Name), several(sig.Changed), several(sig.Missing)))
		case sig.Weak != "" && s.checks[CheckDocumentDigest].Code == "":
			s.set(CheckDocumentDigest, "external_content_weak", fmt.Sprintf("%s: digests by %s", quote(sig.Name), quote(sig.Weak)))
		}
		found = append(found, externalSignature{quote(sig.Name), sig.Contents, func() []byte { return sig.Info }, false})
	}
	return found
}

// several is a list of names for evidence.
func several(names []string) string {
	const most = 5
	if len(names) == 0 {
		return "none"
	}
	text := quote(strings.Join(names[:min(len(names), most)], ", "))
	if len(names) > most {
		text += fmt.Sprintf(" and %d more", len(names)-most)
	}
	return text
}

// compareOFDData compares the metadata (GB/T 36903, in pinyin initials) that an OFD has for
// its own with what is on record.
func (s *session) compareOFDData(custom map[string]string) {
	if s.licence == nil {
		return
	}
	same, compared := true, []string(nil)
	for _, c := range []struct{ name, want string }{
		{"ZZBS", string(s.licence.Identifier)}, {"ZZBH", s.licence.Number}, {"ZZBFJGDM", s.licence.Authority.Code}, {"CZZTDM", s.licence.Holder.Code},
	} {
		if got := custom[c.name]; got != "" {
			same = same && got == c.want
			compared = append(compared, fmt.Sprintf("%s %q, on record %q", c.name, quote(got), c.want))
		}
	}
	switch evidence := strings.Join(compared, "; "); {
	case len(compared) == 0:
	case same:
		s.set(CheckAttachedData, "external_data_ok", evidence)
	default:
		s.set(CheckAttachedData, "external_data_differs", evidence)
	}
}

// openForeignPDF makes the checks of a PDF that others made, and finds its signatures.
func (s *session) openForeignPDF(file []byte) (found []externalSignature) {
	all, err := pdfsig.ScanForeign(file)
	if fault := (*pdfsig.FormatError)(nil); errors.As(err, &fault) && len(all) == 0 {
		if fault.Code == pdfsig.CodeNoSignature && bytes.HasPrefix(file, []byte("%PDF-")) {
			s.set(CheckStructure, "external_unsigned", "PDF without a signature")
			return nil
		}
		s.set(CheckStructure, "pdf_"+fault.Code, err.Error())
		return nil
	}
	s.set(CheckStructure, "external_structure_ok", fmt.Sprintf("PDF, %d signatures", len(all)))
	if err != nil {
		s.set(CheckStructure, "external_signature_unread", err.Error())
	}
	covered, left := false, int64(maxExternalWork)
	for i := range all {
		f := &all[i]
		covered = covered || f.CoversFile
		if left -= f.ByteRange[1] + f.ByteRange[3]; left < 0 {
			s.set(CheckStructure, "external_signature_unread", fmt.Sprintf("signatures over more than %d bytes in all", maxExternalWork))
			break
		}
		found = append(found, externalSignature{fmt.Sprintf("signature %d, %s %s", i+1, quote(f.Filter), quote(f.SubFilter)), f.Contents, f.SignedBytes, f.CoversFile})
	}
	s.set(CheckCoverage, "external_coverage_ok", "a signature ends with the file")
	if !covered {
		s.set(CheckCoverage, "external_partly_covered", "something stands behind the last byte that a signature covers")
	}
	return found
}

// judgeExternalSignature judges one signature by what it is, whatever the file calls it, and
// returns the unified social credit code that its signer's certificate states; it may be empty.
func (s *session) judgeExternalSignature(sig externalSignature) (code string) {
	document := sig.document()
	if cms.IsSignedData(sig.contents) {
		return s.judgeCMS(sig.contents, document)
	}
	signature, err := seal.ParseSignature(sig.contents, seal.Deviations()...)
	if err != nil {
		s.set(CheckSealSignature, "seal_signature_malformed", err.Error())
		return ""
	}
	s.signature, s.rangeDigest = signature, digest(document)
	if s.checkSealSignature(); s.good(CheckSealSignature) && len(signature.Deviations) > 0 {
		s.set(CheckSealSignature, "external_seal_deviates", fmt.Sprint(signature.Deviations))
	}
	s.checkTimestamp()
	s.proveTime()
	s.checkSeal()
	s.checkCertificates()
	if s.checkDocumentDigest(); !s.good(CheckDocumentDigest) && signature.CoversWithZA(document) {
		s.set(CheckDocumentDigest, "external_content_variant", "SM3(ZA‖M) in the place of SM3(M)")
	}
	return s.stateCode(signature.Certificate)
}

// judgeCMS judges a digital signature without a seal.
func (s *session) judgeCMS(der, document []byte) string {
	signed, err := cms.Parse(der)
	if err != nil {
		s.set(CheckSealSignature, "seal_signature_malformed", err.Error())
		return ""
	}
	s.set(CheckSeal, "external_no_seal", string(signed.Family))
	s.set(CheckSealMaker, "external_no_seal", string(signed.Family))
	s.set(CheckTimestamp, "timestamp_absent", "a timestamp of a CMS is not read")
	verdict := signed.Check(document)
	s.set(CheckSealSignature, "external_signature_ok", fmt.Sprintf("%s signature by the key of %s", signed.Family, describe(signed.Certificate)))
	if !verdict.SignatureValid {
		s.set(CheckSealSignature, "seal_signature_wrong", string(signed.Family))
	}
	s.set(CheckDocumentDigest, "document_digest_ok", "the signature is over these bytes")
	if !verdict.DocumentMatches {
		s.set(CheckDocumentDigest, "document_digest_differs", "the signature is over other bytes")
	}
	s.proveTime()
	signer := s.follow(signed.Certificate, pki.UsageForeign, s.proof, s.proven)
	s.setPath(CheckSignerCertificate, roleSigner, signer)
	s.checkRevocation(signer, certificatePath{fault: "trusted"})
	return s.stateCode(signed.Certificate)
}

// stateCode adds to the evidence on the signer whom its certificate states.
func (s *session) stateCode(cert *pki.Certificate) string {
	c := s.checks[CheckSignerCertificate]
	code, err := pki.USCC(cert)
	if err != nil {
		code = ""
	}
	s.set(CheckSignerCertificate, c.Code, fmt.Sprintf("%s; signer's code %q", c.Evidence, code))
	return code
}
