package ocsp

// Hooks for tests that need other answers than a Responder gives.
var (
	Refusal  = refusal
	TryLater = tryLater
)

// AskAgain and Forget let a test move a clock past them.
const (
	AskAgain = askAgain
	Forget   = forget
)
