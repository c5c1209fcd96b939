package api_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"elicence/api"
	"elicence/audit"
	"elicence/cmd/elicenced/rewrite"
	"elicence/crypto/pdfsig"
	"elicence/crypto/pki"
	"elicence/licence"
	"elicence/licence/registry"
	"elicence/licence/registry/accesslog"
	"elicence/licence/registry/batches"
	"elicence/licence/registry/disputes"
	"elicence/licence/registry/registrytest"
	"elicence/licence/registry/statistics"
	"elicence/licence/registry/subscriptions"
	"elicence/licence/render"
	"elicence/store"
	"elicence/testdata/requests"
	"elicence/verify"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
)

// The clients of a test service; their secret is their name.
const (
	approval  = "approval-market"
	elsewhere = "approval-construction"
	partner   = "partner"
	verifier  = "verifier"
	holder    = "holder"
	auditor   = "auditor"
	requester = "authority-construction"
	approver  = "authority-data"
	keeper    = "keeper"
	publisher = "publisher"
)

const (
	keptType  = "11100000MB0143028R990"
	foodType  = "11100000MB0143028R901"
	birthType = "11100000MB19000005901"
	matter    = "330114007000"
	food      = "food-restaurant.json"
)

// world is a service with its HTTP interface.
type world struct {
	*registrytest.Service
	t      testing.TB
	server *api.Server
	router routers.Router
	tokens map[string]string
	// answers signs what departments are answered.
	answers api.AnswerSigner
	// failed holds what the server told its operator, from timers too.
	failed told
	ready  error
	raster func(file []byte, page int) ([]byte, error)
}

// open starts a service over a fresh SQLite database, with one client of each role.
func open(t testing.TB) *world {
	t.Helper()
	secret := make([]byte, 32)
	rand.Read(secret)
	cipher, err := pki.NewCipher(secret[:16])
	must(t, err)
	dir := t.TempDir()
	db, err := store.OpenSQLite(t.Context(), filepath.Join(dir, "elicence.db"), store.Secrets{Cipher: cipher, IndexKey: secret[:16]})
	must(t, err)
	t.Cleanup(func() { db.Close() })
	must(t, db.Migrate(t.Context()))
	files, err := store.OpenFolder(filepath.Join(dir, "files"), cipher)
	must(t, err)
	w := &world{Service: registrytest.New(t, db, files, stranger), t: t, tokens: map[string]string{}}
	w.Config.Rewrite = func(_ context.Context, file []byte) (*render.Document, error) { return rewrite.Rewrite(file) }
	w.Config.JudgeImport = func(ctx context.Context, file []byte, l *licence.Licence) (registry.Judgement, error) {
		return api.Judged((&verify.Verifier{Anchors: foreignAnchors(t)}).VerifyExternal(ctx, file, l, w.Now()))
	}
	w.Registry, err = registry.New(w.Config)
	must(t, err)
	answers := w.PKI.MustIssue(t, w.PKI.Issuing, "答复签名", pki.UsageAnswer)
	w.answers = api.AnswerSigner{Certificate: answers.Certificate, Key: answers.Key}
	w.server = w.serve(func(c *api.Config) {})
	w.router, err = specification()
	must(t, err)
	w.register()
	return w
}

// serve makes an interface over the world's registry, changed by change.
func (w *world) serve(change func(*api.Config)) *api.Server {
	w.t.Helper()
	c := api.Config{
		TokenKey: bytes.Repeat([]byte{7}, 32), PublicURL: registrytest.PublicURL,
		Verifier: func(r verify.Register) *verify.Verifier {
			return &verify.Verifier{Anchors: w.PKI.Anchors, Register: r, QRSigners: []*pki.Certificate{w.PKI.QR.Certificate}}
		},
		Answers:   w.answers,
		Ready:     func(context.Context) error { return w.ready },
		Rasterise: func(_ context.Context, file []byte, page int) ([]byte, error) { return w.raster(file, page) },
		Now:       w.Now, Rand: rand.Reader,
		Failed: func(_ string, err error) { w.failed.add(err) },
	}
	w.over(&c, w.Registry)
	change(&c)
	s, err := api.New(c)
	must(w.t, err)
	return s
}

// over has an interface stand over a register, with all its parts.
func (w *world) over(c *api.Config, r *registry.Registry) {
	c.Registry, c.AccessLog, c.Disputes, c.Batches, c.Statistics, c.Subscriptions, c.Bundles = r, accesslog.New(r), disputes.New(r, nil), batches.New(r), statistics.New(r), subscriptions.New(r, registrytest.CheckTarget), w.BundlesOf(r)
}

// serveOver makes an interface like serve, with a log of its own over a storage.
func (w *world) serveOver(storage audit.Storage, change func(*api.Config)) *api.Server {
	w.t.Helper()
	parts := w.Config
	var err error
	parts.Log, err = audit.Open(w.t.Context(), audit.Config{LogID: registrytest.LogID, Storage: storage, Signer: w.LogKey, Now: w.Now, Rand: rand.Reader})
	must(w.t, err)
	r, err := registry.New(parts)
	must(w.t, err)
	return w.serve(func(c *api.Config) {
		w.over(c, r)
		change(c)
	})
}

