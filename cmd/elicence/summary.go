package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"elicence/licence"
	"elicence/verify"
)

// summary counts verdicts.
type summary struct {
	indications map[verify.Indication]int
	states      map[licence.Status]int
}

func newSummary() *summary {
	return &summary{map[verify.Indication]int{}, map[licence.Status]int{}}
}

func (s *summary) add(r *verify.Report) {
	s.indications[r.Indication]++
	s.states[r.LicenceState]++
}

// print sums up so many files on one line; those that were not added could not be read.
func (s *summary) print(t terminal, files int) error {
	read := 0
	var indications, states []string
	for _, i := range []verify.Indication{verify.TotalPassed, verify.Indeterminate, verify.TotalFailed} {
		indications = append(indications, fmt.Sprintf("%d %s", s.indications[i], i))
		read += s.indications[i]
	}
	for _, state := range slices.Sorted(maps.Keys(s.states)) {
		states = append(states, fmt.Sprintf("%d %s", s.states[state], state))
	}
	line := fmt.Sprintf("共%d个文件 %d files: %s", files, files, strings.Join(indications, ", "))
	if states != nil {
		line += "; " + strings.Join(states, ", ")
	}
	if read < files {
		line += fmt.Sprintf("; %d not read", files-read)
	}
	_, err := fmt.Fprintln(t.out, line)
	return err
}
