package main

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"elicence/crypto/pdfsig/pades"
	"elicence/crypto/pki"
	"elicence/internal/durable"
	"elicence/internal/private"
	"elicence/licence/registry"
)

// padesCmd installs what signs for PDF readers that know no SM2. Such keys come
// from an outside CA whose root those readers have, so nothing is made here.
type padesCmd struct {
	location
	PassphraseFile string `help:"File that holds the passphrase of the keys." type:"path"`
	Chain          string `required:"" help:"Certificates, PEM, the signer's first." type:"path"`
	Key            string `required:"" help:"The signer's private key, PKCS#8 in PEM, not encrypted; delete it afterwards." type:"path"`
}

// Run checks that key and certificate belong together, by signing something, and
// writes them into the instance, the key under its passphrase.
func (p *padesCmd) Run() error {
	keys, err := p.keys(p.PassphraseFile)
	if err != nil {
		return err
	}
	chainText, err := os.ReadFile(p.Chain)
	if err != nil {
		return err
	}
	chain, err := parseChain(chainText)
	if err != nil {
		return fmt.Errorf("reading %s: %w", p.Chain, err)
	}
	key, err := readPKCS8(p.Key)
	if err != nil {
		return fmt.Errorf("reading %s: %w", p.Key, err)
	}
	if _, err := pades.Sign(rand.Reader, key, chain, make([]byte, 32)); err != nil {
		return err
	}
	if err := keys.saveKey(padesName, key); err != nil {
		return err
	}
	// The chain last: without it the key is not looked at.
	if err := durable.Replace(keys.path(padesChain), chainText); err != nil {
		return err
	}
	fmt.Printf("installed %s; licence types with \"pades\": true bear its signature from the next start on\n", chain[0].Subject)
	return nil
}

// The files of the PAdES key among the keys.
const (
	padesName  = "pades"
	padesChain = "pades.chain.pem"
)

// pades reads the PAdES key; nil when none is installed.
func (k keyring) pades() (*registry.PAdESKey, error) {
	text, err := os.ReadFile(k.path(padesChain))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	chain, err := parseChain(text)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", padesChain, err)
	}
	text, err = private.ReadFile(k.path(padesName + ".key.pem"))
	if err != nil {
		return nil, err
	}
	key, err := pki.ParseForeignKey(text, k.passphrase)
	if err != nil {
		return nil, fmt.Errorf("opening key %s: %w", padesName, err)
	}
	_, err = pades.Sign(rand.Reader, key, chain, make([]byte, 32)) // they belong together
	return &registry.PAdESKey{Chain: chain, Key: key}, err
}

// parseChain reads certificates in PEM.
func parseChain(text []byte) (chain []*x509.Certificate, err error) {
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			break
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		chain, text = append(chain, cert), rest
	}
	if len(chain) == 0 {
		return nil, errors.New("no certificate in PEM")
	}
	return chain, nil
}

// readPKCS8 reads a private key as other programs write it.
func readPKCS8(file string) (crypto.Signer, error) {
	text, err := private.ReadFile(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, errors.New("no PRIVATE KEY block in PEM (convert with: openssl pkcs8 -topk8 -nocrypt)")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	key, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("key of type %T does not sign", parsed)
	}
	return key, nil
}
