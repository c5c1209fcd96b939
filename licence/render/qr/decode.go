package qr

import (
	"bytes"
	"errors"
	"fmt"
	"math"

	qrcode "github.com/piglig/go-qr"
)

// Bounds on what Decode believes of a page: our own pages stay far below.
const (
	maxContent  = 4 << 20
	maxDepth    = 32
	maxOperands = 64
)

// Decode reads the symbol that a page's operators draw in the box; see Decoder.Decode.
func Decode(pageContent []byte, box Box) (string, error) {
	texts, err := new(Decoder).Decode(pageContent, box)
	if err != nil {
		return "", err
	}
	return texts[0], nil
}

// Decoder reads symbols that pages draw. One that is drawn again, module by module, it does not
// decode again: a picture has one text. The zero value is ready; it is not for concurrent use.
type Decoder struct {
	picture []byte // of the last symbol, a byte for each module
	text    string
}

// Decode reads the symbols that a page's operators draw in the boxes, and returns their texts in
// the order of the boxes: it paints what they paint there, all in one pass, and decodes the
// pictures. So it answers for what is drawn, not for what was meant. The content stream comes
// inflated. Anything but rectangles that is painted over a symbol or its quiet zone is an
// error, and so is a clip that touches one of them: what it hides or shows is never guessed at.
// So is what readers would take in another way, or in two: only the syntax of our own pages is read.
func (d *Decoder) Decode(pageContent []byte, boxes ...Box) ([]string, error) {
	if len(pageContent) > maxContent {
		return nil, fmt.Errorf("reading QR from page: %d bytes of content", len(pageContent))
	}
	for _, box := range boxes {
		if box.Modules < 21 || box.Modules > LargestSymbol || !(box.Size > 0) || math.IsInf(box.Size, 0) {
			return nil, errors.New("reading QR from page: the box is no symbol's")
		}
	}
	p := newPainter(boxes...)
	if err := p.read(pageContent); err != nil {
		return nil, fmt.Errorf("reading QR from page: %w", err)
	}
	texts := make([]string, len(boxes))
	for i := range texts {
		var err error
		if texts[i], err = d.decode(&p.pictures[i]); err != nil {
			return nil, fmt.Errorf("reading QR from page: %w", err)
		}
	}
	return texts, nil
}

// decode reads one painted symbol.
func (d *Decoder) decode(p *picture) (string, error) {
	if p.soiled {
		return "", errors.New("the symbol does not stand alone on white")
	}
	img, err := p.modules()
	if err != nil {
		return "", err
	}
	if d.text != "" && bytes.Equal(img.Pix, d.picture) {
		return d.text, nil
	}
	text, err := qrcode.Decode(img)
	if err != nil {
		return "", err
	}
	d.picture, d.text = img.Pix, text
	return text, nil
}

// CheckBackdrop reports whether operators that stand before all others leave the
// graphics state, and the path, as they found them. Then what follows can be decoded
// without them: the white that a symbol begins with covers what they drew.
func CheckBackdrop(content []byte) error {
	p := newPainter()
	before := p.state
	if err := p.read(content); err != nil {
		return err
	}
	if p.form || len(p.stack) != 0 || p.state != before || len(p.rects) != 0 || p.other || p.clip || len(p.operands) != 0 || p.others || p.open != "" {
		return errors.New("it does not leave the graphics state as it found it")
	}
	return nil
}

// painter interprets the operators our pages use.
type painter struct {
	pictures []picture // of the boxes
	form     bool      // a form was drawn

	state   graphics
	stack   []graphics
	rects   [][4]float64 // of the current path, on the page
	other   bool         // the path holds lines, curves or rectangles not upright
	corners int          // lines and curves of the path
	ext     extent       // of the path
	clip    bool         // the path is to clip what comes after it
	text    transform    // where text is shown, and how
	placed  bool         // it was placed since the last was shown

	operands []float64
	others   bool   // operands that are no numbers
	open     string // what ends the array or dictionary
	name     []byte // the last one
	shown    int    // bytes of the last string
}

func newPainter(boxes ...Box) *painter {
	p := &painter{pictures: make([]picture, len(boxes)), rects: make([][4]float64, 0, 1<<11)} // room for those of a symbol
	for i, box := range boxes {
		p.pictures[i] = newPicture(box)
	}
	p.state.m, p.state.line = transform{1, 0, 0, 1, 0, 0}, 1
	return p
}

