package ofd

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/emmansun/gmsm/sm3"
)

// Bounds of an archive. All are looked at before what they bound is read.
const (
	MaxFileSize  = 20 << 20 // bytes
	maxEntries   = 4096
	maxDirectory = 1 << 20 // bytes
	maxName      = 256     // bytes
	maxEntry     = 32 << 20
	maxUnpacked  = 64 << 20 // of all entries
	maxRatio     = 100      // unpacked to packed, of all that is more than ratioFrom: of an entry, and of the file
	ratioFrom    = 1 << 20
	maxXML       = 1 << 20  // bytes of a description
	maxWork      = 96 << 20 // bytes unpacked for one file, again and again counted
)

// The records of a ZIP archive (APPNOTE.TXT 6.3, PKWARE) that are looked at here.
const (
	localMagic, centralMagic, endMagic, descriptorMagic = 0x04034b50, 0x02014b50, 0x06054b50, 0x08074b50

	localSize, centralSize, endSize = 30, 46, 22

	flagEncrypted, flagDescriptor, flagStrong, flagMasked = 1 << 0, 1 << 3, 1 << 6, 1 << 13
)

// archive is a ZIP archive in which every reader finds the same entries: those of the
// directory lie one behind the other from the first byte, under the names that the
// directory gives them, and nothing else lies anywhere.
type archive struct {
	file    []byte
	entries map[string]*zip.File
	names   []string // sorted, directories left out
	digests map[string][32]byte
	work    int64 // bytes that may still be unpacked
}

// openArchive reads the directory.
func openArchive(file []byte) (*archive, error) {
	if len(file) == 0 || len(file) > MaxFileSize {
		return nil, malformed(CodeFileSize, "", "file of %d bytes", len(file))
	}
	start, err := directory(file)
	if err != nil {
		return nil, err
	}
	z, err := zip.NewReader(bytes.NewReader(file), int64(len(file)))
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return nil, malformed(CodeContainer, "", "%v", err)
	}
	a := &archive{file: file, entries: map[string]*zip.File{}, digests: map[string][32]byte{}, work: min(maxWork, 2*int64(maxOf(file)))}
	if err := a.take(z.File); err != nil {
		return nil, err
	}
	return a, contiguous(file, z.File, start)
}

// directory finds where the directory begins, whose end must be the file's: one record
// at the end and no comment, so that nobody can find another. The count is bounded here,
// before anything is made of it.
func directory(file []byte) (start int64, err error) {
	if len(file) < endSize || binary.LittleEndian.Uint32(file[len(file)-endSize:]) != endMagic {
		return 0, malformed(CodeContainer, "", "no ZIP archive, or something stands behind its end")
	}
	end := file[len(file)-endSize:]
	u16 := func(at int) int { return int(binary.LittleEndian.Uint16(end[at:])) }
	size, offset := int64(binary.LittleEndian.Uint32(end[12:])), int64(binary.LittleEndian.Uint32(end[16:]))
	switch count := u16(10); {
	case u16(4) != 0 || u16(6) != 0 || u16(8) != count || u16(20) != 0:
		return 0, malformed(CodeContainer, "", "an archive of several parts, or with a comment")
	case count > maxEntries || size > maxDirectory:
		return 0, malformed(CodeLimit, "", "%d entries in a directory of %d bytes", count, size)
	case offset+size != int64(len(file)-endSize):
		return 0, malformed(CodeContainer, "", "the directory does not end where the archive does")
	}
	at := offset
	for range u16(10) {
		if at+centralSize > offset+size || binary.LittleEndian.Uint32(file[at:]) != centralMagic {
			return 0, malformed(CodeContainer, "", "the directory is broken")
		}
		length := func(field int64) int64 { return int64(binary.LittleEndian.Uint16(file[at+field:])) }
		at += centralSize + length(28) + length(30) + length(32)
	}
	if at != offset+size { // another directory, for those who look for one of ZIP64 there
		return 0, malformed(CodeContainer, "", "something in the directory belongs to no entry")
	}
	return offset, nil
}

// maxOf is how much a file may unpack to: many small entries, each of which may hold little but zeros, must
// not make a short file long work.
func maxOf(file []byte) uint64 { return min(maxUnpacked, ratioFrom+maxRatio*uint64(len(file))) }

// take checks what the directory says of each entry.
func (a *archive) take(files []*zip.File) error {
	folded, total := map[string]bool{}, uint64(0)
	for _, f := range files {
		if err := checkName(f.Name); err != nil {
			return err
		}
		if key := strings.ToLower(f.Name); folded[key] {
			return malformed(CodeName, f.Name, "named twice, capitals and small letters counted alike")
		} else {
			folded[key] = true
		}
		if err := checkEntry(f); err != nil {
			return err
		}
		if total += f.UncompressedSize64; total > maxOf(a.file) {
			return malformed(CodeLimit, "", "more than %d bytes unpacked", maxOf(a.file))
		}
		if !strings.HasSuffix(f.Name, "/") {
			a.entries[f.Name] = f
			a.names = append(a.names, f.Name)
		}
	}
	slices.Sort(a.names)
	return nil
}

// checkName refuses whatever is not a plain path below the archive's root.
func checkName(name string) error {
	plain := strings.TrimSuffix(name, "/")
	switch {
	case name == "" || len(name) > maxName || !utf8.ValidString(name):
		return malformed(CodeName, name, "empty, longer than %d bytes, or not UTF-8", maxName)
	case strings.ContainsFunc(name, func(c rune) bool { return !unicode.IsGraphic(c) || strings.ContainsRune(`\:*?"<>|`, c) }):
		return malformed(CodeName, name, "characters that no path here has")
	case plain == "" || plain[0] == '/' || path.Clean(plain) != plain || plain == ".." || strings.HasPrefix(plain, "../"):
		return malformed(CodeName, name, "leads out of the archive, or is not the shortest path")
	}
	return nil
}

