package main

import (
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"elicence/crypto/pdfsig"
	"elicence/crypto/pki"
	"elicence/crypto/seal"
	"elicence/verify"
)

// inspectCommand is "elicence inspect".
type inspectCommand struct {
	Anchors string    `placeholder:"FILE" help:"Judge a bare seal by these trust anchors (PEM). 按信任锚判断单独的印章。"`
	At      time.Time `placeholder:"RFC3339" format:"2006-01-02T15:04:05Z07:00" help:"With --anchors: validation time; now when absent. 验证时间。"`
	JSON    bool      `name:"json" help:"Print one JSON object. 输出 JSON。"`
	Extract string    `placeholder:"DIR" help:"Write the parts into this folder. 把各部分写入此目录。"`
	File    string    `arg:"" help:"Licence file, or a bare SESeal or SES_Signature (DER). 证照文件或印章数据。"`
}

// inspection is what --json prints. Deviations is never null. Checks are those of
// --anchors.
type inspection struct {
	Version    int                    `json:"version"`
	Maker      string                 `json:"maker"`
	Signer     string                 `json:"signer"`
	Dates      dates                  `json:"dates"`
	Deviations []seal.Deviation       `json:"deviations"`
	Signatures []verify.PartSignature `json:"signatures"`
	// CoSeals tells the same of the seals before this one; absent when there are none.
	CoSeals []inspection   `json:"co_seals,omitempty"`
	Checks  []verify.Check `json:"checks,omitempty"`
}

// dates are in UTC. SigningTime is a claim that nothing proves; Timestamp, the
// token's time, counts only if the token does; so does SealTimestamp.
type dates struct {
	SealCreated   time.Time `json:"seal_created"`
	SealValidFrom time.Time `json:"seal_valid_from"`
	SealValidTo   time.Time `json:"seal_valid_to"`
	SealTimestamp time.Time `json:"seal_timestamp,omitzero"`
	SigningTime   time.Time `json:"signing_time,omitzero"`
	Timestamp     time.Time `json:"timestamp,omitzero"`
}

// Run prints what the file holds. It succeeds whenever the file parses, be its
// signatures right or wrong. Of a file made elsewhere it says what can be read.
func (c *inspectCommand) Run(t terminal) error {
	file, err := readFile(c.File, pdfsig.MaxFileSize)
	if err != nil {
		return err
	}
	parts, err := parse(file)
	if err != nil {
		if found, fault := findForeign(file); len(found) > 0 {
			return c.runForeign(t, found, fault)
		}
		if zh, en := verify.Refusal(err); zh != "" {
			err = fmt.Errorf("%s %s (%w)", zh, en, err)
		}
		return &exitError{exitBad, fmt.Errorf("inspecting %s: %w", visible(c.File), err)}
	}
	found := inspect(parts)
	if found.Checks, err = c.judge(parts); err != nil {
		return err
	}
	if c.Extract != "" {
		if err := extract(c.Extract, parts); err != nil {
			return err
		}
	}
	if c.JSON {
		return printJSON(t, found)
	}
	return printInspection(t, found)
}

// judge judges a bare seal, or the seal in a bare seal signature, by the anchors. What
// was sealed with it, and when, it does not know.
func (c *inspectCommand) judge(p *verify.Parts) ([]verify.Check, error) {
	if c.Anchors == "" {
		return nil, nil
	}
	if p.SignedBytes != nil {
		return nil, usageError(errors.New("--anchors judges a bare seal; a licence file is for elicence verify"))
	}
	anchors, err := readAnchors(c.Anchors)
	if err != nil {
		return nil, err
	}
	at := c.At
	if at.IsZero() {
		at = time.Now()
	}
	return (&verify.Verifier{Anchors: anchors}).JudgeSeal(p.Seal, at), nil
}

// parse reads a licence file, or a bare seal or seal signature: a DER SEQUENCE
// begins with 0x30, which no PDF does.
func parse(file []byte) (*verify.Parts, error) {
	if len(file) == 0 || file[0] != 0x30 {
		return verify.Inspect(file)
	}
	return verify.InspectSeal(file)
}

func inspect(p *verify.Parts) inspection {
	sl := p.Seal
	found := inspection{
		Version: sl.Version, Maker: sl.Maker.Subject.String(), Signatures: p.Signatures(),
		Dates: dates{SealCreated: sl.CreatedAt.UTC(), SealValidFrom: sl.ValidFrom.UTC(), SealValidTo: sl.ValidTo.UTC(),
			SigningTime: p.SigningTime().UTC()},
		Deviations: append([]seal.Deviation{}, p.Deviations...),
	}
	if p.Signature != nil {
		found.Signer = p.Signature.Certificate.Subject.String()
	}
	if p.SealToken != nil {
		found.Dates.SealTimestamp = p.SealToken.Time.UTC()
	}
	if p.Token != nil {
		found.Dates.Timestamp = p.Token.Time.UTC()
	}
	for _, c := range p.CoSeals {
		found.CoSeals = append(found.CoSeals, inspect(c))
	}
	return found
}