// graphics is the part of the graphics state that bears on what is seen.
type graphics struct {
	m       transform
	fill    uint8
	size    float64 // of the font
	spacing float64 // between characters
	line    float64 // width of strokes
	away    bool    // clipped to a place off all symbols: nothing painted bears on them
}

// extent is a bounding box on the page; the zero value is empty.
type extent struct {
	x0, y0, x1, y1 float64
	some           bool
}

func (e *extent) add(x, y float64) {
	if !e.some {
		*e = extent{x, y, x, y, true}
		return
	}
	e.x0, e.y0, e.x1, e.y1 = min(e.x0, x), min(e.y0, y), max(e.x1, x), max(e.y1, y)
}

// operator is one that our pages use.
type operator struct {
	operands int  // that are looked at: none of what paints nothing
	inPath   bool // it may come between the beginning of a path and its end (8.2)
}

var rectangle = operator{4, true}

var operators = map[string]operator{
	"q": {}, "Q": {}, "cm": {operands: 6}, "g": {operands: 1}, "rg": {operands: 3}, "G": {}, "RG": {}, "w": {operands: 1}, "J": {}, "j": {}, "d": {},
	"re": rectangle, "m": {2, true}, "l": {2, true}, "c": {6, true}, "h": {0, true},
	"f": {0, true}, "f*": {0, true}, "S": {0, true}, "B": {0, true}, "W": {0, true}, "n": {0, true},
	"BT": {}, "ET": {}, "Td": {operands: 2}, "Tm": {operands: 6}, "Tc": {operands: 1}, "Tf": {operands: 1}, "Tr": {operands: 1}, "Tj": {}, "BDC": {}, "EMC": {},
	"Do": {},
}

// imageName is what a page's resources call the portrait (pdf.PortraitName), the one image
// that they hold.
const imageName = "P1"

func (p *painter) operator(s []byte) error {
	o, known := rectangle, true // most are
	if string(s) != "re" {
		o, known = operators[string(s)]
	}
	if !known {
		return fmt.Errorf("unexpected operator %.10q", s)
	}
	if p.open != "" || o.operands > 0 && (len(p.operands) != o.operands || p.others && string(s) != "Tf") {
		return fmt.Errorf("operator %s has %d operands", s, len(p.operands))
	}
	if p.clip && string(s) != "n" || p.ext.some && !o.inPath {
		return fmt.Errorf("operator %s within a path", s)
	}
	v := p.operands[len(p.operands)-o.operands:]
	switch string(s) {
	case "q":
		if len(p.stack) == maxDepth {
			return errors.New("states nested too deeply")
		}
		p.stack = append(p.stack, p.state)
	case "Q":
		if len(p.stack) == 0 {
			return errors.New("operator Q without q")
		}
		p.state, p.stack = p.stack[len(p.stack)-1], p.stack[:len(p.stack)-1]
	case "cm":
		p.state.m = transform(v).then(p.state.m)
		for _, v := range p.state.m {
			if !(math.Abs(v) <= maxNumber) {
				return errors.New("matrix out of range")
			}
		}
	case "g":
		p.state.fill = level(v[0], v[0], v[0])
	case "rg":
		p.state.fill = level(v[0], v[1], v[2])
	case "w":
		p.state.line = v[0]
	case "BT", "ET", "Td", "Tm", "Tc", "Tf", "Tr", "Tj":
		return p.textOperator(s, v)
	case "Do":
		p.external()
	case "W":
		p.clip = true
	case "n":
		return p.endPath()
	default:
		p.path(s, v)
	}
	return nil
}

// textOperator places text and shows it (9.3, 9.4).
func (p *painter) textOperator(s []byte, v []float64) error {
	switch string(s) {
	case "Tf":
		p.state.size = v[0]
	case "BT":
		p.text, p.placed = transform{1, 0, 0, 1, 0, 0}, true
	case "ET":
		p.placed = false
	case "Td":
		p.text, p.placed = transform{1, 0, 0, 1, v[0], v[1]}.then(p.text), true
	case "Tm":
		p.text, p.placed = transform(v), true
	case "Tc":
		p.state.spacing = v[0]
	case "Tr":
		if v[0] > 3 {
			return errors.New("text that clips")
		}
	case "Tj":
		return p.show()
	}
	return nil
}

// level is a colour's brightness as a grey.
func level(r, g, b float64) uint8 {
	return uint8(math.Round(255 * min(1, max(0, 0.299*r+0.587*g+0.114*b))))
}

