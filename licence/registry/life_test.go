package registry_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"elicence/crypto/pdfsig"
	"elicence/crypto/pki"
	"elicence/licence"
	"elicence/licence/event"
	"elicence/licence/registry"
	"elicence/licence/registry/registrytest"
	"elicence/licence/registry/subscriptions"
	"elicence/verify"
)

// lives walks random lives on one register.
type lives struct {
	*registrytest.Service
	t        *testing.T
	r, dying *registry.Registry
	rand     *mathrand.Rand
	food     registry.Caller
	body     map[string]any
	keys     int
	logged   map[string]int // entries that the model expects, by action
	numbers  map[string]licence.Identifier
	counts   map[string]int
	before   []modelLife // that ended their walk
	expired  map[licence.Identifier]time.Time
	sub      event.Subscription // to those that expire
}

var beijingDay = time.FixedZone("", 8*60*60)

// day is the beginning of the present day in Beijing, and some days later.
func (w *lives) day(later int) time.Time {
	y, m, d := w.Now().In(beijingDay).Date()
	return time.Date(y, m, d+later, 0, 0, 0, 0, beijingDay)
}

func newLives(t *testing.T, backend registrytest.Backend, files registry.Files, seed uint64) *lives {
	s := registrytest.New(t, backend, files, stranger)
	c := s.Transferable(t)
	// The lists of the test's CAs would end long before the lives do.
	c.Trusted, c.Check, c.Failed = nil, func(context.Context, *pdfsig.File, time.Time) error { return nil }, nil
	w := &lives{Service: s, t: t, rand: mathrand.New(mathrand.NewPCG(seed, 0)), logged: map[string]int{}, numbers: map[string]licence.Identifier{}, counts: map[string]int{}, expired: map[licence.Identifier]time.Time{}}
	var err error
	w.r, err = registry.New(c)
	must(t, err)
	c.Check = func(context.Context, *pdfsig.File, time.Time) error { return errors.New("killed here") }
	w.dying, err = registry.New(c)
	must(t, err)
	body, caller := sample(t, "food-retail.json")
	w.food = caller
	must(t, json.Unmarshal(body, &w.body))
	s.Register(t, caller)
	w.sub, _, err = s.Subscriptions().Subscribe(t.Context(), caller, subscriptions.Request{Key: w.key(), URL: "https://receiver.example.gov.cn/", TypeCodes: caller.Types, Events: []event.Type{event.Expired}})
	must(t, err)
	return w
}

func (w *lives) key() string { w.keys++; return strconv.Itoa(w.keys) }

// used counts a number that was given out, which no other licence may have.
func (w *lives) used(number string, id licence.Identifier) {
	w.t.Helper()
	if other := w.numbers[number]; other != "" && other.Serial() != id.Serial() {
		w.t.Fatalf("number %s belongs to %s and to %s", number, other, id)
	}
	w.numbers[number] = id
}

// born issues a licence that begins and ends within days.
func (w *lives) born() modelLife {
	v := &modelVersion{name: "样例一店", code: "92330106MA0000A27G", first: w.day(w.rand.IntN(3) - 1)}
	v.last = v.first.AddDate(0, 0, 1+w.rand.IntN(6))
	w.body["holder"] = map[string]any{"name": v.name, "code": v.code, "code_type": "001"}
	w.body["issued_on"] = w.day(0).Format(time.DateOnly)
	w.body["effective_on"], w.body["expires_on"] = v.first.Format(time.DateOnly), v.last.Format(time.DateOnly)
	body, err := json.Marshal(w.body)
	must(w.t, err)
	issued, _, err := w.r.Issue(w.t.Context(), w.food, registry.IssueRequest{Key: w.key(), Body: body})
	must(w.t, err)
	v.id, v.number = issued.Identifier, issued.Number
	v.become("pending", 0, w.now())
	v.become("valid", 0, w.now())
	w.logged["issued"]++
	w.used(issued.Number, issued.Identifier)
	return modelLife{v}
}

// now is the clock as the register keeps it.
func (w *lives) now() time.Time { return w.Now().Truncate(time.Millisecond) }

// request makes a body for an operation, and the version that the model expects of it.
func (w *lives) request(op licence.Operation, life modelLife, old int) (string, *modelVersion) {
	from := life[old-1]
	next := &modelVersion{first: from.first, last: from.last, name: from.name, code: from.code, number: from.number, supersedes: old}
	q := map[string]any{"reason": string(op)}
	switch op {
	case "amend", "correct":
		next.name = fmt.Sprintf("样例%d店", w.rand.IntN(1e6))
		q["holder"] = map[string]any{"name": next.name}
	case "renew":
		next.last = from.last
		if today := w.day(0); today.After(next.last) {
			next.last = today
		}
		next.last = next.last.AddDate(0, 0, 1+w.rand.IntN(4))
		q["expires_on"] = next.last.Format(time.DateOnly)
	case "transfer":
		if next.code = "92330106MA0000A35B"; from.code == next.code {
			next.code = "92330106MA0000A27G"
		}
		q["holder"] = map[string]any{"name": next.name, "code": next.code, "code_type": "001"}
	}
	body, err := json.Marshal(q)
	must(w.t, err)
	return string(body), next
}

