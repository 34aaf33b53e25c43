package etcd

import (
	"bytes"
	"sync"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/store/internal/draft"
)

// Bounds of hints. Who reads a document and then decides over it does so
// within one request.
const (
	mostHints    = 1024
	largestHint  = 16 << 10 // bytes
	hintLifetime = time.Second
)

// hints are documents that were read a moment ago. An Update may begin with
// them instead of reading: where they are out of date its transaction finds
// out, and nothing else that it does may rest on them.
type hints struct {
	mu   sync.Mutex
	docs map[string]hint
}

type hint struct {
	draft.Document
	at time.Time
}

// keep takes down what was read.
func (h *hints) keep(d draft.Document) {
	if len(d.Value) > largestHint {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.docs == nil || len(h.docs) >= mostHints {
		h.docs = make(map[string]hint)
	}
	d.Value = bytes.Clone(d.Value) // what was read is its reader's
	h.docs[d.Key] = hint{d, time.Now()}
}

// take returns what is under keys, if that is one document, which was read a
// moment ago: of several, fn could see what never was at one time. A hint is
// good for one Update.
func (h *hints) take(keys []string) []draft.Document {
	if len(keys) != 1 {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	found, ok := h.docs[keys[0]]
	delete(h.docs, keys[0])
	if !ok || time.Since(found.at) > hintLifetime {
		return nil
	}
	return []draft.Document{found.Document}
}

// clear forgets all.
func (h *hints) clear() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.docs = nil
}
