package api

import "net/http"

// early reports whether a request came as early data (TLS 0-RTT), which
// whoever sees it can replay without any key, or may have done so on its way
// here (RFC 8470, 5.1). Any value of Early-Data counts as 1, and anybody may
// set it: all that it can do is to have the request refused.
func early(r *http.Request) bool {
	return r.TLS != nil && !r.TLS.HandshakeComplete || r.Header["Early-Data"] != nil
}
