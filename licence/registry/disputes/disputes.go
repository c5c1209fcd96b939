// Package disputes is where a holder says that something about them in the register is
// wrong (异议), and where whoever answers for it accepts or rejects that, and puts it right.
//
// What a dispute may be and by when it is answered are the rules of licence/dispute. That a
// corrected licence closes what was accepted about its data is the register's, in the
// transaction that issues it.
//
// Invariants: what a holder writes is committed to in the log and never shown there; each step
// is taken once, in the transaction of its entry.
package disputes

import (
	"elicence/licence/dispute"
	"elicence/licence/registry"
)

// Register is the part of the register about disputes. Its methods may be called concurrently.
type Register struct {
	gate     *registry.Gate
	registry *registry.Registry
	rules    *dispute.Rules
}

// New returns the part of a register. rules say by when disputes are answered; nil: those
// that the program ships.
func New(r *registry.Registry, rules *dispute.Rules) *Register {
	if rules == nil {
		shipped := dispute.Shipped()
		rules = &shipped
	}
	return &Register{r.Gate(), r, rules}
}