// act does one operation to a version, and compares what came of it with the model.
func (w *lives) act(r *registry.Registry, life modelLife, old int, op licence.Operation) modelLife {
	w.t.Helper()
	v := life[old-1]
	want := ""
	switch makes := modelMay[op].to == "superseded"; {
	case !v.may(op, w.now()):
		want = "wrong_status"
	case makes && life.pending():
		want = "version_pending"
	case makes && r == w.dying:
		want = "unfinished"
	}
	from, key := size(w.t, w.Service), w.key()
	if modelMay[op].to != "superseded" {
		q := registry.StatusRequest{Key: key, Body: [32]byte{byte(w.keys)}, Reason: string(op)}
		first, _, err := changers(r)[op](w.t.Context(), w.food, v.id, q)
		w.outcome(op, v, from, err, want)
		if want == "" {
			v.become(modelMay[op].to, 0, w.now())
			w.logged[string(op)]++
			again, _, err := changers(r)[op](w.t.Context(), w.food, v.id, q)
			if err != nil || again != first {
				w.t.Fatalf("%s again: %+v, %v", op, again, err)
			}
		}
		return life
	}
	body, next := w.request(op, life, old)
	q := registry.VersionRequest{Key: key, Body: []byte(body)}
	issued, _, err := replacers(r)[op](w.t.Context(), w.food, v.id, q)
	w.outcome(op, v, from, err, want)
	if want == "unfinished" {
		next.id, err = life[len(life)-1].id.Next()
		must(w.t, err)
		next.become("pending", 0, w.now())
		return append(life, next)
	}
	if want != "" {
		return life
	}
	next.id = issued.Identifier
	next.become("pending", 0, w.now())
	life = append(life, next)
	w.enter(life, op, issued.Number)
	if again, _, err := replacers(r)[op](w.t.Context(), w.food, v.id, q); err != nil || again != issued {
		w.t.Fatalf("%s again: %+v, %v", op, again, err)
	}
	return life
}

// enter makes the last version valid and the one that it supersedes superseded.
func (w *lives) enter(life modelLife, op licence.Operation, number string) {
	w.t.Helper()
	next, old := life[len(life)-1], life[life[len(life)-1].supersedes-1]
	old.become("superseded", len(life), w.now())
	next.become("valid", 0, w.now())
	w.logged["issued"]++
	w.logged["superseded"]++
	if (number == old.number) == (op == "reissue") { // the type numbers those anew
		w.t.Fatalf("%s: number %s after %s", op, number, old.number)
	}
	next.number = number
	w.used(number, next.id)
}

// outcome wants an error with a code, or none, and that the log tells the same.
func (w *lives) outcome(op licence.Operation, v *modelVersion, from uint64, err error, want string) {
	w.t.Helper()
	got := ""
	if err != nil {
		got = registry.Code(err)
	}
	if got != want {
		w.t.Fatalf("%s of %s, %s: %q (%v), want %q", op, v.id, v.seen(v.status, w.now()), got, err, want)
	}
	w.counts["steps"]++
	if w.counts[string(op)+" "+want]++; want == "" {
		w.counts["transitions"]++
	}
	logged := entries(w.t, w.Service, from)
	last := logged[len(logged)-1].Entry
	if refused := last.Result == "refused"; logged[0].Entry.Action != "" && want != "unfinished" && (refused != (want != "") || refused && last.Code != want) {
		w.t.Fatalf("%s of %s: the log ends with %+v, want %q", op, v.id, last, want)
	}
}

// crash leaves a new version pending; then the old one may be changed, and recovery
// finishes or voids.
func (w *lives) crash(life modelLife) modelLife {
	w.t.Helper()
	old := len(life)
	op := w.pick("amend", "renew", "reissue", "correct", "transfer")
	if life = w.act(w.dying, life, old, op); len(life) == old {
		return life
	}
	w.invariants(life)
	life = w.act(w.r, life, old, w.pick("amend", "renew", "suspend", "cancel"))
	w.invariants(life)
	w.Move(registry.Lease + time.Second)
	finished, voided, err := w.r.Recover(w.t.Context())
	must(w.t, err)
	next := life[len(life)-1]
	if life[old-1].status != "valid" {
		next.become("voided", 0, w.now())
		w.logged["voided"]++
		if finished != 0 || voided != 1 {
			w.t.Fatalf("recovery finished %d and voided %d of a version that was overtaken", finished, voided)
		}
		return life
	}
	if finished != 1 || voided != 0 {
		w.t.Fatalf("recovery finished %d and voided %d", finished, voided)
	}
	rec, err := w.Backend.Licence(w.t.Context(), next.id)
	must(w.t, err)
	w.enter(life, op, rec.Number)
	w.counts["recovered"]++
	return life
}

