package registry_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"elicence/audit"
	"elicence/cmd/elicenced/rewrite"
	"elicence/crypto/pdfsig"
	"elicence/licence"
	"elicence/licence/registry"
	"elicence/licence/registry/registrytest"
	"elicence/licence/render"
	"elicence/templates"
)

const documents = "../../testdata/documents/"

// onDocuments is a service whose registry draws licences on documents.
func onDocuments(t testing.TB) *registrytest.Service {
	s := open(t)
	s.Config.Rewrite = func(_ context.Context, file []byte) (*render.Document, error) { return rewrite.Rewrite(file) }
	var err error
	s.Registry, err = registry.New(s.Config)
	must(t, err)
	return s
}

// documentRequest is the sample request with its document, some texts of it replaced.
func documentRequest(t testing.TB, key string, replace ...string) (registry.Caller, registry.IssueRequest) {
	t.Helper()
	body, err := os.ReadFile(documents + "approval.json")
	must(t, err)
	file, err := os.ReadFile(documents + "approval.pdf")
	must(t, err)
	return registrytest.Approval(registrytest.DocumentType),
		registry.IssueRequest{Key: key, Body: []byte(strings.NewReplacer(replace...).Replace(string(body))), File: file}
}

// TestDocumentIssued issues a licence on a document of two pages that LibreOffice made:
// the strict reader and the self-check take it, qpdf finds no fault, and poppler extracts
// the text of the document and that of the block. The second page, which bears neither symbol
// nor seal, looks as it did.
func TestDocumentIssued(t *testing.T) {
	s := onDocuments(t)
	c, q := documentRequest(t, "document", `"page": 2`, `"page": 1`)
	issued, _, err := s.Issue(t.Context(), c, q)
	must(t, err)
	if want := registry.Removed("bookmarks links opening_view"); issued.Removed != want {
		t.Errorf("removed %q, want %q", issued.Removed, want)
	}
	file, _, err := s.Download(t.Context(), c, issued.Identifier, registry.Use{})
	must(t, err)
	read, err := pdfsig.Read(file)
	must(t, err)
	l, err := licence.ParseData(read.Attachments["licence.json"])
	must(t, err)
	if read.Pages != 2 || read.Signatures[0].Page != 1 || l.Document == nil || l.Document.QR != (licence.Place{Page: 1, X: 160, Y: 50}) {
		t.Errorf("%d pages, sealed on %d, document %+v", read.Pages, read.Signatures[0].Page, l.Document)
	}
	name := filepath.Join(t.TempDir(), "licence.pdf")
	must(t, os.WriteFile(name, file, 0o600))
	if out, err := exec.Command("qpdf", "--check", name).CombinedOutput(); err != nil {
		t.Errorf("qpdf: %v\n%s", err, out)
	}
	text, err := exec.Command("pdftotext", "-layout", name, "-").Output()
	must(t, err)
	for _, want := range []string{"关于同意建设云溪社区体育公园项目的批复", "绿化", "扫码查验", issued.Number, l.Holder.Name} {
		if !strings.Contains(string(text), want) {
			t.Errorf("text lacks %q:\n%s", want, text)
		}
	}
	if !bytes.Equal(secondPage(t, name), secondPage(t, documents+"approval.pdf")) {
		t.Error("the second page looks otherwise than the document's")
	}
	again, _, err := s.Issue(t.Context(), c, q)
	if err != nil || again != issued {
		t.Errorf("repeat: %+v, %v", again, err)
	}
	q.File = append(q.File, '\n')
	if _, _, err := s.Issue(t.Context(), c, q); !errors.Is(err, registry.ErrKeyReused) {
		t.Errorf("another document under the same key: %v", err)
	}
	_, _, err = s.Reissue(t.Context(), c, issued.Identifier, registry.VersionRequest{Key: "again", Body: []byte(`{"reason":"r"}`)})
	if !errors.Is(err, licence.ErrNotApplicable) {
		t.Errorf("reissue: %v", err)
	}
}

// secondPage is the picture of a file's second page.
func secondPage(t *testing.T, file string) []byte {
	t.Helper()
	picture, err := exec.Command("pdftoppm", "-r", "60", "-f", "2", "-singlefile", file).Output()
	must(t, err)
	if len(picture) < 100_000 {
		t.Fatalf("%s: a picture of %d bytes", file, len(picture))
	}
	return picture
}

// TestDocumentRecovered: a licence on a document whose issue stopped behind the
// reservation is finished from what was kept, without the caller.
func TestDocumentRecovered(t *testing.T) {
	s := onDocuments(t)
	c, q := documentRequest(t, "stopped")
	stopped := s.Config
	stopped.Check = func(context.Context, *pdfsig.File, time.Time) error { return errors.New("stopped") }
	r, err := registry.New(stopped)
	must(t, err)
	if _, _, err := r.Issue(t.Context(), c, q); !errors.Is(err, registry.ErrUnfinished) {
		t.Fatalf("not stopped: %v", err)
	}
	s.Move(registry.Lease + time.Second)
	rest := s.Config
	rest.Rewrite = nil // the document is not taken apart again
	r, err = registry.New(rest)
	must(t, err)
	if finished, voided, err := r.Recover(t.Context()); finished != 1 || voided != 0 || err != nil {
		t.Fatalf("finished %d, voided %d, %v", finished, voided, err)
	}
	issued, _, err := s.Issue(t.Context(), c, q)
	if err != nil || issued.Removed != "bookmarks links opening_view" {
		t.Errorf("%+v, %v", issued, err)
	}
	file, _, err := s.Download(t.Context(), c, issued.Identifier, registry.Use{})
	must(t, err)
	passes(t, s, file)
}

