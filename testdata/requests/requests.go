// Package requests holds the sample issue requests that the demo and the
// benchmarks send: bodies of POST /api/v1/licences, described in README.md.
package requests

import "embed"

// Files are the sample requests, *.json.
//
//go:embed *.json
var Files embed.FS
