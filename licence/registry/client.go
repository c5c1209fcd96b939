package registry

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/brake"
)

// The actions on clients, as they stand in the access log.
const (
	ActionClientAdd     audit.Action = "client_add"
	ActionClientRotate  audit.Action = "client_rotate"
	ActionClientDisable audit.Action = "client_disable"
	ActionClientRead    audit.Action = "read_clients"
)

// MaxOverlap is how long a secret may stay good beside the one that takes its place.
const MaxOverlap = 90 * 24 * time.Hour

// maxDailyReuses bounds what may be called usual for a client.
const maxDailyReuses = 1_000_000_000

// clientForm is what a client may be called.
var clientForm = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// ownPrincipals are the service's own, which no client is called.
var ownPrincipals = []string{"anonymous", "system", "command-line", "demo"}

// personal begin the names of people in the log, and of their sessions.
var personal = regexp.MustCompile(`^(?i:holder\.|person\.|session-of-)`)

// delegated are the roles that somebody of role authority gives to machines, and ended those
// of machines that they end. Who has the secret of an approval system reads originals and
// registers the cases for which a partner of the same department reuses: with both in one
// hand one person would read alone. So the secrets of approval systems are the operator's to
// give.
var (
	delegated = []Role{RolePartner, RoleVerifier}
	ended     = append(slices.Clone(delegated), RoleApprovalSystem)
)

// maxPartners is how many partners of a department there may be for somebody of role authority
// to register one more: each has a brake of its own.
const maxPartners = 5

// ClientRequest registers a client.
type ClientRequest struct {
	// Key is the Idempotency-Key, Body SM3 of the request body it came with.
	Key  string
	Body [32]byte
	// Client needs ID, Roles and, for all roles but auditor, Authority.
	Client Client
}

// newSecret is a secret of 256 bits, and how it is kept.
func (r *Registry) newSecret() (secret string, salt, hash []byte, err error) {
	var b [48]byte
	_, err = io.ReadFull(r.cfg.Rand, b[:])
	secret, salt = hex.EncodeToString(b[:32]), b[32:]
	return secret, salt, HashSecret(salt, secret), err
}

// AddClient registers a client and returns its secret, which nobody is told again: a
// repeat with the same key gets none. Whoever has role authority registers partners and
// verifiers in their own division and below, five partners of a department at most; the
// system everybody but holders.
// Errors: ErrForbidden, *licence.RequestError, ErrClientTaken, ErrKeyReused, ErrLog.
func (r *Registry) AddClient(ctx context.Context, c Caller, q ClientRequest) (secret string, receipt audit.Receipt, err error) {
	added := q.Client
	made, salt, hash, noSecret := r.newSecret()
	added.Salt, added.SecretHash = salt, hash
	receipt, err = r.gate.Pass(ctx, c, &Access{
		Action: ActionClientAdd, Object: "client/" + added.ID, Digest: q.Body[:],
		Use: Use{Purpose: Clip(fmt.Sprintf("roles %v, %s %s, %d types", added.Roles, added.Authority.Code, added.Authority.Name, len(added.Types)), 512)},
		Check: func() error {
			if err := errors.Join(CheckKey(q.Key), noSecret); err != nil {
				return err
			}
			if err := r.checkClient(added); err != nil {
				return err
			}
			if err := mayAdd(c, added); err != nil {
				return err
			}
			return r.mayJoin(ctx, c, added)
		},
		Apply: func(ctx context.Context, tx Tx, e *audit.Entry) error {
			secret = "" // unless this is the first time
			return r.gate.Once(ctx, tx, c, q.Key, q.Body, e, new(string), func() error {
				if err := c.checkAnswerable(ctx, tx, added); err != nil {
					return err
				}
				secret = made
				return tx.InsertClient(ctx, added)
			})
		},
	})
	if err != nil {
		secret = ""
	}
	return secret, receipt, err
}

