package registry

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"elicence/audit"
)

// errClaimed stops a reservation whose key somebody used before.
var errClaimed = errors.New("idempotency key is already claimed")

// Once makes a change that a key came with, or finds the answer that was given to the key
// first. answer is what to answer once do has succeeded. Claim, change and answer are one
// transaction, so a key is never half done.
func (g *Gate) Once(ctx context.Context, tx Tx, c Caller, key string, body [32]byte, e *audit.Entry, answer any, do func() error) error {
	claim, err := g.takeKey(ctx, tx, c, key, body)
	switch {
	case errors.Is(err, errClaimed) && claim.Answer != nil:
		e.Code = "repeated"
		return json.Unmarshal(claim.Answer, answer)
	case errors.Is(err, errClaimed):
		return ErrRunning
	case err != nil:
		return err
	}
	if err := do(); err != nil {
		return err
	}
	b, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	return tx.AnswerKey(ctx, c.Principal, key, b)
}

// takeKey claims the idempotency key. ErrKeyReused when it came with another
// body, errClaimed when it is answered or still leased.
func (g *Gate) takeKey(ctx context.Context, tx Tx, c Caller, key string, body [32]byte) (Claim, error) {
	return g.takeKeyFor(ctx, tx, Key{Client: c.Principal, Key: key, Body: body})
}

// takeKeyFor is takeKey of a key that says what is to be reserved under it. It leases the key.
func (g *Gate) takeKeyFor(ctx context.Context, tx Tx, k Key) (Claim, error) {
	now := g.Now()
	k.LeaseUntil = now.Add(Lease)
	claim, err := tx.TakeKey(ctx, k, now)
	switch {
	case err != nil:
		return claim, err
	case claim.Body != k.Body:
		return claim, ErrKeyReused
	case !claim.Mine:
		return claim, errClaimed
	}
	return claim, nil
}

// CheckKey bounds an idempotency key: 1 to 128 printable ASCII characters.
func CheckKey(key string) error {
	if key == "" {
		return ErrKeyMissing
	}
	if len(key) > 128 || strings.ContainsFunc(key, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return ErrKeyMalformed
	}
	return nil
}
