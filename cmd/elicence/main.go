// Command elicence checks licence files and access logs without a server.
//
//	elicence verify [--anchors F] [--trust F] [--policy F] [--at RFC3339] [--json | -q] FILE…
//	elicence inspect [--anchors F] [--at RFC3339] [--json] [--extract DIR] FILE
//	elicence audit verify --policy FILE EXPORT…
//	elicence audit prove --policy FILE (--index N [--leaf HEX] | --older FILE) [--checkpoint FILE] [-o FILE] (SOURCE | --server URL --token-file F)
//	elicence audit watch --policy FILE --server URL --token-file F --state FILE [--witness NAME=URL]… [--every 1m] [--stale 10m] [--once]
//	elicence answer verify --anchors F [--trust F] [--at RFC3339] [--request F] [--json] FILE…
//	elicence bundle --server URL --token-file F IDENTIFIER -o FILE
//	elicence consent make --server URL --token-file F --kind K --licence ID… --field NAME… --purpose TEXT [--receiver USCC] [--uses N] [--minutes N] [--json]
//	elicence consent list --server URL --token-file F [--all] [--json]
//	elicence consent show --server URL --token-file F [-o FILE] [--once] ID
//	elicence consent revoke --server URL --token-file F ID
//	elicence import --server URL --token-file F [--json] REQUEST [FILE]
//
// Exit codes: 0 good, 1 bad, 2 undecided (or a log that declares a loss), 64 wrong usage, 66 a file could not be
// read, 69 the server did not give what was asked for, 70 internal fault; the last four
// win over verdicts, and of several files the worst decides (1 over 2 over 0). A file whose bytes could be read always
// gets a verdict, unless anchors, trust list or policy are not what they should be:
// without the list that was asked for, a revoked licence would pass.
//
// Rules of the output: verdicts go to standard output, complaints about the call
// to standard error. The first line is the verdict, of a file in Chinese, which an
// official can act upon without reading on; what follows says why. Of several files the last line sums up. What comes from
// outside, a file's name or a certificate's subject, goes through visible on its way to
// a terminal. With --json there is one object a line and nothing else.
//
// It links no server code. Network connections are opened by bundle, consent, import, prove and watch
// alone, to the servers named.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/alecthomas/kong"
)

// The exit codes, of sysexits.h where they are above 2.
const (
	exitGood        = 0
	exitBad         = 1
	exitUndecided   = 2
	exitUsage       = 64
	exitNoInput     = 66
	exitUnavailable = 69
	exitInternal    = 70
)

// commandLine is the grammar of the command.
type commandLine struct {
	Verify  verifyCommand   `cmd:"" help:"Verify licence files and evidence bundles. 验证证照文件和证据包。"`
	Bundle  bundleCommand   `cmd:"" help:"Fetch the evidence bundle of a licence. 获取证照的证据包。"`
	Consent consentCommands `cmd:"" help:"A holder's consents. 持证主体的授权。"`
	Import  importCommand   `cmd:"" help:"Enter a licence of another platform into the register. 归集其他平台的证照。"`
	Inspect inspectCommand  `cmd:"" help:"Take a licence file apart, for checking with other tools. 拆解文件供其他工具核对。"`
	Answer  answerCommands  `cmd:"" help:"Signed answers to departments. 对用证部门的签名答复。"`
	Audit   auditCommands   `cmd:"" help:"Access log. 访问日志。"`
}

// terminal is where a command writes.
type terminal struct{ out, err io.Writer }

// exitError ends a command with an exit code. An error without a text ends it in
// silence, because what there was to say was said.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// exit returns the error that ends a command with a code and says nothing; nil
// for good.
func exit(code int) error {
	if code == exitGood {
		return nil
	}
	return &exitError{code: code}
}

func usageError(err error) error   { return &exitError{exitUsage, err} }
func noInputError(err error) error { return &exitError{exitNoInput, err} }

// fileError is noInputError for an error of the system, which quotes the file's name
// as it is. A line feed in it must not begin a line of ours.
func fileError(err error) error { return noInputError(errors.New(visible(err.Error()))) }

func main() { os.Exit(run(os.Args[1:], terminal{os.Stdout, os.Stderr})) }

// run executes one command line and returns its exit code.
func run(args []string, t terminal) (code int) {
	defer func() {
		if fault := recover(); fault != nil {
			fmt.Fprintln(t.err, "elicence: internal fault:", fault)
			code = exitInternal
		}
	}()
	helped := false
	parser, err := kong.New(&commandLine{}, kong.Name("elicence"), kong.Writers(t.out, t.err),
		kong.Description("Checks electronic licence files, evidence bundles and access logs, offline."),
		kong.Exit(func(int) { helped = true }), kong.Bind(t))
	if err != nil {
		return complain(t, err)
	}
	command, err := parser.Parse(args)
	switch {
	case helped: // kong calls Exit for --help alone, and goes on
		return exitGood
	case err != nil:
		return complain(t, usageError(fmt.Errorf("%w; see elicence --help", err)))
	}
	return complain(t, command.Run())
}

// complain prints an error and returns its exit code.
func complain(t terminal, err error) int {
	if err == nil {
		return exitGood
	}
	if text := err.Error(); text != "" {
		fmt.Fprintln(t.err, "elicence:", visibleLines(text))
	}
	return codeOf(err)
}

// codeOf is the code that an error ends a command with.
func codeOf(err error) int {
	var end *exitError
	if errors.As(err, &end) {
		return end.code
	}
	return exitInternal
}

// readFile reads at most limit+1 bytes of a file: what is longer is refused by
// whoever judges it.
func readFile(name string, limit int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fileError(err)
	}
	defer f.Close()
	var b bytes.Buffer
	if info, err := f.Stat(); err == nil { // a buffer that grows would take five times the file
		b.Grow(int(min(info.Size(), limit+1)) + bytes.MinRead)
	}
	if _, err := b.ReadFrom(io.LimitReader(f, limit+1)); err != nil {
		return nil, fileError(err)
	}
	return b.Bytes(), nil
}

// printJSON prints one object on one line.
func printJSON(t terminal, v any) error {
	encoder := json.NewEncoder(t.out)
	encoder.SetEscapeHTML(false) // it is read by people too
	return encoder.Encode(v)
}
