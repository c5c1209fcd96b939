package hostile

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"elicence/crypto/cryptotest"
	"elicence/licence/render/pdf"
)

// foreign are files of other makers.
var foreign = []row{
	{"/ByteRange again and again", "structure", "pdf_header", repeated("/ByteRange ")},
	{"signature dictionaries again and again", "structure", "pdf_header", repeated("1 0 obj <</ByteRange [0 1 2 3]>>")},
	{"dictionaries that all go on to the end", "structure", "pdf_header", func(kit) []byte {
		return []byte("%PDF-1.4\n" + strings.Repeat("1 0 obj <</ByteRange 1/A[%", 16) + "\n" + strings.Repeat("22 ", 6_000_000))
	}},
	{"names of a kind of signature again and again", "structure", "foreign_signature", repeated("/SubFilter ")},
	{"10,000 certificates of another maker", "structure", "foreign_signature", func(k kit) []byte {
		return k.foreign(k.cms(slices.Repeat([]byte{0x30, 0}, 10_000), 1, 0, 3))
	}},
	{"as many certificates of another maker as are read", "structure", "foreign_signature", func(k kit) []byte {
		return k.foreign(k.cms(Element(0xa0, slices.Repeat(k.pki.SealSigner.Certificate.Raw, 17)), 1, 0, 3))
	}},
	{"indefinite lengths of another maker", "structure", "foreign_signature", func(k kit) []byte {
		der := k.cms(nil)
		return k.foreign(Replace(k.t, der, Indefinite(k.t, Find(k.t, der, 1, 0)), 1, 0))
	}},
	{"sixteen signatures of another maker over 19 MB", "structure", "foreign_signature", sixteen},
	{"elements of another maker in one another", "structure", "foreign_signature", func(k kit) []byte { return k.foreign(Nested(30_000)) }},
}

func repeated(piece string) func(kit) []byte {
	return func(kit) []byte { return []byte("%PDF-1.4\n" + strings.Repeat(piece, 20_000_000/len(piece))) }
}

// sixteen is a large file of another maker that as many have signed as are looked at,
// each of them all of it but for their own signature.
func sixteen(k kit) []byte {
	const n, size = 16, 19_000_000
	dictionary := func(start int) string {
		der := k.cms(nil)
		contents := fmt.Sprintf("<%x>", der)
		head := fmt.Sprintf("\n9 0 obj <</SubFilter/adbe.pkcs7.detached/ByteRange[0 %8d %8d %8d]/Contents", 0, 0, 0)
		from := start + len(head)
		to := from + len(contents)
		return fmt.Sprintf("\n9 0 obj <</SubFilter/adbe.pkcs7.detached/ByteRange[0 %8d %8d %8d]/Contents%s>>", from, to, size-to, contents)
	}
	out := make([]byte, 0, size)
	out = append(out, "%PDF-1.7\n"...)
	for range n {
		out = append(out, dictionary(len(out))...)
	}
	return append(out, make([]byte, size-len(out))...)
}

// cms is a signature of another maker with an element replaced.
func (k kit) cms(by []byte, path ...int) []byte {
	k.t.Helper()
	der := k.pki.MustCMS(k.t, cryptotest.CMS{SM2WithSM3: true, Attributes: true}, []byte("document"))
	if len(path) == 0 {
		return der
	}
	return Replace(k.t, der, by, path...)
}

// foreign is a file of another maker with any DER for a signature.
func (k kit) foreign(der []byte) []byte {
	return cryptotest.ForeignPDF("DJ.GMPkiLite", "GM.sm2cms.detached", len(der), func([]byte) []byte { return der })
}

// The places of elements in a SES_Signature of version 4: the seal and its parts.
var (
	eSeal    = []int{0, 1}
	property = []int{0, 1, 0, 2}
	certList = []int{0, 1, 0, 2, 3}
	picture  = []int{0, 1, 0, 3, 1}
	maker    = []int{0, 1, 1}
	signer   = []int{1}
	token    = []int{4, 0}
)

