// Package routecheck looks for configurations that look closed and are open:
// gates that no request comes to, that Caddy's own path matcher lets requests
// past, or behind which a rewrite leads to what they guard.
package routecheck

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// Report is what was found.
type Report struct {
	// Refusals say why the configuration must not run, and what mends it.
	Refusals []string
	// Warnings say what is probably not meant, and what mends it.
	Warnings []string

	handsOn map[*caddyhttp.Server]bool
	servers []*serverAt
}

// HandsOn reports whether error routes or response handlers of a server may
// hand to an upstream what a gate has refused.
func (r *Report) HandsOn(server *caddyhttp.Server) bool { return r.handsOn[server] }

// Check looks at the routes of servers, which Caddy may be provisioning: the
// routes up to the one that is being provisioned are modules, the others JSON.
func Check(servers map[string]*caddyhttp.Server) *Report {
	report := &Report{handsOn: make(map[*caddyhttp.Server]bool)}
	for _, name := range slices.Sorted(maps.Keys(servers)) {
		server := servers[name]
		at := &serverAt{listen: server.Listen, named: make(map[string][]route)}
		for name, r := range server.NamedRoutes {
			at.named[name] = []route{readRoute(r)}
		}
		p := place{server: at, site: at.site(nil)}
		p.walk(readRoutes(server.Routes), state{root: "."})
		if server.Errors != nil {
			p.errors(readRoutes(server.Errors.Routes), state{})
		}
		report.handsOn[server] = at.handsOn
		report.servers = append(report.servers, at)
	}
	for _, at := range report.servers {
		for _, g := range at.gates {
			report.order(g)
			if !g.inErrors {
				report.matchers(g)
				report.shadowed(g)
				report.otherSites(g)
			}
		}
		for _, h := range at.handlers {
			if by := h.before.answeredBy; by != "" && !h.before.bare && !h.inErrors {
				report.refuse("mfa (%s) stands after %s, which answers every request that comes to it: "+
					"put mfa first; inside of route, the order is the one that is written", h.site, by)
			}
		}
		for _, u := range at.upstreams {
			report.rewrites(u)
			report.errorRoutes(u)
		}
	}
	return report
}

func (r *Report) refuse(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(r.Refusals, text) {
		r.Refusals = append(r.Refusals, text)
	}
}

func (r *Report) warn(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(r.Warnings, text) {
		r.Warnings = append(r.Warnings, text)
	}
}

// order finds gates that stand in the wrong place, or without mfa.
func (r *Report) order(g *gateAt) {
	if by := g.before.answeredBy; by != "" {
		if g.before.bare {
			return // there is nothing to guard, such as in a site that only redirects
		}
		r.refuse("%s stands after %s, which answers every request that comes to it, so that the gate is never asked: "+
			"put mfa_require before it; inside of route, the order is the one that is written", g, by)
		return
	}
	if g.inErrors {
		return
	}
	switch {
	case g.before.mfa == always:
	case g.mfaLater:
		r.refuse("%s stands before mfa: put mfa first; inside of route, the order is the one that is written", g)
	case g.before.mfa == sometimes, g.site.has(func(h *mfaAt) bool { return !h.inErrors }):
		r.warn("%s is reached by requests that mfa has not seen: take mfa out of handle, route and matchers, "+
			"so that it sees every request of the site and takes X-MFA headers out of all of them", g)
	default:
		r.refuse("%s needs the directive mfa in the same site: add a line `mfa` to it, outside of handle and route", g)
	}
}

func (s *site) has(fits func(*mfaAt) bool) bool {
	return slices.ContainsFunc(s.server.handlers, func(h *mfaAt) bool { return h.site == s && fits(h) })
}

