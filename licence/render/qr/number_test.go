package qr

import (
	"math/rand/v2"
	"strconv"
	"testing"
)

// TestNumber: a number is what strconv makes of the text, whichever way it was read.
func TestNumber(t *testing.T) {
	texts := []string{"0", "-0", "5", "5.", ".5", "-.5", "-5.25", "123456789012345", "999999999999999.", "007", "00.700"}
	random := rand.New(rand.NewPCG(1, 2))
	for range 2_000 {
		texts = append(texts, strconv.FormatFloat((random.Float64()-0.5)*1e4, 'f', random.IntN(9), 64))
	}
	for _, text := range texts {
		want, err := strconv.ParseFloat(text, 64)
		if got, ok := number([]byte(text)); ok != (err == nil) || ok && got != want {
			t.Errorf("%q: %v, %t; want %v, %v", text, got, ok, want, err)
		}
	}
	for _, text := range []string{"-", ".", "-.", "--1", "1.2.3", "1-2", "NaN", "Inf", "Q", "f*", "1a", "1e999", "+5", "1e3", "0x10", "0x1p4", "1_0", "1234567890123456"} {
		if got, ok := number([]byte(text)); ok {
			t.Errorf("%q: %v", text, got)
		}
	}
}
