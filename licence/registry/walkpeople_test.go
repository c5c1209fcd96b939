package registry_test

import (
	"context"
	"encoding/hex"
	"time"

	"github.com/emmansun/gmsm/sm3"

	"elicence/audit"
	"elicence/licence/person"
	"elicence/licence/registry"
	"elicence/licence/registry/accesslog"
	"elicence/licence/registry/registrytest"
)

// peopleOperations are those that are about clients, people and their sessions.
var peopleOperations = map[string]func(w *walker, ctx context.Context) call{
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
}

// key is a key that is registered nowhere yet.
func (w *walker) key() registry.ClientKey {
	k := registry.ClientKey{Client: "partner", PublicKey: []byte(w.next())}
	sum := sm3.Sum(k.PublicKey)
	k.KeyID = hex.EncodeToString(sum[:])
	return k
}
