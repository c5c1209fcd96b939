// Package storetest holds the promises of registry.Store, registry.Tx and
// audit.Storage as one suite of tests, which every store must pass.
//
// Each promise in the comments of those interfaces has a test here, those about
// concurrency included. A store's own tests call Test with a function that opens
// a fresh store; what only one engine can show (its triggers, its files) is
// tested beside that engine.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/registry"
)

// Backend is what is tested: a register and a log in the same database.
type Backend interface {
	registry.Store
	audit.Storage
}

// Tx is what a transaction of a Backend must be.
type Tx interface {
	audit.Tx
	registry.Tx
}

// all are the tests, each of which begins with an empty store.
var all = []struct {
	name string
	test func(*testing.T, Backend)
}{
	{"clients", testClients},
	{"client keys", testClientKeys},
	{"authentication", testAuthentication},
	{"nonces", testNonces},
	{"client life", testClientLife},
	{"people", testPeople},
	{"people's clients", testPeoplesClients},
	{"grants", testGrants},
	{"what a reuse rests on", testBasis},
	{"questions", testQuestions},
	{"cases", testCases},
	{"copies", testCopies},
	{"brakes", testBrakes},
	{"reuse counts", testReuseCounts},
	{"disputes", testDisputes},
	{"dispute lists", testDisputeLists},
	{"erased disputes", testErasedDisputes},
	{"consents", testConsents},
	{"uses in parallel", testUsesInParallel},
	{"seals", testSeals},
	{"seal consents", testSealConsents},
	{"imports", testImports},
	{"licence", testLicence},
	{"licences", testLicences},
	{"number taken", testNumberTaken},
	{"status", testStatus},
	{"status history", testHistory},
	{"versions", testVersions},
	{"counts", testCounts},
	{"files", testFiles},
	{"issue", testIssue},
	{"many files", testManyFiles},
	{"file as of", testFileAsOf},
	{"untimestamped", testUntimestamped},
	{"expired", testExpired},
	{"lease", testLease},
	{"search", testSearch},
	{"not valid", testEachNotValid},
	{"keys", testKeys},
	{"keys in parallel", testKeysInParallel},
	{"numbers", testNumbers},
	{"numbers in parallel", testNumbersInParallel},
	{"status in parallel", testStatusInParallel},
	{"batch", testBatch},
	{"batch in isolation", testIsolation},
	{"savepoint", testSavepoint},
	{"nested savepoint", testNestedSavepoint},
	{"log", testLog},
	{"log pages", testLogPages},
	{"log conflict", testConflict},
	{"log writers in parallel", testWriters},
	{"cancelled", testCancelled},
	{"caller gone", testCallerGone},
	{"log search", testLogSearch},
	{"keyed", testKeyed},
	{"erasure", testErasure},
	{"holds", testHolds},
	{"shared state", testShared},
	{"licence batch", testBatches},
	{"licence batch cancelled", testBatchCancelled},
	{"claims in parallel", testClaimsInParallel},
	{"catalogue", testCatalogue},
	{"newest licences", testNewestLicences},
	{"subscriptions", testSubscriptions},
	{"disabled subscriptions", testDisabled},
	{"events matched", testEventsMatched},
	{"events of before", testEventOfBefore},
	{"event order", testEventOrder},
	{"event claims", testEventClaims},
	{"events claimed at once", testEventsClaimedAtOnce},
	{"event life", testEventLife},
	{"granted", testGranted},
}

// Test runs the suite. open returns a new, empty backend, which it closes when
// its test ends.
func Test(t *testing.T, open func(*testing.T) Backend) {
	for _, c := range all {
		t.Run(c.name, func(t *testing.T) { c.test(t, open(t)) })
	}
}

// base is the clock of the suite; instants keep their nanoseconds.
var base = time.Date(2026, 3, 1, 8, 30, 0, 123456789, time.UTC)

func after(d time.Duration) time.Time { return base.Add(d) }

const (
	typeCode  = "11100000MB0328437K001"
	authority = "11440300MB2C92008N"
)

// record is a pending licence, with every field set.
func record(n int) registry.Record {
	return registry.Record{
		Identifier: identifier(n), Number: fmt.Sprintf("JY1440300%05d", n),
		TypeCode: typeCode, AuthorityCode: authority, Division: "440305", Version: 1,
		Holder:     licence.Holder{Name: "䶮记面馆", Code: "91440300MA5DA1234X", CodeType: licence.CodeTypeUSCC},
		Data:       []byte(`{"format":"elicence-licence/1"}`),
		DataDigest: digest(1000 + n), CatalogueVersion: 3, IssuedOn: day("2026-03-01"), EffectiveOn: day("2026-03-02"), ExpiresOn: day("2031-03-01"), Status: licence.StatusPending, StatusReason: "reserved", StatusAt: base,
		Client: "approval", IdempotencyKey: fmt.Sprintf("key-%d", n), CaseNumber: "2026-0301",
		CreatedAt: base, LeaseUntil: after(30 * time.Second),
	}
}

// day is a date that exists.
func day(s string) licence.Date {
	d, err := licence.ParseDate(s)
	if err != nil {
		panic(err)
	}
	return d
}

func identifier(n int) licence.Identifier {
	return licence.Identifier(fmt.Sprintf("1.2.156.3005.2.%s.%s.%08d.001.X", typeCode, authority, n))
}

// digest is a value of 32 bytes that differs for each n.
func digest(n int) [32]byte {
	var d [32]byte
	copy(d[:], fmt.Sprintf("digest %d of the suite", n))
	return d
}

func file(n int) registry.File {
	return registry.File{
		Digest: digest(n), RangeDigest: digest(-n), Size: int64(1000 + n),
		SealedAt: after(time.Second), CreatedAt: after(2 * time.Second),
	}
}

// change runs fn in a batch, which must succeed. A conflict is run again, as the
// log does.
func change(t *testing.T, b Backend, fn func(Tx) error) {
	t.Helper()
	if err := rerun(t.Context(), b, fn); err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func rerun(ctx context.Context, b Backend, fn func(Tx) error) error {
	for {
		err := b.Batch(ctx, func(tx audit.Tx) error {
			both, ok := tx.(Tx)
			if !ok {
				return errors.New("the transaction is not a registry.Tx")
			}
			return fn(both)
		})
		if !errors.Is(err, audit.ErrConflict) {
			return err
		}
	}
}

// insert stores licences as they are, with their files.
func insert(t *testing.T, b Backend, records ...registry.Record) {
	t.Helper()
	change(t, b, func(tx Tx) error {
		for _, r := range records {
			if err := tx.InsertLicence(t.Context(), r); err != nil {
				return err
			}
			if r.File == (registry.File{}) {
				continue
			}
			if err := tx.SetFile(t.Context(), r.Identifier, r.File); err != nil {
				return err
			}
		}
		return nil
	})
}

// wantError fails unless err is target.
func wantError(t *testing.T, what string, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Errorf("%s: error %v, want %v", what, err, target)
	}
}

func identifiers(records []registry.Record) []licence.Identifier {
	var ids []licence.Identifier
	for _, r := range records {
		ids = append(ids, r.Identifier)
	}
	return ids
}
