package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"elicence/audit"
	"elicence/crypto/pki"
	"elicence/licence"
	"elicence/licence/registry"
	"elicence/verify"
)

// TestTrustListOfDemo verifies what the demo made with its own trust list: the list
// speaks for every authority that has a seal here, and so clears the samples.
func TestTrustListOfDemo(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	read := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join(s.Dir, name))
		must(t, err)
		return b
	}
	now := time.Now()
	anchors, err := pki.ParseTrustAnchors(read("anchors.pem"))
	must(t, err)
	list, err := verify.ParseTrustList(read("trust.json"), anchors, now)
	must(t, err)
	want := []string{demoPlatform.Code}
	for _, a := range demoAuthorities {
		want = append(want, a.Code)
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, list.Authorities); diff != "" {
		t.Error(diff)
	}
	v, other := &verify.Verifier{Anchors: anchors, Trust: list}, *list
	other.Authorities = []string{"11330105002500287C"}
	elsewhere := &verify.Verifier{Anchors: anchors, Trust: &other}
	for _, l := range s.demo.Licences {
		file := read(l.File)
		want, unscoped := licence.Status(l.Status), licence.Status(l.Status)
		if want == licence.StatusValid {
			unscoped = licence.StatusUnknown
		}
		if r := v.VerifyFile(context.Background(), file, now); r.Indication != verify.TotalPassed || r.LicenceState != want {
			t.Errorf("%s: %s, %s; want %s", l.File, r.Indication, r.LicenceState, want)
		}
		if r := elsewhere.VerifyFile(context.Background(), file, now); r.Indication != verify.TotalPassed || r.LicenceState != unscoped {
			t.Errorf("%s by the list of another platform: %s, %s; want %s", l.File, r.Indication, r.LicenceState, unscoped)
		}
	}
}

// TestServedTrustList fetches the list as a verifier in the street would, keeps it, and
// fetches the next after a licence was revoked.
func TestServedTrustList(t *testing.T) {
	t.Parallel()
	for name, dsn := range backends {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, dsn(t))
			anchors := s.rootAlone(t)
			r := s.serve(t)
			first := r.trustList(t, anchors)
			r.wantCached(t)
			var fresh demoLicence
			for _, l := range s.demo.Licences {
				status, listed := first.State(licence.Identifier(l.Identifier))
				if want := licence.Status(l.Status); listed != (want != licence.StatusValid) || listed && status != want {
					t.Errorf("%s is listed as %q, and is %s", l.File, status, want)
				}
				if l.Status == "valid" {
					fresh = l
				}
			}
			s.wantPermitted(t, first)
			must(t, s.as(t, r, issuerOf(fresh.TypeCode).client).post(t.Context(), "/licences/"+fresh.Identifier+"/revoke", "revoke", []byte(`{"reason":"测试"}`), nil))
			r.stop(t)

			r = s.serve(t)
			defer r.stop(t)
			second := r.trustList(t, anchors)
			if status, _ := second.State(licence.Identifier(fresh.Identifier)); status != licence.StatusRevoked || second.Counter <= first.Counter {
				t.Errorf("list %d after list %d says %q of a revoked licence", second.Counter, first.Counter, status)
			}
			s.wantPermitted(t, second)
		})
	}
}

// rootAlone are anchors with the root's certificate, and no list.
func (s *site) rootAlone(t testing.TB) *pki.TrustAnchors {
	t.Helper()
	root, err := os.ReadFile(filepath.Join(s.Dir, "keys", "root.cer.pem"))
	must(t, err)
	anchors, err := pki.ParseTrustAnchors(root)
	must(t, err)
	return anchors
}

// trustList fetches the list that a server gives out, as soon as there is one.
func (r *running) trustList(t testing.TB, anchors *pki.TrustAnchors) *verify.TrustList {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		answer, err := http.Get(r.baseURL + trustListPath)
		must(t, err)
		b, err := io.ReadAll(answer.Body)
		must(t, errors.Join(err, answer.Body.Close()))
		if answer.StatusCode == http.StatusServiceUnavailable && time.Now().Before(end) {
			continue
		}
		list, err := verify.ParseTrustList(b, anchors, time.Now())
		if err != nil {
			t.Fatalf("%s: %v", answer.Status, err)
		}
		return list
	}
}

// wantCached asks for the list as caches do.
func (r *running) wantCached(t testing.TB) {
	t.Helper()
	ask := func(method, tag string) *http.Response {
		q, err := http.NewRequestWithContext(t.Context(), method, r.baseURL+trustListPath, nil)
		must(t, err)
		if tag != "" {
			q.Header.Set("If-None-Match", tag)
		}
		answer, err := http.DefaultClient.Do(q)
		must(t, err)
		must(t, answer.Body.Close())
		return answer
	}
	head := ask("HEAD", "")
	tag := head.Header.Get("ETag")
	if head.StatusCode != 200 || len(tag) != 66 || head.Header.Get("Cache-Control") != "public, max-age=600" || head.Header.Get("Content-Type") != "application/json" {
		t.Errorf("HEAD: %s %v", head.Status, head.Header)
	}
	for _, c := range []struct {
		method, tag string
		want        int
	}{{"GET", tag, 304}, {"GET", `"another"`, 200}, {"POST", "", 405}, {"DELETE", tag, 405}} {
		if got := ask(c.method, c.tag).StatusCode; got != c.want {
			t.Errorf("%s with %q: %d, want %d", c.method, c.tag, got, c.want)
		}
	}
}

// wantPermitted looks for the log entry that permitted a list: the one below its counter,
// with the digest of its states.
func (s *site) wantPermitted(t testing.TB, list *verify.TrustList) {
	t.Helper()
	logID, db := s.logOf(t)
	defer db.Close()
	index, found, sum := uint64(list.Counter-1), false, list.States.Digest()
	must(t, db.Rows(t.Context(), logID, index, index+1, func(row audit.Row) error {
		record, err := audit.ParseRecord(row.Record)
		e := record.Entry
		found = e.Action == registry.ActionTrustList && e.Result == audit.ResultAllowed && bytes.Equal(e.Digest, sum[:])
		return err
	}))
	if !found {
		t.Errorf("entry %d does not permit list %d", index, list.Counter)
	}
}
