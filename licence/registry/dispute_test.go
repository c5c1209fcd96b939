package registry_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/dispute"
	"elicence/licence/registry"
	"elicence/licence/registry/accesslog"
	"elicence/licence/registry/disputes"
	"elicence/licence/registry/registrytest"

	"github.com/google/go-cmp/cmp"
)

// stands reads a dispute.
func (w *walker) stands(id string) dispute.Dispute {
	w.t.Helper()
	d, _, err := w.Disputes().Get(w.t.Context(), w.holder, id, registry.Use{})
	must(w.t, err)
	return d
}

// TestDispute takes a dispute about data from the holder to the corrected licence: who answers
// sees it, the correction closes it in the transaction that issues the new version, and what
// was written stands in the log as a commitment alone.
func TestDispute(t *testing.T) {
	t.Parallel()
	w := newWalker(t, open(t))
	old := w.issued.Identifier
	from := size(t, w.Service)
	id := w.raise(dispute.WrongData, old)
	row, err := audit.ReadEntry(t.Context(), w.Backend, registrytest.LogID, from)
	must(t, err)
	record, err := audit.ParseRecord(row.Record)
	must(t, err)
	personal, err := record.OpenPersonal(row.Opening)
	if err != nil || personal["should_be"] != "䶮记面馆" || personal["field"] != "holder.name" || strings.Contains(string(row.Record), "䶮") {
		t.Errorf("the log commits to %v, %v", personal, err)
	}
	open := w.stands(id)
	if open.State != dispute.Open || open.TypeCode != w.issued.TypeCode || open.Authority.Code != w.approval.Authority.Code || open.Authority.Name == "" || !open.Due.After(w.Now()) {
		t.Errorf("raised: %+v", open)
	}
	listed, _, err := w.Disputes().List(t.Context(), w.answerer(), registry.DisputeQuery{State: dispute.Open, Limit: 5}, registry.Use{})
	want := dispute.Dispute{ID: id, Kind: open.Kind, State: open.State, TypeCode: open.TypeCode, Authority: open.Authority, RaisedAt: open.RaisedAt, Due: open.Due}
	if diff := cmp.Diff(listed, []dispute.Dispute{want}); err != nil || diff != "" {
		t.Errorf("listed for who answers: %v\n%s", err, diff)
	}
	must(t, second(w.Disputes().Accept(t.Context(), w.answerer(), id, registry.StatusRequest{Key: "a", Reason: "经核实属实", Operator: "王五"})))
	if d := w.stands(id); d.State != dispute.Accepted || d.DecidedBy != "answerer" || d.Acted || d.Reason != "经核实属实" || !d.Due.After(open.Due) {
		t.Errorf("accepted: %+v", d)
	}
	from = size(t, w.Service)
	corrected, _, err := w.Correct(t.Context(), w.approval, old, registry.VersionRequest{Key: "c", Body: []byte(bodies[licence.OpCorrect])})
	must(t, err)
	wantTrail(t, w.Service, from, "correct allowed", "reserved allowed", "sealing allowed", "superseded allowed", "dispute_close allowed corrected", "issued allowed")
	closed := w.stands(id)
	if closed.State != dispute.Closed || closed.Version != corrected.Identifier || closed.ClosedBy != w.approval.Principal {
		t.Errorf("corrected: %+v", closed)
	}
	own, _, err := w.AccessLog().Own(t.Context(), w.holder, accesslog.Query{Limit: 30}, registry.Use{})
	must(t, err)
	seen := map[audit.Action]bool{}
	for _, e := range own.Entries {
		if e.Entry.Object == "dispute/"+id {
			seen[e.Entry.Action] = true
		}
	}
	if len(seen) != 4 { // raised, read, accepted, closed
		t.Errorf("the holder finds %v", seen)
	}
}

// second is the error of an answer.
func second[A any](_ A, _ audit.Receipt, err error) error { return err }

