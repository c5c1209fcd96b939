package registry_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"elicence/licence"
	"elicence/licence/brake"
	"elicence/licence/registry"
	"elicence/licence/registry/accesslog"
	"elicence/licence/registry/registrytest"

	"github.com/google/go-cmp/cmp"
)

// scraper is a department's client that harvests, with the department's approval system in
// league: it has a case registered for whatever it asks.
type scraper struct {
	*walker
	rng *rand.Rand
	// servers are asked in turn.
	servers []*registry.Registry
	cases   map[string]bool
}

// newScraper is at ten in the morning of the next day, by a client of which so many
// reuses a day are usual.
func newScraper(t *testing.T, usual int64) *scraper {
	s := open(t)
	w := newWalker(t, s)
	_, err := s.PutClient(t.Context(), walkSystem, registry.Client{ID: "scraper", Salt: []byte("s"), SecretHash: []byte("h"), Roles: []registry.Role{registry.RolePartner},
		Authority: registrytest.Department, DailyReuses: usual})
	must(t, err)
	c := &scraper{walker: w, rng: rand.New(rand.NewPCG(1, 2)), servers: []*registry.Registry{s.Registry}, cases: map[string]bool{}}
	c.until(10)
	return c
}

// until moves the clock to an hour of the next day in Asia/Shanghai.
func (s *scraper) until(hour int) {
	tomorrow := licence.DateOf(s.Now()).EndsAt()
	s.Move(tomorrow.Add(time.Duration(hour) * time.Hour).Sub(s.Now()))
}

// code is the n-th code of a row of companies.
func code(n int) string {
	body := fmt.Sprintf("91330106M%07d", n)
	for _, inner := range "0123456789X" { // of the organisation's code, GB 11714
		for _, outer := range "0123456789ABCDEFGHJKLMNPQRTUWXY" {
			if c := body + string(inner) + string(outer); licence.CheckUSCC(c) == nil {
				return c
			}
		}
	}
	panic("no check characters fit " + body)
}

// asks is what one call asks for; what it leaves empty is as honest people would have it.
type asks struct {
	holder, operator, caseNumber string
	// unregistered leaves the case out.
	unregistered bool
}

// call is the i-th call.
func (s *scraper) call(i int, a asks) error {
	q := s.reuse(a.caseNumber)
	q.Holder = licence.Holder{Code: a.holder, CodeType: licence.CodeTypeUSCC}
	if a.holder == "" {
		q.Holder.Code = code(s.rng.IntN(1_000_000))
	}
	if q.Use.Operator = a.operator; a.operator == "" {
		q.Use.Operator = fmt.Sprintf("窗口%d", i%40)
	}
	if q.Use.Case == "" {
		q.Use.Case = fmt.Sprintf("SB-%d", i)
	}
	if !a.unregistered && !s.cases[q.Use.Case] {
		k := s.newCase(q.Use.Case)
		k.Holder = q.Holder
		s.Case(s.t, registrytest.Department, k)
		s.cases[q.Use.Case] = true
	}
	r := s.servers[i%len(s.servers)]
	c, err := r.CallerFor(s.t.Context(), "scraper", "scraper")
	must(s.t, err)
	_, _, err = r.Reuse(s.t.Context(), c, q)
	return err
}

// outcome is what became of a harvest: how many calls were answered, slowed, refused for
// another reason, and the call that was the first to be stopped; with the alarm.
type outcome struct {
	Answered, Slowed, Refused, StoppedAt int
	Alarm                                string
}

// harvest calls over and over, with a pause in between, until it is stopped, or most.
func (s *scraper) harvest(most int, pause time.Duration, ask func(i int) asks) (o outcome) {
	s.t.Helper()
	for i := range most {
		err := s.call(i, ask(i))
		slowed := (*registry.SlowedError)(nil)
		switch {
		case err == nil:
			o.Answered++
		case errors.As(err, &slowed):
			o.Slowed++
		case errors.Is(err, registry.ErrBraked):
			o.StoppedAt = i + 1
			brakes, _, err := s.Brakes(s.t.Context(), walkAuditor, registry.BrakeQuery{Standing: true})
			must(s.t, err)
			if len(brakes) != 1 || brakes[0].Client != "scraper" {
				s.t.Fatalf("stopped, and the brakes are %+v", brakes)
			}
			o.Alarm = brakes[0].Alarm
			return o
		default:
			o.Refused++
		}
		s.Move(pause)
	}
	return o
}

