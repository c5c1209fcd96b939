package main

import (
	"errors"
	"fmt"
	"net/url"
	"os"

	"elicence/licence"
	"elicence/licence/bundle"
)

// bundleCommand is "elicence bundle".
type bundleCommand struct {
	onService
	Purpose    string `placeholder:"TEXT" help:"What it is for; stands in the access log. 用途，记入访问日志。"`
	Case       string `placeholder:"NUMBER" help:"Case number; stands in the access log. 办件编号，记入访问日志。"`
	Output     string `short:"o" required:"" placeholder:"FILE" help:"File to write; one that is there is replaced. 输出文件，已有的会被替换。"`
	Identifier string `arg:"" help:"Identifier of the licence. 电子证照标识。"`
}

// Run fetches an evidence bundle and writes it, once it is one of the licence asked for.
// Whether it proves anything is for "verify".
func (c *bundleCommand) Run(t terminal) error {
	id, err := licence.ParseIdentifier(c.Identifier)
	if err != nil {
		return usageError(fmt.Errorf("identifier: %w", err))
	}
	path := "/licences/" + url.PathEscape(string(id)) + "/bundle"
	raw, err := c.service().get(path, bundle.MaxSize, "Elicence-Purpose", c.Purpose, "Elicence-Case-Number", c.Case)
	if err != nil {
		return err
	}
	switch b, err := bundle.Parse(raw); {
	case err != nil:
		return &exitError{exitUnavailable, fmt.Errorf("what the server sent is no evidence bundle: %w", err)}
	case b.Identifier != id:
		return &exitError{exitUnavailable, fmt.Errorf("the server sent the bundle of %s", visible(string(b.Identifier)))}
	}
	if err := write(c.Output, raw, 0o644); err != nil {
		return err
	}
	_, err = fmt.Fprintf(t.out, "证据包已保存：%s\nsaved %s, %d bytes; verify it with --anchors and --policy of your own\n", visible(c.Output), visible(c.Output), len(raw))
	return err
}

// write writes a file beside the old one and renames it into place, so that what is
// there is always whole.
func write(name string, content []byte, mode os.FileMode) error {
	part := name + ".part"
	err := os.WriteFile(part, content, mode)
	if err == nil {
		err = os.Rename(part, name)
	}
	if err != nil {
		err = errors.Join(err, os.Remove(part))
		return &exitError{exitInternal, errors.New(visible(err.Error()))}
	}
	return nil
}
