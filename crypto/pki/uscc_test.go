package pki_test

import (
	"crypto/rand"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"strings"
	"testing"

	"elicence/crypto/cryptotest"
	"elicence/crypto/pki"

	"github.com/emmansun/gmsm/smx509"
)

var oidUSCC = asn1.ObjectIdentifier{1, 2, 156, 10260, 4, 1, 4}

// stating is a certificate with these values of the extension. Only extensions
// are looked at, so the rest of it may be missing.
func stating(values ...string) *pki.Certificate {
	cert := &pki.Certificate{Extensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 15}, Value: []byte{3, 2, 7, 0x80}}}}
	for _, value := range values {
		cert.Extensions = append(cert.Extensions, pkix.Extension{Id: oidUSCC, Value: []byte(value)})
	}
	return cert
}

// The strings of ASN.1 by their tags, before a length of 18.
const (
	printable, utf8String, ia5 = "\x13\x12", "\x0c\x12", "\x16\x12"
	octets, numeric, teletex   = "\x04\x12", "\x12\x12", "\x14\x12"
)

func TestUSCC(t *testing.T) {
	p := cryptotest.New(t)
	for name, c := range map[string]struct {
		cert *pki.Certificate
		want string
	}{
		"seal signer of the tests": {p.SealSigner.Certificate, cryptotest.USCC},
		"QR signer of the tests":   {p.QR.Certificate, ""},
		"no extension":             {stating(), ""},
		"PrintableString":          {stating(printable + cryptotest.USCC), cryptotest.USCC},
		"UTF8String":               {stating(utf8String + cryptotest.USCC), cryptotest.USCC},
		"IA5String":                {stating(ia5 + cryptotest.USCC), cryptotest.USCC},
	} {
		if got, err := pki.USCC(c.cert); err != nil || got != c.want {
			t.Errorf("%s: %q, %v; want %q", name, got, err, c.want)
		}
	}
}

func TestUSCCRefuses(t *testing.T) {
	const code = cryptotest.USCC
	for name, values := range map[string][]string{
		"twice the same":          {printable + code, printable + code},
		"two codes":               {printable + code, printable + "11330106002504122C"},
		"a good and a bad one":    {printable + code, ""},
		"empty":                   {""},
		"the bare text":           {code},
		"empty string":            {"\x13\x00"},
		"OCTET STRING":            {octets + code},
		"NumericString":           {numeric + strings.Repeat("1", 18)},
		"TeletexString":           {teletex + code},
		"BMPString":               {"\x1e\x24\x00" + strings.Join(strings.Split(code, ""), "\x00")},
		"string in a SEQUENCE":    {"\x30\x14" + printable + code},
		"constructed string":      {"\x33\x14" + printable + code},
		"length in a longer form": {"\x13\x81\x12" + code},
		"cut":                     {printable + code[:17]},
		"byte after it":           {printable + code + "\x00"},
		"value after it":          {printable + code + "\x05\x00"},
		"17 characters":           {"\x13\x11" + code[:17]},
		"19 characters":           {"\x13\x13" + code + "0"},
		"organisation code":       {"\x13\x09" + code[8:17]},
		"organisation code, dash": {"\x13\x0a" + code[8:16] + "-" + code[16:17]},
		"small letter":            {printable + code[:17] + "c"},
		"blank":                   {printable + code[:17] + " "},
		"NUL":                     {printable + code[:17] + "\x00"},
		"not ASCII":               {utf8String + "统一社会信用"},
	} {
		if got, err := pki.USCC(stating(values...)); err == nil || got != "" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// TestCertificatesWithUSCC has an outside CA write the extension: what it states is
// read from the finished certificate, and one that states two codes is no certificate.
func TestCertificatesWithUSCC(t *testing.T) {
	p := cryptotest.New(t)
	certify := func(values ...string) ([]byte, error) {
		return smx509.CreateCertificate(rand.Reader, &pki.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "x"},
			NotBefore: p.Now, NotAfter: p.Now.AddDate(1, 0, 0), ExtraExtensions: stating(values...).Extensions[1:]},
			p.Issuing.Certificate, p.QR.Certificate.PublicKey, p.Issuing.Key)
	}
	for value, want := range map[string]string{ia5 + cryptotest.USCC: cryptotest.USCC, teletex + cryptotest.USCC: ""} {
		der, err := certify(value)
		must(t, err)
		cert, err := pki.ParseCertificate(der)
		must(t, err)
		if got, err := pki.USCC(cert); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", value, got, err)
		}
	}
	der, err := certify(printable+cryptotest.USCC, printable+cryptotest.USCC)
	must(t, err)
	if cert, err := pki.ParseCertificate(der); err == nil || cert != nil {
		t.Error("a certificate with two codes is accepted")
	}
}
