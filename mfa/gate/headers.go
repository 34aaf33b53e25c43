package gate

import (
	"io"
	"net/http"
	"slices"
	"strings"
)

// identityPrefix is what the names begin with of the headers that tell an
// upstream who has shown a second factor; see isIdentity.
const identityPrefix = "x-mfa-"

// StripIdentity takes out of a request the headers that only the edge may
// set, X-MFA-*, in every spelling that a backend may read as one of them:
// from the headers, from the trailers, announced or not, and from the lists
// Connection and Trailer. It also takes out HTTP2-Settings, see Upgrades.
//
// From Connection it takes every name but close, keep-alive and upgrade. The
// proxy drops what is named there (RFC 9110, 7.6.1): a client could have it
// drop what the edge sets, or the access token that the edge has judged. A
// header that was named stays, as if it had not been.
//
// From the trailers it also takes those by which a backend that merges them
// with the headers would come to another caller than the edge. The headers are
// changed in place, and the body is replaced where trailers may follow it.
func StripIdentity(r *http.Request) {
	for name, values := range r.Header {
		switch {
		case isIdentity(name), isSettings(name):
			delete(r.Header, name)
		// The length first: it is asked about every header.
		case len(name) == len("Connection") && strings.EqualFold(name, "Connection"):
			stripList(r.Header, name, values, isNomination)
		case len(name) == len("Trailer") && strings.EqualFold(name, "Trailer"):
			stripList(r.Header, name, values, isIdentity)
		}
	}
	stripTrailers(r)
}

// isIdentity reports whether some backend may take name for X-MFA-….
func isIdentity(name string) bool { return beginsLike(name, identityPrefix) }

// beginsLike reports whether some backend may read the beginning of name, a
// header's, as prefix, in lower case and with dashes. Gateways turn what is no
// letter or digit into an underscore or a dash.
func beginsLike(name, prefix string) bool {
	if len(name) < len(prefix) || lower(name[0]) != prefix[0] {
		return false
	}
	for i := 1; i < len(prefix); i++ {
		c := lower(name[i])
		if prefix[i] != '-' {
			if c != prefix[i] {
				return false
			}
		} else if 'a' <= c && c <= 'z' || '0' <= c && c <= '9' {
			return false
		}
	}
	return true
}

// otherPaths are headers from which some servers take the path, if they are
// there: frameworks behind IIS the first two; gunicorn, and the usual
// middleware for WSGI behind a proxy, the part in front that they cut off.
var otherPaths = []string{"x-original-url", "x-rewrite-url", "script-name", "x-script-name"}

// StripPaths takes out of a request the headers, in every spelling, from which
// a backend may take another path than the one that a gate has judged.
func StripPaths(r *http.Request) {
	for name := range r.Header {
		if tellsPath(name) {
			delete(r.Header, name)
		}
	}
}

// tellsPath reports whether some backend may take name for one of otherPaths.
func tellsPath(name string) bool { return isLike(name, otherPaths) }

// isLike reports whether some backend may take name for one of headers, which
// are in lower case.
func isLike(name string, headers []string) bool {
	for _, header := range headers {
		if len(name) == len(header) && beginsLike(name, header) {
			return true
		}
	}
	return false
}

// isNomination reports whether name, in Connection, makes a proxy drop a
// header that the client sent on purpose, or that the edge sets.
func isNomination(name string) bool {
	switch len(name) {
	case 0:
		return false
	case len("close"):
		return !strings.EqualFold(name, "close")
	case len("upgrade"):
		return !strings.EqualFold(name, "upgrade")
	case len("keep-alive"):
		return !strings.EqualFold(name, "keep-alive")
	}
	return true
}

// stripList takes the names that are unwanted out of a header that lists
// names, and the header when it lists nothing else. The slice of values is not
// changed: others may hold it.
func stripList(h http.Header, list string, values []string, unwanted func(name string) bool) {
	if !lists(values, unwanted) {
		return
	}
	var kept []string
	for i, value := range values {
		if lists(values[i:i+1], unwanted) {
			names := slices.DeleteFunc(strings.Split(value, ","), func(name string) bool {
				name = strings.TrimSpace(name)
				return name == "" || unwanted(name)
			})
			if len(names) == 0 {
				continue
			}
			value = strings.TrimSpace(strings.Join(names, ","))
		}
		kept = append(kept, value)
	}
	if len(kept) == 0 {
		delete(h, list)
		return
	}
	h[list] = kept
}

// lists reports whether one of the values lists an unwanted name.
func lists(values []string, unwanted func(name string) bool) bool {
	for _, value := range values {
		for name := range strings.SplitSeq(value, ",") {
			if unwanted(strings.TrimSpace(name)) {
				return true
			}
		}
	}
	return false
}

// stripTrailers strips the trailers that are announced, and those that come:
// net/http takes up others too, into the map of the announced ones.
func stripTrailers(r *http.Request) {
	stripTrailer(r.Trailer)
	if r.Body == nil || r.Body == http.NoBody {
		return
	}
	// Without an announcement only chunked bodies bring trailers. The body of
	// a CONNECT, of unknown length too, is a tunnel.
	if r.Trailer == nil && (r.ContentLength >= 0 || r.Method == http.MethodConnect) {
		return
	}
	if b, ok := r.Body.(*strippedBody); ok && b.request == r {
		return
	}
	r.Body = &strippedBody{ReadCloser: r.Body, request: r}
}

func stripTrailer(h http.Header) {
	for name := range h {
		if isIdentity(name) || tellsPath(name) || isSettings(name) || slices.ContainsFunc(notInTrailers, func(other string) bool { return strings.EqualFold(name, other) }) {
			delete(h, name)
		}
	}
}

// notInTrailers are headers that must not come behind the body (RFC 9110,
// 6.5.1), and by which a backend that takes them all the same would come to
// another caller or target than the gate, or to another protocol.
var notInTrailers = []string{"Authorization", "Cookie", "Connection", "Destination", "Host", "Upgrade"}

// strippedBody strips the trailers of a request in the Read that brings
// them, before whoever reads the body can send them on.
type strippedBody struct {
	io.ReadCloser
	request *http.Request
}

func (b *strippedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		stripTrailer(b.request.Trailer)
	}
	return n, err
}
