package api

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
)

// watched says how much room was offered when how much had come.
type watched struct {
	io.Reader
	come int
	over func(come, room int)
}

func (w *watched) Read(b []byte) (int, error) {
	w.over(w.come, w.come+len(b))
	n, err := w.Reader.Read(b)
	w.come += n
	return n, err
}

// TestReadAll reads bodies whole whatever is claimed of their length, and takes no room for what
// is only claimed.
func TestReadAll(t *testing.T) {
	for _, size := range []int{0, 1, 511, 512, 513, 2048, portion, portion + 1, 170_000, 3 << 20} {
		body := bytes.Repeat([]byte("licence\n"), size/8+1)[:size]
		for name, claimed := range map[string]int64{"nothing": -1, "truly": int64(size), "too little": int64(size / 2), "too much": MaxFile} {
			for way, r := range map[string]io.Reader{
				"at once": bytes.NewReader(body), "by halves": iotest.HalfReader(bytes.NewReader(body)), "the end with the last": iotest.DataErrReader(bytes.NewReader(body)),
			} {
				w := &watched{Reader: r, over: func(come, room int) {
					if most := max(512, 4*come); room > most+most/4 || come >= 4*portion && room > 2*come+come/4 { // the runtime rounds up
						t.Errorf("%d bytes, claimed %s, %s: room for %d when %d had come", size, name, way, room, come)
					}
				}}
				if got, err := readAll(w, claimed); err != nil || !bytes.Equal(got, body) {
					t.Errorf("%d bytes, claimed %s, %s: %d bytes, %v", size, name, way, len(got), err)
				}
			}
		}
	}
}

// TestReadAllRefused: a body that is too long, or breaks off, is nothing that could be used.
func TestReadAllRefused(t *testing.T) {
	long := http.MaxBytesReader(httptest.NewRecorder(), io.NopCloser(strings.NewReader(strings.Repeat("x", 1000))), 999)
	for name, c := range map[string]struct {
		body io.Reader
		want error
	}{
		"too long":                  {long, errTooLarge},
		"breaks off":                {io.MultiReader(strings.NewReader("%PDF"), iotest.ErrReader(io.ErrUnexpectedEOF)), errUnreadable},
		"refused on the way":        {io.MultiReader(strings.NewReader("%PDF"), iotest.ErrReader(errBusy)), errBusy},
		"refused at its first byte": {iotest.ErrReader(errBusy), errBusy},
	} {
		if got, err := readAll(c.body, 2000); got != nil || !errors.Is(err, c.want) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
}
