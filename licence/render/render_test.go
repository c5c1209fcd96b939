package render_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"elicence/crypto/pdfsig"
	"elicence/licence"
	"elicence/licence/render"
	"elicence/templates"
)

// tool runs a program that judges from outside, and returns what it prints.
func tool(t testing.TB, pkg, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Fatalf("%s is not installed: install the Debian package %s", name, pkg)
	}
	var out, errs bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, &out, &errs)
	}
	return out.String()
}

// extracted is the text of a file as pdftotext sees it, without line breaks.
func extracted(t testing.TB, pdf []byte, args ...string) string {
	t.Helper()
	path := saved(t, "text.pdf", pdf)
	text := tool(t, "poppler-utils", "pdftotext", append(args, path, "-")...)
	return strings.NewReplacer("\n", "", "\f", "", "\r", "").Replace(text)
}

// printed lists what each sample's paper says, besides the core values.
var printed = map[string][]string{
	"food-business": {"食品经营许可证", "陈䶮", address, "餐饮服务经营者（中型餐馆）",
		"热食类食品制售；冷食类食品制售（不含生食果蔬）；糕点类食品制售；自制饮品制售（含自酿啤酒）；预包装食品销售（含冷藏冷冻食品）",
		"杭州市西湖区市场监督管理局文新市场监督管理所", "周海明、吴㛃", "12315", "郑立群", "2031年3月11日", "2026年3月12日",
		"经营者名称", "社会信用代码", "法定代表人（负责人）", "许可证编号", "日常监督管理机构", "投诉举报电话"},
	"work-safety": {"安全生产许可证", "刘𪚥", "浙江省杭州市滨江区江南大道588号恒鑫大厦主楼19层", "有限责任公司（自然人投资或控股）", "建筑施工", "2026年3月12日至2029年3月11日"},
	"joint-acceptance": {"建设工程竣工联合验收意见书", "杭州市规划和自然资源局", "杭政储出〔2022〕样例7号地块商品住宅（设配套公建）", "2022-330106-70-03-118627",
		"浙江省杭州市西湖区三墩镇样例路与古墩路交叉口东北侧", "总建筑面积58214.36平方米，住宅6幢、配套公建1幢", "建字第330100202300187号", "330106202304130201",
		"2026年4月10日", "2026年4月16日", "符合规划条件，准予通过规划核实", "消防验收合格", "工程档案齐全，同意验收", "文件齐全，准予备案"},
	"birth": {"出生医学证明", "林㛃", "女", "2026年3月5日8时12分", "39周", "3280克", "50厘米", "浙江省杭州市上城区", "杭州市妇产科医院", "31周岁", "汉族",
		"居民身份证", "林𰻝", "33周岁", "畲族", "330102199304082464"},
	"road-transport": {"道路运输从业人员从业资格证", "男", "1988年7月16日", "浙江省杭州市余杭区良渚街道古墩路1899号亲亲家园3幢2单元1101室", "A2",
		"2014年5月20日", "道路货物运输驾驶员", "道路危险货物运输驾驶员", "2018年9月3日", "2030年9月2日", "330100123456", "第1页"},
	"construction-qualification": {"建筑业企业资质证书", "刘建国", "10800万元整", "模板脚手架专业承包", "公路交通工程（公路安全设施）专业承包", "输变电工程专业承包", "第3页"},
}

// stated are the texts of a licence's own fields as they are printed.
func stated(v any) (texts []string) {
	switch v := v.(type) {
	case map[string]any:
		for _, member := range v {
			texts = append(texts, stated(member)...)
		}
	case []any:
		for _, item := range v {
			texts = append(texts, stated(item)...)
		}
	case string:
		if day, err := time.Parse(time.DateOnly, v); err == nil {
			v = day.Format("2006年1月2日")
		}
		if _, reference := licence.ParsePortraitReference(v); !reference {
			texts = append(texts, v)
		}
	}
	return texts
}

