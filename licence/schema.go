package licence

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// schemaDialect is the only dialect of JSON Schema that fields.schema.json uses.
const schemaDialect = "https://json-schema.org/draft/2020-12/schema"

// compileSchema compiles the schema of the type's own fields, and takes from it the
// label (title) of each field and the columns of lists. The schema must bound what it
// lets in: it is what stands between a request and a page.
func (it *CatalogueItem) compileSchema(doc any, b []byte) (err error) {
	root, ok := doc.(map[string]any)
	if !ok || root["$schema"] != schemaDialect {
		return fmt.Errorf("$schema is not %s", schemaDialect)
	}
	if err := checkSchema("fields", doc); err != nil {
		return err
	}
	if root["type"] != "object" {
		return errors.New("the type of the whole is not object")
	}
	if n, err := patternSize(doc); err != nil {
		return err
	} else if n > maxPatterns {
		return fmt.Errorf("its patterns take %d steps together; at most %d are allowed", n, maxPatterns)
	}
	it.labels, it.columns, it.masks = map[string]string{}, map[string][]string{}, map[string]mask{}
	it.properties, _ = root["properties"].(map[string]any)
	if err := checkPortraitField(it.properties); err != nil {
		return err
	}
	for name, v := range it.properties {
		property, _ := v.(map[string]any)
		title, _ := property["title"].(string)
		if title == "" {
			return fmt.Errorf("field %q has no title", name)
		}
		it.labels[name] = title
		if property["mask"] != nil {
			if it.masks[name], err = maskOf(property); err != nil {
				return fmt.Errorf("field %q: %w", name, err)
			}
		}
		items, _ := property["items"].(map[string]any)
		if row, ok := items["properties"].(map[string]any); ok {
			it.columns[name] = slices.Sorted(maps.Keys(row))
		}
	}
	it.schema, err = compile(b)
	return err
}

func compile(b []byte) (*jsonschema.Schema, error) {
	// The library wants its own reading of the numbers in a schema.
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	const here = "mem:///fields.schema.json"
	c := jsonschema.NewCompiler()
	c.UseLoader(noLoader{})
	c.AssertFormat()
	c.RegisterFormat(&jsonschema.Format{Name: formatMinute, Validate: checkMinute})
	c.RegisterFormat(&jsonschema.Format{Name: formatPortrait, Validate: checkPortrait})
	if err := c.AddResource(here, doc); err != nil {
		return nil, err
	}
	return c.Compile(here)
}

// formatMinute is a format of our own: a time of day in Beijing, to the minute.
const (
	formatMinute = "local-minute"
	minuteLayout = "2006-01-02T15:04"
)

// checkMinute refuses texts that are no such time, 30 February among them. What is
// not a text is the type's business.
func checkMinute(v any) error {
	s, ok := v.(string)
	if !ok {
		return nil
	}
	t, err := time.Parse(minuteLayout, s)
	if err != nil || t.Format(minuteLayout) != s || !DateOf(t).inRange() {
		return errors.New("is not a time that exists")
	}
	return nil
}

// noLoader loads nothing: a schema never reaches outside its own file.
type noLoader struct{}

func (noLoader) Load(url string) (any, error) {
	return nil, fmt.Errorf("%s is outside this file", url)
}

// keywords are those a schema here may use; mask is our own, see mask. The others are left out because they
// reach elsewhere ($ref), or make it hard to see what a schema lets in.
const keywords = " $schema title description type enum minLength maxLength pattern format minimum maximum" +
	" minItems maxItems uniqueItems items properties required additionalProperties mask "

// checkSchema refuses unknown keywords, and texts, lists and objects without a
// limit. Depth and size are already bounded, by ParseJSON.
func checkSchema(at string, v any) error {
	schema, ok := v.(map[string]any)
	if !ok {
		return fmt.Errorf("%s: not an object", at)
	}
	for key := range schema {
		if !strings.Contains(keywords, " "+key+" ") {
			return fmt.Errorf("%s: the keyword %q is not supported", at, key)
		}
	}
	if schema["mask"] != nil && strings.Count(at, ".") != 1 {
		return fmt.Errorf("%s: only a field itself has a mask", at)
	}
	limited := func(key string, limit int64) bool {
		n, ok := schema[key].(int64)
		return ok && n >= 0 && n <= limit
	}
	_, fixed := schema["enum"]
	switch schema["type"] {
	case "integer", "boolean":
	case "string":
		if schema["format"] == formatPortrait {
			if strings.Count(at, ".") != 1 {
				return fmt.Errorf("%s: a portrait must be a field of its own", at)
			}
			return nil
		}
		if !fixed && schema["format"] != "date" && schema["format"] != formatMinute && !limited("maxLength", 2000) {
			return fmt.Errorf("%s: a text without a maxLength of at most 2000", at)
		}
	case "array":
		if !limited("maxItems", maxItems) {
			return fmt.Errorf("%s: a list without a maxItems of at most %d", at, maxItems)
		}
		return checkSchema(at+".items", schema["items"])
	case "object":
		return checkObjectSchema(at, schema)
	default:
		return fmt.Errorf("%s: the type is not one of string, integer, boolean, array and object", at)
	}
	return nil
}

func checkObjectSchema(at string, schema map[string]any) error {
	properties, ok := schema["properties"].(map[string]any)
	if !ok || schema["additionalProperties"] != false {
		return fmt.Errorf("%s: an object without properties, or without additionalProperties: false", at)
	}
	for name, property := range properties {
		if !fieldName.MatchString(name) {
			return fmt.Errorf("%s: %q is not a field name in snake_case", at, name)
		}
		if err := checkSchema(at+"."+name, property); err != nil {
			return err
		}
	}
	return nil
}

