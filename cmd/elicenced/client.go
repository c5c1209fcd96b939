package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// apiClient calls the service's own HTTP interface, as an approval system would.
type apiClient struct {
	base  string // with /api/v1
	token string // empty: anonymous
}

// newAPIClient gets a token by the OAuth 2.0 client-credentials grant.
func newAPIClient(ctx context.Context, baseURL, id, secret string) (*apiClient, error) {
	c := &apiClient{base: baseURL + "/api/v1"}
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {id}, "client_secret": {secret}}
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	if err := c.send(ctx, "POST", "/oauth/token", "application/x-www-form-urlencoded", "", []byte(form.Encode()), &answer); err != nil {
		return nil, fmt.Errorf("getting a token for %s: %w", id, err)
	}
	c.token = answer.AccessToken
	return c, nil
}

// keeping keeps the connections of many calls at once for the next ones.
var keeping = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, IdleConnTimeout: time.Minute}}

// post sends JSON and decodes the answer into out, unless that is nil.
func (c *apiClient) post(ctx context.Context, path, key string, body []byte, out any) error {
	return c.send(ctx, "POST", path, "application/json", key, body, out)
}

// get fetches a body as it is.
func (c *apiClient) get(ctx context.Context, path string) ([]byte, error) {
	var raw []byte
	err := c.send(ctx, "GET", path, "", "", nil, &raw)
	return raw, err
}

// send makes one request. An answer that is not 2xx is an error with its text.
func (c *apiClient) send(ctx context.Context, method, path, contentType, key string, body []byte, out any) error {
	q, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	for name, value := range map[string]string{"Content-Type": contentType, "Idempotency-Key": key, "Authorization": strings.TrimSuffix("Bearer "+c.token, "Bearer ")} {
		if value != "" {
			q.Header.Set(name, value)
		}
	}
	answer, err := keeping.Do(q)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(io.LimitReader(answer.Body, 32<<20))
	switch raw, isRaw := out.(*[]byte); {
	case err != nil:
		return err
	case answer.StatusCode/100 != 2:
		return fmt.Errorf("%s %s: %s: %s", method, path, answer.Status, b)
	case isRaw:
		*raw = b
		return nil
	case out == nil:
		return nil
	}
	return json.Unmarshal(b, out)
}
