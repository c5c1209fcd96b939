package api

import (
	"cmp"
	"encoding/hex"
	"io"
	"net/http"
	"strconv"
	"strings"

	"elicence/licence"
	"elicence/licence/dispute"
	"elicence/licence/registry"
	"elicence/licence/registry/accesslog"
	"elicence/licence/registry/disputes"

	"github.com/emmansun/gmsm/sm3"
)

// What disputes are called to people.
var (
	disputeKindLabels = map[dispute.Kind]string{
		dispute.WrongData: "数据有误", dispute.WrongLicence: "错证", dispute.MissingLicence: "缺证", dispute.UnknownUse: "不知情的使用",
	}
	disputeStateLabels = map[dispute.State]string{
		dispute.Open: "等待答复", dispute.Accepted: "属实，正在处理", dispute.Closed: "已办结", dispute.Rejected: "不予认可", dispute.Withdrawn: "已撤回",
	}
)

// named fills in what people call the type and the field of disputes.
func (x *exchange) named(all []disputeJSON) {
	types := map[string]*licence.CatalogueItem{}
	for _, item := range x.cfg.Registry.PublishedTypes() {
		types[item.TypeCode] = item
	}
	for i := range all {
		d := &all[i]
		d.FieldLabel = cmp.Or(registry.FieldLabels[d.Field], d.Field)
		if item := types[d.TypeCode]; item != nil {
			d.TypeName = item.Name
			if own, found := strings.CutPrefix(d.Field, "fields."); found {
				d.FieldLabel = cmp.Or(item.Label(own), d.Field)
			}
		}
	}
}

// namedField is a field that can be disputed, and what it is called to people.
type namedField struct{ Name, Label string }

// disputeForm is what the page of a new dispute shows: a licence, an entry, or what may be missing.
type disputeForm struct {
	// Key becomes the Idempotency-Key, so that a form that is sent twice is one dispute.
	Key         string
	MaxText     int
	Licence     *summaryJSON
	Fields      []namedField
	Entry       *entryJSON
	Types       []*licence.CatalogueItem
	Authorities []licence.IssuingAuthority
}

// maxDisputeForm bounds the form of a dispute.
const maxDisputeForm = 16 << 10

// disputesPage lists the holder's own disputes.
func (x *exchange) disputesPage() {
	if !x.holderSession() {
		return
	}
	q, err := x.disputeQuery()
	if err != nil {
		x.refuse(err)
		return
	}
	found, receipt, err := x.cfg.Disputes.List(x.r.Context(), x.caller, q, selfService)
	if !x.settle(receipt, err) {
		return
	}
	key, err := x.formKey()
	if err != nil {
		x.fail(err)
		return
	}
	a := x.disputesAnswer(found, q.Limit)
	x.named(a.Disputes)
	x.show(http.StatusOK, "disputes", struct {
		disputesAnswer
		Key string // of a withdrawal
	}{a, key})
}

// formKey is a new Idempotency-Key for a form.
func (x *exchange) formKey() (string, error) {
	var b [16]byte
	_, err := io.ReadFull(x.cfg.Rand, b[:])
	return hex.EncodeToString(b[:]), err
}

// newDisputePage asks what is wrong: with a licence, with a use that an entry records, or
// that a licence is missing. What it shows of a licence or an entry is read like any other.
func (x *exchange) newDisputePage() {
	if !x.holderSession() {
		return
	}
	key, err := x.formKey()
	if err != nil {
		x.fail(err)
		return
	}
	form := disputeForm{Key: key, MaxText: dispute.MaxText}
	query := x.r.URL.Query()
	shown := true
	switch id, entry := query.Get("licence"), query.Get("entry"); {
	case id != "":
		x.identifier = id
		shown = x.formOfLicence(&form)
	case entry != "":
		shown = x.formOfEntry(&form, entry)
	default:
		form.Types, form.Authorities = x.cfg.Registry.PublishedTypes(), x.cfg.Registry.Issuers()
	}
	if shown {
		x.show(http.StatusOK, "new_dispute", form)
	}
}

// formOfLicence reads the licence of a form, and reports whether there is one to show.
func (x *exchange) formOfLicence(form *disputeForm) bool {
	id, err := x.path()
	if err != nil {
		x.refuse(err)
		return false
	}
	v, receipt, err := x.cfg.Registry.Get(x.r.Context(), x.caller, id, selfService)
	if !x.settle(receipt, err) {
		return false
	}
	summary := newSummary(v)
	form.Licence = &summary
	for _, name := range disputes.Fields {
		form.Fields = append(form.Fields, namedField{name, registry.FieldLabels[name]})
	}
	if item := v.Item(); item != nil {
		for _, name := range item.FieldOrder {
			form.Fields = append(form.Fields, namedField{"fields." + name, item.Label(name)})
		}
	}
	return true
}

// formOfEntry reads the entry of a form, and reports whether there is one to show.
func (x *exchange) formOfEntry(form *disputeForm, text string) bool {
	index, err := strconv.ParseUint(text, 10, 53)
	if err != nil {
		x.refuse(errBadParameter)
		return false
	}
	page, receipt, err := x.cfg.AccessLog.Own(x.r.Context(), x.caller, accesslog.Query{Below: index + 1, Limit: 1}, selfService)
	if !x.settle(receipt, err) {
		return false
	}
	if len(page.Entries) == 0 || page.Entries[0].Index != index {
		x.fail(errNoIdentifier)
		return false
	}
	form.Entry = &newEntries(page).Entries[0]
	return true
}

// formLines is a text of several lines as one: a statement has no line breaks.
func formLines(text string) string { return strings.Join(strings.Fields(text), " ") }

// raiseDisputeForm raises a dispute.
func (x *exchange) raiseDisputeForm() {
	if !x.ownForm(maxDisputeForm) {
		return
	}
	given := x.r.PostForm.Get
	entry, err := strconv.ParseUint(given("entry"), 10, 53)
	if given("entry") != "" && err != nil {
		x.refuse(errBadParameter)
		return
	}
	d := dispute.Dispute{Kind: dispute.Kind(given("kind")), Licence: licence.Identifier(given("licence")), TypeCode: given("type_code"), Entry: entry,
		Authority: licence.IssuingAuthority{Code: given("authority_code")},
		Statement: dispute.Statement{Field: given("field"), ShouldBe: formLines(given("should_be")), Text: formLines(given("text"))}}
	_, receipt, err := x.cfg.Disputes.Raise(x.r.Context(), x.caller, disputes.Request{Key: given("key"), Body: sm3.Sum([]byte(x.r.PostForm.Encode())), Dispute: d})
	if x.settle(receipt, err) {
		x.redirect(http.StatusSeeOther, "/holder/disputes")
	}
}

// withdrawDisputeForm takes a dispute back.
func (x *exchange) withdrawDisputeForm() {
	if !x.ownForm(maxDisputeForm) {
		return
	}
	q := registry.StatusRequest{Body: sm3.Sum([]byte(x.name)), Key: x.r.PostForm.Get("key")}
	if !nameForm.MatchString(x.name) {
		x.refuse(errNoIdentifier)
		return
	}
	_, receipt, err := x.cfg.Disputes.Withdraw(x.r.Context(), x.caller, x.name, q)
	if x.settle(receipt, err) {
		x.redirect(http.StatusSeeOther, "/holder/disputes")
	}
}
