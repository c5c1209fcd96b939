package verify_test

import (
	_ "embed"

	"elicence/licence"
	"elicence/licence/render/pdf"
	"elicence/verify"
)

// portrait is a small JPEG of 26 by 32 pixels.
//
//go:embed testdata/portrait.jpg
var portrait []byte

// withPortrait is a file whose data name the portrait, with one attached and one drawn;
// either may be nil.
func withPortrait(named bool, attached, drawn []byte) func(*bench) {
	return func(b *bench) {
		if named {
			b.r.licence.Fields["photo"] = licence.PortraitReference(portrait)
		}
		b.r.attach = func(files map[string][]byte) {
			if attached != nil {
				files["portrait.jpg"] = attached
			}
		}
		b.r.page = func(d *pdf.Document) {
			if drawn != nil {
				d.Portrait = &pdf.Image{JPEG: drawn, Width: 26, Height: 32}
				d.Pages[0] = []byte("0 0 9 9 re f q 74 0 0 91 60 600 cm /P1 Do Q\n")
			}
		}
	}
}

// portraitCases are files in which the three portraits are not one.
func portraitCases() []fileCase {
	other := append(append([]byte{}, portrait...), 0) // which shows the same, and is another file
	var cases []fileCase
	for _, c := range []struct {
		name            string
		named           bool
		attached, drawn []byte
		sub             verify.SubIndication
		code            string
	}{
		{"portrait swapped", true, other, other, verify.HashFailure, "portrait_differs"},
		{"attached portrait swapped", true, other, portrait, verify.HashFailure, "portrait_differs"},
		{"drawn portrait swapped", true, portrait, other, verify.HashFailure, "portrait_drawn_differs"},
		{"portrait missing", true, nil, nil, verify.FormatFailure, "portrait_missing"},
		{"portrait not drawn", true, portrait, nil, verify.FormatFailure, "portrait_missing"},
		{"portrait not attached", true, nil, portrait, verify.FormatFailure, "portrait_missing"},
		{"portrait that the data do not name", false, portrait, portrait, verify.FormatFailure, "portrait_unnamed"},
		{"portrait drawn that the data do not name", false, nil, portrait, verify.FormatFailure, "portrait_unnamed"},
	} {
		cases = append(cases, fileCase{name: c.name, set: withPortrait(c.named, c.attached, c.drawn),
			want: verify.TotalFailed, sub: c.sub, check: verify.CheckAttachedData, code: c.code})
	}
	return append(cases, fileCase{name: "two portraits named", want: verify.TotalFailed, sub: verify.FormatFailure,
		check: verify.CheckAttachedData, code: "portrait_unnamed", set: func(b *bench) {
			withPortrait(true, portrait, portrait)(b)
			b.r.licence.Fields["photo_2"] = b.r.licence.Fields["photo"]
		}})
}
