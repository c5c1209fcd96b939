package render_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"elicence/licence/render"
	"elicence/templates"
	"elicence/testdata/hostile"
)

// small is a layout in as few lines as there are rules about it.
const small = `{
  "page": {"width": 210, "height": 148},
  "ground": {"colour": "#ffffff", "waves": "#eeeeee", "inset": 12, "rose": "#eeeeee", "rose_radius": 20},
  "frame": {"style": "lines", "inset": 5, "band": 6, "colours": ["#aa0000", "#aa0000", "#aa0000"], "tint": ""},
  "styles": {
    "default": {"face": "song", "size": 12, "min": 8, "leading": 1.3, "colour": "#000000", "align": "left", "valign": "top"}
  },
  "pages": [
    [
      {"kind": "text", "x": 20, "y": 20, "w": 100, "h": 10, "text": "{holder.name}"},
      {"kind": "table", "x": 20, "y": 40, "w": 100, "h": 40, "list": "fields.items", "row": 8, "columns": [{"title": "A", "w": 50, "text": "{item}"}]}
    ]
  ],
  "continuation": [
    {"kind": "table", "x": 20, "y": 20, "w": 100, "h": 100}
  ],
  "qr": {"page": 1, "x": 150, "y": 20, "size": 30},
  "seal": {"page": 1, "x": 160, "y": 100, "diameter": 42}
}
`

// copied is the layout as a duplicate of itself, without its styles.
var copied = small[:strings.Index(small, `  "styles"`)] + small[strings.Index(small, `  "pages"`):len(small)-1]

