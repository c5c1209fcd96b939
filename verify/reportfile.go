package verify

import (
	"fmt"
	"slices"

	"elicence/crypto/pki"
	"elicence/licence"
)

// attachedReport is the one file attached to a verification report (核验报告), in the
// form that reportFormat names.
const (
	attachedReport = "report.json"
	reportFormat   = "elicence-verification-report/1"
)

// isReport reports whether the file says that it is a verification report. It is sealed
// and built like a licence file, and judged like one as far as that goes; but there is
// no licence in it, so that it never passes.
func (s *session) isReport() bool {
	return len(s.file.Attachments) == 1 && s.file.Attachments[attachedReport] != nil
}

// checkReport judges what a report has in the place of a licence's data: it is
// Indeterminate at best. Whoever sealed it must be the one whose report it says it is.
func (s *session) checkReport() {
	for _, name := range []Name{CheckQR, CheckCoSeals, CheckRegister, CheckState} {
		s.set(name, "not_in_report", "a verification report and no licence")
	}
	v, err := licence.ParseJSON(s.file.Attachments[attachedReport]) // which takes no member twice
	stated, _ := v.(map[string]any)
	platform, _ := stated["platform"].(map[string]any)
	code, _ := platform["code"].(string)
	if err == nil && stated["format"] != reportFormat {
		err = fmt.Errorf("format %.64q is not %q", fmt.Sprint(stated["format"]), reportFormat)
	}
	if err == nil {
		err = licence.CheckUSCC(code)
	}
	if err != nil {
		s.set(CheckAttachedData, "report_malformed", attachedReport+": "+err.Error())
		return
	}
	s.set(CheckAttachedData, "verification_report", fmt.Sprintf("%s, number %q, of %s", attachedReport, quote(fmt.Sprint(stated["number"])), code))
	s.checkReporter(code)
}

// checkReporter holds the signer to who the report says made it, as checkSignerAuthority
// does with a licence.
func (s *session) checkReporter(want string) {
	path := s.checks[CheckSignerCertificate]
	if path.Result == ResultFailed {
		return
	}
	code, err := pki.USCC(s.signature.Certificate)
	evidence := fmt.Sprintf("%s; signer's code %q, reporter's %q", path.Evidence, code, want)
	if err != nil || code != want {
		s.set(CheckSignerCertificate, "signer_other_reporter", evidence)
		return
	}
	s.set(CheckSignerCertificate, path.Code, evidence)
}

// GenuineReport reports whether r is on a verification report with nothing wrong but
// that it is no licence.
func (r *Report) GenuineReport() bool {
	bad := slices.DeleteFunc(slices.Clone(r.Checks), func(c Check) bool { return gravity(c) < 2 })
	return len(bad) == 1 && bad[0].Code == "verification_report"
}
