package licence

// PinyinFile is the name under which [Licence.PinyinData] is attached.
const PinyinFile = "metadata-pinyin.json"

// pinyinNames are the pinyin initials of the elements of GB/T 36903. The type's name has
// none of its own, nor have additions to the standard.
var pinyinNames = map[string]string{
	"certificateName":                 "ZZMC",
	"certificateTypeCode":             "ZZLXDM",
	"certificateNumber":               "ZZBH",
	"certificateIdentifier":           "ZZBS",
	"certificateIssuingAuthorityName": "ZZBFJG",
	"certificateIssuingAuthorityCode": "ZZBFJGDM",
	"certificateIssuedDate":           "ZZBFRQ",
	"certificateHolderName":           "CZZT",
	"certificateHolderCode":           "CZZTDM",
	"certificateHolderTypeName":       "CZZTDMLX",
	"certificateHolderTypeCode":       "CZZTDMLXDM",
	"certificateEffectiveDate":        "ZZYXQQSRQ",
	"certificateExpiringDate":         "ZZYXQJZRQ",
	copyTimeMember:                    "JZJZZSJ",
	copyMakerMember:                   "JZJZZZ",
	copyCauseMember:                   "JZJZZSY",
	copyExpiryMember:                  "JZJYXQJZSJ",
}

// extensionPrefix marks an element that a type has of its own (扩展元数据).
const extensionPrefix = "KZ_"

// PinyinData is the licence's metadata under the pinyin initials of GB/T 36903, one flat
// object of canonical JSON, with the type's own fields as KZ_ and their key:
//
//	{"CZZT":…,"KZ_address":…,"ZZMC":…}
//
// It says nothing that Data does not say, and is for a licence that Data accepts.
// ZZYXQJZRQ is absent when there is no last day.
func (l *Licence) PinyinData() ([]byte, error) {
	document := map[string]any{}
	for english, v := range l.metadata() {
		if pinyin, ok := pinyinNames[english]; ok {
			document[pinyin] = v
		}
	}
	for key, v := range l.Fields {
		document[extensionPrefix+key] = v
	}
	return MarshalCanonical(document)
}
