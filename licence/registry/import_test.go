package registry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/dispute"
	"elicence/licence/event"
	"elicence/licence/registry"
	"elicence/licence/registry/disputes"
	"elicence/licence/registry/registrytest"
	"elicence/licence/registry/statistics"
	"elicence/licence/registry/subscriptions"

	"github.com/emmansun/gmsm/sm3"
)

// importing is a service that takes the first word of a file for what was found of it.
func importing(t testing.TB) *registrytest.Service {
	s := open(t)
	s.Config.JudgeImport = judgeByWord
	var err error
	s.Registry, err = registry.New(s.Config)
	must(t, err)
	return s
}

func judgeByWord(_ context.Context, file []byte, _ *licence.Licence) (registry.Judgement, error) {
	word, _, _ := strings.Cut(string(file), " ")
	j := registry.Judgement{Verdict: registry.ImportVerdict(word), Codes: []string{}, Report: []byte(`{"origin":"external"}`)}
	if j.Verdict == registry.ImportInvalid {
		j.Codes = []string{"external_content_changed"}
	}
	return j, nil
}

// importBody is a request to import the licence of the food sample as another province's,
// with some members changed; nil takes one away.
func importBody(t testing.TB, changes map[string]any) []byte {
	t.Helper()
	body, _ := sample(t, "food-retail.json")
	var m map[string]any
	must(t, json.Unmarshal(body, &m))
	m["number"] = "JY23301050000777"
	m["authority"] = map[string]any{"name": "外省测试机构", "code": foreignCode, "division": "430100"}
	m["platform"] = "外省政务服务平台"
	maps.Copy(m, changes)
	maps.DeleteFunc(m, func(_ string, v any) bool { return v == nil })
	out, err := json.Marshal(m)
	must(t, err)
	return out
}

const foreignCode = "11430000006122244L"

// foreignIdentifier is one that the other platform gave.
func foreignIdentifier(t testing.TB, serial string, version int) string {
	t.Helper()
	_, c := sample(t, "food-retail.json")
	id, err := licence.NewIdentifier(c.Types[0], foreignCode, serial, version)
	must(t, err)
	return string(id)
}

