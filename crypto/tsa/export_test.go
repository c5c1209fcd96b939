package tsa

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
)

// The structures below let tests write what Authority would not.
type (
	ContentInfo          = contentInfo
	SignedData           = signedData
	TSTInfo              = tstInfo
	TimeStampReq         = timeStampReq
	TimeStampResp        = timeStampResp
	PKIStatusInfo        = pkiStatusInfo
	MessageImprint       = messageImprint
	Attribute            = attribute
	SigningCertificateV2 = signingCertificateV2
	ESSCertIDv2          = essCertIDv2
	Accuracy             = accuracy
)

// The object identifiers that tests swap for one another.
var (
	OIDSignedData           = oidSignedData
	OIDSM3                  = oidSM3
	OIDSM2WithSM3           = oidSM2WithSM3
	OIDSigningCertificateV2 = oidSigningCertificateV2
	OIDMessageDigest        = oidMessageDigest
	OIDContentType          = oidContentType
	OIDMinimalForm          = oidMinimalForm
)

// ParseReply is what the client does with an answer.
var ParseReply = parseReply

// ParseRequest is what the authority does with a query.
func (a *Authority) ParseRequest(der []byte) (TimeStampReq, *RejectionError) {
	return a.parseRequest(der)
}

// Request encodes a good request for an imprint.
func Request(imprint []byte, nonce *big.Int) timeStampReq {
	return timeStampReq{
		Version: 1, MessageImprint: messageImprint{pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier(oidSM3)}, imprint},
		Nonce: nonce, CertReq: true,
	}
}
