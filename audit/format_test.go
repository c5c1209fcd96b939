package audit_test

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"elicence/audit"
	"elicence/testdata/hostile"

	"github.com/fxamacker/cbor/v2"
	"github.com/google/go-cmp/cmp"
)

// exampleRecord is the smallest record, as CBOR items, so that single ones can be replaced.
func exampleRecord() []any {
	empty := []byte{}
	return []any{
		make([]byte, 32), 1, 5, 1772352000000000, "p", "", "a", "", "", "", "", "allowed", "", "", empty, empty,
	}
}

func mustCBOR(t testing.TB, v any) []byte {
	t.Helper()
	b, err := cbor.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestParseRecord(t *testing.T) {
	good := mustCBOR(t, exampleRecord())
	r, err := audit.ParseRecord(good)
	if err != nil {
		t.Fatal(err)
	}
	want := audit.Record{Index: 5, Entry: audit.Entry{
		Principal: "p", Action: "a", Result: audit.ResultAllowed, Time: time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC),
	}}
	if diff := cmp.Diff(r, want); diff != "" {
		t.Errorf("record (-got +want):\n%s", diff)
	}

	bad := map[string][]byte{
		"empty":            nil,
		"cut short":        good[:len(good)-1],
		"trailing byte":    append(bytes.Clone(good), 0),
		"indefinite array": append(append([]byte{0x9f}, good[1:]...), 0xff),
		"long array head":  append([]byte{0x98, 16}, good[1:]...),
		"a map":            append([]byte{0xb0}, good[1:]...),
		"too long":         append(bytes.Clone(good), make([]byte, 3000)...),
		"long length":      bytes.Replace(good, []byte{0x58, 32}, []byte{0x59, 0, 32}, 1),
		"long integer":     bytes.Replace(good, []byte{1, 5}, []byte{1, 0x18, 5}, 1),
		"longer integer":   bytes.Replace(good, []byte{1, 5}, []byte{1, 0x19, 0, 0x85}, 1),
		"reserved info":    bytes.Replace(good, []byte{1, 5}, []byte{1, 0x1c}, 1),
		"tagged":           bytes.Replace(good, []byte{1, 5}, []byte{1, 0xc1, 5}, 1),
		"null digest":      append(good[:len(good)-2:len(good)-2], 0xf6, 0x40),
	}
	item := func(name string, i int, v any) {
		r := exampleRecord()
		r[i] = v
		bad[name] = mustCBOR(t, r)
	}
	item("short prev", 0, make([]byte, 31))
	item("prev a text", 0, strings.Repeat("x", 32))
	item("version 0", 1, 0)
	item("version 2", 1, 2)
	item("negative index", 2, -1)
	item("index a float", 2, 5.0)
	item("time after 9999", 3, 253402300800000000)
	item("negative time", 3, -1)
	item("no principal", 4, "")
	item("principal too long", 4, strings.Repeat("p", 257))
	item("principal bytes", 4, []byte("p"))
	item("no action", 6, "")
	item("purpose too long", 8, strings.Repeat("p", 513))
	item("result", 11, "perhaps")
	item("digest too long", 14, make([]byte, 65))
	item("short commitment", 15, make([]byte, 31))
	item("one item too many", 15, []any{[]byte{}, 1})
	bad["not UTF-8"] = bytes.Replace(good, []byte{0x61, 'p'}, []byte{0x61, 0xff}, 1)
	for name, b := range bad {
		if r, err := audit.ParseRecord(b); err == nil || cmp.Diff(r, audit.Record{}) != "" {
			t.Errorf("%s: got %+v, %v", name, r, err)
		}
	}
}

