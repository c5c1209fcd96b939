package audit

// KeyKind says what of an entry a Key is. The kinds stand in the keyed digests that
// stores keep, and so must not change.
type KeyKind string

// The kinds.
const (
	KeyPrincipal KeyKind = "principal"
	KeyAction    KeyKind = "action"
	KeyObject    KeyKind = "object"
	KeyCase      KeyKind = "case"
	KeyHolder    KeyKind = "holder" // of whom the entry is about; see HolderKey
)

// Key is one thing that entries are found by. Stores keep a keyed digest of it beside
// the log: a way to entries and no part of the record, so that losing or changing it
// changes nothing that was proved.
type Key struct {
	Kind  KeyKind
	Value string // never empty
}

// The personal values that together say whom an entry is about.
const (
	PersonalHolderCode     = "holder_code"
	PersonalHolderCodeType = "holder_code_type"
)

// HolderKey is the key of the entries about a holder.
func HolderKey(codeType, code string) Key { return Key{KeyHolder, codeType + "\x00" + code} }

// HolderOf is whom an opening says that its entry is about; false when it does not say.
func HolderOf(encoded []byte) (Key, bool) {
	o, err := parseOpening(encoded)
	code := o.Personal[PersonalHolderCode]
	return HolderKey(o.Personal[PersonalHolderCodeType], code), err == nil && code != ""
}

// keys are what e is found by.
func (e *Entry) keys() []Key {
	keys := make([]Key, 0, 5)
	for _, k := range [...]Key{
		{KeyPrincipal, e.Principal}, {KeyAction, string(e.Action)}, {KeyObject, e.Object}, {KeyCase, e.Case},
	} {
		if k.Value != "" {
			keys = append(keys, k)
		}
	}
	if code := e.Personal[PersonalHolderCode]; code != "" {
		keys = append(keys, HolderKey(e.Personal[PersonalHolderCodeType], code))
	}
	return keys
}

// FindKeys returns what a stored row is found by, which is what its Keys were when it was
// appended. One whose record was changed by hand so that it cannot be read has none, and
// one whose opening was erased or changed none that is personal.
func (r Row) FindKeys() []Key {
	record, err := ParseRecord(r.Record)
	if err != nil {
		return nil
	}
	e := record.Entry
	e.Personal, _ = record.OpenPersonal(r.Opening) // nil without one
	return e.keys()
}
