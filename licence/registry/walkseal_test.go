package registry_test

import (
	"bytes"
	"context"
	"fmt"

	"github.com/emmansun/gmsm/sm3"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/registry"
)

// sealOperations are those that are about seals and the catalogue.
var sealOperations = map[string]func(w *walker, ctx context.Context) call{
	"Registry.ApplySeal": func(w *walker, ctx context.Context) call {
		s := registry.SealRecord{ID: w.next(), Authority: w.approval.Authority.Code, Name: "章", Reason: "r"}
		return only(func(r *registry.Registry) (audit.Receipt, error) { return r.ApplySeal(ctx, walkSystem, s) })
	},
	"Registry.MakeSeal": func(w *walker, ctx context.Context) call {
		id, der := w.seal(0)
		return only(func(r *registry.Registry) (audit.Receipt, error) {
			return r.MakeSeal(ctx, walkSystem, id, "r", sm3.Sum(nil), func() ([]byte, error) { return der, nil })
		})
	},
	"Registry.AcceptSeal": func(w *walker, ctx context.Context) call {
		id, der := w.seal(0)
		return only(func(r *registry.Registry) (audit.Receipt, error) { return r.AcceptSeal(ctx, walkSystem, id, der, "r") })
	},
	"Registry.PutSealOnRecord": func(w *walker, ctx context.Context) call {
		id, _ := w.seal(1)
		return only(func(r *registry.Registry) (audit.Receipt, error) {
			return r.PutSealOnRecord(ctx, walkSystem, id, "1", "r")
		})
	},
	"Registry.ChangeSeal": func(w *walker, ctx context.Context) call {
		id, _ := w.seal(2)
		return only(func(r *registry.Registry) (audit.Receipt, error) {
			return r.ChangeSeal(ctx, walkSystem, id, registry.SealInUse, "r")
		})
	},
	"Registry.RemakeSeal": func(w *walker, ctx context.Context) call {
		id, _ := w.seal(3)
		der := madeFor(w.t, w.Service, w.approval.Authority.Code, id, "章").Raw
		return only(func(r *registry.Registry) (audit.Receipt, error) { return r.RemakeSeal(ctx, walkSystem, id, der, "r") })
	},
	"Registry.RegisterSeals": func(w *walker, ctx context.Context) call {
		code := w.approval.Authority.Code
		own := w.Config.Seals[code]
		more := *own
		more.Seal = madeFor(w.t, w.Service, code, w.next(), "另一枚")
		return silent(func(r *registry.Registry) error {
			w.Config.Seals[code] = &more // the map is every registry's
			defer func() { w.Config.Seals[code] = own }()
			return r.RegisterSeals(ctx, walkSystem)
		})
	},
	"Registry.PutSealConsent": func(w *walker, ctx context.Context) call {
		consent := w.SealConsent(w.t)
		consent.Basis = w.next()
		return only(func(r *registry.Registry) (audit.Receipt, error) { return r.PutSealConsent(ctx, walkSystem, consent) })
	},
	"Registry.EndSealConsent": func(w *walker, ctx context.Context) call {
		consent := w.SealConsent(w.t)
		_, err := w.PutSealConsent(ctx, walkSystem, consent)
		must(w.t, err)
		return only(func(r *registry.Registry) (audit.Receipt, error) {
			return r.EndSealConsent(ctx, walkSystem, consent.TypeCode, consent.Issuing, consent.Kind, "r")
		})
	},
	"Registry.EnterCatalogue": func(w *walker, ctx context.Context) call {
		files := w.aType()
		return silent(func(r *registry.Registry) error {
			return r.EnterCatalogue(ctx, walkSystem, []registry.CatalogueFiles{files})
		})
	},
	"Registry.Catalogue": func(w *walker, ctx context.Context) call {
		w.draft()
		return answering(func(r *registry.Registry) ([]registry.CatalogueVersion, audit.Receipt, error) {
			return r.Catalogue(ctx, walkSystem)
		})
	},
	"Registry.CatalogueFiles": func(w *walker, ctx context.Context) call {
		v := w.draft()
		return answering(func(r *registry.Registry) (registry.CatalogueFiles, audit.Receipt, error) {
			_, files, receipt, err := r.CatalogueFiles(ctx, walkSystem, v.TypeCode, v.Version)
			return files, receipt, err
		})
	},
	"Registry.ImportCatalogue": func(w *walker, ctx context.Context) call {
		files := w.aType()
		return answering(func(r *registry.Registry) (registry.CatalogueVersion, audit.Receipt, error) {
			return r.ImportCatalogue(ctx, walkSystem, files, registry.CatalogueChange{Reason: "r"})
		})
	},
	"Registry.PublishCatalogue": func(w *walker, ctx context.Context) call {
		v := w.draft()
		return answering(func(r *registry.Registry) (registry.CatalogueVersion, audit.Receipt, error) {
			return r.PublishCatalogue(ctx, walkSystem, v.TypeCode, v.Version, registry.CatalogueChange{Reason: "r"})
		})
	},
	"Registry.RetireCatalogue": func(w *walker, ctx context.Context) call {
		v := w.draft()
		return answering(func(r *registry.Registry) (registry.CatalogueVersion, audit.Receipt, error) {
			return r.RetireCatalogue(ctx, walkSystem, v.TypeCode, v.Version, registry.CatalogueChange{Reason: "r"})
		})
	},
	"Registry.PreviewCatalogue": func(w *walker, ctx context.Context) call {
		v := w.draft()
		return answering(func(r *registry.Registry) ([]byte, audit.Receipt, error) {
			return r.PreviewCatalogue(ctx, walkSystem, v.TypeCode, v.Version)
		})
	},
	"Registry.DryRunCatalogue": func(w *walker, ctx context.Context) call {
		v := w.draft()
		return answering(func(r *registry.Registry) ([]registry.DryRun, audit.Receipt, error) {
			return r.DryRunCatalogue(ctx, walkSystem, v.TypeCode, v.Version, 5)
		})
	},
}

// seal enters a seal that was applied for, and makes it.
func (w *walker) seal(stages int) (id string, der []byte) {
	id = w.next()
	code := w.approval.Authority.Code
	_, err := w.ApplySeal(w.t.Context(), walkSystem, registry.SealRecord{ID: id, Authority: code, Name: "章", Reason: "r"})
	must(w.t, err)
	der = madeFor(w.t, w.Service, code, id, "章").Raw
	for i, stage := range []func() (audit.Receipt, error){
		func() (audit.Receipt, error) { return w.AcceptSeal(w.t.Context(), walkSystem, id, der, "r") },
		func() (audit.Receipt, error) { return w.PutSealOnRecord(w.t.Context(), walkSystem, id, "1", "r") },
		func() (audit.Receipt, error) {
			return w.ChangeSeal(w.t.Context(), walkSystem, id, registry.SealInUse, "r")
		},
	} {
		if i < stages {
			_, err := stage()
			must(w.t, err)
		}
	}
	return id, der
}

// aType is a licence type that nothing has yet.
func (w *walker) aType() registry.CatalogueFiles {
	w.n++
	files := typeFiles(w.t)
	files[licence.ItemFile] = bytes.ReplaceAll(files[licence.ItemFile], []byte(newType), fmt.Appendf(nil, "%s%03d", newType[:18], w.n))
	return files
}

// draft is a type that was imported, beside those that the program ships.
func (w *walker) draft() registry.CatalogueVersion {
	v, _, err := w.ImportCatalogue(w.t.Context(), walkSystem, w.aType(), registry.CatalogueChange{Reason: "r"})
	must(w.t, err)
	return v
}
