package render

import (
	"elicence/licence/render/pdf"
	"elicence/licence/render/qr"
	"elicence/licence/render/sealpicture"
	"elicence/licence/render/typeface"
)

// The parts that callers of Render also handle, under the names that say what
// they are to a licence.
type (
	// Attachment is a file embedded in the PDF.
	Attachment = pdf.Attachment
	// Fonts holds the fonts that licences are drawn with.
	Fonts = typeface.Fonts
	// QRBox is where a symbol is drawn.
	QRBox = qr.Box
	// QRDecoder reads the symbols that a page's inflated operators draw: what is drawn, not
	// what was meant.
	QRDecoder = qr.Decoder
	// SealDesign says how a seal looks.
	SealDesign = sealpicture.Design
	// SealShape and SealCentre are a seal's outline and what stands in its middle.
	SealShape  = sealpicture.Shape
	SealCentre = sealpicture.Centre
	// SealPicture is a drawn or imported seal.
	SealPicture = sealpicture.Picture
	// Emblem stands in the middle of a seal instead of a star.
	Emblem = sealpicture.Emblem
)

// The codes of licence.FieldError that drawing adds.
const (
	// CodeUndrawable says that no font draws a character of the text.
	CodeUndrawable = typeface.CodeUndrawable
	// CodeNoRoom says that a text does not fit its place on the licence even in
	// the smallest size the layout allows.
	CodeNoRoom = "does_not_fit"
)

// OpenFonts finds the font files below the folders given, the first folder that
// has a file winning. The error names every file that is missing, and `make
// fonts`, which fetches them.
func OpenFonts(dirs ...string) (*Fonts, error) { return typeface.Open(dirs...) }

// ParseSealDesign reads a design from the JSON that encoding/json writes of one.
func ParseSealDesign(file []byte) (SealDesign, error) { return sealpicture.ParseDesign(file) }

// DrawSeal draws a seal, as PDF operators and as a PNG. What cannot be drawn is a
// *licence.RequestError that names the member of the design.
func DrawSeal(fonts *Fonts, d SealDesign) (SealPicture, error) { return sealpicture.Draw(fonts, d) }

// RedrawSeal is DrawSeal for whoever has the PNG that was drawn before; drawn is false where
// the file shows anything else.
func RedrawSeal(fonts *Fonts, d SealDesign, file []byte, widthMM, heightMM int) (p SealPicture, drawn bool, err error) {
	return sealpicture.Redraw(fonts, d, file, widthMM, heightMM)
}

// TraceSeal is ImportSeal of the picture of a seal that was made, whose PNG stays as it is.
func TraceSeal(file []byte, widthMM, heightMM int) (SealPicture, error) {
	return sealpicture.Trace(file, widthMM, heightMM)
}

// ImportSeal takes in the PNG of a registered seal with its true size; warnings are
// for a person to look at. What is refused is a *licence.RequestError.
func ImportSeal(file []byte, widthMM, heightMM int) (p SealPicture, warnings []string, err error) {
	return sealpicture.Import(file, widthMM, heightMM)
}

// ParseEmblem reads an emblem's vectors; sealpicture.ParseEmblem has the format.
func ParseEmblem(file []byte) (*Emblem, error) { return sealpicture.ParseEmblem(file) }

// ImportEmblem traces an emblem from a PNG with transparency.
func ImportEmblem(file []byte, widthMM, heightMM int) (*Emblem, error) {
	return sealpicture.ImportEmblem(file, widthMM, heightMM)
}

// DecodeQR reads the symbol that a page's inflated operators draw in the box: what
// is drawn, not what was meant.
func DecodeQR(pageContent []byte, box QRBox) (string, error) { return qr.Decode(pageContent, box) }
