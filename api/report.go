package api

import (
	"encoding/hex"
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
	Licence *verify.Stated `json:"licence,omitempty"`
}

// headlineJSON is the first sentence of a report.
type headlineJSON struct {
	ZH string `json:"zh"`
	EN string `json:"en"`
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
		Tone: toneOf(r), Headline: headlineJSON{zh, en}, Licence: r.Stated()}
	if in.File != nil {
		out.FileDigest, out.size = hex.EncodeToString(r.FileDigest[:]), len(in.File)
	}
	if in.QR != "" {
		digest := sm3.Sum([]byte(in.QR))
		out.QRDigest = hex.EncodeToString(digest[:])
	}
	return out
}