// TestScraper replays how licences are harvested, each pattern until it is stopped: after
// how many calls, and with which alarm. The approval system is in league in all but one.
func TestScraper(t *testing.T) {
	for _, c := range []struct {
		name  string
		usual int64 // reuses a day
		hour  int
		pause time.Duration
		ask   func(i int) asks
		want  outcome
	}{
		{"one case for many holders", 0, 10, time.Minute,
			func(i int) asks { return asks{caseNumber: "SB-0"} }, outcome{Answered: 1, Refused: 2, StoppedAt: 4, Alarm: brake.AlarmCase}},
		{"rising numbers", 0, 10, 30 * time.Second,
			func(i int) asks { return asks{holder: code(1000 + i)} }, outcome{Answered: 11, StoppedAt: 12, Alarm: brake.AlarmRising}},
		{"rising numbers with gaps, as fast as it goes", 0, 10, 0,
			func(i int) asks { return asks{holder: code(1000 + 7777*i)} }, outcome{Answered: 7, Slowed: 4, StoppedAt: 12, Alarm: brake.AlarmRising}},
		{"numbers of one block in another order", 0, 10, 30 * time.Second,
			func(i int) asks { return asks{holder: code(1000 + 7*i%40)} }, outcome{Answered: 16, StoppedAt: 17, Alarm: brake.AlarmNeighbours}},
		{"one operator for everything", 0, 10, 20 * time.Second,
			func(i int) asks { return asks{operator: "admin"} }, outcome{Answered: 75, Slowed: 15, StoppedAt: 91, Alarm: brake.AlarmOperator}},
		{"a burst", 0, 10, 0,
			func(i int) asks { return asks{} }, outcome{Answered: 66, Slowed: 66, StoppedAt: 133, Alarm: brake.AlarmBurst}},
		{"one matter, patiently", 200, 10, time.Minute,
			func(i int) asks { return asks{} }, outcome{Answered: 50, StoppedAt: 51, Alarm: brake.AlarmMatter}},
		{"at night", 0, 2, 10 * time.Second,
			func(i int) asks { return asks{} }, outcome{Answered: 21, Slowed: 9, StoppedAt: 31, Alarm: brake.AlarmNight}},
		{"all day, a few at a time", 100, 7, 5 * time.Minute,
			func(i int) asks { return asks{} }, outcome{Answered: 100, StoppedAt: 101, Alarm: brake.AlarmBudget}},
		{"case numbers guessed", 0, 10, time.Minute,
			func(i int) asks { return asks{unregistered: true} }, outcome{Refused: 41, StoppedAt: 42, Alarm: brake.AlarmRefusals}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newScraper(t, c.usual)
			s.until(c.hour)
			got := s.harvest(400, c.pause, c.ask)
			if diff := cmp.Diff(got, c.want); diff != "" {
				t.Errorf("(-got +want):\n%s", diff)
			}
			t.Logf("stopped at call %d by %s, with %d answered and %d slowed", got.StoppedAt, got.Alarm, got.Answered, got.Slowed)
		})
	}
}

