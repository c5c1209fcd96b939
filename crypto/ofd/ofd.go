// Package ofd reads what an OFD file (GB/T 33190-2016) says of its signatures.
//
// OFD is the file format that GB/T 36905 names for electronic licences, and what other
// platforms issue. We make none. This package takes the archive apart, follows OFD.xml to
// each document's list of signatures (GB/T 33190, 18) and compares the digests that each
// signature's description (Signature.xml) names with the files in the archive. What was
// signed is that description: a signature's Contents are over its digest. Contents are
// not read here (crypto/seal and crypto/cms do), and pages are not looked at.
//
// Invariants:
//   - Everything is bounded before it is read: sizes, counts, ratios, depth, and the work
//     of all digests together. No input panics, and nothing is written anywhere.
//   - Every reader sees the same files: the archive holds nothing that the directory does
//     not name, no name twice (capitals and small letters counted alike), and the headers of
//     entries agree with it. An archive that leaves two readings is refused.
//   - Names are looked up in the archive alone. No path leads out of it, no entity and no
//     document type is read, no file inside is opened as an archive of its own.
//   - A digest is compared over the bytes of the file as unpacked, never over a re-encoding.
//   - Only SM3 counts. A signature that names another digest algorithm has Weak set, and
//     nothing of it was compared.
package ofd

import (
	"bytes"
	"encoding/base64"
	"path"
	"slices"
	"strings"
)

// Bounds of the signatures of a file.
const (
	maxDocuments   = 16
	maxSignatures  = 16
	maxCustomData  = 256
	maxSignedValue = 512 << 10 // bytes
)

const root = "OFD.xml"

// File is what was read of an OFD file.
type File struct {
	// Entries are the names of all files in the archive, sorted.
	Entries []string
	// Custom is the documents' own data (CustomDatas, GB/T 33190, 7.4), in which GB/T 36903
	// metadata stand under pinyin initials. Of a name that stands there twice, nothing. Nobody
	// vouches for them but a signature that covers OFD.xml.
	Custom map[string]string
	// Signatures are those of all documents, in the order in which they are listed. There may
	// be none.
	Signatures []Signature
	// Uncovered are the entries that no signature names, those left out that none can: the
	// lists of signatures, the descriptions and the values.
	Uncovered []string
}

// Signature is one signature of a file (GB/T 33190, 18.2). All of it but Contents and
// Digest is what the file says of itself.
type Signature struct {
	// Name is the entry with the description, Type "Seal" or "Sign".
	Name, Type string
	// Provider is the software that made it, ClaimedTime when; neither is proved.
	Provider, ClaimedTime string
	// Contents is the signature value's file: an SES_Signature, or a CMS.
	Contents []byte
	// Info is the description as it stands in the archive, Digest its SM3: what Contents is over.
	Info   []byte
	Digest [32]byte
	// Weak names the digest algorithm where it is not SM3; what follows is then empty.
	Weak string
	// Covered are the entries whose digests agree, Changed those whose digests do not,
	// Missing those that are named and are not there.
	Covered, Changed, Missing []string
}

// IsOFD reports whether a file begins as an OFD does, which is as any ZIP archive does.
func IsOFD(file []byte) bool { return bytes.HasPrefix(file, []byte("PK\x03\x04")) }

// Read reads a file. The error is a *FormatError, and the value then nil.
func Read(file []byte) (*File, error) {
	a, err := openArchive(file)
	if err != nil {
		return nil, err
	}
	top, err := a.description(root, "OFD")
	if err != nil {
		return nil, err
	}
	bodies := top.all("DocBody")
	if len(bodies) == 0 || len(bodies) > maxDocuments {
		return nil, malformed(CodeDocument, root, "%d documents", len(bodies))
	}
	f := &File{Entries: a.names, Custom: map[string]string{}}
	r := reader{archive: a, file: f, free: map[string]bool{}}
	for _, body := range bodies {
		if err := r.document(body); err != nil {
			return nil, err
		}
	}
	if err := r.compare(); err != nil {
		return nil, err
	}
	return f, nil
}

// description reads an entry as XML with a root element of a name.
func (a *archive) description(entry, name string) (*element, error) {
	b, err := a.read(entry, maxXML)
	if err != nil {
		return nil, err
	}
	e, err := parseXML(entry, b)
	if err == nil && e.name != name {
		return nil, malformed(CodeDocument, entry, "is not the description of an %s", name)
	}
	return e, err
}

// reader goes through a file.
type reader struct {
	*archive
	file       *File
	free       map[string]bool // entries that no signature can cover, and those that one names
	references [][]reference   // of each signature
}

// reference is a file that a signature covers.
type reference struct {
	name   string
	digest []byte
}

// locate is the entry that a path leads to (GB/T 33190, 7.3): from the archive's root, or
// from the folder of the entry that holds the path.
func locate(from, to string) string {
	if strings.HasPrefix(to, "/") {
		return path.Clean(to)[1:]
	}
	return path.Join(path.Dir(from), to)
}

