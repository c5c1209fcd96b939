package hostile

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/x509/pkix"
	"fmt"
	"net/http/httptest"
	"slices"

	"elicence/crypto/cryptotest"
	"elicence/crypto/pdfsig"
	"elicence/crypto/pki"
	"elicence/crypto/seal"
	"elicence/crypto/tsa"
	"elicence/licence/render/pdf"
)

// relatives is a file with as many seals as there may be, each with a token that
// brings as many certificates as it may: all of one name, half of them signed with the
// key of the others, so that there are thousands of paths and none leads anywhere.
func relatives(k kit) []byte {
	k.t.Helper()
	sig, err := seal.ParseSignature(k.contents())
	k.must(err)
	sig, err = sig.WithTimestamp(k.tokenOfRelatives(sig.SignatureValue))
	k.must(err)
	file := k.render(pdf.Document{Attachments: k.attached("", nil)})
	for i := range 4 {
		o := pdfsig.Options{FieldName: fmt.Sprint("Seal", i), Reserve: 30_000}
		if i == 0 {
			o.Page, o.Later = 1, []pdfsig.Field{{Name: "Seal1"}, {Name: "Seal2"}, {Name: "Seal3"}}
		}
		prepared, err := pdfsig.Prepare(file, o)
		k.must(err)
		file, err = prepared.Finish(sig.Raw)
		k.must(err)
	}
	return file
}

// tokenOfRelatives is over a message, and good but for its path.
func (k kit) tokenOfRelatives(message []byte) []byte {
	k.t.Helper()
	first, second := k.newCA(), k.newCA()
	certs := []*pki.Certificate{}
	for i := range 3 {
		ca, other := first, second
		if i%2 == 0 {
			ca, other = second, first
		}
		certs = append(certs, k.certify(ca, pki.UsageCA, other.Certificate).Certificate)
	}
	leaf := k.certify(first, pki.UsageTimestamp, nil)
	server := httptest.NewServer(&tsa.Authority{Certificate: leaf.Certificate, Key: leaf.Key, Policy: cryptotest.Policy, Now: k.pki.Authority.Now, Rand: rand.Reader})
	defer server.Close()
	token, err := (&tsa.Client{URL: server.URL, HTTP: server.Client(), Rand: rand.Reader, Policy: cryptotest.Policy}).Timestamp(context.Background(), message)
	k.must(err)
	return k.withRelatives(token.Raw, leaf, certs)
}

// withRelatives puts certificates into a token, and signs it without the attribute
// that forbids them.
func (k kit) withRelatives(token []byte, leaf cryptotest.Leaf, certs []*pki.Certificate) []byte {
	k.t.Helper()
	set := [][]byte{leaf.Certificate.Raw}
	for _, c := range certs {
		set = append(set, c.Raw)
	}
	slices.SortFunc(set, bytes.Compare)
	token = Replace(k.t, token, Element(0xa0, set...), 1, 0, 3)
	attributes := children(k.t, Find(k.t, token, 1, 0, 4, 0, 3))
	for i := range attributes {
		fewer := slices.Delete(slices.Clone(attributes), i, i+1)
		value, err := pki.SignMessage(rand.Reader, leaf.Key, Element(0x31, fewer...))
		k.must(err)
		out := Replace(k.t, Replace(k.t, token, Element(0xa0, fewer...), 1, 0, 4, 0, 3), Element(4, value), 1, 0, 4, 0, 5)
		if _, err := tsa.ParseToken(out); err == nil {
			return out
		}
	}
	k.t.Fatal("no token with several certificates")
	return nil
}

func (k kit) newCA() *pki.CA {
	k.t.Helper()
	key, err := pki.GenerateKey(rand.Reader)
	k.must(err)
	ca, err := pki.NewRootCA(rand.Reader, key, k.request(pki.UsageCA, nil))
	k.must(err)
	return ca
}

// certify has ca certify the key of another certificate, or a new one.
func (k kit) certify(ca *pki.CA, usage pki.Usage, other *pki.Certificate) (leaf cryptotest.Leaf) {
	k.t.Helper()
	var err error
	if other == nil {
		leaf.Key, err = pki.GenerateKey(rand.Reader)
		k.must(err)
	}
	request := k.request(usage, other)
	if other == nil {
		request.PublicKey = leaf.Key.Public()
	}
	leaf.Certificate, err = ca.Issue(rand.Reader, request)
	k.must(err)
	return leaf
}

func (k kit) request(usage pki.Usage, of *pki.Certificate) pki.CertificateRequest {
	r := pki.CertificateRequest{Subject: pkix.Name{CommonName: "relative"}, Usage: usage,
		NotBefore: k.pki.Now.AddDate(-1, 0, 0), NotAfter: k.pki.Now.AddDate(9, 0, 0)}
	if of != nil {
		r.PublicKey = of.PublicKey
	}
	return r
}
