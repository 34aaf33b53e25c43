package mfa

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// listing goes through the documents of a store that are copied, in the
// order of their keys.
type listing struct {
	ctx    context.Context
	store  store.Store
	page   []store.Document
	after  string
	ended  bool
	listed func(documents int)
}

// next returns the next document without going past it, nil at the end.
func (l *listing) next() (*store.Document, error) {
	// A page of large documents takes room: up to a megabyte each.
	const page = 200
	for {
		for len(l.page) > 0 {
			if !notCopied(l.page[0].Key) {
				return &l.page[0], nil
			}
			l.skip()
		}
		if l.ended {
			return nil, nil
		}
		found, err := l.store.List(l.ctx, "", l.after, page)
		if err != nil {
			return nil, fmt.Errorf("listing documents: %w", err)
		}
		l.page, l.ended = found, len(found) < page
		if len(found) > 0 {
			l.after = found[len(found)-1].Key
		}
		l.listed(len(found))
	}
}

// skip goes past the document that next has returned.
func (l *listing) skip() { l.page = l.page[1:] }

// CopiedKind counts documents of one kind.
type CopiedKind struct {
	Name      string
	Documents int
	Bytes     int64
}

// documentKinds are the kinds by the prefixes of their keys; the last is
// that of all others.
var documentKinds = []struct{ name, prefix string }{
	{"users", userPrefix},
	{"credentials", credentialPrefix},
	{"organizations", organizationPrefix},
	{"counts of mail", mailPrefix},
	{"signing keys", signingKey},
	{"rotation of keys", sealPrefix},
	{"others", ""},
}

// digested is what a store holds.
type digested struct {
	documents int
	kinds     []CopiedKind
	sum       string
}

// digest reads all documents that are copied.
func digest(ctx context.Context, st store.Store, progress func(int)) (digested, error) {
	d := digested{kinds: make([]CopiedKind, len(documentKinds))}
	for i, kind := range documentKinds {
		d.kinds[i].Name = kind.name
	}
	hash := sha256.New()
	add := func(part []byte) {
		// With its length, so that no two lists of documents join alike.
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		hash.Write(length[:])
		hash.Write(part)
	}
	l := &listing{ctx: ctx, store: st, listed: progress}
	for {
		document, err := l.next()
		if err != nil {
			return digested{}, err
		}
		if document == nil {
			d.sum = hex.EncodeToString(hash.Sum(nil))
			return d, nil
		}
		add([]byte(document.Key))
		add(document.Value)
		d.documents++
		for i, kind := range documentKinds {
			if strings.HasPrefix(document.Key, kind.prefix) {
				d.kinds[i].Documents++
				d.kinds[i].Bytes += int64(len(document.Key) + len(document.Value))
				break
			}
		}
		l.skip()
	}
}
