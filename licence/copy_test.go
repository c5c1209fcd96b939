package licence_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"elicence/licence"
)

// copiedLicence is the example as the data of a copy.
func copiedLicence(t *testing.T) *licence.Licence {
	t.Helper()
	l := issue(t, "food-canteen")
	l.Copy = &licence.Copy{
		ID: "0f1e2d3c4b5a69788796a5b4c3d2e1f0", CreatedAt: time.Date(2026, 3, 12, 15, 59, 58, 0, time.UTC), CaseNumber: "SB-2026-17",
		Maker: licence.Party{"杭州市数据资源管理局", "11330100MB1K0321XR"}, Receiver: licence.Party{"杭州市社会保险管理服务中心", "12330100470101308X"},
		Cause: "社会保险登记时核验用人单位的经营许可", ExpiresOn: date("2026-04-11"),
	}
	return l
}

// TestCopyData: the data of a copy name the four elements of GB/T 36903 in both spellings,
// come back as they were, and are other data than the licence's.
func TestCopyData(t *testing.T) {
	l := copiedLicence(t)
	data, err := l.Data()
	if err != nil {
		t.Fatal(err)
	}
	back, err := licence.ParseData(data)
	if err != nil || *back.Copy != *l.Copy {
		t.Fatalf("%+v, %v", back, err)
	}
	pinyin, err := l.PinyinData()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		in           []byte
		member, want string
	}{
		{data, "certificateCopyCreationTime", "2026-03-12T23:59:58+08:00"}, {pinyin, "JZJZZSJ", "2026-03-12T23:59:58+08:00"},
		{data, "certificateCopyCreator", l.Copy.Maker.Name}, {pinyin, "JZJZZZ", l.Copy.Maker.Name},
		{data, "certificateCopyCause", l.Copy.Cause}, {pinyin, "JZJZZSY", l.Copy.Cause},
		{data, "certificateCopyExpiringTime", "2026-04-11T23:59:59+08:00"}, {pinyin, "JZJYXQJZSJ", "2026-04-11T23:59:59+08:00"},
	} {
		var doc map[string]any
		if err := json.Unmarshal(c.in, &doc); err != nil {
			t.Fatal(err)
		}
		if m, ok := doc["metadata"].(map[string]any); ok {
			doc = m
		}
		if doc[c.member] != c.want {
			t.Errorf("%s is %v, want %s", c.member, doc[c.member], c.want)
		}
	}
	original := *l
	original.Copy = nil
	if other, err := original.Data(); err != nil || bytes.Equal(other, data) || bytes.Contains(other, []byte("certificateCopy")) {
		t.Errorf("the licence's own data: %s, %v", other, err)
	}
}

// TestCopyRefused: data that say half of a copy, or say it wrongly, are no data.
func TestCopyRefused(t *testing.T) {
	for name, spoil := range map[string]func(*licence.Copy){
		"no identifier": func(c *licence.Copy) { c.ID = "" }, "short identifier": func(c *licence.Copy) { c.ID = c.ID[2:] },
		"capitals": func(c *licence.Copy) { c.ID = licence.CopyID(strings.ToUpper(string(c.ID))) }, "no cause": func(c *licence.Copy) { c.Cause = "" },
		"invisible cause": func(c *licence.Copy) { c.Cause = "核验\u202e许可" }, "no receiver": func(c *licence.Copy) { c.Receiver = licence.Party{} },
		"receiver's code": func(c *licence.Copy) { c.Receiver.Code = "12330100470101308A" }, "maker's name": func(c *licence.Copy) { c.Maker.Name = "" },
		"no case": func(c *licence.Copy) { c.CaseNumber = "" }, "no last day": func(c *licence.Copy) { c.ExpiresOn = licence.Date{} },
		"no time": func(c *licence.Copy) { c.CreatedAt = time.Time{} }, "fraction": func(c *licence.Copy) { c.CreatedAt = c.CreatedAt.Add(time.Millisecond) },
		"last day before": func(c *licence.Copy) { c.ExpiresOn = date("2026-03-11") },
	} {
		l := copiedLicence(t)
		spoil(l.Copy)
		if data, err := l.Data(); err == nil {
			t.Errorf("%s: %s", name, data)
		}
	}
	data, err := copiedLicence(t).Data()
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string][2]string{
		"last second": {"2026-04-11T23:59:59+08:00", "2026-04-11T23:59:58+08:00"}, "time in UTC": {"2026-03-12T23:59:58+08:00", "2026-03-12T15:59:58Z00:00"},
		"a member less": {`"certificateCopyCause":"社会保险登记时核验用人单位的经营许可",`, ""}, "another member": {"certificateCopyCause", "certificateCopyCausf"},
	} {
		altered := bytes.Replace(data, []byte(change[0]), []byte(change[1]), 1)
		if l, err := licence.ParseData(altered); err == nil || bytes.Equal(altered, data) {
			t.Errorf("%s: read as %+v", name, l.Copy)
		}
	}
	for _, text := range []string{"", "0f1e2d3c4b5a69788796a5b4c3d2e1f", "0F1E2D3C4B5A69788796A5B4C3D2E1F0", "../e2d3c4b5a69788796a5b4c3d2e1f0", strings.Repeat("0", 33)} {
		if id, err := licence.ParseCopyID(text); err == nil {
			t.Errorf("%q is the identifier %q", text, id)
		}
	}
}

// TestCopyExpiry: a copy is good to the end of its last day in Asia/Shanghai.
func TestCopyExpiry(t *testing.T) {
	c := copiedLicence(t).Copy
	last := time.Date(2026, 4, 11, 15, 59, 59, 999_999_999, time.UTC)
	if c.ExpiredAt(last) || !c.ExpiredAt(last.Add(1)) {
		t.Error("its last instant is not that of 11 April in Asia/Shanghai")
	}
}

// TestCopyQR: the QR message of a copy says which copy and until when, and half of that is none.
func TestCopyQR(t *testing.T) {
	l := copiedLicence(t)
	data, err := l.Data()
	if err != nil {
		t.Fatal(err)
	}
	p := licence.NewQRPayload(l, data)
	message, err := p.Message([8]byte{1}, [64]byte{2})
	if err != nil {
		t.Fatal(err)
	}
	m, err := licence.ParseQRMessage(message)
	if err != nil || m.Payload != p || m.Payload.CopyID != l.Copy.ID || m.Payload.CopyExpiresOn != l.Copy.ExpiresOn {
		t.Fatalf("%+v, %v", m, err)
	}
	if fitted, err := licence.FitQRPayload(p, "https://zz.example.gov.cn"); err != nil || fitted.CopyID != p.CopyID {
		t.Errorf("%+v, %v", fitted, err)
	}
	for name, spoil := range map[string]func(*licence.QRPayload){
		"no last day": func(p *licence.QRPayload) { p.CopyExpiresOn = licence.Date{} }, "no identifier": func(p *licence.QRPayload) { p.CopyID = "" },
		"no hexadecimal": func(p *licence.QRPayload) { p.CopyID = licence.CopyID(strings.Repeat("g", 32)) },
	} {
		bad := p
		spoil(&bad)
		if b, err := bad.Message([8]byte{1}, [64]byte{2}); err == nil {
			t.Errorf("%s: %x", name, b)
		}
	}
}
