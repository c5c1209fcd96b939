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
	"strings"
	"time"
)

// Bounds of a request.
const (
	maxToken   = 4 << 10 // bytes
	maxProblem = 64 << 10
	fetchTime  = 2 * time.Minute
)

// service is the service that a command asks: its scheme and host, and the file with
// the bearer token that it is shown.
type service struct{ address, tokenFile string }

// onService names the service that is asked.
type onService struct {
	Server    string `required:"" placeholder:"URL" help:"Scheme and host of the service. 服务地址。"`
	TokenFile string `required:"" placeholder:"FILE" help:"File with a bearer token. 访问令牌文件。"`
}

func (o onService) service() service { return service{o.Server, o.TokenFile} }

// get asks for a path below /api/v1, with the headers given as names and values, of
// which empty ones are left out, and reads limit+1 bytes at most.
func (s service) get(path string, limit int64, headers ...string) ([]byte, error) {
	q, err := s.request(http.MethodGet, path, nil)
	if err != nil {
		return nil, err
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i+1] != "" {
			q.Header.Set(headers[i], url.PathEscape(headers[i+1]))
		}
	}
	return fetch(q, limit)
}

// post sends a body to a path below /api/v1, with headers as they are, and reads limit+1
// bytes at most.
func (s service) post(path string, body []byte, limit int64, headers ...string) ([]byte, error) {
	q, err := s.request(http.MethodPost, path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for i := 0; i < len(headers); i += 2 {
		q.Header.Set(headers[i], headers[i+1])
	}
	return fetch(q, limit)
}

// request is one with the token.
func (s service) request(method, path string, body io.Reader) (*http.Request, error) {
	server, err := parseAddress("--server", s.address)
	if err != nil {
		return nil, err
	}
	if strings.Trim(server.Path, "/") != "" {
		return nil, usageError(fmt.Errorf("--server %s is not a scheme and a host", visible(s.address)))
	}
	token, err := readFile(s.tokenFile, maxToken)
	if err != nil {
		return nil, err
	}
	if token = bytes.TrimSpace(token); len(token) == 0 || len(token) > maxToken || bytes.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, usageError(fmt.Errorf("%s does not hold one token", visible(s.tokenFile)))
	}
	q, err := http.NewRequest(method, server.Scheme+"://"+server.Host+"/api/v1"+path, body)
	if err != nil {
		return nil, usageError(err)
	}
	q.Header.Set("Authorization", "Bearer "+string(token))
	return q, nil
}

// parseAddress parses the address of a service or a witness. A token goes over TLS, or
// stays on this machine; and in clear an older checkpoint could be slipped in.
func parseAddress(flag, address string) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, usageError(fmt.Errorf("%s %s is not a scheme and a host", flag, visible(address)))
	}
	if u.Scheme != "https" && !(u.Scheme == "http" && loopback(u.Hostname())) {
		return nil, usageError(fmt.Errorf("%s %s: it is asked over https, or http on this machine", flag, visible(address)))
	}
	return u, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// fetch makes a request. It follows no redirect, which would take the token elsewhere.
func fetch(q *http.Request, limit int64) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), fetchTime)
	defer cancel()
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Do(q.WithContext(ctx))
	if err != nil {
		return nil, unavailableError(unreached(q.URL, err))
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK && answer.StatusCode != http.StatusCreated {
		return nil, unavailableError(refused(answer))
	}
	raw, err := io.ReadAll(io.LimitReader(answer.Body, limit+1))
	if err != nil {
		return nil, unavailableError(fmt.Errorf("reading the answer: %w", err))
	}
	return raw, nil
}

// unreached says which server cannot be reached, and why, without the address once more.
func unreached(server *url.URL, err error) error {
	if asked := (*url.Error)(nil); errors.As(err, &asked) {
		err = asked.Err
	}
	if dialled := (*net.OpError)(nil); errors.As(err, &dialled) {
		err = dialled.Err
	}
	return fmt.Errorf("the server %s://%s cannot be reached: %w", server.Scheme, server.Host, err)
}

func unavailableError(err error) error { return &exitError{exitUnavailable, err} }

// refusal is an answer that is not 200.
type refusal struct {
	status int
	text   string // in the words of the problem document, if it has one
}

func (r *refusal) Error() string { return r.text }

// outOfReach reports whether err is the service's answer that its log has no such size.
func outOfReach(err error) bool {
	r := (*refusal)(nil)
	return errors.As(err, &r) && r.status == http.StatusNotFound
}

func refused(answer *http.Response) error {
	var problem struct {
		Code      string `json:"code"`
		Detail    string `json:"detail"`
		RequestID string `json:"request_id"`
		Errors    []struct {
			Field  string `json:"field"`
			Code   string `json:"code"`
			Detail string `json:"detail"`
		} `json:"errors"`
	}
	text := "the server answers " + answer.Status
	err := json.NewDecoder(io.LimitReader(answer.Body, maxProblem)).Decode(&problem)
	if err == nil && problem.Code != "" {
		text += fmt.Sprintf(": %s: %s (request %s)", problem.Code, problem.Detail, problem.RequestID)
		for _, e := range problem.Errors {
			text += fmt.Sprintf("\n%s %s (%s)", e.Field, e.Detail, e.Code)
		}
	}
	return &refusal{answer.StatusCode, text}
}
