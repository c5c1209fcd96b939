package verify_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"testing"
	"time"

	"elicence/crypto/cryptotest"
	"elicence/crypto/pdfsig"
	"elicence/crypto/pdfsig/pades"
	"elicence/crypto/pki"
	"elicence/crypto/seal"
	"elicence/licence"
	"elicence/verify"

	"github.com/google/go-cmp/cmp"
)

// earlier is a signature made before the recipe's seal.
type earlier struct {
	subFilter string
	sign      func(p *pdfsig.Prepared) []byte
}

// after makes the licence file anew, with other signatures before its seal.
func (b *bench) after(steps ...earlier) []byte {
	b.t.Helper()
	if len(steps) == 0 {
		return b.r.make(b.t)
	}
	const size = 113.386
	appearance := pdfsig.Appearance{Width: size, Height: size, Content: []byte("1 0 0 RG 5 5 100 100 re S\n")}
	var fields []pdfsig.Field
	for i, s := range steps {
		f := pdfsig.Field{Name: fmt.Sprint("First", i)}
		if s.subFilter == pdfsig.SubFilter {
			f.X, f.Y, f.Width, f.Height = 100, 100+120*float64(i), size, size
		}
		fields = append(fields, f)
	}
	fields = append(fields, pdfsig.Field{Name: "Seal1", X: 300, Y: 100, Width: size, Height: size})
	file := b.r.render(b.t)
	for i, s := range steps {
		o := pdfsig.Options{FieldName: fields[i].Name, SubFilter: s.subFilter, Reserve: 3700}
		if s.subFilter == pdfsig.SubFilter {
			o.Appearance = appearance
		}
		if i == 0 {
			o.Page, o.X, o.Y, o.Later = 1, fields[0].X, fields[0].Y, fields[1:]
		}
		p, err := pdfsig.Prepare(file, o)
		must(b.t, err)
		file, err = p.Finish(s.sign(p))
		must(b.t, err)
	}
	return b.r.sealOn(b.t, file, pdfsig.Options{})
}

// The authorities that seal before the issuing one.
const thirdUSCC = "113301000024903302"

var (
	second = licence.CoSealer{Name: "测试市规划和自然资源局", Code: otherUSCC}
	third  = licence.CoSealer{Name: "测试市财政局", Code: thirdUSCC}
)

// names has the licence's data name those who seal before the issuing authority.
func (b *bench) names(c ...licence.CoSealer) { b.r.licence.CoSealers = c }

// coSeal is a good co-seal with a token, as of an authority with the code.
func (b *bench) coSeal(code string) earlier {
	signer, s := coSealOf(b, code, nil)
	return earlier{pdfsig.SubFilter, sealFirst(b, signer, s, true, nil)}
}

// pades is a good signature for readers without SM2.
func (b *bench) pades() earlier { return earlier{pdfsig.SubFilterPAdES, padesFirst(b, nil)} }

// twoSeals is a file that another authority sealed first.
func twoSeals(b *bench) []byte {
	b.names(second)
	return b.after(b.coSeal(otherUSCC))
}

// padesAndSeal is a file with a signature for readers without SM2 before its seal.
func padesAndSeal(b *bench) []byte { return b.after(b.pades()) }

// coSealOf is the seal of another authority, whose holder signs with it.
func coSealOf(b *bench, code string, change func(*seal.Template)) (cryptotest.Leaf, *seal.Seal) {
	return sealFor(b, mustIssueFor(b.t, b.pki, code, pki.UsageSealSigner, sealedAt.Add(-time.Hour), now.Add(24*time.Hour)), change)
}

// sealFor is a seal that lists one signer.
func sealFor(b *bench, signer cryptotest.Leaf, change func(*seal.Template)) (cryptotest.Leaf, *seal.Seal) {
	b.others = append(b.others, signer.Certificate)
	return signer, mustSeal(b.t, b.pki, b.pki.SealMaker, func(t *seal.Template) {
		t.Signers = []*pki.Certificate{signer.Certificate}
		if change != nil {
			change(t)
		}
	})
}

