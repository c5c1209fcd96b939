package registry_test

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/registry"
	"elicence/licence/registry/registrytest"

	"github.com/google/go-cmp/cmp"
	_ "modernc.org/sqlite"
)

// noAccess are the exported functions of the package that are no access to the register,
// with the reason of each. What is neither here nor in operations fails the walk.
var noAccess = map[string]string{
	"Registry.CallerFor":        "says who a token is of that was checked; the request that it came with is the access",
	"accesslog.MayArchive":      "tells whoever archives whether a hold is in force; shows nothing of a licence",
	"Registry.Reporter":         "tells who seals reports: the configuration",
	"Registry.Seal":             "seals are on public record",
	"Registry.Seals":            "seals are on public record",
	"Registry.SealStates":       "tells whether seals can be used, for those who watch; shows nothing of a licence",
	"batches.Work":              "takes no caller: for the client of a batch that was allowed it calls Issue and Renew, which are walked; that an item is claimed shows nothing of a licence",
	"batches.Tidy":              "forgets batches whose time is over; nothing of a licence",
	"Registry.Share":            "what servers tell each other for minutes, each under a key that its asker knows; nothing of a licence",
	"Registry.Shared":           "the same",
	"Registry.FieldLabel":       "what fields are called: the catalogue",
	"Registry.SealConsents":     "consents are on public record, like the seals",
	"Lookup.ByFile":             "exists only inside Verify, whose entry covers it",
	"Lookup.ByIdentifier":       "exists only inside Verify, whose entry covers it",
	"Lookup.StatusAsOf":         "exists only inside Verify, whose entry covers it",
	"Registry.CallerSigned":     "says who a signature is of that was verified; the request that it came with is the access",
	"Registry.ClientKey":        "public keys, by which signatures are verified",
	"Registry.PersonInSession":  "says who a session is of; the request that it came with is the access",
	"Registry.CallerInSession":  "says who a session is of; the request that it came with is the access",
	"Registry.StandingBrakes":   "counts brakes for those who watch; shows nothing of a licence",
	"subscriptions.Waiting":     "takes no caller: what is to be sent, for the one that sends it",
	"subscriptions.Claim":       "takes no caller: hands out what Subscribe, which is walked, had written; thin events to those who may read the licences",
	"subscriptions.Settle":      "takes no caller: notes what came of sending; that a subscription is disabled has an entry, see TestEvents",
	"subscriptions.Tidy":        "takes no caller: forgets events whose time is over; that a subscription is disabled has an entry, see TestEvents",
	"subscriptions.Counts":      "counts events for those who watch; shows nothing of a licence",
	"Registry.RefreshCatalogue": "brings the server's own copy of the catalogue up to date; shows nothing",
	"Lookup.ByCopy":             "exists only inside Verify, whose entry covers it",
	"Registry.MakesCopies":      "tells whether copies are made: the configuration",
	"Registry.Issuers":          "tells whom a missing licence can be asked of: the configuration",
	"Registry.PublishedTypes":   "names the licence types there are: public",
	"disputes.Overdue":          "counts disputes for those who watch; shows nothing of a licence",
	"Registry.Gate":             "hands out the gate, by which the operations of other packages pass; TestGateStaysInside holds who does",
	"Gate.Pass":                 "is the gate; each operation that passes it is walked",
	"Gate.Refuse":               "the same, for what is refused before it has an operation of its own",
	"Gate.Step":                 "the same, for what an operation began that passed",
	"Gate.Unlogged":             "changes nothing of a licence: what servers share, and which items of batches are worked on",
	"Gate.LicenceFile":          "gives a file to operations, each of which is walked",
	"Gate.Held":                 "says what is left out of an answer that is walked",
	"Holds.Of":                  "the same",
	"Registry.CarryOut":         "for the client of a batch that was allowed it calls Issue and Renew, which are walked",
	"Registry.Awaited":          "tells whether somebody waits; shows nothing of a licence",
	"Registry.ItemOf":           "what a licence was made by: the catalogue",
	"Registry.LastItem":         "the catalogue",
	"Gate.Once":                 "exists only inside Access.Apply, whose entry covers it",
}

