package registry_test

import (
	"context"
	"errors"
	"testing"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/consent"
	"elicence/licence/question"
	"elicence/licence/registry"
	"elicence/licence/registry/registrytest"
)

// meddled is a store in which something happens just after what a reuse rests on, a copy, or
// clients were read.
type meddled struct {
	registry.Store
	then *func()
}

func (m meddled) meddle() {
	if then := *m.then; then != nil {
		*m.then = nil
		then()
	}
}

func (m meddled) ForReuse(ctx context.Context, q registry.ReuseQuery) (registry.ReuseRecords, error) {
	defer m.meddle()
	return m.Store.ForReuse(ctx, q)
}

func (m meddled) Copy(ctx context.Context, id licence.CopyID) (registry.CopyRecord, error) {
	defer m.meddle()
	return m.Store.Copy(ctx, id)
}

func (m meddled) Clients(ctx context.Context, q registry.ClientQuery) ([]registry.Client, error) {
	defer m.meddle()
	return m.Store.Clients(ctx, q)
}

// TestBasis ends what a reuse rests on between the decision and the entry: the entry of the
// end stands first in the log, so the reuse must not be let through behind it.
func TestBasis(t *testing.T) {
	t.Parallel()
	s := open(t)
	w := newWalker(t, s)
	then := new(func())
	config := s.Config
	config.Store = meddled{config.Store, then}
	r, err := registry.New(config)
	must(t, err)
	department := registrytest.Department
	// Each attempt has a client, a matter, a case and grants of its own.
	type attempt struct {
		c      registry.Caller
		use    registry.Use
		grants map[registry.How]registry.Grant
		kase   string
	}
	begin := func(name string) (a attempt) {
		matter := w.next()
		a.c, a.use = registrytest.Partner(), registry.Use{Purpose: purpose, Case: name + matter, Matter: matter, Operator: "王五"}
		a.c.Principal = "basis-" + matter
		_, err := s.PutClient(t.Context(), registry.System("test"), registry.Client{ID: a.c.Principal, Roles: a.c.Roles, Authority: department, Salt: []byte("s"), SecretHash: []byte("h")})
		must(t, err)
		a.grants = map[registry.How]registry.Grant{
			registry.HowFunction: s.Grant(t, registry.Grant{Authority: department, TypeCode: w.issued.TypeCode, MatterCode: matter, Fields: []string{"number", registry.FieldCopy}, Questions: []string{"valid", "equals:number"}}),
			registry.HowConsent:  s.Grant(t, registry.Grant{Authority: department, TypeCode: w.issued.TypeCode, MatterCode: matter, Fields: []string{"number"}, How: registry.HowConsent}),
		}
		k := w.newCase(a.use.Case)
		k.MatterCode = matter
		a.kase = s.Case(t, department, k)
		return a
	}
	operations := map[string]func(a attempt) error{
		"reuse": func(a attempt) error {
			_, _, err := r.Reuse(t.Context(), a.c, registry.ReuseRequest{Holder: w.holder.Holder, TypeCode: w.issued.TypeCode, Use: a.use})
			return err
		},
		"ask": func(a attempt) error {
			_, _, err := r.Ask(t.Context(), a.c, registry.AskRequest{Holder: w.holder.Holder, TypeCode: w.issued.TypeCode, Use: a.use, Questions: []question.Question{{Name: "valid"}}})
			return err
		},
		"ask with a value": func(a attempt) error {
			_, _, err := r.Ask(t.Context(), a.c, registry.AskRequest{Holder: w.holder.Holder, TypeCode: w.issued.TypeCode, Use: a.use, Questions: []question.Question{{Name: "equals:number", Value: "x"}}})
			return err
		},
		"copy": func(a attempt) error {
			q := w.copyOf(a.use.Case)
			q.Use = a.use
			_, _, err := r.MakeCopy(t.Context(), a.c, q)
			return err
		},
		"consent": func(a attempt) error {
			k := w.agree(func(k *consent.Consent) { k.Fields = []string{"number"} })
			code, _, err := s.NewConsentCode(t.Context(), w.holder, k.ID)
			must(t, err)
			use := a.use
			use.Case = ""
			_, _, err = r.Reuse(t.Context(), a.c, registry.ReuseRequest{Code: code.Code, TypeCode: w.issued.TypeCode, Use: use})
			if k, found := s.Backend.Consent(t.Context(), k.ID); found != nil || (k.Used == 1) != (err == nil) || k.Used > 1 {
				t.Errorf("%d uses are counted (%v) of a reuse that ended with %v", k.Used, found, err)
			}
			return err
		},
		"copy_download": func(a attempt) error {
			later := *then
			*then = nil
			q := w.copyOf(a.use.Case)
			q.Use = a.use
			made, _, err := r.MakeCopy(t.Context(), a.c, q)
			must(t, err)
			*then = later
			_, _, err = r.GetCopy(t.Context(), a.c, made.Copy, registry.Use{})
			return err
		},
	}
	withdraw := func(how registry.How) func(attempt) {
		return func(a attempt) {
			_, _, err := s.WithdrawGrant(t.Context(), registrytest.Requester(department), a.grants[how].ID, registry.StatusRequest{Key: w.next(), Reason: "r"})
			must(t, err)
		}
	}
	ends := map[string]struct {
		end func(attempt)
		// code is of a refusal, of the operations but those that do not need what ends.
		code    string
		without []string
	}{
		"nothing": {end: func(attempt) {}},
		"the case is closed": {func(a attempt) {
			_, _, err := s.CloseCase(t.Context(), w.registrar(), a.kase, registry.StatusRequest{Key: w.next(), Reason: "r"})
			must(t, err)
		}, "case_closed", []string{"consent", "copy_download"}},
		"the grant is withdrawn":            {withdraw(registry.HowFunction), "forbidden", []string{"consent", "copy_download"}},
		"the grant by consent is withdrawn": {withdraw(registry.HowConsent), "forbidden", []string{"reuse", "ask", "ask with a value", "copy", "copy_download"}},
		"the client is disabled": {func(a attempt) {
			_, err := s.DisableClient(t.Context(), registry.System("test"), a.c.Principal, registry.StatusRequest{Key: w.next(), Reason: "r"})
			must(t, err)
		}, "unauthenticated", nil},
		"the brake is put on": {func(a attempt) { w.braked(a.c.Principal) }, "braked", nil},
	}
	for end, tt := range ends {
		for name, do := range operations {
			a := begin(name)
			*then = func() { tt.end(a) }
			err := do(a)
			want := tt.code
			for _, without := range tt.without {
				if without == name {
					want = ""
				}
			}
			if *then != nil {
				t.Errorf("%s, %s: it did not happen", name, end)
			}
			if want == "" && err != nil || want != "" && registry.Code(err) != want {
				t.Errorf("%s, %s: %v, want %q", name, end, err, want)
			}
			if errors.Is(err, audit.ErrStopped) {
				t.Fatal(err)
			}
		}
	}
}