// TestText checks that every printed field can be extracted exactly, in reading
// order and in drawing order, rare characters included.
func TestText(t *testing.T) {
	for name := range layouts(t) {
		t.Run(name, func(t *testing.T) {
			lic := sample(t, name)
			out := mustRender(t, name, lic)
			want := append([]string{lic.Holder.Name, lic.Authority.Name, lic.Number, string(lic.Identifier)}, printed[name]...)
			if layout, err := fs.ReadFile(templates.Layouts(), name+"/layout.json"); err != nil || bytes.Contains(layout, []byte("{holder.code}")) {
				want = append(want, lic.Holder.Code)
			}
			if len(printed[name]) == 0 {
				want = append(want, stated(lic.Fields)...)
			}
			for _, args := range [][]string{nil, {"-raw"}} {
				text := extracted(t, out.PDF, args...)
				for _, s := range want {
					if !strings.Contains(text, s) {
						t.Errorf("pdftotext %v: %q is not in %q", args, s, text)
					}
				}
			}
		})
	}
}

// TestPlanes extracts a character of every kind that needs another font or a
// private code point, alone and between others, in plain and bold faces.
func TestPlanes(t *testing.T) {
	for _, s := range []string{"䶮", "㛃", "𬭼", "𠅤", "𪚥", "𰻝", "𠮷野", "一𠅤二𪚥三𰻝𬭼", "﨎﨑", "〇々〆", "é·Ñ–Ω", "①㎡№", "‘单’“双”…—", "阿卜杜拉·买买提", "阿卜杜拉・买买提", "阿卜杜拉‧买买提",
		"Āzād Ömerǵülşen", "Lǚ Ǹg Ḿ Ẑhū ǎěǐǒǔǚ", "Nguyễn Thị Ệ", "臺灣體國龍龜黃邨峯", "喆堃瑠镕㑇囍𱁬"} {
		lic := sample(t, "work-safety")
		lic.Holder.Name = s
		lic.Fields["principal"] = s + "甲" + s
		out := mustRender(t, "work-safety", lic)
		if text := extracted(t, out.PDF, "-raw"); strings.Count(text, s) < 3 {
			t.Errorf("%q is not three times in %q", s, text)
		}
	}
}

// TestLongNames: holders' names of 50 characters are drawn whole on every layout.
func TestLongNames(t *testing.T) {
	for name := range layouts(t) {
		for _, s := range []string{strings.Repeat("䶮𠅤𪚥𰻝𬭼", 10), strings.Repeat("阿卜杜拉·买买提伊力", 5), "Gulnar Ömerǵülşen Äzizova-Qurbanǵali of Ürümqi Şäh"} {
			if n := utf8.RuneCountInString(s); n != 50 {
				t.Fatalf("%q has %d characters", s, n)
			}
			lic := sample(t, name)
			lic.Holder.Name = s
			out, err := layouts(t)[name].Render(fonts(t), input(lic))
			if err != nil {
				t.Errorf("%s: %s: %v", name, s, err)
				continue
			}
			if text := extracted(t, out.PDF, "-raw"); !strings.Contains(text, s) {
				t.Errorf("%s: %q is not in %q", name, s, text)
			}
		}
	}
}

// TestFile has outside judges look at each file.
func TestFile(t *testing.T) {
	for name := range layouts(t) {
		t.Run(name, func(t *testing.T) {
			out := mustRender(t, name, sample(t, name))
			path := saved(t, name+".pdf", out.PDF)
			tool(t, "qpdf", "qpdf", "--check", path)
			info := tool(t, "poppler-utils", "pdfinfo", path)
			for _, want := range []string{fmt.Sprintf("Pages:           %d\n", out.Pages), "JavaScript:      no", "Encrypted:       no"} {
				if !strings.Contains(info, want) {
					t.Errorf("pdfinfo does not say %q:\n%s", want, info)
				}
			}
			fonts := tool(t, "poppler-utils", "pdffonts", path)
			if strings.Count(fonts, "\n") != 3 || !strings.Contains(fonts, "yes") {
				t.Errorf("not one embedded font:\n%s", fonts)
			}
			for _, banned := range []string{"/OpenAction", "/Annots", "/JavaScript", "/AA", "/URI", "/OutputIntents", "/ID"} {
				if bytes.Contains(out.PDF, []byte(banned+" ")) {
					t.Errorf("the file has %s", banned)
				}
			}
			kind := "<elicence:holderKind>" + string(sample(t, name).Holder.Kind()) + "</elicence:holderKind>"
			if out.Pages > 1 != bytes.Contains(out.PDF, []byte("/Outlines ")) {
				t.Errorf("bookmarks of %d pages: %t", out.Pages, out.Pages == 1)
			}
			for _, want := range []string{"%PDF-1.7", "/Lang (zh-CN)", "<dc:identifier>1.2.156.3005.2.", kind} {
				if !bytes.Contains(out.PDF, []byte(want)) {
					t.Errorf("the file lacks %s", want)
				}
			}
		})
	}
}

