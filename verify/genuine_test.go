package verify_test

import (
	"bytes"
	"strings"

	"elicence/licence"
	"elicence/licence/render/pdf"
	"elicence/verify"
)

// genuineCases are files that look odd and are good.
func genuineCases() []fileCase {
	passes := func(name, comment string, c fileCase) fileCase {
		c.name, c.comment, c.want, c.check, c.code = name, comment, verify.TotalPassed, verify.CheckCoverage, "coverage_ok"
		return c
	}
	page := func(change func(*pdf.Document)) fileCase {
		return fileCase{set: func(b *bench) { b.r.page = change }}
	}
	licenceOf := func(change func(*licence.Licence)) fileCase {
		return fileCase{set: func(b *bench) { change(b.r.licence) }}
	}
	return []fileCase{
		passes("plain", "", fileCase{}),
		passes("two seals", "", fileCase{base: twoSeals}),
		passes("PAdES and seal", "", fileCase{base: padesAndSeal}),
		passes("words of the format in the title", "", page(func(d *pdf.Document) { d.Title = "/Byte Range [0 1 2 3] %%EOF trailer startxref" })),
		passes("hexadecimal title", "", page(func(d *pdf.Document) { d.Title = "<30820102>" })),
		passes("title with parentheses", "", page(func(d *pdf.Document) { d.Title = `\((\` })),
		passes("several pages", "", page(func(d *pdf.Document) { d.Pages = append(d.Pages, []byte("0 0 5 5 re f\n"), nil) })),
		passes("portrait", "named, attached and drawn", fileCase{set: withPortrait(true, portrait, portrait)}),
		passes("duplicate", "pages of another size behind the sealed one", page(func(d *pdf.Document) {
			d.More = []pdf.Part{{Width: 420, Height: 297.5, Backdrop: pdf.Deflate([]byte("q Q\n")), Pages: [][]byte{[]byte("0 0 5 5 re f\n"), nil}}}
		})),
		passes("long page", "", page(func(d *pdf.Document) { d.Pages[0] = bytes.Repeat([]byte("0 0 5 5 re f\n"), 5000) })),
		passes("page as wide as a banner", "", page(func(d *pdf.Document) { d.Width, d.Height = 2000.125, 500 })),
		passes("metadata", "", page(func(d *pdf.Document) {
			d.Metadata = []byte(`<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"/><?xpacket end="r"?>`)
		})),
		passes("rare characters in the holder's name", "planes 2 and 3", licenceOf(func(l *licence.Licence) { l.Holder.Name = "𠮷𰻝䶮餐饮有限公司" })),
		passes("words of the format in the holder's name", "", licenceOf(func(l *licence.Licence) { l.Holder.Name = "endobj (trailer) 有限公司" })),
		passes("long address", "", licenceOf(func(l *licence.Licence) {
			l.Fields["address"] = strings.Repeat("测试市测试路1号", 40)
		})),
		passes("no last day", "a licence without end", licenceOf(func(l *licence.Licence) { l.ExpiresOn = licence.Date{} })),
		passes("room for a larger token", "more zeros behind the signature than most", fileCase{set: func(b *bench) { b.r.reserve = 7000 }}),
		passes("seal drawn differently", "what the seal looks like on the page is under the seal", fileCase{set: func(b *bench) { b.r.appearance = "0 0 1 RG 9 w 20 20 60 60 re S\n" }}),
	}
}
