// Package registrytest gives tests a whole registry: real fonts, layouts,
// catalogue, PKI and TSA, over the store that the test brings.
//
// Invariants: the clock stands at Now until a test moves it; every sample request's
// authority has a seal and an approval client, the consent that one needs for a co-seal
// stands; whatever goes wrong ends the test. It
// is for tests alone.
package registrytest

import (
	"context"
	"crypto/rand"
	"crypto/x509/pkix"
	"errors"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"elicence/audit"
	"elicence/crypto/cryptotest"
	"elicence/crypto/pdfsig"
	"elicence/crypto/pki"
	"elicence/crypto/seal"
	"elicence/licence"
	"elicence/licence/bundle"
	"elicence/licence/event"
	"elicence/licence/registry"
	"elicence/licence/registry/accesslog"
	"elicence/licence/registry/batches"
	"elicence/licence/registry/bundles"
	"elicence/licence/registry/disputes"
	"elicence/licence/registry/statistics"
	"elicence/licence/registry/subscriptions"
	"elicence/licence/render"
	"elicence/templates"
)

// PublicURL is what QR codes of the test registry lead to.
const PublicURL = "https://zz.example.gov.cn"

// LogID names the test registry's access log.
const LogID = "elicence/test"

// Backend is a store under test: both engines are one.
type Backend interface {
	registry.Store
	audit.Storage
}

// JointType is the type whose licences bear the seal of CoSealer too.
const JointType = "113301000024903302901"

// PortraitType is the type whose licences bear a portrait.
const PortraitType = "11100000MB19000192901"

// DocumentType is the type whose licences are drawn on a document.
const DocumentType = "113301000024903302902"

// CoSealer consents to that.
var CoSealer = licence.CoSealer{Name: "杭州市规划和自然资源局", Code: "11330100002491288H"}

// Authorities are the issuing authorities of the sample requests, by type code.
var Authorities = map[string]licence.IssuingAuthority{
	"11100000MB0143028R901": {Name: "杭州市西湖区市场监督管理局", Code: "11330106002504122C", Division: "330106"},
	"11100000000013338W901": {Name: "杭州市城乡建设委员会", Code: "113301000024903302", Division: "330100"},
	"11100000000013338W902": {Name: "杭州市城乡建设委员会", Code: "113301000024903302", Division: "330100"},
	JointType:               {Name: "杭州市城乡建设委员会", Code: "113301000024903302", Division: "330100"},
	DocumentType:            {Name: "杭州市城乡建设委员会", Code: "113301000024903302", Division: "330100"},
	"11100000MB19000005901": {Name: "杭州市卫生健康委员会", Code: "11330100002490170T", Division: "330100"},
	"11100000000019713D071": {Name: "杭州市道路运输管理服务中心", Code: "12330100470102108R", Division: "330100"},
	// Those of the samples of single types.
	"11100000MB0143028R902": {Name: "杭州市西湖区市场监督管理局", Code: "11330106002504122C", Division: "330106"},
	"11100000000013338W903": {Name: "杭州市城乡建设委员会", Code: "113301000024903302", Division: "330100"},
	"11100000MB19000005902": {Name: "杭州市卫生健康委员会", Code: "11330100002490170T", Division: "330100"},
	"11100000MB03271699001": {Name: CoSealer.Name, Code: CoSealer.Code, Division: "330100"},
	PortraitType:            {Name: "杭州市应急管理局", Code: "11330100MB1K0401XM", Division: "330100"},
	"11100000MB1900027W901": {Name: "杭州市西湖区教育局", Code: "11330106MB1K04028C", Division: "330106"},
	"11100000MB1900035P901": {Name: "杭州市西湖区烟草专卖局", Code: "11330106MB1K040367", Division: "330106"},
	"11100000MB1900043J901": {Name: "杭州市林业水利局", Code: "11330100MB1K04044B", Division: "330100"},
}

// Platform is who seals verification reports.
var Platform = licence.IssuingAuthority{Name: "杭州市数据资源管理局", Code: "11330100MB1K0321XR", Division: "330100"}

// Service is a registry with everything around it.
type Service struct {
	*registry.Registry
	Config  registry.Config // a copy, for a test that wants another registry over the same parts
	PKI     *cryptotest.PKI
	Backend Backend
	LogKey  audit.Signer
	mu      sync.Mutex
	now     time.Time
	trust   *pki.TrustAnchors
}

