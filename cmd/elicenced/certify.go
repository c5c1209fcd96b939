package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"elicence/crypto/pki"
	"elicence/crypto/pki/csr"
	"elicence/crypto/pki/ocsp"
	"elicence/crypto/seal"
	"elicence/internal/durable"

	"github.com/emmansun/gmsm/sm3"
)

// usages are the leaf usages as the command line spells them.
var usages = map[string]pki.Usage{
	"seal-signer": pki.UsageSealSigner, "seal-maker": pki.UsageSealMaker, "qr": pki.UsageQR,
	"timestamp": pki.UsageTimestamp, "trust-list": pki.UsageTrustList, "event": pki.UsageEvent, "answer": pki.UsageAnswer, "ocsp": pki.UsageOCSP,
}

// usageOf is what a key of the instance is for, by its name in the keys folder. The
// root certifies itself, and the OCSP signer is the issuing CA's own: neither can be
// another CA's.
func usageOf(name string, s settings) (pki.Usage, error) {
	usage, ok := map[string]pki.Usage{
		"issuing": pki.UsageCA, "maker": pki.UsageSealMaker, "qr": pki.UsageQR, "tsa": pki.UsageTimestamp, "trust-list": pki.UsageTrustList, eventKey: pki.UsageEvent, answerKey: pki.UsageAnswer,
	}[name]
	if ok {
		return usage, nil
	}
	names := []string{"issuing", "maker", "qr", "tsa", "trust-list", eventKey, answerKey}
	for _, a := range s.Authorities {
		if name == "seal-"+a.Code {
			return pki.UsageSealSigner, nil
		}
		names = append(names, "seal-"+a.Code)
	}
	return "", fmt.Errorf("%w: there is no key %q to certify; there are %s", errUsage, name, strings.Join(names, ", "))
}

// statusURLs are the addresses that go into a certificate issued by a CA of the
// instance: of its list and, for what the issuing CA signs, of the OCSP responder.
func (s settings) statusURLs(ca string) (crl, responder string) {
	switch {
	case s.PKIURL == "":
		return "", ""
	case ca != "issuing":
		return s.PKIURL + pkiPath + ca + ".crl", ""
	}
	return s.PKIURL + pkiPath + ca + ".crl", s.PKIURL + ocspPath
}

// caCSRCmd asks another CA to certify a key of this instance.
type caCSRCmd struct {
	keyFolder
	Name   string `arg:"" help:"Name of the key: issuing, maker, qr, tsa, trust-list, event, answer, or seal- and the code of an authority."`
	Output string `short:"o" required:"" help:"File to write, PEM." type:"path"`
}

// Run writes a request under the name that the key's present certificate has.
func (c *caCSRCmd) Run() error {
	k, s, err := c.open()
	if err != nil {
		return err
	}
	if _, err := usageOf(c.Name, s); err != nil {
		return err
	}
	cert, key, err := k.pair(c.Name)
	if err != nil {
		return err
	}
	der, err := csr.Make(rand.Reader, key, cert.Subject)
	if err != nil {
		return err
	}
	if err := durable.Replace(c.Output, csr.MarshalPEM(der)); err != nil {
		return err
	}
	fmt.Printf("request for %s in %s\n", cert.Subject.CommonName, c.Output)
	return nil
}

// caIssueCmd certifies somebody's key.
type caIssueCmd struct {
	keyFolder
	Request string `arg:"" help:"The request, PEM (PKCS#10)." type:"existingfile"`
	Usage   string `required:"" help:"What the certificate is for (${enum})." enum:"seal-signer,seal-maker,qr,timestamp,trust-list,event,answer,ocsp"`
	Days    int    `required:"" help:"How long it is valid, from now on."`
	USCC    string `name:"uscc" help:"Unified social credit code of the holder, put into the certificate; required for a seal signer."`
	Output  string `short:"o" required:"" help:"File to write, PEM." type:"path"`
}

