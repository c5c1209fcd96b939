// Package store keeps the register and the access log in PostgreSQL or SQLite.
//
// Both engines implement registry.Store and audit.Storage; the transaction that
// Batch hands out is an audit.Tx and a registry.Tx at once, so that a change and
// its log entry commit together. Statements are written once, for both engines;
// what differs (opening, transactions, bulk insertion, error codes) is in
// postgres.go and sqlite.go. Licence files lie in a Folder or in an S3.
//
// Invariants:
//   - a Batch that returned nil is durable; one that returned an error left
//     nothing, unless the connection broke during COMMIT, when it may have
//     committed whole;
//   - a database whose durability is switched off is refused at Open and at
//     every Ready;
//   - no personal data stands in clear in any column or file: holders, licence
//     numbers and data, reasons, answers, shared state and openings are SM4-GCM ciphertext
//     bound to table, column and row, and holders and numbers are looked up by a
//     keyed digest;
//   - no row that decides access (grants, cases, clients and their keys, people, consents) or what is
//     answered of a licence (its standing, files and history) is returned unless its MAC says that
//     the register stored it so, but by EachNotValid and what only counts or names; see rowmac.go;
//   - the log is returned as it is stored, also when it was tampered with: to
//     judge it is the auditor's task;
//   - every read is bounded by a limit or runs in pages.
//
// The package authorises nobody, logs nothing and decides no rule of licences.
package store

import (
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"elicence/audit"
	"elicence/crypto/pki"
	"elicence/licence"
	"elicence/licence/registry"
)

// Statements and pages never return more rows than this.
const maxRows = 1000

var (
	_ registry.Store = (*SQLite)(nil)
	_ registry.Store = (*Postgres)(nil)
	_ audit.Storage  = (*SQLite)(nil)
	_ audit.Storage  = (*Postgres)(nil)
	_ registry.Tx    = (*transaction)(nil)
	_ audit.Tx       = (*transaction)(nil)
	_ registry.Files = (*Folder)(nil)
	_ registry.Files = (*S3)(nil)
)

// ErrNotDurable is returned when the database may lose what it has committed.
var ErrNotDurable = errors.New("the database is not durable")

// Secrets protect what is stored. Both must stay the same for the life of a
// database: without them it cannot be read.
type Secrets struct {
	// Cipher encrypts columns and openings.
	Cipher *pki.Cipher
	// IndexKey keys the digests by which holders and numbers are looked up; at
	// least 16 bytes, and not the key of Cipher.
	IndexKey []byte
}

func (s Secrets) check() error {
	if s.Cipher == nil || len(s.IndexKey) < 16 {
		return errors.New("store: a cipher and an index key of at least 16 bytes are required")
	}
	return nil
}

// place names one value: its column as table.column, and the key of its row. It
// is authenticated with the value, so that ciphertext moved elsewhere does not open.
type place struct{ column, row string }

func (p place) aad() []byte { return []byte(p.column + "\x00" + p.row) }

// seal encrypts a value for its place. Nothing stays nothing, stored as NULL.
func (s Secrets) seal(p place, value []byte) ([]byte, error) {
	if len(value) == 0 {
		return nil, nil
	}
	sealed, err := s.Cipher.Seal(rand.Reader, value, p.aad())
	if err != nil {
		return nil, fmt.Errorf("sealing %s: %w", p.column, err)
	}
	return sealed, nil
}

func (s Secrets) open(p place, sealed []byte) ([]byte, error) {
	if len(sealed) == 0 {
		return nil, nil
	}
	value, err := s.Cipher.Open(sealed, p.aad())
	if err != nil {
		return nil, fmt.Errorf("opening %s of %s: %w", p.column, p.row, err)
	}
	return value, nil
}

// index is the keyed digest of a value's parts; domain keeps equal values of
// different meaning apart.
func (s Secrets) index(domain string, parts ...string) []byte {
	sum := pki.BlindIndex(s.IndexKey, []byte(domain+"\x00"+strings.Join(parts, "\x00")))
	return sum[:]
}

func (s Secrets) holderIndex(h licence.Holder) []byte {
	return s.index("holder", string(h.CodeType), h.Code)
}

// nanos is how an instant is stored; the zero time is 0.
func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func instant(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

// position is how a log index or size is stored.
func position(n uint64) int64 { return int64(min(n, math.MaxInt64)) }

// limit bounds how many rows a caller may ask for; 0 asks for all that are allowed.
func limit(n int) int {
	if n <= 0 || n > maxRows {
		return maxRows
	}
	return n
}

// digest fills d from a stored column.
func digest(d *[32]byte, column []byte) error {
	if len(column) == 0 {
		*d = [32]byte{}
		return nil
	}
	if len(column) != len(d) {
		return fmt.Errorf("stored digest has %d bytes", len(column))
	}
	copy(d[:], column)
	return nil
}
