package audit_test

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"elicence/audit"

	"github.com/transparency-dev/merkle/proof"
)

// TestAddCosignature: what a witness answers is taken when it is its cosignature, and
// makes one canonical note.
func TestAddCosignature(t *testing.T) {
	f, w, _ := cosignedLog(t)
	signed := f.storage.heads[2].Checkpoint
	policy := f.policy
	for i, s := range w {
		key, err := s.WitnessKey()
		if err != nil {
			t.Fatal(err)
		}
		if policy, err = policy.WithWitness(fmt.Sprintf("w%d", i), key, 1); err != nil {
			t.Fatal(err)
		}
	}
	line := func(s audit.Signer, at time.Time) string {
		t.Helper()
		cosigned, err := audit.Cosign(rand.Reader, s, signed, at)
		if err != nil {
			t.Fatal(err)
		}
		return string(cosigned[len(signed):])
	}
	mine, other := line(w[0], start), line(w[1], start)
	stranger := line(newSigner(t, "stranger.example"), start)
	for name, lines := range map[string]string{
		"alone": mine, "with another's": mine + other, "after another's": other + mine, "with a stranger's": stranger + mine + stranger,
	} {
		cosigned, err := policy.AddCosignature(signed, "w0", []byte(lines))
		if err != nil || string(cosigned) != string(signed)+mine {
			t.Errorf("%s: %q, %v", name, cosigned, err)
		}
	}
	cosigned, err := policy.AddCosignature(append(bytes.Clone(signed), mine...), "w0", []byte(line(w[0], start.Add(time.Hour))))
	if err != nil {
		t.Fatal(err)
	}
	if _, at, err := policy.OpenCosigned(cosigned, "w0"); err != nil || !at.Equal(start.Add(time.Hour).Truncate(time.Second)) || bytes.Count(cosigned, []byte("w1.example")) != 1 {
		t.Errorf("cosigned again: of %s, %v\n%s", at, err, cosigned)
	}
	refuseCosignatures(t, policy, signed, mine, other, stranger, w[0], f.storage.heads[1].Checkpoint)
}

// refuseCosignatures tries answers that are not the witness's cosignature.
func refuseCosignatures(t *testing.T, policy *audit.Policy, signed []byte, mine, other, stranger string, w audit.Signer, smaller []byte) {
	t.Helper()
	for name, lines := range map[string]string{
		"nothing":            "",
		"no line feed":       strings.TrimSuffix(mine, "\n"),
		"another witness's":  other,
		"a stranger's":       stranger,
		"of another size":    string(mustCosign(t, w, smaller)[len(smaller):]),
		"the log's":          string(signed[bytes.Index(signed, []byte("— ")):]),
		"the name alone":     "— w1.example \n",
		"a text before":      "x\n\n" + mine,
		"a thousand strange": strings.Repeat(stranger, 1000) + mine,
	} {
		if cosigned, err := policy.AddCosignature(signed, "w0", []byte(lines)); !errors.Is(err, audit.ErrBadSignature) || cosigned != nil {
			t.Errorf("%s: %q, %v", name, cosigned, err)
		}
	}
	if _, err := policy.AddCosignature(signed, "w9", []byte(mine)); err == nil {
		t.Error("a witness that is not in the policy")
	}
	if _, _, err := policy.OpenCosigned(append(bytes.Clone(signed), other...), "w0"); !errors.Is(err, audit.ErrBadSignature) {
		t.Errorf("cosigned by another: %v", err)
	}
	stripped, err := policy.Strip(append(bytes.Clone(signed), stranger+mine...))
	if err != nil || string(stripped) != string(signed)+mine {
		t.Errorf("stripped to %q, %v", stripped, err)
	}
}

func mustCosign(t testing.TB, s audit.Signer, signed []byte) []byte {
	t.Helper()
	cosigned, err := audit.Cosign(rand.Reader, s, signed, start)
	if err != nil {
		t.Fatal(err)
	}
	return cosigned
}

