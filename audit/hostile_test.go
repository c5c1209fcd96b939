package audit_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"elicence/audit"
	"elicence/testdata/hostile"

	"github.com/google/go-cmp/cmp"
)

// TestHostileExports: an export is read line by line, however long it is or says it is.
func TestHostileExports(t *testing.T) {
	policy, err := audit.ParsePolicy(mustRead(t, testdata+"/example.policy"))
	if err != nil {
		t.Fatal(err)
	}
	const header = "elicence-log-export/1\norigin log.example/city\nrange "
	row := bytes.Split(mustRead(t, testdata+"/example.export"), []byte("\n"))[4]
	for name, text := range map[string]string{
		"nothing":                  "",
		"a line of 10 MB":          strings.Repeat("x", 10<<20),
		"a row of 10 MB":           header + "0 3\n\n0 " + strings.Repeat("A", 10<<20),
		"an index of 10 MB":        header + "0 3\n\n" + strings.Repeat("1", 10<<20),
		"a range beyond 2^63":      header + "0 9223372036854775808\n\n",
		"as many rows as there be": header + "0 9223372036854775807\n\n" + strings.Repeat(string(row)+"\n", 20_000),
		"nodes of the whole range": header + "9223372036854775806 9223372036854775807\nprev " + strings.Repeat("00", 32) + "\n" + strings.Repeat("node "+strings.Repeat("00", 32)+"\n", 62) + "\n",
		"a record of lists in one another": header + "0 3\n\n0 " + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{0x81}, 1000)) + " " +
			strings.Repeat("00", 32) + "\n",
		"a note of 10 MB": strings.Replace(string(mustRead(t, testdata+"/example.export")), "— log", strings.Repeat("— log.example/city AAAA\n", 400_000)+"— log", 1),
	} {
		hostile.Within(t, func() {
			s, err := audit.VerifyExport(policy, strings.NewReader(text))
			if !errors.Is(err, audit.ErrBadExport) || s.To != 0 || len(fmt.Sprint(err)) > 1000 {
				t.Errorf("%s: %.100v", name, err)
			}
		})
	}
}

// TestHostileRecords: what says that it is large is not believed.
func TestHostileRecords(t *testing.T) {
	for name, b := range map[string][]byte{
		"10 MB":                  make([]byte, 10<<20),
		"lists in one another":   bytes.Repeat([]byte{0x81}, 4000),
		"list beyond everything": {0x9b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		"text beyond everything": {0x90, 0x58, 0x20, 0x7b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		"indefinite length":      append([]byte{0x9f}, append(mustCBOR(t, exampleRecord())[1:], 0xff)...),
	} {
		hostile.Within(t, func() {
			if r, err := audit.ParseRecord(b); err == nil || !cmp.Equal(r, audit.Record{}) {
				t.Errorf("record of %s: taken in", name)
			}
			if salt, personal, err := audit.ParseOpening(b); err == nil || salt != nil || personal != nil {
				t.Errorf("opening of %s: taken in", name)
			}
			if c, err := audit.ParseCheckpoint(b); err == nil || c != (audit.Checkpoint{}) {
				t.Errorf("checkpoint of %s: taken in", name)
			}
			if p, err := audit.ParsePolicy(b); err == nil || p != nil {
				t.Errorf("policy of %s: taken in", name)
			}
		})
	}
	for name, text := range map[string]string{
		"logs":      strings.Repeat("log x\n", 10_000),
		"lines":     strings.Repeat("\n", 10<<20),
		"witnesses": strings.Repeat("witness a b\n", 1<<20),
		"a quorum":  "quorum " + strings.Repeat("9", 60_000) + "\n",
	} {
		hostile.Within(t, func() {
			if p, err := audit.ParsePolicy([]byte(text)); err == nil || p != nil || len(err.Error()) > 1000 {
				t.Errorf("policy of %s: %.100v", name, err)
			}
		})
	}
}
