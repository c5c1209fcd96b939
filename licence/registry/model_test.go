package registry_test

import (
	"slices"
	"strings"
	"time"

	"elicence/licence"
)

// The model of a licence's life, which knows nothing of the code under test: what the
// standard's words mean, in a table and a few lines.
type (
	// modelVersion is one version; days are the beginning of one in Beijing.
	modelVersion struct {
		id             licence.Identifier
		status         string
		first, last    time.Time // last is zero for none
		name, code     string
		number         string
		supersedes, by int // versions, 0 for none
		past           []modelStatus
	}
	modelStatus struct {
		status string
		at     time.Time
		by     int
	}
	// modelLife is all versions of a licence, the first at 0.
	modelLife []*modelVersion
)

// modelMay says what may be done to which status, and what it leads to.
var modelMay = map[licence.Operation]struct{ from, to string }{
	"suspend": {"valid not_yet_valid", "suspended"}, "resume": {"suspended", "valid"},
	"revoke": {"valid not_yet_valid suspended expired", "revoked"}, "withdraw": {"valid not_yet_valid suspended expired", "withdrawn"},
	"cancel": {"valid not_yet_valid suspended expired", "cancelled"},
	"amend":  {"valid not_yet_valid", "superseded"}, "renew": {"valid expired", "superseded"}, "reissue": {"valid not_yet_valid", "superseded"},
	"correct": {"valid not_yet_valid expired", "superseded"}, "transfer": {"valid", "superseded"},
}

// seen is a stored status with the dates counted in.
func (v *modelVersion) seen(status string, at time.Time) string {
	switch {
	case status != "valid":
		return status
	case at.Before(v.first):
		return "not_yet_valid"
	case !v.last.IsZero() && !at.Before(v.last.Add(24*time.Hour)):
		return "expired"
	}
	return status
}

func (v *modelVersion) may(op licence.Operation, at time.Time) bool {
	return slices.Contains(strings.Fields(modelMay[op].from), v.seen(v.status, at))
}

func (v *modelVersion) become(status string, by int, at time.Time) {
	v.status, v.by = status, by
	v.past = append(v.past, modelStatus{status, at, by})
}

// at is the status of an instant, and the version that had taken its place; "" before it
// was there.
func (v *modelVersion) at(t time.Time) (found modelStatus) {
	for _, p := range v.past {
		if !p.at.After(t) {
			found = p
		}
	}
	return found
}

func (l modelLife) pending() bool { return l[len(l)-1].status == "pending" }
