package pki

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"sync"
	"time"

	"github.com/emmansun/gmsm/smx509"
)

const (
	certificatePEMType = "CERTIFICATE"
	crlPEMType         = "X509 CRL"

	maxAnchorsFile = 8 << 20
	maxAnchors     = 256
	maxCRLs        = 256
	maxVerified    = 4096
)

// TrustAnchors are the certificates that an installation trusts by decree (信任锚),
// with the CRLs it knows. It is immutable apart from a cache of CA signatures
// found good, and safe for concurrent use.
type TrustAnchors struct {
	certs  []*Certificate
	byName map[string][]*Certificate // by DER subject
	pinned map[string]bool           // by DER
	crls   map[string][]*crl         // by DER issuer

	mu       sync.RWMutex
	verified map[string]bool // guarded by mu: signatures of anchors that verified, by signedBy
}

// signedBy names a certificate and the one whose key signed it: both as they are, for
// which a map needs a twentieth of the time that their SM3 digests would take.
func signedBy(cert, issuer *Certificate) []byte {
	return append(append(make([]byte, 0, 2048), cert.Raw...), issuer.Raw...)
}

// ParseTrustAnchors reads PEM with CERTIFICATE and X509 CRL blocks, at most 8 MiB.
// Lines that begin with # may stand between blocks; any other text is refused,
// because a damaged block would otherwise vanish and take its revocations with
// it. So is a CRL that no certificate of the file signed.
func ParseTrustAnchors(pemBytes []byte) (*TrustAnchors, error) {
	if len(pemBytes) > maxAnchorsFile {
		return nil, errors.New("pki: trust anchors are over 8 MiB")
	}
	a := &TrustAnchors{
		byName:   map[string][]*Certificate{},
		pinned:   map[string]bool{},
		crls:     map[string][]*crl{},
		verified: map[string]bool{},
	}
	lists, err := a.readBlocks(pemBytes)
	if err != nil {
		return nil, err
	}
	for _, der := range lists {
		if err := a.addCRL(der); err != nil {
			return nil, fmt.Errorf("pki: trust anchors: %w", err)
		}
	}
	return a, nil
}

// readBlocks takes in the certificates and returns the CRLs, which may stand
// before the certificates of their issuers.
func (a *TrustAnchors) readBlocks(rest []byte) (lists [][]byte, err error) {
	for n := 1; ; n++ {
		if rest = skipComments(rest); len(rest) == 0 {
			return lists, nil
		}
		block, after := pem.Decode(rest)
		if block == nil || !bytes.HasPrefix(rest, []byte("-----BEGIN "+block.Type+"-----")) {
			return nil, fmt.Errorf("pki: trust anchors: block %d is not PEM", n)
		}
		rest = after
		switch block.Type {
		case certificatePEMType:
			err = a.addCertificate(block.Bytes)
		case crlPEMType:
			lists = append(lists, block.Bytes)
		default:
			err = fmt.Errorf("type %q is neither %s nor %s", block.Type, certificatePEMType, crlPEMType)
		}
		if err != nil {
			return nil, fmt.Errorf("pki: trust anchors: block %d: %w", n, err)
		}
		if len(a.certs) > maxAnchors || len(lists) > maxCRLs {
			return nil, errors.New("pki: trust anchors hold too many blocks")
		}
	}
}

func skipComments(text []byte) []byte {
	for {
		text = bytes.TrimLeft(text, " \t\r\n")
		if !bytes.HasPrefix(text, []byte("#")) {
			return text
		}
		_, text, _ = bytes.Cut(text, []byte("\n"))
	}
}

func (a *TrustAnchors) addCertificate(der []byte) error {
	cert, err := ParseCertificate(der)
	if err != nil {
		return err
	}
	a.pin(cert)
	return nil
}

func (a *TrustAnchors) pin(cert *Certificate) {
	if !a.pinned[string(cert.Raw)] {
		a.pinned[string(cert.Raw)] = true
		a.certs = append(a.certs, cert)
		a.byName[string(cert.RawSubject)] = append(a.byName[string(cert.RawSubject)], cert)
	}
}

// addCRL keeps a list that an anchor with the right to sign CRLs signed. The list
// is filed under that anchor's own key, so that two CAs of one name do not mix. Its
// lines are not looked at before: in memory they take fifty times their bytes.
func (a *TrustAnchors) addCRL(der []byte) error {
	outer, err := peelCRL(der)
	if err != nil {
		return err
	}
	for _, issuer := range a.byName[string(outer.issuer)] {
		may := issuer.IsCA && issuer.KeyUsage&smx509.KeyUsageCRLSign != 0
		if !may || !VerifyMessage(issuer.PublicKey, outer.tbs, outer.signature) {
			continue
		}
		list, err := parseCRL(der)
		if err != nil {
			return err
		}
		key := string(issuer.RawSubjectPublicKeyInfo)
		a.crls[key] = append(a.crls[key], list)
		return nil
	}
	return errors.New("CRL that none of the certificates signed")
}

