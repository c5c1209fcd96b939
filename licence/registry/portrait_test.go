package registry_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"testing"
	"time"

	"elicence/crypto/pdfsig"
	"elicence/licence"
	"elicence/licence/consent"
	"elicence/licence/registry"
	"elicence/licence/registry/registrytest"
	"elicence/licence/render"
	"elicence/licence/render/portrait"
)

const portraitSample = "types/special-operation.json"

// photographed is the sample request with another value for the photograph.
func photographed(t testing.TB, photo string) ([]byte, registry.Caller) {
	t.Helper()
	body, c := sample(t, portraitSample)
	doc, err := licence.ParseJSON(body)
	must(t, err)
	doc.(map[string]any)["fields"].(map[string]any)["photo"] = photo
	body, err = licence.MarshalCanonical(doc)
	must(t, err)
	return body, c
}

// TestPortrait: what a request sends as a photograph is in the file as a portrait, drawn,
// attached and named by the data, and stays through the versions that do not change it.
func TestPortrait(t *testing.T) {
	s := open(t)
	issued := issue(t, s, portraitSample, "k")
	_, c := sample(t, portraitSample)
	read := func(id licence.Identifier) (*licence.Licence, *pdfsig.File) {
		file, _, err := s.Download(t.Context(), c, id, registry.Use{})
		must(t, err)
		passes(t, s, file)
		f, err := pdfsig.Read(file)
		must(t, err)
		l, err := licence.ParseData(f.Attachments["licence.json"])
		must(t, err)
		return l, f
	}
	l, f := read(issued.Identifier)
	jpeg := f.Attachments[portrait.Name]
	if named := l.Fields["photo"]; len(jpeg) == 0 || named != licence.PortraitReference(jpeg) || !bytes.Equal(f.Portrait, jpeg) {
		t.Fatalf("data name %v, %d bytes attached, %d drawn", named, len(jpeg), len(f.Portrait))
	}
	digest, _ := licence.ParsePortraitReference(l.Fields["photo"].(string))
	if stored, err := s.Config.Files.Get(t.Context(), digest); err != nil || !bytes.Equal(stored, jpeg) {
		t.Errorf("stored: %d bytes, %v", len(stored), err)
	}

	fields := `"sex": "男", "work_category": "电工作业", "permitted_items": "高压电工作业", "first_issued_on": "2020-04-08", "review_by": "2029-04-07"`
	amend := func(key, photo string) (registry.Issued, error) {
		body := `{"reason": "r", "fields": {"photo": "` + photo + `", ` + fields + `}}`
		issued, _, err := s.Amend(t.Context(), c, issued.Identifier, registry.VersionRequest{Key: key, Body: []byte(body)})
		return issued, err
	}
	for name, photo := range map[string]string{"of nothing": licence.PortraitReference(nil), "no photograph": "AAAA", "a face": "脸"} {
		var refused *licence.RequestError
		if _, err := amend(strings.ReplaceAll("bad "+name, " ", "-"), photo); !errors.As(err, &refused) || refused.Fields[0].Field != "fields.photo" {
			t.Errorf("amended with %s: %v", name, err)
		}
	}
	kept, err := amend("kept", l.Fields["photo"].(string))
	must(t, err)
	if next, f := read(kept.Identifier); next.Fields["photo"] != l.Fields["photo"] || !bytes.Equal(f.Portrait, jpeg) || next.Fields["permitted_items"] != "高压电工作业" {
		t.Errorf("version 2 states %v", next.Fields)
	}
	again, _, err := s.Reissue(t.Context(), c, kept.Identifier, registry.VersionRequest{Key: "again", Body: []byte(`{"reason": "r"}`)})
	must(t, err)
	if _, f := read(again.Identifier); !bytes.Equal(f.Attachments[portrait.Name], jpeg) {
		t.Error("another portrait in the version issued anew")
	}
}

