package main

import (
	"context"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"elicence/crypto/pki"
	"elicence/internal/durable"

	"github.com/emmansun/gmsm/sm3"
)

// caCommands look after certificates. docs/certificates.md tells how they go together.
type caCommands struct {
	CSR     caCSRCmd     `cmd:"" name:"csr" help:"Ask another CA to certify a key of this instance."`
	Install caInstallCmd `cmd:"" help:"Take in the certificate that a CA gave for a key of this instance."`
	Issue   caIssueCmd   `cmd:"" help:"Certify somebody's key."`
	Revoke  caRevokeCmd  `cmd:"" help:"Revoke a certificate of this instance, at once and for good."`
	CRL     caCRLCmd     `cmd:"" name:"crl" help:"Write the newest revocation list of a CA, DER."`
}

// keyFolder says where the keys of an instance lie; every ca command takes it.
type keyFolder struct {
	location
	PassphraseFile string `help:"File that holds the passphrase of the keys (or set ELICENCE_PASSPHRASE; default: passphrase in the folder)." type:"path"`
}

// open finds the instance and opens its keyring.
func (f keyFolder) open() (keyring, settings, error) {
	s, err := f.settings()
	if err != nil {
		return keyring{}, s, err
	}
	k, err := f.keys(f.PassphraseFile)
	return k, s, err
}

// caRevokeCmd revokes one certificate.
type caRevokeCmd struct {
	keyFolder
	Certificate string `arg:"" optional:"" help:"The certificate, PEM." type:"existingfile"`
	Serial      string `help:"Its serial number in hexadecimal, when the certificate is not at hand."`
	CA          string `name:"ca" help:"With --serial: the CA that issued it (${enum})." enum:"issuing,root" default:"issuing"`
	Reason      string `required:"" help:"Why, as RFC 5280 calls it: keyCompromise, cACompromise, affiliationChanged, superseded, cessationOfOperation, certificateHold, privilegeWithdrawn, aACompromise, unspecified."`
	Since       string `help:"Since when the lost key is not to be trusted, RFC 3339 (default: now). Only with keyCompromise, cACompromise and aACompromise."`
}

// Run revokes: new lists of both CAs replace the old ones in one durable step. The
// entry in the access log comes after it, for nothing may keep a lost key in use.
func (c *caRevokeCmd) Run(ctx context.Context) error {
	now := time.Now().UTC().Truncate(time.Second)
	line, err := c.line(now)
	if err != nil {
		return err
	}
	k, _, err := c.open()
	if err != nil {
		return err
	}
	issuer, serial, err := c.target(k, line.InvalidityDate)
	if err != nil {
		return err
	}
	line.SerialNumber = serial
	err = k.lockAnchors(func() error {
		return k.writeCRLs(now, func(ca *pki.Certificate, revoked []pki.Revoked) ([]pki.Revoked, error) {
			if !ca.Equal(issuer) {
				return revoked, nil
			}
			return addRevoked(revoked, line)
		})
	})
	if err != nil {
		return fmt.Errorf("revoking: %w", err)
	}
	fmt.Printf("revoked %x of %s: %s, counting from %s\n", serial, issuer.Subject.CommonName, line.Reason, line.Effective().Format(time.RFC3339))
	fmt.Println("a running server notices within seconds; give out the anchors anew to whoever verifies offline")
	return c.log(ctx, k, issuer, serial)
}

// log says in the access log which list now holds the revocation.
func (c *caRevokeCmd) log(ctx context.Context, k keyring, issuer *pki.Certificate, serial *big.Int) error {
	anchors, err := readAnchors(k.path(ownAnchors))
	if err != nil {
		return err
	}
	list, _ := anchors.CRL(issuer)
	if err := c.appendLog(ctx, k, actionRevokeCertificate, "certificate/"+serial.Text(16), sm3.Sum(list.Raw)); err != nil {
		return fmt.Errorf("the certificate is revoked, but the log lacks its entry %s: %w", actionRevokeCertificate, err)
	}
	return nil
}

// line is the revocation asked for, without its serial number.
func (c *caRevokeCmd) line(now time.Time) (line pki.Revoked, err error) {
	if (c.Certificate == "") == (c.Serial == "") {
		return line, fmt.Errorf("%w: give either a certificate or --serial", errUsage)
	}
	line.At = now
	if line.Reason, err = pki.ParseRevocationReason(c.Reason); err != nil {
		return line, fmt.Errorf("%w: --reason: %w", errUsage, err)
	}
	if c.Since == "" {
		return line, nil
	}
	line.InvalidityDate, err = time.Parse(time.RFC3339, c.Since)
	switch {
	case err != nil:
		return line, fmt.Errorf("%w: --since: %w", errUsage, err)
	case !line.Reason.LostKey():
		return line, fmt.Errorf("%w: --since goes with a lost key; %s counts from now on", errUsage, line.Reason)
	case line.InvalidityDate.After(now):
		return line, fmt.Errorf("%w: --since %s is in the future", errUsage, c.Since)
	}
	line.InvalidityDate = line.InvalidityDate.UTC().Truncate(time.Second)
	return line, nil
}

