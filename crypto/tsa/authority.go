package tsa

import (
	"bytes"
	"crypto"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"strconv"
	"strings"
	"time"

	"elicence/crypto/pki"

	"github.com/emmansun/gmsm/sm3"
)

const (
	queryType  = "application/timestamp-query"
	replyType  = "application/timestamp-reply"
	maxRequest = 4 << 10 // bytes
)

// Values of PKIStatus and PKIFailureInfo (RFC 3161 §2.4.2, GM/T 0033-2014 §7).
const (
	statusGranted   = 0
	statusRejection = 2

	failBadAlg              = 0
	failBadRequest          = 2
	failBadDataFormat       = 5
	failUnacceptedPolicy    = 15
	failUnacceptedExtension = 16
	failSystemFailure       = 25
)

// Authority is a timestamp authority (时间戳服务器). It keeps no state: serial numbers
// are random. It is an http.Handler, safe for concurrent use if Now and Rand are.
type Authority struct {
	Certificate *pki.Certificate // with timeStamping as its only, critical usage
	Key         crypto.Signer
	Policy      string           // object identifier in dots that tokens are issued under
	Now         func() time.Time // the trusted clock
	Rand        io.Reader
	// RFC5652 writes the identifiers of RFC 5652 in place of those of GM/T 0010, for
	// readers that know no others.
	RFC5652 bool
	// Usable says why no token may be made at a time, as when the certificate was
	// revoked; the cause is not told to those who ask. Nil: always.
	Usable func(at time.Time) error
	// Failed is told why a good query got no token; it may be nil.
	Failed func(error)
}

// ServeHTTP answers a query posted as application/timestamp-query (RFC 3161 §3.4).
// A query that cannot be granted gets a rejection with status 200, as the protocol
// has it; only what is no query at all gets an HTTP error.
func (a *Authority) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "a timestamp query is a POST", http.StatusMethodNotAllowed)
		return
	}
	if mediaType(r.Header.Get("Content-Type")) != queryType {
		http.Error(w, "content type is not "+queryType, http.StatusUnsupportedMediaType)
		return
	}
	request, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		http.Error(w, "timestamp query is unreadable or over 4 KiB", http.StatusBadRequest)
		return
	}
	reply := a.Respond(request)
	w.Header().Set("Content-Type", replyType)
	w.Header().Set("Content-Length", strconv.Itoa(len(reply)))
	w.Write(reply)
}

// Respond answers a TimeStampReq (DER) with a TimeStampResp (DER): a token, or a
// rejection that says why.
func (a *Authority) Respond(request []byte) []byte {
	req, rejection := a.parseRequest(request)
	if rejection != nil {
		return rejection.reply()
	}
	token, err := a.token(req)
	if err != nil { // the cause is not the caller's business
		if a.Failed != nil {
			a.Failed(err)
		}
		return (&RejectionError{Status: statusRejection, FailInfo: failSystemFailure, Text: "no token could be made"}).reply()
	}
	return mustMarshal(timeStampResp{Status: pkiStatusInfo{Status: statusGranted}, TimeStampToken: asn1.RawValue{FullBytes: token}})
}

func (a *Authority) parseRequest(der []byte) (timeStampReq, *RejectionError) {
	reject := func(fail int, text string) (timeStampReq, *RejectionError) {
		return timeStampReq{}, &RejectionError{Status: statusRejection, FailInfo: fail, Text: text}
	}
	if len(der) > maxRequest {
		return reject(failBadDataFormat, "request is over 4 KiB")
	}
	req, err := pki.UnmarshalDER[timeStampReq](der, "")
	switch imprint := req.MessageImprint; {
	case err != nil:
		return reject(failBadDataFormat, "request is not a TimeStampReq in DER")
	case req.Version != 1:
		return reject(failBadRequest, "request version is not 1")
	case !isAlgorithm(imprint.HashAlgorithm, oidSM3) || len(imprint.HashedMessage) != sm3.Size:
		return reject(failBadAlg, "message imprint is not SM3")
	case len(req.Extensions) > 0:
		return reject(failUnacceptedExtension, "extensions are not supported")
	case len(req.ReqPolicy) > 0 && req.ReqPolicy.String() != a.Policy:
		return reject(failUnacceptedPolicy, "policy is not offered")
	}
	return req, nil
}

