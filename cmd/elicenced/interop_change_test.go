//go:build interop

package main

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strconv"
	"testing"

	"elicence/crypto/pdfsig"
	"elicence/verify"

	"github.com/emmansun/gmsm/sm3"
)

// subject is a licence as issued, with its parts, for changing copies of it.
type subject struct {
	name, state string
	pdf         []byte
	parts       *verify.Parts
}

// unchanged is the licence itself and its QR code alone.
func (s *subject) unchanged() []exhibit {
	words := "good good good good good"
	if s.parts.Token == nil {
		words = "good good good absent good"
	}
	return []exhibit{
		{s.name + ".pdf", "nothing; " + s.state, s.pdf, want(words)},
		{s.name + ".qr", "nothing; QR code alone", s.qr(s.parts.Attachments["qr.cbor"]), want("- - - - good")},
	}
}

// qr is the QR code with a message of the caller's.
func (s *subject) qr(message []byte) []byte {
	file, err := qrLines("http://127.0.0.1:8080", message, s.parts.QRSigner.Raw)
	if err != nil {
		panic(err) // the message is no longer than the one that fits
	}
	return file
}

// flip returns the file with bits of one byte changed.
func (s *subject) flip(at int, mask byte) []byte {
	changed := bytes.Clone(s.pdf)
	changed[at] ^= mask
	return changed
}

// flipDER returns the file with bits of one byte of /Contents changed.
func (s *subject) flipDER(at int, mask byte) []byte {
	changed := bytes.Clone(s.pdf)
	place := s.contents() + 2*at
	copy(changed[place:], hex.EncodeToString([]byte{s.parts.Container.Contents[at] ^ mask}))
	return changed
}

// contents is where the first digit of /Contents stands.
func (s *subject) contents() int { return int(s.parts.Container.ByteRange[1]) + 1 }

// place is where a part stands in the DER of /Contents: its last place, for the
// certificates that stand there twice.
func (s *subject) place(part []byte) int {
	i := bytes.LastIndex(s.parts.Container.Contents, part)
	if i < 0 {
		panic("a part of the seal signature is not in it")
	}
	return i
}

// alteration makes a changed copy of a licence.
type alteration func(s *subject, r *rand.Rand) []byte

// inside flips a bit of a part, from byte first (from the end, if negative) on.
func inside(part func(*verify.Parts) []byte, first, length int) alteration {
	return func(s *subject, r *rand.Rand) []byte {
		p := part(s.parts)
		start := first
		if first < 0 {
			start = len(p) + first
		}
		return s.flipDER(s.place(p)+start+r.IntN(length), 1<<r.IntN(8))
	}
}

// lowBit flips the lowest bit of the last character but skip of a text, which stays a
// digit or letter, in its first place behind a part.
func lowBit(behind, text func(*verify.Parts) []byte, skip int) alteration {
	return func(s *subject, r *rand.Rand) []byte {
		p, der := text(s.parts), s.parts.Container.Contents
		from := bytes.LastIndex(der, behind(s.parts)) + len(behind(s.parts))
		return s.flipDER(from+bytes.Index(der[from:], p)+len(p)-1-skip, 1)
	}
}

func sealRaw(p *verify.Parts) []byte        { return p.Seal.Raw }
func sealHeader(p *verify.Parts) []byte     { return []byte(p.Seal.Vendor) }
func digestOf(p *verify.Parts) []byte       { return p.Signature.DocumentDigest }
func propertyInfo(p *verify.Parts) []byte   { return []byte(p.Signature.PropertyInfo) }
func sealID(p *verify.Parts) []byte         { return []byte(p.Seal.ID) }
func picture(p *verify.Parts) []byte        { return p.Seal.Picture.Data }
func makerSignature(p *verify.Parts) []byte { return p.Seal.SignatureValue }
func makerCert(p *verify.Parts) []byte      { return p.Seal.Maker.Raw }
func signature(p *verify.Parts) []byte      { return p.Signature.SignatureValue }
func signerCert(p *verify.Parts) []byte     { return p.Signature.Certificate.Raw }
func signingTime(p *verify.Parts) []byte {
	return p.Signature.SigningTime.UTC().AppendFormat(nil, "20060102150405Z")
}

// listed is the list's certificate with the OCTET STRING's header that the same
// certificate has not elsewhere: maker's algorithm and signature lie behind it.
func listed(s *subject, r *rand.Rand) []byte {
	at := bytes.Index(s.parts.Container.Contents, s.parts.Seal.CertList[0].Value) + len(s.parts.Seal.CertList[0].Value)
	return s.flipDER(at-1-r.IntN(8), 1<<r.IntN(8))
}

