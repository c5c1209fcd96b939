package main

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"elicence/audit"
)

// maxProof is the largest proof in bytes: 64 hashes at most, and room for spaces.
const maxProof = 16 << 10

// proveCommand is "elicence audit prove". The proof is taken from an export, from a file
// or from the service; what it proves is checked here in any case.
type proveCommand struct {
	Policy     string  `required:"" placeholder:"FILE" help:"Policy: the keys of log and witnesses. 策略文件。"`
	Index      *uint64 `xor:"what" required:"" placeholder:"N" help:"Prove that entry N is in the log. 证明条目 N 在日志中。"`
	Older      string  `xor:"what" required:"" placeholder:"FILE" help:"Prove that the log begins with that of this checkpoint. 证明日志是该检查点的延续。"`
	Leaf       string  `placeholder:"HEX" help:"Leaf that the entry must have, as a receipt states it; needed unless there is an export. 回执中的叶值。"`
	Checkpoint string  `placeholder:"FILE" help:"Checkpoint to lead to; by default the export's own, or the service's newest. 目标检查点。"`
	Server     string  `placeholder:"URL" help:"Service to ask for the proof. 服务地址。"`
	TokenFile  string  `placeholder:"FILE" help:"File with a bearer token for it. 访问令牌文件。"`
	Output     string  `short:"o" placeholder:"FILE" help:"File for the proof, as JSON; one that is there is replaced. 输出证明文件，已有的会被替换。"`
	Source     string  `arg:"" optional:"" help:"Export of the log, or a proof in a file. 日志导出文件或证明文件。"`
}

// notProved is a verdict: what should have been proved was not.
type notProved struct{ cause error }

func (n *notProved) Error() string { return n.cause.Error() }

func failed(format string, args ...any) error { return &notProved{fmt.Errorf(format, args...)} }

// proving is the work of one proveCommand.
type proving struct {
	*proveCommand
	policy *audit.Policy
	leaf   [32]byte          // of the entry
	older  audit.Checkpoint  // where the consistency proof begins
	newest *audit.Checkpoint // where the proof leads; nil until it is known

	cosigners int
	record    []byte // of the entry, when there is an export
	hashes    [][]byte
}

// Run proves, and prints the verdict.
func (c *proveCommand) Run(t terminal) error {
	p, err := c.prove()
	verdict := (*notProved)(nil)
	switch {
	case errors.As(err, &verdict):
		fmt.Fprintf(t.out, "bad: %s\n不能证明，不能采信\n", visible(verdict.Error()))
		return exit(exitBad)
	case errors.Is(err, audit.ErrBadExport):
		printBadExport(t, err, c.Source)
		return exit(exitBad)
	case err != nil:
		return err
	}
	if c.Output != "" {
		if err := write(c.Output, p.marshal(), 0o644); err != nil {
			return err
		}
	}
	return p.print(t)
}

// prove reads what is given, obtains the proof, and checks it.
func (c *proveCommand) prove() (*proving, error) {
	p := &proving{proveCommand: c}
	var err error
	if p.policy, err = readPolicy(c.Policy); err != nil {
		return nil, err
	}
	if err := p.readArguments(); err != nil {
		return nil, err
	}
	switch {
	case (c.Source == "") == (c.Server == ""):
		err = usageError(errors.New("want an export or a proof in a file, or --server and --token-file"))
	case c.Server != "":
		err = p.fromService()
	default:
		err = p.fromFile()
	}
	if err != nil {
		return nil, err
	}
	return p, p.check()
}

// readArguments reads leaf and checkpoints.
func (p *proving) readArguments() error {
	if p.Leaf != "" {
		raw, err := hex.DecodeString(p.Leaf)
		if err != nil || len(raw) != 32 {
			return usageError(errors.New("--leaf is not 64 hexadecimal digits"))
		}
		p.leaf = [32]byte(raw)
	}
	if p.Older != "" {
		signed, err := readFile(p.Older, audit.MaxNote)
		if err != nil {
			return err
		}
		if p.older, err = p.policy.OpenSigned(signed); err != nil {
			return failed("the older checkpoint: %w", err)
		}
	}
	if p.Checkpoint == "" {
		return nil
	}
	signed, err := readFile(p.Checkpoint, audit.MaxNote)
	if err != nil {
		return err
	}
	return p.leadTo(signed)
}

