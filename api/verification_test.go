package api_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"elicence/api"
	"elicence/audit"
	"elicence/crypto/pdfsig"
	"elicence/licence"
	"elicence/licence/registry/registrytest"
	"elicence/verify"

	"github.com/google/go-cmp/cmp"
)

// report is the answer to a verification.
type report struct {
	Indication    string `json:"indication"`
	SubIndication string `json:"sub_indication"`
	LicenceState  string `json:"licence_state"`
	Tone          string `json:"tone"`
	Origin        string `json:"origin"`
	Headline      struct {
		ZH string `json:"zh"`
	} `json:"headline"`
	Checks  []struct{ Name, Result, Code string } `json:"checks"`
	Licence map[string]string                     `json:"licence"`
}

func (w *world) verify(q ask) report {
	w.t.Helper()
	q.method, q.path = "POST", "/api/v1/verifications"
	a := w.do(q)
	var r report
	if a.json(w.t, &r); a.StatusCode != http.StatusOK {
		w.t.Fatalf("verification: %d %s", a.StatusCode, a.body)
	}
	return r
}

// multipartOf is an upload as a browser sends it.
func multipartOf(t testing.TB, file []byte) (mediaType string, body []byte) {
	t.Helper()
	var b bytes.Buffer
	m := multipart.NewWriter(&b)
	part, err := m.CreateFormFile("file", "证照.pdf")
	must(t, err)
	part.Write(file)
	must(t, m.Close())
	return m.FormDataContentType(), b.Bytes()
}

// qrText is the text of a file's QR code, made from the message attached to it; that
// the drawn symbol says the same is proved when a licence is issued.
func qrText(t testing.TB, file []byte) string {
	t.Helper()
	f, err := pdfsig.Read(file)
	must(t, err)
	text, err := licence.NewQRText(registrytest.PublicURL, f.Attachments["qr.cbor"])
	must(t, err)
	return text.String()
}

// TestVerification verifies a licence in each form, genuine, changed, and after
// each change of its status. Only a genuine file of a valid licence is good.
func TestVerification(t *testing.T) {
	w := open(t)
	issued := w.issue(food, "v")
	file := w.download(issued.Identifier)
	qr, err := json.Marshal(map[string]string{"qr": qrText(t, file)})
	must(t, err)
	mediaType, upload := multipartOf(t, file)
	forms := []ask{
		{mediaType: "application/pdf", body: file},
		{mediaType: mediaType, body: upload},
		{body: qr},
		{as: verifier, mediaType: "application/pdf", body: file},
	}
	for _, step := range []struct{ action, state, tone string }{
		{"", "valid", "good"}, {"suspend", "suspended", "unusable"}, {"resume", "valid", "good"}, {"revoke", "revoked", "unusable"},
	} {
		if step.action != "" {
			w.do(ask{method: "POST", path: "/api/v1/licences/" + string(issued.Identifier) + "/" + step.action, as: approval, key: step.action, body: []byte(`{"reason":"r"}`)})
		}
		for i, q := range forms {
			if q.as != "" {
				w.token(q.as)
			}
			before := w.size()
			r := w.verify(q)
			if r.Indication != "TotalPassed" || r.LicenceState != step.state || r.Tone != step.tone || r.Licence["number"] != issued.Number {
				t.Errorf("form %d after %q: %+v", i, step.action, r)
			}
			if e := w.since(before); len(e) != 1 || e[0].Action != "verify" || e[0].Result != audit.ResultAllowed || e[0].Code != "TotalPassed" || e[0].Object != string(issued.Identifier) {
				t.Errorf("form %d after %q: log %+v", i, step.action, e)
			}
		}
	}
}

// TestNotALicence: what is not genuine gets a report, red, that says nothing of a
// licence; it is not an error.
func TestNotALicence(t *testing.T) {
	w := open(t)
	file := w.download(w.issue(food, "v").Identifier)
	changed := bytes.Clone(file)
	changed[len(file)/3] ^= 1
	for name, q := range map[string]ask{
		"flipped bit":       {mediaType: "application/pdf", body: changed},
		"one byte appended": {mediaType: "application/pdf", body: append(bytes.Clone(file), '\n')},
		"cut off":           {mediaType: "application/pdf", body: file[:len(file)-1]},
		"not a PDF":         {mediaType: "application/pdf", body: []byte("hello")},
		"empty file":        {mediaType: "application/pdf", body: nil},
		"not a QR code":     {body: []byte(`{"qr":"https://zz.example.gov.cn/V#123"}`)},
		"another address":   {body: []byte(`{"qr":"hello"}`)},
	} {
		r := w.verify(q)
		if r.Indication != "TotalFailed" || r.Tone != "failed" || r.Licence != nil || r.LicenceState != "unknown" {
			t.Errorf("%s: %+v", name, r)
		}
		e := w.since(w.size() - 1)[0]
		if e.Code != "TotalFailed/"+r.SubIndication || e.Object != "" {
			t.Errorf("%s: log %+v", name, e)
		}
	}
}

