package licence_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"elicence/licence"
	"elicence/testdata/hostile"

	"github.com/google/go-cmp/cmp"
)

// TestMarshalCanonical holds the examples of RFC 8785 that have no fraction, and the
// edges of the profile.
func TestMarshalCanonical(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"RFC 8785 §3.2.3, keys by UTF-16 code units", `{"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew Letter Dalet With Dagesh","1":"One","\ud83d\ude00":"Emoji: Grinning Face","\u0080":"Control","\u00f6":"Latin Small Letter O With Diaeresis"}`,
			"{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\u0080\":\"Control\",\"ö\":\"Latin Small Letter O With Diaeresis\",\"€\":\"Euro Sign\",\"😀\":\"Emoji: Grinning Face\",\"\ufb33\":\"Hebrew Letter Dalet With Dagesh\"}"},
		{"RFC 8785 §3.2.2.2, escapes", `"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/"`, `"€$\u000f\nA'B\"\\\\\"/"`},
		{"short escapes", `"\b\t\n\f\r\u0000\u001f\u007f"`, "\"\\b\\t\\n\\f\\r\\u0000\\u001f\u007f\""},
		{"spaces", " { \"b\" : [ 1 ,\t2 ] ,\r\n \"a\" : { } } ", `{"a":{},"b":[1,2]}`},
		{"integers", `[0,-1,9007199254740991,-9007199254740991]`, `[0,-1,9007199254740991,-9007199254740991]`},
		{"booleans", `[true,false]`, `[true,false]`},
		{"no normalisation", `["\u00e9","e\u0301","\u212b"]`, "[\"\u00e9\",\"e\u0301\",\"\u212b\"]"},
		{"beyond U+FFFF", `"𠅤𪚥𬭼"`, `"𠅤𪚥𬭼"`},
		{"HTML is left alone", `"<a>&</a>"`, `"<a>&</a>"`},
	} {
		v, err := licence.ParseJSON([]byte(c.in))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		got, err := licence.MarshalCanonical(v)
		if err != nil || string(got) != c.want {
			t.Errorf("%s:\n%s, %v; want\n%s", c.name, got, err, c.want)
		}
		again, err := licence.ParseJSON(got)
		if err != nil || !cmp.Equal(again, v) {
			t.Errorf("%s: read again: %v, %v", c.name, cmp.Diff(again, v), err)
		}
	}
}

func TestMarshalCanonicalRefuses(t *testing.T) {
	deep := any("x")
	for range 13 {
		deep = []any{deep}
	}
	for name, v := range map[string]any{
		"fraction": 1.5, "whole float": float64(1), "null": nil, "beyond 2^53-1": int64(1 << 53), "beyond -(2^53-1)": -(1 << 53),
		"invalid UTF-8": "\xff", "half a surrogate": "\xed\xa0\x80", "invalid key": map[string]any{"\xc0\x80": 1},
		"struct": struct{}{}, "list of texts": []string{"a"}, "bytes": []byte("a"), "too deep": deep,
		"inside a list": []any{1.5}, "inside an object": map[string]any{"a": nil},
	} {
		if b, err := licence.MarshalCanonical(v); err == nil || b != nil {
			t.Errorf("%s: %s, %v; want an error", name, b, err)
		}
	}
}

