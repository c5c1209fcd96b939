package licence_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"elicence/licence"
)

// today is the fixed day of every test.
var today = date("2026-06-30")

func date(s string) licence.Date {
	d, err := licence.ParseDate(s)
	if err != nil {
		panic(err)
	}
	return d
}

var loadCatalogue = sync.OnceValues(func() (*licence.Catalogue, error) {
	return licence.LoadCatalogue(os.DirFS("../templates/catalogue"))
})

func catalogue(t testing.TB) *licence.Catalogue {
	t.Helper()
	c, err := loadCatalogue()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// authorities are those of testdata/requests/README.md, by the beginning of a
// sample's name.
var authorities = map[string]licence.IssuingAuthority{
	"food":          {Name: "杭州市西湖区市场监督管理局", Code: "11330106002504122C", Division: "330106"},
	"safety":        {Name: "杭州市城乡建设委员会", Code: "113301000024903302", Division: "330100"},
	"qualification": {Name: "杭州市城乡建设委员会", Code: "113301000024903302", Division: "330100"},
	"joint":         {Name: "杭州市城乡建设委员会", Code: "113301000024903302", Division: "330100"},
	"birth":         {Name: "杭州市卫生健康委员会", Code: "11330100002490170T", Division: "330100"},
	"driver":        {Name: "杭州市道路运输管理服务中心", Code: "12330100470102108R", Division: "330100"},
}

// sample reads one sample request and the authority it is meant for.
func sample(t testing.TB, name string) ([]byte, licence.IssuingAuthority) {
	t.Helper()
	b, err := os.ReadFile("../testdata/requests/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	kind, _, _ := strings.Cut(name, "-")
	if strings.HasPrefix(name, "types/") {
		kind = "food" // any will do
	}
	return b, authorities[kind]
}

func sampleNames(t testing.TB) []string {
	t.Helper()
	return namesIn(t, "", 10)
}

// namesIn are the sample requests of a folder, at least so many.
func namesIn(t testing.TB, folder string, least int) (names []string) {
	t.Helper()
	files, err := filepath.Glob("../testdata/requests/" + folder + "*.json")
	if err != nil || len(files) < least {
		t.Fatalf("sample requests: %d, %v; want at least %d", len(files), err, least)
	}
	for _, f := range files {
		names = append(names, folder+strings.TrimSuffix(filepath.Base(f), ".json"))
	}
	return names
}

// issue makes the first licence of a sample request.
func issue(t testing.TB, name string) *licence.Licence {
	t.Helper()
	c := catalogue(t)
	body, a := sample(t, name)
	r, _, err := licence.ParseRequest(body, c, a, today)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	it, err := c.Item(r.TypeCode)
	if err != nil {
		t.Fatal(err)
	}
	number, err := it.FormatNumber(r, 1)
	if err != nil {
		t.Fatal(err)
	}
	id, err := licence.NewIdentifier(r.TypeCode, a.Code, "7K3QXW90VD", 1)
	if err != nil {
		t.Fatal(err)
	}
	return &licence.Licence{
		Identifier: id, Number: number, TypeCode: r.TypeCode, TypeName: it.Name, Version: 1,
		Holder: r.Holder, Authority: a,
		IssuedOn: r.IssuedOn, EffectiveOn: r.EffectiveOn, ExpiresOn: r.ExpiresOn, Fields: r.Fields,
	}
}

// readFile reads a file of testdata without the line end behind it.
func readFile(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(string(b), "\n")
}
