package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"elicence/licence"
	"elicence/licence/registry"
)

func testClients(t *testing.T, b Backend) {
	c := registry.Client{
		ID: "holder-1", SecretHash: []byte{1, 2, 0}, Salt: []byte{0, 3}, Roles: []registry.Role{registry.RoleHolder, registry.RolePartner},
		Authority: licence.IssuingAuthority{Name: "市场监督管理局", Code: authority, Division: "440300"},
		Types:     []string{typeCode, "another type"}, HolderCode: "11010519491231002X", HolderCodeType: licence.CodeTypeCitizenNumber,
		Authentication: registry.ByEither,
		DailyReuses:    7, OldSecretHash: []byte{4, 0}, OldSalt: []byte{0, 5}, OldUntil: after(time.Hour),
	}
	_, err := b.Client(t.Context(), c.ID)
	wantError(t, "unknown client", err, licence.ErrNotFound)

	bare := registry.Client{ID: "bare", SecretHash: []byte{1}, Salt: []byte{2}}
	replaced := c
	replaced.Disabled, replaced.HolderCode, replaced.SecretHash = true, "", []byte{9}
	for _, want := range []registry.Client{c, bare, replaced} {
		change(t, b, func(tx Tx) error { return tx.PutClient(t.Context(), want) })
		got, err := b.Client(t.Context(), want.ID)
		if diff := cmp.Diff(got, want); err != nil || diff != "" {
			t.Errorf("client differs (got, want): %v\n%s", err, diff)
		}
	}
}

func testClientLife(t *testing.T, b Backend) {
	c := registry.Client{ID: "c1", SecretHash: []byte{1}, Salt: []byte{2}, Authority: licence.IssuingAuthority{Division: "440305"}}
	elsewhere := registry.Client{ID: "c2", SecretHash: []byte{1}, Salt: []byte{2}, Authority: licence.IssuingAuthority{Division: "330100"}}
	change(t, b, func(tx Tx) error {
		return errors.Join(tx.InsertClient(t.Context(), c), tx.InsertClient(t.Context(), elsewhere))
	})
	taken := c
	taken.SecretHash = []byte{9}
	err := rerun(t.Context(), b, func(tx Tx) error { return tx.InsertClient(t.Context(), taken) })
	wantError(t, "the same identifier", err, registry.ErrClientTaken)
	taken.ID = "C1"
	err = rerun(t.Context(), b, func(tx Tx) error { return tx.InsertClient(t.Context(), taken) })
	wantError(t, "the same identifier in capitals", err, registry.ErrClientTaken)
	change(t, b, func(tx Tx) error { return tx.RotateClient(t.Context(), c.ID, []byte{3}, []byte{4}, after(time.Hour)) })
	change(t, b, func(tx Tx) error { return tx.DisableClient(t.Context(), c.ID) })
	want := c
	want.Salt, want.SecretHash, want.OldSalt, want.OldSecretHash, want.OldUntil, want.Disabled = []byte{3}, []byte{4}, []byte{2}, []byte{1}, after(time.Hour), true
	for division, all := range map[string][]registry.Client{"": {want, elsewhere}, "440300": {want}, "110000": nil} {
		got, err := b.Clients(t.Context(), registry.ClientQuery{Division: division, Limit: 10})
		if diff := cmp.Diff(got, all); err != nil || diff != "" {
			t.Errorf("clients of %q (got, want): %v\n%s", division, err, diff)
		}
	}
	if got, err := b.Clients(t.Context(), registry.ClientQuery{After: "c1", Limit: 1}); err != nil || len(got) != 1 || got[0].ID != "c2" {
		t.Errorf("the next page: %+v, %v", got, err)
	}
	for what, do := range map[string]func(Tx) error{
		"rotating": func(tx Tx) error { return tx.RotateClient(t.Context(), "none", nil, []byte{1}, base) }, "disabling": func(tx Tx) error { return tx.DisableClient(t.Context(), "none") },
	} {
		wantError(t, what+" nobody", rerun(t.Context(), b, do), licence.ErrNotFound)
	}
}

func testLicence(t *testing.T, b Backend) {
	full, bare := record(1), registry.Record{Identifier: identifier(2), Status: licence.StatusPending}
	full.File = file(1)
	full.File.Timestamped, full.File.TimestampedAt = true, after(time.Minute)
	insert(t, b, full, bare)
	for _, want := range []registry.Record{full, bare} {
		got, err := b.Licence(t.Context(), want.Identifier)
		if diff := cmp.Diff(got, want); err != nil || diff != "" {
			t.Errorf("licence differs (got, want): %v\n%s", err, diff)
		}
		change(t, b, func(tx Tx) error {
			got, err := tx.Licence(t.Context(), want.Identifier)
			if diff := cmp.Diff(got, want); diff != "" {
				t.Errorf("licence in a transaction differs (got, want):\n%s", diff)
			}
			return err
		})
	}
	_, err := b.Licence(t.Context(), identifier(3))
	wantError(t, "unknown licence", err, licence.ErrNotFound)
	err = rerun(t.Context(), b, func(tx Tx) error {
		_, err := tx.Licence(t.Context(), identifier(3))
		return err
	})
	wantError(t, "unknown licence in a transaction", err, licence.ErrNotFound)
}

