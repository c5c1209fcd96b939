package registry

import (
	"context"
	"errors"
	"slices"

	"elicence/internal/gather"
	"elicence/licence"
)

var errUnanswered = errors.New("the question was given up before it was answered")

// together lets those who ask by name at the same time share one question for all the
// names. Nobody gets an older answer than by asking alone. The zero value is ready.
type together[T any] struct{ gather.Group[*asking[T]] }

// asking is what one of them asks, and the answer.
type asking[T any] struct {
	name   string
	answer T
	err    error
	again  bool // alone, for the question was for several and failed
}

// ask returns what fn answers to name; licence.ErrNotFound when it answers nothing. When a
// question for several fails each puts his own, so that the fault of one name is nobody else's.
func (t *together[T]) ask(ctx context.Context, name string, fn func(context.Context, []string) (map[string]T, error)) (T, error) {
	a := &asking[T]{name: name, err: errUnanswered} // unless fn returns
	if err := t.Do(ctx, a, func(ctx context.Context, all []*asking[T]) { put(ctx, all, fn) }); err != nil {
		var none T
		return none, err
	}
	if a.again {
		put(ctx, []*asking[T]{a}, fn)
	}
	return a.answer, a.err
}

// put asks for all names, each once, and hands out the answers.
func put[T any](ctx context.Context, all []*asking[T], fn func(context.Context, []string) (map[string]T, error)) {
	var names []string
	for _, a := range all {
		if !slices.Contains(names, a.name) {
			names = append(names, a.name)
		}
	}
	for _, a := range all {
		a.again = len(names) > 1 // unless fn returns without an error
	}
	answers, err := fn(ctx, names)
	for _, a := range all {
		answer, found := answers[a.name]
		a.again = a.again && err != nil
		if a.answer, a.err = answer, err; err == nil && !found {
			a.err = licence.ErrNotFound
		}
	}
}
