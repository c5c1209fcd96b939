package registry_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"elicence/audit"
	"elicence/crypto/pdfsig"
	"elicence/licence"
	"elicence/licence/consent"
	"elicence/licence/event"
	"elicence/licence/person"
	"elicence/licence/question"
	"elicence/licence/registry"
	"elicence/licence/registry/accesslog"
	"elicence/licence/registry/batches"
	"elicence/licence/registry/registrytest"
	"elicence/licence/registry/statistics"

	"github.com/emmansun/gmsm/sm3"
	"github.com/google/go-cmp/cmp"
	_ "modernc.org/sqlite"
)

// noAccess are the exported functions of the package that are no access to the register,
// with the reason of each. What is neither here nor in operations fails the walk.
var noAccess = map[string]string{
	"Registry.CallerFor":            "says who a token is of that was checked; the request that it came with is the access",
	"accesslog.MayArchive":          "tells whoever archives whether a hold is in force; shows nothing of a licence",
	"Registry.Reporter":             "tells who seals reports: the configuration",
	"Registry.Seal":                 "seals are on public record",
	"Registry.Seals":                "seals are on public record",
	"Registry.SealStates":           "tells whether seals can be used, for those who watch; shows nothing of a licence",
	"batches.Work":                  "takes no caller: for the client of a batch that was allowed it calls Issue and Renew, which are walked; that an item is claimed shows nothing of a licence",
	"batches.Tidy":                  "forgets batches whose time is over; nothing of a licence",
	"Registry.Share":                "what servers tell each other for minutes, each under a key that its asker knows; nothing of a licence",
	"Registry.Shared":               "the same",
	"Registry.FieldLabel":           "what fields are called: the catalogue",
	"Registry.SealConsents":         "consents are on public record, like the seals",
	"Lookup.ByFile":                 "exists only inside Verify, whose entry covers it",
	"Lookup.ByIdentifier":           "exists only inside Verify, whose entry covers it",
	"Lookup.StatusAsOf":             "exists only inside Verify, whose entry covers it",
	"Registry.CallerSigned":         "says who a signature is of that was verified; the request that it came with is the access",
	"Registry.ClientKey":            "public keys, by which signatures are verified",
	"Registry.PersonInSession":      "says who a session is of; the request that it came with is the access",
	"Registry.CallerInSession":      "says who a session is of; the request that it came with is the access",
	"Registry.StandingBrakes":       "counts brakes for those who watch; shows nothing of a licence",
	"Registry.WaitingSubscriptions": "takes no caller: what is to be sent, for the one that sends it",
	"Registry.ClaimEvents":          "takes no caller: hands out what Subscribe, which is walked, had written; thin events to those who may read the licences",
	"Registry.SettleEvent":          "takes no caller: notes what came of sending; that a subscription is disabled has an entry, see TestEvents",
	"Registry.TidyEvents":           "takes no caller: forgets events whose time is over; that a subscription is disabled has an entry, see TestEvents",
	"Registry.EventCounts":          "counts events for those who watch; shows nothing of a licence",
	"Registry.RefreshCatalogue":     "brings the server's own copy of the catalogue up to date; shows nothing",
	"Lookup.ByCopy":                 "exists only inside Verify, whose entry covers it",
	"Registry.MakesCopies":          "tells whether copies are made: the configuration",
	"Registry.Gate":                 "hands out the gate, by which the operations of other packages pass; TestGateStaysInside holds who does",
	"Gate.Pass":                     "is the gate; each operation that passes it is walked",
	"Gate.Refuse":                   "the same, for what is refused before it has an operation of its own",
	"Gate.Step":                     "the same, for what an operation began that passed",
	"Gate.Unlogged":                 "changes nothing of a licence: what servers share, and which items of batches are worked on",
	"Gate.Held":                     "says what is left out of an answer that is walked",
	"Holds.Of":                      "the same",
	"Registry.CarryOut":             "for the client of a batch that was allowed it calls Issue and Renew, which are walked",
	"Registry.Awaited":              "tells whether somebody waits; shows nothing of a licence",
	"Registry.ItemOf":               "what a licence was made by: the catalogue",
	"Registry.LastItem":             "the catalogue",
	"Gate.Once":                     "exists only inside Access.Apply, whose entry covers it",
}

// composed are operations made of others that are walked. They have no refusal of their
// own, and nothing to log when there is nothing to do.
var composed = map[string]string{
	"Registry.RegisterSeals":  "ApplySeal, AcceptSeal, PutSealOnRecord, ChangeSeal, RemakeSeal",
	"Registry.Recover":        "takes no caller: the service itself goes on with what an allowed issue began",
	"Registry.TellExpired":    "takes no caller: the service itself tells of licences whose last day is over",
	"Registry.Upgrade":        "takes no caller: the service itself goes on with what an allowed issue began",
	"Registry.Refused":        "logs a refusal and allows nothing",
	"Registry.Authenticate":   "takes no caller but a secret: its refusal is among the operations",
	"Registry.SignInPerson":   "takes no caller but whom a provider vouched for: its entries are in TestPersonSignIn",
	"Registry.SignInHolder":   "takes no caller but whom a provider vouched for: its refusal is among TestWalkRefusals",
	"Registry.SignIn":         "takes no caller but a client: its refusal is among the operations",
	"Registry.EnterCatalogue": "ImportCatalogue, PublishCatalogue",
}

