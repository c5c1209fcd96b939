package sdf_test

import (
	"crypto"
	"crypto/rand"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"elicence/crypto/cryptotest"
	"elicence/crypto/pki"
	"elicence/crypto/sdf"
)

// library is the fake one, built once.
var library string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "sdf")
	if err == nil {
		library, err = cryptotest.BuildFakeSDF(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// device is the fake device of one test.
type device struct {
	cryptotest.FakeDevice
	file string
}

const password = "device password"

var generation int // each test's device is another one than the last test's

func newDevice(t *testing.T) *device {
	t.Helper()
	generation++
	d := &device{cryptotest.FakeDevice{Keys: map[string]string{"1": "first", "2": "second"}, Password: password, Generation: generation},
		filepath.Join(t.TempDir(), "device")}
	t.Setenv("FAKESDF", d.file)
	d.write(t)
	return d
}

func (d *device) write(t *testing.T) { d.Write(t, d.file) }

// away is the device taken out and put back: handles from before are stale.
func (d *device) away() {
	generation++
	d.Generation = generation
}

func (d *device) count(t *testing.T, name string) int { return len(d.Calls(t, d.file, name)) }

func open(t *testing.T) *sdf.Device {
	t.Helper()
	d, err := sdf.Open(library)
	must(t, err)
	t.Cleanup(func() { d.Close() })
	return d
}

func openKey(t *testing.T) *sdf.Key {
	t.Helper()
	key, err := open(t).Key(1, []byte(password))
	must(t, err)
	return key
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestSign(t *testing.T) {
	fake := newDevice(t)
	d := open(t)
	message := []byte("一件证照")
	var keys []*sdf.Key
	for index := range uint32(2) {
		key, err := d.Key(index+1, []byte(password))
		must(t, err)
		keys = append(keys, key)
	}
	for _, key := range keys {
		der, err := pki.SignMessage(rand.Reader, key, message)
		must(t, err)
		if !pki.VerifyMessage(key.Public(), message, der) || !cryptotest.OpenSSLVerifies(t, key.Public(), message, der) {
			t.Error("the device's signature does not verify")
		}
	}
	der, err := pki.SignMessage(rand.Reader, keys[0], message)
	must(t, err)
	if pki.VerifyMessage(keys[1].Public(), message, der) {
		t.Error("two indexes are one key")
	}
	must(t, d.Close())
	if _, err := keys[0].Sign(rand.Reader, make([]byte, 32), nil); err == nil {
		t.Error("a closed device signed")
	}
	if opened, closed := fake.count(t, "OpenSession"), fake.count(t, "CloseSession"); opened != 1 || closed != 1 {
		t.Errorf("%d sessions opened for uses one after the other, %d closed; want 1 and 1", opened, closed)
	}
	calls := fake.Calls(t, fake.file, "")
	for i, call := range calls {
		if call == "InternalSign_ECC" && (calls[i-1] != "GetPrivateKeyAccessRight" || calls[i+1] != "ReleasePrivateKeyAccessRight") {
			t.Errorf("call %d signs between %s and %s", i, calls[i-1], calls[i+1])
		}
	}
}

// TestIssue has a CA key in the device: certificates are signed through the same seam.
func TestIssue(t *testing.T) {
	newDevice(t)
	key := openKey(t)
	p := cryptotest.New(t)
	ca, err := pki.NewRootCA(rand.Reader, key, pki.CertificateRequest{Subject: pkix.Name{CommonName: "设备中的根密钥"},
		NotBefore: p.Now.AddDate(-2, 0, 0), NotAfter: p.Now.AddDate(20, 0, 0)})
	must(t, err)
	leaf := p.MustIssue(t, ca, "叶证书", pki.UsageQR)
	if !p.OpenSSLIssued(t, ca.Certificate.Raw, leaf.Certificate.Raw) {
		t.Error("OpenSSL does not take the certificate that the device signed")
	}
}

// TestBadKeys is a table of devices whose key cannot be opened.
func TestBadKeys(t *testing.T) {
	for _, c := range []struct {
		name, fault, password string
		index                 uint32
		says                  string
	}{
		{"no such key", "", password, 9, "SDF_ExportSignPublicKey_ECC returned 0x01000008 (SDR_KEYNOTEXIST"},
		{"wrong password", "", "wrong", 1, "SDF_GetPrivateKeyAccessRight returned 0x01000018 (SDR_PRKRERR"},
		{"empty password", "", "", 1, "password of 0 bytes"},
		{"endless password", "", strings.Repeat("x", 257), 1, "password of 257 bytes"},
		{"nothing written", "no_key", password, 1, "0 bits"},
		{"off the curve", "off_curve", password, 1, "malformed public key"},
		{"coordinate beyond the field", "beyond_field", password, 1, "malformed public key"},
		{"point at infinity", "infinity", password, 1, "malformed public key"},
		{"other length", "bits", password, 1, "512 bits"},
		{"values at the beginning", "left_aligned", password, 1, "not GM/T 0018-2012's"},
		{"only x written", "short_key", password, 1, "malformed public key"},
		{"fields of 32 bytes", "narrow_fields", password, 1, "not GM/T 0018-2012's"},
		{"more written than there is room", "overlong", password, 1, "not GM/T 0018-2012's"},
	} {
		t.Run(c.name, func(t *testing.T) {
			fake := newDevice(t)
			d := open(t)
			fake.Fault = c.fault
			fake.write(t)
			key, err := d.Key(c.index, []byte(c.password))
			if err == nil || key != nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want an error that says %q", err, c.says)
			}
		})
	}
}

// TestBadSignatures is a table of devices that answer with something else than a
// signature of the key that they showed.
func TestBadSignatures(t *testing.T) {
	for _, c := range []struct{ fault, says string }{
		{"sign_fails", "SDF_InternalSign_ECC returned 0x0100000D (SDR_SIGNERR"},
		{"no_signature", "does not verify"},
		{"zero_s", "does not verify"},
		{"flipped", "does not verify"},
		{"garbage", "does not verify"},
		{"beyond_order", "does not verify"},
		{"other_signer", "does not verify"},
		{"wide_signature", "more than 32 bytes"},
		{"left_aligned_signature", "more than 32 bytes"},
		{"overlong_signature", "more than 32 bytes"},
		{"other_key", "another key"},
		{"off_curve", "malformed public key"},
		{"no_sessions", ""}, // the session that it has still serves
	} {
		t.Run(c.fault, func(t *testing.T) {
			fake := newDevice(t)
			key := openKey(t)
			fake.Fault = c.fault
			fake.write(t)
			der, err := pki.SignMessage(rand.Reader, key, []byte("m"))
			if (err == nil) != (c.says == "") || err != nil && (der != nil || !strings.Contains(err.Error(), c.says)) {
				t.Errorf("got %x, %v; want an error that says %q", der, err, c.says)
			}
			fake.Fault = ""
			fake.write(t)
			if _, err := pki.SignMessage(rand.Reader, key, []byte("m")); err != nil {
				t.Errorf("the device is well again: %v", err)
			}
		})
	}
	key := func() *sdf.Key { newDevice(t); return openKey(t) }()
	for _, size := range []int{0, 31, 33, 64} {
		if _, err := key.Sign(rand.Reader, make([]byte, size), crypto.Hash(0)); err == nil {
			t.Errorf("a digest of %d bytes was signed", size)
		}
	}
}

// TestBadLibraries is a table of what cannot be loaded.
func TestBadLibraries(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text.so")
	must(t, os.WriteFile(text, []byte("no library"), 0o600))
	for _, path := range []string{filepath.Join(dir, "absent.so"), text, dir, "libm.so.6"} {
		if d, err := sdf.Open(path); err == nil || d != nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v; want an error that names it", path, err)
		}
	}
}

// TestAway: a device that goes away fails the uses meanwhile, and serves again
// without anybody's help; stale handles are not noticed at all.
func TestAway(t *testing.T) {
	fake := newDevice(t)
	key := openKey(t)
	sign := func() error {
		_, err := pki.SignMessage(rand.Reader, key, []byte("m"))
		return err
	}
	must(t, sign())
	fake.Fault = "removed"
	fake.write(t)
	for range 3 {
		if e := new(sdf.Error); !errors.As(sign(), &e) || e.Code != 0x01000003 || !strings.HasPrefix(e.Function, "SDF_") {
			t.Errorf("without the device: %v", e)
		}
	}
	fake.Fault = ""
	fake.write(t)
	must(t, sign())
	for _, stale := range []uint32{0, 0x01000006, 0x02000017, 1, 0xffffffff} {
		fake.Stale = stale
		fake.away()
		fake.write(t)
		if err := sign(); err != nil {
			t.Errorf("stale handles answered with %#x: %v", stale, err)
		}
	}
}

// TestPasswordTries: a password that is refused is tried once, however the vendor
// says so, because devices lock a key after some tries.
func TestPasswordTries(t *testing.T) {
	for _, code := range []uint32{0, 0x01000007, 0x0100001D, 0x01000001, 0x020000A1} {
		t.Run(fmt.Sprintf("%#x", code), func(t *testing.T) {
			fake := newDevice(t)
			key := openKey(t)
			before := fake.count(t, "GetPrivateKeyAccessRight")
			fake.Password, fake.Refused = "changed", code
			fake.write(t)
			for range 5 {
				if _, err := pki.SignMessage(rand.Reader, key, []byte("m")); err == nil {
					t.Error("signed with an old password")
				}
			}
			if tries := fake.count(t, "GetPrivateKeyAccessRight") - before; tries != 1 {
				t.Errorf("the password was tried %d times", tries)
			}
		})
	}
}

// TestConcurrent signs from many goroutines while the device comes and goes.
func TestConcurrent(t *testing.T) {
	fake := newDevice(t)
	fake.Fault = "slow"
	fake.write(t)
	key := openKey(t)
	var wg sync.WaitGroup
	errs := make([]error, 40)
	for i := range errs {
		wg.Go(func() { _, errs[i] = pki.SignMessage(rand.Reader, key, []byte{byte(i)}) })
	}
	wg.Wait()
	must(t, errors.Join(errs...))
	if n := fake.count(t, "OpenSession"); n < 2 || n > 8 {
		t.Errorf("%d sessions for 40 uses at once; want 2 to 8", n)
	}
	fake.Fault = ""
	for round := range 20 {
		for i := range errs {
			wg.Go(func() { _, errs[i] = pki.SignMessage(rand.Reader, key, []byte{byte(i)}) })
		}
		fake.away()
		fake.Fault = []string{"", "removed"}[round%2]
		fake.write(t)
		wg.Wait()
	}
	fake.Fault = ""
	fake.write(t)
	if _, err := pki.SignMessage(rand.Reader, key, []byte("m")); err != nil {
		t.Errorf("after all: %v", err)
	}
	if slices.ContainsFunc(errs, func(err error) bool { return err != nil && !strings.Contains(err.Error(), "SDF_") }) {
		t.Errorf("faults that no function is named in: %v", errs)
	}
}
