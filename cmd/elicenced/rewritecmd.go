package main

import (
	"os"

	"elicence/cmd/elicenced/rewrite"
)

// rewriteCmd is the process that the server starts for each document that others made:
// it reads the PDF from standard input and writes what it was taken apart into. Its
// faults are in its answer; what else ends it is a limit.
type rewriteCmd struct{}

// Run serves one file.
func (rewriteCmd) Run() error { return rewrite.Serve(os.Stdin, os.Stdout) }

// documentRewriter starts this program for each document.
func documentRewriter() (*rewrite.Processes, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return rewrite.NewProcesses(self, "rewrite-pdf"), nil
}
