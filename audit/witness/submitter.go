package witness

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"elicence/audit"
)

const (
	askTime     = 5 * time.Second // how long the witnesses may take to answer
	longRefresh = time.Minute     // see SubmitterConfig.refresh
	firstRest   = time.Second     // after a witness failed; doubled up to longestRest
	longestRest = time.Minute
	// maxConflicts is how many answers 409 to one checkpoint are followed; other
	// servers of the log submit too.
	maxConflicts = 4
)

// SubmitterConfig is what a Submitter needs. All fields must be set.
type SubmitterConfig struct {
	// Origin is the log's; Policy names its key, its witnesses and their quorum.
	Origin string
	Policy *audit.Policy
	// Addresses are the URLs of the witnesses, by the policy's names for them.
	Addresses map[string]string
	// Stale is how long a witness, or the quorum, may fail to cosign before States says so.
	Stale time.Duration
	Now   func() time.Time
}

// refresh is how old a witness's last answer may be before it is asked again about a
// checkpoint that it has cosigned: so an idle log knows that the witness is there.
func (c *SubmitterConfig) refresh() time.Duration { return min(longRefresh, c.Stale/3) }

// Submitter keeps a log's newest checkpoint cosigned. It is safe for concurrent use.
type Submitter struct {
	cfg     SubmitterConfig
	clients map[string]*Client

	round sync.Mutex // held by the round under way
	kept  uint64     // by round: the size that was kept with a quorum last

	mu        sync.Mutex
	witnesses map[string]*standing // the map is not changed
	quorumAt  time.Time            // when a quorum had answered last; at first, when the submitter was made
}

// standing is what a Submitter knows of one witness. The round under way owns it, but
// for state and until, which mu guards.
type standing struct {
	size  uint64 // that it cosigned last
	lines []byte // its answer for size; nil when it answered another server of the log
	rest  time.Duration
	until time.Time // it rests until then
	state State
}

// State is how a witness stands.
type State struct {
	Name       string
	Size       uint64    // of the checkpoint that it is known to have cosigned last
	AnsweredAt time.Time // when it did, by the server's clock; at first, when the service started
	Fault      string    // why it did not the last time it was asked; empty: it did
	Stale      bool      // AnsweredAt is longer ago than is allowed
}

// NewSubmitter returns a Submitter that has not asked anybody yet. Every witness of
// the policy must have an address, and nobody else.
func NewSubmitter(c SubmitterConfig) (*Submitter, error) {
	if !slices.Contains(c.Policy.Origins(), c.Origin) {
		return nil, fmt.Errorf("the log policy does not name the log %s", c.Origin)
	}
	names := c.Policy.Witnesses()
	if given := slices.Sorted(maps.Keys(c.Addresses)); !slices.Equal(given, slices.Sorted(slices.Values(names))) {
		return nil, fmt.Errorf("addresses are given of the witnesses %q, the log policy names %q", given, names)
	}
	if c.Policy.Quorum() == 0 {
		return nil, errors.New("the log policy asks for no witness: its quorum is 0")
	}
	now := c.Now()
	s := &Submitter{cfg: c, clients: map[string]*Client{}, witnesses: map[string]*standing{}, quorumAt: now}
	for name, address := range c.Addresses {
		var err error
		if s.clients[name], err = NewClient(address); err != nil {
			return nil, err
		}
		s.witnesses[name] = &standing{state: State{Name: name, AnsweredAt: now}}
	}
	return s, nil
}

