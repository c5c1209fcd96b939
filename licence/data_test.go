package licence_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"elicence/licence"
	"elicence/testdata/hostile"

	"github.com/google/go-cmp/cmp"
)

func TestData(t *testing.T) {
	for _, name := range sampleNames(t) {
		l := issue(t, name)
		b, err := l.Data()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, err := licence.ParseData(b)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(got, l); diff != "" {
			t.Errorf("%s came back changed:\n%s", name, diff)
		}
	}
}

// TestDataGolden holds the form still: other departments read these bytes.
func TestDataGolden(t *testing.T) {
	want := readFile(t, "testdata/example/licence.json")
	got, err := issue(t, "food-canteen").Data()
	if err != nil || string(got) != want {
		t.Errorf("%v\n%s", err, cmp.Diff(string(got), want))
	}
	if l, err := licence.ParseData([]byte(want)); err != nil || l.Holder.Name != "杭州市云栖样例实验小学" {
		t.Errorf("%v, %v", l, err)
	}
}

// TestPinyinDataGolden holds the other form still, and to the first one.
func TestPinyinDataGolden(t *testing.T) {
	l := issue(t, "food-canteen")
	got, err := l.PinyinData()
	if want := readFile(t, "testdata/example/metadata-pinyin.json"); err != nil || string(got) != want {
		t.Errorf("%v\n%s", err, cmp.Diff(string(got), want))
	}
	l.ExpiresOn = licence.Date{}
	if got, err = l.PinyinData(); err != nil || bytes.Contains(got, []byte("ZZYXQJZRQ")) {
		t.Errorf("without a last day: %s, %v", got, err)
	}
}

