package pdfsig_test

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"golang.org/x/image/font/gofont/goregular"

	"elicence/crypto/pdfsig"
	"elicence/licence/render/pdf"
)

var sampleTime = time.Date(2026, 1, 31, 4, 5, 6, 0, time.UTC)

// sampleDER is something that looks like a signature: nobody here checks it.
var sampleDER = append([]byte{0x30, 0x82, 0x01, 0x00}, bytes.Repeat([]byte{0xa5, 0x0b, 0x00, 0xff}, 64)...)

// sampleAttachments are what a licence carries.
var sampleAttachments = []pdf.Attachment{
	{Name: "licence.json", Description: "licence (data)", Data: []byte(`{"format":"elicence-licence/1"}`)},
	{Name: "qr.cbor", Description: "QR", Data: bytes.Repeat([]byte{0xa1, 0x01}, 80)},
	{Name: "qr-signer.cer", Data: bytes.Repeat([]byte{0x30, 0x03}, 200)},
}

// sampleFont shows every glyph of a small font.
func sampleFont() pdf.Font {
	f := pdf.Font{Data: goregular.TTF, Ascent: 900, Descent: -200, Box: [4]int{-200, -300, 1200, 1000}}
	for r := range rune(100) {
		f.Widths, f.Runes = append(f.Widths, 600), append(f.Runes, r)
	}
	return f
}

// render writes a small licence. Each extra may change it before.
func render(t testing.TB, extras ...func(*pdf.Document)) []byte {
	t.Helper()
	d := pdf.Document{
		Width: 595.276, Height: 841.89, Title: "电子证照 (样本)", CreatedAt: sampleTime,
		Metadata:    []byte(`<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"/><?xpacket end="r"?>`),
		Font:        sampleFont(),
		Backdrop:    pdf.Deflate([]byte("q 0.9 g 0 0 595 842 re f Q\n")),
		Pages:       [][]byte{[]byte("BT /F1 12 Tf 60 700 Td <00200021> Tj ET\n"), []byte("BT /F1 12 Tf 60 600 Td <0022> Tj ET\n")},
		Attachments: slices.Clone(sampleAttachments),
	}
	for _, extra := range extras {
		extra(&d)
	}
	return pdf.Write(d)
}

// sampleOptions is a seal of 42 mm on the first page.
func sampleOptions() pdfsig.Options {
	return pdfsig.Options{
		FieldName: "Seal1", Page: 1, X: 340.5, Y: 120.25,
		Appearance: pdfsig.Appearance{
			Width: 119.055, Height: 119.055,
			Content: []byte("1 0 0 RG 3 w 5 5 109 109 re S\n"),
		},
		SignerName: "市场监督管理局", Reason: "Issue (licence)", ClaimedTime: sampleTime, Reserve: 400,
	}
}

// prepare and sign fail the test on an error.
func prepare(t testing.TB, file []byte, o pdfsig.Options) *pdfsig.Prepared {
	t.Helper()
	p, err := pdfsig.Prepare(file, o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func sign(t testing.TB) []byte {
	t.Helper()
	file, err := prepare(t, render(t), sampleOptions()).Finish(sampleDER)
	if err != nil {
		t.Fatal(err)
	}
	return file
}
