package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"elicence/testdata/requests"
)

// TestImportWalk imports an OFD of another platform with the offline tool, into a service
// whose operator has put that platform's root among the outside anchors: it is valid, and
// whoever verifies the file is told so.
func TestImportWalk(t *testing.T) {
	t.Parallel()
	const foreign = "../../testdata/foreign/"
	s := newSite(t, "")
	root, err := os.ReadFile(foreign + "anchors.pem")
	must(t, err)
	must(t, os.WriteFile(filepath.Join(s.Dir, "keys", foreignAnchors), root, 0o600))
	r := s.serve(t)
	defer r.stop(t)

	body, err := requests.Files.ReadFile("food-retail.json")
	must(t, err)
	var request map[string]any
	must(t, json.Unmarshal(body, &request))
	request["number"], request["authority"] = "JY23301050000777", map[string]string{"name": "外省测试机构", "code": "11330105002500287C"}
	request["identifier"] = "1.2.156.3005.2.11100000MB0143028R901.11330105002500287C.2025052201.001.Z"
	body, err = json.Marshal(request)
	must(t, err)
	dir := t.TempDir()
	stated, token := filepath.Join(dir, "external.json"), filepath.Join(dir, "token")
	must(t, os.WriteFile(stated, body, 0o600))
	must(t, os.WriteFile(token, []byte(s.as(t, r, "approval-market").token), 0o600))
	for range 2 { // the same command gets the first answer
		out, err := exec.Command(auditorBinary, "import", "--server", r.baseURL, "--token-file", token, stated, foreign+"sealed.ofd").CombinedOutput()
		if err != nil || !strings.HasPrefix(string(out), "已导入 imported: ") || !bytes.Contains(out, []byte("verdict: valid")) {
			t.Errorf("import: %v: %s", err, out)
		}
	}
	file, err := os.ReadFile(foreign + "sealed.ofd")
	must(t, err)
	answer, err := http.Post(r.baseURL+"/api/v1/verifications", "application/ofd", bytes.NewReader(file))
	must(t, err)
	defer answer.Body.Close()
	report, err := io.ReadAll(answer.Body)
	if err != nil || !bytes.Contains(report, []byte(`"tone":"good"`)) || !bytes.Contains(report, []byte(`"origin":"external"`)) {
		t.Errorf("verified: %v: %s", err, report)
	}
}
