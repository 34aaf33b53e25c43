package browsertest

import (
	"fmt"
	"slices"
	"sync"

	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
)

// heard is what a tab has told of itself.
type heard struct {
	mu         sync.Mutex
	complaints []string
	requests   []string
}

func (h *heard) hear(event any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		h.complaints = append(h.complaints, fmt.Sprintf("console.%s", e.Type))
	case *runtime.EventExceptionThrown:
		h.complaints = append(h.complaints, e.ExceptionDetails.Text)
	case *cdplog.EventEntryAdded:
		// The browser notes every answer above 399, which are no mistake
		// of the page's.
		if e.Entry.Source != cdplog.EntrySourceNetwork {
			h.complaints = append(h.complaints, e.Entry.Text)
		}
	case *network.EventRequestWillBeSent:
		h.requests = append(h.requests, e.Request.URL)
	}
}

// Complaints returns what the console has shown: messages, exceptions, and
// what the browser warns of, such as violations of the content security
// policy.
func (tab *Tab) Complaints() []string {
	tab.heard.mu.Lock()
	defer tab.heard.mu.Unlock()
	return slices.Clone(tab.heard.complaints)
}

// Requests returns the URLs that the tab has asked for.
func (tab *Tab) Requests() []string {
	tab.heard.mu.Lock()
	defer tab.heard.mu.Unlock()
	return slices.Clone(tab.heard.requests)
}
