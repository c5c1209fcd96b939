package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"elicence/audit"
)

const maxPolicy = 1 << 20 // bytes

// auditCommands are "elicence audit …".
type auditCommands struct {
	Verify auditVerifyCommand `cmd:"" help:"Verify exports of the access log. 验证访问日志导出。"`
	Prove  proveCommand       `cmd:"" help:"Prove that an entry is in the log, or that an older log is the beginning of it. 证明条目在日志中，或日志前后一致。"`
	Watch  watchCommand       `cmd:"" help:"Watch the log of a service, and alarm when it is not what it was. 持续监督日志。"`
}

// auditVerifyCommand is "elicence audit verify".
type auditVerifyCommand struct {
	Policy  string   `required:"" placeholder:"FILE" help:"Policy: the keys of log and witnesses. 策略文件。"`
	Exports []string `arg:"" name:"export" help:"Exports of the log; several must join. 日志导出文件；多个文件须首尾相接。"`
}

// readPolicy reads a policy file.
func readPolicy(name string) (*audit.Policy, error) {
	text, err := readFile(name, maxPolicy)
	if err != nil {
		return nil, err
	}
	policy, err := audit.ParsePolicy(text)
	if err != nil {
		return nil, usageError(fmt.Errorf("reading %s: %w", visible(name), err))
	}
	return policy, nil
}

// Run verifies exports. What is wrong with one is printed first, as "entry N: reason".
func (c *auditVerifyCommand) Run(t terminal) error {
	policy, err := readPolicy(c.Policy)
	if err != nil {
		return err
	}
	exports, err := readLineage(policy, c.Exports)
	if err != nil {
		return err
	}
	for _, name := range c.Exports {
		if err := exports.failed[name]; err != nil {
			printBadExport(t, err, name)
		}
	}
	if len(exports.failed) > 0 {
		return exit(exitBad)
	}
	logs, losses, err := exports.follow()
	switch {
	case errors.Is(err, audit.ErrBadExport):
		printBadExport(t, err, "各文件不相衔接")
		return exit(exitBad)
	case err != nil:
		return err
	}
	code := exitGood
	for _, lost := range losses { // first, for what is lost is the verdict
		if lost.print(t) {
			code = exitUndecided
		}
	}
	for _, whole := range logs {
		fmt.Fprintf(t.out, "日志完好：%s 的条目 %d 至 %d\ngood: %s, entries [%d, %d), root %x, from %s to %s, cosigned by %d witnesses\n",
			whole.Origin, whole.From, whole.To-1, whole.Origin, whole.From, whole.To, whole.RootHash,
			whole.FirstTime.Format(time.RFC3339), whole.LastTime.Format(time.RFC3339), len(whole.Cosigners))
	}
	return exit(code)
}

// verifyExport verifies the export in a file.
func verifyExport(policy *audit.Policy, name string) (audit.Summary, error) {
	return withExport(name, func(r io.Reader) (audit.Summary, error) { return audit.VerifyExport(policy, r) })
}

// exportError leaves a verdict as it is, and says of any other error that the export
// could not be read.
func exportError(err error, name string) error {
	if err == nil || errors.Is(err, audit.ErrBadExport) {
		return err
	}
	return fileError(fmt.Errorf("reading %s: %w", name, err))
}

func printBadExport(t terminal, err error, what string) {
	fmt.Fprintf(t.out, "%s\n日志不完好，不能采信：%s\n", visible(err.Error()), visible(what))
}