// checkClient names what is wrong with a client that is to be registered.
func (r *Registry) checkClient(n Client) error {
	if !clientForm.MatchString(n.ID) || slices.Contains(ownPrincipals, strings.ToLower(n.ID)) || personal.MatchString(n.ID) {
		return licence.InvalidField("id", licence.CodeBadFormat, "is not 1 to 64 of letters, digits, dot, underscore and hyphen, or is the service's own")
	}
	if len(n.Roles) == 0 {
		return licence.InvalidField("roles", licence.CodeMissing, "is required")
	}
	for i, role := range n.Roles {
		switch {
		case !slices.Contains(Registrable, role) || role == RoleHolder:
			return licence.InvalidField(fmt.Sprintf("roles[%d]", i), licence.CodeNotAllowed, "is no role that can be registered")
		case slices.Contains(n.Roles[:i], role):
			return licence.InvalidField(fmt.Sprintf("roles[%d]", i), licence.CodeRepeated, "stands there already")
		case role == RoleAuditor && len(n.Roles) > 1:
			return licence.InvalidField("roles", licence.CodeNotAllowed, "joins auditor with another role: nobody acts and audits")
		}
	}
	if slices.Contains(n.Roles, RolePartner) && slices.Contains(n.Roles, RoleApprovalSystem) {
		return licence.InvalidField("roles", licence.CodeNotAllowed, "joins partner with approval_system: whoever registers cases does not reuse for them")
	}
	if !slices.Contains(n.Roles, RoleAuditor) {
		if err := n.Authority.Check(); err != nil {
			return err
		}
	}
	for i, code := range n.Types {
		if r.LastItem(code) == nil || slices.Contains(n.Types[:i], code) {
			return licence.InvalidField(fmt.Sprintf("types[%d]", i), licence.CodeUnknownType, "is not in the catalogue, or stands there already")
		}
	}
	if n.DailyReuses < 0 || n.DailyReuses > maxDailyReuses {
		return licence.InvalidField("daily_reuses", licence.CodeOutOfRange, fmt.Sprintf("is not between 0 and %d", maxDailyReuses))
	}
	return nil
}

// manages reports whether a caller looks after a client that has no roles but these: a
// machine of the own department, or of one below, without a licence type that the caller has not.
func (c Caller) manages(n Client, roles []Role) bool {
	return c.Has(RoleSystem) || c.Has(RoleAuthority) && (n.Authority.Code == c.Authority.Code && licence.Within(n.Authority.Division, c.Authority.Division) || c.Above(n.Authority)) &&
		!slices.ContainsFunc(n.Roles, func(r Role) bool { return !slices.Contains(roles, r) }) &&
		!slices.ContainsFunc(n.Types, func(t string) bool { return !slices.Contains(c.Types, t) })
}

// Above reports whether a department lies below the caller's division, and not beside it. Its
// code must say so too (GB 32100: characters 3 to 8 are the division that registered it), for
// grants, cases and licences are a department's by its code, whatever division is given with it.
func (c Caller) Above(a licence.IssuingAuthority) bool {
	for _, division := range []string{a.Division, a.Code[min(2, len(a.Code)):min(8, len(a.Code))]} {
		if division == c.Authority.Division || !licence.Within(division, c.Authority.Division) {
			return false
		}
	}
	return true
}

// mayAdd says whether the caller may register a client: nobody gives more than they have.
func mayAdd(c Caller, n Client) error {
	switch {
	case c.Has(RoleSystem):
		return nil
	case !c.manages(n, delegated):
		return fmt.Errorf("%w: an authority registers partners and verifiers of its own department and of those below, with no licence type that it has not", ErrForbidden)
	case n.DailyReuses > brake.DefaultReuses:
		return fmt.Errorf("%w: more than %d reuses a day are the operator's to allow", ErrForbidden, brake.DefaultReuses)
	}
	return nil
}

// mayJoin looks at a client beside those that its department has. It goes by the
// department's name, since that is what holders are told. And a department whose client was
// stopped does not go on with a new one: until the brake is lifted, by somebody else, only the
// system registers a partner of it. Two that join at once may both be let in.
func (r *Registry) mayJoin(ctx context.Context, c Caller, n Client) error {
	if c.Has(RoleSystem) {
		return nil
	}
	name, partners, err := r.beside(ctx, c, n)
	switch {
	case err != nil:
		return err
	case name != "" && name != n.Authority.Name:
		return licence.InvalidField("authority.name", licence.CodeNotAllowed, "is not what the department of this code is called here")
	case !slices.Contains(n.Roles, RolePartner):
		return nil
	case partners >= maxPartners:
		return fmt.Errorf("%w: the department has %d partners; further ones are the operator's to register", ErrForbidden, partners)
	}
	standing, err := r.cfg.Store.Brakes(ctx, BrakeQuery{Standing: true, Authority: n.Authority.Code, Limit: 1})
	if err == nil && len(standing) > 0 {
		err = fmt.Errorf("%w: a client of the department was stopped, and its brake stands", ErrForbidden)
	}
	return err
}

// beside is what the department of a client that joins is called, empty where nothing is
// known of it, and how many other partners it has.
func (r *Registry) beside(ctx context.Context, c Caller, joins Client) (name string, partners int, err error) {
	for _, a := range append(r.Issuers(), c.Authority) {
		if a.Code == joins.Authority.Code {
			name = a.Name
		}
	}
	for q := (ClientQuery{Division: c.Authority.Division, Limit: MaxPage}); ; {
		clients, err := r.cfg.Store.Clients(ctx, q)
		if err != nil {
			return "", 0, err
		}
		for _, n := range clients {
			if n.Authority.Code != joins.Authority.Code || n.ID == joins.ID {
				continue
			}
			name = cmp.Or(name, n.Authority.Name)
			if slices.Contains(n.Roles, RolePartner) && !n.Disabled {
				partners++
			}
		}
		if len(clients) < q.Limit {
			return name, partners, nil
		}
		q.After = clients[len(clients)-1].ID
	}
}

