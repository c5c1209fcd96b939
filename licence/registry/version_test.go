package registry_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"elicence/audit"
	"elicence/crypto/pdfsig"
	"elicence/licence"
	"elicence/licence/bundle"
	"elicence/licence/registry"
	"elicence/licence/registry/registrytest"

	"github.com/google/go-cmp/cmp"
)

// replacer is one of the registry's operations that make a new version.
type replacer func(context.Context, registry.Caller, licence.Identifier, registry.VersionRequest) (registry.Issued, audit.Receipt, error)

func replacers(r *registry.Registry) map[licence.Operation]replacer {
	return map[licence.Operation]replacer{licence.OpAmend: r.Amend, licence.OpRenew: r.Renew, licence.OpReissue: r.Reissue, licence.OpCorrect: r.Correct, licence.OpTransfer: r.Transfer}
}

// changer is one of those that change a status.
type changer func(context.Context, registry.Caller, licence.Identifier, registry.StatusRequest) (registry.StatusChanged, audit.Receipt, error)

func changers(r *registry.Registry) map[licence.Operation]changer {
	return map[licence.Operation]changer{licence.OpSuspend: r.Suspend, licence.OpResume: r.Resume, licence.OpRevoke: r.Revoke, licence.OpWithdraw: r.Withdraw, licence.OpCancel: r.Cancel}
}

// view reads a licence as its authority.
func (l *life) view(id licence.Identifier, at time.Time) (registry.View, licence.Identifier) {
	l.t.Helper()
	v, _, err := l.r.GetAsOf(l.t.Context(), l.c, id, at, registry.Use{})
	must(l.t, err)
	return v, v.Newest
}

// life is a registry with one licence to be replaced.
type life struct {
	*registrytest.Service
	t     *testing.T
	r     *registry.Registry
	c     registry.Caller
	first registry.Issued
	n     int
}

func newLife(t *testing.T) *life {
	s := open(t)
	c := s.Transferable(t)
	r, err := registry.New(c)
	must(t, err)
	body, caller := sample(t, "food-retail.json")
	l := &life{Service: s, t: t, r: r, c: caller}
	l.first, _, err = r.Issue(t.Context(), caller, registry.IssueRequest{Key: "first", Body: body})
	must(t, err)
	return l
}

func (l *life) key() string { l.n++; return fmt.Sprint("life-", l.n) }

// do replaces a licence.
func (l *life) do(op licence.Operation, id licence.Identifier, body string) (registry.Issued, error) {
	issued, _, err := replacers(l.r)[op](l.t.Context(), l.c, id, registry.VersionRequest{Key: l.key(), Body: []byte(body)})
	return issued, err
}

func (l *life) must(op licence.Operation, id licence.Identifier, body string) registry.Issued {
	l.t.Helper()
	issued, err := l.do(op, id, body)
	must(l.t, err)
	return issued
}

// change changes a status.
func (l *life) change(op licence.Operation, id licence.Identifier) error {
	_, _, err := changers(l.r)[op](l.t.Context(), l.c, id, registry.StatusRequest{Key: l.key(), Reason: "r"})
	return err
}

// newHolder is somebody whom food licences may go to.
const newHolder = `{"name": "杭州市西湖区样例粮油二店", "code": "92330106MA0000A35B", "code_type": "001"}`

// bodies are requests that the sample licence may be replaced by.
var bodies = map[licence.Operation]string{
	licence.OpAmend:    `{"reason": "名称变更", "holder": {"name": "杭州市西湖区㛃记样例粮油商行"}, "case_number": "C", "matter_code": "M", "operator": "O"}`,
	licence.OpRenew:    `{"reason": "准予延续", "expires_on": "2036-04-07"}`,
	licence.OpReissue:  `{"reason": "遗失补发"}`,
	licence.OpCorrect:  `{"reason": "更正错字", "holder": {"name": "杭州市西湖区㛃记样例粮油号"}}`,
	licence.OpTransfer: `{"reason": "经营权转让", "holder": ` + newHolder + `}`,
}