// composed are operations made of others that are walked. They have no refusal of their
// own, and nothing to log when there is nothing to do.
var composed = map[string]string{
	"Registry.RegisterSeals":  "ApplySeal, AcceptSeal, PutSealOnRecord, ChangeSeal, RemakeSeal",
	"Registry.Recover":        "takes no caller: the service itself goes on with what an allowed issue began",
	"Registry.TellExpired":    "takes no caller: the service itself tells of licences whose last day is over",
	"Registry.Upgrade":        "takes no caller: the service itself goes on with what an allowed issue began",
	"Registry.Refused":        "logs a refusal and allows nothing",
	"Registry.Authenticate":   "takes no caller but a secret: its refusal is among the operations",
	"Registry.SignInPerson":   "takes no caller but whom a provider vouched for: its entries are in TestPersonSignIn",
	"Registry.SignInHolder":   "takes no caller but whom a provider vouched for: its refusal is among TestWalkRefusals",
	"Registry.SignIn":         "takes no caller but a client: its refusal is among the operations",
	"Registry.EnterCatalogue": "ImportCatalogue, PublishCatalogue",
}

// walker is a register that the walk goes through.
type walker struct {
	*registrytest.Service
	t        *testing.T
	body     []byte
	approval registry.Caller
	holder   registry.Caller
	issued   registry.Issued
	n        int
}

var (
	walkSystem  = registry.System("walk")
	walkAuditor = registry.Caller{Principal: "auditor", Roles: []registry.Role{registry.RoleAuditor}, RequestID: "walk"}
)

func newWalker(t *testing.T, s *registrytest.Service) *walker {
	w := &walker{Service: s, t: t}
	w.body, w.approval = sample(t, "food-retail.json")
	request, _, err := licence.ParseRequest(w.body, s.Config.Catalogue, w.approval.Authority, licence.DateOf(s.Now()))
	must(t, err)
	w.holder = registry.Caller{Principal: "holder", Roles: []registry.Role{registry.RoleHolder}, Holder: request.Holder, RequestID: "walk"}
	for _, id := range []string{"client", "partner"} {
		_, err = s.PutClient(t.Context(), walkSystem, registry.Client{ID: id, Salt: []byte("s"), SecretHash: registry.HashSecret([]byte("s"), "secret"), Roles: []registry.Role{registry.RolePartner}})
		must(t, err)
	}
	s.Grant(t, registry.Grant{Authority: registrytest.Department, TypeCode: request.TypeCode, Fields: []string{"number", registry.FieldCopy}, Questions: walkQuestions, MatterCode: "m"})
	w.issued = issue(t, s, "food-retail.json", "walk")
	return w
}

// next is a name that nothing has yet.
func (w *walker) next() string { w.n++; return fmt.Sprintf("walk-%d", w.n) }

// status asks for a change of status.
func (w *walker) status() registry.StatusRequest {
	return registry.StatusRequest{Key: w.next(), Reason: "r"}
}

// call is one operation on a registry, over w's parts, that is allowed. What it returns
// must be nothing when the log cannot commit.
type call func(r *registry.Registry) (answer any, receipt audit.Receipt, err error)

// only is a call without an answer.
func only(do func(r *registry.Registry) (audit.Receipt, error)) call {
	return func(r *registry.Registry) (any, audit.Receipt, error) {
		receipt, err := do(r)
		return nil, receipt, err
	}
}

// answering is a call with one.
func answering[A any](do func(r *registry.Registry) (A, audit.Receipt, error)) call {
	return func(r *registry.Registry) (any, audit.Receipt, error) { return do(r) }
}

// silent is a call without a receipt.
func silent(do func(r *registry.Registry) error) call {
	return func(r *registry.Registry) (any, audit.Receipt, error) { return nil, audit.Receipt{}, do(r) }
}

// operations prepares each exported operation of the packages with the working register,
// and returns the call.
var operations = merged(issueOperations, reuseOperations, peopleOperations, sealOperations, logOperations, disputeOperations)

func merged(all ...map[string]func(w *walker, ctx context.Context) call) map[string]func(w *walker, ctx context.Context) call {
	m := map[string]func(w *walker, ctx context.Context) call{}
	for _, one := range all {
		maps.Copy(m, one)
	}
	return m
}

// parts are the packages of the register, by folder, each with the type whose methods are
// operations.
var parts = map[string]func(*registrytest.Service) any{
	".":             func(s *registrytest.Service) any { return s.Registry },
	"accesslog":     func(s *registrytest.Service) any { return s.AccessLog() },
	"batches":       func(s *registrytest.Service) any { return s.Batches() },
	"bundles":       func(s *registrytest.Service) any { return s.Bundles() },
	"disputes":      func(s *registrytest.Service) any { return s.Disputes() },
	"statistics":    func(s *registrytest.Service) any { return s.Statistics() },
	"subscriptions": func(s *registrytest.Service) any { return s.Subscriptions() },
}

// partOf is the folder of an operation and its name there.
func partOf(name string) (dir, method string) {
	dir, method, _ = strings.Cut(name, ".")
	if dir == "Registry" {
		dir = "."
	}
	return dir, method
}