// TestLayoutErrors spoils the layout in one place each and wants the file, the
// line and the reason.
func TestLayoutErrors(t *testing.T) {
	cases := []struct {
		name, old, new string
		line           int
		says           string
	}{
		{"syntax", `"lines", "inset"`, `"lines" "inset"`, 4, "invalid character"},
		{"unknown member", `"rose_radius": 20}`, `"rose_radius": 20, "script": "x"}`, 3, `unknown field "script"`},
		{"wrong type", `"height": 148`, `"height": "148"`, 2, "must be float64"},
		{"two values", "\n}\n", "\n}\n{}", 20, "more than one JSON value"},
		{"page too small", `"width": 210`, `"width": 10`, 2, "50 to 1200 mm"},
		{"no default style", `"default"`, `"plain"`, 5, `"default"`},
		{"unknown face", `"face": "song"`, `"face": "kai"`, 6, `unknown face "kai"`},
		{"no size", `"size": 12, "min"`, `"min"`, 5, `"default"`},
		{"least above size", `"min": 8`, `"min": 13`, 6, "min between"},
		{"bad colour", `"#000000"`, `"black"`, 6, "#rrggbb"},
		{"bad ground", `"waves": "#eeeeee"`, `"waves": "grey"`, 3, "#rrggbb"},
		{"unknown frame", `"style": "lines"`, `"style": "dragon"`, 4, "frame must have"},
		{"huge inset", `"inset": 5`, `"inset": 1e300`, 4, "an eighth"},
		{"huge rosette", `"rose_radius": 20`, `"rose_radius": 1e9`, 3, "outside the page"},
		{"huge stroke", `"text": "{holder.name}"`, `"text": "", "stroke": 99`, 10, "stroke"},
		{"unknown kind", `"kind": "text"`, `"kind": "image"`, 10, `unknown kind "image"`},
		{"unknown reference", `{holder.name}`, `{holder.salary}`, 10, "{holder.salary}"},
		{"reference without end", `{holder.name}`, `{holder.name`, 10, "without end"},
		{"unknown format", `{holder.name}`, `{holder.name|upper}`, 10, "malformed reference"},
		{"outside the page", `"x": 20, "y": 20, "w": 100, "h": 10`, `"x": 120, "y": 20, "w": 100, "h": 10`, 10, "outside the page"},
		{"negative", `"x": 20, "y": 20, "w": 100, "h": 10,`, `"x": -1, "y": 20, "w": 100, "h": 10,`, 10, "outside the page"},
		{"spread value", `"text": "{holder.name}"`, `"text": "{holder.name}", "align": "spread"`, 10, "fixed text"},
		{"unknown style", `"text": "{holder.name}"`, `"text": "{holder.name}", "style": "big"`, 10, `unknown style "big"`},
		{"unknown member of an element", `"text": "{holder.name}"`, `"text": "{holder.name}", "onclick": ""`, 10, `unknown field "onclick"`},
		{"wrong type in an element", `"text": "{holder.name}"`, `"text": 7`, 10, "text must be string"},
		{"text on the symbol", `"x": 20, "y": 20, "w": 100, "h": 10,`, `"x": 60, "y": 20, "w": 100, "h": 10,`, 10, "lies on the QR symbol"},
		{"table of no field", `"list": "fields.items"`, `"list": "holder.name"`, 11, "must be a field"},
		{"columns too wide", `"w": 50, "text"`, `"w": 150, "text"`, 11, "wider than the table"},
		{"no continuation", `"kind": "table", "x": 20, "y": 20`, `"kind": "box", "x": 20, "y": 20`, 11, "continuation"},
		{"symbol too small", `"size": 30`, `"size": 20`, 17, "27.6 mm"},
		{"symbol outside", `"x": 150, "y": 20, "size": 30`, `"x": 190, "y": 20, "size": 30`, 17, "must lie on a page"},
		{"symbol on no page", `"page": 1, "x": 150`, `"page": 2, "x": 150`, 17, "must lie on a page"},
		{"seal outside", `"x": 160, "y": 100`, `"x": 205, "y": 100`, 18, "must lie on a page"},
		{"seal on the symbol", `"x": 160, "y": 100`, `"x": 160, "y": 50`, 18, "lies on the QR symbol"},
		{"seal too large", `"diameter": 42`, `"diameter": 80`, 18, "30 to 60 mm"},
		{"co-seal outside", `"diameter": 42}`, `"diameter": 42}, "co_seals": [{"x": 20, "y": 100, "diameter": 42}]`, 18, "must lie on a page"},
		{"co-seal of no size", `"diameter": 42}`, `"diameter": 42}, "co_seals": [{"x": 100, "y": 100}]`, 18, "30 to 60 mm"},
		{"co-seal on the symbol", `"diameter": 42}`, `"diameter": 42}, "co_seals": [{"x": 150, "y": 60, "diameter": 42}]`, 18, "lies on the QR symbol"},
		{"co-seal on the seal", `"diameter": 42}`, `"diameter": 42}, "co_seals": [{"x": 119, "y": 100, "diameter": 42}]`, 18, "on each other"},
		{"co-seals on each other", `"diameter": 42}`, `"diameter": 42}, "co_seals": [{"x": 60, "y": 100, "diameter": 40}, {"x": 99, "y": 100, "diameter": 40}]`, 18, "on each other"},
		{"three co-seals", `"diameter": 42}`, `"diameter": 42}, "co_seals": [{"x": 30, "y": 100, "diameter": 30}, {"x": 61, "y": 100, "diameter": 30}, {"x": 92, "y": 100, "diameter": 30}]`, 18, "at most 2"},
		{"co-seal on a page of its own", `"diameter": 42}`, `"diameter": 42}, "co_seals": [{"page": 1, "x": 100, "y": 100, "diameter": 42}]`, 2, `unknown field "page"`},
		{"co-sealer without a co-seal", `{holder.name}`, `{co_sealer.1.name}`, 10, "0 co_seals"},
		{"co-sealer of no number", `{holder.name}`, `{co_sealer.3.name}`, 10, "unknown reference"},
		{"riding seal on the symbol", `"diameter": 42}`, `"diameter": 42}, "riding_seal": true`, 18, "riding seal lies on the QR symbol"},
		{"riding seal by name", `"diameter": 42}`, `"diameter": 42}, "riding_seal": "city"`, 18, "must be bool"},
		{"riding seal of one page", small[strings.Index(small, ",\n      {\"kind\": \"table\""):], "]], \"qr\": {\"page\": 1, \"x\": 20, \"y\": 40, \"size\": 30},\n" +
			"\"seal\": {\"page\": 1, \"x\": 160, \"y\": 100, \"diameter\": 42},\n\"riding_seal\": true}", 12, "several pages"},
		{"riding seal on a low page", small[strings.Index(small, `  "page"`):], strings.NewReplacer(`"height": 148`, `"height": 58`, `"w": 100, "h": 100}`, `"w": 90, "h": 30}`, `"h": 40, "list"`, `"h": 10, "list"`,
			`"x": 150, "y": 20,`, `"x": 125, "y": 5,`, `"x": 160, "y": 100, "diameter": 42}`, `"x": 100, "y": 29, "diameter": 30}, "riding_seal": true`).Replace(small[strings.Index(small, `  "page"`):]), 18, "too small for a riding seal"},
		{"portrait of no field", `{"kind": "text", "x": 20`, `{"kind": "portrait", "field": "holder.name", "x": 20`, 10, "must be a field"},
		{"portrait without a field", `{"kind": "text", "x": 20`, `{"kind": "portrait", "x": 20`, 10, "must be a field"},
		{"stretched portrait", `{"kind": "text", "x": 20, "y": 20, "w": 100, "h": 10, "text": "{holder.name}"}`,
			`{"kind": "portrait", "field": "fields.photo", "x": 20, "y": 20, "w": 30, "h": 32}`, 10, "as 358 to 441"},
		{"tiny portrait", `{"kind": "text", "x": 20, "y": 20, "w": 100, "h": 10, "text": "{holder.name}"}`,
			`{"kind": "portrait", "field": "fields.photo", "x": 20, "y": 20, "w": 12.99, "h": 16}`, 10, "20 mm high"},
		{"portrait on the symbol", `{"kind": "text", "x": 20, "y": 20, "w": 100, "h": 10, "text": "{holder.name}"}`,
			`{"kind": "portrait", "field": "fields.photo", "x": 150, "y": 40, "w": 25.98, "h": 32}`, 10, "QR symbol"},
		{"portraits of two fields", `{"kind": "text", "x": 20, "y": 20, "w": 100, "h": 10, "text": "{holder.name}"},`,
			`{"kind": "portrait", "field": "fields.photo", "x": 20, "y": 20, "w": 25.98, "h": 32},` + "\n" + `{"kind": "portrait", "field": "fields.face", "x": 60, "y": 20, "w": 25.98, "h": 32},`, 11, "one field"},
		{"duplicate without pages", `"diameter": 42}`, `"diameter": 42}, "duplicates": [{}]`, 18, "50 to 1200 mm"},
		{"duplicate of two kinds", `"diameter": 42}`, `"diameter": 42}, "duplicates": [` + copied + `]}` + "\n{", 34, "more than one JSON value"},
		{"duplicate with styles of its own", `"diameter": 42}`, `"diameter": 42}, "duplicates": [{"styles": {}}]`, 18, `unknown field "styles"`},
		{"duplicate's text outside the page", `"diameter": 42}`, `"diameter": 42}, "duplicates": [` + strings.Replace(copied, `"x": 20, "y": 20`, `"x": 190, "y": 20`, 1) + `]`, 24, "outside the page"},
		{"duplicate's reference", `"diameter": 42}`, `"diameter": 42}, "duplicates": [` + strings.Replace(copied, `{holder.name}`, `{holder.salary}`, 1) + `]`, 24, "{holder.salary}"},
		{"duplicate's colour", `"diameter": 42}`, `"diameter": 42}, "duplicates": [` + strings.Replace(copied, `"#eeeeee"`, `"grey"`, 1) + `]`, 20, "#rrggbb"},
		{"duplicate's symbol", `"diameter": 42}`, `"diameter": 42}, "duplicates": [` + strings.Replace(copied, `"size": 30`, `"size": 20`, 1) + `]`, 31, "the symbol must be"},
		{"duplicate's seal", `"diameter": 42}`, `"diameter": 42}, "duplicates": [` + strings.Replace(copied, `"diameter": 42`, `"diameter": 90`, 1) + `]`, 32, "30 to 60 mm"},
		{"second duplicate's seal", `"diameter": 42}`, `"diameter": 42}, "duplicates": [` + copied + `, ` + strings.Replace(copied, `"diameter": 42`, `"diameter": 90`, 1) + `]`, 47, "30 to 60 mm"},
		{"many pages", `"pages": [`, `"pages": [` + strings.Repeat("[], ", 20), 8, "at most 20 pages"},
		{"many elements", `"pages": [`, `"pages": [[` + strings.Repeat("{}, ", 1_000) + `{}], `, 8, "1000 elements"},
		{"four duplicates", `"diameter": 42}`, `"diameter": 42}, "duplicates": [` + strings.Join([]string{copied, copied, copied, copied}, ", ") + `]`, 63, "at most 3"},
		{"duplicates beside co-seals", `"diameter": 42}`, `"diameter": 42}, "co_seals": [{"x": 60, "y": 100, "diameter": 40}], "duplicates": [` + copied + `]`, 18, "none beside co_seals"},
		{"no pages", small[strings.Index(small, `  "pages"`):strings.Index(small, `  "qr"`)], "  \"pages\": [],\n", 8, "needs a page"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if strings.Count(small, c.old) == 0 {
				t.Fatalf("%q is not in the layout", c.old)
			}
			text := strings.Replace(small, c.old, c.new, 1)
			_, err := render.LoadLayouts(fstest.MapFS{"x/layout.json": {Data: []byte(text)}})
			want := fmt.Sprintf("x/layout.json:%d: ", c.line)
			if err == nil || !strings.HasPrefix(err.Error(), want) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %s… %s", err, want, c.says)
			}
		})
	}
	if _, err := render.LoadLayouts(fstest.MapFS{"x/layout.json": {Data: []byte(small)}}); err != nil {
		t.Errorf("the layout itself: %v", err)
	}
	if _, err := render.LoadLayouts(fstest.MapFS{}); err == nil {
		t.Error("no layout at all was accepted")
	}
}

