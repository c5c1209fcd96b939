package tsa_test

import (
	"bytes"
	"context"
	"encoding/asn1"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"elicence/crypto/cryptotest"
	"elicence/crypto/tsa"
)

// answer is how a server answers a query that it has read.
type answer func(w http.ResponseWriter, r *http.Request, query []byte)

// serving is a server that answers so.
func serving(t *testing.T, answer answer) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/timestamp-reply")
		answer(w, r, query)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// altered is an authority that grants another request than the one it was asked.
func altered(t *testing.T, p *cryptotest.PKI, alter func(*tsa.TimeStampReq)) answer {
	return func(w http.ResponseWriter, _ *http.Request, query []byte) {
		var request tsa.TimeStampReq
		_, err := asn1.Unmarshal(query, &request)
		if err != nil {
			t.Error(err)
		}
		alter(&request)
		w.Write(p.Authority.Respond(mustMarshal(t, request, "")))
	}
}

// abandoned sends the first bytes of a good answer and closes the connection. With
// its length announced or not, the reader must notice.
func abandoned(p *cryptotest.PKI, announced bool, part func(reply []byte) int) answer {
	return func(w http.ResponseWriter, _ *http.Request, query []byte) {
		reply := p.Authority.Respond(query)
		connection, buffered, _ := http.NewResponseController(w).Hijack()
		defer connection.Close()
		fmt.Fprint(buffered, "HTTP/1.1 200 OK\r\nContent-Type: application/timestamp-reply\r\nConnection: close\r\n")
		if announced {
			fmt.Fprintf(buffered, "Content-Length: %d\r\n", len(reply))
		}
		fmt.Fprint(buffered, "\r\n")
		buffered.Write(reply[:part(reply)])
		buffered.Flush()
	}
}

// trickling sends a byte at a time, for ever.
func trickling(w http.ResponseWriter, r *http.Request, _ []byte) {
	for r.Context().Err() == nil {
		w.Write([]byte{0x30})
		w.(http.Flusher).Flush()
		time.Sleep(5 * time.Millisecond)
	}
}

// silent reads the query and says nothing.
func silent(_ http.ResponseWriter, r *http.Request, _ []byte) { <-r.Context().Done() }

// written answers with fixed bytes.
func written(status int, contentType string, body []byte) answer {
	return func(w http.ResponseWriter, _ *http.Request, _ []byte) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		w.Write(body)
	}
}

