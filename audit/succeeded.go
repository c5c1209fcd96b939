package audit

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/emmansun/gmsm/sm3"
	"github.com/transparency-dev/merkle/compact"
)

// Declared is a succession as the log that it began says.
type Declared struct {
	Succession
	At        time.Time // when it was entered
	Approvals []Approval
}

// badSuccession returns a verdict on what the first entries of a log declare.
func badSuccession(format string, args ...any) error {
	return badExport("the succession: %s", fmt.Sprintf(format, args...))
}

// FindSuccession reads from a verified export what the log says in its first entries of another that it
// succeeds; nil when it succeeds none, or the export begins later. The declaration is whole and signed
// by the approvers it names, or the error wraps ErrBadExport. That these were appointed, only the
// export of the other log shows: see Loss.
func FindSuccession(policy *Policy, export io.Reader) (*Declared, error) {
	var d *Declared
	var sum []byte
	err := eachRow(export, func(x *exportReader) error {
		r, object := &x.row.view, string(x.row.view.texts[3])
		if x.from == 0 && Action(r.texts[2]) == ActionSucceed && (r.index > 0 || string(r.texts[resultField]) != string(ResultAllowed)) {
			return badSuccession("entry %d declares another", r.index)
		}
		switch {
		case x.from != 0 || r.index == 0 && Action(r.texts[2]) != ActionSucceed || r.index > 0 && Action(r.texts[2]) != ActionApprove:
			return errFound
		case r.index == 0:
			d = &Declared{At: time.UnixMicro(int64(r.time)).UTC()}
			d.Origin, d.Reason, sum = object, string(r.texts[4]), slices.Clone(r.digest)
			if err := d.parseMatter(string(r.texts[6])); err != nil {
				return badSuccession("%v", err)
			}
			return d.findSuccessor(policy, x.origin, sum)
		}
		return d.approve(object, r)
	})
	if err != nil && !errors.Is(err, errFound) {
		return nil, err
	}
	if d != nil && len(d.Approvals) < minApprovals {
		return nil, badSuccession("%v", ErrNotApproved)
	}
	return d, nil
}

// findSuccessor finds the key of the log among those of the policy, by the digest of the
// declaration, which names it.
func (d *Declared) findSuccessor(policy *Policy, origin string, sum []byte) error {
	for _, v := range policy.logs {
		d.Successor = v.String()
		if own := sm3.Sum([]byte(d.Text())); v.name == origin && bytes.Equal(own[:], sum) {
			if err := d.check(); err != nil {
				return badSuccession("%v", err)
			}
			return nil
		}
	}
	return badSuccession("its digest is not that of what it says, for any key of the log in the policy")
}

// approve takes in an entry with an approval.
func (d *Declared) approve(object string, r *recordView) error {
	var others Approvers
	for _, a := range d.Approvals {
		others.keys = append(others.keys, a.key)
	}
	key, err := others.Admit(object)
	if err != nil {
		return badSuccession("%v", err)
	}
	if string(r.texts[resultField]) != string(ResultAllowed) || string(r.texts[0]) != key.name || !key.Verify([]byte(d.Text()), r.digest) {
		return badSuccession("the signature of %s is not valid", key.name)
	}
	d.Approvals = append(d.Approvals, Approval{key, slices.Clone(r.digest)})
	return nil
}

// eachRow calls fn for every row of an export, whose header and row are in x.
func eachRow(export io.Reader, fn func(x *exportReader) error) error {
	x := newExportReader(export)
	if err := x.readHeader(); err != nil {
		return err
	}
	for {
		row, err := x.readRow()
		if err == errMalformedRow || row != nil && row.fault != nil {
			err = badExport("a malformed row")
		}
		if err == nil && row != nil {
			err = fn(x)
		}
		if err != nil || row == nil {
			return err
		}
	}
}

// VerifyRecovered is VerifyExport for an export of the log that lost entries, up to what is
// left of it. No quorum has cosigned that checkpoint, as a rule, and none can any more; its
// successor vouches for it, whose own export must satisfy the policy.
func (d *Declared) VerifyRecovered(policy *Policy, export io.Reader) (Summary, error) {
	s, err := VerifyExport(&Policy{logs: policy.logs, witnesses: policy.witnesses}, export)
	if err == nil && (s.Origin != d.Origin || s.To != d.Recovered.Size || s.RootHash != d.Recovered.RootHash) {
		err = fmt.Errorf("%w: %w, and it does not end where its successor says that the log was left", ErrBadExport, ErrNoQuorum)
	}
	return s, err
}

// Loss returns the entries [from, to) that nobody has shown, of those that the declaration says are
// lost. exports are verified ones of the log that lost them, which join from entry 0 on: all
// that is left, and what more the reader may have kept. The error wraps ErrBadExport when they
// contradict the declaration, or do not appoint those who approved it.
func (d *Declared) Loss(exports ...io.Reader) (from, to uint64, err error) {
	w := remainsCheck{d: d, tree: ranges.NewEmptyRange(0), want: []Checkpoint{d.Recovered, d.Witnessed, d.Last}}
	slices.SortFunc(w.want, func(a, b Checkpoint) int { return cmp.Compare(a.Size, b.Size) })
	for _, r := range exports {
		if err := eachRow(r, w.row); err != nil {
			return 0, 0, err
		}
	}
	if w.tree.End() < d.Recovered.Size {
		return 0, 0, badSuccession("entries of %s up to %d are left, these exports end before entry %d", d.Origin, d.Recovered.Size-1, w.tree.End())
	}
	return min(w.tree.End(), d.Last.Size), d.Last.Size, nil
}

// remainsCheck goes through the rows of a log that lost entries.
type remainsCheck struct {
	d         *Declared
	tree      *compact.Range
	approvers Approvers
	want      []Checkpoint // those that the tree must still lead to, the smallest first
}

func (w *remainsCheck) row(x *exportReader) error {
	if x.origin != w.d.Origin || x.row.index != w.tree.End() {
		return badSuccession("entry %d of %s is not in the exports", w.tree.End(), w.d.Origin)
	}
	if w.tree.End() < w.d.Recovered.Size {
		w.approvers.follow(&x.row.view)
	}
	leaf := x.row.leaf
	if err := w.tree.Append(leaf[:], nil); err != nil {
		return err
	}
	for len(w.want) > 0 && w.want[0].Size <= w.tree.End() {
		if c := w.want[0]; c.Size > 0 && c.RootHash != rootOf(w.tree) {
			return badSuccession("the first %d entries of %s are others than it says", c.Size, w.d.Origin)
		}
		w.want = w.want[1:]
	}
	if w.tree.End() == w.d.Recovered.Size {
		for _, a := range w.d.Approvals {
			if !w.approvers.Has(a.key.String()) {
				return badSuccession("%s approved it, whom no entry of %s appointed", a.key.name, w.d.Origin)
			}
		}
	}
	return nil
}
