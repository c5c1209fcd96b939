package tsa_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/asn1"
	"errors"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"elicence/crypto/cryptotest"
	"elicence/crypto/tsa"
	"elicence/testdata/hostile"

	"github.com/emmansun/gmsm/sm3"
)

// rejected is the failure with which a reply refuses; -1 when it grants.
func rejected(t *testing.T, reply []byte) int {
	t.Helper()
	var rejection *tsa.RejectionError
	_, err := tsa.ParseReply(reply)
	if err == nil {
		return -1
	}
	if !errors.As(err, &rejection) || rejection.Status != 2 || rejection.Text == "" {
		t.Fatalf("%v is not a rejection with a reason", err)
	}
	return rejection.FailInfo
}

func TestRespond(t *testing.T) {
	p := cryptotest.New(t)
	for _, c := range []struct {
		name  string
		want  int
		alter func(*tsa.TimeStampReq)
	}{
		{"good", -1, func(*tsa.TimeStampReq) {}},
		{"without a nonce", -1, func(r *tsa.TimeStampReq) { r.Nonce = nil }},
		{"for its policy", -1, func(r *tsa.TimeStampReq) { r.ReqPolicy = []int{2, 25, 561737094, 100} }},
		{"for another policy", 15, func(r *tsa.TimeStampReq) { r.ReqPolicy = []int{1, 2, 3} }},
		{"version 2", 2, func(r *tsa.TimeStampReq) { r.Version = 2 }},
		{"SHA-256", 0, func(r *tsa.TimeStampReq) { r.MessageImprint.HashAlgorithm = algorithm(2, 16, 840, 1, 101, 3, 4, 2, 1) }},
		{"imprint of 20 bytes", 0, func(r *tsa.TimeStampReq) { r.MessageImprint.HashedMessage = make([]byte, 20) }},
		{"extension", 16, func(r *tsa.TimeStampReq) {
			r.Extensions = append(r.Extensions, struct {
				Id       asn1.ObjectIdentifier
				Critical bool `asn1:"optional"`
				Value    []byte
			}{Id: []int{1, 2, 3}, Value: []byte{5, 0}})
		}},
		{"over 4 KiB", 5, func(r *tsa.TimeStampReq) { r.MessageImprint.HashedMessage = make([]byte, 4<<10) }},
	} {
		request := tsa.Request(make([]byte, 32), big.NewInt(7))
		c.alter(&request)
		if got := rejected(t, p.Authority.Respond(mustMarshal(t, request, ""))); got != c.want {
			t.Errorf("%s: failure %d, want %d", c.name, got, c.want)
		}
	}
	good := mustMarshal(t, tsa.Request(make([]byte, 32), nil), "")
	for name, request := range map[string][]byte{"empty": nil, "text": []byte("hello"), "cut": good[:len(good)-1], "a byte more": append(bytes.Clone(good), 0)} {
		if got := rejected(t, p.Authority.Respond(request)); got != 5 {
			t.Errorf("%s: failure %d", name, got)
		}
	}

	without := tsa.Request(make([]byte, 32), nil)
	without.CertReq = false
	if reply := p.Authority.Respond(mustMarshal(t, without, "")); bytes.Contains(reply, p.TSA.Certificate.Raw) {
		t.Error("certificate was sent unasked")
	}
	broken := *p.Authority
	broken.Rand = iotest.ErrReader(errors.New("dry"))
	if got := rejected(t, broken.Respond(good)); got != 25 {
		t.Errorf("without randomness: failure %d", got)
	}
	stopped, told := *p.Authority, []string{}
	stopped.Failed = func(err error) { told = append(told, err.Error()) }
	stopped.Usable = func(at time.Time) error {
		if at.Equal(p.Now) {
			return errors.New("revoked")
		}
		return nil
	}
	if got := rejected(t, stopped.Respond(good)); got != 25 || len(told) != 1 || !strings.Contains(told[0], "revoked") || bytes.Contains(stopped.Respond(good), []byte("revoked")) {
		t.Errorf("not usable: failure %d, told %q", got, told)
	}
	stopped.Now = func() time.Time { return p.Now.Add(time.Second) }
	if got := rejected(t, stopped.Respond(good)); got != -1 {
		t.Errorf("usable again: failure %d", got)
	}
	for _, policy := range []string{"", "1", "3.1", "1.40", "1.2.x", "1.2.-3"} {
		broken := *p.Authority
		broken.Policy = policy
		if got := rejected(t, broken.Respond(good)); got != 25 {
			t.Errorf("policy %q: failure %d", policy, got)
		}
	}
}

