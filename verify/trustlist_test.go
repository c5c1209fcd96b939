package verify_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"elicence/crypto/cryptotest"
	"elicence/crypto/pki"
	"elicence/licence"
	"elicence/testdata/hostile"
	"elicence/verify"
)

// mustTrustList signs a list and reads it back.
func mustTrustList(t testing.TB, p *cryptotest.PKI, list *verify.TrustList) *verify.TrustList {
	t.Helper()
	got, err := verify.ParseTrustList(mustSignTrustList(t, p.TrustList, list), p.Anchors, now)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func mustSignTrustList(t testing.TB, leaf cryptotest.Leaf, list *verify.TrustList) []byte {
	t.Helper()
	b, err := verify.SignTrustList(rand.Reader, leaf.Key, leaf.Certificate, list)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// sampleList is a list of one authority, one QR signer and two states.
func sampleList(p *cryptotest.PKI) *verify.TrustList {
	return &verify.TrustList{Counter: 7, IssuedAt: sealedAt, ExpiresAt: now.Add(8 * time.Hour),
		Authorities: []string{uscc}, QRSigners: []*pki.Certificate{p.QR.Certificate},
		States: verify.States{licence.StatusRevoked: {{3}, {1}}, licence.StatusSuspended: {{2}}}}
}

func TestTrustListRoundTrip(t *testing.T) {
	p := cryptotest.New(t)
	want := sampleList(p)
	want.Authorities = []string{otherUSCC, uscc, otherUSCC}
	want.States[licence.StatusRevoked] = append(want.States[licence.StatusRevoked], verify.StateKey{3}, verify.StateKey{2, 1})
	want.States[licence.StatusVoided] = nil
	got := mustTrustList(t, p, want)
	if diff := cmp.Diff([]string{uscc, otherUSCC}, got.Authorities); diff != "" {
		t.Error(diff)
	}
	if !got.SpeaksFor(uscc) || got.SpeaksFor("113301000024903302") || got.SpeaksFor("") {
		t.Error("a list speaks for its authorities, and for no others")
	}
	if diff := cmp.Diff(verify.States{licence.StatusRevoked: {{1}, {2, 1}, {3}}, licence.StatusSuspended: {{2}}}, got.States); diff != "" {
		t.Error(diff)
	}
	if got.States.Digest() != want.States.Digest() || got.States.Digest() != sm3Of([]byte(statesOf(t, mustSignTrustList(t, p.TrustList, want)))) {
		t.Error("the digest of the states is that of the member in the file")
	}
	if got.Counter != 7 || !got.IssuedAt.Equal(want.IssuedAt) || !got.ExpiresAt.Equal(want.ExpiresAt) ||
		len(got.QRSigners) != 1 || !got.QRSigners[0].Equal(p.QR.Certificate) {
		t.Errorf("got %+v", got)
	}
	if got.Stale(now) || !got.Stale(want.ExpiresAt) {
		t.Error("a list is good until it expires, and no longer")
	}
}

// statesOf cuts the states out of a list.
func statesOf(t testing.TB, list []byte) string {
	t.Helper()
	_, rest, found := strings.Cut(string(list), `,"states":`)
	states, _, ends := strings.Cut(rest, `},"certificate":`)
	if !found || !ends {
		t.Fatal("no states in the list")
	}
	return states
}

func TestSignTrustListRefuses(t *testing.T) {
	p := cryptotest.New(t)
	for name, change := range map[string]func(*verify.TrustList){
		"no counter":    func(l *verify.TrustList) { l.Counter = 0 },
		"no validity":   func(l *verify.TrustList) { l.ExpiresAt = l.IssuedAt },
		"valid listed":  func(l *verify.TrustList) { l.States[licence.StatusValid] = []verify.StateKey{{3}} },
		"derived state": func(l *verify.TrustList) { l.States[licence.StatusExpired] = []verify.StateKey{{3}} },
		"unknown state": func(l *verify.TrustList) { l.States["lost"] = []verify.StateKey{{3}} },
		"too many":      func(l *verify.TrustList) { l.States[licence.StatusVoided] = manyKeys(1_000_000) },
		"65 CAs": func(l *verify.TrustList) {
			l.Certificates = slices.Repeat([]*pki.Certificate{p.Root.Certificate}, 65)
		},
		"65 CRLs":      func(l *verify.TrustList) { l.CRLs = slices.Repeat([][]byte{p.RootCRL}, 65) },
		"no scope":     func(l *verify.TrustList) { l.Authorities = nil },
		"empty scope":  func(l *verify.TrustList) { l.Authorities = []string{} },
		"empty code":   func(l *verify.TrustList) { l.Authorities = append(l.Authorities, "") },
		"every code":   func(l *verify.TrustList) { l.Authorities = []string{"*"} },
		"wrong code":   func(l *verify.TrustList) { l.Authorities = []string{"11330105002500287D"} },
		"small letter": func(l *verify.TrustList) { l.Authorities = []string{strings.ToLower(uscc)} },
		"huge scope":   func(l *verify.TrustList) { l.Authorities = manyCodes(10_001) },
	} {
		list := sampleList(p)
		change(list)
		if b, err := verify.SignTrustList(rand.Reader, p.TrustList.Key, p.TrustList.Certificate, list); err == nil || b != nil {
			t.Errorf("%s: signed", name)
		}
	}
	if _, err := verify.SignTrustList(rand.Reader, p.QR.Key, p.TrustList.Certificate, sampleList(p)); err == nil {
		t.Error("signed with a key that is not the certificate's")
	}
	list := sampleList(p)
	list.Authorities = manyCodes(10_000)
	if got := mustTrustList(t, p, list); len(got.Authorities) != 10_000 {
		t.Errorf("%d authorities", len(got.Authorities))
	}
}

// manyKeys are n different keys.
func manyKeys(n int) []verify.StateKey {
	keys := make([]verify.StateKey, n)
	for i := range keys {
		keys[i] = verify.StateKey(binary.BigEndian.AppendUint64(make([]byte, 8), uint64(i)))
	}
	return keys
}

// manyCodes are n unified social credit codes: of one organisation, in as many divisions.
func manyCodes(n int) (codes []string) {
	for division := range n {
		for _, check := range "0123456789ABCDEFGHJKLMNPQRTUWXY" {
			if code := fmt.Sprintf("11%06d%s%c", division, uscc[8:17], check); licence.CheckUSCC(code) == nil {
				codes = append(codes, code)
			}
		}
	}
	return codes
}

// signBody signs a body that SignTrustList would not write.
func signBody(t testing.TB, leaf cryptotest.Leaf, body string) string {
	t.Helper()
	signature, err := pki.SignMessage(rand.Reader, leaf.Key, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.StdEncoding.EncodeToString
	return fmt.Sprintf(`{"body":%s,"certificate":"%s","signature":"%s"}`+"\n", body, encode(leaf.Certificate.Raw), encode(signature))
}

// TestParseTrustListScope signs scopes by hand: whoever holds the key, a list has one
// form and says whom it speaks for.
func TestParseTrustListScope(t *testing.T) {
	p := cryptotest.New(t)
	const one, two = `"` + uscc + `"`, `"` + otherUSCC + `"`
	body := func(member string) string {
		return `{"format":"elicence-trust-list/2","counter":7,"issued_at":"2026-05-31T23:00:00Z","expires_at":"2026-06-01T08:00:00Z",` +
			member + `"certificates":[],"crls":[],"qr_signers":[],"states":{}}`
	}
	for name, c := range map[string]struct {
		member string
		want   int
	}{
		"one":               {`"authorities":[` + one + `],`, 1},
		"two":               {`"authorities":[` + one + `,` + two + `],`, 2},
		"without scope":     {``, 0},
		"null":              {`"authorities":null,`, 0},
		"none":              {`"authorities":[],`, 0},
		"no list":           {`"authorities":` + one + `,`, 0},
		"number":            {`"authorities":[113301050025002870],`, 0},
		"null within":       {`"authorities":[null],`, 0},
		"list within":       {`"authorities":[[` + one + `]],`, 0},
		"out of order":      {`"authorities":[` + two + `,` + one + `],`, 0},
		"twice":             {`"authorities":[` + one + `,` + one + `],`, 0},
		"check character":   {`"authorities":["11330105002500287D"],`, 0},
		"organisation code": {`"authorities":["002500287"],`, 0},
		"small letters":     {`"authorities":["11330105002500287c"],`, 0},
		"blank after it":    {`"authorities":["11330105002500287C "],`, 0},
		"escaped":           {`"authorities":["\u00311330105002500287C"],`, 0},
		"member twice":      {`"authorities":[` + one + `],"authorities":[` + one + `],`, 0},
		"other case":        {`"Authorities":[` + one + `],`, 0},
		"other name":        {`"scope":[` + one + `],`, 0},
	} {
		got, err := verify.ParseTrustList([]byte(signBody(t, p.TrustList, body(c.member))), p.Anchors, now)
		if (err == nil) != (c.want > 0) || (got != nil) != (c.want > 0) || c.want > 0 && len(got.Authorities) != c.want {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	last := body(``)
	last = strings.TrimSuffix(last, "}") + `,"authorities":[` + one + `]}`
	if got, err := verify.ParseTrustList([]byte(signBody(t, p.TrustList, last)), p.Anchors, now); err == nil || got != nil {
		t.Error("accepted with the scope at the end")
	}
}

func TestParseTrustListRefuses(t *testing.T) {
	p := cryptotest.New(t)
	good := string(mustSignTrustList(t, p.TrustList, sampleList(p)))
	stranger, _ := foreign(t, p, pki.UsageTrustList)
	old := mustIssue(t, p, pki.UsageTrustList, now.AddDate(-1, 0, 0), sealedAt)
	for name, list := range map[string]string{
		"empty":                 "",
		"not JSON":              "trust",
		"null":                  "null\n",
		"list":                  "[]\n",
		"no body":               `{"body":{},"certificate":"","signature":""}` + "\n",
		"parts that overlap":    `{"body":{},"certificate":","signature":""}` + "\n",
		"only the frame":        `{"body":"}` + "\n",
		"no line feed":          strings.TrimSuffix(good, "\n"),
		"blank":                 strings.Replace(good, ":", ": ", 1),
		"bytes after it":        good + "\n",
		"second member":         strings.Replace(good, `"certificate"`, `"certificate":"","certificate"`, 1),
		"other case":            strings.Replace(good, `"certificate"`, `"Certificate"`, 1),
		"unknown member":        strings.Replace(good, `{"body":{`, `{"body":{"x":1,`, 1),
		"other format":          strings.Replace(good, "elicence-trust-list/2", "elicence-trust-list/1", 1),
		"scope altered":         strings.Replace(good, uscc, otherUSCC, 1),
		"counter altered":       strings.Replace(good, `"counter":7`, `"counter":8`, 1),
		"state altered":         strings.Replace(good, "revoked", "suspended", 1),
		"state dropped":         strings.Replace(good, `,"suspended":"AgAAAAAAAAAAAAAAAAAAAA=="`, "", 1),
		"signed by another key": string(mustSignTrustList(t, cryptotest.New(t).TrustList, sampleList(p))),
		"signer untrusted":      string(mustSignTrustList(t, stranger, sampleList(p))),
		"signer of other usage": string(mustSignTrustList(t, p.QR, sampleList(p))),
		"signer expired":        string(mustSignTrustList(t, old, sampleList(p))),
	} {
		if got, err := verify.ParseTrustList([]byte(list), p.Anchors, now); err == nil || got != nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := verify.ParseTrustList([]byte(good), nil, now); err == nil {
		t.Error("accepted without anchors")
	}
	anchors := mustAnchors(t, p, now, revoked(p.TrustList, sealedAt, pki.KeyCompromise))
	if _, err := verify.ParseTrustList([]byte(good), anchors, now); err == nil {
		t.Error("accepted from a revoked signer")
	}
	for i := range good {
		altered := []byte(good)
		altered[i] ^= 1
		if _, err := verify.ParseTrustList(altered, p.Anchors, now); err == nil {
			t.Fatalf("accepted with byte %d altered", i)
		}
	}
}

// FuzzParseTrustList wants of any input: no panic, and nothing accepted but what
// was signed.
func FuzzParseTrustList(f *testing.F) {
	cryptotest.Fixed(f)
	p := cryptotest.New(f)
	good := mustSignTrustList(f, p.TrustList, sampleList(p))
	f.Add(good)
	f.Add([]byte(`{"body":{"format":"elicence-trust-list/2","counter":1,"states":{"revoked":"AA=="}},"certificate":"MAA=","signature":"MAA="}`))
	f.Add([]byte("{}\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var list *verify.TrustList
		var err error
		hostile.Within(t, func() { list, err = verify.ParseTrustList(b, p.Anchors, now) })
		if err == nil && !bytes.Equal(b, good) {
			t.Error("accepted bytes that were not signed")
		}
		if err != nil && list != nil {
			t.Error("a list beside an error")
		}
	})
}