// TestPinyinDataOfFullLicence: what Data accepts has a pinyin form, at the limit too.
func TestPinyinDataOfFullLicence(t *testing.T) {
	l := issue(t, "food-canteen")
	l.Fields = map[string]any{}
	for i := range 1000 {
		l.Fields[fmt.Sprintf("a%d", i)] = strings.Repeat("y", 128)
	}
	if _, err := l.Data(); err != nil {
		t.Fatal(err)
	}
	if b, err := l.PinyinData(); err != nil || bytes.Count(b, []byte(`"KZ_a`)) != 1000 {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}

// coSealer seals beside an issuing authority.
var coSealer = licence.CoSealer{Name: "杭州市规划和自然资源局", Code: "11330100002491288H"}

// TestDataWithCoSealers: they stand in the metadata, and come back in their order.
func TestDataWithCoSealers(t *testing.T) {
	l := issue(t, "food-canteen")
	alone, err := l.Data()
	if err != nil || bytes.Contains(alone, []byte("CoSealing")) {
		t.Fatalf("%s, %v", alone, err)
	}
	l.CoSealers = []licence.CoSealer{coSealer, {"杭州市财政局", "113301000024912379"}}
	b, err := l.Data()
	if err != nil {
		t.Fatal(err)
	}
	want := `"metadata":{"certificateAreaCode":"330106","certificateCoSealingAuthorities":[{"code":"11330100002491288H","name":"杭州市规划和自然资源局"},` +
		`{"code":"113301000024912379","name":"杭州市财政局"}],"certificateEffectiveDate"`
	if !bytes.Contains(b, []byte(want)) {
		t.Errorf("%s", b)
	}
	got, err := licence.ParseData(b)
	if diff := cmp.Diff(got, l); err != nil || diff != "" {
		t.Errorf("came back changed: %v\n%s", err, diff)
	}
	for name, edit := range map[string][2]string{
		"an empty list":       {`[{"code":"11330100002491288H","name":"杭州市规划和自然资源局"},{"code":"113301000024912379","name":"杭州市财政局"}]`, `[]`},
		"no list":             {`[{"code":"11330100002491288H","name":"杭州市规划和自然资源局"},{"code":"113301000024912379","name":"杭州市财政局"}]`, `"x"`},
		"a member more":       {`"name":"杭州市财政局"`, `"name":"杭州市财政局","rank":"2"`},
		"a text among them":   {`{"code":"113301000024912379","name":"杭州市财政局"}`, `"杭州市财政局"`},
		"null among them":     {`{"code":"113301000024912379","name":"杭州市财政局"}`, `null`},
		"one of them twice":   {"113301000024912379", "11330100002491288H"},
		"code that is a list": {`"113301000024912379"`, `["113301000024912379"]`},
	} {
		changed := bytes.Replace(b, []byte(edit[0]), []byte(edit[1]), 1)
		if l, err := licence.ParseData(changed); err == nil || l != nil || bytes.Equal(changed, b) {
			t.Errorf("%s: %v, %v; want an error", name, l, err)
		}
	}
}

func TestDataRefuses(t *testing.T) {
	for name, change := range map[string]func(*licence.Licence){
		"zero":                     func(l *licence.Licence) { *l = licence.Licence{} },
		"other type code":          func(l *licence.Licence) { l.TypeCode = "11100000000013338W901" },
		"other authority":          func(l *licence.Licence) { l.Authority.Code = "11330105002500287C" },
		"other version":            func(l *licence.Licence) { l.Version = 2 },
		"bad identifier":           func(l *licence.Licence) { l.Identifier = l.Identifier[:len(l.Identifier)-1] + "!" },
		"no number":                func(l *licence.Licence) { l.Number = "" },
		"long number":              func(l *licence.Licence) { l.Number = strings.Repeat("1", 65) },
		"no type name":             func(l *licence.Licence) { l.TypeName = "" },
		"no holder":                func(l *licence.Licence) { l.Holder.Name = "" },
		"long name":                func(l *licence.Licence) { l.Holder.Name = strings.Repeat("长", 201) },
		"bidi control":             func(l *licence.Licence) { l.Holder.Name = "a\u202eb" },
		"unknown code type":        func(l *licence.Licence) { l.Holder.CodeType = "002" },
		"no holder code":           func(l *licence.Licence) { l.Holder.Code = "" },
		"no authority name":        func(l *licence.Licence) { l.Authority.Name = "" },
		"division":                 func(l *licence.Licence) { l.Authority.Division = "3301" },
		"not issued":               func(l *licence.Licence) { l.IssuedOn = licence.Date{} },
		"not effective":            func(l *licence.Licence) { l.EffectiveOn = licence.Date{} },
		"expired at issue":         func(l *licence.Licence) { l.ExpiresOn = date("2026-02-25") },
		"in 2201":                  func(l *licence.Licence) { l.ExpiresOn = date("2201-01-01") },
		"co-sealer without a name": func(l *licence.Licence) { l.CoSealers = []licence.CoSealer{{Code: coSealer.Code}} },
		"co-sealer without a code": func(l *licence.Licence) { l.CoSealers = []licence.CoSealer{{Name: coSealer.Name}} },
		"co-sealer's check":        func(l *licence.Licence) { l.CoSealers = []licence.CoSealer{{coSealer.Name, "11330100002491288X"}} },
		"co-sealer twice":          func(l *licence.Licence) { l.CoSealers = []licence.CoSealer{coSealer, coSealer} },
		"issuing authority as co-sealer": func(l *licence.Licence) {
			l.CoSealers = []licence.CoSealer{{coSealer.Name, l.Authority.Code}}
		},
		"three co-sealers": func(l *licence.Licence) {
			l.CoSealers = []licence.CoSealer{coSealer, {"b", "113301000024912379"}, {"c", "113301000024912454"}}
		},
		"no fields":          func(l *licence.Licence) { l.Fields = nil },
		"fraction":           func(l *licence.Licence) { l.Fields["x"] = 1.5 },
		"invalid UTF-8":      func(l *licence.Licence) { l.Fields["x"] = "\xff" },
		"control character":  func(l *licence.Licence) { l.Fields["x"] = []any{map[string]any{"y": "a\u0000"}} },
		"control in a key":   func(l *licence.Licence) { l.Fields["x\n"] = "y" },
		"too many items":     func(l *licence.Licence) { l.Fields["x"] = make([]any, 1001) },
		"larger than 144 KB": func(l *licence.Licence) { l.Fields["x"] = strings.Repeat("y", 150<<10) },
	} {
		l := issue(t, "food-canteen")
		change(l)
		if b, err := l.Data(); err == nil || b != nil {
			t.Errorf("%s: %d bytes, %v; want an error", name, len(b), err)
		}
	}
}

func TestParseDataRefuses(t *testing.T) {
	good := readFile(t, "testdata/example/licence.json")
	replace := func(old, new string) string {
		if strings.Count(good, old) == 0 {
			t.Fatalf("%q is not in the example", old)
		}
		return strings.Replace(good, old, new, 1)
	}
	for name, s := range map[string]string{
		"empty":                 "",
		"not an object":         "[]",
		"empty object":          "{}",
		"line end behind":       good + "\n",
		"space":                 replace(`{"fields":`, `{ "fields":`),
		"unnecessary escape":    replace("沈若愚", `\u6c88若愚`),
		"escaped solidus":       replace("（一至二层）", `\/`),
		"keys in another order": replace(`{"fields"`, `{"format":"elicence-licence/1","fields"`),
		"member twice":          replace(`"certificateName":`, `"certificateName":"食品经营许可证","certificateName":`),
		"unknown member":        strings.TrimSuffix(good, "}") + `,"zzz":1}`,
		"unknown metadata":      strings.TrimSuffix(good, "}}") + `,"zzz":"1"}}`,
		"other format":          replace("elicence-licence/1", "elicence-licence/2"),
		"no format":             replace(`"format":"elicence-licence/1",`, ""),
		"no metadata":           good[:strings.Index(good, `,"metadata"`)] + "}",
		"no fields":             `{` + good[strings.Index(good, `"format"`):],
		"fields a list":         `{"fields":[],` + good[strings.Index(good, `"format"`):],
		"empty expiry":          replace("2031-02-28", ""),
		"expiry not a date":     replace("2031-02-28", "2031-02-30"),
		"expiry 长期":             replace("2031-02-28", "长期"),
		"expiry before":         replace("2031-02-28", "2025-02-28"),
		"number not a text":     replace(`"JY33301060000019"`, `1`),
		"check character":       replace(".001.A", ".001.B"),
		"other type":            replace(`"certificateTypeCode":"11100000MB0143028R901"`, `"certificateTypeCode":"11100000MB0143028R902"`),
		"name and type name":    replace(`"certificateName":"食品经营许可证"`, `"certificateName":"食品生产许可证"`),
		"code type name":        replace("统一社会信用代码", "公民身份号码"),
		"code type":             replace(`"certificateHolderTypeCode":"001"`, `"certificateHolderTypeCode":"002"`),
		"null":                  replace(`"12315"`, "null"),
		"fraction":              replace(`"12315"`, "12315.0"),
		"zero-width space":      replace("沈若愚", "沈\u200b若愚"),
		"invalid UTF-8":         replace("沈", "\xff"),
		"cut":                   good[:len(good)/2],
		"too large":             replace("沈若愚", strings.Repeat("x", 200<<10)),
	} {
		if l, err := licence.ParseData([]byte(s)); err == nil || l != nil {
			t.Errorf("%s: %v, %v; want an error", name, l, err)
		}
	}
}

// TestDataIsJSON proves that what we write is what encoding/json reads.
func TestDataIsJSON(t *testing.T) {
	b, err := issue(t, "qualification-many").Data()
	if err != nil {
		t.Fatal(err)
	}
	var v struct {
		Fields   struct{ Qualifications []map[string]string }
		Metadata map[string]string
	}
	if err := json.Unmarshal(b, &v); err != nil || len(v.Fields.Qualifications) != 48 || v.Metadata["certificateHolderName"] != "浙江样例建工有限公司" {
		t.Errorf("%v: %d rows, %v", err, len(v.Fields.Qualifications), v.Metadata)
	}
}

func FuzzParseData(f *testing.F) {
	f.Add([]byte(readFile(f, "testdata/example/licence.json")))
	for _, name := range []string{"birth-one-parent", "driver-freight"} {
		b, err := issue(f, name).Data()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var l *licence.Licence
		var err error
		hostile.Within(t, func() { l, err = licence.ParseData(b) })
		if err != nil {
			if l != nil {
				t.Fatal("a licence with an error")
			}
			return
		}
		if again, err := l.Data(); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%s came back as %s, %v", b, again, err)
		}
	})
}
