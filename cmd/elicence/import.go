package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"mime/multipart"
	"path/filepath"
	"strings"

	"elicence/licence"

	"github.com/emmansun/gmsm/sm3"
)

// importCommand is "elicence import".
type importCommand struct {
	onService
	JSON    bool   `name:"json" help:"Print the answer as it came. 输出 JSON。"`
	Request string `arg:"" help:"What is stated of the licence, JSON (docs/imports.md). 证照信息。"`
	File    string `arg:"" optional:"" help:"Its file as it came, PDF or OFD. 证照文件。"`
}

// Bounds of an import.
const (
	maxImport       = 20 << 20 // bytes of the file
	maxImportAnswer = 64 << 10
)

// imported is what is printed of the answer.
type imported struct {
	Identifier licence.Identifier `json:"identifier"`
	Verdict    string             `json:"verdict"`
	Codes      []string           `json:"codes"`
	Repeated   bool               `json:"repeated"`
}

// Run imports one licence. The key of the request is made of its content, so that whoever
// repeats the command gets the first answer. Good is a file that is found to be its issuer's,
// undecided one that could not be proved, or none at all.
func (c *importCommand) Run(t terminal) error {
	request, err := readFile(c.Request, licence.MaxJSON)
	if err != nil {
		return err
	}
	var file []byte
	if c.File != "" {
		if file, err = readFile(c.File, maxImport); err != nil {
			return err
		}
		if len(file) > maxImport {
			return usageError(fmt.Errorf("%s is larger than %d bytes", visible(c.File), maxImport))
		}
	}
	mediaType, body, err := importForm(request, file, filepath.Base(c.File))
	if err != nil {
		return err
	}
	content := sm3.Sum(append(fmt.Appendf(nil, "%d\n%s", len(request), request), file...))
	raw, err := c.service().post("/licences/imports", body, maxImportAnswer, "Content-Type", mediaType, "Idempotency-Key", fmt.Sprintf("import-%x", content))
	if err != nil {
		return err
	}
	return c.print(t, raw)
}

// importForm is the form that the service takes. A file's name is for people who look at
// what was sent.
func importForm(request, file []byte, name string) (mediaType string, body []byte, err error) {
	var b bytes.Buffer
	form := multipart.NewWriter(&b)
	part, err := form.CreateFormField("request")
	if err == nil {
		_, err = part.Write(request)
	}
	if err == nil && file != nil {
		if part, err = form.CreateFormFile("file", name); err == nil {
			_, err = part.Write(file)
		}
	}
	err = errors.Join(err, form.Close()) // which writes the last line
	return form.FormDataContentType(), b.Bytes(), err
}

func (c *importCommand) print(t terminal, raw []byte) error {
	var answer imported
	if err := json.Unmarshal(raw, &answer); err != nil || answer.Identifier == "" {
		return unavailableError(errors.New("what the server sent is no answer to an import"))
	}
	code := map[string]int{"valid": exitGood, "invalid": exitBad}
	end, known := code[answer.Verdict]
	if !known {
		end = exitUndecided
	}
	if c.JSON {
		if _, err := t.out.Write(raw); err != nil {
			return err
		}
		return exit(end)
	}
	word := "已导入 imported"
	if answer.Repeated {
		word = "已在证照库中 there already"
	}
	_, err := fmt.Fprintf(t.out, "%s: %s\n文件核验结果 verdict: %s\n", word, visible(string(answer.Identifier)), visible(answer.Verdict))
	if err != nil {
		return err
	}
	if len(answer.Codes) > 0 {
		fmt.Fprintf(t.out, "原因 reasons: %s\n", visible(strings.Join(answer.Codes, ", ")))
	}
	return exit(end)
}