// exported are the exported functions of the packages that could be operations: every
// method of the types in parts, and whatever else takes a context.
func exported(t *testing.T, s *registrytest.Service) (names []string) {
	for dir, part := range parts {
		prefix := dir + "."
		if dir == "." {
			prefix = "Registry."
		}
		of := reflect.TypeOf(part(s))
		for i := range of.NumMethod() {
			names = append(names, prefix+of.Method(i).Name)
		}
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		must(t, err)
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
			must(t, err)
			for _, d := range f.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok && fn.Name.IsExported() && takesContext(fn) {
					names = append(names, strings.Replace(receiverOf(fn), "Register.", prefix, 1)+fn.Name.Name)
				}
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func takesContext(fn *ast.FuncDecl) bool {
	return slices.ContainsFunc(fn.Type.Params.List, func(p *ast.Field) bool {
		s, ok := p.Type.(*ast.SelectorExpr)
		return ok && fmt.Sprint(s.X) == "context" && s.Sel.Name == "Context"
	})
}

func receiverOf(fn *ast.FuncDecl) string {
	if fn.Recv == nil {
		return ""
	}
	of := fn.Recv.List[0].Type
	if star, ok := of.(*ast.StarExpr); ok {
		of = star.X
	}
	return fmt.Sprint(of) + "."
}

// TestWalkOperations walks every exported operation, once allowed and once refused: each
// call leaves an entry, in time and with the outcome. When the log cannot commit it is
// refused, nothing is shown, and nothing in the database is changed; when its transaction is
// run again, it comes to the same.
func TestWalkOperations(t *testing.T) {
	s := open(t)
	// One type passes to others, so that there is something to transfer.
	s.Config = s.Transferable(t)
	var err error
	s.Registry, err = registry.New(s.Config)
	must(t, err)
	w := newWalker(t, s)
	all := exported(t, s)
	beside, err := filepath.Glob("*/*.go")
	must(t, err)
	for _, file := range beside {
		if dir := filepath.Dir(file); parts[dir] == nil && !strings.HasSuffix(dir, "test") {
			t.Errorf("%s is of no part that is walked", file)
		}
	}
	for _, name := range all {
		if (operations[name] == nil) == (noAccess[name] == "") {
			t.Errorf("%s must be either an operation of the walk or listed as no access, with the reason", name)
		}
	}
	for _, name := range slices.Concat(slices.Collect(maps.Keys(operations)), slices.Collect(maps.Keys(noAccess)), slices.Collect(maps.Keys(composed))) {
		if !slices.Contains(all, name) {
			t.Errorf("%s is listed, but there is no such function", name)
		}
	}
	failing := w.lossy(func() error { return errDisk })
	again := w.lossy(everyOther(audit.ErrConflict))
	for _, name := range slices.Sorted(maps.Keys(operations)) {
		t.Run(strings.TrimPrefix(name, "Registry."), func(t *testing.T) {
			w.t = t
			w.refusedByZero(name)
			do := operations[name](w, t.Context())
			w.unlogged(name, failing, do)
			w.allowed(name, again, do)
		})
	}
	counted(t, len(operations), `(\d+) exported operations`)
	t.Logf("%d operations walked, %d of them composed of others; %d functions are no access", len(operations), len(composed), len(noAccess))
}

// allowed does an operation and looks for its entry.
func (w *walker) allowed(name string, again *registry.Registry, do call) {
	w.t.Helper()
	from := size(w.t, w.Service)
	_, receipt, err := do(again)
	if err != nil {
		w.t.Fatalf("allowed: %v", err)
	}
	logged := entries(w.t, w.Service, from)
	want := audit.ResultAllowed
	if name == "Registry.Refused" {
		want = audit.ResultRefused
	}
	if len(logged) == 0 || logged[len(logged)-1].Entry.Result != want {
		w.t.Fatalf("allowed: the log has %+v", logged)
	}
	if len(receipt.Checkpoint) > 0 && (receipt.Index < from || receipt.Index >= from+uint64(len(logged))) {
		w.t.Errorf("allowed: receipt for entry %d, the log grew from %d by %d", receipt.Index, from, len(logged))
	}
	for _, r := range logged {
		if _, err := licence.ParseIdentifier(r.Entry.Object); err == nil && r.Commitment == nil {
			w.t.Errorf("allowed: the entry %s about a licence commits to no holder", r.Entry.Action)
		}
	}
}

// refusedByZero calls an operation as somebody without a role and with zero arguments,
// whatever it takes: before anything else it must log that and refuse.
func (w *walker) refusedByZero(name string) {
	w.t.Helper()
	if composed[name] != "" {
		return
	}
	dir, method := partOf(name)
	do := reflect.ValueOf(parts[dir](w.Service)).MethodByName(method)
	args := []reflect.Value{reflect.ValueOf(w.t.Context()), reflect.ValueOf(registry.Caller{Principal: "nobody", RequestID: "walk"})}
	for i := len(args); i < do.Type().NumIn(); i++ {
		args = append(args, zero(do.Type().In(i)))
	}
	if do.Type().In(1) != args[1].Type() {
		w.t.Fatalf("%s takes no caller", name)
	}
	from := size(w.t, w.Service)
	out := do.Call(args)
	logged := entries(w.t, w.Service, from)
	if err, _ := out[len(out)-1].Interface().(error); err == nil {
		w.t.Errorf("refused: no error")
	}
	if len(logged) != 1 || logged[0].Entry.Result != audit.ResultRefused || logged[0].Entry.Principal != "nobody" {
		w.t.Errorf("refused: the log has %+v", logged)
	}
}

// zero is the zero value of a type, of a function one that returns zero values.
func zero(t reflect.Type) reflect.Value {
	if t.Kind() != reflect.Func {
		return reflect.Zero(t)
	}
	return reflect.MakeFunc(t, func([]reflect.Value) (out []reflect.Value) {
		for i := range t.NumOut() {
			out = append(out, zero(t.Out(i)))
		}
		return out
	})
}

// errDisk is what the log meets when it commits.
var errDisk = errors.New("disk full")

// unlogged does an operation whose entry cannot be committed.
func (w *walker) unlogged(name string, failing *registry.Registry, do call) {
	w.t.Helper()
	before := dump(w.t, w.Service)
	answer, receipt, err := do(failing)
	if !errors.Is(err, registry.ErrLog) {
		w.t.Errorf("unlogged: %v, want ErrLog", err)
	}
	if v := reflect.ValueOf(answer); answer != nil && !v.IsZero() && (v.Kind() != reflect.Slice || v.Len() > 0) {
		w.t.Errorf("unlogged: the answer is %+v", answer)
	}
	if len(receipt.Checkpoint) > 0 {
		w.t.Errorf("unlogged: a receipt for entry %d", receipt.Index)
	}
	if diff := cmp.Diff(dump(w.t, w.Service), before); diff != "" {
		w.t.Errorf("unlogged: the database changed (-after +before):\n%s", diff)
	}
}

// counted compares a count with the one that docs/log-format.md states.
func counted(t *testing.T, n int, pattern string) {
	t.Helper()
	text, err := os.ReadFile("../../docs/log-format.md")
	must(t, err)
	m := regexp.MustCompile(pattern).FindSubmatch(text)
	if m == nil || string(m[1]) != strconv.Itoa(n) {
		t.Errorf("docs/log-format.md states %s for %s, it is %d", m, pattern, n)
	}
}

// TestWalkRefusals: what takes no caller is refused by what it is given, and logged.
func TestWalkRefusals(t *testing.T) {
	s := open(t)
	newWalker(t, s)
	_, err := s.PutClient(t.Context(), walkSystem, registry.Client{ID: "gone", Salt: []byte("s"), SecretHash: registry.HashSecret([]byte("s"), "secret"), Disabled: true})
	must(t, err)
	for name, do := range map[string]func() error{
		"wrong secret":      func() error { _, _, err := s.Authenticate(t.Context(), "client", "x", "r"); return err },
		"unknown client":    func() error { _, _, err := s.Authenticate(t.Context(), "nobody", "secret", "r"); return err },
		"disabled client":   func() error { _, _, err := s.Authenticate(t.Context(), "gone", "secret", "r"); return err },
		"sign-in, unknown":  func() error { _, _, err := s.SignIn(t.Context(), "nobody", "code", "r"); return err },
		"sign-in, disabled": func() error { _, _, err := s.SignIn(t.Context(), "gone", "code", "r"); return err },
	} {
		from := size(t, s)
		if err := do(); !errors.Is(err, registry.ErrUnauthenticated) {
			t.Errorf("%s: %v", name, err)
		}
		wantTrail(t, s, from, "authenticate refused unauthenticated")
	}
	from := size(t, s)
	no := licence.Holder{Code: "110105194912310021", CodeType: licence.CodeTypeCitizenNumber}
	if _, err := s.SignInHolder(t.Context(), "holder.x", no, "n", s.Now().Add(time.Hour), "r"); registry.Code(err) != "invalid_request" {
		t.Errorf("a number that is none: %v", err)
	}
	wantTrail(t, s, from, "authenticate refused invalid_request")
	if _, err := s.CallerInSession(t.Context(), "n", "r"); !errors.Is(err, registry.ErrUnauthenticated) {
		t.Errorf("its session: %v", err)
	}
}
