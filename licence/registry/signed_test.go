package registry_test

import (
	"context"
	"encoding/hex"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/registry"
	"elicence/licence/registry/registrytest"

	"github.com/emmansun/gmsm/sm3"
)

// signed is a caller whose request is signed, with a nonce and the request's own mark.
func signed(c registry.Caller, s *registrytest.Service, nonce string, owner byte) registry.Caller {
	c.Signed = &registry.Signed{KeyID: strings.Repeat("k", 64), Nonce: nonce, Until: s.Now().Add(time.Minute), Owner: [16]byte{owner},
		Input: "input of " + nonce, Field: "signature of " + nonce, Base: strings.Repeat("b", 2*1024) + nonce}
	return c
}

// opened are the personal values of an entry, which must be what its record commits to.
func opened(t *testing.T, s *registrytest.Service, index uint64) map[string]string {
	t.Helper()
	row, err := s.Config.Log.Entry(t.Context(), index)
	must(t, err)
	record, err := audit.ParseRecord(row.Record)
	must(t, err)
	if row.Opening == nil {
		return nil
	}
	personal, err := record.OpenPersonal(row.Opening)
	must(t, err)
	return personal
}

// TestSignedRequest: the first entry of a signed request commits to its signature and to
// all of what was signed; a replay is refused, whatever became of the first.
func TestSignedRequest(t *testing.T) {
	s := open(t)
	issued := issue(t, s, "food-retail.json", "first")
	_, c := sample(t, "food-retail.json")
	get := func(c registry.Caller) (audit.Receipt, error) {
		_, receipt, err := s.Get(t.Context(), c, issued.Identifier, registry.Use{})
		return receipt, err
	}
	evidence := func(receipt audit.Receipt, nonce string) {
		t.Helper()
		p := opened(t, s, receipt.Index)
		base := p[registry.PersonalSignatureBase] + p[registry.PersonalSignatureBase+"_2"] + p[registry.PersonalSignatureBase+"_3"]
		if p[registry.PersonalSignatureInput] != "input of "+nonce || p[registry.PersonalSignature] != "signature of "+nonce || base != strings.Repeat("b", 2*1024)+nonce {
			t.Errorf("entry %d opens to %q", receipt.Index, p)
		}
	}
	receipt, err := get(signed(c, s, "one", 1))
	must(t, err)
	evidence(receipt, "one")
	from := size(t, s)
	for range 2 {
		receipt, err = get(signed(c, s, "one", 2))
		if !errors.Is(err, registry.ErrReplayed) {
			t.Fatalf("replay: %v", err)
		}
		evidence(receipt, "one")
	}
	wantTrail(t, s, from, "read refused signature_replayed", "read refused signature_replayed")

	// A refusal spends the signature too: else it could be sent again when it would be allowed.
	from = size(t, s)
	partner := registry.Caller{Principal: "partner", Roles: []registry.Role{registry.RolePartner}, RequestID: "r"}
	receipt, err = get(signed(partner, s, "two", 1))
	if !errors.Is(err, registry.ErrForbidden) {
		t.Fatal(err)
	}
	evidence(receipt, "two")
	if _, err := get(signed(c, s, "two", 2)); !errors.Is(err, registry.ErrReplayed) {
		t.Errorf("replay of what was refused: %v", err)
	}
	if _, err := get(signed(partner, s, "two", 3)); !errors.Is(err, registry.ErrReplayed) {
		t.Errorf("replay that would be refused anyhow: %v", err)
	}
	if _, err := s.Refused(t.Context(), signed(partner, s, "two", 4), registry.ActionRead, "", "malformed_json", 1); !errors.Is(err, registry.ErrReplayed) {
		t.Errorf("replay of what cannot be read: %v", err)
	}
	wantTrail(t, s, from, "read refused forbidden", "read refused signature_replayed", "read refused signature_replayed", "read refused signature_replayed")
}

// TestSignedChange: a change of the register and its nonce are of one transaction, and the
// steps of an issue are no requests of their own.
func TestSignedChange(t *testing.T) {
	s := open(t)
	body, c := sample(t, "food-retail.json")
	from := size(t, s)
	issued, _, err := s.Issue(t.Context(), signed(c, s, "issue", 1), registry.IssueRequest{Key: "k", Body: body})
	must(t, err)
	for i := from; i < size(t, s); i++ {
		if p := opened(t, s, i); (p[registry.PersonalSignature] != "") != (i == from) {
			t.Errorf("entry %d of %d opens to %q", i-from, size(t, s)-from, p)
		}
	}
	revoke := func(nonce string, owner byte) error {
		_, _, err := s.Revoke(t.Context(), signed(c, s, nonce, owner), issued.Identifier, registry.StatusRequest{Key: "r-" + nonce, Reason: "r"})
		return err
	}
	if err := revoke("issue", 2); !errors.Is(err, registry.ErrReplayed) {
		t.Errorf("with a spent nonce: %v", err)
	}
	view, _, err := s.Get(t.Context(), c, issued.Identifier, registry.Use{})
	if err != nil || view.Status != licence.StatusValid {
		t.Errorf("after it the licence is %v, %v", view.Status, err)
	}
	must(t, revoke("revoke", 3))
}

