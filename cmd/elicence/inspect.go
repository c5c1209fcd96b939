package main

import (
	"encoding/hex"
	"encoding/pem"
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
	JSON    bool   `name:"json" help:"Print one JSON object. 输出 JSON。"`
	Extract string `placeholder:"DIR" help:"Write the parts into this folder. 把各部分写入此目录。"`
	File    string `arg:"" help:"Licence file, or a bare SESeal or SES_Signature (DER). 证照文件或印章数据。"`
}

// inspection is what --json prints.
type inspection struct {
	Version    int                    `json:"version"`
	Maker      string                 `json:"maker"`
	Signer     string                 `json:"signer"`
	Dates      dates                  `json:"dates"`
	Signatures []verify.PartSignature `json:"signatures"`
}

// dates are in UTC. SigningTime is a claim that nothing proves; Timestamp, the
// token's time, counts only if the token does.
type dates struct {
	SealCreated   time.Time `json:"seal_created"`
	SealValidFrom time.Time `json:"seal_valid_from"`
	SealValidTo   time.Time `json:"seal_valid_to"`
	SigningTime   time.Time `json:"signing_time,omitzero"`
	Timestamp     time.Time `json:"timestamp,omitzero"`
}

// Run prints what the file holds. It succeeds whenever the file parses, be its
// signatures right or wrong.
func (c *inspectCommand) Run(t terminal) error {
	file, err := readFile(c.File, pdfsig.MaxFileSize)
	if err != nil {
		return err
	}
	parts, err := parse(file)
	if err != nil {
		return &exitError{exitBad, fmt.Errorf("inspecting %s: %w", visible(c.File), err)}
	}
	if c.Extract != "" {
		if err := extract(c.Extract, parts); err != nil {
			return err
		}
	}
	found := inspect(parts)
	if c.JSON {
		return printJSON(t, found)
	}
	return printInspection(t, found)
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
		Dates: dates{SealCreated: sl.CreatedAt.UTC(), SealValidFrom: sl.ValidFrom.UTC(), SealValidTo: sl.ValidTo.UTC()},
	}
	if p.Signature != nil {
		found.Signer, found.Dates.SigningTime = p.Signature.Certificate.Subject.String(), p.Signature.SigningTime.UTC()
	}
	if p.Token != nil {
		found.Dates.Timestamp = p.Token.Time.UTC()
	}
	return found
}

func printInspection(t terminal, i inspection) error {
	_, err := fmt.Fprintf(t.out, "印章版本 version: %d\n制章者 maker: %s\n签章者 signer: %s\n", i.Version, visible(i.Maker), visible(i.Signer))
	fmt.Fprintf(t.out, "印章有效期 seal valid: %s – %s\n", i.Dates.SealValidFrom.Format(time.RFC3339), i.Dates.SealValidTo.Format(time.RFC3339))
	if !i.Dates.SigningTime.IsZero() {
		fmt.Fprintf(t.out, "自称签章时间 claimed signing time: %s\n", i.Dates.SigningTime.Format(time.RFC3339))
	}
	if !i.Dates.Timestamp.IsZero() {
		fmt.Fprintf(t.out, "时间戳 timestamp: %s\n", i.Dates.Timestamp.Format(time.RFC3339))
	}
	for _, s := range i.Signatures {
		word := "签名值错误 wrong"
		if s.SignatureValid {
			word = "签名值正确 correct"
		}
		fmt.Fprintf(t.out, "%-15s %s\n", s.Part, word)
	}
	return err
}

// extract writes the parts of a file under fixed names. Nothing of a name comes
// from the file.
func extract(dir string, p *verify.Parts) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fileError(err)
	}
	for _, part := range append(sealParts(p.Seal), fileParts(p)...) {
		if err := os.WriteFile(filepath.Join(dir, part.name), part.data, 0o644); err != nil {
			return fileError(err)
		}
	}
	return nil
}

type part struct {
	name string
	data []byte
}

func sealParts(s *seal.Seal) []part {
	return []part{
		{"maker.pem", pemCertificate(s.Maker)},
		{"seal.der", s.Raw},
		{"sealinfo.der", s.SignedRaw},
		{"sealsignature.der", s.SignatureValue},
		{"picture.png", s.Picture.Data},
	}
}

// fileParts are those that a bare seal lacks.
func fileParts(p *verify.Parts) (list []part) {
	if sig := p.Signature; sig != nil {
		list = append(list, part{"signer.pem", pemCertificate(sig.Certificate)},
			part{"tbs.der", sig.TBSRaw}, part{"signature.der", sig.SignatureValue},
			part{"digest.hex", []byte(hex.EncodeToString(sig.DocumentDigest))})
		if len(sig.Timestamp) > 0 {
			list = append(list, part{"timestamp.der", sig.Timestamp})
		}
	}
	if p.SignedBytes != nil {
		list = append(list, part{"bytes.bin", p.SignedBytes})
	}
	for _, name := range []string{"licence.json", "qr.cbor"} {
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