// TestRateLimit: an address that asks too often is refused before the gate; the
// refusals of a minute are one entry. Others, and whoever has a token, are not held up.
func TestRateLimit(t *testing.T) {
	w := open(t)
	q := ask{method: "POST", path: "/api/v1/verifications", body: []byte(`{"qr":"x"}`), remote: "198.51.100.7:1"}
	limited := 0
	before := w.size()
	for range 40 {
		if a := w.do(q); a.StatusCode == http.StatusTooManyRequests {
			limited++
			if p := problemIn(t, a); p.Code != "rate_limited" || a.Header.Get("Retry-After") != "2" || a.Header.Get("Elicence-Log-Index") != "" {
				t.Fatalf("%+v %v", p, a.Header)
			}
		}
	}
	if limited != 10 || w.size() != before+30 {
		t.Errorf("%d of 40 refused, %d entries", limited, w.size()-before)
	}
	q.remote = "198.51.100.8:1"
	if a := w.do(q); a.StatusCode != http.StatusOK {
		t.Errorf("another address: %d", a.StatusCode)
	}
	q.remote, q.as = "198.51.100.7:1", verifier
	if a := w.do(q); a.StatusCode != http.StatusOK {
		t.Errorf("with a token: %d", a.StatusCode)
	}
	before = w.size()
	w.server.Close()
	if e := w.since(before); len(e) != 1 || e[0].Code != "rate_limited*10" || e[0].Principal != "anonymous" || e[0].Action != "verify" || e[0].RequestID != "elicence:summed" {
		t.Errorf("log after a minute: %+v", e)
	}
}

// TestTally runs the minutes: refusals are logged as one a minute after the first
// of them, and where that fails, a minute later with those that came since.
func TestTally(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at sync.Mutex // guards what follows
		var logged, told []string
		away := false
		l := api.NewTally(func(count int) error {
			at.Lock()
			defer at.Unlock()
			if away {
				return errors.New("away")
			}
			logged = append(logged, strconv.Itoa(count))
			return nil
		}, func(err error) {
			at.Lock()
			defer at.Unlock()
			told = append(told, err.Error())
		})
		seen := func() (string, string) {
			at.Lock()
			defer at.Unlock()
			return strings.Join(logged, " "), strings.Join(told, " ")
		}
		for i, step := range []struct {
			add          int
			away         bool
			logged, told string
		}{
			{3, false, "3", ""}, {1, false, "3 1", ""}, {0, false, "3 1", ""},
			{2, true, "3 1", "away"}, {4, true, "3 1", "away away"}, {0, false, "3 1 6", "away away"},
		} {
			before, _ := seen()
			at.Lock()
			away = step.away
			at.Unlock()
			for range step.add {
				l.Add()
			}
			synctest.Wait()
			if now, _ := seen(); now != before {
				t.Fatal("logged before the minute was over")
			}
			time.Sleep(time.Minute + time.Second)
			synctest.Wait()
			if logged, told := seen(); logged != step.logged || told != step.told {
				t.Errorf("after %d minutes: logged %s, told %s", i+1, logged, told)
			}
		}
	})
}

// TestManySenders: senders are kept only so many at once, and the one not heard of
// for longest makes place for a new one, who has a limit of their own.
func TestManySenders(t *testing.T) {
	l, now := api.NewLimiter(), time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	exhaust := func(sender string) (allowed int) {
		for range 40 {
			if l.Take(sender, now) {
				allowed++
			}
		}
		return allowed
	}
	exhaust("oldest")
	exhaust("old")
	for i := range api.MaxSenders - 2 {
		l.Take(strconv.Itoa(i), now)
	}
	l.Take("oldest", now) // which makes old the oldest
	for i := range 100 {
		if n := exhaust("more " + strconv.Itoa(i)); n != 30 {
			t.Fatalf("%d of 40 allowed to new sender %d", n, i)
		}
	}
	if l.Take("oldest", now) || !l.Take("old", now) || l.Senders() != api.MaxSenders {
		t.Errorf("the wrong one was forgotten, or none: %d kept", l.Senders())
	}
}