// target finds the CA and the serial number of what is to be revoked since a time, zero
// for now. Whether a key could have been lost then is known of a certificate alone.
func (c *caRevokeCmd) target(k keyring, since time.Time) (issuer *pki.Certificate, serial *big.Int, err error) {
	if c.Serial != "" {
		serial, ok := new(big.Int).SetString(strings.ReplaceAll(c.Serial, ":", ""), 16)
		if !ok || serial.Sign() <= 0 || serial.BitLen() > 160 {
			return nil, nil, fmt.Errorf("%w: --serial %q is not 1 to 20 bytes in hexadecimal", errUsage, c.Serial)
		}
		issuer, err = k.certificate(c.CA)
		return issuer, serial, err
	}
	cert, err := readCertificate(c.Certificate)
	if err != nil {
		return nil, nil, err
	}
	if !since.IsZero() && since.Before(cert.NotBefore) {
		return nil, nil, fmt.Errorf("%w: --since %s is before the certificate's validity, which begins at %s", errUsage, c.Since, cert.NotBefore.UTC().Format(time.RFC3339))
	}
	issuer, err = k.issuerOf(cert)
	return issuer, cert.SerialNumber, err
}

// issuerOf is the CA of this instance that issued a certificate.
func (k keyring) issuerOf(cert *pki.Certificate) (*pki.Certificate, error) {
	for _, name := range caNames {
		ca, err := k.certificate(name)
		if err != nil {
			return nil, err
		}
		if !ca.Equal(cert) && pki.VerifyMessage(ca.PublicKey, cert.RawTBSCertificate, cert.Signature) {
			return ca, nil
		}
	}
	return nil, fmt.Errorf("%w: certificate %q was not issued by a CA of this instance: ask its own CA, or take its anchor out of keys/%s",
		errUsage, cert.Subject.CommonName, outsideAnchors)
}

// addRevoked puts a line into a list. What is revoked stays so, from its date on: a
// line changes only when a hold becomes final, when the key is found to be lost, or
// when it was lost earlier than thought.
func addRevoked(lines []pki.Revoked, line pki.Revoked) ([]pki.Revoked, error) {
	i := slices.IndexFunc(lines, func(r pki.Revoked) bool { return r.SerialNumber.Cmp(line.SerialNumber) == 0 })
	if i < 0 {
		return append(lines, line), nil
	}
	old := lines[i]
	line.At = old.At
	final := old.Reason == pki.CertificateHold && line.Reason != pki.CertificateHold
	lost := line.Reason.LostKey() && !old.Reason.LostKey()
	if !final && !lost && !line.Effective().Before(old.Effective()) {
		return nil, fmt.Errorf("%w: certificate %x is revoked already: %s, counting from %s", errUsage, old.SerialNumber, old.Reason, old.Effective().Format(time.RFC3339))
	}
	lines[i] = line
	return lines, nil
}

// readCertificate reads a file that is one PEM certificate.
func readCertificate(file string) (*pki.Certificate, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	block, rest := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" || strings.TrimSpace(string(rest)) != "" {
		return nil, fmt.Errorf("%w: %s is not one PEM certificate", errUsage, file)
	}
	cert, err := pki.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%w: reading %s: %w", errUsage, file, err)
	}
	return cert, nil
}

// caCRLCmd writes a list for those who want it as a file.
type caCRLCmd struct {
	Dir    string `help:"Folder of the instance." default:"demo" type:"path"`
	CA     string `name:"ca" help:"Whose list (${enum})." enum:"issuing,root" default:"issuing"`
	Output string `short:"o" required:"" help:"File to write." type:"path"`
}

// Run writes the list. It needs no passphrase: the list is public and signed already.
func (c *caCRLCmd) Run() error {
	if _, err := (location{Dir: c.Dir}).settings(); err != nil {
		return err
	}
	k := keyring{dir: filepath.Join(c.Dir, "keys")}
	anchors, err := readAnchors(k.path(ownAnchors))
	if err != nil {
		return err
	}
	ca, err := k.certificate(c.CA)
	if err != nil {
		return err
	}
	list, ok := anchors.CRL(ca)
	if !ok {
		return fmt.Errorf("%w: there is no list of this CA: start the service, which makes them", errUsage)
	}
	if err := durable.Replace(c.Output, list.Raw); err != nil {
		return err
	}
	fmt.Printf("list %s of %s, until %s\n", list.Number, ca.Subject.CommonName, list.NextUpdate.UTC().Format(time.RFC3339))
	return nil
}
