package ofd

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// Bounds of a description.
const (
	maxDepth      = 16
	maxElements   = 20000
	maxAttributes = 32 // of one element
	maxText       = 4096
)

// namespaces are that of GB/T 33190-2016, 7.1, and the one of its drafts, which is in use too.
var namespaces = []string{"http://www.ofdspec.org/2016", "http://www.ofdspec.org"}

// element is one element of a description, its text without the blanks around it. The name
// of one in another namespace is empty.
type element struct {
	name       string
	attributes map[string]string
	text       string
	children   []*element
}

// child is the only child of a name; nil when there is none, or when there are two, of
// which readers might take either.
func (e *element) child(name string) *element {
	found := e.all(name)
	if len(found) != 1 {
		return nil
	}
	return found[0]
}

// at follows names downwards; nil when one of them leads nowhere.
func (e *element) at(names ...string) *element {
	for _, name := range names {
		if e = e.child(name); e == nil {
			return nil
		}
	}
	return e
}

// all are the children of a name; of nothing there are none.
func (e *element) all(name string) []*element {
	if e == nil {
		return nil
	}
	return slices.Collect(func(yield func(*element) bool) {
		for _, c := range e.children {
			if c.name == name && !yield(c) {
				return
			}
		}
	})
}

// content is the text of an element, "" of none.
func (e *element) content() string {
	if e == nil {
		return ""
	}
	return e.text
}

// parseXML reads a description as a tree. There is no document type, hence no entity but
// the five of XML itself, and no instruction but the one at the beginning.
func parseXML(entry string, b []byte) (*element, error) {
	root, err := tree(b)
	if err != nil {
		var fault *FormatError
		if errors.As(err, &fault) {
			fault.Entry = entry
			return nil, fault
		}
		return nil, malformed(CodeXML, entry, "%.200v", err)
	}
	return root, nil
}

func tree(b []byte) (*element, error) {
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	if !utf8.Valid(b) {
		return nil, errors.New("not UTF-8")
	}
	d := xml.NewDecoder(bytes.NewReader(b))
	top, count := &element{}, 0
	open := []*element{top}
	for {
		start := d.InputOffset()
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		last := open[len(open)-1]
		switch token := token.(type) {
		case xml.StartElement:
			if count++; count > maxElements || len(open) > maxDepth || len(token.Attr) > maxAttributes {
				return nil, malformed(CodeLimit, "", "more than %d elements, %d deep, of %d attributes", maxElements, maxDepth, maxAttributes)
			}
			e, err := newElement(token)
			if err != nil {
				return nil, err
			}
			last.children = append(last.children, e)
			open = append(open, e)
		case xml.EndElement:
			last.text = strings.TrimSpace(last.text)
			open = open[:len(open)-1]
		case xml.CharData:
			if len(last.text)+len(token) > maxText {
				return nil, malformed(CodeLimit, "", "a text of more than %d bytes", maxText)
			}
			last.text += string(token)
		case xml.ProcInst:
			if token.Target != "xml" || start != 0 {
				return nil, errors.New("an instruction in the midst of it")
			}
		case xml.Directive:
			return nil, errors.New("a document type")
		}
	}
	if len(top.children) != 1 || strings.TrimSpace(top.text) != "" {
		return nil, errors.New("not one element")
	}
	return top.children[0], nil
}

func newElement(t xml.StartElement) (*element, error) {
	e := &element{attributes: map[string]string{}}
	if slices.Contains(namespaces, t.Name.Space) {
		e.name = t.Name.Local
	}
	for _, a := range t.Attr {
		if a.Name.Space != "" || a.Name.Local == "xmlns" {
			continue // declarations, and attributes of others
		}
		if _, twice := e.attributes[a.Name.Local]; twice || len(a.Value) > maxText {
			return nil, errors.New("an attribute twice, or too long")
		}
		e.attributes[a.Name.Local] = a.Value
	}
	return e, nil
}