// sealFirst signs with the other authority's seal.
func sealFirst(b *bench, signer cryptotest.Leaf, s *seal.Seal, token bool, digest func([32]byte) [32]byte) func(*pdfsig.Prepared) []byte {
	return func(p *pdfsig.Prepared) []byte {
		sum := p.Digest()
		if digest != nil {
			sum = digest(sum)
		}
		sig, err := seal.Sign(b.pki.Rand, signer.Key, signer.Certificate, s, sum[:], "ByteRange", sealedAt)
		must(b.t, err)
		if token {
			sig, err = sig.WithTimestamp(mustToken(b.t, b.pki, b.pki.TSA, sig.SignatureValue, sealedAt))
			must(b.t, err)
		}
		return sig.Raw
	}
}

// padesFirst signs for readers without SM2; change may spoil the digest.
func padesFirst(b *bench, change func([]byte)) func(*pdfsig.Prepared) []byte {
	return func(p *pdfsig.Prepared) []byte {
		key, cert := p256(b.t, b.pki)
		h := sha256.New()
		_, err := p.WriteTo(h)
		must(b.t, err)
		digest := h.Sum(nil)
		if change != nil {
			change(digest)
		}
		der, err := pades.Sign(nil, key, []*x509.Certificate{cert}, digest)
		must(b.t, err)
		return der
	}
}

// p256 is a signer for readers without SM2. The standard library takes no source of
// randomness for such keys: without one their signatures are fixed (RFC 6979).
func p256(t testing.TB, p *cryptotest.PKI) (crypto.Signer, *x509.Certificate) {
	t.Helper()
	scalar := make([]byte, 32)
	_, err := io.ReadFull(p.Rand, scalar)
	must(t, err)
	ecdsaKey, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), scalar)
	must(t, err)
	key := fixedNonces{ecdsaKey}
	template := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "P-256"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour)}
	der, err := x509.CreateCertificate(nil, template, template, key.Public(), key)
	must(t, err)
	cert, err := x509.ParseCertificate(der)
	must(t, err)
	return key, cert
}

// fixedNonces signs as RFC 6979 says, whatever randomness it is given.
type fixedNonces struct{ *ecdsa.PrivateKey }

func (k fixedNonces) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return k.PrivateKey.Sign(nil, digest, opts)
}

// several is a case whose file has signatures before its seal. Its data name second,
// unless it says otherwise.
func several(name string, want verify.Indication, sub verify.SubIndication, check verify.Name, code string, make func(b *bench) []earlier) fileCase {
	return fileCase{name: name, want: want, sub: sub, check: check, code: code,
		set:  func(b *bench) { b.names(second) },
		base: func(b *bench) []byte { return b.after(make(b)...) }}
}