// path builds and paints paths.
func (p *painter) path(s []byte, v []float64) {
	switch string(s) {
	case "re":
		// Two of opposite directions would leave a hole where both lie (8.5.3.3.2).
		p.other = p.other || p.state.m[1] != 0 || p.state.m[2] != 0 || v[2] < 0 || v[3] < 0
		if p.other {
			e := p.state.m.box(v[0], v[1], v[0]+v[2], v[1]+v[3])
			p.ext.add(e.x0, e.y0)
			p.ext.add(e.x1, e.y1)
		}
		x0, y0 := p.state.m.apply(v[0], v[1])
		x1, y1 := p.state.m.apply(v[0]+v[2], v[1]+v[3])
		p.rects = append(p.rects, [4]float64{min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)})
		p.ext.add(x0, y0)
		p.ext.add(x1, y1)
	case "m", "l", "c":
		p.other = true
		if s[0] != 'm' {
			p.corners++
		}
		for i := 0; i < len(v); i += 2 {
			p.ext.add(p.state.m.apply(v[i], v[i+1]))
		}
	case "f":
		if p.other {
			p.soil(p.ext)
		} else {
			p.fill()
		}
		p.clear()
	case "f*":
		p.soil(p.ext)
		p.clear()
	case "S", "B":
		p.stroke()
		p.clear()
	}
}

// endPath drops the path, or clips to it: to one upright rectangle wholly off the
// symbols, and nothing else.
func (p *painter) endPath() error {
	defer p.clear()
	if !p.clip {
		return nil
	}
	p.clip = false
	if len(p.rects) != 1 || p.other || !p.apart(p.ext) {
		return errors.New("clip that is no rectangle or touches a symbol")
	}
	p.state.away = true
	return nil
}

func (p *painter) clear() { p.rects, p.other, p.corners, p.ext = p.rects[:0], false, 0, extent{} }

// show marks where text stands, taking its characters as no wider than high. Text behind text
// that nothing placed is an error: where it begins would rest on their true widths.
func (p *painter) show() error {
	if !p.placed {
		return errors.New("text out of place")
	}
	p.placed = false
	n, s := float64(p.shown/2), p.state.size
	at := p.text.then(p.state.m)
	p.soil(at.box(min(0, n*p.state.spacing), -0.3*s, max(s, n*(s+p.state.spacing)), s))
	return nil
}

// stroke marks where the path is drawn as a line: as far beside it as its corners may reach
// (the mitre limit is 10, no operator changes it), or a square end.
func (p *painter) stroke() {
	reach := p.state.line / 2 * math.Hypot(math.Hypot(p.state.m[0], p.state.m[1]), math.Hypot(p.state.m[2], p.state.m[3]))
	if p.corners > 1 {
		reach *= 10
	}
	e := p.ext
	e.x0, e.y0, e.x1, e.y1 = e.x0-reach, e.y0-reach, e.x1+reach, e.y1+reach
	p.soil(e)
}

// external marks where an external object stands: the one image that pages have in the
// unit square (8.9.5.1). A form may paint anywhere in the clip, in a state of its own (8.10.1).
func (p *painter) external() {
	if p.state.away {
		return
	}
	if string(p.name) != imageName {
		p.form = true
		for i := range p.pictures {
			p.pictures[i].soiled = true
		}
		return
	}
	p.soil(p.state.m.box(0, 0, 1, 1))
}

// transform is an affine map as in PDF: x' = ax+cy+e, y' = bx+dy+f.
type transform [6]float64

func (t transform) apply(x, y float64) (float64, float64) {
	return t[0]*x + t[2]*y + t[4], t[1]*x + t[3]*y + t[5]
}

// box is the bounding box of what a rectangle becomes.
func (t transform) box(x0, y0, x1, y1 float64) (e extent) {
	for _, corner := range [][2]float64{{x0, y0}, {x1, y0}, {x0, y1}, {x1, y1}} {
		e.add(t.apply(corner[0], corner[1]))
	}
	return e
}

// then is t followed by u.
func (t transform) then(u transform) transform {
	var out transform
	out[0], out[1] = u[0]*t[0]+u[2]*t[1], u[1]*t[0]+u[3]*t[1]
	out[2], out[3] = u[0]*t[2]+u[2]*t[3], u[1]*t[2]+u[3]*t[3]
	out[4], out[5] = u.apply(t[4], t[5])
	return out
}
