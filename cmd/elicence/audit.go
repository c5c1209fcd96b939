package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"elicence/audit"
)

const maxPolicy = 1 << 20 // bytes

// auditCommand is "elicence audit verify".
type auditCommand struct {
	Policy string `required:"" placeholder:"FILE" help:"Policy: the keys of log and witnesses. 策略文件。"`
	Export string `arg:"" help:"Export of the log. 日志导出文件。"`
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

// Run verifies an export. What is wrong with it is printed first, as "entry N: reason".
func (c *auditCommand) Run(t terminal) error {
	policy, err := readPolicy(c.Policy)
	if err != nil {
		return err
	}
	f, err := os.Open(c.Export)
	if err != nil {
		return fileError(err)
	}
	defer f.Close()
	summary, err := audit.VerifyExport(policy, f)
	switch {
	case errors.Is(err, audit.ErrBadExport):
		fmt.Fprintf(t.out, "%s\n日志不完好，不能采信：%s\n", visible(err.Error()), visible(c.Export))
		return exit(exitBad)
	case err != nil:
		return fileError(fmt.Errorf("reading %s: %w", c.Export, err))
	}
	_, err = fmt.Fprintf(t.out, "日志完好：%s 的条目 %d 至 %d\ngood: %s, entries [%d, %d), root %x, from %s to %s, cosigned by %d witnesses\n",
		summary.Origin, summary.From, summary.To-1, summary.Origin, summary.From, summary.To, summary.RootHash,
		summary.FirstTime.Format(time.RFC3339), summary.LastTime.Format(time.RFC3339), len(summary.Cosigners))
	return err
}
