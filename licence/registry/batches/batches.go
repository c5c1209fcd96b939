// Package batches takes in many licences at once, to be issued and renewed one by one
// behind the answer (批量签发), and tells what came of each.
//
// Each item is an attempt as any other request's, under a key of the register's own, and is
// settled in the transaction that makes its licence valid.
//
// Invariants: a batch is taken in whole or not at all; no item is done twice, and none is
// lost: it waits, was issued, failed with a reason, or was cancelled. What a kill leaves is in
// the comments of Submit and Work.
package batches

import "elicence/licence/registry"

// Register is the part of the register about batches. Its methods may be called concurrently.
type Register struct {
	gate     *registry.Gate
	registry *registry.Registry
}

// New returns the part of a register.
func New(r *registry.Registry) *Register { return &Register{r.Gate(), r} }
