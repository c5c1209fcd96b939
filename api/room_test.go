package api_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"elicence/api"
	"elicence/crypto/httpsig"
	"elicence/crypto/tsa"
	"elicence/licence/registry"
	"elicence/verify"
)

// pipes is a listener whose connections are pipes, so that a test can let minutes
// pass on them at once, in a bubble of synctest. A server there needs a log of its
// own, whose goroutines are the bubble's.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	if c, ok := <-p; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}
func (p pipes) Close() error   { close(p); return nil }
func (p pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// listen serves s, behind a proxy, until the test's bubble ends.
func listen(t testing.TB, s *api.Server) pipes {
	t.Helper()
	p := make(pipes)
	server := s.HTTPServer()
	go server.Serve(p)
	t.Cleanup(func() { server.Close() })
	return p
}

// behindProxy lets a test name the addresses of its senders.
func behindProxy(c *api.Config) { c.BehindProxy = true }

// sender is a connection with one request on it, whose body the test sends.
type sender struct {
	net.Conn
	answered chan problem
	began    time.Time
}

// post sends the head of a verification.
func (p pipes) post(from, mediaType string, claimed int) *sender {
	return p.head("/api/v1/verifications", claimed, http.Header{"X-Forwarded-For": {from}, "Content-Type": {mediaType}})
}

// head sends the head of a request.
func (p pipes) head(path string, claimed int, h http.Header) *sender {
	client, server := net.Pipe()
	p <- server
	s := &sender{Conn: client, answered: make(chan problem, 1), began: time.Now()}
	go s.listen()
	fmt.Fprintf(client, "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n", path, claimed)
	h.Write(client)
	fmt.Fprint(client, "\r\n")
	return s
}

// listen waits for the answer, of which it keeps status and code.
func (s *sender) listen() {
	defer s.Close()
	r, err := http.ReadResponse(bufio.NewReader(s), nil)
	if err != nil {
		s.answered <- problem{Detail: err.Error()}
		return
	}
	var p problem
	body, _ := io.ReadAll(r.Body)
	json.Unmarshal(body, &p)
	p.Status = r.StatusCode
	s.answered <- p
}

// answer is the answer if there is one by now.
func (s *sender) answer() problem {
	synctest.Wait()
	select {
	case p := <-s.answered:
		return p
	default:
		return problem{Code: "none yet"}
	}
}

// TestSlowSenders: slow senders at one address take nothing from others, no memory
// for what they only claim, one log entry between them, and are cut off.
func TestSlowSenders(t *testing.T) {
	w := open(t)
	synctest.Test(t, func(t *testing.T) {
		s := w.serveOver(w.Backend, behindProxy)
		p := listen(t, s)
		before, size := allocated(), w.size()
		var slow []*sender
		refused := 0
		for range 16 {
			one := p.post("198.51.100.1", "application/pdf", api.MaxFile)
			one.Write([]byte("%PDF"))
			switch got := one.answer(); got.Code {
			case "rate_limited":
				refused++
			case "none yet":
				slow = append(slow, one)
			default:
				t.Errorf("%+v", got)
			}
		}
		if len(slow) != api.OpenEach || refused != 16-api.OpenEach || s.Held() != 4*api.OpenEach || w.size() != size {
			t.Errorf("%d senders, %d refused, %d bytes held, %d log entries", len(slow), refused, s.Held(), w.size()-size)
		}
		if got := allocated() - before; got > 4<<20 {
			t.Errorf("%d bytes allocated", got)
		}
		for _, from := range []string{"198.51.100.2", "198.51.100.1"} {
			other := p.post(from, "application/pdf", 5)
			other.Write([]byte("hello"))
			if got := other.answer(); got.Status != http.StatusOK {
				t.Errorf("%s: %+v", from, got)
			}
			time.Sleep(api.PortionTime + time.Second) // by when the address is free again
		}
		for _, one := range slow {
			if got := one.answer(); got.Code != "body_unreadable" {
				t.Errorf("a slow one: %+v", got)
			}
		}
		if s.Held() != 0 {
			t.Errorf("%d bytes held in the end", s.Held())
		}
		size = w.size()
		s.Close()
		if e := w.since(size); len(e) != 1 || e[0].Code != "rate_limited*12" || e[0].Action != "verify" {
			t.Errorf("log: %+v", e)
		}
	})
}

// allocated is what was allocated so far, in bytes.
func allocated() int {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.TotalAlloc)
}

