package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/alecthomas/kong"
)

// checkOutput refuses a command line whose -o lies in the folder of an instance: the
// commands replace what is there, and there it would be a key or the database. It reads
// the parsed line, so that no command can forget it.
func checkOutput(call *kong.Context) error {
	for _, flag := range call.Flags() {
		if file := call.FlagValue(flag); flag.Name == "output" && file != "" {
			return outsideInstances(file.(string))
		}
	}
	return nil
}

// outsideInstances is an error when a file, or what its name leads to, is in the folder
// of an instance or below: any folder with keys/instance.json.
func outsideInstances(file string) error {
	folder, err := filepath.EvalSymlinks(filepath.Dir(file))
	if err != nil {
		return fmt.Errorf("%w: -o %s: %w", errUsage, file, err)
	}
	places := []string{filepath.Join(folder, filepath.Base(file))}
	if _, err := os.Lstat(places[0]); err == nil {
		place, err := filepath.EvalSymlinks(places[0])
		if err != nil {
			return fmt.Errorf("%w: -o %s: %w", errUsage, file, err)
		}
		places = append(places, place)
	}
	for _, place := range places {
		if err := outsideInstance(file, filepath.Dir(place)); err != nil {
			return err
		}
	}
	return nil
}

// outsideInstance looks from a folder upwards; file is what the caller named.
func outsideInstance(file, folder string) error {
	for {
		if instance, _ := exists(filepath.Join(folder, "keys", "instance.json")); instance {
			return fmt.Errorf("%w: -o %s lies in %s, the folder of an instance, where it could replace a key or the database: write it elsewhere", errUsage, file, folder)
		}
		parent := filepath.Dir(folder)
		if parent == folder {
			return nil
		}
		folder = parent
	}
}