func TestParseJSONRefuses(t *testing.T) {
	for _, c := range []struct{ name, in, field, code string }{
		{"empty", "", "", "malformed_json"},
		{"spaces", " \n", "", "malformed_json"},
		{"byte order mark", "\ufeff{}", "", "malformed_json"},
		{"word", "nul", "", "malformed_json"},
		{"capital word", "True", "", "malformed_json"},
		{"two values", "{}{}", "", "malformed_json"},
		{"behind the end", "{} x", "", "malformed_json"},
		{"open object", `{"a":1`, "", "malformed_json"},
		{"open list", `[1`, "", "malformed_json"},
		{"open text", `"a`, "", "malformed_json"},
		{"comma at the end", `[1,]`, "", "malformed_json"},
		{"comma in an object", `{"a":1,}`, "", "malformed_json"},
		{"no colon", `{"a" 1}`, "", "malformed_json"},
		{"name without quotes", `{a:1}`, "", "malformed_json"},
		{"single quotes", `{'a':1}`, "", "malformed_json"},
		{"comment", `{/**/}`, "", "malformed_json"},
		{"NaN", `NaN`, "", "malformed_json"},
		{"bare line end in a text", "\"a\nb\"", "", "malformed_json"},
		{"bare zero in a text", "\"\x00\"", "", "malformed_json"},
		{"unknown escape", `"\x41"`, "", "malformed_json"},
		{"short escape", `"\u12"`, "", "malformed_json"},
		{"signed escape", `"\u+123"`, "", "malformed_json"},
		{"backslash at the end", `"\`, "", "malformed_json"},
		{"fraction", `{"a":[1.5]}`, "a[0]", "not_an_integer"},
		{"whole fraction", `{"a":1.0}`, "a", "not_an_integer"},
		{"exponent", `{"a":1e3}`, "a", "not_an_integer"},
		{"minus zero", `{"a":-0}`, "a", "not_an_integer"},
		{"leading zero", `{"a":01}`, "a", "not_an_integer"},
		{"minus alone", `{"a":-}`, "a", "not_an_integer"},
		{"beyond 2^53-1", `{"a":9007199254740992}`, "a", "not_an_integer"},
		{"a thousand digits", `{"a":` + strings.Repeat("9", 1000) + `}`, "a", "not_an_integer"},
		{"null", `{"a":null}`, "a", "wrong_type"},
		{"twice", `{"a":1,"b":{"c":1,"c":1}}`, "b.c", "duplicate_member"},
		{"twice by an escape", `{"a":1,"\u0061":1}`, "a", "duplicate_member"},
		{"invalid UTF-8", "{\"a\":\"\xff\"}", "a", "invalid_utf8"},
		{"overlong UTF-8", "{\"a\":\"\xc0\xaf\"}", "a", "invalid_utf8"},
		{"high surrogate", `{"a":"\ud800"}`, "a", "invalid_utf8"},
		{"high surrogate and text", `{"a":"\ud800x"}`, "a", "invalid_utf8"},
		{"two high surrogates", `{"a":"\ud800\ud800"}`, "a", "invalid_utf8"},
		{"low surrogate", `{"a":"\udc00"}`, "a", "invalid_utf8"},
		{"deep", strings.Repeat("[", 13), "[0][0][0][0][0][0][0][0][0][0][0][0]", "too_deep"},
		{"very deep", strings.Repeat(`{"a":`, 50_000), strings.Repeat("a.", 11) + "a", "too_deep"},
		{"20,001 values", "[" + strings.Repeat("["+strings.Repeat("0,", 999)+"0],", 19) + "[" + strings.Repeat("0,", 980) + "0]]", "", "too_many"},
		{"10 MB", `"` + strings.Repeat("x", 10<<20) + `"`, "", "too_large"},
	} {
		v, err := licence.ParseJSON([]byte(c.in))
		var invalid *licence.RequestError
		if v != nil || !errors.As(err, &invalid) || invalid.Fields[0].Field != c.field || invalid.Fields[0].Code != c.code {
			t.Errorf("%s: %v, %.300v; want %s at %q", c.name, v, err, c.code, c.field)
		}
	}
}

func FuzzParseJSON(f *testing.F) {
	f.Add([]byte(`{"a":[1,-2,true,"x\u0000\ud83d\ude00"],"b":{"c":"\/"}}`))
	f.Add([]byte(`{"a":1.5,"a":null}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var v any
		var err error
		hostile.Within(t, func() { v, err = licence.ParseJSON(b) })
		if err != nil {
			if v != nil {
				t.Fatalf("%v with an error", v)
			}
			return
		}
		canonical, err := licence.MarshalCanonical(v)
		if err != nil {
			t.Fatalf("%s parses and does not marshal: %v", b, err)
		}
		again, err := licence.ParseJSON(canonical)
		if err != nil {
			t.Fatalf("%s: %v", canonical, err)
		}
		if twice, err := licence.MarshalCanonical(again); err != nil || !bytes.Equal(twice, canonical) {
			t.Fatalf("%s, then %s, %v", canonical, twice, err)
		}
	})
}
