package storetest

import (
	"testing"
	"time"

	"elicence/licence"
	"elicence/licence/registry"

	"github.com/google/go-cmp/cmp"
)

func testCopies(t *testing.T, b Backend) {
	c := registry.CopyRecord{
		ID: "0f1e2d3c4b5a69788796a5b4c3d2e1f0", Identifier: "1.2.156.3005.2.x", Receiver: authority, Client: "partner",
		ExpiresOn: day("2026-04-01"), Data: []byte(`{"加":"注"}`), DataDigest: [32]byte{1, 2},
	}
	other := c
	other.ID = "1f1e2d3c4b5a69788796a5b4c3d2e1f0"
	_, err := b.Copy(t.Context(), c.ID)
	wantError(t, "unknown copy", err, licence.ErrNotFound)
	change(t, b, func(tx Tx) error {
		if err := tx.InsertCopy(t.Context(), c); err != nil {
			return err
		}
		return tx.InsertCopy(t.Context(), other)
	})
	if err := rerun(t.Context(), b, func(tx Tx) error { return tx.InsertCopy(t.Context(), c) }); err == nil {
		t.Error("the same copy was stored twice")
	}
	wantCopy(t, b, c)
	_, err = b.CopyByFile(t.Context(), [32]byte{})
	wantError(t, "a copy without a file", err, licence.ErrNotFound)
	c.File = registry.File{Digest: [32]byte{3}, RangeDigest: [32]byte{4}, Size: 5, Timestamped: true, TimestampedAt: after(time.Minute), SealedAt: base, CreatedAt: after(time.Second)}
	change(t, b, func(tx Tx) error { return tx.SetCopyFile(t.Context(), c.ID, c.File) })
	wantCopy(t, b, c)
	wantCopy(t, b, other)
	if got, err := b.CopyByFile(t.Context(), c.File.Digest); err != nil || got.ID != c.ID {
		t.Errorf("by its file: %s, %v", got.ID, err)
	}
	for _, id := range []licence.CopyID{c.ID, "no such copy"} {
		err := rerun(t.Context(), b, func(tx Tx) error {
			return tx.SetCopyFile(t.Context(), id, registry.File{Digest: [32]byte{9}})
		})
		wantError(t, "a file for "+string(id), err, licence.ErrWrongStatus)
	}
	wantCopy(t, b, c)
}

// wantCopy reads a copy, within a transaction too.
func wantCopy(t *testing.T, b Backend, want registry.CopyRecord) {
	t.Helper()
	got, err := b.Copy(t.Context(), want.ID)
	if diff := cmp.Diff(got, want); err != nil || diff != "" {
		t.Errorf("copy differs (got, want): %v\n%s", err, diff)
	}
	change(t, b, func(tx Tx) error {
		got, err := tx.Copy(t.Context(), want.ID)
		if diff := cmp.Diff(got, want); diff != "" {
			t.Errorf("copy differs within a transaction (got, want):\n%s", diff)
		}
		return err
	})
}