// walker is a register that the walk goes through.
type walker struct {
	*registrytest.Service
	t        *testing.T
	body     []byte
	approval registry.Caller
	holder   registry.Caller
	issued   registry.Issued
	n        int
}

var (
	walkSystem  = registry.System("walk")
	walkAuditor = registry.Caller{Principal: "auditor", Roles: []registry.Role{registry.RoleAuditor}, RequestID: "walk"}
)

func newWalker(t *testing.T, s *registrytest.Service) *walker {
	w := &walker{Service: s, t: t}
	w.body, w.approval = sample(t, "food-retail.json")
	request, _, err := licence.ParseRequest(w.body, s.Config.Catalogue, w.approval.Authority, licence.DateOf(s.Now()))
	must(t, err)
	w.holder = registry.Caller{Principal: "holder", Roles: []registry.Role{registry.RoleHolder}, Holder: request.Holder, RequestID: "walk"}
	for _, id := range []string{"client", "partner"} {
		_, err = s.PutClient(t.Context(), walkSystem, registry.Client{ID: id, Salt: []byte("s"), SecretHash: registry.HashSecret([]byte("s"), "secret"), Roles: []registry.Role{registry.RolePartner}})
		must(t, err)
	}
	s.Grant(t, registry.Grant{Authority: registrytest.Department, TypeCode: request.TypeCode, Fields: []string{"number", registry.FieldCopy}, Questions: walkQuestions, MatterCode: "m"})
	w.issued = issue(t, s, "food-retail.json", "walk")
	return w
}

// next is a name that nothing has yet.
func (w *walker) next() string { w.n++; return fmt.Sprintf("walk-%d", w.n) }

// status asks for a change of status.
func (w *walker) status() registry.StatusRequest {
	return registry.StatusRequest{Key: w.next(), Reason: "r"}
}

// seal enters a seal that was applied for, and makes it.
func (w *walker) seal(stages int) (id string, der []byte) {
	id = w.next()
	code := w.approval.Authority.Code
	_, err := w.ApplySeal(w.t.Context(), walkSystem, registry.SealRecord{ID: id, Authority: code, Name: "章", Reason: "r"})
	must(w.t, err)
	der = madeFor(w.t, w.Service, code, id, "章").Raw
	for i, stage := range []func() (audit.Receipt, error){
		func() (audit.Receipt, error) { return w.AcceptSeal(w.t.Context(), walkSystem, id, der, "r") },
		func() (audit.Receipt, error) { return w.PutSealOnRecord(w.t.Context(), walkSystem, id, "1", "r") },
		func() (audit.Receipt, error) {
			return w.ChangeSeal(w.t.Context(), walkSystem, id, registry.SealInUse, "r")
		},
	} {
		if i < stages {
			_, err := stage()
			must(w.t, err)
		}
	}
	return id, der
}

// aType is a licence type that nothing has yet.
func (w *walker) aType() registry.CatalogueFiles {
	w.n++
	files := typeFiles(w.t)
	files[licence.ItemFile] = bytes.ReplaceAll(files[licence.ItemFile], []byte(newType), fmt.Appendf(nil, "%s%03d", newType[:18], w.n))
	return files
}

