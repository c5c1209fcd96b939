package licence_test

import (
	"encoding/json"
	"testing"
	"time"

	"elicence/licence"
)

func TestParseDate(t *testing.T) {
	for _, s := range []string{"2026-01-31", "2024-02-29", "2000-02-29", "0001-01-01", "9999-12-31", "1900-01-01"} {
		if d, err := licence.ParseDate(s); err != nil || d.String() != s || d.IsZero() {
			t.Errorf("ParseDate(%q) = %v, %v", s, d, err)
		}
	}
	for _, s := range []string{
		"", "2026", "2026-1-31", "2026-01-1", "26-01-31", "2026/01/31", "2026-02-29", "1900-02-29", "2026-13-01", "2026-00-10",
		"2026-01-00", "2026-01-32", "2026-04-31", "0000-01-01", "-026-01-01", "+026-01-01", "2026-01-31 ", " 2026-01-31",
		"2026-01-31T00:00:00Z", "２０２６-01-31", "20260131", "2026-01-3x", "12026-01-31", "长期",
	} {
		if d, err := licence.ParseDate(s); err == nil || !d.IsZero() {
			t.Errorf("ParseDate(%q) = %v, %v; want an error and the zero date", s, d, err)
		}
	}
}

func TestDateBounds(t *testing.T) {
	d := date("2026-02-28")
	if got, want := d.StartsAt().UTC(), time.Date(2026, 2, 27, 16, 0, 0, 0, time.UTC); !got.Equal(want) {
		t.Errorf("StartsAt %v, want %v", got, want)
	}
	if got, want := d.EndsAt().UTC(), time.Date(2026, 2, 28, 16, 0, 0, 0, time.UTC); !got.Equal(want) {
		t.Errorf("EndsAt %v, want %v", got, want)
	}
	for _, c := range []struct{ at, want string }{
		{"2026-02-28T15:59:59.999999999Z", "2026-02-28"},
		{"2026-02-28T16:00:00Z", "2026-03-01"},
		{"2026-02-28T23:30:00-10:00", "2026-03-01"},
	} {
		at, err := time.Parse(time.RFC3339Nano, c.at)
		if err != nil {
			t.Fatal(err)
		}
		if got := licence.DateOf(at).String(); got != c.want {
			t.Errorf("DateOf(%s) = %s, want %s", c.at, got, c.want)
		}
	}
	if a, b := date("2025-12-31"), date("2026-01-01"); a.Compare(b) != -1 || b.Compare(a) != 1 || a.Compare(a) != 0 || (licence.Date{}).Compare(a) != -1 {
		t.Error("Compare puts dates in the wrong order")
	}
}

func TestDateJSON(t *testing.T) {
	type v struct{ A, B licence.Date }
	b, err := json.Marshal(v{A: date("2026-03-05")})
	if err != nil || string(b) != `{"A":"2026-03-05","B":""}` {
		t.Fatalf("%s, %v", b, err)
	}
	var got v
	if err := json.Unmarshal(b, &got); err != nil || got != (v{A: date("2026-03-05")}) {
		t.Errorf("%v, %v", got, err)
	}
	got.A = date("2020-01-01")
	if err := got.A.UnmarshalText([]byte("2026-02-30")); err == nil || !got.A.IsZero() {
		t.Errorf("bad text left %v, %v; want an error and the zero date", got.A, err)
	}
}

func FuzzDate(f *testing.F) {
	f.Add("2026-01-31")
	f.Add("2024-02-29")
	f.Add("0000-00-00")
	f.Fuzz(func(t *testing.T, s string) {
		d, err := licence.ParseDate(s)
		switch {
		case err != nil && !d.IsZero():
			t.Errorf("%q: %v with an error", s, d)
		case err == nil && (d.String() != s || licence.DateOf(d.StartsAt()) != d || licence.DateOf(d.EndsAt().Add(-1)) != d):
			t.Errorf("%q came back as %s", s, d)
		}
	})
}
