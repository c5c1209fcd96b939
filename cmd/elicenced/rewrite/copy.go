package rewrite

import (
	"bytes"
	"compress/zlib"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"elicence/crypto/pdfsig"
	"elicence/licence"

	"github.com/pdfcpu/pdfcpu/pkg/pdfcpu/types"
)

// ignored are keys that draw nothing, wherever they stand: they are left out unsaid.
var ignored = []string{"Metadata", "StructParent", "StructParents", "PieceInfo", "LastModified", "Properties", "ID", "Measure", "PtData", "AF", "Style", "FD", "Tabs", "Thumb", "XUID", "PTEX.FileName", "PTEX.PageNumber", "PTEX.InfoDict", "PTEX.Fullbanner"}

// stream writes a stream of a kind and returns its number. plain data are not encoded yet.
func (c *copier) stream(d types.Dict, data []byte, plain bool, kind string) (int, error) {
	number, err := c.reserve()
	if err != nil {
		return 0, err
	}
	return number, c.fill(number, d, data, plain, kind)
}

// reserve takes the next number: an object may lead to itself.
func (c *copier) reserve() (int, error) {
	if len(c.out.Objects) == pdfsig.MaxObjects-1000 {
		return 0, fault(licence.CodeTooMany, "has more objects than a licence file holds")
	}
	c.out.Objects = append(c.out.Objects, nil)
	return c.out.First + len(c.out.Objects) - 1, nil
}

// fill writes the stream of a number that was taken.
func (c *copier) fill(number int, d types.Dict, data []byte, plain bool, kind string) error {
	d = d.Clone().(types.Dict)
	if plain {
		var out bytes.Buffer
		w := zlib.NewWriter(&out)
		_, _ = w.Write(data) // a bytes.Buffer takes everything
		_ = w.Close()
		data = out.Bytes()
		d["Filter"] = types.Name("FlateDecode")
		delete(d, "DecodeParms")
	}
	d["Length"] = types.Integer(len(data))
	body, err := c.value(d, kind, maxNesting)
	if err != nil {
		return err
	}
	c.out.Objects[number-c.out.First] = slices.Concat([]byte(body), []byte("\nstream\n"), data, []byte("\nendstream"))
	if bytes.Contains(data, []byte("/ByteRange")) {
		return fault("unsupported", "has a stream that looks like a signature")
	}
	return nil
}

// value writes a value of a kind of pdfsig.Drawn.
func (c *copier) value(o types.Object, kind string, depth int) (string, error) {
	if depth == 0 {
		return "", fault("unreadable", "nests more than %d deep", maxNesting)
	}
	switch o := o.(type) {
	case types.IndirectRef:
		return c.reference(o, kind, depth)
	case types.Array:
		items := make([]string, len(o))
		for i, item := range o {
			var err error
			if items[i], err = c.value(item, kind, depth-1); err != nil {
				return "", err
			}
		}
		return "[" + strings.Join(items, " ") + "]", nil
	case types.Dict:
		return c.dictionary(o, kind, depth)
	}
	return scalar(o)
}

// reference copies what a reference leads to: streams and dictionaries as objects, all
// else in its place.
func (c *copier) reference(ref types.IndirectRef, kind string, depth int) (string, error) {
	o, err := c.xref.Dereference(ref)
	if err != nil {
		return "", fault("unreadable", "has an object %d that cannot be read", ref.ObjectNumber)
	}
	p := part{int(ref.ObjectNumber), kind}
	if number, copied := c.numbers[p]; copied {
		return fmt.Sprintf("%d 0 R", number), nil
	}
	named := strings.HasPrefix(kind, "{}")
	switch o := o.(type) {
	case types.StreamDict:
		if named || kind == "" {
			return "", fault("unsupported", "has a stream where a value belongs")
		}
		if c.numbers[p], err = c.reserve(); err != nil {
			return "", err
		}
		_, encoded := o.Find("Filter")
		return fmt.Sprintf("%d 0 R", c.numbers[p]), c.fill(c.numbers[p], o.Dict, o.Raw, !encoded, kind)
	case types.Dict:
		if named || kind == "" {
			return c.dictionary(o, kind, depth)
		}
		if c.numbers[p], err = c.reserve(); err != nil {
			return "", err
		}
		body, err := c.value(o, kind, maxNesting)
		c.out.Objects[c.numbers[p]-c.out.First] = []byte(body)
		return fmt.Sprintf("%d 0 R", c.numbers[p]), err
	case types.Array:
		return c.value(o, kind, depth-1)
	}
	return scalar(o)
}

