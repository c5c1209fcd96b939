package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"elicence/audit"
	"elicence/audit/audittest"
)

// proofFiles is a folder of what proofs are made from and lead to: of a log of eight
// entries, and of another history under its key.
type proofFiles struct {
	*watched
	dir  string
	leaf []string // of each entry
}

func newProofFiles(t testing.TB) *proofFiles {
	t.Helper()
	p := &proofFiles{watched: newWatched(t), dir: t.TempDir()}
	p.append(p.log, "more", 5)
	p.show(p.log, 8, time.Now(), 0)
	fork := audittest.Open(t, p.log.Signer, time.Now())
	p.append(fork, "another", 9)
	for i, row := range p.log.Storage.Stored {
		p.leaf = append(p.leaf, hex.EncodeToString(row.Leaf[:]))
		p.write(fmt.Sprint("receipt", i+1), p.note(p.log, i+1, time.Now()))
		p.write(fmt.Sprint("cosigned", i+1), p.note(p.log, i+1, time.Now(), 0))
	}
	p.write("fork5", p.note(fork, 5, time.Now()))
	p.write("fork9", p.note(fork, 9, time.Now(), 0))
	p.write("stranger", audittest.New(t, watchedLog, time.Now()).Policy)
	for name, r := range map[string][2]uint64{"export": {0, 8}, "export-3": {3, 8}, "export-0-5": {0, 5}} {
		var out bytes.Buffer
		must(t, audit.Export(context.Background(), p.log.Storage, watchedLog, r[0], r[1], false, &out))
		text := out.String() // with the cosignature that the storage lacks
		p.write(name, []byte(text[:strings.LastIndex(text, "\n\n"+watchedLog)+2]+string(p.note(p.log, int(r[1]), time.Now(), 0))))
	}
	edited := p.read(filepath.Join(p.dir, "export"))
	lines := bytes.SplitAfter(edited, []byte("\n"))
	lines[6][60] ^= 1
	p.write("edited", bytes.Join(lines, nil))
	return p
}

func (p *proofFiles) write(name string, content []byte) {
	p.t.Helper()
	must(p.t, os.WriteFile(filepath.Join(p.dir, name), content, 0o600))
}

// prove runs the command. Arguments @name are files of the folder.
func (p *proofFiles) prove(args ...string) (code int, says string) {
	var out bytes.Buffer
	all := []string{"audit", "prove", "--policy", p.policy}
	for _, arg := range args {
		if name, ok := strings.CutPrefix(arg, "@"); ok {
			arg = filepath.Join(p.dir, name)
		}
		all = append(all, arg)
	}
	code = run(all, terminal{&out, &out})
	return code, out.String()
}

// TestProve asks for proofs from exports, files and the service.
func TestProve(t *testing.T) {
	p := newProofFiles(t)
	service := []string{"--server", p.server.URL, "--token-file", p.token}
	from := func(source []string, args ...string) []string { return append(args, source...) }
	for _, tt := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"entry", from(nil, "--index", "3", "@export"), exitGood, "proved: entry 3, leaf " + p.leaf[3] + ", is in log.example/city of 8 entries"},
		{"what it says", from(nil, "--index", "3", "@export-3"), exitGood, "object      more0\n"},
		{"entry and its receipt", from(nil, "--index", "3", "--leaf", p.leaf[3], "@export"), exitGood, "cosigned by 1 witnesses"},
		{"entry in an older log", from(nil, "--index", "3", "--checkpoint", "@cosigned5", "@export"), exitGood, "of 5 entries"},
		{"older", from(nil, "--older", "@receipt3", "@export"), exitGood, "proved: the log of 3 entries is the beginning of log.example/city of 8 entries"},
		{"two older", from(nil, "--older", "@receipt3", "--checkpoint", "@cosigned5", "@export-3"), exitGood, "of 5 entries"},
		{"the same", from(nil, "--older", "@cosigned8", "@export"), exitGood, ""},
		{"entry by the service", from(service, "--index", "3", "--leaf", p.leaf[3]), exitGood, "of 8 entries"},
		{"entry in an older log by the service", from(service, "--index", "3", "--leaf", p.leaf[3], "--checkpoint", "@cosigned5"), exitGood, "of 5 entries"},
		{"older by the service", from(service, "--older", "@receipt3"), exitGood, "of 8 entries"},

		{"another leaf", from(nil, "--index", "3", "--leaf", p.leaf[4], "@export"), exitBad, "bad: entry 3 has the leaf " + p.leaf[3]},
		{"another leaf by the service", from(service, "--index", "3", "--leaf", p.leaf[4]), exitBad, "bad: audit: the proof does not lead to the checkpoint's root"},
		{"entry in another history", from(nil, "--index", "3", "--checkpoint", "@fork9", "@export"), exitUsage, "out of range"},
		{"another history", from(nil, "--older", "@fork5", "@export"), exitBad, "bad: the log has two histories"},
		{"another history by the service", from(service, "--older", "@fork5"), exitBad, "bad: the log has two histories"},
		{"backwards", from(nil, "--older", "@receipt8", "@export-0-5"), exitBad, "bad: the log went backwards: the older checkpoint covers 8 entries, the newer 5"},
		{"backwards by the service", from(service, "--older", "@fork9"), exitBad, "bad: the log went backwards"},
		{"backwards between checkpoints", from(nil, "--older", "@receipt8", "--checkpoint", "@cosigned5", "@export"), exitBad, "bad: the log went backwards"},
		{"to a receipt", from(nil, "--index", "3", "--checkpoint", "@receipt5", "@export"), exitBad, "too few cosignatures"},
		{"edited", from(nil, "--index", "0", "@edited"), exitBad, "entry 2: "},
		{"older of the edited", from(nil, "--older", "@receipt1", "@edited"), exitBad, "entry 2: "},
		{"no checkpoint", from(nil, "--older", "@export", "@export"), exitBad, "malformed"},
		{"an empty export", from(nil, "--index", "3", os.DevNull), exitBad, "it ends early"},

		{"beyond the end", from(nil, "--index", "8", "@export"), exitUsage, "the export holds the entries from 0 to 7"},
		{"before the beginning", from(nil, "--index", "2", "@export-3"), exitUsage, "the export holds the entries from 3 to 7"},
		{"older than the beginning", from(nil, "--older", "@receipt2", "@export-3"), exitUsage, "the export holds the entries from 3 to 7"},
		{"no leaf", from(service, "--index", "3"), exitUsage, "--leaf"},
		{"a leaf that is none", from(nil, "--index", "3", "--leaf", "abc", "@export"), exitUsage, "--leaf"},
		{"neither", from(nil, "@export"), exitUsage, ""},
		{"both", from(nil, "--index", "3", "--older", "@receipt3", "@export"), exitUsage, ""},
		{"no source", from(nil, "--index", "3"), exitUsage, "want an export"},
		{"two sources", from(service, "--index", "3", "@export"), exitUsage, "want an export"},
		{"a negative entry", from(nil, "--index=-1", "@export"), exitUsage, ""},
		{"no such export", from(nil, "--index", "3", "@missing"), exitNoInput, ""},
		{"no such checkpoint", from(nil, "--older", "@missing", "@export"), exitNoInput, ""},
		{"no such token", from(nil, "--older", "@receipt3", "--server", p.server.URL, "--token-file", "missing"), exitNoInput, ""},
		{"beyond the end of the service's", from(service, "--index", "8", "--leaf", p.leaf[4]), exitUnavailable, "out_of_range"},
		{"a proof that cannot be written", from(nil, "--index", "3", "@export", "-o", "@none/proof"), exitInternal, ""},
	} {
		if code, says := p.prove(tt.args...); code != tt.code || !strings.Contains(says, tt.says) {
			t.Errorf("%s: exits with %d and says %s", tt.name, code, says)
		}
	}
}

