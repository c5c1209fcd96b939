package verify_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"math/big"
	"slices"
	"testing"
	"time"

	"elicence/audit"
	"elicence/audit/audittest"
	"elicence/crypto/cryptotest"
	"elicence/crypto/pki"
	"elicence/crypto/pki/ocsp"
	"elicence/licence"
	"elicence/licence/bundle"
	"elicence/verify"
)

// tenYears is when bundles are judged unless a case says otherwise: every certificate
// of the tests has expired, every CRL run out.
var tenYears = now.AddDate(10, 0, 0)

// bundler says how a bundle is made. A test changes what it wants wrong.
type bundler struct {
	t   testing.TB
	pki *cryptotest.PKI
	r   *recipe
	v   *verify.Verifier // with the two CAs, without lists, and the log's policy
	at  time.Time

	log    *audittest.Log
	status licence.Status
	certs  []*pki.Certificate
	crls   [][]byte
	ocsp   [][]byte
	// issued and made are when the log's entries are of.
	issued, made time.Time
	// entry may change an entry before it is logged, b the bundle after, others add
	// entries before that of the bundle.
	entry  func(e *audit.Entry)
	others func(file []byte) []audit.Entry
	b      func(b *bundle.Bundle)
}

// newBundler makes a good bundle: issued a minute after it was sealed, put together at now.
func newBundler(t testing.TB, p *cryptotest.PKI) *bundler {
	m := &bundler{t: t, pki: p, r: newRecipe(t, p), at: tenYears, log: audittest.New(t, "log.example/city", now),
		status: licence.StatusValid, certs: []*pki.Certificate{p.Issuing.Certificate}, issued: sealedAt.Add(time.Minute), made: now}
	m.crls = [][]byte{m.crl(p.Root, sealedAt), m.crl(p.Issuing, sealedAt)}
	m.v = &verify.Verifier{Anchors: m.anchors(p.Root.Certificate, p.Issuing.Certificate), Policy: m.policy(m.log.Policy)}
	return m
}

func (m *bundler) anchors(certs ...*pki.Certificate) *pki.TrustAnchors {
	m.t.Helper()
	anchors, err := pki.ParseTrustAnchors(pki.MarshalTrustAnchors(certs, nil))
	must(m.t, err)
	return anchors
}

// anchorsWith are the two CAs with a list of the verifier's own.
func (m *bundler) anchorsWith(crl []byte) *pki.TrustAnchors {
	m.t.Helper()
	anchors, err := pki.ParseTrustAnchors(pki.MarshalTrustAnchors([]*pki.Certificate{m.pki.Root.Certificate, m.pki.Issuing.Certificate}, [][]byte{crl}))
	must(m.t, err)
	return anchors
}

func (m *bundler) policy(text []byte) *audit.Policy {
	m.t.Helper()
	policy, err := audit.ParsePolicy(text)
	must(m.t, err)
	return policy
}

// crl is a list of a CA that was made at a time and lasts two days.
func (m *bundler) crl(ca *pki.CA, at time.Time, revoked ...pki.Revoked) []byte {
	m.t.Helper()
	der, err := ca.CRL(rand.Reader, at.Unix(), revoked, at, at.AddDate(0, 0, 2))
	must(m.t, err)
	return der
}

// response is what the issuing CA answers at a time about leaves, of which it revoked some.
func (m *bundler) response(at time.Time, leaves []cryptotest.Leaf, revoked ...pki.Revoked) []byte {
	m.t.Helper()
	r := &ocsp.Responder{Issuer: m.pki.Issuing.Certificate, Certificate: m.pki.Issuing.Certificate, Key: m.pki.Issuing.Key,
		Lifetime: 48 * time.Hour, Now: func() time.Time { return at }, Rand: rand.Reader,
		Revoked: func(serial *big.Int) (*pki.Revoked, error) {
			i := slices.IndexFunc(revoked, func(r pki.Revoked) bool { return r.SerialNumber.Cmp(serial) == 0 })
			if i < 0 {
				return nil, nil
			}
			return &revoked[i], nil
		}}
	var ids []ocsp.CertID
	for _, leaf := range leaves {
		id, err := ocsp.NewCertID(m.pki.Issuing.Certificate, leaf.Certificate.SerialNumber)
		must(m.t, err)
		ids = append(ids, id)
	}
	request, err := ocsp.MarshalRequest(ids, nil)
	must(m.t, err)
	return r.Respond(request)
}

