package brake_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"elicence/licence/brake"
)

// noon is no hour of the night in Asia/Shanghai.
var noon = time.Date(2026, 3, 2, 4, 0, 0, 0, time.UTC)

// holder is the code of a holder far from those of others, falling with n.
func holder(n int) string { return fmt.Sprintf("91330106%09d0", 900_000_000-7_000_000*n) }

// TestTake asks again and again, in a way of each case, until the client is stopped: by which
// alarm, and not before how many.
func TestTake(t *testing.T) {
	t.Parallel()
	apart := func(n int) brake.Reuse {
		return brake.Reuse{Matter: fmt.Sprint("m", n), Operator: fmt.Sprint("o", n), Case: fmt.Sprint("c", n), Holder: holder(n % 100)}
	}
	for name, tt := range map[string]struct {
		daily int64
		every time.Duration // between two
		from  time.Time
		ask   func(n int) brake.Reuse
		alarm string // empty: none
		at    int
	}{
		"slowly":            {2000, time.Minute, noon, apart, "", 400},
		"burst":             {0, time.Millisecond, noon, apart, brake.AlarmBurst, 133},
		"burst of a small":  {10, time.Millisecond, noon, func(n int) brake.Reuse { q := apart(n); q.Holder = holder(0); return q }, brake.AlarmBudget, 11},
		"night":             {6000, 20 * time.Second, noon.Add(12 * time.Hour), apart, brake.AlarmNight, 91},
		"one operator":      {6000, 20 * time.Second, noon, func(n int) brake.Reuse { q := apart(n); q.Operator = "o"; return q }, brake.AlarmOperator, 91},
		"one matter":        {400, 20 * time.Second, noon, func(n int) brake.Reuse { q := apart(n); q.Matter = "m"; return q }, brake.AlarmMatter, 101},
		"one case":          {2000, time.Minute, noon, func(n int) brake.Reuse { q := apart(n); q.Case = "c"; return q }, brake.AlarmCase, 4},
		"rising":            {2000, time.Minute, noon, func(n int) brake.Reuse { q := apart(n); q.Holder = holder(-n); return q }, brake.AlarmRising, 12},
		"neighbours":        {2000, time.Minute, noon, func(n int) brake.Reuse { q := apart(n); q.Holder = fmt.Sprintf("91330106%09d0", 1000-n); return q }, brake.AlarmNeighbours, 16},
		"without a holder":  {2000, time.Minute, noon, func(n int) brake.Reuse { q := apart(n); q.Holder, q.Identifier = "", "id"; return q }, "", 400},
		"the same again":    {2000, time.Minute, noon, func(int) brake.Reuse { return apart(0) }, "", 400},
		"identifier no run": {2000, time.Minute, noon, func(n int) brake.Reuse { q := apart(n); q.Identifier = "id"; q.Holder = holder(-n); return q }, "", 400},
	} {
		t.Run(name, func(t *testing.T) {
			var counted brake.Counter
			c, now := brake.Client{ID: "client", Daily: tt.daily}, tt.from
			for n := 1; n <= tt.at; n++ {
				v := counted.Take(c, tt.ask(n), now)
				if stops := tt.alarm != "" && n == tt.at; v.Stop != stops || stops && (v.Alarm != tt.alarm || !strings.HasSuffix(v.Detail, brake.Says(tt.alarm))) {
					t.Fatalf("the %dth: %+v", n, v)
				}
				now = now.Add(tt.every)
			}
			if tt.alarm == "" {
				return
			}
			if v := counted.Take(c, tt.ask(tt.at+1), now); !v.Stop {
				t.Errorf("after the stop: %+v", v)
			}
			c.Lifted = now
			if v := counted.Take(c, tt.ask(tt.at+2), now); v.Stop {
				t.Errorf("after the brake was lifted: %+v", v)
			}
		})
	}
}

// TestSettle: what other servers have counted counts, once a second it is asked for, and a
// refusal counts apart from the rest.
func TestSettle(t *testing.T) {
	t.Parallel()
	var counted brake.Counter
	c, q := brake.Client{ID: "client"}, brake.Reuse{Matter: "m", Operator: "o", Case: "c", Holder: holder(1)}
	v := counted.Take(c, q, noon)
	if len(v.Share) == 0 || v.Stop || v.Wait != 0 {
		t.Fatalf("the first: %+v", v)
	}
	if again := counted.Take(c, q, noon.Add(time.Millisecond)); again.Share != nil {
		t.Errorf("added up again at once: %+v", again)
	}
	sums := make([]int64, len(v.Share))
	for i := range sums {
		sums[i] = 10 * brake.DefaultReuses
	}
	counted.Settle("somebody else", v.Share, sums)
	if v := counted.Take(c, q, noon.Add(2*time.Second)); v.Stop {
		t.Errorf("by another's counts: %+v", v)
	}
	counted.Settle(c.ID, v.Share, sums)
	if v := counted.Take(c, q, noon.Add(4*time.Second)); !v.Stop || v.Alarm != brake.AlarmBudget {
		t.Errorf("by all servers' counts: %+v", v)
	}

	var refused brake.Counter
	for range 41 {
		refused.Refused(c, noon)
	}
	if v := refused.Take(c, q, noon); !v.Stop || v.Alarm != brake.AlarmRefusals {
		t.Errorf("after refusals: %+v", v)
	}
}
