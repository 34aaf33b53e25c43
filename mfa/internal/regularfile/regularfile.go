// Package regularfile reads small files that an operator names, and nothing
// else that may be at a path: a pipe would hold the reader up for good, and a
// device fill the memory.
package regularfile

import (
	"errors"
	"fmt"
	"io"
	"os"
)

const maxSize = 1 << 20

// ErrNotRegular is returned for a folder, a pipe or a device.
var ErrNotRegular = errors.New("it is not a regular file")

// Read reads the file at path, of 1 MiB at most, or the one that a symbolic
// link there leads to. The error names the path.
func Read(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: %w", path, ErrNotRegular)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	content, err := ReadAll(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return content, nil
}

// ReadAll reads all of r. An error is returned for more than 1 MiB.
func ReadAll(r io.Reader) ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(r, maxSize+1))
	if err != nil {
		return nil, err
	}
	if len(content) > maxSize {
		return nil, errors.New("it is larger than 1 MiB")
	}
	return content, nil
}
