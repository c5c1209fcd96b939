//go:build linux

package typeface_test

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"elicence/licence/render/typeface"
)

// maxResident bounds what a process takes that has all fonts in use, in MB.
const maxResident = 200

// TestResidentMemory asks a process of its own, in which nothing else has run, for its
// resident memory with characters of each font drawn, and with ideographs drawn until all outlines are mapped.
func TestResidentMemory(t *testing.T) {
	if os.Getenv("ELICENCE_RESIDENT") != "" {
		drawResident(t)
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestResidentMemory$", "-test.v")
	cmd.Env = append(os.Environ(), "ELICENCE_RESIDENT=1")
	out, err := cmd.CombinedOutput()
	found := regexp.MustCompile(`resident: (\d+) MB (.+)`).FindAllStringSubmatch(string(out), -1)
	if err != nil || len(found) != 3 {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, m := range found {
		t.Log(m[0])
		if n, _ := strconv.Atoi(m[1]); n > maxResident {
			t.Errorf("%s; want at most %d MB", m[0], maxResident)
		}
	}
}

// drawResident draws, and prints what it takes.
func drawResident(t *testing.T) {
	f := open(t)
	fmt.Printf("resident: %d MB with one font open\n", resident(t))
	draw := func(text []rune) {
		for face := range chains {
			cut := typeface.NewCut(f)
			for _, r := range text {
				if _, ok, err := f.Glyph(face, r); err != nil || !ok {
					continue
				}
				if _, err := cut.Number(face, r); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := cut.Bytes(); err != nil {
				t.Fatal(err)
			}
		}
	}
	draw([]rune("证照䶮㛃𬭼𠅤𪚥𰻝\U0002a6a5\U000206cd\u01cd"))
	fmt.Printf("resident: %d MB with all fonts in use\n", resident(t))
	const near = 8 // outlines lie on the same 4 kB as a rule
	var text []rune
	for _, b := range blocks[:9] {
		for r := b.first; r <= b.last; r += near {
			text = append(text, r)
		}
	}
	for some := range slices.Chunk(text, 1000) {
		draw(some)
	}
	fmt.Printf("resident: %d MB with all that ideographs need\n", resident(t))
}

// resident is the process's resident memory in MB, the pages of mapped fonts included.
func resident(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	kb, _ := strconv.Atoi(string(regexp.MustCompile(`VmRSS:\s+(\d+) kB`).FindSubmatch(status)[1]))
	return kb / 1000
}
