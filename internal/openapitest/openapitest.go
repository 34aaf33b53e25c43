// Package openapitest holds answers of the HTTP API against its OpenAPI
// document, so that neither can change without the other.
package openapitest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// Exchange is a request and what was answered to it.
type Exchange struct {
	Method string
	Target string // path of the request, with the prefix; a query is ignored
	Status int
	Header http.Header // of the answer
	Body   []byte      // of the answer
}

// Document is an OpenAPI document. It is safe for concurrent use.
type Document struct {
	prefix string
	paths  []pathItem
	// notAllowed is any path's answer to a method that it does not have.
	notAllowed *response
}

// pathItem is what a path answers, by method and status.
type pathItem struct {
	template   string
	operations map[string]map[int]*response
}

// Load reads a document, as openapi.Document returns it. The routes are
// expected under the path of its server's URL.
func Load(tb testing.TB, document []byte) *Document {
	tb.Helper()
	d, err := load(document)
	if err != nil {
		tb.Fatalf("loading OpenAPI document: %v", err)
	}
	return d
}

// Check fails the test when e is not as the document says.
func (d *Document) Check(tb testing.TB, e Exchange) {
	tb.Helper()
	if err := d.Verify(e); err != nil {
		tb.Errorf("%s %s, answered %d: %v", e.Method, e.Target, e.Status, err)
	}
}

// Verify tells how e differs from the document: in a path, method, status,
// header, content type or body that is not documented. Headers beyond those
// of the document are let pass.
func (d *Document) Verify(e Exchange) error {
	item, err := d.find(e.Target)
	if err != nil {
		return err
	}
	method := e.Method
	if method == http.MethodHead && item.operations[method] == nil {
		method = http.MethodGet
	}
	answers, ok := item.operations[method]
	if !ok {
		return d.verifyOtherMethod(item, e)
	}
	answer, ok := answers[e.Status]
	if !ok {
		return fmt.Errorf("the status is not documented for %s %s", method, item.template)
	}
	return answer.verify(e)
}

// verifyOtherMethod verifies the answer to a method that the path does not
// have: that of a CORS preflight, or a refusal.
func (d *Document) verifyOtherMethod(item pathItem, e Exchange) error {
	switch {
	case e.Method == http.MethodOptions && e.Status == http.StatusNoContent &&
		e.Header.Get("Access-Control-Allow-Methods") == strings.Join(item.allow(), ", "):
		return nil
	case e.Status != http.StatusMethodNotAllowed || d.notAllowed == nil:
		return fmt.Errorf("the method is not documented for %s", item.template)
	case e.Header.Get("Allow") != strings.Join(item.allow(), ", "):
		return fmt.Errorf("header Allow is %q, documented for %s is %v", e.Header.Get("Allow"), item.template, item.allow())
	}
	return d.notAllowed.verify(e)
}

// allow lists the methods of the path, in alphabetical order.
func (p pathItem) allow() []string {
	var methods []string
	for method := range p.operations {
		methods = append(methods, method)
		if method == http.MethodGet {
			methods = append(methods, http.MethodHead)
		}
	}
	slices.Sort(methods)
	return slices.Compact(methods)
}
