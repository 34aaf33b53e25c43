package gate

import (
	"net/http"
	"slices"
	"strings"
)

// identityPrefix is what the names begin with of the headers that tell an
// upstream who has shown a second factor, in the form of foldName.
const identityPrefix = "x-mfa-"

// StripIdentity takes out of a request the headers that only the edge may
// set, X-MFA-*, in every spelling that a backend may read as one of them,
// and their mention in Connection, by which a client would have the proxy
// drop those that the edge sets. The map is changed in place.
func StripIdentity(r *http.Request) {
	strip(r.Header)
	if r.Trailer != nil {
		strip(r.Trailer)
	}
}

func strip(h http.Header) {
	for name := range h {
		if isIdentity(name) {
			delete(h, name)
		}
	}
	for _, list := range []string{"Connection", "Trailer"} {
		if values := h[list]; values != nil {
			stripList(h, list, values)
		}
	}
}

// isIdentity reports whether some backend may take name for X-MFA-….
// Gateways turn what is no letter or digit into an underscore or a dash.
func isIdentity(name string) bool {
	if len(name) < len(identityPrefix) || name[0]|0x20 != 'x' {
		return false
	}
	for i := 1; i < len(identityPrefix); i++ {
		want, c := identityPrefix[i], name[i]
		if want == '-' {
			if 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' {
				return false
			}
		} else if c|0x20 != want {
			return false
		}
	}
	return true
}

// stripList takes the names out of a header that lists names.
func stripList(h http.Header, list string, values []string) {
	if !slices.ContainsFunc(values, func(v string) bool { return slices.ContainsFunc(strings.Split(v, ","), isListed) }) {
		return
	}
	var kept []string
	for _, value := range values {
		names := slices.DeleteFunc(strings.Split(value, ","), isListed)
		if joined := strings.TrimSpace(strings.Join(names, ",")); joined != "" {
			kept = append(kept, joined)
		}
	}
	if len(kept) == 0 {
		delete(h, list)
		return
	}
	h[list] = kept
}

func isListed(name string) bool { return isIdentity(strings.TrimSpace(name)) }

// RemoveCookie takes the cookie called name out of a request's Cookie
// headers and leaves the others as they are, byte by byte. It reports
// whether there was one.
func RemoveCookie(h http.Header, name string) bool {
	lines := h["Cookie"]
	if !slices.ContainsFunc(lines, func(line string) bool { return strings.Contains(line, name) }) {
		return false
	}
	var kept []string
	found := false
	for _, line := range lines {
		pairs := strings.Split(line, ";")
		others := slices.DeleteFunc(slices.Clone(pairs), func(pair string) bool {
			key, _, _ := strings.Cut(pair, "=")
			return strings.TrimSpace(key) == name
		})
		if len(others) == len(pairs) {
			kept = append(kept, line)
			continue
		}
		found = true
		if joined := strings.TrimLeft(strings.Join(others, ";"), " "); joined != "" {
			kept = append(kept, joined)
		}
	}
	switch {
	case !found:
	case len(kept) == 0:
		delete(h, "Cookie")
	default:
		h["Cookie"] = kept
	}
	return found
}