func imprint(p *verify.Parts) []byte     { return p.Token.Imprint }
func tokenSerial(p *verify.Parts) []byte { return p.Token.SerialNumber.Bytes() }
func tokenNonce(p *verify.Parts) []byte  { return p.Token.Nonce.Bytes() }
func tokenCert(p *verify.Parts) []byte   { return p.Token.Certificate.Raw }
func tokenTime(p *verify.Parts) []byte {
	return p.Token.Time.UTC().AppendFormat(nil, "20060102150405Z")
}
func tokenBinding(p *verify.Parts) []byte { d := sm3.Sum(p.Token.Certificate.Raw); return d[:] }
func tokenSignature(p *verify.Parts) []byte {
	_, value := p.Token.SignedBytes()
	return value
}

// tokenDigest is the value of the token's attribute messageDigest: its OID, a SET and an
// OCTET STRING come before it.
func tokenDigest(p *verify.Parts) []byte {
	signed, _ := p.Token.SignedBytes()
	before := []byte{6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 4, 0x31, 0x22, 4, 32}
	return signed[bytes.Index(signed, before)+len(before):][:32]
}

// streams flips a bit in the middle of a stream that no reader of signatures looks into: a
// page, a font, a picture.
func streams(s *subject, r *rand.Rand) []byte {
	found := streamHead.FindAllSubmatchIndex(s.pdf, -1)
	for {
		m := found[r.IntN(len(found))]
		length, _ := strconv.Atoi(string(s.pdf[m[4]:m[5]]))
		if length > 16 && !bytes.Contains(s.pdf[m[2]:m[3]], []byte("EmbeddedFile")) {
			return s.flip(m[1]+r.IntN(length), 1<<r.IntN(8))
		}
	}
}

var streamHead = regexp.MustCompile(`\n<<([^\n]*)/Length (\d+)[^\n]*>>\nstream\n`)

func anywhere(s *subject, r *rand.Rand) []byte {
	signed := s.parts.Container.ByteRange
	at := r.IntN(int(signed[1] + signed[3]))
	if at >= int(signed[1]) {
		at += int(signed[2] - signed[1])
	}
	return s.flip(at, 1<<r.IntN(8))
}

func anyOfDER(s *subject, r *rand.Rand) []byte {
	return s.flipDER(r.IntN(len(s.parts.Container.Contents)), 1<<r.IntN(8))
}

func padding(s *subject, r *rand.Rand) []byte {
	used := 2 * len(s.parts.Container.Contents)
	signed := s.parts.Container.ByteRange
	return s.flip(s.contents()+used+r.IntN(int(signed[2]-signed[1])-2-used), 1)
}

func capital(s *subject, r *rand.Rand) []byte {
	for {
		at := s.contents() + r.IntN(2*len(s.parts.Container.Contents))
		if s.pdf[at] >= 'a' {
			return s.flip(at, 0x20)
		}
	}
}

func cut(s *subject, r *rand.Rand) []byte  { return s.pdf[:len(s.pdf)-1-r.IntN(200)] }
func more(s *subject, r *rand.Rand) []byte { return append(bytes.Clone(s.pdf), byte(r.IntN(256))) }

// swapped is the file under the seal signature of another.
func (s *subject) swapped(other *subject) ([]byte, error) {
	return pdfsig.ReplaceContents(s.pdf, other.parts.Container.Contents)
}

// pngHeader is the length of a PNG's signature and IHDR chunk. A change there may make a
// picture that we refuse to read at all, as one that would unfold to something huge.
const pngHeader = 33

