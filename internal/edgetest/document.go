package edgetest

import (
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/caddymfa/caddy-mfa/internal/openapitest"
	"github.com/caddymfa/caddy-mfa/mfa/api"
)

// Check holds the answer to r, which Try got, against the OpenAPI document.
// Do, Send and Raw do so themselves.
func (e *Edge) Check(r *http.Request, answer Answer) {
	e.t.Helper()
	e.check(r.Method, r.URL.RequestURI(), answer)
}

// check holds an answer of the API against the OpenAPI document that the
// edge itself serves, so that no test has to. Pages and what they load are
// not part of it, nor is what the upstream answers.
func (e *Edge) check(method, target string, answer Answer) {
	e.t.Helper()
	u, err := url.ParseRequestURI(target)
	if err != nil || !e.serves(u.Path) {
		return
	}
	e.openapi().Check(e.t, openapitest.Exchange{
		Method: method, Target: target, Status: answer.Status, Header: answer.Header, Body: []byte(answer.Body),
	})
}

// serves reports whether a path is a route of the API.
func (e *Edge) serves(p string) bool {
	if e.NoAPI {
		return false
	}
	routes, err := api.NewRoutes(e.prefix())
	if err != nil {
		e.t.Fatal(err)
	}
	if route, ok := routes.Find(p); !ok || !route.Offered() {
		return false
	}
	p = path.Clean(strings.ToLower(p))
	return p != e.prefix() && p != e.prefix()+"/magic-link" && !strings.Contains(p, "/assets/")
}

func (e *Edge) prefix() string {
	if e.Prefix != "" {
		return e.Prefix
	}
	return "/mfa"
}

// openapi is the document, loaded with the first answer that needs it.
func (e *Edge) openapi() *openapitest.Document {
	e.t.Helper()
	if e.document == nil {
		r, err := http.NewRequestWithContext(e.t.Context(), http.MethodGet, e.URL+e.prefix()+"/openapi.json", nil)
		if err != nil {
			e.t.Fatal(err)
		}
		answer, err := Try(r)
		if err != nil {
			e.t.Fatal(err)
		}
		if answer.Status != http.StatusOK {
			e.t.Fatalf("the OpenAPI document is answered %d %s", answer.Status, answer.Body)
		}
		e.document = openapitest.Load(e.t, []byte(answer.Body))
	}
	return e.document
}