// dictionary writes a dictionary by the list.
func (c *copier) dictionary(d types.Dict, kind string, depth int) (string, error) {
	if kind == "font" {
		if err := c.checkFont(d); err != nil {
			return "", err
		}
	}
	each, named := strings.CutPrefix(kind, "{}")
	var out strings.Builder
	out.WriteString("<<")
	for _, key := range sortedKeys(d) {
		child, known := each, true
		if !named {
			child, known = pdfsig.Drawn[kind][key]
		}
		if v, err := c.xref.Dereference(d[key]); err == nil && v == nil || !known && slices.Contains(ignored, key) {
			continue
		}
		if !known {
			return "", fault("unsupported", "has the entry %.40q in a %s", key, kind)
		}
		v, err := c.value(renamed(key, d[key]), child, depth-1)
		if err != nil {
			return "", err
		}
		if !regular(key) {
			return "", fault("unsupported", "has the unusual name %.40q", key)
		}
		out.WriteString("/" + key + " " + v + " ")
	}
	return out.String() + ">>", nil
}

// renamed spells the name of a font, which nothing refers to, in letters that the
// strict reader takes.
func renamed(key string, v types.Object) types.Object {
	name, ok := v.(types.Name)
	if !ok || key != "BaseFont" && key != "FontName" || regular(string(name)) {
		return v
	}
	prefix := ""
	if len(name) > 7 && name[6] == '+' && regular(string(name[:6])) {
		prefix, name = string(name[:7]), name[7:]
	}
	return types.Name(prefix + "Font-" + hex.EncodeToString([]byte(name[:min(len(name), 40)])))
}

// checkFont refuses a font that is not in the file: the page would look as the reader's
// machine pleases.
func (c *copier) checkFont(d types.Dict) error {
	subtype := d.Subtype()
	if subtype == nil {
		return fault("unreadable", "has a font of no type")
	}
	if *subtype == "Type0" || *subtype == "Type3" {
		return nil // the first has its program in another font, the second draws itself
	}
	descriptor, err := c.xref.DereferenceDict(d["FontDescriptor"])
	if err == nil && descriptor != nil {
		for _, key := range []string{"FontFile", "FontFile2", "FontFile3"} {
			program, err := c.xref.Dereference(descriptor[key])
			if _, embedded := program.(types.StreamDict); err == nil && embedded {
				return nil
			}
		}
	}
	name := ""
	if n := d.NameEntry("BaseFont"); n != nil {
		name = *n
	}
	return fault("font_not_embedded", "shows text in the font %.60q without holding it", name)
}

// scalar writes a number, a name, a string or a boolean in the one form that the strict
// reader takes.
func scalar(o types.Object) (string, error) {
	switch o := o.(type) {
	case types.Integer:
		if math.Abs(float64(o)) < 1e10 {
			return strconv.Itoa(int(o)), nil
		}
	case types.Float:
		if v := float64(o); math.Abs(v) < 1e5 {
			s := strconv.FormatFloat(v, 'f', 5, 64)
			if s = strings.TrimRight(strings.TrimRight(s, "0"), "."); s == "-0" {
				s = "0"
			}
			return s, nil
		}
	case types.Boolean:
		return strconv.FormatBool(bool(o)), nil
	case types.Name:
		if regular(string(o)) {
			return "/" + string(o), nil
		}
		return "", fault("unsupported", "has the unusual name %.40q", string(o))
	case types.StringLiteral:
		return text(types.Unescape(string(o)))
	case types.HexLiteral:
		return text(o.Bytes())
	}
	return "", fault("unsupported", "has a value of a kind that draws nothing: %T", o)
}

// text writes a string, if it could be read.
func text(b []byte, err error) (string, error) {
	if err != nil {
		return "", fault("unreadable", "has a string that cannot be read: %v", err)
	}
	return "<" + hex.EncodeToString(b) + ">", nil
}

// regular reports whether a name can be written without escapes.
func regular(name string) bool {
	return name != "" && len(name) <= 127 && !strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("()<>[]{}/%#", r) })
}
