package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"elicence/crypto/cryptotest"
	"elicence/store/pgtest"
	"elicence/store/s3test"
)

var (
	postgres pgtest.Server
	s3       s3test.Server
)

// The programs under test, built once.
var binary, witnessBinary, auditorBinary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "elicenced")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(dir, "elicenced")
	witnessBinary = filepath.Join(dir, "elicence-witness")
	auditorBinary = filepath.Join(dir, "elicence")
	if out, err := exec.Command("go", "build", "-o", dir, ".", "../elicence-witness", "../elicence-testidp", "../elicence").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the programs: %v\n%s", err, out)
		os.Exit(1)
	}
	code := m.Run()
	postgres.Stop()
	s3.Stop()
	os.RemoveAll(dir)
	os.Exit(code)
}

// backends are both stores, as the DSN that elicenced is started with.
var backends = map[string]func(testing.TB) string{
	"SQLite":     func(testing.TB) string { return "" },
	"PostgreSQL": func(t testing.TB) string { return postgres.DSN(t) },
}

// site is an instance in a folder of the test's own.
type site struct {
	location
	fileFlags
	demo demoFile
}

// newSite is an instance with the demo's clients and samples. On SQLite all are copies of
// one that was made once, so that they have the same keys; one that must be another
// instance than those comes of newSiteWith.
func newSite(t testing.TB, dsn string) *site {
	t.Helper()
	if dsn != "" {
		return newSiteWith(t, dsn, fileFlags{})
	}
	made, err := demoSite()
	must(t, err)
	s := &site{location: location{Dir: t.TempDir()}, demo: made.demo}
	if out, err := exec.Command("cp", "-a", made.Dir+"/.", s.Dir).CombinedOutput(); err != nil {
		t.Fatalf("copying the demo: %v\n%s", err, out)
	}
	return s
}

// demoSite makes the instance that newSite copies, beside the programs.
var demoSite = sync.OnceValues(func() (*site, error) {
	s := &site{location: location{Dir: filepath.Join(filepath.Dir(binary), "demo")}}
	return s, s.make()
})

// newSiteWith makes an instance of its own, and says where files lie.
func newSiteWith(t testing.TB, dsn string, files fileFlags) *site {
	t.Helper()
	s := &site{location: location{Dir: t.TempDir(), Database: dsn}, fileFlags: files}
	must(t, s.make())
	return s
}

// make has the demo make the instance, and its keys ones that open quickly.
func (s *site) make() error {
	if out, err := s.command("demo", "--once", "--listen", "127.0.0.1:0").CombinedOutput(); err != nil {
		return fmt.Errorf("elicenced demo: %w\n%s", err, out)
	}
	b, err := os.ReadFile(filepath.Join(s.Dir, "demo.json"))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, &s.demo); err != nil {
		return err
	}
	k, err := s.keys("")
	if err != nil {
		return err
	}
	files, err := filepath.Glob(k.path("*" + softwareKey))
	for _, file := range files {
		err = errors.Join(err, cryptotest.QuickenKey(file, k.passphrase))
	}
	return err
}

func (s *site) command(args ...string) *exec.Cmd {
	cmd := exec.Command(binary, append(args, "--dir", s.Dir)...)
	cmd.Env = append(os.Environ(), "ELICENCE_DATABASE="+s.Database, "ELICENCE_FONTS="+fontsDir(),
		"ELICENCE_FILES="+s.Files, "ELICENCE_S3_ENDPOINT="+s.S3Endpoint, "ELICENCE_S3_CREDENTIALS_FILE="+s.S3CredentialsFile)
	return cmd
}

// logOf is the name of a site's log and its database, to be closed. What is encrypted in it
// does not open.
func (s *site) logOf(t testing.TB) (logID string, db database) {
	t.Helper()
	set, err := s.settings()
	must(t, err)
	db, err = s.openDatabase(t.Context(), secrets{storage: make([]byte, 16), index: make([]byte, 32)})
	must(t, err)
	return set.LogID, db
}

// bucket is a new bucket for the files of a site.
func bucket(t testing.TB) fileFlags {
	t.Helper()
	file := filepath.Join(t.TempDir(), "s3-credentials")
	must(t, os.WriteFile(file, []byte(s3test.AccessKey+"\n"+s3test.SecretKey+"\n"), 0o600))
	return fileFlags{Files: "s3://" + s3.Bucket(t) + "/files", S3Endpoint: s3.Endpoint(t), S3Region: "us-east-1", S3CredentialsFile: file}
}

// fontsDir is where the fonts are, from this package's folder.
func fontsDir() string {
	if dir := os.Getenv("ELICENCE_FONTS"); dir != "" {
		return dir
	}
	dir, _ := filepath.Abs("../../fonts")
	return dir
}

// running is a server process.
type running struct {
	cmd             *exec.Cmd
	baseURL, tsaURL string
	exited          chan error
	faults          *faultLog // what it wrote to standard error
}

// faultLog is text that one goroutine writes while another may read it.
type faultLog struct {
	mu   sync.Mutex
	text strings.Builder
}

func (f *faultLog) Write(b []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.text.Write(b)
}

func (f *faultLog) String() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.text.String()
}

// serve starts elicenced serve and waits until it answers.
func (s *site) serve(t testing.TB, args ...string) *running {
	t.Helper()
	return start(t, s.command(append([]string{"serve", "--listen", "127.0.0.1:0"}, args...)...))
}

// start starts a server and waits until it says where it serves.
func start(t testing.TB, cmd *exec.Cmd) *running {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	r := &running{cmd: cmd, exited: make(chan error, 1), faults: &faultLog{}}
	cmd.Stderr = r.faults
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if url, ok := strings.CutPrefix(lines.Text(), "timestamps for others at "); ok {
			r.tsaURL = url
		}
		if url, ok := strings.CutPrefix(lines.Text(), "serving "); ok {
			r.baseURL = url
			break
		}
	}
	go func() { r.exited <- cmd.Wait() }()
	if r.baseURL == "" {
		t.Fatalf("%s did not start: %v\n%s", filepath.Base(cmd.Path), <-r.exited, r.faults)
	}
	return r
}

// kill is kill -9.
func (r *running) kill() {
	r.cmd.Process.Kill()
	<-r.exited
}

// stop asks the server to end and waits for it.
func (r *running) stop(t testing.TB) {
	t.Helper()
	r.cmd.Process.Signal(os.Interrupt)
	select {
	case err := <-r.exited:
		if err != nil {
			t.Errorf("%s ended with %v", filepath.Base(r.cmd.Path), err)
		}
	case <-time.After(30 * time.Second):
		r.kill()
		t.Errorf("%s did not stop within 30 s", filepath.Base(r.cmd.Path))
	}
}

// as is a client of the running server.
func (s *site) as(t testing.TB, r *running, id string) *apiClient {
	t.Helper()
	for _, c := range s.demo.Clients {
		if c.ID == id {
			client, err := newAPIClient(context.Background(), r.baseURL, id, c.Secret)
			if err != nil {
				t.Fatal(err)
			}
			return client
		}
	}
	t.Fatalf("no client %s", id)
	return nil
}

// clientFor is the client that issues a sample.
func clientFor(s sample) string { return issuerOf(s.asks.TypeCode).client }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