// New opens a registry over backend and files, with check as its self-check.
func New(t testing.TB, backend Backend, files registry.Files, check func(*pki.TrustAnchors) func(context.Context, *pdfsig.File, time.Time) error) *Service {
	t.Helper()
	p := cryptotest.New(t)
	s := &Service{PKI: p, Backend: backend, now: p.Now, trust: p.Anchors}
	p.Authority.Now = s.Now
	logKey, err := pki.GenerateKey(rand.Reader)
	must(t, err)
	s.LogKey = audit.Signer{Name: LogID, Key: logKey}
	log, err := audit.Open(t.Context(), audit.Config{LogID: LogID, Storage: backend, Signer: s.LogKey, Now: s.Now, Rand: rand.Reader})
	must(t, err)
	t.Cleanup(func() { log.Close() })
	catalogue, err := licence.LoadCatalogue(templates.Catalogue())
	must(t, err)
	layouts, err := render.LoadLayouts(templates.Layouts())
	must(t, err)
	reports, err := render.LoadLayouts(templates.Reports())
	must(t, err)
	copies, err := render.LoadLayouts(templates.Copies())
	must(t, err)
	fonts := Fonts(t)
	annotation, err := render.DrawSeal(fonts, render.SealDesign{Name: Platform.Name, DiameterMM: 40, Lower: "加注专用章", Centre: "none"})
	must(t, err)
	s.Config = registry.Config{
		Store: backend, Log: log, LogID: LogID, LogReader: backend, Files: files,
		Catalogue: catalogue, Layouts: layouts, Fonts: fonts, Seals: seals(t, p, fonts),
		Reporter: &registry.Reporter{Authority: Platform, Layout: reports["verification"]},
		Annotator: &registry.Annotator{Authority: Platform, Strip: copies["annotation"],
			Seal: sealOf(t, p, Platform, "TESTCOPY", Platform.Name+"加注专用章", annotation)},
		QR:  registry.QRKey{Certificate: p.QR.Certificate, Key: p.QR.Key},
		TSA: p.Client, Trusted: s.trusted, Check: check(p.Anchors), PublicURL: PublicURL, Now: s.Now, Rand: rand.Reader,
		Failed: func(id licence.Identifier, step string, err error) { t.Logf("%s stopped at %s: %v", id, step, err) },
	}
	s.Registry, err = registry.New(s.Config)
	must(t, err)
	must(t, s.RegisterSeals(t.Context(), registry.System("test")))
	_, err = s.PutSealConsent(t.Context(), registry.System("test"), s.SealConsent(t))
	must(t, err)
	return s
}

// AccessLog is the part of the register about its log.
func (s *Service) AccessLog() *accesslog.Register { return accesslog.New(s.Registry) }

// Disputes is the part about disputes, by the program's rules.
func (s *Service) Disputes() *disputes.Register { return disputes.New(s.Registry, nil) }

// Batches is the part about batches.
func (s *Service) Batches() *batches.Register { return batches.New(s.Registry) }

// Bundles is the part that makes evidence bundles.
func (s *Service) Bundles() *bundles.Register { return s.BundlesOf(s.Registry) }

// BundlesOf is the same of another register over the service's storage.
func (s *Service) BundlesOf(r *registry.Registry) *bundles.Register {
	return bundles.New(r, s.Evidence, Readable)
}

// Subscriptions is the part about who is told of licences.
func (s *Service) Subscriptions() *subscriptions.Register {
	return subscriptions.New(s.Registry, CheckTarget)
}

// Statistics is the part that counts.
func (s *Service) Statistics() *statistics.Register { return statistics.New(s.Registry) }

// SealConsent is that of CoSealer, from today on.
func (s *Service) SealConsent(t testing.TB) registry.SealConsent {
	t.Helper()
	item, err := s.Config.Catalogue.Item(JointType)
	must(t, err)
	return registry.SealConsent{TypeCode: JointType, Issuing: Authorities[JointType].Code, Kind: item.CoSeals[0], CoSealer: CoSealer,
		Basis: "test", ValidFrom: licence.DateOf(s.Now())}
}

// Evidence are lists of both CAs, made now.
func (s *Service) Evidence(context.Context, []bundles.Relied) (bundles.Evidence, error) {
	now := s.Now()
	e := bundles.Evidence{Certificates: [][]byte{s.PKI.Issuing.Certificate.Raw}}
	for _, ca := range []*pki.CA{s.PKI.Root, s.PKI.Issuing} {
		list, err := ca.CRL(rand.Reader, now.Unix(), nil, now.Add(-time.Minute), now.AddDate(0, 0, 1))
		if err != nil {
			return e, err
		}
		e.CRLs = append(e.CRLs, list)
	}
	return e, nil
}

// CheckTarget finds every host of example.gov.cn on an open network, and no other.
func CheckTarget(ctx context.Context, target string) error {
	return event.Networks(nil).CheckTarget(ctx, target, func(_ context.Context, host string) ([]netip.Addr, error) {
		if !strings.HasSuffix(host, ".example.gov.cn") {
			return nil, errors.New("no such host")
		}
		return []netip.Addr{netip.MustParseAddr("1.1.1.1")}, nil
	})
}

// Readable is the self-check of bundles here; the tests verify them.
func Readable(_ context.Context, raw []byte) error {
	_, err := bundle.Parse(raw)
	return err
}