// TestScan has a scanner outside read the symbol from the page as printed at
// 200 dpi.
func TestScan(t *testing.T) {
	for name := range layouts(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := mustRender(t, name, sample(t, name))
			path := saved(t, name+".pdf", out.PDF)
			picture := strings.TrimSuffix(path, ".pdf") + "-page"
			tool(t, "poppler-utils", "pdftoppm", "-r", "200", "-gray", "-f", "1", "-singlefile", path, picture)
			got := strings.TrimSpace(tool(t, "zbar-tools", "zbarimg", "-q", "--raw", picture+".pgm"))
			if want := qrText().String(); got != want {
				t.Errorf("zbarimg reads %q, want %q", got, want)
			}
		})
	}
}

// TestSealed seals each file and reads it with the strict reader, attachments,
// symbol and all.
func TestSealed(t *testing.T) {
	picture := picture()
	for name := range layouts(t) {
		t.Run(name, func(t *testing.T) {
			lic := sample(t, name)
			out := mustRender(t, name, lic)
			x, y := out.Seal.Centred(picture.Width, picture.Height)
			prepared, err := pdfsig.Prepare(out.PDF, pdfsig.Options{FieldName: "seal", Page: out.Seal.Page, X: x, Y: y, SignerName: "signer",
				Appearance:  pdfsig.Appearance{Width: picture.Width, Height: picture.Height, Content: picture.Content},
				ClaimedTime: created, Reserve: 64})
			if err != nil {
				t.Fatal(err)
			}
			sealed, err := prepared.Finish([]byte{0x30, 3, 2, 1, 1})
			if err != nil {
				t.Fatal(err)
			}
			file, err := pdfsig.Read(sealed)
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range input(lic).Attachments {
				if !bytes.Equal(file.Attachments[a.Name], a.Data) {
					t.Errorf("attachment %s: %q", a.Name, file.Attachments[a.Name])
				}
			}
			content, err := file.PageContent(out.QR.Page)
			if err != nil {
				t.Fatal(err)
			}
			got, err := render.DecodeQR(content, out.QR)
			if err != nil || got != qrText().String() {
				t.Errorf("DecodeQR: %q, %v", got, err)
			}
		})
	}
}

// TestSameBytes draws one licence many times at once: the same bytes every time.
func TestSameBytes(t *testing.T) {
	want := mustRender(t, "construction-qualification", sample(t, "construction-qualification"))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			fresh, err := render.OpenFonts("../../fonts")
			if err != nil {
				t.Error(err)
				return
			}
			for _, f := range []*render.Fonts{fresh, fonts(t)} {
				got, err := layouts(t)["construction-qualification"].Render(f, input(sample(t, "construction-qualification")))
				if err != nil || !bytes.Equal(got.PDF, want.PDF) {
					t.Errorf("another file, or %v", err)
				}
			}
		})
	}
	wg.Wait()
}

// TestPages checks how many pages a list takes.
func TestPages(t *testing.T) {
	row := map[string]any{"category": "建筑工程施工总承包", "grade": "贰级", "approved_on": "2026-03-12"}
	for rows, pages := range map[int]int{0: 1, 1: 1, 9: 1, 10: 2, 24: 2, 25: 3, 60: 5} {
		lic := sample(t, "construction-qualification")
		lic.Fields["qualifications"] = slices.Repeat([]any{row}, rows)
		if out := mustRender(t, "construction-qualification", lic); out.Pages != pages {
			t.Errorf("%d rows: %d pages, want %d", rows, out.Pages, pages)
		}
	}
}

