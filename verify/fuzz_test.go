package verify_test

import (
	"bytes"
	"context"
	"os"
	"testing"

	"elicence/crypto/cryptotest"
	"elicence/crypto/pdfsig"
	"elicence/crypto/pdfsig/pdftest"
	"elicence/licence/render/pdf"
	"elicence/testdata/hostile"
	"elicence/verify"
	"elicence/verify/verifytest"
)

// judge has a file judged within bounds, and holds the report to its invariants.
func judge(t *testing.T, v *verify.Verifier, file []byte) *verify.Report {
	t.Helper()
	var r *verify.Report
	hostile.Within(t, func() { r = v.VerifyFile(context.Background(), file, now) })
	wellFormed(t, r)
	return r
}

// FuzzVerifyFile takes any bytes, and begins with the corpus. Nothing but a file of the
// corpus is TotalPassed.
func FuzzVerifyFile(f *testing.F) {
	cases, err := verifytest.Load("../testdata/verify")
	if err != nil {
		f.Fatal(err)
	}
	pem, err := os.ReadFile("../testdata/verify/anchors.pem")
	if err != nil {
		f.Fatal(err)
	}
	v := &verify.Verifier{Anchors: mustParseAnchors(f, pem), Register: &register{}}
	genuine := map[string]bool{}
	for _, c := range cases {
		if c.IsQR() {
			continue
		}
		f.Add(c.File)
		if r := v.VerifyFile(context.Background(), c.File, now); r.Indication == verify.TotalPassed {
			genuine[string(c.File)] = true
		}
	}
	if len(genuine) == 0 {
		f.Fatal("no file of the corpus is TotalPassed")
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		if r := judge(t, v, file); r.Indication == verify.TotalPassed && !genuine[string(file)] {
			t.Error("a file that was not sealed is TotalPassed")
		}
	})
}

// FuzzVerifyContents puts any DER into the place of the seal signature, which nothing
// but its own form protects.
func FuzzVerifyContents(f *testing.F) {
	cryptotest.Fixed(f)
	p := cryptotest.New(f)
	r := newRecipe(f, p)
	file := r.make(f)
	v := &verify.Verifier{Anchors: p.Anchors, Register: &register{}}
	sig := mustSignature(f, file)
	f.Add(sig.Raw)
	untokened := hostile.Replace(f, sig.Raw, nil, 4)
	f.Add(untokened)
	for _, path := range [][]int{{0, 1}, {0, 1, 0}, {0, 1, 0, 2}, {4, 0}} {
		f.Add(hostile.Replace(f, sig.Raw, hostile.Indefinite(f, hostile.Element(0x30, hostile.Find(f, sig.Raw, path...))), path...))
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		other, err := pdfsig.ReplaceContents(file, der)
		if err != nil {
			return
		}
		if r := judge(t, v, other); r.Indication == verify.TotalPassed && !bytes.Equal(der, sig.Raw) && !bytes.Equal(der, untokened) {
			t.Error("another seal signature is TotalPassed")
		}
	})
}

// FuzzVerifyAttached seals any attached files with a key that is trusted: a signer
// who was deceived.
func FuzzVerifyAttached(f *testing.F) {
	cryptotest.Fixed(f)
	p := cryptotest.New(f)
	r := newRecipe(f, p)
	r.token = nil
	good := r.attachments(f)
	v := &verify.Verifier{Anchors: p.Anchors}
	f.Add(good["licence.json"], good["metadata-pinyin.json"], good["qr.cbor"], good["qr-signer.cer"])
	f.Add([]byte("{}"), []byte("{}"), []byte{0xd2, 0x84}, p.SealSigner.Certificate.Raw)
	f.Fuzz(func(t *testing.T, data, pinyin, message, cert []byte) {
		file := r.sealOn(t, pdf.Write(pdf.Document{Width: 595, Height: 842, CreatedAt: sealedAt, Pages: [][]byte{[]byte("0 0 9 9 re f\n")},
			Attachments: []pdf.Attachment{{Name: "licence.json", Data: data}, {Name: "metadata-pinyin.json", Data: pinyin},
				{Name: "qr.cbor", Data: message}, {Name: "qr-signer.cer", Data: cert}}}),
			pdfsig.Options{Page: 1, X: 300, Y: 100})
		same := bytes.Equal(data, good["licence.json"]) && bytes.Equal(pinyin, good["metadata-pinyin.json"]) && bytes.Equal(message, good["qr.cbor"]) && bytes.Equal(cert, good["qr-signer.cer"])
		if r := judge(t, v, file); (r.Indication == verify.TotalPassed) != same {
			t.Errorf("attached files are the good ones: %t, and the file is %s", same, r.Indication)
		}
	})
}

// FuzzVerifyEdited edits the objects of a licence file and keeps its tables right.
func FuzzVerifyEdited(f *testing.F) {
	cryptotest.Fixed(f)
	p := cryptotest.New(f)
	good := newRecipe(f, p).make(f)
	v := &verify.Verifier{Anchors: p.Anchors}
	f.Add(uint8(0), uint8(0), uint16(9), uint8(0), []byte{})
	f.Add(uint8(1), uint8(1), uint16(20), uint8(4), []byte("/AA 1 0 R"))
	f.Fuzz(func(t *testing.T, section, object uint8, at uint16, out uint8, in []byte) {
		e := pdftest.Split(t, good)
		s := &e.Sections[int(section)%len(e.Sections)]
		part := &s.Parts[int(object)%len(s.Parts)]
		start := int(at) % (len(part.Text) + 1)
		end := min(start+int(out), len(part.Text))
		part.Text = part.Text[:start] + string(in) + part.Text[end:]
		file := e.Bytes()
		if r := judge(t, v, file); r.Indication == verify.TotalPassed && !bytes.Equal(file, good) {
			t.Error("an edited file is TotalPassed")
		}
	})
}
