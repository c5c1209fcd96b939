package verify_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"elicence/crypto/cryptotest"
	"elicence/licence/bundle"
	"elicence/testdata/hostile"
	"elicence/verify"
)

// TestAlteredBundle changes bytes of a good bundle: as they lie in the file, and of each
// part with container and manifest made anew, as an attacker would.
func TestAlteredBundle(t *testing.T) {
	m := newBundler(t, cryptotest.New(t))
	good := m.make()
	verdict := func(raw []byte) verify.Indication {
		return m.v.VerifyBundle(context.Background(), raw, m.at).Indication
	}
	if got := verdict(good); got != verify.TotalPassed {
		t.Fatal(got)
	}
	for i := range good {
		altered := bytes.Clone(good)
		altered[i] ^= 1
		if r := m.v.VerifyBundle(context.Background(), altered, m.at); r.Indication != verify.TotalFailed || r.Check(verify.CheckStructure).Code != "bundle_malformed" {
			t.Fatalf("byte %d altered: %s", i, r.Indication)
		}
	}
	parts := func(b *bundle.Bundle) (parts []*[]byte) {
		parts = append(parts, &b.File, &b.Checkpoint)
		for _, list := range [][][]byte{b.Certificates, b.CRLs} {
			for i := range list {
				parts = append(parts, &list[i])
			}
		}
		for i := range b.Entries {
			parts = append(parts, &b.Entries[i].Record)
			for j := range b.Entries[i].Proof {
				parts = append(parts, &b.Entries[i].Proof[j])
			}
		}
		return parts
	}
	original, err := bundle.Parse(good)
	must(t, err)
	tried := 0
	for n, part := range parts(original) {
		for i := 0; i < len(*part); i += 1 + len(*part)/300 {
			b, err := bundle.Parse(good)
			must(t, err)
			target := parts(b)[n]
			*target = bytes.Clone(*target)
			(*target)[i] ^= 0x20
			raw, err := b.Marshal()
			must(t, err)
			if got := verdict(raw); got != verify.TotalFailed && got != verify.Indeterminate {
				t.Errorf("byte %d of part %d altered: %s", i, n, got)
			}
			tried++
		}
	}
	t.Logf("%d parts altered at %d places", len(parts(original)), tried)
}

// judgeBundle has a bundle judged within bounds, and holds the report to its invariants.
func (m *bundler) judgeBundle(t *testing.T, raw []byte) *verify.Report {
	t.Helper()
	var r *verify.Report
	hostile.Within(t, func() { r = m.v.VerifyBundle(context.Background(), raw, m.at) })
	wellFormed(t, r)
	return r
}

// FuzzVerifyBundle takes any bytes. Nothing but what was made is TotalPassed.
func FuzzVerifyBundle(f *testing.F) {
	cryptotest.Fixed(f)
	m := newBundler(f, cryptotest.New(f))
	good := m.make()
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add([]byte("PK\x03\x04"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if r := m.judgeBundle(t, raw); r.Indication == verify.TotalPassed && !bytes.Equal(raw, good) {
			t.Error("another bundle is TotalPassed")
		}
	})
}

// FuzzVerifyEvidence puts any parts into a bundle, with container and manifest made anew:
// certificate, list, OCSP answer, checkpoint, record and the first hash of its proof.
func FuzzVerifyEvidence(f *testing.F) {
	cryptotest.Fixed(f)
	m := newBundler(f, cryptotest.New(f))
	m.ocsp = [][]byte{m.response(now.Add(-time.Minute), m.leaves())}
	good := m.make()
	b, err := bundle.Parse(good)
	must(f, err)
	f.Add(b.Certificates[0], b.CRLs[0], b.OCSP[0], b.Checkpoint, b.Entries[0].Record, b.Entries[0].Proof[0])
	f.Add([]byte{0x30, 0}, b.CRLs[1], []byte{0x30, 3, 10, 1, 6}, []byte("log.example/city\n"), []byte{0x90}, []byte{})
	f.Fuzz(func(t *testing.T, cert, list, answer, checkpoint, record, hash []byte) {
		b, err := bundle.Parse(good)
		must(t, err)
		b.Certificates[0], b.CRLs[0], b.OCSP[0], b.Checkpoint, b.Entries[0].Record = cert, list, answer, checkpoint, record
		b.Entries[0].Proof[0] = append(hash[:min(len(hash), 32):min(len(hash), 32)], make([]byte, 32-min(len(hash), 32))...)
		raw, err := b.Marshal()
		if err != nil {
			return
		}
		if r := m.judgeBundle(t, raw); r.Indication == verify.TotalPassed && !bytes.Equal(raw, good) {
			t.Error("another bundle is TotalPassed")
		}
	})
}

// BenchmarkVerifyBundle judges a bundle ten years later.
func BenchmarkVerifyBundle(b *testing.B) {
	m := newBundler(b, cryptotest.New(b))
	raw := m.make()
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if r := m.v.VerifyBundle(context.Background(), raw, m.at); r.Indication != verify.TotalPassed {
			b.Fatal(r.Indication)
		}
	}
}