// ask runs do for every witness named at the same time, and returns their errors.
func (s *Submitter) ask(ctx context.Context, names []string, do func(ctx context.Context, name string) error) error {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	errs := make([]error, len(names))
	var all sync.WaitGroup
	for i, name := range names {
		all.Go(func() {
			if err := do(ctx, name); err != nil {
				errs[i] = fmt.Errorf("witness %s: %w", name, err)
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// Known fetches the last checkpoint of the log from the witnesses, for audit.Open. It
// is an error when fewer witnesses than it takes to know of every checkpoint that a
// quorum cosigned have one. With fresh, they may have none, and must only answer: for
// a log that is empty, or whose witnesses are new.
func (s *Submitter) Known(ctx context.Context, fresh bool) (known []audit.Known, err error) {
	var mu sync.Mutex
	answered := 0
	err = s.ask(ctx, s.cfg.Policy.Witnesses(), func(ctx context.Context, name string) error {
		signed, err := s.clients[name].Latest(ctx, s.cfg.Origin)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		if signed == nil {
			answered++
			return errors.New("it has no checkpoint of this log")
		}
		c, _, err := s.cfg.Policy.OpenCosigned(signed, name)
		if err == nil && c.Origin != s.cfg.Origin {
			err = fmt.Errorf("it answered with a checkpoint of %s", c.Origin)
		}
		if err == nil {
			answered++
			known = append(known, audit.Known{From: "witness " + name, Checkpoint: signed})
		}
		return err
	})
	// Any quorum has a member among so many.
	need := len(s.clients) - s.cfg.Policy.Quorum() + 1
	if answered < need || !fresh && len(known) < need {
		return nil, fmt.Errorf("fetching the log's last checkpoint: %d witnesses have it, %d must: %w", len(known), need, err)
	}
	return known, nil
}

// Round sends the newest checkpoint to every witness that has not cosigned it, or not
// lately, and does not rest, and keeps it once a quorum has cosigned it. It returns
// nil when there is nothing to send, and when witnesses did not answer: see States. An
// error that wraps audit.ErrBackwards or audit.ErrForked says that a witness has shown
// a checkpoint by the log's own key that the log does not continue; the log was stopped.
func (s *Submitter) Round(ctx context.Context, log *audit.Log) error {
	s.round.Lock()
	defer s.round.Unlock()
	signed, err := log.Checkpoint(ctx)
	if errors.Is(err, audit.ErrNoCheckpoint) {
		return nil
	}
	if err != nil {
		return err
	}
	c, err := audit.ParseCheckpoint(signed)
	if err != nil {
		return err
	}
	err = s.ask(ctx, s.due(c), func(ctx context.Context, name string) error {
		w := s.witnesses[name]
		err := s.submit(ctx, log, w, name, c, signed)
		s.settle(w, err)
		return err
	})
	if errors.Is(err, audit.ErrBackwards) || errors.Is(err, audit.ErrForked) {
		log.Stop(err)
		return err
	}
	return s.gather(ctx, log, c, signed)
}

// Wake lets the next round ask witnesses that rest, too.
func (s *Submitter) Wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.witnesses {
		w.until = time.Time{}
	}
}

// due are the witnesses to be asked about a checkpoint now.
func (s *Submitter) due(c audit.Checkpoint) (names []string) {
	now := s.cfg.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, w := range s.witnesses {
		if !now.Before(w.until) && (w.size != c.Size || now.Sub(w.state.AnsweredAt) >= s.cfg.refresh()) {
			names = append(names, name)
		}
	}
	return names
}

// submit obtains one witness's cosignature. The size that the witness has is learned
// from its answer 409: at first, and after another server of the log was there.
func (s *Submitter) submit(ctx context.Context, log *audit.Log, w *standing, name string, c audit.Checkpoint, signed []byte) error {
	for range maxConflicts {
		if w.size > c.Size {
			// Another server's later checkpoint, or the log went backwards, or a lie.
			var err error
			w.lines = nil
			if w.size, err = s.judge(ctx, log, name); err != nil || w.size > c.Size {
				return err
			}
		}
		proof, err := log.ConsistencyProof(ctx, w.size, c.Size)
		if err != nil {
			return err
		}
		lines, err := s.clients[name].add(ctx, request{w.size, proof, signed})
		other := (*conflict)(nil)
		switch {
		case err == nil:
			if _, err := s.cfg.Policy.AddCosignature(signed, name, lines); err != nil {
				return err
			}
			w.size, w.lines = c.Size, lines
			return nil
		case errors.Is(err, errUnproven), errors.As(err, &other) && other.size == w.size: // of another root, if it is not at fault
			_, evidence := s.judge(ctx, log, name)
			return errors.Join(evidence, err)
		case other == nil:
			return err
		case other.size < w.state.Size:
			return fmt.Errorf("it went back: it had cosigned size %d, and says %d", w.state.Size, other.size)
		}
		w.size, w.lines = other.size, nil
	}
	return errors.New("its size changes too fast")
}

// judge compares the log with the checkpoint that a witness has cosigned last, and
// returns its size. Only one by the log's own key is evidence against the log: else
// the witness is at fault, whatever it says.
func (s *Submitter) judge(ctx context.Context, log *audit.Log, name string) (uint64, error) {
	latest, err := s.clients[name].Latest(ctx, s.cfg.Origin)
	if err != nil {
		return 0, err
	}
	c, _, err := s.cfg.Policy.OpenCosigned(latest, name)
	if err != nil {
		return 0, err
	}
	return c.Size, log.Compare(ctx, latest)
}

// settle notes how a request to a witness ended.
func (s *Submitter) settle(w *standing, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		w.rest, w.state.Fault = 0, ""
		w.state.Size, w.state.AnsweredAt = w.size, s.cfg.Now()
		return
	}
	w.rest = min(max(2*w.rest, firstRest), longestRest)
	w.until = s.cfg.Now().Add(w.rest)
	w.state.Fault = err.Error()
}

// gather keeps the checkpoint with its cosignatures when they are a quorum.
func (s *Submitter) gather(ctx context.Context, log *audit.Log, c audit.Checkpoint, signed []byte) error {
	cosigners := 0
	for _, name := range s.cfg.Policy.Witnesses() {
		w := s.witnesses[name]
		if w.size != c.Size || w.lines == nil {
			continue
		}
		var err error
		if signed, err = s.cfg.Policy.AddCosignature(signed, name, w.lines); err != nil {
			return err
		}
		cosigners++
	}
	s.noteQuorum(c)
	if cosigners < s.cfg.Policy.Quorum() || c.Size == s.kept {
		return nil
	}
	if err := log.PutCosigned(ctx, signed); err != nil {
		return err
	}
	s.kept = c.Size
	return nil
}

// noteQuorum notes when the last quorum answered that has cosigned c or what follows it.
func (s *Submitter) noteQuorum(c audit.Checkpoint) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var at []time.Time
	for _, w := range s.witnesses {
		if w.size >= c.Size {
			at = append(at, w.state.AnsweredAt)
		}
	}
	slices.SortFunc(at, func(a, b time.Time) int { return b.Compare(a) })
	if quorum := s.cfg.Policy.Quorum(); len(at) >= quorum && at[quorum-1].After(s.quorumAt) {
		s.quorumAt = at[quorum-1]
	}
}

// States returns how each witness stands, in the policy's order, and since when no
// quorum has cosigned the newest checkpoint; zero while that is not longer than allowed.
func (s *Submitter) States() (states []State, staleSince time.Time) {
	now := s.cfg.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range s.cfg.Policy.Witnesses() {
		state := s.witnesses[name].state
		state.Stale = now.Sub(state.AnsweredAt) > s.cfg.Stale
		states = append(states, state)
	}
	if now.Sub(s.quorumAt) > s.cfg.Stale {
		staleSince = s.quorumAt
	}
	return states, staleSince
}
