package api_test

import (
	"bytes"
	"io"
	"net/http/httptest"
	"testing"
	"time"

	"elicence/audit"
	"elicence/crypto/httpsig"
	"elicence/licence/registry"
	"elicence/licence/registry/registrytest"
)

// held is a body that is held back until something else has happened.
type held struct {
	io.Reader
	meanwhile func()
}

func (h *held) Read(b []byte) (int, error) {
	if h.meanwhile != nil {
		h.meanwhile()
		time.Sleep(120 * time.Millisecond) // longer than the service waits before it looks again
		h.meanwhile = nil
	}
	return h.Reader.Read(b)
}

// hold sends a request of a client whose body is held back.
func (w *world) hold(q ask, meanwhile func()) answer {
	r := httptest.NewRequest(q.method, q.path, &held{bytes.NewReader(q.body), meanwhile})
	r.ContentLength = int64(len(q.body))
	r.Header.Set("Content-Type", "application/json")
	if q.as != "" {
		r.Header.Set("Authorization", "Bearer "+w.token(q.as))
	}
	for name, value := range q.header {
		r.Header.Set(name, value)
	}
	rec := httptest.NewRecorder()
	w.server.ServeHTTP(rec, r)
	return answer{rec.Result(), rec.Body.Bytes()}
}

// TestHeldBack holds a request back, but for its body, until what permits it has ended: a
// request that was authenticated before opens no more than one that begins then.
func TestHeldBack(t *testing.T) {
	t.Parallel()
	disable := func(w *world, _ string) {
		_, err := w.DisableClient(w.t.Context(), registry.System("test"), partner, registry.StatusRequest{Key: "held", Reason: "系统下线"})
		must(w.t, err)
	}
	brake := func(w *world, _ string) {
		b := registry.Brake{ID: "0000000000000000000000000001", Client: partner, Authority: registrytest.Authorities["11100000000013338W901"], Alarm: registry.AlarmBurst, BrakedAt: w.Now()}
		must(w.t, w.Backend.Batch(w.t.Context(), func(tx audit.Tx) error { return tx.(registry.Tx).InsertBrake(w.t.Context(), b) }))
	}
	endKey := func(w *world, key string) {
		_, err := w.EndClientKey(w.t.Context(), registry.System("test"), key, "密钥泄露")
		must(w.t, err)
	}
	requireSignature := func(w *world, _ string) {
		_, err := w.SetAuthentication(w.t.Context(), registry.System("test"), partner, registry.BySignature)
		must(w.t, err)
	}
	unsign := func(w *world, _ string) {
		_, err := w.SetAuthentication(w.t.Context(), registry.System("test"), partner, registry.ByToken)
		must(w.t, err)
	}
	shared := `{"data": {"holderCode": "91330106MA2H41QX6A", "holderTypeCode": "001", "certTypeCode": "` + foodType + `", "useCause": "为餐饮单位办理资质核验", "businessCode": "C-2", "itemCode": "` + matter + `", "username": "李四"}}`
	for name, tt := range map[string]struct {
		signed    bool
		shared    bool
		meanwhile func(w *world, key string)
		code      string
	}{
		"nothing happens":               {meanwhile: func(*world, string) {}},
		"nothing happens, signed":       {signed: true, meanwhile: func(*world, string) {}},
		"the client is disabled":        {meanwhile: disable, code: "token_client_gone"},
		"disabled, a sharing service":   {shared: true, meanwhile: disable, code: "token_client_gone"},
		"disabled, signed":              {signed: true, meanwhile: disable, code: "signature_client_gone"},
		"the brake is put on":           {meanwhile: brake, code: "braked"},
		"the brake, a sharing service":  {shared: true, meanwhile: brake, code: "braked"},
		"the client must sign now":      {meanwhile: requireSignature, code: "signature_required"},
		"the client must not sign now":  {signed: true, meanwhile: unsign, code: "signature_unwanted"},
		"the key of the signature ends": {signed: true, meanwhile: endKey, code: "signature_key_ended"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := open(t)
			q := ask{method: "POST", path: "/api/v1/reuse", as: partner, body: reuseBody(t, nil)}
			if tt.shared {
				q.path, q.body = "/api/gbt36906/queryCertInfoByHolderCode", []byte(shared)
			}
			key := ""
			if tt.signed {
				signer := w.signer(partner, registry.ByEither)
				q.as = ""
				q = w.signed(signer, q)
				key, _ = httpsig.KeyID(signer.Public())
			} else {
				w.token(partner)
			}
			from := w.size()
			a := w.hold(q, func() { tt.meanwhile(w, key); from = w.size() })
			entries := w.since(from)
			if len(entries) != 1 || entries[0].Code != tt.code || entries[0].Principal != partner || (a.StatusCode == 200) != (tt.code == "") {
				t.Errorf("%d %s, logged as %+v, want %q", a.StatusCode, a.body, entries, tt.code)
			}
		})
	}
}
