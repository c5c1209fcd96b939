// Package accesslog is what people do with the access log of the register: auditors search
// it and take out its proofs, holders read what is about them, whoever has a verification report
// on paper compares it with what it is on, and whoever runs the instance holds entries back,
// erases the personal values that they commit to, and archives them.
//
// Invariants: whatever is read here is itself an entry; nothing changes or removes a record,
// a hash or a proof; what is under a hold that lasts is neither shown to its holder nor
// erased nor archived. Removing rows that are archived, and putting them back, is the
// program's: here it is only decided and logged.
package accesslog

import "elicence/licence/registry"

// Register is the part of the register about its log. Its methods may be called concurrently.
type Register struct{ gate *registry.Gate }

// New returns the part of a register.
func New(r *registry.Registry) *Register { return &Register{r.Gate()} }
