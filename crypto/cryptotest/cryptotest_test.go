package cryptotest_test

import (
	"testing"

	"elicence/crypto/cryptotest"
	"elicence/crypto/pki"
)

// TestNew holds the fixture to what its users rely on: each leaf passes for its own
// usage and for no other, and a second PKI does not know the first.
func TestNew(t *testing.T) {
	p, foreign := cryptotest.New(t), cryptotest.New(t)
	leaves := map[pki.Usage]cryptotest.Leaf{
		pki.UsageSealMaker: p.SealMaker, pki.UsageSealSigner: p.SealSigner, pki.UsageQR: p.QR,
		pki.UsageTimestamp: p.TSA, pki.UsageTrustList: p.TrustList,
	}
	for own, leaf := range leaves {
		for usage := range leaves {
			o := pki.PathOptions{Usage: usage, At: p.Now, Now: p.Now}
			path, err := p.Anchors.CheckPath(leaf.Certificate, o)
			if (err == nil) != (usage == own) {
				t.Errorf("%s certificate as %s: %v", own, usage, err)
			}
			if usage == own && len(path.Chain) != 3 {
				t.Errorf("%s: path of %d certificates, not leaf, issuing CA and root", own, len(path.Chain))
			}
			if _, err := foreign.Anchors.CheckPath(leaf.Certificate, o); err == nil {
				t.Errorf("%s certificate passes under foreign anchors", own)
			}
		}
	}
	message := []byte("message")
	if token := p.MustToken(t, message, p.Now); !token.Time.Equal(p.Now) {
		t.Errorf("token says %s", token.Time)
	}
	sig := p.MustSign(t, make([]byte, 32))
	if err := sig.CheckSignature(); err != nil {
		t.Error(err)
	}
	if err := sig.Seal.CheckSignature(); err != nil {
		t.Error(err)
	}
}
