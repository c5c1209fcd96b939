//go:build faults

package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"elicence/store/pgtest"
)

// drill is the rehearsal of a disaster, with a transcript of its commands.
type drill struct {
	*site
	names  [][2]string // what a folder or file is called in the transcript
	script strings.Builder
}

// do runs a command of the site and wants its exit code to be 0.
func (d *drill) do(t *testing.T, args ...string) {
	t.Helper()
	d.note("$ elicenced", d.output(t, args...), args...)
}

// fails runs a command of the site that must refuse, and say so.
func (d *drill) fails(t *testing.T, says string, args ...string) {
	t.Helper()
	out, err := d.command(args...).CombinedOutput()
	if err == nil || !strings.Contains(string(out), says) {
		t.Errorf("elicenced %s: %v: %s; want %q", strings.Join(args, " "), err, out, says)
	}
	d.note("$ elicenced", string(out), args...)
}

// note adds a command and what it printed to the transcript.
func (d *drill) note(program, out string, args ...string) {
	text := program + " " + strings.Join(args, " ") + "\n" + out
	for _, n := range d.names {
		text = strings.ReplaceAll(text, n[0], n[1])
	}
	d.script.WriteString(strings.TrimRight(text, "\n") + "\n\n")
}

// name gives a file or folder its name in the transcript; the longest paths come first.
func (d *drill) name(path, name string) string {
	d.names = append(d.names, [2]string{path, name})
	slices.SortFunc(d.names, func(a, b [2]string) int { return len(b[0]) - len(a[0]) })
	return path
}

// TestFaultDisaster rehearses what docs/operations.md tells an operator to do: back up
// beside the running service, lose the machine, restore, be refused, declare what is lost,
// and serve again. The witness and the auditor's mirror are all that is left of the last entries.
func TestFaultDisaster(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) {
		d := &drill{site: newSite(t, "")}
		d.disaster(t, func(file string) func(to *site) {
			d.do(t, "database", "backup", "-o", file)
			return func(to *site) {
				content, err := os.ReadFile(file)
				must(t, err)
				must(t, os.WriteFile(filepath.Join(to.Dir, "elicence.db"), content, 0o600))
				d.note("$ cp", "", file, filepath.Join(to.Dir, "elicence.db"))
			}
		})
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		pair := pgtest.NewPair(t)
		d := &drill{site: newSite(t, pair.DSN)}
		d.failOver(t, pair)
		d.disaster(t, func(file string) func(to *site) {
			dsn, _ := libpq(t, pair.DSN)
			postgresTool(t, "pg_dump", "--dbname", dsn, "--file", file)
			d.note("$ pg_dump", "", "--dbname", "DSN", "--file", file)
			return func(to *site) {
				to.Database = postgres.DSN(t) // another machine
				_, err := to.tables(t).Exec("CREATE DATABASE restored")
				must(t, err)
				for _, role := range []string{"elicence_server", "elicence_archive"} {
					_, err := to.tables(t).Exec("DO $$ BEGIN CREATE ROLE " + role + " NOLOGIN; EXCEPTION WHEN duplicate_object THEN END $$")
					must(t, err)
					d.note("$ psql", "", "--dbname", "NEW_DSN", "--command", "'CREATE ROLE "+role+" NOLOGIN'")
				}
				dsn, _ := libpq(t, to.Database)
				to.Database = strings.Replace(dsn, "/postgres?", "/restored?", 1)
				postgresTool(t, "psql", "--dbname", to.Database, "--quiet", "--no-psqlrc", "--set", "ON_ERROR_STOP=1", "--output", os.DevNull, "--file", file)
				d.note("$ psql", "", "--dbname", "NEW_DSN", "--set", "ON_ERROR_STOP=1", "--file", file)
			}
		})
	})
}

// failOver kills the primary under load and promotes its synchronous standby. The service goes
// on by itself, and everything that was answered is there.
func (d *drill) failOver(t *testing.T, pair *pgtest.Pair) {
	p := d.newParty(t, "before")
	w := p.start(t)
	defer w.stop(t)
	args := d.witnessed(t, 1, p)
	server := d.serve(t, append(args, "--new-witnesses")...)
	samples, err := loadSamples()
	must(t, err)
	var all []*request
	for i := range 1500 { // of which a fast machine answers some hundred a second
		all = append(all, &request{key: fmt.Sprint("failover-", i), sample: samples[i%len(samples)]})
	}
	var load sync.WaitGroup
	load.Go(func() { d.ask(t, all, server) })
	time.Sleep(time.Second)
	pair.FailOver(t)
	load.Wait()
	answered := count(all)
	t.Logf("fail-over: %d of %d requests were answered while the primary was killed and the standby promoted", answered, len(all))
	if answered == 0 || answered == len(all) {
		t.Error("the fail-over hit no run of issues: it proved nothing")
	}
	server.stop(t)
	d.settle(t, all)
	d.checkRegister(t, all)
	d.serve(t, args...).stop(t) // its witness, too, has nothing newer
}

