package verify_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"elicence/crypto/cryptotest"
	"elicence/crypto/pki"
	"elicence/licence"
	"elicence/verify"
)

// TestTrustListRevocation verifies with anchors whose CRLs have run out, or that hold no
// more than the root: the list brings what is missing, and can bring in no root.
func TestTrustListRevocation(t *testing.T) {
	p, stranger := cryptotest.New(t), cryptotest.New(t)
	file := newRecipe(t, p).make(t)
	later := now.AddDate(0, 0, 60) // the CRLs of the anchors last 30 days
	crl := func(ca *pki.CA, revoked ...pki.Revoked) []byte {
		der, err := ca.CRL(rand.Reader, 50, revoked, later.Add(-time.Hour), later.Add(time.Hour))
		must(t, err)
		return der
	}
	rootAlone, err := pki.ParseTrustAnchors(pki.MarshalTrustAnchors([]*pki.Certificate{p.Root.Certificate}, nil))
	must(t, err)
	cas := []*pki.Certificate{p.Issuing.Certificate}
	root, issuing := crl(p.Root), crl(p.Issuing)
	lost := revoked(p.SealSigner, sealedAt.Add(-time.Hour), pki.KeyCompromise)
	for _, c := range []struct {
		name    string
		anchors *pki.TrustAnchors
		certs   []*pki.Certificate
		crls    [][]byte
		want    verify.Indication // empty: the list is refused
	}{
		{"old anchors, fresh lists", p.Anchors, nil, [][]byte{root, issuing}, verify.TotalPassed},
		{"root alone, issuing CA from the list", rootAlone, cas, [][]byte{issuing, root}, verify.TotalPassed},
		{"signer revoked since", p.Anchors, nil, [][]byte{root, crl(p.Issuing, lost)}, verify.TotalFailed},
		{"no list of the root", p.Anchors, nil, [][]byte{issuing}, ""},
		{"no fresh lists", p.Anchors, nil, nil, ""},
		{"another root, in the list", mustAnchors(t, stranger, later), []*pki.Certificate{p.Root.Certificate, p.Issuing.Certificate}, [][]byte{root, issuing}, ""},
		{"list signer revoked by the list itself", p.Anchors, nil, [][]byte{root, crl(p.Issuing, revoked(p.TrustList, later.Add(-2*time.Hour), pki.Superseded))}, ""},
		{"no CRL", p.Anchors, nil, [][]byte{root, issuing[:40]}, ""},
	} {
		list := sampleList(p)
		list.IssuedAt, list.ExpiresAt, list.Certificates, list.CRLs = later, later.Add(time.Hour), c.certs, c.crls
		got, err := verify.ParseTrustList(mustSignTrustList(t, p.TrustList, list), c.anchors, later)
		if c.want == "" {
			if err == nil || got != nil {
				t.Errorf("%s: accepted", c.name)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		v := verify.Verifier{Anchors: got.Anchors, Trust: got}
		if r := v.VerifyFile(context.Background(), file, later); r.Indication != c.want {
			t.Errorf("%s: %s %s, want %s", c.name, r.Indication, r.SubIndication, c.want)
		}
	}
}

// TestParseTrustListForm signs forms of a list by hand that SignTrustList would not
// write: whoever holds the key, a list has one form.
func TestParseTrustListForm(t *testing.T) {
	p := cryptotest.New(t)
	key := func(n ...byte) string {
		var packed []byte
		for _, b := range n {
			packed = append(packed, make([]byte, 15)...)
			packed = append(packed, b)
		}
		return base64.StdEncoding.EncodeToString(packed)
	}
	good := `{"format":"elicence-trust-list/2","counter":7,"issued_at":"2026-05-31T23:00:00Z","expires_at":"2026-06-01T08:00:00Z",` +
		`"authorities":["` + uscc + `"],"certificates":[],"crls":[],"qr_signers":[],"states":{"revoked":"` + key(1, 2) + `","suspended":"` + key(3) + `"}}`
	if _, err := verify.ParseTrustList([]byte(signBody(t, p.TrustList, good)), p.Anchors, now); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string][2]string{
		"no certificates":          {`"certificates":[],`, ``},
		"certificates null":        {`"certificates":[]`, `"certificates":null`},
		"lists null":               {`"crls":[]`, `"crls":null`},
		"a list null":              {`"crls":[]`, `"crls":[null]`},
		"a list empty":             {`"crls":[]`, `"crls":[""]`},
		"signers null":             {`"qr_signers":[]`, `"qr_signers":null`},
		"a signer null":            {`"qr_signers":[]`, `"qr_signers":[null]`},
		"states null":              {`{"revoked":"` + key(1, 2) + `","suspended":"` + key(3) + `"}`, `null`},
		"no keys":                  {key(3), ``},
		"keys null":                {`"` + key(3) + `"`, `null`},
		"part of a key":            {key(3), `AAAA`},
		"a key and a half":         {key(3), base64.StdEncoding.EncodeToString(make([]byte, 24))},
		"out of order":             {key(1, 2), key(2, 1)},
		"a key twice":              {key(1, 2), key(1, 1)},
		"base64 with set pad bits": {key(3), strings.Replace(key(3), "w==", "x==", 1)},
		"base64 without padding":   {key(3), strings.TrimRight(key(3), "=")},
		"base64 in two lines":      {key(3), key(3)[:4] + `\n` + key(3)[4:]},
		"status twice":             {`,"suspended"`, `,"revoked":"` + key(4) + `","suspended"`},
		"statuses out of order":    {`"revoked":"` + key(1, 2) + `","suspended":"` + key(3) + `"`, `"suspended":"` + key(3) + `","revoked":"` + key(1, 2) + `"`},
		"state valid":              {`"suspended"`, `"valid"`},
		"state derived":            {`"suspended"`, `"expired"`},
		"time with a fraction":     {`23:00:00Z`, `23:00:00.0Z`},
		"time of another zone":     {`23:00:00Z`, `23:00:00+00:00`},
		"counter with a fraction":  {`"counter":7`, `"counter":7.0`},
		"counter negative":         {`"counter":7`, `"counter":-7`},
		"counter beyond 63 bits":   {`"counter":7`, fmt.Sprintf(`"counter":%d`, uint64(1)<<63)},
	} {
		body := strings.Replace(good, change[0], change[1], 1)
		if body == good {
			t.Errorf("%s: not changed", name)
		}
		if got, err := verify.ParseTrustList([]byte(signBody(t, p.TrustList, body)), p.Anchors, now); err == nil || got != nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// BenchmarkTrustList makes, writes, reads and asks the list of a million licences of
// which three in a hundred are not valid.
func BenchmarkTrustList(b *testing.B) {
	p := cryptotest.New(b)
	list := sampleList(p)
	list.Certificates, list.CRLs = []*pki.Certificate{p.Root.Certificate, p.Issuing.Certificate}, [][]byte{p.RootCRL, p.IssuingCRL}
	ids := make([]string, 30_000)
	for i := range ids {
		ids[i] = fmt.Sprintf("1.2.156.3005.2.11100000000013338W009.%s.%010d.001.X", uscc, i)
	}
	statuses := []licence.Status{licence.StatusRevoked, licence.StatusWithdrawn, licence.StatusCancelled, licence.StatusSuperseded, licence.StatusSuspended}
	fill := func() {
		list.States = verify.States{}
		for i, id := range ids {
			status := statuses[i%len(statuses)]
			list.States[status] = append(list.States[status], verify.StateKeyOf(licence.Identifier(id)))
		}
	}
	fill()
	signed := mustSignTrustList(b, p.TrustList, list)
	b.Run("make", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			fill()
			mustSignTrustList(b, p.TrustList, list)
		}
		b.ReportMetric(float64(len(signed)), "file-bytes")
	})
	b.Run("load", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := verify.ParseTrustList(signed, p.Anchors, now); err != nil {
				b.Fatal(err)
			}
		}
	})
	loaded, err := verify.ParseTrustList(signed, p.Anchors, now)
	must(b, err)
	b.Run("look up", func(b *testing.B) {
		n := 0
		for b.Loop() {
			if _, found := loaded.State(licence.Identifier(ids[n%len(ids)])); !found {
				b.Fatal("not found")
			}
			n++
		}
	})
}
