package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"elicence/licence"
	"elicence/licence/render"
)

// edition is one version of a licence type: all that its licences are made by. It never
// changes.
type edition struct {
	item   *licence.CatalogueItem
	layout *render.Layout
	// version is the catalogue's; 0: what the program ships, which no register holds yet.
	version int
}

// editions is the catalogue as this server knows it.
type editions struct {
	// change is the register's count of changes that it was read at; 0: it is what the
	// program ships.
	change  int64
	current *licence.Catalogue
	byType  map[string]*edition
	// ended are the last published versions of types that have none any more.
	ended map[string]*edition
}

// catalogues is a server's copy of the catalogue, which every request reads.
type catalogues struct {
	editions atomic.Pointer[editions]
	// shipped are the program's own, for types that the register has no version of.
	shipped []*edition
	reading sync.Mutex
	// others are versions that pending licences were made by, once they were asked for.
	others sync.Map // editionKey to *edition
}

type editionKey struct {
	typeCode string
	version  int
}

// newEditions makes a catalogue of some versions.
func newEditions(change int64, published, ended []*edition) *editions {
	all := &editions{change: change, byType: map[string]*edition{}, ended: map[string]*edition{}}
	var items []*licence.CatalogueItem
	for _, e := range published {
		items = append(items, e.item)
		all.byType[e.item.TypeCode] = e
	}
	for _, e := range ended {
		all.ended[e.item.TypeCode] = e
	}
	all.current = licence.NewCatalogue(items)
	return all
}

// check says why licences of the type could not be drawn or sealed here.
func (e *edition) check(seals map[string]*SealKey) error {
	if e.layout == nil {
		return fmt.Errorf("catalogue item %s (%s): there is no layout %q", e.item.TypeCode, e.item.Name, e.item.Layout)
	}
	if e.layout.OnDocument() != e.item.Document {
		return fmt.Errorf("catalogue item %s (%s): item and layout %q disagree on whether it is for documents", e.item.TypeCode, e.item.Name, e.layout.Name)
	}
	if places := len(e.layout.CoSealPlacements()); places != len(e.item.CoSeals) {
		return fmt.Errorf("catalogue item %s (%s): layout %q has %d places for %d co-seals", e.item.TypeCode, e.item.Name, e.layout.Name, places, len(e.item.CoSeals))
	}
	if shown, has := e.layout.Portrait(), e.item.Portrait(); shown != has {
		return fmt.Errorf("catalogue item %s (%s): layout %q shows the portrait of field %q, the type has it in %q", e.item.TypeCode, e.item.Name, e.layout.Name, shown, has)
	}
	for code, key := range seals {
		if key != nil && key.Picture == nil && e.layout.DrawsSeal() {
			return fmt.Errorf("catalogue item %s (%s): the seal of %s has no picture to ride on several pages or stand in a duplicate", e.item.TypeCode, e.item.Name, code)
		}
	}
	return nil
}

// catalogue is the published types.
func (r *Registry) catalogue() *licence.Catalogue { return r.editions.Load().current }

// PublishedTypes are the types that licences can be issued of, in the order of the catalogue.
func (r *Registry) PublishedTypes() []*licence.CatalogueItem { return r.catalogue().Items() }

// published is the published version of a type; licence.ErrNotFound when there is none.
func (r *Registry) published(typeCode string) (*edition, error) {
	if e := r.editions.Load().byType[typeCode]; e != nil {
		return e, nil
	}
	return nil, fmt.Errorf("%w: licence type %.40q", licence.ErrNotFound, typeCode)
}

// madeBy is the version that a licence was made by, published or not.
func (r *Registry) madeBy(ctx context.Context, rec *Record) (*edition, error) {
	all := r.editions.Load()
	if e := all.byType[rec.TypeCode]; e != nil && e.version == rec.CatalogueVersion {
		return e, nil
	}
	// What was made before the register kept versions was made by what is its version 1.
	version := max(rec.CatalogueVersion, 1)
	key := editionKey{rec.TypeCode, version}
	if e, found := r.others.Load(key); found {
		return e.(*edition), nil
	}
	v, err := r.catalogueVersion(ctx, rec.TypeCode, version)
	var e *edition
	if err == nil {
		e, err = r.readEdition(ctx, v)
	}
	if err != nil {
		return nil, fmt.Errorf("reading version %d of licence type %s: %w", version, rec.TypeCode, err)
	}
	r.others.Store(key, e)
	return e, nil
}

