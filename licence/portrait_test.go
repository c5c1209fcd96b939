package licence_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"elicence/licence"
)

// withSchema loads a catalogue of one type with the text of its schema changed.
func withSchema(t *testing.T, old, new string) (*licence.Catalogue, error) {
	t.Helper()
	item := readFile(t, "../templates/catalogue/special-operation/item.json")
	schema := readFile(t, "../templates/catalogue/special-operation/fields.schema.json")
	if !strings.Contains(schema, old) {
		t.Fatalf("%q is not in the schema", old)
	}
	return licence.LoadCatalogue(fstest.MapFS{"a/item.json": {Data: []byte(item)},
		"a/fields.schema.json": {Data: []byte(strings.Replace(schema, old, new, 1))}})
}

// TestPortraitField: a type has one portrait, in a field of its own.
func TestPortraitField(t *testing.T) {
	const sex = `"enum": [
        "男",
        "女"
      ]`
	_, err := withSchema(t, `"type": "string",
      "format": "portrait"`, `"type": "array", "maxItems": 1, "items": {"type": "string", "format": "portrait"}`)
	if err == nil || !strings.Contains(err.Error(), "a portrait must be a field of its own") {
		t.Errorf("in a list: %v", err)
	}
	if _, err := withSchema(t, sex, `"format": "portrait"`); err == nil || !strings.Contains(err.Error(), "2 fields are portraits") {
		t.Errorf("two: %v", err)
	}
	c, err := withSchema(t, "照片", "相片")
	if err != nil {
		t.Fatal(err)
	}
	if it := c.Items()[0]; it.Portrait() != "photo" || it.Label("photo") != "相片" {
		t.Errorf("portrait in %q", it.Portrait())
	}
}

// TestPhoto: the photograph leaves the fields of a request, which name it instead.
func TestPhoto(t *testing.T) {
	body, a := sample(t, "types/special-operation")
	r, _, err := licence.ParseRequest(body, catalogue(t), a, today)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(r.Photo, []byte("\xff\xd8\xff")) || r.Fields["photo"] != licence.PortraitReference(r.Photo) {
		t.Errorf("a photograph of %d bytes, and the field %.80v", len(r.Photo), r.Fields["photo"])
	}
	digest, ok := licence.ParsePortraitReference(licence.PortraitReference(r.Photo))
	if !ok || digest != [32]byte(digest) || !slices.Equal(licence.PortraitReferences(r.Fields), []string{"photo"}) {
		t.Errorf("references %v", licence.PortraitReferences(r.Fields))
	}
	for _, s := range []string{"", "sm3:", "sm3:" + strings.Repeat("0", 63), "sm3:" + strings.Repeat("A", 64), "sm3:" + strings.Repeat("g", 64),
		"SM3:" + strings.Repeat("0", 64), strings.Repeat("0", 64), " sm3:" + strings.Repeat("0", 64), "sm3:" + strings.Repeat("0", 65)} {
		if got, ok := licence.ParsePortraitReference(s); ok || got != [32]byte{} && len(s) != 68 {
			t.Errorf("%q is a reference to %x", s, got)
		}
	}
}

// TestReferenceElsewhere: no other field may look like a portrait, for who verifies the file
// knows no schema.
func TestReferenceElsewhere(t *testing.T) {
	body, a := sample(t, "food-retail")
	text := licence.PortraitReference(nil)
	for _, tt := range []struct {
		field, code string
		value       any
	}{{"residence", licence.CodeNotAllowed, text}, {"residence", "", "sm3:00"}} {
		doc, _ := licence.ParseJSON(body)
		doc.(map[string]any)["fields"].(map[string]any)[tt.field] = tt.value
		changed, err := licence.MarshalCanonical(doc)
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = licence.ParseRequest(changed, catalogue(t), a, today)
		var refused *licence.RequestError
		if got := errors.As(err, &refused); got != (tt.code != "") || got && (refused.Fields[0].Field != "fields."+tt.field || refused.Fields[0].Code != tt.code) {
			t.Errorf("%v: %v", tt.value, err)
		}
	}
}

// TestLargePhoto: a photograph of the greatest size is read, and one byte more is not.
func TestLargePhoto(t *testing.T) {
	body, a := sample(t, "types/special-operation")
	for size, want := range map[int]string{licence.MaxPhoto: "", licence.MaxPhoto + 1: licence.CodeTooLarge, 0: licence.CodeBadFormat} {
		doc, err := licence.ParseJSON(body)
		if err != nil {
			t.Fatal(err)
		}
		doc.(map[string]any)["fields"].(map[string]any)["photo"] = base64.StdEncoding.EncodeToString(make([]byte, size))
		large, err := licence.MarshalCanonical(doc)
		if err != nil {
			t.Fatal(err)
		}
		r, _, err := licence.ParseRequest(large, catalogue(t), a, today)
		var refused *licence.RequestError
		if got := errors.As(err, &refused); got != (want != "") || got && refused.Fields[0].Code != want || !got && len(r.Photo) != size {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}