// TestPortraitRefused: a photograph that will not do is refused by its name before anything
// is reserved, whoever sends it.
func TestPortraitRefused(t *testing.T) {
	s := open(t)
	header := []byte("IHDR\x00\x00\x27\x10\x00\x00\x27\x10\x08\x02\x00\x00\x00") // 10,000 by 10,000
	huge := append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\r"), header...)
	huge = binary.BigEndian.AppendUint32(huge, crc32.ChecksumIEEE(header))
	for name, tt := range map[string]struct{ photo, code string }{
		"not base64":        {"not base64", licence.CodeBadFormat},
		"empty":             {"", licence.CodeBadFormat},
		"over a megabyte":   {base64.StdEncoding.EncodeToString(make([]byte, licence.MaxPhoto+1)), licence.CodeTooLarge},
		"no picture":        {base64.StdEncoding.EncodeToString([]byte("%PDF-1.7")), portrait.CodeFormat},
		"100 megapixels":    {base64.StdEncoding.EncodeToString(huge), portrait.CodePixels},
		"a known reference": {licence.PortraitReference([]byte("x")), licence.CodeNotAllowed},
		"no digest":         {"sm3:00", licence.CodeBadFormat},
	} {
		from := size(t, s)
		body, c := photographed(t, tt.photo)
		issued, _, err := s.Issue(t.Context(), c, registry.IssueRequest{Key: strings.ReplaceAll(name, " ", "-"), Body: body})
		var refused *licence.RequestError
		if !errors.As(err, &refused) || len(refused.Fields) != 1 || refused.Fields[0].Field != "fields.photo" || refused.Fields[0].Code != tt.code || issued.Number != "" {
			t.Errorf("%s: %+v, %v", name, issued, err)
		}
		wantTrail(t, s, from, "issue refused invalid_request")
	}
	from := size(t, s)
	body, _ := photographed(t, "not base64")
	if _, _, err := s.Issue(t.Context(), registrytest.Approval("11100000MB0143028R901"), registry.IssueRequest{Key: "k", Body: body}); !errors.Is(err, registry.ErrForbidden) {
		t.Errorf("another authority's client: %v", err)
	}
	wantTrail(t, s, from, "issue refused forbidden")
}

// TestPortraitWithoutPlace: no registry opens over a layout that does not show the portrait
// of the type's own field.
func TestPortraitWithoutPlace(t *testing.T) {
	s := open(t)
	cfg := s.Config
	cfg.Layouts = map[string]*render.Layout{}
	for name, l := range s.Config.Layouts {
		cfg.Layouts[name] = l
	}
	cfg.Layouts["special-operation"] = s.Config.Layouts["work-safety"]
	if _, err := registry.New(cfg); err == nil || !strings.Contains(err.Error(), "photo") {
		t.Errorf("opened: %v", err)
	}
}

// lossyFiles are files of which none can be fetched while gone says so.
type lossyFiles struct {
	registry.Files
	gone bool
}

func (f *lossyFiles) Get(ctx context.Context, digest [32]byte) ([]byte, error) {
	if f.gone {
		return nil, errDisk
	}
	return f.Files.Get(ctx, digest)
}

// TestPortraitPresented: whoever is presented a licence sees the portrait when the holder has agreed
// to its field, in the one entry of the look; when it cannot be fetched the consent is not spent.
func TestPortraitPresented(t *testing.T) {
	t.Parallel()
	s := open(t)
	files := &lossyFiles{Files: s.Config.Files}
	s.Config.Files = files
	var err error
	s.Registry, err = registry.New(s.Config)
	must(t, err)
	issued := issue(t, s, portraitSample, "k")
	_, c := sample(t, portraitSample)
	view, _, err := s.Get(t.Context(), c, issued.Identifier, registry.Use{})
	must(t, err)
	digest, _ := licence.ParsePortraitReference(view.Fields["photo"].(string))
	jpeg, err := files.Get(t.Context(), digest)
	must(t, err)
	holder := registry.Caller{Principal: "holder", Roles: []registry.Role{registry.RoleHolder}, Holder: view.Holder, RequestID: "r"}
	n := 0
	code := func(fields ...string) string {
		n++
		k, _, err := s.MakeConsent(t.Context(), holder, registry.ConsentRequest{Key: fmt.Sprint("p", n), Life: time.Hour,
			Consent: consent.Consent{Kind: consent.Presentation, Licences: []licence.Identifier{issued.Identifier}, Fields: fields, Purpose: "出示", Uses: 1}})
		must(t, err)
		shown, _, err := s.NewConsentCode(t.Context(), holder, k.ID)
		must(t, err)
		return shown.Code
	}
	look := func(code string) (registry.Presentation, error) {
		p, _, err := s.Look(t.Context(), registry.Anonymous("r"), registry.LookRequest{Code: code, From: "address_local"})
		return p, err
	}
	without, err := look(code("number", "holder.name"))
	must(t, err)
	if l := without.Licences[0]; l.Portrait != nil || len(l.Names) != 2 {
		t.Errorf("not agreed to: %d bytes, %v", len(l.Portrait), l.Names)
	}
	shown := code("number", "fields.photo")
	from := size(t, s)
	files.gone = true
	if p, err := look(shown); err == nil || p.Licences != nil {
		t.Errorf("without the file: %+v, %v", p, err)
	}
	files.gone = false
	with, err := look(shown)
	must(t, err)
	if l := with.Licences[0]; !bytes.Equal(l.Portrait, jpeg) || len(l.Names) != 1 || l.Names[0] != "number" || l.Fields["fields.photo"] != view.Fields["photo"] {
		t.Errorf("agreed to: %d bytes, %v", len(l.Portrait), l.Names)
	}
	wantTrail(t, s, from, "present refused internal", "present allowed address_local")
	if _, err := look(shown); !errors.Is(err, consent.ErrSpent) {
		t.Errorf("twice: %v", err)
	}
}
