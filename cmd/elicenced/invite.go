package main

import (
	"context"
	"fmt"
)

// invite says where to look and what to try.
func (w *walk) invite(ctx context.Context) error {
	link, err := w.in.server.HolderLink(ctx, "holder-demo")
	if err != nil {
		return err
	}
	fmt.Printf(`
The demo is served at %[1]s until you press Ctrl-C.

  %[2]s/sample-*.pdf          the licences
  %[1]s/V                     verify a file or a code, as an official would
  %[3]s   the holder's page (one-time link, for a quarter of an hour; another when the demo is started anew)
%[5]s  %[2]s/demo.json             clients and secrets for the interface
  %[1]s/openapi.yaml          the interface

Try (the second ends with code 1, for it holds the revoked licence):
  %[4]s verify --anchors %[2]s/anchors.pem %[2]s/sample-*.pdf
  %[4]s verify --anchors %[2]s/anchors.pem --trust %[2]s/trust.json %[2]s/sample-*.pdf %[2]s/revoked-*.pdf
  %[4]s audit verify --policy %[2]s/log-policy.txt %[2]s/log-export
  %[4]s verify --anchors %[2]s/anchors.pem --policy %[2]s/log-policy.txt %[2]s/bundle.zip

README.md walks through issue, download, verify, reuse, revoke and the log with curl.
A phone that is to scan the codes must reach this address: see docs/operations.md.
`, w.file.BaseURL, w.dir, w.file.BaseURL+link, offlineTool(), w.inviteToSignIn())
	return nil
}

// offlineTool is how to call elicence: the binary beside this one, if it is there.
func offlineTool() string {
	if tool := beside("elicence"); tool != "" {
		return tool
	}
	return "go run ./cmd/elicence"
}
