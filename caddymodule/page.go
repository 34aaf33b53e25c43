package caddymodule

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"unicode"
	"unicode/utf8"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddymfa/caddy-mfa/caddymodule/internal/option"
	"github.com/caddymfa/caddy-mfa/mfa/api"
	"github.com/caddymfa/caddy-mfa/mfa/web"
)

// Page sets what people meet in a browser.
type Page struct {
	// Off switches off the self-service page; gates then send nobody there.
	// The page that mailed links open stays. Default: false.
	Off bool `json:"off,omitempty"`

	// Title is the name of the service, as the pages show it, 64 characters
	// at most. Default: the issuer.
	Title string `json:"title,omitempty"`

	// Logo is the path of a picture that stands beside the title: SVG, PNG,
	// JPEG, WebP or GIF, 256 KiB at most. Default: none.
	Logo string `json:"logo,omitempty"`

	// Accent is the colour of buttons and links in hexadecimal, such as
	// #0b57d0. Texts on it, and links on light and dark ground, are made
	// readable by themselves. Default: #0b57d0.
	Accent string `json:"accent,omitempty"`

	// LoginURL is where people sign in: a gate sends browsers there that
	// bring no access token, and the page leads there who is not signed in.
	// An empty query parameter return_to in it, as in
	// https://example.com/login?return_to=, gets the URL of the page that was
	// asked for; the login has to check that it is one of its own.
	// Default: nowhere, they are answered like any other client.
	LoginURL string `json:"login_url,omitempty"`

	// FrameAncestors are the origins whose pages may show the self-service
	// page in a frame and hand it an access token, or the one word none.
	// Default: none.
	FrameAncestors []string `json:"frame_ancestors,omitempty"`
}

// parse reads
//
//	page {
//		title <name>
//		logo <path>
//		accent <colour>
//		login_url <url>
//		frame_ancestors none | <origin...>
//	}
//
// or page off.
func (p *Page) parse(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		if d.Val() != "off" || d.NextArg() {
			return d.Err("page: give its options in a block, or only `page off`")
		}
		p.Off = true
	}
	return option.Block(d, "page", map[string]option.Parser{
		"title": option.Text(&p.Title),
		"logo":  option.Text(&p.Logo),
		"accent": func(d *caddyfile.Dispenser) error {
			if d.CountRemainingArgs() == 0 {
				return d.Err(`accent: the colour is missing: a # begins a comment, so write it in quotes, such as accent "#0b57d0"`)
			}
			return option.Text(&p.Accent)(d)
		},
		"login_url":       option.Text(&p.LoginURL),
		"frame_ancestors": option.Texts(&p.FrameAncestors),
	})
}

// loginURL is the configured one, "" for none.
func (a *App) loginURL() string {
	if a.Page == nil {
		return ""
	}
	return a.Page.LoginURL
}

const maxTitle = 64 // characters

// provisionPage makes the pages. It reads the logo, so that a wrong one is
// found before anything is served.
func (a *App) provisionPage() error {
	config := web.Config{
		Title:          a.Issuer,
		Cookie:         a.Bearer.Cookie != "",
		ClaimedAddress: a.MagicLink != nil && a.MagicLink.Addresses == "claim",
	}
	if a.Page != nil {
		if err := a.Page.configure(&config); err != nil {
			return fmt.Errorf("page: %w", err)
		}
	}
	var err error
	if a.site, err = web.New(config); err != nil {
		return fmt.Errorf("page: %w", err)
	}
	return nil
}

// configure checks the options and puts them into config.
func (p *Page) configure(config *web.Config) error {
	if p.Title != "" {
		config.Title = p.Title
	}
	if utf8.RuneCountInString(p.Title) > maxTitle || slices.ContainsFunc([]rune(p.Title), func(r rune) bool { return !unicode.IsPrint(r) }) {
		return fmt.Errorf("title: %q is longer than %d characters, or has some that cannot be shown", p.Title, maxTitle)
	}
	var err error
	if p.Accent != "" {
		if config.Accent, err = web.ParseColour(p.Accent); err != nil {
			return fmt.Errorf("accent: %w", err)
		}
	}
	if p.Logo != "" {
		content, err := os.ReadFile(p.Logo)
		if err != nil {
			return fmt.Errorf("logo: %w", err)
		}
		if config.Logo, err = web.NewLogo(content); err != nil {
			return fmt.Errorf("logo: %s: %w", p.Logo, err)
		}
	}
	config.LoginURL = p.LoginURL
	if u, err := url.Parse(p.LoginURL); p.LoginURL != "" && (err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "") {
		return fmt.Errorf("login_url: %q is not a URL such as https://example.com/login", p.LoginURL)
	}
	config.FrameAncestors, err = p.ancestors()
	return err
}

// ancestors are the origins that may frame the page, as browsers send them.
func (p *Page) ancestors() ([]string, error) {
	if len(p.FrameAncestors) == 1 && p.FrameAncestors[0] == "none" {
		return nil, nil
	}
	var origins []string
	for _, raw := range p.FrameAncestors {
		if raw == "none" {
			return nil, errors.New("frame_ancestors: none stands alone, or leave it out")
		}
		origin, err := api.ParseOrigin(raw)
		if err != nil {
			return nil, fmt.Errorf("frame_ancestors: %w", err)
		}
		origins = append(origins, origin)
	}
	return origins, nil
}