// ItemOf is the type of a licence as it was when the licence was made.
func (r *Registry) ItemOf(ctx context.Context, rec *Record) (*licence.CatalogueItem, error) {
	by, err := r.madeBy(ctx, rec)
	if err != nil {
		return nil, err
	}
	return by.item, nil
}

// LastItem is a type as it is published or, when it is not any more, as it was last; nil
// when there is none.
func (r *Registry) LastItem(typeCode string) *licence.CatalogueItem {
	all := r.editions.Load()
	for _, e := range []*edition{all.byType[typeCode], all.ended[typeCode]} {
		if e != nil {
			return e.item
		}
	}
	return nil
}

// RefreshCatalogue brings this server's copy of the catalogue up to date with the
// register's: one small query while nothing has changed. A type that cannot be read stays
// as it was known here, and the error names it. The server runs it again and again, so
// that what one server publishes is soon used by all.
func (r *Registry) RefreshCatalogue(ctx context.Context) error {
	r.reading.Lock()
	defer r.reading.Unlock()
	change, err := r.cfg.Store.CatalogueChange(ctx)
	known := r.editions.Load()
	if err != nil || change == known.change {
		return err
	}
	versions, err := r.cfg.Store.CatalogueVersions(ctx, "")
	if err != nil {
		return err
	}
	var published, ended []*edition
	for _, e := range r.shipped {
		if !slices.ContainsFunc(versions, func(v CatalogueVersion) bool { return v.TypeCode == e.item.TypeCode }) {
			published = append(published, e)
		}
	}
	var faults error
	for _, v := range inForce(versions) {
		e, err := r.known(ctx, known, v)
		if err != nil {
			faults = errors.Join(faults, fmt.Errorf("licence type %s (%s), version %d: %w", v.TypeCode, v.Name, v.Version, err))
		}
		switch {
		case e == nil:
		case v.Stage == StagePublished:
			published = append(published, e)
		default:
			ended = append(ended, e)
		}
	}
	if faults != nil {
		change = -1 // to be read again
	}
	r.editions.Store(newEditions(change, published, ended))
	return faults
}

// inForce are, of each type, the published version or else the last that was retired.
func inForce(versions []CatalogueVersion) []CatalogueVersion {
	chosen := map[string]CatalogueVersion{}
	for _, v := range versions { // in ascending order
		if v.Stage == StagePublished || v.Stage == StageRetired && chosen[v.TypeCode].Stage != StagePublished {
			chosen[v.TypeCode] = v
		}
	}
	all := make([]CatalogueVersion, 0, len(chosen))
	for _, v := range chosen {
		all = append(all, v)
	}
	return all
}

// known is a version that was read before, or is read now. With an error it is what was
// known of the type; it may be nil.
func (r *Registry) known(ctx context.Context, before *editions, v CatalogueVersion) (*edition, error) {
	for _, e := range []*edition{before.byType[v.TypeCode], before.ended[v.TypeCode]} {
		if e != nil && e.version == v.Version {
			return e, nil
		}
	}
	e, err := r.readEdition(ctx, v)
	if err != nil {
		return before.byType[v.TypeCode], err
	}
	return e, nil
}

// readEdition reads a version from the register.
func (r *Registry) readEdition(ctx context.Context, v CatalogueVersion) (*edition, error) {
	files, err := r.cfg.Store.CatalogueFiles(ctx, v.TypeCode, v.Version)
	if err != nil {
		return nil, err
	}
	return r.editionOf(v, files)
}

// editionOf compares the files of a version with its digest and checks them anew: an older
// program may not know all of what a newer one imported.
func (r *Registry) editionOf(v CatalogueVersion, files CatalogueFiles) (*edition, error) {
	if files.Digest() != v.Digest {
		return nil, errors.New("its files are not those that were imported")
	}
	e, err := files.edition(r.cfg.Seals)
	if err != nil {
		return nil, err
	}
	e.version = v.Version
	return e, nil
}

// catalogueVersion is what the register says of one version.
func (r *Registry) catalogueVersion(ctx context.Context, typeCode string, version int) (CatalogueVersion, error) {
	if typeCode == "" {
		return CatalogueVersion{}, licence.ErrNotFound
	}
	all, err := r.cfg.Store.CatalogueVersions(ctx, typeCode)
	if err != nil {
		return CatalogueVersion{}, err
	}
	for _, v := range all {
		if v.Version == version || version == 0 && v.Stage == StagePublished {
			return v, nil
		}
	}
	return CatalogueVersion{}, fmt.Errorf("%w: version %d of licence type %.40q", licence.ErrNotFound, version, typeCode)
}
