package api_test

import (
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"elicence/licence"

	"github.com/google/go-cmp/cmp"
)

var updateSharing = flag.Bool("update-sharing", false, "write the answers of testdata/gbt36906 anew")

// sharingCase is a call and its answer. Texts in capitals behind a $ stand for what a test finds.
type sharingCase struct {
	About string `json:"about"`
	Call  string `json:"call"`
	// As is the client whose token stands in the Authorization header; empty: none does.
	As      string          `json:"as"`
	Raw     string          `json:"raw,omitempty"`
	Request json.RawMessage `json:"request,omitempty"`
	HTTP    int             `json:"http"`
	Answer  json.RawMessage `json:"answer"`
}

// sharingWorld has licences of the case's holder, and one of another.
func sharingWorld(t *testing.T) (*world, *strings.Replacer, *strings.Replacer) {
	w := open(t)
	issued, revoked, suspended := w.issue(food, "s1"), w.issue(food, "s2"), w.issue(food, "s3")
	w.act(revoked.Identifier, "revoke", "s4", `{"reason":"提供虚假材料"}`)
	w.act(suspended.Identifier, "suspend", "s5", `{"reason":"停业整顿"}`)
	var own struct{ Holder struct{ Code string } }
	must(t, json.Unmarshal(sample(t, food), &own))
	others := w.issueBody(change(t, food, map[string]any{"holder.code": "11330100002490082C"}), "s6")
	nobodys, err := licence.NewIdentifier(foodType, "11330106002504122C", "NOBODY", 1)
	must(t, err)
	file := w.download(issued.Identifier)
	qr := qrText(t, file)
	pairs := []string{
		"$IDENTIFIER", string(issued.Identifier), "$REVOKEDNUMBER", revoked.Number, "$REVOKED", string(revoked.Identifier), "$SUSPENDED", string(suspended.Identifier),
		"$OTHERS", string(others.Identifier), "$NOBODYS", string(nobodys), "$NUMBER", issued.Number, "$HOLDER", own.Holder.Code, "$TYPE", foodType,
		"$MATTER", matter, "$TOKEN", w.token(partner), "$QRCUT", qr[:len(qr)-20], "$QR", qr, "$FILE", base64.StdEncoding.EncodeToString(file),
	}
	back := []string{suspended.Number, "$SUSPENDEDNUMBER"}
	for i := 0; i < 16; i += 2 {
		back = append(back, pairs[i+1], pairs[i])
	}
	return w, strings.NewReplacer(pairs...), strings.NewReplacer(back...)
}

// inOrder puts a list of licences, whose identifiers are drawn, into an order that is always
// the same.
func inOrder(answer any) {
	if list, ok := answer.(map[string]any)["data"].([]any); ok {
		slices.SortFunc(list, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	}
}

// madeCopy is what is drawn anew for each copy.
var madeCopy = regexp.MustCompile(`(/copies/|"fileDigest":")[0-9a-f]+`)

// TestSharing runs the calls of testdata/gbt36906, each answered to the letter, signed when
// it is good, and logged.
func TestSharing(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/gbt36906/*.json")
	must(t, err)
	good, bad := 0, 0
	var (
		w          *world
		fill, back *strings.Replacer
	)
	for i, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		if i%10 == 0 { // before the refused of one case are as many as brake its client
			w, fill, back = sharingWorld(t)
		}
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(file)
			must(t, err)
			var c sharingCase
			must(t, json.Unmarshal(text, &c))
			body := []byte(fill.Replace(c.Raw))
			if c.Raw == "" {
				body = []byte(fill.Replace(string(c.Request)))
			}
			w.Move(6 * time.Second) // slower than the brake
			before := w.size()
			a := w.do(ask{method: "POST", path: "/api/gbt36906/" + c.Call, as: c.As, body: body, remote: "10.1.0." + string(rune('0'+i%10)) + ":1", header: map[string]string{"X-Request-Id": "golden"}})
			if *updateSharing {
				c.HTTP, c.Answer = a.StatusCode, []byte(madeCopy.ReplaceAllString(back.Replace(string(a.body)), "$1$$DRAWN"))
				text, err := json.MarshalIndent(c, "", " ")
				must(t, err)
				must(t, os.WriteFile(file, append(text, '\n'), 0o644))
			}
			var got, want any
			told := madeCopy.ReplaceAllString(back.Replace(string(a.body)), "$1$$DRAWN")
			must(t, json.Unmarshal([]byte(told), &got))
			must(t, json.Unmarshal(c.Answer, &want))
			inOrder(got)
			inOrder(want)
			if diff := cmp.Diff(got, want); diff != "" || a.StatusCode != c.HTTP {
				t.Errorf("%s: %d, want %d (got, want):\n%s", c.About, a.StatusCode, c.HTTP, diff)
			}
			if w.size() == before || a.Header.Get("Elicence-Log-Index") == "" {
				t.Error("it is not logged")
			}
			if strings.HasPrefix(name, "bad-") != (a.StatusCode >= 400) {
				t.Errorf("answered with %d", a.StatusCode)
			}
			if bad++; a.StatusCode < 400 {
				good, bad = good+1, bad-1
				if _, _, err := verified(stored(a), body); err != nil {
					t.Errorf("signature: %v", err)
				}
			}
		})
	}
	if good < 12 || bad < 2*good {
		t.Errorf("%d good cases, %d bad ones", good, bad)
	}
}

// sharingBody is the body of a call about a licence, in a case.
func sharingBody(t testing.TB, call, businessCode string, id licence.Identifier, file []byte) []byte {
	t.Helper()
	data := map[string]any{"useCause": "核验建设工程项目部食堂的经营许可"}
	if call != "verifyFile" {
		data["businessCode"], data["itemCode"], data["username"] = businessCode, matter, "王五"
	}
	var own struct{ Holder struct{ Code string } }
	must(t, json.Unmarshal(sample(t, food), &own))
	switch call {
	case "queryCertInfo", "downloadUrl":
		data["certIdentifier"] = id
	case "queryCertInfoByQRcode":
		data["qrcode"] = qrText(t, file)
	case "verifyFile":
		data["certTypeCode"], data["contentType"], data["content"] = foodType, "base64", base64.StdEncoding.EncodeToString(file)
	case "verifyCertInfo":
		data["certTypeCode"], data["certData"] = foodType, map[string]string{"holderCode": own.Holder.Code}
	default:
		data["certTypeCode"], data["holderCode"], data["holderTypeCode"] = foodType, own.Holder.Code, "001"
	}
	b, err := json.Marshal(map[string]any{"data": data})
	must(t, err)
	return b
}

// shares makes a call of the sharing services about a licence of the walk's own.
func shares(call string) func(*routeWalk) walkStep {
	return func(w *routeWalk) walkStep {
		if w.shared == "" {
			w.shared = w.issue(food, "walk-shared").Identifier
		}
		return w.withToken(ask{as: partner, body: sharingBody(w.t, call, "C-2", w.shared, w.download(w.shared))})
	}
}
