package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"elicence/crypto/cryptotest"
	"elicence/crypto/pdfsig"
	"elicence/crypto/pki"
	"elicence/crypto/seal"
	"elicence/licence"
	"elicence/licence/render/pdf"
	"elicence/verify"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// writeSamples fills a folder with what the scripts judge: licence files sealed
// and timestamped at 2026-06-01T00:00:00Z, anchors, trust lists, log exports.
func writeSamples(t testing.TB, dir string) {
	t.Helper()
	p := cryptotest.New(t)
	good, revoked := sampleLicence(t, "2026000001"), sampleLicence(t, "2026000002")
	goodFile := makeFile(t, p, good, true)
	suspended := sampleLicence(t, "2026000003")
	list := verify.TrustList{Counter: 3, IssuedAt: p.Now.Add(time.Hour), ExpiresAt: p.Now.Add(9 * time.Hour),
		Authorities: []string{cryptotest.USCC}, QRSigners: []*pki.Certificate{p.QR.Certificate},
		States: verify.States{licence.StatusRevoked: {verify.StateKeyOf(revoked.Identifier)},
			licence.StatusSuspended: {verify.StateKeyOf(suspended.Identifier)}}}
	trust, elsewhere, expired := signList(t, p, list), list, list
	elsewhere.Authorities = []string{otherUSCC}
	expired.ExpiresAt = p.Now.Add(2 * time.Hour)
	sig := bytes.Index(goodFile, []byte("/Contents <"))
	files := sealFiles(t, p)
	maps.Copy(files, logSamples(t))
	maps.Copy(files, successionSamples(t))
	maps.Copy(files, foreignSamples(t, p))
	maps.Copy(files, bundleSamples(t, p, good))
	maps.Copy(files, answerSamples(t, p))
	maps.Copy(files, map[string][]byte{
		"good.pdf": goodFile, "revoked.pdf": makeFile(t, p, revoked, true), "suspended.pdf": makeFile(t, p, suspended, true), "pending.pdf": makeFile(t, p, good, false),
		"altered.pdf": flip(goodFile, sig-60), "appended.pdf": append(bytes.Clone(goodFile), '\n'), "empty.pdf": {},
		"token-altered.pdf": alterToken(t, goodFile),
		"anchors.pem":       p.AnchorsPEM, "other-anchors.pem": cryptotest.New(t).AnchorsPEM,
		"trust.json": trust, "trust-expired.json": signList(t, p, expired), "trust-elsewhere.json": signList(t, p, elsewhere),
		"trust-unscoped.json": unscoped(t, p, trust),
		"other-authority.pdf": sealFile(t, p, good, true, signedFor(t, p, otherUSCC)), "no-authority.pdf": sealFile(t, p, good, true, signedFor(t, p, "")),
		"trust-altered.json": bytes.Replace(trust, []byte(`"counter":3`), []byte(`"counter":4`), 1),
		"co-sealed.pdf":      coSealed(t, p, sampleLicence(t, "2026000004"), otherUSCC), "co-sealed-by-another.pdf": coSealed(t, p, sampleLicence(t, "2026000005"), "113301000024903302"),
	})
	for name, data := range files {
		must(t, os.WriteFile(filepath.Join(dir, name), data, 0o644))
	}
}

// foreignSamples are files of other makers, one for each container.
func foreignSamples(t testing.TB, p *cryptotest.PKI) map[string][]byte {
	t.Helper()
	nothing := func([]byte) []byte { return []byte{0x30, 3, 2, 1, 7} }
	files := map[string][]byte{"foreign-unreadable.pdf": cryptotest.ForeignPDF("X.\u202eY", "Z", 8<<10, nothing)}
	for _, row := range cryptotest.Rows() {
		files["foreign-"+row.Name+".pdf"] = p.MustForeign(t, row)
	}
	return files
}

// alterToken changes the last byte of the timestamp token, which ends its
// signature value.
func alterToken(t testing.TB, file []byte) []byte {
	t.Helper()
	der := bytes.Clone(mustContents(t, file))
	der[len(der)-1] ^= 1
	out, err := pdfsig.ReplaceContents(file, der)
	must(t, err)
	return out
}

// flip changes one bit.
func flip(file []byte, at int) []byte {
	out := bytes.Clone(file)
	out[at] ^= 1
	return out
}

func signList(t testing.TB, p *cryptotest.PKI, list verify.TrustList) []byte {
	t.Helper()
	b, err := verify.SignTrustList(rand.Reader, p.TrustList.Key, p.TrustList.Certificate, &list)
	must(t, err)
	if !json.Valid(b) {
		t.Fatal("a trust list is not JSON")
	}
	return b
}

// unscoped signs the list anew without its scope.
func unscoped(t testing.TB, p *cryptotest.PKI, list []byte) []byte {
	t.Helper()
	var file struct {
		Body        json.RawMessage `json:"body"`
		Certificate []byte          `json:"certificate"`
		Signature   []byte          `json:"signature"`
	}
	must(t, json.Unmarshal(list, &file))
	file.Body = bytes.Replace(file.Body, []byte(`"authorities":["`+cryptotest.USCC+`"],`), nil, 1)
	var err error
	file.Signature, err = pki.SignMessage(rand.Reader, p.TrustList.Key, file.Body)
	must(t, err)
	b, err := json.Marshal(file)
	must(t, err)
	return append(b, '\n')
}

// otherUSCC is the code of an authority that issued none of the samples.
const otherUSCC = "11330106002504122C"