// testLicences reads more licences than a store may look up at a time.
func testLicences(t *testing.T, b Backend) {
	want := map[licence.Identifier]registry.Record{}
	var ids []string
	for i := range 40 {
		rec := record(i)
		if i%2 == 0 {
			insert(t, b, rec)
			want[rec.Identifier] = rec
		}
		ids = append(ids, string(rec.Identifier))
	}
	for _, n := range []int{0, 1, 2, 40} {
		found, err := b.Licences(t.Context(), ids[:n])
		if err != nil || len(found) != (n+1)/2 {
			t.Fatalf("%d licences, %d of which are there: %d, %v", n, (n+1)/2, len(found), err)
		}
		for _, got := range found {
			if diff := cmp.Diff(got, want[got.Identifier]); diff != "" {
				t.Errorf("licence differs (got, want):\n%s", diff)
			}
		}
	}
}

func testNumberTaken(t *testing.T, b Backend) {
	insert(t, b, record(1))
	sameIdentifier, sameNumber, otherType, otherAuthority := record(2), record(3), record(4), record(5)
	sameIdentifier.Identifier = identifier(1)
	sameNumber.Number = record(1).Number
	otherType.Number, otherType.TypeCode = record(1).Number, "another type"
	otherAuthority.Number, otherAuthority.AuthorityCode = record(1).Number, "another authority"

	change(t, b, func(tx Tx) error {
		wantError(t, "same identifier", tx.InsertLicence(t.Context(), sameIdentifier), licence.ErrNumberTaken)
		wantError(t, "same number", tx.InsertLicence(t.Context(), sameNumber), licence.ErrNumberTaken)
		// The transaction lives on.
		return errors.Join(tx.InsertLicence(t.Context(), otherType), tx.InsertLicence(t.Context(), otherAuthority))
	})
	got, err := b.Licence(t.Context(), identifier(1))
	if diff := cmp.Diff(got, record(1)); err != nil || diff != "" {
		t.Errorf("the first licence changed (got, want): %v\n%s", err, diff)
	}
	_, err = b.Licence(t.Context(), identifier(3))
	wantError(t, "refused licence", err, licence.ErrNotFound)
}

func testStatus(t *testing.T, b Backend) {
	insert(t, b, record(1))
	issued := registry.Change{Reason: "issued", CaseNumber: "c1", At: after(time.Second)}
	change(t, b, func(tx Tx) error {
		return tx.SetStatus(t.Context(), identifier(1), []licence.Status{licence.StatusPending}, licence.StatusValid, issued)
	})
	want := record(1)
	want.Status, want.StatusReason, want.StatusAt = licence.StatusValid, issued.Reason, issued.At
	got, err := b.Licence(t.Context(), want.Identifier)
	if diff := cmp.Diff(got, want); err != nil || diff != "" {
		t.Errorf("licence after the change differs (got, want): %v\n%s", err, diff)
	}
	for _, c := range []struct {
		name string
		id   licence.Identifier
		from []licence.Status
		want error
	}{
		{"from another status", identifier(1), []licence.Status{licence.StatusPending}, licence.ErrWrongStatus},
		{"from several others", identifier(1), []licence.Status{licence.StatusPending, licence.StatusSuspended}, licence.ErrWrongStatus},
		{"from no status", identifier(1), nil, licence.ErrWrongStatus},
		{"from part of a name", identifier(1), []licence.Status{"invalid"}, licence.ErrWrongStatus},
		{"unknown licence", identifier(2), []licence.Status{licence.StatusPending}, licence.ErrNotFound},
		{"from several", identifier(1), []licence.Status{licence.StatusSuspended, licence.StatusValid}, nil},
	} {
		err := rerun(t.Context(), b, func(tx Tx) error {
			return tx.SetStatus(t.Context(), c.id, c.from, licence.StatusRevoked, issued)
		})
		wantError(t, c.name, err, c.want)
	}
}