// TestProveFile saves proofs, alters every byte of them, and has the command and
// testdata/audit/verify_checkpoint.py judge them.
func TestProveFile(t *testing.T) {
	p := newProofFiles(t)
	var input strings.Builder
	var names []string
	var codes []int
	judge := func(name string, proof []byte, kind, leaf, older string) {
		file := filepath.Join(p.dir, fmt.Sprint("proof", len(names)))
		must(t, os.WriteFile(file, proof, 0o600))
		args, other := []string{"--older", "@" + older}, filepath.Join(p.dir, older)
		if kind == "inclusion" {
			args, other = []string{"--index", "3", "--leaf", leaf}, leaf
		}
		code, says := p.prove(append(args, "--checkpoint", "@cosigned8", file)...)
		if code != exitGood && code != exitBad {
			t.Errorf("%s: exits with %d and says %s", name, code, says)
		}
		names, codes = append(names, name), append(codes, code)
		fmt.Fprintln(&input, p.policy, filepath.Join(p.dir, "cosigned8"), kind, other, file)
	}
	for kind, args := range map[string][]string{"inclusion": {"--index", "3"}, "consistency": {"--older", "@receipt3"}} {
		if code, says := p.prove(append(args, "@export", "-o", "@proof.json")...); code != exitGood {
			t.Fatal(says)
		}
		proof := p.read(filepath.Join(p.dir, "proof.json"))
		judge(kind, proof, kind, p.leaf[3], "receipt3")
		judge(kind+" of another", proof, kind, p.leaf[4], "receipt4")
		for i := range proof {
			altered := bytes.Clone(proof)
			altered[i] ^= []byte{0x01, 0x20, 0x80}[i%3]
			judge(fmt.Sprintf("%s, byte %d altered", kind, i), altered, kind, p.leaf[3], "receipt3")
		}
		for name, text := range map[string]string{
			"nothing": "{}", "no object": "{", "nulls": `{"from":null,"to":8,"hashes":null}`, "no hashes": `{"from":3,"to":8,"hashes":[]}`, "of fractions": `{"from":3.0,"to":8,"hashes":[]}`,
			"of another kind": `{"index":3,"size":8,"hashes":[]}`, "a member more": strings.Replace(string(proof), "{", `{"a":1,`, 1), "two texts": string(proof) + "{}",
			"in lists": `{"a":` + strings.Repeat("[", 10_000), "of 20,000 bytes": string(proof) + strings.Repeat(" ", 20_000), "a hash more": strings.Replace(string(proof), "[", `["`+p.leaf[0]+`",`, 1),
			"in capitals": strings.Replace(string(proof), `"hashes"`, `"Hashes"`, 1), "a number for a hash": strings.Replace(string(proof), `["`, `[1,"`, 1),
		} {
			judge(kind+", "+name, []byte(text), kind, p.leaf[3], "receipt3")
		}
	}
	cmd := exec.Command("python3", "../../testdata/audit/verify_checkpoint.py", "-")
	cmd.Stdin, cmd.Stderr = strings.NewReader(input.String()), os.Stderr
	out, _ := cmd.Output() // it exits with 1 when anything is bad
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != len(codes) {
		t.Fatalf("verify_checkpoint.py judged %d of %d proofs:\n%s", len(lines), len(codes), out)
	}
	good := 0
	for i, line := range lines {
		if (codes[i] == exitGood) != strings.HasPrefix(line, "good ") {
			t.Errorf("%s: elicence exits with %d, Python says %s", names[i], codes[i], line)
		}
		if codes[i] == exitGood {
			good++
		}
	}
	if good != 2 {
		t.Errorf("%d of %d proofs are good, want 2", good, len(codes))
	}
}