// draft is a type that was imported, beside those that the program ships.
func (w *walker) draft() registry.CatalogueVersion {
	v, _, err := w.ImportCatalogue(w.t.Context(), walkSystem, w.aType(), registry.CatalogueChange{Reason: "r"})
	must(w.t, err)
	return v
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

// call is one operation on a registry, over w's parts, that is allowed. What it returns
// must be nothing when the log cannot commit.
type call func(r *registry.Registry) (answer any, receipt audit.Receipt, err error)

// only is a call without an answer.
func only(do func(r *registry.Registry) (audit.Receipt, error)) call {
	return func(r *registry.Registry) (any, audit.Receipt, error) {
		receipt, err := do(r)
		return nil, receipt, err
	}
}

// answering is a call with one.
func answering[A any](do func(r *registry.Registry) (A, audit.Receipt, error)) call {
	return func(r *registry.Registry) (any, audit.Receipt, error) { return do(r) }
}

// silent is a call without a receipt.
func silent(do func(r *registry.Registry) error) call {
	return func(r *registry.Registry) (any, audit.Receipt, error) { return nil, audit.Receipt{}, do(r) }
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

// operations prepares each exported operation of the package with the working register,
// and returns the call.
var operations = map[string]func(w *walker, ctx context.Context) call{
	"Registry.Issue": func(w *walker, ctx context.Context) call {
		q := registry.IssueRequest{Key: w.next(), Body: w.body}
		return answering(func(r *registry.Registry) (registry.Issued, audit.Receipt, error) { return r.Issue(ctx, w.approval, q) })
	},
	"Registry.Recover": func(w *walker, ctx context.Context) call {
		w.pending()
		return silent(func(r *registry.Registry) error { _, _, err := r.Recover(ctx); return err })
	},
	"Registry.TellExpired": func(w *walker, ctx context.Context) call {
		(&heard{Service: w.Service, t: w.t, issuer: w.approval, n: w.n}).ending(-1)
		w.n++
		return silent(func(r *registry.Registry) error { _, err := r.TellExpired(ctx); return err })
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
	"Registry.Bundle": func(w *walker, ctx context.Context) call {
		return answering(func(r *registry.Registry) ([]byte, audit.Receipt, error) {
			return r.Bundle(ctx, w.approval, w.issued.Identifier, registry.Use{})
		})
	},
	"Registry.Search": func(w *walker, ctx context.Context) call {
		return answering(func(r *registry.Registry) ([]registry.View, audit.Receipt, error) {
			return r.Search(ctx, w.holder, registry.Query{Holder: w.holder.Holder}, registry.Use{})
		})
	},
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
	"Registry.AddClient": func(w *walker, ctx context.Context) call {
		q := registry.ClientRequest{Key: w.next(), Client: registry.Client{ID: w.next(), Roles: []registry.Role{registry.RolePartner}, Authority: registrytest.Department}}
		return answering(func(r *registry.Registry) (string, audit.Receipt, error) { return r.AddClient(ctx, walkSystem, q) })
	},
	"Registry.RotateClient": func(w *walker, ctx context.Context) call {
		q := w.status()
		return answering(func(r *registry.Registry) (string, audit.Receipt, error) {
			return r.RotateClient(ctx, walkSystem, "partner", time.Time{}, q)
		})
	},
	"Registry.DisableClient": func(w *walker, ctx context.Context) call {
		_, err := w.PutClient(ctx, walkSystem, registry.Client{ID: "ended", Salt: []byte("s"), SecretHash: []byte("h"), Roles: []registry.Role{registry.RolePartner}})
		must(w.t, err)
		q := w.status()
		return only(func(r *registry.Registry) (audit.Receipt, error) { return r.DisableClient(ctx, walkSystem, "ended", q) })
	},
	"Registry.Clients": func(w *walker, ctx context.Context) call {
		return answering(func(r *registry.Registry) ([]registry.Client, audit.Receipt, error) {
			return r.Clients(ctx, walkSystem, registry.ClientQuery{Limit: 5})
		})
	},
	"Registry.AddPerson": func(w *walker, ctx context.Context) call {
		q := registry.PersonRequest{Key: w.next(), Person: w.aPerson()}
		return only(func(r *registry.Registry) (audit.Receipt, error) { return r.AddPerson(ctx, walkSystem, q) })
	},
	"Registry.DisablePerson": func(w *walker, ctx context.Context) call {
		p, q := w.addPerson(), w.status()
		return only(func(r *registry.Registry) (audit.Receipt, error) { return r.DisablePerson(ctx, walkSystem, p.ID, q) })
	},
	"Registry.People": func(w *walker, ctx context.Context) call {
		return answering(func(r *registry.Registry) ([]person.Person, audit.Receipt, error) {
			return r.People(ctx, walkSystem, registry.PersonQuery{Limit: 5})
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
	"Registry.Subscribe": func(w *walker, ctx context.Context) call {
		q := w.subscription()
		return answering(func(r *registry.Registry) (event.Subscription, audit.Receipt, error) {
			return ifDone(r.Subscribe(ctx, w.approval, q))
		})
	},
	"Registry.Unsubscribe": func(w *walker, ctx context.Context) call {
		id, q := w.subscribed(ctx).ID, w.status()
		return only(func(r *registry.Registry) (audit.Receipt, error) { return r.Unsubscribe(ctx, w.approval, id, q) })
	},
	"Registry.EnableSubscription": func(w *walker, ctx context.Context) call {
		s, q := w.subscribed(ctx), w.status()
		must(w.t, w.SettleEvent(ctx, event.Delivery{Subscription: s}, event.Outcome{Gone: true, Fault: "http_410"}, 0))
		return answering(func(r *registry.Registry) (event.Subscription, audit.Receipt, error) {
			return ifDone(r.EnableSubscription(ctx, w.approval, s.ID, q))
		})
	},
	"Registry.Subscriptions": func(w *walker, ctx context.Context) call {
		w.subscribed(ctx)
		return answering(func(r *registry.Registry) ([]event.Subscription, audit.Receipt, error) {
			return r.Subscriptions(ctx, w.approval, registry.SubscriptionQuery{})
		})
	},
	"Registry.DeadEvents": func(w *walker, ctx context.Context) call {
		id := w.dead(ctx)
		return answering(func(r *registry.Registry) ([]event.Delivery, audit.Receipt, error) {
			return r.DeadEvents(ctx, w.approval, id, 0, 5)
		})
	},
	"Registry.ReplayEvents": func(w *walker, ctx context.Context) call {
		id, q := w.dead(ctx), w.status()
		return answering(func(r *registry.Registry) (registry.Replayed, audit.Receipt, error) {
			return ifDone(r.ReplayEvents(ctx, w.approval, id, "", q))
		})
	},
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
	"Registry.ReadReport": func(w *walker, ctx context.Context) call {
		verified, err := w.Verify(ctx, registry.Anonymous("walk"), func() [32]byte { return [32]byte{1} }, func(registry.Lookup) registry.Verdict { return registry.Verdict{Code: "TotalFailed"} })
		must(w.t, err)
		_, _, err = w.SealReport(ctx, registry.Anonymous("walk"), registry.ReportRequest{Verification: verified, Data: []byte("{}"), Fields: map[string]any{}})
		must(w.t, err)
		return answering(func(r *registry.Registry) (registry.ReportEntry, audit.Receipt, error) {
			return r.ReadReport(ctx, registry.Anonymous("walk"), verified.Index, fmt.Sprintf("%x", verified.LeafHash))
		})
	},
	"Registry.States": func(w *walker, ctx context.Context) call {
		return only(func(r *registry.Registry) (audit.Receipt, error) {
			return r.States(ctx, walkSystem, func(licence.Identifier, licence.Status) error { return nil }, func() [32]byte { return [32]byte{1} })
		})
	},
	"Registry.Authenticate": func(w *walker, ctx context.Context) call {
		return answering(func(r *registry.Registry) (registry.Caller, audit.Receipt, error) {
			return r.Authenticate(ctx, "client", "secret", "walk")
		})
	},
	"Registry.SignIn": func(w *walker, ctx context.Context) call {
		must(w.t, w.Share(ctx, registry.SharedLink, "code", nil, w.Now().Add(time.Hour)))
		return answering(func(r *registry.Registry) (registry.Caller, audit.Receipt, error) {
			return r.SignIn(ctx, "client", "code", "walk")
		})
	},
	"Registry.Refused": func(w *walker, ctx context.Context) call {
		return only(func(r *registry.Registry) (audit.Receipt, error) {
			return r.Refused(ctx, registry.Anonymous("walk"), registry.ActionRead, string(w.issued.Identifier), "token_malformed", 1)
		})
	},
	"Registry.PutClient": func(w *walker, ctx context.Context) call {
		id := w.next()
		return only(func(r *registry.Registry) (audit.Receipt, error) {
			return r.PutClient(ctx, walkSystem, registry.Client{ID: id, Salt: []byte("s"), SecretHash: []byte("h")})
		})
	},
	"Registry.SetAuthentication": func(w *walker, ctx context.Context) call {
		return only(func(r *registry.Registry) (audit.Receipt, error) {
			return r.SetAuthentication(ctx, walkSystem, "partner", registry.BySignature)
		})
	},
	"Registry.PutClientKey": func(w *walker, ctx context.Context) call {
		k := w.key()
		return only(func(r *registry.Registry) (audit.Receipt, error) { return r.PutClientKey(ctx, walkSystem, k) })
	},
	"Registry.EndClientKey": func(w *walker, ctx context.Context) call {
		k := w.key()
		_, err := w.PutClientKey(ctx, walkSystem, k)
		must(w.t, err)
		return only(func(r *registry.Registry) (audit.Receipt, error) {
			return r.EndClientKey(ctx, walkSystem, k.KeyID, "r")
		})
	},
	"accesslog.SignedRequest": func(w *walker, ctx context.Context) call {
		k := w.key()
		_, err := w.PutClientKey(ctx, walkSystem, k)
		must(w.t, err)
		c := w.approval
		c.Signed = &registry.Signed{KeyID: k.KeyID, Input: `s=("@method");created=1;nonce="0123456789abcdef";keyid="` + k.KeyID + `";alg="sm2-sm3"`, Field: "f", Base: "b"}
		_, receipt, err := w.Get(ctx, c, w.issued.Identifier, registry.Use{})
		must(w.t, err)
		return answering(func(r *registry.Registry) (accesslog.SignedRequest, audit.Receipt, error) {
			return accesslog.New(r).SignedRequest(ctx, walkSystem, receipt.Index, "r")
		})
	},
	"Registry.SignInPerson": func(w *walker, ctx context.Context) call {
		p, name := w.addPerson(), w.next()
		return only(func(r *registry.Registry) (audit.Receipt, error) {
			return r.SignInPerson(ctx, p.Issuer, p.Subject, name, w.Now().Add(time.Hour), "walk")
		})
	},
	"Registry.SignInHolder": func(w *walker, ctx context.Context) call {
		name := w.next()
		return only(func(r *registry.Registry) (audit.Receipt, error) {
			return r.SignInHolder(ctx, "holder.x", w.holder.Holder, name, w.Now().Add(time.Hour), "walk")
		})
	},
	"Registry.SignOut": func(w *walker, ctx context.Context) call {
		return only(func(r *registry.Registry) (audit.Receipt, error) {
			return r.SignOut(ctx, w.holder, w.next(), w.Now().Add(time.Hour))
		})
	},
	"Registry.ApplySeal": func(w *walker, ctx context.Context) call {
		s := registry.SealRecord{ID: w.next(), Authority: w.approval.Authority.Code, Name: "章", Reason: "r"}
		return only(func(r *registry.Registry) (audit.Receipt, error) { return r.ApplySeal(ctx, walkSystem, s) })
	},
	"Registry.MakeSeal": func(w *walker, ctx context.Context) call {
		id, der := w.seal(0)
		return only(func(r *registry.Registry) (audit.Receipt, error) {
			return r.MakeSeal(ctx, walkSystem, id, "r", sm3.Sum(nil), func() ([]byte, error) { return der, nil })
		})
	},
	"Registry.AcceptSeal": func(w *walker, ctx context.Context) call {
		id, der := w.seal(0)
		return only(func(r *registry.Registry) (audit.Receipt, error) { return r.AcceptSeal(ctx, walkSystem, id, der, "r") })
	},
	"Registry.PutSealOnRecord": func(w *walker, ctx context.Context) call {
		id, _ := w.seal(1)
		return only(func(r *registry.Registry) (audit.Receipt, error) {
			return r.PutSealOnRecord(ctx, walkSystem, id, "1", "r")
		})
	},
	"Registry.ChangeSeal": func(w *walker, ctx context.Context) call {
		id, _ := w.seal(2)
		return only(func(r *registry.Registry) (audit.Receipt, error) {
			return r.ChangeSeal(ctx, walkSystem, id, registry.SealInUse, "r")
		})
	},
	"Registry.RemakeSeal": func(w *walker, ctx context.Context) call {
		id, _ := w.seal(3)
		der := madeFor(w.t, w.Service, w.approval.Authority.Code, id, "章").Raw
		return only(func(r *registry.Registry) (audit.Receipt, error) { return r.RemakeSeal(ctx, walkSystem, id, der, "r") })
	},
	"Registry.RegisterSeals": func(w *walker, ctx context.Context) call {
		code := w.approval.Authority.Code
		own := w.Config.Seals[code]
		more := *own
		more.Seal = madeFor(w.t, w.Service, code, w.next(), "另一枚")
		return silent(func(r *registry.Registry) error {
			w.Config.Seals[code] = &more // the map is every registry's
			defer func() { w.Config.Seals[code] = own }()
			return r.RegisterSeals(ctx, walkSystem)
		})
	},
	"Registry.PutSealConsent": func(w *walker, ctx context.Context) call {
		consent := w.SealConsent(w.t)
		consent.Basis = w.next()
		return only(func(r *registry.Registry) (audit.Receipt, error) { return r.PutSealConsent(ctx, walkSystem, consent) })
	},
	"Registry.EndSealConsent": func(w *walker, ctx context.Context) call {
		consent := w.SealConsent(w.t)
		_, err := w.PutSealConsent(ctx, walkSystem, consent)
		must(w.t, err)
		return only(func(r *registry.Registry) (audit.Receipt, error) {
			return r.EndSealConsent(ctx, walkSystem, consent.TypeCode, consent.Issuing, consent.Kind, "r")
		})
	},
	"Registry.EnterCatalogue": func(w *walker, ctx context.Context) call {
		files := w.aType()
		return silent(func(r *registry.Registry) error {
			return r.EnterCatalogue(ctx, walkSystem, []registry.CatalogueFiles{files})
		})
	},
	"Registry.Catalogue": func(w *walker, ctx context.Context) call {
		w.draft()
		return answering(func(r *registry.Registry) ([]registry.CatalogueVersion, audit.Receipt, error) {
			return r.Catalogue(ctx, walkSystem)
		})
	},
	"Registry.CatalogueFiles": func(w *walker, ctx context.Context) call {
		v := w.draft()
		return answering(func(r *registry.Registry) (registry.CatalogueFiles, audit.Receipt, error) {
			_, files, receipt, err := r.CatalogueFiles(ctx, walkSystem, v.TypeCode, v.Version)
			return files, receipt, err
		})
	},
	"Registry.ImportCatalogue": func(w *walker, ctx context.Context) call {
		files := w.aType()
		return answering(func(r *registry.Registry) (registry.CatalogueVersion, audit.Receipt, error) {
			return r.ImportCatalogue(ctx, walkSystem, files, registry.CatalogueChange{Reason: "r"})
		})
	},
	"Registry.PublishCatalogue": func(w *walker, ctx context.Context) call {
		v := w.draft()
		return answering(func(r *registry.Registry) (registry.CatalogueVersion, audit.Receipt, error) {
			return r.PublishCatalogue(ctx, walkSystem, v.TypeCode, v.Version, registry.CatalogueChange{Reason: "r"})
		})
	},
	"Registry.RetireCatalogue": func(w *walker, ctx context.Context) call {
		v := w.draft()
		return answering(func(r *registry.Registry) (registry.CatalogueVersion, audit.Receipt, error) {
			return r.RetireCatalogue(ctx, walkSystem, v.TypeCode, v.Version, registry.CatalogueChange{Reason: "r"})
		})
	},
	"Registry.PreviewCatalogue": func(w *walker, ctx context.Context) call {
		v := w.draft()
		return answering(func(r *registry.Registry) ([]byte, audit.Receipt, error) {
			return r.PreviewCatalogue(ctx, walkSystem, v.TypeCode, v.Version)
		})
	},
	"Registry.DryRunCatalogue": func(w *walker, ctx context.Context) call {
		v := w.draft()
		return answering(func(r *registry.Registry) ([]registry.DryRun, audit.Receipt, error) {
			return r.DryRunCatalogue(ctx, walkSystem, v.TypeCode, v.Version, 5)
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

// subscription asks for one to the events of the walk's licence.
func (w *walker) subscription() registry.SubscriptionRequest {
	w.Register(w.t, w.approval)
	return registry.SubscriptionRequest{Key: w.next(), URL: "https://receiver.example.gov.cn/events", TypeCodes: w.approval.Types}
}

// subscribed is a new subscription, the only one there is.
func (w *walker) subscribed(ctx context.Context) event.Subscription {
	all, _, err := w.Subscriptions(ctx, walkSystem, registry.SubscriptionQuery{Limit: registry.MaxPage})
	must(w.t, err)
	for _, s := range all {
		_, err := w.Unsubscribe(ctx, walkSystem, s.ID, w.status())
		must(w.t, err)
	}
	s, _, err := w.Subscribe(ctx, w.approval, w.subscription())
	must(w.t, err)
	return s
}

// dead is a new subscription with an event that died.
func (w *walker) dead(ctx context.Context) (id string) {
	s := w.subscribed(ctx)
	issue(w.t, w.Service, "food-retail.json", w.next())
	claimed, err := w.ClaimEvents(ctx, s, time.Minute, 5)
	must(w.t, err)
	if len(claimed) != 1 {
		w.t.Fatalf("claimed %+v", claimed)
	}
	claimed[0].Since = w.Now().Add(-event.RetryFor)
	must(w.t, w.SettleEvent(ctx, claimed[0], event.Outcome{Fault: "http_404"}, 0))
	return s.ID
}

// batch submits one.
func (w *walker) batch(ctx context.Context) string {
	b, _, err := w.Batches().Submit(ctx, w.approval, batches.Request{Key: w.next(), Items: those([][]byte{[]byte("{}")}, nil)})
	must(w.t, err)
	return b.ID
}

// key is a key that is registered nowhere yet.
func (w *walker) key() registry.ClientKey {
	k := registry.ClientKey{Client: "partner", PublicKey: []byte(w.next())}
	sum := sm3.Sum(k.PublicKey)
	k.KeyID = hex.EncodeToString(sum[:])
	return k
}

func (w *walker) hold() registry.Hold {
	return registry.Hold{Principal: "client", Case: w.next(), OrderedBy: "局", Basis: "函", Until: w.Now().AddDate(0, 1, 0)}
}

// parts are the packages of the register, by folder, each with the type whose methods are
// operations.
var parts = map[string]func(*registrytest.Service) any{
	".":          func(s *registrytest.Service) any { return s.Registry },
	"accesslog":  func(s *registrytest.Service) any { return s.AccessLog() },
	"batches":    func(s *registrytest.Service) any { return s.Batches() },
	"disputes":   func(s *registrytest.Service) any { return s.Disputes() },
	"statistics": func(s *registrytest.Service) any { return s.Statistics() },
}

// partOf is the folder of an operation and its name there.
func partOf(name string) (dir, method string) {
	dir, method, _ = strings.Cut(name, ".")
	if dir == "Registry" {
		dir = "."
	}
	return dir, method
}

// exported are the exported functions of the packages that could be operations: every
// method of the types in parts, and whatever else takes a context.
func exported(t *testing.T, s *registrytest.Service) (names []string) {
	for dir, part := range parts {
		prefix := dir + "."
		if dir == "." {
			prefix = "Registry."
		}
		of := reflect.TypeOf(part(s))
		for i := range of.NumMethod() {
			names = append(names, prefix+of.Method(i).Name)
		}
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		must(t, err)
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
			must(t, err)
			for _, d := range f.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok && fn.Name.IsExported() && takesContext(fn) {
					names = append(names, strings.Replace(receiverOf(fn), "Register.", prefix, 1)+fn.Name.Name)
				}
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func takesContext(fn *ast.FuncDecl) bool {
	return slices.ContainsFunc(fn.Type.Params.List, func(p *ast.Field) bool {
		s, ok := p.Type.(*ast.SelectorExpr)
		return ok && fmt.Sprint(s.X) == "context" && s.Sel.Name == "Context"
	})
}

func receiverOf(fn *ast.FuncDecl) string {
	if fn.Recv == nil {
		return ""
	}
	of := fn.Recv.List[0].Type
	if star, ok := of.(*ast.StarExpr); ok {
		of = star.X
	}
	return fmt.Sprint(of) + "."
}

// TestWalkOperations walks every exported operation, once allowed and once refused: each
// call leaves an entry, in time and with the outcome. When the log cannot commit it is
// refused, nothing is shown, and nothing in the database is changed; when its transaction is
// run again, it comes to the same.
func TestWalkOperations(t *testing.T) {
	s := open(t)
	// One type passes to others, so that there is something to transfer.
	s.Config = s.Transferable(t)
	var err error
	s.Registry, err = registry.New(s.Config)
	must(t, err)
	w := newWalker(t, s)
	all := exported(t, s)
	beside, err := filepath.Glob("*/*.go")
	must(t, err)
	for _, file := range beside {
		if dir := filepath.Dir(file); parts[dir] == nil && !strings.HasSuffix(dir, "test") {
			t.Errorf("%s is of no part that is walked", file)
		}
	}
	for _, name := range all {
		if (operations[name] == nil) == (noAccess[name] == "") {
			t.Errorf("%s must be either an operation of the walk or listed as no access, with the reason", name)
		}
	}
	for _, name := range slices.Concat(slices.Collect(maps.Keys(operations)), slices.Collect(maps.Keys(noAccess)), slices.Collect(maps.Keys(composed))) {
		if !slices.Contains(all, name) {
			t.Errorf("%s is listed, but there is no such function", name)
		}
	}
	failing := w.lossy(func() error { return errDisk })
	again := w.lossy(everyOther(audit.ErrConflict))
	for _, name := range slices.Sorted(maps.Keys(operations)) {
		t.Run(strings.TrimPrefix(name, "Registry."), func(t *testing.T) {
			w.t = t
			w.refusedByZero(name)
			do := operations[name](w, t.Context())
			w.unlogged(name, failing, do)
			w.allowed(name, again, do)
		})
	}
	counted(t, len(operations), `(\d+) exported operations`)
	t.Logf("%d operations walked, %d of them composed of others; %d functions are no access", len(operations), len(composed), len(noAccess))
}

// allowed does an operation and looks for its entry.
func (w *walker) allowed(name string, again *registry.Registry, do call) {
	w.t.Helper()
	from := size(w.t, w.Service)
	_, receipt, err := do(again)
	if err != nil {
		w.t.Fatalf("allowed: %v", err)
	}
	logged := entries(w.t, w.Service, from)
	want := audit.ResultAllowed
	if name == "Registry.Refused" {
		want = audit.ResultRefused
	}
	if len(logged) == 0 || logged[len(logged)-1].Entry.Result != want {
		w.t.Fatalf("allowed: the log has %+v", logged)
	}
	if len(receipt.Checkpoint) > 0 && (receipt.Index < from || receipt.Index >= from+uint64(len(logged))) {
		w.t.Errorf("allowed: receipt for entry %d, the log grew from %d by %d", receipt.Index, from, len(logged))
	}
	for _, r := range logged {
		if _, err := licence.ParseIdentifier(r.Entry.Object); err == nil && r.Commitment == nil {
			w.t.Errorf("allowed: the entry %s about a licence commits to no holder", r.Entry.Action)
		}
	}
}

// refusedByZero calls an operation as somebody without a role and with zero arguments,
// whatever it takes: before anything else it must log that and refuse.
func (w *walker) refusedByZero(name string) {
	w.t.Helper()
	if composed[name] != "" {
		return
	}
	dir, method := partOf(name)
	do := reflect.ValueOf(parts[dir](w.Service)).MethodByName(method)
	args := []reflect.Value{reflect.ValueOf(w.t.Context()), reflect.ValueOf(registry.Caller{Principal: "nobody", RequestID: "walk"})}
	for i := len(args); i < do.Type().NumIn(); i++ {
		args = append(args, zero(do.Type().In(i)))
	}
	if do.Type().In(1) != args[1].Type() {
		w.t.Fatalf("%s takes no caller", name)
	}
	from := size(w.t, w.Service)
	out := do.Call(args)
	logged := entries(w.t, w.Service, from)
	if err, _ := out[len(out)-1].Interface().(error); err == nil {
		w.t.Errorf("refused: no error")
	}
	if len(logged) != 1 || logged[0].Entry.Result != audit.ResultRefused || logged[0].Entry.Principal != "nobody" {
		w.t.Errorf("refused: the log has %+v", logged)
	}
}

// zero is the zero value of a type, of a function one that returns zero values.
func zero(t reflect.Type) reflect.Value {
	if t.Kind() != reflect.Func {
		return reflect.Zero(t)
	}
	return reflect.MakeFunc(t, func([]reflect.Value) (out []reflect.Value) {
		for i := range t.NumOut() {
			out = append(out, zero(t.Out(i)))
		}
		return out
	})
}

// errDisk is what the log meets when it commits.
var errDisk = errors.New("disk full")

// lossy is a storage whose transactions run, and do not commit when there is an error.
type lossy struct {
	audit.Storage
	fault func() error
}

func (l lossy) Batch(ctx context.Context, fn func(audit.Tx) error) error {
	return l.Storage.Batch(ctx, func(tx audit.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		return l.fault()
	})
}

// everyOther is an error the first time, and then every other.
func everyOther(err error) func() error {
	var n atomic.Int64
	return func() error {
		if n.Add(1)%2 == 0 {
			return nil
		}
		return err
	}
}

// lossy is a registry over the same parts with a lossy storage.
func (w *walker) lossy(fault func() error) *registry.Registry {
	w.t.Helper()
	parts := w.Config
	var err error
	parts.Log, err = audit.Open(w.t.Context(), audit.Config{LogID: registrytest.LogID, Storage: lossy{w.Backend, fault}, Signer: w.LogKey, Now: w.Now, Rand: rand.Reader})
	must(w.t, err)
	parts.Failed = nil
	r, err := registry.New(parts)
	must(w.t, err)
	return r
}

// unlogged does an operation whose entry cannot be committed.
func (w *walker) unlogged(name string, failing *registry.Registry, do call) {
	w.t.Helper()
	before := dump(w.t, w.Service)
	answer, receipt, err := do(failing)
	if !errors.Is(err, registry.ErrLog) {
		w.t.Errorf("unlogged: %v, want ErrLog", err)
	}
	if v := reflect.ValueOf(answer); answer != nil && !v.IsZero() && (v.Kind() != reflect.Slice || v.Len() > 0) {
		w.t.Errorf("unlogged: the answer is %+v", answer)
	}
	if len(receipt.Checkpoint) > 0 {
		w.t.Errorf("unlogged: a receipt for entry %d", receipt.Index)
	}
	if diff := cmp.Diff(dump(w.t, w.Service), before); diff != "" {
		w.t.Errorf("unlogged: the database changed (-after +before):\n%s", diff)
	}
}

// dump is every row of every table of the service's database, which is SQLite's.
func dump(t *testing.T, s *registrytest.Service) map[string][]string {
	t.Helper()
	path, _ := databases.Load(s)
	db, err := sql.Open("sqlite", "file:"+path.(string)+"?_pragma=query_only(1)")
	must(t, err)
	defer db.Close()
	names := column(t, db, `SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name`)
	all := map[string][]string{}
	for _, name := range names {
		columns := column(t, db, `SELECT 'quote("' || name || '")' FROM pragma_table_info('`+name+`')`)
		all[name] = column(t, db, `SELECT `+strings.Join(columns, ` || ' ' || `)+` FROM "`+name+`"`)
	}
	if len(all) < 10 {
		t.Fatalf("only the tables %v", names)
	}
	return all
}

func column(t *testing.T, db *sql.DB, query string) (all []string) {
	t.Helper()
	rows, err := db.Query(query)
	must(t, err)
	defer rows.Close()
	for rows.Next() {
		var s string
		must(t, rows.Scan(&s))
		all = append(all, s)
	}
	must(t, rows.Err())
	return all
}

// counted compares a count with the one that docs/log-format.md states.
func counted(t *testing.T, n int, pattern string) {
	t.Helper()
	text, err := os.ReadFile("../../docs/log-format.md")
	must(t, err)
	m := regexp.MustCompile(pattern).FindSubmatch(text)
	if m == nil || string(m[1]) != strconv.Itoa(n) {
		t.Errorf("docs/log-format.md states %s for %s, it is %d", m, pattern, n)
	}
}

// TestWalkRefusals: what takes no caller is refused by what it is given, and logged.
func TestWalkRefusals(t *testing.T) {
	s := open(t)
	newWalker(t, s)
	_, err := s.PutClient(t.Context(), walkSystem, registry.Client{ID: "gone", Salt: []byte("s"), SecretHash: registry.HashSecret([]byte("s"), "secret"), Disabled: true})
	must(t, err)
	for name, do := range map[string]func() error{
		"wrong secret":      func() error { _, _, err := s.Authenticate(t.Context(), "client", "x", "r"); return err },
		"unknown client":    func() error { _, _, err := s.Authenticate(t.Context(), "nobody", "secret", "r"); return err },
		"disabled client":   func() error { _, _, err := s.Authenticate(t.Context(), "gone", "secret", "r"); return err },
		"sign-in, unknown":  func() error { _, _, err := s.SignIn(t.Context(), "nobody", "code", "r"); return err },
		"sign-in, disabled": func() error { _, _, err := s.SignIn(t.Context(), "gone", "code", "r"); return err },
	} {
		from := size(t, s)
		if err := do(); !errors.Is(err, registry.ErrUnauthenticated) {
			t.Errorf("%s: %v", name, err)
		}
		wantTrail(t, s, from, "authenticate refused unauthenticated")
	}
	from := size(t, s)
	no := licence.Holder{Code: "110105194912310021", CodeType: licence.CodeTypeCitizenNumber}
	if _, err := s.SignInHolder(t.Context(), "holder.x", no, "n", s.Now().Add(time.Hour), "r"); registry.Code(err) != "invalid_request" {
		t.Errorf("a number that is none: %v", err)
	}
	wantTrail(t, s, from, "authenticate refused invalid_request")
	if _, err := s.CallerInSession(t.Context(), "n", "r"); !errors.Is(err, registry.ErrUnauthenticated) {
		t.Errorf("its session: %v", err)
	}
}