// TestReplace replaces one licence five times, once by each operation: what stays, what
// changes, how the versions are linked and logged, and that every file verifies.
func TestReplace(t *testing.T) {
	l := newLife(t)
	chain := []registry.Issued{l.first}
	for _, op := range []licence.Operation{licence.OpAmend, licence.OpRenew, licence.OpCorrect, licence.OpReissue, licence.OpTransfer} {
		if op == licence.OpAmend || op == licence.OpTransfer {
			l.Move(24 * time.Hour)
		}
		old := chain[len(chain)-1]
		before, _ := l.view(old.Identifier, time.Time{})
		from := size(t, l.Service)
		next := l.must(op, old.Identifier, bodies[op])
		wantTrail(t, l.Service, from, string(op)+" allowed", "reserved allowed", "sealing allowed", "superseded allowed", "issued allowed")
		logged := entries(t, l.Service, from)
		for i, object := range []licence.Identifier{old.Identifier, next.Identifier, next.Identifier, old.Identifier, next.Identifier} {
			if e := logged[i].Entry; e.Object != string(object) || logged[i].Commitment == nil {
				t.Errorf("%s: entry %s is about %s, want %s", op, e.Action, e.Object, object)
			}
		}
		want, err := old.Identifier.Next()
		must(t, err)
		if next.Identifier != want || next.Supersedes != old.Identifier || next.Status != licence.StatusValid {
			t.Errorf("%s: %+v, want the identifier %s", op, next, want)
		}
		if kept := next.Number == old.Number; kept == (op == licence.OpReissue) {
			t.Errorf("%s: number %s after %s", op, next.Number, old.Number)
		}
		after, newest := l.view(next.Identifier, time.Time{})
		if after.Supersedes != old.Identifier || after.SupersededBy != "" || after.Operation != op || newest != next.Identifier || after.StatusCode != "01" {
			t.Errorf("%s: the new version is %+v, newest %s", op, after, newest)
		}
		gone, newest := l.view(old.Identifier, time.Time{})
		var q struct {
			Reason string `json:"reason"`
		}
		must(t, json.Unmarshal([]byte(bodies[op]), &q))
		if gone.Status != licence.StatusSuperseded || gone.SupersededBy != next.Identifier || newest != next.Identifier || gone.StatusReason != q.Reason || gone.StatusCode != "99" {
			t.Errorf("%s: the old version is %+v, newest %s", op, gone, newest)
		}
		// What each may change, and nothing else.
		before.Holder, after.Holder = maskHolder(op, before.Holder), maskHolder(op, after.Holder)
		dates := cmp.Diff([]licence.Date{before.IssuedOn, before.EffectiveOn, before.ExpiresOn}, []licence.Date{after.IssuedOn, after.EffectiveOn, after.ExpiresOn})
		if same := op == licence.OpReissue || op == licence.OpCorrect; same != (dates == "") || before.Holder != after.Holder || !cmp.Equal(before.Fields, after.Fields) ||
			before.EffectiveOn != after.EffectiveOn || op != licence.OpRenew && before.ExpiresOn != after.ExpiresOn {
			t.Errorf("%s: from %+v to %+v", op, before.Licence, after.Licence)
		}
		chain = append(chain, next)
	}
	l.verifyChain(chain)
}

// maskHolder blanks what an operation may change of a holder.
func maskHolder(op licence.Operation, h licence.Holder) licence.Holder {
	switch op {
	case licence.OpAmend, licence.OpCorrect:
		h.Name = ""
	case licence.OpTransfer:
		return licence.Holder{}
	}
	return h
}

