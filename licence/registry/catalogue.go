package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/render"

	"github.com/emmansun/gmsm/sm3"
)

// Stage is where a version of a licence type stands.
type Stage string

// The stages: from draft to published to retired, or from draft to retired. There is no
// way back; what was published once is imported again.
const (
	StageDraft     Stage = "draft"
	StagePublished Stage = "published" // what new licences are made by; one version of a type
	StageRetired   Stage = "retired"   // what it made stays, and pending licences are finished by it
)

// CatalogueVersion is one version of a licence type.
type CatalogueVersion struct {
	TypeCode string
	// Version counts the versions of the type from 1.
	Version int
	Stage   Stage
	Name    string
	// Digest is that of its files; see CatalogueFiles.Digest.
	Digest [32]byte
	// ImportedBy and ChangedBy are principals; Reason is that of the last change.
	ImportedBy, ChangedBy string
	ImportedAt, ChangedAt time.Time
	Reason                string
}

// CatalogueFiles are the files of a licence type, by name: licence.ItemFile,
// licence.SchemaFile and LayoutFile, and ExampleFile, which may be missing.
type CatalogueFiles map[string][]byte

// The files beside those of package licence.
const (
	// LayoutFile is the layout; see docs/layouts.md.
	LayoutFile = "layout.json"
	// ExampleFile is a request to issue such a licence, which a preview draws. Its members
	// but for holder and fields may be missing.
	ExampleFile = "example.json"
)

var (
	// ErrVersionTaken: somebody else changed the catalogue at the same moment.
	ErrVersionTaken = errors.New("the catalogue was changed by somebody else at the same moment; repeat")
	// ErrOwnImport: who imported a version does not publish it.
	ErrOwnImport = fmt.Errorf("%w: who imported a version does not publish it", ErrForbidden)
	// ErrNoRaster: a PNG was asked for, and what makes one is not installed.
	ErrNoRaster = errors.New("no PNG can be made here")
	// ErrWrongStage: the version's stage does not permit it.
	ErrWrongStage = errors.New("the stage of the catalogue version does not permit this")
)

// Digest is SM3 over the files in the order of their names: of each its name, a zero byte,
// its length in decimal digits, a line feed and its bytes.
func (f CatalogueFiles) Digest() [32]byte {
	var b bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(f)) {
		fmt.Fprintf(&b, "%s\x00%d\n", name, len(f[name]))
		b.Write(f[name])
	}
	return sm3.Sum(b.Bytes())
}

// edition reads and checks the files. The error names file and fault, of a layout the line.
func (f CatalogueFiles) edition(seals map[string]*SealKey) (*edition, error) {
	for name := range f {
		if !slices.Contains([]string{licence.ItemFile, licence.SchemaFile, LayoutFile, ExampleFile}, name) {
			return nil, fmt.Errorf("%.60q is no file of a licence type", name)
		}
		if len(f[name]) > licence.MaxJSON {
			return nil, fmt.Errorf("%s: larger than %d bytes", name, licence.MaxJSON)
		}
	}
	for _, name := range []string{licence.ItemFile, licence.SchemaFile, LayoutFile} {
		if f[name] == nil {
			return nil, fmt.Errorf("%s is missing", name)
		}
	}
	item, err := licence.ParseItem(f[licence.ItemFile], f[licence.SchemaFile])
	if err != nil {
		return nil, err
	}
	layout, err := render.ParseLayout(LayoutFile, f[LayoutFile])
	if err != nil {
		return nil, err
	}
	if layout.Name = item.Layout; layout.Name == "" {
		layout.Name = item.TypeCode
	}
	if err := layout.CheckFields(LayoutFile, item); err != nil {
		return nil, err
	}
	e := &edition{item: item, layout: layout}
	return e, e.check(seals)
}

// The actions on the catalogue, as they stand in the access log.
const (
	ActionCatalogueRead    audit.Action = "catalogue_read"
	ActionCatalogueImport  audit.Action = "catalogue_import"
	ActionCataloguePublish audit.Action = "catalogue_publish"
	ActionCatalogueRetire  audit.Action = "catalogue_retire"
	ActionCataloguePreview audit.Action = "catalogue_preview"
	ActionCatalogueDryRun  audit.Action = "catalogue_dry_run"
)

// catalogueObject names a version in the log.
func catalogueObject(typeCode string, version int) string {
	return fmt.Sprintf("catalogue/%s/%d", Clip(typeCode, 64), version)
}

// keepsType says whether the caller may see, or change, a type: the service itself all,
// others those that they are registered for.
func (c Caller) keepsType(typeCode string) error {
	if c.Has(RoleSystem) || slices.Contains(c.Types, typeCode) {
		return nil
	}
	return fmt.Errorf("%w: the caller is not registered for licence type %.40q", ErrForbidden, typeCode)
}

