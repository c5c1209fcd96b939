package durable

import (
	"bytes"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// TestReplaceTogether has several replace one file at once, as a command does beside the
// service: none fails, and whoever reads finds a whole one.
func TestReplaceTogether(t *testing.T) {
	file := filepath.Join(t.TempDir(), "checkpoint")
	if err := Replace(file, []byte{'a'}); err != nil {
		t.Fatal(err)
	}
	var writers sync.WaitGroup
	for _, letter := range []byte("abcd") {
		writers.Go(func() {
			for n := range 25 {
				if err := Replace(file, bytes.Repeat([]byte{letter}, 1+n*100)); err != nil {
					t.Errorf("replacing: %v", err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { writers.Wait(); close(done) }()
	for {
		read, err := os.ReadFile(file)
		if err != nil || len(read) == 0 || len(read)%100 != 1 || len(bytes.Trim(read, string(read[:1]))) > 0 {
			t.Fatalf("read %d bytes, beginning %.10q, %v", len(read), read, err)
		}
		select {
		case <-done:
			return
		default:
		}
	}
}
