package bolt

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
	"os"

	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// The layout of the first two pages of a bolt file: a page header, then
// the meta data, in the byte order of the machine.
const (
	pageHeaderLen = 16
	metaLen       = 64
	boltMagic     = 0xED0CDAED
	boltVersion   = 2
	flagFreelist  = 0x10
	noFreelist    = ^uint64(0)
	minPage       = 1 << 10
	maxPage       = 16 << 20
	maxPages      = 1 << 38 // of maxPage, their length still is an int64
)

// meta is what one of the two meta pages says.
type meta struct {
	magic, version, pageSize         uint32
	root, freelist, pages, txid, sum uint64
	valid                            bool // the checksum holds
}

// checkFile refuses a file that bbolt would map and then run off the end
// of, or read as something it is not. bbolt checks only the checksum of
// the meta pages; a file cut short behind them kills the process.
//
// It runs before the lock is had. Whoever has it may be writing; a change
// seen meanwhile means that the file is in use, not that it is damaged.
func checkFile(f *os.File) error {
	m, err := newestMeta(f)
	if err != nil {
		return err
	}
	err = checkMeta(f, m)
	if err == nil {
		return nil
	}
	if now, errAgain := newestMeta(f); errAgain != nil || now.txid != m.txid {
		return nil // the lock will tell
	}
	return err
}

func checkMeta(f *os.File, m meta) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	switch want := m.pages * uint64(m.pageSize); {
	case !m.sane():
		return fmt.Errorf("%w: its header makes no sense: restore it from a backup", store.ErrCorrupt)
	case uint64(info.Size()) < want:
		return fmt.Errorf("%w: it is cut short, %d bytes of at least %d: restore it from a backup", store.ErrCorrupt, info.Size(), want)
	case m.freelist == noFreelist:
		return fmt.Errorf("%w: it was written without its list of free pages, as this program never does", ErrNotDatabase)
	}
	return checkFreelist(f, m)
}

// sane reports whether m could be that of a file of any size.
func (m meta) sane() bool {
	page := m.pageSize
	return page >= minPage && page <= maxPage && page&(page-1) == 0 &&
		m.pages >= 4 && m.pages <= maxPages &&
		m.root < m.pages &&
		(m.freelist < m.pages || m.freelist == noFreelist)
}

// checkFreelist holds the size of the list of free pages against the
// pages that it stands on.
func checkFreelist(f *os.File, m meta) error {
	var b [pageHeaderLen + 8]byte
	if _, err := f.ReadAt(b[:], int64(m.freelist)*int64(m.pageSize)); err != nil {
		return fmt.Errorf("reading list of free pages: %w", err)
	}
	order := binary.NativeEndian
	id, flags := order.Uint64(b[:]), order.Uint16(b[8:])
	count, overflow := uint64(order.Uint16(b[10:])), uint64(order.Uint32(b[12:]))
	first := uint64(0)
	if count == 0xFFFF { // too many for the field: the first entry counts
		count, first = order.Uint64(b[16:]), 1
	}
	span := (overflow + 1) * uint64(m.pageSize)
	if id != m.freelist || flags != flagFreelist || id+overflow >= m.pages || count > m.pages ||
		pageHeaderLen+8*(count+first) > span {
		return fmt.Errorf("%w: its list of free pages is damaged: restore it from a backup", store.ErrCorrupt)
	}
	return nil
}

// newestMeta reads both meta pages and returns the one that bbolt would
// use. The second one stands one page after the first, and how long a
// page is, only an intact one tells.
func newestMeta(f *os.File) (meta, error) {
	first, err := readMeta(f, 0)
	if err != nil {
		return meta{}, err
	}
	var second meta
	if first.valid {
		if second, err = readMeta(f, int64(first.pageSize)); err != nil {
			return meta{}, err
		}
	}
	for page := int64(minPage); !first.valid && !second.valid && page <= maxPage; page *= 2 {
		if second, err = readMeta(f, page); err != nil {
			return meta{}, err
		}
	}
	switch {
	case first.valid && second.valid && second.txid > first.txid, !first.valid && second.valid:
		return second, nil
	case first.valid:
		return first, nil
	case first.magic == boltMagic && first.version != boltVersion:
		return meta{}, fmt.Errorf("%w: it has version %d of the bolt format, not %d", ErrNotDatabase, first.version, boltVersion)
	case first.magic == boltMagic:
		return meta{}, fmt.Errorf("%w: its header is damaged: restore it from a backup", store.ErrCorrupt)
	}
	return meta{}, fmt.Errorf("%w: it is no bolt file, or its header was overwritten: mend the path, or restore the file from a backup", ErrNotDatabase)
}

// readMeta reads the meta page at offset. One that is not there at all
// is only invalid.
func readMeta(f *os.File, offset int64) (meta, error) {
	var b [metaLen]byte
	if _, err := f.ReadAt(b[:], offset+pageHeaderLen); err == io.EOF {
		return meta{}, nil
	} else if err != nil {
		return meta{}, fmt.Errorf("reading header: %w", err)
	}
	return parseMeta(b[:]), nil
}

// parseMeta parses the metaLen bytes of meta data in b.
func parseMeta(b []byte) meta {
	order := binary.NativeEndian
	m := meta{
		magic:    order.Uint32(b[0:]),
		version:  order.Uint32(b[4:]),
		pageSize: order.Uint32(b[8:]),
		root:     order.Uint64(b[16:]),
		freelist: order.Uint64(b[32:]),
		pages:    order.Uint64(b[40:]),
		txid:     order.Uint64(b[48:]),
		sum:      order.Uint64(b[56:]),
	}
	h := fnv.New64a()
	h.Write(b[:56])
	m.valid = m.magic == boltMagic && m.version == boltVersion && m.sum == h.Sum64()
	return m
}
