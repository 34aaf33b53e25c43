package bolt

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"

	"github.com/caddymfa/caddy-mfa/mfa/store"
)

const (
	flagBranch   = 0x01
	flagLeaf     = 0x02
	flagBucket   = 0x01 // of an element of a leaf
	elementLen   = 16
	bucketHeader = 16
)

// checker walks the pages of a file.
type checker struct {
	file *os.File
	meta meta
	used []bool // by page number: it has its one place already
}

// checkPages refuses a file whose pages do not fit together: one that
// stands in two places or free and in use, keys out of order, lengths
// that lead out of the page. bbolt takes all of that as it comes, and
// would loop, fill the memory, overwrite what is in use, or not find
// what is there. It reads the whole file once, under the lock.
func checkPages(f *os.File) error {
	m, err := newestMeta(f)
	if err != nil {
		return err
	}
	c := &checker{file: f, meta: m, used: make([]bool, m.pages)}
	c.used[0], c.used[1] = true, true
	if err := c.freelist(); err != nil {
		return err
	}
	return c.tree(m.root, nil, nil)
}

func (c *checker) damaged(page uint64, what string) error {
	return fmt.Errorf("%w: page %d: %s: restore it from a backup", store.ErrCorrupt, page, what)
}

// claim gives n pages from id on their one place.
func (c *checker) claim(id, n uint64) error {
	if id >= c.meta.pages || n > c.meta.pages-id {
		return c.damaged(id, "it is beyond the end")
	}
	for p := id; p < id+n; p++ {
		if c.used[p] {
			return c.damaged(p, "it is in two places")
		}
		c.used[p] = true
	}
	return nil
}

// page claims and reads a page with those that continue it.
func (c *checker) page(id uint64) ([]byte, error) {
	if id >= c.meta.pages {
		return nil, c.damaged(id, "it is beyond the end")
	}
	size := int64(c.meta.pageSize)
	b := make([]byte, size)
	if _, err := c.file.ReadAt(b, int64(id)*size); err != nil {
		return nil, fmt.Errorf("reading page %d: %w", id, err)
	}
	if binary.NativeEndian.Uint64(b) != id {
		return nil, c.damaged(id, "it says to be another")
	}
	n := 1 + uint64(binary.NativeEndian.Uint32(b[12:]))
	if err := c.claim(id, n); err != nil {
		return nil, err
	}
	if n == 1 {
		return b, nil
	}
	b = append(b, make([]byte, int64(n-1)*size)...)
	if _, err := c.file.ReadAt(b[size:], (int64(id)+1)*size); err != nil {
		return nil, fmt.Errorf("reading page %d: %w", id, err)
	}
	return b, nil
}

// freelist claims the pages that are free. checkFreelist has looked at
// the length of the list.
func (c *checker) freelist() error {
	b, err := c.page(c.meta.freelist)
	if err != nil {
		return err
	}
	order := binary.NativeEndian
	count, ids := uint64(order.Uint16(b[10:])), b[pageHeaderLen:]
	if count == 0xFFFF {
		count, ids = order.Uint64(ids), ids[8:]
	}
	if count > uint64(len(ids))/8 {
		return c.damaged(c.meta.freelist, "it is too short for its list")
	}
	for i := range count {
		if err := c.claim(order.Uint64(ids[8*i:]), 1); err != nil {
			return err
		}
	}
	return nil
}

// tree walks the page id and those below it. All keys are at least low
// and, where there is a high, below it.
func (c *checker) tree(id uint64, low, high []byte) error {
	b, err := c.page(id)
	if err != nil {
		return err
	}
	return c.elements(id, b, low, high)
}

// elements looks at the elements of one branch or leaf.
func (c *checker) elements(id uint64, b, low, high []byte) error {
	order := binary.NativeEndian
	kind, count := order.Uint16(b[8:]), int(order.Uint16(b[10:]))
	switch {
	case kind != flagBranch && kind != flagLeaf:
		return c.damaged(id, "it is of no kind that could stand there")
	case kind == flagBranch && count == 0:
		return c.damaged(id, "it leads nowhere")
	case pageHeaderLen+count*elementLen > len(b):
		return c.damaged(id, "it is too short for its elements")
	}
	keys, values := make([][]byte, count), make([][]byte, count)
	for i := range count {
		at := pageHeaderLen + i*elementLen
		e := b[at : at+elementLen]
		pos, keyLen, valueLen := order.Uint32(e), order.Uint32(e[4:]), uint32(0)
		if kind == flagLeaf {
			pos, keyLen, valueLen = order.Uint32(e[4:]), order.Uint32(e[8:]), order.Uint32(e[12:])
		}
		start := uint64(at) + uint64(pos)
		middle := start + uint64(keyLen)
		end := middle + uint64(valueLen)
		if end > uint64(len(b)) || keyLen == 0 || keyLen > store.MaxKey || valueLen > store.MaxValue {
			return c.damaged(id, "an element has an impossible length")
		}
		keys[i], values[i] = b[start:middle], b[middle:end]
		if i > 0 && bytes.Compare(keys[i-1], keys[i]) >= 0 || bytes.Compare(keys[i], low) < 0 ||
			high != nil && bytes.Compare(keys[i], high) >= 0 {
			return c.damaged(id, "its keys are out of order")
		}
	}
	for i := range count {
		e := b[pageHeaderLen+i*elementLen:]
		switch {
		case kind == flagBranch:
			below := high
			if i+1 < count {
				below = keys[i+1]
			}
			if err := c.tree(order.Uint64(e[8:]), keys[i], below); err != nil {
				return err
			}
		case order.Uint32(e) == flagBucket:
			if err := c.bucket(id, values[i]); err != nil {
				return err
			}
		case order.Uint32(e) != 0:
			return c.damaged(id, "an element is of no known kind")
		}
	}
	return nil
}

// bucket walks the tree of a bucket, or the page within the value that
// a small one is.
func (c *checker) bucket(id uint64, value []byte) error {
	if len(value) < bucketHeader {
		return c.damaged(id, "a bucket is cut short")
	}
	if root := binary.NativeEndian.Uint64(value); root != 0 {
		return c.tree(root, nil, nil)
	}
	page := value[bucketHeader:]
	if len(page) < pageHeaderLen || binary.NativeEndian.Uint16(page[8:]) != flagLeaf ||
		binary.NativeEndian.Uint32(page[12:]) != 0 || binary.NativeEndian.Uint64(page) != 0 {
		return c.damaged(id, "a small bucket is damaged")
	}
	return c.elements(id, page, nil, nil)
}
