package registry_test

import (
	"context"
	"time"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/consent"
	"elicence/licence/event"
	"elicence/licence/question"
	"elicence/licence/registry"
	"elicence/licence/registry/registrytest"
	"elicence/licence/registry/subscriptions"
)

// reuseOperations are those that reuse: cases, grants, consents, copies, brakes and events.
var reuseOperations = map[string]func(w *walker, ctx context.Context) call{
	"Registry.Reuse": func(w *walker, ctx context.Context) call {
		w.openCase("walk")
		return answering(func(r *registry.Registry) ([]registry.Reused, audit.Receipt, error) {
			return r.Reuse(ctx, registrytest.Partner(), w.reuse("walk"))
		})
	},
	"Registry.Ask": func(w *walker, ctx context.Context) call {
		w.openCase("walk")
		return answering(func(r *registry.Registry) ([]registry.Answered, audit.Receipt, error) {
			return r.Ask(ctx, registrytest.Partner(), w.ask("walk", question.Question{Name: question.Valid}))
		})
	},
	"Registry.MakeConsent": func(w *walker, ctx context.Context) call {
		q := w.consent(nil)
		return answering(func(r *registry.Registry) (string, audit.Receipt, error) {
			k, receipt, err := r.MakeConsent(ctx, w.holder, q)
			return ifDone(k.ID, receipt, err)
		})
	},
	"Registry.NewConsentCode": func(w *walker, ctx context.Context) call {
		k := w.agree(nil)
		return answering(func(r *registry.Registry) (string, audit.Receipt, error) {
			code, receipt, err := r.NewConsentCode(ctx, w.holder, k.ID)
			return code.Code, receipt, err
		})
	},
	"Registry.RevokeConsent": func(w *walker, ctx context.Context) call {
		k, q := w.agree(nil), w.status()
		return only(func(r *registry.Registry) (audit.Receipt, error) {
			_, receipt, err := r.RevokeConsent(ctx, w.holder, k.ID, q)
			return receipt, err
		})
	},
	"Registry.Consents": func(w *walker, ctx context.Context) call {
		w.agree(nil)
		return answering(func(r *registry.Registry) ([]consent.Consent, audit.Receipt, error) {
			return r.Consents(ctx, w.holder, registry.ConsentQuery{Limit: 5})
		})
	},
	"Registry.Receivers": func(w *walker, ctx context.Context) call {
		w.Service.Grant(w.t, registry.Grant{Authority: registrytest.Department, TypeCode: w.issued.TypeCode, Fields: []string{"number"}, MatterCode: w.next(), How: registry.HowConsent})
		return answering(func(r *registry.Registry) ([]licence.IssuingAuthority, audit.Receipt, error) {
			return r.Receivers(ctx, w.holder, w.issued.TypeCode)
		})
	},
	"Registry.Look": func(w *walker, ctx context.Context) call {
		code := w.shows(w.agree(func(k *consent.Consent) { k.Kind = consent.Presentation }))
		return answering(func(r *registry.Registry) ([]registry.Presented, audit.Receipt, error) {
			p, receipt, err := r.Look(ctx, registry.Anonymous("walk"), registry.LookRequest{Code: code})
			return p.Licences, receipt, err
		})
	},
	"Registry.MakeCopy": func(w *walker, ctx context.Context) call {
		w.openCase("walk")
		q := w.copyOf("walk")
		return answering(func(r *registry.Registry) (registry.CopyMade, audit.Receipt, error) {
			return r.MakeCopy(ctx, registrytest.Partner(), q)
		})
	},
	"Registry.GetCopy": func(w *walker, ctx context.Context) call {
		w.openCase("walk")
		made, _, err := w.MakeCopy(w.t.Context(), registrytest.Partner(), w.copyOf("walk"))
		must(w.t, err)
		return answering(func(r *registry.Registry) ([]byte, audit.Receipt, error) {
			return r.GetCopy(ctx, registrytest.Partner(), made.Copy, registry.Use{})
		})
	},
	"Registry.OpenCase": func(w *walker, ctx context.Context) call {
		q := registry.CaseRequest{Key: w.next(), Case: w.newCase(w.next())}
		return answering(func(r *registry.Registry) (registry.CaseState, audit.Receipt, error) {
			return ifDone(r.OpenCase(ctx, w.registrar(), q))
		})
	},
	"Registry.CloseCase": func(w *walker, ctx context.Context) call {
		id, q := w.openCase(w.next()), w.status()
		return only(func(r *registry.Registry) (audit.Receipt, error) {
			_, receipt, err := r.CloseCase(ctx, w.registrar(), id, q)
			return receipt, err
		})
	},
	"Registry.RequestGrant": func(w *walker, ctx context.Context) call {
		q := registry.GrantRequest{Key: w.next(), Grant: w.grant()}
		return answering(func(r *registry.Registry) (registry.Grant, audit.Receipt, error) {
			return ifDone(r.RequestGrant(ctx, registrytest.Requester(registrytest.Department), q))
		})
	},
	"Registry.ApproveGrant":  changingGrant((*registry.Registry).ApproveGrant),
	"Registry.WithdrawGrant": changingGrant((*registry.Registry).WithdrawGrant),
	"Registry.Grants": func(w *walker, ctx context.Context) call {
		return answering(func(r *registry.Registry) ([]registry.Grant, audit.Receipt, error) {
			return r.Grants(ctx, registrytest.Partner(), registry.GrantQuery{})
		})
	},
	"Registry.GrantBoard": func(w *walker, ctx context.Context) call {
		return answering(func(r *registry.Registry) (registry.GrantBoard, audit.Receipt, error) {
			return r.GrantBoard(ctx, registrytest.Partner(), registry.GrantQuery{})
		})
	},
	"Registry.Brakes": func(w *walker, ctx context.Context) call {
		w.braked("another client")
		return answering(func(r *registry.Registry) ([]registry.Brake, audit.Receipt, error) {
			return r.Brakes(ctx, walkAuditor, registry.BrakeQuery{})
		})
	},
	"Registry.LiftBrake": func(w *walker, ctx context.Context) call {
		id, q := w.braked("client"), w.status()
		return only(func(r *registry.Registry) (audit.Receipt, error) {
			_, receipt, err := r.LiftBrake(ctx, walkAuditor, id, q)
			return receipt, err
		})
	},
	"Registry.TellExpired": func(w *walker, ctx context.Context) call {
		(&heard{Service: w.Service, t: w.t, issuer: w.approval, n: w.n}).ending(-1)
		w.n++
		return silent(func(r *registry.Registry) error { _, err := r.TellExpired(ctx); return err })
	},
	"subscriptions.Subscribe": func(w *walker, ctx context.Context) call {
		q := w.subscription()
		return answering(func(r *registry.Registry) (event.Subscription, audit.Receipt, error) {
			return ifDone(subscriptions.New(r, registrytest.CheckTarget).Subscribe(ctx, w.approval, q))
		})
	},
	"subscriptions.Unsubscribe": func(w *walker, ctx context.Context) call {
		id, q := w.subscribed(ctx).ID, w.status()
		return only(func(r *registry.Registry) (audit.Receipt, error) {
			return subscriptions.New(r, registrytest.CheckTarget).Unsubscribe(ctx, w.approval, id, q)
		})
	},
	"subscriptions.Enable": func(w *walker, ctx context.Context) call {
		s, q := w.subscribed(ctx), w.status()
		must(w.t, w.Subscriptions().Settle(ctx, event.Delivery{Subscription: s}, event.Outcome{Gone: true, Fault: "http_410"}, 0))
		return answering(func(r *registry.Registry) (event.Subscription, audit.Receipt, error) {
			return ifDone(subscriptions.New(r, registrytest.CheckTarget).Enable(ctx, w.approval, s.ID, q))
		})
	},
	"subscriptions.List": func(w *walker, ctx context.Context) call {
		w.subscribed(ctx)
		return answering(func(r *registry.Registry) ([]event.Subscription, audit.Receipt, error) {
			return subscriptions.New(r, registrytest.CheckTarget).List(ctx, w.approval, registry.SubscriptionQuery{})
		})
	},
	"subscriptions.Dead": func(w *walker, ctx context.Context) call {
		id := w.dead(ctx)
		return answering(func(r *registry.Registry) ([]event.Delivery, audit.Receipt, error) {
			return subscriptions.New(r, registrytest.CheckTarget).Dead(ctx, w.approval, id, 0, 5)
		})
	},
	"subscriptions.Replay": func(w *walker, ctx context.Context) call {
		id, q := w.dead(ctx), w.status()
		return answering(func(r *registry.Registry) (subscriptions.Replayed, audit.Receipt, error) {
			return ifDone(subscriptions.New(r, registrytest.CheckTarget).Replay(ctx, w.approval, id, "", q))
		})
	},
}