// TestDocumentRefused: what is wrong with a document, or with its places, is found before
// anything is reserved, and stands in the log.
func TestDocumentRefused(t *testing.T) {
	s := onDocuments(t)
	for name, tt := range map[string]struct {
		change func(*registry.IssueRequest)
		want   string
	}{
		"no file":    {func(q *registry.IssueRequest) { q.File = nil }, "file missing"},
		"empty file": {func(q *registry.IssueRequest) { q.File = []byte{} }, "file too_large"},
		"script":     {func(q *registry.IssueRequest) { q.File = bytes.Replace(q.File, []byte("/URI("), []byte("/JS ("), 1) }, "file javascript"},
		"cut off":    {func(q *registry.IssueRequest) { q.File = q.File[:len(q.File)/2] }, "file unreadable"},
		"no such page": {func(q *registry.IssueRequest) {
			q.Body = bytes.Replace(q.Body, []byte(`"page": 1`), []byte(`"page": 3`), 1)
		}, "document.qr.page out_of_range"},
		"seal off paper": {func(q *registry.IssueRequest) {
			q.Body = bytes.Replace(q.Body, []byte(`"x": 150`), []byte(`"x": 5`), 1)
		}, "document.seal out_of_range"},
	} {
		c, q := documentRequest(t, strings.ReplaceAll(name, " ", "-"))
		tt.change(&q)
		before := len(entries(t, s, 0))
		_, _, err := s.Issue(t.Context(), c, q)
		var invalid *licence.RequestError
		if !errors.As(err, &invalid) || len(invalid.Fields) != 1 || invalid.Fields[0].Field+" "+invalid.Fields[0].Code != tt.want {
			t.Errorf("%s: %v, want %s", name, err, tt.want)
		}
		if logged := entries(t, s, 0)[before:]; len(logged) != 1 || logged[0].Entry.Result != audit.ResultRefused || logged[0].Entry.Action != registry.ActionIssue {
			t.Errorf("%s: logged %+v", name, logged)
		}
	}
	body, c := sample(t, "joint-school.json")
	_, q := documentRequest(t, "other-type")
	q.Body = body
	if _, _, err := s.Issue(t.Context(), c, q); err == nil || !strings.Contains(err.Error(), "file") {
		t.Errorf("document for a type without: %v", err)
	}
}

// TestDocumentDisagrees: item and layout must agree on whether they are for documents.
func TestDocumentDisagrees(t *testing.T) {
	s := open(t)
	c := s.Config
	var err error
	c.Catalogue, err = licence.LoadCatalogue(registrytest.Edited(t, templates.Catalogue(), "approval-document/item.json", `"document": true,`, ``))
	must(t, err)
	if _, err := registry.New(c); err == nil {
		t.Error("taken")
	}
}

// TestDocumentPreviewed previews the type that ships on blank paper, and runs it dry against
// a licence of it: its layout is the block alone.
func TestDocumentPreviewed(t *testing.T) {
	s := onDocuments(t)
	files := registry.CatalogueFiles{}
	for name, path := range map[string]string{licence.ItemFile: "catalogue/approval-document/item.json",
		licence.SchemaFile: "catalogue/approval-document/fields.schema.json", registry.LayoutFile: "layouts/approval-document/layout.json"} {
		var err error
		files[name], err = os.ReadFile("../../templates/" + path)
		must(t, err)
	}
	must(t, s.EnterCatalogue(t.Context(), registry.System("set-up"), []registry.CatalogueFiles{files}))
	must(t, s.RefreshCatalogue(t.Context()))
	c, q := documentRequest(t, "previewed")
	_, _, err := s.Issue(t.Context(), c, q)
	must(t, err)
	operator := registry.System("operator")
	file, _, err := s.PreviewCatalogue(t.Context(), operator, registrytest.DocumentType, 0)
	must(t, err)
	path := filepath.Join(t.TempDir(), "preview.pdf")
	must(t, os.WriteFile(path, file, 0o600))
	text, err := exec.Command("pdftotext", path, "-").CombinedOutput()
	if err != nil || !bytes.Contains(text, []byte("扫码查验")) || !bytes.Contains(text, []byte("样本")) {
		t.Errorf("%v: %s", err, text)
	}
	if bytes.Contains(file, []byte("/XObject")) {
		t.Error("the preview draws a document")
	}
	runs, _, err := s.DryRunCatalogue(t.Context(), operator, registrytest.DocumentType, 1, 5)
	if err != nil || len(runs) != 1 || len(runs[0].Faults)+len(runs[0].Changes) != 0 {
		t.Errorf("%+v, %v", runs, err)
	}
}