// TestPace: a body may be slow, but must keep coming, and come to an end.
func TestPace(t *testing.T) {
	w := open(t)
	for _, c := range []struct {
		name          string
		piece, pieces int
		pause         time.Duration
		status        int
		after         time.Duration
	}{
		{"at once", 300_000, 1, 0, 200, 0},
		{"slowly", api.Portion, 4, 9 * time.Second, 200, 27 * time.Second},
		{"in drops", 1, 1000, time.Second, 400, api.PortionTime},
		{"a portion too slowly", api.Portion / 2, 8, 9 * time.Second, 400, 9*time.Second + api.PortionTime},
		{"for too long", api.Portion, 20, 9 * time.Second, 400, api.BodyTime},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := listen(t, w.serveOver(w.Backend, behindProxy))
				s := p.post("198.51.100.1", "application/pdf", c.piece*c.pieces)
				go func() {
					for range c.pieces {
						if _, err := s.Write(make([]byte, c.piece)); err != nil {
							return
						}
						time.Sleep(c.pause)
					}
				}()
				got := <-s.answered
				if after := time.Since(s.began); got.Status != c.status || after != c.after {
					t.Errorf("%d %s after %s", got.Status, got.Code, after)
				}
				time.Sleep(c.pause) // by when the sender has noticed
			})
		})
	}
}

// TestPaceOfBatch: a batch may take longer than other bodies, signed or not.
func TestPaceOfBatch(t *testing.T) {
	w := open(t)
	key := w.signer(approval, registry.BySignature)
	body := append(bytes.Repeat([]byte("\n"), 12*api.Portion), w.itemFor("a", 1)...)
	q := ask{method: "POST", path: licenceBatchPath, key: "k", body: body}
	m, fields := w.message(q)
	m.Header.Set("Content-Type", "application/x-ndjson")
	must(t, httpsig.Sign(rand.Reader, key, m, w.Now(), fields...))
	synctest.Test(t, func(t *testing.T) {
		s := listen(t, w.serveOver(w.Backend, behindProxy)).head(q.path, len(body), m.Header)
		for piece := range slices.Chunk(body, api.Portion) {
			if _, err := s.Write(piece); err != nil {
				break
			}
			time.Sleep(9 * time.Second)
		}
		if got := s.answer(); got.Status != http.StatusAccepted || time.Since(s.began) < api.BodyTime {
			t.Errorf("%+v after %s", got, time.Since(s.began))
		}
		time.Sleep(time.Second) // by when a server that refused has closed the connection
	})
}

