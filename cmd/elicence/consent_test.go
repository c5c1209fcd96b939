package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const (
	consentID   = "019ac000000000112233445566aa"
	publicHost  = "HTTPS://ZZ.EXAMPLE.GOV.CN"
	consentCode = "MFRGGZDFMZTWQ2LKNNWG23TPOBYXE43U"
)

// consentServer answers as the service does, or as a test has it.
type consentServer struct {
	*httptest.Server
	answer func(w http.ResponseWriter, r *http.Request)
	asked  []string
	keys   map[string]bool
	body   map[string]any
}

func newConsentServer(t *testing.T) (s *consentServer, flags []string) {
	s = &consentServer{keys: map[string]bool{}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked = append(s.asked, r.Method+" "+r.URL.String())
		s.body = nil
		if raw, _ := io.ReadAll(r.Body); len(raw) > 0 {
			if json.Unmarshal(raw, &s.body) != nil || s.keys[r.Header.Get("Idempotency-Key")] || r.Header.Get("Authorization") != "Bearer abc.def" {
				t.Errorf("%s %s: body %s, headers %v", r.Method, r.URL, raw, r.Header)
			}
			s.keys[r.Header.Get("Idempotency-Key")] = true
		}
		s.answer(w, r)
	}))
	t.Cleanup(s.Close)
	token := filepath.Join(t.TempDir(), "token")
	must(t, os.WriteFile(token, []byte("abc.def\n"), 0o600))
	return s, []string{"--server", s.URL, "--token-file", token}
}