// Run issues under the issuing CA: name and key are the request's, all else is decided here.
func (c *caIssueCmd) Run(ctx context.Context) error {
	if c.Days < 1 || c.Days > 7300 {
		return fmt.Errorf("%w: --days %d is not 1 to 7300", errUsage, c.Days)
	}
	if c.Usage == "seal-signer" && c.USCC == "" {
		return fmt.Errorf("%w: a seal signer's certificate must state its authority: give --uscc", errUsage)
	}
	text, err := os.ReadFile(c.Request)
	if err != nil {
		return err
	}
	asked, err := csr.ParsePEM(text)
	if err != nil {
		return fmt.Errorf("%w: reading %s: %w", errUsage, c.Request, err)
	}
	k, s, err := c.open()
	if err != nil {
		return err
	}
	ca, err := k.ca("issuing")
	if err != nil {
		return err
	}
	if err := c.appendLog(ctx, k, actionIssueCertificate, "certificate/"+c.Usage, sm3.Sum(asked.Raw)); err != nil {
		return err
	}
	now := time.Now().UTC().Truncate(time.Second)
	r := pki.CertificateRequest{Subject: asked.Subject, PublicKey: asked.PublicKey, Usage: usages[c.Usage], USCC: c.USCC,
		NotBefore: now.Add(-time.Minute), NotAfter: now.AddDate(0, 0, c.Days)}
	r.CRLURL, r.OCSPURL = s.statusURLs("issuing")
	cert, err := ca.Issue(rand.Reader, r)
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	if err := durable.Replace(c.Output, pki.MarshalTrustAnchors([]*pki.Certificate{cert}, nil)); err != nil {
		return err
	}
	fmt.Printf("issued %x to %s as %s, until %s\n", cert.SerialNumber, cert.Subject.CommonName, c.Usage, cert.NotAfter.Format(time.RFC3339))
	return nil
}

// caInstallCmd takes in a certificate that a CA, ours or another's, gave for a key.
type caInstallCmd struct {
	keyFolder
	Name        string `arg:"" help:"Name of the key, as for csr."`
	Certificate string `arg:"" help:"The certificate, PEM." type:"existingfile"`
}

// Run replaces the certificate of a key, once it is known to be good for it. A seal that
// lists the old one is made anew first. A crash leaves an instance that starts.
func (c *caInstallCmd) Run(ctx context.Context) error {
	k, s, err := c.open()
	if err != nil {
		return err
	}
	usage, err := usageOf(c.Name, s)
	if err != nil {
		return err
	}
	cert, err := readCertificate(c.Certificate)
	if err != nil {
		return err
	}
	old, key, err := k.pair(c.Name)
	if err != nil {
		return err
	}
	switch {
	case !pki.SamePublicKey(cert, key):
		return fmt.Errorf("%w: the certificate is not for key %s", errUsage, c.Name)
	case usage == pki.UsageCA && !bytes.Equal(cert.RawSubject, old.RawSubject):
		return fmt.Errorf("%w: a CA keeps its name: what it issued names it as its issuer", errUsage)
	}
	if err := k.checkInstalled(cert, usage); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	for _, a := range s.Authorities {
		if c.Name == "seal-"+a.Code {
			if err := a.checkSigner(cert); err != nil {
				return fmt.Errorf("%w: %w", errUsage, err)
			}
		}
	}
	if err := c.appendLog(ctx, k, actionInstallCertificate, c.Name, sm3.Sum(cert.Raw)); err != nil {
		return err
	}
	if err := k.install(c.Name, old, cert, usage, s); err != nil {
		return fmt.Errorf("installing %s: %w", c.Name, err)
	}
	fmt.Printf("installed %x for %s, from %s, until %s\n", cert.SerialNumber, c.Name, cert.Issuer.CommonName, cert.NotAfter.Format(time.RFC3339))
	fmt.Println("start the service anew, and give out the anchors anew to whoever verifies offline")
	return nil
}

