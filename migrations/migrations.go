// Package migrations holds the numbered SQL that makes and changes the database.
//
// There is one set for each engine, because they differ where it matters:
// collation, identity columns and triggers. A number means the same step in both
// sets; a step that was released is never edited, a later one changes what it made.
//
// Invariants:
//   - instants are nanoseconds since 1970 in UTC, and 0 means that there is none;
//   - licence dates are text as YYYY-MM-DD, empty when there is none;
//   - a column whose comment says sealed holds SM4-GCM ciphertext, bound to its
//     table, column and row;
//   - identifiers compare byte by byte.
//
// The package runs nothing: store does.
package migrations

import (
	"embed"
	"io/fs"
)

//go:embed sqlite/*.sql postgres/*.sql
var files embed.FS

// SQLite returns the numbered files for SQLite.
func SQLite() fs.FS { return set("sqlite") }

// Postgres returns the numbered files for PostgreSQL.
func Postgres() fs.FS { return set("postgres") }

// set cannot fail: the folder is embedded.
func set(engine string) fs.FS {
	sub, _ := fs.Sub(files, engine)
	return sub
}
