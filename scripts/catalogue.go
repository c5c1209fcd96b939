//go:build ignore

// Command catalogue writes docs/licence-types.md, the licence types and their fields
// for people, from templates/catalogue. `make generate` runs it.
package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"elicence/licence"
	"elicence/templates"
)

// field is what is read of a field's JSON Schema.
type field struct {
	Title      string           `json:"title"`
	Type       string           `json:"type"`
	MaxLength  int              `json:"maxLength"`
	Minimum    *int             `json:"minimum"`
	Maximum    *int             `json:"maximum"`
	MaxItems   int              `json:"maxItems"`
	Pattern    string           `json:"pattern"`
	Format     string           `json:"format"`
	Enum       []string         `json:"enum"`
	Items      *field           `json:"items"`
	Properties map[string]field `json:"properties"`
	Required   []string         `json:"required"`
}

func main() {
	catalogue, err := licence.LoadCatalogue(templates.Catalogue())
	if err != nil {
		fail(err)
	}
	var b strings.Builder
	b.WriteString("# Licence types\n\nThose that the program ships. Made by `make generate` from `templates/catalogue`; do not edit. How an authority adds its own: [catalogue.md](catalogue.md).\n")
	for _, item := range catalogue.Items() {
		if err := write(&b, item); err != nil {
			fail(err)
		}
	}
	if err := os.WriteFile(os.Args[1], []byte(b.String()), 0o644); err != nil {
		fail(err)
	}
}

func write(b *strings.Builder, it *licence.CatalogueItem) error {
	text, err := fs.ReadFile(templates.Catalogue(), it.Layout+"/fields.schema.json")
	if err != nil {
		return err
	}
	var schema field
	if err := json.Unmarshal(text, &schema); err != nil {
		return err
	}
	fmt.Fprintf(b, "\n## %s\n\n`%s`, layout `%s`, number `%s`, valid %s, holders by code type %v. Defined by %s.",
		it.Name, it.TypeCode, it.Layout, it.NumberRule, it.ValidityRange, it.HolderCodeTypes, it.DefiningAuthority.Name)
	if len(it.CoSeals) > 0 {
		fmt.Fprintf(b, " Sealed also by %s ([co-seals](seals.md#co-seals-联合用印)).", strings.Join(it.CoSeals, "、"))
	}
	fmt.Fprintf(b, "\n\n%s\n\n", it.Remarks)
	b.WriteString("| field | label | required | form |\n|---|---|---|---|\n")
	for _, name := range it.FieldOrder {
		f := schema.Properties[name]
		required := map[bool]string{true: "yes"}[slices.Contains(schema.Required, name)]
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", name, f.Title, required, strings.ReplaceAll(f.form(), "|", "\\|"))
	}
	return nil
}

// form says in words what a value looks like.
func (f field) form() string {
	switch {
	case f.Type == "array" && f.Items.Type == "object":
		var columns []string
		for name, c := range f.Items.Properties {
			columns = append(columns, fmt.Sprintf("`%s` %s (%s)", name, c.Title, c.form()))
		}
		slices.Sort(columns)
		return fmt.Sprintf("up to %d rows of %s", f.MaxItems, strings.Join(columns, ", "))
	case f.Type == "array":
		return fmt.Sprintf("up to %d: %s", f.MaxItems, f.Items.form())
	case f.Type == "integer" && f.Minimum != nil && f.Maximum != nil:
		return fmt.Sprintf("integer %d to %d", *f.Minimum, *f.Maximum)
	case len(f.Enum) > 0:
		return strings.Join(f.Enum, " or ")
	case f.Format == "portrait":
		return "photograph, JPEG or PNG in base64 ([portraits](layouts.md#portraits))"
	case f.Format == "date":
		return "date"
	case f.Format == "local-minute":
		return "time in Beijing, YYYY-MM-DDThh:mm"
	case f.Pattern != "":
		return fmt.Sprintf("text like `%s`", f.Pattern)
	}
	return fmt.Sprintf("text of at most %d characters", f.MaxLength)
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "catalogue:", err)
	os.Exit(1)
}
