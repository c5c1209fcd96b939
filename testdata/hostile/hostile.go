// Package hostile makes what an attacker would send to use up memory and time, and
// holds readers to their bounds. Tests, fuzz targets and benchmarks share it.
//
// The bound on memory is on all that a reader allocates, which is at least what it
// holds at any moment, and does not depend on the machine or on the collector. Time
// is looked at by the fuzzer alone.
package hostile

import (
	"flag"
	"os"
	"path/filepath"
	"runtime/metrics"
	"syscall"
	"testing"
	"time"
)

// MaxAllocated is the most that reading one input may allocate, in bytes: a file of
// 10 MB, or of any other size that is read at all.
const MaxAllocated = 64 << 20

// maxTime is the most processor time that reading one input may take, hang when a
// reader is thought not to come back.
const (
	maxTime = time.Second
	hang    = 30 * time.Second
)

// Allocated returns how many bytes f allocates, to within a megabyte.
func Allocated(f func()) int64 {
	before := allocated()
	f()
	return allocated() - before
}

func allocated() int64 {
	sample := [1]metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample[:])
	return int64(sample[0].Value.Uint64())
}

// Within runs read, which reads one input, and fails the test when it allocates more
// than MaxAllocated or, under the fuzzer, takes more than a second of the processor.
func Within(t testing.TB, read func()) {
	t.Helper()
	if !fuzzing() {
		if n := Allocated(read); n > MaxAllocated {
			t.Errorf("%d MB allocated", n>>20)
		}
		return
	}
	// The fuzzer itself would wait for ever.
	watch := time.AfterFunc(hang, func() { panic("hostile: a reader does not come back") })
	defer watch.Stop()
	before := ProcessorTime()
	n := Allocated(read)
	if took := ProcessorTime() - before; took > maxTime || n > MaxAllocated {
		t.Errorf("%s and %d MB allocated", took, n>>20)
	}
}

// Corpus returns the files of testdata/verify, for seeds. root is the way to the
// module's folder from that of the test.
func Corpus(t testing.TB, root string) (files [][]byte) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(root, "testdata/verify/*/*.pdf"))
	if err != nil || len(names) == 0 {
		t.Fatal("no verification corpus: ", err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, b)
	}
	return files
}

// fuzzing reports whether this process tries inputs for the fuzzer.
func fuzzing() bool {
	worker := flag.Lookup("test.fuzzworker")
	return worker != nil && worker.Value.String() == "true"
}

// ProcessorTime is what this process has used of the processors: other processes add
// nothing to it.
func ProcessorTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err) // it fails for bad arguments alone
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
