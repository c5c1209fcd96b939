package verify_test

import (
	"bytes"
	"encoding/asn1"
	"slices"
	"testing"
	"time"

	"elicence/crypto/cryptotest"
	"elicence/crypto/pki"
	"elicence/crypto/seal"
	"elicence/verify"
)

// typeThree is the seal with another type, which its maker signed.
func typeThree(b *bench) []byte {
	info := bytes.Replace(b.r.seal.InfoRaw, []byte("\x02\x01\x01\x0c"), []byte("\x02\x01\x03\x0c"), 1)
	return sealOf(b, info, oidSM2WithSM3)
}

func sealOf(b *bench, info []byte, oid asn1.ObjectIdentifier) []byte {
	value, err := pki.SignMessage(b.pki.Rand, b.pki.SealMaker.Key, info)
	must(b.t, err)
	return mustDER(b.t, forgedSeal{asn1.RawValue{FullBytes: info}, b.r.seal.Maker.Raw, oid, bits(value)})
}

// deviates has a seal signature made around any seal.
func deviates(b *bench, sealDER []byte) {
	b.r.signature = func(digest []byte) *seal.Signature {
		tbs := mustDER(b.t, forgedTBS{4, asn1.RawValue{FullBytes: sealDER}, sealedAt.Truncate(time.Second), bits(digest), "ByteRange"})
		value, err := pki.SignMessage(b.pki.Rand, b.r.signer.Key, tbs)
		if err != nil {
			b.t.Fatal(err)
		}
		der := mustDER(b.t, forgedSignature{asn1.RawValue{FullBytes: tbs}, b.r.signer.Certificate.Raw, oidSM2WithSM3, bits(value)})
		sig, err := seal.ParseSignature(der, seal.Deviations()...)
		if err != nil {
			b.t.Fatal(err)
		}
		return sig
	}
}

// version makes a seal of version 5, with a token over it or without.
func version5(b *bench, dated bool) {
	b.r.reserve = 4500
	b.r.seal = mustSeal(b.t, b.pki, b.pki.SealMaker, func(t *seal.Template) { t.Version = 5 })
	if !dated {
		return
	}
	var err error
	if b.r.seal, err = b.r.seal.WithTimestamp(mustToken(b.t, b.pki, b.pki.TSA, b.r.seal.SignatureValue, sealedAt)); err != nil {
		b.t.Fatal(err)
	}
}

// deviationCases: whatever deviates from the standard, or is of another version than
// ours, is good for inspection and never TotalPassed.
func deviationCases() []fileCase {
	alias := asn1.ObjectIdentifier{1, 2, 156, 10197, 501}
	foreign := func(name string, set func(*bench)) fileCase {
		return fileCase{name: name, set: set, want: verify.TotalFailed, sub: verify.FormatFailure,
			check: verify.CheckSealSignature, code: "seal_signature_foreign"}
	}
	otherVersion := func(name string, set func(*bench)) fileCase {
		return fileCase{name: name, set: set, want: verify.Indeterminate, sub: verify.SigConstraintsFailure,
			check: verify.CheckSeal, code: "seal_foreign_version"}
	}
	return []fileCase{
		foreign("type above 2", func(b *bench) { deviates(b, typeThree(b)) }),
		foreign("misspelt algorithm", func(b *bench) { deviates(b, sealOf(b, b.r.seal.InfoRaw, alias)) }),
		otherVersion("version 5", func(b *bench) { version5(b, false) }),
		otherVersion("version 5 with a dated seal", func(b *bench) { version5(b, true) }),
		{name: "list of digests", want: verify.TotalPassed, check: verify.CheckSeal, code: "seal_ok", set: func(b *bench) {
			b.r.seal = mustSeal(b.t, b.pki, b.pki.SealMaker, func(t *seal.Template) { t.ListDigests = true })
		}},
	}
}

// TestInspectDeviations: Inspect names the deviations of a file and goes on.
func TestInspectDeviations(t *testing.T) {
	p := cryptotest.New(t)
	for name, c := range map[string]struct {
		set   func(*bench)
		want  []seal.Deviation
		parts []verify.PartSignature
	}{
		"none":         {func(*bench) {}, nil, []verify.PartSignature{{"seal", true, ""}, {"seal_signature", true, ""}, {"timestamp", true, ""}, {"qr", true, ""}}},
		"type above 2": {func(b *bench) { deviates(b, typeThree(b)) }, []seal.Deviation{seal.TypeAboveTwo}, nil},
		"dated seal, and a token that is none": {func(b *bench) {
			version5(b, true)
			b.r.token = func([]byte) []byte { return []byte("token") }
		}, nil, []verify.PartSignature{{"seal", true, ""}, {"timestamp", true, "seal"}, {"seal_signature", true, ""}, {"timestamp", false, ""}, {"qr", true, ""}}},
		"token of the seal over something else": {func(b *bench) {
			version5(b, false)
			b.r.seal, _ = b.r.seal.WithTimestamp(mustToken(b.t, b.pki, b.pki.TSA, []byte("other"), sealedAt))
			b.r.token = nil
		}, nil, []verify.PartSignature{{"seal", true, ""}, {"timestamp", false, "seal"}, {"seal_signature", true, ""}, {"qr", true, ""}}},
	} {
		b := &bench{t: t, pki: p, r: newRecipe(t, p)}
		c.set(b)
		parts, err := verify.Inspect(b.r.make(t))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !slices.Equal(parts.Deviations, c.want) || c.parts != nil && !slices.Equal(parts.Signatures(), c.parts) {
			t.Errorf("%s: %s, %v", name, parts.Deviations, parts.Signatures())
		}
	}
}