// The steps that a pattern may take for each character of a text, and all patterns of a
// schema. A repeat counts as often as it may repeat: a megabyte of ".{1000}" would be compiled
// to gigabytes.
const maxPattern, maxPatterns = 2_000, 20_000

// patternSize is how many steps the patterns anywhere in a schema take.
func patternSize(v any) (all int, err error) {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			n, err := patternSize(item)
			if err != nil {
				return 0, err
			}
			all += n
		}
	case map[string]any:
		for key, member := range v {
			n, err := patternSize(member)
			if pattern, ok := member.(string); ok && key == "pattern" {
				n, err = stepsOf(pattern)
			}
			if err != nil {
				return 0, err
			}
			all += n
		}
	}
	return all, nil
}

// stepsOf is how many steps one pattern takes.
func stepsOf(pattern string) (int, error) {
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return 0, fmt.Errorf("the pattern %.60q: %w", pattern, err)
	}
	n := steps(parsed)
	if n > maxPattern {
		return 0, fmt.Errorf("the pattern %.60q takes %d steps for a character; at most %d are allowed", pattern, n, maxPattern)
	}
	return n, nil
}

func steps(re *syntax.Regexp) int {
	n := 1
	if re.Op == syntax.OpLiteral {
		n = len(re.Rune)
	}
	for _, sub := range re.Sub {
		n += steps(sub)
	}
	if re.Op == syntax.OpRepeat {
		n *= max(re.Min, re.Max, 1)
	}
	return n
}

var fieldName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)

// checkFields adds a fault for everything in fields that the type's schema refuses.
func (it *CatalogueItem) checkFields(f *faults, fields map[string]any) {
	err := it.schema.Validate(fields)
	var invalid *jsonschema.ValidationError
	switch {
	case errors.As(err, &invalid):
		addSchemaFaults(f, invalid)
	case err != nil:
		f.add("fields", CodeInvalid, "cannot be checked")
	}
}

// CheckFields reports everything in a type's own fields that its schema refuses: a
// *RequestError.
func (it *CatalogueItem) CheckFields(fields map[string]any) error {
	var f faults
	it.checkFields(&f, fields)
	return f.err()
}

// addSchemaFaults turns the leaves of a validation error into faults.
func addSchemaFaults(f *faults, e *jsonschema.ValidationError) {
	for _, cause := range e.Causes {
		addSchemaFaults(f, cause)
	}
	if len(e.Causes) > 0 {
		return
	}
	at := "fields"
	for _, step := range e.InstanceLocation {
		// A number is an index: no field of a schema here has a name of digits.
		if i, err := strconv.Atoi(step); err == nil {
			at = pathIndex(at, i)
		} else {
			at = pathKey(at, step)
		}
	}
	switch k := e.ErrorKind.(type) {
	case *kind.Required:
		for _, name := range k.Missing {
			f.add(pathKey(at, name), CodeMissing, "is required")
		}
	case *kind.AdditionalProperties:
		for _, name := range k.Properties {
			f.add(pathKey(at, name), CodeUnknownField, "is not a field of this licence type")
		}
	default:
		code, detail := schemaFault(k)
		f.add(at, code, "%s", detail)
	}
}

// listed joins the values of an enumeration for a message, the first of them when there are
// many: a message comes once for each value at fault.
func listed[T any](values []T) string {
	texts := make([]string, 0, mostListed)
	for _, v := range values[:min(len(values), mostListed)] {
		texts = append(texts, fmt.Sprintf("%.60v", v))
	}
	if len(values) > mostListed {
		texts = append(texts, "…")
	}
	return strings.Join(texts, ", ")
}

// mostListed is how many values of an enumeration a message names.
const mostListed = 40

// schemaFault is the code and the detail of a fault with one value.
func schemaFault(k jsonschema.ErrorKind) (code, detail string) {
	switch k := k.(type) {
	case *kind.Type:
		return CodeWrongType, "must be of type " + strings.Join(k.Want, " or ")
	case *kind.MaxLength:
		return CodeTooLong, fmt.Sprintf("has %d characters; at most %d are allowed", k.Got, k.Want)
	case *kind.MinLength:
		return CodeTooShort, fmt.Sprintf("has %d characters; at least %d are needed", k.Got, k.Want)
	case *kind.MaxItems:
		return CodeTooMany, fmt.Sprintf("has %d items; at most %d are allowed", k.Got, k.Want)
	case *kind.MinItems:
		return CodeTooFew, fmt.Sprintf("has %d items; at least %d are needed", k.Got, k.Want)
	case *kind.UniqueItems:
		return CodeRepeated, fmt.Sprintf("holds the same item at %d and %d", k.Duplicates[0], k.Duplicates[1])
	case *kind.Maximum:
		return CodeOutOfRange, "must be at most " + k.Want.RatString()
	case *kind.Minimum:
		return CodeOutOfRange, "must be at least " + k.Want.RatString()
	case *kind.Pattern:
		return CodeBadFormat, "does not match the pattern " + k.Want
	case *kind.Format:
		switch k.Want {
		case formatMinute:
			return CodeBadFormat, "is not a time that exists, written YYYY-MM-DDThh:mm"
		case formatPortrait:
			return CodeBadFormat, "is not a photograph in base64"
		}
		return CodeBadFormat, "is not a date that exists, written YYYY-MM-DD"
	case *kind.Enum:
		return CodeNotAllowed, "must be one of " + listed(k.Want)
	}
	return CodeInvalid, "is not allowed by the schema of this licence type"
}
