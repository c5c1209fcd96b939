package licence_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"elicence/licence"
	"elicence/testdata/hostile"

	"github.com/google/go-cmp/cmp"
	"github.com/piglig/go-qr"
)

func TestNewQRTextRefuses(t *testing.T) {
	for _, url := range []string{
		"", "licence.example", "//licence.example", "ftp://licence.example", "https://", "https:licence.example",
		"https://licence.example/", "https://licence.example/V", "https://licence.example?x=1", "https://licence.example?", "https://licence.example#",
		"https://user@licence.example", "https://user:pass@licence.example", "https://[::1]", "https://[::1]:8080", "https://licence_example",
		"https://证照.example", "https://licence.example:", "https://licence.example:0", "https://licence.example:65536", "https://licence.example:port",
		"https://-licence.example", "https://licence.example.", "https://lic%65nce.example", "https://licence.example ", " https://licence.example",
		"https://licence.example\n", "https://licence.\u212aexample", "javascript://licence.example", "https://" + strings.Repeat("a", 101),
	} {
		if q, err := licence.NewQRText(url, []byte("x")); err == nil || q != (licence.QRText{}) {
			t.Errorf("%q: %v", url, q)
		}
	}
	for _, n := range []int{0, 601} {
		if q, err := licence.NewQRText(publicURL, make([]byte, n)); err == nil || q != (licence.QRText{}) {
			t.Errorf("%d bytes: %v", n, q)
		}
	}
	for url, want := range map[string]string{
		"https://licence.example": "HTTPS://LICENCE.EXAMPLE/V", "HTTP://127.0.0.1:8080": "HTTP://127.0.0.1:8080/V", "https://Zz-1.gov.CN:65535": "HTTPS://ZZ-1.GOV.CN:65535/V",
	} {
		if q, err := licence.NewQRText(url, []byte("x")); err != nil || q.URL != want || q.Digits != "120" {
			t.Errorf("%q: %v, %v; want %s", url, q, err, want)
		}
	}
}

func TestParseQRTextRefuses(t *testing.T) {
	const page = "HTTPS://LICENCE.EXAMPLE/V"
	for _, text := range []string{
		"", "#", page, page + "#", page + "#1", page + "#12", page + "#1234", page + "#256", page + "#999",
		page + "#72057594037927936", page + "#99999999999999999", page + "#65536", page + "#12345678901234567" + "1",
		page + "#12 ", page + "# 120", page + "#+20", page + "#-20", page + "#12a", page + "#１２０", page + "#120#120", page + "#120\n",
		"/V#120", "V#120", "#120", "HTTPS:///V#120", "HTTPS://LICENCE.EXAMPLE#120", "HTTPS://LICENCE.EXAMPLE/#120", "HTTPS://LICENCE.EXAMPLE/W#120",
		"HTTPS://LICENCE.EXAMPLE/V/#120", "HTTPS://LICENCE.EXAMPLE/V?x#120", "HTTPS://LICENCE.EXAMPLE/X/V#120", "HTTPS://LICENCE.EXAMPLE//V#120",
		"HTTPS://U@LICENCE.EXAMPLE/V#120", "FTP://LICENCE.EXAMPLE/V#120", "LICENCE.EXAMPLE/V#120", "HTTPS://LICENCE.\u212aXAMPLE/V#120",
		"javascript:alert(1)//x/V#120", page + "#" + strings.Repeat("0", 1600), "HTTPS://" + strings.Repeat("A", 101) + "/V#120",
	} {
		if url, m, err := licence.ParseQRText(text); err == nil || url != "" || m != nil {
			t.Errorf("%.60q: %q, %x; want an error", text, url, m)
		}
	}
	for _, text := range []string{page + "#120", strings.ToLower(page) + "#120", "Https://Licence.Example/v#120"} {
		if url, m, err := licence.ParseQRText(text); err != nil || url != publicURL || string(m) != "x" {
			t.Errorf("%q: %q, %q, %v", text, url, m, err)
		}
	}
}

// TestQRDigits goes through messages of every length, with the smallest and the
// largest values of the last group.
func TestQRDigits(t *testing.T) {
	for n := 1; n <= 600; n++ {
		for _, fill := range []byte{0x00, 0xff} {
			message := bytes.Repeat([]byte{fill}, n)
			q, err := licence.NewQRText(publicURL, message)
			if err != nil {
				t.Fatal(err)
			}
			want := n/7*17 + []int{0, 3, 5, 8, 10, 13, 15}[n%7]
			_, got, err := licence.ParseQRText(q.String())
			if err != nil || !bytes.Equal(got, message) || len(q.Digits) != want {
				t.Fatalf("%d bytes of %x: %d digits, %v; want %d", n, fill, len(q.Digits), err, want)
			}
		}
	}
}

// leftOut is what p may leave out, in the order in which FitQRPayload tries it.
func leftOut(p licence.QRPayload) []licence.QRPayload {
	list := []licence.QRPayload{p, p, p, p}
	list[1].TypeName, list[2].HolderName = "", ""
	list[3].TypeName, list[3].HolderName = "", ""
	return list
}

