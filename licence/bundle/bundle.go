// Package bundle is the form of an evidence bundle (证据包): one file with a licence
// and all that proves it years later, when no server answers.
//
// A bundle is a ZIP archive of one form (see zip.go), which any tool opens:
//
//	manifest.json               what the bundle is of, and SM3 of every other file
//	licence.pdf                 the licence file, with its seal signature and timestamp
//	certificates/1.cer …        CA certificates, DER
//	crls/1.crl …                revocation lists, DER
//	ocsp/1.ors …                OCSP responses, DER
//	log/checkpoint              a signed checkpoint of the access log
//	log/1.record, log/1.proof … entries of the log with their inclusion proofs
//
// docs/bundle-format.md describes every byte, for people who write a reader of their
// own. The format is final: another one would have another name in its manifest.
//
// # Invariants
//
//   - What parses marshals to the same bytes; sizes and counts are bounded before
//     anything is copied, and no input panics.
//   - The manifest names every file but those of the log, and the last entry of the
//     log that is in the bundle holds the manifest's digest (see Entries). So the log's
//     checkpoint commits to every byte.
//
// The package judges nothing and trusts nobody: whether the parts prove anything is for
// package verify. Makers are licence/registry and, of the service's answer, cmd/elicence.
package bundle

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"elicence/audit"
	"elicence/licence"

	"github.com/emmansun/gmsm/sm3"
)

// Format names the format and its version in the manifest.
const Format = "elicence-bundle/1"

// The actions of the log entries in a bundle.
const (
	ActionIssued      audit.Action = "issued"      // digest: SM3 of the licence file
	ActionTimestamped audit.Action = "timestamped" // digest: SM3 of the file with its late timestamp
	ActionBundle      audit.Action = "bundle"      // digest: SM3 of the manifest
)

// The limits of a bundle.
const (
	// MaxSize is the largest bundle in bytes, MaxFile the largest licence file in it.
	MaxSize = 32 << 20
	MaxFile = 20 << 20
	// MaxCertificates, MaxCRLs and MaxOCSP are how many of each there may be.
	MaxCertificates = 8
	MaxCRLs         = 16
	MaxOCSP         = 16
	maxEntries      = 8
	maxHashes       = 63
	maxManifest     = 16 << 10
	maxStatus       = 32
)

// The names of files that there is one of, and what the others are named by.
const (
	manifestName   = "manifest.json"
	fileName       = "licence.pdf"
	checkpointName = "log/checkpoint"
)

// Bundle is a bundle taken apart. Byte slices are parts of what was parsed.
type Bundle struct {
	// Identifier is the licence's, Status what the register said of it when the bundle
	// was made: at the time of the last entry.
	Identifier licence.Identifier
	Status     licence.Status
	// File is the licence file.
	File []byte
	// Certificates are those of CAs, CRLs and OCSP what their issuers said of
	// revocation; DER.
	Certificates, CRLs, OCSP [][]byte
	// Checkpoint is a signed note that covers every entry.
	Checkpoint []byte
	// Entries are entries of the log in ascending order. The last permitted the bundle
	// (ActionBundle, with the digest of its manifest), one before it the licence file.
	Entries []Entry
}

// Entry is an entry of the access log.
type Entry struct {
	// Record is the entry as the log holds it (docs/log-format.md).
	Record []byte
	// Proof are the hashes from its leaf to the checkpoint's root.
	Proof [][]byte
}

// manifest is manifest.json: one JSON object with the members in this order, the files
// in the order of their names, without white space but the line feed at its end.
type manifest struct {
	Format     string             `json:"format"`
	Identifier licence.Identifier `json:"identifier"`
	Status     licence.Status     `json:"status"`
	Files      map[string]string  `json:"files"` // SM3, lower-case hex
}

// IsBundle reports whether b begins as a bundle does, with its manifest, and neither a
// licence file nor any other archive.
func IsBundle(b []byte) bool {
	return bytes.HasPrefix(b, []byte("PK\x03\x04")) && bytes.HasPrefix(b[min(localSize, len(b)):], []byte(manifestName))
}

// Manifest returns manifest.json.
func (b *Bundle) Manifest() []byte {
	m := manifest{Format, b.Identifier, b.Status, map[string]string{}}
	for _, f := range b.evidence() {
		sum := sm3.Sum(f.data)
		m.Files[f.name] = hex.EncodeToString(sum[:])
	}
	text, _ := json.Marshal(m) // texts alone, which always have a form
	return append(text, '\n')
}

// evidence are the files that the manifest names, in the order of the archive.
func (b *Bundle) evidence() []member {
	files := []member{{fileName, b.File}}
	for _, kind := range b.kinds() {
		for i, data := range *kind.list {
			files = append(files, member{kind.name(i), data})
		}
	}
	return files
}

// kind is a kind of file of which there may be several.
type kind struct {
	folder, suffix string
	most           int
	list           *[][]byte
}

func (k kind) name(i int) string { return fmt.Sprintf("%s/%d.%s", k.folder, i+1, k.suffix) }

func (b *Bundle) kinds() []kind {
	return []kind{
		{"certificates", "cer", MaxCertificates, &b.Certificates},
		{"crls", "crl", MaxCRLs, &b.CRLs},
		{"ocsp", "ors", MaxOCSP, &b.OCSP},
	}
}

