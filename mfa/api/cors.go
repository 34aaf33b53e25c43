package api

import (
	"net/http"
	"slices"
)

// cors lets pages of the listed origins read answers, and answers their
// preflights, which carry no bearer. It reports whether r was answered.
func (h *Handler) cors(w http.ResponseWriter, r *http.Request, route *Route) bool {
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
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		header.Set("Access-Control-Expose-Headers", "WWW-Authenticate, Retry-After")
		return false
	}
	header.Set("Access-Control-Allow-Methods", route.allow())
	header.Set("Access-Control-Allow-Headers", "Authorization, Content-Type")
	header.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
	return true
}
