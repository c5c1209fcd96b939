package licence

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/emmansun/gmsm/sm3"
)

// A type may have one field for the holder's portrait (持证人照片). A request carries a
// photograph in it, JPEG or PNG in base64; what the licence's data hold is only the digest
// of the portrait made of it, which is attached to the file.

// formatPortrait is a format of our own, of that field.
const formatPortrait = "portrait"

// MaxPhoto is the most bytes of a photograph in a request.
const MaxPhoto = 1 << 20

// MaxRequest is the most bytes of a request to issue, or for a new version: one with a
// photograph is larger than other JSON.
const MaxRequest = MaxJSON + MaxPhoto/3*4 + 4

// portraitPrefix begins a reference to a portrait, 64 lower-case hexadecimal digits of
// SM3 follow.
const portraitPrefix = "sm3:"

// PortraitReference is how a field names a portrait, a JPEG: "sm3:" and the digest.
func PortraitReference(jpeg []byte) string {
	digest := sm3.Sum(jpeg)
	return portraitPrefix + hex.EncodeToString(digest[:])
}

// ParsePortraitReference is the digest that a text names when it is a reference to a
// portrait, and only then.
func ParsePortraitReference(s string) (digest [32]byte, ok bool) {
	digits, ok := strings.CutPrefix(s, portraitPrefix)
	if !ok || len(digits) != 64 || strings.ToLower(digits) != digits {
		return digest, false
	}
	_, err := hex.Decode(digest[:], []byte(digits))
	return digest, err == nil
}

// PortraitReferences are the own fields of a licence that name a portrait. Which fields
// can is for its type to say; that of no other field is such a text.
func PortraitReferences(fields map[string]any) (names []string) {
	for name, v := range fields {
		if s, isText := v.(string); isText {
			if _, ok := ParsePortraitReference(s); ok {
				names = append(names, name)
			}
		}
	}
	return names
}

// checkPortrait refuses texts that name no portrait.
func checkPortrait(v any) error {
	if s, ok := v.(string); ok {
		if _, ok := ParsePortraitReference(s); !ok {
			return errors.New("names no portrait")
		}
	}
	return nil
}

// Portrait is the type's own field for the holder's portrait; "" when it has none.
func (it *CatalogueItem) Portrait() string {
	for name, property := range it.schema.Properties {
		if property.Format != nil && property.Format.Name == formatPortrait {
			return name
		}
	}
	return ""
}

// checkPortraitField refuses a second field with a portrait.
func checkPortraitField(properties map[string]any) error {
	found := 0
	for _, v := range properties {
		if property, _ := v.(map[string]any); property["format"] == formatPortrait {
			found++
		}
	}
	if found > 1 {
		return fmt.Errorf("%d fields are portraits; a licence has one", found)
	}
	return nil
}

// takePhoto moves the photograph from the fields of a request to r.Photo. Until the
// portrait is made of it, the field names the photograph itself. kept, which may be empty,
// is the portrait of the version before, which a request may name instead.
func (it *CatalogueItem) takePhoto(f *faults, r *Request, kept string) {
	name := it.Portrait()
	for _, other := range PortraitReferences(r.Fields) {
		if other != name {
			f.add(pathKey("fields", other), CodeNotAllowed, "is a reference to a portrait, and the field has none")
		}
	}
	s, isText := r.Fields[name].(string)
	if name == "" || !isText {
		return
	}
	field := pathKey("fields", name)
	if _, ok := ParsePortraitReference(s); ok {
		if s != kept {
			f.add(field, CodeNotAllowed, "names a portrait that is not the one of the version before")
		}
		return
	}
	r.Fields = maps.Clone(r.Fields)
	if len(s) > base64.StdEncoding.EncodedLen(MaxPhoto) {
		f.add(field, CodeTooLarge, "is larger than %d bytes", MaxPhoto)
	}
	photo, err := base64.StdEncoding.Strict().DecodeString(s)
	switch {
	case s == "" || err != nil:
		f.add(field, CodeBadFormat, "is not a photograph in base64")
	case len(photo) > MaxPhoto:
		f.add(field, CodeTooLarge, "is larger than %d bytes", MaxPhoto)
	default:
		r.Photo = photo
	}
	r.Fields[name] = PortraitReference(photo)
}
