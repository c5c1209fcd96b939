package api_test

import (
	"bytes"
	"io"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"elicence/audit"
	"elicence/crypto/httpsig"
	"elicence/licence/brake"
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
		b := registry.Brake{ID: "0000000000000000000000000001", Client: partner, Authority: registrytest.Authorities["11100000000013338W901"], Alarm: brake.AlarmBurst, BrakedAt: w.Now()}
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

// TestAttempts repeats steps of docs/attempts.md that no other test holds: each is answered by
// a status, and leaves the entries that it says, of an action with a result and code.
func TestAttempts(t *testing.T) {
	t.Parallel()
	w := open(t)
	id := string(w.issue(food, "attempts").Identifier)
	const neighbour = "partner-market" // of another department
	_, err := w.PutClient(t.Context(), registry.System("test"), registry.Client{ID: neighbour, Roles: []registry.Role{registry.RolePartner},
		Authority: registrytest.Authorities[foodType], Salt: []byte("s"), SecretHash: registry.HashSecret([]byte("s"), neighbour)})
	must(t, err)
	made := w.do(ask{method: "POST", path: "/api/v1/reuse/copies", as: partner, key: "attempts",
		body: []byte(`{"identifier": "` + id + `", "purpose": "为餐饮单位办理资质核验", "case_number": "C-2", "matter_code": "` + matter + `", "operator": "李四"}`)})
	var copied struct{ Copy string }
	if made.json(t, &copied); made.StatusCode != 201 {
		t.Fatalf("%d %s", made.StatusCode, made.body)
	}
	file, copyPath := "/api/v1/licences/"+id+"/file", "/api/v1/reuse/copies/"+copied.Copy
	etag := w.do(ask{method: "GET", path: copyPath, as: partner}).Header.Get("ETag")
	for _, name := range []string{partner, neighbour} {
		w.token(name)
	}
	for _, tt := range []struct {
		step, method, path, as string
		header                 map[string]string
		status                 int
		entry                  string // empty: none
	}{
		{"15 a file", "GET", file, partner, nil, 403, "download refused forbidden"},
		{"16 an encoded slash", "GET", "/api/v1/licences/" + id + "%2Ffile", partner, nil, 403, "download refused forbidden"},
		{"17 a slash twice", "GET", "/api/v1//licences/" + id + "/file", partner, nil, 404, ""},
		{"17 up and down, encoded", "GET", "/api/v1/reuse/copies/%2e%2e%2f%2e%2e%2flicences%2f" + id + "%2ffile", partner, nil, 404, ""},
		{"17 up and down", "GET", "/api/v1/reuse/copies/../../licences/" + id + "/file", partner, nil, 404, ""},
		{"17 a semicolon", "GET", file + ";x=1", partner, nil, 404, ""},
		{"17 capitals", "GET", "/API/v1/licences/" + id + "/file", partner, nil, 404, ""},
		{"18 a line feed", "GET", "/api/v1/licences/" + id + "%0a/file", partner, nil, 404, "download refused not_found"},
		{"20 HEAD", "HEAD", file, partner, nil, 405, ""},
		{"20 a method in small letters", "get", file, partner, nil, 405, ""},
		{"21 a condition", "GET", file, partner, map[string]string{"If-None-Match": "*"}, 403, "download refused forbidden"},
		{"21 another method by header", "POST", file, partner, map[string]string{"X-HTTP-Method-Override": "GET"}, 405, ""},
		{"21 another user by header", "GET", file, partner, map[string]string{"X-Forwarded-User": approval}, 403, "download refused forbidden"},
		{"22 a page", "GET", "/holder/licences/" + id + "/file", partner, nil, 401, ""},
		{"23 one's own copy", "GET", copyPath, partner, nil, 200, "copy_download allowed "},
		{"23 … if it has changed", "GET", copyPath, partner, map[string]string{"If-None-Match": etag}, 200, "copy_download allowed "},
		{"23 … four bytes of it", "GET", copyPath, partner, map[string]string{"Range": "bytes=0-3"}, 200, "copy_download allowed "},
		{"23 … if it is newer", "GET", copyPath, partner, map[string]string{"If-Modified-Since": "Wed, 21 Oct 2035 07:28:00 GMT"}, 200, "copy_download allowed "},
		{"35 another's copy", "GET", copyPath, neighbour, nil, 404, "copy_download refused out_of_reach"},
		{"35 … if it has changed", "GET", copyPath, neighbour, map[string]string{"If-None-Match": etag}, 404, "copy_download refused out_of_reach"},
		{"35 … four bytes of it", "GET", copyPath, neighbour, map[string]string{"Range": "bytes=0-3"}, 404, "copy_download refused out_of_reach"},
		{"35 … in capitals", "GET", "/api/v1/reuse/copies/" + strings.ToUpper(copied.Copy), neighbour, nil, 404, "copy_download refused not_found"},
		{"36 nobody", "GET", copyPath, "", nil, 401, "copy_download refused unauthenticated"},
	} {
		r := httptest.NewRequest(strings.ToUpper(tt.method), tt.path, nil)
		r.Method = tt.method
		if tt.as != "" {
			r.Header.Set("Authorization", "Bearer "+w.token(tt.as))
		}
		for name, value := range tt.header {
			r.Header.Set(name, value)
		}
		before, rec := w.size(), httptest.NewRecorder()
		w.server.ServeHTTP(rec, r)
		var logged []string
		for _, e := range w.since(before) {
			logged = append(logged, string(e.Action)+" "+string(e.Result)+" "+e.Code)
		}
		want := []string{tt.entry}
		if tt.entry == "" {
			want = nil
		}
		if rec.Code != tt.status || !slices.Equal(logged, want) {
			t.Errorf("%s: %d, logged as %q, want %d and %q: %.200s", tt.step, rec.Code, logged, tt.status, want, rec.Body)
		}
	}
}
