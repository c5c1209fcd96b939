package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"syscall"
	"time"

	"github.com/emmansun/gmsm/sm3"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"elicence/crypto/pki"
	"elicence/licence"
	"elicence/licence/registry"
)

const (
	// s3Time bounds one Put or Get, attempts and all. An issue must be done within its lease.
	s3Time = 10 * time.Second
	// s3Attempts is how often a request is tried whose answer did not come, or was a 5xx.
	s3Attempts = 3
)

// S3Config says where an S3 keeps files, and as whom. All fields but Prefix are required.
type S3Config struct {
	// Endpoint is scheme and host of the service, as in https://s3.example.gov.cn:9000.
	Endpoint string
	Region   string // that requests are signed for
	Bucket   string
	// Prefix is what the names of objects begin with, without slashes at its ends.
	Prefix               string
	AccessKey, SecretKey string
}

// S3 keeps licence files in a bucket of an S3-compatible service, encrypted, under the
// same names and in the same form as a Folder: PREFIX/ab/abcd….sm4. It is safe for
// concurrent use, by any number of servers.
//
// Objects are only ever added, by a conditional PUT (If-None-Match: *): one that is there
// is compared and stays, also when it is damaged. That what a service has acknowledged is
// durable is the service's promise.
type S3 struct {
	client         minio.Core
	bucket, prefix string
	cipher         fileCipher
	within         time.Duration // bounds one Put or Get
}

// probe is a file that every bucket in use has.
var probe = []byte("elicence files\n")

// OpenS3 opens the bucket of c and proves with an object of a fixed name that it can be
// written and read, that the cipher is the one of the files in it, and that the service
// overwrites nothing. Errors of the service wrap registry.ErrFiles.
func OpenS3(ctx context.Context, c S3Config, cipher *pki.Cipher) (*S3, error) {
	return openS3(ctx, c, cipher, s3Time)
}

func openS3(ctx context.Context, c S3Config, cipher *pki.Cipher, within time.Duration) (*S3, error) {
	if cipher == nil || c.Bucket == "" || c.Region == "" || c.AccessKey == "" || c.SecretKey == "" {
		return nil, errors.New("store: a cipher, a bucket, a region, an access key and a secret key are required")
	}
	endpoint, err := url.Parse(c.Endpoint)
	if err != nil || endpoint.Host == "" || endpoint.Scheme != "https" && endpoint.Scheme != "http" {
		return nil, fmt.Errorf("store: the endpoint %q is not http or https with a host", c.Endpoint)
	}
	client, err := minio.NewCore(endpoint.Host, &minio.Options{
		Creds: credentials.NewStaticV4(c.AccessKey, c.SecretKey, ""), Secure: endpoint.Scheme == "https",
		Region: c.Region, BucketLookup: minio.BucketLookupPath, Transport: s3Transport(), MaxRetries: s3Attempts,
	})
	if err != nil {
		return nil, fmt.Errorf("opening S3: %w", err)
	}
	s := &S3{client: *client, bucket: c.Bucket, cipher: fileCipher{cipher}, within: within}
	if c.Prefix != "" {
		s.prefix = c.Prefix + "/"
	}
	if err := s.probe(ctx); err != nil {
		return nil, fmt.Errorf("opening bucket %s at %s: %w", c.Bucket, c.Endpoint, err)
	}
	return s, nil
}

// s3Transport waits for nothing longer than a request may take.
func s3Transport() *http.Transport {
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: 3 * time.Second}).DialContext,
		TLSHandshakeTimeout: 3 * time.Second, ResponseHeaderTimeout: s3Time,
		MaxIdleConnsPerHost: 64, IdleConnTimeout: time.Minute, DisableCompression: true,
	}
}

// probe stores the same file twice: the second must meet the first.
func (s *S3) probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.within)
	defer cancel()
	digest := sm3.Sum(probe)
	_, err := s.put(ctx, digest, probe)
	if err != nil && !errors.Is(err, registry.ErrFiles) {
		return fmt.Errorf("its files are of another key, perhaps of another instance: %w", err)
	}
	if err != nil {
		return err
	}
	written, err := s.put(ctx, digest, probe)
	if err == nil && written {
		err = fmt.Errorf("%w: it overwrites objects although told not to (If-None-Match), and so is not fit to keep licences", registry.ErrFiles)
	}
	return err
}