// TestCheckSeals holds seals of other sizes than the layout expects to its places.
func TestCheckSeals(t *testing.T) {
	const mm = 72 / 25.4
	l := layouts(t)["joint-acceptance"] // circles of 42 mm, 84 mm apart, 45 above the symbol's upper edge at 249
	for _, tt := range []struct {
		name        string
		joint, main [2]float64
		says        string
	}{
		{"as expected", [2]float64{42, 42}, [2]float64{42, 42}, ""},
		{"touching", [2]float64{108, 30}, [2]float64{60, 30}, ""},
		{"cutting", [2]float64{109, 30}, [2]float64{60, 30}, "on each other"},
		{"on the symbol", [2]float64{42, 42}, [2]float64{50, 50}, "QR symbol"},
		{"over the edge", [2]float64{127, 30}, [2]float64{30, 30}, "on a page"},
		{"over the edge on the left", [2]float64{30, 30}, [2]float64{127, 30}, "on a page"},
	} {
		scale := func(s [2]float64) [2]float64 { return [2]float64{s[0] * mm, s[1] * mm} }
		err := l.CheckSeals(scale(tt.joint), scale(tt.main))
		if (err == nil) != (tt.says == "") || err != nil && !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.says)
		}
	}
	if err := l.CheckSeals([2]float64{42 * mm, 42 * mm}); err == nil || !strings.Contains(err.Error(), "not 1") {
		t.Errorf("one seal for two places: %v", err)
	}
	if places := l.CoSealPlacements(); len(places) != 1 || places[0].Page != 1 || places[0].X < l.SealPlacement().X {
		t.Errorf("co-seals at %+v", places)
	}
}