// TestRefused is a table of values that cannot be drawn.
func TestRefused(t *testing.T) {
	set := func(field string) func(*licence.Licence, string) {
		return func(l *licence.Licence, s string) { l.Fields[field] = s }
	}
	holder := func(l *licence.Licence, s string) { l.Holder.Name = s }
	cases := []struct {
		name        string
		set         func(*licence.Licence, string)
		value       string
		field, code string
		says        string
	}{
		{"control", holder, "张\x07三", "holder.name", licence.CodeControlCharacter, "U+0007"},
		{"line break", set("address"), "杭州市\n文三路", "fields.address", licence.CodeControlCharacter, "U+000A"},
		{"line separator", holder, "张\u2028三", "holder.name", licence.CodeControlCharacter, "U+2028"},
		{"bidi override", holder, "张\u202e三", "holder.name", licence.CodeBidiControl, "U+202E"},
		{"bidi isolate", holder, "\u2066张", "holder.name", licence.CodeBidiControl, "U+2066"},
		{"zero width space", holder, "张\u200b三", "holder.name", licence.CodeZeroWidth, "U+200B"},
		{"byte order mark", holder, "\ufeff张三", "holder.name", licence.CodeZeroWidth, "U+FEFF"},
		{"ideographic variation", holder, "葛\U000E0100", "holder.name", licence.CodeZeroWidth, "variation selector U+E0100"},
		{"standardised variation", holder, "㐂\uFE00", "holder.name", licence.CodeZeroWidth, "variation selector U+FE00"},
		{"zero width joiner", holder, "张\u200d三", "holder.name", licence.CodeZeroWidth, "U+200D"},
		{"soft hyphen", holder, "张\u00ad三", "holder.name", licence.CodeZeroWidth, "U+00AD"},
		{"Hebrew", holder, "א", "holder.name", render.CodeUndrawable, "right-to-left"},
		{"Uyghur", holder, "ئۇ", "holder.name", render.CodeUndrawable, "U+0626"},
		{"hangul filler", holder, "张\u3164", "holder.name", licence.CodeZeroWidth, "U+3164"},
		{"private use", holder, "\ue000", "holder.name", licence.CodePrivateUse, "U+E000"},
		{"private use plane", holder, "\U000F0000", "holder.name", licence.CodePrivateUse, "U+F0000"},
		{"unassigned", holder, "\u0378", "holder.name", licence.CodeBadCharacter, "U+0378"},
		{"unassigned plane", holder, "\U0003FFF0", "holder.name", licence.CodeBadCharacter, "U+3FFF0"},
		{"replacement character", holder, "张\ufffd", "holder.name", licence.CodeBadCharacter, "U+FFFD"},
		{"no-break space", holder, "张\u00a0三", "holder.name", licence.CodeBadCharacter, "U+00A0"},
		{"emoji", set("address"), "杭州😀", "fields.address", licence.CodeBadCharacter, "pictograph"},
		{"dingbat", set("address"), "✂", "fields.address", licence.CodeBadCharacter, "pictograph"},
		{"combining mark", holder, "e\u0301", "holder.name", render.CodeUndrawable, "U+0301"},
		{"Devanagari", set("principal"), "刘क", "fields.principal", render.CodeUndrawable, "क (U+0915) at character 2"},
		{"cuneiform", set("scope"), "𒀀", "fields.scope", render.CodeUndrawable, "U+12000"},
		{"invalid UTF-8", holder, "张\xff三", "holder.name", licence.CodeInvalidUTF8, "UTF-8"},
		{"half a surrogate", holder, "\xed\xa0\x80", "holder.name", licence.CodeInvalidUTF8, "UTF-8"},
		{"1,000 characters", holder, strings.Repeat("张", 1000), "holder.name", render.CodeNoRoom, "too long"},
		{"one word of 500", set("address"), strings.Repeat("W", 500), "fields.address", render.CodeNoRoom, "too long"},
		{"10 MB", set("address"), strings.Repeat("路", 3<<20), "fields.address", render.CodeNoRoom, "too long"},
		{"authority", func(l *licence.Licence, s string) { l.Authority.Name = s }, "局\x00", "authority.name", licence.CodeControlCharacter, "U+0000"},
		{"number", func(l *licence.Licence, s string) { l.Number = s }, strings.Repeat("9", 400), "number", render.CodeNoRoom, "too long"},
	}
	f, l := fonts(t), layouts(t)["work-safety"]
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			lic := sample(t, "work-safety")
			c.set(lic, c.value)
			out, err := l.Render(f, input(lic))
			if diff := cmp.Diff(render.Output{}, out); diff != "" {
				t.Errorf("output beside an error: %s", diff)
			}
			if check := l.Check(f, lic); check == nil || check.Error() != err.Error() {
				t.Errorf("Check says %v, Render %v", check, err)
			}
			var refused *licence.RequestError
			if !errors.As(err, &refused) {
				t.Fatalf("got %v, want a request error", err)
			}
			got := refused.Fields[0]
			if got.Field != c.field || got.Code != c.code || !strings.Contains(got.Detail, c.says) || len(refused.Fields) != 1 {
				t.Errorf("got %+v, want %s %s naming %s", refused.Fields, c.field, c.code, c.says)
			}
		})
	}
}

