package verify_test

import (
	"elicence/crypto/pdfsig"
	"elicence/licence"
	"elicence/verify"
	"elicence/verify/verifytest"
)

// register is a register of one licence, or none.
type register struct {
	verifytest.Register
	// whole and ranged say what of the untouched file is registered: its own digest,
	// that of its byte range.
	whole, ranged bool
}

// finish registers a file as far as asked to.
func (r *register) finish(b *bench, file []byte) {
	if r.whole {
		r.Files = append(r.Files, sm3Of(file))
	}
	if !r.ranged {
		return
	}
	f, err := pdfsig.Read(file)
	if err != nil {
		b.t.Fatal(err)
	}
	r.Entry.RangeDigest = f.Digest(len(f.Signatures) - 1)
}

// registered returns a register that holds the sample licence and its file.
func registered(b *bench, status licence.Status, change func(*register)) {
	p := samplePayload(b.t)
	r := &register{whole: true, ranged: true}
	r.Entry = verify.RegisterEntry{Identifier: p.Identifier, Status: status, DataDigest: p.DataDigest, ProvenAt: sealedAt, Timestamped: true}
	if change != nil {
		change(r)
	}
	b.v.Register = r
}

// away gives the verifier a register that answers no question.
func away(b *bench) {
	b.v.Register = &register{Register: verifytest.Register{Unavailable: true}}
}
