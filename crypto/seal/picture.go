package seal

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

const (
	maxPicture   = 512 << 10 // bytes
	maxDimension = 1000      // millimetres
	maxPixels    = 1 << 24   // 16 million: 50 mm at 2,000 dpi
)

// Picture is what a seal looks like (印章图像).
type Picture struct {
	Type          string // format of Data as declared, such as "PNG"
	Data          []byte
	Width, Height int // true size in millimetres
}

// raster is a format whose header this package reads.
type raster struct {
	format, magic string
	names         []string // by which Type goes
	size          func([]byte) (width, height int)
}

var rasters = []raster{
	{"png", "\x89PNG\r\n\x1a\n", []string{"PNG"}, sizePNG},
	{"jpg", "\xff\xd8\xff", []string{"JPG", "JPEG"}, sizeJPEG},
	{"gif", "GIF8", []string{"GIF"}, sizeGIF},
	{"bmp", "BM", []string{"BMP"}, sizeBMP},
}

// raster returns the picture's format by its first bytes; nil: another one.
func (p Picture) raster() *raster {
	for i, r := range rasters {
		if bytes.HasPrefix(p.Data, []byte(r.magic)) {
			return &rasters[i]
		}
	}
	return nil
}

// Format is what the picture is by its first bytes: "png", "jpg", "gif", "bmp", or
// "" for anything else, whatever Type says.
func (p Picture) Format() string {
	if r := p.raster(); r != nil {
		return r.format
	}
	return ""
}

// Pixels reads a picture's size from its header alone, so that a picture that
// would fill the memory is found out before anybody decodes it: this package
// decodes none. It refuses a raster that declares none, or above 16 million
// pixels. Of a format that it does not know (SVG, OFD) it returns zeros.
func (p Picture) Pixels() (width, height int, err error) {
	r := p.raster()
	if r == nil {
		return 0, 0, nil
	}
	width, height = r.size(p.Data)
	if width < 1 || height < 1 || width > maxPixels/height {
		return 0, 0, fmt.Errorf("picture of %d by %d pixels", width, height)
	}
	return width, height, nil
}

// check holds a picture of any maker to the bounds.
func (p Picture) check() error {
	switch {
	case len(p.Data) == 0 || len(p.Data) > maxPicture:
		return fmt.Errorf("picture has %d bytes, not 1 to %d", len(p.Data), maxPicture)
	case p.Width < 1 || p.Height < 1 || p.Width > maxDimension || p.Height > maxDimension:
		return fmt.Errorf("picture measures %d by %d mm", p.Width, p.Height)
	}
	_, _, err := p.Pixels()
	return err
}

// checkDeclared refuses a picture that is not what Type says, as far as the format
// is known.
func (p Picture) checkDeclared() error {
	for _, r := range rasters {
		if slices.Contains(r.names, strings.ToUpper(p.Type)) && r.format != p.Format() {
			return fmt.Errorf("picture is not the %s that it is said to be", p.Type)
		}
	}
	return nil
}

// sizePNG: the first chunk is IHDR, which begins with width and height (ISO/IEC
// 15948, 11.2.2).
func sizePNG(b []byte) (width, height int) {
	if len(b) < 24 || string(b[12:16]) != "IHDR" {
		return 0, 0
	}
	return size32(binary.BigEndian.Uint32(b[16:])), size32(binary.BigEndian.Uint32(b[20:]))
}

// sizeJPEG walks the segments to the first frame header, SOF0 to SOF15 but for
// DHT, JPG and DAC (ISO/IEC 10918-1, B.2.2). Bytes before a marker are passed over,
// as decoders do.
func sizeJPEG(b []byte) (width, height int) {
	for i := 2; i+9 <= len(b); {
		marker := b[i+1]
		switch {
		case b[i] != 0xff || marker == 0 || marker == 0xff || marker == 0x01 || marker >= 0xd0 && marker <= 0xd8:
			i++
		case marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc:
			return int(binary.BigEndian.Uint16(b[i+7:])), int(binary.BigEndian.Uint16(b[i+5:]))
		default:
			i += 2 + int(binary.BigEndian.Uint16(b[i+2:]))
		}
	}
	return 0, 0
}

// sizeGIF is the logical screen (GIF89a, 18), which bounds every frame.
func sizeGIF(b []byte) (width, height int) {
	if len(b) < 10 {
		return 0, 0
	}
	return int(binary.LittleEndian.Uint16(b[6:])), int(binary.LittleEndian.Uint16(b[8:]))
}

// sizeBMP reads the older header of 12 bytes and the newer ones, in which a
// negative height means that the first row is the top one.
func sizeBMP(b []byte) (width, height int) {
	if len(b) < 26 {
		return 0, 0
	}
	if binary.LittleEndian.Uint32(b[14:]) == 12 {
		return int(binary.LittleEndian.Uint16(b[18:])), int(binary.LittleEndian.Uint16(b[20:]))
	}
	height = int(int32(binary.LittleEndian.Uint32(b[22:])))
	return size32(binary.LittleEndian.Uint32(b[18:])), max(height, -height)
}

// size32 keeps a size of 32 bits an int on every machine: what does not fit is 0,
// which is refused.
func size32(n uint32) int {
	if n > 1<<31-1 {
		return 0
	}
	return int(n)
}
