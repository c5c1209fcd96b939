package main

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"elicence/crypto/cryptotest"
	"elicence/crypto/pki"
)

// devicePassword opens the keys of a test's fake device.
const devicePassword = "device password"

// fakeDevice is a device of one test, with its password file.
type fakeDevice struct {
	cryptotest.FakeDevice
	library, file, password string
}

// fakeLibrary is the library of all fake devices; FAKESDF tells it which one, so that tests
// with one do not run beside each other.
var fakeLibrary = sync.OnceValues(func() (string, error) { return cryptotest.BuildFakeSDF(filepath.Dir(binary)) })

func newFakeDevice(t *testing.T) *fakeDevice {
	t.Helper()
	dir := t.TempDir()
	library, err := fakeLibrary()
	must(t, err)
	d := &fakeDevice{cryptotest.FakeDevice{Keys: map[string]string{"1": "first", "2": "second"}, Password: devicePassword, Generation: 1},
		library, filepath.Join(dir, "device"), filepath.Join(dir, "password")}
	must(t, os.WriteFile(d.password, []byte(devicePassword+"\n"), 0o600))
	t.Setenv("FAKESDF", d.file)
	d.Write(t, d.file)
	return d
}

// set changes what is wrong with the device, at once.
func (d *fakeDevice) set(t *testing.T, fault string) {
	t.Helper()
	d.Fault = fault
	d.Write(t, d.file)
}

// TestDeviceNotes is a table of NAME.sdf.json files; those that say something are
// refused.
func TestDeviceNotes(t *testing.T) {
	d := newFakeDevice(t)
	t.Setenv("DEVICE_PIN", devicePassword)
	open := filepath.Join(t.TempDir(), "open")
	must(t, os.WriteFile(open, []byte(devicePassword), 0o604))
	for _, c := range []struct{ name, text, says string }{
		{"password in a file", `{"library":"LIB","index":1,"password_file":"PASS"}`, ""},
		{"password in the environment", `{"library":"LIB","index":2,"password_env":"DEVICE_PIN"}`, ""},
		{"no password", `{"library":"LIB","index":1}`, "one of password_file and password_env"},
		{"two passwords", `{"library":"LIB","index":1,"password_file":"PASS","password_env":"DEVICE_PIN"}`, "one of"},
		{"password in clear", `{"library":"LIB","index":1,"password":"device password"}`, "unknown field"},
		{"password not in the environment", `{"library":"LIB","index":1,"password_env":"DEVICE_NONE"}`, "no DEVICE_NONE"},
		{"password file absent", `{"library":"LIB","index":1,"password_file":"PASS.absent"}`, "no such file"},
		{"password file open to everybody", `{"library":"LIB","index":1,"password_file":"` + open + `"}`, "chmod o="},
		{"password file relative", `{"library":"LIB","index":1,"password_file":"password"}`, "not an absolute path"},
		{"library relative", `{"library":"libfakesdf.so","index":1,"password_file":"PASS"}`, "not an absolute path"},
		{"library absent", `{"library":"LIB.absent","index":1,"password_file":"PASS"}`, "LIB.absent"},
		{"no index", `{"library":"LIB","password_file":"PASS"}`, "index is missing"},
		{"no such key", `{"library":"LIB","index":7,"password_file":"PASS"}`, "SDR_KEYNOTEXIST"},
		{"index of 33 bits", `{"library":"LIB","index":4294967297,"password_file":"PASS"}`, "cannot unmarshal"},
		{"two objects", `{"library":"LIB","index":1,"password_file":"PASS"}{}`, "behind the JSON object"},
		{"no JSON", `library=LIB`, "invalid character"},
		{"endless", `{"library":"LIB","index":1,"password_file":"PASS"}` + strings.Repeat(" ", maxDeviceNote), "over 4 KiB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := keyring{t.TempDir(), nil, new(devices)}
			defer k.devices.close()
			fill := strings.NewReplacer("LIB", d.library, "PASS", d.password)
			must(t, os.WriteFile(k.path("a.sdf.json"), []byte(fill.Replace(c.text)), 0o600))
			key, err := k.key("a")
			if c.says == "" {
				must(t, err)
				if _, err := pki.SignMessage(nil, key, []byte("m")); err != nil {
					t.Error(err)
				}
			} else if err == nil || !strings.Contains(err.Error(), fill.Replace(c.says)) {
				t.Errorf("got %v, want an error that says %q", err, fill.Replace(c.says))
			}
		})
	}
	k := keyring{t.TempDir(), nil, new(devices)}
	must(t, os.WriteFile(k.path("a.sdf.json"), nil, 0o604))
	if _, err := k.key("a"); err == nil || !strings.Contains(err.Error(), "chmod o=") {
		t.Errorf("a note open to everybody: %v", err)
	}
	must(t, os.WriteFile(k.path("a.key.pem"), nil, 0o600))
	if _, err := k.key("a"); err == nil || !strings.Contains(err.Error(), "both") {
		t.Errorf("a key in a file and in a device: %v", err)
	}
}
