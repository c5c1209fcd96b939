//go:build faults

package main

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"elicence/store/pgtest"
)

// TestFaultDiskFull fills the disk that the database is on, a tmpfs of its own, under load.
// While it is full nothing is answered that has no entry, and what is refused says so. When
// there is room again the service goes on by itself, and the chain verifies.
func TestFaultDiskFull(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) {
		disk := mountDisk(t, "size=64m,mode=755")
		s := newSite(t, "")
		copyTree(t, filepath.Join(disk, "instance"), s.Dir)
		s.Dir = filepath.Join(disk, "instance")
		diskFull(t, s, disk, func() {}, func() {})
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		disk := mountDisk(t, "size=256m,mode=755")
		cluster := pgtest.NewCluster(t, disk)
		s := newSite(t, cluster.DSN)
		// Without room for the next file of its write-ahead log PostgreSQL gives up, and
		// whoever runs it starts it again.
		diskFull(t, s, disk, func() { _, _ = s.tables(t).Exec("SELECT pg_switch_wal()") }, func() { cluster.Restart(t) })
	})
}

// mountDisk mounts a file system in memory.
func mountDisk(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Fatalf("mounting a tmpfs to fill (it takes root): %v", err)
	}
	must(t, os.Chmod(filepath.Dir(dir), 0o755)) // PostgreSQL runs as another user
	t.Cleanup(func() { must(t, syscall.Unmount(dir, syscall.MNT_DETACH)) })
	return dir
}

// fill leaves so many bytes of a disk free, until the returned function is called.
func fill(t *testing.T, disk string, left int64) (makeRoom func()) {
	t.Helper()
	ballast := filepath.Join(disk, "ballast")
	f, err := os.Create(ballast)
	must(t, err)
	defer f.Close()
	err = syscall.ENOSPC
	for try := 0; err == syscall.ENOSPC && try < 20; try++ { // others write meanwhile
		var at syscall.Statfs_t
		must(t, syscall.Statfs(disk, &at))
		err = syscall.Fallocate(int(f.Fd()), 0, 0, int64(at.Bavail)*at.Bsize-left)
	}
	must(t, err)
	return func() { must(t, os.Remove(ballast)) }
}

// diskFull fills the disk of a service at work twice, the second time with whatever makes it
// worse, and repairs that once there is room.
func diskFull(t *testing.T, s *site, disk string, worse, repair func()) {
	k := newKilling(t, s)
	k.server = s.serve(t)
	all := k.under(t, func() {
		for _, then := range []func(){func() {}, worse} {
			k.served(t)
			before, makeRoom := k.refused(), fill(t, disk, 100<<10)
			then()
			within(t, "the disk is full", func() bool { return k.refused() > before+50 })
			// Here and there a small batch still finds room, and the service is ready until the next.
			within(t, "the service calls itself unready", func() bool {
				_, err := (&apiClient{base: k.server.baseURL}).get(t.Context(), "/readyz")
				return err != nil
			})
			makeRoom()
			repair()
			k.served(t)
			within(t, "it is ready", func() bool {
				_, err := (&apiClient{base: k.server.baseURL}).get(t.Context(), "/readyz")
				return err == nil
			})
		}
	})
	t.Logf("%d answers with a receipt; other answers: %v; %d of %d issues were answered at once", k.answers.count(), k.faults, count(all), len(all))
	if k.said("no answer", "internal") > 0 {
		t.Errorf("the service went away: %s", k.server.faults)
	}
	k.server.stop(t)
	s.settle(t, all)
	s.checkRegister(t, all)
	k.checkAnswers(t)
}

// refused is how often the service said that it cannot go on.
func (k *killing) refused() int {
	return k.said("log_unavailable", "storage_unavailable", "outcome_unknown", "unfinished")
}
