package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"elicence/audit"
	"elicence/internal/durable"
)

// watchCommand is "elicence audit watch".
type watchCommand struct {
	Policy    string            `required:"" placeholder:"FILE" help:"Policy: the keys of log and witnesses. 策略文件。"`
	Server    string            `required:"" placeholder:"URL" help:"Scheme and host of the service. 服务地址。"`
	TokenFile string            `required:"" placeholder:"FILE" help:"File with a bearer token, read anew each time. 访问令牌文件，每次重新读取。"`
	State     string            `required:"" placeholder:"FILE" help:"File that keeps the last checkpoint; one watch may use it at a time. 保存最近检查点的文件。"`
	Witness   map[string]string `placeholder:"NAME=URL" help:"Ask this witness of the policy, too; once for each. 同时询问该见证者。"`
	Every     time.Duration     `default:"1m" help:"How often to ask. 间隔。"`
	Stale     time.Duration     `default:"10m" help:"Alarm when nothing newer, or newly cosigned, was shown for so long. 多久没有新检查点即报警。"`
	Once      bool              `help:"Ask once, and end. 只询问一次。"`
}

// alarm is a verdict: the log is not what it was.
type alarm struct {
	kind, zh string
	text     string
	evidence []byte // the notes that show it, when there are any
}

func (a *alarm) Error() string { return a.kind + ": " + a.text }

// The kinds of alarm.
func backwards(evidence []byte, format string, args ...any) error {
	return &alarm{"backwards", "日志倒退", fmt.Sprintf(format, args...), evidence}
}

func forked(evidence []byte, format string, args ...any) error {
	return &alarm{"forked", "日志分叉", fmt.Sprintf(format, args...), evidence}
}

func stale(format string, args ...any) error {
	return &alarm{"stale", "日志停滞", fmt.Sprintf(format, args...), nil}
}

// watcher is the state of a watch between two rounds.
type watcher struct {
	*watchCommand
	policy *audit.Policy
	last   audit.Checkpoint // as the state file has it; at first the zero one, which every log continues
	since  time.Time        // when it was first shown: the time of the state file
	now    func() time.Time
}

// Run asks until there is an alarm. The state file is written before a checkpoint is
// reported: a crash between the two repeats a report, and forgets nothing.
func (c *watchCommand) Run(t terminal) error {
	w, err := c.open()
	if err != nil {
		return err
	}
	for {
		grown, err := w.round()
		if grown {
			fmt.Fprintf(t.out, "日志正常：%d 条\ngood: %s, %d entries, root %x\n", w.last.Size, w.last.Origin, w.last.Size, w.last.RootHash)
		}
		away := err == nil || codeOf(err) == exitUnavailable
		if late := w.late(err); away && late != nil {
			err = late
		}
		a := (*alarm)(nil)
		switch {
		case errors.As(err, &a):
			return w.raise(t, a)
		case c.Once || !away:
			return err
		case err != nil:
			complain(t, err)
		}
		time.Sleep(c.Every)
	}
}

// open checks the arguments and reads policy and state.
func (c *watchCommand) open() (*watcher, error) {
	w := &watcher{watchCommand: c, now: time.Now, since: time.Now()}
	var err error
	if w.policy, err = readPolicy(c.Policy); err != nil {
		return nil, err
	}
	if c.Every <= 0 || c.Stale <= c.Every && !c.Once {
		return nil, usageError(errors.New("--stale must be longer than --every, and that longer than nothing"))
	}
	if n := len(w.policy.Origins()); n > 1 {
		return nil, usageError(fmt.Errorf("the policy is of %d logs: watch one", n))
	}
	for name, address := range c.Witness {
		if !slices.Contains(w.policy.Witnesses(), name) {
			return nil, usageError(fmt.Errorf("the policy has no witness %q", visible(name)))
		}
		if _, err := parseAddress("--witness", address); err != nil {
			return nil, err
		}
	}
	info, err := os.Stat(c.State)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return w, nil
	case err != nil:
		return nil, fileError(err)
	}
	w.since = info.ModTime()
	signed, err := readFile(c.State, audit.MaxNote)
	if err != nil {
		return nil, err
	}
	if w.last, err = w.policy.OpenSigned(signed); err != nil {
		return nil, usageError(fmt.Errorf("reading %s: %w", visible(c.State), err))
	}
	return w, nil
}

// round asks the witnesses, then the service, compares, and keeps what the service has
// shown. Witnesses come first: whatever they have cosigned is in the log by then.
func (w *watcher) round() (grown bool, err error) {
	seen, away := w.askWitnesses()
	signed, err := service{w.Server, w.TokenFile}.get("/log/checkpoint", audit.MaxNote)
	if err != nil {
		return false, err
	}
	c, cosigners, err := w.policy.OpenCheckpoint(signed)
	switch {
	case errors.Is(err, audit.ErrNoQuorum):
		return false, &alarm{"not cosigned", "日志未经联署", err.Error(), signed}
	case errors.Is(err, audit.ErrBadSignature), errors.Is(err, audit.ErrUnknownLog):
		return false, &alarm{"not signed", "检查点签名无效", err.Error(), signed}
	case err != nil:
		return false, unavailableError(fmt.Errorf("what the service sent is no checkpoint: %w", err))
	}
	if err := w.continues(w.last, c, "it showed before", signed); err != nil {
		return false, err
	}
	for _, theirs := range seen {
		if err := w.agrees(theirs, c, signed); err != nil {
			return false, err
		}
	}
	if grown, err = w.keep(c, signed); err != nil {
		return false, err
	}
	return grown, errors.Join(w.uncosigned(signed, cosigners), away)
}