// TestImport imports, reads, finds, ends and repeats.
func TestImport(t *testing.T) {
	s := importing(t)
	_, c := sample(t, "food-retail.json")
	ctx, id := t.Context(), foreignIdentifier(t, "A1", 1)
	file := []byte("valid file")
	q := registry.ImportRequest{Key: "one", Body: importBody(t, map[string]any{"identifier": id}), File: file}
	got, _, err := s.Import(ctx, c, q)
	must(t, err)
	if string(got.Identifier) != id || got.Origin != licence.OriginExternal || got.Verdict != registry.ImportValid || got.Status != licence.StatusValid || got.Repeated || got.Given != "" {
		t.Errorf("%+v", got)
	}
	e := entries(t, s, 0)[len(entries(t, s, 0))-1]
	if e.Entry.Action != registry.ActionImport || e.Entry.Object != id || e.Entry.Code != "valid" || e.Entry.Result != audit.ResultAllowed {
		t.Errorf("log: %+v", e.Entry)
	}

	again, _, err := s.Import(ctx, c, q)
	must(t, err)
	if again.Repeated || again.ImportedAt != got.ImportedAt {
		t.Errorf("the same key: %+v", again)
	}
	q.Key = "two"
	if again, _, err = s.Import(ctx, c, q); err != nil || !again.Repeated || !again.ImportedAt.Equal(got.ImportedAt) {
		t.Errorf("the same once more: %+v, %v", again, err)
	}

	v, _, err := s.Get(ctx, c, got.Identifier, registry.Use{})
	must(t, err)
	if v.Origin != licence.OriginExternal || v.Authority.Division != "430100" || v.Number != "JY23301050000777" {
		t.Errorf("read: %+v", v.Licence)
	}
	downloaded, _, err := s.Download(ctx, c, got.Identifier, registry.Use{})
	if err != nil || !bytes.Equal(downloaded, file) {
		t.Errorf("downloaded %q, %v", downloaded, err)
	}
	holder := registry.Caller{Principal: "h", Roles: []registry.Role{registry.RoleHolder}, Holder: v.Holder}
	found, _, err := s.Search(ctx, holder, registry.Query{Holder: v.Holder}, registry.Use{})
	if err != nil || len(found) != 1 || found[0].Origin != licence.OriginExternal {
		t.Errorf("found %d, %v", len(found), err)
	}
	_, err = s.Verify(ctx, registry.Anonymous("v"), func() [32]byte { return [32]byte{1} }, func(l registry.Lookup) registry.Verdict {
		k, err := l.ByFile(ctx, sm3.Sum(file))
		if err != nil || k.External == nil || k.External.Authority.Code != foreignCode || k.File.SealedAt.IsZero() {
			t.Errorf("looked up: %+v, %v", k, err)
		}
		return registry.Verdict{}
	})
	must(t, err)
	i, _, err := s.ReadImport(ctx, c, got.Identifier, registry.Use{})
	if err != nil || i.Verdict != registry.ImportValid || i.Platform != "外省政务服务平台" || string(i.Report) != `{"origin":"external"}` || i.Given != id {
		t.Errorf("how it came: %+v, %v", i, err)
	}
	counts, _, _, err := s.Statistics().Count(ctx, c, statistics.Query{}, registry.Use{})
	must(t, err)
	if !slices.ContainsFunc(counts, func(n registry.Count) bool { return n.Measure == "valid" && n.Origin == "external" && n.Count == 1 }) {
		t.Errorf("counted: %+v", counts)
	}

	// Departments reuse it under the grants that there are, and are told whose it is.
	s.Grant(t, registry.Grant{Authority: registrytest.Department, TypeCode: got.TypeCode, Fields: []string{"number"}, MatterCode: "m"})
	s.Case(t, registrytest.Department, registry.Case{Number: "C1", MatterCode: "m", Holder: v.Holder, Types: []string{got.TypeCode}})
	reused, _, err := s.Reuse(ctx, registrytest.Partner(), registry.ReuseRequest{Holder: v.Holder, TypeCode: got.TypeCode,
		Use: registry.Use{Purpose: "核对食品经营者的许可状态", Case: "C1", Matter: "m", Operator: "o"}})
	if err != nil || len(reused) != 1 || reused[0].Origin != licence.OriginExternal || reused[0].Fields["number"] != "JY23301050000777" {
		t.Errorf("reused: %+v, %v", reused, err)
	}

	// A dispute about it goes to whoever imported it.
	_, err = s.PutClient(ctx, registry.System("t"), registry.Client{ID: c.Principal, Salt: []byte("s"), SecretHash: []byte("h"), Roles: c.Roles, Authority: c.Authority, Types: c.Types})
	must(t, err)
	raised, _, err := s.Disputes().Raise(ctx, holder, disputes.Request{Key: "dispute", Dispute: dispute.Dispute{Kind: dispute.WrongLicence, Licence: got.Identifier, Statement: dispute.Statement{Text: "这张证照不是我的"}}})
	if err != nil || raised.AuthorityCode != c.Authority.Code {
		t.Errorf("disputed: %+v, %v", raised, err)
	}

	// Nothing of it is made here.
	if n, err := s.Upgrade(ctx); n != 0 || err != nil {
		t.Errorf("%d upgraded, %v", n, err)
	}
	for _, op := range []licence.Operation{licence.OpAmend, licence.OpRenew, licence.OpReissue, licence.OpCorrect, licence.OpTransfer} {
		_, _, err := replacers(s.Registry)[op](ctx, c, got.Identifier, registry.VersionRequest{Key: "k" + string(op), Body: []byte(bodies[op])})
		wantCode(t, string(op), err, "external_licence")
	}
	_, _, err = s.Bundles().Make(ctx, c, got.Identifier, registry.Use{})
	wantCode(t, "bundle", err, "external_licence")
	changed, _, err := s.Revoke(ctx, c, got.Identifier, registry.StatusRequest{Key: "revoke", Reason: "原发证机关已吊销"})
	if err != nil || changed.Status != licence.StatusRevoked {
		t.Errorf("revoked: %+v, %v", changed, err)
	}
	q.Key = "three"
	if again, _, err = s.Import(ctx, c, q); err != nil || again.Status != licence.StatusRevoked {
		t.Errorf("the same after it was revoked: %+v, %v", again, err)
	}
}

