package ocsp

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"

	"elicence/crypto/pki"
)

// Request asks for the status of some certificates.
type Request struct {
	Raw   []byte // DER
	IDs   []CertID
	Nonce []byte // nil: none
}

// ocspRequest is RFC 6960 §4.1.1, without what is never asked of us:
//
//	OCSPRequest ::= SEQUENCE {
//	    tbsRequest         TBSRequest,
//	    optionalSignature  [0] EXPLICIT Signature OPTIONAL }  -- not taken
type ocspRequest struct{ TBS tbsRequest }

// tbsRequest is the request proper:
//
//	TBSRequest ::= SEQUENCE {
//	    version            [0] EXPLICIT Version DEFAULT v1,
//	    requestorName      [1] EXPLICIT GeneralName OPTIONAL,  -- not taken
//	    requestList        SEQUENCE OF Request,
//	    requestExtensions  [2] EXPLICIT Extensions OPTIONAL }
type tbsRequest struct {
	Version    int `asn1:"explicit,tag:0,default:0,optional"`
	List       []singleRequest
	Extensions []pkix.Extension `asn1:"explicit,tag:2,optional"`
}

// singleRequest is
//
//	Request ::= SEQUENCE { reqCert CertID, singleRequestExtensions [0] EXPLICIT Extensions OPTIONAL }
type singleRequest struct {
	ID         CertID
	Extensions []pkix.Extension `asn1:"explicit,tag:0,optional"`
}

// MarshalRequest encodes a request for some certificates. An empty nonce is left out.
func MarshalRequest(ids []CertID, nonce []byte) ([]byte, error) {
	extensions, err := nonceExtension(nonce)
	if err != nil {
		return nil, err
	}
	request := ocspRequest{tbsRequest{Extensions: extensions}}
	for _, id := range ids {
		request.TBS.List = append(request.TBS.List, singleRequest{ID: id})
	}
	der, err := asn1.Marshal(request)
	if err != nil {
		return nil, fmt.Errorf("encoding OCSP request: %w", err)
	}
	return der, nil
}

// ParseRequest reads a DER request of at most 4 KiB for one to eight certificates.
func ParseRequest(der []byte) (*Request, error) {
	if len(der) > maxRequest {
		return nil, errors.New("ocsp: request is over 4 KiB")
	}
	outer, err := pki.UnmarshalDER[ocspRequest](der, "")
	if err != nil {
		return nil, fmt.Errorf("ocsp: malformed request: %w", err)
	}
	r := &Request{Raw: der}
	if r.Nonce, err = readNonce(outer.TBS.Extensions); err != nil {
		return nil, fmt.Errorf("ocsp: malformed request: %w", err)
	}
	if n := len(outer.TBS.List); n == 0 || n > maxIDs || outer.TBS.Version != 0 {
		return nil, fmt.Errorf("ocsp: request of version %d for %d certificates", outer.TBS.Version, n)
	}
	for _, single := range outer.TBS.List {
		if _, err := readNonce(single.Extensions); err != nil {
			return nil, fmt.Errorf("ocsp: malformed request: %w", err)
		}
		r.IDs = append(r.IDs, single.ID)
	}
	return r, nil
}
