package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestImportCommand sends a licence to a server that does as it is told.
func TestImportCommand(t *testing.T) {
	var status int
	var answer, key string
	var sent map[string][]byte
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key, sent = r.Method+" "+r.URL.Path+" "+r.Header.Get("Authorization")+" "+r.Header.Get("Idempotency-Key"), map[string][]byte{}
		form, err := r.MultipartReader()
		for err == nil {
			part, end := form.NextPart()
			if end != nil {
				break
			}
			sent[part.FormName()], err = io.ReadAll(part)
		}
		if err != nil {
			t.Error(err)
		}
		w.WriteHeader(status)
		fmt.Fprint(w, answer)
	}))
	defer server.Close()
	dir := t.TempDir()
	path := func(name, content string) string {
		p := filepath.Join(dir, name)
		must(t, os.WriteFile(p, []byte(content), 0o600))
		return p
	}
	token, request, file := path("token", "abc\n"), path("request.json", `{"number":"1"}`), path("a.ofd", "PK\x00\xff")
	of := func(verdict string, more string) string {
		return `{"identifier":"1.2.156","verdict":"` + verdict + `","codes":["external_unsigned"]` + more + `}`
	}
	for _, c := range []struct {
		name   string
		status int
		answer string
		args   []string
		want   int
		says   string
	}{
		{"valid", 201, of("valid", ""), []string{request, file}, exitGood, "已导入 imported: 1.2.156"},
		{"there already", 200, of("valid", `,"repeated":true`), []string{request, file}, exitGood, "there already"},
		{"undecided", 201, of("indeterminate", ""), []string{request, file}, exitUndecided, "external_unsigned"},
		{"no file", 201, of("no_file", ""), []string{request}, exitUndecided, "no_file"},
		{"invalid, with a reason", 201, of("invalid", ""), []string{request, file}, exitBad, "invalid"},
		{"JSON", 201, of("valid", ""), []string{"--json", request, file}, exitGood, `{"identifier":"1.2.156"`},
		{"moves the cursor", 201, of(`\u001b[2J`, ""), []string{request, file}, exitUndecided, `\x1b[2J`},
		{"refused", 422, `{"code":"import_invalid","detail":"altered","request_id":"r","errors":[{"field":"file","code":"external_content_changed","detail":"is why"}]}`, []string{request, file}, exitUnavailable, "file is why (external_content_changed)"},
		{"no answer to an import", 200, "{}", []string{request, file}, exitUnavailable, "no answer"},
		{"no request", 201, "", []string{filepath.Join(dir, "none")}, exitNoInput, ""},
		{"no such file", 201, "", []string{request, filepath.Join(dir, "none")}, exitNoInput, ""},
	} {
		status, answer = c.status, c.answer
		var printed bytes.Buffer
		args := append([]string{"import", "--server", server.URL, "--token-file", token}, c.args...)
		if code := run(args, terminal{&printed, &printed}); code != c.want || !strings.Contains(printed.String(), c.says) {
			t.Errorf("%s: exits with %d and says %q", c.name, code, printed.String())
		}
	}
	keyOf := func(args ...string) string {
		status, answer = 201, of("valid", "")
		run(append([]string{"import", "--server", server.URL, "--token-file", token}, args...), terminal{new(bytes.Buffer), new(bytes.Buffer)})
		return key
	}
	first := keyOf(request, file)
	if !strings.HasPrefix(first, "POST /api/v1/licences/imports Bearer abc import-") || string(sent["request"]) != `{"number":"1"}` || string(sent["file"]) != "PK\x00\xff" {
		t.Errorf("sent %q with %q", sent, first)
	}
	if keyOf(request, file) != first || keyOf(request) == first || keyOf(path("other.json", `{"number":"2"}`), file) == first {
		t.Error("the key does not go by the content")
	}
}