// verifyChain: every version's file is there, genuine, and names the version before; a
// verification is told the newest one; bundle and trust list say superseded.
func (l *life) verifyChain(chain []registry.Issued) {
	l.t.Helper()
	t, newest := l.t, chain[len(chain)-1].Identifier
	listed := map[licence.Identifier]licence.Status{}
	_, err := l.r.States(t.Context(), registry.System("t"), func(id licence.Identifier, s licence.Status) error { listed[id] = s; return nil }, func() [32]byte { return [32]byte{} })
	must(t, err)
	for i, version := range chain {
		file, _, err := l.r.Download(t.Context(), l.c, version.Identifier, registry.Use{})
		must(t, err)
		passes(t, l.Service, file)
		f, err := pdfsig.Read(file)
		must(t, err)
		data, err := licence.ParseData(f.Attachments["licence.json"])
		must(t, err)
		if i > 0 && data.Supersedes != chain[i-1].Identifier || data.Identifier != version.Identifier {
			t.Errorf("the file of %s supersedes %q", data.Identifier, data.Supersedes)
		}
		want, known := licence.StatusSuperseded, registry.Known{}
		if i == len(chain)-1 {
			want = licence.StatusValid
		}
		_, err = l.r.Verify(t.Context(), registry.Anonymous("v"), func() [32]byte { return [32]byte{1} }, func(look registry.Lookup) registry.Verdict {
			known, err = look.ByIdentifier(t.Context(), version.Identifier)
			must(t, err)
			return registry.Verdict{}
		})
		must(t, err)
		raw, _, err := l.BundlesOf(l.r).Make(t.Context(), l.c, version.Identifier, registry.Use{})
		must(t, err)
		b, err := bundle.Parse(raw)
		must(t, err)
		if known.Status != want || b.Status != want || (want == licence.StatusSuperseded) != (known.Newest == newest) || (listed[version.Identifier] != "") != (want == licence.StatusSuperseded) {
			t.Errorf("%s: known as %+v, bundled as %s, listed as %q; want %s", version.Identifier, known, b.Status, listed[version.Identifier], want)
		}
	}
}

// TestReplaceAsOf asks for past states of a chain, and for its history.
func TestReplaceAsOf(t *testing.T) {
	l := newLife(t)
	issued := l.Now()
	l.Move(time.Hour)
	second := l.must(licence.OpAmend, l.first.Identifier, bodies[licence.OpAmend])
	amended := l.Now()
	l.Move(time.Hour)
	must(t, l.change(licence.OpSuspend, second.Identifier))
	suspended := l.Now()
	l.Move(time.Hour)
	must(t, l.change(licence.OpRevoke, second.Identifier))
	for _, c := range []struct {
		id     licence.Identifier
		at     time.Time
		status licence.Status
		code   string
		by     licence.Identifier
		newest licence.Identifier
	}{
		{l.first.Identifier, issued, licence.StatusValid, "01", "", l.first.Identifier},
		{l.first.Identifier, amended.Add(-1), licence.StatusValid, "01", "", l.first.Identifier},
		{l.first.Identifier, amended, licence.StatusSuperseded, "99", second.Identifier, second.Identifier},
		{second.Identifier, amended, licence.StatusValid, "01", "", second.Identifier},
		{second.Identifier, suspended, licence.StatusSuspended, "02", "", second.Identifier},
		{second.Identifier, l.Now(), licence.StatusRevoked, "", "", second.Identifier},
	} {
		v, newest := l.view(c.id, c.at)
		if v.Status != c.status || v.StatusCode != c.code || v.SupersededBy != c.by || newest != c.newest || !v.AsOf.Equal(c.at) || v.File.Digest == [32]byte{} {
			t.Errorf("%s at %s: %s (%s) by %q, newest %q, as of %s; want %+v", c.id, c.at, v.Status, v.StatusCode, v.SupersededBy, newest, v.AsOf, c)
		}
	}
	for what, c := range map[string]struct {
		id   licence.Identifier
		at   time.Time
		code string
	}{
		"before it was reserved":           {l.first.Identifier, issued.Add(-time.Second), "not_found"},
		"before the version was":           {second.Identifier, amended.Add(-time.Second), "not_found"},
		"an instant to come":               {l.first.Identifier, l.Now().Add(time.Second), "invalid_request"},
		"an instant to come, not in reach": {"x", l.Now().Add(time.Second), "not_found"},
	} {
		_, _, err := l.r.GetAsOf(t.Context(), l.c, c.id, c.at, registry.Use{})
		wantCode(t, what, err, c.code)
	}
	v, _ := l.view(l.first.Identifier, time.Time{})
	find := func(at time.Time) (ids []licence.Identifier, statuses []licence.Status) {
		found, _, err := l.r.Search(t.Context(), l.c, registry.Query{Holder: v.Holder, AsOf: at}, registry.Use{})
		must(t, err)
		for _, f := range found {
			ids, statuses = append(ids, f.Identifier), append(statuses, f.Status)
		}
		return ids, statuses
	}
	ids, statuses := find(time.Time{})
	if diff := cmp.Diff(ids, []licence.Identifier{second.Identifier, l.first.Identifier}); diff != "" || statuses[0] != "revoked" || statuses[1] != "superseded" {
		t.Errorf("found %v, %v: the newest version comes first", ids, statuses)
	}
	if ids, statuses = find(issued); len(ids) != 1 || ids[0] != l.first.Identifier || statuses[0] != "valid" {
		t.Errorf("found of the time of issue: %v, %v", ids, statuses)
	}
	_, _, err := l.r.Search(t.Context(), l.c, registry.Query{Holder: v.Holder, AsOf: l.Now().Add(time.Hour)}, registry.Use{})
	wantCode(t, "search at an instant to come", err, "invalid_request")

	versions, _, err := l.r.History(t.Context(), l.c, second.Identifier, registry.Use{})
	must(t, err)
	var got []string
	for _, version := range versions {
		for _, p := range version.Changes {
			got = append(got, fmt.Sprintf("%d %s %s", version.Version, p.Status, p.Reason))
		}
	}
	want := []string{"2 revoked r", "2 suspended r", "2 valid 名称变更", "2 pending 名称变更", "1 superseded 名称变更", "1 valid issued", "1 pending "}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("history (-got +want):\n%s", diff)
	}
}

