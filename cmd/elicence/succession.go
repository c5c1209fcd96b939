package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"elicence/audit"
)

// goodExport is an export that is good in itself, and the file that it is in.
type goodExport struct {
	audit.Summary
	name string
}

// lineage is a log in its exports and, by what its first entries declare, the logs that
// went before it.
type lineage struct {
	policy   *audit.Policy
	parts    []goodExport
	declared map[string]*audit.Declared // by the log that declares it
	failed   map[string]error           // files that are no good export, and why
}

// readLineage verifies exports. An error says that one could not be read.
func readLineage(policy *audit.Policy, names []string) (*lineage, error) {
	l := &lineage{policy: policy, declared: map[string]*audit.Declared{}, failed: map[string]error{}}
	for _, name := range names {
		summary, err := verifyExport(policy, name)
		if err := l.take(summary, name, err); err != nil {
			return nil, err
		}
	}
	for taken := true; taken; {
		var err error
		if taken, err = l.takeRecovered(); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// takeRecovered takes in one export that no quorum has cosigned, because its log lost
// entries, and that a successor among the exports vouches for. It reports whether there was one.
func (l *lineage) takeRecovered() (bool, error) {
	for name, why := range l.failed {
		if !errors.Is(why, audit.ErrNoQuorum) {
			continue
		}
		for _, d := range l.declared {
			summary, err := withExport(name, func(r io.Reader) (audit.Summary, error) { return d.VerifyRecovered(l.policy, r) })
			switch {
			case err == nil:
				delete(l.failed, name)
				return true, l.take(summary, name, nil)
			case !errors.Is(err, audit.ErrBadExport):
				return false, err
			}
		}
	}
	return false, nil
}

// take takes in the verdict on an export. Only an export that could not be read is an error.
func (l *lineage) take(summary audit.Summary, name string, err error) error {
	var d *audit.Declared
	if err == nil && summary.From == 0 {
		d, err = withExport(name, func(r io.Reader) (*audit.Declared, error) { return audit.FindSuccession(l.policy, r) })
	}
	switch {
	case errors.Is(err, audit.ErrBadExport):
		l.failed[name] = err
		return nil
	case err != nil:
		return err
	case d != nil:
		l.declared[summary.Origin] = d
	}
	l.parts = append(l.parts, goodExport{summary, name})
	return nil
}

// withExport reads the export in a file.
func withExport[T any](name string, read func(io.Reader) (T, error)) (T, error) {
	f, err := os.Open(name)
	if err != nil {
		var none T
		return none, fileError(err)
	}
	defer f.Close()
	found, err := read(f)
	return found, exportError(err, name)
}

// of are the parts of a log, in their order.
func (l *lineage) of(origin string) (parts []goodExport) {
	for _, p := range l.parts {
		if p.Origin == origin {
			parts = append(parts, p)
		}
	}
	slices.SortStableFunc(parts, func(a, b goodExport) int { return cmp.Compare(a.From, b.From) })
	return parts
}

// newest is the log that no other of the exports succeeds.
func (l *lineage) newest() string {
	for _, p := range l.parts {
		succeeded := false
		for _, d := range l.declared {
			succeeded = succeeded || d.Origin == p.Origin
		}
		if !succeeded {
			return p.Origin
		}
	}
	return l.parts[0].Origin
}

// loss is what a succession declares, and how much of it holds.
type loss struct {
	*audit.Declared
	from, to uint64 // what nobody has shown
	checked  bool   // against the log that lost it
}

// follow joins the parts of each log, from the newest back, and checks what each declares
// of the one before. Its verdicts wrap audit.ErrBadExport.
func (l *lineage) follow() (logs []audit.Summary, losses []loss, err error) {
	joined := 0
	for origin := l.newest(); ; {
		parts := l.of(origin)
		if joined += len(parts); len(parts) == 0 || len(logs) > len(l.parts) {
			break
		}
		whole, err := audit.Join(summaries(parts)...)
		if err != nil {
			return nil, nil, err
		}
		logs = append(logs, whole)
		d := l.declared[origin]
		if d == nil {
			break
		}
		lost, err := l.lost(d)
		if err != nil {
			return nil, nil, err
		}
		losses, origin = append(losses, lost), d.Origin
	}
	if joined != len(l.parts) {
		_, err = audit.Join(summaries(l.parts)...) // which says what does not belong together
	}
	return logs, losses, err
}

func summaries(parts []goodExport) (all []audit.Summary) {
	for _, p := range parts {
		all = append(all, p.Summary)
	}
	return all
}

// lost checks a declaration against the exports of the log that it is about, if they are there.
func (l *lineage) lost(d *audit.Declared) (loss, error) {
	parts := l.of(d.Origin)
	if len(parts) == 0 {
		return loss{d, d.Recovered.Size, d.Last.Size, false}, nil
	}
	var files []io.Reader
	for _, p := range parts {
		f, err := os.Open(p.name)
		if err != nil {
			return loss{}, fileError(err)
		}
		defer f.Close()
		files = append(files, f)
	}
	from, to, err := d.Loss(files...)
	return loss{d, from, to, true}, exportError(err, parts[0].name)
}

// print says what was lost, and reports whether anything is.
func (l loss) print(t terminal) bool {
	var by []string
	for _, a := range l.Approvals {
		by = append(by, a.Name())
	}
	what := fmt.Sprintf("%s, entries [%d, %d), declared by %s on %s: %s",
		visible(l.Origin), l.from, l.to, visible(strings.Join(by, ", ")), l.At.Format(time.RFC3339), visible(l.Reason))
	if l.from == l.to {
		fmt.Fprintf(t.out, "原日志的条目已全部找到：%s\nnothing is missing: all that was declared lost is in the exports: %s\n", visible(l.Origin), what)
		return false
	}
	fmt.Fprintf(t.out, "日志不完整：%s 的条目 %d 至 %d 已丢失，由 %s 声明\ncomplete but for the lost range: %s\n", visible(l.Origin), l.from, l.to-1, visible(strings.Join(by, "、")), what)
	if !l.checked {
		fmt.Fprintf(t.out, "未与原日志核对\nnot checked: give the exports of %s too, which must appoint who declared it\n", visible(l.Origin))
	}
	return true
}
