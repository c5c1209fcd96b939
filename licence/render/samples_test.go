package render_test

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"elicence/licence"
	"elicence/licence/render"
	"elicence/licence/render/portrait"
	"elicence/templates"
	"elicence/testdata/requests"
)

// openFonts parses the project's fonts once for all tests.
var openFonts = sync.OnceValues(func() (*render.Fonts, error) {
	return render.OpenFonts(filepath.Join("..", "..", "fonts"))
})

func fonts(t testing.TB) *render.Fonts {
	t.Helper()
	f, err := openFonts()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// layouts reads the project's layouts, without the blocks for documents.
func layouts(t testing.TB) map[string]*render.Layout {
	t.Helper()
	all, err := render.LoadLayouts(templates.Layouts())
	if err != nil {
		t.Fatal(err)
	}
	maps.DeleteFunc(all, func(_ string, l *render.Layout) bool { return l.OnDocument() })
	return all
}

// created is every test file's creation time.
var created = time.Date(2026, 3, 12, 2, 30, 0, 0, time.UTC)

func date(s string) licence.Date {
	d, err := licence.ParseDate(s)
	if err != nil {
		panic(err)
	}
	return d
}

const (
	cityCode = "11330106002504122C"
	address  = "浙江省杭州市西湖区文三路90号东部软件园创新大厦1号楼西侧裙楼三层305室（自主申报）"
)

// sample is a licence of the layout's type, with rare characters in its names.
func sample(t testing.TB, layout string) *licence.Licence {
	t.Helper()
	l, ok := samples()[layout]
	if !ok {
		l = requested(t, layout)
	}
	if layout == "road-transport" { // where it may be left out
		l.Fields["photo"] = requested(t, "special-operation").Fields["photo"]
	}
	l.Version = 1
	id, err := licence.NewIdentifier(l.TypeCode, l.Authority.Code, strings.Repeat("20260000127", 1), 1)
	if err != nil {
		t.Fatal(err)
	}
	l.Identifier = id
	return &l
}

// issuers are the authorities of the sample requests of single types.
var issuers = map[string]licence.IssuingAuthority{
	"business-licence":    {Name: "杭州市西湖区市场监督管理局", Code: cityCode, Division: "330106"},
	"special-operation":   {Name: "杭州市应急管理局", Code: cityCode, Division: "330100"},
	"real-estate":         {Name: "杭州市规划和自然资源局", Code: "11330100002491288H", Division: "330100"},
	"public-hygiene":      {Name: "杭州市卫生健康委员会", Code: "11330100002490170T", Division: "330100"},
	"private-school":      {Name: "杭州市西湖区教育局", Code: cityCode, Division: "330106"},
	"tobacco-retail":      {Name: "杭州市西湖区烟草专卖局", Code: cityCode, Division: "330106"},
	"water-abstraction":   {Name: "杭州市林业水利局", Code: cityCode, Division: "330100"},
	"construction-permit": {Name: "杭州市城乡建设委员会", Code: "113301000024903302", Division: "330100"},
}

// portraits are those that samples name.
var portraits sync.Map // reference to JPEG

// requested is a licence as the sample request of its type asks for it.
func requested(t testing.TB, layout string) licence.Licence {
	t.Helper()
	body, err := requests.Types.ReadFile("types/" + layout + ".json")
	if err != nil {
		t.Fatalf("no sample for layout %s: %v", layout, err)
	}
	catalogue, err := licence.LoadCatalogue(templates.Catalogue())
	if err != nil {
		t.Fatal(err)
	}
	r, _, err := licence.ParseRequest(body, catalogue, issuers[layout], date("2026-11-20"))
	if err != nil {
		t.Fatalf("%s: %v", layout, err)
	}
	item, err := catalogue.Item(r.TypeCode)
	if err != nil {
		t.Fatal(err)
	}
	number, err := item.FormatNumber(r, 127)
	if err != nil {
		t.Fatal(err)
	}
	if r.Photo != nil {
		jpeg, err := portrait.Prepare("fields."+item.Portrait(), r.Photo)
		if err != nil {
			t.Fatal(err)
		}
		r.Fields[item.Portrait()] = licence.PortraitReference(jpeg)
		portraits.Store(licence.PortraitReference(jpeg), jpeg)
	}
	return licence.Licence{Number: number, TypeCode: r.TypeCode, TypeName: item.Name, Holder: r.Holder, Authority: r.Authority,
		IssuedOn: r.IssuedOn, EffectiveOn: r.EffectiveOn, ExpiresOn: r.ExpiresOn, Fields: r.Fields}
}

func samples() map[string]licence.Licence {
	company := licence.Holder{Name: "杭州西湖知味餐饮管理有限公司", Code: "91330106MA2H41QX6A", CodeType: licence.CodeTypeUSCC}
	builder := licence.Holder{Name: "浙江钱塘建工集团有限公司", Code: "913301087161587351", CodeType: licence.CodeTypeUSCC}
	person := func(name string) licence.Holder {
		return licence.Holder{Name: name, Code: "330102199504082465", CodeType: licence.CodeTypeCitizenNumber}
	}
	var qualifications []any
	for _, q := range []string{"建筑工程施工总承包", "市政公用工程施工总承包", "公路工程施工总承包", "机电工程施工总承包", "地基基础工程专业承包",
		"起重设备安装工程专业承包", "电子与智能化工程专业承包", "消防设施工程专业承包", "防水防腐保温工程专业承包", "桥梁工程专业承包",
		"隧道工程专业承包", "钢结构工程专业承包", "模板脚手架专业承包", "建筑装修装饰工程专业承包", "建筑机电安装工程专业承包", "建筑幕墙工程专业承包",
		"古建筑工程专业承包", "城市及道路照明工程专业承包", "公路路面工程专业承包", "公路路基工程专业承包", "公路交通工程（公路安全设施）专业承包",
		"环保工程专业承包", "特种工程（结构补强）专业承包", "水利水电工程施工总承包", "石油化工工程施工总承包", "通信工程施工总承包",
		"河湖整治工程专业承包", "输变电工程专业承包"} {
		qualifications = append(qualifications, map[string]any{"category": q, "grade": "贰级", "approved_on": "2026-03-12"})
	}
	return map[string]licence.Licence{
		"food-business": {Number: "JY23301060000016", TypeCode: "11100000MB0143028R901", TypeName: "食品经营许可证", Holder: company,
			Authority: licence.IssuingAuthority{Name: "杭州市西湖区市场监督管理局", Code: cityCode, Division: "330106"},
			IssuedOn:  date("2026-03-12"), EffectiveOn: date("2026-03-12"), ExpiresOn: date("2031-03-11"),
			Fields: map[string]any{"legal_representative": "陈䶮", "residence": address, "premises": address, "business_form": "餐饮服务经营者（中型餐馆）",
				"business_items":   []any{"热食类食品制售", "冷食类食品制售（不含生食果蔬）", "糕点类食品制售", "自制饮品制售（含自酿啤酒）", "预包装食品销售（含冷藏冷冻食品）"},
				"warehouses":       []any{"浙江省杭州市西湖区三墩镇西园一路16号3幢1层东侧（自有）", "浙江省杭州市余杭区良渚街道莫干山路2999号（租赁）"},
				"supervising_body": "杭州市西湖区市场监督管理局文新市场监督管理所",
				"supervisors":      []any{"周海明", "吴㛃"}, "complaint_telephone": "12315", "signatory": "郑立群"}},
		"work-safety": {Number: "（浙）JZ安许证字〔2026〕000403", TypeCode: "11100000000013338W901", TypeName: "安全生产许可证", Holder: builder,
			Authority: licence.IssuingAuthority{Name: "杭州市城乡建设委员会", Code: "113301000024903302", Division: "330100"},
			IssuedOn:  date("2026-03-12"), EffectiveOn: date("2026-03-12"), ExpiresOn: date("2029-03-11"),
			Fields: map[string]any{"principal": "刘𪚥", "address": "浙江省杭州市滨江区江南大道588号恒鑫大厦主楼19层",
				"economic_type": "有限责任公司（自然人投资或控股）", "scope": "建筑施工"}},
		"joint-acceptance": {Number: "杭联验〔2026〕00012号", TypeCode: "113301000024903302901", TypeName: "建设工程竣工联合验收意见书",
			Holder:    licence.Holder{Name: "杭州样例城市更新建设有限公司", Code: "91330106MA0000C2X3", CodeType: licence.CodeTypeUSCC},
			Authority: licence.IssuingAuthority{Name: "杭州市城乡建设委员会", Code: "113301000024903302", Division: "330100"},
			CoSealers: []licence.CoSealer{{Name: "杭州市规划和自然资源局", Code: "11330100002491288H"}},
			IssuedOn:  date("2026-04-16"), EffectiveOn: date("2026-04-16"),
			Fields: map[string]any{"project_name": "杭政储出〔2022〕样例7号地块商品住宅（设配套公建）", "project_code": "2022-330106-70-03-118627",
				"site": "浙江省杭州市西湖区三墩镇样例路与古墩路交叉口东北侧", "scale": "总建筑面积58214.36平方米，住宅6幢、配套公建1幢",
				"planning_permit": "建字第330100202300187号", "construction_permit": "330106202304130201", "inspected_on": "2026-04-10",
				"planning_opinion": "符合规划条件，准予通过规划核实", "fire_opinion": "消防验收合格",
				"archives_opinion": "工程档案齐全，同意验收", "filing_opinion": "文件齐全，准予备案"}},
		"birth": {Number: "W330000127", TypeCode: "11100000MB19000005901", TypeName: "出生医学证明", Holder: person("王𬭼"),
			Authority: licence.IssuingAuthority{Name: "杭州市卫生健康委员会", Code: "11330100002490170T", Division: "330100"},
			IssuedOn:  date("2026-03-12"), EffectiveOn: date("2026-03-12"),
			Fields: map[string]any{"newborn_name": "林㛃", "sex": "女", "born_at": "2026-03-05T08:12", "gestation_weeks": int64(39), "weight_grams": int64(3280),
				"length_cm": int64(50), "birth_place": "浙江省杭州市上城区", "facility": "杭州市妇产科医院", "mother_age": int64(31), "mother_nationality": "中国",
				"mother_ethnicity": "汉族", "mother_address": "浙江省杭州市上城区庆春路118号嘉德广场2幢1单元1602室", "father_name": "林𰻝", "father_age": int64(33),
				"father_nationality": "中国", "father_ethnicity": "畲族", "father_address": "浙江省杭州市上城区庆春路118号嘉德广场2幢1单元1602室",
				"father_id_type": "居民身份证", "father_id_number": "330102199304082464"}},
		"road-transport": {Number: "330100202600000123", TypeCode: "11100000000019713D071", TypeName: "道路运输从业人员从业资格证", Holder: person("张𠅤"),
			Authority: licence.IssuingAuthority{Name: "杭州市道路运输管理服务中心", Code: "12330100470102108R", Division: "330100"},
			IssuedOn:  date("2026-05-20"), EffectiveOn: date("2026-05-20"), ExpiresOn: date("2032-05-19"),
			Fields: map[string]any{"sex": "男", "birth_date": "1988-07-16", "nationality": "中国", "address": "浙江省杭州市余杭区良渚街道古墩路1899号亲亲家园3幢2单元1101室",
				"driving_class": "A2", "first_issued_on": "2014-05-20", "file_number": "330100123456",
				"categories": []any{
					map[string]any{"category": "道路货物运输驾驶员", "first_issued_on": "2014-05-20", "valid_from": "2026-05-20", "valid_until": "2032-05-19"},
					map[string]any{"category": "道路危险货物运输驾驶员", "first_issued_on": "2018-09-03", "valid_from": "2024-09-03", "valid_until": "2030-09-02"}}}},
		"construction-qualification": {Number: "D333000127", TypeCode: "11100000000013338W902", TypeName: "建筑业企业资质证书", Holder: builder,
			Authority: licence.IssuingAuthority{Name: "杭州市城乡建设委员会", Code: "113301000024903302", Division: "330100"},
			IssuedOn:  date("2026-03-12"), EffectiveOn: date("2026-03-12"), ExpiresOn: date("2031-03-11"),
			Fields: map[string]any{"legal_representative": "刘建国", "address": "浙江省杭州市滨江区江南大道588号恒鑫大厦主楼19层",
				"registered_capital": "10800万元整", "economic_nature": "有限责任公司（自然人投资或控股）", "qualifications": qualifications}},
	}
}

// qrText is a text of the usual length, 257 bytes of payload.
func qrText() licence.QRText {
	return licence.QRText{URL: "HTTPS://ZZ.HANGZHOU.EXAMPLE.CN/V", Digits: strings.Repeat("31415926535897932", 36) + "0123456789123"}
}

// picture is the seal of the samples, drawn once.
var picture = sync.OnceValue(func() *render.SealPicture {
	f, err := openFonts()
	if err != nil {
		panic(err)
	}
	p, err := render.DrawSeal(f, render.SealDesign{Name: "杭州市城乡建设委员会", DiameterMM: 42})
	if err != nil {
		panic(err)
	}
	return &p
})

func input(lic *licence.Licence) render.Input {
	data := []byte(`{"format":"elicence-licence/1"}`)
	var jpeg []byte
	for _, name := range licence.PortraitReferences(lic.Fields) {
		if found, ok := portraits.Load(lic.Fields[name]); ok {
			jpeg = found.([]byte)
		}
	}
	return render.Input{Licence: lic, Portrait: jpeg, QR: qrText(), CreatedAt: created, SealPicture: picture(), Attachments: []render.Attachment{
		{Name: "licence.json", Description: "Licence data", Data: data},
		{Name: "qr.cbor", Description: "QR payload", Data: []byte{0xA0}},
		{Name: "qr-signer.cer", Description: "QR signer's certificate", Data: []byte{0x30, 0}}}}
}

func mustRender(t testing.TB, layout string, lic *licence.Licence) render.Output {
	t.Helper()
	out, err := layouts(t)[layout].Render(fonts(t), input(lic))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// saved writes the file to a folder of the test, or below ELICENCE_KEEP when
// someone wants to look at it.
func saved(t testing.TB, name string, data []byte) string {
	t.Helper()
	dir := t.TempDir()
	if keep := os.Getenv("ELICENCE_KEEP"); keep != "" {
		dir = keep
	}
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}
