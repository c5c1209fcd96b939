package witness_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"elicence/audit"
	"elicence/audit/witness"
)

// protocolCase is a request to a witness that has cosigned size 20 of the log, and the
// status of its answer.
type protocolCase struct {
	name   string
	body   []byte
	status int
}

// TestProtocol is the protocol as tables.
func TestProtocol(t *testing.T) {
	f := newFixture(t)
	f.mustAdd(t, 0, 20)
	for _, cases := range [][]protocolCase{f.signatureCases(t), f.sizeCases(t), f.proofCases(t), f.formCases(t), f.noteCases(t)} {
		for _, tt := range cases {
			f.judge(t, tt)
		}
	}
	stranger := append(f.log.checkpoint(t, 30), "— stranger.example AAAAAAAAAAAAAAA=\n"...)
	f.cosigned(t, f.post(body(20, f.log.proof(20, 30), stranger)), 30)
	if kept := f.store.kept[origin]; bytes.Contains(kept, []byte("stranger")) {
		t.Errorf("the stranger's signature was kept:\n%s", kept)
	}
	f.mustAdd(t, 30, 40)
	if len(f.faults) > 0 {
		t.Errorf("faults: %v", f.faults)
	}
}

// judge makes one request, which must leave the witness where it was.
func (f *fixture) judge(t *testing.T, tt protocolCase) {
	t.Helper()
	w := f.post(tt.body)
	if w.Code != tt.status {
		t.Errorf("%s: %d %q, want %d", tt.name, w.Code, w.Body, tt.status)
	}
	if w.Code == http.StatusConflict && (w.Body.String() != "20\n" || w.Header().Get("Content-Type") != "text/x.tlog.size") {
		t.Errorf("%s: %q of type %q", tt.name, w.Body, w.Header().Get("Content-Type"))
	}
	if w.Code != http.StatusOK && strings.Contains(w.Body.String(), "— ") {
		t.Errorf("%s: refused with a signature: %q", tt.name, w.Body)
	}
	if size, _ := f.latest(t); size != 20 {
		t.Fatalf("after %s: the witness has cosigned %d", tt.name, size)
	}
}

// signatureCases are about who signed.
func (f *fixture) signatureCases(t *testing.T) []protocolCase {
	log, at30 := f.log, f.log.checkpoint(t, 30)
	stranger := newTestLog(newSigner(t, "other.example"), "the history", 40)
	impostor := newTestLog(newSigner(t, origin), "the history", 40) // the same origin, another key
	with := func(signed []byte) []byte { return body(20, log.proof(20, 30), signed) }
	return []protocolCase{
		{"other log", stranger.body(t, 20, 30), 404},
		{"other log from nothing", stranger.body(t, 0, 30), 404},
		{"other key", impostor.body(t, 20, 30), 403},
		{"signature altered", with(alterSignature(t, at30)), 403},
		{"signed by a stranger only", with(bytes.Replace(at30, []byte("— "+origin), []byte("— stranger.example"), 1)), 403},
		{"signature of another checkpoint", with(append([]byte(log.text(30)), log.checkpoint(t, 29)[len(log.text(29)):]...)), 403},
		{"other log's signature", with(stranger.sign(t, log.text(30))), 403},
		{"witness's own cosignature only", with(append([]byte(log.text(30)+"\n"), f.cosignature(t, log, 30)...)), 403},
	}
}

// sizeCases are about the old size.
func (f *fixture) sizeCases(t *testing.T) []protocolCase {
	log, at30 := f.log, f.log.checkpoint(t, 30)
	fork := newTestLog(log.signer, "another history", 40)
	return []protocolCase{
		{"the same again", log.body(t, 20, 20), 200},
		{"old above new", body(31, nil, at30), 400},
		{"old far above new", body(uint64(1)<<62, nil, at30), 400},
		{"old above new and stored", body(40, log.proof(20, 30), log.checkpoint(t, 10)), 400},
		{"old below stored", log.body(t, 10, 30), 409},
		{"old 0", log.body(t, 0, 30), 409},
		{"old above stored", log.body(t, 25, 30), 409},
		{"going back", log.body(t, 10, 15), 409},
		{"going back from nothing", log.body(t, 0, 15), 409},
		{"another history from its start", fork.body(t, 0, 30), 409},
	}
}

