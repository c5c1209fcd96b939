package qr

import (
	"math"
	"math/bits"
	"sync"

	qrcode "github.com/piglig/go-qr"
)

// The library scores the eight masks module by module, which takes most of the time of an
// encoding. Here a row is two words, and a rule is looked for in all its modules at once. The
// choice is the same (ISO/IEC 18004, 7.8.3), and so is the symbol.

// line is a row or a column of at most 128 modules, dark ones set, the first lowest. Go keeps
// a structure of two words in registers, as it does no array.
type line struct{ low, high uint64 }

func (l line) and(m line) line    { return line{l.low & m.low, l.high & m.high} }
func (l line) or(m line) line     { return line{l.low | m.low, l.high | m.high} }
func (l line) xor(m line) line    { return line{l.low ^ m.low, l.high ^ m.high} }
func (l line) andNot(m line) line { return line{l.low &^ m.low, l.high &^ m.high} }
func (l line) count() int         { return bits.OnesCount64(l.low) + bits.OnesCount64(l.high) }
func (l line) dark(i int) bool    { return l.from(i).low&1 != 0 }

// module is a line of which module i alone is set, i from 0 to 127.
func module(i int) line {
	if i < 64 {
		return line{1 << i, 0}
	}
	return line{0, 1 << (i - 64)}
}

// from is the line from its module n on, and light behind its end.
func (l line) from(n int) line {
	if n >= 64 {
		return line{l.high >> (n - 64), 0}
	}
	return line{l.low>>n | l.high<<(64-n), l.high >> n} // a shift by 64 gives 0
}

// behind is the line moved by one module, light before its beginning.
func (l line) behind() line { return line{l.low << 1, l.high<<1 | l.low>>63} }

// first is a line whose first n modules alone are set, n from 0 to 127.
func first(n int) line {
	if n < 64 {
		return line{1<<n - 1, 0}
	}
	return line{math.MaxUint64, 1<<(n-64) - 1}
}

// Symbol is an encoded symbol: its modules. It is not for concurrent use.
type Symbol struct {
	rows []line
	runs []byte // what Box.Append draws of it, once it has been drawn: a licence may bear it twice
}

// Size is the number of modules on a side.
func (s *Symbol) Size() int { return len(s.rows) }

// Module reports whether the module in column x and row y, from 0 at the upper left, is dark.
func (s *Symbol) Module(x, y int) bool { return s.rows[y].dark(x) }

// newSymbol takes the modules over from the library.
func newSymbol(code *qrcode.QrCode) *Symbol {
	s := &Symbol{rows: make([]line, code.Size())}
	for y := range s.rows {
		for x := range s.rows {
			if code.Module(x, y) {
				s.rows[y] = s.rows[y].or(module(x))
			}
		}
	}
	return s
}

// transposed has its columns for rows.
func (s *Symbol) transposed() *Symbol {
	t := &Symbol{rows: make([]line, len(s.rows))}
	for y, row := range s.rows {
		for x := range t.rows {
			if row.dark(x) {
				t.rows[x] = t.rows[x].or(module(y))
			}
		}
	}
	return t
}

// under is the symbol with the modules turned over that differ between two masks.
func (s *Symbol) under(difference *Symbol) *Symbol {
	out := &Symbol{rows: make([]line, len(s.rows))}
	for i, row := range s.rows {
		out.rows[i] = row.xor(difference.rows[i])
	}
	return out
}

// masks are how a symbol under each mask differs from the same symbol under mask 0, and the
// same by columns. Which modules these are depends on the size alone, the format
// information included, whose code is linear (7.9).
type masks [8]struct{ rows, columns *Symbol }

// masksOf are the masks of symbols of a version, made when they are first needed.
var masksOf [LargestVersion + 1]struct {
	once sync.Once
	masks
}

