package verify_test

import (
	"bytes"
	"crypto/x509/pkix"
	"encoding/asn1"

	"elicence/crypto/cryptotest"
	"elicence/crypto/pdfsig"
	"elicence/crypto/pdfsig/pdftest"
	"elicence/crypto/pki"
	"elicence/crypto/seal"
	"elicence/verify"
)

// tokenParts is a timestamp token, with the parts that no signature covers open.
type tokenParts struct {
	Type    asn1.ObjectIdentifier
	Content struct {
		Version      int
		Digests      []pkix.AlgorithmIdentifier `asn1:"set"`
		Encapsulated asn1.RawValue
		Certificates []asn1.RawValue `asn1:"set,tag:0"`
		Signers      []tokenSigner   `asn1:"set"`
	} `asn1:"explicit,tag:0"`
}

type tokenSigner struct {
	Version    int
	SID        asn1.RawValue
	Digest     pkix.AlgorithmIdentifier
	Attributes []asn1.RawValue `asn1:"set,tag:0"`
	Algorithm  pkix.AlgorithmIdentifier
	Value      []byte
}

// openToken is the token of an authority that does not bind itself to one form, as
// others do not.
func openToken(b *bench, leaf cryptotest.Leaf, message []byte) *tokenParts {
	b.t.Helper()
	var parts tokenParts
	_, err := asn1.Unmarshal(mustToken(b.t, b.pki, leaf, message, sealedAt), &parts)
	must(b.t, err)
	signer := &parts.Content.Signers[0]
	minimalForm := mustDER(b.t, asn1.ObjectIdentifier{2, 25, 561737094, 50})
	for i, a := range signer.Attributes {
		if bytes.Contains(a.FullBytes, minimalForm) {
			signer.Attributes = append(signer.Attributes[:i], signer.Attributes[i+1:]...)
			break
		}
	}
	attributes, err := asn1.MarshalWithParams(signer.Attributes, "set")
	must(b.t, err)
	signer.Value, err = pki.SignMessage(b.pki.Rand, leaf.Key, attributes)
	must(b.t, err)
	return &parts
}

// otherForm puts the same token in another form into the file, whose authority either
// is ours, which signs the form, or is not.
func otherForm(ours bool, change func(b *bench, p *tokenParts)) tampering {
	return func(b *bench, file []byte) []byte {
		sig := mustSignature(b.t, file)
		parts := openToken(b, b.pki.TSA, sig.SignatureValue)
		if ours {
			*parts = tokenParts{}
			_, err := asn1.Unmarshal(sig.Timestamp, parts)
			must(b.t, err)
		}
		change(b, parts)
		sig, err := sig.WithTimestamp(mustDER(b.t, *parts))
		must(b.t, err)
		return mustContents(b.t, file, sig.Raw)
	}
}

// The other forms of a token that mean the same.
var (
	null = asn1.NullRawValue

	rfcIdentifiers = func(_ *bench, p *tokenParts) {
		p.Type, p.Content.Version = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}, 3
	}
	nullParameters = func(_ *bench, p *tokenParts) { p.Content.Digests[0].Parameters = null }
	otherAlgorithm = func(_ *bench, p *tokenParts) {
		p.Content.Signers[0].Algorithm.Algorithm = asn1.ObjectIdentifier{1, 2, 156, 10197, 1, 501}
	}
	spareCertificate = func(b *bench, p *tokenParts) {
		p.Content.Certificates = append(p.Content.Certificates, asn1.RawValue{FullBytes: b.pki.Issuing.Certificate.Raw})
	}
)

// paddedValue is the same signature with r written in one octet more.
func paddedValue(b *bench, sig *seal.Signature) *seal.Signature {
	rest := sig.SignatureValue[2:] // behind the header of the SEQUENCE
	value := append([]byte{0x30, byte(len(rest) + 1), 0x02, rest[1] + 1, 0}, rest[2:]...)
	return mustParse(b.t, mustDER(b.t, forgedSignature{asn1.RawValue{FullBytes: sig.TBSRaw}, sig.Certificate.Raw, oidSM2WithSM3, bits(value)}))
}

