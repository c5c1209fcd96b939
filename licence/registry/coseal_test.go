package registry_test

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"elicence/audit"
	"elicence/crypto/pdfsig"
	"elicence/crypto/pki"
	"elicence/crypto/seal"
	"elicence/crypto/tsa"
	"elicence/licence"
	"elicence/licence/registry"
	"elicence/licence/registry/registrytest"

	"github.com/google/go-cmp/cmp"
)

const joint = "joint-dwellings.json"

// watched is a seal key that must find, when it is used, the log entry which permits that.
type watched struct {
	crypto.Signer
	t    testing.TB
	s    *registrytest.Service
	seal string
	fail error // instead of signing
	used int
}

func (w *watched) Sign(rand io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	w.used++
	all := entries(w.t, w.s, 0)
	e := all[len(all)-1].Entry
	if e.Action != registry.ActionSeal || e.Purpose != "seal/"+w.seal || len(e.Digest) != 32 {
		w.t.Errorf("the key of %s is used behind the entry %+v", w.seal, e)
	}
	if w.fail != nil {
		return nil, w.fail
	}
	return w.Signer.Sign(rand, digest, opts)
}

// watch has the keys of the service's seals watched, in a configuration of the test's own.
func watch(t testing.TB, s *registrytest.Service, cfg *registry.Config) map[string]*watched {
	keys := map[string]*watched{}
	cfg.Seals = maps.Clone(cfg.Seals)
	for code, k := range cfg.Seals {
		own := *k
		keys[code] = &watched{Signer: k.Key, t: t, s: s, seal: k.Seal.ID}
		own.Key, cfg.Seals[code] = keys[code], &own
	}
	return keys
}

// over is a registry over a changed configuration.
func over(t testing.TB, cfg registry.Config) *registry.Registry {
	t.Helper()
	r, err := registry.New(cfg)
	must(t, err)
	return r
}

// issueJoint issues the joint sample.
func issueJoint(t testing.TB, r *registry.Registry, key string) (registry.Issued, error) {
	t.Helper()
	body, c := sample(t, joint)
	issued, _, err := r.Issue(t.Context(), c, registry.IssueRequest{Key: key, Body: body})
	return issued, err
}

// fileOf downloads a licence file.
func fileOf(t testing.TB, s *registrytest.Service, id licence.Identifier) []byte {
	t.Helper()
	_, c := sample(t, joint)
	file, _, err := s.Download(t.Context(), c, id, registry.Use{})
	must(t, err)
	return file
}

// TestCoSeals issues with the seals of two authorities, and with those of three below a
// signature for readers without SM2. Each key is used behind its log entry, each digest is
// that of a prefix of the file, each seal has a token.
func TestCoSeals(t *testing.T) {
	s := open(t)
	own := registrytest.Authorities[registrytest.JointType].Code
	for _, tt := range []struct {
		name  string
		cfg   registry.Config
		seals []string // codes in the order in which they seal
		pades bool
	}{
		{"two", s.Config, []string{registrytest.CoSealer.Code, own}, false},
		{"three and PAdES", s.Three(t), []string{registrytest.CoSealer.Code, registrytest.ThirdSealer.Code, own}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			keys := watch(t, s, &tt.cfg)
			from := size(t, s)
			issued, err := issueJoint(t, over(t, tt.cfg), strings.ReplaceAll(tt.name, " ", "-"))
			must(t, err)
			if issued.Status != licence.StatusValid || !issued.Timestamped {
				t.Errorf("%+v", issued)
			}
			want := []string{"issue allowed", "reserved allowed"}
			if tt.pades {
				want = append(want, "pades_signing allowed")
			}
			for range tt.seals {
				want = append(want, "sealing allowed")
			}
			wantTrail(t, s, from, append(want, "issued allowed")...)
			for _, code := range tt.seals {
				if keys[code].used != 1 {
					t.Errorf("the seal of %s was used %d times", code, keys[code].used)
				}
			}
			checkJointFile(t, s, fileOf(t, s, issued.Identifier), tt.seals, tt.pades, sealings(t, s, from))
		})
	}
}

// sealings are the log's sealing entries from an index on.
func sealings(t testing.TB, s *registrytest.Service, from uint64) (found []audit.Entry) {
	t.Helper()
	for _, r := range entries(t, s, from) {
		if r.Entry.Action == registry.ActionSeal {
			found = append(found, r.Entry)
		}
	}
	return found
}

