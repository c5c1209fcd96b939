package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// cluster is one register served by several processes, each in a folder of its own with
// nothing but a copy of the keys: they share a PostgreSQL, as members of elicence_server, and
// a bucket.
type cluster struct {
	*site  // of the owner, who made it
	member string
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	owner := newSiteWith(t, postgres.DSN(t), bucket(t))
	return &cluster{owner, postgres.Member(t, owner.Database, "elicence_server")}
}

// join starts one more server.
func (c *cluster) join(t *testing.T, args ...string) *running {
	t.Helper()
	return c.machine(t).serve(t, args...)
}

// machine is a new machine with the keys.
func (c *cluster) machine(t *testing.T) *site {
	t.Helper()
	m := &site{location{Dir: t.TempDir(), Database: c.member}, c.fileFlags, c.demo}
	copyTree(t, filepath.Join(m.Dir, "keys"), filepath.Join(c.Dir, "keys"))
	passphrase, err := os.ReadFile(filepath.Join(c.Dir, "passphrase"))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(m.Dir, "passphrase"), passphrase, 0o600))
	return m
}

// asking are n issues to be asked for.
func asking(t *testing.T, name string, n int) (all []*request) {
	t.Helper()
	samples, err := loadSamples()
	must(t, err)
	for i := range n {
		all = append(all, &request{key: fmt.Sprintf("%s-%d", name, i), sample: samples[i%len(samples)]})
	}
	return all
}

// TestServers has two servers, then three, behave as one: what one of them issued the
// others show, verify and revoke, a repeat gets its answer wherever it goes, and one that is
// killed under load leaves a log that is good and no number given out twice.
func TestServers(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	beside := c.machine(t)
	one, two := beside.serve(t), c.join(t)
	all := asking(t, "both", 16)
	c.ask(t, all, one, two)
	c.ask(t, all, two, one) // the same answers
	if n := count(all); n != len(all) {
		t.Fatalf("%d of %d were answered: %s %s", n, len(all), one.faults, two.faults)
	}
	c.wantOne(t, all, one, two)

	three := c.join(t)
	load := asking(t, "killed", 24)
	timer := time.AfterFunc(400*time.Millisecond, func() { one.cmd.Process.Kill() })
	c.ask(t, load, one, two, three)
	timer.Stop()
	one.kill()
	t.Logf("%d of %d were answered by three servers, of which one was killed", count(load), len(load))
	c.ask(t, load, two, three)
	c.wantOne(t, all, three, two)
	c.wantNotSealed(t, beside, two, three)
	two.stop(t)
	three.stop(t)
	for _, r := range []*running{one, two, three} {
		if strings.Contains(r.faults.String(), "could change the access log") {
			t.Errorf("a member of elicence_server is warned: %s", r.faults)
		}
	}
	c.checkRegister(t, slices.DeleteFunc(append(all, load...), func(q *request) bool { return q.answer == nil }))
	c.wantGoodLog(t)
}

// wantOne has each of two servers show and verify what may be the other's.
func (c *cluster) wantOne(t *testing.T, all []*request, one, two *running) {
	t.Helper()
	q := all[0]
	path := "/licences/" + string(q.answer.Identifier) + "/file"
	tokens := c.tokens([]*running{one}) // which the other takes too
	var files [2][]byte
	for i, r := range []*running{one, two} {
		var err error
		files[i], err = (&apiClient{base: r.baseURL + "/api/v1", token: tokens[clientFor(q.sample)]}).get(t.Context(), path)
		must(t, err)
		c.wantGenuine(t, r, q.key, files[i])
	}
	if !bytes.Equal(files[0], files[1]) {
		t.Error("two servers give out different files of one licence")
	}
	c.wantBatch(t, one, two, files[0])
	c.wantRevoked(t, all[len(all)-1], one, two)
}

// wantBatch sends a batch to one server and fetches the results from another.
func (c *cluster) wantBatch(t *testing.T, one, two *running, file []byte) {
	t.Helper()
	client := c.as(t, one, "verifier-counter")
	form := "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.pdf\"\r\n\r\n" + string(file) + "\r\n--x--\r\n"
	var batch struct {
		ID     string
		Status string
		Items  []struct{ Report struct{ Indication string } }
	}
	must(t, client.send(t.Context(), "POST", "/verifications/batch", "multipart/form-data; boundary=x", "", []byte(form), &batch))
	client.base = two.baseURL + "/api/v1"
	waitFor(t, "another server has the results of the batch", func() bool {
		b, err := client.get(t.Context(), "/verifications/batch/"+batch.ID)
		must(t, err)
		must(t, json.Unmarshal(b, &batch))
		return batch.Status == "done"
	})
	if batch.Items[0].Report.Indication != "TotalPassed" {
		t.Errorf("the batch: %+v", batch)
	}
}

// wantRevoked revokes a licence through one server and asks another about it; who revoked it
// before is told so.
func (c *cluster) wantRevoked(t *testing.T, q *request, one, two *running) {
	t.Helper()
	client := c.as(t, one, clientFor(q.sample))
	path := "/licences/" + string(q.answer.Identifier)
	must(t, client.post(t.Context(), path+"/revoke", "revoke", []byte(`{"reason":"提供虚假材料","case_number":"CF-1"}`), nil))
	client.base = two.baseURL + "/api/v1"
	must(t, client.post(t.Context(), path+"/revoke", "revoke", []byte(`{"reason":"提供虚假材料","case_number":"CF-1"}`), nil)) // the same answer
	b, err := client.get(t.Context(), path)
	if err != nil || !strings.Contains(string(b), `"status":"revoked"`) {
		t.Errorf("another server says of a revoked licence: %s, %v", b, err)
	}
}

// wantNotSealed revokes a seal signer's certificate on one machine, and has the servers of
// others refuse to seal with it.
func (c *cluster) wantNotSealed(t *testing.T, on *site, others ...*running) {
	t.Helper()
	q := asking(t, "revoked", 1)[0]
	on.mustRun(t, "keyCompromise", "ca", "revoke", filepath.Join(on.Dir, "keys", "seal-"+issuerOf(q.sample.asks.TypeCode).Code+".cer.pem"), "--reason", "keyCompromise")
	on.serve(t).stop(t) // whose server died
	for _, r := range others {
		waitFor(t, "another server has heard of the revocation", func() bool {
			err := c.as(t, r, clientFor(q.sample)).post(t.Context(), "/licences", rand.Text(), q.sample.body, nil)
			return err != nil && strings.Contains(err.Error(), "signer_not_usable")
		})
	}
}

// wantGoodLog exports the log on another machine and verifies it as an auditor.
func (c *cluster) wantGoodLog(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	export, policy := filepath.Join(dir, "log"), filepath.Join(dir, "policy.txt")
	must(t, os.WriteFile(policy, []byte("log "+c.logVkey(t)+"\n"), 0o600))
	head := c.verifyLog(t)
	c.machine(t).output(t, "log", "export", "-o", export, "--to", fmt.Sprint(head.To))
	out, err := exec.Command(auditorBinary, "audit", "verify", "--policy", policy, export).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "good: ") {
		t.Errorf("audit verify: %v\n%s", err, out)
	}
}
