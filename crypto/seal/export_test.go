package seal

// Remarshal encodes a seal from its fields, to show that parsing lost nothing.
func Remarshal(s *Seal) ([]byte, error) {
	info, err := s.marshalInfo()
	if err != nil {
		return nil, err
	}
	return s.marshal(info)
}

// RemarshalSignature does so for a seal signature and the seal in it.
func RemarshalSignature(s *Signature) ([]byte, error) {
	inner, err := Remarshal(s.Seal)
	if err != nil {
		return nil, err
	}
	tbs, err := s.marshalTBS(inner)
	if err != nil {
		return nil, err
	}
	return s.marshal(tbs)
}

// The structures below let tests write what Make and Sign would not.
type (
	SESeal         = sesSeal
	SESSealInfo    = sesSealInfo
	SESSealV1      = sesSealV1
	SESSealInfoV1  = sesSealInfoV1
	SESPropertyV1  = sesPropertyInfoV1
	SESSignInfoV1  = sesSignInfoV1
	SESSignedV1    = sesSignedV1
	SESSignature   = sesSignature
	SESSignatureV1 = sesSignatureV1
	TBSSign        = tbsSign
	TBSSignV1      = tbsSignV1
	CertDigest     = certDigestObj
)

// SM2WithSM3 is the one signature algorithm, SM2WithSM3Alias its misspelt name.
var (
	SM2WithSM3      = oidSM2WithSM3
	SM2WithSM3Alias = oidSM2WithSM3Alias
)

// DigestWithZAOf is SM3(ZA‖message) with the key of a certificate.
var DigestWithZAOf = digestWithZA
