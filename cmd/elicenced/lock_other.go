//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package main

import "os"

// lockFile does nothing where there is no flock: revoke while the service is stopped.
func lockFile(*os.File) error { return nil }
