package main

import (
	"fmt"
	"os"

	"elicence/licence/dispute"
)

// disputeFlags say by when disputes are answered.
type disputeFlags struct {
	DisputeRules string `help:"File that says by when disputes are answered, and which days are worked on (default: as the program comes)." type:"path"`
}

// rules reads the file; nil without one.
func (f *disputeFlags) rules() (*dispute.Rules, error) {
	if f.DisputeRules == "" {
		return nil, nil
	}
	text, err := os.ReadFile(f.DisputeRules)
	if err != nil {
		return nil, fmt.Errorf("%w: --dispute-rules: %w", errUsage, err)
	}
	rules, err := dispute.ParseRules(text)
	if err != nil {
		return nil, fmt.Errorf("%w: --dispute-rules %s: %w", errUsage, f.DisputeRules, err)
	}
	return &rules, nil
}
