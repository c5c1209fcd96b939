package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"testing"
	"time"

	"elicence/audit"
	"elicence/audit/audittest"
)

// successionSamples are the exports of a log of six entries, of which four are left, of
// the log that succeeds it, with their policy, and of one that says that less is lost.
func successionSamples(t testing.TB) map[string][]byte {
	t.Helper()
	now := time.Now()
	old := audittest.New(t, "old.example/log", now)
	var people []audit.Signer
	for _, name := range []string{"zhang", "li"} {
		person := audittest.NewSigner(t, name)
		people = append(people, person)
		vkey, err := person.ApproverKey()
		must(t, err)
		old.MustAppend(t, audit.Entry{Principal: "system", Action: audit.ActionAppoint, Object: vkey, Result: "allowed"})
	}
	for _, object := range []string{"third", "fourth", "fifth", "sixth"} {
		old.MustAppend(t, audit.Entry{Principal: "clerk", Action: "verify", Object: object, Result: "allowed"})
	}
	last := old.Storage.Heads[5].Checkpoint
	left := &audittest.Storage{Stored: old.Storage.Stored[:4], Heads: old.Storage.Heads[:4]}
	r, err := audit.ExamineRemains(t.Context(), audit.Config{LogID: "old.example/log", Storage: left, Signer: old.Signer,
		Now: time.Now, Rand: rand.Reader, Known: []audit.Known{{From: "file", Checkpoint: last}}}, nil)
	must(t, err)

	files := map[string][]byte{"succeeded": export(t, left, "old.example/log"), "succeeded-whole": export(t, old.Storage, "old.example/log")}
	files["succession-policy"] = old.Policy
	for name, change := range map[string]func(*audit.Succession){
		"successor":            func(*audit.Succession) {},
		"successor-of-another": func(s *audit.Succession) { s.Recovered.RootHash[0] ^= 1 },
	} {
		next := audittest.New(t, "next.example/"+name, now)
		vkey, err := next.Signer.VerifierKey()
		must(t, err)
		s := audit.Succession{Origin: "old.example/log", Recovered: r.Recovered, Witnessed: r.Witnessed, Last: r.Last, Successor: vkey, Reason: "fire"}
		change(&s)
		signed, err := s.Draft(rand.Reader, old.Signer)
		for _, person := range people {
			must(t, err)
			signed, err = audit.Approve(rand.Reader, person, signed)
		}
		must(t, err)
		s, approvals, err := audit.OpenSuccession(signed, r.Approvers)
		must(t, err)
		must(t, next.Succeed(t.Context(), s, approvals, nil))
		files[name] = export(t, next.Storage, "next.example/"+name)
		files["succession-policy"] = append(files["succession-policy"], "log "+vkey+"\n"...)
	}
	return files
}

func export(t testing.TB, s audit.Storage, id string) []byte {
	t.Helper()
	var out bytes.Buffer
	must(t, audit.Export(context.Background(), s, id, 0, 0, false, &out))
	return out.Bytes()
}