// TestImportConflicts: what is not the same is refused, whatever key it comes with.
func TestImportConflicts(t *testing.T) {
	s := importing(t)
	_, c := sample(t, "food-retail.json")
	ctx, n := t.Context(), 0
	enter := func(file string, changes map[string]any) (registry.Imported, error) {
		n++
		q := registry.ImportRequest{Key: "key" + strings.Repeat("i", n), Body: importBody(t, changes)}
		if file != "" {
			q.File = []byte(file)
		}
		got, _, err := s.Import(ctx, c, q)
		return got, err
	}
	id := foreignIdentifier(t, "B1", 1)
	_, err := enter("valid 1", map[string]any{"identifier": id})
	must(t, err)
	with := func(name string, value any) map[string]any { return map[string]any{"identifier": id, name: value} }
	_, err = enter("valid 2", with("existing", nil))
	wantCode(t, "another file", err, "already_imported")
	_, err = enter("valid 1", with("expires_on", "2032-01-01"))
	wantCode(t, "other data", err, "already_imported")
	_, err = enter("valid 1", map[string]any{"identifier": foreignIdentifier(t, "B2", 1), "number": "JY2"})
	wantCode(t, "its file as another licence's", err, "already_imported")
	_, err = enter("valid 3", map[string]any{"identifier": foreignIdentifier(t, "B3", 1)})
	wantCode(t, "its number in another licence", err, "number_taken")
	own := issue(t, s, "food-retail.json", "own")
	_, err = enter("valid 4", map[string]any{"identifier": string(own.Identifier), "number": own.Number, "authority": map[string]any{"name": c.Authority.Name, "code": c.Authority.Code}})
	wantCode(t, "one of our own", err, "already_imported")

	// Nor what another authority issues that seals here: else its numbers could be taken.
	_, err = enter("valid 5", map[string]any{"authority": map[string]any{"name": registrytest.Authorities["11100000MB19000005901"].Name, "code": registrytest.Authorities["11100000MB19000005901"].Code}})
	wantCode(t, "of another authority of ours", err, "forbidden")

	// A later version of its issuer takes its place; an earlier one does not.
	next := foreignIdentifier(t, "B1", 3)
	_, err = enter("valid 8", map[string]any{"identifier": foreignIdentifier(t, "B4", 1), "number": "JY8"})
	must(t, err)
	_, err = enter("valid 9", map[string]any{"identifier": next, "number": "JY8"})
	wantCode(t, "a later version with another licence's number", err, "number_taken")
	got, err := enter("valid 5", map[string]any{"identifier": next})
	if err != nil || string(got.Supersedes) != id {
		t.Errorf("a later version: %+v, %v", got, err)
	}
	if again, err := enter("valid 5", map[string]any{"identifier": next}); err != nil || !again.Repeated {
		t.Errorf("a later version once more: %+v, %v", again, err)
	}
	old, _, err := s.Get(ctx, c, licence.Identifier(id), registry.Use{})
	if err != nil || old.Status != licence.StatusSuperseded || string(old.SupersededBy) != next {
		t.Errorf("the version before: %+v, %v", old, err)
	}
	superseded := slices.ContainsFunc(entries(t, s, 0), func(e audit.Record) bool {
		return e.Entry.Action == registry.ActionSupersede && e.Entry.Object == id
	})
	if !superseded {
		t.Error("no entry says that the version before was superseded")
	}
	_, err = enter("valid 6", map[string]any{"identifier": foreignIdentifier(t, "B1", 2)})
	wantCode(t, "an earlier version", err, "already_imported")
	_, _, err = s.Cancel(ctx, c, licence.Identifier(next), registry.StatusRequest{Key: "c", Reason: "r"})
	must(t, err)
	_, err = enter("valid 7", map[string]any{"identifier": foreignIdentifier(t, "B1", 4)})
	wantCode(t, "a version of what was cancelled", err, "wrong_status")

	// Another authority keeps its hands off.
	other := c
	other.Authority = registrytest.Authorities[registrytest.PortraitType]
	other.Authority.Division = c.Authority.Division
	_, _, err = s.Revoke(ctx, other, licence.Identifier(next), registry.StatusRequest{Key: "o", Reason: "r"})
	wantCode(t, "revoked by another authority", err, "forbidden")
	_, _, err = s.Import(ctx, other, registry.ImportRequest{Key: "x", Body: importBody(t, map[string]any{"identifier": next}), File: []byte("valid 5")})
	wantCode(t, "imported by another authority", err, "already_imported")
}

