package render

import (
	"time"

	"elicence/licence"
)

// Report is a verification report (核验报告) to be drawn. Its layout finds the values
// in {fields.…}, besides {number}, {authority.name} and {issued_on}.
type Report struct {
	// Title and Number are the document's.
	Title, Number string
	// Authority makes the report, on Day.
	Authority licence.IssuingAuthority
	Day       licence.Date
	// Fields holds texts, and lists of rows with texts, by name. Characters that no
	// font draws must be gone: see Fonts.Legible.
	Fields map[string]any
	// QR is the text of the symbol.
	QR licence.QRText
	// CreatedAt, SealPicture and Attachments are as in Input.
	CreatedAt   time.Time
	SealPicture *SealPicture
	Attachments []Attachment
}

// RenderReport draws a report, in the same way as a licence that nobody holds.
func (l *Layout) RenderReport(fonts *Fonts, r Report) (Output, error) {
	return l.Render(fonts, Input{
		Licence: &licence.Licence{TypeName: r.Title, Number: r.Number, Identifier: licence.Identifier(r.Number),
			Authority: r.Authority, IssuedOn: r.Day, Fields: r.Fields},
		QR:        r.QR,
		CreatedAt: r.CreatedAt, SealPicture: r.SealPicture, Attachments: r.Attachments,
	})
}
