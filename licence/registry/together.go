package registry

import (
	"context"
	"errors"
	"sync"
)

var errUnanswered = errors.New("the question was given up before it was answered")

// together lets those who ask for the same at the same time share one answer. It is given
// only to those who had come before the question was put: nobody gets an older answer
// than by asking alone. The zero value is ready.
type together[T any] struct {
	mu       sync.Mutex
	gathered map[string]*question[T] // not put yet
	put      map[string]*question[T]
}

type question[T any] struct {
	done   chan struct{}
	answer T
	err    error
}

// ask returns what fn answers to the question of that name. The first of those who gather
// puts it, as soon as the one before is answered; that he goes away meanwhile is
// no reason to leave the others without an answer.
func (t *together[T]) ask(ctx context.Context, name string, fn func(context.Context) (T, error)) (T, error) {
	t.mu.Lock()
	q := t.gathered[name]
	if q == nil {
		q = &question[T]{done: make(chan struct{})}
		if t.gathered == nil {
			t.gathered, t.put = map[string]*question[T]{}, map[string]*question[T]{}
		}
		t.gathered[name] = q
		before := t.put[name]
		t.mu.Unlock()
		t.run(context.WithoutCancel(ctx), name, q, before, fn)
		return q.answer, q.err
	}
	t.mu.Unlock()
	select {
	case <-q.done:
		return q.answer, q.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

func (t *together[T]) run(ctx context.Context, name string, q, before *question[T], fn func(context.Context) (T, error)) {
	if before != nil {
		<-before.done
	}
	t.mu.Lock()
	delete(t.gathered, name)
	t.put[name] = q
	t.mu.Unlock()
	defer func() {
		t.mu.Lock()
		if t.put[name] == q {
			delete(t.put, name)
		}
		t.mu.Unlock()
		close(q.done)
	}()
	q.err = errUnanswered // unless fn returns
	q.answer, q.err = fn(ctx)
}