// subscription asks for one to the events of the walk's licence.
func (w *walker) subscription() subscriptions.Request {
	w.Register(w.t, w.approval)
	return subscriptions.Request{Key: w.next(), URL: "https://receiver.example.gov.cn/events", TypeCodes: w.approval.Types}
}

// subscribed is a new subscription, the only one there is.
func (w *walker) subscribed(ctx context.Context) event.Subscription {
	all, _, err := w.Subscriptions().List(ctx, walkSystem, registry.SubscriptionQuery{Limit: registry.MaxPage})
	must(w.t, err)
	for _, s := range all {
		_, err := w.Subscriptions().Unsubscribe(ctx, walkSystem, s.ID, w.status())
		must(w.t, err)
	}
	s, _, err := w.Subscriptions().Subscribe(ctx, w.approval, w.subscription())
	must(w.t, err)
	return s
}

// dead is a new subscription with an event that died.
func (w *walker) dead(ctx context.Context) (id string) {
	s := w.subscribed(ctx)
	issue(w.t, w.Service, "food-retail.json", w.next())
	claimed, err := w.Subscriptions().Claim(ctx, s, time.Minute, 5)
	must(w.t, err)
	if len(claimed) != 1 {
		w.t.Fatalf("claimed %+v", claimed)
	}
	claimed[0].Since = w.Now().Add(-event.RetryFor)
	must(w.t, w.Subscriptions().Settle(ctx, claimed[0], event.Outcome{Fault: "http_404"}, 0))
	return s.ID
}