// TestRespondRFC: a token in the identifiers of RFC 5652 is one like the other.
func TestRespondRFC(t *testing.T) {
	p := cryptotest.New(t)
	rfc := *p.Authority
	rfc.RFC5652 = true
	imprint := sm3.Sum(message)
	token, err := tsa.ParseReply(rfc.Respond(mustMarshal(t, tsa.Request(imprint[:], nil), "")))
	must(t, err)
	must(t, token.Check(message))
	for _, id := range []asn1.ObjectIdentifier{tsa.OIDSignedData, tsa.OIDSM2WithSM3} {
		if !bytes.Contains(token.Raw, mustMarshal(t, id, "")) {
			t.Errorf("the token lacks %s", id)
		}
	}
	for i := range token.Raw {
		changed := bytes.Clone(token.Raw)
		changed[i] ^= 1
		if again, err := tsa.ParseToken(changed); err == nil && again.Check(message) == nil {
			t.Errorf("byte %d changed, and nobody sees it", i)
		}
	}
}

func TestServeHTTP(t *testing.T) {
	p := cryptotest.New(t)
	good := mustMarshal(t, tsa.Request(make([]byte, 32), nil), "")
	for _, c := range []struct {
		name, method, contentType string
		body                      io.Reader
		want                      int
	}{
		{"query", "POST", "application/timestamp-query", bytes.NewReader(good), 200},
		{"query that is rejected", "POST", "application/timestamp-query", strings.NewReader("x"), 200},
		{"GET", "GET", "application/timestamp-query", nil, 405},
		{"other type", "POST", "application/json", bytes.NewReader(good), 415},
		{"no type", "POST", "", bytes.NewReader(good), 415},
		{"over 4 KiB", "POST", "application/timestamp-query", strings.NewReader(strings.Repeat("x", 4<<10+1)), 400},
		{"body that breaks off", "POST", "application/timestamp-query", iotest.ErrReader(io.ErrUnexpectedEOF), 400},
	} {
		request := httptest.NewRequest(c.method, "/", c.body)
		request.Header.Set("Content-Type", c.contentType)
		recorder := httptest.NewRecorder()
		p.Authority.ServeHTTP(recorder, request)
		if recorder.Code != c.want {
			t.Errorf("%s: status %d, want %d", c.name, recorder.Code, c.want)
		}
		if got := recorder.Header().Get("Content-Type"); c.want == 200 && got != "application/timestamp-reply" {
			t.Errorf("%s: content type %q", c.name, got)
		}
	}
}

// answering is a server that gives one fixed answer.
func answering(t *testing.T, status int, contentType string, body []byte) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		w.Write(body)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func TestClient(t *testing.T) {
	p, foreign := cryptotest.New(t), cryptotest.New(t)
	const reply = "application/timestamp-reply"
	replayed := p.Authority.Respond(mustMarshal(t, tsa.Request(p.MustToken(t, message, p.Now).Imprint, big.NewInt(7)), ""))
	noNonce := p.Authority.Respond(mustMarshal(t, tsa.Request(p.MustToken(t, message, p.Now).Imprint, nil), ""))
	bare := mustMarshal(t, tsa.TimeStampResp{}, "")
	// lying answers the nonce of the request, but over another imprint.
	lying := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var request tsa.TimeStampReq
		_, _ = asn1.Unmarshal(body, &request)
		request.MessageImprint.HashedMessage = make([]byte, 32)
		w.Header().Set("Content-Type", reply)
		w.Write(p.Authority.Respond(mustMarshal(t, request, "")))
	}))
	t.Cleanup(lying.Close)
	stuck := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", reply)
		w.Write([]byte{0x30})
		w.(http.Flusher).Flush()
		<-stuck
	}))
	t.Cleanup(slow.Close)
	t.Cleanup(func() { close(stuck) }) // runs before slow.Close, which waits for the handler

	for name, alter := range map[string]func(*tsa.Client){
		"nobody there":             func(c *tsa.Client) { c.URL = "http://127.0.0.1:1" },
		"no address":               func(c *tsa.Client) { c.URL = "::" },
		"status 500":               func(c *tsa.Client) { c.URL = answering(t, 500, reply, replayed) },
		"a page":                   func(c *tsa.Client) { c.URL = answering(t, 200, "text/html", replayed) },
		"an old token":             func(c *tsa.Client) { c.URL = answering(t, 200, reply, replayed) },
		"a token without nonce":    func(c *tsa.Client) { c.URL = answering(t, 200, reply, noNonce) },
		"granted without a token":  func(c *tsa.Client) { c.URL = answering(t, 200, reply, bare) },
		"empty":                    func(c *tsa.Client) { c.URL = answering(t, 200, reply, nil) },
		"endless":                  func(c *tsa.Client) { c.URL = answering(t, 200, reply, make([]byte, 1<<20)) },
		"another imprint":          func(c *tsa.Client) { c.URL = lying.URL },
		"slower than allowed":      func(c *tsa.Client) { c.URL, c.Timeout = slow.URL, 50*time.Millisecond },
		"another authority":        func(c *tsa.Client) { c.URL = foreign.TSAServer.URL },
		"another policy":           func(c *tsa.Client) { c.Policy = "1.2.3" },
		"policy that is none":      func(c *tsa.Client) { c.Policy = "policy" },
		"no randomness for nonces": func(c *tsa.Client) { c.Rand = iotest.ErrReader(errors.New("dry")) },
	} {
		t.Run(name, func(t *testing.T) {
			client := *p.Client
			client.HTTP = nil
			alter(&client)
			if token, err := client.Timestamp(context.Background(), message); err == nil || token != nil {
				t.Errorf("token %v, error %v", token != nil, err)
			}
		})
	}

	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := p.Client.Timestamp(cancelled, message); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	_, err := (&tsa.Client{URL: p.TSAServer.URL, Rand: rand.Reader, Policy: "1.2.3"}).Timestamp(context.Background(), message)
	var rejection *tsa.RejectionError
	if !errors.As(err, &rejection) || rejection.FailInfo != 15 || !strings.Contains(err.Error(), "policy") {
		t.Errorf("rejection: %v", err)
	}
	token, err := (&tsa.Client{URL: p.TSAServer.URL, Rand: rand.Reader}).Timestamp(context.Background(), message)
	if err != nil || !token.Certificate.Equal(p.TSA.Certificate) {
		t.Errorf("plain client: %v", err)
	}
}

