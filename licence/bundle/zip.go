package bundle

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// A container is a ZIP archive (APPNOTE.TXT 6.3, PKWARE) in the one form that needs no
// decision: members stored, not deflated, one after the other and in the order of the
// directory, no extra fields, comments or flags, the date 1980-01-01. Whatever differs
// from what marshalZIP makes of the members that were read is refused, so no byte has a
// second value, and nothing that is read can be larger than the archive.
const (
	localMagic, centralMagic, endMagic = 0x04034b50, 0x02014b50, 0x06054b50

	localSize   = 30 // of a local file header without the name
	centralSize = 46 // of an entry of the directory without the name
	zipVersion  = 10 // needed to extract: stored files
	zipDate     = 1<<5 | 1
	maxName     = 64
	maxMembers  = 128
)

// member is a file in a container.
type member struct {
	name string // of ASCII
	data []byte
}

// marshalZIP writes a container.
func marshalZIP(members []member) []byte {
	size := 0
	for _, m := range members {
		size += len(m.data) + 2*(maxName+centralSize)
	}
	out, directory := make([]byte, 0, size), []byte(nil) // one that grows would take three times as much
	for _, m := range members {
		offset := uint32(len(out))
		common := header(m)
		out = binary.LittleEndian.AppendUint32(out, localMagic)
		out = append(append(append(out, common...), m.name...), m.data...)
		directory = binary.LittleEndian.AppendUint32(directory, centralMagic)
		directory = binary.LittleEndian.AppendUint16(directory, zipVersion) // made by, on no system in particular
		directory = append(directory, common...)
		directory = append(directory, make([]byte, 10)...) // comment, disk, attributes: none
		directory = binary.LittleEndian.AppendUint32(directory, offset)
		directory = append(directory, m.name...)
	}
	start, count := len(out), uint16(len(members))
	out = binary.LittleEndian.AppendUint32(append(out, directory...), endMagic)
	for _, n := range []uint16{0, 0, count, count} { // disks, members
		out = binary.LittleEndian.AppendUint16(out, n)
	}
	out = binary.LittleEndian.AppendUint32(out, uint32(len(directory)))
	out = binary.LittleEndian.AppendUint32(out, uint32(start))
	return append(out, 0, 0) // no comment
}

// header is what the local header and the directory say alike of a member.
func header(m member) []byte {
	var b []byte
	for _, n := range []uint16{zipVersion, 0, 0, 0, zipDate} { // flags, method, time
		b = binary.LittleEndian.AppendUint16(b, n)
	}
	for _, n := range []uint32{crc32.ChecksumIEEE(m.data), uint32(len(m.data)), uint32(len(m.data))} {
		b = binary.LittleEndian.AppendUint32(b, n)
	}
	b = binary.LittleEndian.AppendUint16(b, uint16(len(m.name)))
	return binary.LittleEndian.AppendUint16(b, 0) // no extra field
}

// parseZIP reads a container. The members share its memory.
func parseZIP(b []byte) (members []member, err error) {
	rest := b
	for len(rest) >= localSize && binary.LittleEndian.Uint32(rest) == localMagic {
		size, name := binary.LittleEndian.Uint32(rest[22:]), int(binary.LittleEndian.Uint16(rest[26:]))
		if name > maxName || uint64(size)+uint64(name) > uint64(len(rest)-localSize) || len(members) == maxMembers {
			return nil, fmt.Errorf("member %d does not fit", len(members)+1)
		}
		data := rest[localSize+name:]
		members = append(members, member{string(rest[localSize : localSize+name]), data[:size:size]})
		rest = data[size:]
	}
	if !bytes.Equal(marshalZIP(members), b) {
		return nil, errors.New("not a ZIP archive in the form of a bundle")
	}
	return members, nil
}