func testHistory(t *testing.T, b Backend) {
	insert(t, b, record(1), record(2))
	steps := []struct {
		from, to licence.Status
		at       time.Time
	}{
		{licence.StatusPending, licence.StatusValid, after(time.Second)},
		{licence.StatusValid, licence.StatusSuspended, after(time.Hour)},
		{licence.StatusSuspended, licence.StatusValid, after(time.Hour)}, // in the same instant
		{licence.StatusValid, licence.StatusRevoked, after(2 * time.Hour)},
	}
	for _, s := range steps {
		change(t, b, func(tx Tx) error {
			return tx.SetStatus(t.Context(), identifier(1), []licence.Status{s.from}, s.to, registry.Change{Reason: "r", At: s.at})
		})
	}
	for _, c := range []struct {
		id   licence.Identifier
		at   time.Time
		want licence.Status
		err  error
	}{
		{identifier(1), after(-1), "", licence.ErrNotFound},
		{identifier(1), base, licence.StatusPending, nil},
		{identifier(1), after(time.Second - 1), licence.StatusPending, nil},
		{identifier(1), after(time.Second), licence.StatusValid, nil},
		{identifier(1), after(time.Hour), licence.StatusValid, nil},
		{identifier(1), after(2*time.Hour - 1), licence.StatusValid, nil},
		{identifier(1), after(24 * time.Hour), licence.StatusRevoked, nil},
		{identifier(2), after(24 * time.Hour), licence.StatusPending, nil},
		{identifier(3), after(24 * time.Hour), "", licence.ErrNotFound},
	} {
		got, err := b.StatusAsOf(t.Context(), c.id, c.at)
		if got.Status != c.want {
			t.Errorf("status of %s at %s: got %+v, want %q", c.id, c.at, got, c.want)
		}
		wantError(t, "status as of "+c.at.String(), err, c.err)
	}
}

func testUntimestamped(t *testing.T, b Backend) {
	records := make([]registry.Record, 6)
	for i := range records {
		records[i] = record(i)
		records[i].Status, records[i].File = licence.StatusValid, file(i+1)
	}
	records[1].File.Timestamped = true
	records[2].Status = licence.StatusSuspended
	records[3].File = registry.File{}
	insert(t, b, records...)
	for _, c := range []struct {
		limit int
		want  []licence.Identifier
	}{
		{10, []licence.Identifier{identifier(0), identifier(4), identifier(5)}},
		{2, []licence.Identifier{identifier(0), identifier(4)}},
	} {
		got, err := b.Untimestamped(t.Context(), c.limit)
		if diff := cmp.Diff(got, c.want); err != nil || diff != "" {
			t.Errorf("at most %d without timestamp (got, want): %v\n%s", c.limit, err, diff)
		}
	}
	upgraded := file(100)
	upgraded.Timestamped, upgraded.TimestampedAt = true, base
	change(t, b, func(tx Tx) error { return tx.SetFile(t.Context(), identifier(0), upgraded) })
	got, err := b.Untimestamped(t.Context(), 10)
	if diff := cmp.Diff(got, []licence.Identifier{identifier(4), identifier(5)}); err != nil || diff != "" {
		t.Errorf("after the upgrade (got, want): %v\n%s", err, diff)
	}
}

func testLease(t *testing.T, b Backend) {
	valid := record(2)
	valid.Status = licence.StatusValid
	later := record(3)
	later.LeaseUntil = after(time.Minute)
	insert(t, b, record(1), valid, later)

	lease := func(n int, now, until time.Time) error {
		return rerun(t.Context(), b, func(tx Tx) error { return tx.Lease(t.Context(), identifier(n), now, until) })
	}
	var without []string
	lapsed := func(now time.Time, limit int, want ...licence.Identifier) {
		t.Helper()
		got, err := b.Lapsed(t.Context(), now, without, limit)
		if diff := cmp.Diff(got, want); err != nil || diff != "" {
			t.Errorf("lapsed at %s (got, want): %v\n%s", now, err, diff)
		}
	}
	lapsed(after(30*time.Second), 10)
	lapsed(after(30*time.Second+1), 10, identifier(1))
	lapsed(after(time.Hour), 10, identifier(1), identifier(3))
	lapsed(after(time.Hour), 1, identifier(1))
	without = []string{"another type"}
	lapsed(after(time.Hour), 1, identifier(1))
	without = []string{"another type", typeCode}
	lapsed(after(time.Hour), 10)
	without = nil

	wantError(t, "lease that holds", lease(1, after(30*time.Second), after(time.Hour)), registry.ErrRunning)
	wantError(t, "lease of an issued licence", lease(2, after(time.Hour), after(time.Hour)), licence.ErrWrongStatus)
	wantError(t, "lease of an unknown licence", lease(4, after(time.Hour), after(time.Hour)), licence.ErrNotFound)
	wantError(t, "lease that lapsed", lease(1, after(30*time.Second+1), after(time.Hour)), nil)
	wantError(t, "lease taken over by another", lease(1, after(31*time.Second), after(time.Hour)), registry.ErrRunning)
	lapsed(after(time.Minute+1), 10, identifier(3))
}

