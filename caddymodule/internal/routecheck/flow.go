package routecheck

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddymfa/caddy-mfa/mfa/gate"
)

// certainty says whether something holds for all requests at one place of
// the routes, for some, or for none.
type certainty int

const (
	never certainty = iota
	sometimes
	always
)

// state is what is known of the requests that come to one place.
type state struct {
	// answeredBy is the handler that has answered all of them, "" while some
	// are left.
	answeredBy string
	// bare says that the answer holds nothing that a gate could guard: it is
	// a redirect or an error.
	bare bool
	// mfa says whether the handler mfa has seen them.
	mfa certainty
	// gates have let all of them pass.
	gates []*gateAt
	// passed are the gates that some of them may have passed, with what has
	// changed the path since.
	passed []passage
	// taken are routes whose requests have been answered.
	taken []taken
	// replaced says that nothing is left of the path that was asked for.
	replaced bool
	// restored says that what was asked for has been put back.
	restored bool
	// mayFail says that some of them may have ended in an error.
	mayFail bool
	// root is the folder that files are served from, "" when it is not known.
	root string
}

type passage struct {
	gate     *gateAt
	rewrites []string
}

// taken is a route that has answered the requests that it matches.
type taken struct {
	under []*route
	by    string
	bare  bool // see state
	mfa   bool // the handler mfa has seen them before
}

// gateAt is a handler mfa_require and the place where it stands.
type gateAt struct {
	site     *site
	source   string
	patterns []string
	paths    *gate.Paths // nil for a gate that guards everything that reaches it
	under    []*route
	inErrors bool
	before   state

	readsQuery bool // it has the option query
	mfaLater   bool // the handler mfa comes after it
}

// mfaAt is a handler mfa.
type mfaAt struct {
	site     *site
	inErrors bool
	before   state
}

// site is what one host matcher of a server's routes lets in, or the whole
// server where there is none.
type site struct {
	server *serverAt
	hosts  []string
}

func (s *site) String() string {
	if len(s.hosts) > 0 {
		return "site " + strings.Join(s.hosts, ", ")
	}
	return "server " + strings.Join(s.server.listen, ", ")
}

// serverAt is one server of the HTTP app and what was found in its routes.
type serverAt struct {
	listen    []string
	named     map[string][]route
	sites     []*site
	gates     []*gateAt
	handlers  []*mfaAt
	upstreams []*upstreamAt
	handsOn   bool // an upstream may get what was refused
	invoking  []string
	fromPath  []string // how matchers name the variables that the path decides about
}

// place is where a walk is.
type place struct {
	server   *serverAt
	site     *site
	under    []*route
	inErrors bool
}

func (p place) below(r *route) place {
	if len(r.sets) > 0 {
		p.under = append(slices.Clone(p.under), r)
		r.pathDecides = r.pathDecides || r.readsPath(p.server.fromPath)
		r.clientDecides = slices.ContainsFunc(r.sets, hasOfClient)
	}
	if hosts := r.hosts(); len(hosts) > 0 {
		p.site = p.server.site(hosts)
	}
	return p
}

func (s *serverAt) site(hosts []string) *site {
	for _, known := range s.sites {
		if slices.Equal(known.hosts, hosts) {
			return known
		}
	}
	found := &site{server: s, hosts: hosts}
	s.sites = append(s.sites, found)
	return found
}

// walk follows requests of state st through routes and returns the state of
// those that come out at the end.
func (p place) walk(routes []route, st state) state {
	left := make(map[string]bool)   // groups that have let some requests through
	closed := make(map[string]bool) // groups of which no further route is taken
	for i := range routes {
		r := &routes[i]
		before := st
		if closed[r.group] && before.answeredBy == "" {
			before.answeredBy = "an earlier route of its group"
		}
		after := p.below(r).run(r, before)
		if r.terminal && after.answeredBy == "" {
			after.answeredBy = "a route that is terminal"
		}
		if len(r.sets) == 0 && !left[r.group] && !closed[r.group] {
			st = after
		} else if !closed[r.group] {
			st = st.orElse(after, p.below(r).under)
		}
		if r.group != "" {
			left[r.group] = left[r.group] || after.answeredBy == ""
			closed[r.group] = closed[r.group] || len(r.sets) == 0
		}
	}
	return st
}

// orElse is the state of requests of which some went through a route, and
// have then the state after, and the others did not.
func (st state) orElse(after state, under []*route) state {
	st.passed = slices.Clone(st.passed)
	st.mayFail = st.mayFail || after.mayFail
	if after.answeredBy != "" {
		st.taken = append(slices.Clone(st.taken), taken{under, after.answeredBy, after.bare, st.mfa == always})
		return st
	}
	if after.root != st.root {
		st.root = ""
	}
	st.passed = after.passed // it has what was passed before, too
	st.taken = after.taken
	if after.mfa > st.mfa {
		st.mfa = sometimes
	}
	return st
}

// run follows requests through the handlers of one route.
func (p place) run(r *route, st state) state {
	for i := range r.handlers {
		st = p.handle(&r.handlers[i], st)
	}
	return st
}

