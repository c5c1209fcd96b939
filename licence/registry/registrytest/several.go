package registrytest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"io/fs"
	"math/big"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"elicence/licence"
	"elicence/licence/registry"
	"elicence/licence/render"
	"elicence/templates"
)

// Edited is a folder of templates, each file whose path ends so with one text replaced.
// In one of them at least the text must be there.
func Edited(t testing.TB, fsys fs.FS, ending, old, new string) fs.FS {
	t.Helper()
	files, found := fstest.MapFS{}, false
	must(t, fs.WalkDir(fsys, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(fsys, path)
		if strings.HasSuffix(path, ending) && bytes.Contains(b, []byte(old)) {
			b, found = bytes.Replace(b, []byte(old), []byte(new), 1), true
		}
		files[path] = &fstest.MapFile{Data: b}
		return err
	}))
	if !found {
		t.Fatalf("%q is in no file that ends in %s", old, ending)
	}
	return files
}

// PAdESKey is a P-256 key, certified for a day from the service's present on.
func (s *Service) PAdESKey(t testing.TB) *registry.PAdESKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "PAdES"}, NotBefore: s.Now().Add(-time.Hour), NotAfter: s.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(t, err)
	cert, err := x509.ParseCertificate(der)
	must(t, err)
	return &registry.PAdESKey{Chain: []*x509.Certificate{cert}, Key: key}
}

// ThirdSealer co-seals after CoSealer where Three says so.
var ThirdSealer = licence.CoSealer{Name: "杭州市卫生健康委员会", Code: "11330100002490170T"}

// Three is the service's configuration with as many signatures on licences of JointType as
// there can be: one for readers without SM2 on every type, and the seals of three
// authorities, which have consented.
func (s *Service) Three(t testing.TB) registry.Config {
	t.Helper()
	const kind = "卫生健康主管部门"
	c := s.Config
	c.PAdES = s.PAdESKey(t)
	items := Edited(t, templates.Catalogue(), "item.json", "{", `{"pades": true,`)
	items = Edited(t, items, "joint-acceptance/item.json", `"规划和自然资源主管部门"`, `"规划和自然资源主管部门", "`+kind+`"`)
	var err error
	c.Catalogue, err = licence.LoadCatalogue(items)
	must(t, err)
	layouts := Edited(t, templates.Layouts(), "joint-acceptance/layout.json", `"co_seals": [`, `"co_seals": [{"x": 105, "y": 225, "diameter": 42}, `)
	c.Layouts, err = render.LoadLayouts(layouts)
	must(t, err)
	r, err := registry.New(c)
	must(t, err)
	consent := s.SealConsent(t)
	consent.Kind, consent.CoSealer = kind, ThirdSealer
	_, err = r.PutSealConsent(t.Context(), registry.System("test"), consent)
	must(t, err)
	return c
}

// Transferable is the service's configuration with food licences that pass to others, get
// a new number when they are issued once more, and have codes for some statuses.
func (s *Service) Transferable(t testing.TB) registry.Config {
	t.Helper()
	c := s.Config
	items := Edited(t, templates.Catalogue(), "food-business/item.json", "{",
		`{"transferable": true, "renumbers": ["reissue"], "status_codes": {"valid": "01", "suspended": "02", "superseded": "99", "expired": "05"},`)
	var err error
	c.Catalogue, err = licence.LoadCatalogue(items)
	must(t, err)
	return c
}
