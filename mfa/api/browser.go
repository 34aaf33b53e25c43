package api

import (
	"net/http"
	"net/url"
	"slices"
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

// ReturnTo is the target of a request as a path of this origin, "/" for
// one that a browser might read as another origin's.
func ReturnTo(target string) string {
	const longest = 2048
	odd := func(r rune) bool { return r <= ' ' || r == '\\' || r >= 0x7f }
	if !strings.HasPrefix(target, "/") || strings.HasPrefix(target, "//") || len(target) > longest || strings.ContainsFunc(target, odd) {
		return "/"
	}
	return target
}

// loginTarget is where a browser that asks for target is sent to sign in. A
// query parameter return_to that the operator has left empty in the login's
// URL gets the page to come back to: a whole URL, as the login may be at
// another origin. A login that does not ask for it is not told.
func (h *Handler) loginTarget(r *http.Request, target string) string {
	const parameter = "return_to="
	login, err := url.Parse(h.loginURL)
	if err != nil {
		return h.loginURL
	}
	parts := strings.Split(login.RawQuery, "&")
	at := slices.Index(parts, parameter)
	if at < 0 {
		return h.loginURL
	}
	parts[at] += url.QueryEscape(h.ownOrigin(r) + ReturnTo(target))
	login.RawQuery = strings.Join(parts, "&")
	return login.String()
}

// ownOrigin is the public URL that a request came by, the first one where
// that is not known.
func (h *Handler) ownOrigin(r *http.Request) string {
	for _, origin := range h.own {
		if _, host, _ := strings.Cut(origin, "://"); strings.EqualFold(host, r.Host) {
			return origin
		}
	}
	return h.own[0]
}

// redirect sends a browser elsewhere. No cache keeps that.
func redirect(w http.ResponseWriter, r *http.Request, to string) {
	setHeaders(w)
	discardBody(w, r)
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusFound)
}