// gapCases change what lies outside the byte range: nothing there has a second form.
func gapCases() []fileCase {
	malformed := func(name, comment string, tamper tampering) fileCase {
		return fileCase{name: name, comment: comment, tamper: tamper, want: verify.TotalFailed, sub: verify.FormatFailure,
			check: verify.CheckTimestamp, code: "timestamp_malformed"}
	}
	const syntax, contents = pdfsig.CodeSyntax, pdfsig.CodeContents
	upper := func(d []byte) { copy(d, bytes.ToUpper(d[:64])) }
	return []fileCase{
		forgery("upper case", "", inGap(0, upper), syntax),
		forgery("padding not zero", "", inGap(0, func(d []byte) { d[len(d)-1] = '1' }), contents),
		forgery("blank in the padding", "", inGap(0, func(d []byte) { d[len(d)-1] = ' ' }), syntax),
		forgery("not hexadecimal", "", inGap(0, func(d []byte) { d[9] = 'g' }), syntax),
		forgery("odd number of digits", "", edit(in(1, "0>\n/ByteRange", ">\n/ByteRange")), syntax),
		forgery("length not in the fewest octets", "", inGap(0, func(d []byte) { copy(d, "3083000c") }), contents),
		forgery("indefinite length", "", inGap(0, func(d []byte) { copy(d, "3080") }), contents),
		forgery("longer than the room", "", inGap(0, func(d []byte) { copy(d, "3082ffff") }), contents),
		forgery("not a sequence", "", inGap(0, func(d []byte) { copy(d, "31") }), contents),
		forgery("long form of a short length", "", edit(swap(pdftest.ContentsPattern, "/Contents <3081050000000000>")), contents),
		on(twoSeals, forgery("upper case in the first of two seals", "", inGap(0, upper), syntax)),
		on(twoSeals, forgery("upper case in the second of two seals", "", inGap(1, upper), pdfsig.CodeRevisions)),
		on(padesAndSeal, forgery("upper case in PAdES", "", inGap(0, upper), syntax)),
		{name: "no seal signature", comment: "a number in its place", tamper: inGap(0, func(d []byte) { zero(d); copy(d, "3003020104") }),
			want: verify.TotalFailed, sub: verify.FormatFailure, check: verify.CheckSealSignature, code: "seal_signature_malformed"},
		{name: "unused bits in the signature value", want: verify.TotalFailed, sub: verify.FormatFailure, check: verify.CheckSealSignature,
			code: "seal_signature_malformed", set: func(b *bench) { b.r.token = nil },
			tamper: func(b *bench, file []byte) []byte {
				sig := mustSignature(b.t, file)
				der := bytes.Clone(sig.Raw)
				der[bytes.Index(der, sig.SignatureValue)-1] = 1
				return mustContents(b.t, file, der)
			}},
		{name: "leading zero in the signature value", want: verify.TotalFailed, sub: verify.SigCryptoFailure, check: verify.CheckSealSignature,
			code: "seal_signature_wrong", set: func(b *bench) { b.r.token = nil },
			tamper: func(b *bench, file []byte) []byte {
				return mustContents(b.t, file, paddedValue(b, mustSignature(b.t, file)).Raw)
			}},
		malformed("token with parameters", "NULL where nothing stood", otherForm(true, nullParameters)),
		malformed("token with other identifiers", "those of RFC 5652", otherForm(true, rfcIdentifiers)),
		malformed("token with a spare certificate", "", otherForm(true, spareCertificate)),
		malformed("open token with parameters", "of an authority that does not sign the form", otherForm(false, nullParameters)),
		malformed("open token with other identifiers", "", otherForm(false, rfcIdentifiers)),
		malformed("open token with another name of the algorithm", "", otherForm(false, otherAlgorithm)),
		malformed("open token with a spare certificate", "", otherForm(false, spareCertificate)),
		{name: "open token in the one form", comment: "of an authority that does not sign the form", want: verify.TotalPassed, check: verify.CheckTimestamp, code: "timestamp_own",
			tamper: otherForm(false, func(*bench, *tokenParts) {})},
	}
}