func checkEntry(f *zip.File) error {
	switch {
	case f.Flags&(flagEncrypted|flagStrong|flagMasked) != 0:
		return malformed(CodeEncrypted, f.Name, "encrypted")
	case f.Method != zip.Store && f.Method != zip.Deflate:
		return malformed(CodeContainer, f.Name, "packed by method %d", f.Method)
	case f.Method == zip.Store && f.CompressedSize64 != f.UncompressedSize64:
		return malformed(CodeContainer, f.Name, "stored with two sizes")
	case strings.HasSuffix(f.Name, "/") && f.UncompressedSize64 != 0:
		return malformed(CodeContainer, f.Name, "a folder with content")
	case f.UncompressedSize64 > maxEntry:
		return malformed(CodeLimit, f.Name, "%d bytes", f.UncompressedSize64)
	case f.UncompressedSize64 > ratioFrom && f.UncompressedSize64 > maxRatio*f.CompressedSize64:
		return malformed(CodeLimit, f.Name, "%d bytes made of %d", f.UncompressedSize64, f.CompressedSize64)
	}
	return nil
}

// contiguous walks the archive as a reader does that takes no notice of the directory,
// and holds what it meets to the directory. start is where the entries must end.
func contiguous(file []byte, files []*zip.File, start int64) error {
	type placed struct {
		*zip.File
		data int64
	}
	all := make([]placed, len(files))
	for i, f := range files {
		data, err := f.DataOffset()
		if err != nil {
			return malformed(CodeContainer, f.Name, "%v", err)
		}
		all[i] = placed{f, data}
	}
	slices.SortFunc(all, func(a, b placed) int { return int(a.data - b.data) })
	at := int64(0)
	for _, f := range all {
		if err := checkLocal(file, f.File, at, f.data); err != nil {
			return err
		}
		if at = f.data + int64(f.CompressedSize64); at > start {
			return malformed(CodeContainer, f.Name, "reaches into the directory")
		}
		if f.Flags&flagDescriptor != 0 {
			at += 12
			if at-8 <= start && binary.LittleEndian.Uint32(file[at-12:]) == descriptorMagic && f.CRC32 != descriptorMagic {
				at += 4
			}
		}
	}
	if at != start {
		return malformed(CodeContainer, "", "%d bytes before the directory belong to no entry", start-at)
	}
	return nil
}

// checkLocal holds the header at an offset, behind which the data must begin, to the
// directory.
func checkLocal(file []byte, f *zip.File, at, data int64) error {
	if at+localSize > int64(len(file)) || binary.LittleEndian.Uint32(file[at:]) != localMagic {
		return malformed(CodeContainer, f.Name, "no header where the one before ends")
	}
	h := file[at:]
	name, extra := int64(binary.LittleEndian.Uint16(h[26:])), int64(binary.LittleEndian.Uint16(h[28:]))
	packed, unpacked := binary.LittleEndian.Uint32(h[18:]), binary.LittleEndian.Uint32(h[22:])
	later := f.Flags&flagDescriptor != 0 && packed == 0 && unpacked == 0
	switch {
	case at+localSize+name+extra != data || data > int64(len(file)) || string(h[localSize:localSize+name]) != f.Name:
		return malformed(CodeContainer, f.Name, "another name or place in the entry's own header")
	case binary.LittleEndian.Uint16(h[6:]) != f.Flags || binary.LittleEndian.Uint16(h[8:]) != f.Method:
		return malformed(CodeContainer, f.Name, "other flags or another method in the entry's own header")
	case !later && (uint64(packed) != f.CompressedSize64 || uint64(unpacked) != f.UncompressedSize64):
		return malformed(CodeContainer, f.Name, "other sizes in the entry's own header")
	}
	return nil
}

// open begins to unpack an entry and takes its size from the work that is left.
func (a *archive) open(name string) (io.ReadCloser, *zip.File, error) {
	f := a.entries[name]
	if f == nil {
		return nil, nil, malformed(CodeEntry, name, "is missing")
	}
	if a.work -= int64(f.UncompressedSize64); a.work < 0 {
		return nil, nil, malformed(CodeLimit, name, "too much is named again and again")
	}
	r, err := f.Open()
	if err != nil {
		return nil, nil, malformed(CodeEntry, name, "%v", err)
	}
	return r, f, nil
}

// read unpacks a small entry whole.
func (a *archive) read(name string, most uint64) ([]byte, error) {
	r, f, err := a.open(name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if f.UncompressedSize64 > most {
		return nil, malformed(CodeLimit, name, "%d bytes", f.UncompressedSize64)
	}
	b := make([]byte, f.UncompressedSize64)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, malformed(CodeEntry, name, "%v", err)
	}
	if _, err := r.Read(make([]byte, 1)); err != io.EOF { // the checksum is compared at the end
		return nil, malformed(CodeEntry, name, "%v", err)
	}
	return b, nil
}

// digest is SM3 of an entry, which is unpacked a piece at a time, once.
func (a *archive) digest(name string) ([32]byte, error) {
	if d, found := a.digests[name]; found {
		return d, nil
	}
	r, f, err := a.open(name)
	if err != nil {
		return [32]byte{}, err
	}
	defer r.Close()
	h := sm3.New()
	if n, err := io.Copy(h, io.LimitReader(r, int64(f.UncompressedSize64)+1)); err != nil || uint64(n) != f.UncompressedSize64 {
		return [32]byte{}, malformed(CodeEntry, name, "does not unpack to what the directory says: %v", err)
	}
	d := [32]byte(h.Sum(nil))
	a.digests[name] = d
	return d, nil
}
