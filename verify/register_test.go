package verify_test

import (
	"context"
	"errors"

	"elicence/crypto/pdfsig"
	"elicence/licence"
	"elicence/verify"
)

// register is a register of one licence, or none.
type register struct {
	entry verify.RegisterEntry
	files [][32]byte // digests of registered files
	// whole and ranged say that the file under test is registered: with its own
	// digest, with that of its byte range.
	whole, ranged bool
	down          bool
}

// finish registers the file under test if asked to.
func (r *register) finish(b *bench, file []byte) {
	f, err := pdfsig.Read(file)
	if err != nil {
		b.t.Fatal(err)
	}
	if r.whole {
		r.files = append(r.files, sm3Of(file))
	}
	if r.ranged {
		r.entry.RangeDigest = f.Digest(0)
	}
}

// registered returns a register that holds the sample licence and its file.
func registered(b *bench, status licence.Status, change func(*register)) {
	p := samplePayload(b.t)
	r := &register{whole: true, ranged: true, entry: verify.RegisterEntry{
		Identifier: p.Identifier, Status: status, DataDigest: p.DataDigest, ProvenAt: sealedAt, Timestamped: true}}
	if change != nil {
		change(r)
	}
	b.v.Register = r
}

func (r *register) ByFileDigest(_ context.Context, digest [32]byte) (verify.RegisterEntry, error) {
	if r.down {
		return verify.RegisterEntry{}, errors.New("connection refused")
	}
	for _, d := range r.files {
		if d == digest {
			return r.entry, nil
		}
	}
	return verify.RegisterEntry{}, licence.ErrNotFound
}

func (r *register) ByIdentifier(_ context.Context, id licence.Identifier) (verify.RegisterEntry, error) {
	if r.down {
		return verify.RegisterEntry{}, errors.New("connection refused")
	}
	if id != r.entry.Identifier {
		return verify.RegisterEntry{}, licence.ErrNotFound
	}
	return r.entry, nil
}
