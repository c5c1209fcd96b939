package registry

import (
	"context"
	"errors"
	"fmt"
	"time"

	"elicence/audit"
	"elicence/licence"
)

// Lookup lets a verification see the register while it runs. It shows a status
// and digests, nothing personal; the verification as a whole is one log entry. It is for
// one goroutine.
type Lookup struct {
	r *Registry
	// seen are the holders of the licences that were looked up.
	seen map[licence.Identifier]licence.Holder
}

// Known is what the register says of a file or an identifier.
type Known struct {
	Identifier licence.Identifier
	Status     licence.Status // as stored: expiry is for the verification to derive
	DataDigest [32]byte
	File       File
	// Current is false when a newer file of the same licence exists: the one
	// with a timestamp that File is still waiting for.
	Current bool
	// Newest is the newest version of a licence whose status is superseded; else empty.
	Newest licence.Identifier
	// External is what is stated of a licence that another platform issued; nil for our own.
	External *licence.Licence
	AsOf     time.Time
	// Copy is what an annotated copy says of itself; nil for a licence.
	Copy *licence.Copy
}

// ByFile looks up the whole-file digest, of a licence file or an annotated copy.
// licence.ErrNotFound when no such file was ever issued.
func (l Lookup) ByFile(ctx context.Context, digest [32]byte) (Known, error) {
	f, err := l.r.files.ask(ctx, string(digest[:]), l.r.licencesByFile)
	if errors.Is(err, licence.ErrNotFound) {
		made, fault := l.r.cfg.Store.CopyByFile(ctx, digest)
		return l.knownCopy(ctx, made, fault)
	}
	return l.known(ctx, f.Record, f.File, err)
}

// licencesByFile reads licences by the digests of their files.
func (r *Registry) licencesByFile(ctx context.Context, digests []string) (map[string]Filed, error) {
	filed, err := r.cfg.Store.LicencesByFile(ctx, digests)
	found := make(map[string]Filed, len(filed))
	for _, f := range filed {
		found[string(f.File.Digest[:])] = f
	}
	return found, err
}

// ByCopy looks up an annotated copy of a licence: what is known is then the licence's, but
// for DataDigest and File, which are the copy's. One that was reserved only is not found.
func (l Lookup) ByCopy(ctx context.Context, id licence.CopyID) (Known, error) {
	made, err := l.r.cfg.Store.Copy(ctx, id)
	return l.knownCopy(ctx, made, err)
}

func (l Lookup) knownCopy(ctx context.Context, made CopyRecord, err error) (Known, error) {
	if err == nil && !made.made() {
		err = licence.ErrNotFound
	}
	if err != nil {
		return Known{}, err
	}
	stated, err := licence.ParseData(made.Data)
	if err != nil {
		return Known{}, fmt.Errorf("reading the data of copy %s: %w", made.ID, err)
	}
	k, err := l.ByIdentifier(ctx, made.Identifier)
	k.DataDigest, k.File, k.Current, k.Copy = made.DataDigest, made.File, true, stated.Copy
	return k, err
}

// ByIdentifier looks up an identifier. Pending and voided licences are not found.
func (l Lookup) ByIdentifier(ctx context.Context, id licence.Identifier) (Known, error) {
	rec, err := l.r.licences.ask(ctx, string(id), l.r.licencesOf)
	return l.known(ctx, rec, rec.File, err)
}

// licencesOf reads licences by their identifiers.
func (r *Registry) licencesOf(ctx context.Context, ids []string) (map[string]Record, error) {
	records, err := r.cfg.Store.Licences(ctx, ids)
	found := make(map[string]Record, len(records))
	for _, rec := range records {
		found[string(rec.Identifier)] = rec
	}
	return found, err
}

// StatusAsOf is the stored status at an instant; licence.ErrNotFound before the licence
// was there.
func (l Lookup) StatusAsOf(ctx context.Context, id licence.Identifier, at time.Time) (licence.Status, error) {
	past, err := l.r.cfg.Store.StatusAsOf(ctx, id, at)
	l.r.gate.altered(ctx, err)
	return past.Status, err
}

// known is the record as a verification sees it.
func (l Lookup) known(ctx context.Context, rec Record, file File, err error) (k Known, _ error) {
	defer func() { l.r.gate.altered(ctx, err) }() // which is no refusal: the verification goes on without the register
	if err != nil {
		return Known{}, err
	}
	l.seen[rec.Identifier] = rec.Holder
	if rec.Status == licence.StatusPending || rec.Status == licence.StatusVoided {
		return Known{}, licence.ErrNotFound
	}
	k = Known{Identifier: rec.Identifier, Status: rec.Status, DataDigest: rec.DataDigest,
		File: file, Current: file.Digest == rec.File.Digest, AsOf: l.r.now()}
	if rec.Importer != "" {
		if k.External, err = licence.ParseData(rec.Data); err != nil {
			return Known{}, fmt.Errorf("reading the data of %s: %w", rec.Identifier, err)
		}
	}
	if rec.Status == licence.StatusSuperseded {
		k.Newest, err = l.r.newest(ctx, rec.Identifier, k.AsOf)
	}
	return k, err
}

// Verdict is what a verification came to, for its log entry.
type Verdict struct {
	// Object is the identifier that was read, or empty.
	Object string
	// Code is the indication and sub-indication.
	Code string
}

