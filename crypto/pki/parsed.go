package pki

import "sync"

// maxParsed is how many certificates a generation of parsed holds.
const maxParsed = 128

// parsed remembers certificates by their bytes, as they come out of the same bytes each
// time. A stranger's files can push others out, and cost no more than without it.
var parsed = certificateCache{young: map[string]*Certificate{}}

// certificateCache is a cache of two generations: when young is full it becomes old, and
// what was old and not asked for since is forgotten.
type certificateCache struct {
	mu         sync.Mutex
	young, old map[string]*Certificate
}

// get returns nil for a certificate that is not remembered.
func (c *certificateCache) get(der []byte) *Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	if cert := c.young[string(der)]; cert != nil {
		return cert
	}
	cert := c.old[string(der)]
	if cert != nil {
		c.add(cert)
	}
	return cert
}

func (c *certificateCache) put(cert *Certificate) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add(cert)
}

func (c *certificateCache) add(cert *Certificate) {
	if len(c.young) == maxParsed {
		c.young, c.old = map[string]*Certificate{}, c.young
	}
	c.young[string(cert.Raw)] = cert
}
