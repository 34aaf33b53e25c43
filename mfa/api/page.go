package api

import (
	"net/http"
	"path"
	"strings"

	"github.com/caddymfa/caddy-mfa/mfa/web"
)

// magicLinkPage serves GET /mfa/magic-link, where mailed links lead. The
// token is in the URL's fragment, which no server sees: looking at the
// page, as mail scanners do, spends nothing.
func (h *Handler) magicLinkPage(w http.ResponseWriter, r *http.Request) error {
	if h.linkPage == nil {
		return errNotFound
	}
	if slashes := len(r.URL.Path) - len(strings.TrimRight(r.URL.Path, "/")); slashes > 0 {
		// The page refers to its parts relative to the path without a
		// slash. A browser keeps the fragment.
		w.Header().Set("Location", strings.Repeat("../", slashes)+"magic-link")
		w.WriteHeader(http.StatusPermanentRedirect)
		return nil
	}
	return writePage(w, r, h.linkPage)
}

// verifyPage serves GET /mfa/, where a gate sends browsers.
func (h *Handler) verifyPage(w http.ResponseWriter, r *http.Request) error {
	if h.page == nil {
		return errNotFound
	}
	if !strings.HasSuffix(r.URL.Path, "/") || strings.HasSuffix(r.URL.Path, "//") {
		// The page refers to its parts relative to the path with one slash.
		to := h.prefix + "/"
		if r.URL.RawQuery != "" {
			to += "?" + r.URL.RawQuery
		}
		w.Header().Set("Location", to)
		w.WriteHeader(http.StatusPermanentRedirect)
		return nil
	}
	return writePage(w, r, h.page)
}

func writePage(w http.ResponseWriter, r *http.Request, page []byte) error {
	w.Header().Set("Content-Security-Policy", web.ContentSecurityPolicy)
	w.Header().Set("Referrer-Policy", web.ReferrerPolicy)
	w.Header().Set("Cross-Origin-Opener-Policy", "same-origin")
	return writeFile(w, r, web.PageContentType, page)
}

// asset serves the files that pages load.
func (h *Handler) asset(w http.ResponseWriter, r *http.Request) error {
	content, contentType, ok := web.Asset(strings.ToLower(path.Base(path.Clean(r.URL.Path))))
	if !ok || h.linkPage == nil && h.page == nil {
		return errNotFound
	}
	return writeFile(w, r, contentType, content)
}

func writeFile(w http.ResponseWriter, r *http.Request, contentType string, content []byte) error {
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(content) // a client that is gone needs no page
	}
	return nil
}
