//go:generate go run ../scripts/catalogue.go ../docs/licence-types.md

// Package templates embeds the files that say how things look: licence layouts,
// catalogue items and web pages.
//
// It holds files and no code, so that a clerk's change to a form is a change to
// a file. licence reads catalogue/, licence/render reads layouts/, reports/ and copies/, api
// reads pages/; each checks its files when it loads them.
package templates

import (
	"embed"
	"io/fs"
)

//go:embed all:layouts all:reports all:copies all:catalogue all:pages
var files embed.FS

// Layouts are the licence layouts: <name>/layout.json.
func Layouts() fs.FS { return sub("layouts") }

// Reports are the layouts of reports: verification/layout.json.
func Reports() fs.FS { return sub("reports") }

// Copies are the layouts of what annotated copies have above every page: annotation/layout.json.
func Copies() fs.FS { return sub("copies") }

// Catalogue holds the catalogue items: <name>/item.json and
// <name>/fields.schema.json.
func Catalogue() fs.FS { return sub("catalogue") }

// Pages are the web pages and what they load.
func Pages() fs.FS { return sub("pages") }

// sub is a folder of the embedded files. fs.Sub fails only for a malformed name.
func sub(dir string) fs.FS {
	f, err := fs.Sub(files, dir)
	if err != nil {
		panic(err)
	}
	return f
}