// race does two things to the newest version at once: one wins at most.
func (w *lives) race(life modelLife) modelLife {
	w.t.Helper()
	old, at := len(life), w.now()
	v := life[old-1]
	ops := []licence.Operation{w.pick("amend", "renew", "reissue", "correct", "transfer"), w.pick("amend", "reissue", "correct", "suspend", "revoke", "withdraw", "cancel")}
	may := v.may(ops[0], at) || v.may(ops[1], at)
	var next [2]*modelVersion
	var errs [2]error
	var issued [2]registry.Issued
	var wg sync.WaitGroup
	for i, op := range ops {
		key := w.key()
		if modelMay[op].to != "superseded" {
			wg.Go(func() {
				_, _, errs[i] = changers(w.r)[op](w.t.Context(), w.food, v.id, registry.StatusRequest{Key: key, Reason: string(op)})
			})
			continue
		}
		var body string
		body, next[i] = w.request(op, life, old)
		wg.Go(func() {
			issued[i], _, errs[i] = replacers(w.r)[op](w.t.Context(), w.food, v.id, registry.VersionRequest{Key: key, Body: []byte(body)})
		})
	}
	wg.Wait()
	stored, err := w.Backend.Versions(w.t.Context(), v.id)
	must(w.t, err)
	if len(stored) > old && stored[old].Status == licence.StatusVoided { // reserved, then overtaken
		void := &modelVersion{id: stored[old].Identifier, first: v.first, last: v.last, number: v.number, supersedes: old}
		void.become("pending", 0, at)
		void.become("voided", 0, at)
		w.logged["voided"]++
		life = append(life, void)
	}
	won := 0
	for i, op := range ops {
		if errs[i] != nil {
			if code := registry.Code(errs[i]); code != "wrong_status" && code != "version_pending" {
				w.t.Fatalf("%s beside %s: %v", op, ops[1-i], errs[i])
			}
			continue
		}
		if won++; next[i] == nil {
			v.become(modelMay[op].to, 0, at)
			w.logged[string(op)]++
			continue
		}
		next[i].id = issued[i].Identifier
		next[i].become("pending", 0, at)
		life = append(life, next[i])
		w.enter(life, op, issued[i].Number)
	}
	if won > 1 || may != (won == 1) {
		w.t.Fatalf("%v at once: %d won, one could: %t (%v)", ops, won, may, errs)
	}
	w.counts["races"]++
	w.counts["transitions"] += won
	return life
}

// look reads a version as it was at a random instant.
func (w *lives) look(life modelLife) {
	w.t.Helper()
	n := 1 + w.rand.IntN(len(life))
	v, since := life[n-1], life[0].past[0].at.Add(-time.Hour)
	at := since.Add(time.Duration(w.rand.Int64N(int64(w.now().Sub(since)) + 1)))
	got, _, err := w.r.GetAsOf(w.t.Context(), w.food, v.id, at, registry.Use{})
	w.counts["looks"]++
	past := v.at(at)
	if past.status == "" {
		wantCode(w.t, "before it was there", err, "not_found")
		return
	}
	must(w.t, err)
	newest := licence.Identifier("")
	for _, other := range life {
		if s := other.at(at).status; s != "" && s != "pending" && s != "voided" {
			newest = other.id
		}
	}
	by := licence.Identifier("")
	if past.by > 0 {
		by = life[past.by-1].id
	}
	if string(got.Status) != v.seen(past.status, at) || got.SupersededBy != by || got.Newest != newest || got.Holder.Name != v.name && past.status != "voided" {
		w.t.Fatalf("%s at %s: %s by %q, newest %q; want %s by %q, newest %q", v.id, at, got.Status, got.SupersededBy, got.Newest, v.seen(past.status, at), by, newest)
	}
}

