package pki

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cryptobyte_asn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// oidOrganisationCode is 组织机构代码 among the identity extensions of Chinese
// certificates; in practice it holds the unified social credit code (GB 32100).
var oidOrganisationCode = asn1.ObjectIdentifier{1, 2, 156, 10260, 4, 1, 4}

// usccLength is the length of a unified social credit code. The organisation code
// before it had nine characters, and is not taken for one.
const usccLength = 18

// USCC returns the unified social credit code (统一社会信用代码) that a certificate
// states for its subject; empty when it states none. An extension in any other form
// than this is an error, and so is a second one, for which of two would count?
//
//	extnValue OCTET STRING containing
//	  CHOICE { printable PrintableString, utf8 UTF8String, ia5 IA5String } (SIZE (18))
//
// Only the form is checked, digits and capitals: that the check characters are
// right is the matter of whoever compares the code. What a certificate states
// counts for as much as the path that leads to it.
func USCC(cert *Certificate) (string, error) {
	var codes []string
	for _, ext := range cert.Extensions {
		if !ext.Id.Equal(oidOrganisationCode) {
			continue
		}
		code, err := parseUSCC(ext.Value)
		if err != nil {
			return "", fmt.Errorf("pki: malformed unified social credit code: %w", err)
		}
		codes = append(codes, code)
	}
	switch len(codes) {
	case 0:
		return "", nil
	case 1:
		return codes[0], nil
	}
	return "", errors.New("pki: more than one unified social credit code")
}

// parseUSCC reads the value of the extension.
func parseUSCC(der []byte) (string, error) {
	var text cryptobyte.String
	var tag cryptobyte_asn1.Tag
	input := cryptobyte.String(der)
	if !input.ReadAnyASN1(&text, &tag) || !input.Empty() {
		return "", errors.New("not one DER value")
	}
	switch tag {
	case cryptobyte_asn1.PrintableString, cryptobyte_asn1.UTF8String, cryptobyte_asn1.IA5String:
	default:
		return "", fmt.Errorf("not a string: ASN.1 tag 0x%02x", uint8(tag))
	}
	if err := checkUSCC(string(text)); err != nil {
		return "", err
	}
	return string(text), nil
}

// checkUSCC reports what is wrong with the form of a code.
func checkUSCC(code string) error {
	if len(code) != usccLength {
		return fmt.Errorf("%d characters, not %d", len(code), usccLength)
	}
	for i := range len(code) {
		if c := code[i]; !('0' <= c && c <= '9' || 'A' <= c && c <= 'Z') {
			return fmt.Errorf("character %d is no digit or capital", i+1)
		}
	}
	return nil
}

// addUSCC writes the extension as GB/T 20518 has it, not critical; of no code none.
func addUSCC(template *Certificate, code string) error {
	if code == "" {
		return nil
	}
	if err := checkUSCC(code); err != nil {
		return fmt.Errorf("pki: unified social credit code of %q: %w", template.Subject.CommonName, err)
	}
	value, err := asn1.MarshalWithParams(code, "printable")
	if err != nil {
		return err
	}
	template.ExtraExtensions = append(template.ExtraExtensions, pkix.Extension{Id: oidOrganisationCode, Value: value})
	return nil
}
