//go:build faults

package main

import (
	"context"
	"encoding/asn1"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"elicence/crypto/pdfsig"
	"elicence/licence/registry"
	"elicence/verify"
)

// outage is a timestamp authority that can be killed, hang, and come back at the same
// address.
type outage struct {
	authority http.Handler
	address   string

	mu     sync.Mutex
	server *http.Server
	hangs  bool
	up     [][2]time.Time // when tokens could be had; an end that is zero is not over
}

// start lets it answer, from now on.
func (o *outage) start(t *testing.T) {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.hangs = false; o.server == nil {
		o.listen(t)
	}
	o.up = append(o.up, [2]time.Time{time.Now(), {}})
}

func (o *outage) listen(t *testing.T) {
	listener, err := net.Listen("tcp", o.address)
	must(t, err)
	o.address = listener.Addr().String()
	o.server = &http.Server{Handler: o}
	go o.server.Serve(listener) // ends with kill
}

// kill breaks every connection and refuses new ones.
func (o *outage) kill() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.server.Close()
	o.server = nil
	o.over()
}

// hang takes queries and answers none.
func (o *outage) hang(t *testing.T) {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.hangs = true; o.server == nil {
		o.listen(t)
	}
	o.over()
}

func (o *outage) over() {
	if n := len(o.up); n > 0 && o.up[n-1][1].IsZero() {
		o.up[n-1][1] = time.Now()
	}
}

// ServeHTTP answers as the authority, or not at all.
func (o *outage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	hangs := o.hangs
	o.mu.Unlock()
	if hangs {
		<-r.Context().Done()
		return
	}
	o.authority.ServeHTTP(w, r)
}

// answered reports whether the authority was up at an instant given in whole seconds.
func (o *outage) answered(at time.Time) bool {
	return slices.ContainsFunc(o.up, func(w [2]time.Time) bool {
		return !at.Before(w[0].Truncate(time.Second)) && (w[1].IsZero() || !at.After(w[1]))
	})
}

// stress issues samples under load until ctx ends. Every request must have its answer,
// but that a licence with co-seals may have to wait for the authority.
func (s *site) stress(ctx context.Context, t *testing.T, r *running) []*request {
	samples, err := loadSamples()
	must(t, err)
	var mu sync.Mutex
	var all []*request
	var workers sync.WaitGroup
	for worker := range 4 {
		workers.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				q := &request{key: fmt.Sprintf("w%d-%d", worker, i), sample: samples[i%len(samples)]}
				var issued registry.Issued
				if err := s.as(t, r, clientFor(q.sample)).post(context.Background(), "/licences", q.key, q.sample.body, &issued); err == nil {
					q.answer = &issued
				} else if q.sample.asks.TypeCode != demoJoint || !strings.Contains(err.Error(), "timestamp_awaited") {
					t.Errorf("%s: %v", q.key, err)
				}
				mu.Lock()
				all = append(all, q)
				mu.Unlock()
				time.Sleep(20 * time.Millisecond)
			}
		})
	}
	workers.Wait()
	return all
}

// TestFaultAuthority takes the timestamp authority away for a while under load: killed,
// then hanging. Every licence is issued, those with co-seals when it is back; those
// without a token say so and get one afterwards, without a restart; and every token's
// time is one at which the authority was there.
func TestFaultAuthority(t *testing.T) {
	for name, dsn := range backends {
		t.Run(name, func(t *testing.T) { authorityGoesAway(t, newSite(t, dsn(t))) })
	}
}

func authorityGoesAway(t *testing.T, s *site) {
	authority, anchors := outsideAuthority(t)
	must(t, os.WriteFile(filepath.Join(s.Dir, "keys", outsideAnchors), anchors, 0o644))
	o := &outage{authority: authority, address: "127.0.0.1:0"}
	o.start(t)
	r := s.serve(t, "--tsa-url", "http://"+o.address)
	ctx, cancel := context.WithTimeout(t.Context(), 25*time.Second)
	defer cancel()
	time.AfterFunc(4*time.Second, o.kill)
	time.AfterFunc(12*time.Second, func() { o.hang(t) })
	time.AfterFunc(19*time.Second, func() { o.start(t) })
	all := s.stress(ctx, t, r)
	if t.Failed() {
		t.FailNow()
	}
	pending := 0
	for _, q := range all {
		if q.answer != nil && !q.answer.Timestamped {
			pending++
		}
	}
	back := time.Now()
	waiting := slices.DeleteFunc(slices.Clone(all), func(q *request) bool { return q.answer != nil })
	t.Logf("%d issued, %d of them while the authority was away; %d wait for it", count(all), pending, len(waiting))
	if pending == 0 || pending == len(all) || len(waiting) == 0 {
		t.Error("the authority did not go away under load: the test proved nothing")
	}
	waitFor(t, "those that waited are issued", func() bool {
		s.ask(t, waiting, r)
		return count(waiting) == len(waiting)
	})
	waitFor(t, "all are timestamped", func() bool { return s.upgraded(t, r, all) })
	t.Logf("all are timestamped %s after the load ended", time.Since(back).Round(time.Second))
	s.checkTimes(t, r, o, all)
	s.checkReports(t, r, all)
	r.stop(t)
	o.kill()
	s.checkRegister(t, all)
}