// matchers finds gates that Caddy's own path matcher decides about, or one of
// what clients choose to send.
func (r *Report) matchers(g *gateAt) {
	if slices.ContainsFunc(g.under, (*route).leavesOutPOST) {
		r.warn("%s is not asked of POST. Many backends take a POST for a PUT, PATCH or DELETE that a header or a form names: "+
			"name POST in the method matcher as well", g)
	}
	i := slices.IndexFunc(g.under, isByPath)
	byClient := i < 0 && slices.ContainsFunc(g.under, isByClient)
	if i < 0 && !byClient {
		return
	}
	for _, u := range g.site.server.upstreams {
		if u.site != g.site || u.files || u.inErrors || !u.asAsked || slices.Contains(u.before.gates, g) {
			continue
		}
		if !u.isBehind(g) && !g.sharesUpstream(u) {
			continue // other spellings lead to something else
		}
		if byClient {
			r.warn("%s is asked only of requests that a matcher of headers or of the query picks. Clients choose what they send: "+
				"they reach %s without the gate. Take the matcher off the gate, or make sure that the backend refuses them", g, u)
			return
		}
		mend := "name the paths in the gate itself, for instance mfa_require /admin/*, and put it outside of that matcher"
		if patterns, ok := g.under[i].paths(); ok {
			mend = fmt.Sprintf("put it outside of that matcher, with the paths: mfa_require %s", strings.Join(patterns, " "))
			if len(g.patterns) > 0 {
				mend = "put it outside of that matcher"
			}
		}
		r.warn("%s is reached by way of %s, which reads paths as Caddy does. Backends read them more loosely: "+
			"other spellings of a path reach %s without the gate: %s", g, g.under[i], u, mend)
		return
	}
}

// shadowed finds routes that answer, before a gate, what it guards, or that
// lead around it to the same upstream.
func (r *Report) shadowed(g *gateAt) {
	for _, t := range g.before.taken {
		only := t.under[min(common(t.under, g.under), len(t.under)):]
		if len(only) != 1 || t.bare {
			continue
		}
		if patterns, ok := only[0].paths(); ok && g.within(patterns) {
			r.refuse("%s stands after %s for the paths %s, which answers all that the gate guards: put mfa_require before it; "+
				"inside of route, the order is the one that is written", g, t.by, strings.Join(patterns, " "))
			return
		}
	}
	if slices.ContainsFunc(g.under, isByPath) || slices.ContainsFunc(g.under, isByClient) {
		return // see matchers
	}
	for _, u := range g.site.server.upstreams {
		if u.site != g.site || u.files || u.inErrors || !u.asAsked || slices.Contains(u.before.gates, g) || !g.guardsUpstream(u.to) {
			continue
		}
		only := u.under[min(common(u.under, g.under), len(u.under)):]
		if i := slices.IndexFunc(only, (*route).readsLoosely); i >= 0 {
			r.warn("%s, by way of %s, is reached without %s, which guards the same upstream elsewhere. Backends read paths more loosely "+
				"than Caddy's matcher: spellings of a guarded path that it takes for one of these arrive there: "+
				"put the gate before that matcher, so that it sees them too", u, only[i], g)
			return
		}
		if slices.ContainsFunc(only, isByClient) {
			r.warn("%s, by way of a matcher of headers or of the query, is reached without %s, which guards the same upstream elsewhere. "+
				"Clients choose what they send: put the gate before that matcher, or make sure that the backend refuses them", u, g)
			return
		}
	}
}

// readsLoosely reports whether r takes many paths by a pattern.
func (r *route) readsLoosely() bool {
	if patterns, ok := r.paths(); ok {
		return slices.ContainsFunc(patterns, func(p string) bool { return strings.Contains(p, "*") })
	}
	return r.pathDecides
}

func isByPath(r *route) bool   { return r.pathDecides }
func isByClient(r *route) bool { return r.clientDecides }

