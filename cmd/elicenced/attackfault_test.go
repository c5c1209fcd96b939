//go:build faults

package main

import "testing"

// TestFaultAttacks is TestAttacks on PostgreSQL, by its superuser.
func TestFaultAttacks(t *testing.T) {
	attack(t, newAttacked(t, newSite(t, ownDatabase(t, postgres.DSN(t)))))
}
