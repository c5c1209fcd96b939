package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"elicence/crypto/pki"
	"elicence/internal/listen"
	"elicence/internal/private"
	"elicence/licence/registry"
	"elicence/store"
)

// fileFlags say where licence files lie.
type fileFlags struct {
	Files             string `help:"S3 bucket of the licence files, s3://BUCKET or s3://BUCKET/PREFIX (default: files in the folder)." env:"ELICENCE_FILES"`
	S3Endpoint        string `name:"s3-endpoint" help:"Scheme and host of the S3-compatible service, https://…" env:"ELICENCE_S3_ENDPOINT"`
	S3Region          string `name:"s3-region" help:"Region that its requests are signed for." default:"us-east-1" env:"ELICENCE_S3_REGION"`
	S3CredentialsFile string `name:"s3-credentials-file" help:"File with the access key and the secret key, a line each (or set ELICENCE_S3_ACCESS_KEY and ELICENCE_S3_SECRET_KEY)." type:"path" env:"ELICENCE_S3_CREDENTIALS_FILE"`
	S3WithoutTLS      bool   `name:"s3-without-tls" help:"Allow http:// to another machine: the files are encrypted, but which are fetched, and by whom, is not." env:"ELICENCE_S3_WITHOUT_TLS"`
}

// fileStorage is a storage that can be asked whether it is there.
type fileStorage interface {
	registry.Files
	Reach(context.Context) error
}

// filesInterval is how often the storage is asked. That takes ten seconds at most.
const filesInterval = 5 * time.Second

// filesWatch knows since when files cannot be reached.
type filesWatch struct {
	storage fileStorage
	since   atomic.Int64 // in nanoseconds; 0 while they can
}

// look asks the storage, and says once when it went away, and when it is back.
func (w *filesWatch) look(ctx context.Context) {
	err := w.storage.Reach(ctx)
	switch {
	case ctx.Err() != nil:
	case err == nil:
		if w.since.Swap(0) != 0 {
			slog.Info("files can be reached again")
		}
	case w.since.CompareAndSwap(0, time.Now().UnixNano()):
		slog.Error("files cannot be reached: nothing is issued, downloaded or copied", "cause", err)
	}
}

// away is since when files cannot be reached; zero while they can.
func (w *filesWatch) away() time.Time {
	if since := w.since.Load(); since != 0 {
		return time.Unix(0, since)
	}
	return time.Time{}
}

// openFiles opens the storage: the bucket that the flags name, or the folder of the instance.
func (f fileFlags) openFiles(ctx context.Context, l location, c *pki.Cipher) (fileStorage, error) {
	if f.Files == "" {
		files, err := store.OpenFolder(filepath.Join(l.Dir, "files"), c)
		if err != nil {
			return nil, fmt.Errorf("opening the file folder: %w", err)
		}
		return files, nil
	}
	config, err := f.config()
	if err != nil {
		return nil, err
	}
	return store.OpenS3(ctx, config, c)
}

// where says where files lie, for people.
func (f fileFlags) where(l location) string {
	if f.Files != "" {
		return f.Files
	}
	return filepath.Join(l.Dir, "files")
}

// config reads the flags. Faults of theirs are usage.
func (f fileFlags) config() (c store.S3Config, err error) {
	at, err := url.Parse(f.Files)
	if err != nil || at.Scheme != "s3" || at.Host == "" || at.User != nil || at.RawQuery != "" || at.Fragment != "" {
		return c, fmt.Errorf("%w: --files %q is not s3://BUCKET or s3://BUCKET/PREFIX", errUsage, f.Files)
	}
	endpoint, err := url.Parse(f.S3Endpoint)
	if err != nil || endpoint.Host == "" || endpoint.Scheme != "http" && endpoint.Scheme != "https" || strings.Trim(endpoint.Path, "/") != "" || endpoint.User != nil {
		return c, fmt.Errorf("%w: --s3-endpoint %q is not http or https with a host and nothing else", errUsage, f.S3Endpoint)
	}
	if endpoint.Scheme == "http" && !listen.Loopback(endpoint.Hostname()) && !f.S3WithoutTLS {
		return c, fmt.Errorf("%w: --s3-endpoint %s is not loopback: use https, or --s3-without-tls", errUsage, f.S3Endpoint)
	}
	c = store.S3Config{Endpoint: endpoint.Scheme + "://" + endpoint.Host, Region: f.S3Region, Bucket: at.Host, Prefix: strings.Trim(at.Path, "/")}
	c.AccessKey, c.SecretKey, err = f.credentials()
	return c, err
}

// credentials come from the environment or a file; never from the command line, where
// other users of the machine could see them.
func (f fileFlags) credentials() (access, secret string, err error) {
	access, secret = os.Getenv("ELICENCE_S3_ACCESS_KEY"), os.Getenv("ELICENCE_S3_SECRET_KEY")
	if f.S3CredentialsFile == "" {
		if access == "" || secret == "" {
			err = fmt.Errorf("%w: --files %s needs ELICENCE_S3_ACCESS_KEY and ELICENCE_S3_SECRET_KEY, or --s3-credentials-file", errUsage, f.Files)
		}
		return access, secret, err
	}
	text, err := private.ReadFile(f.S3CredentialsFile)
	if err != nil {
		return "", "", fmt.Errorf("reading the S3 credentials: %w", err)
	}
	lines := strings.Fields(string(text))
	if len(lines) != 2 {
		return "", "", fmt.Errorf("%s does not hold an access key and a secret key, a line each", f.S3CredentialsFile)
	}
	return lines[0], lines[1], nil
}
