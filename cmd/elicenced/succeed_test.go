package main

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"elicence/audit"
)

// approver is a person with a key of their own.
type approver struct{ name, file, vkey string }

// approverCommand runs a command of an approver, who has no instance.
func approverCommand(args ...string) (string, error) {
	cmd := exec.Command(binary, append([]string{"log"}, args...)...)
	cmd.Env = append(os.Environ(), approverPassphrase+"=a passphrase of their own")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// appoint makes the keys of some persons and has the site's log appoint them.
func (s *site) appoint(t *testing.T, names ...string) (all []approver) {
	t.Helper()
	for _, name := range names {
		a := approver{name: name, file: filepath.Join(t.TempDir(), "approver.key")}
		out, err := approverCommand("approver", "new", "--name", name, "-o", a.file)
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		a.vkey = strings.TrimSpace(out)
		s.output(t, "log", "approver", "appoint", a.vkey, "--reason", "岗位职责")
		all = append(all, a)
	}
	return all
}

// sign has a person sign a declaration.
func (a approver) sign(t *testing.T, declaration string) string {
	t.Helper()
	out, err := approverCommand("approve", declaration, "--key", a.file)
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return out
}

// issueSome issues the first sample so many times, and returns the numbers.
func (s *site) issueSome(t *testing.T, r *running, key string, n int) (numbers []string) {
	t.Helper()
	for i := range n {
		issued, err := s.issueOne(t, r, fmt.Sprint(key, "-", i))
		must(t, err)
		numbers = append(numbers, issued.Number)
	}
	return numbers
}

// auditVerify runs elicence audit verify and wants its exit code and what it says.
func auditVerify(t *testing.T, code int, says, policy string, exports ...string) string {
	t.Helper()
	cmd := exec.Command(auditorBinary, append([]string{"audit", "verify", "--policy", policy}, exports...)...)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != code || !strings.Contains(string(out), says) {
		t.Errorf("audit verify: %v; want %d and %q:\n%s", err, code, says, out)
	}
	return string(out)
}

// succession is what a declaration file declares.
func succession(t *testing.T, declaration string) audit.Succession {
	t.Helper()
	signed, err := os.ReadFile(declaration)
	must(t, err)
	text, _, _ := strings.Cut(string(signed), "\n\n")
	declared, err := audit.ParseSuccession(text + "\n")
	must(t, err)
	return declared
}

// TestSuccession: a database that lost entries is succeeded by two approvals and in no
// other way; the service goes on with its witness, gives out no number twice, and the
// auditor's program says what is lost.
func TestSuccession(t *testing.T) {
	t.Parallel()
	for name, dsn := range backends {
		t.Run(name, func(t *testing.T) { succeed(t, newSite(t, dsn(t))) })
	}
}

// TestSuccessionOfDemo: the demo's own witness follows, and goes on giving out what it
// knows of the log before. The policy in the folder names both logs.
func TestSuccessionOfDemo(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	s.appoint(t, "张三")
	declaration := filepath.Join(t.TempDir(), "declaration")
	drawUp := []string{"log", "succeed", "--reason", "磁盘损坏", "-o", declaration}
	// Put back to before the second approver, and then to after.
	lose := func(key string) (numbers []string, newest func()) {
		putBack := s.snapshot(t)
		r := s.serve(t)
		numbers = s.issueSome(t, r, key, 1)
		r.stop(t)
		newest = s.snapshot(t)
		putBack()
		return numbers, newest
	}
	numbers, newest := lose("first")
	s.refuses(t, "appoints 1 approvers, and two must sign", drawUp...)
	newest()
	people := s.appoint(t, "李四", "王五")
	lost, _ := lose("second")
	s.output(t, drawUp...)
	for _, person := range people {
		person.sign(t, declaration)
	}
	s.output(t, "log", "succeed", "--approved", declaration)
	r := s.serve(t)
	numbers = slices.Concat(numbers, lost, s.issueSome(t, r, "after", 1))
	r.stop(t)
	if slices.Sort(numbers); len(slices.Compact(numbers)) != 3 {
		t.Errorf("a number was given out twice: %v", numbers)
	}
	old, successor := filepath.Join(t.TempDir(), "old"), filepath.Join(t.TempDir(), "new")
	s.output(t, "log", "export", "-o", successor)
	s.output(t, "log", "export", "-o", old, "--origin", succession(t, declaration).Origin)
	auditVerify(t, 2, "declared by 李四, 王五", filepath.Join(s.Dir, "log-policy.txt"), old, successor)
}

func succeed(t *testing.T, s *site) {
	must(t, os.RemoveAll(filepath.Join(s.Dir, "witness"))) // the demo's own
	p := s.newParty(t, "city")
	w := p.start(t)
	args := s.witnessed(t, 1, p)
	r := s.serve(t, slices.Concat(args, []string{"--new-witnesses"})...)
	people := s.appoint(t, "张三", "李四", "王五") // beside the service
	s.refuses(t, "is appointed already", "log", "approver", "appoint", people[0].vkey, "--reason", "again")
	kept := s.issueSome(t, r, "kept", 2)
	r.stop(t)
	s.output(t, "log", "approver", "dismiss", people[2].vkey, "--reason", "调离") // which no witness has cosigned
	s.refuses(t, "appoints no approver", "log", "approver", "dismiss", people[2].vkey, "--reason", "again")
	if list := s.output(t, "log", "approver", "list"); list != people[0].vkey+"\n"+people[1].vkey+"\n" {
		t.Errorf("approvers:\n%s", list)
	}
	putBack := s.snapshot(t)
	r = s.serve(t, args...)
	lost := s.issueSome(t, r, "lost", 3)
	r.stop(t)
	policy := args[1]
	mirror := filepath.Join(t.TempDir(), "mirror")
	s.output(t, "log", "export", "-o", mirror)
	declaration := filepath.Join(t.TempDir(), "declaration")
	unwitnessed := []string{"log", "succeed", "--reason", "机房起火", "-o", declaration}
	drawUp := slices.Concat(unwitnessed, args)
	carryOut := append([]string{"log", "succeed", "--approved", declaration}, args...)
	s.refuses(t, "no entry is lost", drawUp...)

	putBack()
	s.wantRefusedStart(t, "put back", "the log went backwards", args...)
	s.refuses(t, "either --reason with -o, or --approved", "log", "succeed")
	s.refuses(t, "either --reason with -o, or --approved", slices.Concat(drawUp, []string{"--approved", declaration})...)
	s.refuses(t, "witnesses have cosigned this log: name them", unwitnessed...)
	w.kill()
	s.refuses(t, "fetching the log's last checkpoint", drawUp...)
	w = p.start(t)
	s.output(t, drawUp...)
	s.refuses(t, "not approved by two persons", carryOut...)
	people[0].sign(t, declaration)
	s.refuses(t, "not approved by two persons", carryOut...)
	if out, err := approverCommand("approve", declaration, "--key", people[0].file); err == nil || !strings.Contains(out, "has signed it already") {
		t.Errorf("one person signed twice: %s", out)
	}
	people[2].sign(t, declaration)
	s.refuses(t, "not approved by two persons", carryOut...)
	s.refusesAltered(t, declaration, carryOut)
	if shown := people[1].sign(t, declaration); !strings.Contains(shown, "reason 机房起火") {
		t.Errorf("an approver sees:\n%s", shown)
	}
	declared := succession(t, declaration)
	s.output(t, carryOut...)
	if again := s.output(t, carryOut...); !strings.Contains(again, declared.Successor) {
		t.Errorf("carried out again: %s", again)
	}
	s.refuses(t, "no entry is lost", unwitnessed...)

	s.wantRefusedStart(t, "by the old policy", "does not name the key of this log: log "+declared.Successor, args...)
	p.trust(t, declared.Successor)
	trust(t, policy, declared.Successor)
	s.wantRefusedStart(t, "a witness that does not know the new log", "it has no checkpoint of this log", args...)
	w.kill()
	w = p.start(t)
	defer w.stop(t)
	r = s.serve(t, slices.Concat(args, []string{"--new-witnesses"})...)
	after := s.issueSome(t, r, "after", 2)
	r.stop(t)
	s.serve(t, args...).stop(t)
	seen := map[string]bool{}
	for _, number := range append(append(kept, lost...), after...) {
		if seen[number] {
			t.Errorf("the number %s was given out twice", number)
		}
		seen[number] = true
	}
	s.wantLoss(t, policy, mirror, declared)
}

// wantLoss exports both logs and wants the auditor's verdicts.
func (s *site) wantLoss(t *testing.T, policy, mirror string, declared audit.Succession) {
	t.Helper()
	dir := t.TempDir()
	old, successor := filepath.Join(dir, "old"), filepath.Join(dir, "new")
	s.output(t, "log", "export", "-o", successor)
	s.output(t, "log", "export", "-o", old, "--origin", declared.Origin)
	says := fmt.Sprintf("complete but for the lost range: %s, entries [%d, %d), declared by 张三, 李四 on ", declared.Origin, declared.Recovered.Size, declared.Last.Size)
	auditVerify(t, 2, says, policy, old, successor)
	if alone := auditVerify(t, 2, says, policy, successor); !strings.Contains(alone, "not checked: give the exports of "+declared.Origin) {
		t.Error(alone)
	}
	auditVerify(t, 1, "too few cosignatures", policy, old)
	auditVerify(t, 0, "nothing is missing", policy, mirror, successor)
	auditVerify(t, 0, "good: "+declared.Origin, policy, mirror)
	edited, err := os.ReadFile(old)
	must(t, err)
	must(t, os.WriteFile(old, []byte(strings.Replace(string(edited), "\n0 kFgg", "\n0 kFgh", 1)), 0o600))
	auditVerify(t, 1, "entry 0: ", policy, old, successor)
}

// snapshot copies the database of a stopped site, and returns what puts it back.
func (s *site) snapshot(t *testing.T) (putBack func()) {
	t.Helper()
	if s.Database != "" {
		return s.dump(t)
	}
	file := filepath.Join(s.Dir, "elicence.db")
	older, err := os.ReadFile(file)
	must(t, err)
	return func() {
		for _, suffix := range []string{"-wal", "-shm"} {
			_ = os.Remove(file + suffix)
		}
		must(t, os.WriteFile(file, older, 0o600))
	}
}

// dump copies the schema of a site in PostgreSQL by pg_dump, and returns what puts it back.
func (s *site) dump(t *testing.T) (putBack func()) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "dump.sql")
	dsn, schema := libpq(t, s.Database)
	postgresTool(t, "pg_dump", "--dbname", dsn, "--schema", schema, "--file", file)
	return func() {
		_, err := s.tables(t).Exec("DROP SCHEMA " + schema + " CASCADE")
		must(t, err)
		postgresTool(t, "psql", "--dbname", dsn, "--quiet", "--no-psqlrc", "--set", "ON_ERROR_STOP=1", "--output", os.DevNull, "--file", file)
	}
}

