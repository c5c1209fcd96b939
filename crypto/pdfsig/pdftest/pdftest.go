// Package pdftest takes signed files of ours apart for tests, and puts them together
// again with every offset, length and range right.
//
// An attacker who knows the format does the same: a file has to be refused for what
// was done to it, and not for a table that no longer fits. It knows the form that
// crypto/pdfsig writes and no other, and judges nothing. Only tests import it;
// whatever goes wrong ends the test.
package pdftest

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Part is one object of a section as it stands in the file.
type Part struct {
	Number int
	Text   string
}

// Section is one revision: its objects in file order and the trailer's dictionary.
type Section struct {
	Parts   []Part
	Trailer string
}

// File is a file taken apart.
type File struct {
	Header   string
	Sections []Section
	// KeepRange says that the last byte range is the attack and not to be set anew.
	KeepRange bool
}

// What an attack looks for.
var (
	RangePattern    = regexp.MustCompile(`/ByteRange \[0 \d+ \d+ \d+ *\]`)
	ContentsPattern = regexp.MustCompile(`/Contents <[0-9a-f]*>`)
	PrevPattern     = regexp.MustCompile(`/Prev \d+`)
	// EndPattern is what stands behind the objects of a revision.
	EndPattern = regexp.MustCompile(`(?s)xref\n(.*?)trailer\n(<<.*?>>)\nstartxref\n(\d+)\n%%EOF\n`)
)

var (
	entryPattern = regexp.MustCompile(`(?m)^(\d{10}) 00000 n $`)
	headPattern  = regexp.MustCompile(`^(\d+) 0 obj\n`)
	sizePattern  = regexp.MustCompile(`/Size \d+`)
	// numberPattern is an object's number, where it is defined or referred to.
	numberPattern = regexp.MustCompile(`\b\d+ 0 (?:R\b|obj\n)`)
)

// Split takes a file apart along its cross-reference tables.
func Split(t testing.TB, file []byte) *File {
	t.Helper()
	f := &File{Header: string(file[:15])}
	start := len(f.Header)
	for _, m := range EndPattern.FindAllSubmatchIndex(file, -1) {
		var offsets []int
		for _, entry := range entryPattern.FindAllSubmatch(file[m[2]:m[3]], -1) {
			n, _ := strconv.Atoi(string(entry[1]))
			offsets = append(offsets, n)
		}
		slices.Sort(offsets)
		s := Section{Trailer: string(file[m[4]:m[5]])}
		for i, from := range offsets {
			to := m[0]
			if i+1 < len(offsets) {
				to = offsets[i+1]
			}
			number, _ := strconv.Atoi(string(headPattern.FindSubmatch(file[from:to])[1]))
			s.Parts = append(s.Parts, Part{number, string(file[from:to])})
		}
		if len(offsets) == 0 || offsets[0] != start {
			t.Fatalf("section at byte %d does not begin with an object", start)
		}
		f.Sections = append(f.Sections, s)
		start = m[1]
	}
	return f
}

// Bytes puts the parts together again.
func (f *File) Bytes() []byte {
	out := f.join()
	for range 4 { // the digits of a range may move what it is about
		if f.KeepRange {
			break
		}
		start, end := gap(out)
		fresh := fmt.Sprintf("/ByteRange [0 %d %d %-10d]", start, end, len(out)-end)
		f.Last(func(text string) string { return RangePattern.ReplaceAllString(text, fresh) })
		out = f.join()
	}
	return out
}

// Signed is Bytes with the signature that sign makes of what the last byte range
// covers: an attacker who has a key, or the signer himself.
func (f *File) Signed(t testing.TB, sign func(covered []byte) []byte) []byte {
	t.Helper()
	out := f.Bytes()
	start, end := gap(out)
	digits := hex.AppendEncode(nil, sign(append(bytes.Clone(out[:start]), out[end:]...)))
	if len(digits) > end-start-2 {
		t.Fatalf("a signature of %d digits where %d have room", len(digits), end-start-2)
	}
	place := out[start+1 : end-1]
	for i := copy(place, digits); i < len(place); i++ {
		place[i] = '0'
	}
	return out
}

// gap is where the token of the last /Contents stands.
func gap(file []byte) (start, end int) {
	start = bytes.LastIndex(file, []byte("/Contents <")) + len("/Contents ")
	return start, start + bytes.IndexByte(file[start:], '>') + 1
}

func (f *File) join() []byte {
	var out bytes.Buffer
	out.WriteString(f.Header)
	xref := 0
	for i, s := range f.Sections {
		offsets := map[int]int{}
		for _, p := range s.Parts {
			offsets[p.Number] = out.Len()
			out.WriteString(p.Text)
		}
		prev := fmt.Sprintf("/Prev %d", xref)
		xref = out.Len()
		writeXref(&out, offsets, i == 0)
		trailer := PrevPattern.ReplaceAllString(s.Trailer, prev)
		fmt.Fprintf(&out, "trailer\n%s\nstartxref\n%d\n%%%%EOF\n", trailer, xref)
	}
	return out.Bytes()
}

