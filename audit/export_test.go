package audit_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"elicence/audit"
)

// line is a row of an export, taken apart.
type line struct {
	index  string
	record []byte
	leaf   [32]byte
}

// edited is an export, taken apart so that it can be tampered with.
type edited struct {
	header []string // without the empty line
	rows   []line
	note   string
}

func takeApart(t testing.TB, export []byte) *edited {
	t.Helper()
	parts := strings.SplitN(string(export), "\n\n", 3)
	if len(parts) != 3 {
		t.Fatalf("export has %d parts", len(parts))
	}
	e := &edited{header: strings.Split(parts[0], "\n"), note: parts[2]}
	for l := range strings.SplitSeq(parts[1], "\n") {
		f := strings.Split(l, " ")
		record, err := base64.StdEncoding.DecodeString(f[1])
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := hex.DecodeString(f[2])
		if err != nil {
			t.Fatal(err)
		}
		e.rows = append(e.rows, line{f[0], record, [32]byte(leaf)})
	}
	return e
}

func (e *edited) bytes() []byte {
	var b strings.Builder
	b.WriteString(strings.Join(e.header, "\n") + "\n\n")
	for _, r := range e.rows {
		fmt.Fprintf(&b, "%s %s %x\n", r.index, base64.StdEncoding.EncodeToString(r.record), r.leaf)
	}
	return []byte(b.String() + "\n" + e.note)
}

// edit changes the record of row i, and its stored leaf with it if adjust says so.
func (e *edited) edit(i int, adjust bool, change func(*audit.Record)) {
	r, err := audit.ParseRecord(e.rows[i].record)
	if err != nil {
		panic(err)
	}
	change(&r)
	if e.rows[i].record, err = r.Marshal(); err != nil {
		panic(err)
	}
	if adjust {
		e.rows[i].leaf = audit.LeafHash(e.rows[i].record)
	}
}

// forge returns a row that is linked to row i as its successor.
func (e *edited) forge(i int) line {
	f := edited{rows: []line{e.rows[i]}}
	f.edit(0, true, func(r *audit.Record) {
		r.Prev, r.Index, r.Entry.Object = e.rows[i].leaf, r.Index+1, "forged"
	})
	index, _ := strconv.Atoi(e.rows[i].index)
	f.rows[0].index = strconv.Itoa(index + 1)
	return f.rows[0]
}

func (e *edited) renumber(from int) {
	for i := range e.rows {
		e.rows[i].index = strconv.Itoa(from + i)
	}
}

func object(to string) func(*audit.Record) {
	return func(r *audit.Record) { r.Entry.Object = to }
}

func prev(r *audit.Record) { r.Prev[5] ^= 1 }

const noEntry = -1 // a bad export without an entry at fault