// Verify runs a verification of something and logs it, with the SM3 digest of that
// thing, which is asked for when judge has done the work, or when the caller is refused.
// What judge found must not be shown before Verify returns without an error.
func (r *Registry) Verify(ctx context.Context, c Caller, digest func() [32]byte, judge func(Lookup) Verdict) (audit.Receipt, error) {
	a := &Access{Action: ActionVerify}
	if err := a.decide(c); err != nil {
		sum := digest()
		a.Digest = sum[:]
		return r.gate.Refuse(ctx, c, a, err)
	}
	l := Lookup{r, map[licence.Identifier]licence.Holder{}}
	v := judge(l)
	sum := digest()
	a.Digest = sum[:]
	a.Object, a.Holder = Clip(v.Object, 256), l.seen[licence.Identifier(v.Object)]
	a.Code = Clip(v.Code, 64)
	return r.gate.pass(ctx, c, a)
}

// Authenticate checks a client's secret and logs the attempt.
func (r *Registry) Authenticate(ctx context.Context, clientID, secret, requestID string) (Caller, audit.Receipt, error) {
	client, err := r.cfg.Store.Client(ctx, clientID)
	if err != nil && !errors.Is(err, licence.ErrNotFound) {
		return Caller{}, audit.Receipt{}, err
	}
	c := client.caller(requestID)
	a := &Access{Action: ActionAuthenticate, Object: clientID}
	if err != nil || client.Disabled || !client.holds(secret, r.now()) {
		c = Anonymous(requestID)
		receipt, err := r.gate.Refuse(ctx, c, a, ErrUnauthenticated)
		return Caller{}, receipt, err
	}
	if client.Authentication == BySignature {
		receipt, err := r.gate.Refuse(ctx, c, a, ErrSignatureRequired)
		return Caller{}, receipt, err
	}
	return r.become(ctx, c, a)
}

// SharedLink is the kind under which sign-in links are shared that nobody has used yet.
const SharedLink = "link"

// SignIn lets in as a client whoever has a link that is shared under SharedLink, which is
// then spent, and logs it. licence.ErrNotFound, unlogged, when the link is not there any more;
// ErrUnauthenticated when there is no such client, or it was disabled.
func (r *Registry) SignIn(ctx context.Context, clientID, link, requestID string) (Caller, audit.Receipt, error) {
	a := &Access{Action: ActionAuthenticate, Object: clientID}
	c, err := r.CallerFor(ctx, clientID, requestID)
	if errors.Is(err, ErrUnauthenticated) {
		receipt, err := r.gate.Refuse(ctx, Anonymous(requestID), a, err)
		return Caller{}, receipt, err
	}
	if err != nil {
		return Caller{}, audit.Receipt{}, err
	}
	a.Apply = func(ctx context.Context, tx Tx, _ *audit.Entry) error {
		return tx.TakeShared(ctx, SharedLink, link, r.now())
	}
	return r.become(ctx, c, a)
}

// become logs that somebody is let in as a caller, who is nobody unless that succeeds.
func (r *Registry) become(ctx context.Context, c Caller, a *Access) (Caller, audit.Receipt, error) {
	receipt, err := r.gate.append(ctx, c, a)
	if err != nil {
		return Caller{}, receipt, err
	}
	return c, receipt, nil
}

// CallerFor is the caller behind a token that was checked already. A client
// disabled since then is ErrUnauthenticated, one that must sign its requests
// ErrSignatureRequired.
func (r *Registry) CallerFor(ctx context.Context, clientID, requestID string) (Caller, error) {
	client, err := r.client(ctx, clientID)
	if err == nil && client.Authentication == BySignature {
		return Caller{}, ErrSignatureRequired
	}
	return client.caller(requestID), err
}

// client is a client that is not disabled; else ErrUnauthenticated.
func (r *Registry) client(ctx context.Context, id string) (Client, error) {
	client, err := r.clients.ask(ctx, id, one(r.cfg.Store.Client))
	r.gate.altered(ctx, err)
	if errors.Is(err, licence.ErrNotFound) || err == nil && client.Disabled {
		return Client{}, ErrUnauthenticated
	}
	return client, err
}

// one makes of what reads one thing what reads several; those that are not there are left out.
func one[T any](read func(context.Context, string) (T, error)) func(context.Context, []string) (map[string]T, error) {
	return func(ctx context.Context, names []string) (map[string]T, error) {
		found := make(map[string]T, len(names))
		for _, name := range names {
			value, err := read(ctx, name)
			switch {
			case err == nil:
				found[name] = value
			case !errors.Is(err, licence.ErrNotFound):
				return nil, err
			}
		}
		return found, nil
	}
}

// PutClient registers or replaces a machine client; for the system alone.
func (r *Registry) PutClient(ctx context.Context, c Caller, client Client) (audit.Receipt, error) {
	return r.gate.Pass(ctx, c, &Access{Action: ActionConfigure, Object: "client/" + client.ID,
		Apply: func(ctx context.Context, tx Tx, _ *audit.Entry) error { return tx.PutClient(ctx, client) }})
}

// States hands every licence that is not valid to each, then logs, with the digest that
// sum makes of them, that a trust list may be signed; for the system alone. What it
// handed out must not be published before it returned without an error. Indexes of the
// log grow, and so the receipt's numbers the list.
func (r *Registry) States(ctx context.Context, c Caller, each func(licence.Identifier, licence.Status) error, sum func() [32]byte) (audit.Receipt, error) {
	a := &Access{Action: ActionTrustList, Object: "states"}
	if err := a.decide(c); err != nil {
		return r.gate.Refuse(ctx, c, a, err)
	}
	if err := r.cfg.Store.EachNotValid(ctx, each); err != nil {
		return audit.Receipt{}, fmt.Errorf("reading states: %w", err)
	}
	digest := sum()
	a.Digest = digest[:]
	return r.gate.append(ctx, c, a)
}
