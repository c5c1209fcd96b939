package elicence_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "elicence/"

// parts are the packages of the register above its kernel, a capability each. Whoever serves
// people imports them all.
const parts = " licence/registry/accesslog licence/registry/batches licence/registry/bundles licence/registry/disputes licence/registry/statistics licence/registry/subscriptions"

// layout states which packages of ours each package may import. It is a
// statement of policy: a new line here is a design decision, not a build fix.
//
// Packages are listed lowest first, and each may name only packages above its
// own line, so the table itself can hold no cycle.
var layout = []struct{ pkg, mayImport string }{
	{"templates", ""},
	// Three that the server and its witness have in common; the offline tool takes the first.
	{"internal/durable", ""},
	{"internal/private", "internal/durable"},
	{"internal/listen", ""},
	{"internal/lately", ""},
	// A provider that asks for no proof, for the demo's program and for tests: no other program links it.
	{"internal/testidp", ""},
	// Questions that register and store put for several at once.
	{"internal/gather", ""},
	{"testdata/requests", ""},
	{"migrations", ""},
	{"crypto/pki", "internal/lately"},
	{"crypto/pki/csr", "crypto/pki"},
	{"crypto/pki/ocsp", "crypto/pki"},
	{"crypto/sdf", "crypto/pki"},
	{"crypto/httpsig", "crypto/pki"},
	{"crypto/pdfsig", ""},
	{"crypto/pdfsig/pades", ""},
	{"crypto/pdfsig/pdftest", ""},
	// Reads the files of other platforms; it knows nothing of seals, which lie in such files as they lie in PDF.
	{"crypto/ofd", ""},
	{"crypto/tsa", "crypto/pki"},
	{"crypto/seal", "crypto/pki internal/lately"},
	{"crypto/cms", "crypto/pki"},
	{"crypto/cryptotest", "crypto/pki crypto/tsa crypto/seal"},
	{"licence", ""},
	// What a dispute may be and by when it is answered: rules alone, for register, store and API.
	{"licence/dispute", "licence"},
	{"scripts", "templates licence"},
	{"audit", "crypto/pki"},
	{"audit/audittest", "audit crypto/pki"},
	{"licence/bundle", "licence audit"},
	// What others are told of licences, how it is signed and where it may be sent: rules
	// alone, which the registry, the one that sends and receivers' tests share.
	{"licence/event", "licence crypto/pki"},
	{"licence/event/deliver", "licence/event"},
	// The witness of a log and the log's side of it: the binary and the demo run the
	// same code, and the log itself knows nothing of networks.
	{"audit/witness", "audit crypto/pki internal/durable internal/private internal/listen"},
	// What may be asked of a licence and how it is answered, which needs no store.
	{"licence/question", "licence"},
	{"licence/render/pdf", ""},
	{"licence/render/typeface", "licence"},
	{"licence/render/qr", "licence"},
	{"licence/render/sealpicture", "licence licence/render/pdf licence/render/typeface"},
	{"licence/render/portrait", "licence"},
	{"licence/render", "licence licence/render/pdf licence/render/portrait licence/render/typeface licence/render/qr licence/render/sealpicture templates"},
	// What a holder agrees to: rules alone, which the registry keeps to and the pages show.
	{"licence/consent", "licence"},
	// Who an official is and which roles go together: rules alone, for register, store and pages.
	{"licence/person", "licence"},
	// How clients reuse, counted and judged: rules alone, which the registry keeps to.
	{"licence/brake", ""},
	{"licence/registry", "internal/gather licence licence/brake licence/person licence/consent licence/dispute licence/bundle licence/event licence/render licence/render/portrait audit crypto/httpsig crypto/pki crypto/pdfsig crypto/pdfsig/pades crypto/tsa crypto/seal licence/question"},
	{"licence/registry/accesslog", "licence licence/person licence/registry audit crypto/httpsig"},
	{"licence/registry/batches", "licence licence/registry audit"},
	{"licence/registry/bundles", "licence licence/bundle licence/registry audit crypto/pdfsig crypto/pki crypto/seal crypto/tsa"},
	{"licence/registry/disputes", "licence licence/dispute licence/registry audit"},
	{"licence/registry/statistics", "licence licence/registry audit"},
	{"licence/registry/subscriptions", "licence licence/event licence/registry audit"},
	{"cmd/elicenced/rewrite", "licence licence/render crypto/pdfsig"},
	{"licence/registry/storetest", "licence licence/brake licence/person licence/consent licence/dispute licence/event licence/registry audit crypto/pki"},
	{"licence/registry/registrytest", "licence licence/bundle licence/event licence/render licence/registry audit crypto/pki crypto/pdfsig crypto/seal crypto/tsa crypto/cryptotest templates" + parts},
	{"verify", "licence licence/bundle audit crypto/pki crypto/pki/ocsp crypto/ofd crypto/pdfsig crypto/pdfsig/pades crypto/tsa crypto/cms crypto/seal"},
	{"verify/verifytest", "licence crypto/pki verify"},
	{"store", "internal/durable internal/gather licence licence/brake licence/person licence/consent licence/dispute licence/event licence/registry audit crypto/pki migrations"},
	{"store/pgtest", ""},
	{"store/s3test", ""},
	{"api/identity", ""},
	{"api", "api/identity crypto/httpsig crypto/pki licence licence/brake licence/person licence/consent licence/dispute licence/event licence/question licence/registry licence/render/qr verify audit audit/witness templates" + parts},
	{"cmd/elicence", "internal/durable licence licence/bundle licence/consent licence/render/qr verify audit crypto/httpsig crypto/pki crypto/seal crypto/pdfsig crypto/cms"},
	{"cmd/elicence-witness", "audit audit/witness internal/private internal/listen"},
	{"cmd/elicence-testidp", "internal/private internal/listen internal/testidp"},
	{"cmd/elicenced", "cmd/elicenced/rewrite api/identity crypto/httpsig audit/witness internal/durable internal/private internal/listen licence licence/brake licence/person licence/dispute licence/event licence/event/deliver licence/render licence/registry verify store audit api crypto/pki crypto/pki/csr crypto/pki/ocsp crypto/pdfsig crypto/pdfsig/pades crypto/sdf crypto/seal crypto/tsa templates testdata/requests" + parts},
}

