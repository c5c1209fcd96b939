package licence_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"elicence/licence"
	"elicence/testdata/hostile"
)

// deep puts a text into n objects, whose members' names are as long as a path shows.
func deep(n int, inner string) []byte {
	var out strings.Builder
	for i := range n {
		fmt.Fprintf(&out, `{"%s":`, strings.Repeat(fmt.Sprint(i%10), 64))
	}
	return []byte(out.String() + inner + strings.Repeat("}", n))
}

// TestHostileJSON: a text that is full of values, or of faults, costs little more than
// its length, whoever reads it.
func TestHostileJSON(t *testing.T) {
	c := catalogue(t)
	for name, text := range map[string][]byte{
		"values behind long paths":     deep(10, "["+strings.Repeat("0,", 120_000)+"0]"),
		"faults behind long paths":     deep(10, "["+strings.Repeat("1.5,", 60_000)+"0]"),
		"one member again and again":   deep(10, "{"+strings.Repeat(`"a":null,`, 28_000)+`"a":0}`),
		"members of no name":           deep(10, "{"+strings.Repeat(`"":0,`, 50_000)+`"":0}`),
		"long names":                   deep(10, "{"+strings.Repeat(`"`+strings.Repeat("\\u0001", 100)+`":0,`, 400)+`"":0}`),
		"lists in one another":         bytes.Repeat([]byte("["), licence.MaxJSON),
		"objects in one another":       bytes.Repeat([]byte(`{"":`), licence.MaxJSON/4),
		"a text without end":           append([]byte(`"`), bytes.Repeat([]byte("x"), licence.MaxJSON-1)...),
		"escapes":                      append([]byte(`"`), bytes.Repeat([]byte(`\ud800`), licence.MaxJSON/6)...),
		"a number without end":         bytes.Repeat([]byte("9"), licence.MaxJSON),
		"blanks":                       bytes.Repeat([]byte(" "), licence.MaxJSON),
		"50 MB":                        make([]byte, 50<<20),
		"empty lists, each in another": []byte("[" + strings.Repeat("[[]],", 50_000) + "0]"),
		"lists of as many as may be":   []byte("[" + strings.Repeat("["+strings.Repeat("0,", 999)+"0],", 130) + "1.5]"),
	} {
		for reader, parse := range map[string]func() (any, error){
			"JSON": func() (any, error) { return licence.ParseJSON(text) },
			"licence data": func() (any, error) {
				l, err := licence.ParseData(text)
				if l == nil {
					return nil, err
				}
				return l, err
			},
			"request": func() (any, error) {
				_, _, err := licence.ParseRequest(text, c, authorities["birth"], today)
				return nil, err
			},
		} {
			var got any
			var err error
			hostile.Within(t, func() { got, err = parse() })
			if err == nil || got != nil {
				t.Errorf("%s: taken for a %s", name, reader)
			}
			if err != nil && len(err.Error()) > 300_000 {
				t.Errorf("%s: an error of %d bytes", name, len(err.Error()))
			}
			if t.Failed() {
				t.Fatal(name, " as ", reader)
			}
		}
	}
}

// TestHostileQR: neither text nor message is read further than it may be long.
func TestHostileQR(t *testing.T) {
	for name, text := range map[string]string{
		"digits":           "HTTPS://H/V#" + strings.Repeat("1", 10<<20),
		"a host":           "HTTPS://" + strings.Repeat("h", 10<<20) + "/V#12345",
		"number signs":     strings.Repeat("#", 10<<20),
		"slashes":          "HTTPS:" + strings.Repeat("/", 10<<20),
		"bytes of no text": strings.Repeat("\xff", 10<<20),
	} {
		hostile.Within(t, func() {
			if url, message, err := licence.ParseQRText(text); err == nil || url != "" || message != nil {
				t.Errorf("%s: taken in", name)
			}
		})
	}
	for name, message := range map[string][]byte{
		"10 MB":                    make([]byte, 10<<20),
		"lists in one another":     bytes.Repeat([]byte{0x81}, 600),
		"tags in one another":      bytes.Repeat([]byte{0xd2}, 600),
		"text beyond everything":   {0xd2, 0x84, 0x7b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		"list beyond everything":   {0xd2, 0x9b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		"object beyond everything": {0xd2, 0x84, 0x40, 0xbb, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		"indefinite lengths":       {0xd2, 0x9f, 0x5f, 0x41, 0, 0xff, 0xff},
	} {
		hostile.Within(t, func() {
			if m, err := licence.ParseQRMessage(message); err == nil || m != nil {
				t.Errorf("%s: taken in", name)
			}
		})
	}
}
