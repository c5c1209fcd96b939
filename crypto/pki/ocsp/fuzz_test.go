package ocsp_test

import (
	"bytes"
	"errors"
	"math/big"
	"testing"

	"elicence/crypto/pki"
	"elicence/crypto/pki/ocsp"
)

func FuzzParseRequest(f *testing.F) {
	b := newBench(f, true)
	id, err := ocsp.NewCertID(b.Issuing.Certificate, big.NewInt(1))
	must(f, err)
	for _, nonce := range [][]byte{nil, []byte("nonce")} {
		der, err := ocsp.MarshalRequest([]ocsp.CertID{id, id}, nonce)
		must(f, err)
		f.Add(der)
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		r, err := ocsp.ParseRequest(der)
		if (err == nil) == (r == nil) {
			t.Errorf("request %v with error %v", r, err)
		}
		if err == nil && !bytes.Equal(r.Raw, der) {
			t.Error("request is not the whole input")
		}
		if _, err := ocsp.ParseResponse(b.responder.Respond(der)); err != nil && !errors.As(err, new(ocsp.StatusError)) {
			t.Errorf("the responder's answer: %v", err)
		}
	})
}

func FuzzParseResponse(f *testing.F) {
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
		r, err := ocsp.ParseResponse(der)
		if (err == nil) == (r == nil) {
			t.Errorf("response %v with error %v", r, err)
		}
		if err != nil {
			return
		}
		if !bytes.Equal(r.Raw, der) {
			t.Error("response is not the whole input")
		}
		_, err = r.Check(id, b.Issuing.Certificate, b.now)
		goodTBS, _ := signedParts(t, good)
		revokedTBS, _ := signedParts(t, revoked)
		if tbs, _ := signedParts(t, der); err == nil && !bytes.Equal(tbs, goodTBS) && !bytes.Equal(tbs, revokedTBS) {
			t.Error("an altered response passes")
		}
	})
}