// invariants compares what the register holds of a life with the model, and with what
// must hold of any.
func (w *lives) invariants(life modelLife) {
	w.t.Helper()
	stored, err := w.Backend.Versions(w.t.Context(), life[0].id)
	must(w.t, err)
	if len(stored) != len(life) {
		w.t.Fatalf("%d versions, want %d", len(stored), len(life))
	}
	inForce, pending := 0, 0
	for i, s := range stored {
		rec, err := w.Backend.Licence(w.t.Context(), s.Identifier)
		must(w.t, err)
		v := life[i]
		if s.Identifier != v.id || s.Identifier.Version() != i+1 || string(rec.Status) != v.status || s.Status != rec.Status || rec.Version != i+1 {
			w.t.Fatalf("version %d is %s, %s; want %s, %s", i+1, s.Identifier, rec.Status, v.id, v.status)
		}
		supersedes, by := licence.Identifier(""), licence.Identifier("")
		if v.supersedes > 0 {
			supersedes = life[v.supersedes-1].id
		}
		if v.by > 0 {
			by = life[v.by-1].id
		}
		if rec.Supersedes != supersedes || rec.SupersededBy != by || (by != "") != (v.status == "superseded") {
			w.t.Fatalf("%s supersedes %q and is superseded by %q; want %q and %q", v.id, rec.Supersedes, rec.SupersededBy, supersedes, by)
		}
		if hasFile := rec.File.Digest != ([32]byte{}); hasFile != (v.status != "pending" && v.status != "voided") {
			w.t.Fatalf("%s is %s, has a file: %t", v.id, v.status, hasFile)
		}
		if v.status == "valid" || v.status == "suspended" {
			inForce++
		}
		if v.status == "pending" {
			pending++
		}
	}
	if inForce > 1 || pending > 1 {
		w.t.Fatalf("%d versions in force and %d pending of %s", inForce, pending, life[0].id)
	}
	w.counts["invariants"] += 6*len(stored) + 2
}

func (w *lives) pick(ops ...licence.Operation) licence.Operation { return ops[w.rand.IntN(len(ops))] }

// live is one life of random steps.
func (w *lives) live(steps int) modelLife {
	life := w.born()
	for range steps {
		switch n := w.rand.IntN(20); {
		case n < 2:
			w.Move(time.Duration(w.rand.IntN(60)) * time.Hour)
		case n < 4:
			w.look(life)
		case n < 5:
			life = w.crash(life)
		case n < 7:
			life = w.race(life)
		case n < 9: // an earlier version, or the same twice
			life = w.act(w.r, life, 1+w.rand.IntN(len(life)), w.pick(licence.Operations()...))
		case n < 12:
			life = w.act(w.r, life, len(life), w.pick("suspend", "resume", "resume", "revoke", "withdraw", "cancel", "suspend", "resume"))
		default:
			life = w.act(w.r, life, len(life), w.pick("amend", "renew", "renew", "reissue", "correct", "transfer"))
		}
		w.Move(time.Duration(1+w.rand.IntN(3600)) * time.Second)
		w.expire(life)
		w.invariants(life)
	}
	w.before = append(w.before, life)
	return life
}

// end compares the whole log with what was done, and every file with a stranger's verdict.
func (w *lives) end(all []modelLife) {
	w.t.Helper()
	got := map[string]int{}
	reserved := map[string]int{}
	for _, e := range entries(w.t, w.Service, 0) {
		if e.Entry.Result != "allowed" || e.Entry.Code == "repeated" {
			continue
		}
		if e.Entry.Action == registry.ActionReserve && e.Entry.Code != "taken_over" {
			reserved[e.Entry.Object]++
		}
		got[string(e.Entry.Action)]++
	}
	for _, action := range []string{"issued", "superseded", "voided", "expired", "suspend", "resume", "revoke", "withdraw", "cancel"} {
		if got[action] != w.logged[action] {
			w.t.Errorf("%d entries %s, want %d", got[action], action, w.logged[action])
		}
	}
	w.wantExpired()
	evidence, err := w.Evidence(w.t.Context(), nil)
	must(w.t, err)
	issuing, err := pki.ParseCertificate(evidence.Certificates[0])
	must(w.t, err)
	anchors, err := w.PKI.Anchors.With([]*pki.Certificate{issuing}, evidence.CRLs, w.Now())
	must(w.t, err)
	for _, life := range all {
		for _, v := range life {
			if reserved[string(v.id)] != 1 {
				w.t.Errorf("%s was reserved %d times", v.id, reserved[string(v.id)])
			}
			if delete(reserved, string(v.id)); v.status == "pending" || v.status == "voided" {
				continue
			}
			file, _, err := w.r.Download(w.t.Context(), w.food, v.id, registry.Use{})
			must(w.t, err)
			if r := (&verify.Verifier{Anchors: anchors}).VerifyFile(w.t.Context(), file, w.Now()); r.Indication != verify.TotalPassed || r.Licence.Identifier != v.id {
				w.t.Errorf("the file of %s: %s/%s", v.id, r.Indication, r.SubIndication)
			}
			w.counts["files"]++
		}
	}
	if len(reserved) > 0 {
		w.t.Errorf("reserved and not in the register: %v", reserved)
	}
}
