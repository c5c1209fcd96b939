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
	columns  func(*registry.Record)
	copied   func(*registry.CopyRecord)
}

func (e edited) Licence(ctx context.Context, id licence.Identifier) (registry.Record, error) {
	rec, err := e.Store.Licence(ctx, id)
	if f, ok := e.licences[id]; ok {
		rec.File = f
	}
	if e.columns != nil {
		e.columns(&rec)
	}
	return rec, err
}

func (e edited) Copy(ctx context.Context, id licence.CopyID) (registry.CopyRecord, error) {
	c, err := e.Store.Copy(ctx, id)
	if f, ok := e.copies[id]; ok {
		c.File = f
	}
	if e.copied != nil {
		e.copied(&c)
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
		cfg.Store = edited{Store: s.Backend, licences: map[licence.Identifier]registry.File{w.issued.Identifier: tt.licence, imported.Identifier: tt.imported}, copies: map[licence.CopyID]registry.File{made.Copy: tt.copy}}
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
				b, _, err := s.BundlesOf(r).Make(t.Context(), w.holder, w.issued.Identifier, registry.Use{})
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

// TestColumnsEdited: what decides about reach is what is sealed with a licence, or a copy,
// whatever stands in the columns beside it.
func TestColumnsEdited(t *testing.T) {
	t.Parallel()
	s := open(t)
	w := newWalker(t, s)
	s.Case(t, registrytest.Department, registry.Case{Number: "C", MatterCode: "m", Holder: w.holder.Holder, Types: []string{w.issued.TypeCode}})
	made, _ := w.copied(w.copyOf("C"))
	stranger, beside, district := registrytest.Approval("11100000MB19000005901"), registrytest.Partner(), w.approval
	beside.Authority = stranger.Authority
	stranger.Authority.Division, district.Authority.Division = "330105", "330105"
	for name, tt := range map[string]struct {
		as   registry.Caller
		edit func(*registry.Record)
		want string
	}{
		"as it is":               {w.approval, nil, ""},
		"another district":       {district, nil, "not_found"},
		"its division":           {district, func(r *registry.Record) { r.Division = "330105" }, "not_found"},
		"as another platform's":  {district, func(r *registry.Record) { r.Division, r.Importer = "330105", district.Authority.Code }, "not_found"},
		"its type and division":  {stranger, func(r *registry.Record) { r.TypeCode, r.Division = stranger.Types[0], "330105" }, "not_found"},
		"data that do not parse": {w.approval, func(r *registry.Record) { r.Data = nil }, "not_found"},
	} {
		cfg := s.Config
		cfg.Store = edited{Store: s.Backend, columns: tt.edit}
		r, err := registry.New(cfg)
		must(t, err)
		_, _, err = r.Download(t.Context(), tt.as, w.issued.Identifier, registry.Use{})
		wantCode(t, name, err, tt.want)
	}
	for name, tt := range map[string]struct {
		as   registry.Caller
		edit func(*registry.CopyRecord)
		want string
	}{
		"as it is":      {registrytest.Partner(), nil, ""},
		"its receiver":  {beside, func(c *registry.CopyRecord) { c.Receiver = beside.Authority.Code }, "not_found"},
		"its last day":  {registrytest.Partner(), func(c *registry.CopyRecord) { c.ExpiresOn = licence.DateOf(s.Now().AddDate(1, 0, 0)) }, "not_found"},
		"another's own": {beside, nil, "not_found"},
	} {
		cfg := s.Config
		cfg.Store = edited{Store: s.Backend, copied: tt.edit}
		r, err := registry.New(cfg)
		must(t, err)
		_, _, err = r.GetCopy(t.Context(), tt.as, made.Copy, registry.Use{})
		wantCode(t, "a copy, "+name, err, tt.want)
	}
}
