package api

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"elicence/licence"
	"elicence/licence/registry"
)

// grantFormBody is the page that a grant is asked for on. Without Item it asks which type.
type grantFormBody struct {
	officialBody
	All     []*licence.CatalogueItem // every type: a department uses those of others
	Item    *licence.CatalogueItem
	Choices []namedField
	// Faults says what is wrong with what was asked, by the name of the field.
	Faults map[string][]string
}

// Picked reports whether one of several values of a field was asked for.
func (b grantFormBody) Picked(name, value string) bool { return slices.Contains(b.Asked[name], value) }

// grantFaults say to officials what is wrong with a field; of other codes the field alone is known.
var grantFaults = map[string]string{
	licence.CodeMissing: "请填写", licence.CodeTooLong: "太长", licence.CodeTooFew: "请至少选择一个字段，或填写一个问题", licence.CodeBadFormat: "格式不对",
	licence.CodeBadCharacter: "含有不可见的字符", licence.CodeNotAllowed: "不能这样选择", licence.CodeRepeated: "重复", licence.CodeDateOrder: "早于起始日期", licence.CodeOutOfRange: "日期已过，或超出范围",
	licence.CodeUnknownType: "没有这种证照",
}

// grantFormPage shows the form.
func (x *exchange) grantFormPage() {
	if !x.officialSession() || !x.asksGrants() {
		return
	}
	code := x.r.URL.Query().Get("type_code")
	if code != "" && licence.CheckTypeCode(code) != nil {
		x.refuse(errBadParameter)
		return
	}
	x.showGrantForm(http.StatusOK, url.Values{"type_code": {code}, "how": {string(registry.HowFunction)}}, nil)
}

// asksGrants refuses whose role asks for no grants, whatever the form says.
func (x *exchange) asksGrants() bool {
	may := x.caller.MayAct(registry.ActionGrantRequest)
	if !may {
		x.refuse(fmt.Errorf("%w: your role may not %s", registry.ErrForbidden, registry.ActionGrantRequest))
	}
	return may
}

// showGrantForm shows the form with what was asked, and what is wrong with it.
func (x *exchange) showGrantForm(status int, asked url.Values, wrong *licence.RequestError) {
	body, ok := x.officialBody()
	if !ok {
		return
	}
	b := grantFormBody{officialBody: body, All: x.cfg.Registry.PublishedTypes(), Faults: map[string][]string{}}
	b.Asked, b.TypeCode = asked, asked.Get("type_code")
	if at := slices.IndexFunc(b.All, func(item *licence.CatalogueItem) bool { return item.TypeCode == b.TypeCode }); at >= 0 {
		b.Item = b.All[at]
		for _, name := range registry.ReusableFields {
			b.Choices = append(b.Choices, namedField{name, registry.FieldLabels[name]})
		}
		for _, key := range b.Item.FieldOrder {
			b.Choices = append(b.Choices, namedField{"fields." + key, grantFieldLabel(b.Item, "fields."+key)})
		}
		b.Choices = append(b.Choices, namedField{registry.FieldCopy, "加注件（限依职能、不脱敏）"})
	}
	if wrong != nil {
		for _, f := range wrong.Fields {
			name, index, _ := strings.Cut(f.Field, "[")
			text := cmp.Or(grantFaults[f.Code], "填写有误")
			var at int
			if _, err := fmt.Sscanf(index, "%d]", &at); err == nil && at < len(b.listed(name)) {
				text = b.listed(name)[at] + "：" + text
			}
			b.Faults[name] = append(b.Faults[name], text)
		}
	}
	x.show(status, "official_grant_form", b)
}

// listed are the values of a field that takes several, as people call them.
func (b grantFormBody) listed(name string) (all []string) {
	if name == "questions" {
		return strings.Fields(b.Asked.Get("questions"))
	}
	for _, value := range b.Asked["fields"] {
		if at := slices.IndexFunc(b.Choices, func(c namedField) bool { return c.Name == value }); at >= 0 {
			value = b.Choices[at].Label
		}
		all = append(all, value)
	}
	return all
}

// askGrantForm asks for the grant of a form, as a department's program asks for one. What is wrong
// with it is shown beside what was given.
func (x *exchange) askGrantForm() {
	if !x.officialForm() || !x.asksGrants() {
		return
	}
	asked := x.r.PostForm
	request := map[string]any{"masked": asked.Get("masked") != ""}
	for _, name := range []string{"type_code", "matter_code", "scenario", "how", "legal_basis", "valid_from", "valid_to"} {
		if text := formLines(asked.Get(name)); text != "" {
			request[name] = text
		}
	}
	for name, list := range map[string][]string{"fields": asked["fields"], "questions": strings.Fields(asked.Get("questions"))} {
		if list != nil {
			request[name] = list
		}
	}
	body, err := json.Marshal(request)
	if err != nil {
		x.fail(err)
		return
	}
	q, err := parseGrant(body)
	if err != nil {
		x.refuseGrant(asked, err)
		return
	}
	q.Key = asked.Get("key")
	_, receipt, err := x.cfg.Registry.RequestGrant(x.r.Context(), x.caller, q)
	var wrong *licence.RequestError
	switch {
	case errors.As(err, &wrong):
		x.receipt(receipt)
		x.showGrantForm(http.StatusUnprocessableEntity, asked, wrong)
	case x.settle(receipt, err):
		x.redirect(http.StatusSeeOther, "/official/grants")
	}
}

// refuseGrant logs that a form could not be read, and shows why.
func (x *exchange) refuseGrant(asked url.Values, err error) {
	var wrong *licence.RequestError
	if !errors.As(err, &wrong) {
		x.refuse(err)
		return
	}
	receipt, fault := x.logRefused(codeOf(err))
	if x.receipt(receipt); fault != nil {
		x.fail(fmt.Errorf("logging the refusal: %w", fault))
		return
	}
	x.showGrantForm(http.StatusUnprocessableEntity, asked, wrong)
}
