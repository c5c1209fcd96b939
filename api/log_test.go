package api_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"elicence/audit"

	"github.com/emmansun/gmsm/sm3"
	"github.com/transparency-dev/merkle/proof"
)

// hasher is the tree's hashing: SM3 with the prefixes of RFC 6962.
type hasher struct{}

func (hasher) EmptyRoot() []byte { h := sm3.Sum(nil); return h[:] }
func (hasher) HashLeaf(b []byte) []byte {
	h := sm3.Sum(append([]byte{0}, b...))
	return h[:]
}
func (hasher) HashChildren(l, r []byte) []byte {
	h := sm3.Sum(append(append([]byte{1}, l...), r...))
	return h[:]
}
func (hasher) Size() int { return 32 }

// head reads size and root of a note in the three-line form.
func head(t testing.TB, note []byte) (size uint64, root []byte) {
	t.Helper()
	lines := strings.Split(string(note), "\n")
	if len(lines) < 5 {
		t.Fatalf("note: %q", note)
	}
	size, err := strconv.ParseUint(lines[1], 10, 64)
	must(t, err)
	root, err = base64.StdEncoding.DecodeString(lines[2])
	must(t, err)
	return size, root
}

// TestReceipt: the receipt of an answer proves that its entry is in the log, and
// the log grew from there to the newest checkpoint.
func TestReceipt(t *testing.T) {
	w := open(t)
	issued := w.issue(food, "r")
	a := w.do(ask{method: "GET", path: "/api/v1/licences/" + string(issued.Identifier), as: approval})
	index, err := strconv.ParseUint(a.Header.Get("Elicence-Log-Index"), 10, 64)
	must(t, err)
	leaf, err := hex.DecodeString(a.Header.Get("Elicence-Log-Leaf"))
	must(t, err)
	note, err := base64.StdEncoding.DecodeString(a.Header.Get("Elicence-Log-Checkpoint"))
	must(t, err)
	size, root := head(t, note)

	hashes := w.hashes("/api/v1/log/proof?index=" + strconv.FormatUint(index, 10) + "&size=" + strconv.FormatUint(size, 10))
	if err := proof.VerifyInclusion(hasher{}, index, size, leaf, hashes, root); err != nil {
		t.Errorf("inclusion of entry %d in %d: %v", index, size, err)
	}
	a = w.do(ask{method: "GET", path: "/api/v1/log/checkpoint", as: auditor})
	newSize, newRoot := head(t, a.body)
	hashes = w.hashes("/api/v1/log/proof?from=" + strconv.FormatUint(size, 10) + "&to=" + strconv.FormatUint(newSize, 10))
	if err := proof.VerifyConsistency(hasher{}, size, newSize, hashes, root, newRoot); err != nil || newSize <= size {
		t.Errorf("consistency of %d with %d: %v", size, newSize, err)
	}
}

// hashes fetches a proof.
func (w *world) hashes(path string) [][]byte {
	w.t.Helper()
	a := w.do(ask{method: "GET", path: path, as: auditor})
	var p struct {
		Hashes []string `json:"hashes"`
	}
	if a.json(w.t, &p); a.StatusCode != http.StatusOK {
		w.t.Fatalf("%s: %d %s", path, a.StatusCode, a.body)
	}
	hashes := make([][]byte, len(p.Hashes))
	for i, h := range p.Hashes {
		var err error
		hashes[i], err = hex.DecodeString(h)
		must(w.t, err)
	}
	return hashes
}

// TestExport: an export verifies against the log's policy; a range that is not
// there is a problem.
func TestExport(t *testing.T) {
	w := open(t)
	w.issue(food, "e")
	key, err := w.LogKey.VerifierKey()
	must(t, err)
	policy, err := audit.NewPolicy(key)
	must(t, err)
	for _, query := range []string{"", "?from=3", "?from=3&to=5", "?from=0&to=0"} {
		a := w.do(ask{method: "GET", path: "/api/v1/log/export" + query, as: auditor})
		summary, err := audit.VerifyExport(policy, bytes.NewReader(a.body))
		if err != nil || a.StatusCode != 200 || a.Header.Get("Content-Type") != "application/octet-stream" || a.Header.Get("Elicence-Log-Index") == "" {
			t.Errorf("%q: %d, %+v, %v", query, a.StatusCode, summary, err)
		}
	}
	for query, code := range map[string]string{"?from=999999": "out_of_range", "?from=5&to=3": "out_of_range", "?from=0&to=999999": "out_of_range", "?from=x": "malformed_parameter", "?to=3": "malformed_parameter", "?form=3": "malformed_parameter"} {
		if p := problemIn(t, w.do(ask{method: "GET", path: "/api/v1/log/export" + query, as: auditor})); p.Code != code {
			t.Errorf("%s: %+v", query, p)
		}
	}
	for _, query := range []string{"index=5&size=5", "index=0&size=999999", "from=9&to=3", "from=0&to=999999"} {
		if p := problemIn(t, w.do(ask{method: "GET", path: "/api/v1/log/proof?" + query, as: auditor})); p.Code != "out_of_range" || p.Status != 404 {
			t.Errorf("%s: %+v", query, p)
		}
	}
}
