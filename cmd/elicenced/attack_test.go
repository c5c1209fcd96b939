package main

import (
	"database/sql"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"elicence/audit"
	"elicence/audit/audittest"
)

// attacked is an instance whose log somebody attacks, and what others keep of it: an
// auditor's policies, his last checkpoint and the state of his watch, and a witness.
type attacked struct {
	*site
	city    *party
	flags   []string // of a service with the witness
	policy  string   // asks for the witness
	logOnly string   // asks for the log's signature alone
	older   string   // checkpoint that the auditor kept
	state   string   // of his watch
}

// newAttacked serves an instance for a while, with a witness, and ends it.
func newAttacked(t *testing.T, s *site) *attacked {
	t.Helper()
	a := &attacked{site: s}
	must(t, os.RemoveAll(filepath.Join(a.Dir, "witness"))) // the demo's own
	a.city = a.newParty(t, "city")
	running := a.city.start(t)
	t.Cleanup(func() { running.kill() })
	a.flags = a.witnessed(t, 1, a.city)
	dir := t.TempDir()
	a.policy, a.logOnly, a.older, a.state = a.flags[1], filepath.Join(dir, "log-only"), filepath.Join(dir, "older"), filepath.Join(dir, "state")
	must(t, os.WriteFile(a.logOnly, []byte("log "+a.logVkey(t)+"\n"), 0o600))
	r := a.serve(t, append(a.flags, "--new-witnesses")...)
	issue := func(n int) {
		t.Helper()
		if _, err := a.issueOne(t, r, fmt.Sprint("attacked-", n)); err != nil {
			t.Fatal(err)
		}
	}
	issue(0)
	within(t, "this witness has cosigned", func() bool { return a.firstCosigned(t) > 0 }) // the demo's own has cosigned all before
	for n := range 4 {
		issue(n + 1)
	}
	within(t, "the log is cosigned again", func() bool { c, all := a.cosigned(t); return c == all })
	must(t, os.WriteFile(a.older, a.shown(t, r, "/log/checkpoint"), 0o600))
	if says := a.watch(t, r, a.policy); !strings.Contains(says, "good: ") {
		t.Fatal(says)
	}
	r.stop(t)
	return a
}

// firstCosigned is the size of the first checkpoint that the city's witness has cosigned,
// 0 while there is none.
func (a *attacked) firstCosigned(t *testing.T) (size int) {
	t.Helper()
	db := a.tables(t)
	defer db.Close()
	found, err := db.Query(`SELECT size, note FROM log_cosigned ORDER BY size DESC`)
	must(t, err)
	defer found.Close()
	for found.Next() {
		var at int
		var note []byte
		must(t, found.Scan(&at, &note))
		if strings.Contains(string(note), "city.example") {
			size = at
		}
	}
	must(t, found.Err())
	return size
}

func (a *attacked) shown(t *testing.T, r *running, path string) []byte {
	t.Helper()
	b, err := a.as(t, r, "auditor-demo").get(t.Context(), path)
	must(t, err)
	return b
}

// copied is the instance in another folder, so that every attack is on the same.
func (a *attacked) copied(t *testing.T) *attacked {
	t.Helper()
	c := *a
	c.site = &site{location: location{Dir: filepath.Join(t.TempDir(), "copy")}, demo: a.demo}
	must(t, exec.Command("cp", "-a", a.Dir, c.Dir).Run())
	if a.Database != "" {
		c.Database = ownDatabase(t, a.Database)
	}
	state, err := os.ReadFile(a.state)
	must(t, err)
	c.state = filepath.Join(t.TempDir(), "state")
	must(t, os.WriteFile(c.state, state, 0o600))
	return &c
}

// disarmed is the database without the triggers that keep the log append-only, as its
// owner can have it.
func (s *site) disarmed(t *testing.T) *sql.DB {
	t.Helper()
	db := s.tables(t)
	for _, table := range []string{"entry", "checkpoint", "node", "cosigned"} {
		if s.Database != "" {
			do(t, db, "ALTER TABLE log_"+table+" DISABLE TRIGGER ALL")
			continue
		}
		for _, event := range []string{"update", "delete", "insert"} {
			do(t, db, "DROP TRIGGER log_"+table+"_"+event)
		}
	}
	return db
}

