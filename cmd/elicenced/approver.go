package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"

	"elicence/audit"
	"elicence/crypto/pki"
	"elicence/internal/durable"
	"elicence/internal/private"
	"elicence/licence/registry"
)

// approverPassphrase may hold the passphrase of an approver's key.
const approverPassphrase = "ELICENCE_APPROVER_PASSPHRASE"

// approverCmd looks after the persons who may approve that the log is succeeded. They are
// appointed in the log while nothing is wrong, so that nobody becomes one afterwards.
type approverCmd struct {
	New     approverNewCmd     `cmd:"" help:"Make the key of an approver, on a machine of their own, and print its verifier key."`
	Appoint approverAppointCmd `cmd:"" help:"Enter an approver into the log."`
	Dismiss approverDismissCmd `cmd:"" help:"Enter into the log that somebody is no approver any more."`
	List    approverListCmd    `cmd:"" help:"List who the log appoints."`
}

// approverNewCmd makes a file of the verifier key and, below it, the encrypted private key.
type approverNewCmd struct {
	Name           string `required:"" help:"The person's name, without spaces."`
	Output         string `short:"o" required:"" help:"File to write the key into; it must not be there yet." type:"path"`
	PassphraseFile string `help:"File that holds the passphrase of the key (or set ELICENCE_APPROVER_PASSPHRASE)." type:"path"`
}

// Run makes the key.
func (a *approverNewCmd) Run(context.Context) error {
	passphrase, err := private.Passphrase(approverPassphrase, a.PassphraseFile)
	if err != nil {
		return err
	}
	key, err := pki.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	vkey, err := audit.Signer{Name: a.Name, Key: key}.ApproverKey()
	if err == nil {
		_, err = new(audit.Approvers).Admit(vkey)
	}
	if err != nil {
		return fmt.Errorf("%w: --name: %w", errUsage, err)
	}
	text, err := pki.MarshalPrivateKey(rand.Reader, key, passphrase)
	if err != nil {
		return err
	}
	if err := durable.WriteNew(a.Output, append([]byte(vkey+"\n"), text...)); err != nil {
		return err
	}
	fmt.Println(vkey)
	return nil
}

// openApprover reads what approverNewCmd wrote.
func openApprover(file string, passphrase []byte) (s audit.Signer, err error) {
	text, err := private.ReadFile(file)
	if err != nil {
		return s, err
	}
	vkey, rest, _ := strings.Cut(string(text), "\n")
	s.Name, _, _ = strings.Cut(vkey, "+")
	if s.Key, err = pki.ParsePrivateKey([]byte(rest), passphrase); err != nil {
		return s, fmt.Errorf("opening the key of %q (wrong passphrase?): %w", s.Name, err)
	}
	own, err := s.ApproverKey()
	if err == nil && own != vkey {
		err = fmt.Errorf("%s: the key is not that of its first line", file)
	}
	return s, err
}

// onApprovers is what the commands take that change who is an approver.
type onApprovers struct {
	location
	PassphraseFile string `help:"File that holds the passphrase of the keys." type:"path"`
}

// change enters an action on an approver's key, if the log as it stands allows it.
func (o *onApprovers) change(ctx context.Context, action audit.Action, vkey, reason string, may func(audit.Approvers) error) error {
	return o.use(ctx, func(in *instance, approvers audit.Approvers) error {
		if err := may(approvers); err != nil {
			return fmt.Errorf("%w: %w", errUsage, err)
		}
		receipt, err := in.log.Append(ctx, &audit.Entry{
			Principal: registry.System("").Principal, Action: action, Object: vkey, Purpose: reason,
			Result: audit.ResultAllowed, RequestID: logCommand,
		}, nil)
		if err == nil {
			fmt.Printf("entry %d: %s %s\n", receipt.Index, action, vkey)
		}
		return err
	})
}

func (o *onApprovers) use(ctx context.Context, use func(*instance, audit.Approvers) error) error {
	keys, err := o.keys(o.PassphraseFile)
	if err != nil {
		return err
	}
	defer keys.devices.close()
	return o.withLog(ctx, keys, func(in *instance) error {
		head, err := in.database.Head(ctx, in.settings.LogID)
		if err != nil {
			return err
		}
		approvers, err := audit.ReadApprovers(ctx, in.database, in.settings.LogID, head.Size)
		if err != nil {
			return err
		}
		return use(in, approvers)
	})
}

type approverAppointCmd struct {
	onApprovers
	Key    string `arg:"" help:"The line that 'log approver new' printed."`
	Reason string `required:"" help:"Why; it stands in the log."`
}

// Run appoints.
func (a *approverAppointCmd) Run(ctx context.Context) error {
	return a.change(ctx, audit.ActionAppoint, a.Key, a.Reason, func(present audit.Approvers) error {
		_, err := present.Admit(a.Key)
		return err
	})
}

type approverDismissCmd struct {
	onApprovers
	Key    string `arg:"" help:"The approver's verifier key."`
	Reason string `required:"" help:"Why; it stands in the log."`
}

// Run dismisses.
func (d *approverDismissCmd) Run(ctx context.Context) error {
	return d.change(ctx, audit.ActionDismiss, d.Key, d.Reason, func(present audit.Approvers) error {
		if !present.Has(d.Key) {
			return fmt.Errorf("the log appoints no approver %q", d.Key)
		}
		return nil
	})
}

type approverListCmd struct{ onApprovers }

// Run lists.
func (l *approverListCmd) Run(ctx context.Context) error {
	return l.use(ctx, func(_ *instance, approvers audit.Approvers) error {
		for _, vkey := range approvers.Keys() {
			fmt.Println(vkey)
		}
		return nil
	})
}

// approveCmd signs a declaration. It needs no instance: an approver has a machine of their
// own, and nobody else the key.
type approveCmd struct {
	Declaration    string `arg:"" help:"The declaration; the signature is added to it." type:"path"`
	Key            string `required:"" help:"File with the approver's key." type:"path"`
	PassphraseFile string `help:"File that holds the passphrase of the key (or set ELICENCE_APPROVER_PASSPHRASE)." type:"path"`
}

// Run shows the declaration and signs it.
func (a *approveCmd) Run(context.Context) error {
	passphrase, err := private.Passphrase(approverPassphrase, a.PassphraseFile)
	if err != nil {
		return err
	}
	person, err := openApprover(a.Key, passphrase)
	if err != nil {
		return err
	}
	signed, err := readAtMost(a.Declaration, audit.MaxNote)
	if err != nil {
		return err
	}
	approved, err := audit.Approve(rand.Reader, person, signed)
	if err != nil {
		return err
	}
	text, _, _ := strings.Cut(string(signed), "\n\n")
	fmt.Println(text)
	if err := durable.Replace(a.Declaration, approved); err != nil {
		return err
	}
	fmt.Printf("\nsigned by %s\n", person.Name)
	return nil
}
