package registry_test

import (
	"database/sql"
	"testing"

	"elicence/licence/registry"
	"elicence/licence/registry/accesslog"
	"elicence/licence/registry/registrytest"
)

// TestAltered alters in the database what opens a reuse: each is refused, as a reuse and as whatever
// else meets it, and the auditor is told which row it is, once.
func TestAltered(t *testing.T) {
	t.Parallel()
	s := open(t)
	w := newWalker(t, s)
	id := w.openCase("SB-1")
	path, _ := databases.Load(s)
	db, err := sql.Open("sqlite", path.(string))
	must(t, err)
	defer db.Close()
	exec := func(statement string) {
		t.Helper()
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	partner := registrytest.Partner()
	reuse := func() error {
		_, _, err := s.Reuse(t.Context(), partner, w.reuse("SB-1"))
		return err
	}
	must(t, reuse())
	var grant string
	must(t, db.QueryRow(`SELECT id FROM reuse_grant WHERE status = 'approved'`).Scan(&grant))
	licenceRow := "licence/" + string(w.issued.Identifier)
	for _, tt := range []struct {
		row, alter, restore string
		ask                 func() error
	}{
		{"reuse_grant/" + grant, `UPDATE reuse_grant SET fields = '["number","holder.code"]'`, `UPDATE reuse_grant SET fields = '["number","copy"]'`, reuse},
		{"reuse_case/" + id, `UPDATE reuse_case SET matter_code = 'n' WHERE id = '` + id + `'`, `UPDATE reuse_case SET matter_code = 'm' WHERE id = '` + id + `'`, reuse},
		{"client/client", `UPDATE client SET roles = '["auditor"]' WHERE id = 'client'`, `UPDATE client SET roles = '["partner"]' WHERE id = 'client'`, func() error {
			_, err := s.CallerFor(t.Context(), "client", "altered")
			return err
		}},
		{licenceRow, `UPDATE licence SET status = 'revoked' WHERE identifier = '` + string(w.issued.Identifier) + `'`, `UPDATE licence SET status = 'valid' WHERE identifier = '` + string(w.issued.Identifier) + `'`, func() error {
			_, _, err := s.Download(t.Context(), w.holder, w.issued.Identifier, registry.Use{})
			return err
		}},
		{"licence_status/" + string(w.issued.Identifier), `UPDATE licence_status SET status = 'voided' WHERE status = 'valid'`, `UPDATE licence_status SET status = 'valid' WHERE status = 'voided'`, func() (err error) {
			_, _ = s.Verify(t.Context(), w.approval, func() [32]byte { return [32]byte{} }, func(l registry.Lookup) registry.Verdict {
				_, err = l.StatusAsOf(t.Context(), w.issued.Identifier, s.Now())
				return registry.Verdict{}
			})
			return err
		}},
		{"licence_file/" + string(w.issued.Identifier), `UPDATE licence_file SET size = size + 1`, `UPDATE licence_file SET size = size - 1`, func() (err error) {
			_, _ = s.Verify(t.Context(), w.approval, func() [32]byte { return [32]byte{} }, func(l registry.Lookup) registry.Verdict {
				_, err = l.ByIdentifier(t.Context(), w.issued.Identifier)
				return registry.Verdict{}
			})
			return err
		}},
	} {
		exec(tt.alter)
		for range 2 {
			wantCode(t, tt.alter, tt.ask(), "record_altered")
		}
		exec(tt.restore)
		must(t, tt.ask())
		page, _, err := s.AccessLog().Search(t.Context(), walkAuditor, accesslog.Query{Action: registry.ActionAltered, Object: tt.row, Limit: 5})
		must(t, err)
		if len(page.Entries) != 1 || page.Entries[0].Entry.Principal != "system" || page.Entries[0].Entry.Code != "record_altered" {
			t.Errorf("%s: the auditor is told %+v", tt.row, page.Entries)
		}
	}
	page, _, err := s.AccessLog().Search(t.Context(), walkAuditor, accesslog.Query{Action: registry.ActionReuse, Limit: 10})
	must(t, err)
	var refused int
	for _, e := range page.Entries {
		if e.Entry.Code == "record_altered" {
			refused++
		}
	}
	if refused != 4 {
		t.Errorf("%d refusals of reuses are logged as record_altered, want 4", refused)
	}
	if _, _, err := s.Grants(t.Context(), registrytest.Requester(registrytest.Department), registry.GrantQuery{Limit: 5}); err != nil {
		t.Errorf("grants, put right: %v", err)
	}
}