func TestOpenPersonal(t *testing.T) {
	f := newFixture(t)
	e := newEntry(0)
	e.Personal = map[string]string{"a": "1", "holder_name": "2"}
	for range 2 {
		if _, err := f.log.Append(t.Context(), e, nil); err != nil {
			t.Fatal(err)
		}
	}
	mustAppend(t, f.log, 1)
	if bytes.Equal(f.storage.rows[0].Opening, f.storage.rows[1].Opening) {
		t.Error("the same salt twice")
	}
	var records []audit.Record
	for _, row := range f.storage.rows {
		if bytes.Contains(row.Record, []byte("holder_name")) {
			t.Error("a record holds a personal value")
		}
		r, err := audit.ParseRecord(row.Record)
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, r)
	}
	if f.storage.rows[2].Opening != nil || records[2].Commitment != nil {
		t.Error("an opening without personal values")
	}
	good := f.storage.rows[0].Opening
	if got, err := records[0].OpenPersonal(good); err != nil || !maps.Equal(got, e.Personal) {
		t.Errorf("got %v, %v", got, err)
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		if _, err := records[0].OpenPersonal(bad); err == nil {
			t.Errorf("byte %d changed: opened", i)
		}
	}
	for name, bad := range map[string][]byte{"erased": nil, "of another": f.storage.rows[1].Opening, "enormous": make([]byte, 1<<20)} {
		if _, err := records[0].OpenPersonal(bad); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
	if _, err := records[2].OpenPersonal(nil); err == nil {
		t.Error("no commitment: opened")
	}
}

// cosignedLog is a log whose checkpoint two witnesses cosigned, the third not.
func cosignedLog(t testing.TB) (f *fixture, witnesses []audit.Signer, note []byte) {
	f = newFixture(t)
	note = mustAppend(t, f.log, 3)[2].Checkpoint
	for _, name := range []string{"w1.example", "w2.example", "w3.example"} {
		witnesses = append(witnesses, newSigner(t, name))
	}
	for _, w := range witnesses[:2] {
		var err error
		if note, err = audit.Cosign(rand.Reader, w, note, start); err != nil {
			t.Fatal(err)
		}
	}
	return f, witnesses, note
}

func witnessLine(t testing.TB, name string, s audit.Signer) string {
	t.Helper()
	key, err := s.WitnessKey()
	if err != nil {
		t.Fatal(err)
	}
	return "witness " + name + " " + key + "\n"
}

func TestQuorum(t *testing.T) {
	f, w, note := cosignedLog(t)
	f.storage.heads[2].Checkpoint = note
	export := f.mustExport(t, 0, 0)
	logLine := strings.SplitAfter(string(f.policy.Marshal()), "\n")[0]
	lines := logLine + witnessLine(t, "one", w[0]) + witnessLine(t, "two", w[1]) + witnessLine(t, "three", w[2])
	var policies []*audit.Policy
	for n, want := range []error{nil, nil, nil, audit.ErrNoQuorum} {
		p, err := audit.ParsePolicy([]byte(lines + "quorum " + string(rune('0'+n)) + "\n"))
		if err != nil {
			t.Fatal(err)
		}
		policies = append(policies, p)
		s, err := audit.VerifyExport(p, bytes.NewReader(export))
		if !errors.Is(err, want) || want == nil && !slices.Equal(s.Cosigners, []string{"one", "two"}) {
			t.Errorf("quorum %d: %v, %v", n, s.Cosigners, err)
		}
	}
	// One bit of a cosignature, its time included, spoils it; and a witness's
	// signature is not a log's.
	at := bytes.Index(export, []byte("w2.example ")) + len("w2.example ") + 8
	export[at] ^= 1
	if got := verdict(t, policies[1], export); got != "bad" {
		t.Errorf("cosignature edited: %s", got)
	}
	export[at] ^= 1
	var cases []auditCase
	for i, p := range policies {
		cases = append(cases, auditCase{fmt.Sprint("quorum ", i), p, [][]byte{export}, nil, verdict(t, p, export), false})
	}
	agree(t, cases)
	if _, err := audit.Cosign(rand.Reader, w[0], []byte("nothing"), start); err == nil {
		t.Error("cosigned nothing")
	}
}

