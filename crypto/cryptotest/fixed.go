package cryptotest

import (
	"crypto/rand"
	"io"
	mathrand "math/rand/v2"
	"sync"
	"testing"
)

// Fixed makes crypto/rand give the same bytes in every process, until the test ends.
//
// A fuzz target that compares with something signed calls it first. The fuzzer
// runs the target in processes of its own and sends them the seeds of another: with
// random keys no worker would trust any seed, and what is behind a good signature
// would never be reached. Only tests that run alone may call it.
func Fixed(t testing.TB) {
	before := rand.Reader
	rand.Reader = &fixed{source: mathrand.NewChaCha8([32]byte{})}
	t.Cleanup(func() { rand.Reader = before })
}

// fixed is a locked source: a timestamp authority draws from it in its own goroutine.
type fixed struct {
	mu     sync.Mutex
	source io.Reader // guarded by mu
}

func (f *fixed) Read(b []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.source.Read(b)
}
