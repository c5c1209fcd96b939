package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/person"
)

// The actions on people, as they stand in the access log.
const (
	ActionPersonAdd     audit.Action = "person_add"
	ActionPersonDisable audit.Action = "person_disable"
	ActionPersonRead    audit.Action = "read_people"
)

// PersonStore keeps officials. Subject and name are encrypted at rest, the subject is looked
// up by a keyed index.
type PersonStore interface {
	// Person returns one by the identifier, disabled ones too.
	Person(ctx context.Context, id string) (person.Person, error)
	// PersonBySubject returns whom a provider calls so: the one who is not disabled, else any.
	PersonBySubject(ctx context.Context, issuer, subject string) (person.Person, error)
	// People returns the people that q asks for; see PersonQuery.
	People(ctx context.Context, q PersonQuery) ([]person.Person, error)
}

// PersonTx changes them.
type PersonTx interface {
	// Person is PersonStore.Person inside the transaction.
	Person(ctx context.Context, id string) (person.Person, error)
	// InsertPerson stores one who is new; ErrPersonTaken when the identifier exists, or
	// somebody of that issuer and subject is not disabled.
	InsertPerson(ctx context.Context, p person.Person) error
	// DisablePerson disables one, and the clients that the person answers for;
	// licence.ErrNotFound when there is none.
	DisablePerson(ctx context.Context, id string) error
}

// PersonRequest registers an official.
type PersonRequest struct {
	// Key is the Idempotency-Key, Body SM3 of the request body it came with.
	Key    string
	Body   [32]byte
	Person person.Person
}

// personObject names a person in the log.
func personObject(id string) string { return "person/" + id }

// AddPerson registers an official, who can sign in from then on. Whoever has role authority
// registers people of that role in their own department and below, with no licence type that
// they have not; the system everybody. Errors: ErrForbidden, *licence.RequestError,
// ErrPersonTaken, ErrKeyReused, ErrLog.
func (r *Registry) AddPerson(ctx context.Context, c Caller, q PersonRequest) (audit.Receipt, error) {
	p := q.Person
	p.Disabled = false
	if p.From.IsZero() {
		p.From = r.now()
	}
	return r.gate.Pass(ctx, c, &Access{
		Action: ActionPersonAdd, Object: personObject(p.ID), Digest: q.Body[:], Texts: map[string]string{"subject": Clip(p.Issuer+" "+p.Subject, 512)},
		Use: Use{Purpose: fmt.Sprintf("roles %v, %s, %d types", p.Roles, p.Authority.Code, len(p.Types))},
		Check: func() error {
			if err := errors.Join(CheckKey(q.Key), p.Check()); err != nil {
				return err
			}
			for i, code := range p.Types {
				if r.LastItem(code) == nil || slices.Contains(p.Types[:i], code) {
					return licence.InvalidField(fmt.Sprintf("types[%d]", i), licence.CodeUnknownType, "is not in the catalogue, or stands there already")
				}
			}
			if !c.looksAfter(p) {
				return fmt.Errorf("%w: an authority registers people of its own department and of those below, with no role but authority and no licence type that it has not", ErrForbidden)
			}
			return nil
		},
		Apply: func(ctx context.Context, tx Tx, e *audit.Entry) error {
			return r.gate.Once(ctx, tx, c, q.Key, q.Body, e, new(string), func() error { return tx.InsertPerson(ctx, p) })
		},
	})
}

// looksAfter reports whether a caller registers and disables a person.
func (c Caller) looksAfter(p person.Person) bool {
	return c.Has(RoleSystem) || c.Has(RoleAuthority) && (p.Authority.Code == c.Authority.Code && licence.Within(p.Authority.Division, c.Authority.Division) || c.Above(p.Authority)) &&
		!slices.ContainsFunc(p.Roles, func(r Role) bool { return r != RoleAuthority }) &&
		!slices.ContainsFunc(p.Types, func(t string) bool { return !slices.Contains(c.Types, t) })
}

// DisablePerson ends a person's access for good, for a reason: no session of theirs gets an
// answer any more, nor does a client that they answer for. Errors: ErrForbidden,
// licence.ErrNotFound, ErrReasonMissing, ErrKeyReused, ErrLog.
func (r *Registry) DisablePerson(ctx context.Context, c Caller, id string, q StatusRequest) (audit.Receipt, error) {
	p, found := r.cfg.Store.Person(ctx, id)
	return r.gate.Pass(ctx, c, &Access{
		Action: ActionPersonDisable, Object: personObject(id), Digest: q.Body[:], PurposeField: "reason", Use: Use{Purpose: q.Reason, Operator: q.Operator},
		Check: func() error {
			switch {
			case found != nil:
				return found
			case !c.looksAfter(p):
				return ErrOutOfReach
			case q.Reason == "":
				return ErrReasonMissing
			}
			return CheckKey(q.Key)
		},
		Apply: func(ctx context.Context, tx Tx, e *audit.Entry) error {
			return r.gate.Once(ctx, tx, c, q.Key, q.Body, e, new(string), func() error { return tx.DisablePerson(ctx, id) })
		},
	})
}

// PersonQuery asks for people, in the order of their identifiers.
type PersonQuery struct {
	// Division is set by the register: the subtree the people are in, empty for all.
	Division string
	After    string
	Limit    int // 1 to MaxPage
}

