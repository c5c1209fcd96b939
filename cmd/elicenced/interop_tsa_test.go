//go:build interop

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestInteropTimestamps has BouncyCastle ask our timestamp authority, in both families of
// identifiers, and judge what OpenSSL was answered. Changed answers must not pass.
func TestInteropTimestamps(t *testing.T) {
	s := newSite(t, "")
	r := s.serve(t, "--tsa-listen", "127.0.0.1:0")
	defer r.stop(t)
	dir := t.TempDir()
	file := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		must(t, os.WriteFile(path, content, 0o600))
		return path
	}
	document, other := file("document", []byte("document")), file("other", []byte("other"))
	var jobs, wants []string
	add := func(want string, job ...string) {
		jobs, wants = append(jobs, strings.Join(job, " ")), append(wants, want)
	}
	for i, path := range []string{"/", rfcPath} {
		url := strings.TrimSuffix(r.tsaURL, "/") + path
		add("good", "ask", url, document)
		query := openSSLQuery(t, document, "-sm3", "-cert")
		_, reply := post(t, url, query)
		asked, answered := file(fmt.Sprint("query", i), query), file(fmt.Sprint("reply", i), reply)
		add("good", "judge", asked, answered, document)
		add("bad", "judge", asked, answered, other)
		add("bad", "judge", file(fmt.Sprint("again", i), openSSLQuery(t, document, "-sm3", "-cert")), answered, document) // another nonce
		for _, at := range []int{len(reply) - 1, len(reply) / 3, bytes.Index(reply, []byte("202"))} {
			changed := bytes.Clone(reply)
			changed[at] ^= 1
			add("bad", "judge", asked, file(fmt.Sprint("changed", i, "-", at), changed), document)
		}
		_, refused := post(t, url, openSSLQuery(t, document, "-sha256"))
		add("bad", "judge", asked, file(fmt.Sprint("refused", i), refused), document)
		add("bad", "ask", url+"nowhere", document)
	}
	cmd := exec.CommandContext(t.Context(), "java", "-cp", os.Getenv("ELICENCE_BOUNCYCASTLE"), "../../testdata/interop/Requester.java")
	cmd.Stdin = strings.NewReader(strings.Join(jobs, "\n") + "\n")
	out, err := cmd.Output()
	must(t, err)
	said := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if len(said) != len(jobs) {
		t.Fatalf("%d verdicts for %d jobs: %s", len(said), len(jobs), out)
	}
	for i, verdict := range said {
		if verdict != wants[i] && (wants[i] == good || !strings.HasPrefix(verdict, "bad: ")) {
			t.Errorf("%s: %s, want %s", jobs[i], verdict, wants[i])
		}
	}
}