// TestScraperTold: who is stopped is told to the auditor and the department, in the log
// and in the list; nobody else lets them go on, and their counts then begin anew.
func TestScraperTold(t *testing.T) {
	t.Parallel()
	s := newScraper(t, 0)
	from := size(t, s.Service)
	s.harvest(20, time.Second, func(i int) asks { return asks{caseNumber: "SB-0"} })
	wantTrail(t, s.Service, from, "case_open allowed", "reuse allowed", "reuse refused case_mismatch", "reuse refused case_mismatch", "brake allowed", "reuse refused braked", "read_brakes allowed")
	page, _, err := s.AccessLog().Search(t.Context(), walkAuditor, accesslog.Query{Action: registry.ActionBrake, Limit: 5})
	must(t, err)
	if len(page.Entries) != 1 || page.Entries[0].Entry.Principal != "scraper" || page.Entries[0].Entry.Authority != registrytest.Department.Code || !strings.HasPrefix(page.Entries[0].Entry.Purpose, "one_case: 4") {
		t.Errorf("the auditor is told %+v", page.Entries)
	}
	// Honest work of the client is stopped too.
	wantCode(t, "an honest reuse", s.call(100, asks{}), "braked")
	list := func(c registry.Caller) []registry.Brake {
		t.Helper()
		brakes, _, err := s.Brakes(t.Context(), c, registry.BrakeQuery{})
		must(t, err)
		return brakes
	}
	own, above := registrytest.Requester(registrytest.Department), registrytest.Approver()
	other := registrytest.Partner()
	other.Authority.Code = "11330100002490170T"
	district := registrytest.Requester(registrytest.Authorities["11100000MB0143028R901"])
	brakes := list(walkAuditor)
	for _, c := range []registry.Caller{own, above, registrytest.Partner()} {
		if diff := cmp.Diff(list(c), brakes); diff != "" {
			t.Errorf("%s is told (-got +want):\n%s", c.Principal, diff)
		}
	}
	for _, c := range []registry.Caller{other, district} {
		if got := list(c); len(got) != 0 {
			t.Errorf("%s is told %+v", c.Principal, got)
		}
	}
	for _, c := range []struct {
		name   string
		caller registry.Caller
		reason string
		want   string
	}{
		{"the department itself", own, "r", "forbidden"}, {"a district", district, "r", "not_found"}, {"the client", registrytest.Partner(), "r", "forbidden"},
		{"without a reason", walkAuditor, "", "reason_missing"}, {"the auditor", walkAuditor, "核实无误", ""}, {"twice", above, "r", "wrong_status"},
	} {
		_, _, err := s.LiftBrake(t.Context(), c.caller, brakes[0].ID, registry.StatusRequest{Key: s.next(), Reason: c.reason})
		wantCode(t, c.name, err, c.want)
	}
	wantCode(t, "after the brake", s.call(101, asks{}), "")
	if got := s.harvest(20, time.Second, func(i int) asks { return asks{caseNumber: "SB-0"} }); got.StoppedAt != 4 {
		t.Errorf("the second time: %+v", got)
	}
	if counts, err := s.StandingBrakes(t.Context()); err != nil || counts[brake.AlarmCase] != 1 {
		t.Errorf("standing: %v, %v", counts, err)
	}
}

// TestScraperServers: going by several servers in turn lets no more through than one lets
// through in a second beyond that, and all stop at once. A server that is started anew
// goes on counting.
func TestScraperServers(t *testing.T) {
	t.Parallel()
	s := newScraper(t, 200)
	for range 2 {
		another, err := registry.New(s.Config)
		must(t, err)
		s.servers = append(s.servers, another)
	}
	got := s.harvest(400, 55*time.Second, func(i int) asks { return asks{} })
	// Alone it would be 50; what the two others counted since they last added up is at most one each.
	if got.Alarm != brake.AlarmMatter || got.Answered > 53 {
		t.Errorf("%+v", got)
	}
	for i := range s.servers {
		wantCode(t, fmt.Sprint("server ", i), s.call(i, asks{}), "braked")
	}
	t.Logf("by three servers: %+v", got)

	day := newScraper(t, 100)
	day.until(7)
	got = day.harvest(90, 5*time.Minute, func(i int) asks { return asks{} })
	fresh, err := registry.New(day.Config)
	must(t, err)
	day.servers = []*registry.Registry{fresh}
	after := day.harvest(90, 5*time.Minute, func(i int) asks { return asks{} })
	if got.Answered != 90 || after.Alarm != brake.AlarmBudget || after.StoppedAt != 11 && after.StoppedAt != 12 {
		t.Errorf("before the start %+v, after it %+v", got, after)
	}
}

// TestOrdinaryDay: a day of a department with eight operators is neither slowed nor stopped.
func TestOrdinaryDay(t *testing.T) {
	t.Parallel()
	s := newScraper(t, 0)
	s.until(8)
	got := s.harvest(300, 100*time.Second, func(i int) asks { return asks{operator: fmt.Sprint("窗口", i%8)} })
	if diff := cmp.Diff(got, outcome{Answered: 300}); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
	if alarms := brake.Alarms(); len(alarms) != 9 || !slices.IsSorted(alarms) {
		t.Error(alarms)
	}
}
