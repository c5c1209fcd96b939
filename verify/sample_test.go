package verify_test

import (
	"cmp"
	"context"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/emmansun/gmsm/sm3"

	"elicence/crypto/cryptotest"
	"elicence/crypto/pdfsig"
	"elicence/crypto/pki"
	"elicence/crypto/seal"
	"elicence/crypto/tsa"
	"elicence/licence"
	"elicence/licence/render/pdf"
)

// now is the instant of the tests, as in cryptotest, sealedAt when their files are sealed and
// timestamped, an hour before.
var (
	now      = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	sealedAt = now.Add(-time.Hour)
)

// uscc is the code of the issuing authority in the sample licence, otherUSCC that of
// another authority.
const uscc, otherUSCC = cryptotest.USCC, "11330106002504122C"

// recipe says how a licence file is made. A test changes what it wants wrong.
type recipe struct {
	pki     *cryptotest.PKI
	licence *licence.Licence
	data    []byte             // licence.json; nil: of licence
	payload *licence.QRPayload // of the QR code; nil: of licence and data
	qr      cryptotest.Leaf
	// attach may change the attached files.
	attach func(files map[string][]byte)
	// page may change the rendered file before it is sealed.
	page func(d *pdf.Document)

	signer cryptotest.Leaf
	seal   *seal.Seal
	// claimed is the signing time that the signer claims.
	claimed time.Time
	// digest replaces the digest that is sealed; nil: the right one.
	digest []byte
	// signature may replace the seal signature that was made for a digest.
	signature func(digest []byte) *seal.Signature
	// reserve is the room for the signature in bytes; zero: 3,700. appearance draws the seal.
	reserve    int
	appearance string
	// token makes the timestamp token over a signature value; nil: no token.
	token func(message []byte) []byte
}

// newRecipe is a good file: sealed and timestamped at sealedAt.
func newRecipe(t testing.TB, p *cryptotest.PKI) *recipe {
	r := &recipe{pki: p, licence: sampleLicence(t), qr: p.QR, signer: p.SealSigner, seal: p.Seal, claimed: sealedAt,
		appearance: "1 0 0 RG 3 w 5 5 100 100 re S\n"}
	r.token = func(message []byte) []byte { return mustToken(t, p, p.TSA, message, sealedAt) }
	return r
}

func sampleLicence(t testing.TB) *licence.Licence {
	t.Helper()
	id, err := licence.NewIdentifier("11100000000013338W009", uscc, "2026000001", 1)
	must(t, err)
	return &licence.Licence{
		Identifier: id, Number: "JY13301050000001", TypeCode: id.TypeCode(), TypeName: "食品经营许可证", Version: 1,
		Holder:    licence.Holder{Name: "杭州䶮记餐饮有限公司", Code: "91440101MA5CJMYA97", CodeType: "001"},
		Authority: licence.IssuingAuthority{Name: "测试市市场监督管理局", Code: uscc, Division: "330105"},
		IssuedOn:  date("2026-05-20"), EffectiveOn: date("2026-05-20"), ExpiresOn: date("2031-05-19"),
		Fields: map[string]any{"address": "测试市测试路1号"},
	}
}

// date is a date in a table of cases.
func date(s string) licence.Date {
	d, err := licence.ParseDate(s)
	if err != nil {
		panic(err)
	}
	return d
}

// make follows the recipe.
func (r *recipe) make(t testing.TB) []byte {
	t.Helper()
	return r.sealOn(t, r.render(t), pdfsig.Options{Page: 1, X: 300, Y: 100})
}

// sealOn seals a file, in a place that the options say.
func (r *recipe) sealOn(t testing.TB, file []byte, o pdfsig.Options) []byte {
	t.Helper()
	o.FieldName, o.SignerName, o.ClaimedTime, o.Reserve = "Seal1", "测试市市场监督管理局", r.claimed, cmp.Or(r.reserve, 3700)
	o.Appearance = pdfsig.Appearance{Width: 113.386, Height: 113.386, Content: []byte(r.appearance)}
	prepared, err := pdfsig.Prepare(file, o)
	must(t, err)
	file, err = prepared.Finish(r.stamped(t, prepared.Digest()).Raw)
	must(t, err)
	return file
}

// stamped is the seal signature over a digest, with its token.
func (r *recipe) stamped(t testing.TB, digest [32]byte) *seal.Signature {
	t.Helper()
	if r.digest != nil {
		copy(digest[:], r.digest)
	}
	sign := r.signature
	if sign == nil {
		sign = func(digest []byte) *seal.Signature { return r.mustSign(t, digest) }
	}
	sig := sign(digest[:])
	if r.token == nil {
		return sig
	}
	sig, err := sig.WithTimestamp(r.token(sig.SignatureValue))
	must(t, err)
	return sig
}

