package verify

import (
	"time"

	"elicence/licence"
)

// Indication is the verdict on a file or a QR code (ETSI EN 319 102-1, 5.1.3).
type Indication string

// The indications.
const (
	// TotalPassed: every check that could be made passed, and all that had to be made were.
	TotalPassed Indication = "TotalPassed"
	// Indeterminate: what is at hand does not suffice for a verdict.
	Indeterminate Indication = "Indeterminate"
	// TotalFailed: the file is not what was sealed, or was sealed by somebody who could not.
	TotalFailed Indication = "TotalFailed"
)

// SubIndication is the reason for an indication (ETSI EN 319 102-1, tables 5 and
// 6); it is empty for TotalPassed.
type SubIndication string

// The sub-indications in use.
const (
	FormatFailure                  SubIndication = "FormatFailure"
	HashFailure                    SubIndication = "HashFailure"
	SigCryptoFailure               SubIndication = "SigCryptoFailure"
	Revoked                        SubIndication = "Revoked"
	Expired                        SubIndication = "Expired"
	NotYetValid                    SubIndication = "NotYetValid"
	SigConstraintsFailure          SubIndication = "SigConstraintsFailure"
	ChainConstraintsFailure        SubIndication = "ChainConstraintsFailure"
	CertificateChainGeneralFailure SubIndication = "CertificateChainGeneralFailure"
	CryptoConstraintsFailure       SubIndication = "CryptoConstraintsFailure"
	NoSigningCertificateFound      SubIndication = "NoSigningCertificateFound"
	NoCertificateChainFound        SubIndication = "NoCertificateChainFound"
	TimestampOrderFailure          SubIndication = "TimestampOrderFailure"
	RevokedNoPOE                   SubIndication = "RevokedNoPOE"
	OutOfBoundsNoPOE               SubIndication = "OutOfBoundsNoPOE"
	NoPOE                          SubIndication = "NoPOE"
	TryLater                       SubIndication = "TryLater"
	SignedDataNotFound             SubIndication = "SignedDataNotFound"
)

// Name names a check.
type Name string

// The checks (验证项).
const (
	CheckStructure         Name = "structure"          // the file has the form of a licence file
	CheckCoverage          Name = "coverage"           // the seal signature covers every byte
	CheckSealSignature     Name = "seal_signature"     // the signer's signature over the seal signature's content
	CheckSeal              Name = "seal"               // the seal: its maker's signature, validity period, certificate list
	CheckSealMaker         Name = "seal_maker"         // the seal maker's certificate path
	CheckSignerCertificate Name = "signer_certificate" // the signer's certificate: its path, and that it is the issuing authority's
	CheckRevocation        Name = "revocation"         // revocation of signer and seal maker
	CheckTimestamp         Name = "timestamp"          // the timestamp token
	CheckDocumentDigest    Name = "document_digest"    // SM3 of the file against the sealed digest
	CheckQR                Name = "qr"                 // the QR payload's signature and signer
	CheckAttachedData      Name = "attached_data"      // the attached files, against each other and the QR payload
	CheckCoSeals           Name = "co_seals"           // the seals before the last are those of the authorities that the data name
	CheckRegister          Name = "register"           // what the register holds of this licence
	CheckState             Name = "state"              // the licence's state

	CheckLog  Name = "log"  // of a bundle alone: what the access log proves
	CheckCopy Name = "copy" // of an annotated copy alone: its own dates
)

// Names returns the names of all checks in the order of a report. In the report on a
// bundle CheckLog stands before them, in that on an annotated copy CheckCopy behind CheckAttachedData.
func Names() []Name {
	return []Name{CheckStructure, CheckCoverage, CheckSealSignature, CheckSeal, CheckSealMaker,
		CheckSignerCertificate, CheckRevocation, CheckTimestamp, CheckDocumentDigest, CheckQR,
		CheckAttachedData, CheckCoSeals, CheckRegister, CheckState}
}

// Result is the outcome of one check.
type Result string

// The results.
const (
	ResultPassed        Result = "passed"
	ResultFailed        Result = "failed"
	ResultIndeterminate Result = "indeterminate"
	// ResultNotChecked: the check lacked its input or was not reached.
	ResultNotChecked Result = "not_checked"
)

// Check is one step of a verification.
type Check struct {
	Name   Name   `json:"name"`
	Result Result `json:"result"`
	// Code is the stable reason; one code means one thing and implies Result.
	Code string `json:"code"`
	// Evidence says what was compared with what, for an expert; may be empty.
	Evidence string `json:"evidence"`
	// ZH and EN say to a counter clerk what was found and what to do next.
	ZH string `json:"zh"`
	EN string `json:"en"`
}

