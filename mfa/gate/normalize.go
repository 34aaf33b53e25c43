package gate

import (
	"net/http"
	"slices"
	"strings"
)

// Normalize makes of a request what many backends make of it, so that Caddy's
// own matchers, by which a gate may be asked, see the same:
//
// The dots at the end of the host are taken off: Apache, nginx and Django take
// example.com. for example.com.
//
// The usual methods are written in upper case: PHP frameworks and Werkzeug take
// post for POST.
//
// Headers that name another method are taken out unless the method is POST,
// which is what they are for: some middleware heeds them on every request.
func Normalize(r *http.Request) {
	host, port := r.Host, ""
	if i := strings.LastIndexByte(host, ':'); i >= 0 {
		host, port = host[:i], host[i:]
	}
	if strings.HasSuffix(host, ".") {
		r.Host = strings.TrimRight(host, ".") + port
	}
	if upper := strings.ToUpper(r.Method); upper != r.Method && slices.Contains(usualMethods, upper) {
		r.Method = upper
	}
	if r.Method == http.MethodPost {
		return
	}
	for name := range r.Header {
		if isLike(name, methodHeaders) {
			delete(r.Header, name)
		}
	}
}

var usualMethods = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions, http.MethodTrace,
}

// methodHeaders are headers from which some backends take the method.
var methodHeaders = []string{"x-http-method-override", "x-http-method", "x-method-override"}