// tampered are the ways to tamper with the export of nine entries, or of a
// range of them that begins at from and ends at 9, and the entry to be named. Positions
// and wants are relative to from.
var tampered = []struct {
	name   string
	change func(e *edited, from int)
	want   int
}{
	{"first edited", func(e *edited, _ int) { e.edit(0, false, object("x")) }, 0},
	{"middle edited", func(e *edited, _ int) { e.edit(2, false, object("x")) }, 2},
	{"last edited", func(e *edited, _ int) { e.edit(5, false, object("x")) }, 5},
	{"first edited with leaf", func(e *edited, _ int) { e.edit(0, true, object("x")) }, 0},
	{"middle edited with leaf", func(e *edited, _ int) { e.edit(2, true, object("x")) }, 2},
	{"last but one edited with leaf", func(e *edited, _ int) { e.edit(4, true, object("x")) }, 4},
	{"last edited with leaf", func(e *edited, _ int) { e.edit(5, true, object("x")) }, 5},
	{"first link edited with leaf", func(e *edited, _ int) { e.edit(0, true, prev) }, 0},
	{"second link edited with leaf", func(e *edited, _ int) { e.edit(1, true, prev) }, 1},
	{"middle link edited with leaf", func(e *edited, _ int) { e.edit(3, true, prev) }, 3},
	{"last link edited with leaf", func(e *edited, _ int) { e.edit(5, true, prev) }, 5},
	{"stored leaf edited", func(e *edited, _ int) { e.rows[3].leaf[0] ^= 1 }, 3},
	{"index in record edited with leaf", func(e *edited, _ int) { e.edit(3, true, func(r *audit.Record) { r.Index += 7 }) }, 3},
	{"record garbage with leaf", func(e *edited, _ int) {
		e.rows[3].record = []byte("garbage")
		e.rows[3].leaf = audit.LeafHash(e.rows[3].record)
	}, 3},
	{"record empty", func(e *edited, _ int) { e.rows[3].record = nil }, 3},
	{"suffix rewritten", func(e *edited, _ int) {
		for i := 2; i < 6; i++ {
			e.edit(i, true, func(r *audit.Record) {
				r.Entry.Object = "x"
				r.Prev = e.rows[i-1].leaf
			})
		}
	}, 5},
	{"first deleted", func(e *edited, _ int) { e.rows = e.rows[1:] }, 0},
	{"middle deleted", func(e *edited, _ int) { e.rows = slices.Delete(e.rows, 2, 3) }, 2},
	{"middle deleted, renumbered", func(e *edited, from int) {
		e.rows = slices.Delete(e.rows, 2, 3)
		e.renumber(from)
	}, 2},
	{"middle deleted, records renumbered", func(e *edited, from int) {
		e.rows = slices.Delete(e.rows, 2, 3)
		e.renumber(from)
		for i := 2; i < 5; i++ {
			e.edit(i, true, func(r *audit.Record) { r.Index--; r.Prev = e.rows[i-1].leaf })
		}
	}, 5},
	{"all deleted", func(e *edited, _ int) { e.rows = nil }, 0},
	{"tail truncated", func(e *edited, _ int) { e.rows = e.rows[:4] }, 4},
	{"tail truncated, range too", func(e *edited, from int) {
		e.rows = e.rows[:4]
		e.header[2] = fmt.Sprintf("range %d %d", from, from+4)
	}, noEntry},
	{"lines swapped", func(e *edited, _ int) { e.rows[2], e.rows[3] = e.rows[3], e.rows[2] }, 2},
	{"contents swapped", func(e *edited, from int) {
		e.rows[2], e.rows[3] = e.rows[3], e.rows[2]
		e.renumber(from)
	}, 2},
	{"far contents swapped", func(e *edited, from int) {
		e.rows[1], e.rows[4] = e.rows[4], e.rows[1]
		e.renumber(from)
	}, 1},
	{"records swapped", func(e *edited, _ int) { e.rows[2].record, e.rows[3].record = e.rows[3].record, e.rows[2].record }, 2},
	{"inserted", func(e *edited, _ int) { e.rows = slices.Insert(e.rows, 3, e.forge(2)) }, 3},
	{"inserted, renumbered", func(e *edited, from int) {
		e.rows = slices.Insert(e.rows, 3, e.forge(2))
		e.renumber(from)
	}, 3},
	{"inserted after its place", func(e *edited, _ int) { e.rows = slices.Insert(e.rows, 4, e.forge(2)) }, 4},
	{"inserted before the last", func(e *edited, from int) {
		e.rows = slices.Insert(e.rows, 5, e.forge(4))
		e.renumber(from)
	}, 5},
	{"appended", func(e *edited, _ int) { e.rows = append(e.rows, e.forge(5)) }, 6},
	{"last repeated", func(e *edited, _ int) { e.rows = append(e.rows, e.rows[5]) }, 5}, // of two equal ones, the first
	{"index with a leading zero", func(e *edited, _ int) { e.rows[2].index = "0" + e.rows[2].index }, 2},
	{"index enormous", func(e *edited, _ int) { e.rows[2].index = "99999999999999999999" }, 2},
	{"index of another row", func(e *edited, from int) { e.rows[2].index = strconv.Itoa(from + 1) }, 2},
	{"origin of another log", func(e *edited, _ int) { e.header[1] = "origin other.example" }, noEntry},
	{"range longer", func(e *edited, from int) { e.header[2] = fmt.Sprintf("range %d %d", from, from+7) }, 6},
	{"range shorter", func(e *edited, from int) { e.header[2] = fmt.Sprintf("range %d %d", from, from+5) }, 5},
	{"range empty", func(e *edited, from int) { e.header[2] = fmt.Sprintf("range %d %d", from, from) }, noEntry},
	{"version of another format", func(e *edited, _ int) { e.header[0] = "elicence-log-export/2" }, noEntry},
	{"line added to header", func(e *edited, _ int) { e.header = append(e.header, "node "+strings.Repeat("0", 64)) }, noEntry},
	{"signature edited", func(e *edited, _ int) {
		i := strings.LastIndexByte(e.note, ' ') + 20
		e.note = e.note[:i] + string(e.note[i]^1) + e.note[i+1:]
	}, noEntry},
	{"signature missing", func(e *edited, _ int) { e.note = e.note[:strings.Index(e.note, "\n\n")+2] }, noEntry},
	{"signature twice", func(e *edited, _ int) { e.note += e.note[strings.Index(e.note, "\n\n")+2:] }, noEntry},
	{"checkpoint missing", func(e *edited, _ int) { e.note = "" }, noEntry},
	{"checkpoint enlarged", func(e *edited, _ int) { e.note = strings.Replace(e.note, "\n9\n", "\n10\n", 1) }, noEntry},
	{"checkpoint extended", func(e *edited, _ int) { e.note = strings.Replace(e.note, "\n\n", "\nextension\n\n", 1) }, noEntry},
}