// Reach reads the file of OpenS3, so that who watches knows whether files can be read. It takes
// as long as a Get at most.
func (s *S3) Reach(ctx context.Context) error {
	_, err := s.Get(ctx, sm3.Sum(probe))
	return err
}

// Put implements registry.Files.
func (s *S3) Put(ctx context.Context, digest [32]byte, data []byte) error {
	ctx, cancel := context.WithTimeout(ctx, s.within)
	defer cancel()
	_, err := s.put(ctx, digest, data)
	return doing("storing file", err)
}

// put also says whether it wrote the object, which it does not when it was there. Where two put it at
// once, the one that lost may be told so before the object of the other can be read: it tries again.
func (s *S3) put(ctx context.Context, digest [32]byte, data []byte) (written bool, err error) {
	sealed, err := s.cipher.seal(digest, data)
	if err != nil {
		return false, err
	}
	for wait := 10 * time.Millisecond; ; wait *= 2 {
		if written, err = s.putSealed(ctx, digest, sealed); !errors.Is(err, licence.ErrNotFound) || wait > time.Second {
			return written, err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return false, err
		}
	}
}

// putSealed tries once; licence.ErrNotFound when the object is neither written nor there.
func (s *S3) putSealed(ctx context.Context, digest [32]byte, sealed []byte) (written bool, err error) {
	once := minio.PutObjectOptions{ContentType: "application/octet-stream", DisableMultipart: true}
	once.SetMatchETagExcept("*")
	_, err = s.client.Client.PutObject(ctx, s.bucket, s.name(digest), bytes.NewReader(sealed), int64(len(sealed)), once)
	if err == nil {
		return true, nil
	}
	// The second code is of two PUTs at once, of which the other won. A server that refuses an object
	// while it is being sent may hang up, and its answer is lost.
	code := minio.ToErrorResponse(err).Code
	told := code == minio.PreconditionFailed || code == "ConditionalRequestConflict"
	if !told && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
		return false, s3Fault(err)
	}
	_, there := s.get(ctx, digest)
	switch {
	case there == nil:
		return false, nil
	case !told:
		return false, s3Fault(err)
	}
	return false, fmt.Errorf("it is there already: %w", there)
}

// Get implements registry.Files.
func (s *S3) Get(ctx context.Context, digest [32]byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, s.within)
	defer cancel()
	data, err := s.get(ctx, digest)
	return data, doing("reading file", err)
}

func (s *S3) get(ctx context.Context, digest [32]byte) ([]byte, error) {
	object, _, _, err := s.client.GetObject(ctx, s.bucket, s.name(digest), minio.GetObjectOptions{})
	if err != nil {
		if minio.ToErrorResponse(err).Code == minio.NoSuchKey {
			return nil, licence.ErrNotFound
		}
		return nil, s3Fault(err)
	}
	defer func() { _ = object.Close() }()
	sealed, err := io.ReadAll(io.LimitReader(object, maxFile+1))
	if err != nil {
		return nil, s3Fault(err)
	}
	if len(sealed) > maxFile {
		return nil, fmt.Errorf("object %s is larger than %d bytes", s.name(digest), maxFile)
	}
	return s.cipher.open(digest, sealed)
}

func (s *S3) name(digest [32]byte) string { return s.prefix + fileName(digest) }

// s3Fault says what a service's refusal means.
func s3Fault(err error) error {
	answer := minio.ToErrorResponse(err)
	switch answer.Code {
	case minio.NoSuchBucket:
		return fmt.Errorf("%w: there is no such bucket", registry.ErrFiles)
	case minio.InvalidAccessKeyID, minio.SignatureDoesNotMatch:
		return fmt.Errorf("%w: the access key or its secret is wrong (%s)", registry.ErrFiles, answer.Code)
	case minio.AccessDenied:
		return fmt.Errorf("%w: the access key may not read and write in the bucket (%s)", registry.ErrFiles, answer.Code)
	case "": // no answer
		return fmt.Errorf("%w: %w", registry.ErrFiles, err)
	}
	return fmt.Errorf("%w: it answers %d %.64q: %.256q", registry.ErrFiles, answer.StatusCode, answer.Code, answer.Message)
}
