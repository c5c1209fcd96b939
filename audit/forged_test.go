package audit_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"elicence/audit"
)

// forger writes exports by himself, as somebody can who holds the log's key, and those of
// witnesses who sign whatever they are shown.
type forger struct {
	log       audit.Signer
	witnesses []audit.Signer
	policy    *audit.Policy // asks for two of three witnesses
}

func newForger(t testing.TB) *forger {
	t.Helper()
	f := &forger{log: newSigner(t, logID)}
	f.policy = mustPolicy(t, f.log)
	for i, name := range []string{"w1.example", "w2.example", "w3.example"} {
		w := newSigner(t, name)
		key, err := w.WitnessKey()
		if err != nil {
			t.Fatal(err)
		}
		if f.policy, err = f.policy.WithWitness(name, key, min(i+1, 2)); err != nil {
			t.Fatal(err)
		}
		f.witnesses = append(f.witnesses, w)
	}
	return f
}

// sign signs a text as the log, and has so many witnesses cosign it.
func (f *forger) sign(t testing.TB, text string, cosigners int) []byte {
	t.Helper()
	signed, err := audit.SignText(rand.Reader, text, start, f.log, f.witnesses[:cosigners]...)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// checkpoint is the signed checkpoint of records.
func (f *forger) checkpoint(t testing.TB, records [][]byte, cosigners int) []byte {
	t.Helper()
	return f.sign(t, checkpointText(records), cosigners)
}

func checkpointText(records [][]byte) string {
	return audit.CheckpointText(audit.Checkpoint{Origin: logID, Size: uint64(len(records)), RootHash: [32]byte(root(leavesOf(records)))})
}

func leavesOf(records [][]byte) (leaves [][]byte) {
	for _, r := range records {
		leaves = append(leaves, hasher{}.HashLeaf(r))
	}
	return leaves
}

// export is the export of the records from some index on.
func (f *forger) export(t testing.TB, records [][]byte, from int) *edited {
	t.Helper()
	leaves := leavesOf(records)
	e := &edited{header: []string{"elicence-log-export/1", "origin " + logID, fmt.Sprintf("range %d %d", from, len(records))}}
	if from > 0 {
		e.header = append(e.header, fmt.Sprintf("prev %x", leaves[from-1]))
	}
	for begin, size := 0, 1<<20; size > 0; size /= 2 {
		if from&size != 0 {
			e.header = append(e.header, fmt.Sprintf("node %x", root(leaves[begin:begin+size])))
			begin += size
		}
	}
	for i := from; i < len(records); i++ {
		e.rows = append(e.rows, line{strconv.Itoa(i), records[i], [32]byte(leaves[i])})
	}
	e.note = string(f.checkpoint(t, records, 2))
	return e
}

// chain is a chain of records. The one at an index is bent before the next is linked to
// it: its items, then its bytes.
func chain(t testing.TB, n, at int, items func([]any) []any, encoded func([]byte) []byte) (records [][]byte) {
	t.Helper()
	prev := make([]byte, 32)
	for i := range n {
		r := exampleRecord()
		r[0], r[2], r[3], r[7] = prev, i, 1772352000000000+i, fmt.Sprint("object ", i)
		if i == at && items != nil {
			r = items(r)
		}
		record := mustCBOR(t, r)
		if i == at && encoded != nil {
			record = encoded(record)
		}
		prev = hasher{}.HashLeaf(record)
		records = append(records, record)
	}
	return records
}

func item(i int, v any) func([]any) []any {
	return func(r []any) []any { r[i] = v; return r }
}

func replaced(old, new []byte) func([]byte) []byte {
	return func(b []byte) []byte { return bytes.Replace(b, old, new, 1) }
}

const bent = 3 // of six entries

// badRecords are records that a log's key must not make good; the entry to be named is
// bent, unless another is.
var badRecords = map[string]struct {
	items   func([]any) []any
	encoded func([]byte) []byte
	want    int
}{
	"time backwards":         {items: item(3, 1772352000000001)},
	"time after 9999":        {items: item(3, 253402300800000000)},
	"time a text":            {items: item(3, "now")},
	"negative time":          {items: item(3, -1)},
	"duplicate index":        {items: item(2, bent-1), want: bent - 1},
	"index skipped":          {items: item(2, bent+1)},
	"negative index":         {items: item(2, -1)},
	"index a float":          {items: item(2, 3.0)},
	"linked to nothing":      {items: item(0, make([]byte, 32)), want: bent - 1},
	"short prev":             {items: item(0, make([]byte, 31))},
	"version 2":              {items: item(1, 2)},
	"no principal":           {items: item(4, "")},
	"principal too long":     {items: item(4, strings.Repeat("p", 257))},
	"principal bytes":        {items: item(4, []byte("p"))},
	"authority too long":     {items: item(5, strings.Repeat("p", 129))},
	"no action":              {items: item(6, "")},
	"action too long":        {items: item(6, strings.Repeat("p", 65))},
	"object too long":        {items: item(7, strings.Repeat("p", 257))},
	"purpose too long":       {items: item(8, strings.Repeat("p", 513))},
	"purpose null":           {items: item(8, nil)},
	"case too long":          {items: item(9, strings.Repeat("p", 129))},
	"matter too long":        {items: item(10, strings.Repeat("p", 257))},
	"result unknown":         {items: item(11, "perhaps")},
	"code too long":          {items: item(12, strings.Repeat("p", 65))},
	"request id too long":    {items: item(13, strings.Repeat("p", 129))},
	"digest too long":        {items: item(14, make([]byte, 65))},
	"digest a list":          {items: item(14, []int{1})},
	"short commitment":       {items: item(15, make([]byte, 31))},
	"an item too many":       {items: func(r []any) []any { return append(r, "") }},
	"an item too few":        {items: func(r []any) []any { return r[:15] }},
	"array of no fixed size": {encoded: func(b []byte) []byte { return append(append([]byte{0x9f}, b[1:]...), 0xff) }},
	"array head too long":    {encoded: replaced([]byte{0x90}, []byte{0x98, 16})},
	"length too long":        {encoded: replaced([]byte{0x58, 32}, []byte{0x59, 0, 32})},
	"index too long":         {encoded: replaced([]byte{1, bent, 0x1b}, []byte{1, 0x18, bent, 0x1b})},
	"index much too long":    {encoded: replaced([]byte{1, bent, 0x1b}, []byte{1, 0x1b, 0, 0, 0, 0, 0, 0, 0, bent, 0x1b})},
	"index tagged":           {encoded: replaced([]byte{1, bent, 0x1b}, []byte{1, 0xc1, bent, 0x1b})},
	"text in pieces":         {encoded: replaced([]byte("\x61p"), []byte("\x7f\x61p\xff"))},
	"not UTF-8":              {encoded: replaced([]byte("\x61p"), []byte("\x61\xff"))},
	"half a character":       {encoded: replaced([]byte("\x61p"), []byte("\x63\xed\xa0\x80"))},
	"a byte behind it":       {encoded: func(b []byte) []byte { return append(b, 0) }},
	"cut short":              {encoded: func(b []byte) []byte { return b[:len(b)-1] }},
	"2,049 bytes":            {encoded: func(b []byte) []byte { return append(b, make([]byte, 2049-len(b))...) }},
	"nothing":                {encoded: func([]byte) []byte { return nil }},
}

// TestForged: the key of a log, and its witnesses' beside it, make no malformed entry
// good, and no link, index or time.
func TestForged(t *testing.T) {
	f := newForger(t)
	var cases []auditCase
	add := func(name, want string, e *edited) {
		cases = append(cases, auditCase{name: name, policy: f.policy, exports: [][]byte{e.bytes()}, want: want})
	}
	add("good", "good 0 6", f.export(t, chain(t, 6, -1, nil, nil), 0))
	for name, tt := range badRecords {
		want := tt.want
		if want == 0 {
			want = bent
		}
		add(name, fmt.Sprint("entry ", want), f.export(t, chain(t, 6, bent, tt.items, tt.encoded), 0))
	}
	add("last, time backwards", "entry 5", f.export(t, chain(t, 6, 5, item(3, 1), nil), 0))
	add("last, duplicate index", "entry 5", f.export(t, chain(t, 6, 5, item(2, 4), nil), 0))
	add("last, digest too long", "entry 5", f.export(t, chain(t, 6, 5, item(14, make([]byte, 65)), nil), 0))
	add("first, linked to something", "entry 0", f.export(t, chain(t, 6, 0, item(0, bytes.Repeat([]byte{1}, 32)), nil), 0))
	add("first, of another index", "entry 0", f.export(t, chain(t, 6, 0, item(2, 1), nil), 0))

	whole := chain(t, 6, -1, nil, nil)
	for name, tt := range map[string]struct {
		want   string
		change func(part, all *edited)
	}{
		"a range":                      {"good 3 6", func(_, _ *edited) {}},
		"rows of another range":        {"entry 3", func(part, all *edited) { part.rows = all.rows[:3] }},
		"rows of the whole log":        {"entry 3", func(part, all *edited) { part.rows = all.rows }},
		"header of the whole log":      {"entry 0", func(part, all *edited) { part.header = all.header }},
		"checkpoint of another range":  {"bad", func(part, all *edited) { part.note = string(f.checkpoint(t, whole[:5], 2)) }},
		"prev of another range":        {"entry 3", func(part, all *edited) { part.header[3] = fmt.Sprintf("prev %x", all.rows[1].leaf) }},
		"first node of another range":  {"entry 5", func(part, all *edited) { part.header[4] = fmt.Sprintf("node %x", all.rows[1].leaf) }},
		"second node of another range": {"entry 5", func(part, all *edited) { part.header[5] = fmt.Sprintf("node %x", all.rows[1].leaf) }},
		"nodes swapped":                {"entry 5", func(part, _ *edited) { part.header[4], part.header[5] = part.header[5], part.header[4] }},
		"a node less":                  {"bad", func(part, _ *edited) { part.header = part.header[:5] }},
		"prev in capitals":             {"bad", func(part, _ *edited) { part.header[3] = "prev " + strings.ToUpper(part.header[3][5:]) }},
	} {
		part := f.export(t, whole, 3)
		tt.change(part, f.export(t, whole, 0))
		add(name, tt.want, part)
	}

	// One bit of any byte of a record, and so of any field, with the stored leaf as it was and
	// recomputed.
	good := f.export(t, chain(t, 6, -1, nil, nil), 0)
	for i := range good.rows[bent].record {
		for _, adjust := range []bool{false, true} {
			e := *good
			e.rows = slices.Clone(good.rows)
			row := &e.rows[bent]
			row.record = bytes.Clone(row.record)
			row.record[i] ^= 1 << (i % 8)
			if adjust {
				row.leaf = audit.LeafHash(row.record)
			}
			add(fmt.Sprintf("byte %d of record flipped, leaf too: %t", i, adjust), "entry 3", &e)
			cases[len(cases)-1].brief = i%32 != 3
		}
	}
	agree(t, cases)
}

// TestForgedCheckpoint: what follows good rows must be this log's checkpoint, signed by
// it and by a quorum.
func TestForgedCheckpoint(t *testing.T) {
	f, other := newForger(t), newForger(t)
	records := chain(t, 6, -1, nil, nil)
	text := checkpointText(records)
	both := f.policy.Marshal()
	lines := strings.SplitAfter(string(f.sign(t, text, 3)), "\n") // three of text, an empty one, four signatures
	elsewhere := newSigner(t, "log.example/other")
	otherKey, err := elsewhere.VerifierKey()
	if err != nil {
		t.Fatal(err)
	}
	policy, err := audit.ParsePolicy(append(both, "log "+otherKey+"\n"...))
	if err != nil {
		t.Fatal(err)
	}
	note := func(order ...int) string {
		b := strings.Join(lines[:4], "")
		for _, i := range order {
			b += lines[4+i]
		}
		return b
	}
	signed := func(old, new string) string { return string(f.sign(t, strings.Replace(text, old, new, 1), 2)) }
	foreign, err := audit.SignText(rand.Reader, strings.Replace(text, logID, elsewhere.Name, 1), start, elsewhere, f.witnesses...)
	if err != nil {
		t.Fatal(err)
	}
	stranger := string(mustCosign(t, newSigner(t, "stranger.example"), []byte(note(0))))
	stranger = stranger[len(note(0)):]
	older := strings.SplitAfter(string(f.checkpoint(t, records[:5], 3)), "\n")
	lastRoot := strings.Split(text, "\n")[2]
	olderRoot := strings.Split(checkpointText(records[:5]), "\n")[2]
	var cases []auditCase
	for name, tt := range map[string]struct{ note, want string }{
		"by two":                       {note(0, 1, 2), "good 0 6"},
		"by all":                       {note(0, 1, 2, 3), "good 0 6"},
		"in another order":             {note(3, 0, 1), "good 0 6"},
		"by a stranger, too":           {note(0, 1, 2) + stranger, "good 0 6"},
		"by one":                       {note(0, 2), "bad"},
		"by no witness":                {note(0), "bad"},
		"by no log":                    {note(1, 2, 3), "bad"},
		"by one and a stranger":        {note(0, 1) + stranger, "bad"},
		"by one, twice":                {note(0, 1, 1), "bad"},
		"by the log, twice":            {note(0, 0, 1, 2), "bad"},
		"by another key of its name":   {string(other.sign(t, text, 0)) + lines[5] + lines[6], "bad"},
		"by other witnesses":           {string(f.sign(t, text, 0)) + strings.Join(strings.SplitAfter(string(other.sign(t, text, 3)), "\n")[5:], ""), "bad"},
		"cosigned another":             {note(0, 1) + older[6], "bad"},
		"of another log":               {string(foreign), "bad"},
		"smaller":                      {signed("\n6\n", "\n5\n"), "bad"},
		"larger":                       {signed("\n6\n", "\n7\n"), "bad"},
		"the one before":               {string(f.checkpoint(t, records[:5], 2)), "bad"},
		"root of the one before":       {signed(lastRoot, olderRoot), "entry 5"},
		"root in other base64":         {signed(lastRoot, lastRoot[:len(lastRoot)-1]), "bad"},
		"size with a zero":             {signed("\n6\n", "\n06\n"), "bad"},
		"a line more":                  {signed(lastRoot+"\n", lastRoot+"\nmore\n"), "bad"},
		"a line less":                  {string(f.sign(t, logID+"\n6\n", 2)), "bad"},
		"no note":                      {"", "bad"},
		"no signature":                 {text + "\n", "bad"},
		"a space behind":               {strings.TrimSuffix(note(0, 1, 2), "\n") + " \n", "bad"},
		"carriage returns":             {strings.ReplaceAll(note(0, 1, 2), "\n", "\r\n"), "bad"},
		"a minus instead of the dash":  {strings.ReplaceAll(note(0, 1, 2), "—", "-"), "bad"},
		"a text behind":                {note(0, 1, 2) + "\n", "bad"},
		"a cosignature as the log's":   {strings.Replace(note(1, 2), "w1.example", logID, 1), "bad"},
		"a signature as a witness's":   {note(0, 1) + strings.Replace(lines[4], logID, "w2.example", 1), "bad"},
		"sixty-five signatures":        {note(0, 1, 2) + strangers(62), "bad"},
		"sixty-four signatures":        {note(0, 1, 2) + strangers(61), "good 0 6"},
		"a signature without a value":  {note(0, 1, 2) + "— stranger.example AAAAAA==\n", "bad"},
		"a signer with a plus":         {note(0, 1, 2) + "— a+b AAAAAAA=\n", "bad"},
		"a signer of 101 bytes":        {note(0, 1, 2) + "— " + strings.Repeat("x", 101) + " AAAAAAA=\n", "bad"},
		"pad bits in a stranger's":     {note(0, 1, 2) + "— stranger.example AAAAAAB=\n", "bad"},
		"pad bits in a cosignature":    {strings.Replace(note(0, 1, 2), "=\n— w2", "=\n— w2", 1) + "— w3.example " + oddPad(lines[7]), "bad"},
		"longer than a note can be":    {note(0, 1, 2) + "— stranger.example " + strings.Repeat("AAAA", 10_000) + "\n", "bad"},
		"as the size of another range": {signed("\n6\n", "\n9223372036854775808\n"), "bad"},
	} {
		e := f.export(t, records, 0)
		e.note = tt.note
		cases = append(cases, auditCase{name: name, policy: policy, exports: [][]byte{e.bytes()}, want: tt.want})
	}
	agree(t, cases)
}

// strangers are signature lines of unknown keys.
func strangers(n int) (lines string) {
	for i := range n {
		lines += fmt.Sprintf("— stranger%d.example AAAAAAA=\n", i)
	}
	return lines
}

// oddPad is the base64 of a signature line with a pad bit set.
func oddPad(line string) string {
	encoded := strings.TrimSuffix(line[strings.LastIndexByte(line, ' ')+1:], "\n")
	at := len(strings.TrimRight(encoded, "=")) - 1
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	return encoded[:at] + string(digits[strings.IndexByte(digits, encoded[at])^1]) + encoded[at+1:] + "\n"
}

// rewritten are six records that differ from those of chain in the one at bent, and so in
// the links of all after it.
func rewritten(t testing.TB, n int) [][]byte { return chain(t, n, bent, item(7, "another"), nil) }

// TestOlder: an export that is good by itself, and shows less or another log than an
// older checkpoint covers.
func TestOlder(t *testing.T) {
	f, other := newForger(t), newForger(t)
	records := chain(t, 6, -1, nil, nil)
	var cases []auditCase
	add := func(name, want string, older []byte, export *edited) {
		cases = append(cases, auditCase{name: name, policy: f.policy, exports: [][]byte{export.bytes()}, older: older, want: want})
	}
	for size := range 7 {
		older := f.checkpoint(t, records[:size], 0) // as in a receipt, which no witness has seen
		add(fmt.Sprint("from ", size), "good 0 6", older, f.export(t, records, 0))
		want := "good 0 6"
		if size > bent {
			want = "bad"
		}
		add(fmt.Sprint("rewritten and signed again, from ", size), want, older, f.export(t, rewritten(t, 6), 0))
		if want = "good 0 4"; size > 4 {
			want = "bad"
		}
		add(fmt.Sprint("tail cut and signed again, from ", size), want, older, f.export(t, records[:4], 0))
		if size >= 2 {
			add(fmt.Sprint("a range, from ", size), "good 2 6", older, f.export(t, records, 2))
		}
	}
	older := f.checkpoint(t, records[:4], 2)
	edited := f.export(t, records, 0)
	edited.edit(2, false, object("x"))
	add("edited", "entry 2", older, edited)
	add("checkpoint of another key", "bad", other.checkpoint(t, records[:4], 2), f.export(t, records, 0))
	add("checkpoint with a bad cosignature", "bad", append(f.checkpoint(t, records[:4], 0), strings.SplitAfter(string(f.checkpoint(t, records[:3], 1)), "\n")[5]...), f.export(t, records, 0))
	add("no checkpoint", "bad", []byte("nothing"), f.export(t, records, 0))
	for i := 0; i < len(older); i += 23 {
		flipped := bytes.Clone(older)
		flipped[i] ^= 1
		want := "bad"
		if _, err := f.policy.OpenSigned(flipped); err == nil {
			want = "good 0 6" // a witness's name that nobody knows, say
		}
		add(fmt.Sprint("bit flipped in byte ", i), want, flipped, f.export(t, records, 0))
	}
	agree(t, cases)
}

// TestJoin: several exports are one, or they are none.
func TestJoin(t *testing.T) {
	f, other := newForger(t), newForger(t)
	records := chain(t, 9, -1, nil, nil)
	part := func(records [][]byte, from, to int) []byte { return f.export(t, records[:to], from).bytes() }
	late := chain(t, 9, 1, item(3, 1772352000000099), nil)
	edited := f.export(t, records[:5], 2)
	edited.edit(1, true, object("x"))
	foreign := other.export(t, records[:5], 2)
	var cases []auditCase
	for name, tt := range map[string]struct {
		want    string
		exports [][]byte
	}{
		"one":                 {"good 2 5", [][]byte{part(records, 2, 5)}},
		"three":               {"good 0 9", [][]byte{part(records, 0, 2), part(records, 2, 5), part(records, 5, 9)}},
		"in any order":        {"good 0 9", [][]byte{part(records, 5, 9), part(records, 0, 2), part(records, 2, 5)}},
		"from the middle":     {"good 3 8", [][]byte{part(records, 3, 4), part(records, 4, 8)}},
		"one missing":         {"entry 2", [][]byte{part(records, 0, 2), part(records, 5, 9)}},
		"first one bad":       {"entry 3", [][]byte{edited.bytes(), part(records, 5, 9)}},
		"second one bad":      {"entry 3", [][]byte{part(records, 0, 2), edited.bytes()}},
		"twice the same":      {"bad", [][]byte{part(records, 0, 2), part(records, 0, 2)}},
		"overlapping":         {"bad", [][]byte{part(records, 0, 3), part(records, 2, 5)}},
		"of another key":      {"bad", [][]byte{part(records, 0, 2), foreign.bytes()}},
		"of another history":  {"bad", [][]byte{part(rewritten(t, 9), 0, 5), part(records, 5, 9)}},
		"histories part here": {"bad", [][]byte{part(rewritten(t, 9), 0, 4), part(records, 4, 9)}},
		"histories part next": {"good 0 9", [][]byte{part(records, 0, 3), part(rewritten(t, 9), 3, 9)}},
		"time backwards":      {"entry 2", [][]byte{part(late, 0, 2), part(late, 2, 9)}},
		"nothing":             {"bad", [][]byte{part(records, 0, 2), {}}},
	} {
		cases = append(cases, auditCase{name: name, policy: f.policy, exports: tt.exports, want: tt.want})
	}
	agree(t, cases)
}