// checkInstalled judges a certificate as a verifier with all anchors would, and asks its
// OCSP responder where there is no list.
func (k keyring) checkInstalled(cert *pki.Certificate, usage pki.Usage) error {
	anchors, err := k.anchors()
	if err != nil {
		return err
	}
	now := time.Now()
	evidence := &ocsp.Evidence{Client: &ocsp.Client{Rand: rand.Reader, Now: time.Now}}
	_, err = anchors.CheckPath(cert, pki.PathOptions{Usage: usage, At: now, Now: now, Status: evidence.Asking})
	if err != nil {
		return fmt.Errorf("the certificate cannot be used (an outside CA's anchor and CRL belong into keys/%s): %w", outsideAnchors, err)
	}
	return nil
}

// install keeps the old certificate and writes the new one between two forms of its
// seal: the first lists both, so that either goes with it, the second the new one alone.
// A seal maker's certificate goes into every seal; a CA's is an anchor as well.
func (k keyring) install(name string, old, cert *pki.Certificate, usage pki.Usage, s settings) error {
	now := time.Now().UTC().Truncate(time.Second)
	if err := k.retire(name, old); err != nil {
		return err
	}
	if usage == pki.UsageSealSigner {
		if err := k.remakeSeal(name, now, old, cert, old); err != nil {
			return err
		}
	}
	if err := durable.Replace(k.path(name+".cer.pem"), pki.MarshalTrustAnchors([]*pki.Certificate{cert}, nil)); err != nil {
		return err
	}
	switch usage {
	case pki.UsageSealSigner:
		return k.remakeSeal(name, now, old, cert)
	case pki.UsageSealMaker:
		return k.remakeSeals(s, now)
	case pki.UsageCA:
		return k.lockAnchors(func() error {
			return k.writeCRLs(now, func(_ *pki.Certificate, revoked []pki.Revoked) ([]pki.Revoked, error) { return revoked, nil })
		})
	}
	return nil
}

// remakeSeals has every seal signed anew by the present maker.
func (k keyring) remakeSeals(s settings, now time.Time) error {
	all, err := k.ownSeals(s)
	for _, own := range all {
		if err := k.remakeSeal(own.name, now, nil); err != nil {
			return fmt.Errorf("making the seal %s of %s again: %w", own.name, own.Name, err)
		}
	}
	return err
}

// keyIDSuffix is what remakeSeal adds to a seal's identifier.
var keyIDSuffix = regexp.MustCompile(`-[0-9a-f]{16}$`)

// remakeSeal has the seal maker sign an authority's seal anew: the same seal under a new
// identifier, with others in the place of a signer, and valid as long as the first of
// its signers. With a nil signer the list stays.
func (k keyring) remakeSeal(name string, now time.Time, replaced *pki.Certificate, by ...*pki.Certificate) error {
	file := k.path(name + ".esl")
	der, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	old, err := seal.ParseSeal(der)
	if err != nil {
		return err
	}
	signers, err := signersOf(old, replaced, by)
	if err != nil {
		return err
	}
	maker, key, err := k.pair("maker")
	if err != nil {
		return err
	}
	base := keyIDSuffix.ReplaceAllString(old.ID, "")
	made, err := seal.Make(rand.Reader, maker, key, seal.Template{
		ID: fmt.Sprintf("%s-%x", base, pki.KeyID(signers[0])), Vendor: old.Vendor, Type: old.Type, Name: old.Name, Signers: signers,
		CreatedAt: now, ValidFrom: now.Add(-time.Minute), ValidTo: signers[0].NotAfter, Picture: old.Picture, // clocks differ
	})
	if err != nil {
		return err
	}
	return durable.Replace(file, made.Raw)
}

// signersOf is a seal's list with others in the place of a signer, each once. One that
// the list lacks, as after a crash between two forms, is added.
func signersOf(s *seal.Seal, replaced *pki.Certificate, by []*pki.Certificate) ([]*pki.Certificate, error) {
	if s.CertListType != seal.ListsCertificates {
		return nil, errors.New("the present seal lists digests: have its maker make another")
	}
	signers := slices.Clone(by)
	for _, listed := range s.CertList {
		cert, err := pki.ParseCertificate(listed.Value)
		if err != nil {
			return nil, err
		}
		if (replaced == nil || !cert.Equal(replaced)) && !slices.ContainsFunc(signers, cert.Equal) {
			signers = append(signers, cert)
		}
	}
	return signers, nil
}
