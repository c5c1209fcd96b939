package qr

import (
	"errors"
	"image"
	"math"
	"slices"
)

// pixels are what the picture has along the side of a module.
const pixels = 3

// scan is a row of the picture: its dark pixels, the leftmost lowest. It has room for the
// largest symbol with its quiet zone.
type scan [4]uint64

const _ = uint(256 - (LargestSymbol+2*QuietZone)*pixels)

// module is a row of pixels of module x.
func (s *scan) module(x int) uint64 {
	word, bit := x*pixels>>6, x*pixels&63
	v := s[word] >> bit
	if bit > 64-pixels {
		v |= s[word+1] << (64 - bit)
	}
	return v & (1<<pixels - 1)
}

// picture is what is painted in a box and its quiet zone.
type picture struct {
	box    Box
	side   int // in pixels
	rows   []scan
	soiled bool // something other than rectangles lies on it, or no white below them
}

func newPicture(box Box) picture {
	side := (box.Modules + 2*QuietZone) * pixels
	return picture{box: box, side: side, rows: make([]scan, side), soiled: true}
}

// modules is the picture with one pixel for a module. It is an error when the pixels of a
// module are not all alike: something is drawn there that is no module.
func (p *picture) modules() (*image.Gray, error) {
	n := p.side / pixels
	img := image.NewGray(image.Rect(0, 0, n, n))
	for y := range n {
		row := p.rows[y*pixels]
		for _, other := range p.rows[y*pixels+1 : (y+1)*pixels] {
			if other != row {
				return nil, errors.New("a module is drawn in part")
			}
		}
		for x := range n {
			switch row.module(x) {
			case 0:
				img.Pix[y*img.Stride+x] = 255
			case 1<<pixels - 1:
			default:
				return nil, errors.New("a module is drawn in part")
			}
		}
	}
	return img, nil
}

// soil notes that something lies on the boxes.
func (p *painter) soil(e extent) {
	if !e.some || p.state.away {
		return
	}
	for i := range p.pictures {
		p.pictures[i].soil(e)
	}
}

func (p *picture) soil(e extent) {
	x0, y0, x1, y1 := p.grid(e.x0, e.y1, e.x1, e.y0)
	side := float64(p.side)
	if !(x1 <= 0.5 || y1 <= 0.5 || x0 >= side-0.5 || y0 >= side-0.5) { // so put, what is no number soils
		p.soiled = true
	}
}

// maxCoordinate is the largest coordinate of a clip, in points: page sizes end
// there (ISO 32000-1, annex C), and readers may reckon with no more.
const maxCoordinate = 14_400

// apart reports whether a box lies off the symbols and their quiet zones, for certain:
// it does not for what is no number.
func (p *painter) apart(e extent) bool {
	if !(max(math.Abs(e.x0), math.Abs(e.y0), math.Abs(e.x1), math.Abs(e.y1)) <= maxCoordinate) {
		return false
	}
	return !slices.ContainsFunc(p.pictures, func(s picture) bool {
		x0, y0, x1, y1 := s.grid(e.x0, e.y1, e.x1, e.y0)
		side := float64(s.side)
		return !(x1 <= 0 || y1 <= 0 || x0 >= side || y0 >= side)
	})
}

// grid turns the upper left and lower right of a rectangle on the page into
// pixels of the picture.
func (p *picture) grid(left, top, right, bottom float64) (x0, y0, x1, y1 float64) {
	scale := float64(p.box.Modules*pixels) / p.box.Size
	const quiet = QuietZone * pixels
	x := func(v float64) float64 { return (v-p.box.X)*scale + quiet }
	y := func(v float64) float64 { return (p.box.Y+p.box.Size-v)*scale + quiet }
	return x(left), y(top), x(right), y(bottom)
}

// fill paints the rectangles of the path.
func (p *painter) fill() {
	if p.state.away {
		return
	}
	for i := range p.pictures {
		for _, r := range p.rects {
			p.pictures[i].fill(r, p.state.fill)
		}
	}
}

// fill paints a rectangle: every pixel whose centre it holds. White over the
// whole picture makes it clean. A side between the grid's lines soils: what holds no centre
// can cover nearly all of every pixel, and what has no width is drawn as a line. So does a colour that is neither black nor white.
func (p *picture) fill(r [4]float64, shade uint8) {
	left, top, right, bottom := p.grid(r[0], r[3], r[2], r[1])
	if !(left <= right && top <= bottom) { // what is no number
		p.soiled = true
		return
	}
	between := false
	bound := func(v float64) int {
		line := math.Round(v)
		between = between || math.Abs(v-line) > 0.02 && v > -0.5 && v < float64(p.side)+0.5
		return int(min(float64(p.side), max(0, line)))
	}
	x0, y0, x1, y1 := bound(left), bound(top), bound(right), bound(bottom)
	if x0 == 0 && y0 == 0 && x1 == p.side && y1 == p.side {
		p.soiled = shade != 255
	}
	if between || x0 >= x1 || y0 >= y1 || shade != 0 && shade != 255 {
		p.soil(extent{r[0], r[1], r[2], r[3], true}) // unless it lies off the picture
		return
	}
	dark := shade == 0
	for word := x0 >> 6; word <= (x1-1)>>6; word++ {
		from, to := max(x0-word*64, 0), min(x1-word*64, 64)
		mask := (uint64(1)<<(to-from) - 1) << from
		for y := y0; y < y1; y++ {
			if dark {
				p.rows[y][word] |= mask
			} else {
				p.rows[y][word] &^= mask
			}
		}
	}
}