// token makes the signed token for a request that was found good.
func (a *Authority) token(req timeStampReq) ([]byte, error) {
	now := a.Now().UTC().Truncate(time.Second)
	if a.Usable != nil {
		if err := a.Usable(now); err != nil {
			return nil, fmt.Errorf("tsa: not usable: %w", err)
		}
	}
	info, err := a.tstInfo(req, now)
	if err != nil {
		return nil, err
	}
	attributes, err := asn1.MarshalWithParams(a.attributes(info), "set")
	if err != nil {
		return nil, fmt.Errorf("encoding signed attributes: %w", err)
	}
	signature, err := pki.SignMessage(a.Rand, a.Key, attributes)
	if err != nil {
		return nil, fmt.Errorf("signing timestamp: %w", err)
	}
	tagged := bytes.Clone(attributes)
	tagged[0] = tagSignedAttrs
	family := familyGM
	if a.RFC5652 {
		family = familyRFC
	}
	return marshalToken(family, a.Certificate, req.CertReq, info, tagged, signature)
}

// tstInfo states a time in whole seconds, hence an accuracy of one.
func (a *Authority) tstInfo(req timeStampReq, now time.Time) ([]byte, error) {
	policy, err := parseOID(a.Policy)
	if err != nil {
		return nil, err
	}
	serial := make([]byte, 16)
	if _, err := io.ReadFull(a.Rand, serial); err != nil {
		return nil, fmt.Errorf("drawing serial number: %w", err)
	}
	serial[0] &= 0x7f
	return asn1.Marshal(tstInfo{
		Version: 1, Policy: policy, MessageImprint: req.MessageImprint,
		SerialNumber: new(big.Int).SetBytes(serial),
		GenTime:      asn1.RawValue{Tag: asn1.TagGeneralizedTime, Bytes: []byte(now.Format(genTimeFormat))},
		Accuracy:     accuracy{Seconds: 1}, Nonce: req.Nonce,
	})
}

func (a *Authority) attributes(info []byte) []attribute {
	digest, certHash := sm3.Sum(info), sm3.Sum(a.Certificate.Raw)
	binding := signingCertificateV2{Certs: []essCertIDv2{{
		HashAlgorithm: pkix.AlgorithmIdentifier{Algorithm: oidSM3}, CertHash: certHash[:],
	}}}
	one := func(id asn1.ObjectIdentifier, value any) attribute {
		return attribute{id, []asn1.RawValue{{FullBytes: mustMarshal(value)}}}
	}
	list := []attribute{
		one(oidContentType, oidTSTInfo),
		one(oidMessageDigest, digest[:]),
		one(oidSigningCertificateV2, binding),
	}
	if !a.RFC5652 { // the minimal form is that of the GM family
		list = append(list, one(oidMinimalForm, asn1.NullRawValue))
	}
	return list
}

// reply encodes a rejection.
func (e *RejectionError) reply() []byte {
	bits := make([]byte, e.FailInfo/8+1)
	bits[e.FailInfo/8] = 0x80 >> (e.FailInfo % 8)
	return mustMarshal(timeStampResp{Status: pkiStatusInfo{
		Status:       e.Status,
		StatusString: []asn1.RawValue{{Tag: asn1.TagUTF8String, Bytes: []byte(e.Text)}},
		FailInfo:     asn1.BitString{Bytes: bits, BitLength: e.FailInfo + 1},
	}})
}

// mustMarshal encodes values of this package's own making, which always encode.
func mustMarshal(value any) []byte {
	der, err := asn1.Marshal(value)
	if err != nil {
		panic(err)
	}
	return der
}

func parseOID(dotted string) (asn1.ObjectIdentifier, error) {
	var id asn1.ObjectIdentifier
	for part := range strings.SplitSeq(dotted, ".") {
		n, err := strconv.ParseUint(part, 10, 31)
		if err != nil {
			return nil, fmt.Errorf("tsa: policy %q is not an object identifier", dotted)
		}
		id = append(id, int(n))
	}
	if len(id) < 2 || id[0] > 2 || id[0] < 2 && id[1] > 39 {
		return nil, errors.New("tsa: policy is not an object identifier")
	}
	return id, nil
}
