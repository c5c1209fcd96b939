package registry

import (
	"context"
	"errors"
	"fmt"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/render"
)

// MaxDryRun is the most licences that one dry run draws.
const MaxDryRun = 200

// sample is the request that a preview draws. The error is about the example, or asks for
// one.
func (e *edition) sample(example []byte, today licence.Date) (licence.Request, error) {
	q, err := e.item.Sample(example, today)
	switch {
	case err == nil:
	case example == nil:
		return q, fmt.Errorf("no sample can be made from the schema; put a request into %s: %w", ExampleFile, err)
	default:
		return q, fmt.Errorf("%s: %w", ExampleFile, err)
	}
	for _, kind := range e.item.CoSeals {
		q.CoSealers = append(q.CoSealers, licence.CoSealer{Name: kind, Code: e.item.DefiningAuthority.Code})
	}
	return q, nil
}

// PreviewCatalogue draws a sample licence by a version, 0 being the published one, crossed with 样本 on every
// page. It bears no seal and no QR symbol, and takes no number.
func (r *Registry) PreviewCatalogue(ctx context.Context, c Caller, typeCode string, version int) ([]byte, audit.Receipt, error) {
	var q licence.Request
	a := &Access{Action: ActionCataloguePreview, Object: catalogueObject(typeCode, version)}
	e, receipt, err := r.admitToVersion(ctx, c, a, typeCode, &version, func(e *edition, files CatalogueFiles) (err error) {
		if q, err = e.sample(files[ExampleFile], r.today()); err != nil {
			return notAType(err)
		}
		return nil
	})
	if err != nil {
		return nil, receipt, err
	}
	file, err := r.drawSample(e, q)
	return file, receipt, err
}

// admitToVersion lets a caller at a version of the catalogue, or logs the refusal.
func (r *Registry) admitToVersion(ctx context.Context, c Caller, a *Access, typeCode string, version *int, check func(*edition, CatalogueFiles) error) (e *edition, receipt audit.Receipt, err error) {
	a.Check = func() (err error) {
		if err = c.keepsType(typeCode); err != nil {
			return err
		}
		v, err := r.catalogueVersion(ctx, typeCode, *version)
		if err != nil {
			return err
		}
		*version = v.Version
		a.Object, a.Digest = catalogueObject(typeCode, v.Version), v.Digest[:]
		files, err := r.cfg.Store.CatalogueFiles(ctx, typeCode, v.Version)
		if err != nil {
			return err
		}
		if e, err = r.editionOf(v, files); err != nil {
			return notAType(err)
		}
		return check(e, files)
	}
	receipt, err = r.gate.Pass(ctx, c, a)
	return e, receipt, err
}

// drawSample draws a preview.
func (r *Registry) drawSample(e *edition, q licence.Request) ([]byte, error) {
	if r.cfg.Fonts == nil {
		return nil, errors.New("no fonts are open")
	}
	id, err := licence.NewIdentifier(e.item.TypeCode, q.Authority.Code, "SAMPLE0000", 1)
	if err != nil {
		return nil, err
	}
	number := q.Number
	if number == "" {
		number = e.item.WidestNumber()
	}
	layout := e.layout
	if d := q.Document; d != nil {
		if layout, err = layout.On(render.BlankDocument(max(d.QR.Page, d.Seal.Page)), d); err != nil {
			return nil, err
		}
	}
	return layout.Preview(r.cfg.Fonts, newLicence(e.item, q, id, number), r.now())
}

// DryRun is what a version would make of a licence that another one made. It holds no
// value of the licence, but the names of its fields.
type DryRun struct {
	Identifier licence.Identifier
	// MadeBy is the version that made it, Faults why the new one would not.
	MadeBy int
	Faults []licence.FieldError
	// Changes are what would be printed otherwise, one sentence each.
	Changes []string
}

// DryRunCatalogue draws the newest licences of a type, those of the caller's division and
// below, at most last (1 to MaxDryRun), by a version, and says what would be refused or
// printed otherwise. Nothing is kept of it but its log entry.
func (r *Registry) DryRunCatalogue(ctx context.Context, c Caller, typeCode string, version, last int) ([]DryRun, audit.Receipt, error) {
	a := &Access{Action: ActionCatalogueDryRun, Object: catalogueObject(typeCode, version)}
	var records []Record
	e, receipt, err := r.admitToVersion(ctx, c, a, typeCode, &version, func(*edition, CatalogueFiles) (err error) {
		if last < 1 || last > MaxDryRun {
			return licence.InvalidField("last", licence.CodeOutOfRange, fmt.Sprintf("must be 1 to %d", MaxDryRun))
		}
		records, err = r.cfg.Store.NewestLicences(ctx, typeCode, c.Authority.Division, last)
		return err
	})
	if err != nil {
		return nil, receipt, err
	}
	runs := make([]DryRun, 0, len(records))
	for _, rec := range records {
		run, err := r.dryRun(ctx, e, &rec)
		if err != nil {
			return nil, receipt, err
		}
		runs = append(runs, run)
	}
	return runs, receipt, nil
}

// dryRun is DryRunCatalogue of one licence.
func (r *Registry) dryRun(ctx context.Context, e *edition, rec *Record) (DryRun, error) {
	run := DryRun{Identifier: rec.Identifier, Changes: []string{}}
	before, err := r.madeBy(ctx, rec)
	if err != nil {
		return run, err
	}
	run.MadeBy = before.version
	l, err := licence.ParseData(rec.Data)
	if err != nil {
		return run, fmt.Errorf("reading the data of %s: %w", rec.Identifier, err)
	}
	again := *l
	again.TypeName = e.item.Name
	run.Faults, err = faultsOf(e.documentFault(l), e.item.CheckFields(l.Fields), e.layout.Check(r.cfg.Fonts, &again))
	if err != nil || run.Faults != nil {
		return run, err
	}
	run.Changes, err = render.Compare(r.cfg.Fonts, before.layout, e.layout, l, &again)
	return run, err
}

// faultsOf gathers what requests would be refused for; any other error is returned.
func faultsOf(errs ...error) (faults []licence.FieldError, err error) {
	for _, err := range errs {
		var invalid *licence.RequestError
		if err != nil && !errors.As(err, &invalid) {
			return nil, err
		}
		if err != nil {
			faults = append(faults, invalid.Fields...)
		}
	}
	return faults, nil
}

// documentFault says that a licence is drawn on a document and the type is not, or the
// reverse.
func (e *edition) documentFault(l *licence.Licence) error {
	switch {
	case e.item.Document && l.Document == nil:
		return errDocumentMissing
	case !e.item.Document && l.Document != nil:
		return errDocumentUnasked
	}
	return nil
}
