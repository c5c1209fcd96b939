package main

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestInvitation does what the demo says to try. People sign in where it says. The commands
// end as it says: the second alone with code 1, for the revoked licence and for nothing else.
func TestInvitation(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	cmd := s.command("demo", "--listen", "127.0.0.1:0")
	out, err := cmd.StdoutPipe()
	must(t, err)
	cmd.Stderr = os.Stderr
	must(t, cmd.Start())
	var tries, doors []string
	for lines := bufio.NewScanner(out); lines.Scan() && !strings.HasPrefix(lines.Text(), "A phone"); {
		said := strings.TrimSpace(lines.Text())
		if strings.HasPrefix(said, auditorBinary+" ") {
			tries = append(tries, said)
		}
		if strings.HasSuffix(said, "made-up people") || strings.HasSuffix(said, "sign in likewise") {
			doors = append(doors, strings.Fields(said)[0])
		}
	}
	if len(doors) != 2 || !strings.HasSuffix(doors[0], "/holder") || !strings.HasSuffix(doors[1], "/official") {
		t.Fatalf("it says to sign in at %q", doors)
	}
	provider := signsInAsPeople(t, doors[0], doors[1])
	must(t, cmd.Process.Signal(os.Interrupt))
	must(t, cmd.Wait())
	waitFor(t, "the identity provider ends with the demo", func() bool {
		connection, err := net.Dial("tcp", provider)
		if err == nil {
			connection.Close()
		}
		return err != nil
	})
	var codes []int
	for i, try := range tries {
		cmd := exec.Command("bash", "-c", try)
		said, _ := cmd.Output()
		codes = append(codes, cmd.ProcessState.ExitCode())
		if i == 1 && !strings.Contains(string(said), ", 0 Indeterminate, 0 TotalFailed; 1 revoked, ") {
			t.Errorf("%s:\n%s", try, said)
		}
	}
	if !slices.Equal(codes, []int{0, 1, 0, 0}) {
		t.Errorf("%q end with %d", tries, codes)
	}
}

// signsInAsPeople signs people of the demo in, each in a browser of their own, and looks at
// what they then see. It returns where the identity provider listens.
func signsInAsPeople(t *testing.T, holder, official string) (provider string) {
	t.Helper()
	grants := official + "/grants?type_code=" + demoType
	for _, c := range []struct {
		door, subject, page string
		status              int
		want                string
	}{
		{holder, "citizen-birth-two-parents", holder, http.StatusOK, "出生医学证明"},
		{holder, "official-data", holder, http.StatusUnauthorized, "请先登录"}, // who has no citizen number
		{official, "official-data", grants, http.StatusOK, "/approve\""},
		{official, "official-" + demoClerk, official + "/grants", http.StatusOK, "演示：工伤保险登记核验经营许可"},
		{official, "official-auditor", official + "/log", http.StatusOK, ">auditor-"},
		{official, "official-system", official + "/brakes", http.StatusOK, "用证熔断"},
		{official, "official-stranger", official, http.StatusUnauthorized, "请先登录"},
		{official, "citizen-birth-two-parents", official, http.StatusUnauthorized, "请先登录"},
	} {
		jar, err := cookiejar.New(nil)
		must(t, err)
		browser := &http.Client{Jar: jar}
		at := strings.Replace(strings.Replace(c.door, "/holder", "/sign-in/holder", 1), "/official", "/sign-in/official", 1)
		a, text := fetch(t, browser, at, nil)
		id := regexp.MustCompile(`name="id" value="([^"]+)"`).FindStringSubmatch(text)
		if id == nil {
			t.Fatalf("%s leads to %d %s", at, a.StatusCode, text)
		}
		provider = a.Request.URL.Host
		fetch(t, browser, "http://"+provider+"/sign-in", url.Values{"id": {id[1]}, "subject": {c.subject}})
		if a, text := fetch(t, browser, c.page, nil); a.StatusCode != c.status || !strings.Contains(text, c.want) {
			t.Errorf("%s at %s: %d %s", c.subject, c.page, a.StatusCode, text)
		}
	}
	return provider
}

// fetch is what a browser is shown; a form makes it a POST.
func fetch(t *testing.T, browser *http.Client, address string, form url.Values) (*http.Response, string) {
	t.Helper()
	get := func() (*http.Response, error) { return browser.Get(address) }
	if form != nil {
		get = func() (*http.Response, error) { return browser.PostForm(address, form) }
	}
	a, err := get()
	must(t, err)
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	must(t, err)
	return a, string(text)
}

// TestProviderAddress: a demo's provider listens at the same port each time, unless it is taken.
func TestProviderAddress(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer taken.Close()
	below := *taken.Addr().(*net.TCPAddr)
	below.Port -= 1000
	for base, want := range map[string]string{
		"http://127.0.0.1:2": "127.0.0.1:1002", "https://[::1]:3": "127.0.0.1:1003",
		"http://" + below.String(): "127.0.0.1:0", "http://127.0.0.1:64536": "127.0.0.1:0", "http://127.0.0.1": "127.0.0.1:0",
	} {
		if got := providerAddress(base); got != want {
			t.Errorf("%s: %s, want %s", base, got, want)
		}
	}
}
