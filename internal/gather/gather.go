// Package gather lets those who ask at the same moment share one question: of what a short
// one costs, the way there and back is often the greater part.
package gather

import (
	"context"
	"sync"
)

// Group puts questions for all who gathered meanwhile, one question at a time. Who comes is
// in the next one, which is put when the one before is over: nobody gets an answer that is
// older than by asking alone. The zero value is ready; it is safe for concurrent use.
type Group[T any] struct {
	mu       sync.Mutex
	gathered *question[T] // not put yet
	put      *question[T]
}

// question is one question, of all that is asked in it.
type question[T any] struct {
	asked []T
	done  chan struct{}
}

// Do returns when a question with what is asked in it was put, by a call of put with all
// that gathered. The first of those puts it for all, and that he goes away is no reason to leave the
// others without an answer: put gets a context that does not end with his. Any other leaves when ctx ends,
// with its error, and put may be at work yet on what he asked. Put may panic: that is its caller's alone.
func (g *Group[T]) Do(ctx context.Context, asked T, put func(context.Context, []T)) error {
	q, before, first := g.join(asked)
	if first {
		g.run(context.WithoutCancel(ctx), q, before, put)
		return nil
	}
	select {
	case <-q.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// join adds to the question that gathers. For the first it begins one, and returns the one
// that has to be over before.
func (g *Group[T]) join(asked T) (q, before *question[T], first bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if first = g.gathered == nil; first {
		g.gathered = &question[T]{done: make(chan struct{})}
	}
	q = g.gathered
	q.asked = append(q.asked, asked)
	return q, g.put, first
}

func (g *Group[T]) run(ctx context.Context, q, before *question[T], put func(context.Context, []T)) {
	if before != nil {
		<-before.done
	}
	g.mu.Lock()
	g.gathered, g.put = nil, q
	g.mu.Unlock()
	defer func() {
		g.mu.Lock()
		if g.put == q {
			g.put = nil
		}
		g.mu.Unlock()
		close(q.done)
	}()
	put(ctx, q.asked)
}