// confined names outside modules and the only packages that may import them.
var confined = map[string]string{
	"github.com/emmansun/gmsm":      "crypto/pki crypto/seal crypto/tsa crypto/cryptotest",
	"github.com/coreos/go-oidc":     "api/identity",
	"github.com/dunglas/httpsfv":    "crypto/httpsig",
	"github.com/gin-gonic/gin":      "api",
	"github.com/jackc/pgx":          "store store/pgtest",
	"github.com/klauspost/compress": "licence/render/pdf crypto/pdfsig",
	"github.com/minio/minio-go":     "store",
	"github.com/pdfcpu":             "cmd/elicenced/rewrite", // which runs in a process of its own
	"github.com/tdewolff":           "licence/render/typeface",
	"github.com/zitadel":            "internal/testidp",
	"golang.org/x/oauth2":           "api/identity",
	"modernc.org/sqlite":            "store",
}

// confinedToTests names outside modules that no program links, and the only packages
// whose tests may import them.
var confinedToTests = map[string]string{
	"codeberg.org/go-pdf":  "licence/render", // whose benchmark it stands beside
	"github.com/digitorus": "crypto/pdfsig/pades",
}

// free lists packages of confined modules that anyone may import.
var free = []string{"github.com/emmansun/gmsm/sm3"}

// TestLayout reads the import clauses itself, rather than asking go list, so
// that the test cache sees which files its result depends on.
func TestLayout(t *testing.T) {
	may := map[string][]string{}
	for _, l := range layout {
		deps := strings.Fields(l.mayImport)
		for _, dep := range deps {
			if _, above := may[dep]; !above {
				t.Errorf("layout: %s may import %s, which is not above it", l.pkg, dep)
			}
		}
		may[l.pkg] = deps
	}

	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || len(d.Name()) > 1 && d.Name()[0] == '.'):
			return filepath.SkipDir
		case !strings.HasSuffix(file, ".go"):
			return nil
		}
		imports := importsOf(t, file)
		checkTestModules(t, file, imports)
		if !strings.HasSuffix(file, "_test.go") {
			checkFile(t, file, imports, may)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// importsOf reads the paths that a file imports.
func importsOf(t *testing.T, file string) (paths []string) {
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
	if err != nil {
		t.Error(err)
		return nil
	}
	for _, spec := range f.Imports {
		imp, _ := strconv.Unquote(spec.Path.Value)
		paths = append(paths, imp)
	}
	return paths
}

// checkTestModules reports imports of modules that are for certain tests only.
func checkTestModules(t *testing.T, file string, imports []string) {
	for _, imp := range imports {
		for mod, pkgs := range confinedToTests {
			test := strings.HasSuffix(file, "_test.go") && slices.Contains(strings.Fields(pkgs), path.Dir(filepath.ToSlash(file)))
			if strings.HasPrefix(imp, mod) && !test {
				t.Errorf("%s imports %s, which is confined to the tests of: %s", file, imp, pkgs)
			}
		}
	}
}

// checkFile reports every import in file that the layout does not allow.
func checkFile(t *testing.T, file string, imports []string, may map[string][]string) {
	pkg := path.Dir(filepath.ToSlash(file))
	allowed, listed := may[pkg]
	if !listed {
		t.Errorf("%s: package %s is not in the layout", file, pkg)
	}
	for _, imp := range imports {
		if dep, ours := strings.CutPrefix(imp, module); ours && !slices.Contains(allowed, dep) {
			t.Errorf("%s imports %s, which the layout does not allow", file, dep)
		}
		for mod, pkgs := range confined {
			if strings.HasPrefix(imp, mod) && !slices.Contains(free, imp) && !slices.Contains(strings.Fields(pkgs), pkg) {
				t.Errorf("%s imports %s, which is confined to: %s", file, imp, pkgs)
			}
		}
	}
}

// TestGateStaysInside: only the packages of the register name an operation for its gate, get
// the gate, or change the store by themselves. What each may name beside them is here.
func TestGateStaysInside(t *testing.T) {
	beside := map[string]string{
		"cmd/elicenced": "Gate Tx", // puts the parts together; a succession skips numbers
		"store":         "Tx",      // implements it
	}
	seen := 0
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		pkg := path.Dir(filepath.ToSlash(file))
		if err != nil || d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			s, ok := n.(*ast.SelectorExpr)
			if !ok || s.Sel.Name != "Gate" && !(ofRegistry(s) && slices.Contains([]string{"Access", "Tx"}, s.Sel.Name)) {
				return true
			}
			seen++
			if !strings.HasPrefix(pkg+"/", "licence/registry/") && !slices.Contains(strings.Fields(beside[pkg]), s.Sel.Name) {
				t.Errorf("%s names %s of the register, which only its own packages may", file, s.Sel.Name)
			}
			return true
		})
		return nil
	})
	if err != nil || seen == 0 {
		t.Fatal(seen, err)
	}
}

// ofRegistry reports whether a selector is of the package licence/registry.
func ofRegistry(s *ast.SelectorExpr) bool {
	x, ok := s.X.(*ast.Ident)
	return ok && x.Name == "registry"
}
