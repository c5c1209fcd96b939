package licence_test

import (
	"strings"
	"testing"

	"elicence/licence"
)

func TestCheckUSCC(t *testing.T) {
	good := strings.Fields(`91110000600037341L 11100000000013338W 11330105002500287C 11430000006122244L 11220000013544541J
		11110000000021135M 91440101MA5CJMYA97 11100000MB03271699 11330106002504122C 113301000024903302`)
	for _, code := range good {
		if err := licence.CheckUSCC(code); err != nil {
			t.Errorf("%s: %v", code, err)
		}
	}
	for name, code := range map[string]string{
		"empty": "", "short": "91110000600037341", "long": "91110000600037341L1", "lower case": "91110000600037341l",
		"letter I": "9111000060003734IL", "letter O": "911100006O0037341L", "letter in the division": "9111A000600037341L",
		"wrong check": "91110000600037341M", "two digits exchanged": "91110000600073341L", "full width": "９1110000600037341L",
		"Chinese": "统一社会信用代码", "space": "91110000600037341 ", "zero bytes": strings.Repeat("\x00", 18),
		// Made so that the last character is right and the organisation code is not.
		"organisation code": "91110000600037351M",
	} {
		if err := licence.CheckUSCC(code); err == nil {
			t.Errorf("%s: %q is accepted", name, code)
		}
	}
	if err := licence.CheckUSCC("91110000600037351M"); err == nil || !strings.Contains(err.Error(), "organisation code") {
		t.Errorf("the part check: %v", err)
	}
	// One changed character is always seen.
	const alphabet = "0123456789ABCDEFGHJKLMNPQRTUWXY"
	for i := range good[0] {
		for _, c := range alphabet {
			if bad := good[0][:i] + string(c) + good[0][i+1:]; bad != good[0] && licence.CheckUSCC(bad) == nil {
				t.Errorf("%s is accepted", bad)
			}
		}
	}
}

func TestCheckCitizenNumber(t *testing.T) {
	// The first is the example of GB 11643.
	for _, code := range []string{"11010519491231002X", check17("33010220000229001"), check17("11010520260630002"), check17("99999919000101000")} {
		if err := licence.CheckCitizenNumber(code, today); err != nil {
			t.Errorf("%s: %v", code, err)
		}
	}
	for name, code := range map[string]string{
		"empty": "", "17 digits": "11010519491231002", "19": "11010519491231002X1", "lower-case x": "11010519491231002x",
		"wrong check": "110105194912310021", "X inside": "1101051949123100X2", "letters": "ABCDEFGHIJKLMNOPQR",
		"30 February": check17("11010519490230002"), "month 13": check17("11010519491330002"), "day 00": check17("11010519491200002"),
		"29 February of a common year": check17("11010519490229002"), "tomorrow": check17("11010520260701002"),
		"next century": check17("11010521000101002"), "1899": check17("11010518991231002"), "year 0000": check17("11010500000101002"),
		"legacy": "110105491231002", "division 0": check17("01010519491231002"), "full width": "１1010519491231002X",
		"the standard's second example, born 1880": "440524188001010014",
		"spaces": "110105 19491231 002X", "minus": "-1010519491231002X",
	} {
		err := licence.CheckCitizenNumber(code, today)
		if err == nil {
			t.Errorf("%s: %q is accepted", name, code)
		} else if len(code) >= 15 && strings.Contains(err.Error(), code) {
			t.Errorf("%s: the error repeats the number", name)
		}
	}
	if err := licence.CheckCitizenNumber("110105491231002", today); err == nil || !strings.Contains(err.Error(), "15 digits") {
		t.Errorf("15 digits: %v", err)
	}
}

// check17 appends the GB 11643 check digit, computed by ISO 7064 MOD 11-2 and so
// by another way than the weights of the standard's text.
func check17(s string) string {
	m := 0
	for _, c := range s {
		m = (m + int(c-'0')) * 2 % 11
	}
	return s + string("0123456789X"[(12-m)%11])
}

func TestCheckHolderCode(t *testing.T) {
	for _, c := range []struct {
		t    licence.HolderCodeType
		code string
		ok   bool
	}{
		{"001", "91110000600037341L", true}, {"001", "11010519491231002X", false},
		{"111", "11010519491231002X", true}, {"111", "91110000600037341L", false},
		{"099", "社证字第0012号", true}, {"099", "", false}, {"099", strings.Repeat("1", 33), false}, {"099", "a b", false},
		{"114", "军字第2001988号", true}, {"114", "军", false}, {"114", "军字第2001988号\n", false},
		{"115", "武字第1234567号", true}, {"118", "兵字第20060034号", true}, {"119", "'; DROP TABLE", false},
		{"120", "文字第0001号", true}, {"122", "<script>", false},
		{"411", "DE1234567", true}, {"412", "SE1234567", true}, {"413", "PE1234567", true},
		{"414", "EA1234567", true}, {"414", "ea1234567", false}, {"414", "E123", false}, {"414", strings.Repeat("E", 18), false},
		{"511", "00012345", true}, {"511", "1234567890(A)", true}, {"511", "0001234", false}, {"511", "12345678(A)", false},
		{"516", "H12345678", true}, {"516", "M1234567890", true}, {"516", "T12345678", false}, {"516", "H123456789", false},
		{"999", "UN-1951/0042", true}, {"999", strings.Repeat("证", 33), false}, {"999", "\xff", false}, {"999", "a\u202eb", false},
		{"", "91110000600037341L", false}, {"002", "91110000600037341L", false}, {"1", "1", false},
	} {
		if err := licence.CheckHolderCode(c.t, c.code, today); (err == nil) != c.ok {
			t.Errorf("%q %q: %v; want accepted: %t", c.t, c.code, err, c.ok)
		}
	}
	for code, kind := range map[licence.HolderCodeType]licence.HolderKind{
		"001": licence.LegalPerson, "099": licence.LegalPerson, "111": licence.NaturalPerson, "414": licence.NaturalPerson, "000": "",
	} {
		if got := (licence.Holder{CodeType: code}).Kind(); got != kind {
			t.Errorf("kind of %s: %q, want %q", code, got, kind)
		}
	}
}