// severalCases: what is wrong with one of the signatures is wrong with the file.
func severalCases() []fileCase {
	const passed, failed, open = verify.TotalPassed, verify.TotalFailed, verify.Indeterminate
	half := now.Add(-30 * time.Minute)
	later := func(b *bench) {
		b.r.token = func(message []byte) []byte {
			return mustToken(b.t, b.pki, b.pki.TSA, message, sealedAt.Add(10*time.Minute))
		}
	}
	brief := func(t *seal.Template) { t.ValidTo = sealedAt.Add(time.Minute) }
	// with is the co-seal of an authority, spoilt.
	with := func(token bool, change func(*seal.Template), digest func([32]byte) [32]byte) func(*bench) []earlier {
		return func(b *bench) []earlier {
			signer, s := coSealOf(b, otherUSCC, change)
			return []earlier{{pdfsig.SubFilter, sealFirst(b, signer, s, token, digest)}}
		}
	}
	// revoking has the co-seal's signer revoked.
	revoking := func(token bool, at time.Time) func(*bench) []earlier {
		return func(b *bench) []earlier {
			signer, s := coSealOf(b, otherUSCC, nil)
			revoke(b, revoked(signer, at, pki.Superseded))
			return []earlier{{pdfsig.SubFilter, sealFirst(b, signer, s, token, nil)}}
		}
	}
	none := func(subFilter string) func(*bench) []earlier {
		return func(*bench) []earlier {
			return []earlier{{subFilter, func(*pdfsig.Prepared) []byte { return []byte{0x30, 3, 2, 1, 4} }}}
		}
	}
	alone := func(c fileCase) fileCase { c.set = nil; return c }
	return []fileCase{
		several("two seals", passed, "", verify.CheckCoSeals, "co_seals_ok", func(b *bench) []earlier { return []earlier{b.coSeal(otherUSCC)} }),
		several("PAdES and two seals", passed, "", verify.CheckCoSeals, "co_seals_ok", func(b *bench) []earlier { return []earlier{b.pades(), b.coSeal(otherUSCC)} }),
		several("PAdES and three seals", passed, "", verify.CheckCoSeals, "co_seals_ok", func(b *bench) []earlier {
			b.names(third, second)
			return []earlier{b.pades(), b.coSeal(thirdUSCC), b.coSeal(otherUSCC)}
		}),
		several("first seal without a token, proven by the last", passed, "", verify.CheckTimestamp, "timestamp_own", with(false, nil, nil)),
		alone(several("PAdES and seal", passed, "", verify.CheckCoSeals, "co_seals_none", func(b *bench) []earlier { return []earlier{b.pades()} })),
		several("PAdES over another file", failed, verify.SigCryptoFailure, verify.CheckSealSignature, "pades_wrong", func(b *bench) []earlier {
			return []earlier{{pdfsig.SubFilterPAdES, padesFirst(b, func(d []byte) { d[0] ^= 1 })}, b.coSeal(otherUSCC)}
		}),
		alone(several("PAdES that is none", failed, verify.SigCryptoFailure, verify.CheckSealSignature, "pades_wrong", none(pdfsig.SubFilterPAdES))),
		several("first seal over another file", failed, verify.HashFailure, verify.CheckDocumentDigest, "document_digest_differs",
			with(true, nil, func(d [32]byte) [32]byte { d[5] ^= 1; return d })),
		several("first seal of strangers", open, verify.CertificateChainGeneralFailure, verify.CheckSealMaker, "maker_chain_broken", func(b *bench) []earlier {
			own := b.pki
			b.pki = cryptotest.NewFrom(b.t, own.Rand)
			signer, s := coSealOf(b, otherUSCC, nil)
			b.pki = own
			return []earlier{{pdfsig.SubFilter, sealFirst(b, signer, s, false, nil)}}
		}),
		several("first seal by a maker for other uses", passed, "", verify.CheckSealMaker, "maker_trusted_other_usage", func(b *bench) []earlier {
			signer := mustIssueFor(b.t, b.pki, otherUSCC, pki.UsageSealSigner, sealedAt.Add(-time.Hour), now.Add(24*time.Hour))
			maker := foreignMaker(b, now.AddDate(-1, 0, 0))
			b.v.Anchors = pinning(b, maker)
			s := mustSeal(b.t, b.pki, maker, func(t *seal.Template) { t.Signers = []*pki.Certificate{signer.Certificate} })
			return []earlier{{pdfsig.SubFilter, sealFirst(b, signer, s, false, nil)}}
		}),
		several("first seal expired", failed, verify.SigConstraintsFailure, verify.CheckSeal, "seal_expired", func(b *bench) []earlier {
			later(b)
			return with(false, brief, nil)(b)
		}),
		several("first seal expired, not at the time of its own token", passed, "", verify.CheckSeal, "seal_ok", func(b *bench) []earlier {
			later(b)
			return with(true, brief, nil)(b)
		}),
		several("first one no seal", failed, verify.FormatFailure, verify.CheckSealSignature, "seal_signature_malformed", none(pdfsig.SubFilter)),
		several("first seal's token over another signature", failed, verify.HashFailure, verify.CheckTimestamp, "timestamp_other_signature", func(b *bench) []earlier {
			signer, s := coSealOf(b, otherUSCC, nil)
			return []earlier{{pdfsig.SubFilter, func(p *pdfsig.Prepared) []byte {
				bare := mustParse(b.t, sealFirst(b, signer, s, false, nil)(p))
				sig, err := bare.WithTimestamp(mustToken(b.t, b.pki, b.pki.TSA, []byte("another"), sealedAt))
				must(b.t, err)
				return sig.Raw
			}}}
		}),
		several("first signer not listed by the seal", failed, verify.SigConstraintsFailure, verify.CheckSeal, "signer_not_listed", func(b *bench) []earlier {
			_, theirs := coSealOf(b, otherUSCC, nil)
			signer, _ := coSealOf(b, otherUSCC, nil)
			return []earlier{{pdfsig.SubFilter, func(p *pdfsig.Prepared) []byte {
				sum := p.Digest()
				return forge(b.t, b.pki, signer, 4, theirs.Raw, sum[:]).Raw
			}}}
		}),
		several("first signer revoked before", failed, verify.Revoked, verify.CheckRevocation, "signer_revoked", revoking(true, sealedAt.Add(-time.Minute))),
		several("first signer revoked after", passed, "", verify.CheckRevocation, "not_revoked", revoking(true, half)),
		several("first signer revoked after, proven by the last token", passed, "", verify.CheckRevocation, "not_revoked", revoking(false, half)),
		several("first signer revoked, no token at all", open, verify.RevokedNoPOE, verify.CheckRevocation, "signer_revoked_no_poe", func(b *bench) []earlier {
			b.r.token = nil
			return revoking(false, half)(b)
		}),
		{name: "PAdES alone", want: failed, sub: verify.FormatFailure, check: verify.CheckStructure, code: "foreign_signature", base: func(b *bench) []byte {
			p, err := pdfsig.Prepare(b.r.render(b.t), pdfsig.Options{FieldName: "a", Page: 1, SubFilter: pdfsig.SubFilterPAdES, Reserve: 3700})
			must(b.t, err)
			file, err := p.Finish(padesFirst(b, nil)(p))
			must(b.t, err)
			return file
		}},
	}
}

