package registry_test

import (
	"context"
	"errors"
	"time"

	"elicence/audit"
	"elicence/crypto/pdfsig"
	"elicence/licence"
	"elicence/licence/registry"
	"elicence/licence/registry/batches"
	"elicence/licence/registry/statistics"
)

// issueOperations are those that issue, change, import and read licences.
var issueOperations = map[string]func(w *walker, ctx context.Context) call{
	"Registry.Issue": func(w *walker, ctx context.Context) call {
		q := registry.IssueRequest{Key: w.next(), Body: w.body}
		return answering(func(r *registry.Registry) (registry.Issued, audit.Receipt, error) { return r.Issue(ctx, w.approval, q) })
	},
	"Registry.Recover": func(w *walker, ctx context.Context) call {
		w.pending()
		return silent(func(r *registry.Registry) error { _, _, err := r.Recover(ctx); return err })
	},
	"Registry.Upgrade": func(w *walker, ctx context.Context) call {
		away := w.Config
		away.TSA = awayTSA{}
		r, err := registry.New(away)
		must(w.t, err)
		_, _, err = r.Issue(ctx, w.approval, registry.IssueRequest{Key: w.next(), Body: w.body})
		must(w.t, err)
		return silent(func(r *registry.Registry) error { _, err := r.Upgrade(ctx); return err })
	},
	"batches.Submit": func(w *walker, ctx context.Context) call {
		q := batches.Request{Key: w.next(), Items: those([][]byte{[]byte("{}")}, nil)}
		return answering(func(r *registry.Registry) (any, audit.Receipt, error) {
			b, receipt, err := batches.New(r).Submit(ctx, w.approval, q)
			if b.ID == "" {
				return nil, receipt, err
			}
			return b, receipt, err
		})
	},
	"batches.Read": func(w *walker, ctx context.Context) call {
		id := w.batch(ctx)
		return only(func(r *registry.Registry) (audit.Receipt, error) {
			b, receipt, err := batches.New(r).Read(ctx, w.approval, id)
			if (err == nil) != (b.ID != "") {
				w.t.Errorf("%+v, %v", b, err)
			}
			return receipt, err
		})
	},
	"batches.Items": func(w *walker, ctx context.Context) call {
		id := w.batch(ctx)
		return answering(func(r *registry.Registry) ([]batches.Outcome, audit.Receipt, error) {
			return batches.New(r).Items(ctx, w.approval, id, 0, 1)
		})
	},
	"batches.Cancel": func(w *walker, ctx context.Context) call {
		id, key := w.batch(ctx), w.next()
		return only(func(r *registry.Registry) (audit.Receipt, error) {
			_, receipt, err := batches.New(r).Cancel(ctx, w.approval, id, key)
			return receipt, err
		})
	},
	"Registry.Import": func(w *walker, ctx context.Context) call {
		q := registry.ImportRequest{Key: w.next(), Body: importBody(w.t, map[string]any{"existing": true, "number": w.next()})}
		return only(func(r *registry.Registry) (audit.Receipt, error) {
			_, receipt, err := r.Import(ctx, w.approval, q)
			return receipt, err
		})
	},
	"Registry.ReadImport": func(w *walker, ctx context.Context) call {
		q := registry.ImportRequest{Key: w.next(), Body: importBody(w.t, map[string]any{"existing": true, "number": w.next()})}
		imported, _, err := w.Import(ctx, w.approval, q)
		must(w.t, err)
		return only(func(r *registry.Registry) (audit.Receipt, error) {
			_, receipt, err := r.ReadImport(ctx, w.approval, imported.Identifier, registry.Use{})
			return receipt, err
		})
	},
	"Registry.Suspend":  changing(licence.OpSuspend),
	"Registry.Resume":   changing(licence.OpResume),
	"Registry.Revoke":   changing(licence.OpRevoke),
	"Registry.Withdraw": changing(licence.OpWithdraw),
	"Registry.Cancel":   changing(licence.OpCancel),
	"Registry.Amend":    replacing(licence.OpAmend),
	"Registry.Renew":    replacing(licence.OpRenew),
	"Registry.Reissue":  replacing(licence.OpReissue),
	"Registry.Correct":  replacing(licence.OpCorrect),
	"Registry.Transfer": replacing(licence.OpTransfer),
	"Registry.GetAsOf": func(w *walker, ctx context.Context) call {
		return answering(func(r *registry.Registry) (registry.View, audit.Receipt, error) {
			return r.GetAsOf(ctx, w.approval, w.issued.Identifier, w.Now(), registry.Use{})
		})
	},
	"Registry.History": func(w *walker, ctx context.Context) call {
		return answering(func(r *registry.Registry) ([]registry.VersionHistory, audit.Receipt, error) {
			return r.History(ctx, w.approval, w.issued.Identifier, registry.Use{})
		})
	},
	"statistics.Count": func(w *walker, ctx context.Context) call {
		return answering(func(r *registry.Registry) ([]registry.Count, audit.Receipt, error) {
			counts, _, receipt, err := statistics.New(r).Count(ctx, w.approval, statistics.Query{}, registry.Use{})
			return counts, receipt, err
		})
	},
	"Registry.Get": func(w *walker, ctx context.Context) call {
		return answering(func(r *registry.Registry) (registry.View, audit.Receipt, error) {
			return r.Get(ctx, w.approval, w.issued.Identifier, registry.Use{})
		})
	},
	"Registry.Download": func(w *walker, ctx context.Context) call {
		return answering(func(r *registry.Registry) ([]byte, audit.Receipt, error) {
			return r.Download(ctx, w.approval, w.issued.Identifier, registry.Use{})
		})
	},
	"bundles.Make": func(w *walker, ctx context.Context) call {
		return answering(func(r *registry.Registry) ([]byte, audit.Receipt, error) {
			return w.BundlesOf(r).Make(ctx, w.approval, w.issued.Identifier, registry.Use{})
		})
	},
	"Registry.Search": func(w *walker, ctx context.Context) call {
		return answering(func(r *registry.Registry) ([]registry.View, audit.Receipt, error) {
			return r.Search(ctx, w.holder, registry.Query{Holder: w.holder.Holder}, registry.Use{})
		})
	},
}

