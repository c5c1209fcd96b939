package tsa

import (
	"bytes"
	"context"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"math/big"
	"mime"
	"net/http"
	"time"

	"elicence/crypto/pki"

	"github.com/emmansun/gmsm/sm3"
)

const (
	defaultTimeout = 10 * time.Second
	maxHeader      = 16 << 10 // bytes of a reply's HTTP header

	// maxSkew is how far a token's time may be from Client.Now: a little less than
	// what package verify allows, so that what is taken here passes there.
	maxSkew = 4 * time.Minute
)

// plain is the HTTP client of those who name none.
var plain = &http.Client{Transport: Transport()}

// Transport returns an HTTP transport for a Client, with the bounds that only a
// transport can hold: the size of a reply's header, and idle connections.
func Transport() *http.Transport {
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment, DisableCompression: true,
		MaxResponseHeaderBytes: maxHeader, MaxIdleConnsPerHost: 64, IdleConnTimeout: time.Minute,
	}
}

// Client asks a timestamp authority for tokens. It is safe for concurrent use if
// Rand is.
type Client struct {
	URL     string
	HTTP    *http.Client  // nil: one with Transport; redirects are never followed
	Rand    io.Reader     // for nonces
	Timeout time.Duration // for one request in all; zero: 10 s
	Policy  string        // object identifier to ask for and insist on; empty: any

	// Now refuses a token whose time is more than four minutes away from it, which no
	// verification would accept. It never gives a token its time. Nil: any time will do.
	Now func() time.Time

	// Certificate is the authority's, when it is known beforehand: a token of any
	// other is refused. Nil: the caller judges the path.
	Certificate *pki.Certificate
}

// RejectionError is an authority's answer that it grants no token.
type RejectionError struct {
	Status   int    // PKIStatus: 2 rejection, 3 waiting, 4 and 5 revocation
	FailInfo int    // first bit set in PKIFailureInfo; -1: none
	Text     string // the authority's words, at most 256 bytes
}

// Error gives status, failure and the authority's words.
func (e *RejectionError) Error() string {
	return fmt.Sprintf("tsa: authority refused: status %d, failure %d: %q", e.Status, e.FailInfo, e.Text)
}

// Timestamp obtains a token over message, in its minimal form whoever made it. Nonce,
// imprint, policy and signature of what comes back are checked before it is returned;
// the path of the authority's certificate is not. The error is a *RejectionError when
// the authority refused.
func (c *Client) Timestamp(ctx context.Context, message []byte) (*Token, error) {
	imprint := sm3.Sum(message)
	request, nonce, err := c.request(imprint[:])
	if err != nil {
		return nil, err
	}
	reply, err := c.post(ctx, request)
	if err != nil {
		return nil, fmt.Errorf("asking timestamp authority: %w", err)
	}
	token, err := parseReply(reply)
	if err != nil {
		return nil, err
	}
	switch {
	case token.Nonce == nil || token.Nonce.Cmp(nonce) != 0:
		return nil, errors.New("tsa: token answers another request")
	case c.Policy != "" && token.Policy != c.Policy:
		return nil, fmt.Errorf("tsa: token is under policy %s, not %s", token.Policy, c.Policy)
	case c.Certificate != nil && !bytes.Equal(token.Certificate.Raw, c.Certificate.Raw):
		return nil, errors.New("tsa: token is from another authority")
	case c.Now != nil && c.Now().Sub(token.Time).Abs() > maxSkew:
		return nil, fmt.Errorf("tsa: token is of %s, far from the time here", token.Time.Format(time.RFC3339))
	}
	if err := token.Check(message); err != nil {
		return nil, err
	}
	token.Raw = token.minimal
	return token, nil
}

func (c *Client) request(imprint []byte) (der []byte, nonce *big.Int, err error) {
	b := make([]byte, 16)
	if _, err := io.ReadFull(c.Rand, b); err != nil {
		return nil, nil, fmt.Errorf("drawing nonce: %w", err)
	}
	nonce = new(big.Int).SetBytes(b)
	req := timeStampReq{
		Version:        1,
		MessageImprint: messageImprint{pkix.AlgorithmIdentifier{Algorithm: oidSM3}, imprint},
		Nonce:          nonce,
		CertReq:        true,
	}
	if c.Policy != "" {
		if req.ReqPolicy, err = parseOID(c.Policy); err != nil {
			return nil, nil, err
		}
	}
	der, err = asn1.Marshal(req)
	return der, nonce, err
}

// post sends one query. The time limit spans the reading of the body too.
func (c *Client) post(ctx context.Context, query []byte) ([]byte, error) {
	timeout := c.Timeout
	if timeout == 0 {
		timeout = defaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL, bytes.NewReader(query))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", queryType)
	resp, err := c.http().Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("HTTP status %d", resp.StatusCode)
	}
	if got := resp.Header.Get("Content-Type"); mediaType(got) != replyType {
		return nil, fmt.Errorf("content type %.64q is not %s", got, replyType)
	}
	reply, err := io.ReadAll(io.LimitReader(resp.Body, maxToken+1))
	if err == nil && len(reply) > maxToken {
		err = errors.New("reply is over 64 KiB")
	}
	return reply, err
}

// http is the HTTP client, kept from following an authority elsewhere.
func (c *Client) http() *http.Client {
	own := *plain
	if c.HTTP != nil {
		own = *c.HTTP
	}
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &own
}

// mediaType is a Content-Type without its parameters; empty if it is none.
func mediaType(header string) string {
	kind, _, _ := mime.ParseMediaType(header)
	return kind
}

// parseReply reads a TimeStampResp. Status 0 and 1 bring a token, the others a
// reason.
func parseReply(der []byte) (*Token, error) {
	reply, err := pki.UnmarshalDER[timeStampResp](der, "")
	if err != nil {
		return nil, fmt.Errorf("tsa: malformed reply: %w", err)
	}
	if status := reply.Status; status.Status != 0 && status.Status != 1 {
		rejection := &RejectionError{Status: status.Status, FailInfo: -1}
		for i := range status.FailInfo.BitLength {
			if status.FailInfo.At(i) == 1 {
				rejection.FailInfo = i
				break
			}
		}
		if len(status.StatusString) > 0 {
			text := status.StatusString[0].Bytes
			rejection.Text = string(text[:min(len(text), 256)])
		}
		return nil, rejection
	}
	if len(reply.TimeStampToken.FullBytes) == 0 {
		return nil, errors.New("tsa: reply grants a token but holds none")
	}
	return ParseToken(reply.TimeStampToken.FullBytes)
}