func TestParsePolicy(t *testing.T) {
	f, w, _ := cosignedLog(t)
	key, err := f.config.Signer.VerifierKey()
	if err != nil {
		t.Fatal(err)
	}
	l, w1, w2 := "log "+key+"\n", witnessLine(t, "one", w[0]), witnessLine(t, "two", w[1])
	ownWitness := witnessLine(t, "own", f.config.Signer)
	good := map[string]string{
		"log only":          l,
		"plain":             l + "quorum 0\n",
		"comments":          "# policy\n\n" + l + "# end",
		"other order":       "quorum 1\n" + w2 + l + w1,
		"no last line feed": strings.TrimSuffix(l, "\n"),
		"carriage returns":  strings.ReplaceAll(l+"\n"+w1+"quorum 1\n", "\n", "\r\n"),
	}
	for name, file := range good {
		p, err := audit.ParsePolicy([]byte(file))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		again, err := audit.ParsePolicy(p.Marshal())
		if err != nil || !bytes.Equal(again.Marshal(), p.Marshal()) {
			t.Errorf("%s: marshalled %q: %v", name, p.Marshal(), err)
		}
	}
	bad := map[string]string{
		"empty":                "",
		"no log":               "quorum 0\n",
		"witnesses, no quorum": l + w1,
		"quorum too large":     l + w1 + "quorum 2\n",
		"quorum negative":      l + "quorum -1\n",
		"quorum 00":            l + "quorum 00\n",
		"quorum twice":         l + "quorum 0\nquorum 0\n",
		"unknown word":         l + "group a b\n",
		"two spaces":           strings.Replace(l, " ", "  ", 1),
		"space at the end":     strings.Replace(l, "\n", " \n", 1),
		"log twice":            l + l,
		"witness twice":        l + w1 + w1 + "quorum 1\n",
		"one key, two names":   l + w1 + strings.Replace(w1, " one ", " uno ", 1) + "quorum 2\n",
		"one name, two keys":   l + w1 + strings.Replace(w2, " two ", " one ", 1) + "quorum 2\n",
		"witness key as log":   strings.Replace(w1, "witness one", "log", 1),
		"log key as witness":   l + strings.Replace(l, "log", "witness one", 1) + "quorum 1\n",
		"its own witness":      l + ownWitness + "quorum 1\n",
		"wrong key id":         strings.Replace(l, logID+"+", logID+"+0", 1),
		"key renamed":          strings.Replace(l, logID, "other.example", 1),
		"key cut":              l[:len(l)-10] + "\n",
		"not a key":            "log nothing\n",
		"not UTF-8":            l + "# \xff\n",
		"enormous":             l + strings.Repeat("# comment\n", 10000),
		"too many keys":        l + strings.Repeat(w1, 100),
	}
	for name, file := range bad {
		if p, err := audit.ParsePolicy([]byte(file)); err == nil || p != nil {
			t.Errorf("%s: parsed", name)
		}
	}
	if _, err := audit.NewPolicy(); err == nil {
		t.Error("a policy without a log")
	}
}

// FuzzParseRecord: what parses marshals to the same bytes.
func FuzzParseRecord(f *testing.F) {
	f.Add(mustCBOR(f, exampleRecord()))
	for l := range bytes.Lines(mustRead(f, testdata+"/example.rows")) {
		b, err := hex.DecodeString(strings.TrimSpace(string(l)))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var r audit.Record
		var err error
		hostile.Within(t, func() { r, err = audit.ParseRecord(b) })
		if err != nil {
			if cmp.Diff(r, audit.Record{}) != "" {
				t.Error("not zero on error")
			}
			return
		}
		if again, err := r.Marshal(); err != nil || !bytes.Equal(again, b) {
			t.Errorf("marshalled to %x: %v", again, err)
		}
	})
}

