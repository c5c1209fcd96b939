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

// TestForeignSeals reads seals that another implementation made. They lie outside
// the repository, in the folder ELICENCE_VECTORS, from the module's root.
func TestForeignSeals(t *testing.T) {
	dir := os.Getenv("ELICENCE_VECTORS")
	if dir == "" {
		dir = "../shared/vectors"
	}
	if !filepath.IsAbs(dir) {
		dir = filepath.Join("..", "..", dir)
	}
	files, err := filepath.Glob(filepath.Join(dir, "seals", "*.esl"))
	must(t, err)
	p := cryptotest.New(t)
	for _, file := range files {
		der, err := os.ReadFile(file)
		must(t, err)
		t.Run(filepath.Base(file), func(t *testing.T) { checkForeign(t, p, der) })
	}
	t.Logf("%d seals of others read from %s", len(files), dir)
	if len(files) == 0 {
		t.Log("none: set ELICENCE_VECTORS to a folder with some")
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

// checkMakerTrust: anchors that do not hold the maker's certificate do not trust it.
// Given, it is found, but these makers' certificate is for TLS clients only, and a
// certificate that says so makes no seals for us even as an anchor (crypto/pki).
func checkMakerTrust(t *testing.T, p *cryptotest.PKI, s *seal.Seal) {
	t.Helper()
	at := s.Maker.NotBefore
	given, err := pki.ParseTrustAnchors(pki.MarshalTrustAnchors([]*pki.Certificate{s.Maker}, nil))
	must(t, err)
	for name, anchors := range map[string]*pki.TrustAnchors{"other anchors": p.Anchors, "its own certificate": given} {
		_, err := anchors.CheckPath(s.Maker, pki.PathOptions{Usage: pki.UsageSealMaker, At: at, Now: at})
		var fault *pki.PathError
		if !errors.As(err, &fault) || fault.Reason != pki.WrongUsage {
			t.Errorf("maker with %s: %v", name, err)
		}
	}
}
