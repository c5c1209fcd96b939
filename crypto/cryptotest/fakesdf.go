package cryptotest

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// BuildFakeSDF builds crypto/sdf/testdata/fakesdf, an SDF library without a device,
// into a folder and returns its path. A process can load it once, so TestMain calls
// it. It needs a C compiler.
func BuildFakeSDF(dir string) (library string, err error) {
	library = filepath.Join(dir, "libfakesdf.so")
	cmd := exec.Command("go", "build", "-buildmode=c-shared", "-o", library, "elicence/crypto/sdf/testdata/fakesdf")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the fake SDF library needs a C compiler (Debian: build-essential): %w\n%s", err, out)
	}
	return library, nil
}

// FakeDevice is what the fake library takes for its device. The fields are those
// that its source explains.
type FakeDevice struct {
	Keys       map[string]string `json:"keys"`
	Password   string            `json:"password"`
	Fault      string            `json:"fault"`
	After      int               `json:"after"`
	Generation int               `json:"generation"`
	Stale      uint32            `json:"stale"`
	Refused    uint32            `json:"refused"`
}

// Write makes a file the device, from the library's next call on: FAKESDF names it.
func (d FakeDevice) Write(t testing.TB, file string) {
	t.Helper()
	text, err := json.Marshal(d)
	must(t, err)
	must(t, os.WriteFile(file+".new", text, 0o600))
	must(t, os.Rename(file+".new", file))
}

// Calls are the calls that the device of a file saw, in order and without SDF_: those
// of one function, or all with an empty name.
func (FakeDevice) Calls(t testing.TB, file, name string) (calls []string) {
	t.Helper()
	text, err := os.ReadFile(file + ".calls")
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for _, call := range strings.Fields(string(text)) {
		if name == "" || call == name {
			calls = append(calls, call)
		}
	}
	return calls
}
