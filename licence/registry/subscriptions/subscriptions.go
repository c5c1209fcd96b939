// Package subscriptions is where departments ask to be told of licences (订阅), and where
// whatever sends events takes what is due and says what came of it.
//
// What an event is, how it is signed and where it may be sent are the rules of licence/event.
// That an event is told at all is the register's, in the transaction of what happened.
//
// Invariants: nobody is told of licences that they may not read, when they subscribe or later;
// what is sent changes nothing of a licence, and waits in no line with what does.
package subscriptions

import (
	"context"

	"elicence/licence/registry"
)

// Register is the part of the register about subscriptions. Its methods may be called
// concurrently.
type Register struct {
	gate        *registry.Gate
	checkTarget func(ctx context.Context, target string) error
}

// New returns the part of a register. checkTarget says what is wrong with the address of a
// receiver of events, as a *licence.RequestError about the field url; nil: there are no
// subscriptions.
func New(r *registry.Registry, checkTarget func(ctx context.Context, target string) error) *Register {
	return &Register{r.Gate(), checkTarget}
}
