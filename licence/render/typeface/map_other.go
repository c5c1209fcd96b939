//go:build !unix

package typeface

import (
	"fmt"
	"os"
)

// mapFile reads the font into memory where the system has no simple mapping.
func mapFile(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if err == nil && !isTrueType(data) {
		return nil, fmt.Errorf("%s is not a TrueType font", path)
	}
	return data, err
}
