package registry

import (
	"context"
	"errors"
	"fmt"

	"elicence/licence"
)

// insertNumbered stores the licence that record makes of a number: of the next one of the type in the
// scope that its rule counts within. Whether that is free the insertion says, which saves a look
// for each licence; it is taken when a licence has it that was imported, or was issued with a number that came with
// the request.
func insertNumbered(ctx context.Context, tx Tx, item *licence.CatalogueItem, q licence.Request, record func(number string) (Record, error)) (Record, error) {
	series := item.TypeCode + "/" + item.NumberScope(q)
	sequence, err := tx.NextNumber(ctx, series)
	if err != nil {
		return Record{}, err
	}
	number, err := item.FormatNumber(q, sequence)
	if err != nil {
		return Record{}, fmt.Errorf("%w: %w", ErrNumbersExhausted, err)
	}
	insert := func() (Record, error) {
		rec, err := record(number)
		if err != nil {
			return Record{}, err
		}
		return rec, tx.InsertLicence(ctx, rec)
	}
	rec, err := insert()
	if !errors.Is(err, licence.ErrNumberTaken) {
		return rec, err
	}
	if sequence, number, err = freeNumber(ctx, tx, item, q, sequence); err != nil {
		return Record{}, err
	}
	if err := tx.RaiseNumber(ctx, series, sequence); err != nil {
		return Record{}, err
	}
	return insert()
}

// numbered is the number of a sequence, and whether a licence has it.
func numbered(ctx context.Context, tx Tx, item *licence.CatalogueItem, q licence.Request, sequence int64) (number string, taken bool, err error) {
	if number, err = item.FormatNumber(q, sequence); err != nil {
		return "", false, fmt.Errorf("%w: %w", ErrNumbersExhausted, err)
	}
	taken, err = tx.NumberTaken(ctx, item.TypeCode, q.Authority.Code, number)
	return number, taken, err
}

// freeNumber finds a free number behind a taken one in about twice as many looks as its distance
// has binary digits: in steps that double it finds one that is not taken, and halving the last step the
// one where a run of taken ones ends. A register of existing licences is such a run, however long; where it has
// gaps, numbers in them may never be used.
func freeNumber(ctx context.Context, tx Tx, item *licence.CatalogueItem, q licence.Request, taken int64) (free int64, number string, err error) {
	occupied := func(sequence int64) (is bool) {
		var fault error
		if _, is, fault = numbered(ctx, tx, item, q, sequence); !errors.Is(fault, ErrNumbersExhausted) {
			err = errors.Join(err, fault)
		}
		return is // nothing is behind the end of the sequence
	}
	step := int64(1)
	for free = taken + step; err == nil && occupied(free); free = taken + step {
		taken, step = free, 2*step
	}
	for err == nil && free-taken > 1 {
		if middle := taken + (free-taken)/2; occupied(middle) {
			taken = middle
		} else {
			free = middle
		}
	}
	if err != nil {
		return 0, "", err
	}
	number, _, err = numbered(ctx, tx, item, q, free)
	return free, number, err
}