// TestImportExisting enters licences that lack a file, or fields, or an identifier of
// GB/T 36904, and those with a wrong signature or check character.
func TestImportExisting(t *testing.T) {
	s := importing(t)
	_, c := sample(t, "food-retail.json")
	ctx := t.Context()
	enter := func(key, file string, changes map[string]any) (registry.Imported, error) {
		q := registry.ImportRequest{Key: key, Body: importBody(t, changes)}
		if file != "" {
			q.File = []byte(file)
		}
		got, _, err := s.Import(ctx, c, q)
		return got, err
	}
	bare := map[string]any{"existing": true, "fields": nil}
	_, err := enter("a", "", map[string]any{"fields": nil})
	wantCode(t, "neither fields nor existing", err, "invalid_request")
	_, err = enter("b", "", nil)
	wantCode(t, "neither file nor existing", err, "invalid_request")
	got, err := enter("c", "", bare)
	if err != nil || got.Verdict != registry.ImportNoFile || !got.Existing || got.FileDigest != "" || got.Identifier.Serial()[0] != 'E' || got.Identifier.AuthorityCode() != foreignCode {
		t.Fatalf("without anything: %+v, %v", got, err)
	}
	_, _, err = s.Download(ctx, c, got.Identifier, registry.Use{})
	wantCode(t, "downloaded without a file", err, "not_found")
	with, err := enter("d", "indeterminate scan", bare)
	if err != nil || with.Identifier != got.Identifier || with.Repeated || with.Verdict != registry.ImportIndeterminate {
		t.Errorf("its file later: %+v, %v", with, err)
	}
	if again, err := enter("e", "", bare); err != nil || !again.Repeated {
		t.Errorf("without the file again: %+v, %v", again, err)
	}
	i, _, err := s.ReadImport(ctx, c, got.Identifier, registry.Use{})
	if err != nil || i.Verdict != registry.ImportIndeterminate {
		t.Errorf("how its file came: %+v, %v", i, err)
	}

	wrong := strings.TrimSuffix(foreignIdentifier(t, "C1", 1), foreignIdentifier(t, "C1", 1)[len(foreignIdentifier(t, "C1", 1))-1:]) + "#"
	named := map[string]any{"identifier": wrong, "number": "JYC1"}
	_, err = enter("f", "valid c", named)
	if fault := (*licence.RequestError)(nil); !errors.As(err, &fault) || fault.Fields[0].Code != licence.CodeCheckCharacter {
		t.Errorf("a wrong identifier: %v", err)
	}
	named["override_reason"] = "外省平台的校验位有误，已电话核实"
	got, err = enter("g", "valid c", named)
	if err != nil || got.Given != wrong || got.Identifier.Serial()[0] != 'E' {
		t.Errorf("a wrong identifier, with a reason: %+v, %v", got, err)
	}
	other, err := enter("h", "valid d", map[string]any{"identifier": "闽证字2019第3号", "number": "JYC2"})
	if err != nil || other.Given == "" || other.Identifier == got.Identifier {
		t.Errorf("an identifier of another kind: %+v, %v", other, err)
	}

	forged := map[string]any{"number": "JYF"}
	_, err = enter("i", "invalid file", forged)
	wantCode(t, "a file that was altered", err, "import_invalid")
	forged["override_reason"] = "核对原件，签章系统升级前的文件"
	got, err = enter("j", "invalid file", forged)
	if err != nil || got.Verdict != registry.ImportInvalid || got.Codes[0] != "external_content_changed" {
		t.Errorf("a file that was altered, with a reason: %+v, %v", got, err)
	}
	last := entries(t, s, 0)[len(entries(t, s, 0))-1].Entry
	if last.Code != "invalid" || last.Purpose != forged["override_reason"] {
		t.Errorf("log of the override: %+v", last)
	}
}

