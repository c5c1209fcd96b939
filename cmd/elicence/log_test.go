package main

import (
	"bytes"
	"context"
	"testing"
	"time"

	"elicence/audit"
	"elicence/audit/audittest"
)

// mustLog returns policy and export of a log of three entries, and an export
// whose second entry was edited.
func mustLog(t testing.TB) (policy, export, edited []byte) {
	t.Helper()
	const id = "licence.example.gov.cn/log"
	log := audittest.New(t, id, time.Now())
	for _, object := range []string{"first", "second", "third"} {
		log.MustAppend(t, audit.Entry{Principal: "clerk", Authority: "330105", Action: "verify", Object: object, Result: "allowed"})
	}
	write := func() []byte {
		var out bytes.Buffer
		must(t, audit.Export(context.Background(), log.Storage, id, 0, 0, false, &out))
		return out.Bytes()
	}
	export = write()
	stored := log.Storage.Stored
	stored[1].Record = bytes.Replace(stored[1].Record, []byte("second"), []byte("secomd"), 1)
	return log.Policy, export, write()
}
