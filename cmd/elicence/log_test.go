package main

import (
	"bytes"
	"context"
	"testing"
	"time"

	"elicence/audit"
	"elicence/audit/audittest"
)

// logSamples are policy and exports of a log of three entries: whole, in two parts, with
// its second entry edited, and cut short.
func logSamples(t testing.TB) map[string][]byte {
	t.Helper()
	const id = "licence.example.gov.cn/log"
	log := audittest.New(t, id, time.Now())
	for _, object := range []string{"first", "second", "third"} {
		log.MustAppend(t, audit.Entry{Principal: "clerk", Authority: "330105", Action: "verify", Object: object, Result: "allowed"})
	}
	write := func(from, to uint64) []byte {
		var out bytes.Buffer
		must(t, audit.Export(context.Background(), log.Storage, id, from, to, false, &out))
		return out.Bytes()
	}
	export := write(0, 3)
	files := map[string][]byte{"policy": log.Policy, "export": export, "export-cut": export[:len(export)-100], "export-0-2": write(0, 2), "export-2-3": write(2, 3)}
	stored := log.Storage.Stored
	stored[1].Record = bytes.Replace(stored[1].Record, []byte("second"), []byte("secomd"), 1)
	files["export-edited"] = write(0, 3)
	return files
}