// TestRefusedEach checks that all faults are reported at once, list members by
// their index.
func TestRefusedEach(t *testing.T) {
	lic := sample(t, "construction-qualification")
	lic.Holder.Name = "甲\u200b"
	lic.Fields["qualifications"].([]any)[11].(map[string]any)["category"] = "钢\ue001"
	_, err := layouts(t)["construction-qualification"].Render(fonts(t), input(lic))
	var refused *licence.RequestError
	if !errors.As(err, &refused) {
		t.Fatal(err)
	}
	var fields []string
	for _, f := range refused.Fields {
		fields = append(fields, f.Field)
	}
	want := []string{"fields.qualifications[11].category", "holder.name"}
	if diff := cmp.Diff(want, fields); diff != "" {
		t.Error(diff)
	}
}

// TestBadInput covers what is not a value of the licence.
func TestBadInput(t *testing.T) {
	l, f := layouts(t)["birth"], fonts(t)
	good := input(sample(t, "birth"))
	for name, spoil := range map[string]func(*render.Input){
		"no licence":       func(in *render.Input) { in.Licence = nil },
		"no time":          func(in *render.Input) { in.CreatedAt = time.Time{} },
		"QR in lower case": func(in *render.Input) { in.QR.URL = "https://x/v" },
		"QR with letters":  func(in *render.Input) { in.QR.Digits = "12a" },
		"QR of version 14": func(in *render.Input) { in.QR.Digits = strings.Repeat("7", 900) },
		"file name":        func(in *render.Input) { in.Attachments = []render.Attachment{{Name: "a\xe4"}} },
		"no file name":     func(in *render.Input) { in.Attachments = []render.Attachment{{}} },
		"many files":       func(in *render.Input) { in.Attachments = slices.Repeat(in.Attachments, 4) },
		"file description": func(in *render.Input) { in.Attachments = []render.Attachment{{Name: "a", Description: "\xf0"}} },
		"QR of 10 MB":      func(in *render.Input) { in.QR.Digits = strings.Repeat("7", 10<<20) },
	} {
		in := good
		spoil(&in)
		if out, err := l.Render(f, in); err == nil || len(out.PDF) > 0 {
			t.Errorf("%s: accepted", name)
		}
	}
}

// FuzzRender puts any text into any field: a file or a request error, never
// anything else.
func FuzzRender(f *testing.F) {
	for i, s := range []string{"陈䶮", "𰻝", "\x00", "\u202e", "e\u0301", "", " ", "　", "（（（（", "。。。", strings.Repeat("W", 300), strings.Repeat("文 ", 90), "\xff", "a\tb", "𠅤(\\)\r"} {
		f.Add(uint8(i), uint8(i*7), s)
	}
	all, fonts := layouts(f), fonts(f)
	var names []string
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	f.Fuzz(func(t *testing.T, layout, field uint8, s string) {
		name := names[int(layout)%len(names)]
		lic := sample(t, name)
		var keys []string
		for key := range lic.Fields {
			if key != "photo" { // which portrait goes with it is the caller's to know
				keys = append(keys, key)
			}
		}
		slices.Sort(keys)
		switch n := int(field) % (len(keys) + 5); {
		case n < len(keys):
			lic.Fields[keys[n]] = s
		case n == len(keys):
			lic.Holder.Name = s
		case n == len(keys)+1:
			lic.Authority.Name = s
		case n == len(keys)+2:
			lic.Number = s
		case n == len(keys)+3:
			lic.TypeName, lic.Identifier = s, licence.Identifier(s)
		default:
			lic.Fields[keys[0]] = []any{s, map[string]any{s: s}, nil, []any{s}}
		}
		out, err := all[name].Render(fonts, input(lic))
		var refused *licence.RequestError
		if err != nil && !errors.As(err, &refused) {
			t.Fatalf("neither file nor refusal: %v", err)
		}
		if (err == nil) != bytes.HasPrefix(out.PDF, []byte("%PDF-1.7\n")) {
			t.Fatalf("file %.9q with error %v", out.PDF, err)
		}
	})
}
