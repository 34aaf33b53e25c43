package api

import (
	"net/http"
	"slices"
)

// cors lets pages of the listed origins read answers, and answers their
// preflights, which carry no bearer. It reports whether r was answered.
func (h *Handler) cors(w http.ResponseWriter, r *http.Request, route *Route) bool {
	if !h.exposeRefusal(w, r) {
		return false
	}
	return preflight(w, r, route.allow(), "Authorization, Content-Type")
}

// gatePreflight answers the preflights of pages of the listed origins for a
// route behind a gate. What is allowed there the upstream decides: its
// answer to the request itself is what the page may read or not.
func (h *Handler) gatePreflight(w http.ResponseWriter, r *http.Request) bool {
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" ||
		!slices.Contains(h.listed, r.Header.Get("Origin")) {
		return false
	}
	h.exposeRefusal(w, r)
	return preflight(w, r, r.Header.Get("Access-Control-Request-Method"), r.Header.Get("Access-Control-Request-Headers"))
}

// exposeRefusal lets pages of the listed origins read this answer, and the
// headers that tell why. It reports whether r comes from one.
func (h *Handler) exposeRefusal(w http.ResponseWriter, r *http.Request) bool {
	if len(h.listed) == 0 {
		return false
	}
	header := w.Header()
	header.Add("Vary", "Origin")
	from := r.Header.Get("Origin")
	if !slices.Contains(h.listed, from) {
		return false
	}
	header.Set("Access-Control-Allow-Origin", from)
	header.Set("Access-Control-Allow-Credentials", "true")
	header.Set("Access-Control-Expose-Headers", "WWW-Authenticate, Retry-After")
	return true
}

// preflight answers a CORS preflight. It reports whether r is one.
func preflight(w http.ResponseWriter, r *http.Request, methods, headers string) bool {
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	header := w.Header()
	header.Del("Access-Control-Expose-Headers")
	header.Set("Access-Control-Allow-Methods", methods)
	if headers != "" {
		header.Set("Access-Control-Allow-Headers", headers)
	}
	header.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
	return true
}
