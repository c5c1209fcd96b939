package pki

import (
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"

	"github.com/emmansun/gmsm/smx509"
)

// Usage is what a certificate is for. A leaf serves one usage only, so that the
// key of a QR signer, once lost, can seal nothing.
type Usage string

// The usages, in the order in which design and demo set them up.
const (
	UsageCA         Usage = "ca"          // signs certificates and CRLs
	UsageSealMaker  Usage = "seal_maker"  // 制章者: signs seals
	UsageSealSigner Usage = "seal_signer" // 签章者: signs files with a seal
	UsageQR         Usage = "qr"          // signs QR payloads
	UsageTimestamp  Usage = "timestamp"   // signs timestamp tokens (RFC 3161 §2.3)
	UsageTrustList  Usage = "trust_list"  // signs the trust list
	UsageEvent      Usage = "event"       // signs events that are sent to others
	UsageAnswer     Usage = "answer"      // signs what the service answers to departments
	UsageOCSP       Usage = "ocsp"        // signs OCSP answers for its issuer (RFC 6960 §4.2.2.2)
	// UsageForeign is making seals or signing files on another platform, whose certificates
	// know nothing of this project's usages: key usage alone counts.
	UsageForeign Usage = "foreign"
)

// The extended key usages of this project. No authority assigned them: the arc
// 2.25 (X.667) is open to anyone, and its child here is the leading 31 bits of
// SM3("elicence certificate usage"), because ASN.1 decoders in wide use, Go's
// among them, take no component of 2^31 or above.
//
//	elicence     ::= { 2 25 561737094 }
//	id-kp-seal-maker   { elicence 1 }      id-kp-qr          { elicence 3 }
//	id-kp-seal-signer  { elicence 2 }      id-kp-trust-list  { elicence 4 }
//	id-kp-event        { elicence 5 }       id-kp-answer      { elicence 6 }
//	id-aa-minimal-form { elicence 50 }     -- crypto/tsa: a signed attribute
//	timestamp policies { elicence 100 … }  -- for installations without an arc of their own

// PrivateArc is that arc as text, for whoever else needs an identifier of ours:
// {elicence 2 1} is the policy of our own timestamp authority.
const PrivateArc = "2.25.561737094"

var (
	oidSealMaker    = asn1.ObjectIdentifier{2, 25, 561737094, 1}
	oidSealSigner   = asn1.ObjectIdentifier{2, 25, 561737094, 2}
	oidQR           = asn1.ObjectIdentifier{2, 25, 561737094, 3}
	oidTrustList    = asn1.ObjectIdentifier{2, 25, 561737094, 4}
	oidEvent        = asn1.ObjectIdentifier{2, 25, 561737094, 5}
	oidAnswer       = asn1.ObjectIdentifier{2, 25, 561737094, 6}
	oidTimeStamping = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 8} // RFC 5280 §4.2.1.12
	oidOCSPSigning  = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 9}

	purposeIDs = []asn1.ObjectIdentifier{oidSealMaker, oidSealSigner, oidQR, oidTrustList, oidEvent, oidAnswer, oidTimeStamping, oidOCSPSigning}
)

// purpose gives the extended key usage of a leaf of usage u.
func (u Usage) purpose() (asn1.ObjectIdentifier, error) {
	switch u {
	case UsageSealMaker:
		return oidSealMaker, nil
	case UsageSealSigner:
		return oidSealSigner, nil
	case UsageQR:
		return oidQR, nil
	case UsageTrustList:
		return oidTrustList, nil
	case UsageEvent:
		return oidEvent, nil
	case UsageAnswer:
		return oidAnswer, nil
	case UsageTimestamp:
		return oidTimeStamping, nil
	case UsageOCSP:
		return oidOCSPSigning, nil
	}
	return nil, fmt.Errorf("pki: usage %q has no leaf certificates", string(u))
}

// CheckUsage tells why a certificate does not say itself that it serves a usage, or
// nil. It judges neither path nor time.
func CheckUsage(cert *Certificate, u Usage) error { return allowedFor(cert, u, false) }