// says has the server give one answer to everything.
func (s *consentServer) says(status int, body string) {
	s.answer = func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

// consents runs a command.
func consents(flags []string, args ...string) (code int, out string) {
	var printed bytes.Buffer
	code = run(append(append([]string{"consent", args[0]}, flags...), args[1:]...), terminal{&printed, &printed})
	return code, printed.String()
}

func consentAnswer(id, status string) string {
	return fmt.Sprintf(`{"id":%q,"kind":"presentation","purpose":"出示\u202e","receiver":"","uses":5,"used":2,"status":%q,"ends_at":"2026-03-01T08:10:00Z"}`, id, status)
}

// TestConsentCommands makes, lists and revokes consents.
func TestConsentCommands(t *testing.T) {
	s, flags := newConsentServer(t)
	s.says(201, consentAnswer(consentID, "standing"))
	making := []string{"make", "--kind", "presentation", "--licence", "a,b", "--licence", "c", "--field", "number", "--purpose", "出示, 给检查人员", "--uses", "5"}
	for range 2 {
		if code, out := consents(flags, making...); code != exitGood || !strings.HasPrefix(out, consentID+"\n") {
			t.Errorf("make: %d %s", code, out)
		}
	}
	if want := `{"fields":["number"],"kind":"presentation","licences":["a,b","c"],"minutes":10,"purpose":"出示, 给检查人员","receiver":"","uses":5}`; compact(t, s.body) != want || s.asked[0] != "POST /api/v1/consents" {
		t.Errorf("asked %s with %s", s.asked, compact(t, s.body))
	}
	if code, out := consents(flags, append(making, "--json")...); code != exitGood || out != consentAnswer(consentID, "standing")+"\n" {
		t.Errorf("make --json: %d %s", code, out)
	}
	s.says(200, consentAnswer(consentID, "revoked"))
	if code, out := consents(flags, "revoke", "../licences?x"); code != exitGood || !strings.Contains(out, "revoked: "+consentID) || s.asked[3] != "POST /api/v1/consents/..%2Flicences%3Fx/revoke" {
		t.Errorf("revoke: %d %s %s", code, out, s.asked)
	}
	s.asked = nil
	s.answer = func(w http.ResponseWriter, r *http.Request) {
		next := map[string]string{"": "a+b=", "a+b=": ""}[r.URL.Query().Get("cursor")]
		fmt.Fprintf(w, `{"consents":[%s],"next_cursor":%q}`, consentAnswer(consentID+next, "standing"), next)
	}
	code, out := consents(flags, "list")
	if lines := strings.Split(out, "\n"); code != exitGood || len(lines) != 3 || !strings.HasPrefix(lines[1], consentID+"\tpresentation\tstanding\t2/5\t2026-03-01 ") || !strings.HasSuffix(lines[0], `出示\u202e`) {
		t.Errorf("list: %d %s", code, out)
	}
	if want := "GET /api/v1/consents?standing=true GET /api/v1/consents?cursor=a%2Bb%3D&standing=true"; strings.Join(s.asked, " ") != want {
		t.Errorf("list asked %s", s.asked)
	}
	if code, out := consents(flags, "list", "--all", "--json"); code != exitGood || strings.Count(out, `{"id"`) != 2 || !strings.HasSuffix(s.asked[2], "?standing=false") {
		t.Errorf("list --all: %d %s", code, out)
	}
}

func compact(t *testing.T, v any) string {
	t.Helper()
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	must(t, encoder.Encode(v))
	return strings.TrimSpace(b.String())
}

// TestConsentRefused: what the service refuses, or what is no answer of its, is said and changes
// no file.
func TestConsentRefused(t *testing.T) {
	s, flags := newConsentServer(t)
	file := filepath.Join(t.TempDir(), "code.png")
	making := []string{"make", "--kind", "reuse", "--licence", "a", "--field", "number", "--purpose", "p"}
	good := codeAnswer(publicHost, consentCode, consentCode)
	for _, c := range []struct {
		what   string
		args   []string
		status int
		answer string
		want   int
		says   string
	}{
		{"a field", making, 422, `{"code":"invalid_request","detail":"d","request_id":"r","errors":[{"field":"fields[0]","code":"not_allowed","detail":"is no field"}]}`, exitUnavailable, "fields[0] is no field"},
		{"too many", making, 409, `{"code":"too_many_consents","detail":"d","request_id":"r"}`, exitUnavailable, "too_many_consents"},
		{"no JSON", making, 201, `<html>`, exitUnavailable, "no answer about a consent"},
		{"another kind", append([]string{"make", "--kind", "download"}, making[3:]...), 201, `{}`, exitUsage, "--kind"},
		{"no purpose", making[:7], 201, `{}`, exitUsage, "--purpose"},
		{"uses that are no number", append(making, "--uses", "x"), 201, `{}`, exitUsage, "--uses"},
		{"no list", []string{"list"}, 200, `[]`, exitUnavailable, "no list"},
		{"no consent in it", []string{"list"}, 200, `{"consents":[1]}`, exitUnavailable, "no consent"},
		{"revoked", []string{"show", consentID}, 409, `{"code":"consent_revoked","detail":"\u001b[2J","request_id":"r"}`, exitUnavailable, `consent_revoked: \x1b[2J`},
		{"no code", []string{"show", consentID}, 200, `{"code":"","qr":"","next_in":60}`, exitUnavailable, "no code"},
		{"another symbol", []string{"show", consentID, "-o", file}, 200, codeAnswer(publicHost, consentCode, "A"+consentCode[1:]), exitUnavailable, "no code"},
		{"a symbol too large", []string{"show", consentID, "-o", file}, 200, codeAnswer("https://"+strings.Repeat("A", 250), consentCode, consentCode), exitUnavailable, "no code"},
		{"letters that no symbol of ours has", []string{"show", consentID, "-o", file}, 200, codeAnswer("https://café", consentCode, consentCode), exitUnavailable, "drawing"},
		{"nowhere to write", []string{"show", "--once", consentID, "-o", filepath.Join(file, "no", "folder")}, 200, good, exitInternal, ""},
		{"no identifier", []string{"show"}, 200, good, exitUsage, ""},
	} {
		s.says(c.status, c.answer)
		if code, out := consents(flags, c.args...); code != c.want || !strings.Contains(out, c.says) || strings.Contains(out, "\x1b[2J") {
			t.Errorf("%s: exits with %d and says %q", c.what, code, out)
		}
		if _, err := os.Stat(file); err == nil {
			t.Fatalf("%s: a file was written", c.what)
		}
	}
}

func codeAnswer(server, code, drawn string) string {
	return fmt.Sprintf(`{"code":%q,"qr":"%s/S/%s","until":"2026-03-01T08:01:30Z","next_in":1}`, code, server, drawn)
}

// TestConsentShow: what is drawn, on the terminal and into a file, is what another decoder reads;
// each code is drawn once, until the consent ends.
func TestConsentShow(t *testing.T) {
	s, flags := newConsentServer(t)
	n := 0
	s.answer = func(w http.ResponseWriter, _ *http.Request) {
		if n++; n > 2 {
			w.WriteHeader(http.StatusConflict)
			fmt.Fprint(w, `{"code":"consent_spent","detail":"d","request_id":"r"}`)
			return
		}
		code := fmt.Sprintf("%c%s", 'A'+n, consentCode[1:])
		fmt.Fprint(w, codeAnswer(publicHost, code, code))
	}
	file := filepath.Join(t.TempDir(), "code.png")
	code, out := consents(flags, "show", consentID, "-o", file)
	if code != exitUnavailable || strings.Count(out, "\n") != 5 || !strings.HasPrefix(out, "B"+consentCode[1:]+"\n") || !strings.Contains(out, "consent_spent") {
		t.Errorf("show: %d %s", code, out)
	}
	wantSymbol(t, file, publicHost+"/S/C"+consentCode[1:])
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v", info, err)
	}
	n = 1
	code, out = consents(flags, "show", "--once", consentID)
	must(t, os.WriteFile(file, photographed(t, out), 0o600))
	if wantSymbol(t, file, publicHost+"/S/C"+consentCode[1:]); code != exitGood || strings.Contains(out, "\x1b[2J") {
		t.Errorf("show --once: %d %q", code, out)
	}
}

// photographed is what a terminal with square half blocks shows of a symbol.
func photographed(t *testing.T, out string) []byte {
	t.Helper()
	var lines []string
	for line := range strings.Lines(out) {
		if line, ok := strings.CutPrefix(line, "\x1b[30;107m"); ok {
			lines = append(lines, strings.TrimSuffix(line, "\x1b[0m\n"))
		}
	}
	const side = 6
	p := image.NewGray(image.Rect(0, 0, side*len([]rune(lines[0])), 2*side*len(lines)))
	for y := range p.Rect.Dy() {
		for x := range p.Rect.Dx() {
			block := []rune(lines[y/side/2])[x/side]
			if black := block == '█' || block == '▀' && y/side%2 == 0 || block == '▄' && y/side%2 == 1; !black {
				p.SetGray(x, y, color.Gray{255})
			}
		}
	}
	var b bytes.Buffer
	must(t, png.Encode(&b, p))
	return b.Bytes()
}

// wantSymbol has zbar read a picture.
func wantSymbol(t *testing.T, file, want string) {
	t.Helper()
	read, err := exec.Command("zbarimg", "--quiet", "--raw", "-Sdisable", "-Sqrcode.enable", file).Output()
	if err != nil || strings.TrimSpace(string(read)) != want {
		t.Errorf("zbarimg reads %q (%v), want %q", read, err, want)
	}
}