func (r *recipe) mustSign(t testing.TB, digest []byte) *seal.Signature {
	t.Helper()
	sig, err := seal.Sign(r.pki.Rand, r.signer.Key, r.signer.Certificate, r.seal, digest, "ByteRange", r.claimed)
	must(t, err)
	return sig
}

// render draws a page with the attached files.
func (r *recipe) render(t testing.TB) []byte {
	t.Helper()
	files := r.attachments(t)
	d := pdf.Document{Width: 595, Height: 842, Title: "Licence " + r.licence.Number, CreatedAt: sealedAt, Pages: [][]byte{[]byte("0 0 9 9 re f\n")}}
	for _, name := range []string{"licence.json", "metadata-pinyin.json", "qr.cbor", "qr-signer.cer", "portrait.jpg", "extra.txt"} {
		if data, found := files[name]; found {
			d.Attachments = append(d.Attachments, pdf.Attachment{Name: name, Data: data})
		}
	}
	if r.page != nil {
		r.page(&d)
	}
	return pdf.Write(d)
}

func (r *recipe) attachments(t testing.TB) map[string][]byte {
	t.Helper()
	data := r.data
	if data == nil {
		var err error
		if data, err = r.licence.Data(); err != nil {
			t.Fatal(err)
		}
	}
	payload := licence.NewQRPayload(r.licence, data)
	if r.payload != nil {
		payload = *r.payload
	}
	pinyin, err := r.licence.PinyinData()
	must(t, err)
	files := map[string][]byte{
		"licence.json": data, "metadata-pinyin.json": pinyin, "qr.cbor": mustQR(t, r.pki, r.qr, payload), "qr-signer.cer": r.qr.Certificate.Raw,
	}
	if r.attach != nil {
		r.attach(files)
	}
	return files
}

// mustQR signs a QR message.
func mustQR(t testing.TB, p *cryptotest.PKI, leaf cryptotest.Leaf, payload licence.QRPayload) []byte {
	t.Helper()
	id := pki.KeyID(leaf.Certificate)
	signed, err := payload.SignedBytes(id)
	must(t, err)
	der, err := pki.SignMessage(p.Rand, leaf.Key, signed)
	must(t, err)
	raw, err := pki.RawSignature(der)
	must(t, err)
	message, err := payload.Message(id, raw)
	must(t, err)
	return message
}

// mustQRText is the text of a QR code.
func mustQRText(t testing.TB, p *cryptotest.PKI, leaf cryptotest.Leaf, payload licence.QRPayload) string {
	t.Helper()
	text, err := licence.NewQRText("https://licence.example.gov.cn", mustQR(t, p, leaf, payload))
	must(t, err)
	return text.String()
}

func samplePayload(t testing.TB) licence.QRPayload {
	t.Helper()
	l := sampleLicence(t)
	data, err := l.Data()
	must(t, err)
	return licence.NewQRPayload(l, data)
}

// mustToken has a timestamp authority with this leaf date a message.
func mustToken(t testing.TB, p *cryptotest.PKI, leaf cryptotest.Leaf, message []byte, at time.Time) []byte {
	t.Helper()
	server := httptest.NewServer(&tsa.Authority{Certificate: leaf.Certificate, Key: leaf.Key, Policy: "2.25.561737094.100",
		Now: func() time.Time { return at }, Rand: p.Rand})
	defer server.Close()
	client := &tsa.Client{URL: server.URL, HTTP: server.Client(), Rand: p.Rand, Policy: "2.25.561737094.100"}
	token, err := client.Timestamp(context.Background(), message)
	must(t, err)
	return token.Raw
}

// mustIssue makes a leaf of the issuing CA that is valid between two instants; a
// seal signer's is the sample authority's.
func mustIssue(t testing.TB, p *cryptotest.PKI, usage pki.Usage, from, to time.Time) cryptotest.Leaf {
	t.Helper()
	code := ""
	if usage == pki.UsageSealSigner {
		code = uscc
	}
	return mustIssueFor(t, p, code, usage, from, to)
}

// mustIssueFor makes a leaf that states a unified social credit code; empty: none.
func mustIssueFor(t testing.TB, p *cryptotest.PKI, code string, usage pki.Usage, from, to time.Time) cryptotest.Leaf {
	t.Helper()
	key, err := pki.GenerateKey(p.Rand)
	must(t, err)
	cert, err := p.Issuing.Issue(p.Rand, pki.CertificateRequest{Subject: p.SealSigner.Certificate.Subject,
		PublicKey: key.Public(), Usage: usage, NotBefore: from, NotAfter: to, USCC: code})
	must(t, err)
	return cryptotest.Leaf{Certificate: cert, Key: key}
}

// foreign is a leaf of a root that nobody here trusts.
func foreign(t testing.TB, p *cryptotest.PKI, usage pki.Usage) (cryptotest.Leaf, *pki.CA) {
	t.Helper()
	key, err := pki.GenerateKey(p.Rand)
	must(t, err)
	root, err := pki.NewRootCA(p.Rand, key, pki.CertificateRequest{Subject: pkix.Name{CommonName: "外来根证书"},
		PublicKey: key.Public(), Usage: pki.UsageCA, NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(9, 0, 0)})
	must(t, err)
	return p.MustIssue(t, root, "外来证书", usage), root
}

