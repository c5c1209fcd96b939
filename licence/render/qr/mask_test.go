package qr

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	qrcode "github.com/piglig/go-qr"
)

// TestMask: the symbol is the library's, module by module, in all versions and levels, of
// random content and of such as masks find hard.
func TestMask(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for version := qrcode.MinVersion; version <= LargestVersion; version++ {
		for i := range 40 {
			level := []qrcode.Ecc{qrcode.Low, qrcode.Medium, qrcode.Quartile, qrcode.High}[i%4]
			content := strings.Repeat(fmt.Sprint(i%10), 1+random.IntN(12))
			if i%8 > 1 {
				var b strings.Builder
				for range 1 + random.IntN(14) {
					fmt.Fprintf(&b, "%d", random.IntN(10))
				}
				content = b.String()
			}
			segment, err := qrcode.MakeNumeric(content)
			if err != nil {
				t.Fatal(err)
			}
			encoded := func(mask int) *Symbol {
				code, err := qrcode.EncodeSegments([]*qrcode.QrSegment{segment}, level, version, version, mask, false)
				if err != nil {
					t.Fatal(err)
				}
				return newSymbol(code)
			}
			if got, want := bestMasked(encoded(0)), encoded(-1); fmt.Sprint(got.rows) != fmt.Sprint(want.rows) {
				t.Errorf("version %d, level %v, %s: another symbol than the library's", version, level, content)
			}
		}
	}
}

// TestPenalty scores lines and squares of every density, with long runs, as the standard
// words its rules: run by run.
func TestPenalty(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	finders := 0
	for i := range 3000 {
		n := 21 + 4*random.IntN(13)
		s := &Symbol{rows: make([]line, n)}
		unit := 1 + random.IntN(9)
		for y := range s.rows {
			dark := random.IntN(2) == 0
			for x := 0; x < n; dark = !dark {
				long := unit * []int{1, 1, 1, 3, 4, random.IntN(6) + 1}[random.IntN(6)]
				if i%2 == 0 {
					long = 1 + random.IntN(1+i%11)
				}
				for ; long > 0 && x < n; long-- {
					if dark {
						s.rows[y] = s.rows[y].or(module(x))
					}
					x++
				}
			}
		}
		want, found := slowPenalty(s)
		finders += found
		if got := penalty(s, s.transposed()); got != want {
			t.Fatalf("%d points instead of %d: %x", got, want, s.rows)
		}
	}
	if finders < 1000 {
		t.Errorf("only %d finder patterns were tried", finders)
	}
}

func slowPenalty(s *Symbol) (points, finders int) {
	n, dark := s.Size(), 0
	for y := range n {
		for x := range n {
			if s.Module(x, y) {
				dark++
			}
			if x+1 < n && y+1 < n && s.Module(x, y) == s.Module(x+1, y) && s.Module(x, y) == s.Module(x, y+1) && s.Module(x, y) == s.Module(x+1, y+1) {
				points += 3
			}
		}
	}
	for i := range n {
		for _, at := range []func(int) bool{func(j int) bool { return s.Module(j, i) }, func(j int) bool { return s.Module(i, j) }} {
			runs := []int{1000} // light and dark in turn, light around
			last := false
			for j := range n {
				if at(j) != last {
					runs, last = append(runs, 0), at(j)
				}
				runs[len(runs)-1]++
				if j == 0 {
					runs[0] = 1000
				}
			}
			length := 0
			for j := range n + 1 {
				if j == n || j > 0 && at(j) != at(j-1) {
					if length >= 5 {
						points += length - 2
					}
					length = 0
				}
				length++
			}
			if last {
				runs = append(runs, 0)
			}
			runs[len(runs)-1] += 1000
			for j := 0; j+6 < len(runs); j += 2 {
				r := runs[j:]
				if u := r[1]; r[2] == u && r[3] == 3*u && r[4] == u && r[5] == u {
					if r[0] >= 4*u && r[6] >= u {
						finders++
					}
					if r[6] >= 4*u && r[0] >= u {
						finders++
					}
				}
			}
		}
	}
	share := max(20*dark-10*n*n, 10*n*n-20*dark)
	return points + 40*finders + 10*((share+n*n-1)/(n*n)-1), finders
}

// BenchmarkEncode encodes a text of the usual length.
func BenchmarkEncode(b *testing.B) {
	digits, err := qrcode.MakeNumeric(strings.Repeat("8316", 140))
	if err != nil {
		b.Fatal(err)
	}
	for name, mask := range map[string]int{"library": -1, "ours": 0} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				code, err := qrcode.EncodeSegments([]*qrcode.QrSegment{digits}, qrcode.Medium, qrcode.MinVersion, LargestVersion, mask, true)
				if err != nil {
					b.Fatal(err)
				}
				if mask == 0 {
					bestMasked(newSymbol(code))
				}
			}
		})
	}
}
