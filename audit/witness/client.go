package witness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"elicence/audit"
	"elicence/internal/listen"
)

// Client speaks to one witness.
type Client struct {
	base string
	http *http.Client
}

// NewClient returns a client for the witness at a URL: https, or http on this
// machine, as an older checkpoint could be slipped in on the way.
func NewClient(address string) (*Client, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" ||
		u.Scheme != "https" && (u.Scheme != "http" || !listen.Loopback(u.Hostname())) {
		return nil, fmt.Errorf("the witness's address %q is not https://HOST[/PATH], or http:// on this machine", address)
	}
	return &Client{strings.TrimSuffix(address, "/"), &http.Client{
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, DisableCompression: true, MaxResponseHeaderBytes: 16 << 10, IdleConnTimeout: time.Minute,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// conflict is answer 409: the witness has another checkpoint than the old one, or
// another root of the size that is sent.
type conflict struct{ size uint64 }

func (c *conflict) Error() string { return fmt.Sprintf("the witness has cosigned size %d", c.size) }

// errUnproven is answer 422: the proof does not lead from the witness's checkpoint.
var errUnproven = errors.New("the witness cannot follow the consistency proof")

// add asks for a cosignature and returns the signature lines that are answered. Its
// error may be a *conflict or errUnproven.
func (c *Client) add(ctx context.Context, q request) ([]byte, error) {
	status, mediaType, body, err := c.do(ctx, http.MethodPost, "/add-checkpoint", q.marshal())
	switch {
	case err != nil:
		return nil, err
	case status == http.StatusOK:
		return body, nil
	case status == http.StatusUnprocessableEntity:
		return nil, errUnproven
	case status == http.StatusConflict && mediaType == sizeType:
		text := strings.TrimSuffix(string(body), "\n")
		if size, err := strconv.ParseUint(text, 10, 63); err == nil && strconv.FormatUint(size, 10) == text {
			return nil, &conflict{size}
		}
	}
	return nil, unexpected(status, body)
}

// Latest returns the last checkpoint that the witness cosigned of a log, as it came;
// nil when there is none.
func (c *Client) Latest(ctx context.Context, origin string) ([]byte, error) {
	status, _, body, err := c.do(ctx, http.MethodGet, "/"+Hash(origin)+"/checkpoint", nil)
	switch {
	case err != nil:
		return nil, err
	case status == http.StatusOK:
		return body, nil
	case status == http.StatusNotFound:
		return nil, nil
	}
	return nil, unexpected(status, body)
}

func unexpected(status int, body []byte) error {
	return fmt.Errorf("the witness answered %d: %q", status, body[:min(len(body), 200)])
}

// do sends a request and reads the answer, which is as large as a note at most.
func (c *Client) do(ctx context.Context, method, path string, body []byte) (status int, mediaType string, answer []byte, err error) {
	r, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return 0, "", nil, err
	}
	if body != nil {
		r.Header.Set("Content-Type", "text/plain; charset=utf-8")
	}
	reply, err := c.http.Do(r)
	if err != nil {
		return 0, "", nil, fmt.Errorf("asking the witness: %w", err)
	}
	defer reply.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(reply.Body, audit.MaxNote+1))
	if err == nil && len(answer) > audit.MaxNote {
		err = fmt.Errorf("longer than %d bytes", audit.MaxNote)
	}
	if err != nil {
		return 0, "", nil, fmt.Errorf("reading the witness's answer: %w", err)
	}
	return reply.StatusCode, reply.Header.Get("Content-Type"), answer, nil
}
