package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"elicence/licence"
	"elicence/store"
	"elicence/store/s3test"
)

// TestFileFlags is a table of flags that say nothing, or too much.
func TestFileFlags(t *testing.T) {
	t.Setenv("ELICENCE_S3_ACCESS_KEY", "")
	dir := t.TempDir()
	file := func(name, content string, mode os.FileMode) string {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(content), mode))
		return filepath.Join(dir, name)
	}
	good := fileFlags{Files: "s3://bucket/a/prefix/", S3Endpoint: "https://s3.example.gov.cn:9000/", S3Region: "r", S3CredentialsFile: file("good", "key\nsecret\n", 0o600)}
	for _, c := range []struct {
		name, says string
		spoil      func(*fileFlags)
	}{
		{"another scheme", "is not s3://BUCKET", func(f *fileFlags) { f.Files = "ftp://bucket/files" }},
		{"a folder", "is not s3://BUCKET", func(f *fileFlags) { f.Files = "/srv/files" }},
		{"no bucket", "is not s3://BUCKET", func(f *fileFlags) { f.Files = "s3:///files" }},
		{"a secret in the address", "is not s3://BUCKET", func(f *fileFlags) { f.Files = "s3://key:secret@bucket" }},
		{"a question", "is not s3://BUCKET", func(f *fileFlags) { f.Files = "s3://bucket/files?region=x" }},
		{"no service", "--s3-endpoint", func(f *fileFlags) { f.S3Endpoint = "" }},
		{"no scheme", "--s3-endpoint", func(f *fileFlags) { f.S3Endpoint = "s3.example.gov.cn:9000" }},
		{"a path in the endpoint", "--s3-endpoint", func(f *fileFlags) { f.S3Endpoint = "https://s3.example.gov.cn/path" }},
		{"no TLS", "not loopback: use https", func(f *fileFlags) { f.S3Endpoint = "http://s3.example.gov.cn" }},
		{"no credentials", "needs ELICENCE_S3_ACCESS_KEY", func(f *fileFlags) { f.S3CredentialsFile = "" }},
		{"no such file", "reading the S3 credentials", func(f *fileFlags) { f.S3CredentialsFile = filepath.Join(dir, "none") }},
		{"open to all", "open to every user", func(f *fileFlags) { f.S3CredentialsFile = file("open", "key\nsecret\n", 0o644) }},
		{"half of them", "a line each", func(f *fileFlags) { f.S3CredentialsFile = file("half", "key\n", 0o600) }},
	} {
		f := good
		c.spoil(&f)
		if got, err := f.config(); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %+v, %v; want a refusal that says %q", c.name, got, err, c.says)
		}
	}
	want := store.S3Config{Endpoint: "https://s3.example.gov.cn:9000", Region: "r", Bucket: "bucket", Prefix: "a/prefix", AccessKey: "key", SecretKey: "secret"}
	if got, err := good.config(); err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	good.S3Endpoint, good.S3WithoutTLS = "http://s3.example.gov.cn", true
	if _, err := good.config(); err != nil {
		t.Errorf("without TLS as told: %v", err)
	}
}

// wantReady waits until /readyz, which is 200 all the time, has a member, or has it no more.
func (s *site) wantReady(t *testing.T, r *running, member string, has bool) {
	t.Helper()
	for range 200 {
		if strings.Contains(s.page(t, r, "/readyz"), member) == has {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Errorf("/readyz with %s: want %t", member, has)
}

// TestFilesAway takes the file storage away from a running service: an issue stays pending,
// a download says why, what needs no file goes on; nothing is half done, and all is well
// again when it is back.
func TestFilesAway(t *testing.T) {
	t.Parallel()
	var own s3test.Server
	t.Cleanup(own.Stop)
	files := bucket(t)
	files.Files, files.S3Endpoint = "s3://"+own.Bucket(t), own.Endpoint(t)
	s := newSiteWith(t, "", files)
	r := s.serve(t)
	issued, err := s.issueOne(t, r, "before")
	must(t, err)
	samples, err := loadSamples()
	must(t, err)
	client := s.as(t, r, clientFor(samples[0]))

	own.Kill()
	s.wantReady(t, r, `"files_unreachable_since"`, true)
	if _, err := s.issueOne(t, r, "meanwhile"); err == nil || !strings.Contains(err.Error(), `"code":"unfinished"`) {
		t.Errorf("issuing: %v", err)
	}
	path := "/licences/" + string(issued.Identifier)
	if _, err := client.get(t.Context(), path+"/file"); err == nil || !strings.Contains(err.Error(), `503 Service Unavailable`) || !strings.Contains(err.Error(), "files_unavailable") {
		t.Errorf("downloading: %v", err)
	}
	if _, err := client.get(t.Context(), path); err != nil {
		t.Errorf("reading: %v", err)
	}
	s.wantRefusedStart(t, "away", "file storage unavailable")
	s.wantRefusedStart(t, "no bucket", "there is no such bucket", "--files", "s3://nowhere", "--s3-endpoint", s3.Endpoint(t))

	must(t, own.Start())
	s.wantReady(t, r, `"files_unreachable_since"`, false)
	s.wantGenuine(t, r, "before", s.download(t, r, string(issued.Identifier)))
	if _, err := s.issueOne(t, r, "afterwards"); err != nil {
		t.Errorf("issuing when it is back: %v", err)
	}
	other := newSite(t, "")
	other.fileFlags = s.fileFlags
	other.wantRefusedStart(t, "another instance's bucket", "another key")
	if out := s.output(t, "database", "backup", "-o", filepath.Join(t.TempDir(), "backup")); !strings.Contains(out, "now copy the files, "+s.Files) {
		t.Errorf("backup says %s", out)
	}
	r.stop(t)
	pending := 0
	must(t, s.tables(t).QueryRow(`SELECT count(*) FROM licence WHERE status = '`+string(licence.StatusPending)+`' AND file_digest IS NULL`).Scan(&pending))
	if pending != 1 {
		t.Errorf("%d licences are pending, of one that was not finished", pending)
	}
}
