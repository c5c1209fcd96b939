// Package s3test gives tests a real S3 service, started for them and thrown away:
// versitygw over a folder.
//
// A test package has one Server, stops it at its end, and asks it for a bucket in each
// test, as with store/pgtest:
//
//	var s3 s3test.Server
//
//	func TestMain(m *testing.M) {
//		code := m.Run()
//		s3.Stop()
//		os.Exit(code)
//	}
//
// versitygw.sh builds the program where it is missing; without it a test fails and says
// what to do.
package s3test

import (
	"bytes"
	"crypto/rand"
	_ "embed"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

//go:embed versitygw.sh
var script string

// The credentials of every Server, which are no secrets.
const (
	AccessKey = "elicence-test"
	SecretKey = "elicence-test-secret"
)

// Server is an S3 service that starts when it is first needed. The zero value is ready for
// use. It is safe for concurrent use, but for Kill and Start.
type Server struct {
	start        sync.Once
	err          error
	binary, host string
	dir          string // a folder in it is a bucket
	running      *exec.Cmd
}

// Endpoint is the URL of the service.
func (s *Server) Endpoint(t testing.TB) string {
	t.Helper()
	s.start.Do(func() { s.err = s.begin() })
	if s.err != nil {
		t.Fatal(s.err)
	}
	return "http://" + s.host
}

// Bucket makes an empty bucket and returns its name.
func (s *Server) Bucket(t testing.TB) string {
	t.Helper()
	s.Endpoint(t)
	name := "test-" + strings.ToLower(rand.Text()[:16])
	if err := os.Mkdir(s.Folder(name), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(s.Folder(name)); err != nil {
			t.Error(err)
		}
	})
	return name
}

// Folder is where a bucket's objects lie, as files by their names.
func (s *Server) Folder(bucket string) string { return filepath.Join(s.dir, "buckets", bucket) }

// Stop stops the server, if it was started, and removes its files.
func (s *Server) Stop() {
	if s.running != nil {
		s.Kill()
	}
	if s.dir != "" {
		_ = os.RemoveAll(s.dir)
	}
}

// Kill ends the service with what it is doing; Start starts it again, at the same address
// over the same buckets.
func (s *Server) Kill() {
	_ = s.running.Process.Kill()
	_ = s.running.Wait()
	s.running = nil
}

// Start is for after Kill.
func (s *Server) Start() error {
	cmd := exec.Command(s.binary, "--port", s.host, "--access", AccessKey, "--secret", SecretKey, "--quiet",
		"posix", "--sidecar", filepath.Join(s.dir, "meta"), filepath.Join(s.dir, "buckets"))
	cmd.SysProcAttr = untilParentEnds
	var says bytes.Buffer
	cmd.Stdout, cmd.Stderr = &says, &says
	if err := cmd.Start(); err != nil {
		return err
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.DialTimeout("tcp", s.host, time.Second)
		if err == nil {
			s.running = cmd
			return conn.Close()
		}
		if time.Now().After(deadline) {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			return fmt.Errorf("versitygw does not answer: %w\n%s", err, &says)
		}
	}
}

// begin builds the program if need be, and starts it on a free port.
func (s *Server) begin() error {
	cmd := exec.Command("sh", "-s")
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(script), &out, &errs
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", strings.TrimSpace(errs.String()), err)
	}
	s.binary = strings.TrimSpace(out.String())
	var err error
	if s.dir, err = os.MkdirTemp("", "s3test-"); err != nil {
		return err
	}
	for _, name := range []string{"buckets", "meta"} {
		if err := os.Mkdir(filepath.Join(s.dir, name), 0o700); err != nil {
			return err
		}
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.host = free.Addr().String()
	if err := free.Close(); err != nil {
		return err
	}
	return s.Start()
}
