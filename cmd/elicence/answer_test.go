package main

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"testing"

	"elicence/crypto/cryptotest"
	"elicence/crypto/httpsig"
	"elicence/crypto/pki"
)

// answerSamples are signed answers as curl -i stores them, and the body of their request.
func answerSamples(t testing.TB, p *cryptotest.PKI) map[string][]byte {
	t.Helper()
	request := []byte(`{"type_code":"11100000MB0143028R901","questions":[{"question":"valid"}]}`)
	signed := func(signer cryptotest.Leaf, body string) []byte {
		h := http.Header{"Content-Type": {"application/json"}, "Elicence-Log-Index": {"17"}, "Elicence-Log-Leaf": {"ab"},
			httpsig.CertificateField: {":" + base64.StdEncoding.EncodeToString(signer.Certificate.Raw) + ":"}}
		must(t, httpsig.SignResponse(rand.Reader, signer.Key, httpsig.Response{Status: 200, Header: h}, []byte(body), request, "", p.Now, "elicence-log-index", "elicence-log-leaf"))
		stored := bytes.NewBufferString("HTTP/1.1 100 Continue\r\n\r\nHTTP/2 200 \r\n")
		for name, values := range h {
			fmt.Fprintf(stored, "%s: %s\r\n", name, values[0])
		}
		return append(append(stored.Bytes(), "\r\n"...), body...)
	}
	const body = `{"licences":[[{"question":"valid","answer":"yes"}]]}`
	good := signed(p.MustIssue(t, p.Issuing, "测试答复签名", pki.UsageAnswer), body)
	return map[string][]byte{
		"request.json": request, "answer.http": good, "answer-altered.http": bytes.Replace(good, []byte(`"yes"`), []byte(`"no"`), 1),
		"answer-lines.http":    bytes.ReplaceAll(good, []byte("\r\n"), []byte("\n")),
		"answer-by-qr.http":    signed(p.QR, body),
		"answer-strange.http":  signed(cryptotest.New(t).SealSigner, body),
		"answer-headless.http": []byte(body),
	}
}
