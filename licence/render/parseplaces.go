package render

import (
	"errors"
	"slices"

	"elicence/licence"
	"elicence/licence/render/qr"
	"elicence/licence/render/sealpicture"
)

// checkPlaces checks pages, symbol and seal, which must lie on the first pages:
// those are always drawn.
func (p *parser) checkPlaces() error {
	if len(p.pages) == 0 {
		return p.lineError(p.key("pages"), "a layout needs a page")
	}
	q, quiet := p.qr, p.quiet()
	if q.Page < 1 || q.Page > len(p.pages) || !fits(q, p.page, quiet) {
		return p.lineError(p.key("qr"), "the symbol and its quiet zone must lie on a page")
	}
	if q.Size < leastModule*qr.LargestSymbol {
		return p.lineError(p.key("qr"), "the symbol must be %.1f mm or more, for modules of %.1f mm", leastModule*qr.LargestSymbol, leastModule)
	}
	if p.onDocument {
		return errors.Join(p.checkOnDocument(), p.checkClear(quiet))
	}
	if s := p.seal; s.Page < 1 || s.Page > len(p.pages) {
		return p.lineError(p.key("seal"), "the seal of 30 to 60 mm must lie on a page")
	}
	if err := p.checkClear(quiet); err != nil {
		return err
	}
	if err := p.checkSeals(quiet); err != nil {
		return err
	}
	if err := p.checkRiding(quiet); err != nil {
		return err
	}
	if found := tables(p.pages); len(found) > 1 {
		return p.lineError(found[1].line, "a layout has at most one table")
	} else if len(found) == 1 && (p.more == nil || len(tables([]sheet{*p.more})) != 1 || tables([]sheet{*p.more})[0].List != found[0].List) {
		return p.lineError(found[0].line, "a table needs a continuation page with one table of the same list")
	}
	return nil
}

// checkClear checks that nothing else has its place on the symbol or its quiet
// zone: a reader would not find it.
func (p *parser) checkClear(quiet float64) error {
	q := p.qr
	on := func(x, y, w, h float64) bool {
		return x < q.X+q.Size+quiet && x+w > q.X-quiet && y < q.Y+q.Size+quiet && y+h > q.Y-quiet
	}
	for _, e := range p.pages[q.Page-1].elements {
		if e.Kind != "box" && on(e.X, e.Y, e.W, e.H) {
			return p.lineError(e.line, "the element lies on the QR symbol or its quiet zone of %.1f mm", quiet)
		}
	}
	return nil
}

// checkSeals checks that the seals lie on the page, clear of the symbol and of each other.
func (p *parser) checkSeals(quiet float64) error {
	if len(p.coSeals) > licence.MaxCoSeals {
		return p.lineError(p.key("co_seals"), "%d co_seals; at most %d fit a licence", len(p.coSeals), licence.MaxCoSeals)
	}
	var boxes []extent
	for i, s := range append(slices.Clone(p.coSeals), p.seal.circle) {
		key := "co_seals"
		if i == len(p.coSeals) {
			key = "seal"
		}
		if !within(s.Diameter, 30, 60) {
			return p.lineError(p.key(key), "the seal of 30 to 60 mm must lie on a page")
		}
		boxes = append(boxes, extent{s.X, s.Y, s.Diameter, s.Diameter})
		if fault := p.misplaced(boxes, quiet); fault != "" {
			return p.lineError(p.key(key), "%s", fault)
		}
	}
	return nil
}

// checkRiding checks that a riding seal has several pages to ride on, and stays off
// the symbol whatever its size.
func (p *parser) checkRiding(quiet float64) error {
	q, w, h := p.qr, sealpicture.MaxMM/2.0, float64(sealpicture.MaxMM) // of two pages, the widest slice
	switch {
	case !p.riding:
		return nil
	case len(p.pages) == 1 && p.more == nil:
		return p.lineError(p.key("riding_seal"), "a riding seal needs a licence of several pages")
	case p.page.H < h || p.page.W < 2*w:
		return p.lineError(p.key("riding_seal"), "the page is too small for a riding seal of %g mm", h)
	case q.X+q.Size+quiet > p.page.W-w && q.Y-quiet < (p.page.H+h)/2 && q.Y+q.Size+quiet > (p.page.H-h)/2:
		return p.lineError(p.key("riding_seal"), "the riding seal lies on the QR symbol or its quiet zone of %.1f mm", quiet)
	}
	return nil
}

// tables lists the tables of some pages.
func tables(pages []sheet) []element {
	var found []element
	for _, s := range pages {
		for _, e := range s.elements {
			if e.Kind == "table" {
				found = append(found, e)
			}
		}
	}
	return found
}
