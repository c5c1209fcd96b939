package licence_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"elicence/licence"
)

// editedItem is the item of food licences with one text more at its beginning.
func editedItem(t testing.TB, members string) (*licence.CatalogueItem, error) {
	t.Helper()
	files := fstest.MapFS{}
	for _, name := range []string{"item.json", "fields.schema.json"} {
		b, err := os.ReadFile("../templates/catalogue/food-business/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if name == "item.json" {
			b = bytes.Replace(b, []byte("{"), []byte("{"+members), 1)
		}
		files["food/"+name] = &fstest.MapFile{Data: b}
	}
	c, err := licence.LoadCatalogue(files)
	if err != nil {
		return nil, err
	}
	return c.Items()[0], nil
}

// TestLifeOfAType: what an item says of a licence's life.
func TestLifeOfAType(t *testing.T) {
	it, err := editedItem(t, `"transferable": true, "renumbers": ["transfer"], "status_codes": {"valid": "01", "expired": "05", "revoked": "07"},`)
	if err != nil || !it.Transferable || it.StatusCodes[licence.StatusExpired] != "05" || it.StatusCodes[licence.StatusSuspended] != "" {
		t.Errorf("%+v, %v", it, err)
	}
	for _, members := range []string{
		`"transferable": "yes",`, `"renumbers": ["revoke"],`, `"renumbers": ["renew", "renew"],`, `"renumbers": ["paint"],`,
		`"status_codes": {"pending": "1"},`, `"status_codes": {"painted": "1"},`, `"status_codes": {"valid": ""},`, `"status_codes": {"valid": "有效"},`,
		`"status_codes": {"valid": "123456789"},`,
	} {
		if it, err := editedItem(t, members); err == nil {
			t.Errorf("%s: %+v", members, it)
		}
	}
	for _, it := range catalogue(t).Items() {
		if it.Transferable || len(it.Renumbers) > 0 || len(it.StatusCodes) > 0 {
			t.Errorf("%s says of its licences' life what no source for it is known to say", it.Name)
		}
	}
}

// TestVersionData: licence data with a version before, and the links that are refused.
func TestVersionData(t *testing.T) {
	first := issue(t, "food-retail")
	second := *first
	var err error
	if second.Identifier, err = first.Identifier.Next(); err != nil {
		t.Fatal(err)
	}
	second.Version, second.Supersedes = 2, first.Identifier
	b, err := second.Data()
	if err != nil || !bytes.Contains(b, []byte(`"certificateAssociatedIdentifier":"`+string(first.Identifier)+`"`)) {
		t.Fatalf("%s, %v", b, err)
	}
	if l, err := licence.ParseData(b); err != nil || l.Supersedes != first.Identifier || l.Version != 2 {
		t.Errorf("read again: %+v, %v", l, err)
	}
	other, err := licence.NewIdentifier(first.TypeCode, first.Authority.Code, "OTHER", 1)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(l *licence.Licence){
		"a second version of nothing":  func(l *licence.Licence) { l.Supersedes = "" },
		"of another licence":           func(l *licence.Licence) { l.Supersedes = other },
		"of itself":                    func(l *licence.Licence) { l.Supersedes = l.Identifier },
		"of no identifier":             func(l *licence.Licence) { l.Supersedes = "x" },
		"a first version of something": func(l *licence.Licence) { *l = *first; l.Supersedes = second.Identifier },
	} {
		l := second
		if change(&l); l.Supersedes == second.Supersedes && l.Version == 2 {
			t.Fatal(name)
		}
		if b, err := l.Data(); err == nil {
			t.Errorf("%s: %s", name, b)
		}
	}
}