// leaves are those that a licence file relies on.
func (m *bundler) leaves() []cryptotest.Leaf {
	return []cryptotest.Leaf{m.pki.SealSigner, m.pki.SealMaker, m.pki.TSA, m.pki.QR}
}

// append logs an entry at a time, among others, and returns it without its proof.
func (m *bundler) append(at time.Time, e audit.Entry) (uint64, []byte) {
	m.t.Helper()
	m.log.Now = at
	m.log.MustAppend(m.t, audit.Entry{Principal: "somebody", Action: "read", Object: "another", Result: audit.ResultAllowed})
	e.Principal, e.Result = "approval", audit.ResultAllowed
	if m.entry != nil {
		m.entry(&e)
	}
	receipt := m.log.MustAppend(m.t, e)
	row, err := m.log.Entry(context.Background(), receipt.Index)
	must(m.t, err)
	return receipt.Index, row.Record
}

// make follows the instructions.
func (m *bundler) make() []byte {
	m.t.Helper()
	file := m.r.make(m.t)
	b := &bundle.Bundle{Identifier: m.r.licence.Identifier, Status: m.status, File: file, CRLs: m.crls, OCSP: m.ocsp}
	for _, cert := range m.certs {
		b.Certificates = append(b.Certificates, cert.Raw)
	}
	sum := sm3Of(file)
	entries := []audit.Entry{{Action: bundle.ActionIssued, Object: string(b.Identifier), Digest: sum[:]}}
	if m.others != nil {
		entries = m.others(file)
	}
	var indexes []uint64
	for _, e := range entries {
		index, record := m.append(m.issued, e)
		indexes, b.Entries = append(indexes, index), append(b.Entries, bundle.Entry{Record: record})
	}
	manifest := sm3Of(b.Manifest())
	index, record := m.append(m.made, audit.Entry{Action: bundle.ActionBundle, Object: string(b.Identifier), Digest: manifest[:]})
	indexes, b.Entries = append(indexes, index), append(b.Entries, bundle.Entry{Record: record})
	m.prove(b, indexes)
	if m.b != nil {
		m.b(b)
	}
	raw, err := b.Marshal()
	must(m.t, err)
	return raw
}

// prove adds checkpoint and proofs.
func (m *bundler) prove(b *bundle.Bundle, indexes []uint64) {
	m.t.Helper()
	var err error
	if b.Checkpoint, err = m.log.Checkpoint(context.Background()); err != nil {
		m.t.Fatal(err)
	}
	size := uint64(len(m.log.Storage.Stored))
	for i, index := range indexes {
		if b.Entries[i].Proof, err = m.log.InclusionProof(context.Background(), index, size); err != nil {
			m.t.Fatal(err)
		}
	}
}

// bundleCase is one situation. An empty code is "logged", an empty state expired: the
// sample licence ends five years after it was issued.
type bundleCase struct {
	name  string
	set   func(*bundler)
	want  verify.Indication
	sub   verify.SubIndication
	check verify.Name
	code  string
	state licence.Status
}

