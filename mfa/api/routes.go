package api

import (
	"errors"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/caddymfa/caddy-mfa/mfa/web"
)

// Route is one path of the API and what it does for each method.
type Route struct {
	methods map[string]func(*Handler, http.ResponseWriter, *http.Request) error
}

type methods = map[string]func(*Handler, http.ResponseWriter, *http.Request) error

// allow is the value of the Allow header.
func (r *Route) allow() string {
	var names []string
	for name := range r.methods {
		names = append(names, name)
		if name == http.MethodGet {
			names = append(names, http.MethodHead)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// table holds the routes by their path under the prefix, with those of the
// files that pages load.
var table = map[string]*Route{
	"/setup":                         post((*Handler).setup),
	"/verify-setup":                  post((*Handler).verifySetup),
	"/verify-login":                  post((*Handler).verifyLogin),
	"/status":                        get((*Handler).status),
	"/methods":                       get((*Handler).methods),
	"/enable":                        post((*Handler).enable),
	"/disable":                       post((*Handler).disable),
	"/primary":                       post((*Handler).primary),
	"/reset":                         post((*Handler).reset),
	"/organization/enforce":          post((*Handler).enforce),
	"/magic-link":                    get((*Handler).magicLinkPage),
	"/magic-link/send":               post((*Handler).sendLink),
	"/magic-link/activate":           post((*Handler).activateLink),
	"/magic-link/inspect":            post((*Handler).inspectLink),
	"/magic-link/deny":               post((*Handler).denyLink),
	"/passkey/auth-options":          post((*Handler).passkeyOptions),
	"/passkey/complete-registration": post((*Handler).completeRegistration),
	"/backup-codes":                  post((*Handler).backupCodes),
	"/refresh":                       post((*Handler).refresh),
	"/sign-out":                      post((*Handler).signOut),
	"/credentials":                   get((*Handler).listCredentials),
	"/jwks.json":                     get((*Handler).jwks),
	"/openapi.json":                  get((*Handler).openAPI),
	"":                               get((*Handler).selfService),
}

// reserved are paths of the published API that this build does not serve. They
// answer 404 and never go to the upstream, so that a client which was written
// for the whole API does not send a backend what is meant for the edge.
var reserved = map[string]*Route{
	"/backup-codes/confirm": {},
	"/events":               {},
}

// Offered reports whether the route is served. One that is only reserved
// answers 404.
func (r *Route) Offered() bool { return len(r.methods) > 0 }

func init() {
	for _, name := range web.AssetNames() {
		table["/assets/"+name] = get((*Handler).asset)
	}
}

func get(serve func(*Handler, http.ResponseWriter, *http.Request) error) *Route {
	return &Route{methods{http.MethodGet: serve}}
}

func post(serve func(*Handler, http.ResponseWriter, *http.Request) error) *Route {
	return &Route{methods{http.MethodPost: serve}}
}

// credentialsPath is the path of one credential, whose ID is the last segment.
const credentialsPath = "/credentials/"

// credentialRoute is the route of one credential.
var credentialRoute = &Route{methods{
	http.MethodPatch:  (*Handler).renameCredential,
	http.MethodDelete: (*Handler).removeCredential,
}}

// Routes finds the route of a request's path. It is safe for concurrent
// use.
type Routes struct {
	prefix string
}

// NewRoutes returns the routes under prefix, such as "/mfa": a clean,
// lowercase ASCII path without a trailing slash.
func NewRoutes(prefix string) (*Routes, error) {
	if len(prefix) < 2 || !tidy(prefix) || !lowercase(prefix) || strings.HasSuffix(prefix, "/") || strings.ContainsAny(prefix, "*{}%?#;\\ ") {
		return nil, errors.New("the prefix must be a lowercase path such as /mfa, without a trailing slash")
	}
	return &Routes{prefix: prefix}, nil
}

// Find returns the route for the decoded path of a request. Paths are
// compared as Caddy's path matcher compares them: without regard to case,
// doubled slashes and dot segments; and a trailing slash is taken off. No
// spelling that this matcher takes for a route gets to the upstream.
func (r *Routes) Find(p string) (*Route, bool) {
	tidied := tidy(p)
	if tidied && r.outside(p) {
		return nil, false // as nearly every request is, at no cost
	}
	if !tidied || !lowercase(p) {
		p = path.Clean(strings.ToLower(p))
	}
	rest, ok := strings.CutPrefix(p, r.prefix)
	if !ok {
		return nil, false
	}
	rest = strings.TrimSuffix(rest, "/")
	if route, ok := table[rest]; ok {
		return route, true
	}
	if route, ok := reserved[rest]; ok {
		return route, true
	}
	if id, ok := strings.CutPrefix(rest, credentialsPath); ok && !strings.Contains(id, "/") {
		return credentialRoute, true
	}
	return nil, false
}

// outside reports whether p, a tidy path, differs from the prefix within
// the prefix's length, whatever the case of its letters.
func (r *Routes) outside(p string) bool {
	for i := 0; i < len(r.prefix); i++ {
		if i == len(p) {
			return true
		}
		c := p[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c >= 0x80 {
			return false // may be an ASCII letter in lower case
		}
		if c != r.prefix[i] {
			return true
		}
	}
	return false
}

// tidy reports whether cleaning would leave p as it is, but for a trailing
// slash: it begins with a slash and has neither a doubled one nor a segment
// that begins with a dot.
func tidy(p string) bool {
	if p == "" || p[0] != '/' {
		return false
	}
	for p != "/" {
		if p[1] == '/' || p[1] == '.' {
			return false
		}
		next := strings.IndexByte(p[1:], '/')
		if next < 0 {
			return true
		}
		p = p[1+next:]
	}
	return true
}

// lowercase reports whether p is ASCII without capitals.
func lowercase(p string) bool {
	for i := 0; i < len(p); i++ {
		if c := p[i]; 'A' <= c && c <= 'Z' || c >= 0x80 {
			return false
		}
	}
	return true
}
