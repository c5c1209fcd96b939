package api

import (
	"context"
	"net/http"
	"strconv"
	"sync"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/registry"
	"elicence/verify"

	"github.com/emmansun/gmsm/sm3"
)

// register lets a verification ask the register by way of a registry.Lookup.
type register struct{ lookup registry.Lookup }

// ByFileDigest looks a file up.
func (r register) ByFileDigest(ctx context.Context, digest [32]byte) (verify.RegisterEntry, error) {
	return registerEntry(r.lookup.ByFile(ctx, digest))
}

// ByIdentifier looks a licence up.
func (r register) ByIdentifier(ctx context.Context, id licence.Identifier) (verify.RegisterEntry, error) {
	return registerEntry(r.lookup.ByIdentifier(ctx, id))
}

// ByCopy looks an annotated copy up.
func (r register) ByCopy(ctx context.Context, id licence.CopyID) (verify.RegisterEntry, error) {
	return registerEntry(r.lookup.ByCopy(ctx, id))
}

// registerEntry is what the register knows, in verify's words. A file that is
// not the current one was replaced by the one that carries its token.
func registerEntry(k registry.Known, err error) (verify.RegisterEntry, error) {
	if err != nil {
		return verify.RegisterEntry{}, err
	}
	return verify.RegisterEntry{
		Identifier: k.Identifier, Status: k.Status, ReadAt: k.AsOf, SupersededBy: k.Newest, DataDigest: k.DataDigest, External: k.External,
		RangeDigest: k.File.RangeDigest, ProvenAt: k.File.SealedAt, Timestamped: k.File.Timestamped || !k.Current, Copy: k.Copy,
	}, nil
}

// verification verifies for a machine, or for the page's script.
func (x *exchange) verification() {
	if x.identified() {
		if err := x.authenticate(); err != nil {
			x.refuse(err)
			return
		}
	}
	if report, _ := x.verified(x.input); report != nil {
		x.json(http.StatusOK, report)
	}
}

// verified reads what is to be verified, verifies it and logs that. The report is nil
// when the answer was a problem, which is then written.
func (x *exchange) verified(read func() (verify.Input, error)) (*reportJSON, audit.Receipt) {
	if x.anonymous() {
		if wait := x.verifications.take(x.remote(), x.now()); wait > 0 {
			x.refuse(x.summed(x.verifications.refused, errLimited(wait)))
			return nil, audit.Receipt{}
		}
	}
	room, sender := x.room()
	body := &lodger{ReadCloser: x.r.Body, room: room}
	x.r.Body = body
	defer func() { room.free(body.size) }()
	in, err := receive(x, room, sender, read)
	if err != nil {
		x.refuse(err)
		return nil, audit.Receipt{}
	}
	report, receipt, err := x.judge(x.r.Context(), x.caller, room, in)
	if !x.settle(receipt, err) {
		return nil, receipt
	}
	report.LogIndex = strconv.FormatUint(receipt.Index, 10)
	return report, receipt
}

// judge verifies behind the gate, as soon as the room has a place for it. The place is
// given up before the log's answer is waited for, which takes no processor. Of a file
// with a QR code the log has the digest of the file.
func (s *Server) judge(ctx context.Context, c registry.Caller, room *room, in verify.Input) (report *reportJSON, receipt audit.Receipt, err error) {
	select {
	case room.places <- struct{}{}:
	case <-ctx.Done():
		return nil, receipt, ctx.Err()
	}
	leave := sync.OnceFunc(func() { <-room.places })
	defer leave() // where judging was refused, or panicked
	var r *verify.Report
	digest := func() [32]byte {
		switch {
		case in.File == nil:
			return sm3.Sum([]byte(in.QR))
		case r == nil: // the caller was refused
			return sm3.Sum(in.File)
		}
		return r.FileDigest
	}
	receipt, err = s.cfg.Registry.Verify(ctx, c, digest, func(l registry.Lookup) registry.Verdict {
		v, at := s.cfg.Verifier(register{l}), s.cfg.Now()
		v.StatusAsOf = l.StatusAsOf
		r = v.Verify(ctx, in, at)
		report = newReport(r, in, at)
		leave()
		return verdict(r)
	})
	return report, receipt, err
}

// verdict is what the log says of a report.
func verdict(r *verify.Report) registry.Verdict {
	v := registry.Verdict{Code: string(r.Indication)}
	if r.SubIndication != "" {
		v.Code += "/" + string(r.SubIndication)
	}
	if l := r.Stated(); l != nil {
		v.Object = string(l.Identifier)
	}
	return v
}
