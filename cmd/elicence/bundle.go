package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"elicence/licence"
	"elicence/licence/bundle"
)

// Bounds of the one request that is made.
const (
	maxToken   = 4 << 10 // bytes
	maxProblem = 64 << 10
	fetchTime  = 2 * time.Minute
)

// bundleCommand is "elicence bundle".
type bundleCommand struct {
	Server     string `required:"" placeholder:"URL" help:"Scheme and host of the service. 服务地址。"`
	TokenFile  string `required:"" placeholder:"FILE" help:"File with a bearer token. 访问令牌文件。"`
	Purpose    string `placeholder:"TEXT" help:"What it is for; stands in the access log. 用途，记入访问日志。"`
	Case       string `placeholder:"NUMBER" help:"Case number; stands in the access log. 办件编号，记入访问日志。"`
	Output     string `short:"o" required:"" placeholder:"FILE" help:"File to write. 输出文件。"`
	Identifier string `arg:"" help:"Identifier of the licence. 电子证照标识。"`
}

// Run fetches an evidence bundle and writes it, once it is one of the licence asked for.
// Whether it proves anything is for "verify".
func (c *bundleCommand) Run(t terminal) error {
	id, err := licence.ParseIdentifier(c.Identifier)
	if err != nil {
		return usageError(fmt.Errorf("identifier: %w", err))
	}
	q, err := c.request(id)
	if err != nil {
		return err
	}
	raw, err := fetch(q)
	if err != nil {
		return &exitError{exitUnavailable, err}
	}
	switch b, err := bundle.Parse(raw); {
	case err != nil:
		return &exitError{exitUnavailable, fmt.Errorf("what the server sent is no evidence bundle: %w", err)}
	case b.Identifier != id:
		return &exitError{exitUnavailable, fmt.Errorf("the server sent the bundle of %s", visible(string(b.Identifier)))}
	}
	if err := write(c.Output, raw); err != nil {
		return err
	}
	_, err = fmt.Fprintf(t.out, "证据包已保存：%s\nsaved %s, %d bytes; verify it with --anchors and --policy of your own\n", visible(c.Output), visible(c.Output), len(raw))
	return err
}

// request is the request to make. A token goes over TLS, or stays on this machine.
func (c *bundleCommand) request(id licence.Identifier) (*http.Request, error) {
	server, err := url.Parse(c.Server)
	if err != nil || server.Host == "" || server.User != nil || strings.Trim(server.Path, "/") != "" || server.RawQuery != "" || server.Fragment != "" {
		return nil, usageError(fmt.Errorf("--server %s is not a scheme and a host", visible(c.Server)))
	}
	if server.Scheme != "https" && !(server.Scheme == "http" && loopback(server.Hostname())) {
		return nil, usageError(fmt.Errorf("--server %s: a token is sent over https, or http to this machine", visible(c.Server)))
	}
	token, err := readFile(c.TokenFile, maxToken)
	if err != nil {
		return nil, err
	}
	if token = bytes.TrimSpace(token); len(token) == 0 || len(token) > maxToken || bytes.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, usageError(fmt.Errorf("%s does not hold one token", visible(c.TokenFile)))
	}
	q, err := http.NewRequest(http.MethodGet, server.Scheme+"://"+server.Host+"/api/v1/licences/"+url.PathEscape(string(id))+"/bundle", nil)
	if err != nil {
		return nil, usageError(err)
	}
	q.Header.Set("Authorization", "Bearer "+string(token))
	for name, value := range map[string]string{"Elicence-Purpose": c.Purpose, "Elicence-Case-Number": c.Case} {
		if value != "" {
			q.Header.Set(name, url.PathEscape(value))
		}
	}
	return q, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// fetch makes the request. It follows no redirect, which would take the token elsewhere.
func fetch(q *http.Request) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), fetchTime)
	defer cancel()
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Do(q.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, refusal(answer)
	}
	raw, err := io.ReadAll(io.LimitReader(answer.Body, bundle.MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	return raw, nil
}

// refusal is the error that a server's refusal is, in the words of its problem document.
func refusal(answer *http.Response) error {
	var problem struct {
		Code      string `json:"code"`
		Detail    string `json:"detail"`
		RequestID string `json:"request_id"`
	}
	err := json.NewDecoder(io.LimitReader(answer.Body, maxProblem)).Decode(&problem)
	if err != nil || problem.Code == "" {
		return fmt.Errorf("the server answers %s", answer.Status)
	}
	return fmt.Errorf("the server answers %s: %s: %s (request %s)", answer.Status, problem.Code, problem.Detail, problem.RequestID)
}

// write writes a file beside the old one and renames it into place, so that what is
// there is always whole.
func write(name string, content []byte) error {
	part := name + ".part"
	err := os.WriteFile(part, content, 0o644)
	if err == nil {
		err = os.Rename(part, name)
	}
	if err != nil {
		err = errors.Join(err, os.Remove(part))
		return &exitError{exitInternal, errors.New(visible(err.Error()))}
	}
	return nil
}
