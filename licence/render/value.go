package render

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"elicence/licence"
)

// coreReferences are the references that every licence answers. {page} and
// {pages} count the file's pages.
var coreReferences = []string{
	"holder.name", "holder.code", "holder.code_type", "authority.name", "co_sealer.1.name", "co_sealer.2.name", "number", "identifier",
	"type_name", "issued_on", "effective_on", "expires_on", "page", "pages",
}

// fieldReference is a reference to one of the type's own fields.
var fieldReference = regexp.MustCompile(`^fields\.[a-z][a-z0-9_]*$`)

// coSealer is which co-sealing authority a reference names, from 1; 0 for none.
func coSealer(ref string) int {
	n, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(ref, "co_sealer."), ".name"))
	return n
}

// part is a piece of a template: fixed text, or a reference and how to write
// its value.
type part struct {
	text   string
	ref    string
	format string // "", date, time, or join with its separator
	sep    string
}

// parseTemplate reads text with references: {issued_on|date}, {fields.x},
// {fields.list|join:；}.
func parseTemplate(s string) ([]part, error) {
	var parts []part
	for s != "" {
		open := strings.IndexByte(s, '{')
		if open < 0 {
			return append(parts, part{text: s}), nil
		}
		if open > 0 {
			parts = append(parts, part{text: s[:open]})
		}
		ref, rest, ok := strings.Cut(s[open+1:], "}")
		if !ok {
			return nil, fmt.Errorf("reference without end in %q", s)
		}
		s = rest
		p := part{}
		p.ref, p.format, _ = strings.Cut(ref, "|")
		p.format, p.sep, _ = strings.Cut(p.format, ":")
		if p.ref == "" || !oneOf(p.format, "", "date", "time", "join") {
			return nil, fmt.Errorf("malformed reference {%s}", ref)
		}
		parts = append(parts, p)
	}
	return parts, nil
}

// piece is a value as it will be drawn, and the field it came from: "" for
// fixed text.
type piece struct{ field, text string }

// values answers references for one licence.
type values struct {
	lic         *licence.Licence
	page, pages int
}

// expand fills in a template. empty says that there were references and all
// were empty.
func expand(parts []part, resolve func(ref string) any, prefix string) (pieces []piece, empty bool) {
	refs, filled := 0, 0
	for _, p := range parts {
		if p.ref == "" {
			pieces = append(pieces, piece{"", p.text})
			continue
		}
		refs++
		text := format(resolve(p.ref), p)
		if text != "" {
			filled++
		}
		pieces = append(pieces, piece{prefix + p.ref, text})
	}
	return pieces, refs > 0 && filled == 0
}

// resolve is the value of a core or field reference, nil when there is none.
func (v values) resolve(ref string) any {
	l := v.lic
	switch ref {
	case "holder.name":
		return l.Holder.Name
	case "holder.code":
		return l.Holder.Code
	case "holder.code_type":
		return codeTypeNames[l.Holder.CodeType]
	case "authority.name":
		return l.Authority.Name
	case "co_sealer.1.name", "co_sealer.2.name":
		if n := coSealer(ref); n <= len(l.CoSealers) {
			return l.CoSealers[n-1].Name
		}
		return nil
	case "number":
		return l.Number
	case "identifier":
		return string(l.Identifier)
	case "type_name":
		return l.TypeName
	case "issued_on":
		return l.IssuedOn.String()
	case "effective_on":
		return l.EffectiveOn.String()
	case "expires_on":
		return l.ExpiresOn.String()
	case "page":
		return strconv.Itoa(v.page)
	case "pages":
		return strconv.Itoa(v.pages)
	}
	return l.Fields[strings.TrimPrefix(ref, "fields.")]
}

// codeTypeNames are the names printed for the kinds of holder code (GB/T 36903,
// appendix A).
var codeTypeNames = map[licence.HolderCodeType]string{
	licence.CodeTypeUSCC:          "统一社会信用代码",
	licence.CodeTypeCitizenNumber: "居民身份证",
}

// format writes a value. What has no form of its own is written as nothing: the
// catalogue's schema says which values there can be.
func format(v any, p part) string {
	switch v := v.(type) {
	case string:
		return formatText(v, p.format)
	case int64:
		return strconv.FormatInt(v, 10)
	case int:
		return strconv.Itoa(v)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case fmt.Stringer: // json.Number among others
		return formatText(v.String(), p.format)
	case bool:
		if v {
			return "是"
		}
		return "否"
	case []string:
		return strings.Join(v, separator(p))
	case []any:
		items := make([]string, len(v))
		for i, item := range v {
			if _, nested := item.([]any); !nested {
				items[i] = format(item, part{})
			}
		}
		return strings.Join(items, separator(p))
	}
	return ""
}

func separator(p part) string {
	if p.sep == "" {
		return "、"
	}
	return p.sep
}

var dateTime = regexp.MustCompile(`^(\d{4})-(\d\d)-(\d\d)(?:T(\d\d):(\d\d))?$`)

// formatText writes dates the Chinese way: 2026年3月5日, and with the time 8时12分.
// What is no date stays as it is.
func formatText(s, form string) string {
	m := dateTime.FindStringSubmatch(s)
	if m == nil || form == "" {
		return s
	}
	n := make([]int, len(m))
	for i := range m {
		n[i], _ = strconv.Atoi(m[i])
	}
	day := fmt.Sprintf("%d年%d月%d日", n[1], n[2], n[3])
	if form == "time" && m[4] != "" {
		return day + fmt.Sprintf("%d时%d分", n[4], n[5])
	}
	return day
}
