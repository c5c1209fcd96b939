package registry

import (
	"context"
	"encoding/hex"
	"fmt"
	"regexp"
	"time"

	"elicence/audit"
	"elicence/licence"

	"github.com/emmansun/gmsm/sm3"
)

// Authentication is how a machine client shows who it is. The zero value is ByToken.
type Authentication string

const (
	// ByToken: bearer tokens, for its secret.
	ByToken Authentication = "token"
	// BySignature: every request signed, no tokens.
	BySignature Authentication = "signature"
	// ByEither: what the client likes, request by request.
	ByEither Authentication = "either"
)

// ClientKey is a public key that a client signs its requests with. A client may have
// several at a time, so that a new one is in use before the old one ends.
type ClientKey struct {
	// KeyID is SM3 of PublicKey in lower-case hex.
	KeyID, Client string
	// PublicKey is a SubjectPublicKeyInfo in DER.
	PublicKey []byte
	// ValidFrom is the first instant that the key may sign at, ValidUntil the first that it
	// may not; zero: no end.
	ValidFrom, ValidUntil time.Time
	// EndedAt is when somebody ended it; zero when nobody did.
	EndedAt time.Time
}

// Current reports whether the key may be used at an instant.
func (k ClientKey) Current(now time.Time) bool {
	return !now.Before(k.ValidFrom) && (k.ValidUntil.IsZero() || now.Before(k.ValidUntil)) && k.EndedAt.IsZero()
}

// Signed is the signature of a request, as the log keeps it: with it nobody can deny the
// request later. Whoever makes it has verified it, with a key of the caller.
type Signed struct {
	KeyID, Nonce string
	// Until is when the signature can be taken no more.
	Until time.Time
	// Owner is drawn for each request: it tells one that asks for several things from its replay.
	Owner [16]byte
	// Input and Field are the values of Signature-Input and Signature, Base is what was signed.
	Input, Field, Base string
}

// The personal values that hold a signature. A base that is longer than one value may be
// goes on in signature_base_2 and so on.
const (
	PersonalSignatureInput = "signature_input"
	PersonalSignature      = "signature"
	PersonalSignatureBase  = "signature_base"
	signaturePart          = 1024 // bytes; what a personal value holds at most
)

// personal is the signature among an entry's personal values: encrypted at rest, committed
// to by the record, and erased with the others.
func (s *Signed) personal() map[string]string {
	if s == nil {
		return nil
	}
	p := map[string]string{PersonalSignatureInput: s.Input, PersonalSignature: s.Field}
	name, base := PersonalSignatureBase, s.Base
	for part := 2; len(base) > signaturePart; part++ {
		p[name], base = base[:signaturePart], base[signaturePart:]
		name = fmt.Sprintf("%s_%d", PersonalSignatureBase, part)
	}
	p[name] = base
	return p
}

// longestRequest is more than may pass between the first byte of a request and its entry. A
// nonce is kept so long beyond its signature: else a replay that begins in time, and sends its
// body slowly, would come to the gate when the nonce is forgotten.
const longestRequest = 15 * time.Minute

// spend takes the nonce in the transaction of the request's entry, so that no two requests
// with it are both answered, by whatever servers; ErrReplayed for the second.
func (s *Signed) spend(ctx context.Context, tx Tx, now time.Time) error {
	if !s.unspent() {
		return nil
	}
	return tx.TakeNonce(ctx, sm3.Sum([]byte(s.KeyID+"\x00"+s.Nonce)), s.Owner, now, s.Until.Add(longestRequest))
}

// unspent reports whether there is a nonce to spend.
func (s *Signed) unspent() bool { return s != nil && s.Nonce != "" }

// spent is the signature with nothing to spend any more.
func (s *Signed) spent() *Signed {
	if s == nil {
		return nil
	}
	t := *s
	t.Nonce = ""
	return &t
}