// leadTo sets the checkpoint where the proof is to lead.
func (p *proving) leadTo(signed []byte) error {
	c, cosigners, err := p.policy.OpenCheckpoint(signed)
	if err != nil {
		return failed("the checkpoint: %w", err)
	}
	p.newest, p.cosigners = &c, len(cosigners)
	return nil
}

// fromFile takes the proof from an export or from a file that holds it.
func (p *proving) fromFile() error {
	f, err := os.Open(p.Source)
	if err != nil {
		return fileError(err)
	}
	defer f.Close()
	in := bufio.NewReader(f)
	if first, _ := in.Peek(1); string(first) != "{" {
		return p.fromExport(in)
	}
	raw, err := io.ReadAll(io.LimitReader(in, maxProof+1))
	switch {
	case err != nil:
		return fileError(err)
	case p.newest == nil:
		return usageError(errors.New("a proof in a file needs --checkpoint"))
	}
	if err := p.needLeaf(); err != nil {
		return err
	}
	return p.parse(raw)
}

// needLeaf is an error when nothing says which entry is meant.
func (p *proving) needLeaf() error {
	if p.Index != nil && p.Leaf == "" {
		return usageError(errors.New("without an export, --leaf says which entry is meant"))
	}
	return nil
}

// fromExport computes the proof while it verifies an export.
func (p *proving) fromExport(in io.Reader) (err error) {
	size := uint64(0)
	if p.newest != nil {
		size = p.newest.Size
	}
	var s audit.Summary
	if p.Index != nil {
		s, p.record, p.hashes, err = audit.ExportInclusion(p.policy, in, *p.Index, size)
	} else {
		s, p.hashes, err = audit.ExportConsistency(p.policy, in, p.older.Size, size)
	}
	if errors.Is(err, audit.ErrOutOfRange) {
		return usageError(fmt.Errorf("reading %s: %w", visible(p.Source), err))
	}
	if err != nil {
		return exportError(err, p.Source)
	}
	if p.newest == nil {
		p.newest, p.cosigners = &audit.Checkpoint{Origin: s.Origin, Size: s.To, RootHash: s.RootHash}, len(s.Cosigners)
	}
	if s.Origin != p.newest.Origin {
		return failed("the export is of log %q, the checkpoint of %q", s.Origin, p.newest.Origin)
	}
	if p.record == nil {
		return nil
	}
	if leaf := audit.LeafHash(p.record); p.Leaf == "" {
		p.leaf = leaf
	} else if leaf != p.leaf {
		return failed("entry %d has the leaf %x, not the one given", *p.Index, leaf)
	}
	return nil
}

// fromService asks the service for the proof and, unless there is one, the checkpoint.
func (p *proving) fromService() error {
	if err := p.needLeaf(); err != nil {
		return err
	}
	s := service{p.Server, p.TokenFile}
	if p.newest == nil {
		signed, err := s.get("/log/checkpoint", audit.MaxNote)
		if err != nil {
			return err
		}
		if err := p.leadTo(signed); err != nil {
			return err
		}
	}
	if err := p.ordered(); err != nil {
		return err
	}
	query := url.Values{}
	for name, n := range p.numbers() {
		query.Set(name, strconv.FormatUint(n, 10))
	}
	raw, err := s.get("/log/proof?"+query.Encode(), maxProof)
	if err != nil {
		return err
	}
	return p.parse(raw)
}

// numbers are the members of the proof that is asked for, but for the hashes.
func (p *proving) numbers() map[string]uint64 {
	if p.Index != nil {
		return map[string]uint64{"index": *p.Index, "size": p.newest.Size}
	}
	return map[string]uint64{"from": p.older.Size, "to": p.newest.Size}
}

// parse takes the hashes of a proof, which must be the one that is asked for.
func (p *proving) parse(raw []byte) (err error) {
	if p.hashes, err = parseProof(raw, p.numbers()); err != nil {
		return &notProved{err}
	}
	return nil
}