func (s *site) licenceFile(t *testing.T, r *running, q *request) []byte {
	t.Helper()
	file, err := s.as(t, r, clientFor(q.sample)).get(t.Context(), "/licences/"+string(q.answer.Identifier)+"/file")
	must(t, err)
	return file
}

// upgraded reports whether every licence has a token, the last pending one first.
func (s *site) upgraded(t *testing.T, r *running, all []*request) bool {
	t.Helper()
	for _, q := range slices.Backward(all) {
		if q.answer.Timestamped {
			continue
		}
		if parts, err := verify.Inspect(s.licenceFile(t, r, q)); err != nil || parts.Token == nil {
			return false
		}
	}
	return true
}

// checkTimes: a token's time is the authority's, when it answered, after the seal.
func (s *site) checkTimes(t *testing.T, r *running, o *outage, all []*request) {
	t.Helper()
	for _, q := range all {
		parts, err := verify.Inspect(s.licenceFile(t, r, q))
		must(t, err)
		switch at, claimed := parts.Token.Time, parts.Signature.SigningTime; {
		case !o.answered(at):
			t.Errorf("%s: token of %s, when the authority was away: %v", q.key, at, o.up)
		case at.Before(claimed):
			t.Errorf("%s: token of %s, claimed signing time %s", q.key, at, claimed)
		case q.answer.Timestamped && at.Sub(claimed) > 10*time.Second:
			t.Errorf("%s: issued with a token %s late", q.key, at.Sub(claimed))
		}
	}
}

// checkReports: of an upgraded licence the file without its token is the pending one,
// and genuine; of one that never was pending it is a file that somebody cut.
func (s *site) checkReports(t *testing.T, r *running, all []*request) {
	t.Helper()
	for _, c := range []struct {
		timestamped bool
		cut, whole  string
	}{
		{false, "timestamp_available", "timestamp_outside"},
		{true, "timestamp_stripped", "timestamp_outside"},
	} {
		i := slices.IndexFunc(all, func(q *request) bool { return q.answer.Timestamped == c.timestamped })
		whole := s.licenceFile(t, r, all[i])
		cut, err := withoutToken(whole)
		must(t, err)
		if got := s.timestampCode(t, r, whole); got != c.whole {
			t.Errorf("timestamped at issue %t: %s, want %s", c.timestamped, got, c.whole)
		}
		if got := s.timestampCode(t, r, cut); got != c.cut {
			t.Errorf("timestamped at issue %t, token cut out: %s, want %s", c.timestamped, got, c.cut)
		}
	}
}

// withoutToken cuts the token out: the fifth element of SES_Signature.
func withoutToken(file []byte) ([]byte, error) {
	f, err := pdfsig.Read(file)
	if err != nil {
		return nil, err
	}
	var parts []asn1.RawValue
	if _, err := asn1.Unmarshal(f.Signatures[len(f.Signatures)-1].Contents, &parts); err != nil {
		return nil, err
	}
	der, err := asn1.Marshal(parts[:4])
	if err != nil {
		return nil, err
	}
	return pdfsig.ReplaceContents(file, der)
}

// timestampCode is what the service says of a file's timestamp.
func (s *site) timestampCode(t *testing.T, r *running, file []byte) string {
	t.Helper()
	var report verify.Report
	anybody := &apiClient{base: r.baseURL + "/api/v1"}
	must(t, anybody.send(t.Context(), "POST", "/verifications", "application/pdf", "", file, &report))
	i := slices.IndexFunc(report.Checks, func(c verify.Check) bool { return c.Name == verify.CheckTimestamp })
	return report.Checks[i].Code
}