// ClientKey is a registered key, by which a signature is verified; licence.ErrNotFound.
func (r *Registry) ClientKey(ctx context.Context, keyID string) (ClientKey, error) {
	key, err := r.keys.ask(ctx, keyID, one(r.cfg.Store.ClientKey))
	r.gate.altered(ctx, err)
	return key, err
}

// CallerSigned is the caller behind a signature that was verified with a key. ErrUnauthenticated
// when the client is disabled, ErrSignatureUnwanted when it may not sign.
func (r *Registry) CallerSigned(ctx context.Context, k ClientKey, s Signed, requestID string) (Caller, error) {
	client, err := r.client(ctx, k.Client)
	if err == nil && client.Authentication != BySignature && client.Authentication != ByEither {
		err = ErrSignatureUnwanted
	}
	c := client.caller(requestID)
	c.Signed = &s
	return c, err
}

// SetAuthentication says what a client must use; for the system alone.
// Errors: *licence.RequestError, licence.ErrNotFound.
func (r *Registry) SetAuthentication(ctx context.Context, c Caller, client string, how Authentication) (audit.Receipt, error) {
	return r.gate.Pass(ctx, c, &Access{Action: ActionConfigure, Object: "client/" + client, Use: Use{Purpose: "authentication: " + string(how)},
		Check: func() error {
			if how != ByToken && how != BySignature && how != ByEither {
				return licence.InvalidField("authentication", licence.CodeNotAllowed, "is none of token, signature, either")
			}
			return nil
		},
		Apply: func(ctx context.Context, tx Tx, _ *audit.Entry) error { return tx.SetAuthentication(ctx, client, how) }})
}

// keyIDForm is what names a key.
var keyIDForm = regexp.MustCompile(`^[0-9a-f]{64}$`)

// clientKeyObject names a client's keys in the log; the digest beside it is the KeyID.
func clientKeyObject(client string) string { return "client_key/" + client }

// PutClientKey registers a key for a client; for the system alone. Its entry's digest is
// the KeyID, so that the log itself tells whose key a signature is by.
// Errors: *licence.RequestError, ErrKeyTaken, licence.ErrNotFound without such a client.
func (r *Registry) PutClientKey(ctx context.Context, c Caller, k ClientKey) (audit.Receipt, error) {
	sum := sm3.Sum(k.PublicKey)
	k.EndedAt = time.Time{}
	return r.gate.Pass(ctx, c, &Access{Action: ActionConfigure, Object: clientKeyObject(k.Client), Digest: sum[:],
		Check: func() error {
			switch {
			case k.KeyID != hex.EncodeToString(sum[:]):
				return licence.InvalidField("key_id", licence.CodeNotAllowed, "is not SM3 of the public key")
			case !k.ValidUntil.IsZero() && !k.ValidFrom.Before(k.ValidUntil):
				return licence.InvalidField("valid_until", licence.CodeOutOfRange, "is not after valid_from")
			}
			_, err := r.cfg.Store.Client(ctx, k.Client)
			return err
		},
		Apply: func(ctx context.Context, tx Tx, _ *audit.Entry) error { return tx.InsertClientKey(ctx, k) }})
}

// EndClientKey ends a key at once, for a reason; for the system alone.
// Errors: ErrReasonMissing, licence.ErrNotFound also when it ended before.
func (r *Registry) EndClientKey(ctx context.Context, c Caller, keyID, reason string) (audit.Receipt, error) {
	k, err := ClientKey{}, licence.ErrNotFound
	if keyIDForm.MatchString(keyID) {
		k, err = r.cfg.Store.ClientKey(ctx, keyID)
	}
	digest, _ := hex.DecodeString(k.KeyID)
	return r.gate.Pass(ctx, c, &Access{Action: ActionConfigure, Object: clientKeyObject(k.Client) + "/end", Digest: digest,
		Use: Use{Purpose: reason}, PurposeField: "reason",
		Check: func() error {
			if err == nil && reason == "" {
				return ErrReasonMissing
			}
			return err
		},
		Apply: func(ctx context.Context, tx Tx, _ *audit.Entry) error { return tx.EndClientKey(ctx, keyID, r.now()) }})
}