// FuzzLayout reads any file: a layout, or an error that names the file.
func FuzzLayout(f *testing.F) {
	f.Add([]byte(small))
	f.Add([]byte(`{"pages": [[{}], [`))
	f.Add([]byte(`{"page": {"width": 1e300}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var got map[string]*render.Layout
		var err error
		hostile.Within(t, func() { got, err = render.LoadLayouts(fstest.MapFS{"x/layout.json": {Data: data}}) })
		if (err == nil) != (got["x"] != nil) || err != nil && !strings.HasPrefix(err.Error(), "x/layout.json:") {
			t.Fatalf("%v, %v", got, err)
		}
	})
}

// property is what we look at in a catalogue item's schema.
type property struct {
	Type      string `json:"type"`
	MaxLength int    `json:"maxLength"`
	Pattern   string `json:"pattern"`
	Format    string `json:"format"`
	Enum      []any  `json:"enum"`
	Ref       string `json:"$ref"`
	Items     struct {
		Properties map[string]property `json:"properties"`
	} `json:"items"`
}

// schema reads the properties of a layout's catalogue item.
func schema(t *testing.T, name string) map[string]property {
	t.Helper()
	data, err := fs.ReadFile(templates.Catalogue(), name+"/fields.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var s struct {
		Properties map[string]property `json:"properties"`
	}
	if err := json.Unmarshal(data, &s); err != nil {
		t.Fatal(err)
	}
	return s.Properties
}

var reference = regexp.MustCompile(`fields\.([a-z_0-9]+)`)

// TestFieldsOfCatalogue checks that every field of the catalogue is printed, and
// that nothing is printed that the catalogue does not have.
func TestFieldsOfCatalogue(t *testing.T) {
	for name := range layouts(t) {
		data, err := os.ReadFile("../../templates/layouts/" + name + "/layout.json")
		if err != nil {
			t.Fatal(err)
		}
		properties := schema(t, name)
		seen := map[string]bool{}
		for _, m := range reference.FindAllStringSubmatch(string(data), -1) {
			seen[m[1]] = true
			if _, ok := properties[m[1]]; !ok {
				t.Errorf("%s prints fields.%s, which the catalogue does not have", name, m[1])
			}
		}
		for key, p := range properties {
			if !seen[key] {
				t.Errorf("%s does not print fields.%s", name, key)
			}
			for member := range p.Items.Properties {
				if !strings.Contains(string(data), "{"+member) {
					t.Errorf("%s does not print the member %s of fields.%s", name, member, key)
				}
			}
		}
	}
}

// TestLongestFits checks that what the catalogue allows has room: every free
// text at its greatest length.
func TestLongestFits(t *testing.T) {
	for name, l := range layouts(t) {
		for key, p := range schema(t, name) {
			if p.Type != "string" || p.MaxLength == 0 || p.Pattern != "" || p.Enum != nil {
				continue
			}
			lic := sample(t, name)
			lic.Fields[key] = strings.Repeat("国", p.MaxLength)
			if err := l.Check(fonts(t), lic); err != nil {
				t.Errorf("%s, %d characters in %s: %v", name, p.MaxLength, key, err)
			}
		}
		lic := sample(t, name)
		lic.Holder.Name, lic.Authority.Name = strings.Repeat("国", 30), strings.Repeat("国", 30)
		for i := range lic.CoSealers {
			lic.CoSealers[i].Name = strings.Repeat("国", 30)
		}
		if err := l.Check(fonts(t), lic); err != nil {
			t.Errorf("%s, names of 30 characters: %v", name, err)
		}
	}
}

// TestLayoutNames pins the names that catalogue items refer to.
func TestLayoutNames(t *testing.T) {
	var names []string
	for name, l := range layouts(t) {
		names = append(names, name)
		if l.Name != name || l.SealPlacement().Width < 100 {
			t.Errorf("%s: %+v", name, l.SealPlacement())
		}
	}
	slices.Sort(names)
	want := "birth business-licence construction-permit construction-qualification food-business joint-acceptance private-school public-hygiene " +
		"real-estate road-transport special-operation tobacco-retail water-abstraction work-safety"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("layouts %s, want %s", got, want)
	}
}
