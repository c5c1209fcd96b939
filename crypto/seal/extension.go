package seal

import (
	"encoding/asn1"
	"errors"
	"fmt"
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

// checkExtensions refuses what X.509 refuses of its extensions (RFC 5280 §4.2):
// one twice, and a critical one that is not understood, which here is any. That
// the same holds for extDatas is inferred from their form.
func checkExtensions(extensions []Extension) error {
	if len(extensions) > maxExtensions {
		return fmt.Errorf("%d extensions, over %d", len(extensions), maxExtensions)
	}
	seen := make(map[string]bool, len(extensions))
	for _, e := range extensions {
		switch id := e.ID.String(); {
		case len(e.ID) == 0:
			return errors.New("extension without an identifier")
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
