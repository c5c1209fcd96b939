package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"elicence/audit"
	"elicence/crypto/pki"
	"elicence/licence/registry"
)

// retiredDir holds certificates that were replaced, as NAME-KEYID.cer.pem.
const retiredDir = "retired"

// retire keeps a certificate that is about to be replaced.
func (k keyring) retire(name string, cert *pki.Certificate) error {
	if err := os.MkdirAll(k.path(retiredDir), 0o700); err != nil {
		return err
	}
	file := fmt.Sprintf("%s/%s-%x.cer.pem", retiredDir, name, pki.KeyID(cert))
	return replaceFile(k.path(file), pki.MarshalTrustAnchors([]*pki.Certificate{cert}, nil))
}

// qrCertificates are the present QR signer's certificate and those of all before it:
// codes on paper name the one of their day.
func (k keyring) qrCertificates() ([]*pki.Certificate, error) {
	present, err := k.certificate("qr")
	if err != nil {
		return nil, err
	}
	certs := []*pki.Certificate{present}
	files, err := filepath.Glob(k.path(retiredDir + "/qr-*.cer.pem"))
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		cert, err := k.certificate(filepath.Join(retiredDir, strings.TrimSuffix(filepath.Base(file), ".cer.pem")))
		if err != nil {
			return nil, err
		}
		certs = append(certs, cert)
	}
	return certs, nil
}

// The actions of the commands that work on certificates, as they stand in the access log.
const (
	actionIssueCertificate   audit.Action = "issue_certificate"   // permits the issuing key; digest: SM3 of the request
	actionInstallCertificate audit.Action = "install_certificate" // permits the maker's key; digest: SM3 of the certificate
	actionRevokeCertificate  audit.Action = "revoke_certificate"  // after the fact; digest: SM3 of the new list
)

// appendLog writes one entry about the keys into the access log of an instance, which
// may be served meanwhile. Who works at the machine is not known: the entry says
// "system". The checkpoint kept outside the database is compared, and left to the
// service.
func (l location) appendLog(ctx context.Context, keys keyring, action audit.Action, object string, digest [32]byte) (err error) {
	in := &instance{keys: keys, memory: checkpointFile{path: filepath.Join(l.Dir, "checkpoint")}}
	if in.settings, err = l.settings(); err != nil {
		return err
	}
	secrets, err := keys.secrets()
	if err != nil {
		return err
	}
	if err = in.openStorage(ctx, options{location: l}, secrets); err == nil {
		_, err = in.log.Append(ctx, &audit.Entry{
			Principal: registry.System("").Principal, Action: action, Object: object, Result: audit.ResultAllowed,
			RequestID: "elicenced keys", Digest: digest[:],
		}, nil)
		err = errors.Join(err, in.log.Close())
	}
	if in.database != nil {
		err = errors.Join(err, in.database.Close())
	}
	return err
}