// TestSignedAtOnce sends one request many times at once, to two servers of one register.
func TestSignedAtOnce(t *testing.T) {
	s := open(t)
	issued := issue(t, s, "food-retail.json", "first")
	_, c := sample(t, "food-retail.json")
	other := s.Config
	var err error
	other.Log, err = audit.Open(t.Context(), audit.Config{LogID: registrytest.LogID, Storage: s.Backend, Signer: s.LogKey, Now: s.Now, Rand: s.Config.Rand})
	must(t, err)
	t.Cleanup(func() { other.Log.Close() })
	second, err := registry.New(other)
	must(t, err)
	var all sync.WaitGroup
	answered := make(chan error, 8)
	for i := range 8 {
		r := s.Registry
		if i%2 == 1 {
			r = second
		}
		all.Go(func() {
			_, _, err := r.Get(context.Background(), signed(c, s, "one", byte(i)), issued.Identifier, registry.Use{})
			answered <- err
		})
	}
	all.Wait()
	close(answered)
	good := 0
	for err := range answered {
		if err == nil {
			good++
		} else if !errors.Is(err, registry.ErrReplayed) {
			t.Error(err)
		}
	}
	if good != 1 {
		t.Errorf("%d answers, want 1", good)
	}
}

// TestClientKeys has keys that must not be registered, and ends one.
func TestClientKeys(t *testing.T) {
	s := open(t)
	newWalker(t, s)
	key := func(text string) registry.ClientKey {
		sum := sm3.Sum([]byte(text))
		return registry.ClientKey{Client: "partner", PublicKey: []byte(text), KeyID: hex.EncodeToString(sum[:]), ValidFrom: s.Now()}
	}
	good := key("good")
	_, err := s.PutClientKey(t.Context(), walkSystem, good)
	must(t, err)
	for name, c := range map[string]struct {
		change func(*registry.ClientKey)
		code   string
	}{
		"again":              {func(*registry.ClientKey) {}, "key_taken"},
		"for another client": {func(k *registry.ClientKey) { k.Client = "client" }, "key_taken"},
		"unknown client":     {func(k *registry.ClientKey) { *k = key("x"); k.Client = "nobody" }, "not_found"},
		"another name":       {func(k *registry.ClientKey) { k.PublicKey = []byte("x") }, "invalid_request"},
		"ends before":        {func(k *registry.ClientKey) { *k = key("y"); k.ValidUntil = k.ValidFrom }, "invalid_request"},
	} {
		k := good
		c.change(&k)
		if _, err := s.PutClientKey(t.Context(), walkSystem, k); registry.Code(err) != c.code {
			t.Errorf("%s: %v, want %s", name, err, c.code)
		}
	}
	from := size(t, s)
	if _, err := s.EndClientKey(t.Context(), walkSystem, good.KeyID, ""); !errors.Is(err, registry.ErrReasonMissing) {
		t.Errorf("without a reason: %v", err)
	}
	_, err = s.EndClientKey(t.Context(), walkSystem, good.KeyID, "lost")
	must(t, err)
	if _, err := s.EndClientKey(t.Context(), walkSystem, good.KeyID, "lost"); !errors.Is(err, licence.ErrNotFound) {
		t.Errorf("twice: %v", err)
	}
	wantTrail(t, s, from, "configure refused reason_missing", "configure allowed", "configure refused not_found")
	if k, err := s.ClientKey(t.Context(), good.KeyID); err != nil || k.Current(s.Now()) {
		t.Errorf("the ended key is %+v, %v", k, err)
	}
}

// TestSignedSlowly: a replay that began in time and came to its end later is one all the same.
func TestSignedSlowly(t *testing.T) {
	s := open(t)
	issued := issue(t, s, "food-retail.json", "first")
	_, c := sample(t, "food-retail.json")
	first, again := signed(c, s, "slow", 1), signed(c, s, "slow", 2)
	_, _, err := s.Get(t.Context(), first, issued.Identifier, registry.Use{})
	must(t, err)
	s.Move(12 * time.Minute) // a minute until the signature lapsed, and a batch's ten with its answer
	sweep := [32]byte{}      // begins with zero, so that it forgets what has lapsed
	must(t, s.Backend.Batch(t.Context(), func(tx audit.Tx) error {
		return tx.(registry.Tx).TakeNonce(t.Context(), sweep, [16]byte{9}, s.Now(), s.Now().Add(time.Hour))
	}))
	if _, _, err := s.Get(t.Context(), again, issued.Identifier, registry.Use{}); !errors.Is(err, registry.ErrReplayed) {
		t.Errorf("replay: %v", err)
	}
}
