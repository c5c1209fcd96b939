package rewrite

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"elicence/licence"
	"elicence/licence/render"
)

// The limits of one process: what it may allocate beyond what it starts with, in bytes,
// its processor time in seconds, its time on the wall, and what it may answer and say of its
// end, in bytes.
const (
	moreMemory = 1 << 30
	cpuSeconds = 20
	wallTime   = 40 * time.Second
	maxAnswer  = 64 << 20
	maxSaid    = 64 << 10
)

// answer is what the process writes.
type answer struct {
	Document *render.Document     `json:"document"`
	Faults   []licence.FieldError `json:"faults"`
}

// Serve is the process: it limits itself, reads one file from in and writes the answer. An
// error is one of the process, not of the file.
func Serve(in io.Reader, out io.Writer) error {
	if err := limit(); err != nil {
		return fmt.Errorf("limiting the process: %w", err)
	}
	file, err := io.ReadAll(io.LimitReader(in, MaxFile+1))
	if err != nil {
		return err
	}
	d, err := Rewrite(file)
	var refused *licence.RequestError
	switch {
	case errors.As(err, &refused):
		return json.NewEncoder(out).Encode(answer{Faults: refused.Fields})
	case err != nil:
		return err
	}
	return json.NewEncoder(out).Encode(answer{Document: d})
}

// limit takes away from this process for good what reading a file does not need: memory,
// time, and writing files.
func limit() error {
	runtime.GOMAXPROCS(1)
	pages, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return err
	}
	var size uint64 // of the address space, in pages: most of it is only reserved
	if _, err := fmt.Sscan(string(pages), &size); err != nil {
		return err
	}
	for resource, most := range map[int]uint64{
		syscall.RLIMIT_AS:    size*uint64(os.Getpagesize()) + moreMemory,
		syscall.RLIMIT_CPU:   cpuSeconds,
		syscall.RLIMIT_FSIZE: 0,
		syscall.RLIMIT_CORE:  0,
	} {
		if err := syscall.Setrlimit(resource, &syscall.Rlimit{Cur: most, Max: most}); err != nil {
			return err
		}
	}
	return nil
}

// Processes runs a process for each file, two at once.
type Processes struct {
	command []string
	room    chan struct{}
}

// NewProcesses runs them by a command, which ends in Serve.
func NewProcesses(command ...string) *Processes {
	return &Processes{command, make(chan struct{}, 2)}
}

// Rewrite is the function of that name in a process of its own. A process that a limit
// ends is a fault of the file; one that fails otherwise is ours.
func (p *Processes) Rewrite(ctx context.Context, file []byte) (*render.Document, error) {
	if len(file) > MaxFile {
		return nil, fault(licence.CodeTooLarge, "has %d bytes; at most %d are read", len(file), MaxFile)
	}
	select {
	case p.room <- struct{}{}:
		defer func() { <-p.room }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	limited, cancel := context.WithTimeout(ctx, wallTime)
	defer cancel()
	out, said := &bounded{most: maxAnswer}, &bounded{most: maxSaid}
	cmd := exec.CommandContext(limited, p.command[0], p.command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.Env, cmd.Dir = bytes.NewReader(file), out, said, []string{}, "/"
	err := cmd.Run()
	var ended *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.As(err, &ended) && (ended.ExitCode() == killed || ended.ExitCode() == noMemory), errors.Is(err, errAnswer):
		return nil, fault("too_costly", "cannot be read within the limits of memory and time")
	case ended != nil: // Serve failed, or was not reached
		return nil, fmt.Errorf("taking a document apart: %w: %.500s", err, bytes.TrimSpace(said.buffer.Bytes()))
	case err != nil:
		return nil, fmt.Errorf("taking a document apart: %w", err)
	}
	var a answer
	switch err := json.Unmarshal(out.buffer.Bytes(), &a); {
	case err != nil:
		return nil, fmt.Errorf("taking a document apart: %w", err)
	case a.Document == nil:
		return nil, &licence.RequestError{Fields: a.Faults}
	}
	return a.Document, nil
}

// How a limit ends a process: by a signal, or as Go's runtime does that gets no memory. Any other
// exit code is of a process that says what it lacks.
const (
	killed   = -1
	noMemory = 2
)

// errAnswer ends a process that writes more than it may.
var errAnswer = errors.New("the answer is too large")

// bounded is a buffer of at most so many bytes. It does not embed the buffer, whose ReadFrom
// os/exec would find and use, past Write.
type bounded struct {
	buffer bytes.Buffer
	most   int
}

// Write refuses what is too much.
func (b *bounded) Write(p []byte) (int, error) {
	if len(p) > b.most-b.buffer.Len() {
		return 0, errAnswer
	}
	return b.buffer.Write(p)
}