// pending leaves a licence that was reserved and whose lease has lapsed.
func (w *walker) pending() {
	dying := w.Config
	dying.Check = func(context.Context, *pdfsig.File, time.Time) error { return errors.New("killed here") }
	dead, err := registry.New(dying)
	must(w.t, err)
	if _, _, err := dead.Issue(w.t.Context(), w.approval, registry.IssueRequest{Key: w.next(), Body: w.body}); !errors.Is(err, registry.ErrUnfinished) {
		w.t.Fatal(err)
	}
	w.Move(registry.Lease + time.Second)
}

// changing prepares a change of status.
func changing(op licence.Operation) func(w *walker, ctx context.Context) call {
	return func(w *walker, ctx context.Context) call {
		id, q := issue(w.t, w.Service, "food-retail.json", w.next()).Identifier, w.status()
		if op == licence.OpResume {
			_, _, err := w.Suspend(ctx, w.approval, id, w.status())
			must(w.t, err)
		}
		return only(func(r *registry.Registry) (audit.Receipt, error) {
			_, receipt, err := changers(r)[op](ctx, w.approval, id, q)
			return receipt, err
		})
	}
}

// replacing prepares an operation that makes a new version.
func replacing(op licence.Operation) func(w *walker, ctx context.Context) call {
	return func(w *walker, ctx context.Context) call {
		id, q := issue(w.t, w.Service, "food-retail.json", w.next()).Identifier, registry.VersionRequest{Key: w.next(), Body: []byte(bodies[op])}
		return answering(func(r *registry.Registry) (registry.Issued, audit.Receipt, error) {
			return replacers(r)[op](ctx, w.approval, id, q)
		})
	}
}

// batch submits one.
func (w *walker) batch(ctx context.Context) string {
	b, _, err := w.Batches().Submit(ctx, w.approval, batches.Request{Key: w.next(), Items: those([][]byte{[]byte("{}")}, nil)})
	must(w.t, err)
	return b.ID
}