// disaster is the drill; backUp backs the database up into a file and returns what restores it.
func (d *drill) disaster(t *testing.T, backUp func(file string) (restore func(to *site))) {
	safe := t.TempDir() // what survives: media in a safe, another machine
	in := func(name string) string { return d.name(filepath.Join(safe, name), name) }
	d.name(d.Dir, "D")
	must(t, os.RemoveAll(filepath.Join(d.Dir, "witness")))
	p := d.newParty(t, "city")
	w := p.start(t)
	args := d.witnessed(t, 1, p)
	policy := d.name(args[1], "policy.txt")
	d.name(p.address, "witness.example:8443")
	server := d.serve(t, append(args, "--new-witnesses")...)
	people := d.appoint(t, "张三", "李四")
	before := d.issueSome(t, server, "before", 3)

	// Backups beside the running service, while it issues.
	var load sync.WaitGroup
	var during []string
	load.Go(func() {
		for i := range 8 {
			issued, err := d.issueOne(t, server, fmt.Sprint("during-", i))
			if err != nil {
				t.Errorf("issuing during the backup: %v", err)
			}
			during = append(during, issued.Number)
		}
	})
	restore := func() func(to *site) {
		defer load.Wait()
		return backUp(in("database.backup"))
	}()
	copyTree(t, in("files.backup"), filepath.Join(d.Dir, "files"))
	d.note("$ rsync", "", "-a", filepath.Join(d.Dir, "files")+"/", filepath.Join(safe, "files.backup"))
	keys, shareDir := in("keys.backup"), in("shares")
	must(t, os.Mkdir(shareDir, 0o700))
	d.do(t, "keys", "backup", "-o", keys, "--shares", "2", "--share-dir", shareDir)

	// What comes after the backup is lost with the machine.
	lost := d.issueSome(t, server, "lost", 4)
	within(t, "all is cosigned", func() bool { c, all := d.cosigned(t); return c == all })
	mirror := in("mirror")
	d.output(t, "log", "export", "-o", mirror)
	server.kill()
	old := d.Dir
	must(t, os.RemoveAll(old))
	d.note("# the machine is lost", "")

	shares, err := filepath.Glob(filepath.Join(shareDir, "share-*"))
	must(t, err)
	d.site = d.restore(t, keys, shares)
	d.name(d.Dir, "NEW")
	d.note("$ elicenced", "", "keys", "restore", keys, "--share-file", "1.txt", "--share-file", "2.txt", "--dir", d.Dir)
	restore(d.site)
	copyTree(t, filepath.Join(d.Dir, "files"), filepath.Join(safe, "files.backup"))
	d.note("$ rsync", "", "-a", filepath.Join(safe, "files.backup")+"/", filepath.Join(d.Dir, "files"))
	d.fails(t, "the log went backwards", append([]string{"serve", "--listen", "127.0.0.1:0"}, args...)...)

	declaration := in("declaration")
	d.do(t, slices.Concat([]string{"log", "succeed", "--reason", "机房起火，数据库毁于一旦", "-o", declaration}, args)...)
	carryOut := slices.Concat([]string{"log", "succeed", "--approved", declaration}, args)
	for _, person := range people {
		d.fails(t, "not approved by two persons", carryOut...)
		d.name(person.file, "approver.key")
		d.note("$ elicenced", person.sign(t, declaration), "log", "approve", declaration, "--key", person.file)
	}
	d.do(t, carryOut...)
	declared := succession(t, declaration)

	trust(t, policy, declared.Successor)
	p.trust(t, declared.Successor)
	w.kill()
	w = p.start(t)
	defer w.stop(t)
	server = d.serve(t, append(args, "--new-witnesses")...)
	after := d.issueSome(t, server, "after", 3)
	for i, number := range slices.Concat(before, during, lost, after) {
		if slices.Index(slices.Concat(before, during, lost, after), number) != i {
			t.Errorf("the number %s was given out twice", number)
		}
	}
	d.wantFiles(t, server)
	server.stop(t)
	t.Logf("%d entries lost of %d; %d licences issued after the backup are not in the register", declared.Last.Size-declared.Recovered.Size, declared.Last.Size, len(lost))
	d.wantLoss(t, policy, mirror, declared)
	d.shown(t, policy, declared.Origin, in("old"), in("new"))
	t.Logf("transcript:\n%s", d.script.String())
}

// wantFiles downloads every licence of the register.
func (d *drill) wantFiles(t *testing.T, server *running) {
	t.Helper()
	rows, err := d.tables(t).Query(`SELECT identifier, type_code FROM licence WHERE status = 'valid'`)
	must(t, err)
	defer rows.Close()
	found := map[string]string{}
	for rows.Next() {
		var id, typeCode string
		must(t, rows.Scan(&id, &typeCode))
		found[id] = typeCode
	}
	must(t, rows.Err())
	for _, id := range slices.Sorted(maps.Keys(found)) {
		if _, err := d.as(t, server, issuerOf(found[id]).client).get(t.Context(), "/licences/"+id+"/file"); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
	t.Logf("%d valid licences with their files", len(found))
	if len(found) == 0 {
		t.Error("no valid licence is left")
	}
}

// shown adds the auditor's part to the transcript.
func (d *drill) shown(t *testing.T, policy, origin, old, successor string) {
	t.Helper()
	d.do(t, "log", "export", "-o", old, "--origin", origin)
	d.do(t, "log", "export", "-o", successor)
	d.note("$ elicence", auditVerify(t, 2, "complete but for the lost range", policy, old, successor), "audit", "verify", "--policy", policy, old, successor)
}
