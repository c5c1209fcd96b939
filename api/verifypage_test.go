package api_test

import (
	"encoding/json"
	"html"
	"math"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"elicence/api"
	"elicence/licence/registry"
	"elicence/verify"
)

// TestReportPage: the page without a script shows every check with its sentence, once,
// what was verified, and the state on the day asked for; with a code of another licence
// it says so.
func TestReportPage(t *testing.T) {
	w := open(t)
	one, two := w.issue(food, "one"), w.issue("food-retail.json", "two")
	file, lifted := w.download(one.Identifier), qrText(t, w.download(two.Identifier))
	for _, c := range []struct {
		name  string
		parts []part
		want  []string
	}{
		{"a file, its code and a day", []part{{"file", "a.pdf", string(file)}, {"qr", "", qrText(t, file)}, {"as_of", "", "2026-06-01"}},
			[]string{`<section class="report good"`, "2026-06-01</span> 的证照状态：", "当天开始时还没有发出，当天结束时有效", "签署范围覆盖整个文件；内容是否改动见“文件内容完整性”", sm3Hex(file), "通过的查验项（<span data-slot=\"count\">14</span> 项）"}},
		{"a file and another code", []part{{"file", "a.pdf", string(file)}, {"qr", "", lifted}},
			[]string{`<section class="report failed"`, "扫到的二维码不是这份文件的二维码", "原因（<span data-slot=\"count\">1 项没有通过</span>）"}},
		{"a code alone", []part{{"file", "", ""}, {"qr", "", qrText(t, file)}, {"as_of", "", ""}},
			[]string{`<section class="report good"`, "没有进行的查验项（<span data-slot=\"count\">10</span> 项）", "二维码真实，证照有效"}},
	} {
		q := formOf(t, c.parts...)
		r := w.reportOn(q)
		q.method, q.path = "POST", "/V"
		a := w.do(q)
		page := string(a.body)
		page, _, _ = strings.Cut(page, `<template id="report-template">`)
		for _, want := range append(c.want, "日志编号</dt><dd class=\"code\">"+a.Header.Get("Elicence-Log-Index")) {
			if !strings.Contains(page, want) {
				t.Errorf("%s: the page lacks %s", c.name, want)
			}
		}
		for _, check := range r["checks"].([]any) {
			m := check.(map[string]any)
			code := `<span data-slot="code">` + m["code"].(string) + `</span>`
			if !strings.Contains(page, `<p data-slot="zh">`+html.EscapeString(m["zh"].(string))+`</p>`) || !strings.Contains(page, code) {
				t.Errorf("%s: the page lacks the sentence or code of %s", c.name, m["name"])
			}
		}
		if n := strings.Count(page, "data-check"); n != 14 {
			t.Errorf("%s: %d checks shown", c.name, n)
		}
	}
	q := formOf(t, part{"file", "", ""}, part{"qr", "", ""}, part{"as_of", "", ""})
	q.method, q.path = "POST", "/V"
	if a := w.do(q); a.StatusCode != 400 || !strings.Contains(string(a.body), "没有收到文件或二维码") {
		t.Errorf("nothing: %d", a.StatusCode)
	}
	q = formOf(t, part{"file", "a.pdf", "x"}, part{"as_of", "", "2126-06-01"})
	q.method, q.path = "POST", "/V"
	if a := w.do(q); a.StatusCode != 422 || !strings.Contains(string(a.body), "日期应为今天或以前的一天") {
		t.Errorf("a day to come: %d", a.StatusCode)
	}
}

// TestLabels: every field that a person fills in has a label, and the script knows
// every part of the report that it fills in.
func TestLabels(t *testing.T) {
	w := open(t)
	page := string(w.do(ask{method: "GET", path: "/V"}).body)
	fields := regexp.MustCompile(`<input type="(?:file|text|date)" id="([a-z-]+)"`).FindAllStringSubmatch(page, -1)
	if len(fields) != 3 {
		t.Fatalf("%d fields", len(fields))
	}
	for _, f := range fields {
		if !strings.Contains(page, `<label class="field" for="`+f[1]+`">`) {
			t.Errorf("field %s has no label", f[1])
		}
	}
	if boxes, labelled := strings.Count(page, `type="checkbox"`), len(regexp.MustCompile(`<label[^>]*><input type="checkbox"[^>]*> [^<]+</label>`).FindAllString(page, -1)); boxes == 0 || boxes != labelled {
		t.Errorf("%d of %d checkboxes have a label", labelled, boxes)
	}
	script := string(w.do(ask{method: "GET", path: "/pages/verify.js"}).body)
	for _, m := range regexp.MustCompile(`(?:slot|showTime)\(\w+, "([a-z-]+)"`).FindAllStringSubmatch(script, -1) {
		if !strings.Contains(page, `data-slot="`+m[1]+`"`) {
			t.Errorf("the page has no place for %s", m[1])
		}
	}
	for _, m := range regexp.MustCompile(`getElementById\("([a-z-]+)"\)`).FindAllStringSubmatch(script, -1) {
		if !strings.Contains(page, `id="`+m[1]+`"`) {
			t.Errorf("the page has no %s", m[1])
		}
	}
	var r map[string]any
	a := w.do(ask{method: "POST", path: "/api/v1/verifications", body: []byte(`{"qr":"x"}`)})
	must(t, json.Unmarshal(a.body, &r))
	for _, check := range r["checks"].([]any) {
		if name := check.(map[string]any)["name"].(string); !strings.Contains(page, "<dt>check-"+name+"</dt>") {
			t.Errorf("the page has no name for %s", name)
		}
	}
}

