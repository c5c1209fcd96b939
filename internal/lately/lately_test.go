package lately_test

import (
	"fmt"
	"sync"
	"testing"

	"elicence/internal/lately"
)

func TestCache(t *testing.T) {
	c := &lately.Cache[int]{Size: 4}
	key := func(n int) []byte { return fmt.Append(nil, n) }
	known := func(n int) bool {
		v, ok := c.Get(key(n))
		if ok && v != n {
			t.Fatalf("%d is remembered as %d", n, v)
		}
		return ok
	}
	if known(0) {
		t.Error("an empty cache knows something")
	}
	for n := range 100 {
		c.Put(key(n), n)
		if !known(n) || !known(max(0, n-1)) || n > 0 && !known(0) {
			t.Errorf("after %d: what was just met, or is met all the time, is forgotten", n)
		}
		if n > 9 && known(n-9) {
			t.Errorf("after %d: more than two generations are known", n)
		}
	}
	var none lately.Cache[int]
	none.Put(key(1), 1)
	if _, ok := none.Get(key(1)); ok {
		t.Error("the zero value remembers")
	}
}

func TestCacheTogether(t *testing.T) {
	c := &lately.Cache[int]{Size: 4}
	var users sync.WaitGroup
	for range 8 {
		users.Go(func() {
			for n := range 1000 {
				key := fmt.Append(nil, n%12)
				if v, ok := c.Get(key); ok && v != n%12 {
					t.Errorf("%d is remembered as %d", n%12, v)
				}
				c.Put(key, n%12)
			}
		})
	}
	users.Wait()
}
