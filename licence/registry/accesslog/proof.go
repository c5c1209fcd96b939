package accesslog

import (
	"context"
	"errors"
	"fmt"
	"io"

	"elicence/audit"
	"elicence/licence/registry"
)

// Checkpoint returns the newest signed checkpoint of the access log, the newest one
// that witnesses have cosigned where there are witnesses.
func (r *Register) Checkpoint(ctx context.Context, c registry.Caller) ([]byte, audit.Receipt, error) {
	receipt, err := r.gate.Pass(ctx, c, &registry.Access{Action: registry.ActionLogRead, Object: "checkpoint"})
	if err != nil {
		return nil, receipt, err
	}
	if r.gate.Witnessed() {
		note, err := r.gate.Log().Cosigned(ctx)
		if !errors.Is(err, audit.ErrNoCheckpoint) {
			return note, receipt, err
		}
	}
	note, err := r.gate.Log().Checkpoint(ctx)
	return note, receipt, err
}

// InclusionProof returns the proof that entry index is in the log of a size.
func (r *Register) InclusionProof(ctx context.Context, c registry.Caller, index, size uint64) ([][]byte, audit.Receipt, error) {
	receipt, err := r.gate.Pass(ctx, c, &registry.Access{Action: registry.ActionLogRead, Object: fmt.Sprintf("inclusion/%d/%d", index, size)})
	if err != nil {
		return nil, receipt, err
	}
	proof, err := r.gate.Log().InclusionProof(ctx, index, size)
	return proof, receipt, err
}

// ConsistencyProof returns the proof that the log of size from is a prefix of that of size to.
func (r *Register) ConsistencyProof(ctx context.Context, c registry.Caller, from, to uint64) ([][]byte, audit.Receipt, error) {
	receipt, err := r.gate.Pass(ctx, c, &registry.Access{Action: registry.ActionLogRead, Object: fmt.Sprintf("consistency/%d/%d", from, to)})
	if err != nil {
		return nil, receipt, err
	}
	proof, err := r.gate.Log().ConsistencyProof(ctx, from, to)
	return proof, receipt, err
}

// Export writes the entries from index from up to to as one export file; 0 is the size
// of the checkpoint that Checkpoint returns. It asks open for the writer once the read is logged, and hands it
// the receipt, which has to go out before the first byte.
func (r *Register) Export(ctx context.Context, c registry.Caller, from, to uint64, open func(audit.Receipt) io.Writer) (audit.Receipt, error) {
	receipt, err := r.gate.Pass(ctx, c, &registry.Access{Action: registry.ActionLogRead, Object: fmt.Sprintf("export/%d/%d", from, to)})
	if err != nil {
		return receipt, err
	}
	return receipt, audit.Export(ctx, r.gate.LogReader(), r.gate.Logs()[0], from, to, r.gate.Witnessed(), open(receipt))
}
