//go:build !unix

package trace

import (
	"fmt"
	"os"
)

// lock takes a folder for this process as far as this system can: here two nodes must not share a data folder.
func lock(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock of the trace: %w", err)
	}
	return file, nil
}
