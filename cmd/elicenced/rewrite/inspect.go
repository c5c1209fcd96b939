package rewrite

import (
	"slices"

	"elicence/licence"

	"github.com/pdfcpu/pdfcpu/pkg/pdfcpu/types"
)

// maxNesting bounds how deep arrays and dictionaries nest, maxObjects how many objects a
// file has that is looked at.
const (
	maxNesting = 32
	maxObjects = 50_000
)

// inspect looks at every object of the file, also at those that nothing leads to, for
// what refuses it.
func (c *copier) inspect() error {
	if len(c.xref.Table) > maxObjects {
		return fault(licence.CodeTooMany, "has %d objects; at most %d are read", len(c.xref.Table), maxObjects)
	}
	numbers := make([]int, 0, len(c.xref.Table))
	for n := range c.xref.Table {
		numbers = append(numbers, n)
	}
	slices.Sort(numbers) // so that the same file is refused for the same reason
	for _, n := range numbers {
		entry := c.xref.Table[n]
		if entry == nil || entry.Free {
			continue
		}
		o, err := c.xref.Dereference(*types.NewIndirectRef(n, 0))
		if err != nil {
			return fault("unreadable", "has an object %d that cannot be read: %v", n, err)
		}
		if err := c.look(o, maxNesting); err != nil {
			return err
		}
	}
	return nil
}

// look looks at one object, without following references.
func (c *copier) look(o types.Object, depth int) error {
	if depth == 0 {
		return fault("unreadable", "nests more than %d deep", maxNesting)
	}
	switch o := o.(type) {
	case types.Array:
		for _, item := range o {
			if err := c.look(item, depth-1); err != nil {
				return err
			}
		}
	case types.StreamDict:
		if _, outside := o.Find("F"); outside {
			return fault("external_reference", "takes a stream from another file")
		}
		return c.look(o.Dict, depth)
	case types.Dict:
		if err := c.lookAt(o); err != nil {
			return err
		}
		for _, key := range sortedKeys(o) {
			if err := c.look(o[key], depth-1); err != nil {
				return err
			}
		}
	}
	return nil
}

// refusals are the actions that refuse a file, by /S (12.6.4).
var refusals = map[string][2]string{
	"JavaScript": {"javascript", "has JavaScript"}, "Launch": {"launch_action", "has an action that starts a program"},
	"SubmitForm": {"form", "has an action that sends a form"}, "ImportData": {"form", "has an action that fills a form"}, "ResetForm": {"form", "has an action that empties a form"},
	"GoToR": {"external_reference", "has an action that opens another file"}, "GoToE": {"embedded_file", "has an action that opens an embedded file"},
	"SetOCGState": {"optional_content", "has an action that shows or hides content"}, "Rendition": {"multimedia", "has an action that plays media"},
	"Movie": {"multimedia", "has an action that plays a film"}, "Sound": {"multimedia", "has an action that plays a sound"}, "GoTo3DView": {"multimedia", "has an action on a model"},
	"Trans": {"action", "has an action that changes the view"}, "Hide": {"action", "has an action that hides something"}, "Named": {"action", "has an action of the reader's menu"},
}

// keyRefusals are the keys that refuse a file wherever they stand.
var keyRefusals = map[string][2]string{
	"JS": {"javascript", "has JavaScript"}, "JavaScript": {"javascript", "has JavaScript"}, "XFA": {"xfa", "has an XFA form"},
	"OCProperties": {"optional_content", "has optional content, which can be shown and hidden"}, "OC": {"optional_content", "has optional content, which can be shown and hidden"},
	"ByteRange": {"signature", "is signed; a signature does not survive, so ask for the file before it was signed"},
	"Perms":     {"signature", "is certified by a signature"}, "RichMediaContent": {"multimedia", "has multimedia"},
	"AA": {"action", "has actions that events start"}, "Collection": {"embedded_file", "is a portfolio of embedded files"},
	"Encrypt": {"encrypted", "is encrypted"}, "Alternates": {"unsupported", "has images that change with their use"}, "OPI": {"external_reference", "has images that stand for those of another file"},
}

// lookAt looks at one dictionary.
func (c *copier) lookAt(d types.Dict) error {
	for _, key := range sortedKeys(d) {
		if why, refused := keyRefusals[key]; refused {
			return fault(why[0], "%s", why[1])
		}
	}
	if s := d.NameEntry("S"); s != nil {
		if why, refused := refusals[*s]; refused {
			return fault(why[0], "%s", why[1])
		}
	}
	if t := d.NameEntry("FT"); t != nil && *t == "Sig" {
		return fault("signature", "has a field for a signature")
	}
	if _, form := d.Find("Fields"); form {
		if list, err := c.xref.DereferenceArray(d["Fields"]); err != nil || len(list) > 0 {
			return fault("form", "has a form")
		}
	}
	if _, ref := d.Find("Ref"); ref && d.Subtype() != nil && *d.Subtype() == "Form" {
		return fault("external_reference", "shows a page of another file")
	}
	if _, embedded := d.Find("EF"); embedded {
		c.removed("embedded_files")
	}
	return nil
}

func sortedKeys(d types.Dict) []string {
	keys := make([]string, 0, len(d))
	for key := range d {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