// checkJointFile takes a file apart and holds it to the log and to the licence data.
func checkJointFile(t *testing.T, s *registrytest.Service, file []byte, codes []string, pades bool, log []audit.Entry) {
	t.Helper()
	f, err := pdfsig.Read(file)
	must(t, err)
	signatures, first := f.Signatures, 0
	if pades {
		if signatures[0].SubFilter != pdfsig.SubFilterPAdES {
			t.Errorf("the first signature is %s", signatures[0].SubFilter)
		}
		first = 1
	}
	if len(signatures) != first+len(codes) || len(log) != len(codes) {
		t.Fatalf("%d signatures and %d log entries for %d seals", len(signatures), len(log), len(codes))
	}
	for i, code := range codes {
		c := signatures[first+i]
		signature, err := seal.ParseSignature(c.Contents)
		must(t, err)
		signer, err := pki.USCC(signature.Certificate)
		if err != nil || signer != code || log[i].Purpose != "seal/"+signature.Seal.ID {
			t.Errorf("seal %d is that of %s, logged for %s; want %s", i+1, signer, log[i].Purpose, code)
		}
		digest := f.Digest(first + i)
		if !bytes.Equal(signature.DocumentDigest, digest[:]) || !bytes.Equal(log[i].Digest, digest[:]) {
			t.Errorf("seal %d covers %x of %x, logged was %x", i+1, signature.DocumentDigest, digest, log[i].Digest)
		}
		if token, err := tsa.ParseToken(signature.Timestamp); err != nil || token.Check(signature.SignatureValue) != nil {
			t.Errorf("seal %d: token %v, %v", i+1, token, err)
		}
		if end := c.ByteRange[2] + c.ByteRange[3]; (end == int64(len(file))) != (i == len(codes)-1) {
			t.Errorf("seal %d covers %d of %d bytes", i+1, end, len(file))
		}
	}
	must(t, stranger(s.PKI.Anchors)(t.Context(), f, s.Now()))
	l, err := licence.ParseData(f.Attachments["licence.json"])
	must(t, err)
	var named []string
	for _, c := range l.CoSealers {
		named = append(named, c.Code)
	}
	if diff := cmp.Diff(append(named, l.Authority.Code), codes); diff != "" {
		t.Errorf("the data name others:\n%s", diff)
	}
	outsiders(t, file, len(signatures), pades)
}

// outsiders have poppler and qpdf look at a file with several signatures.
func outsiders(t *testing.T, file []byte, n int, pades bool) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "joint.pdf")
	must(t, os.WriteFile(path, file, 0o600))
	if keep := os.Getenv("ELICENCE_KEEP"); keep != "" {
		must(t, os.WriteFile(filepath.Join(keep, fmt.Sprintf("joint-%d.pdf", n)), file, 0o600))
	}
	out, err := exec.Command("pdfsig", "-nocert", path).CombinedOutput()
	valid := 0
	if pades {
		valid = 1
	}
	if text := string(out); err != nil || strings.Count(text, "Signature is Valid") != valid || strings.Count(text, "Total document signed") != 1 ||
		strings.Count(text, "Not total document signed") != n-1 {
		t.Errorf("pdfsig: %v\n%s", err, text)
	}
	if out, err := exec.Command("qpdf", "--check", path).CombinedOutput(); err != nil || bytes.Contains(out, []byte("WARNING")) {
		t.Errorf("qpdf: %v\n%s", err, out)
	}
}

