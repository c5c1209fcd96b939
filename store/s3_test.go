package store_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"elicence/licence/registry"
	"elicence/store"

	"github.com/emmansun/gmsm/sm3"
)

// TestS3Refused opens buckets that cannot be used: each fault has its message, in time.
func TestS3Refused(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	answering := func(status int, body string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("ETag", `"0"`)
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	closed := httptest.NewServer(nil)
	closed.Close()
	good := s3Config(t)
	for _, c := range []struct {
		name, says string
		spoil      func(*store.S3Config)
	}{
		{"no such bucket", "there is no such bucket", func(c *store.S3Config) { c.Bucket = "nowhere" }},
		{"wrong access key", "provided access key", func(c *store.S3Config) { c.AccessKey = "somebody" }},
		{"unknown access key", "access key or its secret is wrong (InvalidAccessKeyId)", func(c *store.S3Config) {
			c.Endpoint = answering(403, "<Error><Code>InvalidAccessKeyId</Code></Error>")
		}},
		{"wrong secret", "access key or its secret is wrong (SignatureDoesNotMatch)", func(c *store.S3Config) { c.SecretKey = "guessed-secret" }},
		{"no service", "connection refused", func(c *store.S3Config) { c.Endpoint = closed.URL }},
		{"no name", "no such host", func(c *store.S3Config) { c.Endpoint = "https://s3.invalid" }},
		{"silent", "context deadline exceeded", func(c *store.S3Config) { c.Endpoint = "http://" + silent.Addr().String() }},
		{"not TLS", "server gave HTTP response to HTTPS client", func(c *store.S3Config) { c.Endpoint = strings.Replace(c.Endpoint, "http:", "https:", 1) }},
		{"forbidden", "may not read and write", func(c *store.S3Config) {
			c.Endpoint = answering(403, "<Error><Code>AccessDenied</Code></Error>")
		}},
		{"overwrites", "overwrites objects", func(c *store.S3Config) { c.Endpoint = answering(200, "") }},
		{"broken", "503", func(c *store.S3Config) { c.Endpoint = answering(503, "down for maintenance") }},
		{"not S3", "404", func(c *store.S3Config) { c.Endpoint = answering(404, "<html>") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			config := good
			c.spoil(&config)
			began := time.Now()
			_, err := store.OpenS3Within(t.Context(), config, secrets(t).Cipher, 2*time.Second)
			if !errors.Is(err, registry.ErrFiles) || !strings.Contains(err.Error(), c.says) || registry.Code(err) != "files_unavailable" {
				t.Errorf("error %v, want one that says %q", err, c.says)
			}
			if strings.Contains(err.Error(), config.SecretKey) {
				t.Errorf("the message tells the secret: %v", err)
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
	for name, spoil := range map[string]func(*store.S3Config){
		"no endpoint": func(c *store.S3Config) { c.Endpoint = "" }, "no scheme": func(c *store.S3Config) { c.Endpoint = "127.0.0.1:9000" },
		"no bucket": func(c *store.S3Config) { c.Bucket = "" }, "no region": func(c *store.S3Config) { c.Region = "" },
		"no access key": func(c *store.S3Config) { c.AccessKey = "" }, "no secret": func(c *store.S3Config) { c.SecretKey = "" },
	} {
		config := good
		spoil(&config)
		if _, err := store.OpenS3(t.Context(), config, secrets(t).Cipher); err == nil || errors.Is(err, registry.ErrFiles) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestS3Outage kills the service: Put and Get fail with their code, and work again when it
// is back; what was stored is there.
func TestS3Outage(t *testing.T) {
	f := s3Files(t).opened(t)
	digest := put(t, f, []byte("before"))
	s3.Kill()
	err := f.Put(t.Context(), sm3.Sum([]byte("meanwhile")), []byte("meanwhile"))
	if registry.Code(err) != "files_unavailable" {
		t.Errorf("put without a service: %v", err)
	}
	reach := f.(interface{ Reach(context.Context) error }).Reach
	if err := reach(t.Context()); registry.Code(err) != "files_unavailable" {
		t.Errorf("reached without a service: %v", err)
	}
	if _, err = f.Get(t.Context(), digest); registry.Code(err) != "files_unavailable" {
		t.Errorf("get without a service: %v", err)
	}
	if err := s3.Start(); err != nil {
		t.Fatal(err)
	}
	must(t, reach(t.Context()))
	put(t, f, []byte("meanwhile"))
	if got, err := f.Get(t.Context(), digest); err != nil || string(got) != "before" {
		t.Errorf("after the outage: %q, %v", got, err)
	}
}