// Catalogue lists the versions of all types that the caller is registered for.
func (r *Registry) Catalogue(ctx context.Context, c Caller) ([]CatalogueVersion, audit.Receipt, error) {
	var all []CatalogueVersion
	receipt, err := r.gate.Pass(ctx, c, &Access{Action: ActionCatalogueRead, Object: "catalogue", Check: func() (err error) {
		all, err = r.cfg.Store.CatalogueVersions(ctx, "")
		return err
	}})
	if err != nil {
		return nil, receipt, err
	}
	return slices.DeleteFunc(all, func(v CatalogueVersion) bool { return c.keepsType(v.TypeCode) != nil }), receipt, nil
}

// CatalogueFiles returns a version with the files that it was imported from; version 0 is
// the published one.
func (r *Registry) CatalogueFiles(ctx context.Context, c Caller, typeCode string, version int) (CatalogueVersion, CatalogueFiles, audit.Receipt, error) {
	var v CatalogueVersion
	var files CatalogueFiles
	receipt, err := r.gate.Pass(ctx, c, &Access{Action: ActionCatalogueRead, Object: catalogueObject(typeCode, version), Check: func() (err error) {
		if err = c.keepsType(typeCode); err != nil {
			return err
		}
		if v, err = r.catalogueVersion(ctx, typeCode, version); err != nil {
			return err
		}
		files, err = r.cfg.Store.CatalogueFiles(ctx, typeCode, v.Version)
		return err
	}})
	if err != nil {
		return CatalogueVersion{}, nil, receipt, err
	}
	return v, files, receipt, nil
}

// CatalogueChange asks for a change to the catalogue.
type CatalogueChange struct {
	// Key is the Idempotency-Key, Body SM3 of the request body it came with. The service
	// itself needs none.
	Key  string
	Body [32]byte
	// Reason is required.
	Reason string
}

// ImportCatalogue takes in a version of a licence type as a draft. What is wrong with the
// files is a *licence.RequestError about "files", with file and fault.
func (r *Registry) ImportCatalogue(ctx context.Context, c Caller, files CatalogueFiles, q CatalogueChange) (CatalogueVersion, audit.Receipt, error) {
	v := CatalogueVersion{Stage: StageDraft, Digest: files.Digest(), ImportedBy: c.Principal, ChangedBy: c.Principal,
		ImportedAt: r.now(), ChangedAt: r.now(), Reason: q.Reason}
	a := &Access{Action: ActionCatalogueImport, Object: "catalogue", Digest: v.Digest[:]}
	return r.changeCatalogue(ctx, c, a, q, &v,
		func() error {
			e, err := files.edition(r.cfg.Seals)
			if err == nil && files[ExampleFile] != nil {
				_, err = e.sample(files[ExampleFile], r.today())
			}
			if err != nil {
				return notAType(err)
			}
			v.TypeCode, v.Name = e.item.TypeCode, e.item.Name
			if err := c.keepsType(v.TypeCode); err != nil {
				return err
			}
			v.Version, err = r.nextVersion(ctx, v.TypeCode)
			a.Object = catalogueObject(v.TypeCode, v.Version)
			return err
		},
		func(ctx context.Context, tx Tx) error { return tx.InsertCatalogueVersion(ctx, v, files) })
}

// notAType tells what is wrong with files as a fault of the request.
func notAType(err error) error {
	return licence.InvalidField("files", licence.CodeInvalid, "are no licence type: "+strings.TrimPrefix(err.Error(), "licence: "))
}

// nextVersion is the number of a type's next version.
func (r *Registry) nextVersion(ctx context.Context, typeCode string) (int, error) {
	versions, err := r.cfg.Store.CatalogueVersions(ctx, typeCode)
	if err != nil || len(versions) == 0 {
		return 1, err
	}
	return versions[len(versions)-1].Version + 1, nil
}

// PublishCatalogue makes a draft what new licences of its type are made by; the version
// that was so far is retired. A client does not publish what it imported itself.
func (r *Registry) PublishCatalogue(ctx context.Context, c Caller, typeCode string, version int, q CatalogueChange) (CatalogueVersion, audit.Receipt, error) {
	var v CatalogueVersion
	var before int
	a := &Access{Action: ActionCataloguePublish, Object: catalogueObject(typeCode, version)}
	return r.changeCatalogue(ctx, c, a, q, &v,
		func() (err error) {
			if v, err = r.movable(ctx, c, a, typeCode, version); err != nil {
				return err
			}
			if v.ImportedBy == c.Principal && !c.Has(RoleSystem) {
				return ErrOwnImport
			}
			if _, err = r.readEdition(ctx, v); err != nil {
				return notAType(err)
			}
			now, err := r.catalogueVersion(ctx, typeCode, 0)
			if errors.Is(err, licence.ErrNotFound) {
				err = nil
			}
			before = now.Version
			return err
		},
		func(ctx context.Context, tx Tx) error {
			if before > 0 {
				if err := tx.MoveCatalogueVersion(ctx, typeCode, before, StagePublished, StageRetired, c.Principal, q.Reason, r.now()); err != nil {
					return err
				}
			}
			v.Stage, v.ChangedBy, v.ChangedAt, v.Reason = StagePublished, c.Principal, r.now(), q.Reason
			return tx.MoveCatalogueVersion(ctx, typeCode, version, StageDraft, StagePublished, v.ChangedBy, v.Reason, v.ChangedAt)
		})
}