// TestContrast: every text has 4.5:1 against its ground at least (WCAG 2.2, 1.4.3).
func TestContrast(t *testing.T) {
	w := open(t)
	sheet := string(w.do(ask{method: "GET", path: "/pages/style.css"}).body)
	colours := map[string]string{"white": "#ffffff"}
	for _, m := range regexp.MustCompile(`--([a-z-]+): (#[0-9a-f]{3,6});`).FindAllStringSubmatch(sheet, -1) {
		if len(m[2]) == 4 {
			m[2] = string([]byte{'#', m[2][1], m[2][1], m[2][2], m[2][2], m[2][3], m[2][3]})
		}
		colours[m[1]] = m[2]
	}
	for text, grounds := range map[string]string{
		"ink": "paper ground good-ground warn-ground bad-ground", "soft": "paper ground good-ground warn-ground bad-ground",
		"blue": "paper ground", "good": "paper good-ground", "warn": "paper warn-ground", "bad": "paper bad-ground", "white": "blue good warn bad soft",
	} {
		for ground := range strings.FieldsSeq(grounds) {
			a, b := luminance(t, colours[text]), luminance(t, colours[ground])
			if ratio := (max(a, b) + 0.05) / (min(a, b) + 0.05); ratio < 4.5 {
				t.Errorf("%s on %s: %.2f:1", text, ground, ratio)
			}
		}
	}
}

// luminance is the relative luminance of a colour #rrggbb (WCAG 2.2).
func luminance(t testing.TB, colour string) float64 {
	t.Helper()
	n, err := strconv.ParseUint(strings.TrimPrefix(colour, "#"), 16, 32)
	if err != nil || len(colour) != 7 {
		t.Fatalf("no colour: %q", colour)
	}
	linear := func(c uint64) float64 {
		v := float64(c&255) / 255
		if v <= 0.04045 {
			return v / 12.92
		}
		return math.Pow((v+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(n>>16) + 0.7152*linear(n>>8) + 0.0722*linear(n)
}

// TestRareCharacters: behind a name with a character that screens may draw as a box
// stands what the character is; the script takes the same ones for rare.
func TestRareCharacters(t *testing.T) {
	w := open(t)
	a := w.do(ask{method: "POST", path: "/api/v1/licences", as: approval, key: "rare", body: change(t, food, map[string]any{"holder.name": "杭州𪚥䶮（𪚥）食堂"})})
	var issued registry.Issued
	if a.json(t, &issued); a.StatusCode != http.StatusCreated {
		t.Fatalf("issue: %d %s", a.StatusCode, a.body)
	}
	const want = `杭州𪚥䶮（𪚥）食堂<span class="rare">含罕见字：𪚥（U+2A6A5）</span>`
	q := formOf(t, part{"file", "a.pdf", string(w.download(issued.Identifier))})
	q.method, q.path = "POST", "/V"
	if page := html.UnescapeString(string(w.do(q).body)); strings.Count(page, want) != 1 || strings.Count(page, `class="rare"`) != 1 {
		t.Errorf("the report lacks %s, or has it elsewhere too", want)
	}
	link := strings.TrimPrefix(linkOf(t, w.server, holder), "/holder/sign-in?")
	cookie := w.do(ask{method: "POST", path: "/holder/sign-in", mediaType: "application/x-www-form-urlencoded", body: []byte(link)}).Cookies()[0]
	if page := html.UnescapeString(string(w.do(ask{method: "GET", path: "/holder", header: map[string]string{"Cookie": cookie.Name + "=" + cookie.Value}}).body)); strings.Count(page, want) != 1 || strings.Count(page, `class="rare"`) != 1 {
		t.Errorf("the holder's page lacks %s, or has it elsewhere too", want)
	}
	script := string(w.do(ask{method: "GET", path: "/pages/verify.js"}).body)
	found := regexp.MustCompile(`text\.match\(/(\[.+\])/gu\)`).FindStringSubmatch(script)
	if found == nil {
		t.Fatal("the script has no expression for rare characters")
	}
	rare := regexp.MustCompile(regexp.MustCompile(`\\u([0-9A-F]{4})`).ReplaceAllString(found[1], `\x{$1}`))
	for text, want := range map[string]bool{"a": false, "食": false, "\u9fa5": false, "，（）": false, "\u9fa6": true, "\ue000": true, "𪚥": true, "𰻝": true} {
		if rare.MatchString(text) != want {
			t.Errorf("%q rare to the script: %v", text, !want)
		}
	}
}

// TestBadCount: a check that is undecided is not counted among those that failed.
func TestBadCount(t *testing.T) {
	of := func(results ...verify.Result) (checks []verify.Check) {
		for _, r := range results {
			checks = append(checks, verify.Check{Result: r})
		}
		return checks
	}
	for want, checks := range map[string][]verify.Check{
		"":                of(verify.ResultPassed, verify.ResultNotChecked),
		"1 项没有通过":         of(verify.ResultFailed),
		"2 项无法确认":         of(verify.ResultIndeterminate, verify.ResultPassed, verify.ResultIndeterminate),
		"2 项没有通过，1 项无法确认": of(verify.ResultFailed, verify.ResultIndeterminate, verify.ResultFailed),
	} {
		if got := api.BadCount(checks); got != want {
			t.Errorf("%q; want %q", got, want)
		}
	}
}
