package pdfsig_test

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// An attacker who knows the format keeps offsets, lengths and ranges right. The
// editor does that for the tests, so that a file is refused for what was done
// to it and not for a table that no longer fits.

// part is one object of a section as it stands in the file.
type part struct {
	number int
	text   string
}

type section struct {
	parts   []part
	trailer string // the dictionary
}

// edited is a file taken apart. The byte range is set anew by file unless
// keepRange says that the attack is in it.
type edited struct {
	header    string
	sections  []section
	keepRange bool
}

var (
	trailerPattern  = regexp.MustCompile(`(?s)xref\n(.*?)trailer\n(<<.*?>>)\nstartxref\n(\d+)\n%%EOF\n`)
	entryPattern    = regexp.MustCompile(`(?m)^(\d{10}) 00000 n $`)
	headPattern     = regexp.MustCompile(`^(\d+) 0 obj\n`)
	rangePattern    = regexp.MustCompile(`/ByteRange \[0 \d+ \d+ \d+ *\]`)
	contentsPattern = regexp.MustCompile(`/Contents <[0-9a-f]*>`)
	prevPattern     = regexp.MustCompile(`/Prev \d+`)
)

// split takes a file apart along its cross-reference tables.
func split(t testing.TB, file []byte) *edited {
	t.Helper()
	e := &edited{header: string(file[:15])}
	start := len(e.header)
	for _, m := range trailerPattern.FindAllSubmatchIndex(file, -1) {
		var offsets []int
		for _, entry := range entryPattern.FindAllSubmatch(file[m[2]:m[3]], -1) {
			n, _ := strconv.Atoi(string(entry[1]))
			offsets = append(offsets, n)
		}
		slices.Sort(offsets)
		s := section{trailer: string(file[m[4]:m[5]])}
		for i, from := range offsets {
			to := m[0]
			if i+1 < len(offsets) {
				to = offsets[i+1]
			}
			number, _ := strconv.Atoi(string(headPattern.FindSubmatch(file[from:to])[1]))
			s.parts = append(s.parts, part{number, string(file[from:to])})
		}
		if len(offsets) == 0 || offsets[0] != start {
			t.Fatalf("section at byte %d does not begin with an object", start)
		}
		e.sections = append(e.sections, s)
		start = m[1]
	}
	return e
}

// file puts the parts together again.
func (e *edited) file() []byte {
	out := e.join()
	for range 4 {
		if e.keepRange {
			break
		}
		gap := bytes.LastIndex(out, []byte("/Contents <")) + len("/Contents ")
		end := gap + bytes.IndexByte(out[gap:], '>') + 1
		fresh := fmt.Sprintf("/ByteRange [0 %d %d %-10d]", gap, end, len(out)-end)
		e.last(func(text string) string { return rangePattern.ReplaceAllString(text, fresh) })
		out = e.join()
	}
	return out
}

func (e *edited) join() []byte {
	var out bytes.Buffer
	out.WriteString(e.header)
	xref := 0
	for i, s := range e.sections {
		offsets := map[int]int{}
		for _, p := range s.parts {
			offsets[p.number] = out.Len()
			out.WriteString(p.text)
		}
		prev := fmt.Sprintf("/Prev %d", xref)
		xref = out.Len()
		writeXref(&out, offsets, i == 0)
		trailer := prevPattern.ReplaceAllString(s.trailer, prev)
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

// last edits the objects of the last section.
func (e *edited) last(edit func(string) string) {
	s := &e.sections[len(e.sections)-1]
	for i := range s.parts {
		s.parts[i].text = edit(s.parts[i].text)
	}
}

// replace edits the one object of a section that holds old.
func (e *edited) replace(t testing.TB, sectionIndex int, old, new string) {
	t.Helper()
	found := 0
	s := &e.sections[sectionIndex]
	for i := range s.parts {
		if strings.Contains(s.parts[i].text, old) {
			s.parts[i].text = strings.Replace(s.parts[i].text, old, new, 1)
			found++
		}
	}
	if found != 1 {
		t.Fatalf("%q stands in %d objects of section %d", old, found, sectionIndex)
	}
}

// add appends an object with the next free number to a section, raises the
// sizes, and returns the number. Later sections are renumbered by the caller.
func (e *edited) add(sectionIndex int, format string, args ...any) int {
	size := 0
	for _, s := range e.sections {
		for _, p := range s.parts {
			size = max(size, p.number+1)
		}
	}
	s := &e.sections[sectionIndex]
	s.parts = append(s.parts, part{size, fmt.Sprintf("%d 0 obj\n", size) + fmt.Sprintf(format, args...) + "\nendobj\n"})
	s.trailer = regexp.MustCompile(`/Size \d+`).ReplaceAllString(s.trailer, fmt.Sprintf("/Size %d", size+1))
	return size
}

// find returns the one object of a section that holds text.
func (e *edited) find(t testing.TB, sectionIndex int, text string) part {
	t.Helper()
	for _, p := range e.sections[sectionIndex].parts {
		if strings.Contains(p.text, text) {
			return p
		}
	}
	t.Fatalf("no object of section %d holds %q", sectionIndex, text)
	return part{}
}

// attach adds n embedded files with the same deflated data to a rendering, and
// its catalogue with the new names.
func (e *edited) attach(t testing.TB, n int, data []byte, size int) {
	t.Helper()
	var names strings.Builder
	for i := range n {
		stream := e.add(0, "<</Type /EmbeddedFile /Filter /FlateDecode /Length %d /Params <</Size %d>>>>\nstream\n%s\nendstream", len(data), size, data)
		spec := e.add(0, "<</Type /Filespec /F (bomb %d) /UF (bomb %d) /Desc () /EF <</F %d 0 R>>>>", i, i, stream)
		fmt.Fprintf(&names, "(x) %d 0 R ", spec)
	}
	e.replace(t, 0, "(0000)", names.String()+"(0000)")
}
