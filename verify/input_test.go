package verify_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"elicence/crypto/cryptotest"
	"elicence/crypto/pdfsig"
	"elicence/licence"
	"elicence/verify"
)

// textOf is the text of a file's own QR code.
func textOf(t testing.TB, file []byte) string {
	t.Helper()
	f, err := pdfsig.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	text, err := licence.NewQRText("https://licence.example.gov.cn", f.Attachments["qr.cbor"])
	if err != nil {
		t.Fatal(err)
	}
	return text.String()
}

// TestFileWithQR: the text of a QR code that comes with a file must be the file's own.
func TestFileWithQR(t *testing.T) {
	p := cryptotest.New(t)
	file := newRecipe(t, p).make(t)
	own := textOf(t, file)
	other := sampleLicence(t)
	other.Number = "JY13301050000002"
	data, err := other.Data()
	if err != nil {
		t.Fatal(err)
	}
	broken := newRecipe(t, p)
	broken.qr = cryptotest.Leaf{Certificate: p.QR.Certificate, Key: p.TSA.Key}
	forged := broken.make(t)
	bare := newRecipe(t, p)
	bare.attach = func(files map[string][]byte) { delete(files, "qr.cbor") }
	const qr = verify.CheckQR
	for _, c := range []struct {
		file []byte
		text string
		fileCase
	}{
		{file, own, fileCase{name: "its own", want: verify.TotalPassed, check: qr, code: "qr_text_ok"}},
		{file, strings.ToLower(own), fileCase{name: "its own in small letters", want: verify.TotalPassed, check: qr, code: "qr_text_ok"}},
		{file, strings.Replace(own, "LICENCE.EXAMPLE", "ELSEWHERE", 1), fileCase{name: "its own by another address", want: verify.TotalPassed, check: qr, code: "qr_text_ok"}},
		{file, mustQRText(t, p, p.QR, licence.NewQRPayload(other, data)), fileCase{name: "genuine, of another licence", want: verify.TotalFailed,
			sub: verify.SigConstraintsFailure, check: qr, code: "qr_text_of_other_file"}},
		{file, mustQRText(t, p, p.QR, samplePayload(t)), fileCase{name: "genuine, of the same data, signed again", want: verify.TotalFailed,
			sub: verify.SigConstraintsFailure, check: qr, code: "qr_text_of_other_file"}},
		{file, own[:len(own)-1], fileCase{name: "cut", want: verify.TotalFailed, sub: verify.FormatFailure, check: qr, code: "qr_text_malformed"}},
		{file, "https://example.com/", fileCase{name: "another QR code", want: verify.TotalFailed, sub: verify.FormatFailure, check: qr, code: "qr_text_malformed"}},
		{file, " ", fileCase{name: "a space", want: verify.TotalFailed, sub: verify.FormatFailure, check: qr, code: "qr_text_malformed"}},
		{forged, textOf(t, forged), fileCase{name: "its own, which nobody signed", want: verify.TotalFailed, sub: verify.SigCryptoFailure, check: qr, code: "qr_signature_wrong"}},
		{bare.make(t), own, fileCase{name: "file without one", want: verify.TotalFailed, sub: verify.FormatFailure, check: qr, code: "not_reached"}},
		{append(file[:len(file):len(file)], 0), own, fileCase{name: "a byte appended", want: verify.TotalFailed, sub: verify.FormatFailure, check: qr, code: "not_reached"}},
		{[]byte{}, own, fileCase{name: "an empty file", want: verify.TotalFailed, sub: verify.FormatFailure, check: qr, code: "not_reached"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := &verify.Verifier{Anchors: p.Anchors}
			compare(t, v.Verify(context.Background(), verify.Input{File: c.file, QR: c.text}, now), c.fileCase)
		})
	}
}

// history is what a register remembers of the sample licence: a status and since when,
// in order.
type history []struct {
	since  time.Time
	status licence.Status
}

func (h history) asOf(_ context.Context, _ licence.Identifier, at time.Time) (licence.Status, error) {
	status, err := licence.Status(""), licence.ErrNotFound
	for _, e := range h {
		if !e.since.After(at) {
			status, err = e.status, nil
		}
	}
	return status, err
}

