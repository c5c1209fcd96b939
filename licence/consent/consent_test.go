package consent_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"elicence/licence"
	"elicence/licence/consent"
)

var now = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

// good is a consent that may be made.
func good() consent.Consent {
	return consent.Consent{Kind: consent.Reuse, Fields: []string{"number"}, Purpose: "租房", Uses: 1, MadeAt: now, EndsAt: now.Add(10 * time.Minute)}
}

// TestCheck: each bound of a consent is named by its field.
func TestCheck(t *testing.T) {
	known := func(f string) bool { return f == "number" || f == "fields.a" }
	for name, tt := range map[string]struct {
		change      func(*consent.Consent)
		field, code string
	}{
		"as it is":                    {func(*consent.Consent) {}, "", ""},
		"all at their most":           {func(c *consent.Consent) { c.Uses, c.EndsAt = consent.MaxUses, now.Add(consent.MaxLife) }, "", ""},
		"a receiver":                  {func(c *consent.Consent) { c.Receiver = "11330100002490082C" }, "", ""},
		"no kind":                     {func(c *consent.Consent) { c.Kind = "" }, "kind", licence.CodeNotAllowed},
		"another kind":                {func(c *consent.Consent) { c.Kind = "download" }, "kind", licence.CodeNotAllowed},
		"no field":                    {func(c *consent.Consent) { c.Fields = nil }, "fields", licence.CodeOutOfRange},
		"too many fields":             {func(c *consent.Consent) { c.Fields = slices.Repeat(c.Fields, 101) }, "fields", licence.CodeOutOfRange},
		"a field twice":               {func(c *consent.Consent) { c.Fields = []string{"number", "number"} }, "fields[1]", licence.CodeRepeated},
		"a field of none of them":     {func(c *consent.Consent) { c.Fields = []string{"number", "fields.b"} }, "fields[1]", licence.CodeNotAllowed},
		"no use":                      {func(c *consent.Consent) { c.Uses = 0 }, "uses", licence.CodeOutOfRange},
		"uses below none":             {func(c *consent.Consent) { c.Uses = -1 }, "uses", licence.CodeOutOfRange},
		"too many uses":               {func(c *consent.Consent) { c.Uses = 101 }, "uses", licence.CodeOutOfRange},
		"no time":                     {func(c *consent.Consent) { c.EndsAt = now }, "minutes", licence.CodeOutOfRange},
		"over before it began":        {func(c *consent.Consent) { c.EndsAt = now.Add(-time.Hour) }, "minutes", licence.CodeOutOfRange},
		"too long":                    {func(c *consent.Consent) { c.EndsAt = now.Add(consent.MaxLife + time.Minute) }, "minutes", licence.CodeOutOfRange},
		"a receiver's check digit":    {func(c *consent.Consent) { c.Receiver = "11330100002490082D" }, "receiver", licence.CodeBadHolderCode},
		"no purpose":                  {func(c *consent.Consent) { c.Purpose = " \u3000" }, "purpose", licence.CodeMissing},
		"a purpose too long":          {func(c *consent.Consent) { c.Purpose = strings.Repeat("租", 171) }, "purpose", licence.CodeTooLong},
		"a purpose with a line break": {func(c *consent.Consent) { c.Purpose = "租\n房" }, "purpose", licence.CodeBadCharacter},
		"a purpose turned round":      {func(c *consent.Consent) { c.Purpose = "租\u202e房" }, "purpose", licence.CodeBadCharacter},
		"a purpose in no encoding":    {func(c *consent.Consent) { c.Purpose = "租\xff" }, "purpose", licence.CodeBadCharacter},
	} {
		c := good()
		tt.change(&c)
		err := c.Check(known)
		var wrong *licence.RequestError
		switch {
		case tt.field == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case tt.field != "" && (!errors.As(err, &wrong) || wrong.Fields[0].Field != tt.field || wrong.Fields[0].Code != tt.code):
			t.Errorf("%s: %v, want %s %s", name, err, tt.field, tt.code)
		}
	}
}

// TestOpens: what a consent opens to whom, and that a stranger learns nothing of it.
func TestOpens(t *testing.T) {
	const department, other = "11330100002490082C", "11330100002490170T"
	for name, tt := range map[string]struct {
		change     func(*consent.Consent)
		department string
		at         time.Duration
		want       error
	}{
		"any department":              {func(c *consent.Consent) { c.Receiver = "" }, other, 0, nil},
		"nobody's, for any":           {func(c *consent.Consent) { c.Receiver = "" }, "", 0, nil},
		"its receiver":                {func(*consent.Consent) {}, department, 0, nil},
		"at its last moment":          {func(*consent.Consent) {}, department, 10*time.Minute - 1, nil},
		"another department":          {func(*consent.Consent) {}, other, 0, consent.ErrMismatch},
		"nobody's":                    {func(*consent.Consent) {}, "", 0, consent.ErrMismatch},
		"another kind":                {func(c *consent.Consent) { c.Kind = consent.Presentation }, department, 0, consent.ErrMismatch},
		"over":                        {func(*consent.Consent) {}, department, 10 * time.Minute, consent.ErrExpired},
		"revoked":                     {func(c *consent.Consent) { c.RevokedAt = now }, department, 0, consent.ErrRevoked},
		"spent":                       {func(c *consent.Consent) { c.Used = 1 }, department, 0, consent.ErrSpent},
		"revoked, to another":         {func(c *consent.Consent) { c.RevokedAt = now }, other, 0, consent.ErrMismatch},
		"spent, to another":           {func(c *consent.Consent) { c.Used = 1 }, other, 0, consent.ErrMismatch},
		"over, to another":            {func(*consent.Consent) {}, other, time.Hour, consent.ErrMismatch},
		"revoked when it was over":    {func(c *consent.Consent) { c.RevokedAt = now }, department, time.Hour, consent.ErrRevoked},
		"used more often than agreed": {func(c *consent.Consent) { c.Used = 2 }, department, 0, consent.ErrSpent},
	} {
		c := good()
		c.Receiver = department
		tt.change(&c)
		if err := c.Opens(consent.Reuse, tt.department, now.Add(tt.at)); !errors.Is(err, tt.want) || err != nil && tt.want == nil {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
}

// TestCodes: codes are read as they are and out of a symbol's text, and nothing else is.
func TestCodes(t *testing.T) {
	code, err := consent.NewCode(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if other, _ := consent.NewCode(rand.Reader); other == code || len(code)*5 < 128 {
		t.Errorf("%s, %s", code, other)
	}
	if _, err := consent.NewCode(bytes.NewReader(make([]byte, 19))); err == nil {
		t.Error("a code without randomness")
	}
	for _, text := range []string{code, "HTTPS://EXAMPLE.GOV.CN/S/" + code, "/" + code} {
		if got, ok := consent.ParseCode(text); !ok || got != code {
			t.Errorf("%s: %s %v", text, got, ok)
		}
	}
	for name, text := range map[string]string{
		"nothing": "", "a slash": "/", "one short": code[1:], "one long": code + "A", "small letters": strings.ToLower(code),
		"with spaces": code + " ", "a line break": code + "\n", "no base32": strings.Repeat("1", 32), "after the code": code + "/x", "a text too long": strings.Repeat("/", 300) + code,
	} {
		if got, ok := consent.ParseCode(text); ok {
			t.Errorf("%s: %q", name, got)
		}
	}
}
