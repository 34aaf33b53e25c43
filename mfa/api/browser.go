package api

import (
	"net/http"
	"strings"
)

// wantsPage reports whether a browser asks for a page to show.
func wantsPage(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" && mode != "navigate" {
		return false // a script's request, which would follow the redirect into a page
	}
	return strings.Contains(strings.ToLower(r.Header.Get("Accept")), "text/html")
}

// returnTo is the target of a request as a path of this origin, "/" for
// one that a browser might read as another origin's.
func returnTo(target string) string {
	const longest = 2048
	odd := func(r rune) bool { return r <= ' ' || r == '\\' || r >= 0x7f }
	if !strings.HasPrefix(target, "/") || strings.HasPrefix(target, "//") || len(target) > longest || strings.ContainsFunc(target, odd) {
		return "/"
	}
	return target
}

// redirect sends a browser elsewhere. No cache keeps that.
func redirect(w http.ResponseWriter, r *http.Request, to string) {
	setHeaders(w)
	discardBody(w, r)
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusFound)
}