// TestCoSealRefused: what cannot be co-sealed is refused whole, before a number is used.
func TestCoSealRefused(t *testing.T) {
	s := open(t)
	body, c := sample(t, joint)
	co, system := registrytest.CoSealer, registry.System("test")
	day := func(n int) licence.Date { return licence.DateOf(s.Now().AddDate(0, 0, n)) }
	key := s.Config.Seals[co.Code]
	consent := func(edit func(*registry.SealConsent)) func(*registry.Config) {
		return func(*registry.Config) {
			changed := s.SealConsent(t)
			edit(&changed)
			_, err := s.PutSealConsent(t.Context(), system, changed)
			must(t, err)
		}
	}
	stage := func(to registry.SealStatus) {
		t.Helper()
		_, err := s.ChangeSeal(t.Context(), system, key.Seal.ID, to, "r")
		must(t, err)
	}
	sealed := func(edit func(*registry.SealKey), codes ...string) func(*registry.Config) {
		return func(cfg *registry.Config) {
			cfg.Seals = maps.Clone(cfg.Seals)
			for _, code := range append(codes, co.Code) {
				own := *cfg.Seals[code]
				edit(&own)
				cfg.Seals[code] = &own
			}
		}
	}
	for _, tt := range []struct {
		name         string
		set          func(*registry.Config)
		undo         func()
		code, reason string
		says         string
	}{
		{"no consent", func(*registry.Config) {
			_, err := s.EndSealConsent(t.Context(), system, registrytest.JointType, c.Authority.Code, s.SealConsent(t).Kind, "r")
			must(t, err)
		}, nil, "no_consent", "consent_missing", "规划和自然资源主管部门"},
		{"consent that begins tomorrow", consent(func(c *registry.SealConsent) { c.ValidFrom = day(1) }), nil, "no_consent", "consent_not_yet_valid", day(1).String()},
		{"consent that ended yesterday", consent(func(c *registry.SealConsent) { c.ValidFrom, c.ValidTo = day(-9), day(-1) }), nil, "no_consent", "consent_ended", day(-1).String()},
		{"consent to another issuing authority", func(cfg *registry.Config) {
			_, err := s.EndSealConsent(t.Context(), system, registrytest.JointType, c.Authority.Code, s.SealConsent(t).Kind, "r")
			must(t, err)
			consent(func(c *registry.SealConsent) { c.Issuing = "11330106002504122C" })(cfg)
		}, nil, "no_consent", "consent_missing", ""},
		{"seal suspended", func(*registry.Config) { stage(registry.SealSuspended) }, func() { stage(registry.SealInUse) }, "co_seal_not_usable", "seal_suspended", co.Name},
		{"seal not kept here", func(cfg *registry.Config) { cfg.Seals = maps.Clone(cfg.Seals); delete(cfg.Seals, co.Code) }, nil, "co_seal_not_usable", "seal_missing", co.Name},
		{"signer not listed", sealed(func(k *registry.SealKey) { k.Certificate = s.PKI.SealSigner.Certificate }), nil, "co_seal_not_usable", "signer_not_listed", co.Name},
		{"signer revoked", func(*registry.Config) { mustTrust(t, s, lineFor(key.Certificate, s.Now(), pki.KeyCompromise)) },
			func() { mustTrust(t, s) }, "co_seal_not_usable", "signer_revoked", "keyCompromise"},
		{"signer on hold", func(*registry.Config) { mustTrust(t, s, lineFor(key.Certificate, s.Now(), pki.CertificateHold)) },
			func() { mustTrust(t, s) }, "co_seal_not_usable", "signer_revoked", "certificateHold"},
		{"seal that ends soon", func(cfg *registry.Config) { cfg.SealMargin = key.Seal.ValidTo.Sub(s.Now()) + time.Hour },
			nil, "signer_not_usable", "expires_soon", ""}, // the issuing authority's, which ends on the same day
		{"seal that is too large", sealed(func(k *registry.SealKey) { k.Appearance.Width = 400 }), nil, "no_seal", "seal_misplaced", "on a page"},
		{"seals that cut each other", sealed(func(k *registry.SealKey) { k.Appearance.Width = 240 }, c.Authority.Code), nil, "no_seal", "seal_misplaced", "on each other"},
		{"issued by the co-sealing authority", nil, nil, "no_consent", "consent_missing", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg, caller := s.Config, c
			if tt.set != nil {
				tt.set(&cfg)
			} else {
				caller.Authority = licence.IssuingAuthority{Name: co.Name, Code: co.Code, Division: "330100"}
			}
			keys := watch(t, s, &cfg)
			from := size(t, s)
			_, _, err := over(t, cfg).Issue(t.Context(), caller, registry.IssueRequest{Key: strings.ReplaceAll(tt.name, " ", "-"), Body: body})
			var fault *registry.SealFault
			if !errors.As(err, &fault) || registry.Code(err) != tt.code || fault.Reason != tt.reason || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v (%s), want %s, %s and %q", err, registry.Code(err), tt.code, tt.reason, tt.says)
			}
			wantTrail(t, s, from, "issue refused "+tt.code)
			for code, k := range keys {
				if k.used > 0 {
					t.Errorf("the key of %s was used", code)
				}
			}
		})
		if tt.undo != nil {
			tt.undo()
		}
		consent(func(*registry.SealConsent) {})(nil)
	}
	if issued, err := issueJoint(t, s.Registry, "good"); err != nil || !strings.HasSuffix(issued.Number, "00001号") {
		t.Errorf("the first number is %s (%v): a refusal used one", issued.Number, err)
	}
}