// masksFor finds the masks for a symbol of so many modules on a side.
func masksFor(size int) *masks {
	version := (size - 17) / 4
	m := &masksOf[version]
	m.once.Do(func() {
		var plain *Symbol
		for i := range m.masks {
			code, err := qrcode.EncodeSegments([]*qrcode.QrSegment{}, qrcode.Low, version, version, i, false)
			if err != nil {
				panic(err) // nothing fits a symbol of any version
			}
			s := newSymbol(code)
			if i == 0 {
				plain = s
			}
			difference := plain.under(s)
			m.masks[i].rows, m.masks[i].columns = difference, difference.transposed()
		}
	})
	return &m.masks
}

// bestMasked is a symbol under the mask that fits it best, the first of several; plain is the
// symbol under mask 0.
func bestMasked(plain *Symbol) (best *Symbol) {
	columns, least := plain.transposed(), math.MaxInt
	for _, m := range masksFor(plain.Size()) {
		s := plain.under(m.rows)
		if p := penalty(s, columns.under(m.columns)); p < least {
			best, least = s, p
		}
	}
	return best
}

// penalty is how ill a symbol is to read (7.8.3.1); columns is the symbol transposed.
func penalty(s, columns *Symbol) (points int) {
	dark := 0
	for i, row := range s.rows {
		dark += row.count()
		points += s.rows[i].penalty(len(s.rows)) + columns.rows[i].penalty(len(s.rows))
		if i > 0 {
			points += 3 * blocks(s.rows[i-1], row, len(s.rows))
		}
	}
	total := len(s.rows) * len(s.rows)
	off := 20*dark - 10*total // a twentieth of the whole makes a step of ten points
	return points + 10*((max(off, -off)+total-1)/total-1)
}

// equal marks the modules that are like the next of their line; the last of n is none.
func (l line) equal(n int) line { return first(n - 1).andNot(l.xor(l.from(1))) }

// blocks counts the squares of two by two modules of one colour in two rows.
func blocks(a, b line, n int) int {
	same := a.xor(b)
	return a.equal(n).andNot(same).andNot(same.from(1)).count()
}

// penalty is what a line of n modules adds: three points for five modules of one colour and
// one for each more, 40 for what looks like a finder pattern.
func (l line) penalty(n int) int {
	like := l.equal(n)
	fives := like.and(like.from(1))
	fives = fives.and(fives.from(2)) // where a run of five begins, or one more of a longer run
	return fives.count() + 2*fives.andNot(fives.behind()).count() + 40*l.finders()
}

// finders counts 1:1:3:1:1 of dark and light with four of light on one side, once for each
// side that has them, in every size. All is light beyond the ends.
func (l line) finders() (found int) {
	dark, light := l, line{} // where unit dark modules begin; where one of the next unit is dark
	for unit := 1; ; unit++ {
		light = light.or(l.from(unit - 1))
		if unit > 1 {
			dark = dark.and(l.from(unit - 1))
		}
		core := dark.and(dark.from(unit)).and(dark.from(2 * unit))
		if core == (line{}) {
			return found // no three units of dark anywhere, so none of more
		}
		at := core.from(2 * unit).and(dark).and(dark.from(6 * unit)).andNot(light.from(unit)).andNot(light.from(5 * unit))
		for at != (line{}) {
			start := at.lowest()
			found += l.quietSides(start, unit)
			at = at.andNot(module(start))
		}
	}
}

// lowest is the first dark module; 128 when there is none.
func (l line) lowest() int {
	if l.low != 0 {
		return bits.TrailingZeros64(l.low)
	}
	return 64 + bits.TrailingZeros64(l.high)
}

// quietSides counts the sides of seven units from start on that have four units of light
// beside them, where the other has one at least.
func (l line) quietSides(start, unit int) (sides int) {
	before, behind := math.MaxInt, l.from(start+7*unit).lowest()
	if p := l.and(first(start)); p.high != 0 {
		before = start - 64 - bits.Len64(p.high)
	} else if p.low != 0 {
		before = start - bits.Len64(p.low)
	}
	if before >= 4*unit && behind >= unit {
		sides++
	}
	if behind >= 4*unit && before >= unit {
		sides++
	}
	return sides
}
