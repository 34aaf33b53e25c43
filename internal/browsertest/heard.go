package browsertest

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// heard is what a tab has told of itself.
type heard struct {
	mu         sync.Mutex
	complaints []string
	requests   []string
	contexts   map[string]string // where a frame's scripts run, by its origin
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
	case *runtime.EventExecutionContextCreated:
		if e.Context.Name == "" { // not a world of the protocol's own
			h.contexts[e.Context.Origin] = e.Context.UniqueID
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

// EvalIn is Eval in the frame of an origin, which is not that of the tab's
// own document. It returns "" while there is no such frame.
func (tab *Tab) EvalIn(origin, expression string) string {
	tab.T.Helper()
	tab.heard.mu.Lock()
	id := tab.heard.contexts[origin]
	tab.heard.mu.Unlock()
	if id == "" {
		return ""
	}
	yes := true
	result, err := chromedp.Call(tab.Ctx, runtime.Evaluate, runtime.EvaluateParams{
		Expression: "(async () => String(await (" + expression + ")))()", UniqueContextID: id,
		AwaitPromise: &yes, ReturnByValue: &yes, UserGesture: &yes,
	})
	if err != nil || result.ExceptionDetails != nil {
		return "" // it is just loading another document
	}
	var value string
	if err := json.Unmarshal(result.Result.Value, &value); err != nil {
		tab.T.Fatalf("%s: %v", expression, err)
	}
	return value
}
