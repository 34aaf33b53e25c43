package caddymodule

import (
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/caddymfa/caddy-mfa/caddymodule/internal/option"
)

// parseRequire reads the directive
//
//	mfa_require [@matcher | <path...>] {
//		max_age <duration>
//		methods <type...>
//		acr mail | mfa | phr
//		except claim <name> <value...>
//		query <name...>
//		enrollment required | optional
//		handle_errors
//	}
//
// A named matcher works as ever. Paths are not made a matcher of Caddy's:
// the gate matches them itself, because backends read paths more loosely.
func parseRequire(h httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
	h.Next() // mfa_require
	g := &Gate{Source: source(h.Dispenser)}
	var matchers caddy.ModuleMap
	if h.NextArg() {
		if strings.HasPrefix(h.Val(), "@") {
			h.Prev()
			var err error
			if matchers, _, err = h.MatcherToken(); err != nil {
				return nil, err
			}
		} else {
			g.Paths = append(g.Paths, h.Val())
		}
	}
	rest := h.RemainingArgs()
	if len(rest) > 0 && matchers != nil {
		return nil, h.Errf("mfa_require: give one named matcher, or paths, not both: %q is too much", rest[0])
	}
	g.Paths = append(g.Paths, rest...)
	for _, p := range g.Paths {
		if !strings.HasPrefix(p, "*") && !strings.HasPrefix(p, "/") {
			return nil, h.Errf("mfa_require: %q is neither a path, which begins with a slash or *, nor a named matcher, which begins with @", p)
		}
	}
	if slices.Contains(g.Paths, "*") {
		g.Paths = nil // everything
	}
	if err := g.parse(h.Dispenser); err != nil {
		return nil, err
	}
	if matchers == nil {
		// A set that lets everything in: of a named route whose handlers have
		// no matchers, Caddy 2.11 keeps the first alone, and a gate after mfa
		// would be gone without a word.
		matchers = caddy.ModuleMap{}
	}
	return h.NewRoute(matchers, g), nil
}

// parse reads the block of the directive.
func (g *Gate) parse(d *caddyfile.Dispenser) error {
	return option.Block(d, "mfa_require", map[string]option.Parser{
		"max_age":       option.PositiveDuration(&g.MaxAge),
		"methods":       option.Texts(&g.Methods),
		"acr":           option.Text(&g.ACR),
		"except":        g.parseExcept,
		"query":         g.parseQuery,
		"enrollment":    option.Text(&g.Enrollment),
		"handle_errors": option.Flag(&g.HandleErrors),
	}, "except")
}

func (g *Gate) parseExcept(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) < 3 || args[0] != "claim" {
		return d.Err("except: say which claim has which value, for instance except claim client_id batch")
	}
	g.Except = append(g.Except, Exception{Claim: args[1], Values: args[2:]})
	return nil
}

// parseQuery reads names of parameters, of which one may be empty: "" is the
// query without a name.
func (g *Gate) parseQuery(d *caddyfile.Dispenser) error {
	if g.Query = d.RemainingArgs(); len(g.Query) == 0 {
		return d.Err(`query: name one query parameter or more, for instance query q rest_route; "" is the query without a name`)
	}
	return nil
}
