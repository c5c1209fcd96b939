package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"elicence/audit"
	"elicence/audit/audittest"
	"elicence/crypto/cryptotest"
	"elicence/crypto/pki"
	"elicence/licence"
	"elicence/licence/bundle"

	"github.com/emmansun/gmsm/sm3"
)

// bundleSamples are an evidence bundle of a licence, put together an hour after it was
// issued, ways of spoiling it, the policy of its log, and the root alone.
func bundleSamples(t testing.TB, p *cryptotest.PKI, l *licence.Licence) map[string][]byte {
	t.Helper()
	ctx, log := context.Background(), audittest.New(t, "log.example/city", p.Now)
	b := &bundle.Bundle{Identifier: l.Identifier, Status: licence.StatusValid, File: makeFile(t, p, l, true),
		Certificates: [][]byte{p.Issuing.Certificate.Raw}}
	for _, ca := range []*pki.CA{p.Root, p.Issuing} {
		list, err := ca.CRL(rand.Reader, 7, nil, p.Now, p.Now.AddDate(0, 0, 7))
		must(t, err)
		b.CRLs = append(b.CRLs, list)
	}
	for i, e := range []struct {
		action audit.Action
		of     func() []byte
	}{{bundle.ActionIssued, func() []byte { return b.File }}, {bundle.ActionBundle, b.Manifest}} {
		log.Now = p.Now.Add(time.Duration(i) * time.Hour)
		log.MustAppend(t, audit.Entry{Principal: "somebody", Action: "read", Object: "another", Result: audit.ResultAllowed})
		sum := sm3.Sum(e.of())
		receipt := log.MustAppend(t, audit.Entry{Principal: "approval", Action: e.action, Object: string(l.Identifier), Digest: sum[:], Result: audit.ResultAllowed})
		row, err := log.Entry(ctx, receipt.Index)
		must(t, err)
		b.Entries = append(b.Entries, bundle.Entry{Record: row.Record})
		b.Checkpoint = receipt.Checkpoint
	}
	for i := range b.Entries {
		var err error
		b.Entries[i].Proof, err = log.InclusionProof(ctx, uint64(2*i+1), 4)
		must(t, err)
	}
	swapped, stripped := *b, *b
	swapped.File, stripped.CRLs = makeFile(t, p, l, true), nil
	return map[string][]byte{
		"bundle.zip": marshal(t, b), "bundle-swapped.zip": marshal(t, &swapped), "bundle-stripped.zip": marshal(t, &stripped),
		"bundle-cut.zip": marshal(t, b)[:4000], "bundle-policy": log.Policy, "root.pem": pki.MarshalTrustAnchors([]*pki.Certificate{p.Root.Certificate}, nil),
	}
}

func marshal(t testing.TB, b *bundle.Bundle) []byte {
	t.Helper()
	raw, err := b.Marshal()
	must(t, err)
	return raw
}

// TestBundleCommand fetches a bundle from a server that does as it is told.
func TestBundleCommand(t *testing.T) {
	p, l := cryptotest.New(t), sampleLicence(t, "2026000004")
	good := bundleSamples(t, p, l)["bundle.zip"]
	id := string(l.Identifier)
	var answer func(w http.ResponseWriter)
	var asked *http.Request
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r
		answer(w)
	}))
	defer server.Close()
	give := func(status int, body string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}
	}
	redirect := func(w http.ResponseWriter) {
		w.Header().Set("Location", "https://elsewhere.example/")
		w.WriteHeader(http.StatusFound)
	}
	dir := t.TempDir()
	token, odd := filepath.Join(dir, "token"), filepath.Join(dir, "odd")
	must(t, os.WriteFile(token, []byte("abc.def\n"), 0o600))
	must(t, os.WriteFile(odd, []byte("abc\r\nX-Evil: 1\n"), 0o600))
	for _, c := range []struct {
		name                  string
		server, tokenFile, id string
		answer                func(http.ResponseWriter)
		want                  int
		says                  string
	}{
		{"good", server.URL, token, id, give(200, string(good)), exitGood, "证据包已保存"},
		{"slash behind the host", server.URL + "/", token, id, give(200, string(good)), exitGood, ""},
		{"problem", server.URL, token, id, give(404, `{"code":"not_found","detail":"there is none","request_id":"r-1"}`), exitUnavailable, "not_found: there is none (request r-1)"},
		{"problem that is none", server.URL, token, id, give(502, "<html>"), exitUnavailable, "502"},
		{"problem with a line feed", server.URL, token, id, give(503, `{"code":"x\u001b[2J","detail":"y","request_id":""}`), exitUnavailable, `x\x1b[2J`},
		{"redirect", server.URL, token, id, redirect, exitUnavailable, "302"},
		{"no bundle", server.URL, token, id, give(200, "%PDF-1.7"), exitUnavailable, "no evidence bundle"},
		{"altered", server.URL, token, id, give(200, string(flip(good, 2000))), exitUnavailable, "no evidence bundle"},
		{"another licence", server.URL, token, string(sampleLicence(t, "2026000005").Identifier), give(200, string(good)), exitUnavailable, "the bundle of " + id},
		{"nobody there", "http://127.0.0.1:1", token, id, nil, exitUnavailable, "elicence: the server http://127.0.0.1:1 cannot be reached: connect: connection refused\n"},
		{"in clear to elsewhere", "http://licence.example.gov.cn", token, id, nil, exitUsage, "https"},
		{"no host", "https://", token, id, nil, exitUsage, ""},
		{"a path", server.URL + "/api", token, id, nil, exitUsage, ""},
		{"another scheme", "ftp://127.0.0.1", token, id, nil, exitUsage, ""},
		{"no identifier", server.URL, token, "12345", nil, exitUsage, "identifier"},
		{"no token", server.URL, filepath.Join(dir, "missing"), id, nil, exitNoInput, ""},
		{"not one token", server.URL, odd, id, nil, exitUsage, "one token"},
	} {
		out := filepath.Join(t.TempDir(), "out.zip")
		answer = c.answer
		var printed bytes.Buffer
		code := run([]string{"bundle", "--server", c.server, "--token-file", c.tokenFile, "--purpose", "诉讼", c.id, "-o", out}, terminal{&printed, &printed})
		if code != c.want || !strings.Contains(printed.String(), c.says) {
			t.Errorf("%s: exits with %d and says %q", c.name, code, printed.String())
		}
		saved, err := os.ReadFile(out)
		if (code == exitGood) != (err == nil) || err == nil && !bytes.Equal(saved, good) {
			t.Errorf("%s: saved %d bytes, %v", c.name, len(saved), err)
		}
		if left, _ := filepath.Glob(out + ".*"); len(left) > 0 {
			t.Errorf("%s: left %q behind", c.name, left)
		}
	}
	if asked.Header.Get("Authorization") != "Bearer abc.def" || asked.Header.Get("Elicence-Purpose") != "%E8%AF%89%E8%AE%BC" {
		t.Errorf("asked for %s with %v", asked.URL, asked.Header)
	}
	nowhere := filepath.Join(dir, "no", "folder")
	answer = give(200, string(good))
	if code := run([]string{"bundle", "--server", server.URL, "--token-file", token, id, "-o", nowhere}, terminal{new(bytes.Buffer), new(bytes.Buffer)}); code != exitInternal {
		t.Errorf("a file that cannot be written: exits with %d", code)
	}
	if asked.URL.Path != "/api/v1/licences/"+id+"/bundle" {
		t.Errorf("asked for %s", asked.URL)
	}
}
