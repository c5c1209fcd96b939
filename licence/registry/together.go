package registry

import (
	"context"
	"errors"
	"slices"
	"sync"

	"elicence/licence"
)

var errUnanswered = errors.New("the question was given up before it was answered")

// together lets those who ask by name at the same time share one question for all the
// names. It is answered only to those who had come before it was put: nobody gets an
// older answer than by asking alone. The zero value is ready.
type together[T any] struct {
	mu       sync.Mutex
	gathered *gathering[T] // not put yet
	put      *gathering[T]
}

// gathering is one question for all who gathered for it.
type gathering[T any] struct {
	names   []string
	done    chan struct{}
	answers map[string]T
	err     error
}

// ask returns what fn answers to name; licence.ErrNotFound when it answers nothing. The first of
// those who gather puts the question for all, as soon as the one before is answered; that he
// goes away meanwhile is no reason to leave the others without an answer. When a
// question for several fails each puts his own, so that the fault of one name is nobody else's.
func (t *together[T]) ask(ctx context.Context, name string, fn func(context.Context, []string) (map[string]T, error)) (T, error) {
	q, before, first := t.join(name)
	if first {
		t.run(context.WithoutCancel(ctx), q, before, fn)
	} else {
		select {
		case <-q.done:
		case <-ctx.Done():
			var none T
			return none, ctx.Err()
		}
	}
	answers, err := q.answers, q.err
	if err != nil && len(q.names) > 1 {
		answers, err = fn(ctx, []string{name})
	}
	answer, found := answers[name]
	if err == nil && !found {
		err = licence.ErrNotFound
	}
	return answer, err
}

// join adds a name to the question that gathers. For the first it begins one, and
// returns the one that has to be answered before.
func (t *together[T]) join(name string) (q, before *gathering[T], first bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if first = t.gathered == nil; first {
		t.gathered = &gathering[T]{done: make(chan struct{})}
	}
	q = t.gathered
	if !slices.Contains(q.names, name) {
		q.names = append(q.names, name)
	}
	return q, t.put, first
}

func (t *together[T]) run(ctx context.Context, q, before *gathering[T], fn func(context.Context, []string) (map[string]T, error)) {
	if before != nil {
		<-before.done
	}
	t.mu.Lock()
	t.gathered, t.put = nil, q
	t.mu.Unlock()
	defer func() {
		t.mu.Lock()
		if t.put == q {
			t.put = nil
		}
		t.mu.Unlock()
		close(q.done)
	}()
	q.err = errUnanswered // unless fn returns
	q.answers, q.err = fn(ctx, q.names)
}