// begins reports whether the first routes of under are those of first.
func begins(under, first []*route) bool {
	return len(first) <= len(under) && slices.Equal(under[:len(first)], first)
}

// answering are handlers that pass no request on.
var answering = map[string]bool{
	"static_response": true, "error": true, "metrics": true, "mfa_demo": true, "copy_response": true,
}

// harmless are those that hand a request to nobody else.
var harmless = map[string]bool{
	"acme_server": true, "authentication": true, "copy_response": true, "copy_response_headers": true, "encode": true, "error": true,
	"headers": true, "log_append": true, "metrics": true, "push": true, "request_body": true, "static_response": true,
	"templates": true, "tracing": true,
}

func (p place) handle(h *handler, st state) state {
	switch h.name {
	case "mfa":
		p.server.handlers = append(p.server.handlers, &mfaAt{site: p.site, inErrors: p.inErrors, before: st})
		for _, passed := range st.passed {
			passed.gate.mfaLater = passed.gate.mfaLater || begins(passed.gate.under, p.under)
		}
		st.mfa = always
	case "mfa_require":
		g := p.gate(h, st)
		p.server.gates = append(p.server.gates, g)
		st.gates = append(slices.Clone(st.gates), g)
		st.passed = append(slices.Clone(st.passed), passage{gate: g})
	case "rewrite":
		var r rewriting
		_ = json.Unmarshal(h.config, &r)
		st = st.rewritten(&r, "rewrite")
		st.replaced = st.replaced || r.replaces()
		st.restored = st.restored || r.restores()
	case "subroute":
		before := st
		st = p.walk(h.routes, st)
		p.errors(h.errors, before)
	case "invoke":
		st = p.invoke(h, st)
	case "intercept":
		for _, routes := range h.replies {
			p.errors(routes, st)
		}
	case "reverse_proxy":
		st = p.proxy(h, st)
	case "file_server":
		st = p.files(h, st)
	case "map", "vars":
		if name, ok := root(h); ok {
			st.root = name
		}
		p.noteVariables(h)
	default:
		if !harmless[h.name] {
			p.upstream(h.name, nil, st, true)
			st.mayFail = true
		}
		st.mayFail = st.mayFail || h.name == "authentication" || h.name == "error"
		if answering[h.name] && st.answeredBy == "" {
			st.answeredBy, st.bare = h.name, isBare(h)
		}
	}
	return st
}

// isBare reports whether an answer holds nothing that a gate could guard.
func isBare(h *handler) bool {
	var answer struct {
		StatusCode caddyhttp.WeakString `json:"status_code"`
		Abort      bool                 `json:"abort"`
	}
	_ = json.Unmarshal(h.config, &answer)
	return h.name == "error" || h.name == "static_response" && (answer.Abort || answer.StatusCode.Int() >= http.StatusMultipleChoices)
}

// errors walks what is done with the errors of a server or a subroute, or
// with answers that are replaced. Errors come from anywhere, so nothing is
// known of the request but what came before the subroute.
func (p place) errors(routes []route, st state) {
	if len(routes) == 0 {
		return
	}
	p.inErrors = true
	before := len(p.server.upstreams)
	p.walk(routes, st)
	p.server.handsOn = p.server.handsOn || slices.ContainsFunc(p.server.upstreams[before:], func(u *upstreamAt) bool { return !u.files || u.asAsked })
}

func (p place) invoke(h *handler, st state) state {
	var i struct {
		Name string `json:"name"`
	}
	_ = json.Unmarshal(h.config, &i)
	if slices.Contains(p.server.invoking, i.Name) {
		return st // it invokes itself
	}
	p.server.invoking = append(p.server.invoking, i.Name)
	defer func() { p.server.invoking = p.server.invoking[:len(p.server.invoking)-1] }()
	return p.walk(p.server.named[i.Name], st)
}

// rewritten adds a rewrite to every gate behind which it may lead to a
// guarded path.
func (st state) rewritten(r *rewriting, by string) state {
	passed := make([]passage, len(st.passed))
	for i, one := range st.passed {
		passed[i] = one
		if r.mayReach(one.gate) {
			passed[i].rewrites = append(slices.Clone(one.rewrites), by)
		}
	}
	st.passed = passed
	return st
}

func (p place) gate(h *handler, st state) *gateAt {
	var config struct {
		Source string   `json:"source"`
		Paths  []string `json:"paths"`
		Query  []string `json:"query"`
	}
	_ = json.Unmarshal(h.config, &config)
	g := &gateAt{site: p.site, source: config.Source, under: p.under, inErrors: p.inErrors, before: st, readsQuery: len(config.Query) > 0}
	repl := caddy.NewReplacer()
	for _, pattern := range config.Paths {
		g.patterns = append(g.patterns, repl.ReplaceAll(pattern, ""))
	}
	if len(g.patterns) > 0 {
		// What cannot be read the gate refuses by itself.
		g.paths, _ = gate.NewPaths(g.patterns)
	}
	return g
}
