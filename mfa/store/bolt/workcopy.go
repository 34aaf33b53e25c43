package bolt

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"go.etcd.io/bbolt"

	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// workCopy is a file beside the database that holds a snapshot while it
// is being sent or restored. There, unlike in the system's directory for
// temporary files, it is as private as the database and has its disk.
type workCopy struct {
	file   *os.File
	failed error // of a Write
}

func newCopy(path string) (*workCopy, error) {
	f, err := os.CreateTemp(filepath.Dir(path), copyPrefix(path)+"*") // mode 0600
	if err != nil {
		return nil, fmt.Errorf("making temporary file: %w", err)
	}
	return &workCopy{file: f}, nil
}

func copyPrefix(path string) string {
	return "." + filepath.Base(path) + ".copy-"
}

// remove closes and removes the file.
func (c *workCopy) remove() {
	_ = c.file.Close()
	_ = os.Remove(c.file.Name())
}

// removeCopies removes what a process that was killed has left. The
// caller holds the lock of the database, so nobody else is at it. What
// cannot be removed costs room and nothing else.
func removeCopies(path string) {
	dir := filepath.Dir(path)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if e.Type().IsRegular() && strings.HasPrefix(e.Name(), copyPrefix(path)) {
			_ = os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}

// Write implements io.Writer, and notes an error, which is then not one
// of whatever else takes part in the copying.
func (c *workCopy) Write(p []byte) (int, error) {
	n, err := c.file.Write(p)
	if err != nil {
		c.failed = err
	}
	return n, err
}

// receive reads a snapshot from r, without its seal, which it verifies.
// How long a snapshot is stands in its header, so that of what is none
// not much is read.
func (c *workCopy) receive(r io.Reader) error {
	head := make([]byte, pageHeaderLen+metaLen)
	if _, err := io.ReadFull(r, head); err != nil {
		return readError(err)
	}
	m := parseMeta(head[pageHeaderLen:])
	if !m.valid || !m.sane() {
		return fmt.Errorf("%w: its header is not that of a snapshot", store.ErrBadSnapshot)
	}
	length := int64(m.pages * uint64(m.pageSize))
	r = io.MultiReader(bytes.NewReader(head), r)
	sum := sha256.New()
	if _, err := io.CopyN(io.MultiWriter(c, sum), r, length); c.failed != nil {
		return unavailable(c.file.Name(), c.failed)
	} else if err != nil {
		return readError(err)
	}
	tail, err := io.ReadAll(io.LimitReader(r, int64(sealLen)+1))
	switch {
	case err != nil:
		return readError(err)
	case len(tail) < sealLen:
		return readError(io.EOF)
	case !bytes.Equal(tail, sum.Sum([]byte(sealText))):
		return fmt.Errorf("%w: its checksum is missing or does not match", store.ErrBadSnapshot)
	}
	return nil
}

// readError says what an error of the reader means for the snapshot.
func readError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: it is empty or cut short", store.ErrBadSnapshot)
	}
	return fmt.Errorf("reading snapshot: %w", err)
}

// check walks all pages, as Open does. bbolt's own check is no stricter
// about them, and would end the process on those that lead it out of the
// file.
func (c *workCopy) check() error {
	if err := checkFile(c.file); err != nil {
		return err
	}
	return checkPages(c.file)
}

// open opens the copy as a database to read from.
func (c *workCopy) open() (db *bbolt.DB, err error) {
	err = guard(func() error {
		db, err = bbolt.Open(c.file.Name(), 0o600, &bbolt.Options{
			Timeout:      lockWait,
			ReadOnly:     true,
			NoStatistics: true,
		})
		return err
	})
	return db, err
}