func do(t *testing.T, db *sql.DB, statements ...string) {
	t.Helper()
	for _, statement := range statements {
		_, err := db.Exec(statement)
		must(t, err)
	}
}

// auditor runs "elicence audit" and returns what it prints.
func auditor(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command(auditorBinary, append([]string{"audit"}, args...)...).CombinedOutput()
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		t.Fatal(err)
	}
	return string(out)
}

// export writes the log as it is stored, with the server's command.
func (a *attacked) export(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "export")
	if out, err := a.command("log", "export", "-o", file).CombinedOutput(); err != nil {
		t.Fatalf("log export: %v\n%s", err, out)
	}
	return file
}

// watch watches a running service once, or until there is an alarm.
func (a *attacked) watch(t *testing.T, r *running, policy string, more ...string) string {
	t.Helper()
	token := filepath.Join(t.TempDir(), "token")
	must(t, os.WriteFile(token, []byte(a.as(t, r, "auditor-demo").token), 0o600))
	if len(more) == 0 {
		more = []string{"--once"}
	}
	args := []string{"watch", "--policy", policy, "--token-file", token, "--state", a.state, "--server", r.baseURL}
	return auditor(t, append(args, more...)...)
}

// starts is what a service says that does not start; nothing when it does.
func (a *attacked) starts(t *testing.T, flags ...string) string {
	t.Helper()
	cmd := a.command(append([]string{"serve", "--listen", "127.0.0.1:0"}, flags...)...)
	var says faultLog
	cmd.Stderr = &says
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	served := make([]byte, 1)
	n, _ := out.Read(served) // it says where it serves, or ends
	if n > 0 {
		cmd.Process.Kill()
	}
	err = cmd.Wait()
	if n > 0 {
		return ""
	}
	if err == nil {
		t.Error("the service ended without a fault")
	}
	return says.String()
}

// forgetful removes what the instance keeps outside of its database.
func (a *attacked) forgetful(t *testing.T) *attacked {
	t.Helper()
	must(t, os.Remove(filepath.Join(a.Dir, "checkpoint")))
	return a
}

var anyNumber = regexp.MustCompile(`[0-9]+`)

// says wants a message in what somebody printed, with N for every number, and in the
// table of docs/log-format.md.
func says(t *testing.T, who, printed, want string) {
	t.Helper()
	if got := anyNumber.ReplaceAllString(printed, "N"); !strings.Contains(got, want) {
		t.Errorf("%s says %s\nwant %s", who, printed, want)
	}
	doc, err := os.ReadFile("../../docs/log-format.md")
	must(t, err)
	if !strings.Contains(string(doc), "`"+want+"`") {
		t.Errorf("docs/log-format.md lacks what %s says: %s", who, want)
	}
}

// saysGood wants the auditor to find nothing: the attack is not to be seen there.
func saysGood(t *testing.T, printed string) {
	t.Helper()
	if !strings.HasPrefix(printed, "日志完好") {
		t.Errorf("seen where it cannot be seen: %s", printed)
	}
}

// TestAttacks does to a log what docs/log-format.md says that is noticed, and by whom.
func TestAttacks(t *testing.T) {
	t.Parallel()
	attack(t, newAttacked(t, newSite(t, "")))
}

func attack(t *testing.T, a *attacked) {
	saysGood(t, auditor(t, "verify", "--policy", a.policy, a.export(t)))

	t.Run("rows by hand", func(t *testing.T) { attackRows(t, a) })
	t.Run("tail cut", func(t *testing.T) { attackTail(t, a.copied(t)) })
	t.Run("rewritten", func(t *testing.T) { attackAll(t, a.copied(t)) })
	t.Run("two views", func(t *testing.T) { attackViews(t, a) })
	t.Run("frozen", func(t *testing.T) { attackFrozen(t, a.copied(t)) })
	t.Run("witness silenced", func(t *testing.T) { attackWitness(t, a.copied(t)) })
}

