package registry

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"elicence/audit"
	"elicence/licence"
)

// ActionSignOut ends a session.
const ActionSignOut audit.Action = "sign_out"

// sharedSession is the kind under which servers share the sessions of people who signed in
// at an identity provider. Nothing else is kept of a holder who did.
const sharedSession = "session"

// session is what a session lets in as.
type session struct {
	Principal string         `json:"principal"`
	Holder    licence.Holder `json:"holder"`
}

// SignInHolder lets in, as a holder, whom an identity provider vouched for, and logs it. The
// principal is a pseudonym. The session lasts until an instant, for whoever names it.
// Errors: *licence.RequestError when h is no holder's code.
func (r *Registry) SignInHolder(ctx context.Context, principal string, h licence.Holder, name string, until time.Time, requestID string) (audit.Receipt, error) {
	c := Caller{Principal: principal, Roles: []Role{RoleHolder}, Holder: h, RequestID: requestID}
	a := &Access{Action: ActionAuthenticate, Object: principal, Holder: h}
	if err := r.gate.CheckHolder(h); err != nil {
		a.Holder = licence.Holder{}
		return r.gate.Refuse(ctx, Anonymous(requestID), a, err)
	}
	value, err := json.Marshal(session{principal, h})
	if err != nil {
		return audit.Receipt{}, err
	}
	a.Apply = func(ctx context.Context, tx Tx, _ *audit.Entry) error {
		return tx.PutShared(ctx, sharedSession, name, value, r.now(), until)
	}
	return r.gate.append(ctx, c, a)
}

// CallerInSession is the caller of a session that SignInHolder began and nobody ended;
// else ErrUnauthenticated.
func (r *Registry) CallerInSession(ctx context.Context, name, requestID string) (Caller, error) {
	value, err := r.Shared(ctx, sharedSession, name)
	if errors.Is(err, licence.ErrNotFound) {
		return Caller{}, ErrUnauthenticated
	}
	if err != nil {
		return Caller{}, err
	}
	var s session
	if err := json.Unmarshal(value, &s); err != nil {
		return Caller{}, err
	}
	return Caller{Principal: s.Principal, Roles: []Role{RoleHolder}, Holder: s.Holder, RequestID: requestID}, nil
}

// SharedEnded is the kind under which servers share what was signed out of.
const SharedEnded = "ended_session"

// SignOut ends what a caller is signed in by, for all servers and until an instant, and logs it.
func (r *Registry) SignOut(ctx context.Context, c Caller, token string, until time.Time) (audit.Receipt, error) {
	return r.gate.Pass(ctx, c, &Access{Action: ActionSignOut, Object: c.Principal, Holder: c.Holder,
		Apply: func(ctx context.Context, tx Tx, _ *audit.Entry) error {
			return tx.PutShared(ctx, SharedEnded, token, nil, r.now(), until)
		}})
}
