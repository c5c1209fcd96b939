package api

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestPlacesInOrder: a place that is free goes to who came first, whenever he began to wait, and
// of two who came at once to who waited first.
func TestPlacesInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &places{free: 1}
		began := time.Now()
		holder := &turn{places: p, came: began}
		if err := holder.take(t.Context()); err != nil {
			t.Fatal(err)
		}
		var served []int
		for i, after := range []time.Duration{5, 3, 9, 1, 3, 7} {
			one := &turn{places: p, came: began.Add(after)}
			go func() {
				if err := one.take(t.Context()); err != nil {
					t.Error(err)
				}
				served = append(served, i)
				one.leave()
				one.leave() // gives nothing twice
			}()
			synctest.Wait()
		}
		holder.leave()
		synctest.Wait()
		if !slices.Equal(served, []int{3, 1, 4, 0, 5, 2}) || p.free != 1 || len(p.waiting) != 0 {
			t.Errorf("served %v; %d free, %d waiting", served, p.free, len(p.waiting))
		}
	})
}

// TestPlacesLeft: who goes away while he waits takes no place with him, not even one that he was
// given at that moment.
func TestPlacesLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &places{free: 1}
		holder, gone, next := &turn{places: p}, &turn{places: p}, &turn{places: p, came: time.Now()}
		if err := holder.take(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, leave := context.WithCancel(t.Context())
		leave()
		if err := gone.take(ctx); !errors.Is(err, context.Canceled) || gone.has || len(p.waiting) != 0 {
			t.Errorf("%v; has one: %t; %d waiting", err, gone.has, len(p.waiting))
		}
		gone.leave() // he has none
		p.ask(gone)
		go func() {
			if err := next.take(t.Context()); err != nil {
				t.Error(err)
			}
		}()
		synctest.Wait()
		holder.leave() // to gone, who has no time to notice
		p.withdraw(gone)
		synctest.Wait()
		if !next.has {
			t.Error("the place is lost")
		}
		next.leave()
		if p.free != 1 || len(p.waiting) != 0 {
			t.Errorf("%d free, %d waiting", p.free, len(p.waiting))
		}
	})
}

// TestAside: while somebody else is asked the place is another's, and who asked has one again when he
// goes on; or a fault, when he went away.
func TestAside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &places{free: 1}
		one, other := &turn{places: p}, &turn{places: p, came: time.Now()}
		if err := one.take(t.Context()); err != nil {
			t.Fatal(err)
		}
		go func() {
			if err := other.take(t.Context()); err != nil {
				t.Error(err)
			}
		}()
		synctest.Wait()
		go func() {
			time.Sleep(2 * time.Second)
			other.leave()
		}()
		began := time.Now()
		answer, err := aside(t.Context(), one, func() (int, error) {
			synctest.Wait()
			if one.has || !other.has {
				t.Error("the place was kept")
			}
			return 42, nil
		})
		if answer != 42 || err != nil || !one.has || time.Since(began) != 2*time.Second {
			t.Errorf("%d, %v, has a place: %t, after %s", answer, err, one.has, time.Since(began))
		}
		if answer, err := aside(t.Context(), one, func() (int, error) { return 1, errUnreadable }); !errors.Is(err, errUnreadable) || answer != 1 || !one.has {
			t.Errorf("a fault: %d, %v, has a place: %t", answer, err, one.has)
		}
		ctx, leave := context.WithCancel(t.Context())
		_, err = aside(ctx, one, func() (int, error) {
			leave()
			return 1, other.take(t.Context())
		})
		if !errors.Is(err, context.Canceled) || one.has || !other.has {
			t.Errorf("gone: %v, has a place: %t", err, one.has)
		}
		if other.leave(); p.free != 1 {
			t.Errorf("%d free", p.free)
		}
	})
}

// TestPlacesCrowd: with many who come, go aside and go away, there is never more than one in a
// place, and none is lost.
func TestPlacesCrowd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most = 3
		p := &places{free: most}
		var working atomic.Int32
		work := func() {
			if n := working.Add(1); n > most {
				t.Errorf("%d at once", n)
			}
			time.Sleep(time.Millisecond)
			working.Add(-1)
		}
		var crowd sync.WaitGroup
		random := rand.New(rand.NewPCG(1, 2))
		for range 300 {
			came, patient := time.Duration(random.IntN(100))*time.Millisecond, time.Duration(random.IntN(100))*time.Millisecond
			crowd.Go(func() {
				time.Sleep(came)
				ctx, leave := context.WithTimeout(t.Context(), patient)
				defer leave()
				one := &turn{places: p, came: time.Now()}
				defer one.leave()
				if one.take(ctx) != nil {
					return
				}
				work()
				if _, err := aside(ctx, one, func() (int, error) { time.Sleep(time.Millisecond); return 0, nil }); err == nil {
					work()
				}
			})
		}
		crowd.Wait()
		if p.free != most || len(p.waiting) != 0 || working.Load() != 0 {
			t.Errorf("%d free, %d waiting, %d working", p.free, len(p.waiting), working.Load())
		}
	})
}
