package verify

import (
	"time"

	"elicence/licence"
)

// judgeState sets the licence's state, on its own axis: from the register, else
// from the trust list, else unknown; a last or first day passed is told even then.
func (s *session) judgeState(r *Report) {
	stored, known, code, evidence := s.storedState(r.Indication)
	r.LicenceState, r.AsKnownAt = stored, known.UTC().Truncate(time.Second)
	if stored == licence.StatusSuperseded && s.entry != nil {
		r.SupersededBy = s.entry.SupersededBy
	}
	if s.identifier() == "" || code == "state_not_judged" {
		s.set(CheckState, code, evidence)
		return
	}
	// A licence in force when the list was issued may have run out since.
	if derived := s.derive(stored, s.at); derived != stored {
		r.LicenceState, r.AsKnownAt = derived, s.at.UTC().Truncate(time.Second)
		code, evidence = "state_"+string(derived), s.dates()+"; validation time "+instant(s.at)
	}
	s.set(CheckState, code, evidence)
}

// storedState is the state by whoever knows it, since when, and the code for it.
func (s *session) storedState(verdict Indication) (_ licence.Status, known time.Time, code, evidence string) {
	entry, list := s.entry, s.verifier.Trust
	switch {
	case verdict == TotalFailed:
		return licence.StatusUnknown, s.at, "state_not_judged", "TotalFailed"
	case s.identifier() == "":
		if c := s.checks[CheckState]; c.Code != "" {
			return licence.StatusUnknown, s.at, c.Code, c.Evidence // in a verification report there is none
		}
		return licence.StatusUnknown, s.at, "state_not_judged", "no identifier was read"
	case entry != nil:
		if known = entry.ReadAt; known.IsZero() {
			known = s.at
		}
		evidence = "register at " + instant(known)
		if entry.SupersededBy != "" {
			evidence += "; newest version " + string(entry.SupersededBy)
		}
		return entry.Status, known, "state_" + string(entry.Status), evidence
	case s.status != "" && (list == nil || s.status.Final()):
		return s.bundledState()
	case list == nil:
		return licence.StatusUnknown, s.at, "state_unknown", "no register, no trust list"
	}
	return s.listedState(list)
}

// listedState is the state by a trust list. What is listed counts whoever issued the
// licence, and a final state for ever; that a licence is not listed tells something
// only of licences that the list speaks for and that were there when it was issued.
func (s *session) listedState(list *TrustList) (_ licence.Status, known time.Time, code, evidence string) {
	status, listed := list.State(s.identifier())
	stale, authority := list.Stale(s.at), s.identifier().AuthorityCode()
	switch {
	case listed && (!stale || status.Final()):
		return status, list.IssuedAt, "state_" + string(status), list.describe(s.at)
	case stale:
		return licence.StatusUnknown, s.at, "trust_list_expired", list.describe(s.at)
	case !list.SpeaksFor(authority):
		return licence.StatusUnknown, s.at, "trust_list_other_authority", list.describe(s.at) + "; not listed, issued by " + authority
	case s.proven && !s.proof.After(list.IssuedAt.Add(time.Second)): // IssuedAt was cut to the second
		return licence.StatusValid, list.IssuedAt, "state_valid", list.describe(s.at) + "; not listed, sealed " + instant(s.proof)
	}
	return licence.StatusUnknown, s.at, "trust_list_older", list.describe(s.at) + "; not listed, and not proven to be sealed before"
}

// derive counts the dates in.
func (s *session) derive(stored licence.Status, at time.Time) licence.Status {
	if s.licence != nil {
		return s.licence.StatusAt(stored, at)
	}
	return s.qr.Payload.StatusAt(stored, at)
}

// dates gives the first and last day for evidence.
func (s *session) dates() string {
	effective, expires := licence.Date{}, licence.Date{}
	if s.licence != nil {
		effective, expires = s.licence.EffectiveOn, s.licence.ExpiresOn
	} else {
		effective, expires = s.qr.Payload.EffectiveOn, s.qr.Payload.ExpiresOn
	}
	if expires.IsZero() {
		return "from " + effective.String()
	}
	return "from " + effective.String() + " to " + expires.String()
}
