package main

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"elicence/internal/listen"
)

// TestLoopbackAlone: it listens on loopback and nowhere else.
func TestLoopbackAlone(t *testing.T) {
	t.Parallel()
	for address, good := range map[string]bool{
		"127.0.0.1:0": true, "127.0.0.2:0": true, "localhost:0": true,
		"0.0.0.0:0": false, ":0": false, "[::]:0": false, "192.168.1.20:0": false, "id.example.gov.cn:0": false, "127.0.0.1.example.cn:0": false,
		"127.0.0.1": false, "": false, "0:0": false, "127.1:0": false, "LOCALHOST.:0": false,
	} {
		listener, err := (&command{Listen: address}).open()
		if good != (err == nil) || !good && !errors.Is(err, listen.ErrUsage) {
			t.Errorf("%q: %v", address, err)
		}
		if err == nil {
			listener.Close()
		}
	}
}

// TestFiles is a table of files of people and secrets; the good one first.
func TestFiles(t *testing.T) {
	t.Parallel()
	const one = `[{"subject": "a", "name": "王"}]`
	for i, c := range []struct {
		people, secret string
		mode           os.FileMode
	}{
		{one, "s\n", 0o600},
		{"", "s", 0o600}, {"[]", "s", 0o600}, {`{"subject": "a", "name": "王"}`, "s", 0o600}, {`[{"subject": "a"}]`, "s", 0o600},
		{one + "x", "s", 0o600}, {one, "\n", 0o600}, {one, "s", 0o604},
	} {
		dir := t.TempDir()
		command := command{People: filepath.Join(dir, "people"), SecretFile: filepath.Join(dir, "secret"), Client: "c", Return: []string{"http://127.0.0.1:1/return"}}
		for file, text := range map[string]string{command.People: c.people, command.SecretFile: c.secret} {
			if err := errors.Join(os.WriteFile(file, []byte(text), 0o600), os.Chmod(file, c.mode)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := command.provider("http://127.0.0.1:1"); (err == nil) != (i == 0) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
