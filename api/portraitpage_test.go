package api_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"image/jpeg"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"elicence/api"
	"elicence/licence"
	"elicence/licence/registry"
	"elicence/licence/registry/registrytest"
	"elicence/licence/render/portrait"
	"elicence/testdata/requests"
)

// photographed is a holder with a licence that has a portrait, and their session.
func (w *world) photographed() (id string, session map[string]string) {
	w.t.Helper()
	body, err := requests.Types.ReadFile("types/special-operation.json")
	must(w.t, err)
	issued, _, err := w.Issue(w.t.Context(), registrytest.Approval(registrytest.PortraitType), registry.IssueRequest{Key: "photographed", Body: body})
	must(w.t, err)
	var asks struct {
		Holder struct {
			Code     string
			CodeType licence.HolderCodeType `json:"code_type"`
		}
	}
	must(w.t, json.Unmarshal(body, &asks))
	_, err = w.PutClient(w.t.Context(), registry.System("test"), registry.Client{ID: "worker", Salt: []byte("s"), SecretHash: registry.HashSecret([]byte("s"), "worker"),
		Roles: []registry.Role{registry.RoleHolder}, HolderCode: asks.Holder.Code, HolderCodeType: asks.Holder.CodeType})
	must(w.t, err)
	return string(issued.Identifier), map[string]string{"Cookie": "elicence_session=" + api.Mint(bytes.Repeat([]byte{7}, 32), 2, "worker", w.Now())}
}

// TestPortraitShown: the page of a presentation holds the portrait itself, which no other answer
// does, has no address of its own, and is kept by nobody; a client is given the same picture.
func TestPortraitShown(t *testing.T) {
	w := open(t)
	id, session := w.photographed()
	form := string(w.do(ask{method: "GET", path: "/holder/consents/new?licence=" + id, header: session}).body)
	if !strings.Contains(form, `value="fields.photo" checked`) || !strings.Contains(form, "证照上的照片") || strings.Contains(form, "sm3:") {
		t.Errorf("the form: %s", form)
	}
	code := func(key string, fields ...string) string {
		values := url.Values{"key": {strings.Repeat(key, 32)}, "licence": {id}, "kind": {"presentation"}, "field": fields, "purpose": {"出示给检查人员"}, "uses": {"2"}, "minutes": {"10"}}
		made := w.do(ask{method: "POST", path: "/holder/consents", header: session, mediaType: "application/x-www-form-urlencoded", body: []byte(values.Encode())})
		return codeIn(t, string(w.do(ask{method: "GET", path: made.Header.Get("Location"), header: session}).body))
	}
	look := func(code string) answer {
		return w.do(ask{method: "POST", path: "/S", mediaType: "application/x-www-form-urlencoded", body: []byte("code=" + code)})
	}
	inline := regexp.MustCompile(`<img class="portrait" src="data:image/jpeg;base64,([^"]+)"`)
	shown := code("a", "number", "fields.photo")
	a := look(shown)
	found := inline.FindSubmatch(a.body)
	if a.StatusCode != 200 || found == nil || strings.Contains(string(a.body), "sm3:") {
		t.Fatalf("shown: %d %s", a.StatusCode, a.body)
	}
	picture, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(string(found[1]), "&#43;", "+"))
	must(t, err)
	if c, err := jpeg.DecodeConfig(bytes.NewReader(picture)); err != nil || c.Width != portrait.Width || c.Height != portrait.Height {
		t.Errorf("the picture: %+v, %v", c, err)
	}
	if policy := a.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "img-src 'self' data:;") || strings.Count(policy, "data:") != 1 || a.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("headers: %v", a.Header)
	}
	b := w.do(ask{method: "POST", path: "/api/v1/presentations", as: verifier, body: []byte(`{"code":"` + shown + `","operator":"0571-08"}`)})
	var got struct{ Licences []struct{ Portrait []byte } }
	if b.json(t, &got); b.StatusCode != 200 || len(got.Licences) != 1 || !bytes.Equal(got.Licences[0].Portrait, picture) {
		t.Errorf("a client is given: %d %.200s", b.StatusCode, b.body)
	}
	if a := look(shown); a.StatusCode != 403 || inline.Match(a.body) || strings.Contains(a.Header.Get("Content-Security-Policy"), "data:") {
		t.Errorf("spent: %d, %v", a.StatusCode, a.Header)
	}
	if a := look(code("b", "number")); a.StatusCode != 200 || inline.Match(a.body) || strings.Contains(a.Header.Get("Content-Security-Policy"), "data:") {
		t.Errorf("not agreed to: %d, %v", a.StatusCode, a.Header)
	}
}
