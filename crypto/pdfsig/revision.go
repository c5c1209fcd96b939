package pdfsig

// header is the first line and the binary marker of every file of ours, PDF 1.7
// (ISO 32000-1).
const header = "%PDF-1.7\n%\xc2\xb5\xc2\xb6\n"

// maxSignatures is the largest number of signature revisions after the rendered
// one: a signature for readers without SM2, and the seals of three authorities.
const maxSignatures = 4

// object is one indirect object of one revision.
type object struct {
	number int
	offset int    // of its first byte, as a cross-reference entry gives it
	body   value  // what stands between obj and endobj, or before stream
	data   []byte // the encoded stream; nil when the object is no stream
}

// revision is one section of the file: objects in file order, a
// cross-reference section, a trailer, a startxref and the end-of-file marker.
type revision struct {
	start, end int // its bytes; the header belongs to the first revision
	objects    []object
	xref       int // offset of its cross-reference section
	trailer    value
}

// readRevisions takes the whole file apart, front to back, so that no byte is
// left over and none is skipped. startxref is compared, never followed.
func readRevisions(file []byte) ([]revision, error) {
	p := newParser(file)
	if !p.accept(header) {
		return nil, malformed(CodeHeader, 0, "file does not begin with %q", header)
	}
	var all []revision
	objects := 0
	for start := 0; p.pos < len(file); start = p.pos {
		if len(all) > maxSignatures {
			return nil, malformed(CodeRevisions, p.pos, "%d bytes after revision %d, the last allowed", len(file)-p.pos, len(all))
		}
		r, err := p.revision(MaxObjects-objects, len(all) == 0)
		switch {
		case err == nil:
		case len(all) > 1:
			return nil, malformed(CodeRevisions, start, "bytes after revision %d that are no revision: %v", len(all), err)
		case p.exhausted():
			return nil, malformed(CodeLimit, p.pos, "more than %d bytes outside of streams", maxSyntax)
		default:
			return nil, err
		}
		r.start, r.end = start, p.pos
		objects += len(r.objects)
		all = append(all, r)
	}
	if len(all) == 0 {
		return nil, malformed(CodeSyntax, p.pos, "file ends after its header")
	}
	return all, nil
}

// revision reads one revision of at most room objects.
func (p *parser) revision(room int, first bool) (r revision, err error) {
	r.objects = make([]object, 0, 32)
	for r.xref = p.pos; !p.accept("xref\n"); r.xref = p.pos {
		if len(r.objects) >= room {
			return revision{}, malformed(CodeLimit, p.pos, "more than %d objects", MaxObjects)
		}
		o, err := p.object()
		if err != nil {
			return revision{}, err
		}
		r.objects = append(r.objects, o)
	}
	if err := p.xref(r.objects, first); err != nil {
		return revision{}, err
	}
	if r.trailer, err = p.trailer(r.xref); err != nil {
		return revision{}, err
	}
	return r, nil
}

// object reads "n 0 obj … endobj" (7.3.10). The length of a stream stands in
// its own dictionary.
func (p *parser) object() (object, error) {
	o := object{offset: p.pos}
	number, err := p.integer()
	if err != nil {
		return object{}, err
	}
	if number < 1 || number > MaxObjects {
		return object{}, malformed(CodeLimit, o.offset, "object number %d", number)
	}
	o.number = int(number)
	if !p.accept(" 0 obj\n") {
		return object{}, malformed(CodeSyntax, p.pos, "object %d does not begin with \"0 obj\"", o.number)
	}
	p.skipSpace()
	if o.body, err = p.value(0); err != nil {
		return object{}, err
	}
	p.skipSpace()
	if p.accept("stream\n") {
		if o.data, err = p.stream(o.body); err != nil {
			return object{}, err
		}
	}
	if !p.accept("endobj\n") {
		return object{}, malformed(CodeSyntax, p.pos, "object %d does not end in endobj", o.number)
	}
	return o, nil
}

// stream reads the bytes of a stream whose dictionary is given (7.3.8).
func (p *parser) stream(dictionary value) ([]byte, error) {
	length := dictionary.entry("Length")
	if length.kind != kindInteger || length.int() < 0 || length.int() > int64(len(p.file)-p.pos) {
		return nil, malformed(CodeSyntax, p.pos, "stream without a direct length that fits the file")
	}
	data := p.file[p.pos : p.pos+int(length.int())]
	p.pos += len(data)
	p.end = min(len(p.file), p.end+len(data))
	if !p.accept("\nendstream\n") {
		return nil, malformed(CodeSyntax, p.pos, "stream does not end where its length says")
	}
	return data, nil
}

