package pdfsig

import (
	"bytes"
	"compress/zlib"
	"io"
	"sync"

	inflating "github.com/klauspost/compress/zlib"
)

// deflateRatio is more than the best ratio that deflate can reach, 1032 to 1.
const deflateRatio = 1040

// inflater decodes streams one after another, in the memory of the first.
type inflater struct {
	in     bytes.Reader
	reader io.ReadCloser
}

// inflaters keeps them between files, which have a stream or two each: the window of
// one takes longer to get than most streams to decode.
var inflaters = sync.Pool{New: func() any { return new(inflater) }}

// inflate decodes a stream whose only filter is FlateDecode (7.4.4). More than
// limit bytes, a checksum that does not match and bytes after the end of the
// compressed data are refused. expected is how long the result will be, 0 when
// that is not known; it is a hint and is not believed.
func inflate(o *object, expected, limit int) ([]byte, error) {
	f := inflaters.Get().(*inflater)
	defer func() {
		f.in.Reset(nil)
		inflaters.Put(f)
	}()
	if err := f.reset(o.data); err != nil {
		return nil, malformed(CodeStream, o.offset, "stream of object %d is not deflated", o.number)
	}
	// The room is never more than the data could fill. One byte more than
	// allowed tells a stream that is too long from one that just fits.
	limit = min(limit, deflateRatio*len(o.data))
	out := bytes.NewBuffer(make([]byte, 0, bytes.MinRead+min(expected, limit)))
	if _, err := out.ReadFrom(io.LimitReader(f.reader, int64(limit)+1)); err != nil {
		return nil, malformed(CodeStream, o.offset, "stream of object %d is damaged", o.number)
	}
	if out.Len() > limit {
		return nil, malformed(CodeStream, o.offset, "stream of object %d decodes to more than %d bytes", o.number, limit)
	}
	if f.in.Len() != 0 {
		return nil, malformed(CodeStream, o.offset, "stream of object %d has %d bytes after its data", o.number, f.in.Len())
	}
	return out.Bytes(), nil
}

func (f *inflater) reset(data []byte) (err error) {
	f.in.Reset(data)
	if f.reader == nil {
		f.reader, err = inflating.NewReader(&f.in)
		return err
	}
	return f.reader.(inflating.Resetter).Reset(&f.in, nil)
}

// deflate encodes data for FlateDecode.
func deflate(data []byte) ([]byte, error) {
	var out bytes.Buffer
	z := zlib.NewWriter(&out)
	if _, err := z.Write(data); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
