package registry_test

import (
	"cmp"
	"errors"
	"strings"
	"testing"

	"elicence/crypto/cryptotest"
	"elicence/licence"
	"elicence/licence/registry"
)

// TestSealLife takes a seal through its life. Only in use does it seal, and what is
// reserved when it is suspended waits for it.
func TestSealLife(t *testing.T) {
	s := open(t)
	body, c := sample(t, "food-retail.json")
	id := s.Config.Seals[c.Authority.Code].Seal.ID
	system := registry.System("test")
	issueNow := func(key string) error {
		_, _, err := s.Issue(t.Context(), c, registry.IssueRequest{Key: key, Body: body})
		return err
	}
	if err := issueNow("1"); err != nil {
		t.Fatal(err)
	}
	from := size(t, s)
	for i, step := range []struct {
		to   registry.SealStatus
		want error
		may  bool // seal afterwards
	}{
		{registry.SealRecorded, licence.ErrWrongStatus, true},
		{registry.SealInUse, licence.ErrWrongStatus, true},
		{registry.SealDestroyed, licence.ErrWrongStatus, true},
		{registry.SealSuspended, nil, false},
		{registry.SealSuspended, licence.ErrWrongStatus, false},
		{registry.SealInUse, nil, true},
		{registry.SealRevoked, nil, false},
		{registry.SealInUse, licence.ErrWrongStatus, false},
		{registry.SealDestroyed, nil, false},
		{registry.SealRevoked, licence.ErrWrongStatus, false},
	} {
		if _, err := s.ChangeSeal(t.Context(), system, id, step.to, "r"); !errors.Is(err, step.want) {
			t.Errorf("step %d to %s: %v", i, step.to, err)
		}
		if err := issueNow("step" + string(rune('a'+i))); (err == nil) != step.may || err != nil && !errors.Is(err, registry.ErrNoSeal) {
			t.Errorf("step %d: issue: %v", i, err)
		}
	}
	var changes []string
	for _, line := range trail(t, s, from) {
		if strings.HasPrefix(line, "seal_") {
			changes = append(changes, line)
		}
	}
	want := "seal_use refused wrong_status,seal_destroy refused wrong_status,seal_suspend allowed,seal_suspend refused wrong_status,seal_use allowed," +
		"seal_revoke allowed,seal_use refused wrong_status,seal_destroy allowed,seal_revoke refused wrong_status"
	if got := strings.Join(changes, ","); got != want {
		t.Errorf("log: %s", got)
	}
	if err := s.RegisterSeals(t.Context(), system); err != nil {
		t.Error(err)
	}
	if err := issueNow("after"); !errors.Is(err, registry.ErrNoSeal) {
		t.Errorf("a restart brought a destroyed seal back: %v", err)
	}
}

// TestSealRecordRefusals is a table of seals that the register does not take.
func TestSealRecordRefusals(t *testing.T) {
	s := open(t)
	_, c := sample(t, "food-retail.json")
	system := registry.System("test")
	known := s.Config.Seals[c.Authority.Code].Seal
	spoilt := []byte(strings.Replace(string(known.Raw), "test", "tesu", 1))
	fresh := registry.SealRecord{ID: "fresh", Authority: c.Authority.Code, Name: "n", Reason: "r"}
	if _, err := s.ApplySeal(t.Context(), system, fresh); err != nil {
		t.Fatal(err)
	}
	for name, call := range map[string]func() error{
		"by an approval system": func() error { _, err := s.ApplySeal(t.Context(), c, fresh); return err },
		"twice":                 func() error { _, err := s.ApplySeal(t.Context(), system, fresh); return err },
		"without reason": func() error {
			_, err := s.ApplySeal(t.Context(), system, registry.SealRecord{ID: "a", Authority: c.Authority.Code, Name: "n"})
			return err
		},
		"without authority": func() error {
			_, err := s.ApplySeal(t.Context(), system, registry.SealRecord{ID: "a", Name: "n", Reason: "r"})
			return err
		},
		"an identifier that is not ASCII": func() error {
			_, err := s.ApplySeal(t.Context(), system, registry.SealRecord{ID: "章1", Authority: c.Authority.Code, Name: "n", Reason: "r"})
			return err
		},
		"a long name": func() error {
			_, err := s.ApplySeal(t.Context(), system, registry.SealRecord{ID: "a", Authority: c.Authority.Code, Name: strings.Repeat("章", 65), Reason: "r"})
			return err
		},
		"made, another's":         func() error { _, err := s.AcceptSeal(t.Context(), system, "fresh", known.Raw, "r"); return err },
		"made, not DER":           func() error { _, err := s.AcceptSeal(t.Context(), system, "fresh", []byte("x"), "r"); return err },
		"made again, spoilt":      func() error { _, err := s.RemakeSeal(t.Context(), system, known.ID, spoilt, "r"); return err },
		"recorded without number": func() error { _, err := s.PutSealOnRecord(t.Context(), system, "fresh", "", "r"); return err },
		"revoked without reason": func() error {
			_, err := s.ChangeSeal(t.Context(), system, known.ID, registry.SealRevoked, "")
			return err
		},
		"unknown": func() error {
			_, err := s.ChangeSeal(t.Context(), system, "none", registry.SealRevoked, "r")
			return err
		},
		"to no stage":          func() error { _, err := s.ChangeSeal(t.Context(), system, known.ID, "lost", "r"); return err },
		"revoked by a partner": func() error { _, err := s.ChangeSeal(t.Context(), c, known.ID, registry.SealRevoked, "r"); return err },
	} {
		if call() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for _, text := range []string{"", "章\x1b[2J", "章\n印", "章\u2028", "章\u202e印", "章\u200b", "章\xff", " 章", strings.Repeat("章", 65)} {
		for field, edit := range map[string]func(*registry.SealRecord){
			"id": func(r *registry.SealRecord) { r.ID = text }, "name": func(r *registry.SealRecord) { r.Name = text },
			"authority": func(r *registry.SealRecord) { r.Authority = text }, "replaces": func(r *registry.SealRecord) { r.Replaces = cmp.Or(text, "NOPE") },
		} {
			asked := registry.SealRecord{ID: "a", Authority: c.Authority.Code, Name: "n", Reason: "r"}
			edit(&asked)
			_, err := s.ApplySeal(t.Context(), system, asked)
			wantField(t, err, field, text)
		}
		_, err := s.PutSealOnRecord(t.Context(), system, known.ID, text, "r")
		wantField(t, err, "record_number", text)
	}
	_, err := s.ApplySeal(t.Context(), system, registry.SealRecord{ID: "a", Authority: cryptotest.USCC, Name: "n", Replaces: known.ID, Reason: "r"})
	wantField(t, err, "replaces", "another authority's")
	// Those of the authorities, the one of annotated copies, and the one applied for.
	if r, err := s.Seals(t.Context()); err != nil || len(r) != len(s.Config.Seals)+2 {
		t.Errorf("%d seals: %v", len(r), err)
	}
}

// wantField checks that a request was refused for one field alone, without the text in
// the message.
func wantField(t *testing.T, err error, field, text string) {
	t.Helper()
	var refused *licence.RequestError
	if !errors.As(err, &refused) || len(refused.Fields) != 1 || refused.Fields[0].Field != field || text != "" && strings.Contains(err.Error(), text) {
		t.Errorf("%s %q: %v", field, text, err)
	}
}