// attackRows changes rows one by one, as a database administrator can.
func attackRows(t *testing.T, a *attacked) {
	for _, attack := range []struct {
		name          string
		does          func(db *sql.DB) []string
		verify, start string
	}{
		{"record edited", func(db *sql.DB) []string { return edit(t, db, 7) },
			"entry N: the record does not match its stored leaf", "the log differs from its checkpoint: in or before entry N"},
		{"record and leaf edited", func(db *sql.DB) []string { return editWithLeaf(t, db, 9) },
			"entry N: the record and its leaf were altered: entry N is linked to another leaf", "the log differs from its checkpoint: in or before entry N"},
		{"last record and leaf edited", func(db *sql.DB) []string { return editWithLeaf(t, db, lastIndex(t, db)) },
			"entry N: the root differs from the checkpoint's", "the log differs from its checkpoint: in entry N"},
		{"deleted", func(*sql.DB) []string { return []string{`DELETE FROM log_entry WHERE "index" = 11`} },
			"entry N: it is missing: entry N follows", "the log differs from its checkpoint: in or before entry N"},
		{"last deleted", func(db *sql.DB) []string {
			return []string{fmt.Sprintf(`DELETE FROM log_entry WHERE "index" = %d`, lastIndex(t, db))}
		}, "entry N: it is missing: the range ends before entry N", "the log went backwards: entry N is missing, the checkpoint covers N"},
		{"swapped", func(db *sql.DB) []string { return swap(t, db, 13, 15) },
			"entry N: it holds the record of entry N", "the log differs from its checkpoint: in or before entry N"},
		{"inserted", func(db *sql.DB) []string { return insert(t, db, 12) },
			"entry N: it was inserted: the record of entry N follows", "the log differs from its checkpoint: in entry N"},
		{"appended", func(db *sql.DB) []string { return insert(t, db, lastIndex(t, db)) },
			"", "the log differs from its checkpoint: entry N is beyond the checkpoint"},
	} {
		t.Run(attack.name, func(t *testing.T) {
			a := a.copied(t)
			db := a.disarmed(t)
			do(t, db, attack.does(db)...)
			if verdict := auditor(t, "verify", "--policy", a.logOnly, a.export(t)); attack.verify == "" {
				saysGood(t, verdict) // what no checkpoint covers is in no export
			} else {
				says(t, "audit verify", verdict, attack.verify)
			}
			says(t, "the service", a.starts(t, a.flags...), attack.start)
		})
	}
}

// insert puts an entry behind another one, linked to it, and moves those that follow.
func insert(t *testing.T, db *sql.DB, after int) []string {
	t.Helper()
	var record, leaf []byte
	must(t, db.QueryRow(`SELECT record, leaf FROM log_entry WHERE "index" = $1`, after).Scan(&record, &leaf))
	r, err := audit.ParseRecord(record)
	must(t, err)
	r.Prev, r.Index, r.Entry.Object = [32]byte(leaf), r.Index+1, "forged"
	record, err = r.Marshal()
	must(t, err)
	forged := audit.LeafHash(record)
	return []string{
		fmt.Sprintf(`UPDATE log_entry SET "index" = "index" + 1000000000 WHERE "index" > %d`, after), // no partition takes what is below 0
		`UPDATE log_entry SET "index" = "index" - 999999999 WHERE "index" >= 1000000000`,
		fmt.Sprintf(`INSERT INTO log_entry (log_id, "index", record, leaf) VALUES ((SELECT min(log_id) FROM log_entry), %d, %s, %s)`, after+1, hexOf(db, record), hexOf(db, forged[:])),
	}
}

