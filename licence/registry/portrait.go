package registry

import (
	"context"
	"fmt"
	"slices"

	"elicence/licence"
	"elicence/licence/render"
	"elicence/licence/render/portrait"

	"github.com/emmansun/gmsm/sm3"
)

// makePortrait ends step 1's check of a request with a photograph: the portrait is made, and
// the field names it.
func (r *Registry) makePortrait(item *licence.CatalogueItem, a *asked) (err error) {
	if a.Photo == nil {
		return nil
	}
	name := item.Portrait()
	if a.portrait, err = portrait.Prepare("fields."+name, a.Photo); err != nil {
		return err
	}
	a.Photo, a.Fields[name] = nil, licence.PortraitReference(a.portrait)
	return nil
}

// storePortrait makes the portrait durable, after the attempt is logged and before the
// licence that names it is reserved. A crash between the two leaves a file that nothing
// refers to, under its own digest: the retry finds it there.
func (r *Registry) storePortrait(ctx context.Context, jpeg []byte) error {
	if jpeg == nil {
		return nil
	}
	if err := r.cfg.Files.Put(ctx, sm3.Sum(jpeg), jpeg); err != nil {
		return fmt.Errorf("storing the portrait: %w", err)
	}
	return nil
}

// addPortrait adds the portrait that the licence names, to be drawn and attached.
func (r *Registry) addPortrait(ctx context.Context, s *sealing, in *render.Input) error {
	named, _ := s.lic.Fields[s.by.item.Portrait()].(string)
	digest, ok := licence.ParsePortraitReference(named)
	if !ok {
		return nil
	}
	var err error
	if in.Portrait, err = r.cfg.Files.Get(ctx, digest); err != nil {
		return fmt.Errorf("fetching the portrait: %w", err)
	}
	in.Attachments = append(in.Attachments, render.Attachment{Name: portrait.Name, Description: portrait.Description, Data: in.Portrait})
	return nil
}

// shownPortrait is a portrait that is presented, and the field that names it, as a grant does.
type shownPortrait struct {
	field string
	jpeg  []byte
}

// portraits fetches those of licences whose field is among some. What a licence of another platform
// states in that field names no file of ours.
func (r *Registry) portraits(ctx context.Context, records []Record, fields []string) (map[licence.Identifier]shownPortrait, error) {
	all := map[licence.Identifier]shownPortrait{}
	for _, rec := range records {
		item := r.LastItem(rec.TypeCode)
		if item == nil || item.Portrait() == "" || rec.Importer != "" || !slices.Contains(fields, "fields."+item.Portrait()) {
			continue
		}
		l, err := licence.ParseData(rec.Data)
		if err != nil {
			return nil, fmt.Errorf("reading the data of %s: %w", rec.Identifier, err)
		}
		named, _ := l.Fields[item.Portrait()].(string)
		digest, ok := licence.ParsePortraitReference(named)
		if !ok {
			continue
		}
		jpeg, err := r.cfg.Files.Get(ctx, digest)
		if err != nil {
			return nil, fmt.Errorf("fetching the portrait of %s: %w", rec.Identifier, err)
		}
		all[rec.Identifier] = shownPortrait{"fields." + item.Portrait(), jpeg}
	}
	return all, nil
}
