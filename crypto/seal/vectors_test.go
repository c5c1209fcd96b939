package seal_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"elicence/crypto/cryptotest"
	"elicence/crypto/pki"
	"elicence/crypto/seal"
)

// foreign is what the seals of another implementation hold, and how they deviate.
var foreign = map[string]struct {
	version    int
	validTo    string
	deviations []seal.Deviation
}{
	"ofdrw-UserV1.esl": {1, "2022-04-22T02:18:07Z", nil},
	"ofdrw-UserV4.esl": {4, "2022-04-22T02:09:00Z", []seal.Deviation{seal.TypeAboveTwo}},
	"ofdrw-UserV5.esl": {5, "2028-04-24T08:53:23Z", []seal.Deviation{seal.TypeAboveTwo}},
}

// TestForeignSeals reads seals that another implementation made.
func TestForeignSeals(t *testing.T) {
	p := cryptotest.New(t)
	for _, file := range cryptotest.SealsOfOthers(t) {
		der, err := os.ReadFile(file)
		must(t, err)
		t.Run(filepath.Base(file), func(t *testing.T) { checkForeign(t, p, der) })
	}
}

func checkForeign(t *testing.T, p *cryptotest.PKI, der []byte) {
	want := foreign[filepath.Base(t.Name())]
	s, err := seal.ParseSeal(der, seal.Deviations()...)
	must(t, err)
	if s.Version != want.version || s.ValidTo.UTC().Format(time.RFC3339) != want.validTo || !slices.Equal(s.Deviations, want.deviations) {
		t.Errorf("version %d, valid to %s, deviations %s", s.Version, s.ValidTo, s.Deviations)
	}
	if s.Picture.Type != "PNG" || s.Picture.Format() != "png" || s.Picture.Width != 40 || len(s.CertList) != 1 || !strings.Contains(s.Name, "测试") {
		t.Errorf("%s picture of %d mm, %d signers, name %q", s.Picture.Type, s.Picture.Width, len(s.CertList), s.Name)
	}
	if strict, err := seal.ParseSeal(der); (err == nil) != (want.deviations == nil) || (strict != nil) != (err == nil) {
		t.Errorf("without leave to deviate: %v", err)
	}
	if again, err := seal.Remarshal(s); err != nil || !bytes.Equal(again, der) {
		t.Errorf("fields marshal to other bytes, error %v", err)
	}
	must(t, s.CheckSignature())
	if !cryptotest.OpenSSLVerifies(t, s.Maker.PublicKey, s.SignedRaw, s.SignatureValue) {
		t.Error("OpenSSL does not verify it")
	}
	signer, err := pki.ParseCertificate(s.CertList[0].Value)
	if err != nil || !s.Lists(signer) {
		t.Errorf("signer is not found in the list, error %v", err)
	}
	if s.ValidAt(s.ValidFrom.Add(-1)) || !s.ValidAt(s.ValidFrom) || !s.ValidAt(s.ValidTo) || s.ValidAt(s.ValidTo.Add(1)) || s.ValidAt(p.Now) != (s.Version == 5) {
		t.Error("validity is not judged by the dates")
	}
	checkMakerTrust(t, p, s)
	checkRefusals(t, s, 7)
}

// checkMakerTrust: the maker is trusted when its certificate is given, and while it is
// valid, with the remark that it is one for TLS clients.
func checkMakerTrust(t *testing.T, p *cryptotest.PKI, s *seal.Seal) {
	t.Helper()
	given, err := pki.ParseTrustAnchors(pki.MarshalTrustAnchors([]*pki.Certificate{s.Maker}, nil))
	must(t, err)
	for _, c := range []struct {
		name    string
		anchors *pki.TrustAnchors
		at      time.Time
		want    pki.PathReason
	}{
		{"anchors of others", p.Anchors, s.Maker.NotBefore, pki.WrongUsage},
		{"its certificate", given, s.Maker.NotBefore, ""},
		{"its certificate, last second", given, s.Maker.NotAfter, ""},
		{"its certificate, a second late", given, s.Maker.NotAfter.Add(time.Second), pki.Expired},
	} {
		path, err := c.anchors.CheckPath(s.Maker, pki.PathOptions{Usage: pki.UsageSealMaker, At: c.at, Now: c.at, AllowOtherUsage: true})
		var fault *pki.PathError
		if errors.As(err, &fault) != (c.want != "") || fault != nil && fault.Reason != c.want || (path.OtherUsage == nil) != (err != nil) {
			t.Errorf("maker with %s: %v, for %v", c.name, err, path.OtherUsage)
		}
	}
}
