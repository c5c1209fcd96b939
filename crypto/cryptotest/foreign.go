package cryptotest

import (
	"bytes"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"elicence/crypto/pki"

	"github.com/emmansun/gmsm/sm3"
	"github.com/emmansun/gmsm/smx509"
)

// SealsOfOthers lists the seals (SESeal, DER) that other implementations made. They lie
// outside the repository, in the folder ELICENCE_VECTORS, from the module's root, which
// must be two folders above the test. There may be none.
func SealsOfOthers(t testing.TB) []string {
	t.Helper()
	dir := os.Getenv("ELICENCE_VECTORS")
	if dir == "" {
		dir = "../shared/vectors"
	}
	if !filepath.IsAbs(dir) {
		dir = filepath.Join("..", "..", dir)
	}
	files, err := filepath.Glob(filepath.Join(dir, "seals", "*.esl"))
	must(t, err)
	t.Logf("%d seals of others in %s; ELICENCE_VECTORS names the folder", len(files), dir)
	return files
}

// CMS says how another maker would write a signature (GB/T 35275, RFC 5652). The zero
// value is a detached signature without attributes, in the RFC's identifiers.
type CMS struct {
	GM         bool // the identifiers of GB/T 35275, and version 1
	SM2WithSM3 bool // 1.2.156.10197.1.501 in SignerInfo, else 1.2.156.10197.1.301.1
	Digest     bool // eContent is the document's SM3 digest, as 点聚 writes it
	Attributes bool // contentType, signingTime, messageDigest
}

// Row is one of the containers that are seen in practice: the names in the signature
// dictionary, and what /Contents holds.
type Row struct {
	Name, Filter, SubFilter string
	CMS                     *CMS // nil: an SES_Signature
}

// Rows are those of other makers, each of the two families with each identifier, with
// and without attributes.
func Rows() (rows []Row) {
	for _, digest := range []bool{true, false} {
		for _, id := range []bool{false, true} {
			for _, attributes := range []bool{false, true} {
				c := CMS{GM: true, SM2WithSM3: id, Digest: digest, Attributes: attributes}
				rows = append(rows, Row{c.name("DJ"), "DJ.GMPkiLite", "GM.sm2cms.detached", &c})
			}
		}
	}
	for _, id := range []bool{false, true} {
		for _, attributes := range []bool{false, true} {
			c := CMS{SM2WithSM3: id, Attributes: attributes}
			rows = append(rows, Row{c.name("Adobe"), "Adobe.PPKLite", "adbe.pkcs7.detached", &c})
		}
	}
	cades := CMS{SM2WithSM3: true, Attributes: true}
	return append(rows, Row{"CAdES", "Adobe.PPKLite", "ETSI.CAdES.detached", &cades},
		Row{"easypdf", "GM.PKILite", "GM.SM2", &CMS{GM: true, Digest: true}},
		Row{"Gomain", "Gomain.GMPkiLite", "GM.sm2seal", nil})
}

func (c CMS) name(maker string) string {
	name := maker + "-301"
	if c.SM2WithSM3 {
		name = maker + "-501"
	}
	if c.Digest {
		name += "-digest"
	}
	if c.Attributes {
		name += "-attributes"
	}
	return name
}

// MustForeign writes a PDF of another maker with a signature of this row in it.
func (p *PKI) MustForeign(t testing.TB, row Row) []byte {
	t.Helper()
	return ForeignPDF(row.Filter, row.SubFilter, 3<<10, func(document []byte) []byte {
		if row.CMS != nil {
			return p.MustCMS(t, *row.CMS, document)
		}
		digest := sm3.Sum(document)
		return p.MustSign(t, digest[:]).Raw
	})
}

// ForeignPDF writes a small PDF with one signature dictionary, in a style that is not
// ours, whose /Contents sign makes of the protected bytes; it has room for so many bytes.
func ForeignPDF(filter, subFilter string, room int, sign func(document []byte) []byte) []byte {
	var b bytes.Buffer
	b.WriteString("%PDF-1.6\r\n%\xe2\xe3\xcf\xd3\r\n1 0 obj\r\n<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[3 0 R]/SigFlags 3>>>>\r\nendobj\r\n" +
		"2 0 obj\r\n<</Type/Pages/Kids[]/Count 0>>\r\nendobj\r\n3 0 obj\r\n<</FT/Sig/T(Signature1)/V 4 0 R>>\r\nendobj\r\n")
	fmt.Fprintf(&b, "4 0 obj\r\n<< /Type /Sig %% the maker\r\n/Filter/%s /SubFilter /%s /M(D:20260601080000+08'00') /Reason (a \\) and (b))", filter, subFilter)
	b.WriteString("/Prop_Build<</App<</Name/Maker/REx[1 2 0 R<0aFF>]>>>>/Contents ")
	start := b.Len()
	fmt.Fprintf(&b, "<%0*d>", 2*room, 0)
	end := b.Len()
	b.WriteString("/ByteRange [0 ")
	place := b.Len()
	b.WriteString("                              ]>>\r\nendobj\r\nxref\r\n0 1\r\n0000000000 65535 f\r\ntrailer\r\n<</Root 1 0 R/Size 5>>\r\nstartxref\r\n9\r\n%%EOF\r\n")
	file := b.Bytes()
	copy(file[place:], fmt.Sprintf("%d %d %d", start, end, len(file)-end))
	der := sign(append(bytes.Clone(file[:start]), file[end:]...))
	copy(file[start+1:], hex.EncodeToString(der))
	return file
}