// attackTail cuts the log to an older checkpoint, as the restore of an old backup does.
func attackTail(t *testing.T, a *attacked) {
	db := a.disarmed(t)
	cutTail(t, db, a.firstCosigned(t))
	must(t, db.Close())
	export := a.export(t)
	saysGood(t, auditor(t, "verify", "--policy", a.policy, export))
	says(t, "audit prove", auditor(t, "prove", "--policy", a.logOnly, "--older", a.older, export), "bad: the log went backwards: the older checkpoint covers N entries, the newer N")
	says(t, "the service", a.starts(t), "the log went backwards: N entries, the checkpoint kept by")
	a.forgetful(t)
	says(t, "the service", a.starts(t, a.flags...), "the log went backwards: N entries, the checkpoint kept by witness wN covers N")
	r := a.serve(t)
	says(t, "audit watch", a.watch(t, r, a.logOnly), "alarm: backwards: the service shows a log of N entries, and it showed before one of N")
	says(t, "audit watch", a.watch(t, r, a.policy), "alarm: not cosigned: audit: too few cosignatures: N of N")
	must(t, os.Remove(a.state)) // of an auditor who is new
	policy := filepath.Join(t.TempDir(), "policy")
	text, err := os.ReadFile(a.policy)
	must(t, err)
	must(t, os.WriteFile(policy, []byte(strings.Replace(string(text), "quorum 1", "quorum 0", 1)), 0o600))
	says(t, "audit watch", a.watch(t, r, policy, "--once", "--witness", "w0=http://"+a.city.address), "alarm: backwards: witness wN has cosigned a log of N entries, and the service has less")
	for n := range 8 { // in place of what was cut, and more
		if _, err := a.issueOne(t, r, fmt.Sprint("instead-", n)); err != nil {
			t.Error(err)
		}
	}
	r.stop(t)
	says(t, "the service", a.starts(t, a.flags...), "the log differs from its checkpoint: the entries below N do not give the root of the checkpoint of that size kept by witness wN")
	saysGood(t, auditor(t, "verify", "--policy", a.logOnly, a.export(t)))
}

// cutTail deletes all that a log got after it had a size.
func cutTail(t *testing.T, db *sql.DB, size int) {
	t.Helper()
	for table, column := range map[string]string{"entry": `"index" >= `, "checkpoint": "size > ", "cosigned": "size > ", "node": `(("index" + 1) << CAST(level AS integer)) > `} {
		do(t, db, fmt.Sprintf(`DELETE FROM log_%s WHERE %s %d`, table, column, size))
	}
}

// attackAll writes the whole log anew, one entry altered, with the log's key.
func attackAll(t *testing.T, a *attacked) {
	db := a.disarmed(t)
	keys, err := a.keys("")
	must(t, err)
	key, err := keys.key("log")
	must(t, err)
	settings, err := a.settings()
	must(t, err)
	rows := backUp(t, db)
	first, err := audit.ParseRecord(rows[0].record)
	must(t, err)
	log := audittest.Open(t, audit.Signer{Name: settings.LogID, Key: key}, first.Entry.Time)
	for i, row := range rows {
		r, err := audit.ParseRecord(row.record)
		must(t, err)
		if log.Now = r.Entry.Time; i == 8 {
			r.Entry.Object = "nothing"
		}
		log.MustAppend(t, r.Entry)
	}
	do(t, db, `DELETE FROM log_entry`, `DELETE FROM log_checkpoint`, `DELETE FROM log_node`, `DELETE FROM log_cosigned`)
	for i, row := range log.Storage.Stored {
		head := log.Storage.Heads[i]
		_, err := db.Exec(`INSERT INTO log_entry (log_id, "index", record, leaf) VALUES ($1, $2, $3, $4)`, settings.LogID, row.Index, row.Record, row.Leaf[:])
		must(t, err)
		_, err = db.Exec(`INSERT INTO log_checkpoint (log_id, size, last_leaf, compact_range, note) VALUES ($1, $2, $3, $4, $5)`,
			settings.LogID, head.Size, head.LastLeaf[:], joined(head.Range), head.Checkpoint)
		must(t, err)
	}
	must(t, db.Close())
	export := a.export(t)
	saysGood(t, auditor(t, "verify", "--policy", a.logOnly, export))
	says(t, "audit verify", auditor(t, "verify", "--policy", a.policy, export), "audit: bad export: audit: too few cosignatures: N of N")
	says(t, "audit prove", auditor(t, "prove", "--policy", a.logOnly, "--older", a.older, export), "bad: the log has two histories")
	says(t, "the service", a.starts(t), "the log differs from its checkpoint: the entries below N do not give the root of the checkpoint of that size kept by")
	a.forgetful(t)
	says(t, "the service", a.starts(t, a.flags...), "the log differs from its checkpoint: the entries below N do not give the root of the checkpoint of that size kept by witness wN")
	r := a.serve(t)
	defer r.stop(t)
	says(t, "audit watch", a.watch(t, r, a.logOnly), "alarm: forked: the service shows a log of N entries that does not continue the one of N that it showed before")
}