// TestFitQRPayload compares our count of bits with what an encoder makes: of what
// may be left out, the first that gives version 13 or less is what is printed.
func TestFitQRPayload(t *testing.T) {
	seen := map[int]int{}
	numbers := []string{"1", strings.Repeat("1", 60), strings.Repeat("号", 26)}
	for _, url := range []string{publicURL, "http://127.0.0.1:8080", "https://a-rather-long-host-name.of-some-city.gov.cn"} {
		for i := range 45 * len(numbers) {
			p := payload(t, "safety-builder")
			p.Number, p.HolderName = numbers[i/45], strings.Repeat("长", i%45+1)
			list := leftOut(p)
			want := slices.IndexFunc(list, func(p licence.QRPayload) bool { return version(t, textOf(t, p, url)) <= 13 })
			seen[want]++
			got, err := licence.FitQRPayload(p, url)
			if want < 0 {
				if faults(t, err) != "number too_long" || got != (licence.QRPayload{}) {
					t.Errorf("%s, %s, %s: %v, %v; nothing fits", url, p.Number, p.HolderName, got, err)
				}
				continue
			}
			if err != nil || got != list[want] {
				t.Errorf("%s, %s: %v\n%s", url, p.Number, err, cmp.Diff(got, list[want]))
			}
		}
	}
	for want := -1; want < 4; want++ {
		if seen[want] == 0 {
			t.Errorf("no case for the outcome %d: %v", want, seen)
		}
	}
}

func TestFitQRPayloadRefuses(t *testing.T) {
	long := payload(t, "safety-builder")
	long.HolderName = strings.Repeat("𪚥", 200)
	if got, err := licence.FitQRPayload(long, publicURL); err != nil || got != leftOut(long)[2] {
		t.Errorf("a name of 800 bytes: %v, %v; want it dropped", got, err)
	}
	long.TypeName = strings.Repeat("证", 200)
	if got, err := licence.FitQRPayload(long, publicURL); err != nil || got != leftOut(long)[3] {
		t.Errorf("a type name of 600 bytes: %v, %v; want both dropped", got, err)
	}
	long.Number = strings.Repeat("字", 64)
	if got, err := licence.FitQRPayload(long, publicURL); faults(t, err) != "number too_long" || got != (licence.QRPayload{}) {
		t.Errorf("a number of 192 bytes: %v, %v; want an error", got, err)
	}
	for _, url := range []string{"", "https://x/y"} {
		if got, err := licence.FitQRPayload(payload(t, "safety-builder"), url); err == nil || got != (licence.QRPayload{}) {
			t.Errorf("public URL %q: %v, %v", url, got, err)
		}
	}
	bad := payload(t, "safety-builder")
	bad.Number = ""
	if got, err := licence.FitQRPayload(bad, publicURL); err == nil || got != (licence.QRPayload{}) {
		t.Errorf("no number: %v, %v", got, err)
	}
}

// TestFitQRSamples holds every sample to its holder's name, at hosts of three
// lengths, and says which must go without the name of the type.
func TestFitQRSamples(t *testing.T) {
	noType := map[string][]string{
		"http://127.0.0.1:8080":             {"joint-dwellings", "joint-school", "safety-foundation"},
		"https://zz.example.gov.cn":         {"joint-dwellings", "joint-school", "safety-builder", "safety-foundation"},
		"https://zhengzhao.hangzhou.gov.cn": {"joint-dwellings", "joint-school", "safety-builder", "safety-foundation"},
	}
	for url, short := range noType {
		for _, name := range sampleNames(t) {
			whole := payload(t, name)
			want := whole
			if slices.Contains(short, name) {
				want.TypeName = ""
			}
			got, err := licence.FitQRPayload(whole, url)
			if err != nil || got != want {
				t.Errorf("%s at %s: %v\n%s", name, url, err, cmp.Diff(got, want))
				continue
			}
			v := version(t, textOf(t, got, url))
			if t.Logf("%-18s %-33s version %d", name, url, v); v > 13 {
				t.Errorf("%s at %s: version %d", name, url, v)
			}
		}
	}
}

// version is the version of the symbol that three segments of text make at level M.
func version(t *testing.T, text string) int {
	t.Helper()
	url, digits, _ := strings.Cut(text, "#")
	alphanumeric, err := go_qr.MakeAlphanumeric(url)
	if err != nil {
		t.Fatal(err)
	}
	one, err := go_qr.MakeBytes([]byte("#"))
	if err != nil {
		t.Fatal(err)
	}
	numeric, err := go_qr.MakeNumeric(digits)
	if err != nil {
		t.Fatal(err)
	}
	code, err := go_qr.EncodeSegments([]*go_qr.QrSegment{alphanumeric, one, numeric}, go_qr.Medium, go_qr.MinVersion, go_qr.MaxVersion, 0, false)
	if err != nil {
		t.Fatal(err)
	}
	return (code.Size() - 17) / 4
}

func FuzzQRText(f *testing.F) {
	f.Add(readExample(f).text)
	f.Add("http://127.0.0.1:8080/v#120")
	f.Fuzz(func(t *testing.T, text string) {
		var url string
		var message []byte
		var err error
		hostile.Within(t, func() { url, message, err = licence.ParseQRText(text) })
		if err != nil {
			if url != "" || message != nil {
				t.Fatal("results with an error")
			}
			return
		}
		q, err := licence.NewQRText(url, message)
		if err != nil || q.String() != strings.ToUpper(text) {
			t.Fatalf("%q came back as %q, %v", text, q, err)
		}
	})
}