// document reads a DocBody: its own data, that there is a document, and its signatures.
func (r *reader) document(body *element) error {
	at := body.child("DocRoot").content()
	if at == "" {
		return malformed(CodeDocument, root, "a document without a DocRoot")
	}
	if _, err := r.description(locate(root, at), "Document"); err != nil {
		return err
	}
	if err := r.custom(body.at("DocInfo", "CustomDatas")); err != nil {
		return err
	}
	switch lists := body.all("Signatures"); {
	case len(lists) > 1:
		return malformed(CodeDocument, root, "two lists of signatures")
	case len(lists) == 1 && lists[0].text != "":
		return r.signatures(locate(root, lists[0].text))
	}
	return nil
}

func (r *reader) custom(list *element) error {
	data := list.all("CustomData")
	if len(data) > maxCustomData {
		return malformed(CodeLimit, root, "%d own data", len(data))
	}
	twice := map[string]bool{}
	for _, d := range data {
		name := d.attributes["Name"]
		_, there := r.file.Custom[name]
		if twice[name] = twice[name] || there; !twice[name] {
			r.file.Custom[name] = d.text
		}
	}
	for name, is := range twice {
		if is {
			delete(r.file.Custom, name)
		}
	}
	return nil
}

// signatures reads a document's list of signatures.
func (r *reader) signatures(list string) error {
	e, err := r.description(list, "Signatures")
	if err != nil {
		return err
	}
	r.free[list] = true
	for _, s := range e.all("Signature") {
		if len(r.file.Signatures) == maxSignatures {
			return malformed(CodeLimit, list, "more than %d signatures", maxSignatures)
		}
		kind, at := s.attributes["Type"], s.attributes["BaseLoc"]
		if kind == "" {
			kind = "Seal" // by the standard's schema
		}
		if at == "" || kind != "Seal" && kind != "Sign" {
			return malformed(CodeSignature, list, "a signature without a place, or of an unknown type")
		}
		if err := r.signature(locate(list, at), kind); err != nil {
			return err
		}
	}
	return nil
}

// signature reads a signature's description.
func (r *reader) signature(name, kind string) error {
	info, err := r.read(name, maxXML)
	if err != nil {
		return err
	}
	e, err := parseXML(name, info)
	if err != nil {
		return err
	}
	signed, value := e.child("SignedInfo"), e.child("SignedValue").content()
	list := signed.at("References")
	if e.name != "Signature" || value == "" || signed == nil || list == nil {
		return malformed(CodeSignature, name, "lacks SignedInfo, References or SignedValue, or has two")
	}
	s := Signature{Name: name, Type: kind, Info: info, ClaimedTime: signed.child("SignatureDateTime").content()}
	if p := signed.child("Provider"); p != nil {
		s.Provider = strings.TrimSpace(p.attributes["ProviderName"] + " " + p.attributes["Version"])
	}
	if s.Contents, err = r.read(locate(name, value), maxSignedValue); err != nil {
		return err
	}
	if s.Digest, err = r.digest(name); err != nil {
		return err
	}
	r.free[name], r.free[locate(name, value)] = true, true
	refs, err := referencesOf(name, list)
	if method := strings.ToUpper(list.attributes["CheckMethod"]); method != "1.2.156.10197.1.401" && method != "SM3" {
		s.Weak, refs = method, nil
		if method == "" {
			s.Weak = "none named"
		}
	}
	r.file.Signatures, r.references = append(r.file.Signatures, s), append(r.references, refs)
	return err
}

func referencesOf(name string, list *element) (refs []reference, err error) {
	for _, e := range list.all("Reference") {
		at := e.attributes["FileRef"]
		digest, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(e.child("CheckValue").content()), ""))
		if err != nil || at == "" || len(digest) == 0 {
			return nil, malformed(CodeSignature, name, "a reference without a file or a digest")
		}
		refs = append(refs, reference{locate(name, at), digest})
	}
	if len(refs) == 0 || len(refs) > maxEntries {
		return nil, malformed(CodeSignature, name, "%d references", len(refs))
	}
	return refs, nil
}

// compare compares digests, once it is known which entries no signature can cover. A file
// that is named twice is changed when one of its digests does not agree.
func (r *reader) compare() error {
	for i := range r.file.Signatures {
		s := &r.file.Signatures[i]
		good := map[string]bool{}
		for _, ref := range r.references[i] {
			if r.entries[ref.name] == nil {
				s.Missing = append(s.Missing, ref.name)
				continue
			}
			d, err := r.digest(ref.name)
			if err != nil {
				return err
			}
			before, named := good[ref.name]
			good[ref.name] = bytes.Equal(d[:], ref.digest) && (before || !named)
		}
		for _, name := range r.names {
			switch same, named := good[name]; {
			case same:
				s.Covered = append(s.Covered, name)
			case named:
				s.Changed = append(s.Changed, name)
			default:
				continue
			}
			r.free[name] = true
		}
		slices.Sort(s.Missing)
		s.Missing = slices.Compact(s.Missing)
	}
	for _, name := range r.names {
		if !r.free[name] {
			r.file.Uncovered = append(r.file.Uncovered, name)
		}
	}
	return nil
}