// TestTones: without a register, or without anchors, nothing is good.
func TestTones(t *testing.T) {
	w := open(t)
	file := w.download(w.issue(food, "t").Identifier)
	for _, c := range []struct {
		name, indication, tone, headline string
		verifier                         func(verify.Register) *verify.Verifier
	}{
		{"no register", "TotalPassed", "unchecked", "文件真实；证照当前状态未核验", func(verify.Register) *verify.Verifier { return &verify.Verifier{Anchors: w.PKI.Anchors} }},
		{"no anchors", "Indeterminate", "undecided", "", func(r verify.Register) *verify.Verifier { return &verify.Verifier{Register: r} }},
	} {
		s := w.serve(func(config *api.Config) { config.Verifier = c.verifier })
		r := w.verify(ask{mediaType: "application/pdf", body: file, handler: s})
		if r.Indication != c.indication || r.Tone != c.tone || !strings.HasPrefix(r.Headline.ZH, c.headline) {
			t.Errorf("%s: %+v", c.name, r)
		}
		mediaType, body := multipartOf(t, file)
		page := string(w.do(ask{method: "POST", path: "/V", mediaType: mediaType, body: body, handler: s}).body)
		if !strings.Contains(page, `<section class="report `+c.tone+`"`) || !strings.Contains(page, r.Headline.ZH) {
			t.Errorf("%s: the page does not say so", c.name)
		}
	}
}

// TestStrangers: failed authentications of one address fill the log only so far.
func TestStrangers(t *testing.T) {
	w := open(t)
	w.token(approval)
	before := w.size()
	bad := ask{method: "GET", path: "/api/v1/licences/" + string(otherIdentifier(t)), header: map[string]string{"Authorization": "Bearer x"}, remote: "203.0.113.9:1"}
	statuses := map[int]int{}
	for range 50 {
		statuses[w.do(bad).StatusCode]++
	}
	form := ask{method: "POST", path: "/api/v1/oauth/token", mediaType: "application/x-www-form-urlencoded", remote: bad.remote,
		body: []byte("grant_type=client_credentials&client_id=a&client_secret=b")}
	statuses[w.do(form).StatusCode]++
	if diff := cmp.Diff(map[int]int{401: 20, 429: 31}, statuses); diff != "" || w.size() != before+20 {
		t.Errorf("%s\n%d entries", diff, w.size()-before)
	}
	good := ask{method: "GET", path: bad.path, as: approval, remote: bad.remote}
	if a := w.do(good); a.StatusCode != http.StatusNotFound {
		t.Errorf("a good token from the same address: %d %s", a.StatusCode, a.body)
	}
	before = w.size()
	w.server.Close()
	if e := w.since(before); len(e) != 1 || e[0].Code != "rate_limited*31" || e[0].Action != "authenticate" {
		t.Errorf("log: %+v", e)
	}
}

// TestGuessing: guessing a client's secret is bounded at an address, and so are
// made-up names; no other client is locked out there, and the client nowhere else.
func TestGuessing(t *testing.T) {
	w := open(t)
	token := func(remote, id, secret string) int {
		return w.do(ask{method: "POST", path: "/api/v1/oauth/token", mediaType: "application/x-www-form-urlencoded", remote: remote + ":1",
			body: []byte("grant_type=client_credentials&client_id=" + id + "&client_secret=" + secret)}).StatusCode
	}
	const there, elsewhere = "203.0.113.9", "203.0.113.10"
	before := w.size()
	guessed, madeUp := map[int]int{}, map[int]int{}
	for i := range 50 {
		guessed[token(there, partner, "x")]++
		madeUp[token(there, "nobody-"+strconv.Itoa(i), "x")]++
	}
	want := map[int]int{401: 20, 429: 30}
	if diff := cmp.Diff([]map[int]int{want, want}, []map[int]int{guessed, madeUp}); diff != "" || w.size() != before+40 {
		t.Errorf("%s\n%d entries", diff, w.size()-before)
	}
	for _, c := range []struct {
		remote, id string
		status     int
	}{{there, approval, 200}, {there, partner, 429}, {elsewhere, partner, 200}, {there, "nobody", 429}} {
		if got := token(c.remote, c.id, c.id); got != c.status {
			t.Errorf("%s at %s: %d", c.id, c.remote, got)
		}
	}
}

// TestForeignForms: forms of other sites fill the log only so far.
func TestForeignForms(t *testing.T) {
	w := open(t)
	before := w.size()
	statuses := map[int]int{}
	for range 20 {
		for _, path := range []string{"/V", "/holder/sign-in", "/holder/sign-out"} {
			statuses[w.do(ask{method: "POST", path: path, mediaType: "application/x-www-form-urlencoded", header: map[string]string{"Sec-Fetch-Site": "cross-site"}}).StatusCode]++
		}
	}
	if diff := cmp.Diff(map[int]int{403: 20, 429: 40}, statuses); diff != "" || w.size() != before+20 {
		t.Errorf("%s\n%d entries", diff, w.size()-before)
	}
}