// libpq is a DSN as PostgreSQL's own programs read it, and its schema, of which they know
// nothing.
func libpq(t *testing.T, dsn string) (plain, schema string) {
	t.Helper()
	u, err := url.Parse(dsn)
	must(t, err)
	q := u.Query()
	schema = q.Get("search_path")
	q.Del("search_path")
	u.RawQuery = q.Encode()
	return u.String(), schema
}

// postgresTool runs a program that comes with PostgreSQL.
func postgresTool(t *testing.T, name string, args ...string) {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s (Debian: apt-get install postgresql-client): %v\n%s", name, err, out)
	}
}

// trust adds a log to the policy of a service.
func trust(t *testing.T, file, vkey string) {
	t.Helper()
	text, err := os.ReadFile(file)
	must(t, err)
	must(t, os.WriteFile(file, append(text, "log "+vkey+"\n"...), 0o600))
}

// trust adds a log to those of a witness, for its next start.
func (p *party) trust(t *testing.T, vkey string) { trust(t, p.policy, vkey) }

// refusesAltered alters each number of a declaration: it is then of other checkpoints, or
// not what was signed.
func (s *site) refusesAltered(t *testing.T, declaration string, carryOut []string) {
	t.Helper()
	signed, err := os.ReadFile(declaration)
	must(t, err)
	for line, says := range map[string]string{
		"recovered ": "declares other checkpoints than there are now", "witnessed ": "declares other checkpoints", "last ": "declares other checkpoints",
		"skip ": "not approved by two persons", "reason ": "not approved by two persons",
	} {
		before, after, _ := strings.Cut(string(signed), "\n"+line)
		if line == "recovered " || line == "witnessed " || line == "last " {
			size, rest, _ := strings.Cut(after, " ")
			var n int
			fmt.Sscan(size, &n)
			step := -1
			if line == "last " {
				step = 1
			}
			after = fmt.Sprint(n+step, " ", rest)
		} else {
			after = "1" + after
		}
		must(t, os.WriteFile(declaration, []byte(before+"\n"+line+after), 0o600))
		s.refuses(t, says, carryOut...)
	}
	must(t, os.WriteFile(declaration, signed, 0o600))
	var successors int
	must(t, s.tables(t).QueryRow(`SELECT count(*) FROM log_entry WHERE log_id = $1`, logName(succession(t, declaration).Successor)).Scan(&successors))
	if successors != 0 {
		t.Errorf("a refused succession left %d entries", successors)
	}
}
