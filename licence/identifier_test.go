package licence_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"elicence/licence"
)

// realIdentifiers are of deployed systems, and two computed ones.
var realIdentifiers = []string{
	"1.2.156.3005.2.11100000000013338W009.11330105002500287C.2025052201.002.0",
	"1.2.156.3005.2.11100000000013338W011.11430000006122244L.20230000403.001.U",
	"1.2.156.3005.2.11100000MB03271699022.340100.000000016.001.9",
	"1.2.156.3005.2.11100000000013338W032.11220000013544541J.2430599.001.F",
	"1.2.156.3005.2.11100000000013338W001.11110000000021135M.2024000001.001.Z",
	"1.2.156.3005.2.11100000MB03271699001.11330105002500287C.000000001.001.E",
	"1.2.156.3005.2.11100000000013661B006.113700000045046442.209FA4E88F9E4C878F3E9BED2CE7EA49.001.D",
}

func TestParseIdentifier(t *testing.T) {
	for _, s := range realIdentifiers {
		if id, err := licence.ParseIdentifier(s); err != nil || string(id) != s {
			t.Errorf("ParseIdentifier(%s) = %q, %v", s, id, err)
		}
	}
	id, err := licence.ParseIdentifier(realIdentifiers[0])
	if err != nil {
		t.Fatal(err)
	}
	if id.TypeCode() != "11100000000013338W009" || id.AuthorityCode() != "11330105002500287C" || id.Serial() != "2025052201" || id.Version() != 2 {
		t.Errorf("parts %q %q %q %d", id.TypeCode(), id.AuthorityCode(), id.Serial(), id.Version())
	}
	if id := licence.Identifier("nonsense"); id.TypeCode()+id.AuthorityCode()+id.Serial() != "" || id.Version() != 0 {
		t.Error("an identifier that is none has parts")
	}
}

func TestParseIdentifierRefuses(t *testing.T) {
	good := realIdentifiers[0]
	for name, s := range map[string]string{
		"empty":             "",
		"root only":         "1.2.156.3005.2.",
		"other root":        strings.Replace(good, "3005", "3003", 1),
		"no root":           strings.TrimPrefix(good, "1.2.156.3005.2."),
		"lower case":        strings.ToLower(good),
		"no check":          strings.TrimSuffix(good, ".0"),
		"empty check":       strings.TrimSuffix(good, "0"),
		"two checks":        good + "0",
		"six parts":         good + ".0",
		"type too short":    strings.Replace(good, "W009", "W09", 1),
		"type too long":     strings.Replace(good, "W009", "W0009", 1),
		"authority short":   strings.Replace(good, "11330105002500287C", "11330", 1),
		"authority long":    strings.Replace(good, "11330105002500287C", "11330105002500287C1", 1),
		"no serial":         strings.Replace(good, "2025052201", "", 1),
		"serial long":       strings.Replace(good, "2025052201", strings.Repeat("1", 65), 1),
		"serial with dash":  strings.Replace(good, "2025052201", "2025-52201", 1),
		"Chinese serial":    strings.Replace(good, "2025052201", "浙2025", 1),
		"full-width digits": strings.Replace(good, "2025052201", "２０２５", 1),
		"version 000":       strings.Replace(good, ".002.", ".000.", 1),
		"version of two":    strings.Replace(good, ".002.", ".02.", 1),
		"version letter":    strings.Replace(good, ".002.", ".00A.", 1),
		"space behind":      good + " ",
		"line end behind":   good + "\n",
		"zero byte":         good[:20] + "\x00" + good[21:],
		"10 MB":             good + strings.Repeat("0", 10<<20),
	} {
		if id, err := licence.ParseIdentifier(s); err == nil || id != "" || errors.Is(err, licence.ErrCheckCharacter) {
			t.Errorf("%s: %.80q, %.200v; want an error of form and no identifier", name, id, err)
		}
	}
}

// TestCheckCharacter proves that each of the parts is under the check character: any
// other character in any place is seen, and so is every exchange of neighbours that
// MOD 37,36 promises to see.
func TestCheckCharacter(t *testing.T) {
	good := []byte(realIdentifiers[0])
	for i := len("1.2.156.3005.2."); i < len(good); i++ {
		for _, c := range []byte("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") {
			if good[i] == '.' || good[i] == c {
				continue
			}
			bad := append([]byte{}, good...)
			bad[i] = c
			if id, err := licence.ParseIdentifier(string(bad)); err == nil || id != "" {
				t.Errorf("%s is accepted", bad)
			}
		}
	}
	const epoint = "1.2.156.3005.2.11100000000013661B006.113700000045046442.209FA4E88F9E4C878F3E9BED2CE7EA49.001.M"
	if id, err := licence.ParseIdentifier(epoint); !errors.Is(err, licence.ErrCheckCharacter) || id != "" {
		t.Errorf("a wrong check character known in the wild: %q, %v; want ErrCheckCharacter", id, err)
	}
}

func TestNewIdentifier(t *testing.T) {
	const typeCode, authority = "11100000000013338W001", "11110000000021135M"
	id, err := licence.NewIdentifier(typeCode, authority, "2024000001", 1)
	if err != nil || string(id) != realIdentifiers[4] {
		t.Errorf("got %q, %v, want %q", id, err, realIdentifiers[4])
	}
	for _, c := range []struct {
		name, typeCode, authority, serial string
		version                           int
	}{
		{"type code of 20", typeCode[:20], authority, "1", 1},
		{"type code 000", typeCode[:18] + "000", authority, "1", 1},
		{"type code letters", typeCode[:18] + "00A", authority, "1", 1},
		{"type code's USCC", "11100000000013338X001", authority, "1", 1},
		{"authority of 6", typeCode, "340100", "1", 1},
		{"authority's check", typeCode, "11110000000021135N", "1", 1},
		{"no authority", typeCode, "", "1", 1},
		{"no serial", typeCode, authority, "", 1},
		{"serial of 33", typeCode, authority, strings.Repeat("1", 33), 1},
		{"lower-case serial", typeCode, authority, "a1", 1},
		{"serial with dot", typeCode, authority, "1.1", 1},
		{"Chinese serial", typeCode, authority, "字1", 1},
		{"version 0", typeCode, authority, "1", 0},
		{"version -1", typeCode, authority, "1", -1},
		{"version 1000", typeCode, authority, "1", 1000},
	} {
		if id, err := licence.NewIdentifier(c.typeCode, c.authority, c.serial, c.version); err == nil || id != "" {
			t.Errorf("%s: minted %q", c.name, id)
		}
	}
}

func ExampleNewIdentifier() {
	id, err := licence.NewIdentifier("11100000000013338W001", "11110000000021135M", "2024000001", 1)
	fmt.Println(id, err)
	// Output: 1.2.156.3005.2.11100000000013338W001.11110000000021135M.2024000001.001.Z <nil>
}

func FuzzIdentifier(f *testing.F) {
	for _, s := range realIdentifiers {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, err := licence.ParseIdentifier(s)
		if err == nil && string(id) != s || err != nil && id != "" {
			t.Fatalf("%q: %q, %v", s, id, err)
		}
		if err != nil || licence.CheckTypeCode(id.TypeCode()) != nil || licence.CheckUSCC(id.AuthorityCode()) != nil || len(id.Serial()) > 32 {
			return
		}
		again, err := licence.NewIdentifier(id.TypeCode(), id.AuthorityCode(), id.Serial(), id.Version())
		if err != nil || again != id {
			t.Errorf("%q minted again is %q, %v", id, again, err)
		}
	})
}
