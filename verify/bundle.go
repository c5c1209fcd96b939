package verify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"elicence/audit"
	"elicence/crypto/pki"
	"elicence/crypto/pki/ocsp"
	"elicence/licence"
	"elicence/licence/bundle"
)

// basis is what certificates are judged by. For a file it is what the verifier brings,
// at the validation time. A bundle adds what it holds, as far as the anchors vouch for
// it, and its log entry takes the whole question back to the day it was made.
type basis struct {
	anchors *pki.TrustAnchors
	status  func(cert, issuer *pki.Certificate) *pki.Status
	between []*pki.Certificate // to build paths with
	now     time.Time          // when CRLs, and other statements on revocation, must be current
	logged  time.Time          // when the log proves that the file was there; zero: it does not
}

// VerifyBundle judges an evidence bundle at the validation time at, which may be many
// years after it was made. Like VerifyFile it never fails.
//
// Nothing in a bundle is trusted by itself. The log is the verifier's own matter: a
// checkpoint counts only by Policy. Where it does, and proves the entries, file and
// evidence existed when they were logged, so certificates are judged by the evidence of
// that day: what has expired or was revoked since changes nothing (past signature
// validation, ETSI EN 319 102-1, 5.6, with the log in the place of archive timestamps).
// The licence's state is still that of at.
//
// The report has one check more than a file's, CheckLog. Without Policy it is not made,
// and the file is judged at at, with what the bundle holds.
func (v *Verifier) VerifyBundle(ctx context.Context, raw []byte, at time.Time) *Report {
	s := newSession(v, at)
	s.bundled = true
	b, err := bundle.Parse(raw)
	if err == nil {
		s.checkLog(b)
		err = s.takeEvidence(b)
	}
	if err != nil {
		s.set(CheckStructure, "bundle_malformed", err.Error())
		return s.report()
	}
	f := s.read(b.File)
	s.lookUpFile(ctx, b.File, f)
	s.judge(ctx, f, "")
	return s.report()
}

// takeEvidence adds certificates and statements on revocation to what paths are judged by.
func (s *session) takeEvidence(b *bundle.Bundle) (err error) {
	for _, der := range b.Certificates {
		cert, err := pki.ParseCertificate(der)
		if err != nil {
			return err
		}
		s.basis.between = append(s.basis.between, cert)
	}
	var responses []*ocsp.Response
	for _, der := range b.OCSP {
		r, err := ocsp.ParseResponse(der)
		if err != nil {
			return err
		}
		responses = append(responses, r)
	}
	if s.basis.anchors == nil {
		return nil
	}
	asked, now := s.basis.status, s.basis.now
	s.basis.status = func(cert, issuer *pki.Certificate) *pki.Status {
		for _, r := range responses {
			if id, err := ocsp.NewCertID(issuer, cert.SerialNumber); err == nil {
				if status, err := r.Check(id, issuer, now); err == nil {
					return status
				}
			}
		}
		if asked == nil {
			return nil
		}
		return asked(cert, issuer)
	}
	s.basis.anchors, err = s.basis.anchors.With(s.basis.between, b.CRLs, now)
	return err
}

// checkLog checks that the log of the policy holds two entries: that this file was
// issued, or got its timestamp, and that this evidence was put together.
func (s *session) checkLog(b *bundle.Bundle) {
	if s.verifier.Policy == nil {
		s.set(CheckLog, "log_policy_absent", "no policy")
		return
	}
	checkpoint, cosigners, err := s.verifier.Policy.OpenCheckpoint(b.Checkpoint)
	if err != nil {
		s.set(CheckLog, checkpointCode(err), err.Error())
		return
	}
	records := make([]audit.Record, len(b.Entries))
	for i, e := range b.Entries {
		switch records[i], err = checkpoint.Includes(e.Record, e.Proof); {
		case errors.Is(err, audit.ErrNotIncluded):
			s.set(CheckLog, "log_proof_wrong", fmt.Sprintf("entry %d of %d in the bundle: %v", i+1, len(b.Entries), err))
			return
		case err != nil:
			s.set(CheckLog, "log_malformed", err.Error())
			return
		}
	}
	s.checkEntries(b, records, fmt.Sprintf("log %q, checkpoint of %d entries, cosigned by %d witnesses", checkpoint.Origin, checkpoint.Size, len(cosigners)))
}

// checkpointCode is the code for a checkpoint that the policy does not accept.
func checkpointCode(err error) string {
	switch {
	case errors.Is(err, audit.ErrUnknownLog):
		return "log_unknown"
	case errors.Is(err, audit.ErrNoQuorum):
		return "log_no_quorum"
	case errors.Is(err, audit.ErrBadSignature):
		return "log_signature_wrong"
	}
	return "log_malformed"
}