// TestDisputeRefused: what a holder may not raise, and who is not let at a dispute.
func TestDisputeRefused(t *testing.T) {
	t.Parallel()
	w := newWalker(t, open(t))
	mine := size(t, w.Service) - 1 // the entry "issued" of the walk's licence
	driver := issue(t, w.Service, "driver-freight.json", "k").Identifier
	foreign := size(t, w.Service) - 1
	text := dispute.Statement{Text: "并非本单位所为"}
	licenceOf := func(kind dispute.Kind, id licence.Identifier, s dispute.Statement) dispute.Dispute {
		return dispute.Dispute{Kind: kind, Licence: id, Statement: s}
	}
	missing := dispute.Dispute{Kind: dispute.MissingLicence, TypeCode: w.issued.TypeCode, Authority: w.approval.Authority, Statement: text}
	noType, noAuthority, unsaid := missing, missing, missing
	noType.TypeCode, noAuthority.Authority.Code, unsaid.Statement = "11100000MB0143028R999", "91110000600037341L", dispute.Statement{}
	for name, c := range map[string]struct {
		d    dispute.Dispute
		code string
	}{
		"of no kind":                {licenceOf("", w.issued.Identifier, text), "invalid_request"},
		"of another kind":           {licenceOf("fraud", w.issued.Identifier, text), "invalid_request"},
		"without words":             {licenceOf(dispute.WrongLicence, w.issued.Identifier, dispute.Statement{}), "invalid_request"},
		"of another's licence":      {licenceOf(dispute.WrongLicence, driver, text), "not_found"},
		"of no licence":             {licenceOf(dispute.WrongLicence, "", text), "not_found"},
		"of an unknown field":       {licenceOf(dispute.WrongData, w.issued.Identifier, dispute.Statement{Field: "fields.plate", ShouldBe: "x"}), "invalid_request"},
		"of its status":             {licenceOf(dispute.WrongData, w.issued.Identifier, dispute.Statement{Field: "status", ShouldBe: "x"}), "invalid_request"},
		"of another's entry":        {dispute.Dispute{Kind: dispute.UnknownUse, Entry: foreign, Statement: text}, "not_found"},
		"of an entry to come":       {dispute.Dispute{Kind: dispute.UnknownUse, Entry: 1 << 40, Statement: text}, "not_found"},
		"of the greatest index":     {dispute.Dispute{Kind: dispute.UnknownUse, Entry: 1<<64 - 1, Statement: text}, "not_found"},
		"of an entry about nobody":  {dispute.Dispute{Kind: dispute.UnknownUse, Entry: 0, Statement: text}, "not_found"},
		"missing, of no type":       {noType, "invalid_request"},
		"missing, of no authority":  {noAuthority, "invalid_request"},
		"missing, without words":    {unsaid, "invalid_request"},
		"hiding characters":         {licenceOf(dispute.WrongLicence, w.issued.Identifier, dispute.Statement{Text: "a\u202eb"}), "invalid_request"},
		"longer than the log takes": {licenceOf(dispute.WrongLicence, w.issued.Identifier, dispute.Statement{Text: strings.Repeat("长", 400)}), "invalid_request"},
	} {
		from := size(t, w.Service)
		if err := second(w.Disputes().Raise(t.Context(), w.holder, disputes.Request{Key: w.next(), Dispute: c.d})); registry.Code(err) != c.code {
			t.Errorf("%s: %v, want %s", name, err, c.code)
		}
		if logged := trail(t, w.Service, from); len(logged) != 1 || !strings.HasPrefix(logged[0], "dispute_raise refused ") {
			t.Errorf("%s: the log has %q", name, logged)
		}
	}
	if err := second(w.Disputes().Raise(t.Context(), w.holder, disputes.Request{Dispute: missing})); !errors.Is(err, registry.ErrKeyMissing) {
		t.Errorf("without a key: %v", err)
	}
	nobody := w.holder
	nobody.Holder = licence.Holder{}
	if err := second(w.Disputes().Raise(t.Context(), nobody, disputes.Request{Key: "n", Dispute: missing})); !errors.Is(err, registry.ErrForbidden) {
		t.Errorf("of no holder: %v", err)
	}

	// The same twice; in all versions it is the same licence.
	w.raise(dispute.WrongLicence, w.issued.Identifier)
	again := disputes.Request{Key: w.next(), Dispute: licenceOf(dispute.WrongLicence, w.issued.Identifier, text)}
	if err := second(w.Disputes().Raise(t.Context(), w.holder, again)); !errors.Is(err, registry.ErrDisputeStands) {
		t.Errorf("twice: %v", err)
	}
	// A use under a hold is not there for its holder.
	use := dispute.Dispute{Kind: dispute.UnknownUse, Entry: mine, Statement: text}
	state, _, err := w.Disputes().Raise(t.Context(), w.holder, disputes.Request{Key: w.next(), Dispute: use})
	if err != nil || state.AuthorityCode != "" {
		t.Errorf("of what a client that is not registered did: %+v, %v", state, err)
	}
	_, err = w.AccessLog().PlaceHold(t.Context(), walkSystem, registry.Hold{Principal: "client", Case: "held", OrderedBy: "局", Basis: "函", Until: w.Now().Add(time.Hour)})
	must(t, err)
	reader := w.approval
	reader.Principal = "client"
	_, receipt, err := w.Get(t.Context(), reader, w.issued.Identifier, registry.Use{Case: "held"})
	must(t, err)
	use.Entry = receipt.Index
	if err := second(w.Disputes().Raise(t.Context(), w.holder, disputes.Request{Key: w.next(), Dispute: use})); !errors.Is(err, licence.ErrNotFound) {
		t.Errorf("under a hold: %v", err)
	}
}

