package verify

import (
	"fmt"
	"slices"
	"time"

	"elicence/licence"
)

// CopyReport is what an annotated copy (加注件) says of itself. Of a QR code alone only ID
// and ExpiresOn are known, unless the register has the rest.
type CopyReport struct {
	ID        licence.CopyID `json:"id"`
	ExpiresOn licence.Date   `json:"expires_on"`
	// MadeAt is when Maker made it for Receiver, in its case of CaseNumber, for Cause.
	MadeAt       time.Time `json:"made_at,omitzero"`
	MakerName    string    `json:"maker_name"`
	MakerCode    string    `json:"maker_code"`
	ReceiverName string    `json:"receiver_name"`
	ReceiverCode string    `json:"receiver_code"`
	Cause        string    `json:"cause"`
	CaseNumber   string    `json:"case_number"`
}

// isCopy reports whether what is judged says that it is an annotated copy.
func (s *session) isCopy() bool { return s.copyID() != "" }

// copyID names the copy that is judged; empty for a licence.
func (s *session) copyID() licence.CopyID {
	switch {
	case s.licence != nil && s.licence.Copy != nil:
		return s.licence.Copy.ID
	case s.licence == nil && s.qr != nil:
		return s.qr.Payload.CopyID
	}
	return ""
}

// copyReport is what is known of the copy that is judged; nil for a licence.
func (s *session) copyReport() *CopyReport {
	if !s.isCopy() {
		return nil
	}
	var c *licence.Copy
	switch {
	case s.licence != nil:
		c = s.licence.Copy
	case s.registeredQR() && s.entry.Copy != nil:
		c = s.entry.Copy
	default:
		return &CopyReport{ID: s.copyID(), ExpiresOn: s.qr.Payload.CopyExpiresOn}
	}
	return &CopyReport{c.ID, c.ExpiresOn, c.CreatedAt, c.Maker.Name, c.Maker.Code, c.Receiver.Name, c.Receiver.Code, c.Cause, c.CaseNumber}
}

// checkCopy holds a copy to its own dates. For whom it is, the report says: that it is used
// for nobody else and nothing else only people can see to.
func (s *session) checkCopy() {
	c := s.copyReport()
	if c == nil {
		return
	}
	evidence := fmt.Sprintf("copy %s of %s, to %s; made %s by %s for %s", c.ID, s.identifier(), c.ExpiresOn, instant(c.MadeAt), quote(c.MakerCode), quote(c.ReceiverCode))
	switch {
	case !s.at.Before(c.ExpiresOn.EndsAt()):
		s.set(CheckCopy, "copy_expired", evidence+"; validation time "+instant(s.at))
	case c.MadeAt.After(s.latest().Add(clockSkew)):
		s.set(CheckCopy, "copy_in_future", evidence+"; validation time "+instant(s.at))
	default:
		s.set(CheckCopy, "copy_ok", evidence)
	}
}

// copyUnregistered reports whether the register has the licence of a copy and not the copy.
func (s *session) copyUnregistered() bool { return s.isCopy() && s.licenceKnown }

// ExpiredCopy reports whether r is on an annotated copy that is genuine, but its last day is over.
func (r *Report) ExpiredCopy() bool {
	return r.Check(CheckCopy).Code == "copy_expired" && !slices.ContainsFunc(r.Checks, func(c Check) bool {
		return gravity(c) > 1 && c.Name != CheckCopy && c.Name != CheckState
	})
}

// copyHeadline is the first sentence of a report on a copy that is genuine.
func (r *Report) copyHeadline() (inChinese, inEnglish string) {
	zh, en, forZH, forEN := "加注件", "annotated copy", "", ""
	if r.CodeAlone {
		zh, en = "加注件的二维码", "annotated copy's QR code"
	}
	if r.Copy.ReceiverName != "" {
		forZH, forEN = "，仅供"+clean(r.Copy.ReceiverName, maxEvidence)+"使用", ", for "+clean(r.Copy.ReceiverName, maxEvidence)+" alone"
	}
	forZH, forEN = forZH+"，有效期至"+r.Copy.ExpiresOn.String(), forEN+", to "+r.Copy.ExpiresOn.String()
	switch {
	case r.ExpiredCopy():
		return "这是加注件，已过有效期，不能再使用" + forZH, "This is an annotated copy whose time is over: do not act on it" + forEN
	case r.LicenceState == licence.StatusUnknown:
		return zh + "真实" + forZH + "；原证照当前状态未核验", "The " + en + " is genuine" + forEN + "; the licence's present state was not checked"
	case r.LicenceState == licence.StatusValid && r.CodeAlone:
		return zh + "真实" + forZH + "；原证照有效。请核对纸面内容与下列信息是否一致",
			"The " + en + " is genuine" + forEN + "; the licence is valid. Compare what is printed with what follows"
	case r.LicenceState == licence.StatusValid:
		return zh + "真实" + forZH + "；原证照有效", "The " + en + " is genuine" + forEN + "; the licence is valid"
	}
	stateZH, stateEN := stateNames(r.LicenceState)
	return zh + "真实，但原证照当前" + stateZH + forZH, "The " + en + " is genuine, but the licence is " + stateEN + forEN
}

func copyReason(code string) (r reason, ok bool) {
	switch code {
	case "copy_ok":
		r = passed("这是证照的加注件，不是证照原件，在有效期内。请核对它写明的使用单位和用途，不得用于别的事项。",
			"This is an annotated copy of a licence and not its original, within its time. See for whom and for what it was made; it is good for nothing else.")
	case "copy_expired":
		r = indeterminate(Expired, "这是证照的加注件，已过有效期，不能再使用。需要时请使用单位重新取得。", "This is an annotated copy of a licence whose time is over. Do not act on it; its receiver may ask for another.")
	case "copy_in_future":
		r = indeterminate(TimestampOrderFailure, "加注件写明的制作时间晚于验证时间。请检查电脑时钟或所选的验证时间后重试。", "The copy says that it was made after the validation time. Check the clock, or the time chosen, and try again.")
	case "copy_not_registered":
		r = indeterminate(NoPOE, "证照库里有这张证照，但没有这份加注件的记录。请勿采信，并向制作加注件的平台核实。", "The register has the licence, and no such copy of it. Do not rely on it; ask the platform that made it.")
	case "copy_seal_alone":
		r = passed("加注件只由制作者盖章；页面上原有印章只是图像，不作验证。", "A copy bears its maker's seal alone; the seals on its pages are pictures, which are not verified.")
	case "signer_other_maker":
		r = failed(SigConstraintsFailure, "加注件不是由它写明的制作者盖的章。请勿采信，并向该制作者核实。", "The maker that the copy names did not seal it. Do not rely on it; ask that maker.")
	}
	return r, r.result != ""
}