// TestReplaceCrash: until a new version is finished the old one is as it was; then
// recovery finishes it, or voids it when the old one was changed meanwhile.
func TestReplaceCrash(t *testing.T) {
	for _, overtaken := range []bool{false, true} {
		t.Run(fmt.Sprintf("overtaken=%v", overtaken), func(t *testing.T) {
			l := newLife(t)
			c := l.Transferable(t)
			c.Check = func(context.Context, *pdfsig.File, time.Time) error { return errors.New("killed here") }
			dead, err := registry.New(c)
			must(t, err)
			q := registry.VersionRequest{Key: "crash", Body: []byte(bodies[licence.OpAmend])}
			if _, _, err := dead.Amend(t.Context(), l.c, l.first.Identifier, q); !errors.Is(err, registry.ErrUnfinished) {
				t.Fatal(err)
			}
			second, err := l.first.Identifier.Next()
			must(t, err)
			old, newest := l.view(l.first.Identifier, time.Time{})
			if pending, _ := l.view(second, time.Time{}); old.Status != licence.StatusValid || old.SupersededBy != "" || newest != l.first.Identifier || pending.Status != licence.StatusPending {
				t.Errorf("after the crash: %+v, newest %s, new version %s", old, newest, pending.Status)
			}
			_, err = l.do(licence.OpRenew, l.first.Identifier, bodies[licence.OpRenew])
			wantCode(t, "another version while one is pending", err, "version_pending")
			_, err = l.do(licence.OpRenew, second, bodies[licence.OpRenew])
			wantCode(t, "a version of the pending one", err, "wrong_status")
			if overtaken {
				must(t, l.change(licence.OpSuspend, l.first.Identifier))
			}
			l.Move(registry.Lease + time.Second)
			from := size(t, l.Service)
			finished, voided, err := l.r.Recover(t.Context())
			must(t, err)
			if (finished == 1) == overtaken || (voided == 1) != overtaken {
				t.Fatalf("recovery finished %d and voided %d", finished, voided)
			}
			issued, _, err := l.r.Amend(t.Context(), l.c, l.first.Identifier, q)
			if !overtaken {
				must(t, err)
				wantTrail(t, l.Service, from, "reserved allowed taken_over", "sealing allowed", "superseded allowed", "issued allowed", "amend allowed")
				l.verifyChain([]registry.Issued{l.first, issued})
				return
			}
			// The key is free again, and what it asked for is refused for what the licence is now.
			wantTrail(t, l.Service, from, "reserved allowed taken_over", "voided allowed", "amend allowed", "amend refused wrong_status")
			wantCode(t, "of a suspended licence", err, "wrong_status")
			must(t, l.change(licence.OpResume, l.first.Identifier))
			issued, _, err = l.r.Amend(t.Context(), l.c, l.first.Identifier, q)
			must(t, err)
			if issued.Identifier.Version() != 3 || issued.Supersedes != l.first.Identifier {
				t.Errorf("after a voided version: %+v", issued)
			}
			l.verifyChain([]registry.Issued{l.first, issued})
		})
	}
}