func recordName(i int) string { return fmt.Sprintf("log/%d.record", i+1) }
func proofName(i int) string  { return fmt.Sprintf("log/%d.proof", i+1) }

// Marshal writes the bundle. It refuses one that Parse would.
func (b *Bundle) Marshal() ([]byte, error) {
	if err := b.check(); err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	members := append([]member{{manifestName, b.Manifest()}}, b.evidence()...)
	members = append(members, member{checkpointName, b.Checkpoint})
	for i, e := range b.Entries {
		members = append(members, member{recordName(i), e.Record}, member{proofName(i), marshalProof(e.Proof)})
	}
	out := marshalZIP(members)
	if len(out) > MaxSize {
		return nil, fmt.Errorf("bundle: more than %d bytes", MaxSize)
	}
	return out, nil
}

// check is what Parse wants besides the form.
func (b *Bundle) check() error {
	if _, err := licence.ParseIdentifier(string(b.Identifier)); err != nil {
		return fmt.Errorf("identifier: %w", err)
	}
	switch {
	case b.Status == "" || len(b.Status) > maxStatus || strings.ContainsFunc(string(b.Status), func(c rune) bool { return c != '_' && (c < 'a' || c > 'z') }):
		return errors.New("status is not a word")
	case len(b.File) == 0 || len(b.File) > MaxFile:
		return fmt.Errorf("licence file of %d bytes", len(b.File))
	case len(b.Entries) < 2 || len(b.Entries) > maxEntries:
		return fmt.Errorf("%d log entries", len(b.Entries))
	}
	for _, kind := range b.kinds() {
		if len(*kind.list) > kind.most {
			return fmt.Errorf("more than %d files in %s", kind.most, kind.folder)
		}
	}
	return nil
}

// marshalProof writes a hash a line, in lower-case hex.
func marshalProof(hashes [][]byte) (text []byte) {
	for _, h := range hashes {
		text = append(hex.AppendEncode(text, h), '\n')
	}
	return text
}

// Parse reads a bundle of at most MaxSize bytes. It checks its form, and that the
// manifest is that of the files; not one signature.
func Parse(raw []byte) (*Bundle, error) {
	if len(raw) > MaxSize {
		return nil, fmt.Errorf("bundle: more than %d bytes", MaxSize)
	}
	b, err := parse(raw)
	if err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	return b, nil
}

func parse(raw []byte) (*Bundle, error) {
	members, err := parseZIP(raw)
	if err != nil {
		return nil, err
	}
	r := &reader{members: members}
	text := r.take(manifestName)
	b := &Bundle{File: r.take(fileName)}
	for _, kind := range b.kinds() {
		for i := 0; r.next(kind.name(i)); i++ {
			*kind.list = append(*kind.list, r.take(kind.name(i)))
		}
	}
	b.Checkpoint = r.take(checkpointName)
	for i := 0; r.next(recordName(i)); i++ {
		b.Entries = append(b.Entries, Entry{Record: r.take(recordName(i)), Proof: r.proof(proofName(i))})
	}
	if r.err == nil && len(r.members) > 0 {
		r.err = fmt.Errorf("%.64q has no place", r.members[0].name)
	}
	if r.err != nil {
		return nil, r.err
	}
	if err := b.readManifest(text); err != nil {
		return nil, err
	}
	return b, nil
}

// readManifest takes what the manifest alone says, and compares it whole with the one
// that the files give.
func (b *Bundle) readManifest(text []byte) error {
	var m manifest
	if len(text) > maxManifest {
		return fmt.Errorf("%s is longer than %d bytes", manifestName, maxManifest)
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return fmt.Errorf("%s: %w", manifestName, err)
	}
	if m.Format != Format {
		return fmt.Errorf("format %.40q is not %q", m.Format, Format)
	}
	b.Identifier, b.Status = m.Identifier, m.Status
	if err := b.check(); err != nil {
		return err
	}
	if !bytes.Equal(b.Manifest(), text) {
		return fmt.Errorf("%s is not of these files, or not in its one form", manifestName)
	}
	return nil
}

// reader takes members in their order. After a fault it gives nothing.
type reader struct {
	members []member
	err     error
}

// next reports whether the next member has a name.
func (r *reader) next(name string) bool {
	return r.err == nil && len(r.members) > 0 && r.members[0].name == name
}

func (r *reader) take(name string) []byte {
	if !r.next(name) {
		if r.err == nil {
			r.err = fmt.Errorf("%s is missing", name)
		}
		return nil
	}
	data := r.members[0].data
	r.members = r.members[1:]
	return data
}

// proof takes a proof.
func (r *reader) proof(name string) (hashes [][]byte) {
	text := r.take(name)
	if len(text) > maxHashes*(2*sm3.Size+1) {
		r.err = fmt.Errorf("%s has more than %d hashes", name, maxHashes)
		return nil
	}
	for line := range strings.Lines(string(text)) {
		h, err := hex.DecodeString(strings.TrimSuffix(line, "\n"))
		if err != nil || len(h) != sm3.Size {
			r.err = fmt.Errorf("%s is not a hash a line", name)
			return nil
		}
		hashes = append(hashes, h)
	}
	if r.err == nil && !bytes.Equal(marshalProof(hashes), text) {
		r.err = fmt.Errorf("%s is not a hash a line, in lower case", name)
	}
	return hashes
}
