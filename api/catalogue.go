package api

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/registry"

	"github.com/emmansun/gmsm/sm3"
	"github.com/gin-gonic/gin"
)

// versionJSON is one version of a licence type.
type versionJSON struct {
	TypeCode string         `json:"type_code"`
	Version  int            `json:"version"`
	Stage    registry.Stage `json:"stage"`
	Name     string         `json:"name"`
	// Digest is that of the files; see registry.CatalogueFiles.
	Digest     string    `json:"digest"`
	ImportedBy string    `json:"imported_by"`
	ImportedAt time.Time `json:"imported_at"`
	ChangedBy  string    `json:"changed_by"`
	ChangedAt  time.Time `json:"changed_at"`
	Reason     string    `json:"reason"`
	// Files are the files that it was imported from, by name; of one version alone.
	Files map[string]string `json:"files,omitempty"`
}

func asVersion(v registry.CatalogueVersion) versionJSON {
	return versionJSON{TypeCode: v.TypeCode, Version: v.Version, Stage: v.Stage, Name: v.Name, Digest: hex.EncodeToString(v.Digest[:]),
		ImportedBy: v.ImportedBy, ImportedAt: v.ImportedAt, ChangedBy: v.ChangedBy, ChangedAt: v.ChangedAt, Reason: v.Reason}
}

// catalogueAnswer is the catalogue.
type catalogueAnswer struct {
	Versions []versionJSON `json:"versions"`
}

// catalogue lists the versions of the licence types that the client is registered for.
func (x *exchange) catalogue() (func(), audit.Receipt, error) {
	if x.r.URL.RawQuery != "" {
		return nil, audit.Receipt{}, errBadParameter
	}
	versions, receipt, err := x.cfg.Registry.Catalogue(x.r.Context(), x.caller)
	a := catalogueAnswer{Versions: []versionJSON{}}
	for _, v := range versions {
		a.Versions = append(a.Versions, asVersion(v))
	}
	return func() { x.json(http.StatusOK, a) }, receipt, err
}

// catalogueVersion shows one version with its files.
func (x *exchange) catalogueVersion() (func(), audit.Receipt, error) {
	q, err := x.versionQuery("version")
	if err != nil {
		return nil, audit.Receipt{}, err
	}
	v, files, receipt, err := x.cfg.Registry.CatalogueFiles(x.r.Context(), x.caller, x.name, q.number["version"])
	a := asVersion(v)
	a.Files = map[string]string{}
	for name, content := range files {
		a.Files[name] = string(content)
	}
	return func() { x.json(http.StatusOK, a) }, receipt, err
}

// versionQuery are the query parameters of a request about a version.
type versionQuery struct {
	number map[string]int
	format string
}

// versionQuery reads the query parameters that are among names, each at most once; all
// but format are numbers.
func (x *exchange) versionQuery(names ...string) (versionQuery, error) {
	q := versionQuery{number: map[string]int{}}
	values, err := url.ParseQuery(x.r.URL.RawQuery)
	if err != nil {
		return q, errBadParameter
	}
	for _, name := range names {
		given, there := values[name]
		delete(values, name)
		switch {
		case !there:
		case len(given) != 1:
			return q, errBadParameter
		case name == "format":
			q.format = given[0]
		default:
			n, err := strconv.Atoi(given[0])
			if err != nil || n < 1 || n > 1e6 {
				return q, errBadParameter
			}
			q.number[name] = n
		}
	}
	if len(values) > 0 {
		return q, errBadParameter
	}
	return q, nil
}

// The forms of a preview.
const (
	formatPDF = "pdf"
	formatPNG = "png"
)

// maxDrawing is how many previews and dry runs are at work at once: an authority tries a layout
// now and then, and each may keep a processor for seconds.
const maxDrawing = 2

// drawn makes the answer of a request that draws, when there is a place for it.
func (x *exchange) drawn(read func() (func(), audit.Receipt, error)) (func(), audit.Receipt, error) {
	select {
	case x.drawing <- struct{}{}:
		defer func() { <-x.drawing }()
		return read()
	default:
		return nil, audit.Receipt{}, errDrawing
	}
}

// cataloguePreview draws a sample by a version.
func (x *exchange) cataloguePreview() (func(), audit.Receipt, error) {
	q, err := x.versionQuery("version", "format", "page")
	if err == nil && q.format != "" && q.format != formatPDF && q.format != formatPNG {
		err = errBadParameter
	}
	if err != nil {
		return nil, audit.Receipt{}, err
	}
	return x.drawn(func() (func(), audit.Receipt, error) { return x.preview(q) })
}