// TestReplaceOvertaken: a status that changes between two steps wins, even after the
// file is finished, and no version is left half done.
func TestReplaceOvertaken(t *testing.T) {
	l := newLife(t)
	c := l.Transferable(t)
	check := c.Check
	c.Check = func(ctx context.Context, f *pdfsig.File, at time.Time) error {
		must(t, l.change(licence.OpRevoke, l.first.Identifier))
		return check(ctx, f, at)
	}
	r, err := registry.New(c)
	must(t, err)
	from := size(t, l.Service)
	_, _, err = r.Amend(t.Context(), l.c, l.first.Identifier, registry.VersionRequest{Key: "k", Body: []byte(bodies[licence.OpAmend])})
	wantCode(t, "overtaken", err, "wrong_status")
	wantTrail(t, l.Service, from, "amend allowed", "reserved allowed", "sealing allowed", "revoke allowed", "voided allowed")
	versions, err := l.Backend.Versions(t.Context(), l.first.Identifier)
	must(t, err)
	if len(versions) != 2 || versions[0].Status != licence.StatusRevoked || versions[1].Status != licence.StatusVoided {
		t.Errorf("versions %v", versions)
	}
}

// TestReplaceConcurrently: of many who act on one licence at once one wins, and the
// others are told by a stable code.
func TestReplaceConcurrently(t *testing.T) {
	l := newLife(t)
	var wg sync.WaitGroup
	results := make([]string, 8)
	for i := range results {
		op := []licence.Operation{licence.OpAmend, licence.OpCorrect, licence.OpReissue, licence.OpRenew}[i%4]
		wg.Go(func() {
			_, _, err := replacers(l.r)[op](t.Context(), l.c, l.first.Identifier, registry.VersionRequest{Key: fmt.Sprint("c", i), Body: []byte(bodies[op])})
			results[i] = "won"
			if err != nil {
				results[i] = registry.Code(err)
			}
		})
	}
	wg.Wait()
	won := 0
	for i, result := range results {
		if result == "won" {
			won++
		} else if result != "wrong_status" && result != "version_pending" {
			t.Errorf("%d: %s", i, result)
		}
	}
	versions, err := l.Backend.Versions(t.Context(), l.first.Identifier)
	must(t, err)
	if won != 1 || len(versions) != 2 || versions[0].Status != licence.StatusSuperseded || versions[1].Status != licence.StatusValid {
		t.Errorf("%d won: %v, versions %v", won, results, versions)
	}
}

// TestReplaceKeys: a repeat gets the first answer, and the same key is nobody else's.
func TestReplaceKeys(t *testing.T) {
	l := newLife(t)
	q := registry.VersionRequest{Key: "k", Body: []byte(bodies[licence.OpReissue])}
	first, _, err := l.r.Reissue(t.Context(), l.c, l.first.Identifier, q)
	must(t, err)
	l.Move(48 * time.Hour)
	from := size(t, l.Service)
	again, _, err := l.r.Reissue(t.Context(), l.c, l.first.Identifier, q)
	must(t, err)
	if again != first {
		t.Errorf("the repeat got %+v, want %+v", again, first)
	}
	wantTrail(t, l.Service, from, "reissue allowed")
	_, _, err = l.r.Reissue(t.Context(), l.c, first.Identifier, q)
	wantCode(t, "the key, about another licence", err, "idempotency_key_reused")
	_, _, err = l.r.Correct(t.Context(), l.c, l.first.Identifier, registry.VersionRequest{Key: "k", Body: []byte(bodies[licence.OpCorrect])})
	wantCode(t, "the key, to another end", err, "idempotency_key_reused")
	_, _, err = l.r.Revoke(t.Context(), l.c, l.first.Identifier, registry.StatusRequest{Key: "k", Reason: "r"})
	wantCode(t, "the key, for a change of status", err, "idempotency_key_reused")
}