// TestParseReply reads rejections of other shapes.
func TestParseReply(t *testing.T) {
	for name, c := range map[string]struct {
		status tsa.PKIStatusInfo
		fail   int
		text   string
	}{
		"nothing but a status": {tsa.PKIStatusInfo{Status: 3}, -1, ""},
		"no failure bit set":   {tsa.PKIStatusInfo{Status: 2, FailInfo: asn1.BitString{Bytes: []byte{0}, BitLength: 8}}, -1, ""},
		"long text":            {tsa.PKIStatusInfo{Status: 2, StatusString: []asn1.RawValue{{Tag: 12, Bytes: bytes.Repeat([]byte("x"), 999)}}}, -1, strings.Repeat("x", 256)},
	} {
		_, err := tsa.ParseReply(mustMarshal(t, tsa.TimeStampResp{Status: c.status}, ""))
		var rejection *tsa.RejectionError
		if !errors.As(err, &rejection) || rejection.FailInfo != c.fail || rejection.Text != c.text || rejection.Status != c.status.Status {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzRespond(f *testing.F) {
	cryptotest.Fixed(f)
	p := cryptotest.New(f)
	f.Add(mustMarshal(f, tsa.Request(make([]byte, 32), big.NewInt(7)), ""))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, request []byte) {
		var token *tsa.Token
		var err error
		hostile.Within(t, func() { token, err = tsa.ParseReply(p.Authority.Respond(request)) })
		var rejection *tsa.RejectionError
		if err != nil && !errors.As(err, &rejection) && !strings.Contains(err.Error(), "certificates, not 1") {
			t.Errorf("reply is neither a token nor a rejection: %v", err)
		}
		if (err == nil) == (token == nil) {
			t.Errorf("token %v with error %v", token != nil, err)
		}
	})
}

// FuzzParseRequest: what parses marshals to the same bytes, and a refusal leaves nothing.
func FuzzParseRequest(f *testing.F) {
	cryptotest.Fixed(f)
	p := cryptotest.New(f)
	f.Add(mustMarshal(f, tsa.Request(make([]byte, 32), big.NewInt(7)), ""))
	f.Add(mustMarshal(f, tsa.Request(make([]byte, 32), nil), ""))
	f.Fuzz(func(t *testing.T, der []byte) {
		var request tsa.TimeStampReq
		var rejection *tsa.RejectionError
		hostile.Within(t, func() { request, rejection = p.Authority.ParseRequest(der) })
		if rejection != nil {
			if !reflect.DeepEqual(request, tsa.TimeStampReq{}) {
				t.Errorf("%v with a request %+v", rejection, request)
			}
			return
		}
		if got := mustMarshal(t, request, ""); !bytes.Equal(got, der) {
			t.Errorf("%x parses, and marshals to %x", der, got)
		}
	})
}

// FuzzParseReply: what parses marshals to the same bytes, and an error brings no token.
func FuzzParseReply(f *testing.F) {
	cryptotest.Fixed(f)
	p := cryptotest.New(f)
	f.Add(p.Authority.Respond(nil))
	f.Add(p.Authority.Respond(mustMarshal(f, tsa.Request(make([]byte, 32), big.NewInt(7)), "")))
	f.Fuzz(func(t *testing.T, der []byte) {
		var token *tsa.Token
		var err error
		hostile.Within(t, func() { token, err = tsa.ParseReply(der) })
		if (err == nil) == (token == nil) {
			t.Errorf("token %v with error %v", token != nil, err)
		}
		if err != nil {
			return
		}
		var reply tsa.TimeStampResp
		_, err = asn1.Unmarshal(der, &reply)
		must(t, err)
		if !bytes.Equal(mustMarshal(t, reply, ""), der) || !bytes.Equal(reply.TimeStampToken.FullBytes, token.Raw) {
			t.Errorf("%x parses, and marshals to other bytes", der)
		}
	})
}