// parseProof returns the hashes of a proof with these numbers and no other members.
// (A struct would take members in capitals, too.)
func parseProof(raw []byte, numbers map[string]uint64) ([][]byte, error) {
	var members map[string]json.RawMessage
	var encoded []string
	if len(raw) > maxProof || json.Unmarshal(raw, &members) != nil || !bytes.HasPrefix(members["hashes"], []byte("[")) ||
		json.Unmarshal(members["hashes"], &encoded) != nil || len(members) != len(numbers)+1 {
		return nil, errors.New("the proof is malformed")
	}
	for name, n := range numbers {
		if string(members[name]) != strconv.FormatUint(n, 10) {
			return nil, errors.New("the proof is of other entries or sizes")
		}
	}
	hashes := make([][]byte, len(encoded))
	for i, h := range encoded {
		raw, err := hex.DecodeString(h)
		if err != nil || len(raw) != 32 || strings.ToLower(h) != h {
			return nil, errors.New("the proof is malformed: a hash is not 64 hexadecimal digits in lower case")
		}
		hashes[i] = raw
	}
	return hashes, nil
}

// marshal is the proof in the form of the service's answer.
func (p *proving) marshal() []byte {
	members := map[string]any{}
	for name, n := range p.numbers() {
		members[name] = n
	}
	hashes := make([]string, len(p.hashes))
	for i, h := range p.hashes {
		hashes[i] = hex.EncodeToString(h)
	}
	members["hashes"] = hashes
	b, _ := json.Marshal(members) // numbers and texts cannot fail
	return append(b, '\n')
}

// ordered is the verdict unless the older log can be the beginning of the other.
func (p *proving) ordered() error {
	switch {
	case p.Index != nil:
		return nil
	case p.older.Origin != p.newest.Origin:
		return failed("the older checkpoint is of log %q, the newer of %q", p.older.Origin, p.newest.Origin)
	case p.older.Size > p.newest.Size:
		return failed("the log went backwards: the older checkpoint covers %d entries, the newer %d", p.older.Size, p.newest.Size)
	}
	return nil
}

// check checks the proof.
func (p *proving) check() error {
	if p.Index != nil {
		if err := p.newest.IncludesLeaf(*p.Index, p.leaf, p.hashes); err != nil {
			return &notProved{err}
		}
		return nil
	}
	if err := p.ordered(); err != nil {
		return err
	}
	if err := audit.VerifyConsistency(p.older, *p.newest, p.hashes); err != nil {
		return failed("the log has two histories: %w", err)
	}
	return nil
}

// print prints what was proved.
func (p *proving) print(t terminal) error {
	tail := fmt.Sprintf("%s of %d entries, root %x, cosigned by %d witnesses", p.newest.Origin, p.newest.Size, p.newest.RootHash, p.cosigners)
	if p.Index == nil {
		_, err := fmt.Fprintf(t.out, "已证明：%d 条的日志是 %d 条的日志的延续\nproved: the log of %d entries is the beginning of %s\n", p.newest.Size, p.older.Size, p.older.Size, tail)
		return err
	}
	fmt.Fprintf(t.out, "已证明：条目 %d 在 %d 条的日志中\nproved: entry %d, leaf %x, is in %s\n", *p.Index, p.newest.Size, *p.Index, p.leaf, tail)
	if p.record == nil {
		return nil
	}
	r, err := audit.ParseRecord(p.record)
	if err != nil {
		return err
	}
	e := r.Entry
	for _, field := range [][2]string{{"time", e.Time.Format(time.RFC3339Nano)}, {"principal", e.Principal}, {"authority", e.Authority},
		{"action", string(e.Action)}, {"object", e.Object}, {"purpose", e.Purpose}, {"case", e.Case}, {"matter", e.Matter},
		{"result", string(e.Result)}, {"code", e.Code}, {"request_id", e.RequestID}, {"digest", hex.EncodeToString(e.Digest)},
		{"commitment", hex.EncodeToString(r.Commitment)}} {
		if field[1] != "" {
			fmt.Fprintf(t.out, "%-10s  %s\n", field[0], visible(field[1]))
		}
	}
	return nil
}
