//go:build faults

package witness_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"elicence/audit"
	"elicence/audit/witness"
)

// The test binary is the witness, too, when these say on which folder and by which policy.
const dirVariable, policyVariable = "ELICENCE_TEST_WITNESS", "ELICENCE_TEST_POLICY"

func TestMain(m *testing.M) {
	if dir := os.Getenv(dirVariable); dir != "" {
		fmt.Fprintln(os.Stderr, runWitness(dir, os.Getenv(policyVariable)))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func runWitness(dir, policyText string) error {
	policy, err := audit.ParsePolicy([]byte(policyText))
	if err != nil {
		return err
	}
	folder, err := witness.OpenFolder(dir, passphrase)
	if err != nil {
		return err
	}
	w, err := witness.Open(witness.Config{Signer: folder.Signer, Policy: policy, Store: folder, Now: time.Now, Rand: rand.Reader})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println("serving", "http://"+listener.Addr().String())
	return w.HTTPServer().Serve(listener)
}

// process is a witness that can be killed.
type process struct {
	cmd *exec.Cmd
	url string
}

func startProcess(t *testing.T, dir string, policy *audit.Policy) *process {
	t.Helper()
	p := &process{cmd: exec.Command(os.Args[0])}
	p.cmd.Env = append(os.Environ(), dirVariable+"="+dir, policyVariable+"="+string(policy.Marshal()))
	p.cmd.Stderr = os.Stderr
	out, err := p.cmd.StdoutPipe()
	must(t, err)
	must(t, p.cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	must(t, err)
	p.url = strings.TrimSpace(strings.TrimPrefix(line, "serving "))
	return p
}

func (p *process) kill() {
	p.cmd.Process.Kill()
	p.cmd.Wait()
}

// do sends a request; status 0 is what a kill looks like.
func (p *process) do(method, path string, body []byte) (status int, answer []byte) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, p.url+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil
	}
	reply, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, nil
	}
	defer reply.Body.Close()
	if answer, err = io.ReadAll(reply.Body); err != nil {
		return 0, nil
	}
	return reply.StatusCode, answer
}

// TestFaultKill kills a witness with SIGKILL at random moments while checkpoints are
// sent as fast as it takes them. What it cosigned it remembers; what it remembers is
// of the one history; and another history finds no cosignature.
func TestFaultKill(t *testing.T) {
	kills, err := strconv.Atoi(os.Getenv("ELICENCE_KILLS"))
	if err != nil {
		kills = 200
	}
	const leaves = 3000
	signer := newSigner(t, origin)
	log, fork := newTestLog(signer, "the history", leaves), newTestLog(signer, "another history", leaves)
	dir := filepath.Join(t.TempDir(), "witness")
	vkey, err := witness.Create(dir, "w1.example", passphrase)
	must(t, err)
	policy := policyOf(t, signer)
	trusted, err := policy.WithWitness("w1", vkey, 1)
	must(t, err)

	size, cosigned, ahead := 0, 0, 0 // size: of the last cosignature that was received
	for round := range kills {
		p := startProcess(t, dir, policy)
		status, kept := p.do("GET", "/"+witness.Hash(origin)+"/checkpoint", nil)
		if status == http.StatusNotFound && size == 0 {
			kept = nil
		} else if status != http.StatusOK {
			t.Fatalf("round %d: latest: %d %s", round, status, kept)
		}
		if kept != nil {
			c, _, err := trusted.OpenCosigned(kept, "w1")
			if err != nil || c.Size < uint64(size) || string(c.RootHash[:]) != string(root(log.leaves[:c.Size])) {
				t.Fatalf("round %d: remembers %+v, %v; it had cosigned size %d", round, c, err, size)
			}
			if int(c.Size) > size {
				ahead++
			}
			size = int(c.Size)
			if status, answer := p.do("POST", "/add-checkpoint", fork.body(t, size, size+1)); status != http.StatusUnprocessableEntity {
				t.Fatalf("round %d: another history: %d %s", round, status, answer)
			}
		}
		timer := time.AfterFunc(time.Duration(mathrand.IntN(60))*time.Millisecond, func() { p.cmd.Process.Kill() })
		for {
			status, answer := p.do("POST", "/add-checkpoint", log.body(t, size, size+1))
			if status != http.StatusOK {
				if status != 0 {
					t.Errorf("round %d, size %d: %d %s", round, size, status, answer)
				}
				break
			}
			if _, err := trusted.AddCosignature(log.checkpoint(t, size+1), "w1", answer); err != nil {
				t.Fatal(err)
			}
			size++
			cosigned++
		}
		timer.Stop()
		p.kill()
	}
	t.Logf("%d kills: %d cosignatures received, up to size %d; after %d of the kills the witness remembered one that had not arrived", kills, cosigned, size, ahead)
	if cosigned < kills/2 {
		t.Error("hardly anything was cosigned: the test proved nothing")
	}
}
