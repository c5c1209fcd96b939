package httpsig

import "github.com/dunglas/httpsfv"

// Unchecked is a signature with a Signature-Input of any kind, for the RFC's own examples.
func Unchecked(input string) *Signature {
	d, err := httpsfv.UnmarshalDictionary([]string{input})
	if err != nil {
		panic(err)
	}
	m, _ := d.Get(d.Names()[0])
	list := m.(httpsfv.InnerList)
	s := &Signature{}
	for _, item := range list.Items {
		s.Components = append(s.Components, item.Value.(string))
	}
	s.params, err = httpsfv.Marshal(list)
	if err != nil {
		panic(err)
	}
	return s
}