// People lists the people in the caller's division and below, without their subjects; the
// system sees those of no division too.
func (r *Registry) People(ctx context.Context, c Caller, q PersonQuery) ([]person.Person, audit.Receipt, error) {
	q.Division, q.Limit = c.Authority.Division, min(max(q.Limit, 1), MaxPage)
	if c.Has(RoleSystem) {
		q.Division = ""
	}
	receipt, err := r.gate.Pass(ctx, c, &Access{Action: ActionPersonRead, Object: "people", Check: func() error {
		if q.Division == "" && !c.Has(RoleSystem) {
			return fmt.Errorf("%w: the caller is of no department", ErrForbidden)
		}
		return nil
	}})
	if err != nil {
		return nil, receipt, err
	}
	people, err := r.cfg.Store.People(ctx, q)
	for i := range people {
		people[i].Subject = ""
	}
	return people, receipt, err
}

// checkAnswerable says why the person whom a client names does not answer for it: the
// roles of both must go together, so that nobody grants as a client and audits as a person.
// It is asked in the transaction that stores the client: the person may be disabled at that
// moment, and with them the clients that are there.
func (c Caller) checkAnswerable(ctx context.Context, tx Tx, n Client) error {
	if n.Person == "" {
		return nil
	}
	p, err := tx.Person(ctx, n.Person)
	switch {
	case errors.Is(err, licence.ErrNotFound), err == nil && (p.Disabled || !c.looksAfter(p)):
		return licence.InvalidField("person", licence.CodeNotAllowed, "is nobody who is registered, or not yours to name")
	case err != nil:
		return err
	case person.Separate(append(slices.Clone(n.Roles), p.Roles...)) != nil:
		return licence.InvalidField("person", licence.CodeNotAllowed, "has a role that does not go with the client's: nobody grants and audits")
	}
	return nil
}

// errOwnGrant refuses whoever requested a grant.
var errOwnGrant = fmt.Errorf("%w: whoever requested a grant does not approve it", ErrForbidden)

// anotherPerson says why a caller is not, or may not be, another person than who requested a
// grant. Of two clients that nobody answers for that cannot be told; where one of the
// two is a person, so must the other be.
func (r *Registry) anotherPerson(ctx context.Context, c Caller, grant string) error {
	g, err := r.cfg.Store.Grant(ctx, grant)
	switch {
	case errors.Is(err, licence.ErrNotFound), err == nil && g.RequestedPerson == "" && c.Person == "":
		return nil
	case err != nil:
		return err
	case g.RequestedPerson == "" || c.Person == "":
		return fmt.Errorf("%w: the grant is requested or approved by a client that nobody answers for, and the other is a person", ErrForbidden)
	}
	asked, err := r.cfg.Store.Person(ctx, g.RequestedPerson)
	if err != nil {
		return err
	}
	own, err := r.cfg.Store.Person(ctx, c.Person)
	if err == nil && own.Same(asked) {
		err = errOwnGrant
	}
	return err
}

// personSession is the kind under which servers share the sessions of officials: the
// value is the identifier of who signed in.
const personSession = "person_session"

// SignInPerson lets in whom an identity provider vouched for, as the person who is registered
// for the subject, and logs it. The session lasts until an instant, for whoever names it.
// Errors: ErrPersonUnknown, ErrLog.
func (r *Registry) SignInPerson(ctx context.Context, issuer, subject, name string, until time.Time, requestID string) (audit.Receipt, error) {
	a := &Access{Action: ActionAuthenticate, Object: personObject("unknown"), Texts: map[string]string{"subject": Clip(issuer+" "+subject, 512)}}
	p, err := r.cfg.Store.PersonBySubject(ctx, issuer, subject)
	if err != nil && !errors.Is(err, licence.ErrNotFound) {
		return audit.Receipt{}, err
	}
	if err == nil {
		a.Object = personObject(p.ID)
	}
	if err != nil || !p.Active(r.now()) {
		return r.gate.Refuse(ctx, Anonymous(requestID), a, ErrPersonUnknown)
	}
	a.Apply = func(ctx context.Context, tx Tx, _ *audit.Entry) error {
		return tx.PutShared(ctx, personSession, name, []byte(p.ID), r.now(), until)
	}
	return r.gate.append(ctx, callerOf(p, requestID), a)
}

// PersonInSession is who a session is of that SignInPerson began and nobody ended, as a
// person and as a caller; else ErrUnauthenticated. Of one who may not sign in any more it
// is ErrPersonUnknown, and the caller's principal says who.
func (r *Registry) PersonInSession(ctx context.Context, name, requestID string) (person.Person, Caller, error) {
	id, err := r.Shared(ctx, personSession, name)
	if errors.Is(err, licence.ErrNotFound) {
		return person.Person{}, Caller{}, ErrUnauthenticated
	}
	if err != nil {
		return person.Person{}, Caller{}, err
	}
	p, err := r.cfg.Store.Person(ctx, string(id))
	if err != nil {
		return person.Person{}, Caller{}, err
	}
	if !p.Active(r.now()) {
		c := Anonymous(requestID)
		c.Principal = p.Principal()
		return person.Person{}, c, ErrPersonUnknown
	}
	return p, callerOf(p, requestID), nil
}

// callerOf is a person as a caller.
func callerOf(p person.Person, requestID string) Caller {
	return Caller{Principal: p.Principal(), Person: p.ID, Roles: p.Roles, Authority: p.Authority, Types: p.Types, RequestID: requestID}
}
