package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"elicence/api"
	"elicence/internal/durable"
)

// The test identity provider is a program of its own, so that the service holds no code that
// signs anybody in without proof.
const (
	testProvider = "elicence-testidp"
	testClient   = "elicence"
)

// startProvider starts the demo's identity provider beside a service reached at baseURL, and
// makes the flags name it; not when they name another, nor when its program is not beside this
// one: then the issuer is empty. It ends with this process, killed or not.
func (d *demoCmd) startProvider(ctx context.Context, baseURL string) (issuer string, stop func(), err error) {
	stop = func() {}
	program := beside(testProvider)
	if d.Once || d.IdentityIssuer != "" || d.OfficialIssuer != "" || program == "" {
		return "", stop, nil
	}
	publicURL, err := d.public(baseURL)
	if err != nil {
		return "", stop, err
	}
	people, secret, err := d.providerFiles()
	if err != nil {
		return "", stop, err
	}
	cmd := exec.CommandContext(ctx, program, "--with-parent", "--listen", providerAddress(baseURL), "--people", people,
		"--client", testClient, "--secret-file", secret, "--return", publicURL+api.SignInReturn, "--return", publicURL+api.OfficialReturn)
	cmd.Stderr = os.Stderr
	parent, err := cmd.StdinPipe()
	if err != nil {
		return "", stop, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", stop, err
	}
	if err := cmd.Start(); err != nil {
		return "", stop, err
	}
	line, _ := bufio.NewReader(out).ReadString('\n')
	issuer, found := strings.CutPrefix(strings.TrimSpace(line), "serving ")
	if !found {
		parent.Close()
		return "", stop, fmt.Errorf("%s did not start: %w", program, cmd.Wait())
	}
	d.identityFlags = identityFlags{IdentityIssuer: issuer, IdentityClient: testClient, IdentitySecretFile: secret, IdentityClaim: "id_number", IdentityScope: []string{"profile"}}
	d.officialFlags = officialFlags{OfficialIssuer: issuer, OfficialClient: testClient, OfficialSecretFile: secret}
	return issuer, func() { parent.Close(); cmd.Wait() }, nil
}

// providerFiles writes the people, and draws the service's secret once.
func (d *demoCmd) providerFiles() (people, secret string, err error) {
	dir := filepath.Join(d.Dir, "testidp")
	people, secret = filepath.Join(dir, "people.json"), filepath.Join(dir, "secret")
	all, err := testIdentities()
	if err != nil {
		return "", "", err
	}
	text, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return "", "", err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", "", err
	}
	if err := durable.WriteNew(secret, []byte(rand.Text())); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", "", err
	}
	return people, secret, durable.Replace(people, text)
}

// providerAddress is where the provider of a demo listens: at the port a thousand above the
// demo's, so that it is the same each time, or at any that is free.
func providerAddress(baseURL string) string {
	const free = "127.0.0.1:0"
	u, err := url.Parse(baseURL)
	if err != nil {
		return free
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil || port+1000 > 65535 {
		return free
	}
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port+1000))
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return free
	}
	listener.Close()
	return address
}

// beside is the path of a program that lies beside this one; empty when there is none.
func beside(program string) string {
	self, err := os.Executable()
	if err != nil {
		return ""
	}
	path := filepath.Join(filepath.Dir(self), program)
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
}
