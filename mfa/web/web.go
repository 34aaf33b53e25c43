// Package web holds the pages that people meet in a browser, ready to be
// served: plain HTML, CSS and JavaScript without a build step.
//
// A page refers to everything relative to its own URL, so it works under
// any prefix. The page of a magic link belongs at PREFIX/magic-link,
// without a trailing slash, its assets at PREFIX/assets/NAME, and it
// posts to PREFIX/magic-link/inspect, activate and deny.
package web

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
)

const (
	// PageContentType is the media type of a page.
	PageContentType = "text/html; charset=utf-8"

	// ContentSecurityPolicy is what a page has to be served with (CSP level
	// 3): it loads and reaches its own origin only, runs no inline script, and
	// cannot be framed.
	ContentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " +
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

	// ReferrerPolicy is what a page has to be served with, so that its URL
	// goes to nobody.
	ReferrerPolicy = "no-referrer"
)

var (
	//go:embed assets/magic-link.html
	magicLinkHTML string
	//go:embed assets/magic-link.js
	magicLinkJS []byte
	//go:embed assets/verify.html
	verifyHTML string
	//go:embed assets/verify.js
	verifyJS []byte
	//go:embed assets/page.css
	pageCSS []byte

	magicLinkTemplate = template.Must(template.New("magic-link.html").Parse(magicLinkHTML))
	verifyTemplate    = template.Must(template.New("verify.html").Parse(verifyHTML))
)

// MagicLinkPage returns the page that a magic link opens. It shows
// service, the name that people know the service by. The page confirms
// nothing until its button is pressed.
func MagicLinkPage(service string) ([]byte, error) { return render(magicLinkTemplate, service) }

// VerifyPage returns the page at which a person shows a second factor, and
// to which a gate sends browsers with return_to, the path to go back to. The
// browser's cookies tell it who they are. It belongs at PREFIX/, with the
// trailing slash.
func VerifyPage(service string) ([]byte, error) { return render(verifyTemplate, service) }

func render(t *template.Template, service string) ([]byte, error) {
	var page bytes.Buffer
	if err := t.Execute(&page, service); err != nil {
		return nil, fmt.Errorf("rendering %s: %w", t.Name(), err)
	}
	return page.Bytes(), nil
}

// Asset returns the file that pages ask for as assets/NAME, and its media
// type. ok is false when there is no asset of exactly that name. The
// caller must not change the content.
func Asset(name string) (content []byte, contentType string, ok bool) {
	switch name {
	case "magic-link.js":
		return magicLinkJS, "text/javascript; charset=utf-8", true
	case "verify.js":
		return verifyJS, "text/javascript; charset=utf-8", true
	case "page.css":
		return pageCSS, "text/css; charset=utf-8", true
	}
	return nil, "", false
}