// continues checks that the log of newer begins with that of older. whence says where
// older is from.
func (w *watcher) continues(older, newer audit.Checkpoint, whence string, evidence []byte) error {
	if newer.Size < older.Size {
		return backwards(evidence, "the service shows a log of %d entries, and %s one of %d", newer.Size, whence, older.Size)
	}
	var hashes [][]byte
	if older.Size > 0 && older.Size < newer.Size {
		raw, err := service{w.Server, w.TokenFile}.get(fmt.Sprintf("/log/proof?from=%d&to=%d", older.Size, newer.Size), maxProof)
		if err == nil {
			hashes, err = parseProof(raw, map[string]uint64{"from": older.Size, "to": newer.Size})
		}
		if err != nil {
			return unavailableError(fmt.Errorf("proof from %d to %d entries: %w", older.Size, newer.Size, err))
		}
	}
	if err := audit.VerifyConsistency(older, newer, hashes); err != nil {
		return forked(evidence, "the service shows a log of %d entries that does not continue the one of %d that %s", newer.Size, older.Size, whence)
	}
	return nil
}

// agrees compares what a witness cosigned last with what the service shows.
func (w *watcher) agrees(seen cosigned, c audit.Checkpoint, signed []byte) error {
	evidence := slices.Concat(seen.note, []byte("\n"), signed)
	whence := fmt.Sprintf("witness %s has cosigned", seen.by)
	if seen.Size <= c.Size {
		return w.continues(seen.Checkpoint, c, whence, evidence)
	}
	err := w.continues(c, seen.Checkpoint, "it shows now", evidence)
	switch a := (*alarm)(nil); {
	case outOfReach(err):
		return backwards(evidence, "%s a log of %d entries, and the service has less", whence, seen.Size)
	case errors.As(err, &a):
		return forked(evidence, "%s a log of %d entries that does not continue the one of %d that the service shows", whence, seen.Size, c.Size)
	}
	return err
}

// keep makes a checkpoint durable that is newer than the last.
func (w *watcher) keep(c audit.Checkpoint, signed []byte) (grown bool, err error) {
	if c == w.last {
		return false, nil
	}
	if err := durable.Replace(w.State, signed); err != nil {
		return false, &exitError{exitInternal, errors.New(visible(err.Error()))}
	}
	w.last, w.since = c, w.now()
	return true, nil
}

// uncosigned is the alarm when the last cosignature that makes a quorum is too old.
func (w *watcher) uncosigned(signed []byte, cosigners []string) error {
	var times []time.Time
	for _, name := range cosigners {
		_, at, err := w.policy.OpenCosigned(signed, name)
		if err != nil {
			return err
		}
		times = append(times, at)
	}
	slices.SortFunc(times, func(a, b time.Time) int { return b.Compare(a) })
	if quorum := w.policy.Quorum(); quorum > 0 && w.now().Sub(times[quorum-1]) > w.Stale {
		return stale("no quorum of witnesses has cosigned the log since %s, when it had %d entries", times[quorum-1].Format(time.RFC3339), w.last.Size)
	}
	return nil
}

// late is the alarm when nothing newer was shown for too long; cause is why nothing was
// shown in the last round, if anything is known.
func (w *watcher) late(cause error) error {
	if w.now().Sub(w.since) <= w.Stale {
		return nil
	}
	text := fmt.Sprintf("nothing newer than %d entries was shown since %s", w.last.Size, w.since.UTC().Format(time.RFC3339))
	if cause != nil {
		text += ": " + cause.Error()
	}
	return stale("%s", text)
}

// raise prints an alarm, keeps its evidence beside the state file, and ends the watch.
func (w *watcher) raise(t terminal, a *alarm) error {
	fmt.Fprintf(t.out, "alarm: %s\n报警：%s\n", visible(a.Error()), a.zh)
	if a.evidence != nil {
		file := w.State + ".alarm"
		if err := durable.Replace(file, a.evidence); err != nil {
			complain(t, errors.New(visible(err.Error())))
		} else {
			fmt.Fprintf(t.out, "evidence: %s, with %s\n", visible(file), visible(w.State))
		}
	}
	return exit(exitBad)
}

// cosigned is the checkpoint that a witness cosigned last.
type cosigned struct {
	audit.Checkpoint
	by   string // its name in the policy
	note []byte
}

// askWitnesses asks the witnesses. One that does not answer, or with nothing that it
// cosigned, is away: it says nothing about the log.
func (w *watcher) askWitnesses() (seen []cosigned, away error) {
	for name, address := range w.Witness {
		c, err := w.askWitness(name, address)
		if err != nil {
			away = unavailableError(fmt.Errorf("witness %s: %w", name, err))
			continue
		}
		seen = append(seen, c)
	}
	return seen, away
}

func (w *watcher) askWitness(name, address string) (cosigned, error) {
	origin := sha256.Sum256([]byte(w.policy.Origins()[0]))
	q, err := http.NewRequest(http.MethodGet, fmt.Sprintf("%s/%x/checkpoint", strings.TrimSuffix(address, "/"), origin), nil)
	if err != nil {
		return cosigned{}, err
	}
	note, err := fetch(q, audit.MaxNote)
	if err != nil {
		return cosigned{}, err
	}
	c, _, err := w.policy.OpenCosigned(note, name)
	return cosigned{c, name, note}, err
}