func printInspection(t terminal, i inspection) error {
	_, err := fmt.Fprintf(t.out, "印章版本 version: %d\n制章者 maker: %s\n签章者 signer: %s\n", i.Version, visible(i.Maker), visible(i.Signer))
	fmt.Fprintf(t.out, "印章有效期 seal valid: %s – %s\n", i.Dates.SealValidFrom.Format(time.RFC3339), i.Dates.SealValidTo.Format(time.RFC3339))
	for _, d := range []struct {
		name string
		at   time.Time
	}{
		{"印章时间戳 timestamp of the seal", i.Dates.SealTimestamp},
		{"自称签章时间 claimed signing time", i.Dates.SigningTime},
		{"时间戳 timestamp", i.Dates.Timestamp},
	} {
		if !d.at.IsZero() {
			fmt.Fprintf(t.out, "%s: %s\n", d.name, d.at.Format(time.RFC3339))
		}
	}
	for _, d := range i.Deviations {
		fmt.Fprintf(t.out, "不合标准 deviation: %s（%s）\n", d, deviationText(d))
	}
	for _, s := range i.Signatures {
		word := "签名值错误 wrong"
		if s.SignatureValid {
			word = "签名值正确 correct"
		}
		if s.Of != "" {
			s.Part += " of " + s.Of
		}
		fmt.Fprintf(t.out, "%-17s %s\n", s.Part, word)
	}
	for n, c := range i.CoSeals {
		fmt.Fprintf(t.out, "\n联合用印 co-seal %d\n", n+1)
		err = errors.Join(err, printInspection(t, c))
	}
	printChecks(t, i.Checks)
	return err
}

// deviationText says what a deviation is.
func deviationText(d seal.Deviation) string {
	switch d {
	case seal.RawCertificateElements:
		return "证书列表中的证书没有装入 OCTET STRING"
	case seal.TypeAboveTwo:
		return "印章类型不是 1（单位）或 2（个人）"
	case seal.DigestWithZA:
		return "杂凑值按 SM3(ZA‖M) 计算"
	case seal.SignatureOIDAlias:
		return "签名算法标识写作 1.2.156.10197.501"
	}
	return "未知"
}

// extract writes the parts of a file under fixed names, those of co-seals in folders of
// their own. Nothing of a name comes from the file.
func extract(dir string, p *verify.Parts) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fileError(err)
	}
	for _, part := range append(sealParts(p.Seal), fileParts(p)...) {
		if err := os.WriteFile(filepath.Join(dir, part.name), part.data, 0o644); err != nil {
			return fileError(err)
		}
	}
	for i, c := range p.CoSeals {
		if err := extract(filepath.Join(dir, fmt.Sprintf("co-seal-%d", i+1)), c); err != nil {
			return err
		}
	}
	return nil
}

type part struct {
	name string
	data []byte
}

func sealParts(s *seal.Seal) []part {
	list := []part{
		{"maker.pem", pemCertificate(s.Maker)},
		{"seal.der", s.Raw},
		{"sealinfo.der", s.SignedRaw},
		{"sealsignature.der", s.SignatureValue},
		{pictureName(s.Picture), s.Picture.Data},
	}
	if s.Timestamp != nil {
		list = append(list, part{"seal-timestamp.der", s.Timestamp})
	}
	return list
}

// pictureName goes by what the picture is, not by what it is said to be.
func pictureName(p seal.Picture) string {
	if format := p.Format(); format != "" {
		return "picture." + format
	}
	return "picture.bin"
}

// fileParts are those that a bare seal lacks.
func fileParts(p *verify.Parts) (list []part) {
	if sig := p.Signature; sig != nil {
		list = append(list, part{"signer.pem", pemCertificate(sig.Certificate)},
			part{"tbs.der", sig.TBSRaw}, part{"signature.der", sig.SignatureValue},
			part{"digest.hex", []byte(hex.EncodeToString(sig.DocumentDigest))})
		if sig.Timestamp != nil {
			list = append(list, part{"timestamp.der", sig.Timestamp})
		}
		if sig.TimeToken != nil {
			list = append(list, part{"timeinfo.der", sig.TimeToken})
		}
	}
	if p.SignedBytes != nil {
		list = append(list, part{"bytes.bin", p.SignedBytes})
	}
	for _, name := range []string{"licence.json", "metadata-pinyin.json", "qr.cbor", "portrait.jpg", "report.json"} {
		if data, found := p.Attachments[name]; found {
			list = append(list, part{name, data})
		}
	}
	if p.QR != nil {
		list = append(list, part{"qr-tbs.der", p.QR.Signed}, part{"qr-signature.der", pki.DERSignature(p.QR.Signature)},
			part{"qr-signer.pem", pemCertificate(p.QRSigner)})
	}
	return list
}

func pemCertificate(cert *pki.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
}
