package registry_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/registry"
	"elicence/licence/registry/accesslog"
	"elicence/licence/registry/registrytest"
)

// logOperations are those that verify, and those on the access log.
var logOperations = map[string]func(w *walker, ctx context.Context) call{
	"Registry.Verify": func(w *walker, ctx context.Context) call {
		return only(func(r *registry.Registry) (audit.Receipt, error) {
			return r.Verify(ctx, registry.Anonymous("walk"), func() [32]byte { return [32]byte{1} }, func(l registry.Lookup) registry.Verdict {
				_, err := l.ByIdentifier(ctx, w.issued.Identifier)
				must(w.t, err)
				return registry.Verdict{Object: string(w.issued.Identifier), Code: "TotalPassed"}
			})
		})
	},
	"Registry.SealReport": func(w *walker, ctx context.Context) call {
		receipt, err := w.Verify(ctx, registry.Anonymous("walk"), func() [32]byte { return [32]byte{1} }, func(registry.Lookup) registry.Verdict { return registry.Verdict{Code: "TotalFailed"} })
		must(w.t, err)
		q := registry.ReportRequest{Verification: receipt, Data: []byte("{}"), Fields: map[string]any{}}
		return answering(func(r *registry.Registry) ([]byte, audit.Receipt, error) {
			return r.SealReport(ctx, registry.Anonymous("walk"), q)
		})
	},
	"accesslog.ReadReport": func(w *walker, ctx context.Context) call {
		verified, err := w.Verify(ctx, registry.Anonymous("walk"), func() [32]byte { return [32]byte{1} }, func(registry.Lookup) registry.Verdict { return registry.Verdict{Code: "TotalFailed"} })
		must(w.t, err)
		_, _, err = w.SealReport(ctx, registry.Anonymous("walk"), registry.ReportRequest{Verification: verified, Data: []byte("{}"), Fields: map[string]any{}})
		must(w.t, err)
		return answering(func(r *registry.Registry) (accesslog.ReportEntry, audit.Receipt, error) {
			return accesslog.New(r).ReadReport(ctx, registry.Anonymous("walk"), verified.Index, fmt.Sprintf("%x", verified.LeafHash))
		})
	},
	"Registry.States": func(w *walker, ctx context.Context) call {
		return only(func(r *registry.Registry) (audit.Receipt, error) {
			return r.States(ctx, walkSystem, func(licence.Identifier, licence.Status) error { return nil }, func() [32]byte { return [32]byte{1} })
		})
	},
	"accesslog.Checkpoint": func(w *walker, ctx context.Context) call {
		return answering(func(r *registry.Registry) ([]byte, audit.Receipt, error) {
			return accesslog.New(r).Checkpoint(ctx, walkAuditor)
		})
	},
	"accesslog.InclusionProof": func(w *walker, ctx context.Context) call {
		return answering(func(r *registry.Registry) ([][]byte, audit.Receipt, error) {
			return accesslog.New(r).InclusionProof(ctx, walkAuditor, 0, 2)
		})
	},
	"accesslog.ConsistencyProof": func(w *walker, ctx context.Context) call {
		return answering(func(r *registry.Registry) ([][]byte, audit.Receipt, error) {
			return accesslog.New(r).ConsistencyProof(ctx, walkAuditor, 1, 2)
		})
	},
	"accesslog.Export": func(w *walker, ctx context.Context) call {
		return answering(func(r *registry.Registry) ([]byte, audit.Receipt, error) {
			var b strings.Builder
			receipt, err := accesslog.New(r).Export(ctx, walkAuditor, 0, 0, func(audit.Receipt) io.Writer { return &b })
			return []byte(b.String()), receipt, err
		})
	},
	"accesslog.Search": func(w *walker, ctx context.Context) call {
		return answering(func(r *registry.Registry) (accesslog.Page, audit.Receipt, error) {
			return accesslog.New(r).Search(ctx, walkAuditor, accesslog.Query{Object: string(w.issued.Identifier), Limit: 5})
		})
	},
	"accesslog.Own": func(w *walker, ctx context.Context) call {
		return answering(func(r *registry.Registry) (accesslog.Page, audit.Receipt, error) {
			return accesslog.New(r).Own(ctx, w.holder, accesslog.Query{Limit: 5}, registry.Use{})
		})
	},
	"accesslog.ErasePersonal": func(w *walker, ctx context.Context) call {
		q := accesslog.EraseRequest{Holder: w.holder.Holder, Before: w.Now().Add(time.Hour), Reason: "r"}
		return only(func(r *registry.Registry) (audit.Receipt, error) {
			_, receipt, err := accesslog.New(r).ErasePersonal(ctx, walkSystem, q)
			return receipt, err
		})
	},
	"accesslog.PlaceHold": func(w *walker, ctx context.Context) call {
		h := w.hold()
		return only(func(r *registry.Registry) (audit.Receipt, error) {
			return accesslog.New(r).PlaceHold(ctx, walkSystem, h)
		})
	},
	"accesslog.LiftHold": func(w *walker, ctx context.Context) call {
		h := w.hold()
		_, err := w.AccessLog().PlaceHold(ctx, walkSystem, h)
		must(w.t, err)
		return only(func(r *registry.Registry) (audit.Receipt, error) {
			return accesslog.New(r).LiftHold(ctx, walkSystem, h.Principal, h.Case, "r")
		})
	},
	"accesslog.ExpirePersonal": func(w *walker, ctx context.Context) call {
		q := accesslog.ExpireRequest{LogID: registrytest.LogID, Before: w.Now().Add(time.Hour), Reason: "r"}
		return only(func(r *registry.Registry) (audit.Receipt, error) {
			_, _, receipt, err := accesslog.New(r).ExpirePersonal(ctx, walkSystem, q)
			return receipt, err
		})
	},
	"accesslog.Archive": func(w *walker, ctx context.Context) call {
		archived, err := w.Backend.Archived(ctx, registrytest.LogID)
		must(w.t, err)
		s := audit.Segment{From: archived.To(), To: archived.To() + 1, Name: "segment"}
		return only(func(r *registry.Registry) (audit.Receipt, error) {
			return accesslog.New(r).Archive(ctx, walkSystem, registrytest.LogID, s, "r")
		})
	},
	"accesslog.RemoveArchived": func(w *walker, ctx context.Context) call {
		return only(func(r *registry.Registry) (audit.Receipt, error) {
			return accesslog.New(r).RemoveArchived(ctx, walkSystem, registrytest.LogID, 1, "r")
		})
	},
	"accesslog.Restore": func(w *walker, ctx context.Context) call {
		return only(func(r *registry.Registry) (audit.Receipt, error) {
			return accesslog.New(r).Restore(ctx, walkSystem, registrytest.LogID, audit.Segment{To: 1}, "r")
		})
	},
}

func (w *walker) hold() registry.Hold {
	return registry.Hold{Principal: "client", Case: w.next(), OrderedBy: "局", Basis: "函", Until: w.Now().AddDate(0, 1, 0)}
}
