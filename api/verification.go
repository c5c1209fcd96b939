package api

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/registry"
	"elicence/verify"

	"github.com/emmansun/gmsm/sm3"
)

// register lets a verification ask the register by way of a registry.Lookup.
type register struct{ lookup registry.Lookup }

// ByFileDigest looks a file up.
func (r register) ByFileDigest(ctx context.Context, digest [32]byte) (verify.RegisterEntry, error) {
	return registerEntry(r.lookup.ByFile(ctx, digest))
}

// ByIdentifier looks a licence up.
func (r register) ByIdentifier(ctx context.Context, id licence.Identifier) (verify.RegisterEntry, error) {
	return registerEntry(r.lookup.ByIdentifier(ctx, id))
}

// registerEntry is what the register knows, in verify's words. A file that is
// not the current one was replaced by the one that carries its token.
func registerEntry(k registry.Known, err error) (verify.RegisterEntry, error) {
	if err != nil {
		return verify.RegisterEntry{}, err
	}
	return verify.RegisterEntry{
		Identifier: k.Identifier, Status: k.Status, ReadAt: k.AsOf, DataDigest: k.DataDigest,
		RangeDigest: k.File.RangeDigest, ProvenAt: k.File.SealedAt, Timestamped: k.File.Timestamped || !k.Current,
	}, nil
}

// reportJSON is a verification report with what a page shows first.
type reportJSON struct {
	*verify.Report
	AsKnownAt time.Time `json:"as_known_at"`
	// Tone says how a page shows the report; see toneOf.
	Tone     tone         `json:"tone"`
	Headline headlineJSON `json:"headline"`
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

func newReport(r *verify.Report) *reportJSON {
	zh, en := r.Headline()
	return &reportJSON{Report: r, AsKnownAt: r.AsKnownAt.UTC().Truncate(time.Second), Tone: toneOf(r), Headline: headlineJSON{zh, en}, Licence: stated(r)}
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

// subject is what is to be verified: the text of a QR code or, where that is
// empty, a file.
type subject struct {
	file []byte
	qr   string
}

// verification verifies for a machine, or for the page's script.
func (x *exchange) verification() {
	if x.r.Header.Get("Authorization") != "" {
		if err := x.authenticate(); err != nil {
			x.refuse(err)
			return
		}
	}
	if report := x.verified(x.subject); report != nil {
		x.json(http.StatusOK, report)
	}
}

// verified reads a subject, verifies it and logs that. It is nil when the answer
// was a problem, which is then written.
func (x *exchange) verified(read func() (subject, error)) *reportJSON {
	if x.anonymous() {
		if wait := x.verifications.take(x.remote(), x.now()); wait > 0 {
			x.refuse(x.summed(x.verifications.refused, errLimited(wait)))
			return nil
		}
	}
	in, sender := x.room()
	body := &lodger{ReadCloser: x.r.Body, room: in}
	x.r.Body = body
	defer func() { in.free(body.size) }()
	s, err := x.receive(in, sender, read)
	if err != nil {
		x.refuse(err)
		return nil
	}
	report, receipt, err := x.judge(in, s)
	if !x.settle(receipt, err) {
		return nil
	}
	return newReport(report)
}

// judge verifies a subject behind the gate, as soon as the room has a place for it.
func (x *exchange) judge(in *room, s subject) (report *verify.Report, receipt audit.Receipt, err error) {
	select {
	case in.places <- struct{}{}:
		defer func() { <-in.places }()
	case <-x.r.Context().Done():
		return nil, receipt, x.r.Context().Err()
	}
	digest := sm3.Sum(s.file)
	if s.qr != "" {
		digest = sm3.Sum([]byte(s.qr))
	}
	receipt, err = x.cfg.Registry.Verify(x.r.Context(), x.caller, digest, func(l registry.Lookup) registry.Verdict {
		v := x.cfg.Verifier(register{l})
		if s.qr != "" {
			report = v.VerifyQR(x.r.Context(), s.qr, x.now())
		} else {
			report = v.VerifyFile(x.r.Context(), s.file, x.now())
		}
		return verdict(report)
	})
	return report, receipt, err
}

// verdict is what the log says of a report.
func verdict(r *verify.Report) registry.Verdict {
	v := registry.Verdict{Code: string(r.Indication)}
	if r.SubIndication != "" {
		v.Code += "/" + string(r.SubIndication)
	}
	if l := stated(r); l != nil {
		v.Object = string(l.Identifier)
	}
	return v
}

// subject reads the body of a verification, in any of its three forms.
func (x *exchange) subject() (subject, error) {
	mediaType, _, err := mime.ParseMediaType(x.r.Header.Get("Content-Type"))
	switch {
	case err != nil:
		return subject{}, errMediaType
	case mediaType == "application/json":
		body, err := x.read(mediaType, licence.MaxJSON)
		if err != nil {
			return subject{}, err
		}
		qr, err := parseJSON(body, func(r *reader) string { return r.required("qr", maxText) })
		return subject{qr: qr}, err
	case mediaType == "application/pdf":
		body, err := x.read(mediaType, MaxFile)
		return subject{file: body}, err
	case mediaType == "multipart/form-data":
		return x.upload()
	}
	return subject{}, errMediaType
}

// maxMultipart is what the framing of an upload may take beside the file.
const maxMultipart = 16 << 10

// upload reads a form with one part, named file.
func (x *exchange) upload() (subject, error) {
	if x.r.ContentLength > MaxFile+maxMultipart {
		return subject{}, errTooLarge
	}
	x.r.Body = http.MaxBytesReader(x.w, x.r.Body, MaxFile+maxMultipart)
	form, err := x.r.MultipartReader()
	if err != nil {
		return subject{}, errBadUpload
	}
	part, err := form.NextPart()
	if err != nil || part.FormName() != "file" {
		return subject{}, bodyFault(err, errBadUpload)
	}
	file, err := readAll(http.MaxBytesReader(x.w, part, MaxFile))
	if err != nil {
		return subject{}, err
	}
	if _, err := form.NextPart(); !errors.Is(err, io.EOF) {
		return subject{}, bodyFault(err, errBadUpload)
	}
	return subject{file: file}, nil
}
