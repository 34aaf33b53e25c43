package api

import (
	"net/http"
	"strings"

	"github.com/caddymfa/caddy-mfa/mfa/gate"
)

var errTwoAuthorizations = badRequest("The request has more than one Authorization header: send exactly one.")

// token finds the caller's access token (RFC 6750, 2.1), in the
// Authorization header or else in the configured cookie.
func (h *Handler) token(r *http.Request) (token string, byCookie bool, err error) {
	values := r.Header.Values("Authorization")
	switch len(values) {
	case 0:
		token, err = h.cookieToken(r)
		return token, true, err
	case 1:
		token, ok := bearerOf(values[0])
		if !ok {
			return "", false, errNoCredentials
		}
		return token, false, nil
	default:
		// Which of them counts is what a smuggled header would exploit.
		return "", false, errTwoAuthorizations
	}
}

// bearerOf returns the token of an Authorization header of the scheme
// Bearer.
func bearerOf(value string) (token string, ok bool) {
	value = strings.TrimSpace(value)
	end := strings.IndexAny(value, " \t")
	if end < 0 {
		end = len(value)
	}
	if !strings.EqualFold(value[:end], "Bearer") {
		return "", false
	}
	return strings.TrimSpace(value[end:]), true
}

// cookieToken takes the token from the cookie. Browsers attach cookies to
// requests of any page, so an unsafe method, or an upgrade, must come from
// a page of ours or of a listed origin.
func (h *Handler) cookieToken(r *http.Request) (string, error) {
	if h.cookie == "" {
		return "", errNoCredentials
	}
	cookies, sure := gate.Cookies(r.Header, h.cookie)
	if len(cookies) == 0 {
		return "", errNoCredentials
	}
	if len(cookies) > 1 || !sure {
		// A sibling domain can plant a second one, and the order says nothing.
		return "", h.errCookies()
	}
	token := unquoted(cookies[0])
	if token == "" {
		return "", errNoCredentials
	}
	if !safe(r.Method) || r.Header.Get("Upgrade") != "" {
		origins := r.Header.Values("Origin")
		if len(origins) != 1 || !h.allowsOrigin(origins[0]) {
			return "", errOrigin
		}
	}
	return token, nil
}

// ownCookie sees to it that a request which brought its access token in the
// header has none of somebody else in the cookie: an upstream may look there
// first, and a stolen one would come in by the second factor of the thief. Such
// a cookie is taken out, as is one whose token is not good.
func (h *Handler) ownCookie(r *http.Request, c credentials) error {
	if h.cookie == "" || c.byCookie || r.Header["Cookie"] == nil {
		return nil
	}
	cookies, sure := gate.Cookies(r.Header, h.cookie)
	if !sure {
		return h.errCookies()
	}
	for _, cookie := range cookies {
		token := unquoted(cookie)
		if token == "" || token == c.token {
			continue
		}
		identity, err := h.verifier.Verify(r.Context(), token)
		if err != nil || identity.Issuer != c.identity.Issuer || identity.Subject != c.identity.Subject {
			gate.RemoveCookie(r.Header, h.cookie)
			return nil
		}
	}
	return nil
}

// errCookies is the refusal of a request in which an upstream may find another
// access token than the edge does.
func (h *Handler) errCookies() error {
	return badRequest("The request has more than one cookie named " + h.cookie + ", or one that may be read as another: clear the site's cookies and sign in again.")
}

// safe reports whether a method changes nothing (RFC 9110, 9.2.1).
func safe(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}
