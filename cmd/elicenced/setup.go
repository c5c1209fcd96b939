package main

import (
	"crypto"
	"crypto/rand"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"elicence/audit"
	"elicence/crypto/pki"
	"elicence/internal/private"
	"elicence/licence"
	"elicence/licence/render"
)

// settings are what an instance must remember besides keys: instance.json.
type settings struct {
	// LogID names the access log, until it is succeeded.
	LogID string `json:"log_id"`
	// Succeeded are the verifier keys of the logs before it, the newest first.
	Succeeded []string `json:"succeeded,omitempty"`
	// PKIURL is the scheme and host at which CRLs and OCSP are reached; it goes into
	// certificates. Empty: they name no addresses.
	PKIURL string `json:"pki_url,omitempty"`
	// Authorities are those with a seal in this instance.
	Authorities []authority `json:"authorities"`
	// Platform is the code of the one among them that seals verification reports and annotated copies. Empty:
	// nobody does.
	Platform string `json:"platform,omitempty"`
	// Retention says how long is kept what 'log retain' looks after.
	Retention retention `json:"retention,omitzero"`
}

// retention is in days since an entry was logged; 0 keeps for ever.
type retention struct {
	Openings int `json:"openings_days,omitempty"` // salts and personal values
	Segments int `json:"segments_days,omitempty"` // archive files
}

// authority is an issuing authority with the text of its seal.
type authority struct {
	Name     string `json:"name"`
	Code     string `json:"code"`
	Division string `json:"division"`
	// seal is the design that set-up draws the authority's first seal from, but for the
	// name.
	seal render.SealDesign
}

func (a authority) issuing() licence.IssuingAuthority {
	return licence.IssuingAuthority{Name: a.Name, Code: a.Code, Division: a.Division}
}

// checkSigner wants the authority's own code in the certificate of its seal: with
// any other, every issue would reserve a number and then fail its self-check.
func (a authority) checkSigner(cert *pki.Certificate) error {
	code, err := pki.USCC(cert)
	if err == nil && code != a.Code {
		err = fmt.Errorf("it states the unified social credit code %q", code)
	}
	if err != nil {
		return fmt.Errorf("certificate of the seal of %s (%s): %w", a.Name, a.Code, err)
	}
	return nil
}

// eventSubject is whom the certificate of the key that signs events names.
const eventSubject = "市电子证照库 事件通知"

// Lifetimes of what set-up makes.
const (
	caLife     = 20 * 365 * 24 * time.Hour
	leafLife   = 5 * 365 * 24 * time.Hour
	crlLife    = 7 * 24 * time.Hour
	crlRenewal = 24 * time.Hour
)

// setUp makes a new instance in dir, unless there is one. Everything is made in
// a folder beside it and renamed into place last, so that a crash leaves either
// a whole instance or none.
func setUp(dir string, holds settings, fonts *render.Fonts, now time.Time) error {
	keys := filepath.Join(dir, "keys")
	if _, err := os.Stat(keys); err == nil {
		return nil
	}
	fmt.Printf("making keys, certificates and seals in %s\n", dir)
	staging := keys + ".new"
	if err := errors.Join(os.RemoveAll(staging), os.MkdirAll(staging, 0o700)); err != nil {
		return err
	}
	passphrase, err := private.EnsurePassphrase(passphraseVariable, filepath.Join(dir, "passphrase"))
	if err != nil {
		return err
	}
	s := &setup{keyring: keyring{staging, passphrase, nil}, settings: holds, now: now.UTC().Truncate(time.Second), fonts: fonts}
	if err := s.make(); err != nil {
		return fmt.Errorf("setting up %s: %w", dir, err)
	}
	return os.Rename(staging, keys)
}

// setup makes the keys, certificates and seals of one instance.
type setup struct {
	keyring
	settings
	now     time.Time
	fonts   *render.Fonts
	root    *pki.CA
	issuing *pki.CA
}

func (s *setup) make() error {
	if err := s.authoritiesOfTrust(); err != nil {
		return err
	}
	for _, leaf := range []struct {
		name, common string
		usage        pki.Usage
	}{
		{"maker", "市电子印章制作中心", pki.UsageSealMaker},
		{"qr", "市电子证照库 二维码签名", pki.UsageQR},
		{"tsa", "市电子证照库 时间戳服务", pki.UsageTimestamp},
		{"trust-list", "市电子证照库 信任列表", pki.UsageTrustList},
		{eventKey, eventSubject, pki.UsageEvent},
		{answerKey, answerSubject, pki.UsageAnswer},
		{"ocsp", "市电子证照库 证书状态服务", pki.UsageOCSP},
	} {
		if _, _, err := s.leaf(leaf.name, pkix.Name{CommonName: leaf.common}, leaf.usage, ""); err != nil {
			return err
		}
	}
	for _, a := range s.Authorities {
		if err := s.sealOf(a); err != nil {
			return fmt.Errorf("making the seal of %s: %w", a.Name, err)
		}
	}
	if err := s.logKey(); err != nil {
		return err
	}
	if err := s.newSecrets(); err != nil {
		return err
	}
	if err := refreshCRLs(s.keyring, s.now); err != nil {
		return err
	}
	return s.settings.save(s.keyring)
}

