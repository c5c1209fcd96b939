package main

import (
	"errors"
	"fmt"
	"time"

	"elicence/crypto/httpsig"
	"elicence/crypto/pki"
)

// maxAnswer is the most bytes of a stored answer.
const maxAnswer = 32 << 20

// answerCommands are "elicence answer …".
type answerCommands struct {
	Verify answerVerifyCommand `cmd:"" help:"Verify stored answers of reuse and questions. 验证存档的用证、核验答复。"`
}

// answerVerifyCommand is "elicence answer verify".
type answerVerifyCommand struct {
	Anchors string    `required:"" placeholder:"FILE" help:"Trust anchors: CERTIFICATE and X509 CRL blocks (PEM). 信任锚和吊销列表。"`
	Trust   string    `placeholder:"FILE" help:"Signed trust list, for its newer CRLs. 信任列表。"`
	At      time.Time `placeholder:"RFC3339" format:"2006-01-02T15:04:05Z07:00" help:"Validation time; now when absent. 验证时间。"`
	Request string    `placeholder:"FILE" help:"Body of the request that the answer must be to. 请求报文体，核对答复是否针对该请求。"`
	JSON    bool      `name:"json" help:"One JSON object a line. 每个文件输出一行 JSON。"`
	Files   []string  `arg:"" name:"file" help:"Answers with status line and fields, as curl -i prints them. 带状态行和头部的答复。"`
}

// answerReport is the verdict on one answer.
type answerReport struct {
	File string `json:"file"`
	// Verdict is good, bad or undecided, Reason why it is not good.
	Verdict string `json:"verdict"`
	Reason  string `json:"reason,omitempty"`
	// SignedAt is when the service says that it signed; Signer its certificate's name.
	SignedAt *time.Time `json:"signed_at,omitempty"`
	Signer   string     `json:"signer,omitempty"`
	KeyID    string     `json:"key_id,omitempty"`
	// LogIndex and LogLeaf name the entry of the access log that permitted the answer.
	LogIndex string `json:"log_index,omitempty"`
	LogLeaf  string `json:"log_leaf,omitempty"`
	// RequestDigest is Content-Digest of the request's body.
	RequestDigest string `json:"request_digest,omitempty"`
	RequestSigned bool   `json:"request_signed"`
	code          int
}

// Run verifies every file, whatever becomes of the others.
func (c *answerVerifyCommand) Run(t terminal) error {
	if c.At.IsZero() {
		c.At = time.Now()
	}
	v, err := (&verifyCommand{Anchors: c.Anchors, Trust: c.Trust, At: c.At}).verifier()
	if err != nil {
		return err
	}
	var request []byte
	if c.Request != "" {
		if request, err = readFile(c.Request, maxAnswer); err != nil {
			return noInputError(err)
		}
	}
	worst := exitGood
	var unreadable error
	for _, name := range c.Files {
		stored, err := readFile(name, maxAnswer)
		if err != nil {
			unreadable = errors.Join(unreadable, err)
			continue
		}
		r := c.judge(stored, request, v.Anchors)
		r.File = name
		if err := c.print(t, r); err != nil {
			return err
		}
		worst = worse(worst, r.code)
	}
	if unreadable != nil {
		return noInputError(unreadable)
	}
	return exit(worst)
}

// judge verifies one answer. What the signature does not cover is not believed; and the
// instant of the signature is the service's own claim, so the certificate is judged at the
// validation time.
func (c *answerVerifyCommand) judge(stored, request []byte, anchors *pki.TrustAnchors) (r answerReport) {
	bad := func(err error) answerReport {
		r.Verdict, r.Reason, r.code = "bad", err.Error(), exitBad
		return r
	}
	a, err := httpsig.ParseAnswer(stored)
	if err != nil {
		return bad(err)
	}
	s, err := httpsig.ParseResponse(a)
	if err != nil {
		return bad(err)
	}
	cert, err := a.SignerCertificate()
	if err != nil {
		return bad(err)
	}
	r.SignedAt, r.Signer, r.KeyID = &s.Created, cert.Subject.CommonName, s.KeyID
	if err := s.VerifyResponse(cert.PublicKey, a); err != nil {
		return bad(err)
	}
	r.RequestDigest, r.RequestSigned = a.Header.Get(httpsig.RequestDigest), a.Header.Get(httpsig.RequestSignature) != ""
	r.LogIndex, r.LogLeaf = s.Covered(a, "Elicence-Log-Index"), s.Covered(a, "Elicence-Log-Leaf")
	if request != nil && !a.Answers(request) {
		return bad(errors.New("the answer is to another request"))
	}
	_, err = anchors.CheckPath(cert, pki.PathOptions{Usage: pki.UsageAnswer, At: c.At, Now: c.At})
	if err != nil {
		r.Verdict, r.Reason, r.code = "undecided", err.Error(), exitUndecided
		return r
	}
	r.Verdict = "good"
	return r
}

// answerVerdicts say in Chinese what came of it.
var answerVerdicts = map[string]string{"good": "答复真实、完整", "bad": "答复不可信", "undecided": "无法认定签名者"}

func (c *answerVerifyCommand) print(t terminal, r answerReport) error {
	if c.JSON {
		return printJSON(t, r)
	}
	fmt.Fprintf(t.out, "%s: %s\n  %s", visible(r.File), answerVerdicts[r.Verdict], r.Verdict)
	if r.Reason != "" {
		fmt.Fprintf(t.out, ": %s", visible(r.Reason))
	}
	fmt.Fprintln(t.out)
	for _, line := range []struct{ label, value string }{
		{"签名者 signer", r.Signer}, {"签名密钥 key id", r.KeyID}, {"请求摘要 request", r.RequestDigest}, {"日志条目 log entry", r.LogIndex}, {"叶散列 leaf", r.LogLeaf},
	} {
		if line.value != "" {
			fmt.Fprintf(t.out, "  %s: %s\n", line.label, visible(line.value))
		}
	}
	if r.SignedAt != nil {
		fmt.Fprintf(t.out, "  签名时间（服务所称） signed, as the service claims: %s\n", r.SignedAt.Format(time.RFC3339))
	}
	return nil
}
