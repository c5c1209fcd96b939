package storetest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"elicence/licence"
	"elicence/licence/registry"
)

func testSeals(t *testing.T, b Backend) {
	applied := registry.SealRecord{ID: "seal-2", Authority: authority, Name: "市场监督管理局", Status: registry.SealApplied, Reason: "新设", Replaces: "seal-0", At: base}
	other := registry.SealRecord{ID: "seal-1", Authority: authority, Name: "另一枚", Status: registry.SealApplied, Reason: "r", At: base}
	_, err := b.Seal(t.Context(), applied.ID)
	wantError(t, "unknown seal", err, licence.ErrNotFound)
	for _, s := range []registry.SealRecord{applied, other} {
		change(t, b, func(tx Tx) error { return tx.InsertSeal(t.Context(), s) })
	}
	wantError(t, "same identifier", rerun(t.Context(), b, func(tx Tx) error { return tx.InsertSeal(t.Context(), other) }), registry.ErrSealTaken)

	made := applied
	made.Status, made.DER, made.Reason, made.RecordNumber, made.At = registry.SealMade, []byte{0x30, 0, 1}, "制作", "备案1", after(time.Second)
	update := func(s registry.SealRecord, from ...registry.SealStatus) error {
		return rerun(t.Context(), b, func(tx Tx) error { return tx.UpdateSeal(t.Context(), s, from) })
	}
	wantError(t, "from another stage", update(made, registry.SealMade, registry.SealInUse), licence.ErrWrongStatus)
	if err := update(made, registry.SealMade, registry.SealApplied); err != nil {
		t.Fatal(err)
	}
	wantError(t, "again", update(made, registry.SealApplied), licence.ErrWrongStatus)
	wantError(t, "of none", update(registry.SealRecord{ID: "none"}, registry.SealApplied), licence.ErrNotFound)
	got, err := b.Seal(t.Context(), made.ID)
	if diff := cmp.Diff(got, made); err != nil || diff != "" {
		t.Errorf("seal differs (got, want): %v\n%s", err, diff)
	}
	used := registry.SealRecord{ID: made.ID, Status: registry.SealInUse, Reason: "启用", At: after(2 * time.Second)}
	if err := update(used, registry.SealMade); err != nil {
		t.Fatal(err)
	}
	made.Status, made.Reason, made.At = used.Status, used.Reason, used.At // the rest is as it was
	stage, err := b.SealStage(t.Context(), made.ID)
	light := made
	light.DER = nil
	if diff := cmp.Diff(stage, light); err != nil || diff != "" {
		t.Errorf("stage differs (got, want): %v\n%s", err, diff)
	}
	_, err = b.SealStage(t.Context(), "none")
	wantError(t, "stage of none", err, licence.ErrNotFound)
	all, err := b.Seals(t.Context())
	if diff := cmp.Diff(all, []registry.SealRecord{other, made}); err != nil || diff != "" {
		t.Errorf("seals differ (got, want): %v\n%s", err, diff)
	}
	if slices.ContainsFunc(all, func(s registry.SealRecord) bool { return errors.Is(update(s), nil) }) {
		t.Error("changed from no stage")
	}
}