// signatures are seal signatures that are large, deep or not DER.
var signatures = []row{
	{"10,000 listed certificates", "seal_signature", "seal_signature_malformed", inSignature(func(k kit, der []byte) []byte {
		return Replace(k.t, der, Element(0x30, slices.Repeat([]byte{4, 1, 0}, 10_000)), certList...)
	})},
	{"10,000 listed certificates without form", "seal_signature", "seal_signature_malformed", inSignature(func(k kit, der []byte) []byte {
		return Replace(k.t, der, Element(0x30, slices.Repeat([]byte{0x30, 0}, 10_000)), certList...)
	})},
	{"10,000 extensions", "seal_signature", "seal_signature_malformed", inSignature(func(k kit, der []byte) []byte {
		extension := Element(0x30, []byte{6, 1, 0x2a, 1, 1, 0, 4, 1, 0})
		return Replace(k.t, der, slices.Concat(Find(k.t, der, picture[:4]...), Element(0x30, slices.Repeat(extension, 10_000))), picture[:4]...)
	})},
	{"an extension twice", "seal_signature", "seal_signature_malformed", inSignature(func(k kit, der []byte) []byte {
		extension := Element(0x30, []byte{6, 1, 0x2a, 1, 1, 0, 4, 1, 0})
		return Replace(k.t, der, slices.Concat(Find(k.t, der, picture[:4]...), Element(0x30, extension, extension)), picture[:4]...)
	})},
	{"indefinite length of the seal", "seal_signature", "seal_signature_malformed", indefinite(eSeal)},
	{"indefinite length of the property", "seal_signature", "seal_signature_malformed", indefinite(property)},
	{"indefinite length of the signed content", "seal_signature", "seal_signature_malformed", indefinite([]int{0})},
	{"elements in one another", "seal_signature", "seal_signature_malformed", inSignature(func(kit, []byte) []byte { return Nested(50_000) })},
	{"elements in one another for a seal", "seal_signature", "seal_signature_malformed", inSignature(func(k kit, der []byte) []byte {
		return Replace(k.t, der, Nested(50_000), eSeal...)
	})},
	{"length of 4 GiB", "seal_signature", "seal_signature_malformed", inSignature(func(k kit, der []byte) []byte {
		return Replace(k.t, der, []byte{0x30, 0x84, 0xff, 0xff, 0xff, 0xff}, eSeal...)
	})},
	{"picture of 3.6 thousand million pixels", "seal_signature", "seal_signature_malformed", inSignature(func(k kit, der []byte) []byte {
		png := bytes.Clone(Find(k.t, der, picture...)[2:])
		copy(png[16:], []byte{0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60})
		return Replace(k.t, der, Element(4, png), picture...)
	})},
	{"certificate with an extension twice", "seal_signature", "seal_signature_malformed", inCertificate(signer, 2)},
	{"certificate with 10,000 extensions", "seal_signature", "seal_signature_malformed", inCertificate(signer, 10_000)},
	{"maker's certificate with an extension twice", "seal_signature", "seal_signature_malformed", inCertificate(maker, 2)},
	{"token of elements in one another", "timestamp", "timestamp_malformed", inToken(func(kit) []byte { return Nested(12_000) })},
	{"token with 10,000 certificates", "timestamp", "timestamp_malformed", inToken(func(k kit) []byte {
		der := k.pki.MustToken(k.t, nil, k.pki.Now).Raw
		return Replace(k.t, der, Element(0xa0, slices.Repeat([]byte{0x30, 0}, 10_000)), 1, 0, 3)
	})},
	{"token with indefinite lengths", "timestamp", "timestamp_malformed", inToken(func(k kit) []byte {
		der := k.pki.MustToken(k.t, nil, k.pki.Now).Raw
		return Replace(k.t, der, Indefinite(k.t, Find(k.t, der, 1, 0)), 1, 0)
	})},
	{"tokens of certificates that all might have signed each other", "document_digest", "document_digest_differs", relatives},
	{"token over its limit", "seal_signature", "seal_signature_malformed", inToken(func(kit) []byte { return Element(0x30, make([]byte, 200<<10)) })},
}

// inSignature puts a seal signature into a file that was made of the good one's.
func inSignature(change func(k kit, der []byte) []byte) func(kit) []byte {
	return func(k kit) []byte {
		k.t.Helper()
		return k.seal(pdf.Document{Attachments: k.attached("", nil)}, change(k, k.contents()))
	}
}