// RetireCatalogue ends a draft, or a published version: no licences of the type are issued
// from then on. Those that are pending are finished by it all the same.
func (r *Registry) RetireCatalogue(ctx context.Context, c Caller, typeCode string, version int, q CatalogueChange) (CatalogueVersion, audit.Receipt, error) {
	var v CatalogueVersion
	var from Stage // v is the answer already when a batch is run again
	a := &Access{Action: ActionCatalogueRetire, Object: catalogueObject(typeCode, version)}
	return r.changeCatalogue(ctx, c, a, q, &v,
		func() (err error) {
			v, err = r.movable(ctx, c, a, typeCode, version)
			from = v.Stage
			return err
		},
		func(ctx context.Context, tx Tx) error {
			if from == StageRetired {
				return ErrWrongStage
			}
			v.Stage, v.ChangedBy, v.ChangedAt, v.Reason = StageRetired, c.Principal, r.now(), q.Reason
			return tx.MoveCatalogueVersion(ctx, typeCode, version, from, StageRetired, v.ChangedBy, v.Reason, v.ChangedAt)
		})
}

// movable is a version that the caller may move.
func (r *Registry) movable(ctx context.Context, c Caller, a *Access, typeCode string, version int) (CatalogueVersion, error) {
	if err := c.keepsType(typeCode); err != nil {
		return CatalogueVersion{}, err
	}
	if version < 1 {
		return CatalogueVersion{}, licence.ErrNotFound
	}
	v, err := r.catalogueVersion(ctx, typeCode, version)
	a.Digest = bytes.Clone(v.Digest[:])
	return v, err
}

// changeCatalogue takes a change through the gate: the key, the change and the answer to
// its repeats are one transaction. v is the answer.
func (r *Registry) changeCatalogue(ctx context.Context, c Caller, a *Access, q CatalogueChange, v *CatalogueVersion,
	check func() error, apply func(context.Context, Tx) error) (CatalogueVersion, audit.Receipt, error) {
	a.Use, a.PurposeField = Use{Purpose: q.Reason}, "reason"
	a.Check = func() error {
		if !c.Has(RoleSystem) {
			if err := CheckKey(q.Key); err != nil {
				return err
			}
		}
		if q.Reason == "" {
			return ErrReasonMissing
		}
		return check()
	}
	a.Apply = func(ctx context.Context, tx Tx, e *audit.Entry) error {
		if c.Has(RoleSystem) {
			return apply(ctx, tx)
		}
		return r.gate.Once(ctx, tx, c, q.Key, q.Body, e, v, func() error { return apply(ctx, tx) })
	}
	receipt, err := r.gate.Pass(ctx, c, a)
	if err != nil {
		return CatalogueVersion{}, receipt, err
	}
	// The change is made: what goes wrong now the next round of upkeep meets too, and tells.
	_ = r.RefreshCatalogue(ctx)
	return *v, receipt, nil
}

// EnterCatalogue takes in what the program ships: types that the register has no version
// of, as published version 1; of others, what it has never held, as a draft. So a new
// program changes nothing that an authority keeps: it offers. Several servers may start
// with it at the same moment.
func (r *Registry) EnterCatalogue(ctx context.Context, c Caller, shipped []CatalogueFiles) error {
	for _, files := range shipped {
		err := r.enterShipped(ctx, c, files)
		if err != nil && !errors.Is(err, ErrVersionTaken) {
			return err
		}
	}
	return nil
}

// enterShipped is EnterCatalogue of one type.
func (r *Registry) enterShipped(ctx context.Context, c Caller, files CatalogueFiles) error {
	item, err := licence.ParseItem(files[licence.ItemFile], files[licence.SchemaFile])
	if err != nil {
		return err
	}
	versions, err := r.cfg.Store.CatalogueVersions(ctx, item.TypeCode)
	if err != nil {
		return err
	}
	digest := files.Digest()
	if slices.ContainsFunc(versions, func(v CatalogueVersion) bool { return v.Digest == digest }) {
		return nil
	}
	if len(versions) > 0 {
		_, _, err := r.ImportCatalogue(ctx, c, files, CatalogueChange{Reason: "shipped with the program"})
		return err
	}
	if _, err := files.edition(r.cfg.Seals); err != nil {
		return err
	}
	v := CatalogueVersion{TypeCode: item.TypeCode, Version: 1, Stage: StagePublished, Name: item.Name, Digest: digest, ImportedBy: c.Principal,
		ChangedBy: c.Principal, ImportedAt: r.now(), ChangedAt: r.now(), Reason: "shipped with the program"}
	a := Access{Action: ActionCataloguePublish, Object: catalogueObject(v.TypeCode, v.Version), Digest: digest[:], Use: Use{Purpose: v.Reason}}
	imported := a
	imported.Action = ActionCatalogueImport
	a.Before = []*Access{&imported}
	a.Apply = func(ctx context.Context, tx Tx, _ *audit.Entry) error {
		return tx.InsertCatalogueVersion(ctx, v, files)
	}
	_, err = r.gate.Pass(ctx, c, &a)
	return err
}