func testSearch(t *testing.T, b Backend) {
	holder := record(0).Holder
	records := make([]registry.Record, 8)
	for i := range records {
		records[i] = record(i)
		records[i].Status = licence.StatusValid
	}
	records[1].Status = licence.StatusPending
	records[2].Status = licence.StatusVoided
	records[3].Division = "440100"
	records[4].TypeCode = "another type"
	records[5].Holder.Code = "another code"
	records[6].Holder.CodeType = licence.CodeTypeCitizenNumber // the same digits mean somebody else
	records[7].Holder.Name = "another name"
	insert(t, b, records...)

	for _, c := range []struct {
		name  string
		query registry.Query
		want  []int
	}{
		{"all", registry.Query{}, []int{7, 4, 3, 2, 1, 0}},
		{"issued", registry.Query{Issued: true}, []int{7, 4, 3, 0}},
		{"issued at an instant", registry.Query{Issued: true, AsOf: base}, []int{7, 4, 3, 0}},
		{"issued before there was any", registry.Query{Issued: true, AsOf: after(-1)}, nil},
		{"limited", registry.Query{Limit: 2}, []int{7, 4}},
		{"after", registry.Query{After: identifier(4), Limit: 2}, []int{3, 2}},
		{"after the last", registry.Query{After: identifier(0)}, nil},
		{"of a type", registry.Query{Types: []string{"another type"}}, []int{4}},
		{"of two types", registry.Query{Types: []string{"another type", "no type"}}, []int{4}},
		{"in a district", registry.Query{Division: "440305"}, []int{7, 4, 2, 1, 0}},
		{"in a city", registry.Query{Division: "440300"}, []int{7, 4, 2, 1, 0}},
		{"in another city", registry.Query{Division: "440100"}, []int{3}},
		{"in a province", registry.Query{Division: "440000"}, []int{7, 4, 3, 2, 1, 0}},
		{"in another province", registry.Query{Division: "110000"}, nil},
		{"by wildcard", registry.Query{Division: "44030%"}, nil},
	} {
		q := c.query
		q.Holder = licence.Holder{Code: holder.Code, CodeType: holder.CodeType}
		var want []licence.Identifier
		for _, i := range c.want {
			want = append(want, identifier(i))
		}
		got, err := b.Search(t.Context(), q)
		if diff := cmp.Diff(identifiers(got), want); err != nil || diff != "" {
			t.Errorf("%s: found (got, want): %v\n%s", c.name, err, diff)
		}
	}
	got, err := b.Search(t.Context(), registry.Query{Holder: holder, Limit: 1})
	if diff := cmp.Diff(got, records[7:]); err != nil || diff != "" {
		t.Errorf("found licence differs (got, want): %v\n%s", err, diff)
	}
}

// testEachNotValid has more licences that are not valid than a store may read at a time,
// an order that no language's sorting would keep, and valid ones between them.
func testEachNotValid(t *testing.T, b Backend) {
	var (
		records []registry.Record
		want    []licence.Identifier
	)
	for i := range 1203 {
		r := record(i)
		r.Status = licence.StatusSuspended
		records = append(records, r)
	}
	records[1].Status, records[2].Status = licence.StatusPending, licence.StatusVoided
	records[4].Status, records[7].Status = licence.StatusRevoked, licence.StatusValid
	for i, suffix := range []string{"-A", "-B", "-a"} {
		records[1200+i].Identifier = identifier(1100) + licence.Identifier(suffix)
	}
	for i, r := range records[:1200] {
		if i == 7 {
			continue
		}
		want = append(want, r.Identifier)
		if i == 1100 {
			want = append(want, r.Identifier+"-A", r.Identifier+"-B", r.Identifier+"-a")
		}
	}
	insert(t, b, records...)

	var got []licence.Identifier
	err := b.EachNotValid(t.Context(), func(id licence.Identifier, s licence.Status) error {
		got = append(got, id)
		if id == identifier(4) && s != licence.StatusRevoked || id == identifier(1) && s != licence.StatusPending {
			t.Errorf("status of %s is %s", id, s)
		}
		_, err := b.StatusAsOf(t.Context(), id, base.Add(time.Hour)) // fn may use the store
		return err
	})
	if diff := cmp.Diff(got, want); err != nil || diff != "" {
		t.Errorf("licences (got, want): %v\n%s", err, diff)
	}

	stop, calls := errors.New("stop"), 0
	err = b.EachNotValid(t.Context(), func(licence.Identifier, licence.Status) error {
		calls++
		return stop
	})
	wantError(t, "stopped", err, stop)
	if calls != 1 {
		t.Errorf("fn was called %d times after it failed", calls)
	}
}
