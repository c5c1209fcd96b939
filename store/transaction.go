package store

import (
	"context"
	"time"

	"elicence/licence"
	"elicence/licence/registry"
)

// transaction changes the register and the log; see registry.Tx and audit.Tx for
// what each method promises. It is used by one goroutine, inside Batch.
type transaction struct {
	txSession
	secrets Secrets
	// drawn are the counters as this transaction has left them, unless a part of it was undone.
	drawn map[string]int64
}

// Savepoint implements audit.Tx.
func (t *transaction) Savepoint(_ context.Context, fn func() error) error {
	err := t.savepoint(fn)
	if err != nil {
		clear(t.drawn)
	}
	return err
}

// TakeKey implements registry.Tx. A key that lapsed keeps the digest it was first
// used with.
func (t *transaction) TakeKey(ctx context.Context, k registry.Key, now time.Time) (registry.Claim, error) {
	insert := t.exec
	if k.Identifier != "" { // what follows only reserves a licence; whatever else a key is for must know whether it is new
		insert = t.change
	}
	n, err := insert(ctx, `INSERT INTO idempotency_key (client, key, body, lease_until, identifier)
		VALUES ($1, $2, $3, $4, $5) ON CONFLICT (client, key) DO NOTHING`,
		k.Client, k.Key, k.Body[:], nanos(k.LeaseUntil), string(k.Identifier))
	if err == nil && n > 0 {
		return registry.Claim{Body: k.Body, Identifier: k.Identifier, Mine: true}, nil
	}
	if err != nil {
		return registry.Claim{}, doing("taking idempotency key", err)
	}
	claim, err := t.claim(ctx, k, `UPDATE idempotency_key SET lease_until = $3, identifier = CASE identifier WHEN '' THEN $5 ELSE identifier END
		WHERE client = $1 AND key = $2 AND answer IS NULL AND lease_until < $4 RETURNING body, identifier, answer`,
		k.Client, k.Key, nanos(k.LeaseUntil), nanos(now), string(k.Identifier))
	if err == nil {
		claim.Mine = true
		return claim, nil
	}
	if !notFound(err) {
		return registry.Claim{}, doing("taking idempotency key", err)
	}
	claim, err = t.claim(ctx, k, `SELECT body, identifier, answer FROM idempotency_key
		WHERE client = $1 AND key = $2`, k.Client, k.Key)
	return claim, doing("reading idempotency key", err)
}

// claim reads the state of a key from a statement that returns it.
func (t *transaction) claim(ctx context.Context, k registry.Key, query string, args ...any) (registry.Claim, error) {
	var (
		body, answer []byte
		identifier   string
	)
	if err := one(ctx, t, query, args, &body, &identifier, &answer); err != nil {
		return registry.Claim{}, err
	}
	c := registry.Claim{Identifier: licence.Identifier(identifier)}
	if err := digest(&c.Body, body); err != nil {
		return registry.Claim{}, err
	}
	var err error
	c.Answer, err = t.secrets.open(answerPlace(k.Client, k.Key), answer)
	return c, err
}

func answerPlace(client, key string) place {
	return place{"idempotency_key.answer", client + "\x00" + key}
}

// BindKey implements registry.Tx.
func (t *transaction) BindKey(ctx context.Context, client, key string, id licence.Identifier) error {
	err := changed(t.change(ctx, `UPDATE idempotency_key SET identifier = $3 WHERE client = $1 AND key = $2`,
		client, key, string(id)))
	return doing("binding idempotency key", err)
}

// ReleaseKey implements registry.Tx.
func (t *transaction) ReleaseKey(ctx context.Context, client, key string) error {
	err := changed(t.exec(ctx, `DELETE FROM idempotency_key WHERE client = $1 AND key = $2 AND answer IS NULL`, client, key))
	return doing("releasing idempotency key", err)
}

// AnswerKey implements registry.Tx.
func (t *transaction) AnswerKey(ctx context.Context, client, key string, answer []byte) error {
	sealed, err := t.secrets.seal(answerPlace(client, key), answer)
	if err != nil {
		return err
	}
	err = changed(t.change(ctx, `UPDATE idempotency_key SET answer = $3 WHERE client = $1 AND key = $2`,
		client, key, sealed))
	return doing("answering idempotency key", err)
}

// NextNumber implements registry.Tx. Of a counter that the transaction has drawn from, and so
// holds, the next value is known.
func (t *transaction) NextNumber(ctx context.Context, series string) (int64, error) {
	n, err := t.nextDrawn(ctx, series)
	if err == nil && n == 0 {
		err = one(ctx, t, `INSERT INTO number_series (series, value)
			VALUES ($1, 1 + COALESCE((SELECT value FROM number_series WHERE series = '`+skippedSeries+`'), 0))
			ON CONFLICT (series) DO UPDATE SET value = number_series.value + 1 RETURNING value`, []any{series}, &n)
	}
	if err != nil {
		return 0, doing("drawing number", err)
	}
	if t.drawn == nil {
		t.drawn = map[string]int64{}
	}
	t.drawn[series] = n
	return n, nil
}

// nextDrawn draws from a counter that is in drawn; 0 when it is not, or stands elsewhere.
func (t *transaction) nextDrawn(ctx context.Context, series string) (int64, error) {
	last, known := t.drawn[series]
	if !known {
		return 0, nil
	}
	changed, err := t.change(ctx, `UPDATE number_series SET value = $2 WHERE series = $1 AND value = $3`, series, last+1, last)
	return changed * (last + 1), err
}

// RaiseNumber implements registry.Tx.
func (t *transaction) RaiseNumber(ctx context.Context, series string, n int64) error {
	delete(t.drawn, series)
	_, err := t.exec(ctx, `UPDATE number_series SET value = $2 WHERE series = $1 AND value < $2`, series, n)
	return doing("raising number", err)
}

// NumberTaken implements registry.Tx.
func (t *transaction) NumberTaken(ctx context.Context, typeCode, authority, number string) (bool, error) {
	var n int64
	err := one(ctx, t, `SELECT count(*) FROM licence WHERE type_code = $1 AND authority_code = $2 AND number_index = $3`,
		[]any{typeCode, authority, t.secrets.index("number", typeCode, authority, number)}, &n)
	return n > 0, doing("looking for number", err)
}

// skippedSeries is no counter, but how many numbers every new one passes over. No counter
// has an empty name.
const skippedSeries = ""

// SkipNumbers implements registry.Tx.
func (t *transaction) SkipNumbers(ctx context.Context, n uint64) error {
	_, err := t.exec(ctx, `INSERT INTO number_series (series, value) VALUES ($1, 0) ON CONFLICT (series) DO NOTHING`, skippedSeries)
	clear(t.drawn)
	if err == nil {
		_, err = t.exec(ctx, `UPDATE number_series SET value = value + $1`, position(n))
	}
	return doing("skipping numbers", err)
}

// Licence implements registry.Tx.
func (t *transaction) Licence(ctx context.Context, id licence.Identifier) (registry.Record, error) {
	rec, err := t.secrets.record(ctx, t, selectLicence+`WHERE l.identifier = $1`+t.lock(), string(id))
	return rec, doing("reading licence", err)
}
