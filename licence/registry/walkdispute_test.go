package registry_test

import (
	"context"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/dispute"
	"elicence/licence/registry"
	"elicence/licence/registry/disputes"
)

// disputeOperations are those on disputes.
var disputeOperations = map[string]func(w *walker, ctx context.Context) call{
	"disputes.Raise": func(w *walker, ctx context.Context) call {
		q := disputes.Request{Key: w.next(), Dispute: dispute.Dispute{Kind: dispute.WrongLicence, Licence: w.another(), Statement: dispute.Statement{Text: "错证"}}}
		return answering(func(r *registry.Registry) (disputes.Answer, audit.Receipt, error) {
			return ifDone(disputes.New(r, nil).Raise(ctx, w.holder, q))
		})
	},
	"disputes.Withdraw": movingDispute(func(w *walker) registry.Caller { return w.holder }, (*disputes.Register).Withdraw),
	"disputes.Accept":   movingDispute((*walker).answerer, (*disputes.Register).Accept),
	"disputes.Reject":   movingDispute((*walker).answerer, (*disputes.Register).Reject),
	"disputes.Close": func(w *walker, ctx context.Context) call {
		licence := w.another()
		id, q := w.accepted(dispute.WrongLicence, licence), disputes.CloseRequest{StatusRequest: w.status()}
		_, _, err := w.Withdraw(ctx, w.approval, licence, w.status())
		must(w.t, err)
		return answering(func(r *registry.Registry) (disputes.Answer, audit.Receipt, error) {
			return ifDone(disputes.New(r, nil).Close(ctx, w.answerer(), id, q))
		})
	},
	"disputes.List": func(w *walker, ctx context.Context) call {
		return answering(func(r *registry.Registry) ([]dispute.Dispute, audit.Receipt, error) {
			return disputes.New(r, nil).List(ctx, walkAuditor, registry.DisputeQuery{}, registry.Use{})
		})
	},
	"disputes.Get": func(w *walker, ctx context.Context) call {
		id := w.raise(dispute.WrongLicence, w.another())
		return only(func(r *registry.Registry) (audit.Receipt, error) {
			d, receipt, err := disputes.New(r, nil).Get(ctx, w.holder, id, registry.Use{})
			if (err == nil) != (d.ID == id) {
				w.t.Errorf("%+v, %v", d, err)
			}
			return receipt, err
		})
	},
}

// answerer decides for the authority that issues the walk's licences.
func (w *walker) answerer() registry.Caller {
	return registry.Caller{Principal: "answerer", Roles: []registry.Role{registry.RoleAuthority}, Authority: w.approval.Authority, Types: w.approval.Types, RequestID: "walk"}
}

// raise raises a dispute about a licence of the walk's holder.
func (w *walker) raise(kind dispute.Kind, id licence.Identifier) string {
	w.t.Helper()
	d := dispute.Dispute{Kind: kind, Licence: id, Statement: dispute.Statement{Text: "本店未申请过该证"}}
	if kind == dispute.WrongData {
		d.Statement = dispute.Statement{Field: "holder.name", ShouldBe: "䶮记面馆"}
	}
	state, _, err := w.Disputes().Raise(w.t.Context(), w.holder, disputes.Request{Key: w.next(), Dispute: d})
	must(w.t, err)
	return state.ID
}

// accepted raises a dispute and has it accepted.
func (w *walker) accepted(kind dispute.Kind, id licence.Identifier) string {
	w.t.Helper()
	name := w.raise(kind, id)
	_, _, err := w.Disputes().Accept(w.t.Context(), w.answerer(), name, w.status())
	must(w.t, err)
	return name
}

// another issues a licence of the walk's holder.
func (w *walker) another() licence.Identifier {
	return issue(w.t, w.Service, "food-retail.json", w.next()).Identifier
}

// movingDispute prepares a step with a dispute by whoever takes it.
func movingDispute(by func(*walker) registry.Caller, step func(*disputes.Register, context.Context, registry.Caller, string, registry.StatusRequest) (disputes.Answer, audit.Receipt, error)) func(*walker, context.Context) call {
	return func(w *walker, ctx context.Context) call {
		id, q := w.raise(dispute.WrongLicence, w.another()), w.status()
		return answering(func(r *registry.Registry) (disputes.Answer, audit.Receipt, error) {
			return ifDone(step(disputes.New(r, nil), ctx, by(w), id, q))
		})
	}
}
