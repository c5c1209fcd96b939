// Package brake counts how clients reuse licences and judges it (用证熔断的规则): who asks
// more than is usual, or follows a pattern that no department's work has, is slowed and then
// stopped. It needs no store: the counts of several servers are added up by whoever keeps
// them, and what becomes of a verdict is the register's.
package brake

import (
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// DefaultReuses is how many reuses a day are usual for a client that says nothing else.
const DefaultReuses = 2000

// The alarms, as they stand in brakes, in the log and in metrics.
const (
	AlarmBurst      = "burst"
	AlarmBudget     = "budget"
	AlarmMatter     = "one_matter"
	AlarmOperator   = "one_operator"
	AlarmNight      = "night"
	AlarmRefusals   = "refusals"
	AlarmCase       = "one_case"
	AlarmRising     = "rising_numbers"
	AlarmNeighbours = "neighbouring_numbers"
)

// The bounds that do not grow with what is usual for a client.
const (
	operatorSlow, operatorStop = 60, 90 // an hour
	leastBurst                 = 60     // a minute
	leastRefusals              = 20     // an hour
	// A run of rising codes comes by chance once in its factorial.
	risingSlow, risingStop = 8, 12
	// Of the last neighbourWindow holders, so many lie close to another.
	neighbourWindow                = 32
	neighboursSlow, neighboursStop = 10, 16
	neighbourSpan                  = 3 * 36
	significantChars               = 12
	holdersOfCase                  = 3
	patternPause                   = 5 * time.Second
)

// Keep is how long counts are kept.
const Keep = 48 * time.Hour

// How often counts are added up, how much is kept, and which hours are the night in Asia/Shanghai.
const (
	shareEvery          = time.Second
	maxCounts, maxCases = 10_000, 10_000
	shanghaiOffset      = 8 * time.Hour
	nightFrom, nightTo  = 22, 6
	day                 = 24 * time.Hour
	subjectClient       = "client"
	subjectRefused      = "refused"
)

// alarms say in words what each alarm is about.
var alarms = map[string]string{
	AlarmBurst: "more in a minute than the client's day allows", AlarmBudget: "more in a day than is usual for the client",
	AlarmMatter: "more in an hour for one matter", AlarmOperator: "more in an hour than one operator can handle",
	AlarmNight: "more in an hour of the night", AlarmRefusals: "more refused in an hour than mistakes explain",
	AlarmCase: "holders who are not those of the case", AlarmRising: "holders' codes that rise from one to the next",
	AlarmNeighbours: "holders' codes that lie close together",
}

// Says is in words what an alarm is about.
func Says(alarm string) string { return alarms[alarm] }

// Alarms lists all alarms.
func Alarms() []string { return slices.Sorted(maps.Keys(alarms)) }

// Client is who reuses.
type Client struct {
	ID string
	// Daily is how many reuses a day are usual for it; 0: DefaultReuses.
	Daily int64
	// Lifted is when its last brake was lifted: what it did before counts no more.
	Lifted time.Time
}

// Reuse is what is counted of a reuse.
type Reuse struct {
	Matter, Operator string
	// Case is the case number or, without a case, the code of the holder's consent.
	Case string
	// Identifier is of the licence that was asked for, Holder the holder's code; one of them
	// is empty when the reuse did not name it.
	Identifier, Holder string
}

// rule bounds what is counted of a subject in a window of time. Beyond slow, one may come
// every pause; beyond stop the client is braked.
type rule struct {
	alarm, subject string
	since          time.Time // the beginning of the window
	window         time.Duration
	slow, stop     int64
	pause          time.Duration
}

// rules are those that a reuse comes under. All but the operator's grow with what is
// usual for the client.
func rules(c Client, q Reuse, now time.Time) []rule {
	usual := c.Daily
	if usual <= 0 {
		usual = DefaultReuses
	}
	local := now.UTC().Add(shanghaiOffset)
	minute, hour, today := now.Truncate(time.Minute), now.Truncate(time.Hour), local.Truncate(day).Add(-shanghaiOffset)
	all := []rule{
		{AlarmBurst, subjectClient, minute, time.Minute, max(leastBurst, usual/30), 2 * max(leastBurst, usual/30), time.Second},
		{AlarmBudget, subjectClient, today, day, usual * 8 / 10, usual, 10 * time.Second},
		{AlarmMatter, "matter/" + q.Matter, hour, time.Hour, usual / 5, usual / 4, 10 * time.Second},
		{AlarmOperator, "operator/" + q.Operator, hour, time.Hour, operatorSlow, operatorStop, 30 * time.Second},
		{AlarmRefusals, subjectRefused, hour, time.Hour, max(leastRefusals, usual/100), 2 * max(leastRefusals, usual/100), 10 * time.Second},
	}
	if h := local.Hour(); h >= nightFrom || h < nightTo {
		all = append(all, rule{AlarmNight, subjectClient, hour, time.Hour, usual / 100, usual * 3 / 200, time.Minute})
	}
	return all
}

// Count is how many reuses of a subject were counted since the beginning of a window.
type Count struct {
	Subject string
	// Window is its length, for a subject is counted in several.
	Window time.Duration
	Since  time.Time
	N      int64
}

// Counter is what this server has counted. Runs of numbers, and the holders of a case, are
// known to it alone; the counts of all servers are added up. The zero value is ready.
type Counter struct {
	mu      sync.Mutex
	clients map[string]*clientCounts
}

// clientCounts is what was counted of a client since its last brake was lifted.
type clientCounts struct {
	lifted time.Time
	shared time.Time // when counts were last added up
	pruned time.Time
	counts map[countKey]*count
	paused map[string]time.Time // by alarm: when the last was let through
	numbers
	seed  maphash.Seed
	cases map[uint64][]uint64 // holders by case number, both hashed with seed
}

type countKey struct {
	subject string
	window  time.Duration
	since   int64
}

// count is what all servers had counted when it was last added up, and what this one has
// counted since.
type count struct{ all, own int64 }

// numbers are the holders' codes that a client asked for last.
type numbers struct {
	last   string
	rising int
	recent []uint64 // of different holders, the newest last
}

// Verdict is what becomes of a reuse.
type Verdict struct {
	// Stop brakes the client, for Alarm; Detail says what was counted.
	Stop          bool
	Wait          time.Duration // until it may come again; 0: now
	Alarm, Detail string
	// Share is to be added up with what other servers have counted; see Settle.
	Share []Count
}

// worsen keeps the worse of two verdicts.
func (v *Verdict) worsen(alarm string, n, slow, stop int64, wait time.Duration) {
	switch {
	case n > stop:
		if !v.Stop {
			v.Stop, v.Alarm, v.Detail = true, alarm, strconv.FormatInt(n, 10)+": "+alarms[alarm]
		}
	case n > slow && !v.Stop && wait > v.Wait:
		v.Wait, v.Alarm = wait, alarm
	}
}

// of is what is counted of a caller. Callers hold mu.
func (b *Counter) of(c Client, now time.Time) *clientCounts {
	if b.clients == nil {
		b.clients = map[string]*clientCounts{}
	}
	k := b.clients[c.ID]
	if k == nil || !k.lifted.Equal(c.Lifted) {
		k = &clientCounts{lifted: c.Lifted, counts: map[countKey]*count{}, paused: map[string]time.Time{}, seed: maphash.MakeSeed(), cases: map[uint64][]uint64{}}
		b.clients[c.ID] = k
	}
	k.prune(now)
	return k
}

// Take counts a reuse that is asked for, whatever becomes of it, and judges it.
func (b *Counter) Take(c Client, q Reuse, now time.Time) (v Verdict) {
	b.mu.Lock()
	defer b.mu.Unlock()
	k := b.of(c, now)
	var due []rule
	for _, rule := range rules(c, q, now) {
		n := k.add(rule, rule.subject != subjectRefused)
		v.worsen(rule.alarm, n, rule.slow, rule.stop, k.pause(rule.alarm, rule.pause, now))
		if n > rule.slow/4 || rule.subject == subjectClient && rule.window == day {
			due = append(due, rule)
		}
	}
	if q.Identifier == "" {
		k.name(q, q.Holder)
	}
	rising, near := int64(k.rising), int64(k.neighbours())
	v.worsen(AlarmRising, rising, risingSlow-1, risingStop-1, k.pause(AlarmRising, patternPause, now))
	v.worsen(AlarmNeighbours, near, neighboursSlow-1, neighboursStop-1, k.pause(AlarmNeighbours, patternPause, now))
	holders := int64(len(k.cases[maphash.String(k.seed, q.Case)]))
	v.worsen(AlarmCase, holders, holdersOfCase, holdersOfCase, 0)
	if !v.Stop && v.Wait == 0 {
		for alarm := range alarms {
			k.paused[alarm] = now
		}
	}
	if now.Sub(k.shared) >= shareEvery || v.Stop {
		k.shared, v.Share = now, k.share(due)
	}
	return v
}

// Identified counts the holder of a reuse that named a licence by its identifier, once it is
// decided. Of one that was refused it is the identifier that counts: if the holder did, alarms
// would tell two licences of one holder from those of two, and whose code is the greater.
func (b *Counter) Identified(c Client, q Reuse, allowed bool, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	k := b.of(c, now)
	if allowed {
		k.name(q, q.Holder)
		return
	}
	k.nameIn(q, q.Identifier)
}

// Refused counts a reuse that case or grant did not open.
func (b *Counter) Refused(c Client, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	hour := now.Truncate(time.Hour)
	b.of(c, now).add(rule{subject: subjectRefused, since: hour, window: time.Hour}, true)
}

// Settle takes over the sums of all servers.
func (b *Counter) Settle(client string, shared []Count, sums []int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	k := b.clients[client]
	if k == nil {
		return
	}
	for i, s := range shared {
		if n := k.counts[countKey{s.Subject, s.Window, s.Since.UnixNano()}]; n != nil {
			n.all, n.own = sums[i], max(0, n.own-s.N)
		}
	}
}

// add counts one of a rule's subject, or none, and returns how many there are.
func (k *clientCounts) add(r rule, one bool) int64 {
	key := countKey{r.subject, r.window, r.since.UnixNano()}
	n := k.counts[key]
	if n == nil {
		n = &count{}
		k.counts[key] = n
	}
	if one {
		n.own++
	}
	return n.all + n.own
}

// pause is how long an alarm that slows wants to wait since the last reuse that was let through.
func (k *clientCounts) pause(alarm string, pause time.Duration, now time.Time) time.Duration {
	return max(0, k.paused[alarm].Add(pause).Sub(now))
}

// share are the counts of rules that are to be added up, in an order that is everybody's.
func (k *clientCounts) share(due []rule) (share []Count) {
	for _, r := range due {
		if n := k.counts[countKey{r.subject, r.window, r.since.UnixNano()}]; n.own > 0 {
			share = append(share, Count{r.subject, r.window, r.since, n.own})
		}
	}
	slices.SortFunc(share, func(a, b Count) int {
		return strings.Compare(fmt.Sprint(a.Subject, " ", a.Window), fmt.Sprint(b.Subject, " ", b.Window))
	})
	return share
}

// prune forgets, once a minute, what lies in windows that have passed, and more when that
// is not enough: an operator's name is whatever the client says.
func (k *clientCounts) prune(now time.Time) {
	if now.Sub(k.pruned) < time.Minute && len(k.counts) < maxCounts && len(k.cases) < maxCases {
		return
	}
	k.pruned = now
	full := len(k.counts) >= maxCounts
	for key, n := range k.counts {
		if past := !time.Unix(0, key.since).Add(key.window).After(now); past || full && n.all+n.own < operatorSlow/4 && strings.HasPrefix(key.subject, "operator/") {
			delete(k.counts, key)
		}
	}
	if len(k.cases) >= maxCases {
		clear(k.cases)
	}
}

// see notes the code of the holder whom a reuse is about.
func (n *numbers) see(code string) {
	switch {
	case code == n.last, code == "": // by a holder's code none need be named
		return
	case code > n.last:
		n.rising++
	default:
		n.rising = 1
	}
	n.last = code
	if number := significant(code); !slices.Contains(n.recent, number) {
		n.recent = append(n.recent, number)
		n.recent = n.recent[max(0, len(n.recent)-neighbourWindow):]
	}
}

// significant is a code's last characters before its check character as a number: those
// that differ from one holder to the next. Two codes that are registered one after the
// other lie within neighbourSpan, whatever other check character they hold inside.
func significant(code string) (n uint64) {
	code = code[:max(0, len(code)-1)]
	code = code[max(0, len(code)-significantChars):]
	for _, c := range []byte(code) {
		v, err := strconv.ParseUint(string(c), 36, 8)
		if err != nil {
			v = 0
		}
		n = n*36 + v
	}
	return n
}

// neighbours is how many of the last codes lie close to another of them.
func (n *numbers) neighbours() (near int) {
	sorted := slices.Sorted(slices.Values(n.recent))
	for i, v := range sorted {
		if i > 0 && v-sorted[i-1] <= neighbourSpan || i+1 < len(sorted) && sorted[i+1]-v <= neighbourSpan {
			near++
		}
	}
	return near
}

// name notes whom a reuse is about.
func (k *clientCounts) name(q Reuse, holder string) {
	k.see(holder)
	k.nameIn(q, holder)
}

// nameIn notes whom a reuse is about under its case, or under its code.
func (k *clientCounts) nameIn(q Reuse, holder string) {
	number, name := maphash.String(k.seed, q.Case), maphash.String(k.seed, holder)
	if known := k.cases[number]; !slices.Contains(known, name) && len(known) <= holdersOfCase {
		k.cases[number] = append(known, name)
	}
}