// allowedFor reports whether cert may serve as a leaf for usage u. A pinned leaf
// is one that is itself an anchor: whoever put it there vouches for its use, so
// it may lack the extension, but never contradict it.
func allowedFor(cert *Certificate, u Usage, pinned bool) error {
	switch u {
	case UsageCA:
		return checkCA(cert)
	case UsageForeign:
		return allowedForeign(cert)
	}
	purpose, err := u.purpose()
	if err != nil {
		return err
	}
	if cert.IsCA {
		return fmt.Errorf("a CA certificate does not serve as %s", u)
	}
	signs := smx509.KeyUsageDigitalSignature | smx509.KeyUsageContentCommitment
	if cert.KeyUsage != 0 && cert.KeyUsage&signs == 0 {
		return errors.New("key usage does not allow signatures")
	}
	purposes, critical := extendedKeyUsage(cert)
	switch {
	case len(purposes) == 0 && (pinned || u == UsageSealSigner):
		return nil
	case !slices.ContainsFunc(purposes, purpose.Equal):
		return &purposeError{u}
	case u == UsageTimestamp && !(critical && len(purposes) == 1):
		return errors.New("a timestamp certificate needs timeStamping as its only and critical extended key usage")
	}
	return nil
}

// allowedForeign refuses what cannot sign, what is for one of this project's uses other than
// seals, and what is for another use that its CA made binding.
func allowedForeign(cert *Certificate) error {
	signs := smx509.KeyUsageDigitalSignature | smx509.KeyUsageContentCommitment
	purposes, critical := extendedKeyUsage(cert)
	other := func(id asn1.ObjectIdentifier) bool {
		ours := id == nil || slices.ContainsFunc(purposeIDs, id.Equal)
		return !id.Equal(oidSealMaker) && !id.Equal(oidSealSigner) && (ours || critical)
	}
	switch {
	case cert.IsCA:
		return errors.New("a CA certificate does not sign files")
	case cert.KeyUsage != 0 && cert.KeyUsage&signs == 0:
		return errors.New("key usage does not allow signatures")
	case slices.ContainsFunc(purposes, other):
		return &purposeError{UsageForeign}
	}
	return nil
}

// purposeError says that the extended key usage names other uses.
type purposeError struct{ usage Usage }

func (e *purposeError) Error() string {
	return fmt.Sprintf("extended key usage does not allow %s", e.usage)
}

// otherUsage returns what a certificate says that it is for (dotted identifiers), when
// it is nothing that this project acts upon: nobody pins such a certificate for that
// use. It returns nil when one of the purposes is ours, when the CA made the extension
// critical, and when it cannot be read.
func otherUsage(cert *Certificate) (purposes []string) {
	ids, critical := extendedKeyUsage(cert)
	if critical {
		return nil
	}
	for _, id := range ids {
		if id == nil || slices.ContainsFunc(purposeIDs, id.Equal) {
			return nil
		}
		purposes = append(purposes, id.String())
	}
	return purposes
}

// extendedKeyUsage reads the extension from the certificate's own bytes; an
// unreadable one allows nothing.
func extendedKeyUsage(cert *Certificate) (purposes []asn1.ObjectIdentifier, critical bool) {
	for _, ext := range cert.Extensions {
		if ext.Id.Equal(oidExtendedKeyUsage) {
			purposes, err := UnmarshalDER[[]asn1.ObjectIdentifier](ext.Value, "")
			if err != nil || len(purposes) == 0 {
				return []asn1.ObjectIdentifier{nil}, ext.Critical
			}
			return purposes, ext.Critical
		}
	}
	return nil, false
}

// checkCA tells why a certificate may not sign others, or nil.
func checkCA(cert *Certificate) error {
	switch {
	case !cert.BasicConstraintsValid || !cert.IsCA:
		return errors.New("basic constraints do not make it a CA")
	case cert.KeyUsage&smx509.KeyUsageCertSign == 0:
		return errors.New("key usage does not allow signing certificates")
	}
	return nil
}