// TestIdentifierVersions: 999 versions, each with its own check character, and no more.
func TestIdentifierVersions(t *testing.T) {
	first := issue(t, "food-retail").Identifier
	id := first
	for n := 1; n < licence.MaxVersion; n++ {
		next, err := id.Next()
		if err != nil || next.Version() != n+1 || !id.Precedes(next) || next.Precedes(id) || !first.Precedes(next) {
			t.Fatalf("after %s: %s, %v", id, next, err)
		}
		if parsed, err := licence.ParseIdentifier(string(next)); err != nil || parsed != next {
			t.Fatalf("%s: %v", next, err)
		}
		from, to := next.Versions()
		if next <= from || next >= to || first <= from || first >= to {
			t.Fatalf("%s is not between %s and %s", next, from, to)
		}
		id = next
	}
	if next, err := id.Next(); err == nil {
		t.Errorf("after the last: %s", next)
	}
	longer := licence.Identifier(strings.Replace(string(first), "7K3QXW90VD", "7K3QXW90VD0", 1))
	if from, to := first.Versions(); longer > from && longer < to || first.Precedes(longer) {
		t.Errorf("%s counts as a version of %s", longer, first)
	}
}

// TestVersionLives walks thousands of random lives through ParseVersionRequest, a clock
// beside them that moves from 2026 over leap days and 2038 to 2199: what a new version
// states is what a simple model says, and what is refused has the code that it says.
func TestVersionLives(t *testing.T) {
	t.Parallel()
	it, err := editedItem(t, `"transferable": true,`)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	const lives, steps = 2000, 12
	versions, refused := 0, 0
	for range lives {
		old := issue(t, "food-retail")
		now := time.Date(2026, 4, 8, 4, 0, 0, 0, time.UTC)
		for range steps {
			now = now.AddDate(0, 0, r.IntN(900))
			if now.Year() > 2199 {
				break
			}
			op := []licence.Operation{licence.OpAmend, licence.OpRenew, licence.OpReissue, licence.OpCorrect, licence.OpTransfer}[r.IntN(5)]
			asks, want, code := randomRequest(r, op, old, now)
			body, err := json.Marshal(asks)
			if err != nil {
				t.Fatal(err)
			}
			got, err := it.ParseVersionRequest(op, body, old, old.Authority, licence.DateOf(now))
			var invalid *licence.RequestError
			if code != "" {
				if refused++; !errors.As(err, &invalid) || !strings.Contains(fmt.Sprint(invalid.Fields), code) {
					t.Fatalf("%s %s on %s of %s – %s: %v, want %s", op, body, now, old.EffectiveOn, old.ExpiresOn, err, code)
				}
				continue
			}
			if err != nil {
				t.Fatalf("%s %s on %s of %s – %s: %v", op, body, now, old.EffectiveOn, old.ExpiresOn, err)
			}
			versions++
			if is := fmt.Sprintln(got.Holder, got.Number, got.IssuedOn, got.EffectiveOn, got.ExpiresOn, got.Reason); is != want {
				t.Fatalf("%s %s on %s: %s, want %s", op, body, now, is, want)
			}
			next := *old
			next.Holder, next.IssuedOn, next.EffectiveOn, next.ExpiresOn = got.Holder, got.IssuedOn, got.EffectiveOn, got.ExpiresOn
			if next.Identifier, err = old.Identifier.Next(); err != nil {
				t.Fatal(err)
			}
			next.Version, next.Supersedes = next.Identifier.Version(), old.Identifier
			if b, err := next.Data(); err != nil {
				t.Fatalf("%s: %v", b, err)
			}
			old = &next
		}
	}
	t.Logf("%d lives, %d versions made, %d requests refused", lives, versions, refused)
	if versions < lives || refused < lives {
		t.Error("the lives do too little")
	}
}

