//go:build faults

package main

import (
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"elicence/audit"
	"elicence/licence/registry"
	"elicence/store"
)

// TestFaultArchive kills the archiving of the log at random points, again and again beside
// the running service, and gives the command again word for word: in the end every entry
// is in one file or in the database, and the log has one entry for each segment.
func TestFaultArchive(t *testing.T) {
	t.Parallel()
	kills := numberFrom("ELICENCE_ARCHIVE_KILLS", 40)
	for _, backend := range []string{"SQLite", "PostgreSQL"} {
		t.Run(backend, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, backends[backend](t))
			r := s.serve(t)
			defer r.stop(t)
			random := mathrand.New(mathrand.NewPCG(1, 0))
			dir := t.TempDir()
			var files []string
			stages := map[string]int{}
			for killed := 0; killed < kills; {
				_, err := s.issueOne(t, r, "archive-"+strconv.Itoa(len(files)))
				must(t, err)
				size, _, _ := s.archived(t)
				file := filepath.Join(dir, fmt.Sprintf("segment-%d", len(files)))
				files = append(files, file)
				args := []string{"log", "archive", "--reason", "归档", "-o", file, "--before", strconv.FormatUint(size, 10)}
				for range 3 {
					if !killedWhile(t, s.command(args...), file, time.Duration(random.Int64N(int64(300*time.Millisecond)))) {
						break // it was through before
					}
					killed++
					stages[s.stage(t, file)]++
				}
				s.mustRun(t, "archived: "+filepath.Base(file), args...)
			}
			_, err := s.issueOne(t, r, "archive-last")
			must(t, err)
			live := filepath.Join(dir, "live")
			size, archived, _ := s.archived(t) // to its end, which no witness has cosigned here
			s.mustRun(t, "", "log", "export", "-o", live, "--from", strconv.FormatUint(archived.To(), 10), "--to", strconv.FormatUint(size, 10))
			s.verified(t, append(files, live)...)
			for _, file := range files {
				s.mustRun(t, "in the database again", "log", "restore", "--reason", "核查", file)
			}
			if got := s.actions(t)[registry.ActionArchive]; got != len(files) || len(archived.Segments) != len(files) {
				t.Errorf("%d entries and %d records for %d segments", got, len(archived.Segments), len(files))
			}
			t.Logf("killed at: %v; %d segments of %d entries", stages, len(files), archived.To())
		})
	}
}

// killedWhile kills a command some time after it began with a file, or found it, and reports
// whether that came before its end.
func killedWhile(t *testing.T, cmd *exec.Cmd, file string, after time.Duration) bool {
	t.Helper()
	must(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for !there(file+".new") && !there(file) && len(ended) == 0 {
		time.Sleep(time.Millisecond)
	}
	select {
	case err := <-ended:
		must(t, err)
		return false
	case <-time.After(after):
	}
	_ = cmd.Process.Kill()
	return <-ended != nil
}

func there(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// stage is how far the archiving of a file came.
func (s *site) stage(t *testing.T, file string) string {
	_, archived, lowest := s.archived(t)
	switch n := len(archived.Segments); {
	case n > 0 && archived.Segments[n-1].Name == filepath.Base(file) && lowest >= archived.To()/store.LeafBlock*store.LeafBlock:
		return "rows removed"
	case n > 0 && archived.Segments[n-1].Name == filepath.Base(file):
		return "on record"
	case there(file):
		return "file durable"
	case there(file + ".new"):
		return "file begun"
	}
	return "nothing yet"
}

// archived is the size of the log, what of it is archived, and its lowest row.
func (s *site) archived(t testing.TB) (size uint64, a audit.Archive, lowest uint64) {
	t.Helper()
	logID, db := s.logOf(t)
	defer db.Close()
	head, err := db.Head(t.Context(), logID)
	must(t, err)
	a, err = db.Archived(t.Context(), logID)
	must(t, err)
	lowest, _, err = db.Lowest(t.Context(), logID)
	must(t, err)
	return head.Size, a, lowest
}