// TestDisputeReach: who reads a dispute, and who answers it.
func TestDisputeReach(t *testing.T) {
	t.Parallel()
	w := newWalker(t, open(t))
	_, err := w.PutClient(t.Context(), walkSystem, registry.Client{ID: "partner", Salt: []byte("s"), SecretHash: []byte("h"), Roles: []registry.Role{registry.RolePartner}, Authority: registrytest.Department})
	must(t, err)
	w.openCase("walk")
	_, receipt, err := w.Reuse(t.Context(), registrytest.Partner(), w.reuse("walk"))
	must(t, err)
	data := w.raise(dispute.WrongData, w.issued.Identifier)
	state, _, err := w.Disputes().Raise(t.Context(), w.holder, disputes.Request{Key: "u", Dispute: dispute.Dispute{Kind: dispute.UnknownUse, Entry: receipt.Index, Statement: dispute.Statement{Text: "本单位没有办过这件事"}}})
	must(t, err)
	use := state.ID
	if state.AuthorityCode != registrytest.Department.Code {
		t.Errorf("the use goes to %+v", state)
	}
	authority := func(a licence.IssuingAuthority, types ...string) registry.Caller {
		return registry.Caller{Principal: "x", Roles: []registry.Role{registry.RoleAuthority}, Authority: a, Types: types, RequestID: "r"}
	}
	foreign := w.holder
	foreign.Holder.Code = "91110000600037341L"
	beside := w.approval.Authority
	beside.Code = "11330106MB1K04028C"
	elsewhere := w.approval.Authority
	elsewhere.Division = "330105"
	for name, c := range map[string]struct {
		as                               registry.Caller
		readsData, readsUse, dataAnswers bool
		useAnswers                       bool
	}{
		"the holder":                          {w.holder, true, true, false, false},
		"another holder":                      {foreign, false, false, false, false},
		"who issued, of the type":             {authority(w.approval.Authority, w.issued.TypeCode), true, false, true, false},
		"who issued, of another type":         {authority(w.approval.Authority, "11100000MB19000005901"), false, false, false, false},
		"who issued, in another division":     {authority(elsewhere, w.issued.TypeCode), false, false, false, false},
		"above, of the type":                  {authority(registrytest.Platform, w.issued.TypeCode), true, false, true, false},
		"beside, of the type":                 {authority(beside, w.issued.TypeCode), false, false, false, false},
		"who used":                            {authority(registrytest.Department), false, true, false, true},
		"beside who used":                     {authority(registrytest.Platform), false, false, false, false},
		"the auditor":                         {walkAuditor, true, true, false, true},
		"the approval system":                 {w.approval, false, false, false, false},
		"the partner":                         {registrytest.Partner(), false, false, false, false},
		"an authority of no department":       {authority(licence.IssuingAuthority{}, w.issued.TypeCode), false, false, false, false},
		"an authority that is also an issuer": {registry.Caller{Principal: w.approval.Principal, Roles: []registry.Role{registry.RoleApprovalSystem, registry.RoleAuthority}, Authority: w.approval.Authority, Types: w.approval.Types}, true, false, true, false},
	} {
		for _, of := range []struct {
			id             string
			reads, answers bool
		}{{data, c.readsData, c.dataAnswers}, {use, c.readsUse, c.useAnswers}} {
			d, _, err := w.Disputes().Get(t.Context(), c.as, of.id, registry.Use{})
			if (err == nil) != of.reads {
				t.Errorf("%s reads: %v", name, err)
			}
			// The auditor answers the use alone, and so reads that whole.
			if whole := of.reads && (of.answers || c.as.Holder.Code != ""); (d.Holder.Code != "") != whole || (d.Statement.Text+d.Statement.ShouldBe != "") != whole {
				t.Errorf("%s reads %+v", name, d)
			}
			// Without a reason nothing is decided: the refusal says how far the caller came.
			err = second(w.Disputes().Reject(t.Context(), c.as, of.id, registry.StatusRequest{Key: w.next()}))
			if errors.Is(err, registry.ErrReasonMissing) != of.answers {
				t.Errorf("%s answers: %v", name, err)
			}
			if err := second(w.Disputes().Close(t.Context(), c.as, of.id, disputes.CloseRequest{StatusRequest: registry.StatusRequest{Key: w.next()}})); errors.Is(err, registry.ErrReasonMissing) != of.answers {
				t.Errorf("%s closes: %v", name, err)
			}
		}
		if err := second(w.Disputes().Withdraw(t.Context(), c.as, data, registry.StatusRequest{})); errors.Is(err, registry.ErrKeyMissing) != (name == "the holder") {
			t.Errorf("%s takes it back: %v", name, err)
		}
	}
	// Whoever made the licence may decide, and the decision says so.
	both := registry.Caller{Principal: w.approval.Principal, Roles: []registry.Role{registry.RoleAuthority}, Authority: w.approval.Authority, Types: w.approval.Types}
	must(t, second(w.Disputes().Reject(t.Context(), both, data, registry.StatusRequest{Key: w.next(), Reason: "与申请材料一致"})))
	if d := w.stands(data); !d.Acted || d.DecidedBy != w.approval.Principal || d.State != dispute.Rejected || d.Reason == "" {
		t.Errorf("%+v", d)
	}
	must(t, second(w.Disputes().Accept(t.Context(), walkAuditor, use, registry.StatusRequest{Key: w.next(), Reason: "办件不存在"})))
	must(t, second(w.Disputes().Close(t.Context(), authority(registrytest.Department), use, disputes.CloseRequest{StatusRequest: registry.StatusRequest{Key: w.next(), Reason: "已停用该账号并书面告知"}})))
	if d := w.stands(use); d.Acted || d.State != dispute.Closed || d.ClosedBy != "x" || d.Remedy == "" {
		t.Errorf("%+v", d)
	}
}

