package bearer

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/caddymfa/caddy-mfa/mfa/internal/regularfile"
	"github.com/caddymfa/caddy-mfa/mfa/panics"
)

// fileInterval is how often a key file is read again, at most.
const fileInterval = time.Second

// fileSource reads keys from a file and follows its changes: when a token
// comes and the last look is a second old, it looks again. It reads the
// file rather than its dates, which a quick rewrite may leave as they
// were. A file that cannot be read, or holds no good keys any more,
// leaves the last good ones in force.
type fileSource struct {
	path  string
	iss   string
	parse func([]byte) (*keySet, error)
	log   *zap.Logger

	set atomic.Pointer[keySet]

	mu      sync.Mutex
	looked  time.Time // zero: not since the start
	content []byte
	failure error // of the last look
}

// JWKSFile is a file with a JWK set (RFC 7517 section 5). It must be
// readable and hold a usable key now; changes of it are followed within a
// second. Symmetric keys (oct) count, private keys are an error. A nil
// logger logs nothing.
func JWKSFile(path string, log *zap.Logger) (KeySource, error) {
	source := newFileSource(path, log)
	source.parse = func(data []byte) (*keySet, error) {
		set, skipped, err := parseJWKS(data, true)
		if reasons := skipped.unreadable(); len(reasons) > 0 {
			source.log.Warn("passing over keys that cannot be used", zap.String("file", path), zap.Strings("reasons", reasons))
		}
		return set, err
	}
	return source.opened()
}

// PublicKeyFile is a PEM file with a public key (PKIX or PKCS#1) or a
// certificate, of which only the key counts. Several may stand in it. It
// must be readable now; changes of it are followed within a second. A
// token's kid is not looked at. A nil logger logs nothing.
func PublicKeyFile(path string, log *zap.Logger) (KeySource, error) {
	source := newFileSource(path, log)
	source.parse = parsePEM
	return source.opened()
}

func newFileSource(path string, log *zap.Logger) *fileSource {
	if log == nil {
		log = zap.NewNop()
	}
	return &fileSource{path: path, log: log}
}

// opened reads the file for the first time.
func (f *fileSource) opened() (KeySource, error) {
	if err := f.load(); err != nil {
		return nil, err
	}
	return f, nil
}

func (f *fileSource) issuer() string { return f.iss }

func (f *fileSource) lookup(_ context.Context, q query) ([]key, error) {
	// Where keys are at hand, nobody waits while another one looks.
	if f.set.Load() == nil {
		f.mu.Lock()
		f.look(q.now())
		f.mu.Unlock()
	} else if f.mu.TryLock() {
		f.look(q.now())
		f.mu.Unlock()
	}
	set := f.set.Load()
	if set == nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		return nil, unavailable(f.failure)
	}
	return q.in(set)
}

// newer returns none: lookup has looked at the file, and does again a second
// later.
func (f *fileSource) newer(context.Context, query, []key) []key { return nil }

// look loads the file when the last look is old enough. A clock that was
// set back is no reason to wait. The caller holds the lock.
func (f *fileSource) look(now time.Time) {
	if since := now.Sub(f.looked); !f.looked.IsZero() && since >= 0 && since < fileInterval {
		return
	}
	f.looked = now
	err := f.load()
	if err != nil && (f.failure == nil || f.failure.Error() != err.Error()) {
		f.log.Error("key file cannot be used",
			zap.String("file", f.path), zap.Bool("earlier_keys_in_force", f.set.Load() != nil), zap.Error(err))
	}
	if err == nil && f.failure != nil {
		f.log.Info("key file can be used again", zap.String("file", f.path))
	}
	f.failure = err
}

func (f *fileSource) load() error {
	content, err := readKeyFile(f.path)
	if err != nil {
		return err
	}
	if f.set.Load() != nil && bytes.Equal(content, f.content) {
		return nil
	}
	set, err := f.parsed(content)
	if err != nil {
		return fmt.Errorf("reading key file %s: %w", f.path, err)
	}
	f.content = content
	f.set.Store(set)
	return nil
}

// parsed reads the content of a key file. A panic is an error: the caller
// holds the lock.
func (f *fileSource) parsed(content []byte) (set *keySet, err error) {
	defer panics.Recover(panics.KeyFetch, func(panicked error) { err = panicked })
	return f.parse(content)
}

// readKeyFile reads a key file.
func readKeyFile(path string) ([]byte, error) {
	content, err := regularfile.Read(path)
	if err != nil {
		return nil, fmt.Errorf("reading key file: %w", err)
	}
	return content, nil
}