func indefinite(path []int) func(kit) []byte {
	return inSignature(func(k kit, der []byte) []byte {
		return Replace(k.t, der, Indefinite(k.t, Find(k.t, der, path...)), path...)
	})
}

// inCertificate has a certificate of the seal signature hold its first extension n
// times.
func inCertificate(path []int, n int) func(kit) []byte {
	return inSignature(func(k kit, der []byte) []byte {
		cert := Repeated(k.t, Find(k.t, der, path...), n)
		return Replace(k.t, der, Element(4, cert), path...)
	})
}

func inToken(make func(kit) []byte) func(kit) []byte {
	return inSignature(func(k kit, der []byte) []byte {
		return Replace(k.t, der, Element(3, []byte{0}, make(k)), token...)
	})
}

// attachments are files with hostile data attached.
var attachments = []row{
	{"licence data nested deeply", "attached_data", "licence_malformed", data(`{"fields":` + strings.Repeat("[", 100_000))},
	{"licence data of long paths", "attached_data", "licence_malformed", data(longPaths())},
	{"licence data of long paths that parses", "attached_data", "data_digest_differs", func(k kit) []byte {
		before, after, found := bytes.Cut(k.data(), []byte(`"fields":{`))
		if !found {
			k.t.Fatal("no fields in the licence data")
		}
		_, after, _ = bytes.Cut(after, []byte("}"))
		lists := strings.Repeat(","+"["+strings.Repeat("0,", 999)+"0]", 19)
		return k.with("licence.json", fmt.Appendf(nil, `%s"fields":{%s}%s`, before, within(5, "["+lists[1:]+"]"), after))
	}},
	{"licence data of faults alone", "attached_data", "licence_malformed", data("[" + strings.Repeat("null,", 28_000) + "0]")},
	{"licence data with a huge number", "attached_data", "licence_malformed", data(`{"fields":` + strings.Repeat("9", 140_000) + "}")},
	{"licence data over its limit", "attached_data", "licence_malformed", data(`{"fields":"` + strings.Repeat("x", 1_000_000) + `"}`)},
	{"QR message nested deeply", "qr", "qr_malformed", message(bytes.Repeat([]byte{0x81}, 600))},
	{"QR message of a length beyond everything", "qr", "qr_malformed", message([]byte{0xd2, 0x84, 0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})},
	{"QR message of a list beyond everything", "qr", "qr_malformed", message([]byte{0xd2, 0x9b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})},
	{"QR message of indefinite length", "qr", "qr_malformed", message([]byte{0xd2, 0x9f, 0x5f, 0xff, 0xff})},
	{"QR message over its limit", "qr", "qr_malformed", message(make([]byte, 1_000_000))},
	{"QR signer's certificate with an extension twice", "qr", "qr_certificate_malformed", func(k kit) []byte {
		return k.with("qr-signer.cer", Repeated(k.t, Element(4, k.pki.QR.Certificate.Raw), 2))
	}},
	{"QR signer's certificate of elements in one another", "qr", "qr_certificate_malformed", func(k kit) []byte { return k.with("qr-signer.cer", Nested(3_000)) }},
}

// with is the good file with other data attached.
func (k kit) with(name string, data []byte) []byte {
	return k.seal(pdf.Document{Attachments: k.attached(name, data)}, k.contents())
}

func data(text string) func(kit) []byte {
	return func(k kit) []byte { return k.with("licence.json", []byte(text)) }
}

func message(b []byte) func(kit) []byte {
	return func(k kit) []byte { return k.with("qr.cbor", b) }
}

// data is the licence data of the good file.
func (k kit) data() []byte {
	for _, a := range k.attached("", nil) {
		if a.Name == "licence.json" {
			return a.Data
		}
	}
	k.t.Fatal("no licence data in the file")
	return nil
}

// longPaths has tens of thousands of members, each behind a path of nearly a kilobyte.
func longPaths() string { return "{" + within(10, "["+strings.Repeat("0,", 65_000)) }

// within are n objects in one another, without the braces of the outermost, their
// members' names as long as a path shows them.
func within(n int, inner string) string {
	for i := range n {
		inner = fmt.Sprintf(`"%s":%s`, strings.Repeat(fmt.Sprint(i%10), 64), inner)
		if i < n-1 {
			inner = "{" + inner + "}"
		}
	}
	return inner
}