// authoritiesOfTrust makes the root and the issuing CA.
func (s *setup) authoritiesOfTrust() error {
	key, err := pki.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	s.root, err = pki.NewRootCA(rand.Reader, key, s.request(pkix.Name{CommonName: "市电子证照根证书"}, key, pki.UsageCA, "", caLife))
	if err != nil {
		return err
	}
	cert, key, err := s.issue(s.root, pkix.Name{CommonName: "市电子证照签发证书"}, pki.UsageCA, "", caLife)
	if err != nil {
		return err
	}
	s.issuing = &pki.CA{Certificate: cert, Key: key}
	return errors.Join(s.save("root", s.root.Certificate, s.root.Key), s.save("issuing", cert, key))
}

// leaf makes and saves an end certificate under the issuing CA.
func (s *setup) leaf(name string, subject pkix.Name, usage pki.Usage, uscc string) (*pki.Certificate, crypto.Signer, error) {
	cert, key, err := s.issue(s.issuing, subject, usage, uscc, leafLife)
	if err != nil {
		return nil, nil, err
	}
	return cert, key, s.save(name, cert, key)
}

func (s *setup) issue(ca *pki.CA, subject pkix.Name, usage pki.Usage, uscc string, life time.Duration) (*pki.Certificate, crypto.Signer, error) {
	key, err := pki.GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	r := s.request(subject, key, usage, uscc, life)
	if usage == pki.UsageCA {
		r.CRLURL, r.OCSPURL = s.statusURLs("root")
	}
	cert, err := ca.Issue(rand.Reader, r)
	return cert, key, err
}

func (s *setup) request(subject pkix.Name, key crypto.Signer, usage pki.Usage, uscc string, life time.Duration) pki.CertificateRequest {
	subject.Country = []string{"CN"}
	r := pki.CertificateRequest{
		Subject: subject, PublicKey: key.Public(), Usage: usage, USCC: uscc,
		NotBefore: s.now.Add(-time.Minute), NotAfter: s.now.Add(life),
	}
	if usage != pki.UsageCA { // a leaf is the issuing CA's
		r.CRLURL, r.OCSPURL = s.statusURLs("issuing")
	}
	return r
}

func (s *setup) save(name string, cert *pki.Certificate, key crypto.Signer) error {
	return errors.Join(s.saveKey(name, key), s.saveCertificate(name, cert))
}

// sealOf draws an authority's seal, certifies its signer and has the maker sign it.
func (s *setup) sealOf(a authority) error {
	signer, _, err := s.leaf("seal-"+a.Code, pkix.Name{CommonName: a.Name, Organization: []string{a.Name}}, pki.UsageSealSigner, a.Code)
	if err != nil {
		return err
	}
	if err := s.drawnSeal(ownSealName(a.Code), "ELC"+a.Code, a, a.seal, signer); err != nil || a.Code != s.Platform {
		return err
	}
	return s.drawnSeal(copySeal, "ELC"+a.Code+"J", a, copySealDesign, signer)
}

// copySealDesign is how set-up draws the seal of annotated copies (加注专用章).
var copySealDesign = render.SealDesign{DiameterMM: 40, Lower: "加注专用章", Centre: "none"}

// drawnSeal makes a seal that lists a signer, drawn by a design with the authority's name.
func (s *setup) drawnSeal(file, id string, a authority, design render.SealDesign, signer *pki.Certificate) error {
	design.Name = a.Name
	picture, err := render.DrawSeal(s.fonts, design)
	if err != nil {
		return err
	}
	if err := s.keepDesign(design, picture.PNG); err != nil {
		return err
	}
	made, err := s.makeSeal(id, a.Name+design.Lower, signer, picture, s.now)
	if err != nil {
		return err
	}
	return os.WriteFile(s.sealFile(file), made.Raw, 0o644)
}

func (s *setup) logKey() error {
	key, err := newLogKey()
	if err != nil {
		return err
	}
	s.LogID = key.Name
	return s.saveKey("log", key.Key)
}

// newLogKey makes the name and the key of a log.
func newLogKey() (audit.Signer, error) {
	var id [4]byte
	rand.Read(id[:])
	key, err := pki.GenerateKey(rand.Reader)
	return audit.Signer{Name: "elicence/" + hex.EncodeToString(id[:]), Key: key}, err
}
