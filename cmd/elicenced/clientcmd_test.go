package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// clientCommands gives the commands of clients, grants and brakes beside the running service,
// and those that are refused.
func (s *site) clientCommands(t *testing.T) {
	dir := t.TempDir()
	secretOf := func(id string) string {
		i := slices.IndexFunc(s.demo.Clients, func(c demoClient) bool { return c.ID == id })
		file := filepath.Join(dir, id)
		must(t, os.WriteFile(file, []byte(s.demo.Clients[i].Secret+"\n"), 0o600))
		return file
	}
	as := func(id, secretFile string, args ...string) []string {
		return append(append([]string{"grant"}, args...), "--as", id, "--secret-file", secretFile)
	}
	add := []string{"client", "add", "verifier-hall", "--role", "verifier", "--name", "杭州市人力资源和社会保障局", "--authority", "11330100002490082C", "--division", "330100"}
	s.mustRun(t, "\n", add...)
	s.mustRun(t, "verifier-hall\tverifier\t\t330100\t11330100002490082C\t杭州市人力资源和社会保障局\t2000\tactive\n", "client", "list")
	s.wantRefused(t, exitUsage, "there is a client of this identifier", add...)
	s.mustRun(t, "\n", "client", "rotate", "verifier-hall", "--overlap", "1h")
	s.wantRefused(t, exitUsage, "there is no client nobody", "client", "rotate", "nobody")
	s.wantRefused(t, exitUsage, "--reason", "client", "disable", "verifier-hall")
	s.mustRun(t, "done, and logged", "client", "disable", "verifier-hall", "--reason", "测试")

	person := []string{"person", "add", "330100-0412", "--issuer", "https://id.example.gov.cn", "--subject", "s1", "--name", "张三", "--role", "authority",
		"--of", "杭州市人力资源和社会保障局", "--authority", "11330100002490082C", "--division", "330100", "--type", demoType, "--until", "2099-01-01T00:00:00Z"}
	s.mustRun(t, "done, and logged", person...)
	s.mustRun(t, "330100-0412\t张三\tauthority\t"+demoType+"\t330100\t11330100002490082C\t杭州市人力资源和社会保障局\t", "person", "list")
	s.wantRefused(t, exitUsage, "there is, or was, a person", person...)
	s.wantRefused(t, exitUsage, "nobody grants and audits", "person", "add", "x", "--issuer", "https://id.example.gov.cn", "--subject", "s2", "--name", "李四", "--role", "authority", "--role", "auditor")
	s.mustRun(t, "\n", "client", "add", "of-zhang", "--role", "authority", "--person", "330100-0412", "--name", "杭州市人力资源和社会保障局", "--authority", "11330100002490082C", "--division", "330100")
	s.wantRefused(t, exitUsage, "there is no person nobody", "person", "disable", "nobody", "--reason", "测试")
	s.mustRun(t, "done, and logged", "person", "disable", "330100-0412", "--reason", "测试")
	s.mustRun(t, "\tdisabled\n", "person", "list")

	requester, approver := secretOf(demoRequester), secretOf(demoApprover)
	request := as(demoRequester, requester, "request", "--type", demoType, "--matter", "330114007001", "--scenario", "失业登记", "--field", "number", "--field", "status", "--basis", "《就业促进法》")
	out, err := s.run(request...)
	id, rest, _ := strings.Cut(out, "\t")
	if err != nil || !strings.HasPrefix(rest, "requested\t") {
		t.Fatalf("grant request: %v: %s", err, out)
	}
	s.wantRefused(t, exitUsage, "there is no grant", as(demoRequester, requester, "approve", id)...)
	s.wantRefused(t, exitUsage, "not permitted", append(as(demoRequester, requester, "list"), "--type", demoType)...)
	s.wantRefused(t, exitUsage, "wrong secret", as(demoApprover, requester, "approve", id)...)
	s.wantRefused(t, exitUsage, "--secret-file", as(demoApprover, filepath.Join(dir, "none"), "approve", id)...)
	s.mustRun(t, id+"\tapproved\t", as(demoApprover, approver, "approve", id)...)
	s.wantRefused(t, exitUsage, "status", as(demoApprover, approver, "approve", id)...)
	s.mustRun(t, id+"\tapproved\t", as(demoRequester, requester, "list")...)
	s.mustRun(t, id+"\twithdrawn\t", as(demoRequester, requester, "withdraw", id, "--reason", "测试")...)
	s.wantRefused(t, exitUsage, "--until", append(request, "--until", "soon")...)
	must(t, os.Chmod(requester, 0o604))
	s.wantRefused(t, exitUsage, "open to every user", request...)

	s.mustRun(t, "", "brake", "list", "--all")
	s.wantRefused(t, exitUsage, "there is no brake", "brake", "lift", strings.Repeat("0", 28), "--reason", "测试")
}
