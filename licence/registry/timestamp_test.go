package registry_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"elicence/crypto/tsa"
	"elicence/licence/registry"

	"github.com/emmansun/gmsm/sm3"
)

// TestTimestampPending issues while the TSA is away, and adds the token later in place.
func TestTimestampPending(t *testing.T) {
	s := open(t)
	away := s.Config
	away.TSA = awayTSA{}
	r, err := registry.New(away)
	must(t, err)
	body, c := sample(t, "food-retail.json")
	issued, _, err := r.Issue(t.Context(), c, registry.IssueRequest{Key: "k", Body: body})
	must(t, err)
	if issued.Timestamped {
		t.Fatal("a token from nowhere")
	}
	pending, _, err := s.Download(t.Context(), c, issued.Identifier, registry.Use{})
	must(t, err)
	if n, err := r.Upgrade(t.Context()); n != 0 || err == nil {
		t.Errorf("upgraded %d without a TSA: %v", n, err)
	}
	n, err := s.Upgrade(t.Context())
	if n != 1 || err != nil {
		t.Fatalf("upgraded %d: %v", n, err)
	}
	upgraded, _, err := s.Download(t.Context(), c, issued.Identifier, registry.Use{})
	must(t, err)
	if len(upgraded) != len(pending) {
		t.Errorf("the file grew from %d to %d bytes", len(pending), len(upgraded))
	}
	passes(t, s, upgraded)
	if n, err := s.Upgrade(t.Context()); n != 0 || err != nil {
		t.Errorf("upgraded %d again: %v", n, err)
	}
}

type awayTSA struct{}

func (awayTSA) Timestamp(context.Context, []byte) (*tsa.Token, error) {
	return nil, errors.New("connection refused")
}

// TestTokenTooLong: an authority whose tokens do not fit stops no issue.
func TestTokenTooLong(t *testing.T) {
	s := open(t)
	long := s.Config
	long.TSA = longTSA{}
	r, err := registry.New(long)
	must(t, err)
	body, c := sample(t, "food-retail.json")
	issued, _, err := r.Issue(t.Context(), c, registry.IssueRequest{Key: "k", Body: body})
	if err != nil || issued.Timestamped {
		t.Fatalf("timestamped %t, %v", issued.Timestamped, err)
	}
	if n, err := r.Upgrade(t.Context()); n != 0 || err == nil || !strings.Contains(err.Error(), "room") {
		t.Errorf("upgraded %d: %v", n, err)
	}
	if n, err := s.Upgrade(t.Context()); n != 1 || err != nil {
		t.Errorf("upgraded %d: %v", n, err)
	}
}

type longTSA struct{}

func (longTSA) Timestamp(context.Context, []byte) (*tsa.Token, error) {
	return &tsa.Token{Raw: make([]byte, 5<<10)}, nil
}

// TestTwoUpgrades has a second server timestamp a licence while the first waits for its
// token: the first to commit counts, and the other leaves neither file nor entry.
func TestTwoUpgrades(t *testing.T) {
	s := open(t)
	away, slow := s.Config, s.Config
	away.TSA = awayTSA{}
	r, err := registry.New(away)
	must(t, err)
	body, c := sample(t, "food-retail.json")
	issued, _, err := r.Issue(t.Context(), c, registry.IssueRequest{Key: "k", Body: body})
	must(t, err)
	slow.TSA = stamperFunc(func(ctx context.Context, message []byte) (*tsa.Token, error) {
		if n, err := s.Upgrade(ctx); n != 1 || err != nil {
			t.Errorf("the other server upgraded %d: %v", n, err)
		}
		return s.Config.TSA.Timestamp(ctx, message)
	})
	first, err := registry.New(slow)
	must(t, err)
	before := size(t, s)
	if n, err := first.Upgrade(t.Context()); n != 0 || err != nil {
		t.Errorf("the slow server upgraded %d: %v", n, err)
	}
	logged := entriesOf(t, s, before)
	if len(logged) != 1 || logged[0].Entry.Action != registry.ActionTimestamp {
		t.Errorf("logged %+v", logged)
	}
	file, _, err := s.Download(t.Context(), c, issued.Identifier, registry.Use{})
	must(t, err)
	if digest := sm3.Sum(file); !bytes.Equal(digest[:], logged[0].Entry.Digest) {
		t.Error("the current file is not the one that was logged")
	}
}

type stamperFunc func(context.Context, []byte) (*tsa.Token, error)

func (f stamperFunc) Timestamp(ctx context.Context, message []byte) (*tsa.Token, error) {
	return f(ctx, message)
}
