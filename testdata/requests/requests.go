// Package requests holds sample issue requests, bodies of POST /api/v1/licences,
// described in README.md.
package requests

import "embed"

// Files are the sample requests that the demo and the benchmarks send, *.json.
//
//go:embed *.json
var Files embed.FS

// Types holds one sample request more for each licence type that Files has none of,
// types/*.json, by the name of the type's layout.
//
//go:embed types/*.json
var Types embed.FS