func writeXref(out *bytes.Buffer, offsets map[int]int, whole bool) {
	var numbers []int
	for n := range offsets {
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	out.WriteString("xref\n")
	if whole {
		fmt.Fprintf(out, "0 %d\n0000000000 65535 f \n", len(numbers)+1)
	}
	for i, n := range numbers {
		if !whole && (i == 0 || numbers[i-1] != n-1) {
			run := 1
			for i+run < len(numbers) && numbers[i+run] == n+run {
				run++
			}
			fmt.Fprintf(out, "%d %d\n", n, run)
		}
		fmt.Fprintf(out, "%010d 00000 n \n", offsets[n])
	}
}

// Last edits the objects of the last section.
func (f *File) Last(edit func(string) string) {
	s := &f.Sections[len(f.Sections)-1]
	for i := range s.Parts {
		s.Parts[i].Text = edit(s.Parts[i].Text)
	}
}

// Replace edits the one object of a section that holds old.
func (f *File) Replace(t testing.TB, section int, old, new string) {
	t.Helper()
	found := 0
	s := &f.Sections[section]
	for i := range s.Parts {
		if strings.Contains(s.Parts[i].Text, old) {
			s.Parts[i].Text = strings.Replace(s.Parts[i].Text, old, new, 1)
			found++
		}
	}
	if found != 1 {
		t.Fatalf("%q stands in %d objects of section %d", old, found, section)
	}
}

// Add appends an object to a section and returns its number, the next that is free
// there. What later sections define is renumbered, so that no gap opens.
func (f *File) Add(section int, format string, args ...any) int {
	number := 0
	for _, s := range f.Sections[:section+1] {
		for _, p := range s.Parts {
			number = max(number, p.Number+1)
		}
	}
	for i := section; i < len(f.Sections); i++ {
		s := &f.Sections[i]
		for k := range s.Parts {
			s.Parts[k].raise(number)
		}
		s.Trailer = sizePattern.ReplaceAllStringFunc(s.Trailer, func(old string) string { return "/Size " + next(old[len("/Size "):]) })
	}
	s := &f.Sections[section]
	s.Parts = append(s.Parts, Part{number, fmt.Sprintf("%d 0 obj\n", number) + fmt.Sprintf(format, args...) + "\nendobj\n"})
	return number
}

// raise adds one to every number from a first one on, streams apart.
func (p *Part) raise(first int) {
	if p.Number >= first {
		p.Number++
	}
	head, stream, found := strings.Cut(p.Text, "stream\n")
	head = numberPattern.ReplaceAllStringFunc(head, func(old string) string {
		digits, rest, _ := strings.Cut(old, " ")
		if n, _ := strconv.Atoi(digits); n >= first {
			digits = next(digits)
		}
		return digits + " " + rest
	})
	if p.Text = head; found {
		p.Text += "stream\n" + stream
	}
}

func next(digits string) string {
	n, _ := strconv.Atoi(digits)
	return strconv.Itoa(n + 1)
}

// Find returns the first object of a section that holds text.
func (f *File) Find(t testing.TB, section int, text string) Part {
	t.Helper()
	for _, p := range f.Sections[section].Parts {
		if strings.Contains(p.Text, text) {
			return p
		}
	}
	t.Fatalf("no object of section %d holds %q", section, text)
	return Part{}
}

// Redefine adds an object of an older section to a section again.
func (f *File) Redefine(section int, p Part) {
	f.Sections[section].Parts = append(f.Sections[section].Parts, p)
}

// Attach adds n embedded files with the same deflated data to the rendering, each said
// to be of size bytes, and their names to the catalogue wherever it is defined.
func (f *File) Attach(t testing.TB, n int, deflated []byte, size int) {
	t.Helper()
	var names strings.Builder
	for i := range n {
		stream := f.Add(0, "<</Type /EmbeddedFile /Filter /FlateDecode /Length %d /Params <</Size %d>>>>\nstream\n%s\nendstream", len(deflated), size, deflated)
		spec := f.Add(0, "<</Type /Filespec /F (bomb %d) /UF (bomb %d) /Desc () /EF <</F %d 0 R>>>>", i, i, stream)
		fmt.Fprintf(&names, "(x) %d 0 R ", spec)
	}
	for i := range f.Sections[:min(2, len(f.Sections))] {
		f.Replace(t, i, "(0000)", names.String()+"(0000)")
	}
}