// verdict is what VerifyExport says, in the words of the Python verifier: good,
// bad or the number of an entry.
func verdict(t testing.TB, policy *audit.Policy, export []byte) string {
	t.Helper()
	s, err := audit.VerifyExport(policy, bytes.NewReader(export))
	var entry *audit.EntryError
	switch {
	case err == nil:
		return fmt.Sprintf("good %d %d", s.From, s.To)
	case !errors.Is(err, audit.ErrBadExport):
		t.Fatalf("a bad export is no failure: %v", err)
	case errors.As(err, &entry):
		return fmt.Sprintf("entry %d", entry.Index)
	}
	return "bad"
}

func mustWrite(t testing.TB, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(name, content, 0o666); err != nil {
		t.Fatal(err)
	}
}

// nineEntries is a log of nine entries, the last three committed together.
func nineEntries(t testing.TB) *fixture {
	f := newFixture(t)
	mustAppend(t, f.log, 6)
	held, release := hold(f.storage)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			if _, err := f.log.Append(t.Context(), newEntry(6+i), func(audit.Tx) error {
				if i == 0 {
					return errOwn // only there to let the others queue up
				}
				return nil
			}); err != nil && i > 0 {
				t.Error(err)
			}
		})
		if i == 0 {
			held()
		}
	}
	for range 100 {
		time.Sleep(time.Millisecond / 2) // the three should be waiting by now; one batch or three, the log is as good
	}
	release()
	wg.Wait()
	f.storage.inject = nil
	if len(f.storage.rows) != 9 {
		t.Fatalf("%d entries", len(f.storage.rows))
	}
	return f
}