func (x *exchange) preview(q versionQuery) (func(), audit.Receipt, error) {
	file, receipt, err := x.cfg.Registry.PreviewCatalogue(x.r.Context(), x.caller, x.name, q.number["version"])
	if err != nil || q.format != formatPNG {
		return func() { x.bytes("application/pdf", file) }, receipt, err
	}
	png, err := x.cfg.Rasterise(x.r.Context(), file, max(1, q.number["page"]))
	if err != nil && q.number["page"] > 1 && !errors.Is(err, registry.ErrNoRaster) {
		err = errBadParameter // there is no such page
	}
	return func() { x.bytes("image/png", png) }, receipt, err
}

// dryRunAnswer is what a dry run found.
type dryRunAnswer struct {
	Licences []dryRunJSON `json:"licences"`
	// Refused counts those that could not be drawn.
	Refused int `json:"refused"`
}

type dryRunJSON struct {
	Identifier licence.Identifier `json:"identifier"`
	MadeBy     int                `json:"made_by"`
	Faults     []problemField     `json:"faults"`
	Changes    []string           `json:"changes"`
}

// catalogueDryRun draws the newest licences of a type by a version.
func (x *exchange) catalogueDryRun() (func(), audit.Receipt, error) {
	q, err := x.versionQuery("version", "last")
	if err != nil {
		return nil, audit.Receipt{}, err
	}
	return x.drawn(func() (func(), audit.Receipt, error) { return x.dryRun(q) })
}

func (x *exchange) dryRun(q versionQuery) (func(), audit.Receipt, error) {
	runs, receipt, err := x.cfg.Registry.DryRunCatalogue(x.r.Context(), x.caller, x.name, q.number["version"], cmp.Or(q.number["last"], 20))
	a := dryRunAnswer{Licences: []dryRunJSON{}}
	for _, run := range runs {
		l := dryRunJSON{Identifier: run.Identifier, MadeBy: run.MadeBy, Faults: []problemField{}, Changes: run.Changes}
		for _, f := range run.Faults {
			l.Faults = append(l.Faults, problemField(f))
		}
		if len(l.Faults) > 0 {
			a.Refused++
		}
		a.Licences = append(a.Licences, l)
	}
	return func() { x.json(http.StatusOK, a) }, receipt, err
}

// importRequest asks for a version to be taken in.
type importRequest struct {
	registry.CatalogueChange
	files registry.CatalogueFiles
}

// maxTypeFiles bounds the files of an import; the register says which there may be.
const maxTypeFiles = 8

func parseImport(body []byte) (importRequest, error) {
	return parseJSON(body, func(r *reader) importRequest {
		q := importRequest{CatalogueChange: registry.CatalogueChange{Body: sm3.Sum(body), Reason: r.required("reason", maxText)}, files: registry.CatalogueFiles{}}
		files := r.object("files")
		if len(files) > maxTypeFiles {
			r.fault("files", licence.CodeTooMany, "are more than %d", maxTypeFiles)
			return q
		}
		for name, content := range files {
			text, ok := content.(string)
			if !ok {
				r.fault("files", licence.CodeWrongType, "must be texts by name")
			}
			q.files[name] = []byte(text)
		}
		return q
	})
}

// importCatalogue takes in a version as a draft.
func (x *exchange) importCatalogue(q importRequest) (a versionJSON, receipt audit.Receipt, err error) {
	if q.Key, err = x.idempotencyKey(); err != nil {
		return a, receipt, err
	}
	v, receipt, err := x.cfg.Registry.ImportCatalogue(x.r.Context(), x.caller, q.files, q.CatalogueChange)
	return asVersion(v), receipt, err
}

// moveRequest asks for a version to be moved to another stage.
type moveRequest struct {
	registry.CatalogueChange
	version int
}

func parseMove(body []byte) (moveRequest, error) {
	return parseJSON(body, func(r *reader) moveRequest {
		q := moveRequest{registry.CatalogueChange{Body: sm3.Sum(body), Reason: r.required("reason", maxText)}, r.integer("version", 1, 1e6)}
		if r.members["version"] == nil {
			r.fault("version", licence.CodeMissing, "is required")
		}
		return q
	})
}

// moveCatalogue is one of the register's changes of stage.
type moveCatalogue func(context.Context, registry.Caller, string, int, registry.CatalogueChange) (registry.CatalogueVersion, audit.Receipt, error)

// serveMove makes a handler of a change of stage.
func (s *Server) serveMove(action audit.Action, do moveCatalogue) gin.HandlerFunc {
	return serveJSON(s, action, http.StatusOK, parseMove, func(x *exchange, q moveRequest) (a versionJSON, receipt audit.Receipt, err error) {
		if q.Key, err = x.idempotencyKey(); err != nil {
			return a, receipt, err
		}
		// The same words about another type, or to another end, are another request.
		q.Body = sm3.Sum(append([]byte(string(x.action)+"\n"+x.name+"\n"), q.Body[:]...))
		v, receipt, err := do(x.r.Context(), x.caller, x.name, q.version, q.CatalogueChange)
		return asVersion(v), receipt, err
	})
}
