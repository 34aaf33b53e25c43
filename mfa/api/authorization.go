package api

import (
	"net/http"
	"strings"
)

// token finds the caller's access token (RFC 6750, 2.1), in the
// Authorization header or else in the configured cookie.
func (h *Handler) token(r *http.Request) (string, error) {
	values := r.Header.Values("Authorization")
	switch len(values) {
	case 0:
		return h.cookieToken(r)
	case 1:
		scheme, token, _ := strings.Cut(strings.TrimSpace(values[0]), " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return "", errNoCredentials
		}
		return strings.TrimSpace(token), nil
	default:
		// Which of them counts is what a smuggled header would exploit.
		return "", badRequest("The request has more than one Authorization header: send exactly one.")
	}
}

// cookieToken takes the token from the cookie. Browsers attach cookies to
// requests of any page, so an unsafe method, or an upgrade, must come from
// a page of ours or of a listed origin.
func (h *Handler) cookieToken(r *http.Request) (string, error) {
	if h.cookie == "" {
		return "", errNoCredentials
	}
	cookies := r.CookiesNamed(h.cookie)
	if len(cookies) == 0 || cookies[0].Value == "" {
		return "", errNoCredentials
	}
	if len(cookies) > 1 {
		// A sibling domain can plant a second one, and the order says nothing.
		return "", badRequest("The request has more than one cookie named " + h.cookie + ": clear the site's cookies and sign in again.")
	}
	if !safe(r.Method) || r.Header.Get("Upgrade") != "" {
		origins := r.Header.Values("Origin")
		if len(origins) != 1 || !h.allowsOrigin(origins[0]) {
			return "", errOrigin
		}
	}
	return cookies[0].Value, nil
}

// safe reports whether a method changes nothing (RFC 9110, 9.2.1).
func safe(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}