// FuzzParseCheckpoint: what parses is the text that its fields give, and
// cosigning keeps it.
func FuzzParseCheckpoint(f *testing.F) {
	_, w, note := cosignedLog(f)
	f.Add(note)
	f.Add([]byte("o\n0\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n— o AAAAAAA=\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var c audit.Checkpoint
		var err error
		hostile.Within(t, func() { c, err = audit.ParseCheckpoint(b) })
		if err != nil {
			if c != (audit.Checkpoint{}) {
				t.Error("not zero on error")
			}
			return
		}
		text, sigs, _ := strings.Cut(string(b), "\n\n")
		if again := audit.CheckpointText(c); again != text+"\n" {
			t.Errorf("text %q marshals to %q", text, again)
		}
		more, err := audit.Cosign(rand.Reader, w[2], b, start)
		if err != nil || len(more) < 200 && !strings.HasPrefix(string(more), text+"\n\n"+sigs) {
			t.Errorf("cosigned %q: %v", more, err)
		}
	})
}

// FuzzParsePolicy: a policy's plainest form is its own.
func FuzzParsePolicy(f *testing.F) {
	fix, w, _ := cosignedLog(f)
	plain := string(fix.policy.Marshal())
	f.Add([]byte(plain))
	f.Add([]byte("# x\n" + plain[:strings.Index(plain, "quorum")] + witnessLine(f, "one", w[0]) + "quorum 1\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var p *audit.Policy
		var err error
		hostile.Within(t, func() { p, err = audit.ParsePolicy(b) })
		if err != nil {
			if p != nil {
				t.Error("not zero on error")
			}
			return
		}
		again, err := audit.ParsePolicy(p.Marshal())
		if err != nil || !bytes.Equal(again.Marshal(), p.Marshal()) {
			t.Errorf("%q: %v", p.Marshal(), err)
		}
	})
}

// FuzzVerifyExport: the only good export of what was logged is the one that
// Export writes.
func FuzzVerifyExport(f *testing.F) {
	policy, err := audit.ParsePolicy(mustRead(f, testdata+"/example.policy"))
	if err != nil {
		f.Fatal(err)
	}
	whole, part := mustRead(f, testdata+"/example.export"), mustRead(f, testdata+"/example-2-3.export")
	f.Add(whole)
	f.Add(part)
	f.Fuzz(func(t *testing.T, b []byte) {
		var s audit.Summary
		var err error
		hostile.Within(t, func() { s, err = audit.VerifyExport(policy, bytes.NewReader(b)) })
		switch {
		case err != nil && !errors.Is(err, audit.ErrBadExport):
			t.Errorf("no verdict: %v", err)
		case err != nil && cmp.Diff(s, audit.Summary{}) != "":
			t.Error("not zero on error")
		case err == nil && !bytes.Equal(b, whole) && !bytes.Equal(b, part) && !sameButForeign(b, whole, part):
			t.Errorf("good, but not what was exported:\n%s", b)
		}
	})
}

// sameButForeign reports whether b is one of the exports with signatures of
// unknown keys added, which anyone may do.
func sameButForeign(b []byte, exports ...[]byte) bool {
	return slices.ContainsFunc(exports, func(e []byte) bool {
		rows, sig, _ := strings.Cut(string(e), "\n\n— ")
		return strings.HasPrefix(string(b), rows+"\n\n") && strings.Contains(string(b), "— "+sig)
	})
}

// FuzzOpening: what parses marshals to the same bytes.
func FuzzOpening(f *testing.F) {
	f.Add(mustCBOR(f, []any{make([]byte, 32), map[string]string{"a": "1"}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		var salt []byte
		var personal map[string]string
		var err error
		hostile.Within(t, func() { salt, personal, err = audit.ParseOpening(b) })
		if err != nil {
			if salt != nil || personal != nil {
				t.Error("not zero on error")
			}
			return
		}
		enc, err := cbor.CoreDetEncOptions().EncMode()
		if err != nil {
			t.Fatal(err)
		}
		if again, err := enc.Marshal([]any{salt, personal}); err != nil || !bytes.Equal(again, b) {
			t.Errorf("marshalled to %x: %v", again, err)
		}
	})
}
