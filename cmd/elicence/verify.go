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
	// Licence is what the file states, as in a report of the API.
	Licence *verify.Stated `json:"licence,omitempty"`
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
	if v.Anchors == nil {
		fmt.Fprintln(t.err, "elicence: no trust anchors, so that no file can be confirmed; give --anchors FILE")
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
		return printJSON(t, line{name, r, r.Stated()})
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
	printStated(t, r)
	printChecks(t, r.Checks)
	for i, s := range r.Seals {
		fmt.Fprintf(t.out, "  第%d枚印章 seal %d: %s (%s)\n", i+1, i+1, visible(s.Name), visible(s.Code))
	}
	return err
}

// printStated prints what the licence states, where anything may be said of it.
func printStated(t terminal, r *verify.Report) {
	s := r.Stated()
	if s == nil {
		return
	}
	heading := "证照上载明的内容 what the licence states"
	if r.Indication != verify.TotalPassed {
		heading = "证照上载明的内容（真伪未确认） what the licence states, which is not confirmed"
	}
	fmt.Fprintf(t.out, "  %s:\n", heading)
	for _, row := range [][2]string{
		{"电子证照标识", string(s.Identifier)}, {"证照名称", s.TypeName}, {"证照编号", s.Number}, {"持证主体", s.HolderName},
		{"颁发机构", s.AuthorityName}, {"联合用印机构", s.CoSealerNames}, {"颁发日期", s.IssuedOn},
		{"有效期自", s.EffectiveOn}, {"有效期至", s.Until()}, {"证照状态", verify.StateLabel(r.LicenceState)},
	} {
		if row[1] != "" {
			fmt.Fprintf(t.out, "    %s: %s\n", row[0], visible(row[1]))
		}
	}
}

// printChecks prints the checks, and behind them those that were not made because
// another did not pass, on one line: they all say the same.
func printChecks(t terminal, checks []verify.Check) {
	var unmade []verify.Check
	for _, check := range checks {
		if check.Code == "not_reached" {
			unmade = append(unmade, check)
			continue
		}
		fmt.Fprintf(t.out, "  %s %-18s %s [%s]\n", mark(check.Result), check.Name, check.ZH, check.Code)
		if check.Evidence != "" && check.Result != verify.ResultPassed {
			fmt.Fprintf(t.out, "    %-18s %s\n", "", visible(check.Evidence))
		}
	}
	if len(unmade) > 0 {
		fmt.Fprintf(t.out, "  %s 因为其他检查没有通过，%d项没有进行 %d not done: %s; %s [%s]\n", mark(verify.ResultNotChecked), len(unmade), len(unmade),
			names(unmade), visible(unmade[0].Evidence), unmade[0].Code)
	}
}

func names(checks []verify.Check) string {
	var list []string
	for _, check := range checks {
		list = append(list, string(check.Name))
	}
	return strings.Join(list, ", ")
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