// xref reads a cross-reference section (7.5.4) and compares it with the
// objects of its revision: as many entries as objects, each at its offset. A
// whole section, the first revision's, is one subsection that begins with the
// free entry of object 0; the others have no entry for it.
func (p *parser) xref(objects []object, whole bool) error {
	offsets, err := offsetsByNumber(objects)
	if err != nil {
		return err
	}
	entries, next := 0, 1
	if whole {
		next = 0
	}
	for !p.accept("trailer\n") {
		at := p.pos
		first, count, err := p.subsection()
		if err != nil {
			return err
		}
		if first < next || whole && first != 0 || count < 1 || count > len(objects)+1 {
			return malformed(CodeXref, at, "subsection of %d entries from object %d", count, first)
		}
		for number := first; number < first+count; number++ {
			if err := p.xrefEntry(number, offsets); err != nil {
				return err
			}
			if number > 0 {
				entries++
			}
		}
		next = first + count
	}
	if entries != len(objects) {
		return malformed(CodeXref, p.pos, "%d entries for %d objects", entries, len(objects))
	}
	return nil
}

// offsetsByNumber indexes the offsets of objects, 0 where there is no object.
func offsetsByNumber(objects []object) ([]int, error) {
	highest := 0
	for i := range objects {
		highest = max(highest, objects[i].number)
	}
	offsets := make([]int, highest+1)
	for i := range objects {
		o := &objects[i]
		if offsets[o.number] != 0 {
			return nil, malformed(CodeObject, o.offset, "object %d twice in one revision", o.number)
		}
		offsets[o.number] = o.offset
	}
	return offsets, nil
}

// subsection reads the line "first count" of a cross-reference subsection.
func (p *parser) subsection() (first, count int, err error) {
	at := p.pos
	f, err := p.integer()
	if err != nil {
		return 0, 0, err
	}
	if !p.accept(" ") {
		return 0, 0, malformed(CodeXref, p.pos, "malformed subsection")
	}
	c, err := p.integer()
	if err != nil {
		return 0, 0, err
	}
	if !p.accept("\n") || f > MaxObjects || c > MaxObjects+1 {
		return 0, 0, malformed(CodeXref, at, "malformed subsection")
	}
	return int(f), int(c), nil
}

// xrefEntry reads the 20 bytes of one entry.
func (p *parser) xrefEntry(number int, offsets []int) error {
	at := p.pos
	if number == 0 {
		if !p.accept("0000000000 65535 f \n") {
			return malformed(CodeXref, at, "entry of object 0 is not the free entry")
		}
		return nil
	}
	if number >= len(offsets) || offsets[number] == 0 {
		return malformed(CodeXref, at, "entry of object %d, which the revision does not hold", number)
	}
	digits := p.digits()
	if len(digits) != 10 || !p.accept(" 00000 n \n") {
		return malformed(CodeXref, at, "malformed entry of object %d", number)
	}
	if got := decimal(digits); got != int64(offsets[number]) {
		return malformed(CodeXref, at, "object %d is at byte %d, not %d", number, offsets[number], got)
	}
	return nil
}

// trailer reads the trailer dictionary and the end of a revision (7.5.5).
func (p *parser) trailer(xref int) (value, error) {
	at := p.pos
	if p.peek() != '<' {
		return value{}, malformed(CodeTrailer, at, "trailer is not a dictionary")
	}
	v, err := p.value(0)
	if err != nil {
		return value{}, err
	}
	if v.kind != kindDictionary || !p.accept("\nstartxref\n") {
		return value{}, malformed(CodeTrailer, p.pos, "no dictionary and startxref after trailer")
	}
	at = p.pos
	start, err := p.integer()
	if err != nil {
		return value{}, err
	}
	if start != int64(xref) || !p.accept("\n%%EOF\n") {
		return value{}, malformed(CodeTrailer, at, "startxref is not %d, or no end-of-file marker follows", xref)
	}
	return v, nil
}

// integer reads a plain non-negative integer without leading zeros.
func (p *parser) integer() (int64, error) {
	at := p.pos
	digits := p.digits()
	if len(digits) == 0 || len(digits) > 1 && digits[0] == '0' {
		return 0, malformed(CodeSyntax, at, "bytes that belong to no object, cross-reference section or trailer")
	}
	if len(digits) > maxDigits {
		return 0, malformed(CodeLimit, at, "number of %d digits", len(digits))
	}
	return decimal(digits), nil
}
