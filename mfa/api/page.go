package api

import (
	"bytes"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/web"
)

// magicLinkPage serves GET /mfa/magic-link, where mailed links lead. The
// token is in the URL's fragment, which no server sees: looking at the
// page, as mail scanners do, spends nothing.
func (h *Handler) magicLinkPage(w http.ResponseWriter, r *http.Request) error {
	if !h.linkPage {
		return errNotFound
	}
	if leadTo(w, r, h.prefix+"/magic-link") {
		return nil
	}
	content, policy := h.site.LinkPage(r.Header.Get("Accept-Language"))
	return writePage(w, r, content, policy)
}

// selfService serves GET /mfa/, where people set factors up and manage them,
// and where a gate sends browsers.
func (h *Handler) selfService(w http.ResponseWriter, r *http.Request) error {
	if !h.page {
		return errNotFound
	}
	if leadTo(w, r, h.prefix+"/") {
		return nil
	}
	content, policy := h.site.Page(r.Header.Get("Accept-Language"))
	return writePage(w, r, content, policy)
}

// leadTo sends a browser that has asked for a page by another spelling of
// its path to own, and reports whether it did. A page refers to its parts
// relative to its URL: at /files/x%2f..%2f..%2fmfa%2f, of which a browser
// takes the last part for one segment, they would be files of the
// upstream's. A browser keeps the fragment.
func leadTo(w http.ResponseWriter, r *http.Request, own string) bool {
	own = (&url.URL{Path: own}).EscapedPath()
	if r.URL.EscapedPath() == own {
		return false
	}
	if r.URL.RawQuery != "" {
		own += "?" + r.URL.RawQuery
	}
	w.Header().Set("Location", own)
	w.WriteHeader(http.StatusPermanentRedirect)
	return true
}

func writePage(w http.ResponseWriter, r *http.Request, content []byte, policy string) error {
	header := w.Header()
	header.Set("Content-Security-Policy", policy)
	header.Set("Referrer-Policy", web.ReferrerPolicy)
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Add("Vary", "Accept-Language")
	return writeFile(w, r, web.PageContentType, content)
}

// asset serves the files that pages load. Browsers keep them and ask each
// time whether they still are the current ones.
func (h *Handler) asset(w http.ResponseWriter, r *http.Request) error {
	asset, ok := h.site.Asset(strings.ToLower(path.Base(path.Clean(r.URL.Path))))
	if !ok || !h.linkPage && !h.page {
		return errNotFound
	}
	header := w.Header()
	header.Set("Content-Type", asset.ContentType)
	header.Set("Cache-Control", "no-cache")
	header.Set("ETag", asset.ETag)
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	if asset.Policy != "" {
		header.Set("Content-Security-Policy", asset.Policy)
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(asset.Content))
	return nil
}

func writeFile(w http.ResponseWriter, r *http.Request, contentType string, content []byte) error {
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(content) // a client that is gone needs no page
	}
	return nil
}