func joined(hashes [][]byte) (all []byte) {
	for _, h := range hashes {
		all = append(all, h...)
	}
	return all
}

// attackViews has two copies of the log go on apart, each for one witness.
func attackViews(t *testing.T, a *attacked) {
	one, two := a.copied(t), a.copied(t)
	first, second := one.newParty(t, "first"), one.newParty(t, "second")
	for _, p := range []*party{first, second} {
		w := p.start(t)
		defer w.stop(t)
	}
	both := a.witnessed(t, 1, first, second)
	r := two.serve(t, append(two.witnessed(t, 1, second), "--new-witnesses")...)
	if _, err := two.issueOne(t, r, "a-view"); err != nil {
		t.Fatal(err)
	}
	r.stop(t)
	r = one.serve(t, append(one.witnessed(t, 1, first), "--new-witnesses")...)
	defer r.stop(t)
	for i := range 3 {
		if _, err := one.issueOne(t, r, fmt.Sprint("another-view-", i)); err != nil {
			t.Fatal(err)
		}
	}
	within(t, "the view is cosigned", func() bool { c, all := one.cosigned(t); return c == all })
	addresses := []string{"--once", "--witness", "w0=http://" + first.address}
	if printed := one.watch(t, r, both[1], addresses...); !strings.Contains(printed, "good: ") {
		t.Errorf("one of two witnesses has seen this view: %s", printed)
	}
	says(t, "audit watch", one.watch(t, r, both[1], append(addresses, "--witness", "w1=http://"+second.address)...),
		"alarm: forked: the service shows a log of N entries that does not continue the one of N that witness wN has cosigned")
}

// attackFrozen shows the auditor the same old checkpoint again and again.
func attackFrozen(t *testing.T, a *attacked) {
	r := a.serve(t, a.flags...)
	defer r.stop(t)
	old := a.shown(t, r, "/log/checkpoint")
	service, err := url.Parse(r.baseURL)
	must(t, err)
	mux := http.NewServeMux()
	mux.Handle("/", httputil.NewSingleHostReverseProxy(service))
	mux.HandleFunc("/api/v1/log/checkpoint", func(w http.ResponseWriter, _ *http.Request) { w.Write(old) })
	proxy := httptest.NewServer(mux)
	defer proxy.Close()
	says(t, "audit watch", a.watch(t, r, a.logOnly, "--server", proxy.URL, "--every", "200ms", "--stale", "2s"), "alarm: stale: nothing newer than N entries was shown since")
}

// attackWitness keeps the service from its witness.
func attackWitness(t *testing.T, a *attacked) {
	w := a.newParty(t, "other")
	running := w.start(t)
	flags := a.witnessed(t, 1, w)
	r := a.serve(t, append(flags, "--new-witnesses")...)
	defer r.stop(t)
	within(t, "it is cosigned", func() bool { return strings.Contains(string(a.shown(t, r, "/log/checkpoint")), "other.example") })
	running.kill()
	says(t, "audit watch", a.watch(t, r, flags[1], "--every", "200ms", "--stale", "4s"), "alarm: stale: no quorum of witnesses has cosigned the log since")
}