func TestVerifyBundle(t *testing.T) {
	const log, revocation = verify.CheckLog, verify.CheckRevocation
	passed, open, failed := verify.TotalPassed, verify.Indeterminate, verify.TotalFailed
	for _, cases := range [][]bundleCase{{
		{name: "ten years later", want: passed},
		{name: "at the time", want: passed, check: verify.CheckState, code: "state_when_bundled", state: licence.StatusUnknown,
			set: func(m *bundler) { m.at = now.Add(time.Hour) }},
		{name: "root alone", want: passed, set: func(m *bundler) { m.v.Anchors = m.anchors(m.pki.Root.Certificate) }},
		{name: "revoked when it was made", want: passed, check: verify.CheckState, code: "state_revoked", state: licence.StatusRevoked,
			set: func(m *bundler) { m.status = licence.StatusRevoked }},
		{name: "suspended when it was made", want: passed, check: verify.CheckState, code: "state_when_bundled", state: licence.StatusUnknown,
			set: func(m *bundler) { m.status, m.at = licence.StatusSuspended, now.Add(time.Hour) }},
		{name: "with a trust list", want: passed, check: verify.CheckState, code: "state_valid", state: licence.StatusValid,
			set: func(m *bundler) { m.v.Trust, m.at = mustTrustList(m.t, m.pki, sampleList(m.pki)), now.Add(time.Hour) }},
		{name: "revoked then, whatever a trust list says", want: passed, check: verify.CheckState, code: "state_revoked", state: licence.StatusRevoked,
			set: func(m *bundler) {
				m.status = licence.StatusRevoked
				m.v.Trust, m.at = mustTrustList(m.t, m.pki, sampleList(m.pki)), now.Add(time.Hour)
			}},
		{name: "without token", want: passed, check: verify.CheckTimestamp, code: "timestamp_absent", set: func(m *bundler) { m.r.token = nil }},
		{name: "timestamped late", want: passed, set: func(m *bundler) {
			m.others = func(file []byte) []audit.Entry {
				sum := sm3Of(file)
				object := string(m.r.licence.Identifier)
				return []audit.Entry{{Action: bundle.ActionIssued, Object: object, Digest: make([]byte, 32)}, {Action: bundle.ActionTimestamped, Object: object, Digest: sum[:]}}
			}
		}},
		{name: "OCSP for the leaves", want: passed, set: func(m *bundler) {
			m.crls, m.ocsp = m.crls[:1], [][]byte{m.response(now.Add(-time.Minute), m.leaves())}
		}},
		{name: "OCSP beside an old list", want: passed, set: func(m *bundler) {
			m.crls[1] = m.crl(m.pki.Issuing, sealedAt.Add(-time.Hour))
			m.ocsp = [][]byte{m.response(now.Add(-time.Minute), m.leaves()[:2]), m.response(now.Add(-time.Minute), m.leaves()[2:])}
		}},
	}, {
		{name: "no policy, ten years later", want: open, sub: verify.OutOfBoundsNoPOE, check: log, code: "log_policy_absent", set: func(m *bundler) { m.v.Policy = nil }},
		{name: "no policy, at the time", want: passed, check: log, code: "log_policy_absent", state: licence.StatusUnknown,
			set: func(m *bundler) { m.v.Policy, m.at = nil, now.Add(time.Hour) }},
		{name: "no anchors", want: open, sub: verify.NoCertificateChainFound, check: log, code: "logged", set: func(m *bundler) { m.v.Anchors = nil }},
		{name: "anchors of somebody else", want: open, sub: verify.CertificateChainGeneralFailure, check: log, code: "logged",
			set: func(m *bundler) { m.v.Anchors = m.anchors(cryptotest.New(m.t).Root.Certificate) }},
		{name: "another log", want: open, sub: verify.NoPOE, check: log, code: "log_unknown",
			set: func(m *bundler) { m.v.Policy = m.policy(audittest.New(m.t, "log.example/other", now).Policy) }},
		{name: "another log of the same name", want: failed, sub: verify.SigCryptoFailure, check: log, code: "log_signature_wrong", state: licence.StatusUnknown,
			set: func(m *bundler) { m.v.Policy = m.policy(audittest.New(m.t, "log.example/city", now).Policy) }},
		{name: "checkpoint of another log", want: open, sub: verify.NoPOE, check: log, code: "log_unknown", set: func(m *bundler) {
			m.b = func(b *bundle.Bundle) { b.Checkpoint = checkpointOf(m.t, "log.example/other", 6) }
		}},
		{name: "checkpoint of another log of the same name", want: failed, sub: verify.SigCryptoFailure, check: log, code: "log_signature_wrong", state: licence.StatusUnknown,
			set: func(m *bundler) {
				m.b = func(b *bundle.Bundle) { b.Checkpoint = checkpointOf(m.t, "log.example/city", 6) }
			}},
		{name: "too few witnesses", want: open, sub: verify.NoPOE, check: log, code: "log_no_quorum", set: func(m *bundler) {
			key, err := pki.GenerateKey(rand.Reader)
			must(m.t, err)
			vkey, err := audit.Signer{Name: "witness.example", Key: key}.WitnessKey()
			must(m.t, err)
			text := bytes.Replace(m.log.Policy, []byte("quorum 0"), []byte("witness w "+vkey+"\nquorum 1"), 1)
			m.v.Policy = m.policy(text)
		}},
		{name: "before it was made", want: open, sub: verify.TimestampOrderFailure, check: log, code: "log_in_future", state: licence.StatusUnknown,
			set: func(m *bundler) { m.at = now.Add(-10 * time.Minute) }},
		{name: "checkpoint cut", want: failed, sub: verify.FormatFailure, check: log, code: "log_malformed", state: licence.StatusUnknown,
			set: func(m *bundler) { m.b = func(b *bundle.Bundle) { b.Checkpoint = b.Checkpoint[:len(b.Checkpoint)-1] } }},
		{name: "record cut", want: failed, sub: verify.FormatFailure, check: log, code: "log_malformed", state: licence.StatusUnknown,
			set: func(m *bundler) { m.b = func(b *bundle.Bundle) { b.Entries[0].Record = b.Entries[0].Record[1:] } }},
		{name: "proof of another entry", want: failed, sub: verify.HashFailure, check: log, code: "log_proof_wrong", state: licence.StatusUnknown,
			set: func(m *bundler) {
				m.b = func(b *bundle.Bundle) { b.Entries[0].Proof = b.Entries[1].Proof }
			}},
		{name: "proof stripped", want: failed, sub: verify.HashFailure, check: log, code: "log_proof_wrong", state: licence.StatusUnknown,
			set: func(m *bundler) { m.b = func(b *bundle.Bundle) { b.Entries[1].Proof = nil } }},
		{name: "record of another entry", want: failed, sub: verify.HashFailure, check: log, code: "log_other_file", state: licence.StatusUnknown,
			set: func(m *bundler) {
				m.b = func(b *bundle.Bundle) { b.Entries[0] = m.entryAt(0) }
			}},
		{name: "the same entry twice", want: failed, sub: verify.HashFailure, check: log, code: "log_other_file", state: licence.StatusUnknown,
			set: func(m *bundler) { m.b = func(b *bundle.Bundle) { b.Entries[0] = b.Entries[1] } }},
		{name: "entries in other order", want: failed, sub: verify.HashFailure, check: log, code: "log_other_bundle", state: licence.StatusUnknown,
			set: func(m *bundler) { m.b = func(b *bundle.Bundle) { slices.Reverse(b.Entries) } }},
	}, {
		{name: "licence swapped", want: failed, sub: verify.HashFailure, check: log, code: "log_other_bundle", state: licence.StatusUnknown,
			set: func(m *bundler) { m.b = func(b *bundle.Bundle) { b.File = newRecipe(m.t, m.pki).make(m.t) } }},
		{name: "licence swapped before the evidence was logged", want: failed, sub: verify.HashFailure, check: log, code: "log_other_file", state: licence.StatusUnknown,
			set: func(m *bundler) {
				m.entry = when(bundle.ActionIssued, func(e *audit.Entry) { e.Digest = make([]byte, 32) })
			}},
		{name: "status altered", want: failed, sub: verify.HashFailure, check: log, code: "log_other_bundle", state: licence.StatusUnknown,
			set: func(m *bundler) {
				m.status = licence.StatusRevoked
				m.b = func(b *bundle.Bundle) { b.Status = licence.StatusValid }
			}},
		{name: "lists stripped", want: failed, sub: verify.HashFailure, check: log, code: "log_other_bundle", state: licence.StatusUnknown,
			set: func(m *bundler) { m.b = func(b *bundle.Bundle) { b.CRLs = nil } }},
		{name: "issue refused", want: failed, sub: verify.HashFailure, check: log, code: "log_other_file", state: licence.StatusUnknown,
			set: func(m *bundler) {
				m.entry = when(bundle.ActionIssued, func(e *audit.Entry) { e.Result = audit.ResultRefused })
			}},
		{name: "downloaded, not issued", want: failed, sub: verify.HashFailure, check: log, code: "log_other_file", state: licence.StatusUnknown,
			set: func(m *bundler) {
				m.entry = when(bundle.ActionIssued, func(e *audit.Entry) { e.Action = "download" })
			}},
		{name: "another licence issued", want: failed, sub: verify.HashFailure, check: log, code: "log_other_file", state: licence.StatusUnknown,
			set: func(m *bundler) {
				m.entry = when(bundle.ActionIssued, func(e *audit.Entry) { e.Object = "another" })
			}},
		{name: "bundle refused", want: failed, sub: verify.HashFailure, check: log, code: "log_other_bundle", state: licence.StatusUnknown,
			set: func(m *bundler) {
				m.entry = when(bundle.ActionBundle, func(e *audit.Entry) { e.Result = audit.ResultFailed })
			}},
		{name: "bundle of another licence", want: failed, sub: verify.HashFailure, check: log, code: "log_other_bundle", state: licence.StatusUnknown,
			set: func(m *bundler) {
				m.entry = when(bundle.ActionBundle, func(e *audit.Entry) { e.Object = "another" })
			}},
		{name: "file logged before its token was made", want: open, sub: verify.TimestampOrderFailure, check: verify.CheckTimestamp, code: "timestamp_after_log",
			set: func(m *bundler) { m.issued = sealedAt.Add(-10 * time.Minute) }},
		{name: "no lists", want: open, sub: verify.TryLater, check: revocation, code: "signer_revocation_unknown", set: func(m *bundler) { m.crls = nil }},
		{name: "no lists, root alone", want: open, sub: verify.TryLater, check: revocation, code: "signer_revocation_unknown",
			set: func(m *bundler) { m.crls, m.v.Anchors = nil, m.anchors(m.pki.Root.Certificate) }},
		{name: "list older than the token", want: open, sub: verify.TryLater, check: revocation, code: "signer_revocation_unknown",
			set: func(m *bundler) { m.crls[1] = m.crl(m.pki.Issuing, sealedAt.Add(-10*time.Minute)) }},
		{name: "list run out when it was made", want: open, sub: verify.TryLater, check: revocation, code: "signer_revocation_unknown",
			set: func(m *bundler) { m.made = sealedAt.AddDate(0, 0, 3) }},
		{name: "OCSP older than the token", want: open, sub: verify.TryLater, check: revocation, code: "signer_revocation_unknown", set: func(m *bundler) {
			m.crls, m.ocsp = m.crls[:1], [][]byte{m.response(sealedAt.Add(-10*time.Minute), m.leaves())}
		}},
		{name: "OCSP about others", want: open, sub: verify.TryLater, check: revocation, code: "signer_revocation_unknown", set: func(m *bundler) {
			m.crls, m.ocsp = m.crls[:1], [][]byte{m.response(now.Add(-time.Minute), m.leaves()[1:])}
		}},
	}, {
		{name: "list malformed", want: failed, sub: verify.FormatFailure, check: verify.CheckStructure, code: "bundle_malformed", state: licence.StatusUnknown,
			set: func(m *bundler) { m.crls[1] = m.crls[1][1:] }},
		{name: "OCSP malformed", want: failed, sub: verify.FormatFailure, check: verify.CheckStructure, code: "bundle_malformed", state: licence.StatusUnknown,
			set: func(m *bundler) { m.ocsp = [][]byte{{0x30, 3, 10, 1, 6}} }},
		{name: "certificate malformed", want: failed, sub: verify.FormatFailure, check: verify.CheckStructure, code: "bundle_malformed", state: licence.StatusUnknown,
			set: func(m *bundler) { m.certs = []*pki.Certificate{{Raw: m.certs[0].Raw[1:]}} }},
		{name: "signer revoked later", want: passed, check: revocation, code: "revoked_later",
			set: func(m *bundler) {
				m.crls[1] = m.crl(m.pki.Issuing, now.Add(-time.Minute), revoked(m.pki.SealSigner, now.Add(-2*time.Minute), pki.Superseded))
			}},
		{name: "signer revoked later, by OCSP", want: passed, check: revocation, code: "revoked_later", set: func(m *bundler) {
			m.crls, m.ocsp = m.crls[:1], [][]byte{m.response(now.Add(-time.Minute), m.leaves(), revoked(m.pki.SealSigner, now.Add(-2*time.Minute), pki.Superseded))}
		}},
		{name: "signer revoked years later, by the verifier's own list", want: passed, check: revocation, code: "revoked_later", set: func(m *bundler) {
			m.v.Anchors = m.anchorsWith(m.crl(m.pki.Issuing, tenYears, revoked(m.pki.SealSigner, now.AddDate(3, 0, 0), pki.KeyCompromise)))
		}},
		{name: "signer revoked before", want: failed, sub: verify.Revoked, check: revocation, code: "signer_revoked", state: licence.StatusUnknown,
			set: func(m *bundler) {
				m.crls[1] = m.crl(m.pki.Issuing, now.Add(-time.Minute), revoked(m.pki.SealSigner, sealedAt.Add(-time.Minute), pki.Superseded))
			}},
		{name: "signer's key lost before, as was found years later", want: failed, sub: verify.Revoked, check: revocation, code: "signer_revoked", state: licence.StatusUnknown,
			set: func(m *bundler) {
				lost := revoked(m.pki.SealSigner, now.AddDate(3, 0, 0), pki.KeyCompromise)
				lost.InvalidityDate = sealedAt.Add(-time.Hour)
				m.v.Anchors = m.anchorsWith(m.crl(m.pki.Issuing, tenYears, lost))
			}},
		{name: "TSA's key lost after the file was logged", want: passed, check: verify.CheckTimestamp, code: "timestamp_own", set: func(m *bundler) {
			m.crls[1] = m.crl(m.pki.Issuing, now.Add(-time.Minute), revoked(m.pki.TSA, now.Add(-2*time.Minute), pki.KeyCompromise))
		}},
		{name: "TSA's key lost before the file was logged", want: open, sub: verify.RevokedNoPOE, check: verify.CheckTimestamp, code: "tsa_revoked_no_poe", set: func(m *bundler) {
			m.crls[1] = m.crl(m.pki.Issuing, now.Add(-time.Minute), revoked(m.pki.TSA, m.issued, pki.KeyCompromise))
		}},
		{name: "forged seal in a good log", want: failed, sub: verify.HashFailure, check: verify.CheckDocumentDigest, code: "document_digest_differs", state: licence.StatusUnknown,
			set: func(m *bundler) { m.r.digest = make([]byte, 32) }},
	}} {
		p := cryptotest.New(t)
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				m := newBundler(t, p)
				if c.set != nil {
					c.set(m)
				}
				if c.check == "" {
					c.check, c.code = log, "logged"
				}
				if c.state == "" {
					c.state = licence.StatusExpired
				}
				compare(t, m.v.VerifyBundle(context.Background(), m.make(), m.at),
					fileCase{want: c.want, sub: c.sub, check: c.check, code: c.code, state: c.state})
			})
		}
	}
}

// when changes entries of one action.
func when(action audit.Action, change func(*audit.Entry)) func(*audit.Entry) {
	return func(e *audit.Entry) {
		if e.Action == action {
			change(e)
		}
	}
}

// entryAt is an entry of the log with its proof, to what the bundle's checkpoint covers.
func (m *bundler) entryAt(index uint64) bundle.Entry {
	m.t.Helper()
	row, err := m.log.Entry(context.Background(), index)
	must(m.t, err)
	b := &bundle.Bundle{Entries: []bundle.Entry{{Record: row.Record}}}
	m.prove(b, []uint64{index})
	return b.Entries[0]
}

// checkpointOf is a checkpoint of a log of n entries.
func checkpointOf(t testing.TB, id string, n int) []byte {
	t.Helper()
	log := audittest.New(t, id, now)
	for range n {
		log.MustAppend(t, audit.Entry{Principal: "p", Action: "a", Result: audit.ResultAllowed})
	}
	note, err := log.Checkpoint(context.Background())
	must(t, err)
	return note
}
