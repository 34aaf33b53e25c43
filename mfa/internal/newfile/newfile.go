// Package newfile makes files that hold secrets: never over one that is
// there already, unless it is to be replaced, and, wherever the file system
// has links, whole or not at all.
package newfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
)

// Write makes a file of mode 0600 at path holding content, durably, and
// its folder (mode 0700) when that is absent. An error that wraps
// fs.ErrExist is returned when there is a file already.
func Write(path string, content []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making folder: %w", err)
	}
	tmp, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("making temporary file: %w", err)
	}
	defer os.Remove(tmp.Name())
	if err := writeThrough(tmp, content); err != nil {
		return fmt.Errorf("writing temporary file: %w", err)
	}
	// A link, unlike a rename, fails when the name is taken.
	err = os.Link(tmp.Name(), path)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		err = writeDirectly(path, content) // a file system without links
	}
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("making %s: %w", path, fs.ErrExist)
	}
	if err != nil {
		return fmt.Errorf("putting file in place: %w", err)
	}
	return SyncDir(dir)
}

// Replace puts a file that holds content in the place of the one at path,
// durably and at once: whoever reads it, also after a crash, finds the old
// content or the new. Mode and owner stay; a symbolic link stays one. An
// error that wraps fs.ErrNotExist is returned when there is no file.
func Replace(path string, content []byte) error {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return fmt.Errorf("finding file: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("finding file: %w", err)
	}
	dir := filepath.Dir(path)
	tmp, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("making temporary file: %w", err)
	}
	defer os.Remove(tmp.Name())
	if err := keepOwner(tmp, info); err != nil {
		return errors.Join(fmt.Errorf("keeping owner: %w", err), tmp.Close())
	}
	if err := tmp.Chmod(info.Mode().Perm()); err != nil {
		return errors.Join(fmt.Errorf("keeping mode: %w", err), tmp.Close())
	}
	if err := writeThrough(tmp, content); err != nil {
		return fmt.Errorf("writing temporary file: %w", err)
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return fmt.Errorf("putting file in place: %w", err)
	}
	return SyncDir(dir)
}

// writeDirectly makes the file where it belongs. A crash on the way can
// leave a part of it, which a reader will refuse.
func writeDirectly(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	return writeThrough(f, content)
}

func writeThrough(f *os.File, content []byte) error {
	_, err := f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// SyncDir makes the names in a folder survive a power cut. Where a folder
// cannot be opened or synced, as on Windows and on some file systems, names
// are kept safe in another way, or not at all.
func SyncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if errors.Is(err, fs.ErrPermission) {
		return nil // one that may only be passed through was not made here
	}
	if err != nil {
		return fmt.Errorf("opening folder: %w", err)
	}
	defer d.Close()
	err = d.Sync()
	if err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, syscall.EINVAL) {
		return fmt.Errorf("syncing folder: %w", err)
	}
	return nil
}
