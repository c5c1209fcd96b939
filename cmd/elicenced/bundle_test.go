package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"elicence/audit"
	"elicence/crypto/pki"
	"elicence/licence/bundle"
	"elicence/verify"
)

// TestBundles fetches evidence bundles of old and new licences, of every authority, and
// verifies them ten years ahead with the root's certificate and the log's policy.
func TestBundles(t *testing.T) {
	t.Parallel()
	for name, dsn := range backends {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, dsn(t))
			// Lists older than what is issued from now on: the CAs have to make new ones, once.
			keys := s.mustKeys(t)
			must(t, keys.writeCRLs(time.Now().Add(-time.Hour), func(_ *pki.Certificate, revoked []pki.Revoked) ([]pki.Revoked, error) { return revoked, nil }))
			before := listNumber(t, keys)
			r := s.serve(t)
			defer r.stop(t)
			issued, err := s.issueOne(t, r, "fresh")
			must(t, err)
			first := s.wantBundle(t, r, s.rootAlone(t), issued.TypeCode, string(issued.Identifier))
			renewed := listNumber(t, keys)
			second := s.wantBundle(t, r, s.rootAlone(t), issued.TypeCode, string(issued.Identifier))
			for _, l := range s.demo.Licences {
				b := s.wantBundle(t, r, s.rootAlone(t), l.TypeCode, l.Identifier)
				if string(b.Status) != l.Status {
					t.Errorf("%s is %s, its bundle says %s", l.File, l.Status, b.Status)
				}
			}
			if last := listNumber(t, keys); renewed <= before || last != renewed {
				t.Errorf("list %d, %d after a bundle, %d after others", before, renewed, last)
			}
			if string(first.Manifest()) != string(second.Manifest()) || string(first.Checkpoint) == string(second.Checkpoint) {
				t.Error("two bundles of a licence hold the same evidence, each with its own entry in the log")
			}
		})
	}
}

// wantBundle fetches a bundle as the approval system of a type, and verifies it.
func (s *site) wantBundle(t testing.TB, r *running, anchors *pki.TrustAnchors, typeCode, id string) *bundle.Bundle {
	t.Helper()
	raw, err := s.as(t, r, issuerOf(typeCode).client).get(t.Context(), "/licences/"+id+"/bundle")
	must(t, err)
	text, err := os.ReadFile(filepath.Join(s.Dir, "log-policy.txt"))
	must(t, err)
	policy, err := audit.ParsePolicy(text)
	must(t, err)
	v := verify.Verifier{Anchors: anchors, Policy: policy}
	report := v.VerifyBundle(t.Context(), raw, time.Now().AddDate(10, 0, 0))
	if report.Indication != verify.TotalPassed || report.Check(verify.CheckLog).Code != "logged" {
		t.Errorf("%s: %s/%s %+v", id, report.Indication, report.SubIndication, report.Checks)
	}
	b, err := bundle.Parse(raw)
	must(t, err)
	if b.Identifier != report.Licence.Identifier || string(b.Identifier) != id {
		t.Errorf("asked for %s, got %s with the file of %s", id, b.Identifier, report.Licence.Identifier)
	}
	return b
}

// listNumber is the number of the issuing CA's newest list.
func listNumber(t testing.TB, keys keyring) int64 {
	t.Helper()
	issuing, err := keys.certificate("issuing")
	must(t, err)
	anchors, err := keys.anchors()
	must(t, err)
	list, ok := anchors.CRL(issuing)
	if !ok {
		t.Fatal("no list")
	}
	return list.Number.Int64()
}
