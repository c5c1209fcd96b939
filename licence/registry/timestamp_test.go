package registry_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"elicence/crypto/tsa"
	"elicence/licence/registry"
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
