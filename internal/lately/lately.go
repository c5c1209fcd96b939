// Package lately remembers what was met lately: the same few certificates and seals come
// with every file.
package lately

import "sync"

// Cache is a bounded map of two generations: when the young one is full it becomes the old
// one, and what was old and not asked for since is forgotten. So a stranger's files can
// push out what others need, which then is found anew, and never make it grow. The zero
// value remembers nothing. It is safe for concurrent use, and its values are shared.
type Cache[V any] struct {
	// Size is how many keys a generation has at most.
	Size int

	mu         sync.Mutex
	young, old map[string]V
}

// Get returns the value of key, and whether it is remembered.
func (c *Cache[V]) Get(key []byte) (V, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if v, ok := c.young[string(key)]; ok {
		return v, true
	}
	v, ok := c.old[string(key)]
	if ok {
		c.add(string(key), v)
	}
	return v, ok
}

// Put remembers the value of key, a copy of which is kept.
func (c *Cache[V]) Put(key []byte, v V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.Size > 0 {
		c.add(string(key), v)
	}
}

func (c *Cache[V]) add(key string, v V) {
	if len(c.young) >= c.Size || c.young == nil {
		c.young, c.old = map[string]V{}, c.young
	}
	c.young[key] = v
}
