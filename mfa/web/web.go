// Package web holds the pages that people meet in a browser: the
// self-service page, at which they set factors up, show them and manage
// them, and the page that mailed links open. They are plain HTML, CSS and
// JavaScript without a build step, made ready for one configuration by New.
//
// A page refers to everything relative to its own URL, so it works under
// any prefix. The self-service page belongs at PREFIX/, with the trailing
// slash; that of a magic link at PREFIX/magic-link, without one; what they
// load at PREFIX/assets/NAME.
package web

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"slices"
	"strings"
)

const (
	// PageContentType is the media type of a page.
	PageContentType = "text/html; charset=utf-8"

	// ReferrerPolicy is what a page has to be served with, so that its URL
	// goes to nobody.
	ReferrerPolicy = "no-referrer"

	// policy is the Content-Security-Policy (CSP level 3) of both pages but
	// for its end, who may frame them: they load and reach their own origin
	// only and run no inline script. QR codes are data URLs.
	policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
		"base-uri 'none'; form-action 'none'; frame-ancestors "
)

// Config says how the pages look and whom they serve.
type Config struct {
	// Title is the name that people know the service by.
	Title string
	// Logo stands beside the title, nil for none.
	Logo *Logo
	// Accent is the colour of buttons and links; the zero value means the
	// product's own.
	Accent Colour
	// LoginURL is where who is not signed in can do so, "" for nowhere.
	LoginURL string
	// FrameAncestors are the origins whose pages may show the self-service
	// page in a frame and hand it an access token.
	FrameAncestors []string
	// Cookie says that a cookie may carry the access token.
	Cookie bool
	// ClaimedAddress says that mail goes to the address that the access
	// token claims, and to no other.
	ClaimedAddress bool
}

// Site is the pages of one configuration. It is safe for concurrent use.
type Site struct {
	page, link [][]byte // by language
	assets     map[string]Asset
	policy     string
}

//go:embed assets/page.html
var pageHTML string

var pageTemplate = template.Must(template.New("page.html").Parse(pageHTML))

// modules are the scripts that each page loads, its own first.
var (
	pageModules = []string{"page.js", "api.js", "back.js", "caller.js", "codes.js", "dom.js", "enrol.js", "manage.js", "passkey.js", "verify.js"}
	linkModules = []string{"link.js", "api.js", "back.js", "caller.js", "dom.js"}
)

// view is what the template shows.
type view struct {
	Lang, Title, Script string
	Modules             []string
	Logo                bool
	Data                data
	texts               map[string]string
}

// Text returns the text called key.
func (v view) Text(key string) (string, error) {
	text, ok := v.texts[key]
	if !ok {
		return "", fmt.Errorf("there is no text %q", key)
	}
	return text, nil
}

// data is what the scripts are told.
type data struct {
	Lang      string            `json:"lang"`
	Title     string            `json:"title"`
	Login     string            `json:"login,omitempty"`
	Ancestors []string          `json:"ancestors"`
	Cookie    bool              `json:"cookie"`
	Claimed   bool              `json:"claimed"`
	Texts     map[string]string `json:"texts"`
}

// New makes the pages of a configuration.
func New(c Config) (*Site, error) {
	s := &Site{assets: assets(c), policy: policy + "'none'"}
	if len(c.FrameAncestors) > 0 {
		s.policy = policy + strings.Join(c.FrameAncestors, " ")
	}
	for i, lang := range texts.languages {
		for _, page := range []struct {
			into    *[][]byte
			modules []string
		}{{&s.page, pageModules}, {&s.link, linkModules}} {
			var scripts []string
			for _, name := range page.modules {
				scripts = append(scripts, string(source(name)))
			}
			var content bytes.Buffer
			err := pageTemplate.Execute(&content, view{
				Lang: lang, Title: c.Title, Script: page.modules[0], Modules: page.modules[1:], Logo: c.Logo != nil,
				texts: texts.of(i, pageHTML),
				Data: data{
					Lang: lang, Title: c.Title, Login: c.LoginURL, Ancestors: append([]string{}, c.FrameAncestors...),
					Cookie: c.Cookie, Claimed: c.ClaimedAddress, Texts: texts.of(i, scripts...),
				},
			})
			if err != nil {
				return nil, fmt.Errorf("rendering page: %w", err)
			}
			*page.into = append(*page.into, content.Bytes())
		}
	}
	return s, nil
}

// Page returns the self-service page in the language that fits an
// Accept-Language header best, and the Content-Security-Policy to serve it
// with. The caller must not change the content.
func (s *Site) Page(acceptLanguage string) (content []byte, policy string) {
	return s.page[choose(acceptLanguage)], s.policy
}

// LinkPage is Page for the page that magic links open. It confirms nothing
// until its button is pressed, and nobody may frame it.
func (s *Site) LinkPage(acceptLanguage string) (content []byte, policyOfLink string) {
	return s.link[choose(acceptLanguage)], policy + "'none'"
}

// Asset returns what pages load as assets/NAME. ok is false when there is
// nothing of exactly that name. The caller must not change the content.
func (s *Site) Asset(name string) (asset Asset, ok bool) {
	asset, ok = s.assets[name]
	return asset, ok
}

// AssetNames are the names of all that pages may load, in order.
func AssetNames() []string {
	names := []string{logoName, styleName}
	for _, name := range slices.Concat(pageModules, linkModules) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