// TestDisputeSteps: what a dispute does not take in its state, and what closes one.
func TestDisputeSteps(t *testing.T) {
	t.Parallel()
	w := newWalker(t, open(t))
	by := w.answerer()
	closing := func(id string, version licence.Identifier) error {
		return second(w.Disputes().Close(t.Context(), by, id, disputes.CloseRequest{StatusRequest: w.status(), Version: version}))
	}
	faulty := func(what string, err error, field string) {
		t.Helper()
		if invalid := (*licence.RequestError)(nil); !errors.As(err, &invalid) || invalid.Fields[0].Field != field {
			t.Errorf("%s: %v, want a fault of %s", what, err, field)
		}
	}
	// Wrong licence: closed once it is not in force.
	wrong := w.another()
	id := w.raise(dispute.WrongLicence, wrong)
	if err := closing(id, ""); !errors.Is(err, registry.ErrNotRemedied) {
		t.Errorf("open, in force: %v", err)
	}
	faulty("a reason too long", second(w.Disputes().Reject(t.Context(), by, id, registry.StatusRequest{Key: w.next(), Reason: strings.Repeat("长", 251)})), "reason")
	must(t, second(w.Disputes().Accept(t.Context(), by, id, w.status())))
	for name, err := range map[string]error{
		"accepted twice":        second(w.Disputes().Accept(t.Context(), by, id, w.status())),
		"rejected after all":    second(w.Disputes().Reject(t.Context(), by, id, w.status())),
		"taken back when right": second(w.Disputes().Withdraw(t.Context(), w.holder, id, w.status())),
	} {
		if !errors.Is(err, licence.ErrWrongStatus) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := closing(id, ""); !errors.Is(err, registry.ErrNotRemedied) {
		t.Errorf("in force: %v", err)
	}
	must(t, second(w.Withdraw(t.Context(), w.approval, wrong, w.status())))
	q := disputes.CloseRequest{StatusRequest: w.status()}
	for range 2 { // the second is answered like the first
		state, _, err := w.Disputes().Close(t.Context(), by, id, q)
		if err != nil || state.State != dispute.Closed {
			t.Errorf("closing: %+v, %v", state, err)
		}
	}
	q.Body[0]++
	if err := second(w.Disputes().Close(t.Context(), by, id, q)); !errors.Is(err, registry.ErrKeyReused) {
		t.Errorf("the same key for something else: %v", err)
	}
	if err := closing(id, ""); !errors.Is(err, licence.ErrWrongStatus) {
		t.Errorf("closed twice: %v", err)
	}

	// Wrong data: closed by a version made since, whatever made it.
	data := w.another()
	id = w.accepted(dispute.WrongData, data)
	faulty("without a version", closing(id, ""), "version")
	faulty("by the same version", closing(id, data), "version")
	faulty("by another licence", closing(id, w.another()), "version")
	faulty("by none", closing(id, "x"), "version")
	w.Move(time.Second)
	amended, _, err := w.Amend(t.Context(), w.approval, data, registry.VersionRequest{Key: w.next(), Body: []byte(bodies[licence.OpAmend])})
	must(t, err)
	must(t, closing(id, amended.Identifier))
	late := w.accepted(dispute.WrongData, data)
	faulty("by a version made before", closing(late, amended.Identifier), "version")

	// Missing: closed by a licence of the type, the authority and the holder.
	state, _, err := w.Disputes().Raise(t.Context(), w.holder, disputes.Request{Key: w.next(), Dispute: dispute.Dispute{Kind: dispute.MissingLicence, TypeCode: w.issued.TypeCode, Authority: w.approval.Authority, Statement: dispute.Statement{Text: "去年已领取纸质证书"}}})
	must(t, err)
	must(t, second(w.Disputes().Accept(t.Context(), by, state.ID, w.status())))
	faulty("missing, by another type", closing(state.ID, issue(t, w.Service, "driver-freight.json", "k").Identifier), "version")
	faulty("missing, without a licence", closing(state.ID, ""), "version")
	must(t, closing(state.ID, w.another()))

	id = w.raise(dispute.WrongLicence, w.issued.Identifier)
	must(t, second(w.Disputes().Withdraw(t.Context(), w.holder, id, registry.StatusRequest{Key: w.next()})))
	if err := second(w.Disputes().Accept(t.Context(), by, id, w.status())); !errors.Is(err, licence.ErrWrongStatus) {
		t.Errorf("accepted after it was taken back: %v", err)
	}
	for name, err := range map[string]error{"accepted": second(w.Disputes().Accept(t.Context(), by, "none", w.status())), "taken back": second(w.Disputes().Withdraw(t.Context(), w.holder, "none", w.status()))} {
		if !errors.Is(err, licence.ErrNotFound) {
			t.Errorf("%s, of none: %v", name, err)
		}
	}
}
