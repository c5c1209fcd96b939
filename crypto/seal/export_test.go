package seal

import "encoding/asn1"

// Remarshal encodes a seal without extensions from its exported fields, to show that
// parsing lost nothing.
func Remarshal(s *Seal) ([]byte, error) {
	header := sesHeader{ID: headerID, Version: s.Version, Vid: s.Vendor}
	if s.Version == 1 {
		return remarshalV1(s, header)
	}
	list, err := marshalCertList(s)
	if err != nil {
		return nil, err
	}
	info, err := asn1.Marshal(sesSealInfo{header, s.ID, sesPropertyInfo{
		s.Type, s.Name, s.CertListType, asn1.RawValue{FullBytes: list}, s.CreatedAt, s.ValidFrom, s.ValidTo,
	}, sesPictureInfo(s.Picture), nil})
	if err != nil {
		return nil, err
	}
	out := sesSeal{ESealInfo: asn1.RawValue{FullBytes: info}, Cert: s.Maker.Raw, SignAlgID: oidSM2WithSM3, SignedValue: wholeBytes(s.SignatureValue)}
	if s.Timestamp != nil {
		out.TimeStamp = wholeBytes(s.Timestamp)
	}
	return asn1.Marshal(out)
}

func marshalCertList(s *Seal) ([]byte, error) {
	if s.CertListType == ListsCertificates {
		return asn1.Marshal(s.CertList)
	}
	var objects []certDigestObj
	for _, value := range s.CertList {
		objects = append(objects, certDigestObj{"SM3", value})
	}
	return asn1.Marshal(objects)
}

func remarshalV1(s *Seal, header sesHeader) ([]byte, error) {
	var certs []asn1.RawValue
	for _, cert := range s.CertList {
		certs = append(certs, asn1.RawValue{Tag: asn1.TagOctetString, Bytes: cert})
	}
	info, err := asn1.Marshal(sesSealInfoV1{header, s.ID, sesPropertyInfoV1{
		s.Type, s.Name, certs, s.CreatedAt, s.ValidFrom, s.ValidTo,
	}, sesPictureInfo(s.Picture), nil})
	if err != nil {
		return nil, err
	}
	return asn1.Marshal(sesSealV1{asn1.RawValue{FullBytes: info}, sesSignInfoV1{s.Maker.Raw, oidSM2WithSM3, wholeBytes(s.SignatureValue)}})
}

// The structures below let tests write what Make and Sign would not.
type (
	SESeal       = sesSeal
	SESSealInfo  = sesSealInfo
	SESSignature = sesSignature
	TBSSign      = tbsSign
	ExtData      = extData
	CertDigest   = certDigestObj
)

// SM2WithSM3 is the one signature algorithm.
var SM2WithSM3 = oidSM2WithSM3
