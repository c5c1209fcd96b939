package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"elicence/audit"
	"elicence/crypto/pdfsig"
	"elicence/crypto/seal"
	"elicence/licence"
	"elicence/licence/render"
)

// Reporter is who seals verification reports (核验报告), as a rule the platform itself,
// and how they are drawn. Its seal is among Config.Seals, under its code, and lives there
// like any other.
type Reporter struct {
	Authority licence.IssuingAuthority
	Layout    *render.Layout
}

// check says what a reporter lacks; nil is none.
func (r *Reporter) check(seals map[string]*SealKey) error {
	if r == nil {
		return nil
	}
	if key := seals[r.Authority.Code]; key != nil && key.Picture == nil && r.Layout.DrawsSeal() {
		return fmt.Errorf("the seal of %s has no picture to ride on the pages of reports", r.Authority.Name)
	}
	return nil
}

// ReportFile is the name of the attached report; a file with it and nothing else is a
// verification report and no licence.
const ReportFile = "report.json"

// ReportRequest asks for a verification report.
type ReportRequest struct {
	// Verification is the receipt of the verification's entry, which names the report.
	Verification audit.Receipt
	// Data is attached as ReportFile.
	Data []byte
	// Fields are the texts and rows that the layout draws. They may hold any characters.
	Fields map[string]any
}

// ReportNumber is the number of the report on the verification with a log index.
func ReportNumber(index uint64) string { return fmt.Sprintf("HY-%010d", index) }

// Reporter is who seals verification reports; found is false when nobody does.
func (r *Registry) Reporter() (who licence.IssuingAuthority, found bool) {
	if r.cfg.Reporter == nil {
		return who, false
	}
	return r.cfg.Reporter.Authority, true
}

// reporting is a report on its way.
type reporting struct {
	number string
	qr     licence.QRText
	out    render.Output
	soleSeal
}

// SealReport draws and seals a report on a verification that was logged. The order is
// that of an issue: what can fail without the key comes first; one entry with the
// digest to be sealed permits the key; the finished file is read again. Nothing is
// kept: a crash behind the entry leaves a report that nobody got. Errors: ErrForbidden,
// *SealFault, ErrLog.
func (r *Registry) SealReport(ctx context.Context, c Caller, q ReportRequest) ([]byte, audit.Receipt, error) {
	s := &reporting{number: ReportNumber(q.Verification.Index)}
	a := &Access{Action: ActionReport, Object: s.number}
	a.Check = func() error {
		err := r.drawReport(ctx, s, q)
		a.Digest = s.digest[:]
		return err
	}
	receipt, err := r.gate.Pass(ctx, c, a)
	if err != nil {
		return nil, receipt, err
	}
	file, err := r.sealAlone(ctx, &s.soleSeal)
	if err == nil {
		err = s.checkFile(file, q.Data)
	}
	if err != nil {
		return nil, receipt, fmt.Errorf("sealing report %s: %w", s.number, err)
	}
	return file, receipt, nil
}

// drawReport does all that needs no key.
func (r *Registry) drawReport(ctx context.Context, s *reporting, q ReportRequest) (err error) {
	who := r.cfg.Reporter
	if who == nil {
		return &SealFault{"seal_missing", "nobody seals reports here", ErrNoSeal}
	}
	s.key = r.cfg.Seals[who.Authority.Code]
	if err := r.usable(s.key, 0); err != nil {
		return err
	}
	if err := r.sealInUse(ctx, s.key); err != nil {
		return err
	}
	if err := who.Layout.CheckSeals(s.key.size()); err != nil {
		return &SealFault{"seal_misplaced", err.Error(), ErrNoSeal}
	}
	if s.qr, err = licence.NewReportText(r.cfg.PublicURL, q.Verification.Index, q.Verification.LeafHash); err != nil {
		return err
	}
	s.sealedAt = r.now().Truncate(time.Second)
	s.out, err = who.Layout.RenderReport(r.cfg.Fonts, render.Report{
		Title: "电子证照核验报告", Number: s.number, Authority: who.Authority, Day: r.today(),
		Fields: r.legible(q.Fields).(map[string]any), QR: s.qr, CreatedAt: s.sealedAt, SealPicture: s.key.Picture,
		Attachments: []render.Attachment{{Name: ReportFile, Description: "Verification report", Data: q.Data}},
	})
	if err != nil {
		return fmt.Errorf("drawing report %s: %v", s.number, err) // what has no room is no fault of the request
	}
	return s.prepare(s.out, who.Authority.Name, "电子证照核验")
}

// checkFile reads the finished file as a stranger would.
func (s *reporting) checkFile(file, data []byte) error {
	f, err := pdfsig.Read(file)
	if err != nil {
		return err
	}
	signature, err := seal.ParseSignature(f.Signatures[0].Contents)
	if err == nil {
		err = signature.CheckSignature()
	}
	if err != nil {
		return err
	}
	content, err := f.PageContent(s.out.QR.Page)
	if err != nil {
		return err
	}
	drawn, err := render.DecodeQR(content, s.out.QR)
	if err != nil {
		return fmt.Errorf("decoding the drawn QR symbol: %w", err)
	}
	if digest := f.Digest(0); !bytes.Equal(signature.DocumentDigest, digest[:]) || digest != s.digest ||
		drawn != s.qr.String() || !bytes.Equal(f.Attachments[ReportFile], data) {
		return errors.New("the finished file is not what was permitted")
	}
	return nil
}

// legible makes every text within a value one that the fonts can draw.
func (r *Registry) legible(v any) any {
	switch v := v.(type) {
	case string:
		return r.cfg.Fonts.Legible(v)
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = r.legible(v[i])
		}
		return list
	case map[string]any:
		m := make(map[string]any, len(v))
		for name := range v {
			m[name] = r.legible(v[name])
		}
		return m
	}
	return v
}
