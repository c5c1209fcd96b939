package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"elicence/crypto/pki"
	"elicence/licence"
	"elicence/licence/bundle"
	"elicence/verify"
)

const maxAnchors = 8 << 20 // bytes, as crypto/pki reads them

// verifyCommand is "elicence verify".
type verifyCommand struct {
	Anchors string    `placeholder:"FILE" help:"Trust anchors: CERTIFICATE and X509 CRL blocks (PEM). 信任锚和吊销列表。"`
	Trust   string    `placeholder:"FILE" help:"Signed trust list with QR signers and licence states. 信任列表。"`
	Policy  string    `placeholder:"FILE" help:"Log policy, for evidence bundles: the keys of log and witnesses. 日志策略，用于证据包。"`
	At      time.Time `placeholder:"RFC3339" format:"2006-01-02T15:04:05Z07:00" help:"Validation time; now when absent. 验证时间。"`
	JSON    bool      `name:"json" xor:"form" help:"One JSON object a line. 每个文件输出一行 JSON。"`
	Quiet   bool      `short:"q" xor:"form" help:"One line a file, without the checks. 每个文件只输出一行结论。"`
	Files   []string  `arg:"" name:"file" help:"Licence files and evidence bundles. 证照文件和证据包。"`
}

// line is one line of --json.
type line struct {
	File string `json:"file"`
	*verify.Report
}

// Run verifies every file, whatever becomes of the others.
func (c *verifyCommand) Run(t terminal) error {
	if c.At.IsZero() {
		c.At = time.Now()
	}
	v, err := c.verifier()
	if err != nil {
		return err
	}
	worst, sum := exitGood, newSummary()
	var unreadable error
	for _, name := range c.Files {
		file, err := readFile(name, bundle.MaxSize)
		if err != nil {
			unreadable = errors.Join(unreadable, err)
			continue
		}
		judge := v.VerifyFile
		if bundle.IsBundle(file) {
			judge = v.VerifyBundle
		}
		report := judge(context.Background(), file, c.At)
		if err := c.print(t, name, report); err != nil {
			return err
		}
		worst = worse(worst, exitCode(report))
		sum.add(report)
	}
	if len(c.Files) > 1 && !c.JSON {
		if err := sum.print(t, len(c.Files)); err != nil {
			return err
		}
	}
	if unreadable != nil {
		return noInputError(unreadable)
	}
	return exit(worst)
}

// verifier reads what the verification relies on.
func (c *verifyCommand) verifier() (*verify.Verifier, error) {
	v := &verify.Verifier{}
	var err error
	if v.Anchors, err = readAnchors(c.Anchors); err != nil {
		return nil, err
	}
	if c.Trust != "" {
		b, err := readFile(c.Trust, verify.MaxTrustList)
		if err != nil {
			return nil, err
		}
		if v.Trust, err = verify.ParseTrustList(b, v.Anchors, c.At); err != nil {
			return nil, usageError(fmt.Errorf("reading %s: %w", visible(c.Trust), err))
		}
		v.Anchors = v.Trust.Anchors // with the list's own CRLs
	}
	if c.Policy != "" {
		var err error
		if v.Policy, err = readPolicy(c.Policy); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// readAnchors reads a file of trust anchors; without a name there are none.
func readAnchors(name string) (*pki.TrustAnchors, error) {
	if name == "" {
		return nil, nil
	}
	b, err := readFile(name, maxAnchors)
	if err != nil {
		return nil, err
	}
	anchors, err := pki.ParseTrustAnchors(b)
	if err != nil {
		return nil, usageError(fmt.Errorf("reading %s: %w", visible(name), err))
	}
	return anchors, nil
}

// exitCode is 0 when the file is TotalPassed and its licence not known to be bad.
func exitCode(r *verify.Report) int {
	switch {
	case r.Indication == verify.TotalFailed:
		return exitBad
	case r.LicenceState != licence.StatusValid && r.LicenceState != licence.StatusUnknown:
		return exitBad
	case r.Indication == verify.TotalPassed:
		return exitGood
	}
	return exitUndecided
}

// worse orders verdicts: bad over undecided over good.
func worse(a, b int) int {
	if a == exitBad || b == exitBad {
		return exitBad
	}
	return max(a, b)
}

func (c *verifyCommand) print(t terminal, name string, r *verify.Report) error {
	if c.JSON {
		return printJSON(t, line{name, r})
	}
	zh, en := r.Headline()
	if c.Quiet {
		_, err := fmt.Fprintf(t.out, "%s: %s (%s, %s)\n", visible(name), zh, r.Indication, r.LicenceState)
		return err
	}
	_, err := fmt.Fprintf(t.out, "%s: %s\n  %s (%s; %s, %s)\n", visible(name), zh, en, strings.TrimSpace(fmt.Sprint(r.Indication, " ", r.SubIndication)),
		r.LicenceState, r.AsKnownAt.Format(time.RFC3339))
	if c := r.Copy; c != nil {
		fmt.Fprintf(t.out, "  加注件 annotated copy %s: %s (%s), %s; %s\n", c.ID, visible(c.ReceiverName), visible(c.ReceiverCode), visible(c.Cause), c.ExpiresOn)
	}
	printChecks(t, r.Checks)
	for i, s := range r.Seals {
		fmt.Fprintf(t.out, "  第%d枚印章 seal %d: %s (%s)\n", i+1, i+1, visible(s.Name), visible(s.Code))
	}
	return err
}

func printChecks(t terminal, checks []verify.Check) {
	for _, check := range checks {
		fmt.Fprintf(t.out, "  %s %-18s %s [%s]\n", mark(check.Result), check.Name, check.ZH, check.Code)
		if check.Evidence != "" && check.Result != verify.ResultPassed {
			fmt.Fprintf(t.out, "    %-18s %s\n", "", visible(check.Evidence))
		}
	}
}

// mark is how a result is shown in front of its check.
func mark(r verify.Result) string {
	switch r {
	case verify.ResultPassed:
		return "✓"
	case verify.ResultFailed:
		return "✗"
	case verify.ResultIndeterminate:
		return "?"
	}
	return "-"
}
