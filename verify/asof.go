package verify

import (
	"context"
	"errors"
	"fmt"
	"time"

	"elicence/licence"
)

// StateAsOf is the state that a licence had on a past day, which has no part in the
// verdict. A licence's state may change within a day: State is that of its last
// instant, or of the validation time where the day is not over.
type StateAsOf struct {
	Date licence.Date `json:"date"`
	// State is StatusUnknown when nobody knows it; StatusPending also when the register
	// did not have the licence yet.
	State licence.Status `json:"licence_state"`
	// Code is "as_of_" and the state, or another reason of that family; Evidence, ZH
	// and EN are as those of a Check.
	Code     string `json:"code"`
	Evidence string `json:"evidence"`
	ZH       string `json:"zh"`
	EN       string `json:"en"`
}

// asOf tells the state on a day, by the register's history and the licence's dates. Of
// a file that failed nothing is said.
func (s *session) asOf(ctx context.Context, day licence.Date, verdict Indication) *StateAsOf {
	if day.IsZero() {
		return nil
	}
	last := day.EndsAt().Add(-1)
	if last.After(s.at) {
		last = s.at
	}
	switch {
	case verdict == TotalFailed || s.identifier() == "":
		return s.stateOn(day, licence.StatusUnknown, "not_judged", "no licence is proved")
	case day.StartsAt().After(s.at):
		return s.stateOn(day, licence.StatusUnknown, "future", "validation time "+instant(s.at))
	}
	began, err := s.statusAt(ctx, day.StartsAt())
	ended, fault := s.statusAt(ctx, last)
	if err = errors.Join(err, fault); err != nil {
		return s.stateOn(day, licence.StatusUnknown, "unavailable", "the register did not answer")
	}
	evidence := fmt.Sprintf("%s at %s, %s at %s; %s", began, instant(day.StartsAt()), ended, instant(last), s.dates())
	if began == ended {
		return s.stateOn(day, ended, string(ended), evidence)
	}
	r := s.stateOn(day, ended, "changed", evidence)
	r.ZH = fmt.Sprintf(r.ZH, beenZH(began), beenZH(ended))
	r.EN = fmt.Sprintf(r.EN, beenEN(began), beenEN(ended))
	return r
}

// statusAt is the status at an instant, dates counted: StatusPending while the
// register had no such licence, StatusUnknown where no register tells.
func (s *session) statusAt(ctx context.Context, at time.Time) (licence.Status, error) {
	if s.registerFault != nil {
		return "", s.registerFault
	}
	stored := licence.StatusUnknown
	if s.entry != nil && s.verifier.StatusAsOf != nil {
		var err error
		stored, err = s.verifier.StatusAsOf(ctx, s.entry.Identifier, at)
		if errors.Is(err, licence.ErrNotFound) {
			stored, err = licence.StatusPending, nil
		}
		if err != nil {
			return "", err
		}
	}
	return s.derive(stored, at), nil
}

func (s *session) stateOn(day licence.Date, state licence.Status, code, evidence string) *StateAsOf {
	r := asOfReason(code)
	return &StateAsOf{Date: day, State: state, Code: "as_of_" + code, Evidence: clean(evidence, maxEvidence), ZH: r.zh, EN: r.en}
}

// asOfReason is the meaning of the codes that begin with "as_of_". In that of changed,
// two %s stand for the states of the day's beginning and end.
func asOfReason(code string) reason {
	switch code {
	case "valid":
		return passed("这一天证照有效。", "The licence was valid on this day.")
	case "unknown":
		return notChecked("这一天的证照状态没有记录可查。请在颁发机构的平台在线查验。", "There is no record of the licence's state on this day. Verify online at the issuing authority's platform.")
	case "unavailable":
		return notChecked("证照库暂时无法访问，没有查到这一天的证照状态。请稍后重试。", "The register could not be reached for the state on this day. Try again later.")
	case "not_judged":
		return notChecked("没有验明是哪一张证照，不对这一天的证照状态作判断。请先看未通过的检查。", "No licence was proved, so nothing is said of this day. See the checks that did not pass first.")
	case "future":
		return notChecked("这一天还没有到，不能查它的证照状态。请改选今天或以前的日期。", "This day is still to come. Choose today or an earlier day.")
	case "changed":
		return notChecked("这一天证照状态有变化：当天开始时%s，当天结束时%s。请向颁发机构核实变化的时间。", "The state changed on this day: at its beginning the licence was %s, at its end it was %s. Ask the issuing authority when.")
	case string(licence.StatusPending):
		return notChecked("这一天证照库里还没有发出这张证照。请核对所选的日期。", "On this day the register had not issued the licence yet. Check the day that was chosen.")
	}
	zh, en := stateNames(licence.Status(code))
	return notChecked("这一天证照"+zh+"，不能作为当天的有效证照。如有疑问请与颁发机构核实。", "On this day the licence was "+en+" and did not count as valid. In doubt, ask the issuing authority.")
}

// beenZH and beenEN are predicates for any state on a past day.
func beenZH(s licence.Status) string {
	switch s {
	case licence.StatusValid:
		return "有效"
	case licence.StatusPending:
		return "还没有发出"
	case licence.StatusUnknown:
		return "没有记录可查"
	}
	zh, _ := stateNames(s)
	return zh
}

func beenEN(s licence.Status) string {
	switch s {
	case licence.StatusValid, licence.StatusUnknown:
		return string(s)
	case licence.StatusPending:
		return "not issued yet"
	}
	_, en := stateNames(s)
	return en
}