// TestImportRefused: whoever may not, and what is no request.
func TestImportRefused(t *testing.T) {
	s := importing(t)
	_, c := sample(t, "food-retail.json")
	body := importBody(t, map[string]any{"identifier": foreignIdentifier(t, "D1", 1)})
	for name, change := range map[string]struct {
		code string
		do   func(*registry.Caller, *registry.ImportRequest)
	}{
		"of another type": {"forbidden", func(c *registry.Caller, _ *registry.ImportRequest) { c.Types = []string{registrytest.JointType} }},
		"partner":         {"forbidden", func(c *registry.Caller, _ *registry.ImportRequest) { c.Roles = []registry.Role{registry.RolePartner} }},
		"no key":          {"idempotency_key_missing", func(_ *registry.Caller, q *registry.ImportRequest) { q.Key = "" }},
		"no JSON":         {"invalid_request", func(_ *registry.Caller, q *registry.ImportRequest) { q.Body = []byte("x") }},
		"unknown type": {"forbidden", func(_ *registry.Caller, q *registry.ImportRequest) {
			q.Body = importBody(t, map[string]any{"type_code": newType})
		}},
		"unknown member": {"invalid_request", func(_ *registry.Caller, q *registry.ImportRequest) {
			q.Body = importBody(t, map[string]any{"status": "valid"})
		}},
		"identifier's own type": {"invalid_request", func(_ *registry.Caller, q *registry.ImportRequest) {
			q.Body = importBody(t, map[string]any{"identifier": "1.2.156.3005.2.11100000000013338W009.11330105002500287C.2025052201.002.0"})
		}},
		"other authority than the identifier's": {"invalid_request", func(_ *registry.Caller, q *registry.ImportRequest) {
			q.Body = importBody(t, map[string]any{"identifier": foreignIdentifier(t, "D1", 1), "authority": map[string]any{"name": "x", "code": "11330105002500287C"}})
		}},
		"holder's code": {"invalid_request", func(_ *registry.Caller, q *registry.ImportRequest) {
			q.Body = bytes.Replace(body, []byte("92330106MA0000A27G"), []byte("92330106MA0000A27H"), 1)
		}},
		"no number": {"invalid_request", func(_ *registry.Caller, q *registry.ImportRequest) {
			q.Body = importBody(t, map[string]any{"number": nil})
		}},
		"dates in disorder": {"invalid_request", func(_ *registry.Caller, q *registry.ImportRequest) {
			q.Body = importBody(t, map[string]any{"expires_on": "2020-01-01"})
		}},
		"existing in words": {"invalid_request", func(_ *registry.Caller, q *registry.ImportRequest) {
			q.Body = importBody(t, map[string]any{"existing": "yes"})
		}},
		"hidden character": {"invalid_request", func(_ *registry.Caller, q *registry.ImportRequest) {
			q.Body = importBody(t, map[string]any{"platform": "外省\u202e"})
		}},
	} {
		caller, q := c, registry.ImportRequest{Key: "k", Body: body, File: []byte("valid x")}
		change.do(&caller, &q)
		before := len(entries(t, s, 0))
		_, _, err := s.Import(t.Context(), caller, q)
		wantCode(t, name, err, change.code)
		if n := len(entries(t, s, 0)) - before; n != 1 {
			t.Errorf("%s: %d log entries", name, n)
		}
	}
	own := issue(t, s, "food-retail.json", "own")
	_, _, err := s.ReadImport(t.Context(), c, own.Identifier, registry.Use{})
	wantCode(t, "how one of our own came", err, "not_found")
}