// TestCosigned: exports and the log prefer checkpoints that witnesses have cosigned,
// and say so only of those.
func TestCosigned(t *testing.T) {
	f := newFixture(t)
	w := newSigner(t, "w1.example")
	key, err := w.WitnessKey()
	if err != nil {
		t.Fatal(err)
	}
	quorum, err := f.policy.WithWitness("w1", key, 1)
	if err != nil {
		t.Fatal(err)
	}
	receipts := mustAppend(t, f.log, 9)
	if _, err := f.log.Cosigned(t.Context()); !errors.Is(err, audit.ErrNoCheckpoint) {
		t.Errorf("cosigned: %v", err)
	}
	for _, size := range []int{3, 7} {
		if err := f.log.PutCosigned(t.Context(), mustCosign(t, w, receipts[size-1].Checkpoint)); err != nil {
			t.Fatal(err)
		}
	}
	if newest, err := f.log.Cosigned(t.Context()); err != nil || !strings.HasPrefix(string(newest), logID+"\n7\n") {
		t.Errorf("newest cosigned: %q, %v", newest, err)
	}
	if err := f.log.PutCosigned(t.Context(), []byte("nothing")); err == nil {
		t.Error("kept nothing")
	}
	for _, tt := range []struct {
		from, to uint64
		cosigned bool
		end      uint64 // 0: out of range
	}{
		{0, 0, true, 7}, {2, 0, true, 7}, {6, 0, true, 7}, {7, 0, true, 0}, {0, 0, false, 9}, {7, 0, false, 9},
		{0, 2, true, 3}, {0, 3, true, 3}, {0, 4, true, 7}, {0, 8, true, 8}, {7, 9, true, 9}, {0, 10, true, 0},
		{0, 2, false, 2}, {0, 7, false, 7},
	} {
		var b bytes.Buffer
		err := audit.Export(t.Context(), f.storage, logID, tt.from, tt.to, tt.cosigned, &b)
		if tt.end == 0 {
			if !errors.Is(err, audit.ErrOutOfRange) && !errors.Is(err, audit.ErrNoCheckpoint) {
				t.Errorf("%+v: %v", tt, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		s, err := audit.VerifyExport(f.policy, bytes.NewReader(b.Bytes()))
		if err != nil || s.From != tt.from || s.To != tt.end {
			t.Errorf("%+v: %+v, %v", tt, s, err)
		}
		_, err = audit.VerifyExport(quorum, &b)
		if want := tt.cosigned && (tt.end == 3 || tt.end == 7); want != (err == nil) || !want && !errors.Is(err, audit.ErrNoQuorum) {
			t.Errorf("%+v: with a quorum: %v", tt, err)
		}
	}
}

// TestCompare: a checkpoint by the log's own key, and what is in the storage.
func TestCompare(t *testing.T) {
	f := newFixture(t)
	receipts := mustAppend(t, f.log, 200)
	other := newFixture(t)
	other.config.Signer, other.config.Now = f.config.Signer, func() time.Time { return start.Add(time.Second) }
	other.log = other.mustOpen(t)
	foreign := mustAppend(t, other.log, 201)
	stranger := mustAppend(t, newFixture(t).log, 1)
	for name, tt := range map[string]struct {
		signed []byte
		want   error
	}{
		"newest":         {receipts[199].Checkpoint, nil},
		"older":          {receipts[70].Checkpoint, nil},
		"oldest":         {receipts[0].Checkpoint, nil},
		"forked, newest": {foreign[199].Checkpoint, audit.ErrForked},
		"forked, oldest": {foreign[0].Checkpoint, audit.ErrForked},
		"beyond":         {foreign[200].Checkpoint, audit.ErrBackwards},
		"another key":    {stranger[0].Checkpoint, audit.ErrBadSignature},
	} {
		if err := f.log.Compare(t.Context(), tt.signed); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
	if err := f.log.Compare(t.Context(), []byte("nothing")); err == nil || errors.Is(err, audit.ErrForked) {
		t.Errorf("nothing: %v", err)
	}
	cause := errors.New("a cause")
	f.log.Stop(cause)
	if _, err := f.log.Append(t.Context(), newEntry(0), nil); !errors.Is(err, audit.ErrStopped) || !errors.Is(err, cause) {
		t.Errorf("append to a stopped log: %v", err)
	}
}

// pythonCase is a case for testdata/audit/verify_checkpoint.py, with Go's verdict.
type pythonCase struct {
	name string
	args []string
	want error
}

// pythonCases collects cases, whose files lie in a folder.
type pythonCases struct {
	dir string
	all []pythonCase
}

// file writes a file for cases and returns its name.
func (p *pythonCases) file(t *testing.T, content []byte) string {
	t.Helper()
	name := filepath.Join(p.dir, fmt.Sprint(len(p.all), "-", rand.Text()))
	mustWrite(t, name, content)
	return name
}

// judge runs the cases and compares the verdicts. It returns Python's line for the first.
func (p *pythonCases) judge(t *testing.T) string {
	t.Helper()
	cmd := exec.Command("python3", filepath.Join(testdata, "verify_checkpoint.py"), "-")
	var input strings.Builder
	for _, c := range p.all {
		input.WriteString(strings.Join(c.args, " ") + "\n")
	}
	cmd.Stdin = strings.NewReader(input.String())
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
		t.Fatalf("verify_checkpoint.py: %v\n%s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != len(p.all) {
		t.Fatalf("verify_checkpoint.py judged %d of %d cases:\n%s", len(lines), len(p.all), out)
	}
	bad := 0
	for i, c := range p.all {
		if strings.HasPrefix(lines[i], "bad: ") != (c.want != nil) {
			t.Errorf("%s: Go says %v, Python %s", c.name, c.want, lines[i])
		}
		if c.want != nil {
			bad++
		}
	}
	t.Logf("%d cases, %d of them bad", len(p.all), bad)
	return lines[0]
}

// TestPythonCheckpoint: the checkpoint, the cosignature and both kinds of proof, judged
// by OpenSSL and a second implementation. One bit of any field flipped, both say bad.
func TestPythonCheckpoint(t *testing.T) {
	f := newFixture(t)
	w := newSigner(t, "w1.example")
	key, err := w.WitnessKey()
	if err != nil {
		t.Fatal(err)
	}
	policy, err := f.policy.WithWitness("w1", key, 1)
	if err != nil {
		t.Fatal(err)
	}
	receipts := mustAppend(t, f.log, 21)
	note := mustCosign(t, w, receipts[20].Checkpoint)
	c, _, err := policy.OpenCheckpoint(note)
	if err != nil {
		t.Fatal(err)
	}
	p := &pythonCases{dir: t.TempDir()}
	trusted, newest := p.file(t, policy.Marshal()), p.file(t, note)
	add := func(want error, name string, args ...string) {
		p.all = append(p.all, pythonCase{name, append([]string{trusted}, args...), want})
	}
	add(nil, "the checkpoint", newest)

	// In the note: origin, size, root, then of each signature line the name, the key id,
	// and the parts of the signature, of which the cosignature's begins with the time.
	for i := 0; i < len(note); i += 5 {
		bad := bytes.Clone(note)
		bad[i] ^= 1
		_, _, err := policy.OpenCheckpoint(bad)
		if err == nil {
			t.Errorf("byte %d: good", i)
		}
		add(err, fmt.Sprint("bit flipped in byte ", i), p.file(t, bad))
	}
	f.inclusionCases(t, p, add, receipts, newest, c)
	var cosigned [][]byte
	for _, r := range receipts {
		cosigned = append(cosigned, mustCosign(t, w, r.Checkpoint))
	}
	f.consistencyCases(t, p, add, cosigned, newest, c)
	if got, want := p.judge(t), fmt.Sprintf("good 21 %x w1.example %d", c.RootHash, start.Unix()); got != want {
		t.Errorf("Python says %s, want %s", got, want)
	}
}

// consistencyCases lead from older checkpoints to the newest, and fail to in many ways.
func (f *fixture) consistencyCases(t *testing.T, p *pythonCases, add func(error, string, ...string), cosigned [][]byte, newest string, c audit.Checkpoint) {
	t.Helper()
	for _, from := range []uint64{1, 2, 8, 13, 16, 20, 21} {
		hashes, err := f.log.ConsistencyProof(t.Context(), from, 21)
		if err != nil {
			t.Fatal(err)
		}
		older, err := audit.ParseCheckpoint(cosigned[from-1])
		if err != nil {
			t.Fatal(err)
		}
		old := p.file(t, cosigned[from-1])
		judge := func(name string, hashes [][]byte) {
			file := p.file(t, mustJSON(t, map[string]any{"from": from, "to": 21, "hashes": hexes(hashes)}))
			add(audit.VerifyConsistency(older, c, hashes), fmt.Sprintf("from %d, %s", from, name), newest, "consistency", old, file)
		}
		judge("untouched", hashes)
		judge("a hash more", append(slices.Clone(hashes), make([]byte, 32)))
		for i := range hashes {
			judge("a hash less", slices.Delete(slices.Clone(hashes), i, i+1))
			hashes[i][9] ^= 1
			judge("a bit flipped", hashes)
			hashes[i][9] ^= 1
		}
	}
}

// inclusionCases prove every entry below a checkpoint, and fail to in many ways.
func (f *fixture) inclusionCases(t *testing.T, p *pythonCases, add func(error, string, ...string), receipts []audit.Receipt, newest string, c audit.Checkpoint) {
	t.Helper()
	for index := range c.Size {
		hashes, err := f.log.InclusionProof(t.Context(), index, c.Size)
		if err != nil {
			t.Fatal(err)
		}
		judge := func(name string, index, size uint64, leaf [32]byte, hashes [][]byte) {
			file := p.file(t, mustJSON(t, map[string]any{"index": index, "size": size, "hashes": hexes(hashes)}))
			err := proof.VerifyInclusion(hasher{}, index, size, leaf[:], hashes, c.RootHash[:])
			if size != c.Size {
				err = errors.New("another size")
			}
			add(err, fmt.Sprintf("entry %d, %s", index, name), newest, "inclusion", hex.EncodeToString(leaf[:]), file)
		}
		leaf := receipts[index].LeafHash
		judge("untouched", index, c.Size, leaf, hashes)
		judge("another leaf", index, c.Size, receipts[(index+1)%c.Size].LeafHash, hashes)
		judge("another index", index^1, c.Size, leaf, hashes)
		judge("beyond the end", index+c.Size, c.Size, leaf, hashes)
		judge("another size", index, c.Size+1, leaf, hashes)
		judge("a hash less", index, c.Size, leaf, hashes[1:])
		judge("a hash more", index, c.Size, leaf, append(slices.Clone(hashes), make([]byte, 32)))
		for i := range hashes {
			hashes[i][index] ^= 1
			judge("a bit flipped", index, c.Size, leaf, hashes)
			hashes[i][index] ^= 1
		}
	}
}

func hexes(hashes [][]byte) []string {
	all := make([]string, len(hashes))
	for i, h := range hashes {
		all[i] = hex.EncodeToString(h)
	}
	return all
}

func mustJSON(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
