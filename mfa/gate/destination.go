package gate

import (
	"net/http"
	"net/url"
)

// MatchDestination reports whether a request names a guarded path as the one
// to copy or move to (RFC 4918, section 10.3): a backend that knows WebDAV
// writes there, whatever the path of the request itself. Methods are not
// looked at, as some backends take them from elsewhere. What cannot be read is
// guarded.
func (p *Paths) MatchDestination(h http.Header) bool {
	for _, value := range h["Destination"] {
		if u, err := url.Parse(value); err != nil || p.Match(u) {
			return true
		}
	}
	return false
}
