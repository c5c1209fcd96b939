package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"elicence/audit"
	"elicence/audit/witness"
)

// cosignInterval is how often the newest checkpoint is sent to the witnesses, when it
// is another. No answer waits for that: a receipt already binds the log, a witness on
// the other side of a network would decide how fast and whether citizens are served,
// and what the log could still take back unseen is what it did in this interval, to
// people who hold its receipt.
const cosignInterval = 500 * time.Millisecond

// witnessFlags say which witnesses the access log has.
type witnessFlags struct {
	LogPolicy         string            `help:"Policy of the access log: its key, its witnesses and their quorum (default: no witnesses)." type:"path"`
	Witness           map[string]string `help:"Address of a witness, by its name in the policy: NAME=https://…; once for each." placeholder:"NAME=URL"`
	NewWitnesses      bool              `help:"Start although the witnesses have no checkpoint of this log yet."`
	WitnessStale      string            `help:"What to do when no quorum of witnesses has cosigned for too long: alarm or stop." enum:"alarm,stop" default:"alarm"`
	WitnessStaleAfter time.Duration     `help:"How long is too long." default:"5m"`
}

// witnessing is an instance's side of the witnesses of its access log.
type witnessing struct {
	policy    *audit.Policy
	submitter *witness.Submitter // nil when there are none
	stopStale bool
	faults    map[string]string // of each witness, as reported last; for the goroutine of cosign alone
	failed    chan error        // a cause to end the service
}

// open makes the submitter to the witnesses, nil when there are none. The policy is
// then that of the log's key alone.
func (f witnessFlags) open(logKey audit.Signer) (*audit.Policy, *witness.Submitter, error) {
	key, err := logKey.VerifierKey()
	if err != nil {
		return nil, nil, err
	}
	if f.LogPolicy == "" {
		if len(f.Witness) > 0 {
			return nil, nil, fmt.Errorf("%w: --witness needs --log-policy", errUsage)
		}
		policy, err := audit.NewPolicy(key)
		return policy, nil, err
	}
	text, err := os.ReadFile(f.LogPolicy)
	if err != nil {
		return nil, nil, err
	}
	policy, err := audit.ParsePolicy(text)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", f.LogPolicy, err)
	}
	if !bytes.Contains(policy.Marshal(), []byte("log "+key+"\n")) {
		return nil, nil, fmt.Errorf("%s does not name the key of this log: log %s", f.LogPolicy, key)
	}
	s, err := witness.NewSubmitter(witness.SubmitterConfig{
		Origin: logKey.Name, Policy: policy, Addresses: f.Witness, Stale: f.WitnessStaleAfter, Now: time.Now,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", f.LogPolicy, err)
	}
	return policy, s, nil
}

// openLog opens the log over the database. What is kept of it elsewhere must agree
// with it, and must be there: else a database that was put back to an earlier state, or
// emptied, would give out numbers twice.
func (in *instance) openLog(ctx context.Context, o options) (err error) {
	in.stopStale, in.faults, in.failed = o.witnesses.WitnessStale == "stop", map[string]string{}, make(chan error, 1)
	if in.policy, in.submitter, err = o.witnesses.open(in.logKey); err != nil {
		return err
	}
	known, err := in.memory.read()
	if err != nil {
		return err
	}
	if in.submitter != nil {
		head, err := in.database.Head(ctx, in.settings.LogID)
		if err != nil {
			return err
		}
		cosigned, err := in.submitter.Known(ctx, head.Size == 0 || o.witnesses.NewWitnesses)
		if err != nil {
			return fmt.Errorf("%w (new witnesses: --new-witnesses; docs/operations.md says more)", err)
		}
		known = append(known, cosigned...)
	}
	in.log, err = audit.Open(ctx, audit.Config{
		LogID: in.settings.LogID, Storage: in.database, Signer: in.logKey, Now: time.Now, Rand: rand.Reader, Known: known,
	})
	if err != nil {
		return fmt.Errorf("opening the access log (docs/operations.md says what to do): %w", err)
	}
	return nil
}

// cosign sends the newest checkpoint to the witnesses. It stops the service when they
// prove that the log is not what it was and, by policy, when no quorum has cosigned
// for too long.
func (in *instance) cosign(ctx context.Context) {
	err := in.submitter.Round(ctx, in.log)
	switch {
	case errors.Is(err, audit.ErrBackwards), errors.Is(err, audit.ErrForked):
		in.fail(fmt.Errorf("the access log is not what its witnesses have seen (docs/operations.md says what to do): %w", err))
	case err != nil && ctx.Err() == nil:
		slog.Error("checkpoint not cosigned", "fault", err)
	}
	states, since := in.submitter.States()
	for _, s := range states {
		if s.Fault != in.faults[s.Name] && ctx.Err() == nil {
			slog.Warn("witness", "name", s.Name, "fault", s.Fault, "answered_at", s.AnsweredAt)
			in.faults[s.Name] = s.Fault
		}
	}
	if !since.IsZero() && in.stopStale {
		in.fail(fmt.Errorf("no quorum of witnesses has cosigned the access log since %s, and --witness-stale is stop", since.Format(time.RFC3339)))
	}
}

// fail ends the service for a cause. Only the first counts.
func (in *instance) fail(cause error) {
	select {
	case in.failed <- cause:
	default:
	}
}

// cosigned waits until a quorum of witnesses has cosigned what is in the log now.
func (in *instance) cosigned(ctx context.Context) error {
	head, err := in.database.Head(ctx, in.settings.LogID)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for {
		in.submitter.Wake()
		if err := in.submitter.Round(ctx, in.log); err != nil {
			return err
		}
		c, err := in.database.NewestCosigned(ctx, in.settings.LogID)
		if err == nil && c.Size >= head.Size {
			return nil
		}
		select {
		case <-ctx.Done():
			states, _ := in.submitter.States()
			return fmt.Errorf("the witnesses have not cosigned the log: %+v", states)
		case <-time.After(cosignInterval):
		}
	}
}

// lastRound leaves nothing of a service that ends to be cosigned, if its witnesses answer.
func (in *instance) lastRound() error {
	if in.submitter == nil {
		return nil
	}
	in.submitter.Wake()
	return in.submitter.Round(context.Background(), in.log)
}
