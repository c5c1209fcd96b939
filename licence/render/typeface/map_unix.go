//go:build unix

package typeface

import (
	"fmt"
	"os"
	"syscall"
)

// maxFontFile bounds what is mapped: no font we name is near it.
const maxFontFile = 256 << 20

// mapFile maps a font read-only and for the life of the process, so that only
// the pages that are looked at count as memory, once for all processes. The
// file must not be truncated while we run: fonts are installed by renaming.
func mapFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() < 12 || info.Size() > maxFontFile {
		return nil, fmt.Errorf("%s: %d bytes is no size for a font", path, info.Size())
	}
	data, err := syscall.Mmap(int(f.Fd()), 0, int(info.Size()), syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("mapping %s: %w", path, err)
	}
	if !isTrueType(data) {
		return nil, fmt.Errorf("%s is not a TrueType font", path)
	}
	return data, nil
}