// coSealCases: the seals before the last are those that the data name, no more, no
// fewer and in no other order, however genuine each is.
func coSealCases() []fileCase {
	refused := func(name, code string, make func(b *bench) []earlier) fileCase {
		return several(name, verify.TotalFailed, verify.SigConstraintsFailure, verify.CheckCoSeals, code, make)
	}
	open := func(name, code string, signer func(*bench) cryptotest.Leaf) fileCase {
		return several(name, verify.Indeterminate, verify.SigConstraintsFailure, verify.CheckCoSeals, code, func(b *bench) []earlier {
			leaf, s := sealFor(b, signer(b), nil)
			return []earlier{{pdfsig.SubFilter, sealFirst(b, leaf, s, true, nil)}}
		})
	}
	last := refused("the co-sealing authority seals last as well", "signer_other_authority", func(b *bench) []earlier {
		first := b.coSeal(otherUSCC)
		sealedBy(b, signerOf(b, otherUSCC))
		return []earlier{first}
	})
	last.check = verify.CheckSignerCertificate
	swapped := refused("first and last swapped", "signer_other_authority", func(b *bench) []earlier {
		first := b.coSeal(uscc)
		sealedBy(b, signerOf(b, otherUSCC))
		return []earlier{first}
	})
	swapped.check = verify.CheckSignerCertificate
	return []fileCase{
		refused("missing", "co_seal_missing", func(b *bench) []earlier { return nil }),
		refused("PAdES in its place", "co_seal_missing", func(b *bench) []earlier { return []earlier{b.pades()} }),
		refused("one of two missing", "co_seal_missing", func(b *bench) []earlier {
			b.names(second, third)
			return []earlier{b.coSeal(otherUSCC)}
		}),
		refused("not asked for", "co_seal_unexpected", func(b *bench) []earlier {
			b.names()
			return []earlier{b.coSeal(otherUSCC)}
		}),
		refused("one more than asked for", "co_seal_unexpected", func(b *bench) []earlier { return []earlier{b.coSeal(otherUSCC), b.coSeal(thirdUSCC)} }),
		refused("twice", "co_seal_unexpected", func(b *bench) []earlier { return []earlier{b.coSeal(otherUSCC), b.coSeal(otherUSCC)} }),
		refused("of another authority", "co_seal_other_authority", func(b *bench) []earlier { return []earlier{b.coSeal(thirdUSCC)} }),
		refused("of the issuing authority", "co_seal_other_authority", func(b *bench) []earlier { return []earlier{b.coSeal(uscc)} }),
		refused("two swapped", "co_seal_other_authority", func(b *bench) []earlier {
			b.names(second, third)
			return []earlier{b.coSeal(thirdUSCC), b.coSeal(otherUSCC)}
		}),
		swapped, last,
		open("no code", "co_seal_uscc_absent", func(b *bench) cryptotest.Leaf { return signerOf(b, "") }),
		open("code malformed", "co_seal_uscc_malformed", func(b *bench) cryptotest.Leaf { return signerStating(b, "\x13\x09002500287") }),
	}
}