// checkEntries compares what the proved entries say with what the bundle holds.
func (s *session) checkEntries(b *bundle.Bundle, records []audit.Record, evidence string) {
	file, manifest := digest(b.File), digest(b.Manifest())
	made := &records[len(records)-1]
	var issued *audit.Record
	for i := range records[:len(records)-1] {
		if r := &records[i]; r.Index < made.Index && (says(r, bundle.ActionIssued, b, file) || says(r, bundle.ActionTimestamped, b, file)) {
			issued = r
		}
	}
	switch {
	case !says(made, bundle.ActionBundle, b, manifest):
		s.set(CheckLog, "log_other_bundle", fmt.Sprintf("%s; entry %d: %s, digest %x; SM3 of the manifest %x", evidence, made.Index, quote(string(made.Entry.Action)), made.Entry.Digest, manifest))
	case issued == nil:
		s.set(CheckLog, "log_other_file", fmt.Sprintf("%s; no entry issued or timestamped with SM3 of the file %x", evidence, file))
	case made.Entry.Time.After(s.at.Add(clockSkew)):
		s.set(CheckLog, "log_in_future", fmt.Sprintf("%s; entry %d of %s, validation time %s", evidence, made.Index, instant(made.Entry.Time), instant(s.at)))
	default:
		s.basis.logged, s.basis.now = issued.Entry.Time, made.Entry.Time
		s.status = b.Status
		s.set(CheckLog, "logged", fmt.Sprintf("%s; entry %d of %s for the file, entry %d of %s for the evidence",
			evidence, issued.Index, instant(issued.Entry.Time), made.Index, instant(made.Entry.Time)))
	}
}

// says reports whether a record is of an allowed action on the bundle's licence, and
// vouches for a digest.
func says(r *audit.Record, action audit.Action, b *bundle.Bundle, sum [32]byte) bool {
	e := &r.Entry
	return e.Action == action && e.Result == audit.ResultAllowed && e.Object == string(b.Identifier) && bytes.Equal(e.Digest, sum[:])
}

// latest is the last instant at which what the file holds can have been made.
func (s *session) latest() time.Time {
	if s.basis.logged.IsZero() {
		return s.at
	}
	return s.basis.logged
}

// before reports whether the log proves that the file was there before a revocation
// took effect.
func (b *basis) before(r *pki.Revoked) bool {
	return !b.logged.IsZero() && b.logged.Before(r.Effective())
}

// bundledState is the state that the log vouches for: final for ever, else as it was.
func (s *session) bundledState() (_ licence.Status, known time.Time, code, evidence string) {
	evidence = fmt.Sprintf("%s when the bundle was made, %s", s.status, instant(s.basis.now))
	if s.status.Final() {
		return s.status, s.basis.now, "state_" + string(s.status), evidence
	}
	return licence.StatusUnknown, s.at, "state_when_bundled", evidence
}

func bundleReason(code string) (r reason, ok bool) {
	switch code {
	case "bundle_malformed":
		r = failed(FormatFailure, "这不是完整的证据包，可能已损坏或被改动。请勿采信，并向提供者或颁发机构重新索取；只验证证照的，请用证照文件（PDF）。",
			"This is not a whole evidence bundle; it is damaged or was altered. Do not rely on it; ask for it again. To verify a licence alone, use the licence file (PDF).")
	case "logged":
		r = passed("访问日志证明：这份文件当时已经签发，并连同当时的证书和吊销情况一起留存，证书按当时的情况判断。",
			"The access log proves that the file had been issued and was kept with the state of its certificates, which are judged as of then.")
	case "log_policy_absent":
		r = notChecked("没有给出日志策略，未核对访问日志，证书按验证时间判断。要证明文件当时已经签发，请加上颁发机构公布的日志策略重新验证。",
			"No log policy was given, so the access log was not checked and certificates are judged at the validation time. To prove that the file was issued then, verify again with the policy that the issuing authority publishes.")
	case "log_unknown":
		r = indeterminate(NoPOE, "证据包里的日志不是这里认可的日志，不能证明文件何时签发。请核对日志策略，或向颁发机构核实。",
			"The bundle's log is not one that is trusted here, and does not prove when the file was issued. Check the log policy, or ask the issuing authority.")
	case "log_no_quorum":
		r = indeterminate(NoPOE, "为日志作证的见证者不够，不能证明文件何时签发。请核对日志策略，或向颁发机构核实。",
			"Too few witnesses vouch for the log, so it does not prove when the file was issued. Check the log policy, or ask the issuing authority.")
	case "log_in_future":
		r = indeterminate(TimestampOrderFailure, "日志记录的时间晚于验证时间。请检查电脑时钟或所选的验证时间后重试。",
			"The log's entry is later than the validation time. Check the clock, or the time chosen, and try again.")
	case "log_malformed":
		r = failed(FormatFailure, "证据包里的日志数据格式错误。"+askZH, "The bundle's log data is malformed. "+askEN)
	case "log_signature_wrong":
		r = failed(SigCryptoFailure, "证据包里的日志签名不正确，不是所示日志出具的，或被改动过。"+askZH, "The log's signature in the bundle is wrong: that log did not make it, or it was altered. "+askEN)
	case "log_proof_wrong":
		r = failed(HashFailure, "证据包里的日志条目不在所示的日志中。"+askZH, "An entry in the bundle is not in the log that it names. "+askEN)
	case "log_other_file":
		r = failed(HashFailure, "日志里登记签发的不是这份文件。"+askZH, "The log's entries are not of this file. "+askEN)
	case "log_other_bundle":
		r = failed(HashFailure, "日志里登记的不是这些证据，证据包可能被改动或拼凑过。"+askZH, "The log's entry is not of this evidence; the bundle was altered or pieced together. "+askEN)
	case "timestamp_after_log":
		r = indeterminate(TimestampOrderFailure, "时间戳的时间晚于日志记录文件的时间，两者矛盾。请与颁发机构核实。", "The timestamp is later than the log's entry for the file, which cannot be. Ask the issuing authority.")
	case "state_when_bundled":
		r = notChecked("证据包只说明制作时的证照状态，现在的状态未核验。需要现在的状态请在线查验，或使用最新的信任列表。",
			"A bundle tells the licence's state when it was made; the present one was not checked. To learn it verify online, or with the newest trust list.")
	}
	return r, r.result != ""
}