// RotateClient gives a client a new secret and returns it. The present one is good until
// an instant, within MaxOverlap; the zero time ends it at once, and so does whoever rotates
// another's: that somebody else has its secret now, a client notices. A client may rotate its own.
// Errors: ErrForbidden, licence.ErrNotFound, *licence.RequestError, ErrKeyReused, ErrLog.
func (r *Registry) RotateClient(ctx context.Context, c Caller, id string, until time.Time, q StatusRequest) (string, audit.Receipt, error) {
	n, found := r.cfg.Store.Client(ctx, id)
	made, salt, hash, noSecret := r.newSecret()
	first, receipt, err := r.changeClient(ctx, c, ActionClientRotate, id, found, q, func() error {
		now := r.now()
		switch {
		case noSecret != nil:
			return noSecret
		case !c.manages(n, delegated) && c.Principal != id:
			return ErrOutOfReach
		case !until.IsZero() && c.Principal != id && !c.Has(RoleSystem):
			return licence.InvalidField("old_until", licence.CodeNotAllowed, "is for the client itself: what somebody else rotates ends at once")
		case !until.IsZero() && (until.Before(now) || until.After(now.Add(MaxOverlap))):
			return licence.InvalidField("old_until", licence.CodeOutOfRange, "is not within 90 days from now")
		}
		return nil
	}, func(ctx context.Context, tx Tx) error { return tx.RotateClient(ctx, id, salt, hash, until) })
	if err != nil || !first {
		made = ""
	}
	return made, receipt, err
}

// DisableClient ends a client, for a reason: it gets no token, and its tokens no answer.
// Errors: as of RotateClient, ErrReasonMissing.
func (r *Registry) DisableClient(ctx context.Context, c Caller, id string, q StatusRequest) (audit.Receipt, error) {
	n, found := r.cfg.Store.Client(ctx, id)
	_, receipt, err := r.changeClient(ctx, c, ActionClientDisable, id, found, q, func() error {
		switch {
		case !c.manages(n, ended):
			return ErrOutOfReach
		case q.Reason == "":
			return ErrReasonMissing
		}
		return nil
	}, func(ctx context.Context, tx Tx) error { return tx.DisableClient(ctx, id) })
	return receipt, err
}

// changeClient changes a client that was found in one transaction with its entry, and
// reports whether it did, which a repeat of the key does not.
func (r *Registry) changeClient(ctx context.Context, c Caller, action audit.Action, id string, found error, q StatusRequest, check func() error, do func(context.Context, Tx) error) (first bool, receipt audit.Receipt, err error) {
	receipt, err = r.gate.Pass(ctx, c, &Access{
		Action: action, Object: "client/" + id, Digest: q.Body[:], PurposeField: "reason", Use: Use{Purpose: q.Reason, Operator: q.Operator},
		Check: func() error {
			if found != nil {
				return found
			}
			if err := check(); err != nil {
				return err
			}
			return CheckKey(q.Key)
		},
		Apply: func(ctx context.Context, tx Tx, e *audit.Entry) error {
			first = false // of a batch that is run again
			return r.gate.Once(ctx, tx, c, q.Key, q.Body, e, new(string), func() error { first = true; return do(ctx, tx) })
		},
	})
	return first, receipt, err
}

// ClientQuery asks for clients, in the order of their identifiers.
type ClientQuery struct {
	// Division is set by the register: the subtree the clients are in, empty for all.
	Division string
	After    string
	Limit    int // 1 to MaxPage
}

// Clients lists the clients in the caller's division and below, without their secrets and
// holders; the system sees those of no division too.
func (r *Registry) Clients(ctx context.Context, c Caller, q ClientQuery) ([]Client, audit.Receipt, error) {
	q.Division, q.Limit = c.Authority.Division, min(max(q.Limit, 1), MaxPage)
	receipt, err := r.gate.Pass(ctx, c, &Access{Action: ActionClientRead, Object: "clients", Check: func() error {
		if q.Division == "" && !c.Has(RoleSystem) {
			return fmt.Errorf("%w: the caller is of no department", ErrForbidden)
		}
		return nil
	}})
	if err != nil {
		return nil, receipt, err
	}
	clients, err := r.cfg.Store.Clients(ctx, q)
	r.gate.altered(ctx, err)
	for i := range clients {
		n := &clients[i]
		n.Salt, n.SecretHash, n.OldSalt, n.OldSecretHash, n.HolderCode = nil, nil, nil, nil, ""
	}
	return clients, receipt, err
}
