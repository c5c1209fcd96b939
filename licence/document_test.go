package licence_test

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"elicence/licence"
)

// TestDocumentData writes the data of a licence on a document and reads them back; one thing
// changed, they are no licence data.
func TestDocumentData(t *testing.T) {
	body, err := os.ReadFile("../testdata/documents/approval.json")
	if err != nil {
		t.Fatal(err)
	}
	a := licence.IssuingAuthority{Name: "杭州市城乡建设委员会", Code: "113301000024903302", Division: "330100"}
	today, err := licence.ParseDate("2026-11-01")
	if err != nil {
		t.Fatal(err)
	}
	q, _, err := licence.ParseRequest(body, catalogue(t), a, today)
	if err != nil {
		t.Fatal(err)
	}
	if want := (licence.Document{QR: licence.Place{Page: 1, X: 160, Y: 50}, Seal: licence.Place{Page: 2, X: 150, Y: 200}}); *q.Document != want {
		t.Fatalf("document %+v, want %+v", q.Document, want)
	}
	q.Document.Received, q.Document.Kept = strings.Repeat("a", 64), strings.Repeat("0", 64)
	id, err := licence.NewIdentifier(q.TypeCode, a.Code, "0123456789", 1)
	if err != nil {
		t.Fatal(err)
	}
	l := &licence.Licence{Identifier: id, Number: "1", TypeCode: q.TypeCode, TypeName: "建设项目批准文件", Version: 1, Holder: q.Holder, Authority: a,
		IssuedOn: q.IssuedOn, EffectiveOn: q.EffectiveOn, ExpiresOn: q.ExpiresOn, Fields: q.Fields, Document: q.Document}
	data, err := l.Data()
	if err != nil {
		t.Fatal(err)
	}
	again, err := licence.ParseData(data)
	if err != nil || !reflect.DeepEqual(again, l) {
		t.Errorf("%+v, %v", again, err)
	}
	for _, edit := range [][2]string{
		{`"page":2`, `"page":0`}, {`"page":2`, `"page":201`}, {`"x":150`, `"x":1201`}, {`"y":200`, `"y":-1`}, {`"y":200`, `"y":"200"`}, {`,"y":200`, ``},
		{`"x":150,"y":200`, `"x":150,"y":200,"z":1`}, {strings.Repeat("a", 64), strings.Repeat("A", 64)}, {strings.Repeat("a", 64), "a"},
		{`"document":{`, `"document":{"a":1,`}, {`"document":`, `"paper":`}, {`"document":`, `"document":null,"paper":`},
	} {
		bad := strings.Replace(string(data), edit[0], edit[1], 1)
		if _, err := licence.ParseData([]byte(bad)); err == nil || bad == string(data) {
			t.Errorf("%s: taken", edit[1])
		}
	}
}
