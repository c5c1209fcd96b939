package storetest

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"elicence/licence"
	"elicence/licence/registry"

	"github.com/google/go-cmp/cmp"
)

// testClientKeys registers keys, ends one, and lists them.
func testClientKeys(t *testing.T, b Backend) {
	_, err := b.ClientKey(t.Context(), "k1")
	wantError(t, "unknown key", err, licence.ErrNotFound)
	first := registry.ClientKey{KeyID: "k1", Client: "a", PublicKey: []byte{1}, ValidFrom: base, ValidUntil: after(time.Hour)}
	second := registry.ClientKey{KeyID: "k2", Client: "a", PublicKey: []byte{2}, ValidFrom: after(-time.Hour)}
	other := registry.ClientKey{KeyID: "k0", Client: "b", PublicKey: []byte{3}, ValidFrom: base}
	for _, k := range []registry.ClientKey{first, second, other} {
		change(t, b, func(tx Tx) error { return tx.InsertClientKey(t.Context(), k) })
		got, err := b.ClientKey(t.Context(), k.KeyID)
		if diff := cmp.Diff(got, k); err != nil || diff != "" {
			t.Errorf("key differs (got, want): %v\n%s", err, diff)
		}
	}
	taken := first
	taken.Client = "b"
	wantError(t, "key of another client", rerun(t.Context(), b, func(tx Tx) error { return tx.InsertClientKey(t.Context(), taken) }), registry.ErrKeyTaken)
	end := func(id string) error {
		return rerun(t.Context(), b, func(tx Tx) error { return tx.EndClientKey(t.Context(), id, after(time.Minute)) })
	}
	wantError(t, "ending", end("k1"), nil)
	wantError(t, "ending twice", end("k1"), licence.ErrNotFound)
	wantError(t, "ending an unknown key", end("k9"), licence.ErrNotFound)
	first.EndedAt = after(time.Minute)
	for client, want := range map[string][]registry.ClientKey{"a": {second, first}, "b": {other}, "c": nil, "": {second, first, other}} {
		got, err := b.ClientKeys(t.Context(), client)
		if diff := cmp.Diff(got, want); err != nil || diff != "" {
			t.Errorf("keys of %q differ (got, want): %v\n%s", client, err, diff)
		}
	}
}

// testAuthentication changes what a client must use, and nothing else.
func testAuthentication(t *testing.T, b Backend) {
	set := func(client string, a registry.Authentication) error {
		return rerun(t.Context(), b, func(tx Tx) error { return tx.SetAuthentication(t.Context(), client, a) })
	}
	wantError(t, "unknown client", set("c", registry.BySignature), licence.ErrNotFound)
	want := registry.Client{ID: "c", SecretHash: []byte{1}, Salt: []byte{2}, Types: []string{typeCode}}
	change(t, b, func(tx Tx) error { return tx.PutClient(t.Context(), want) })
	wantError(t, "setting", set("c", registry.BySignature), nil)
	want.Authentication = registry.BySignature
	got, err := b.Client(t.Context(), "c")
	if diff := cmp.Diff(got, want); err != nil || diff != "" {
		t.Errorf("client differs (got, want): %v\n%s", err, diff)
	}
}

// testNonces takes nonces: once each, however many ask at once, until they lapse.
func testNonces(t *testing.T, b Backend) {
	take := func(n int, owner byte, now, until time.Time) error {
		return rerun(t.Context(), b, func(tx Tx) error { return tx.TakeNonce(t.Context(), digest(n), [16]byte{owner}, now, until) })
	}
	wantError(t, "a new one", take(1, 1, base, after(time.Minute)), nil)
	wantError(t, "again by its owner", take(1, 1, base, after(time.Minute)), nil)
	wantError(t, "by another", take(1, 2, base, after(time.Minute)), registry.ErrReplayed)
	wantError(t, "another one", take(2, 2, base, after(time.Minute)), nil)
	undone := errors.New("undone")
	wantError(t, "undone", rerun(t.Context(), b, func(tx Tx) error {
		return errors.Join(tx.TakeNonce(t.Context(), digest(3), [16]byte{1}, base, after(time.Minute)), undone)
	}), undone)
	wantError(t, "after it was undone", take(3, 2, base, after(time.Minute)), nil)

	var taken atomic.Int32
	var all sync.WaitGroup
	for owner := range byte(4) {
		all.Go(func() {
			switch err := take(4, owner, base, after(time.Minute)); {
			case err == nil:
				taken.Add(1)
			case !errors.Is(err, registry.ErrReplayed):
				t.Error(err)
			}
		})
	}
	all.Wait()
	if taken.Load() != 1 {
		t.Errorf("taken %d times", taken.Load())
	}

	sweep := [32]byte{} // begins with zero, so that it forgets what has lapsed
	change(t, b, func(tx Tx) error {
		return tx.TakeNonce(t.Context(), sweep, [16]byte{9}, after(time.Minute), after(time.Hour))
	})
	wantError(t, "one that lapsed", take(1, 3, after(time.Minute), after(time.Hour)), nil)
	wantError(t, "one that did not", rerun(t.Context(), b, func(tx Tx) error {
		return tx.TakeNonce(t.Context(), sweep, [16]byte{8}, after(time.Minute), after(time.Hour))
	}), registry.ErrReplayed)
}