// randomRequest makes a request for a new version of old, and says what the version is
// to state, or the code that the request is refused with.
func randomRequest(r *rand.Rand, op licence.Operation, old *licence.Licence, now time.Time) (asks map[string]any, want, code string) {
	day := func(t time.Time) string { return t.In(time.FixedZone("", 8*3600)).Format(time.DateOnly) }
	plus := func(date string, days int) string {
		d, _ := time.Parse(time.DateOnly, date)
		return d.AddDate(0, 0, days).Format(time.DateOnly)
	}
	h, today := old.Holder, day(now)
	issued, effective, expires := today, old.EffectiveOn.String(), old.ExpiresOn.String()
	asks = map[string]any{"reason": "r" + fmt.Sprint(r.IntN(100))}
	switch op {
	case licence.OpAmend:
		h.Name = fmt.Sprintf("样例%d", r.IntN(1e6))
		asks["holder"] = map[string]any{"name": h.Name}
	case licence.OpCorrect:
		issued, h.Name, h.Code = old.IssuedOn.String(), fmt.Sprintf("样例%d", r.IntN(1e6)), "92330106MA0000A35B"
		asks["holder"] = map[string]any{"name": h.Name, "code": h.Code}
	case licence.OpReissue:
		issued = old.IssuedOn.String()
	case licence.OpTransfer:
		h = licence.Holder{Name: "样例", Code: "92330106MA0000A35B", CodeType: "001"}
		if old.Holder.Code == h.Code {
			h.Code = "92330106MA0000A27G"
		}
		asks["holder"] = map[string]any{"name": h.Name, "code": h.Code, "code_type": "001"}
	case licence.OpRenew:
		was := expires
		expires = plus(max(was, today), r.IntN(2000)-200)
		asks["expires_on"] = expires
		if r.IntN(2) == 0 {
			effective = plus(effective, r.IntN(1500)-100)
			asks["effective_on"] = effective
		}
		if expires <= was || expires < today || effective < old.EffectiveOn.String() || effective > plus(was, 1) {
			code = licence.CodeDateOrder
		} else if effective > today {
			code = licence.CodeOutOfRange
		}
	}
	if code == "" && issued > expires {
		code = licence.CodeDateOrder
	}
	if r.IntN(10) == 0 {
		delete(asks, "reason")
		code = licence.CodeMissing
	}
	return asks, fmt.Sprintln(h, old.Number, issued, effective, expires, asks["reason"]), code
}

// FuzzParseVersionRequest: what is accepted makes a licence whose data can be read back,
// and on error nothing is returned.
func FuzzParseVersionRequest(f *testing.F) {
	it, err := editedItem(f, `"transferable": true,`)
	if err != nil {
		f.Fatal(err)
	}
	ops := []licence.Operation{licence.OpAmend, licence.OpRenew, licence.OpReissue, licence.OpCorrect, licence.OpTransfer}
	old := issue(f, "food-retail")
	fields, err := licence.MarshalCanonical(old.Fields)
	if err != nil {
		f.Fatal(err)
	}
	for i := range ops {
		f.Add(byte(i), []byte(`{"reason":"r","holder":{"name":"样例","code":"92330106MA0000A35B","code_type":"001"},"fields":`+string(fields)+`}`))
		f.Add(byte(i), []byte(`{"reason":"r","expires_on":"2036-02-29","effective_on":"2026-04-09","issued_on":"2026-04-09","case_number":"c"}`))
		f.Add(byte(i), []byte(`{"reason":"r","holder":{"name":"样例"}}`))
		f.Add(byte(i), []byte(`{"reason":"r"}`))
	}
	f.Fuzz(func(t *testing.T, op byte, body []byte) {
		q, err := it.ParseVersionRequest(ops[int(op)%len(ops)], body, old, old.Authority, today)
		if err != nil {
			if q.TypeCode != "" || q.Reason != "" || q.Fields != nil {
				t.Fatalf("%v, and %+v", err, q)
			}
			return
		}
		next := *old
		if next.Identifier, err = old.Identifier.Next(); err != nil {
			t.Fatal(err)
		}
		next.Version, next.Supersedes, next.Number, next.Holder, next.Fields = 2, old.Identifier, q.Number, q.Holder, q.Fields
		next.IssuedOn, next.EffectiveOn, next.ExpiresOn = q.IssuedOn, q.EffectiveOn, q.ExpiresOn
		data, err := next.Data()
		if err != nil {
			t.Fatalf("accepted, but %v", err)
		}
		if _, err := licence.ParseData(data); err != nil {
			t.Fatal(err)
		}
	})
}
