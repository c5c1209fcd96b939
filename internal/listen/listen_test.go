package listen

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestOpenRefuses: what cannot be served as the flags say is not listened for, and the
// fault names the flag.
func TestOpenRefuses(t *testing.T) {
	text := filepath.Join(t.TempDir(), "text.pem")
	if err := os.WriteFile(text, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		flags         TLS
		address, says string
	}{
		{TLS{}, "127.0.0.1", "--listen"},
		{TLS{}, "18082", "--listen 18082 is not host:port, as 127.0.0.1:18082"},
		{TLS{}, "0.0.0.0:0", "--behind-proxy"},
		{TLS{}, ":0", "--behind-proxy"},
		{TLS{TLSCert: text}, "127.0.0.1:0", "go together"},
		{TLS{TLSKey: text}, "127.0.0.1:0", "go together"},
		{TLS{TLSCert: text + ".absent", TLSKey: text}, "127.0.0.1:0", "text.pem.absent"},
		{TLS{TLSCert: text, TLSKey: text}, "127.0.0.1:0", "--tls-cert"},
	} {
		listener, _, err := c.flags.Open("--listen", c.address)
		if err == nil {
			listener.Close()
		}
		if !errors.Is(err, ErrUsage) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v at %s: %v, want it refused for %q", c.flags, c.address, err, c.says)
		}
	}
}