// SealReport is what was found with one of several seals.
type SealReport struct {
	// Field is the name of its signature field.
	Field string `json:"field"`
	// Name is the seal's name, Code the unified social credit code in its signer's
	// certificate; both are empty when they could not be read.
	Name string `json:"name"`
	Code string `json:"code"`
	// Checks are those that concern a seal, in the order of Names.
	Checks []Check `json:"checks"`
}

// Report is the outcome of a verification (验证报告).
type Report struct {
	// Indication is about the file or QR code, SubIndication its reason.
	Indication    Indication    `json:"indication"`
	SubIndication SubIndication `json:"sub_indication"`
	// LicenceState is about the licence: StatusUnknown, or what it was at AsKnownAt.
	LicenceState licence.Status `json:"licence_state"`
	// AsKnownAt is when LicenceState was so: when the register was read, when the
	// trust list was issued, or the validation time. UTC, never zero.
	AsKnownAt time.Time `json:"as_known_at"`
	// Origin is licence.OriginExternal where the file, or the licence by the register, is of
	// another platform; else empty.
	Origin licence.Origin `json:"origin,omitempty"`
	// SupersededBy is the newest version of a licence that was superseded, by the register;
	// empty when it was not, or no register was asked.
	SupersededBy licence.Identifier `json:"superseded_by,omitempty"`
	// AsOf is the licence's state on the day that was asked for; nil when none was.
	AsOf *StateAsOf `json:"as_of,omitempty"`
	// FileDigest is SM3 of the file that the register was asked for; zero when it was not.
	FileDigest [32]byte `json:"-"`
	// CodeAlone says that a QR code was judged and no file was seen.
	CodeAlone bool `json:"-"`
	// Checks holds every check of Names in that order, after CheckLog of a bundle, with CheckCopy of a copy. Of a file
	// with several seals each tells the worst that was found with one of them.
	Checks []Check `json:"checks"`
	// Seals tells of each seal by itself, in the order in which they were used, the issuing
	// authority's last; nil for a file with one. Those before the last are co-seals.
	Seals []SealReport `json:"seals,omitempty"`
	// Copy is what an annotated copy says of itself; nil for a licence, and for what failed.
	Copy *CopyReport `json:"copy,omitempty"`
	// Licence is the licence stated by the file; nil for a QR code, for a file
	// that failed and for one whose data could not be read.
	Licence *licence.Licence `json:"-"`
	// QR is the QR payload; nil unless the check qr passed, for anybody can write a code
	// with a signature that nobody here can check.
	QR *licence.QRPayload `json:"-"`
}

// Check returns the check called name; its zero value when there is none.
func (r *Report) Check(name Name) Check {
	for _, c := range r.Checks {
		if c.Name == name {
			return c
		}
	}
	return Check{}
}

// Green reports whether a page may show r in green: the file is TotalPassed and
// its licence is known to be valid. With the state unknown the file is genuine,
// but nothing may be said of the licence.
func (r *Report) Green() bool {
	return r.Indication == TotalPassed && r.LicenceState == licence.StatusValid
}

// Headline returns the first sentence of a report, in Chinese and English. That of
// a QR code says nothing of a file or paper: a genuine code can be copied onto a
// forged one.
func (r *Report) Headline() (inChinese, inEnglish string) {
	zh, this, en := "文件", "这份文件", "file"
	if r.CodeAlone {
		zh, this, en = "二维码", "这个二维码", "QR code"
	}
	switch {
	case r.GenuineReport():
		return "这是核验报告，不是证照；报告本身真实、未被改动", "This is a genuine verification report, and no licence"
	case r.Copy != nil && (r.Indication == TotalPassed || r.ExpiredCopy()):
		return r.copyHeadline()
	case r.Indication == TotalFailed:
		return "验证不通过：" + this + "不能采信", "Failed: do not rely on this " + en
	case r.Indication == Indeterminate:
		return "无法确认：现有依据不足，不能据此认定" + zh + "真实", "Undecided: there is not enough at hand to call this " + en + " genuine"
	case r.LicenceState == licence.StatusUnknown:
		return zh + "真实；证照当前状态未核验", "The " + en + " is genuine; the licence's present state was not checked"
	case r.LicenceState == licence.StatusValid && r.CodeAlone:
		return "二维码真实，证照有效；请核对纸面内容与下列信息是否一致",
			"The QR code is genuine and the licence is valid; compare what is printed with what follows"
	case r.LicenceState == licence.StatusValid:
		return "文件真实，证照有效", "The file is genuine and the licence is valid"
	}
	stateZH, stateEN := stateNames(r.LicenceState)
	return zh + "真实，但证照当前" + stateZH, "The " + en + " is genuine, but the licence is " + stateEN
}
