package main

import (
	"context"
	"crypto"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"time"

	"elicence/crypto/httpsig"
	"elicence/crypto/pki"
	"elicence/licence/registry"
)

// signerCmd looks after the keys that clients sign their requests with (RFC 9421).
type signerCmd struct {
	Add     signerAddCmd     `cmd:"" help:"Register a key of a client, beside those it has."`
	List    signerListCmd    `cmd:"" help:"List the keys."`
	End     signerEndCmd     `cmd:"" help:"End a key at once."`
	Require signerRequireCmd `cmd:"" help:"Say what a client must use."`
}

type signerAddCmd struct {
	onRegister
	Client string `required:"" help:"The client."`
	Key    string `required:"" help:"PEM file of an SM2 certificate, whose validity the key then has, or of a public key." type:"path"`
	From   string `placeholder:"RFC3339" help:"First instant (default: the certificate's, or now)."`
	Until  string `placeholder:"RFC3339" help:"End (default: the certificate's, or none)."`
}

func (a *signerAddCmd) Run(ctx context.Context) error {
	k, err := readSignerKey(a.Key)
	if err != nil {
		return fmt.Errorf("%w: --key: %w", errUsage, err)
	}
	k.Client = a.Client
	for flag, d := range map[string]struct {
		text string
		to   *time.Time
	}{"--from": {a.From, &k.ValidFrom}, "--until": {a.Until, &k.ValidUntil}} {
		if d.text == "" {
			continue
		}
		if *d.to, err = time.Parse(time.RFC3339, d.text); err != nil {
			return fmt.Errorf("%w: %s: %w", errUsage, flag, err)
		}
	}
	return a.with(ctx, func(in *instance) error {
		if _, err := in.registry.PutClientKey(ctx, registry.System("command-line"), k); err != nil {
			return missing("client", a.Client, err)
		}
		fmt.Printf("%s\n", k.KeyID)
		return nil
	})
}

// readSignerKey reads a certificate or a public key.
func readSignerKey(file string) (k registry.ClientKey, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return k, err
	}
	block, rest := pem.Decode(text)
	if block == nil || len(rest) > 0 {
		return k, errors.New("the file is not one PEM block")
	}
	var pub crypto.PublicKey
	k.ValidFrom = time.Now().UTC()
	switch block.Type {
	case "PUBLIC KEY":
		pub, err = pki.ParsePublicKeyInfo(block.Bytes)
	case "CERTIFICATE":
		var cert *pki.Certificate
		if cert, err = pki.ParseCertificate(block.Bytes); err == nil {
			pub, k.ValidFrom, k.ValidUntil = cert.PublicKey, cert.NotBefore.UTC(), cert.NotAfter.UTC()
		}
	default:
		err = fmt.Errorf("the PEM block is a %s, not a CERTIFICATE or PUBLIC KEY", block.Type)
	}
	if err != nil {
		return k, err
	}
	if k.PublicKey, err = pki.MarshalPublicKeyInfo(pub); err != nil {
		return k, err
	}
	k.KeyID, err = httpsig.KeyID(pub)
	return k, err
}

type signerListCmd struct {
	onRegister
	Client string `help:"Those of one client."`
}

func (l *signerListCmd) Run(ctx context.Context) error {
	return l.with(ctx, func(in *instance) error {
		keys, err := in.database.ClientKeys(ctx, l.Client)
		if err != nil {
			return err
		}
		fmt.Println("client\tkey id\tvalid from\tvalid until\tended")
		for _, k := range keys {
			fmt.Printf("%s\t%s\t%s\t%s\t%s\n", k.Client, k.KeyID, at(k.ValidFrom), at(k.ValidUntil), at(k.EndedAt))
		}
		return nil
	})
}

// at is an instant as it is listed; - for none.
func at(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}

type signerEndCmd struct {
	onRegister
	KeyID  string `arg:"" name:"key-id" help:"The key's id, as listed."`
	Reason string `required:"" help:"Why; it stands in the log."`
}

func (e *signerEndCmd) Run(ctx context.Context) error {
	return e.with(ctx, func(in *instance) error {
		if _, err := in.registry.EndClientKey(ctx, registry.System("command-line"), e.KeyID, e.Reason); err != nil {
			return missing("key", e.KeyID, err)
		}
		fmt.Println("done, and logged")
		return nil
	})
}

type signerRequireCmd struct {
	onRegister
	Client string                  `arg:"" help:"The client."`
	How    registry.Authentication `arg:"" enum:"token,signature,either" help:"token, signature or either."`
}

func (q *signerRequireCmd) Run(ctx context.Context) error {
	return q.with(ctx, func(in *instance) error {
		if _, err := in.registry.SetAuthentication(ctx, registry.System("command-line"), q.Client, q.How); err != nil {
			return missing("client", q.Client, err)
		}
		fmt.Println("done, and logged")
		return nil
	})
}

type logRequestCmd struct {
	onRegister
	Index  uint64 `arg:"" help:"The entry's index."`
	Reason string `required:"" help:"Why, and for whom; it stands in the log."`
	Output string `short:"o" required:"" help:"File to write; it holds what the entry says of persons." type:"path"`
}

// requestFile is what a stranger gets to see; see docs/request-signatures.md.
type requestFile struct {
	Record    []byte `json:"record"`
	Opening   []byte `json:"opening"`
	Client    string `json:"client"`
	PublicKey string `json:"public_key"`
}

func (q *logRequestCmd) Run(ctx context.Context) error {
	return q.with(ctx, func(in *instance) error {
		r, _, err := in.accessLog.SignedRequest(ctx, registry.System("command-line"), q.Index, q.Reason)
		if err != nil {
			return err
		}
		key := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: r.Key.PublicKey})
		b, err := json.MarshalIndent(requestFile{r.Record, r.Opening, r.Key.Client, string(key)}, "", "  ")
		if err != nil {
			return err
		}
		return os.WriteFile(q.Output, append(b, '\n'), 0o600)
	})
}