// TestRemote: limits count by IPv4 address, by /64, and behind a proxy by what it says.
func TestRemote(t *testing.T) {
	w := open(t)
	proxied := w.serve(func(c *api.Config) { c.BehindProxy = true })
	for _, c := range []struct {
		name  string
		a, b  ask
		alike bool
	}{
		{"two ports", ask{remote: "192.0.2.1:1"}, ask{remote: "192.0.2.1:2"}, true},
		{"one /64", ask{remote: "[2001:db8::1]:1"}, ask{remote: "[2001:db8::2]:1"}, true},
		{"two /64", ask{remote: "[2001:db8:0:1::1]:1"}, ask{remote: "[2001:db8:0:2::1]:1"}, false},
		{"IPv4 as IPv6", ask{remote: "[::ffff:192.0.2.9]:1"}, ask{remote: "192.0.2.9:1"}, true},
		{"forwarded without a proxy", ask{remote: "192.0.2.3:1", header: forwarded("10.0.0.1")}, ask{remote: "192.0.2.3:1", header: forwarded("10.0.0.2")}, true},
		{"forwarded by a proxy", ask{remote: "192.0.2.4:1", header: forwarded("10.0.0.9, 10.1.0.1"), handler: proxied}, ask{remote: "192.0.2.4:1", header: forwarded("10.0.0.9, 10.1.0.2"), handler: proxied}, false},
		{"the client's own claim", ask{remote: "192.0.2.4:1", header: forwarded("1.1.1.1, 10.2.0.1"), handler: proxied}, ask{remote: "192.0.2.4:1", header: forwarded("2.2.2.2, 10.2.0.1"), handler: proxied}, true},
	} {
		send := func(q ask) int {
			q.method, q.path, q.body = "POST", "/api/v1/verifications", []byte(`{"qr":"x"}`)
			return w.do(q).StatusCode
		}
		for range 30 {
			send(c.a)
		}
		if got := send(c.b) == http.StatusTooManyRequests; got != c.alike {
			t.Errorf("%s: counted together %v", c.name, got)
		}
	}
}

func forwarded(list string) map[string]string { return map[string]string{"X-Forwarded-For": list} }

// TestStatedOnly: a verification shows what the paper shows, never a holder's code.
func TestStatedOnly(t *testing.T) {
	w := open(t)
	issued := w.issue(food, "v")
	file := w.download(issued.Identifier)
	a := w.do(ask{method: "POST", path: "/api/v1/verifications", mediaType: "application/pdf", body: file})
	var code struct {
		Holder struct{ Code string }
	}
	must(t, json.Unmarshal(sample(t, food), &code))
	var r report
	a.json(t, &r)
	delete(r.Licence, "identifier")
	for i, c := range r.Checks {
		if strings.Contains(fmt.Sprint(c), code.Holder.Code) {
			t.Errorf("check %d shows the holder's code", i)
		}
	}
	if bytes.Contains(a.body, []byte(code.Holder.Code)) {
		t.Errorf("the report shows the holder's code: %s", a.body)
	}
	if len(r.Licence) != 8 {
		t.Errorf("shown: %v", r.Licence)
	}
}

// TestLogUnavailable: with the log away nothing is answered but that.
func TestLogUnavailable(t *testing.T) {
	w := open(t)
	issued := w.issue(food, "v")
	must(t, w.Config.Log.Close())
	for name, q := range map[string]ask{
		"issue":        {method: "POST", path: "/api/v1/licences", as: approval, key: "k", body: sample(t, food)},
		"read":         {method: "GET", path: "/api/v1/licences/" + string(issued.Identifier), as: approval},
		"download":     {method: "GET", path: "/api/v1/licences/" + string(issued.Identifier) + "/file", as: approval},
		"revoke":       {method: "POST", path: "/api/v1/licences/" + string(issued.Identifier) + "/revoke", as: approval, key: "k", body: []byte(`{"reason":"r"}`)},
		"verification": {method: "POST", path: "/api/v1/verifications", body: []byte(`{"qr":"x"}`)},
		"a refusal":    {method: "GET", path: "/api/v1/licences/" + string(issued.Identifier)},
	} {
		a := w.do(q)
		if p := problemIn(t, a); p.Status != 503 || p.Code != "log_unavailable" || a.Header.Get("Retry-After") == "" {
			t.Errorf("%s: %+v", name, p)
		}
		if bytes.Contains(a.body, []byte("%PDF")) || bytes.Contains(a.body, []byte(licence.StatusValid)) {
			t.Errorf("%s: something got out: %s", name, a.body)
		}
	}
	a := w.do(ask{method: "POST", path: "/api/v1/oauth/token", mediaType: "application/x-www-form-urlencoded",
		body: []byte("grant_type=client_credentials&client_id=" + approval + "&client_secret=" + approval)})
	if a.StatusCode != 503 || !bytes.Contains(a.body, []byte("temporarily_unavailable")) || bytes.Contains(a.body, []byte("access_token")) {
		t.Errorf("token: %d %s", a.StatusCode, a.body)
	}
	if len(w.failed.all()) == 0 {
		t.Error("the operator was not told")
	}
}
