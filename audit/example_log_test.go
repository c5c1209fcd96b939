package audit_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"elicence/audit"
)

var update = flag.Bool("update", false, "write testdata/audit/example.* anew; docs/log-format.md quotes them")

const testdata = "../testdata/audit"

// counting gives the bytes 0, 1, 2, …, so that the example's salt is plain to see.
type counting struct{ next byte }

func (c *counting) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = c.next
		c.next++
	}
	return len(b), nil
}

// exampleLog makes the log that docs/log-format.md works through.
func exampleLog(t *testing.T) *fixture {
	f := newFixture(t)
	f.config.Rand = &counting{}
	f.config.Now = func() time.Time { return time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC) }
	f.log = f.mustOpen(t)
	entries := []*audit.Entry{
		{Principal: "client/a", Action: "issue", Object: "x1", Result: audit.ResultAllowed},
		{
			Principal: "client/b", Authority: "3301", Action: "reuse", Object: "x1", Purpose: "开办餐饮店", Case: "c-7",
			Matter: "m-1", Result: audit.ResultRefused, Code: "not_granted", RequestID: "r-2", Digest: []byte{0xd1, 0x6e},
			Personal: map[string]string{"holder_name": "张三", "holder_code": "11010119900307123X"},
		},
		{Principal: "client/a", Action: "revoke", Object: "x1", Result: audit.ResultFailed},
	}
	for _, e := range entries {
		if _, err := f.log.Append(t.Context(), e, nil); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// TestExample holds docs/log-format.md to the files that it quotes, and those
// to the code.
func TestExample(t *testing.T) {
	if *update {
		writeExample(t)
	}
	doc := mustRead(t, "../docs/log-format.md")
	policyFile := mustRead(t, filepath.Join(testdata, "example.policy"))
	quotes := strings.Split(strings.TrimSpace(string(policyFile)), "\n")
	policy, err := audit.ParsePolicy(policyFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"example.export", "example-2-3.export"} {
		file := mustRead(t, filepath.Join(testdata, name))
		s, err := audit.VerifyExport(policy, bytes.NewReader(file))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		quotes = append(quotes, strings.Split(string(file), "\n")...)
		quotes = append(quotes, hex.EncodeToString(s.RootHash[:]))
	}
	witnessed := mustRead(t, filepath.Join(testdata, "example-witness.policy"))
	quotes = append(quotes, strings.Split(string(witnessed), "\n")[1])
	cosigned := mustRead(t, filepath.Join(testdata, "example.cosigned"))
	quotes = append(quotes, strings.Split(string(cosigned), "\n")...)
	if policy, err = audit.ParsePolicy(witnessed); err != nil {
		t.Fatal(err)
	}
	if c, by, err := policy.OpenCheckpoint(cosigned); err != nil || c.Size != 3 || len(by) != 1 {
		t.Errorf("example.cosigned: %+v by %v, %v", c, by, err)
	}
	rows := strings.Split(strings.TrimSpace(string(mustRead(t, filepath.Join(testdata, "example.rows")))), "\n")
	last, err := hex.DecodeString(rows[len(rows)-1])
	if err != nil {
		t.Fatal(err)
	}
	leaf := audit.LeafHash(last)
	quotes = append(quotes, "    old 2\n    "+base64.StdEncoding.EncodeToString(leaf[:])+"\n\n")
	quotes = append(quotes, rows...)
	for _, quote := range quotes {
		if !strings.Contains(string(doc), quote) {
			t.Errorf("docs/log-format.md lacks %q", quote)
		}
	}
}

func writeExample(t *testing.T) {
	f := exampleLog(t)
	var rows strings.Builder
	for _, row := range f.storage.rows {
		fmt.Fprintf(&rows, "%x\n", row.Record)
		if row.Opening != nil {
			fmt.Fprintf(&rows, "%x\n", row.Opening)
		}
	}
	w := newSigner(t, "witness.example/w1")
	key, err := w.WitnessKey()
	if err != nil {
		t.Fatal(err)
	}
	witnessed, err := f.policy.WithWitness("w1", key, 1)
	if err != nil {
		t.Fatal(err)
	}
	cosigned, err := audit.Cosign(rand.Reader, w, f.storage.heads[2].Checkpoint, time.Date(2026, 3, 1, 8, 0, 30, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{
		"example-witness.policy": witnessed.Marshal(),
		"example.cosigned":       cosigned,
		"example.policy":         f.policy.Marshal(),
		"example.export":         f.mustExport(t, 0, 0),
		"example-2-3.export":     f.mustExport(t, 2, 3),
		"example.rows":           []byte(rows.String()),
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(testdata, name), content, 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

func mustRead(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var _ io.Reader = (*counting)(nil)