// signedFor makes seal signatures with a genuine seal whose signer states a unified
// social credit code; empty: none.
func signedFor(t testing.TB, p *cryptotest.PKI, code string) func(digest []byte) *seal.Signature {
	t.Helper()
	key, err := pki.GenerateKey(rand.Reader)
	must(t, err)
	cert, err := p.Issuing.Issue(rand.Reader, pki.CertificateRequest{Subject: p.SealSigner.Certificate.Subject, PublicKey: key.Public(),
		Usage: pki.UsageSealSigner, USCC: code, NotBefore: p.Now.AddDate(-1, 0, 0), NotAfter: p.Now.AddDate(1, 0, 0)})
	must(t, err)
	template := p.Template(p.Seal.Picture)
	template.Signers = []*pki.Certificate{cert}
	made, err := seal.Make(rand.Reader, p.SealMaker.Certificate, p.SealMaker.Key, template)
	must(t, err)
	return func(digest []byte) *seal.Signature {
		sig, err := seal.Sign(rand.Reader, key, cert, made, digest, "ByteRange", p.Now)
		must(t, err)
		return sig
	}
}

func sampleLicence(t testing.TB, serial string) *licence.Licence {
	t.Helper()
	const uscc = cryptotest.USCC
	id, err := licence.NewIdentifier("11100000000013338W009", uscc, serial, 1)
	must(t, err)
	issued, err := licence.ParseDate("2026-05-20")
	must(t, err)
	expires, err := licence.ParseDate("2031-05-19")
	must(t, err)
	return &licence.Licence{
		Identifier: id, Number: "JY1330105" + serial, TypeCode: id.TypeCode(), TypeName: "食品经营许可证", Version: 1,
		Holder:    licence.Holder{Name: "杭州䶮记餐饮有限公司", Code: "91440101MA5CJMYA97", CodeType: "001"},
		Authority: licence.IssuingAuthority{Name: "测试市市场监督管理局", Code: uscc, Division: "330105"},
		IssuedOn:  issued, EffectiveOn: issued, ExpiresOn: expires, Fields: map[string]any{"address": "测试路1号"},
	}
}

// makeFile makes a whole licence file, with a timestamp token or without.
func makeFile(t testing.TB, p *cryptotest.PKI, l *licence.Licence, token bool) []byte {
	t.Helper()
	return sealFile(t, p, l, token, func(digest []byte) *seal.Signature { return p.MustSign(t, digest) })
}

// sealFile is makeFile with another seal.
func sealFile(t testing.TB, p *cryptotest.PKI, l *licence.Licence, token bool, sign func(digest []byte) *seal.Signature) []byte {
	t.Helper()
	return sealNext(t, p, render(p.Now, attachments(t, p, l)), pdfsig.Options{FieldName: "Seal1", Page: 1, X: 300, Y: 100}, token, sign)
}

// coSealed is a licence file of two authorities; its data may name another.
func coSealed(t testing.TB, p *cryptotest.PKI, l *licence.Licence, named string) []byte {
	t.Helper()
	l.CoSealers = []licence.CoSealer{{Name: "测试市规划和自然资源局", Code: named}}
	file := sealNext(t, p, render(p.Now, attachments(t, p, l)), pdfsig.Options{FieldName: "CoSeal", Page: 1, X: 100, Y: 100,
		Later: []pdfsig.Field{{Name: "Seal1", X: 300, Y: 100, Width: 113, Height: 113}}}, true, signedFor(t, p, otherUSCC))
	return sealNext(t, p, file, pdfsig.Options{FieldName: "Seal1"}, true, func(digest []byte) *seal.Signature { return p.MustSign(t, digest) })
}

// sealNext adds one seal signature to a file.
func sealNext(t testing.TB, p *cryptotest.PKI, file []byte, o pdfsig.Options, token bool, sign func(digest []byte) *seal.Signature) []byte {
	t.Helper()
	o.ClaimedTime, o.Reserve = p.Now, 6000
	o.Appearance = pdfsig.Appearance{Width: 113, Height: 113, Content: []byte("1 0 0 RG 5 5 100 100 re S\n")}
	prepared, err := pdfsig.Prepare(file, o)
	must(t, err)
	digest := prepared.Digest()
	sig := sign(digest[:])
	if token {
		sig, err = sig.WithTimestamp(p.MustToken(t, sig.SignatureValue, p.Now).Raw)
		must(t, err)
	}
	file, err = prepared.Finish(sig.Raw)
	must(t, err)
	return file
}

func attachments(t testing.TB, p *cryptotest.PKI, l *licence.Licence) []pdf.Attachment {
	t.Helper()
	data, err := l.Data()
	must(t, err)
	payload, id := licence.NewQRPayload(l, data), pki.KeyID(p.QR.Certificate)
	signed, err := payload.SignedBytes(id)
	must(t, err)
	der, err := pki.SignMessage(rand.Reader, p.QR.Key, signed)
	must(t, err)
	raw, err := pki.RawSignature(der)
	must(t, err)
	message, err := payload.Message(id, raw)
	must(t, err)
	pinyin, err := l.PinyinData()
	must(t, err)
	return []pdf.Attachment{{Name: "licence.json", Data: data}, {Name: licence.PinyinFile, Data: pinyin}, {Name: "qr.cbor", Data: message},
		{Name: "qr-signer.cer", Data: p.QR.Certificate.Raw}}
}

func render(at time.Time, attached []pdf.Attachment) []byte {
	return pdf.Write(pdf.Document{Width: 595, Height: 842, Title: "Licence", CreatedAt: at, Attachments: attached,
		Pages: [][]byte{[]byte("0 0 9 9 re f\n")}})
}

// mustContents returns the DER of the seal signature in a file.
func mustContents(t testing.TB, file []byte) []byte {
	t.Helper()
	f, err := pdfsig.Read(file)
	must(t, err)
	return f.Signatures[0].Contents
}
