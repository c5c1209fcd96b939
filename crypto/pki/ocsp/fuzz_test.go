package ocsp_test

import (
	"bytes"
	"encoding/asn1"
	"errors"
	"math/big"
	"strings"
	"testing"

	"elicence/crypto/cryptotest"
	"elicence/crypto/pki"
	"elicence/crypto/pki/ocsp"
	"elicence/testdata/hostile"
)

func FuzzParseRequest(f *testing.F) {
	cryptotest.Fixed(f)
	b := newBench(f, true)
	id, err := ocsp.NewCertID(b.Issuing.Certificate, big.NewInt(1))
	must(f, err)
	for _, nonce := range [][]byte{nil, []byte("nonce")} {
		der, err := ocsp.MarshalRequest([]ocsp.CertID{id, id}, nonce)
		must(f, err)
		f.Add(der)
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		var r *ocsp.Request
		var err error
		hostile.Within(t, func() { r, err = ocsp.ParseRequest(der) })
		if (err == nil) == (r == nil) {
			t.Errorf("request %v with error %v", r, err)
		}
		if err == nil {
			hostile.CheckDER(t, der)
			if !bytes.Equal(r.Raw, der) {
				t.Error("request is not the whole input")
			}
		}
		if _, err := ocsp.ParseResponse(b.responder.Respond(der)); err != nil && !errors.As(err, new(ocsp.StatusError)) {
			t.Errorf("the responder's answer: %v", err)
		}
	})
}

func FuzzParseResponse(f *testing.F) {
	cryptotest.Fixed(f)
	b := newBench(f, true)
	id, err := ocsp.NewCertID(b.Issuing.Certificate, b.QR.Certificate.SerialNumber)
	must(f, err)
	q, err := ocsp.MarshalRequest([]ocsp.CertID{id}, []byte("nonce"))
	must(f, err)
	good := b.responder.Respond(q)
	f.Add(good)
	f.Add(ocsp.Refusal(ocsp.TryLater))
	b.revoked[b.QR.Certificate.SerialNumber.String()] = &pki.Revoked{SerialNumber: b.QR.Certificate.SerialNumber, At: b.Now, Reason: pki.KeyCompromise, InvalidityDate: b.Now}
	revoked := b.responder.Respond(q)
	f.Add(revoked)
	f.Fuzz(func(t *testing.T, der []byte) {
		var r *ocsp.Response
		var err error
		hostile.Within(t, func() { r, err = ocsp.ParseResponse(der) })
		if (err == nil) == (r == nil) {
			t.Errorf("response %v with error %v", r, err)
		}
		if err != nil {
			return
		}
		if !bytes.Equal(r.Raw, der) {
			t.Error("response is not the whole input")
		}
		hostile.CheckDER(t, der)
		_, err = r.Check(id, b.Issuing.Certificate, b.now)
		goodTBS, _ := signedParts(t, good)
		revokedTBS, _ := signedParts(t, revoked)
		if tbs, _ := signedParts(t, der); err == nil && !bytes.Equal(tbs, goodTBS) && !bytes.Equal(tbs, revokedTBS) {
			t.Error("an altered response passes")
		}
	})
}

// TestExtensionTwice puts an extension of a request and of a response there again.
func TestExtensionTwice(t *testing.T) {
	b := newBench(t, true)
	serial := b.QR.Certificate.SerialNumber
	id, err := ocsp.NewCertID(b.Issuing.Certificate, serial)
	must(t, err)
	request, err := ocsp.MarshalRequest([]ocsp.CertID{id}, []byte("nonce"))
	must(t, err)
	b.revoked[serial.String()] = &pki.Revoked{SerialNumber: serial, At: b.Now, Reason: pki.KeyCompromise, InvalidityDate: b.Now}
	response := b.responder.Respond(request)
	var basic []byte
	_, err = asn1.Unmarshal(hostile.Find(t, response, 1, 0, 1), &basic)
	must(t, err)
	twice := func(der []byte, path ...int) []byte {
		return hostile.Replace(t, der, bytes.Repeat(hostile.Find(t, der, path...), 2), path...)
	}
	inResponse := func(path ...int) []byte {
		return hostile.Replace(t, response, hostile.Element(4, twice(basic, path...)), 1, 0, 1)
	}
	// ResponseData holds responder, producedAt, responses and extensions; a revoked
	// SingleResponse certID, status, both updates and extensions.
	for name, parse := range map[string]func() error{
		"nonce of the request":  func() error { _, err := ocsp.ParseRequest(twice(request, 0, 1, 0, 0)); return err },
		"nonce of the response": func() error { _, err := ocsp.ParseResponse(inResponse(0, 3, 0, 0)); return err },
		"invalidity date":       func() error { _, err := ocsp.ParseResponse(inResponse(0, 2, 0, 4, 0, 0)); return err },
	} {
		if err := parse(); err == nil || !strings.Contains(err.Error(), "twice") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