// TestLongWork: a deadline for reading ends no work that comes after it.
func TestLongWork(t *testing.T) {
	w := open(t)
	synctest.Test(t, func(t *testing.T) {
		s := w.serveOver(w.Backend, func(c *api.Config) {
			verifier := c.Verifier
			c.BehindProxy = true
			c.Verifier = func(r verify.Register) *verify.Verifier {
				time.Sleep(100 * time.Second)
				return verifier(r)
			}
		})
		_, small := multipartOf(t, make([]byte, 1000))
		mediaType, upload := multipartOf(t, make([]byte, 1000+api.Portion-len(small))) // which is a whole portion
		one := listen(t, s).post("198.51.100.1", mediaType, len(upload))
		one.Write(upload)
		if got := <-one.answered; got.Status != http.StatusOK {
			t.Errorf("after a body: %+v", got)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		p := listen(t, w.serveOver(w.Backend, func(c *api.Config) {
			c.Ready = func(ctx context.Context) error {
				time.Sleep(100 * time.Second)
				return ctx.Err()
			}
		}))
		client, server := net.Pipe()
		p <- server
		one := &sender{Conn: client, answered: make(chan problem, 1)}
		go one.listen()
		fmt.Fprint(client, "GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")
		if got := <-one.answered; got.Status != http.StatusOK {
			t.Errorf("without a body: %+v", got)
		}
	})
}

// TestRoom: files of anonymous callers take only so much memory together, which
// keeps out neither a QR code nor a caller with a token.
func TestRoom(t *testing.T) {
	w := open(t)
	w.token(verifier)
	synctest.Test(t, func(t *testing.T) {
		s := w.serveOver(w.Backend, behindProxy)
		s.Narrow(8 * api.Portion)
		p := listen(t, s)
		first := p.post("198.51.100.1", "application/pdf", 6*api.Portion)
		first.Write(make([]byte, 5*api.Portion))
		synctest.Wait()
		file := ask{method: "POST", path: "/api/v1/verifications", mediaType: "application/pdf", body: make([]byte, 3*api.Portion), handler: s}
		size := w.size()
		for range 3 {
			a := w.do(file)
			if got := problemIn(t, a); got.Code != "busy" || a.Header.Get("Retry-After") == "" {
				t.Errorf("a file too much: %+v", got)
			}
		}
		mediaType, upload := multipartOf(t, file.body)
		if got := problemIn(t, w.do(ask{method: "POST", path: file.path, mediaType: mediaType, body: upload, handler: s})); got.Code != "busy" {
			t.Errorf("an upload too much: %+v", got)
		}
		if w.size() != size || len(w.failed.all()) != 0 {
			t.Errorf("%d log entries, the operator was told %v", w.size()-size, w.failed.all())
		}
		if a := w.do(ask{method: "POST", path: file.path, body: []byte(`{"qr":"x"}`), handler: s}); a.StatusCode != http.StatusOK {
			t.Errorf("a QR code: %d", a.StatusCode)
		}
		file.as = verifier
		if a := w.do(file); a.StatusCode != http.StatusOK {
			t.Errorf("with a token: %d", a.StatusCode)
		}
		first.Write(make([]byte, api.Portion))
		if got := first.answer(); got.Status != http.StatusOK || s.Held() != 0 {
			t.Errorf("the first: %+v, %d bytes held", got, s.Held())
		}
		file.as = ""
		if a := w.do(file); a.StatusCode != http.StatusOK {
			t.Errorf("afterwards: %d", a.StatusCode)
		}
		size = w.size()
		s.Close()
		if e := w.since(size); len(e) != 1 || e[0].Code != "busy*4" || e[0].Action != "verify" {
			t.Errorf("log: %+v", e)
		}
	})
}

// TestPlaces: verifications of anonymous callers wait for each other, and nobody
// with a token for them.
func TestPlaces(t *testing.T) {
	w := open(t)
	w.token(verifier)
	synctest.Test(t, func(t *testing.T) {
		var at sync.Mutex // guards working and most
		working, most := 0, 0
		s := w.serveOver(w.Backend, func(c *api.Config) {
			verifier := c.Verifier
			c.Verifier = func(r verify.Register) *verify.Verifier {
				at.Lock()
				working++
				most = max(most, working)
				at.Unlock()
				time.Sleep(time.Second)
				at.Lock()
				working--
				at.Unlock()
				return verifier(r)
			}
		})
		one := func(i int, as string) time.Duration {
			began := time.Now()
			a := w.do(ask{method: "POST", path: "/api/v1/verifications", as: as, body: []byte(`{"qr":"x"}`), remote: fmt.Sprintf("198.51.100.%d:1", i), handler: s})
			if a.StatusCode != http.StatusOK {
				t.Errorf("%d", a.StatusCode)
			}
			return time.Since(began)
		}
		var wait sync.WaitGroup
		for i := range 4 * api.MaxPlaces {
			wait.Go(func() { one(i, "") })
		}
		synctest.Wait()
		if took := one(1, verifier); took != time.Second {
			t.Errorf("with a token: %s", took)
		}
		wait.Wait()
		if most != api.MaxPlaces+1 {
			t.Errorf("%d at once", most)
		}
	})
}

// hangingTSA gives no token until it is released.
type hangingTSA struct{ asked, released chan struct{} }

func (h hangingTSA) Timestamp(context.Context, []byte) (*tsa.Token, error) {
	h.asked <- struct{}{}
	<-h.released
	return nil, errors.New("no answer")
}

// TestSealingHangs: as many reports as are sealed at once wait for a timestamp authority that
// hangs, and a verification of anybody does not wait for them.
func TestSealingHangs(t *testing.T) {
	w := open(t)
	hangs := hangingTSA{make(chan struct{}), make(chan struct{})}
	slow := w.Config
	slow.TSA = hangs
	r, err := registry.New(slow)
	must(t, err)
	s := w.serve(func(c *api.Config) { w.over(c, r) })
	code := ask{method: "POST", path: "/api/v1/verifications", body: []byte(`{"qr":"x"}`), handler: s}
	var wait sync.WaitGroup
	for i := range api.MaxPlaces {
		q := code
		q.path, q.remote = reportPath, fmt.Sprintf("198.51.100.%d:1", i)
		wait.Go(func() {
			if a := w.do(q); a.StatusCode != http.StatusOK {
				t.Errorf("a report: %d", a.StatusCode)
			}
		})
		<-hangs.asked
	}
	code.remote = "203.0.113.1:1"
	if a := w.do(code); a.StatusCode != http.StatusOK {
		t.Errorf("a verification meanwhile: %d", a.StatusCode)
	}
	close(hangs.released)
	wait.Wait()
}
