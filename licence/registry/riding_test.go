package registry_test

import (
	"bytes"
	"maps"
	"strings"
	"testing"

	"elicence/crypto/pdfsig"
	"elicence/licence/registry"
)

// TestRidingSeal: an issued licence of several pages has a slice of its seal on every
// page and one seal signature; one of a single page has no slice.
func TestRidingSeal(t *testing.T) {
	s := open(t)
	for name, slices := range map[string]int{"qualification-many.json": 4, "qualification-one.json": 0} {
		issued := issue(t, s, name, "riding-"+name)
		_, c := sample(t, name)
		file, _, err := s.Download(t.Context(), c, issued.Identifier, registry.Use{})
		must(t, err)
		f, err := pdfsig.Read(file)
		must(t, err)
		found := 0
		for page := range f.Pages {
			content, err := f.PageContent(page + 1)
			must(t, err)
			found += bytes.Count(content, []byte(" re W n "))
		}
		if found != slices || len(f.Signatures) != 1 {
			t.Errorf("%s: %d slices on %d pages, %d signatures", name, found, f.Pages, len(f.Signatures))
		}
	}
}

// TestRidingSealWithoutPicture: a registry that could not draw one does not start.
func TestRidingSealWithoutPicture(t *testing.T) {
	c := open(t).Config
	c.Seals = maps.Clone(c.Seals)
	for code, key := range c.Seals {
		bare := *key
		bare.Picture = nil
		c.Seals[code] = &bare
		break
	}
	if r, err := registry.New(c); r != nil || err == nil || !strings.Contains(err.Error(), "no picture") {
		t.Errorf("got %v, %v", r, err)
	}
}