// With returns a copy of a that also holds, of certificates and CRLs (DER) that came
// from elsewhere, those that a itself vouches for at an instant: the CA certificates
// with a good path to an anchor, and the CRLs that one of its anchors or of these
// signed. The others are left out, so that nobody's word is needed for what is given.
func (a *TrustAnchors) With(certs []*Certificate, crls [][]byte, at time.Time) (*TrustAnchors, error) {
	if len(certs) > maxAnchors || len(crls) > maxCRLs {
		return nil, errors.New("pki: too many certificates or CRLs to add to trust anchors")
	}
	for _, der := range crls {
		if _, err := peelCRL(der); err != nil {
			return nil, err
		}
	}
	more, lists := a.clone(), slices.Clone(crls)
	for joined := true; joined; { // a certificate that joins may bring in a CRL, that another certificate
		lists = slices.DeleteFunc(lists, func(der []byte) bool { return more.addCRL(der) == nil })
		joined = false
		for _, cert := range certs {
			if more.isAnchor(cert) {
				continue
			}
			if _, err := more.CheckPath(cert, PathOptions{Usage: UsageCA, At: at, Now: at}); err == nil {
				more.pin(cert)
				joined = true
			}
		}
	}
	return more, nil
}

func (a *TrustAnchors) clone() *TrustAnchors {
	a.mu.RLock()
	defer a.mu.RUnlock()
	c := &TrustAnchors{certs: slices.Clone(a.certs), byName: maps.Clone(a.byName), pinned: maps.Clone(a.pinned),
		crls: maps.Clone(a.crls), verified: maps.Clone(a.verified)}
	for name, certs := range c.byName {
		c.byName[name] = slices.Clone(certs)
	}
	for key, lists := range c.crls {
		c.crls[key] = slices.Clone(lists)
	}
	return c
}

// Certificates returns the anchors in the order of the file. The caller must not
// change them.
func (a *TrustAnchors) Certificates() []*Certificate { return a.certs }

// Revoked returns what the CRLs say that an anchor revoked, in the order of serial
// numbers, so that its next CRL can say so too.
func (a *TrustAnchors) Revoked(issuer *Certificate) []Revoked {
	lines := map[string]Revoked{}
	for _, list := range a.crls[string(issuer.RawSubjectPublicKeyInfo)] {
		for serial, r := range list.revoked {
			if old, twice := lines[serial]; !twice || r.Effective().Before(old.Effective()) {
				lines[serial] = *r
			}
		}
	}
	return slices.SortedFunc(maps.Values(lines), func(x, y Revoked) int { return x.SerialNumber.Cmp(y.SerialNumber) })
}

// RevokedSerial returns what the CRLs say that an anchor revoked under a serial number;
// nil when they say nothing.
func (a *TrustAnchors) RevokedSerial(issuer *Certificate, serial *big.Int) (r *Revoked) {
	for _, list := range a.crls[string(issuer.RawSubjectPublicKeyInfo)] {
		r = earlier(r, list.revoked[serial.String()])
	}
	return r
}

// CRL is a list that trust anchors hold.
type CRL struct {
	Raw                    []byte // DER; not to be changed
	Number                 *big.Int
	ThisUpdate, NextUpdate time.Time
}

// CRL returns an anchor's list with the highest number; false when there is none.
func (a *TrustAnchors) CRL(issuer *Certificate) (CRL, bool) {
	lists := a.crls[string(issuer.RawSubjectPublicKeyInfo)]
	if len(lists) == 0 {
		return CRL{}, false
	}
	c := newest(lists)
	return CRL{c.raw, c.number, c.thisUpdate, c.nextUpdate}, true
}

// MarshalTrustAnchors writes what ParseTrustAnchors reads: the certificates, then
// the CRLs (DER).
func MarshalTrustAnchors(certs []*Certificate, crls [][]byte) []byte {
	var out bytes.Buffer
	for _, cert := range certs {
		out.Write(pem.EncodeToMemory(&pem.Block{Type: certificatePEMType, Bytes: cert.Raw}))
	}
	for _, der := range crls {
		out.Write(pem.EncodeToMemory(&pem.Block{Type: crlPEMType, Bytes: der}))
	}
	return out.Bytes()
}

// verifies reports whether issuer's key signed cert. Good answers are kept when
// the issuer is an anchor: nobody else can fill that cache, and a CA's few
// certificates are met with every file.
func (a *TrustAnchors) verifies(cert, issuer *Certificate) bool {
	key := signedBy(cert, issuer)
	a.mu.RLock()
	known := a.verified[string(key)]
	a.mu.RUnlock()
	if known {
		return true
	}
	good := VerifyMessage(issuer.PublicKey, cert.RawTBSCertificate, cert.Signature)
	if good && a.isAnchor(issuer) {
		a.mu.Lock()
		if len(a.verified) < maxVerified {
			a.verified[string(key)] = true
		}
		a.mu.Unlock()
	}
	return good
}
