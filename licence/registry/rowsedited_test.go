package registry_test

import (
	"context"
	"testing"

	"elicence/licence"
	"elicence/licence/registry"
	"elicence/licence/registry/registrytest"
)

// edited is a store in which somebody who writes to its tables has put other files in the
// place of some. What is sealed there they cannot write.
type edited struct {
	registry.Store
	licences map[licence.Identifier]registry.File
	copies   map[licence.CopyID]registry.File
}

func (e edited) Licence(ctx context.Context, id licence.Identifier) (registry.Record, error) {
	rec, err := e.Store.Licence(ctx, id)
	if f, ok := e.licences[id]; ok {
		rec.File = f
	}
	return rec, err
}

func (e edited) Copy(ctx context.Context, id licence.CopyID) (registry.CopyRecord, error) {
	c, err := e.Store.Copy(ctx, id)
	if f, ok := e.copies[id]; ok {
		c.File = f
	}
	return c, err
}

// TestFileOfAnother: a row that leads to another licence's file gives that to nobody, as a
// licence, a copy or an imported licence.
func TestFileOfAnother(t *testing.T) {
	t.Parallel()
	s := importing(t)
	w := newWalker(t, s)
	other := issue(t, s, "food-canteen.json", "other")
	s.Case(t, registrytest.Department, registry.Case{Number: "C", MatterCode: "m", Holder: w.holder.Holder, Types: []string{w.issued.TypeCode}})
	made, _ := w.copied(w.copyOf("C"))
	second, _ := w.copied(w.copyOf("C"))
	imported, _, err := s.Import(t.Context(), w.approval, registry.ImportRequest{Key: w.next(), Body: importBody(t, nil), File: []byte("valid file")})
	must(t, err)
	fileOf := func(id licence.Identifier) registry.File {
		rec, err := s.Backend.Licence(t.Context(), id)
		must(t, err)
		return rec.File
	}
	copyOf := func(id licence.CopyID) registry.File {
		c, err := s.Backend.Copy(t.Context(), id)
		must(t, err)
		return c.File
	}
	own, original, foreign := fileOf(w.issued.Identifier), fileOf(other.Identifier), fileOf(imported.Identifier)
	for _, tt := range []struct {
		name                    string
		licence, imported, copy registry.File
		want                    string
	}{
		{"as they are", own, foreign, copyOf(made.Copy), ""},
		{"another's original", original, original, original, "files_unavailable"},
		{"the own original", own, own, own, "files_unavailable"},
		{"a copy", copyOf(made.Copy), foreign, copyOf(second.Copy), "files_unavailable"},
	} {
		cfg := s.Config
		cfg.Store = edited{s.Backend, map[licence.Identifier]registry.File{w.issued.Identifier: tt.licence, imported.Identifier: tt.imported}, map[licence.CopyID]registry.File{made.Copy: tt.copy}}
		r, err := registry.New(cfg)
		must(t, err)
		asks := map[string]func() ([]byte, error){
			"copy": func() ([]byte, error) {
				b, _, err := r.GetCopy(t.Context(), registrytest.Partner(), made.Copy, registry.Use{})
				return b, err
			},
		}
		if tt.licence != own || tt.want == "" {
			asks["download"] = func() ([]byte, error) {
				b, _, err := r.Download(t.Context(), w.holder, w.issued.Identifier, registry.Use{})
				return b, err
			}
			asks["bundle"] = func() ([]byte, error) {
				b, _, err := r.Bundle(t.Context(), w.holder, w.issued.Identifier, registry.Use{})
				return b, err
			}
		}
		if tt.imported != foreign || tt.want == "" {
			asks["imported"] = func() ([]byte, error) {
				b, _, err := r.Download(t.Context(), w.approval, imported.Identifier, registry.Use{})
				return b, err
			}
		}
		for name, ask := range asks {
			b, err := ask()
			wantCode(t, name+": "+tt.name, err, tt.want)
			if (b != nil) != (tt.want == "") {
				t.Errorf("%s: %s: %d bytes are given", name, tt.name, len(b))
			}
		}
	}
}