// stranger verifies a file with the anchors alone.
func stranger(anchors *pki.TrustAnchors) func(context.Context, *pdfsig.File, time.Time) error {
	return func(ctx context.Context, f *pdfsig.File, at time.Time) error {
		v := verify.Verifier{Anchors: anchors}
		if r := v.VerifyRead(ctx, f, at); r.Indication != verify.TotalPassed {
			return fmt.Errorf("%s/%s", r.Indication, r.SubIndication)
		}
		return nil
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// register registers the clients, and a grant for the partner.
func (w *world) register() {
	var code struct {
		Holder struct {
			Code     string                 `json:"code"`
			CodeType licence.HolderCodeType `json:"code_type"`
		} `json:"holder"`
	}
	must(w.t, json.Unmarshal(sample(w.t, food), &code))
	market, construction := registrytest.Authorities[foodType], registrytest.Authorities["11100000000013338W901"]
	for _, c := range []registry.Client{
		{ID: approval, Roles: []registry.Role{registry.RoleApprovalSystem}, Authority: market, Types: []string{foodType}},
		{ID: elsewhere, Roles: []registry.Role{registry.RoleApprovalSystem}, Authority: construction, Types: []string{foodType, "11100000000013338W901", registrytest.JointType, registrytest.DocumentType}},
		{ID: partner, Roles: []registry.Role{registry.RolePartner}, Authority: construction},
		{ID: verifier, Roles: []registry.Role{registry.RoleVerifier}, Authority: construction},
		{ID: holder, Roles: []registry.Role{registry.RoleHolder}, HolderCode: code.Holder.Code, HolderCodeType: code.Holder.CodeType},
		{ID: keeper, Roles: []registry.Role{registry.RoleAuthority}, Authority: market, Types: []string{foodType, keptType}},
		{ID: publisher, Roles: []registry.Role{registry.RoleAuthority}, Authority: market, Types: []string{foodType, keptType}},
		{ID: auditor, Roles: []registry.Role{registry.RoleAuditor}},
		{ID: requester, Roles: []registry.Role{registry.RoleAuthority}, Authority: construction},
		{ID: approver, Roles: []registry.Role{registry.RoleAuthority}, Authority: registrytest.Platform, Types: []string{foodType}},
	} {
		c.Salt = []byte("salt of " + c.ID)
		c.SecretHash = registry.HashSecret(c.Salt, c.ID)
		_, err := w.PutClient(w.t.Context(), registry.System("test"), c)
		must(w.t, err)
	}
	w.Grant(w.t, registry.Grant{Authority: construction, TypeCode: foodType, MatterCode: matter, Fields: []string{"number", "status", "holder.name", "fields.business_items", registry.FieldCopy}, Questions: []string{"valid", "equals:number"}})
	w.Case(w.t, construction, registry.Case{Number: "C-2", MatterCode: matter, Holder: licence.Holder{Code: code.Holder.Code, CodeType: code.Holder.CodeType}, Types: []string{foodType}})
}

// sample reads a sample request.
func sample(t testing.TB, name string) []byte {
	t.Helper()
	b, err := requests.Files.ReadFile(name)
	must(t, err)
	return b
}

// change is a sample with members replaced, or taken out where the value is nil. A
// name may be a path of two: "holder.code".
func change(t testing.TB, name string, members map[string]any) []byte {
	t.Helper()
	var doc map[string]any
	must(t, json.Unmarshal(sample(t, name), &doc))
	for path, value := range members {
		in, key := doc, path
		if outer, inner, ok := strings.Cut(path, "."); ok {
			in, key = doc[outer].(map[string]any), inner
		}
		if in[key] = value; value == nil {
			delete(in, key)
		}
	}
	b, err := json.Marshal(doc)
	must(t, err)
	return b
}

// ask is a request.
type ask struct {
	method, path string
	as           string // client; empty is anonymous
	key          string // Idempotency-Key
	mediaType    string // of the body; application/json when empty
	header       map[string]string
	body         []byte
	remote       string // address; 192.0.2.1 when empty
	handler      http.Handler
	query, name  string // of a walk: behind the path, and in it
}

// answer is what came back.
type answer struct {
	*http.Response
	body []byte
}

// json reads the answer into v.
func (a answer) json(t testing.TB, v any) {
	t.Helper()
	if err := json.Unmarshal(a.body, v); err != nil {
		t.Fatalf("%v in %s", err, a.body)
	}
}

// do sends a request and checks the answer against openapi.yaml.
func (w *world) do(q ask) answer {
	w.t.Helper()
	r := httptest.NewRequest(q.method, q.path, bytes.NewReader(q.body))
	r.RemoteAddr = "192.0.2.1:1000"
	if q.remote != "" {
		r.RemoteAddr = q.remote
	}
	if q.method == http.MethodPost {
		r.Header.Set("Content-Type", "application/json")
	}
	for name, value := range map[string]string{"Content-Type": q.mediaType, "Idempotency-Key": q.key} {
		if value != "" {
			r.Header.Set(name, value)
		}
	}
	if q.as != "" {
		r.Header.Set("Authorization", "Bearer "+w.token(q.as))
	}
	for name, value := range q.header {
		r.Header.Set(name, value)
	}
	if q.handler == nil {
		q.handler = w.server
	}
	rec := httptest.NewRecorder()
	q.handler.ServeHTTP(rec, r)
	a := answer{rec.Result(), rec.Body.Bytes()}
	w.conforms(r, a)
	return a
}

// token fetches a client's token once.
func (w *world) token(client string) string {
	w.t.Helper()
	if w.tokens[client] == "" {
		form := url.Values{"grant_type": {"client_credentials"}, "client_id": {client}, "client_secret": {client}}
		a := w.do(ask{method: "POST", path: "/api/v1/oauth/token", mediaType: "application/x-www-form-urlencoded", body: []byte(form.Encode())})
		var got struct {
			Token string `json:"access_token"`
		}
		if a.json(w.t, &got); a.StatusCode != http.StatusOK {
			w.t.Fatalf("token for %s: %d %s", client, a.StatusCode, a.body)
		}
		w.tokens[client] = got.Token
	}
	return w.tokens[client]
}

// document is openapi.yaml, which must be a valid OpenAPI file.
var document = sync.OnceValues(func() (*openapi3.T, error) {
	doc, err := openapi3.NewLoader().LoadFromFile("openapi.yaml")
	if err != nil {
		return nil, err
	}
	return doc, doc.Validate(context.Background())
})

// specification is that file, ready to find routes in.
var specification = sync.OnceValues(func() (routers.Router, error) {
	doc, err := document()
	if err != nil {
		return nil, err
	}
	return gorillamux.NewRouter(doc)
})

// conforms checks an answer against openapi.yaml: its status is one of the
// route's, and its body and headers are as they are said to be.
func (w *world) conforms(r *http.Request, a answer) {
	w.t.Helper()
	route, parameters, err := w.router.FindRoute(r)
	if err != nil {
		if a.StatusCode != http.StatusNotFound && a.StatusCode != http.StatusMethodNotAllowed {
			w.t.Errorf("%s %s is not in openapi.yaml: %v", r.Method, r.URL.Path, err)
		}
		return
	}
	structured := strings.Contains(a.Header.Get("Content-Type"), "json")
	in := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: r, PathParams: parameters, Route: route},
		Status:                 a.StatusCode, Header: a.Header, Body: io.NopCloser(bytes.NewReader(a.body)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true, ExcludeResponseBody: !structured, MultiError: true},
	}
	if err := openapi3filter.ValidateResponse(w.t.Context(), in); err != nil {
		w.t.Errorf("%s %s %d does not conform to openapi.yaml: %v\n%s", r.Method, r.URL.Path, a.StatusCode, err, a.body)
	}
}

