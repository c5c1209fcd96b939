package pdfsig_test

import (
	"bytes"
	"compress/flate"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"testing"

	"elicence/crypto/pdfsig"
	"elicence/crypto/pdfsig/pdftest"
)

// TestPageContentIsBounded checks a bomb where Read does not look.
func TestPageContentIsBounded(t *testing.T) {
	signed := sign(t)
	const content = 12
	for _, tt := range []struct {
		name   string
		object int
		data   []byte
	}{
		{"bomb", content, bomb(t, pdfsig.MaxStream+1)},
		{"not deflated", content, []byte("0 0 10 10 re f")},
		{"bytes after the end", content, append(deflated([]byte("0 0 10 10 re f")), 0)},
		{"cut", content, deflated([]byte("0 0 10 10 re f"))[:10]},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := pdftest.Split(t, signed)
			for i := range e.Sections[0].Parts {
				if e.Sections[0].Parts[i].Number == tt.object {
					e.Sections[0].Parts[i].Text = fmt.Sprintf("%d 0 obj\n<</Filter /FlateDecode /Length %d>>\nstream\n%s\nendstream\nendobj\n",
						tt.object, len(tt.data), tt.data)
				}
			}
			f, err := pdfsig.Read(e.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			got, err := f.PageContent(1)
			wantCode(t, err, pdfsig.CodeStream)
			if got != nil {
				t.Errorf("%d bytes returned with an error", len(got))
			}
		})
	}
}

// deflated encodes data for FlateDecode.
func deflated(data []byte) []byte {
	var out bytes.Buffer
	z := zlib.NewWriter(&out)
	z.Write(data)
	z.Close()
	return out.Bytes()
}

// bomb is deflated(make([]byte, n)) without the work: one block again and again.
func bomb(t *testing.T, n int) []byte {
	t.Helper()
	const block = 1 << 16
	var out bytes.Buffer
	out.Write([]byte{0x78, 0x9c})
	for _, size := range []int{block, n % block} {
		var deflate bytes.Buffer
		w, err := flate.NewWriter(&deflate, flate.BestCompression)
		if err != nil {
			t.Fatal(err)
		}
		w.Write(make([]byte, size))
		w.Flush()
		count := 1
		if size == block {
			count = n / block
		}
		out.Write(bytes.Repeat(deflate.Bytes(), count))
	}
	out.Write([]byte{0x03, 0x00})
	// Adler-32 (RFC 1950) of n zeros.
	return binary.BigEndian.AppendUint32(out.Bytes(), uint32(n%65521)<<16|1)
}
