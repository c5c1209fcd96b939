package httpsig

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"

	"github.com/dunglas/httpsfv"
	"github.com/emmansun/gmsm/sm3"
)

// ErrDigest says that a body is not the one that Content-Digest is of.
var ErrDigest = errors.New("content digest: the body is another")

// digests are the algorithms of Content-Digest (RFC 9530) that are checked; sm3 is a
// private name, the registry has none for it.
var digests = map[string]func() hash.Hash{"sha-256": sha256.New, "sm3": sm3.New}

const (
	maxContentDigest = 512
	maxDigests       = 4
)

// Body returns a body that must be the one that the Content-Digest field is of: it ends in
// ErrDigest instead of io.EOF when it is not. So what was read before its end proves
// nothing. Of several digests all known ones must match, and one at least must be known;
// errors wrap ErrMalformed.
func Body(h http.Header, body io.ReadCloser) (io.ReadCloser, error) {
	value, err := single(h, "Content-Digest", maxContentDigest)
	if err != nil {
		return nil, err
	}
	d, err := dictionary("Content-Digest", value)
	if err != nil {
		return nil, err
	}
	if len(d.Names()) > maxDigests {
		return nil, fmt.Errorf("%w: Content-Digest has more than %d members", ErrMalformed, maxDigests)
	}
	checked := &digested{ReadCloser: body}
	for _, name := range d.Names() {
		m, _ := d.Get(name)
		item, _ := m.(httpsfv.Item)
		want, ok := item.Value.([]byte)
		if !ok {
			return nil, fmt.Errorf("%w: Content-Digest %.64q is no byte sequence", ErrMalformed, name)
		}
		if digests[name] != nil {
			checked.sums = append(checked.sums, sum{digests[name](), want})
		}
	}
	if checked.sums == nil {
		return nil, fmt.Errorf("%w: Content-Digest has neither sha-256 nor sm3", ErrMalformed)
	}
	return checked, nil
}

// sum is a digest as it grows, and what it shall be.
type sum struct {
	hash.Hash
	want []byte
}

// digested is a body with its digests.
type digested struct {
	io.ReadCloser
	sums []sum
}

// Read compares the digests when the body ends.
func (d *digested) Read(b []byte) (int, error) {
	n, err := d.ReadCloser.Read(b)
	for _, s := range d.sums {
		s.Write(b[:n])
		if err == io.EOF && !bytes.Equal(s.Sum(nil), s.want) {
			return n, ErrDigest
		}
	}
	return n, err
}