// TestHostileAuthority: whatever a server does, the client ends in bounded time with
// no token and an error that says what was wrong.
func TestHostileAuthority(t *testing.T) {
	p := cryptotest.New(t)
	const reply, page = "application/timestamp-reply", "<!DOCTYPE html><html><body>Welcome to the network. Please log in.</body></html>"
	elsewhere := serving(t, func(w http.ResponseWriter, _ *http.Request, query []byte) { w.Write(p.Authority.Respond(query)) })
	most := func(reply []byte) int { return len(reply) - 1 }
	none := func([]byte) int { return 0 }
	late := *p.Authority
	late.Now = func() time.Time { return p.Now.Add(5 * time.Minute) }
	early := *p.Authority
	early.Now = func() time.Time { return p.Now.Add(-5 * time.Minute) }
	as := func(a *tsa.Authority) answer {
		return func(w http.ResponseWriter, _ *http.Request, query []byte) { w.Write(a.Respond(query)) }
	}
	for _, c := range []struct {
		name, says string
		answer     answer
	}{
		{"says nothing", "deadline exceeded", silent},
		{"a byte at a time, for ever", "deadline exceeded", trickling},
		{"another imprint", "another message", altered(t, p, func(r *tsa.TimeStampReq) { r.MessageImprint.HashedMessage = make([]byte, 32) })},
		{"another nonce", "another request", altered(t, p, func(r *tsa.TimeStampReq) { r.Nonce.Add(r.Nonce, big.NewInt(1)) })},
		{"the negative nonce", "another request", altered(t, p, func(r *tsa.TimeStampReq) { r.Nonce.Neg(r.Nonce) })},
		{"no nonce", "another request", altered(t, p, func(r *tsa.TimeStampReq) { r.Nonce = nil })},
		{"no certificate", "0 certificates", altered(t, p, func(r *tsa.TimeStampReq) { r.CertReq = false })},
		{"a clock that is fast", "far from the time", as(&late)},
		{"a clock that is slow", "far from the time", as(&early)},
		{"200 with a page", "text/html", written(200, "text/html; charset=utf-8", []byte(page))},
		{"a page that says it is a reply", "malformed reply", written(200, reply, []byte(page))},
		{"a page, endless", "over 64 KiB", written(200, reply, []byte(strings.Repeat(page, 1000)))},
		{"a type that is none", "content type", written(200, "application timestamp", nil)},
		{"a long type", "content type", written(200, strings.Repeat("x", 8000), nil)},
		{"nothing, with 204", "HTTP status 204", written(204, reply, nil)},
		{"busy", "HTTP status 503", written(503, reply, nil)},
		{"elsewhere", "HTTP status 307", func(w http.ResponseWriter, r *http.Request, _ []byte) {
			http.Redirect(w, r, elsewhere, http.StatusTemporaryRedirect)
		}},
		{"a header without end", "exceeded", func(w http.ResponseWriter, _ *http.Request, _ []byte) {
			w.Header().Set("X", strings.Repeat("x", 1<<20))
		}},
		{"goes away before the header", "EOF", func(w http.ResponseWriter, _ *http.Request, _ []byte) {
			connection, _, _ := http.NewResponseController(w).Hijack()
			connection.Close()
		}},
		{"goes away after the header", "EOF", abandoned(p, true, none)},
		{"goes away before the last byte", "EOF", abandoned(p, true, most)},
		{"goes away unannounced after the header", "malformed reply", abandoned(p, false, none)},
		{"goes away unannounced before the last byte", "malformed reply", abandoned(p, false, most)},
		{"goes away in mid-chunk", "EOF", func(w http.ResponseWriter, _ *http.Request, query []byte) {
			w.Write(p.Authority.Respond(query)[:100])
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}},
		{"two replies", "malformed reply", func(w http.ResponseWriter, _ *http.Request, query []byte) {
			one := p.Authority.Respond(query)
			w.Write(append(one, one...))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := tsa.Client{URL: serving(t, c.answer), Rand: p.Client.Rand, Timeout: 300 * time.Millisecond, Now: func() time.Time { return p.Now }}
			began := time.Now()
			token, err := client.Timestamp(context.Background(), message)
			if token != nil || err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("token %v, error %v; want one that says %q", token != nil, err, c.says)
			}
			if len(fmt.Sprint(err)) > 1000 || time.Since(began) > 5*time.Second {
				t.Errorf("an error of %d bytes after %s", len(err.Error()), time.Since(began))
			}
		})
	}
}

// TestWillingAuthority: what an honest one may do is taken.
func TestWillingAuthority(t *testing.T) {
	p := cryptotest.New(t)
	for name, answer := range map[string]answer{
		"parameters of the type": func(w http.ResponseWriter, _ *http.Request, query []byte) {
			w.Header().Set("Content-Type", "Application/Timestamp-Reply; charset=binary")
			w.Write(p.Authority.Respond(query))
		},
		"unannounced length": abandoned(p, false, func(reply []byte) int { return len(reply) }),
		"granted with modifications": func(w http.ResponseWriter, _ *http.Request, query []byte) {
			var granted tsa.TimeStampResp
			_, err := asn1.Unmarshal(p.Authority.Respond(query), &granted)
			must(t, err)
			granted.Status.Status = 1
			w.Write(mustMarshal(t, granted, ""))
		},
	} {
		client := tsa.Client{URL: serving(t, answer), Rand: p.Client.Rand, Now: func() time.Time { return p.Now.Add(3 * time.Minute) }}
		if _, err := client.Timestamp(t.Context(), message); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestEndlessReply reads little of a reply that does not end.
func TestEndlessReply(t *testing.T) {
	megabyte := bytes.Repeat([]byte{0x30}, 1<<20)
	client := tsa.Client{Rand: cryptotest.New(t).Client.Rand, Timeout: 30 * time.Second, URL: serving(t, func(w http.ResponseWriter, r *http.Request, _ []byte) {
		for range 1000 {
			if _, err := w.Write(megabyte); err != nil {
				return
			}
		}
	})}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := client.Timestamp(t.Context(), message)
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; err == nil || got > 8<<20 {
		t.Errorf("%d bytes allocated: %v", got, err)
	}
}