// TestVerifyExport tampers with exports in every way of the table; both auditors must
// name the same entry.
func TestVerifyExport(t *testing.T) {
	f := nineEntries(t)
	var cases []auditCase
	add := func(name string, export []byte, want string) {
		brief := strings.HasPrefix(name, "from 0/")
		cases = append(cases, auditCase{name: name, policy: f.policy, exports: [][]byte{export}, want: want, brief: brief})
		if got := verdict(t, f.policy, export); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
	for _, from := range []int{3, 0} {
		export := f.mustExport(t, uint64(from), 9)
		add(fmt.Sprintf("from %d/good", from), export, fmt.Sprintf("good %d 9", from))
		for _, tt := range tampered {
			e := takeApart(t, export)
			if from == 0 { // the table speaks of six rows
				e = takeApart(t, f.mustExport(t, 0, 6))
				if strings.Contains(tt.name, "enlarged") {
					continue
				}
			}
			tt.change(e, from)
			w := "bad"
			if tt.want != noEntry {
				w = fmt.Sprintf("entry %d", from+tt.want)
			}
			add(fmt.Sprintf("from %d/%s", from, tt.name), e.bytes(), w)
		}
	}
	agree(t, cases)
}

// TestVerifyExportEveryByte: no byte of an export can change unnoticed, nor can
// it be cut or lengthened, and both auditors name the same entry.
func TestVerifyExportEveryByte(t *testing.T) {
	f := newFixture(t)
	mustAppend(t, f.log, 5)
	export := f.mustExport(t, 3, 0)
	var sample []auditCase
	judge := func(i int, changed []byte) {
		got := verdict(t, f.policy, changed)
		if strings.HasPrefix(got, "good") {
			t.Errorf("position %d: %s", i, got)
		}
		if len(sample) < 300 && i%9 == 0 {
			sample = append(sample, auditCase{fmt.Sprint("position ", i), f.policy, [][]byte{changed}, nil, got, true})
		}
	}
	for i := range export {
		for _, mask := range []byte{0x01, 0x20, 0x80} {
			changed := bytes.Clone(export)
			changed[i] ^= mask
			judge(i, changed)
		}
		judge(i, export[:i])
	}
	judge(len(export), append(bytes.Clone(export), '\n'))
	judge(len(export), append(bytes.Clone(export), export...))
	agree(t, sample)
}

// TestVerifyExportOfDamagedStorage exports what a database administrator left.
func TestVerifyExportOfDamagedStorage(t *testing.T) {
	tests := map[string]struct {
		change func(rows []audit.Row) []audit.Row
		want   string
	}{
		"edited":    {func(r []audit.Row) []audit.Row { r[4].Record[40] ^= 1; return r }, "entry 4"},
		"deleted":   {func(r []audit.Row) []audit.Row { return slices.Delete(r, 4, 5) }, "entry 4"},
		"truncated": {func(r []audit.Row) []audit.Row { return r[:7] }, "entry 7"},
		"swapped": {func(r []audit.Row) []audit.Row {
			r[4], r[6] = r[6], r[4]
			r[4].Index, r[6].Index = 4, 6
			return r
		}, "entry 4"},
		"huge": {func(r []audit.Row) []audit.Row { r[4].Record = make([]byte, 1<<20); return r }, "entry 4"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			mustAppend(t, f.log, 9)
			f.storage.rows = tt.change(f.storage.rows)
			if got := verdict(t, f.policy, f.mustExport(t, 0, 0)); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestVerifyExportPolicy(t *testing.T) {
	f := newFixture(t)
	mustAppend(t, f.log, 3)
	export := f.mustExport(t, 0, 0)
	tests := map[string]struct {
		policy *audit.Policy
		want   error
	}{
		"another log":             {mustPolicy(t, newSigner(t, "other.example")), audit.ErrUnknownLog},
		"another key of its name": {mustPolicy(t, newSigner(t, logID)), audit.ErrBadSignature},
		"either key":              {mustPolicy(t, newSigner(t, logID), f.config.Signer), nil},
	}
	for name, tt := range tests {
		if _, err := audit.VerifyExport(tt.policy, bytes.NewReader(export)); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", name, err, tt.want)
		}
	}
	// The export of an older checkpoint is good: only who kept a newer one can tell.
	old, err := audit.VerifyExport(f.policy, bytes.NewReader(f.mustExport(t, 0, 2)))
	if err != nil || old.To != 2 {
		t.Errorf("older checkpoint: %+v, %v", old, err)
	}
}

func TestVerifyExportReader(t *testing.T) {
	f := newFixture(t)
	mustAppend(t, f.log, 3)
	export := f.mustExport(t, 0, 0)
	if _, err := audit.VerifyExport(f.policy, iotest.OneByteReader(bytes.NewReader(export))); err != nil {
		t.Errorf("slow reader: %v", err)
	}
	for _, n := range []int{0, 10, 100, 500, len(export) - 10} {
		r := io.MultiReader(bytes.NewReader(export[:n]), iotest.ErrReader(errDisk))
		if _, err := audit.VerifyExport(f.policy, r); !errors.Is(err, errDisk) || errors.Is(err, audit.ErrBadExport) {
			t.Errorf("failing after %d bytes: %v", n, err)
		}
	}
	endless := io.MultiReader(bytes.NewReader(export[:100]), iotest.OneByteReader(zeros{}))
	if _, err := audit.VerifyExport(f.policy, endless); !errors.Is(err, audit.ErrBadExport) {
		t.Errorf("endless line: %v", err)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func TestExport(t *testing.T) {
	f := newFixture(t)
	if err := audit.Export(t.Context(), f.storage, logID, 0, 0, false, io.Discard); !errors.Is(err, audit.ErrNoCheckpoint) {
		t.Errorf("empty log: %v", err)
	}
	mustAppend(t, f.log, 70)
	for from := range uint64(70) {
		for _, to := range []uint64{from + 1, 70} {
			s, err := audit.VerifyExport(f.policy, bytes.NewReader(f.mustExport(t, from, to)))
			if err != nil || s.From != from || s.To != to {
				t.Errorf("[%d, %d): %+v, %v", from, to, s, err)
			}
		}
	}
	for _, r := range [][2]uint64{{70, 0}, {71, 0}, {5, 5}, {6, 5}} {
		if err := audit.Export(t.Context(), f.storage, logID, r[0], r[1], false, io.Discard); !errors.Is(err, audit.ErrOutOfRange) {
			t.Errorf("%v: %v", r, err)
		}
	}
	if err := audit.Export(t.Context(), f.storage, logID, 0, 71, false, io.Discard); !errors.Is(err, audit.ErrNoCheckpoint) {
		t.Errorf("beyond the end: %v", err)
	}
	if err := audit.Export(t.Context(), f.storage, logID, 0, 0, false, failingWriter{}); !errors.Is(err, errDisk) {
		t.Errorf("full disk: %v", err)
	}
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errDisk }