// TestImportTold: whoever subscribed to a type hears of what is imported, once.
func TestImportTold(t *testing.T) {
	s := importing(t)
	_, c := sample(t, "food-retail.json")
	ctx := t.Context()
	s.Register(t, c)
	_, _, err := s.Subscriptions().Subscribe(ctx, c, subscriptions.Request{Key: "s", URL: "https://receiver.example.gov.cn/events", TypeCodes: c.Types})
	must(t, err)
	first, next := foreignIdentifier(t, "E1", 1), foreignIdentifier(t, "E1", 2)
	for n, id := range []string{first, first, next} {
		_, _, err := s.Import(ctx, c, registry.ImportRequest{Key: fmt.Sprint(n), Body: importBody(t, map[string]any{"identifier": id, "existing": true})})
		must(t, err)
	}
	for _, want := range []event.Event{{Subject: licence.Identifier(first)}, {Subject: licence.Identifier(next), Supersedes: licence.Identifier(first)}} {
		s.Move(time.Minute)
		waiting, err := s.Subscriptions().Waiting(ctx)
		if err != nil || len(waiting) != 1 {
			t.Fatalf("%d wait, %v", len(waiting), err)
		}
		told, err := s.Subscriptions().Claim(ctx, waiting[0], time.Minute, 10)
		if err != nil || len(told) != 1 || told[0].Event.Type != event.Issued || told[0].Event.Subject != want.Subject || told[0].Event.Supersedes != want.Supersedes {
			t.Fatalf("told %+v, %v", told, err)
		}
		must(t, s.Subscriptions().Settle(ctx, told[0], event.Outcome{Delivered: true}, 0))
	}
	if waiting, err := s.Subscriptions().Waiting(ctx); err != nil || len(waiting) != 0 {
		t.Errorf("%d wait in the end, %v", len(waiting), err)
	}
}

// TestImportDisputed: what is wrong with another platform's licence is put right when the
// licence has ended here, and not before.
func TestImportDisputed(t *testing.T) {
	s := importing(t)
	_, c := sample(t, "food-retail.json")
	ctx := t.Context()
	got, _, err := s.Import(ctx, c, registry.ImportRequest{Key: "one", Body: importBody(t, map[string]any{"existing": true})})
	must(t, err)
	_, err = s.PutClient(ctx, registry.System("t"), registry.Client{ID: c.Principal, Salt: []byte("s"), SecretHash: []byte("h"), Roles: c.Roles, Authority: c.Authority, Types: c.Types})
	must(t, err)
	v, _, err := s.Get(ctx, c, got.Identifier, registry.Use{})
	must(t, err)
	holder := registry.Caller{Principal: "h", Roles: []registry.Role{registry.RoleHolder}, Holder: v.Holder}
	raised, _, err := s.Disputes().Raise(ctx, holder, disputes.Request{Key: "d", Dispute: dispute.Dispute{Kind: dispute.WrongData, Licence: got.Identifier, Statement: dispute.Statement{Field: "holder.name", ShouldBe: "另一名称"}}})
	must(t, err)
	answers := registry.Caller{Principal: "a", Roles: []registry.Role{registry.RoleAuthority}, Authority: c.Authority, Types: c.Types, RequestID: "r"}
	done := func(key string) registry.StatusRequest {
		return registry.StatusRequest{Key: key, Reason: "归集有误", Operator: "王五"}
	}
	must(t, second(s.Disputes().Accept(ctx, answers, raised.ID, done("accept"))))
	closed := func() error {
		return second(s.Disputes().Close(ctx, answers, raised.ID, disputes.CloseRequest{StatusRequest: done("close")}))
	}
	wantCode(t, "while it is valid", closed(), "invalid_request")
	must(t, second(s.Cancel(ctx, c, got.Identifier, registry.StatusRequest{Key: "cancel", Reason: "归集有误"})))
	if err := closed(); err != nil {
		t.Errorf("once it was cancelled: %v", err)
	}
}
