package registry_test

import (
	"context"
	"sync/atomic"
	"testing"

	"elicence/licence/registry"
)

// counting counts the files that are stored.
type counting struct {
	registry.Files
	puts atomic.Int32
}

func (c *counting) Put(ctx context.Context, digest [32]byte, data []byte) error {
	c.puts.Add(1)
	return c.Files.Put(ctx, digest, data)
}

// TestImportRefusedKeepsNothing: the file of an import that is refused is not stored, whatever refuses it.
func TestImportRefusedKeepsNothing(t *testing.T) {
	t.Parallel()
	s := importing(t)
	files := &counting{Files: s.Config.Files}
	s.Config.Files = files
	var err error
	s.Registry, err = registry.New(s.Config)
	must(t, err)
	_, c := sample(t, "food-retail.json")
	id := foreignIdentifier(t, "B1", 1)
	first := map[string]any{"identifier": id}
	enter := func(key, file string, changes map[string]any) (registry.Imported, error) {
		got, _, err := s.Import(t.Context(), c, registry.ImportRequest{Key: key, Body: importBody(t, changes), File: []byte(file)})
		return got, err
	}
	_, err = enter("k1", "valid 1", first)
	must(t, err)
	if n := files.puts.Load(); n != 1 {
		t.Fatalf("%d files are stored, want 1", n)
	}
	next := map[string]any{"identifier": foreignIdentifier(t, "B2", 1)}
	for _, tt := range []struct {
		name, key, file string
		changes         map[string]any
		code            string
	}{
		{"another file", "k2", "valid 2", first, "already_imported"},
		{"other data", "k3", "valid 1", map[string]any{"identifier": id, "expires_on": "2032-01-01"}, "already_imported"},
		{"its number in another licence", "k4", "valid 4", next, "number_taken"},
		{"its key with another request", "k1", "valid 5", map[string]any{"identifier": next["identifier"], "number": "JY5"}, "idempotency_key_reused"},
		{"a bad file", "k6", "invalid 6", map[string]any{"identifier": next["identifier"], "number": "JY6"}, "import_invalid"},
		{"the case number of a consent", "k7", "valid 7", map[string]any{"identifier": next["identifier"], "number": "JY7", "case": map[string]any{"number": "consent/1", "matter_code": "m", "operator": "o"}}, "invalid_request"},
	} {
		_, err := enter(tt.key, tt.file, tt.changes)
		wantCode(t, tt.name, err, tt.code)
		if n := files.puts.Load(); n != 1 {
			t.Fatalf("%s: %d files are stored, want 1", tt.name, n)
		}
	}
	for range 2 {
		got, err := enter("k8", "valid 8", map[string]any{"identifier": next["identifier"], "number": "JY8"})
		must(t, err)
		file, _, err := s.Download(t.Context(), c, got.Identifier, registry.Use{})
		if err != nil || string(file) != "valid 8" || got.Repeated {
			t.Errorf("%q, %v, repeated %t", file, err, got.Repeated)
		}
	}
}