// TestSealsByThemselves: a report on several seals tells of each, whatever it says of the
// file.
func TestSealsByThemselves(t *testing.T) {
	p := cryptotest.New(t)
	b := newBench(t, p)
	b.names(second)
	signer, s := coSealOf(b, otherUSCC, func(t *seal.Template) { t.Name = second.Name })
	wrong := earlier{pdfsig.SubFilter, sealFirst(b, signer, s, false, func(d [32]byte) [32]byte { d[5] ^= 1; return d })}
	r := b.v.VerifyFile(t.Context(), b.after(b.pades(), wrong), now)
	var got []string
	for _, s := range r.Seals {
		line := s.Field + " " + s.Name + " " + s.Code
		for _, c := range s.Checks {
			line += " " + c.Code
		}
		got = append(got, line)
	}
	want := []string{
		"First1 测试市规划和自然资源局 " + otherUSCC + " seal_signature_ok seal_ok maker_trusted signer_trusted not_revoked timestamp_absent document_digest_differs",
		"Seal1 测试市市场监督管理局 " + uscc + " seal_signature_ok seal_ok maker_trusted signer_trusted not_revoked timestamp_own document_digest_ok",
	}
	if diff := cmp.Diff(got, want); diff != "" || r.Check(verify.CheckDocumentDigest).Code != "document_digest_differs" {
		t.Errorf("seals (-got +want):\n%s", diff)
	}
	if r := b.v.VerifyFile(t.Context(), b.r.make(t), now); r.Seals != nil {
		t.Errorf("of one seal alone: %+v", r.Seals)
	}
}

// TestEveryByteOfTwoSeals alters what the two signatures added: nothing of it can change
// unnoticed.
func TestEveryByteOfTwoSeals(t *testing.T) {
	p := cryptotest.New(t)
	b := newBench(t, p)
	b.names(second)
	file := b.after(b.coSeal(otherUSCC))
	if r := b.v.VerifyFile(t.Context(), file, now); r.Indication != verify.TotalPassed {
		t.Fatalf("sample is %s/%s", r.Indication, r.SubIndication)
	}
	rendered, stride := len(b.r.render(t)), 5
	if raceEnabled || testing.Short() {
		stride = 31
	}
	sweep(t, b.v, (len(file)-rendered)/stride, func(i int) []byte {
		out := bytes.Clone(file)
		out[rendered+stride*i] ^= [2]byte{0x01, 0x20}[i%2]
		return out
	})
	sweep(t, b.v, (len(file)-rendered)/stride, func(i int) []byte { return file[:rendered+stride*i] })
}