// common is the number of routes that two places have in common.
func common(a, b []*route) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// within reports whether patterns, as Caddy reads them, take everything that
// the gate guards.
func (g *gateAt) within(patterns []string) bool {
	guarded := g.patterns
	if len(guarded) == 0 {
		var ok bool
		if len(g.under) == 0 {
			return false
		}
		if guarded, ok = g.under[len(g.under)-1].paths(); !ok {
			return false
		}
	}
	for _, pattern := range guarded {
		if !slices.ContainsFunc(patterns, func(p string) bool {
			prefix, wildcard := strings.CutSuffix(p, "*")
			return p == pattern || wildcard && strings.HasPrefix(pattern, prefix)
		}) {
			return false
		}
	}
	return true
}

// rewrites finds what leads to a guarded path after the gate has looked.
func (r *Report) rewrites(u *upstreamAt) {
	if u.inErrors {
		return
	}
	for _, g := range u.site.server.gates {
		if by := u.rewrites[g]; len(by) > 0 && (!u.files || g.guardsFolder(u.to)) {
			r.warn("%s changes the path after %s has looked at it, and before %s: a path that the gate does not guard may become one that it does: "+
				"name the paths that clients ask for in the gate as well, or put the gate behind the rewrite, inside of route", by[0], g, u)
		}
	}
}

// errorRoutes finds error routes that hand on requests which no gate has seen,
// or as they were before a gate has refused them.
func (r *Report) errorRoutes(u *upstreamAt) {
	if u.inErrors && u.before.restored && len(u.site.server.gates) > 0 {
		r.warn("handle_errors or a response handler (%s) has %s asked for {http.request.orig_uri}, also where %s has refused it: "+
			"rewrite to the path of an error page", u.site, u, u.site.server.gates[0])
		return
	}
	if !u.inErrors || !u.asAsked || len(u.before.gates) > 0 || u.before.mfa == always {
		return
	}
	for _, g := range u.site.server.gates {
		if u.files && !g.before.mayFail {
			continue // what fails behind the gate was let through
		}
		if g.site == u.site || len(u.site.hosts) == 0 || len(g.site.hosts) == 0 {
			r.warn("handle_errors (%s) hands requests to %s as they were asked for, also those that ended in an error before %s was asked: "+
				"put a line `mfa` before it in handle_errors, or rewrite them to the path of an error page", u.site, u, g)
			return
		}
	}
}

// Covers returns the gate that guards the page at u, which people without a
// sign-in are sent to, as text, "" where none does.
func (r *Report) Covers(u *url.URL) string {
	for _, at := range r.servers {
		for _, g := range at.gates {
			if g.inErrors || len(g.site.hosts) > 0 && !slices.Contains(g.site.hosts, strings.ToLower(u.Hostname())) {
				continue
			}
			conditional := slices.ContainsFunc(g.under, func(r *route) bool { return len(r.hosts()) == 0 })
			if !conditional && (len(g.patterns) == 0 || g.paths != nil && guards(g.paths, u.Path)) && !g.before.takes(u.Path) {
				return g.String()
			}
		}
	}
	return ""
}

// takes reports whether a request for path may have been answered already.
func (st *state) takes(path string) bool {
	return slices.ContainsFunc(st.taken, func(t taken) bool {
		patterns, ok := t.under[len(t.under)-1].paths()
		return ok && slices.ContainsFunc(patterns, func(p string) bool {
			prefix, wildcard := strings.CutSuffix(p, "*")
			return p == path || wildcard && strings.HasPrefix(path, prefix)
		})
	})
}

func (g *gateAt) String() string {
	return fmt.Sprintf("mfa_require%s (%s)", named(g.source), g.site)
}

// String says what a route asks of the path.
func (r *route) String() string {
	if patterns, ok := r.paths(); ok {
		return "the path matcher " + strings.Join(patterns, " ")
	}
	return "a matcher of the path"
}

func named(source string) string {
	if source == "" {
		return ""
	}
	return " at " + source
}

func listening(at *serverAt) string { return "port " + strings.Join(at.listen, ", ") }
