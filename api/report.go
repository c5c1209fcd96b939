package api

import (
	"encoding/hex"
	"strings"
	"time"

	"elicence/licence"
	"elicence/verify"

	"github.com/emmansun/gmsm/sm3"
)

// reportJSON is a verification report with what was verified, and what a page shows first.
type reportJSON struct {
	*verify.Report
	AsKnownAt time.Time `json:"as_known_at"`
	// VerifiedAt is the validation time.
	VerifiedAt time.Time `json:"verified_at"`
	// LogIndex is the index of the verification's entry in the access log, decimal; for
	// pages, which do not show headers.
	LogIndex string `json:"-"`
	// FileDigest and QRDigest are SM3 of the file and of the code's text, lower-case
	// hex; absent when there was none.
	FileDigest string `json:"file_digest,omitempty"`
	QRDigest   string `json:"qr_digest,omitempty"`
	// Tone says how a page shows the report; see toneOf.
	Tone     tone         `json:"tone"`
	Headline headlineJSON `json:"headline"`
	// size is the file's, in bytes.
	size int
	// Licence is what the file or the QR code states; absent when nothing may be
	// said of it.
	Licence *statedJSON `json:"licence,omitempty"`
}

// headlineJSON is the first sentence of a report.
type headlineJSON struct {
	ZH string `json:"zh"`
	EN string `json:"en"`
}

// statedJSON is what stands on the paper and in the QR code, and no more.
type statedJSON struct {
	Identifier licence.Identifier `json:"identifier"`
	TypeName   string             `json:"type_name"`
	Number     string             `json:"number"`
	HolderName string             `json:"holder_name"`
	// AuthorityName is empty for a QR code, which does not hold it, and so is CoSealerNames,
	// the authorities whose seals stand beside that one's, as one text.
	AuthorityName string `json:"authority_name"`
	CoSealerNames string `json:"co_sealer_names"`
	IssuedOn      string `json:"issued_on"`
	EffectiveOn   string `json:"effective_on"`
	// ExpiresOn is empty for a licence without a last day.
	ExpiresOn string `json:"expires_on"`
}

// tone is how a page shows a report. Only good is green.
type tone string

const (
	toneGood      tone = "good"      // the file is genuine and the licence valid
	toneUnchecked tone = "unchecked" // the file is genuine, the licence's state not known
	toneUnusable  tone = "unusable"  // the file is genuine, the licence not in force
	toneUndecided tone = "undecided" // it cannot be said
	toneFailed    tone = "failed"    // the file is not genuine
)

func toneOf(r *verify.Report) tone {
	switch {
	case r.Green():
		return toneGood
	case r.Indication == verify.TotalFailed:
		return toneFailed
	case r.Indication != verify.TotalPassed:
		return toneUndecided
	case r.LicenceState == licence.StatusUnknown:
		return toneUnchecked
	}
	return toneUnusable
}

// newReport is the report on in, for which the register was asked.
func newReport(r *verify.Report, in verify.Input, at time.Time) *reportJSON {
	zh, en := r.Headline()
	out := &reportJSON{Report: r, AsKnownAt: r.AsKnownAt.UTC().Truncate(time.Second), VerifiedAt: at.UTC().Truncate(time.Second),
		Tone: toneOf(r), Headline: headlineJSON{zh, en}, Licence: stated(r)}
	if in.File != nil {
		out.FileDigest, out.size = hex.EncodeToString(r.FileDigest[:]), len(in.File)
	}
	if in.QR != "" {
		digest := sm3.Sum([]byte(in.QR))
		out.QRDigest = hex.EncodeToString(digest[:])
	}
	return out
}

func stated(r *verify.Report) *statedJSON {
	switch {
	case r.Licence != nil:
		l := r.Licence
		var coSealers []string
		for _, c := range l.CoSealers {
			coSealers = append(coSealers, c.Name)
		}
		return &statedJSON{l.Identifier, l.TypeName, l.Number, l.Holder.Name, l.Authority.Name, strings.Join(coSealers, "、"),
			l.IssuedOn.String(), l.EffectiveOn.String(), l.ExpiresOn.String()}
	case r.QR != nil:
		q := r.QR
		return &statedJSON{q.Identifier, q.TypeName, q.Number, q.HolderName, "", "",
			q.IssuedOn.String(), q.EffectiveOn.String(), q.ExpiresOn.String()}
	}
	return nil
}