// Now is the service's clock.
func (s *Service) Now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// Move moves the clock.
func (s *Service) Move(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
}

// Trust replaces what the service relies on before it seals, as when a CRL came in.
func (s *Service) Trust(anchors *pki.TrustAnchors) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trust = anchors
}

func (s *Service) trusted(cert *pki.Certificate, usage pki.Usage, at time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.trust.CheckPath(cert, pki.PathOptions{Usage: usage, At: at, Now: at})
	return err
}

// Register registers the client that a caller is.
func (s *Service) Register(t testing.TB, c registry.Caller) {
	t.Helper()
	_, err := s.PutClient(t.Context(), registry.System("test"), registry.Client{ID: c.Principal, Roles: c.Roles, Authority: c.Authority, Types: c.Types, Salt: []byte("s"), SecretHash: registry.HashSecret([]byte("s"), "secret")})
	must(t, err)
}

// Approval is the caller that issues licences of a type.
func Approval(typeCode string) registry.Caller {
	a := Authorities[typeCode]
	return registry.Caller{Principal: "approval-" + a.Code, Roles: []registry.Role{registry.RoleApprovalSystem}, Authority: a, Types: []string{typeCode}, RequestID: "test"}
}

var fonts struct {
	sync.Once
	*render.Fonts
	err error
}

// Fonts are the real fonts, opened once for the test binary.
func Fonts(t testing.TB) *render.Fonts {
	t.Helper()
	fonts.Do(func() {
		dir := os.Getenv("ELICENCE_FONTS")
		if dir == "" {
			dir = filepath.Join(root(t), "fonts")
		}
		fonts.Fonts, fonts.err = render.OpenFonts(dir)
	})
	if fonts.err != nil {
		t.Fatalf("fonts (run make fonts): %v", fonts.err)
	}
	return fonts.Fonts
}

// root is the folder of go.mod.
func root(t testing.TB) string {
	dir, err := os.Getwd()
	must(t, err)
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above the test")
		}
		dir = filepath.Dir(dir)
	}
}

// pictures holds the seal pictures of the test binary by name: drawing one is most
// of what a fresh service costs.
var pictures struct {
	sync.Mutex
	byName map[string]render.SealPicture
}

func picture(t testing.TB, fonts *render.Fonts, name string) render.SealPicture {
	t.Helper()
	pictures.Lock()
	defer pictures.Unlock()
	if p, ok := pictures.byName[name]; ok {
		return p
	}
	p, err := render.DrawSeal(fonts, render.SealDesign{Name: name, DiameterMM: 42})
	must(t, err)
	if pictures.byName == nil {
		pictures.byName = map[string]render.SealPicture{}
	}
	pictures.byName[name] = p
	return p
}

// seals makes one seal for each authority.
func seals(t testing.TB, p *cryptotest.PKI, fonts *render.Fonts) map[string]*registry.SealKey {
	made := map[string]*registry.SealKey{}
	owners := slices.Collect(maps.Values(Authorities))
	for _, a := range append(owners, Platform, licence.IssuingAuthority{Name: CoSealer.Name, Code: CoSealer.Code}) {
		if made[a.Code] != nil {
			continue
		}
		made[a.Code] = sealOf(t, p, a, "TEST"+a.Code, a.Name, picture(t, fonts, a.Name))
	}
	return made
}

// sealOf makes a seal of an authority, with a certificate and a key of its own.
func sealOf(t testing.TB, p *cryptotest.PKI, a licence.IssuingAuthority, id, name string, picture render.SealPicture) *registry.SealKey {
	key, err := pki.GenerateKey(rand.Reader)
	must(t, err)
	cert, err := p.Issuing.Issue(rand.Reader, pki.CertificateRequest{
		Subject: pkix.Name{CommonName: a.Name}, PublicKey: key.Public(), Usage: pki.UsageSealSigner, USCC: a.Code,
		NotBefore: p.Now.AddDate(-1, 0, 0), NotAfter: p.Now.AddDate(5, 0, 0),
	})
	must(t, err)
	appearance, err := pdfsig.Appearance{Width: picture.Width, Height: picture.Height, Content: picture.Content}.Deflated()
	must(t, err)
	made := &registry.SealKey{Certificate: cert, Key: key, Appearance: appearance, Picture: &picture}
	made.Seal, err = seal.Make(rand.Reader, p.SealMaker.Certificate, p.SealMaker.Key, seal.Template{
		ID: id, Vendor: "test", Type: seal.TypeUnit, Name: name, Signers: []*pki.Certificate{cert},
		CreatedAt: p.Now.AddDate(0, -1, 0), ValidFrom: p.Now.AddDate(0, -1, 0), ValidTo: p.Now.AddDate(4, 0, 0),
		Picture: seal.Picture{Type: "PNG", Data: picture.PNG, Width: picture.WidthMM, Height: picture.HeightMM},
	})
	must(t, err)
	return made
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
