package pdfsig

// walkOutline reads the bookmarks. They lead to the pages one by one and nowhere else,
// so that no bookmark can be an action or point at what nobody sees.
func (d *document) walkOutline(ref value) error {
	root, err := d.once(ref, "the outline", false, outlineShape)
	if err != nil {
		return err
	}
	if n := root.body.entry("Count").int(); n != int64(len(d.pages)) {
		return malformed(CodeProfile, root.offset, "%d bookmarks for %d pages", n, len(d.pages))
	}
	item, before := root.body.entry("First"), int64(-1) // as of a value that is not there
	for i, page := range d.pages {
		o, err := d.once(item, "a bookmark", false, bookmarkShape)
		if err != nil {
			return err
		}
		dest := o.body.entry("Dest").items()
		if len(dest) != 2 || dest[0].kind != kindReference || dest[0].int() != int64(page) || dest[1].kind != kindName || string(dest[1].text()) != "Fit" {
			return malformed(CodeProfile, o.offset, "bookmark does not lead to page %d", i+1)
		}
		if o.body.entry("Parent").int() != int64(root.number) || o.body.entry("Prev").int() != before || o.body.has("Next") != (i+1 < len(d.pages)) {
			return malformed(CodeProfile, o.offset, "bookmark with other neighbours")
		}
		item, before = o.body.entry("Next"), int64(o.number)
	}
	if root.body.entry("Last").int() != before {
		return malformed(CodeProfile, root.offset, "the last bookmark is another one")
	}
	return nil
}
