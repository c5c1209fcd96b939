package main

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestVisible(t *testing.T) {
	for in, want := range map[string]string{
		"":                                "",
		"证照 good.pdf":                     "证照 good.pdf",
		"杭州䶮记𠮷　é́🙂":                       "杭州䶮记𠮷　é́🙂",
		`C:\x1b\it's "quoted"`:            `C:\x1b\it's "quoted"`,
		"a\nb.pdf: 文件真实，证照有效":             `a\nb.pdf: 文件真实，证照有效`,
		"a\rb\tc\v\f\a\b\x00":             `a\rb\tc\v\f\a\b\x00`,
		"\x1b[2J\x1b]0;t\x07":             `\x1b[2J\x1b]0;t\a`,
		"\x7f":                            `\x7f`,
		"\u009b31m\u0085":                 `\u009b31m\u0085`,
		"\x9b31m":                         `\x9b31m`,
		"cut \xe4\xbd":                    `cut \xe4\xbd`,
		"\ufffd":                          "\ufffd",
		"fdp.\u202edoog":                  `fdp.\u202edoog`,
		"\u202a\u202b\u202c\u202d":        `\u202a\u202b\u202c\u202d`,
		"\u2066\u2067\u2068\u2069":        `\u2066\u2067\u2068\u2069`,
		"\u200e\u200f\u061c":              `\u200e\u200f\u061c`,
		"a\u200bb\u200dc\ufeffd\u00ade":   `a\u200bb\u200dc\ufeffd\u00ade`,
		"\u2028\u2029":                    `\u2028\u2029`,
		"\U000e0001\U000e0041":            `\U000e0001\U000e0041`,
		strings.Repeat("\x1b", 3) + "好\n": `\x1b\x1b\x1b好\n`,
	} {
		if got := visible(in); got != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
	if got := visibleLines("a\x1b\nb\r\n"); got != "a\\x1b\nb\\r\n" {
		t.Errorf("lines: %q", got)
	}
}

func FuzzVisible(f *testing.F) {
	f.Add("a\x1b\u202e\xff")
	f.Fuzz(func(t *testing.T, s string) {
		got := visible(s)
		if !utf8.ValidString(got) || visible(got) != got || strings.ContainsAny(got, "\x1b\n\r\x7f\u202e\u2066\u009b") {
			t.Errorf("%q: %q", s, got)
		}
	})
}

// TestHostileNames has every command print names that would fool a terminal.
func TestHostileNames(t *testing.T) {
	dir := t.TempDir()
	writeSamples(t, dir)
	t.Chdir(dir)
	const name = "a\n\x1b[2J\u202efdp.pdf"
	good, err := os.ReadFile("good.pdf")
	must(t, err)
	must(t, os.WriteFile(name, good, 0o644))
	for _, args := range [][]string{
		{"verify", "--anchors", "anchors.pem", name},
		{"verify", "--anchors", name + "missing", "good.pdf"},
		{"verify", "--anchors", name, "good.pdf"},
		{"verify", "--anchors", "anchors.pem", "--trust", name, "good.pdf"},
		{"verify", "missing" + name, name},
		{"inspect", "missing" + name},
		{"inspect", "--extract", name, "good.pdf"},
		{"audit", "verify", "--policy", "policy", name},
		{"audit", "verify", "--policy", "policy", "missing" + name},
		{"audit", "verify", "--policy", name, "export"},
		{"inspect", "--" + name, "good.pdf"},
		{name},
	} {
		var out bytes.Buffer
		code := run(args, terminal{&out, &out})
		text := out.String()
		// What a file is called stays on its line; the parser of the command line is not asked for that.
		named := strings.Contains(text, `a\n\x1b[2J\u202efdp.pdf`) || code == exitUsage && strings.Contains(text, `\x1b[2J\u202efdp.pdf`)
		if !named || strings.ContainsAny(text, "\x1b\u202e") {
			t.Errorf("%q (code %d): %q", args, code, text)
		}
	}
	empty := name + "empty"
	must(t, os.WriteFile(empty, nil, 0o644))
	var out bytes.Buffer
	if code := run([]string{"inspect", empty}, terminal{&out, &out}); code != exitBad || strings.Count(out.String(), "\n") != 1 {
		t.Errorf("code %d: %q", code, out.String())
	}
}

// TestHostileSubjects prints what a certificate may say of itself.
func TestHostileSubjects(t *testing.T) {
	var out bytes.Buffer
	must(t, printInspection(terminal{&out, &out}, inspection{Maker: "CN=a\nb\x1b[1m", Signer: "CN=\u202efdp\u009b"}))
	if text := out.String(); !strings.Contains(text, `CN=a\nb\x1b[1m`) || !strings.Contains(text, `CN=\u202efdp\u009b`) ||
		strings.ContainsAny(text, "\x1b\u202e\u009b") {
		t.Errorf("%q", text)
	}
	out.Reset()
	if code := complain(terminal{&out, &out}, errors.Join(errors.New("one\x1b"), errors.New("two\u2067"))); code != exitInternal ||
		out.String() != "elicence: one\\x1b\ntwo\\u2067\n" {
		t.Errorf("code %d: %q", code, out.String())
	}
}