// TLSClient is id-kp-clientAuth (RFC 5280, 4.2.1.12), which the certificates of some
// seal makers have for their only purpose.
var TLSClient = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 2}

// MustForeignMaker has a CA certify a seal maker as other makers are seen to be: for
// other purposes than ours, with a right to sign certificates that a leaf cannot use,
// and valid until two years after from. With p.Issuing as the CA it stands under the
// anchors; with another's it does not.
func (p *PKI) MustForeignMaker(t testing.TB, ca *pki.CA, from time.Time, purposes ...asn1.ObjectIdentifier) Leaf {
	t.Helper()
	key := p.mustKey(t)
	template := &pki.Certificate{
		SerialNumber: big.NewInt(from.Unix()), Subject: pkix.Name{Country: []string{"CN"}, CommonName: "外地制章者"},
		NotBefore: from, NotAfter: from.AddDate(2, 0, 0), BasicConstraintsValid: true, MaxPathLen: -1,
		KeyUsage:           smx509.KeyUsageDigitalSignature | smx509.KeyUsageContentCommitment | smx509.KeyUsageCertSign,
		UnknownExtKeyUsage: purposes,
	}
	der, err := smx509.CreateCertificate(p.Rand, template, ca.Certificate, key.Public(), ca.Key)
	must(t, err)
	cert, err := pki.ParseCertificate(der)
	must(t, err)
	return Leaf{cert, key}
}

// MustCMS signs a document with the seal signer's key.
func (p *PKI) MustCMS(t testing.TB, c CMS, document []byte) []byte {
	t.Helper()
	content, signed := []byte(nil), document
	if c.Digest {
		digest := sm3.Sum(document)
		content, signed = digest[:], digest[:]
	}
	var attributes []byte
	if c.Attributes {
		attributes = p.cmsAttributes(t, c, signed)
		signed = attributes
	}
	value, err := pki.SignMessage(p.Rand, p.SealSigner.Key, signed)
	must(t, err)
	if attributes != nil {
		attributes = bytes.Clone(attributes)
		attributes[0] = 0xa0 // [0] IMPLICIT
	}
	return p.cmsContainer(t, c, content, attributes, value)
}

var (
	cmsRFC = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7}
	cmsGM  = asn1.ObjectIdentifier{1, 2, 156, 10197, 6, 1, 4, 2}
)

// id is one of the family's identifiers: 1 data, 2 signedData.
func (c CMS) id(last int) asn1.ObjectIdentifier {
	family := cmsRFC
	if c.GM {
		family = cmsGM
	}
	return append(family[:len(family):len(family)], last)
}

// cmsAttributes are the signed attributes as SET OF, DER.
func (p *PKI) cmsAttributes(t testing.TB, c CMS, content []byte) []byte {
	type attribute struct {
		Type   asn1.ObjectIdentifier
		Values []asn1.RawValue `asn1:"set"`
	}
	digest := sm3.Sum(content)
	var list []attribute
	for last, value := range map[int]any{3: c.id(1), 4: digest[:], 5: p.Now.UTC()} {
		der := mustMarshal(t, value, "")
		list = append(list, attribute{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, last}, []asn1.RawValue{{FullBytes: der}}})
	}
	return mustMarshal(t, list, "set")
}

func (p *PKI) cmsContainer(t testing.TB, c CMS, content, attributes, value []byte) []byte {
	type signerInfo struct {
		Version int
		SID     struct {
			Issuer asn1.RawValue
			Serial *big.Int
		}
		Digest     pkix.AlgorithmIdentifier
		Attributes asn1.RawValue `asn1:"optional"`
		Algorithm  pkix.AlgorithmIdentifier
		Value      []byte
	}
	type encapsulated struct {
		Type    asn1.ObjectIdentifier
		Content []byte `asn1:"optional,explicit,tag:0,omitempty"`
	}
	type signedData struct {
		Version      int
		Digests      []pkix.AlgorithmIdentifier `asn1:"set"`
		Content      encapsulated
		Certificates []asn1.RawValue `asn1:"set,tag:0"`
		Signers      []signerInfo    `asn1:"set"`
	}
	sm3ID := pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 156, 10197, 1, 401}}
	signer := signerInfo{Version: 1, Digest: sm3ID, Value: value,
		Algorithm: pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 156, 10197, 1, 301, 1}}}
	if c.SM2WithSM3 {
		signer.Algorithm.Algorithm = asn1.ObjectIdentifier{1, 2, 156, 10197, 1, 501}
	}
	cert := p.SealSigner.Certificate
	signer.SID.Issuer, signer.SID.Serial = asn1.RawValue{FullBytes: cert.RawIssuer}, cert.SerialNumber
	if attributes != nil {
		signer.Attributes = asn1.RawValue{FullBytes: attributes}
	}
	return mustMarshal(t, struct {
		Type    asn1.ObjectIdentifier
		Content signedData `asn1:"explicit,tag:0"`
	}{c.id(2), signedData{
		Version: 1, Digests: []pkix.AlgorithmIdentifier{sm3ID}, Content: encapsulated{c.id(1), content},
		Certificates: []asn1.RawValue{{FullBytes: cert.Raw}}, Signers: []signerInfo{signer},
	}}, "")
}

func mustMarshal(t testing.TB, value any, params string) []byte {
	t.Helper()
	if at, isTime := value.(time.Time); isTime {
		value, params = at, "utc"
	}
	der, err := asn1.MarshalWithParams(value, params)
	must(t, err)
	return der
}
