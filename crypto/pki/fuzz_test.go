package pki_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"encoding/pem"
	"testing"
	"time"

	"elicence/crypto/cryptotest"
	"elicence/crypto/pki"
	"elicence/testdata/hostile"

	"github.com/emmansun/gmsm/sm2"
)

// FuzzParsePrivateKey takes the DER of a key file: out of one that was altered comes the
// key that was put in, or none.
func FuzzParsePrivateKey(f *testing.F) {
	cryptotest.Fixed(f)
	key := mustKey(f)
	file, err := pki.MarshalPrivateKey(rand.Reader, key, []byte("secret"))
	must(f, err)
	good, _ := pem.Decode(file)
	f.Add(good.Bytes, []byte("secret"))
	f.Add(good.Bytes, []byte{})
	f.Add([]byte{0x30, 0x80, 0, 0}, []byte("secret"))
	f.Fuzz(func(t *testing.T, der, passphrase []byte) {
		file := pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: der})
		for name, parse := range map[string]func(pemBytes, passphrase []byte) (crypto.Signer, error){
			"SM2": pki.ParsePrivateKey, "foreign": pki.ParseForeignKey} {
			var got crypto.Signer
			var err error
			hostile.Within(t, func() { got, err = parse(file, passphrase) })
			if (err == nil) != (got != nil) {
				t.Errorf("%s: a key %t with error %v", name, got != nil, err)
			}
			if err == nil && !key.(*sm2.PrivateKey).Equal(got) {
				t.Errorf("%s: another key", name)
			}
		}
	})
}

// FuzzParseCRL: what is refused leaves nothing, what parses is the whole input and DER.
func FuzzParseCRL(f *testing.F) {
	cryptotest.Fixed(f)
	p := cryptotest.New(f)
	f.Add(p.RootCRL)
	f.Add(p.MustCRL(f, pki.Revoked{SerialNumber: p.QR.Certificate.SerialNumber, At: p.Now, Reason: pki.KeyCompromise, InvalidityDate: p.Now.Add(-time.Hour)},
		pki.Revoked{SerialNumber: p.TSA.Certificate.SerialNumber, At: p.Now}))
	f.Fuzz(func(t *testing.T, der []byte) {
		var list *pki.ParsedCRL
		var err error
		hostile.Within(t, func() { list, err = pki.ParseCRL(der) })
		if (err == nil) != (list != nil) {
			t.Errorf("list %t with error %v", list != nil, err)
		}
		if err != nil {
			return
		}
		hostile.CheckDER(t, der)
		if _, err := pki.ParseCRL(append(bytes.Clone(der), 0)); err == nil {
			t.Error("parses with a byte after it")
		}
	})
}
