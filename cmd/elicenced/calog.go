package main

import (
	"fmt"
	"os"

	"elicence/audit"
	"elicence/crypto/pki"
	"elicence/internal/durable"
)

// retire keeps a certificate that is about to be replaced.
func (k keyring) retire(name string, cert *pki.Certificate) error {
	if err := os.MkdirAll(k.path(retiredDir), 0o700); err != nil {
		return err
	}
	file := fmt.Sprintf("%s/%s-%x.cer.pem", retiredDir, name, pki.KeyID(cert))
	return durable.Replace(k.path(file), pki.MarshalTrustAnchors([]*pki.Certificate{cert}, nil))
}

// The actions of the commands that work on certificates, as they stand in the access log.
const (
	actionIssueCertificate   audit.Action = "issue_certificate"   // permits the issuing key; digest: SM3 of the request
	actionInstallCertificate audit.Action = "install_certificate" // permits the maker's key; digest: SM3 of the certificate
	actionRevokeCertificate  audit.Action = "revoke_certificate"  // after the fact; digest: SM3 of the new list
)
