package render_test

import (
	"fmt"
	"strings"
	"testing"

	"elicence/licence/render"
)

// TestDecodeSeveral reads two symbols of one page in one pass: each says what is drawn in its own
// box, and what spoils one of them is an error of both.
func TestDecodeSeveral(t *testing.T) {
	own := mustRender(t, "birth", sample(t, "birth"))
	in := input(sample(t, "birth"))
	in.QR.Digits = "1" + in.QR.Digits[1:]
	other, err := layouts(t)["birth"].Render(fonts(t), in)
	if err != nil {
		t.Fatal(err)
	}
	const up = 1000 // points by which the other's page is moved
	first, second := own.QR, other.QR
	second.Y += up
	page := string(content(t, own.PDF)) + "\nq 1 0 0 1 0 " + fmt.Sprint(up) + " cm\n" + string(content(t, other.PDF)) + "\nQ"
	inside := func(b render.QRBox) string {
		return fmt.Sprintf("%.2f %.2f %.2f %.2f re", b.X+1, b.Y+1, b.Size-2, b.Size-2)
	}
	for name, c := range map[string]struct {
		page string
		want []string // nil: an error
	}{
		"as drawn":           {page, []string{qrText().String(), in.QR.String()}},
		"clip off both":      {page + " q 0 0 1 1 re W n 0 g " + inside(first) + " f Q", []string{qrText().String(), in.QR.String()}},
		"first blacked out":  {page + " 0 g " + inside(first) + " f", nil},
		"second blacked out": {page + " 0 g " + inside(second) + " f", nil},
		"line over both":     {page + fmt.Sprintf(" %.2f %.2f m %.2f %.2f l S", first.X, first.Y, second.X, second.Y), nil},
		"clip on the first":  {page + " q " + inside(first) + " W n Q", nil},
		"clip on the second": {page + " q " + inside(second) + " W n Q", nil},
		"second covered":     {page + " 1 g " + inside(second) + " f", nil},
		"form":               {page + " /X1 Do", nil},
		"one alone":          {string(content(t, own.PDF)), nil},
		"first not on white": {strings.Replace(page, " 1 g", " 0.9 g", 1), nil},
	} {
		got, err := new(render.QRDecoder).Decode([]byte(c.page), first, second)
		if c.want == nil && err == nil || c.want != nil && (err != nil || fmt.Sprint(got) != fmt.Sprint(c.want)) {
			t.Errorf("%s: %.40q, %v", name, got, err)
		}
	}
	if _, err := new(render.QRDecoder).Decode([]byte(page), first, render.QRBox{Page: 1}); err == nil {
		t.Error("a box without extent was read")
	}
}

// TestDecoderAgain: what a decoder met before is its answer for the same modules alone.
func TestDecoderAgain(t *testing.T) {
	in := input(sample(t, "birth"))
	var d render.QRDecoder
	for i, digit := range []string{"1", "1", "2", "1"} {
		in.QR.Digits = digit + in.QR.Digits[1:]
		out, err := layouts(t)["birth"].Render(fonts(t), in)
		if err != nil {
			t.Fatal(err)
		}
		page := content(t, out.PDF)
		if got, err := d.Decode(page, out.QR); err != nil || got[0] != in.QR.String() {
			t.Errorf("symbol %d: %.40q, %v", i, got, err)
		}
		if got, err := d.Decode(append(page, " 0 g 0 0 900 900 re f"...), out.QR); err == nil {
			t.Errorf("symbol %d, blacked out: %.40q", i, got)
		}
	}
}