// TestAsOf asks for the state on days of the past, of a licence with a history that is
// in force from 2026-05-20 to 2031-05-19.
func TestAsOf(t *testing.T) {
	p := cryptotest.New(t)
	file := newRecipe(t, p).make(t)
	at := func(s string) time.Time {
		i, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	past := history{
		{at("2026-05-18T09:00:00+08:00"), licence.StatusPending}, {at("2026-05-18T09:00:01+08:00"), licence.StatusValid},
		{at("2026-05-22T10:00:00+08:00"), licence.StatusSuspended}, {at("2026-05-23T00:00:00+08:00"), licence.StatusValid},
		{at("2026-05-25T09:00:00+08:00"), licence.StatusSuspended}, {at("2026-05-25T17:00:00+08:00"), licence.StatusValid},
		{at("2026-06-01T07:00:00+08:00"), licence.StatusRevoked}, // an hour before now
	}
	for _, c := range []struct {
		name, day string
		set       func(*bench)
		tamper    bool
		state     licence.Status
		code      string
		says      string
	}{
		{name: "before the register had it", day: "2026-05-17", state: "pending", code: "as_of_pending"},
		{name: "the day of issue", day: "2026-05-18", state: "not_yet_valid", code: "as_of_changed", says: "当天开始时还没有发出，当天结束时还没有生效"},
		{name: "before its first day", day: "2026-05-19", state: "not_yet_valid", code: "as_of_not_yet_valid"},
		{name: "its first day", day: "2026-05-20", state: "valid", code: "as_of_valid"},
		{name: "suspended within the day", day: "2026-05-22", state: "suspended", code: "as_of_changed", says: "当天开始时有效，当天结束时已被暂停使用"},
		{name: "resumed at midnight", day: "2026-05-23", state: "valid", code: "as_of_valid"},
		{name: "today, revoked this morning", day: "2026-06-01", state: "revoked", code: "as_of_changed"},
		{name: "tomorrow", day: "2026-06-02", state: "unknown", code: "as_of_future"},
		{name: "after its last day", day: "2031-05-20", state: "expired", code: "as_of_expired", set: func(b *bench) {
			b.at = at("2031-06-01T00:00:00Z")
			b.v.StatusAsOf = past[:2].asOf
			b.v.Anchors = mustAnchors(t, p, b.at)
		}},
		{name: "no register", day: "2026-05-21", state: "unknown", code: "as_of_unknown", set: func(b *bench) { b.v.Register = nil }},
		{name: "no register, by the dates", day: "2026-05-19", state: "not_yet_valid", code: "as_of_not_yet_valid", set: func(b *bench) { b.v.Register = nil }},
		{name: "not registered", day: "2026-05-21", state: "unknown", code: "as_of_unknown", set: func(b *bench) { b.v.Register = &register{} }},
		{name: "register without a past", day: "2026-05-21", state: "unknown", code: "as_of_unknown", set: func(b *bench) { b.v.StatusAsOf = nil }},
		{name: "register away", day: "2026-05-21", state: "unknown", code: "as_of_unavailable", set: away},
		{name: "register away meanwhile", day: "2026-05-21", state: "unknown", code: "as_of_unavailable", set: func(b *bench) {
			b.v.StatusAsOf = func(context.Context, licence.Identifier, time.Time) (licence.Status, error) {
				return "", errors.New("gone")
			}
		}},
		{name: "altered file", day: "2026-05-21", state: "unknown", code: "as_of_not_judged", tamper: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := &bench{t: t, pki: p, v: &verify.Verifier{Anchors: p.Anchors, StatusAsOf: past.asOf}, at: now}
			registered(b, licence.StatusRevoked, nil)
			if c.set != nil {
				c.set(b)
			}
			judged := file
			if c.tamper {
				judged = file[:len(file)-1]
			}
			if r, ok := b.v.Register.(*register); ok && r.whole {
				r.finish(b, file)
			}
			in := verify.Input{File: judged, AsOf: date(c.day)}
			report := b.v.Verify(context.Background(), in, b.at)
			wellFormed(t, report)
			got := report.AsOf
			if got == nil || got.Date != in.AsOf || got.State != c.state || got.Code != c.code || !strings.Contains(got.ZH, c.says) {
				t.Errorf("got %+v", got)
			}
			if !documented(got.Code) || got.Evidence == "" || got.EN == "" || strings.Contains(got.ZH+got.EN, "%") {
				t.Errorf("incomplete: %+v", got)
			}
			in.AsOf = licence.Date{}
			without := b.v.Verify(context.Background(), in, b.at)
			if without.AsOf != nil || without.Indication != report.Indication || without.LicenceState != report.LicenceState {
				t.Errorf("the day asked for changes the verdict: %s %s, %s %s", report.Indication, report.LicenceState, without.Indication, without.LicenceState)
			}
		})
	}
	v := &verify.Verifier{Anchors: p.Anchors, StatusAsOf: past.asOf}
	b := &bench{t: t, pki: p, v: v}
	registered(b, licence.StatusRevoked, nil)
	if r := v.Verify(context.Background(), verify.Input{QR: textOf(t, file), AsOf: date("2026-05-24")}, now); r.AsOf.Code != "as_of_valid" {
		t.Errorf("of a QR code: %+v", r.AsOf)
	}
}
