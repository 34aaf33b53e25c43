package edgetest

import (
	"bytes"
	"strings"
	"sync"
)

// output collects what a process prints and tells when a text appears.
type output struct {
	mu      sync.Mutex
	text    bytes.Buffer
	waiting map[string]chan struct{}
}

func newOutput() *output { return &output{waiting: make(map[string]chan struct{})} }

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text.Write(p)
	for text, seen := range o.waiting {
		if strings.Contains(o.text.String(), text) {
			close(seen)
			delete(o.waiting, text)
		}
	}
	return len(p), nil
}

func (o *output) await(text string) <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	seen := make(chan struct{})
	if strings.Contains(o.text.String(), text) {
		close(seen)
	} else {
		o.waiting[text] = seen
	}
	return seen
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
