package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"elicence/crypto/cms"
	"elicence/crypto/pdfsig"
	"elicence/crypto/seal"

	"github.com/emmansun/gmsm/sm3"
)

// foreignSignature is what is said of one signature of a file made elsewhere. That it
// is right says nothing of whom its key belongs to: verify passes no such file.
type foreignSignature struct {
	Filter    string `json:"filter"`
	SubFilter string `json:"sub_filter"`
	// Format is "GB/T 35275", "RFC 5652" or "GB/T 38540"; empty when Fault says why.
	Format string `json:"format"`
	// Algorithm is that of a SignerInfo, an object identifier in dots.
	Algorithm string `json:"algorithm,omitempty"`
	// Signer is the subject of the signer's certificate.
	Signer      string    `json:"signer"`
	ClaimedTime time.Time `json:"claimed_time,omitzero"`
	// CoversFile says that the signature is over all of the file, DocumentMatches that it
	// is over the bytes that it names, SignatureValid that its value is right.
	CoversFile      bool   `json:"covers_file"`
	DocumentMatches bool   `json:"document_matches"`
	SignatureValid  bool   `json:"signature_valid"`
	Fault           string `json:"fault,omitempty"`
}

// foreignInspection is what --json prints of a file made elsewhere.
type foreignInspection struct {
	Foreign []foreignSignature `json:"foreign"`
	// Fault says what of the file's signature dictionaries could not be read.
	Fault string `json:"fault,omitempty"`
}

// findForeign looks for signatures of other makers in a file that the strict reader
// refused. One with a signature dictionary of ours is none of theirs: it was altered.
func findForeign(file []byte) ([]pdfsig.Foreign, error) {
	found, err := pdfsig.ScanForeign(file)
	ours := func(f pdfsig.Foreign) bool { return f.Filter == pdfsig.Filter }
	if slices.ContainsFunc(found, ours) {
		return nil, err
	}
	return found, err
}

// runForeign prints what a file made elsewhere holds. It succeeds when every signature
// in it could be read, right or wrong.
func (c *inspectCommand) runForeign(t terminal, found []pdfsig.Foreign, fault error) error {
	if c.Extract != "" {
		if err := extractForeign(c.Extract, found); err != nil {
			return err
		}
	}
	report := foreignInspection{}
	if fault != nil {
		report.Fault = fault.Error()
	}
	left := int64(maxForeignBytes)
	for i := range found {
		report.Foreign = append(report.Foreign, judgeForeign(&found[i], &left))
	}
	if err := c.printForeign(t, report); err != nil {
		return err
	}
	if fault != nil || slices.ContainsFunc(report.Foreign, func(s foreignSignature) bool { return s.Fault != "" }) {
		return exit(exitBad)
	}
	return nil
}

// maxForeignBytes is how many signed bytes are looked at in one file, those that
// several signatures cover counted for each.
const maxForeignBytes = 32 << 20

// judgeForeign reads /Contents by what it is, not by what the names say: a CMS begins
// with an object identifier, an SES_Signature with its TBS_Sign. It takes the bytes that
// are signed from left.
func judgeForeign(f *pdfsig.Foreign, left *int64) foreignSignature {
	s := foreignSignature{Filter: f.Filter, SubFilter: f.SubFilter, CoversFile: f.CoversFile}
	*left -= f.ByteRange[1] + f.ByteRange[3]
	var err error
	switch {
	case *left < 0:
		err = fmt.Errorf("signatures over more than %d bytes in all", maxForeignBytes)
	case cms.IsSignedData(f.Contents):
		err = s.judgeCMS(f)
	default:
		err = s.judgeSES(f)
	}
	if err != nil {
		s.Fault = err.Error()
	}
	return s
}

func (s *foreignSignature) judgeCMS(f *pdfsig.Foreign) error {
	signed, err := cms.Parse(f.Contents)
	if err != nil {
		return err
	}
	verdict := signed.Check(f.SignedBytes())
	s.Format, s.Algorithm, s.ClaimedTime = string(signed.Family), signed.Algorithm, signed.ClaimedTime
	s.Signer = signed.Certificate.Subject.String()
	s.DocumentMatches, s.SignatureValid = verdict.DocumentMatches, verdict.SignatureValid
	return nil
}

// judgeSES counts the seal maker's signature in: without it there is no seal.
func (s *foreignSignature) judgeSES(f *pdfsig.Foreign) error {
	signed, err := seal.ParseSignature(f.Contents)
	if err != nil {
		return err
	}
	digest := sm3.Sum(f.SignedBytes())
	s.Format, s.ClaimedTime = "GB/T 38540", signed.SigningTime.UTC()
	s.Signer = signed.Certificate.Subject.String()
	s.DocumentMatches = bytes.Equal(signed.DocumentDigest, digest[:])
	s.SignatureValid = signed.CheckSignature() == nil && signed.Seal.CheckSignature() == nil && signed.Seal.Lists(signed.Certificate)
	return nil
}

func (c *inspectCommand) printForeign(t terminal, report foreignInspection) error {
	if c.JSON {
		return printJSON(t, report)
	}
	_, err := fmt.Fprintln(t.out, "非本系统签发的文件 made elsewhere: 以下内容未经验证 nothing here is verified")
	for _, s := range report.Foreign {
		fmt.Fprintf(t.out, "签名格式 format: %s (%s %s)\n", visible(s.Format), visible(s.Filter), visible(s.SubFilter))
		if s.Fault != "" {
			fmt.Fprintf(t.out, "不能读取 unreadable: %s\n", visible(s.Fault))
			continue
		}
		fmt.Fprintf(t.out, "签名者 signer: %s\n", visible(s.Signer))
		if !s.ClaimedTime.IsZero() {
			fmt.Fprintf(t.out, "自称签名时间 claimed signing time: %s\n", s.ClaimedTime.Format(time.RFC3339))
		}
		fmt.Fprintf(t.out, "覆盖整个文件 covers the file: %s\n摘要相符 digest matches: %s\n签名值正确 signature correct: %s\n",
			yesNo(s.CoversFile), yesNo(s.DocumentMatches), yesNo(s.SignatureValid))
	}
	if report.Fault != "" {
		fmt.Fprintf(t.out, "不能读取 unreadable: %s\n", visibleLines(report.Fault))
	}
	return err
}

func yesNo(b bool) string {
	if b {
		return "是 yes"
	}
	return "否 no"
}

// extractForeign writes each signature and the bytes that it names.
func extractForeign(dir string, found []pdfsig.Foreign) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fileError(err)
	}
	for i := range found {
		list := []part{{fmt.Sprintf("foreign-%d.der", i+1), found[i].Contents}, {fmt.Sprintf("foreign-%d.bin", i+1), found[i].SignedBytes()}}
		if signed, err := cms.Parse(found[i].Contents); err == nil {
			list = append(list, part{fmt.Sprintf("foreign-%d.pem", i+1), pemCertificate(signed.Certificate)})
		}
		for _, p := range list {
			if err := os.WriteFile(filepath.Join(dir, p.name), p.data, 0o644); err != nil {
				return fileError(err)
			}
		}
	}
	return nil
}