// changes are the rows of the table. A signature value's first bytes of r and last of s
// are spared, so that it stays one; so are the high bits of texts.
var changes = []struct {
	name  string
	files int
	want  string
	alter alteration
}{
	{"document: page, font or picture", 60, "bad good good good good", streams},
	{"document: any bit", 60, "", anywhere},
	{"document: bytes cut off", 10, "", cut},
	{"document: a byte more", 10, "", more},
	{"room of the signature: padding", 10, "", padding},
	{"room of the signature: a capital digit", 10, "", capital},
	{"seal signature: sealed digest", 40, "bad good bad good good", inside(digestOf, 0, 32)},
	{"seal signature: claimed time", 15, "good good bad good good", lowBit(sealRaw, signingTime, 1)},
	{"seal signature: property", 15, "good good bad good good", lowBit(sealRaw, propertyInfo, 0)},
	{"seal signature: value", 40, "good good bad bad good", inside(signature, -20, 20)},
	{"seal signature: signer's certificate", 30, "good bad good good good", inside(signerCert, -20, 20)},
	{"seal signature: any bit", 100, "", anyOfDER},
	{"seal: picture", 40, "good bad bad good good", inside(picture, pngHeader, 500)},
	{"seal: picture's header", 20, "", inside(picture, 0, pngHeader)},
	{"seal: identifier", 15, "good bad bad good good", lowBit(sealHeader, sealID, 0)},
	{"seal: certificate list", 30, "good bad bad good good", listed},
	{"seal: maker's signature value", 40, "good bad bad good good", inside(makerSignature, -20, 20)},
	{"seal: maker's certificate", 15, "good good bad good good", inside(makerCert, -8, 8)},
	{"timestamp: imprint", 20, "good good good bad good", inside(imprint, 0, 32)},
	{"timestamp: time", 20, "good good good bad good", lowBit(imprint, tokenTime, 1)},
	{"timestamp: serial number", 10, "good good good bad good", inside(tokenSerial, 4, 8)},
	{"timestamp: nonce", 10, "good good good bad good", inside(tokenNonce, 4, 8)},
	{"timestamp: attribute with the content's digest", 20, "good good good bad good", inside(tokenDigest, 0, 32)},
	{"timestamp: attribute that binds the certificate", 20, "good good good bad good", inside(tokenBinding, 0, 32)},
	{"timestamp: signature value", 30, "good good good bad good", inside(tokenSignature, -20, 20)},
	{"timestamp: certificate", 20, "good good good bad good", inside(tokenCert, -8, 8)},
}

// qrChanges change the message of a QR code.
var qrChanges = []struct {
	name  string
	files int
	want  string
	alter func(message []byte, r *rand.Rand)
}{
	{"QR code: digest of the data", 30, "- - - - bad", func(m []byte, r *rand.Rand) { m[len(m)-66-1-r.IntN(32)] ^= 1 << r.IntN(8) }},
	{"QR code: signature value", 30, "- - - - bad", func(m []byte, r *rand.Rand) { m[len(m)-1-r.IntN(24)] ^= 1 << r.IntN(8) }},
	{"QR code: any bit", 60, "", func(m []byte, r *rand.Rand) { m[r.IntN(len(m))] ^= 1 << r.IntN(8) }},
}

// changed makes every change to timestamped licences, taken in turn.
func changed(t *testing.T, subjects []*subject, r *rand.Rand) (all []exhibit) {
	t.Helper()
	var stamped []*subject
	for _, s := range subjects {
		if s.parts.Token != nil {
			stamped = append(stamped, s)
		}
	}
	for c, change := range changes {
		for i := range change.files {
			file := change.alter(stamped[i%len(stamped)], r)
			all = append(all, exhibit{fmt.Sprintf("changed-%02d-%03d.pdf", c, i), change.name, file, want(change.want)})
		}
	}
	for i, s := range stamped[:20] {
		file, err := s.swapped(stamped[(i+1)%20])
		must(t, err)
		all = append(all, exhibit{fmt.Sprintf("swapped-%03d.pdf", i), "seal signature of another licence", file, want("bad good good good good")})
	}
	for c, change := range qrChanges {
		for i := range change.files {
			s := subjects[i%len(subjects)]
			message := bytes.Clone(s.parts.Attachments["qr.cbor"])
			change.alter(message, r)
			all = append(all, exhibit{fmt.Sprintf("changed-%02d-%03d.qr", c, i), change.name, s.qr(message), want(change.want)})
		}
	}
	return all
}

// changedSeal makes changed copies of a bare seal.
func changedSeal(t *testing.T, name string, der []byte, r *rand.Rand) (all []exhibit) {
	t.Helper()
	parts, err := verify.InspectSeal(der)
	must(t, err)
	flipped := func(change, words string, at int) {
		changed := bytes.Clone(der)
		changed[at] ^= 1 << r.IntN(8)
		all = append(all, exhibit{fmt.Sprintf("%s-%d.esl", name, len(all)), change, changed, want(words)})
	}
	data := bytes.Index(der, parts.Seal.Picture.Data)
	value := bytes.LastIndex(der, parts.Seal.SignatureValue) + len(parts.Seal.SignatureValue)
	for range 10 {
		flipped("picture", "- bad - - -", data+pngHeader+r.IntN(len(parts.Seal.Picture.Data)-pngHeader))
		flipped("maker's signature value", "- bad - - -", value-1-r.IntN(20))
		flipped("any bit of what is signed", "", bytes.Index(der, parts.Seal.InfoRaw)+r.IntN(len(parts.Seal.InfoRaw)))
	}
	return all
}
