package gate

import (
	"net/http"
	"strings"
)

// TrimHost takes the dots off the end of the host that a request names.
// Apache, nginx and Django take example.com. for example.com; Caddy's host
// matchers do not, and such a request would go past a gate that one of them
// leads to.
func TrimHost(r *http.Request) {
	host, port := r.Host, ""
	if i := strings.LastIndexByte(host, ':'); i >= 0 {
		host, port = host[:i], host[i:]
	}
	if strings.HasSuffix(host, ".") {
		r.Host = strings.TrimRight(host, ".") + port
	}
}