// issue issues a sample under a key.
func (w *world) issue(name, key string) registry.Issued {
	w.t.Helper()
	return w.issueBody(sample(w.t, name), key)
}

// issueBody issues what a body asks for.
func (w *world) issueBody(body []byte, key string) registry.Issued {
	w.t.Helper()
	a := w.do(ask{method: "POST", path: "/api/v1/licences", as: approval, key: key, body: body})
	var issued registry.Issued
	if a.json(w.t, &issued); a.StatusCode != http.StatusCreated {
		w.t.Fatalf("issue: %d %s", a.StatusCode, a.body)
	}
	return issued
}

// download fetches a licence file.
func (w *world) download(id licence.Identifier) []byte {
	w.t.Helper()
	a := w.do(ask{method: "GET", path: "/api/v1/licences/" + string(id) + "/file", as: approval})
	if a.StatusCode != http.StatusOK {
		w.t.Fatalf("download: %d %s", a.StatusCode, a.body)
	}
	return a.body
}

// size is how many entries the access log has.
func (w *world) size() uint64 {
	w.t.Helper()
	head, err := w.Backend.Head(context.Background(), registrytest.LogID)
	must(w.t, err)
	return head.Size
}

// leaf is the leaf hash of an entry, in hex.
func (w *world) leaf(index uint64) (leaf string) {
	w.t.Helper()
	must(w.t, w.Backend.Rows(context.Background(), registrytest.LogID, index, index+1, func(row audit.Row) error {
		leaf = fmt.Sprintf("%x", audit.LeafHash(row.Record))
		return nil
	}))
	return leaf
}

// since returns the entries of the access log from an index on.
func (w *world) since(index uint64) []audit.Entry {
	w.t.Helper()
	var entries []audit.Entry
	must(w.t, w.Backend.Rows(context.Background(), registrytest.LogID, index, w.size(), func(row audit.Row) error {
		r, err := audit.ParseRecord(row.Record)
		entries = append(entries, r.Entry)
		return err
	}))
	return entries
}

// told gathers errors, for whoever adds them at once.
type told struct {
	mu   sync.Mutex
	errs []error
}

func (t *told) add(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.errs = append(t.errs, err)
}

// all are those so far.
func (t *told) all() []error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.errs)
}

func (t *told) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.errs = nil
}
