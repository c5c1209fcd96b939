package pdfsig_test

import (
	"bytes"
	"testing"
	"time"

	"codeberg.org/go-pdf/fpdf"
	"golang.org/x/image/font/gofont/goregular"

	"elicence/crypto/pdfsig"
)

var sampleTime = time.Date(2026, 1, 31, 4, 5, 6, 0, time.UTC)

// sampleDER is something that looks like a signature: nobody here checks it.
var sampleDER = append([]byte{0x30, 0x82, 0x01, 0x00}, bytes.Repeat([]byte{0xa5, 0x0b, 0x00, 0xff}, 64)...)

// sampleAttachments are what a licence carries.
var sampleAttachments = []fpdf.Attachment{
	{Filename: "licence.json", Description: "licence (data)", Content: []byte(`{"format":"elicence-licence/1"}`)},
	{Filename: "qr.cbor", Description: "QR", Content: bytes.Repeat([]byte{0xa1, 0x01}, 80)},
	{Filename: "qr-signer.cer", Content: bytes.Repeat([]byte{0x30, 0x03}, 200)},
}

// render draws a small licence with fpdf, using every feature of fpdf that the
// profile admits. Each extra may change the document before it is written.
func render(t testing.TB, extras ...func(*fpdf.Fpdf)) []byte {
	t.Helper()
	f := fpdf.New("P", "mm", "A4", "")
	f.SetCatalogSort(true)
	f.SetCreationDate(sampleTime)
	f.SetModificationDate(sampleTime)
	f.SetLang("zh-CN")
	f.SetTitle("电子证照 (样本)", true)
	f.SetXmpMetadata([]byte(`<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"/><?xpacket end="r"?>`))
	f.SetAttachments(append([]fpdf.Attachment(nil), sampleAttachments...))
	f.AddUTF8FontFromBytes("go", "", goregular.TTF)
	f.AddPage()
	f.SetFont("go", "", 12)
	f.Text(20, 20, "Licence № 1 Лицензия")
	f.SetFont("Helvetica", "", 12)
	f.Text(20, 30, "core font")
	f.AddPageFormat("L", fpdf.SizeType{Wd: 148, Ht: 210})
	f.Text(20, 20, "second page, of its own size")
	for _, extra := range extras {
		extra(f)
	}
	var out bytes.Buffer
	if err := f.Output(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
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
