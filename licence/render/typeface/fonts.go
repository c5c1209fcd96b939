// Package typeface draws characters: it finds a glyph for a character among the
// fonts of a face, says which characters cannot be drawn, breaks lines, and cuts a
// document's font.
//
// Fonts are TrueType files with glyf outlines. Nothing is shaped: one character is
// one glyph, which is right for Chinese and for plain Latin, and combining marks
// are refused.
//
// Invariants:
//   - a font file is mapped and parsed at most once per Fonts, when first needed;
//   - what CheckText accepts, Cut draws; no box ever stands for a character;
//   - the same characters give the same cut font, byte for byte.
//
// It knows nothing of licences but the errors that refuse a field.
package typeface

import (
	"encoding/binary"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"unicode"

	"github.com/tdewolff/font"
)

// Em is the number of units in the em of the fonts we write. Glyphs of fonts
// with another Em are scaled to it.
const Em = 1000

// fontFiles names every font file by the short name that faces are made of.
var fontFiles = map[string]string{
	"serif":      "NotoSerifSC_400Regular.ttf",
	"serif-bold": "NotoSerifSC_700Bold.ttf",
	"sans":       "NotoSansSC_400Regular.ttf",
	"sans-bold":  "NotoSansSC_700Bold.ttf",
	"babelstone": "BabelStoneHan.ttf",
	"hanamin-a":  "HanaMinA.ttf",
	"hanamin-b":  "HanaMinB.ttf",
}

// faceChains lists, for each face a layout may name, the fonts asked in turn
// for a glyph. The last three together draw all of URO and Extensions A to F.
var faceChains = map[string][]string{
	"song":      {"serif", "babelstone", "hanamin-a", "hanamin-b"},
	"song-bold": {"serif-bold", "serif", "babelstone", "hanamin-a", "hanamin-b"},
	"hei":       {"sans", "serif", "babelstone", "hanamin-a", "hanamin-b"},
	"hei-bold":  {"sans-bold", "sans", "serif", "babelstone", "hanamin-a", "hanamin-b"},
}

// MainFace is the face of most text, and of what is checked without being drawn.
const MainFace = "song"

// Fonts holds the fonts that licences are drawn with. Each file is mapped into
// memory and parsed at most once per process, when first needed. Fonts is safe
// for concurrent use.
type Fonts struct {
	faces map[string]*face
}

// face is a chain of fonts, asked in turn for a glyph.
type face struct {
	chain []*source
	// answers are those already given, by character: a font's search is linear, and a licence
	// asks for some thousand. A page of 256 is made when one of its characters is asked for.
	answers [0x1100]atomic.Pointer[[256]atomic.Pointer[Glyph]]
}

// Open finds the font files below the folders given, the first folder that
// has a file winning. The error names every file that is missing, and `make
// fonts`, which fetches them.
func Open(dirs ...string) (*Fonts, error) {
	found := map[string]string{}
	for _, dir := range dirs {
		indexFonts(dir, found)
	}
	var missing []string
	sources := map[string]*source{}
	for name, file := range fontFiles {
		path, ok := found[file]
		if !ok {
			missing = append(missing, file)
		}
		sources[name] = &source{path: path}
	}
	if missing != nil {
		slices.Sort(missing)
		return nil, fmt.Errorf("fonts missing in %s: %s; run `make fonts`",
			strings.Join(dirs, ", "), strings.Join(missing, ", "))
	}
	f := &Fonts{faces: map[string]*face{}}
	for name, chain := range faceChains {
		f.faces[name] = &face{}
		for _, file := range chain {
			f.faces[name].chain = append(f.faces[name].chain, sources[file])
		}
	}
	if err := sources["serif"].open(); err != nil {
		return nil, err
	}
	return f, nil
}

// indexFonts adds the files we look for below dir to found. A folder that cannot
// be read holds no fonts: what is missing in the end is reported by name.
func indexFonts(dir string, found map[string]string) {
	wanted := map[string]bool{}
	for _, file := range fontFiles {
		wanted[file] = true
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real // WalkDir follows no link, not even its root
	}
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		if name := d.Name(); wanted[name] && !d.IsDir() && found[name] == "" {
			found[name] = path
		}
		return nil
	})
}

// source is one font file.
type source struct {
	path string

	once sync.Once
	err  error
	sfnt *font.SFNT
	upem int
}

