package portrait

import (
	"bytes"
	"encoding/binary"
	"image"
)

// orientation says how a picture was stored (TIFF 6.0, Orientation; Exif 2.3, 4.6.4 A):
// 1 upright, 3 upside down, 6 and 8 on its sides, the others as in a mirror too.
type orientation int

const upright orientation = 1

// swaps reports whether width and height change places.
func (o orientation) swaps() bool { return o >= 5 }

// source is where in the stored picture, w by h, the point x, y of the upright one lies.
func (o orientation) source(x, y, w, h int) (sx, sy int) {
	switch o {
	case 2:
		return w - 1 - x, y
	case 3:
		return w - 1 - x, h - 1 - y
	case 4:
		return x, h - 1 - y
	case 5:
		return y, x
	case 6:
		return y, h - 1 - x
	case 7:
		return w - 1 - y, h - 1 - x
	case 8:
		return w - 1 - y, x
	}
	return x, y
}

// apply turns a stored picture upright.
func (o orientation) apply(in *image.RGBA) *image.RGBA {
	if o == upright {
		return in
	}
	w, h := in.Rect.Dx(), in.Rect.Dy()
	size := image.Pt(w, h)
	if o.swaps() {
		size = image.Pt(h, w)
	}
	out := image.NewRGBA(image.Rectangle{Max: size})
	for y := range size.Y {
		for x := range size.X {
			sx, sy := o.source(x, y, w, h)
			copy(out.Pix[out.PixOffset(x, y):][:4], in.Pix[in.PixOffset(sx, sy):][:4])
		}
	}
	return out
}

// stored is where a part of the upright picture, w by h, lies in the stored one.
func (o orientation) stored(seen image.Rectangle, w, h int) image.Rectangle {
	if o.swaps() {
		w, h = h, w
	}
	x0, y0 := o.source(seen.Min.X, seen.Min.Y, w, h)
	x1, y1 := o.source(seen.Max.X-1, seen.Max.Y-1, w, h)
	return image.Rect(min(x0, x1), min(y0, y1), max(x0, x1)+1, max(y0, y1)+1)
}

// orientationOf finds the orientation in a JPEG's Exif segment: upright when there is
// none, or none that can be read. It looks at nothing else there.
func orientationOf(photo []byte) orientation {
	for at := 2; at+4 <= len(photo) && photo[at] == 0xff; {
		marker, size := photo[at+1], int(binary.BigEndian.Uint16(photo[at+2:]))
		if marker < 0xe0 && marker != 0xdb || marker == 0xff || at+2+size > len(photo) {
			return upright // the picture itself, or damage
		}
		segment := photo[at+4 : at+2+max(2, size)]
		if tiff, found := bytes.CutPrefix(segment, []byte("Exif\x00\x00")); found && marker == 0xe1 {
			return orientationIn(tiff)
		}
		at += 2 + max(2, size)
	}
	return upright
}

// orientationIn reads the first directory of a TIFF header (TIFF 6.0, section 2).
func orientationIn(tiff []byte) orientation {
	var order binary.ByteOrder = binary.LittleEndian
	switch {
	case bytes.HasPrefix(tiff, []byte("MM\x00*")):
		order = binary.BigEndian
	case !bytes.HasPrefix(tiff, []byte("II*\x00")):
		return upright
	}
	if len(tiff) < 8 {
		return upright
	}
	at := uint64(order.Uint32(tiff[4:]))
	if at+2 > uint64(len(tiff)) {
		return upright
	}
	entries := uint64(order.Uint16(tiff[at:]))
	for i := range entries {
		e := at + 2 + 12*i
		if e+12 > uint64(len(tiff)) {
			return upright
		}
		const tagOrientation, short = 0x0112, 3
		if order.Uint16(tiff[e:]) == tagOrientation && order.Uint16(tiff[e+2:]) == short {
			if o := orientation(order.Uint16(tiff[e+8:])); o >= 1 && o <= 8 {
				return o
			}
			return upright
		}
	}
	return upright
}