// mustAnchors are root and issuing CA with CRLs issued a day before at.
func mustAnchors(t testing.TB, p *cryptotest.PKI, at time.Time, revoked ...pki.Revoked) *pki.TrustAnchors {
	t.Helper()
	anchors, err := pki.ParseTrustAnchors(mustAnchorsPEM(t, p, at, revoked...))
	must(t, err)
	return anchors
}

func mustAnchorsPEM(t testing.TB, p *cryptotest.PKI, at time.Time, revoked ...pki.Revoked) []byte {
	t.Helper()
	lists := [][]byte{mustCRL(t, p, p.Root, at), mustCRL(t, p, p.Issuing, at, revoked...)}
	return pki.MarshalTrustAnchors([]*pki.Certificate{p.Root.Certificate, p.Issuing.Certificate}, lists)
}

// mustCRL is a CA's list, issued a day before at.
func mustCRL(t testing.TB, p *cryptotest.PKI, ca *pki.CA, at time.Time, revoked ...pki.Revoked) []byte {
	t.Helper()
	list, err := ca.CRL(p.Rand, 100, revoked, at.AddDate(0, 0, -1), at.AddDate(0, 0, 1))
	must(t, err)
	return list
}

// revoked is one line of a CRL.
func revoked(leaf cryptotest.Leaf, at time.Time, reason pki.RevocationReason) pki.Revoked {
	return pki.Revoked{SerialNumber: leaf.Certificate.SerialNumber, At: at, Reason: reason}
}

// mustSeal makes a seal from the test template after a change.
func mustSeal(t testing.TB, p *cryptotest.PKI, maker cryptotest.Leaf, change func(*seal.Template)) *seal.Seal {
	t.Helper()
	template := p.Template(p.Seal.Picture)
	change(&template)
	s, err := seal.Make(p.Rand, maker.Certificate, maker.Key, template)
	must(t, err)
	return s
}

// The parts of GB/T 38540 that a forger would write by hand, because crypto/seal
// refuses to sign such things.
type (
	forgedTBS struct {
		Version  int
		Seal     asn1.RawValue
		Time     time.Time `asn1:"generalized"`
		DataHash asn1.BitString
		Property string `asn1:"ia5"`
	}
	forgedSignature struct {
		TBS       asn1.RawValue
		Cert      []byte
		Algorithm asn1.ObjectIdentifier
		Value     asn1.BitString
	}
	forgedSeal struct {
		Info      asn1.RawValue
		Cert      []byte
		Algorithm asn1.ObjectIdentifier
		Value     asn1.BitString
	}
)

var oidSM2WithSM3 = asn1.ObjectIdentifier{1, 2, 156, 10197, 1, 501}

// forge signs with whatever seal and certificate it is given.
func forge(t testing.TB, p *cryptotest.PKI, leaf cryptotest.Leaf, version int, sealDER, digest []byte) *seal.Signature {
	t.Helper()
	tbs := mustDER(t, forgedTBS{version, asn1.RawValue{FullBytes: sealDER}, sealedAt.Truncate(time.Second), bits(digest), "ByteRange"})
	value, err := pki.SignMessage(p.Rand, leaf.Key, tbs)
	must(t, err)
	return mustParse(t, mustDER(t, forgedSignature{asn1.RawValue{FullBytes: tbs}, leaf.Certificate.Raw, oidSM2WithSM3, bits(value)}))
}

func bits(b []byte) asn1.BitString { return asn1.BitString{Bytes: b, BitLength: 8 * len(b)} }

func mustDER(t testing.TB, v any) []byte {
	t.Helper()
	der, err := asn1.Marshal(v)
	must(t, err)
	return der
}

func mustParse(t testing.TB, der []byte) *seal.Signature {
	t.Helper()
	sig, err := seal.ParseSignature(der)
	must(t, err)
	return sig
}

// mustContents returns the file with another SES_Signature in its place.
func mustContents(t testing.TB, file, der []byte) []byte {
	t.Helper()
	out, err := pdfsig.ReplaceContents(file, der)
	must(t, err)
	return out
}

// mustSignature returns the seal signature of a file.
func mustSignature(t testing.TB, file []byte) *seal.Signature {
	t.Helper()
	f, err := pdfsig.Read(file)
	must(t, err)
	return mustParse(t, f.Signatures[0].Contents)
}

// another returns a signature value that is well formed and wrong.
func another(t testing.TB, value []byte) []byte {
	t.Helper()
	var rs struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(value, &rs); err != nil {
		t.Fatal(err)
	}
	rs.S.Xor(rs.S, big.NewInt(1))
	return mustDER(t, rs)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func sm3Of(b []byte) [32]byte { return sm3.Sum(b) }