// open maps and parses the file, the first time it is called.
func (s *source) open() error {
	s.once.Do(func() {
		data, err := mapFile(s.path)
		if err != nil {
			s.err = fmt.Errorf("opening font: %w", err)
			return
		}
		sfnt, err := font.ParseSFNT(data, 0)
		switch {
		case err != nil:
			s.err = fmt.Errorf("parsing font %s: %w", s.path, err)
		case !sfnt.IsTrueType || sfnt.UnitsPerEm() == 0:
			s.err = fmt.Errorf("parsing font %s: no TrueType outlines", s.path)
		default:
			s.sfnt, s.upem = sfnt, int(sfnt.UnitsPerEm())
		}
	})
	return s.err
}

// glyph is the index of r's glyph, 0 when the font cannot draw r. A character
// other than a space whose outline is empty counts as not drawn.
func (s *source) glyph(r rune) uint16 {
	g := s.sfnt.GlyphIndex(r)
	if g >= s.sfnt.NumGlyphs() || !IsSpace(r) && len(s.sfnt.Glyf.Get(g)) < 12 {
		return 0
	}
	return g
}

// Glyph is one drawing of one character, a font's.
type Glyph struct {
	src     *source
	id      uint16
	advance int
}

// Pather takes the outline of a glyph, curve by curve, y upwards.
type Pather interface {
	MoveTo(x, y float64)
	LineTo(x, y float64)
	QuadTo(x1, y1, x, y float64)
	CubeTo(x1, y1, x2, y2, x, y float64)
	Close()
}

// Outline gives the glyph's outline to p, in 1/1000 of the font size.
func (g Glyph) Outline(p Pather) error {
	scale := Em / float64(g.src.upem)
	x := float64(g.shift(g.src.sfnt.Glyf.Get(g.id))) * scale
	return g.src.sfnt.Glyf.ToPath(p, g.id, 0, x, 0, scale, font.NoHinting)
}

// shift is how far to the right the outline, of these bytes, stands of where its
// coordinates say: a glyph's left edge is at its left side bearing (ISO/IEC 14496-22,
// hmtx), which a few glyphs have elsewhere.
func (g Glyph) shift(outline []byte) int {
	if len(outline) < 12 {
		return 0
	}
	return int(g.src.sfnt.Hmtx.LeftSideBearing(g.id)) - int(int16(binary.BigEndian.Uint16(outline[2:])))
}

// Advance is the glyph's width in 1/1000 of the font size.
func (g Glyph) Advance() int { return g.advance }

// Glyph finds the first font of the face that draws r. ok is false when none
// does; err says that a font could not be read.
func (f *Fonts) Glyph(face string, r rune) (g Glyph, ok bool, err error) {
	return f.faces[face].glyph(r)
}

// glyph is Fonts.Glyph.
func (f *face) glyph(r rune) (Glyph, bool, error) {
	if f == nil || r < 0 || r > unicode.MaxRune {
		return Glyph{}, false, nil
	}
	if page := f.answers[r>>8].Load(); page != nil {
		if known := page[r&255].Load(); known != nil {
			return *known, known.id != 0, nil
		}
	}
	g, err := f.find(r)
	if err != nil {
		return Glyph{}, false, err
	}
	f.answers[r>>8].CompareAndSwap(nil, new([256]atomic.Pointer[Glyph]))
	f.answers[r>>8].Load()[r&255].Store(g)
	return *g, g.id != 0, nil
}

// find asks the fonts; the zero Glyph when none draws r.
func (f *face) find(r rune) (*Glyph, error) {
	for _, src := range f.chain {
		if err := src.open(); err != nil {
			return nil, err
		}
		if id := src.glyph(r); id != 0 {
			return &Glyph{src, id, (int(src.sfnt.GlyphAdvance(id))*Em + src.upem/2) / src.upem}, nil
		}
	}
	return &Glyph{}, nil
}

// Width is the width of s in units of 1/1000 of the font size. Characters that
// no font draws count as nothing: check refused them before.
func (f *Fonts) Width(face, s string) int {
	chars, w := f.faces[face], 0
	for _, r := range s {
		if g, ok, err := chars.glyph(r); err == nil && ok {
			w += g.Advance()
		}
	}
	return w
}

// isTrueType reports whether a file begins like a TrueType font, cheaply.
func isTrueType(data []byte) bool {
	return len(data) > 12 && (binary.BigEndian.Uint32(data) == 0x00010000 || string(data[:4]) == "true")
}

// HasFace reports whether there is a face of that name.
func HasFace(name string) bool { return faceChains[name] != nil }
