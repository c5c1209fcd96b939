package seal

import (
	"encoding/asn1"
	"errors"
	"fmt"

	"elicence/crypto/pki"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

const maxExtensions = 64

// Extension is an element of extDatas (自定义数据), which this package keeps and
// gives a meaning to none.
//
//	ExtensionDatas ::= SEQUENCE SIZE (0..MAX) OF ExtData
//	ExtData        ::= SEQUENCE { extnID OBJECT IDENTIFIER, critical BOOLEAN DEFAULT FALSE,
//	                              extnValue OCTET STRING }
type Extension struct {
	ID       asn1.ObjectIdentifier
	Critical bool `asn1:"optional"` // never true in what was parsed
	Value    []byte
}

// readExtensions reads ExtensionDatas, nothing but which der is.
func readExtensions(der []byte) ([]Extension, error) {
	var list cryptobyte.String
	input := cryptobyte.String(der)
	if !input.ReadASN1(&list, cbasn1.SEQUENCE) || !input.Empty() {
		return nil, errors.New("extDatas is not a SEQUENCE")
	}
	if _, ok := countElements(list, maxExtensions); !ok {
		return nil, fmt.Errorf("extDatas is malformed or has over %d extensions", maxExtensions)
	}
	extensions, err := pki.UnmarshalDER[[]Extension](der, "")
	if err != nil {
		return nil, fmt.Errorf("extDatas: %w", err)
	}
	return extensions, checkExtensions(extensions)
}

// checkExtensions refuses what X.509 refuses of its extensions (RFC 5280 §4.2):
// one twice, and a critical one that is not understood, which here is any. That
// the same holds for extDatas is inferred from their form.
func checkExtensions(extensions []Extension) error {
	seen := make(map[string]bool, len(extensions))
	for _, e := range extensions {
		switch id := e.ID.String(); {
		case seen[id]:
			return fmt.Errorf("extension %s twice", id)
		case e.Critical:
			return fmt.Errorf("critical extension %s is not supported", id)
		default:
			seen[id] = true
		}
	}
	return nil
}