// proofCases are about the consistency proof.
func (f *fixture) proofCases(t *testing.T) []protocolCase {
	log, at30 := f.log, f.log.checkpoint(t, 30)
	fork := newTestLog(log.signer, "another history", 40)
	return []protocolCase{
		{"no proof", body(20, nil, at30), 422},
		{"proof of other sizes", body(20, log.proof(20, 29), at30), 422},
		{"proof from another size", body(20, log.proof(19, 30), at30), 422},
		{"a hash more", body(20, append(log.proof(20, 30), log.leaves[0]), at30), 422},
		{"a hash less", body(20, log.proof(20, 30)[1:], at30), 422},
		{"hashes in another order", body(20, reversed(log.proof(20, 30)), at30), 422},
		{"another history", fork.body(t, 20, 30), 422},
		{"another history of that size", fork.body(t, 20, 20), 409},
		{"another history of that size, with a proof", body(20, log.proof(10, 20), fork.checkpoint(t, 20)), 422},
		{"another history, the log's proof", body(20, log.proof(20, 30), fork.checkpoint(t, 30)), 422},
		{"proof for the same size", body(20, log.proof(10, 20), log.checkpoint(t, 20)), 422},
	}
}

// formCases are about the form of the request.
func (f *fixture) formCases(t *testing.T) []protocolCase {
	good, at30 := f.log.body(t, 20, 30), f.log.checkpoint(t, 30)
	swap := func(old, new string) []byte { return bytes.Replace(good, []byte(old), []byte(new), 1) }
	lines := strings.SplitAfter(string(good), "\n")
	old, hash := lines[0], lines[1]
	return []protocolCase{
		{"empty", nil, 400},
		{"only the old line", []byte("old 20\n"), 400},
		{"no checkpoint", []byte("old 20\n\n"), 400},
		{"checkpoint alone", at30, 400},
		{"no empty line", swap("\n\n", "\n"), 400},
		{"two empty lines", swap("\n\n", "\n\n\n"), 400},
		{"no old line", []byte(strings.TrimPrefix(string(good), old)), 400},
		{"old in capitals", swap("old 20", "OLD 20"), 400},
		{"old with two spaces", swap("old 20", "old  20"), 400},
		{"old with a leading zero", swap("old 20", "old 020"), 400},
		{"old with a sign", swap("old 20", "old +20"), 400},
		{"old negative", swap("old 20", "old -20"), 400},
		{"old empty", swap("old 20", "old "), 400},
		{"old hexadecimal", swap("old 20", "old 0x14"), 400},
		{"old beyond 63 bits", swap("old 20", "old 9223372036854775808"), 400},
		{"space after old", swap("old 20\n", "old 20 \n"), 400},
		{"carriage returns", bytes.ReplaceAll(good, []byte("\n"), []byte("\r\n")), 400},
		{"carriage return in a hash", swap(hash, hash[:10]+"\r"+hash[10:]), 400},
		{"hash cut", swap(hash, hash[4:]), 400},
		{"hash of 33 bytes", swap(hash, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"), 400},
		{"hash with loose pad bits", swap(hash, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB=\n"), 400},
		{"hash in base64url", swap(hash, "____AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"), 400},
		{"hash in hex", swap(hash, strings.Repeat("ab", 32)+"\n"), 400},
		{"64 hashes", body(20, slices.Repeat([][]byte{make([]byte, 32)}, 64), at30), 400},
		{"too large", append(bytes.Clone(good), make([]byte, 64<<10)...), 413},
	}
}

// noteCases are about the form of the checkpoint.
func (f *fixture) noteCases(t *testing.T) []protocolCase {
	log, good := f.log, f.log.body(t, 20, 30)
	text := log.text(30)
	signed := func(text string) []byte { return body(20, log.proof(20, 30), log.sign(t, text)) }
	return []protocolCase{
		{"without signature", body(20, log.proof(20, 30), []byte(text)), 400},
		{"with a fourth line", signed(text + "extension\n"), 400},
		{"size 030", signed(strings.Replace(text, "\n30\n", "\n030\n", 1)), 400},
		{"negative size", signed(strings.Replace(text, "\n30\n", "\n-30\n", 1)), 400},
		{"root cut", signed(strings.Replace(text, "=", "", 1)), 400},
		{"bytes after it", append(bytes.Clone(good), "x"...), 400},
		{"last line feed missing", good[:len(good)-1], 400},
		{"the signature twice", append(bytes.Clone(good), good[bytes.LastIndex(good, []byte("— ")):]...), 400},
		{"not UTF-8", append(bytes.Clone(good), "— \xff AAAAAAAAAAA=\n"...), 400},
		{"65 signatures", manySignatures(good, 64), 400},
	}
}

// cosignature is the line that another witness with this key gives for a checkpoint.
func (f *fixture) cosignature(t testing.TB, log *testLog, size int) []byte {
	t.Helper()
	signed := log.checkpoint(t, size)
	cosigned, err := audit.Cosign(f.config.Rand, f.config.Signer, signed, start)
	must(t, err)
	return cosigned[len(signed):]
}

// alterSignature flips a bit of the only signature of a note.
func alterSignature(t testing.TB, signed []byte) []byte {
	t.Helper()
	at := bytes.LastIndexByte(signed, ' ') + 1
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(signed[at:])))
	must(t, err)
	raw[20] ^= 1
	return append(bytes.Clone(signed[:at]), base64.StdEncoding.EncodeToString(raw)+"\n"...)
}

func reversed(hashes [][]byte) [][]byte {
	var r [][]byte
	for _, h := range hashes {
		r = append([][]byte{h}, r...)
	}
	return r
}

func manySignatures(body []byte, n int) []byte {
	b := bytes.Clone(body)
	for i := range n {
		b = fmt.Appendf(b, "— s%d.example AAAAAAA=\n", i)
	}
	return b
}

// TestEmptyLog: size 0 has one root, and no proof.
func TestEmptyLog(t *testing.T) {
	f := newFixture(t)
	wrong := f.log.sign(t, strings.Replace(f.log.text(1), "\n1\n", "\n0\n", 1))
	for name, tt := range map[string]struct {
		body   []byte
		status int
	}{
		"another root": {body(0, nil, wrong), 409},
		"with a proof": {body(0, [][]byte{make([]byte, 32)}, f.log.checkpoint(t, 1)), 422},
	} {
		if w := f.post(tt.body); w.Code != tt.status {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	f.mustAdd(t, 0, 0)
	f.open(t)
	f.mustAdd(t, 0, 5)
}

// TestRoutes: nothing else is served.
func TestRoutes(t *testing.T) {
	f := newFixture(t)
	f.mustAdd(t, 0, 3)
	for _, tt := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/add-checkpoint", 405},
		{"PUT", "/add-checkpoint", 405},
		{"POST", "/", 404},
		{"GET", "/", 404},
		{"POST", "/add-checkpoint/", 404},
		{"GET", "/" + witness.Hash(origin) + "/checkpoint", 200},
		{"HEAD", "/" + witness.Hash(origin) + "/checkpoint", 200},
		{"POST", "/" + witness.Hash(origin) + "/checkpoint", 405},
		{"GET", "/" + strings.ToUpper(witness.Hash(origin)) + "/checkpoint", 404},
		{"GET", "/" + witness.Hash("other.example") + "/checkpoint", 404},
		{"GET", "/log.example%2Fcity/checkpoint", 404},
	} {
		if w := ask(f, tt.method, tt.path, nil); w.Code != tt.status {
			t.Errorf("%s %s: %d", tt.method, tt.path, w.Code)
		}
	}
}

// TestFlippedBits flips every bit of a request, one at a time: old size, hashes, each
// line of the checkpoint, key id and signature. Only a change that makes another
// request of the same meaning may be cosigned, and there is none.
func TestFlippedBits(t *testing.T) {
	f := newFixture(t)
	f.mustAdd(t, 0, 20)
	good := f.log.body(t, 20, 30)
	statuses := map[int]int{}
	for i := range good {
		for bit := range 8 {
			bad := bytes.Clone(good)
			bad[i] ^= 1 << bit
			w := f.post(bad)
			if w.Code == http.StatusOK {
				t.Fatalf("byte %d, bit %d: cosigned\n%s", i, bit, bad)
			}
			statuses[w.Code]++
		}
	}
	t.Logf("%d flips: %v", 8*len(good), statuses)
	for _, status := range []int{400, 403, 404, 409, 422} {
		if statuses[status] == 0 {
			t.Errorf("no flip was answered %d", status)
		}
	}
	f.mustAdd(t, 20, 30)
}

// TestFlippedCosignature flips every bit of the cosignature line: key name, key id,
// time and signature. The log's side takes none of them.
func TestFlippedCosignature(t *testing.T) {
	f := newFixture(t)
	signed := f.log.checkpoint(t, 20)
	line := f.post(f.log.body(t, 0, 20)).Body.Bytes()
	policy := withWitnesses(t, f.config.Policy, 1, f.config.Signer)
	if _, err := policy.AddCosignature(signed, "w1.example", line); err != nil {
		t.Fatal(err)
	}
	for i := range line {
		for bit := range 8 {
			bad := bytes.Clone(line)
			bad[i] ^= 1 << bit
			if cosigned, err := policy.AddCosignature(signed, "w1.example", bad); err == nil {
				// Loose pad bits in base64 say nothing; what is kept is canonical.
				if again, err := policy.AddCosignature(signed, "w1.example", line); err != nil || !bytes.Equal(cosigned, again) {
					t.Fatalf("byte %d, bit %d: took\n%s", i, bit, bad)
				}
			}
		}
	}
}

// FuzzRequest: what parses marshals to the same bytes.
func FuzzRequest(f *testing.F) {
	log := newTestLog(newSigner(f, origin), "the history", 30)
	f.Add(log.body(f, 0, 5))
	f.Add(log.body(f, 7, 30))
	f.Add([]byte("old 0\n\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if again, err := witness.Remarshal(b); err == nil && !bytes.Equal(again, b) {
			t.Errorf("%q marshals to %q", b, again)
		}
	})
}
