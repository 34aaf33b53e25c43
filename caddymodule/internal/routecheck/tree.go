package routecheck

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/intercept"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// A route list that Caddy is just provisioning is partly JSON and partly
// modules. Both are read into the types here.

// route is one route of a list.
type route struct {
	sets     [][]matcher // any of them lets a request in; none: all do
	group    string      // only the first matching route of a group is taken
	terminal bool
	handlers []handler

	pathDecides   bool // if a request takes it
	clientDecides bool // by a header or a query parameter
}

// matcher is one condition of a set.
type matcher struct {
	name   string
	config json.RawMessage
	inner  [][]matcher // of "not"
}

// handler is one handler of a route.
type handler struct {
	name    string
	config  json.RawMessage
	routes  []route   // of a subroute
	errors  []route   // what a subroute does with errors
	replies [][]route // what reverse_proxy and intercept do with answers
}

func readRoutes(list caddyhttp.RouteList) []route {
	routes := make([]route, 0, len(list))
	for i := range list {
		routes = append(routes, readRoute(&list[i]))
	}
	return routes
}

func readRoute(r *caddyhttp.Route) route {
	out := route{group: r.Group, terminal: r.Terminal}
	for _, set := range r.MatcherSetsRaw {
		out.sets = append(out.sets, rawSet(set))
	}
	for _, set := range r.MatcherSets {
		out.sets = append(out.sets, provisionedSet(set))
	}
	if slices.ContainsFunc(out.sets, func(set []matcher) bool { return len(set) == 0 }) {
		out.sets = nil // one that lets everything in
	}
	for _, raw := range r.HandlersRaw {
		out.handlers = append(out.handlers, rawHandler(raw))
	}
	for _, h := range r.Handlers {
		out.handlers = append(out.handlers, provisionedHandler(h))
	}
	return out
}

func rawSet(set caddy.ModuleMap) []matcher {
	var out []matcher
	for name, config := range set {
		m := matcher{name: name, config: config}
		if name == "not" {
			var inner []caddy.ModuleMap
			_ = json.Unmarshal(config, &inner) // what is malformed Caddy refuses
			for _, s := range inner {
				m.inner = append(m.inner, rawSet(s))
			}
		}
		out = append(out, m)
	}
	return out
}

func provisionedSet(set caddyhttp.MatcherSet) []matcher {
	var out []matcher
	for _, one := range set {
		m := matcher{name: moduleName(one), config: marshal(one)}
		if not, ok := one.(*caddyhttp.MatchNot); ok {
			for _, s := range not.MatcherSets {
				m.inner = append(m.inner, provisionedSet(s))
			}
		}
		out = append(out, m)
	}
	return out
}

func rawHandler(raw json.RawMessage) handler {
	h := handler{config: raw}
	var name struct {
		Handler string `json:"handler"`
	}
	_ = json.Unmarshal(raw, &name)
	h.name = name.Handler
	// Handlers that Caddy does not bring may hold routes of another form
	// under these names: they are left alone then.
	var inner struct {
		Routes         caddyhttp.RouteList        `json:"routes"`
		Errors         *caddyhttp.HTTPErrorConfig `json:"errors"`
		HandleResponse []struct {
			Routes caddyhttp.RouteList `json:"routes"`
		} `json:"handle_response"`
	}
	if json.Unmarshal(raw, &inner) != nil {
		return h
	}
	h.routes = readRoutes(inner.Routes)
	if inner.Errors != nil {
		h.errors = readRoutes(inner.Errors.Routes)
	}
	for _, r := range inner.HandleResponse {
		h.replies = append(h.replies, readRoutes(r.Routes))
	}
	return h
}

func provisionedHandler(module any) handler {
	h := handler{name: moduleName(module), config: marshal(module)}
	switch m := module.(type) {
	case *caddyhttp.Subroute:
		h.routes = readRoutes(m.Routes)
		if m.Errors != nil {
			h.errors = readRoutes(m.Errors.Routes)
		}
	case *reverseproxy.Handler:
		h.replies = readReplies(m.HandleResponse)
	case *intercept.Intercept:
		h.replies = readReplies(m.HandleResponse)
	}
	return h
}

func readReplies(handlers []caddyhttp.ResponseHandler) [][]route {
	var out [][]route
	for _, r := range handlers {
		out = append(out, readRoutes(r.Routes))
	}
	return out
}

func moduleName(module any) string {
	if m, ok := module.(caddy.Module); ok {
		return m.CaddyModule().ID.Name()
	}
	return ""
}

func marshal(module any) json.RawMessage {
	config, err := json.Marshal(module)
	if err != nil {
		return nil
	}
	return config
}

// readsPath reports whether the matcher looks at the request's path, which it
// reads as strictly as Caddy does, or at a variable that comes from it.
func (m *matcher) readsPath(fromPath []string) bool {
	switch m.name {
	case "path", "path_regexp", "file", "url_pattern":
		return true
	case "expression", "vars", "vars_regexp":
		config := string(m.config)
		return strings.Contains(config, "path") || strings.Contains(config, "uri") || strings.Contains(config, "file(") || tellsOfPath(config, fromPath)
	}
	for _, set := range m.inner {
		for i := range set {
			if set[i].readsPath(fromPath) {
				return true
			}
		}
	}
	return false
}

// isOfClient reports whether the matcher looks at what every client may send
// or leave out, whatever path it asks for.
func (m *matcher) isOfClient() bool {
	switch m.name {
	case "header", "header_regexp", "query", "protocol":
		return true
	case "expression", "vars", "vars_regexp":
		config := string(m.config)
		return slices.ContainsFunc([]string{"{http.request.header.", "{http.request.cookie.", "{http.request.uri.query", "header(", "header_regexp(", "query("},
			func(part string) bool { return strings.Contains(config, part) })
	}
	return slices.ContainsFunc(m.inner, hasOfClient)
}

func hasOfClient(set []matcher) bool {
	return slices.ContainsFunc(set, func(m matcher) bool { return m.isOfClient() })
}

// leavesOutPOST reports whether the route is for methods that a POST may stand
// for, and not for POST.
func (r *route) leavesOutPOST() bool {
	return slices.ContainsFunc(r.sets, func(set []matcher) bool {
		return slices.ContainsFunc(set, func(m matcher) bool {
			var methods []string
			if m.name != "method" || json.Unmarshal(m.config, &methods) != nil {
				return false
			}
			has := func(method string) bool {
				return slices.ContainsFunc(methods, func(m string) bool { return strings.EqualFold(m, method) })
			}
			return !has("POST") && (has("PUT") || has("PATCH") || has("DELETE"))
		})
	})
}

// readsPath reports whether the path decides if a request takes the route.
func (r *route) readsPath(fromPath []string) bool {
	for _, set := range r.sets {
		for i := range set {
			if set[i].readsPath(fromPath) {
				return true
			}
		}
	}
	return false
}

// paths returns the patterns of a route that nothing but a path matcher
// decides about.
func (r *route) paths() (patterns []string, ok bool) {
	for _, set := range r.sets {
		if len(set) != 1 || set[0].name != "path" {
			return nil, false
		}
		var some []string
		if json.Unmarshal(set[0].config, &some) != nil {
			return nil, false
		}
		patterns = append(patterns, some...)
	}
	return patterns, len(patterns) > 0
}

// isForHosts reports whether the host alone decides if a request takes the
// route.
func (r *route) isForHosts() bool {
	return len(r.sets) > 0 && !slices.ContainsFunc(r.sets, func(set []matcher) bool { return len(set) != 1 || set[0].name != "host" })
}

// hosts returns the hosts that the route's matchers name.
func (r *route) hosts() []string {
	var hosts []string
	for _, set := range r.sets {
		for i := range set {
			if set[i].name == "host" {
				var some []string
				_ = json.Unmarshal(set[i].config, &some)
				hosts = append(hosts, some...)
			}
		}
	}
	return hosts
}
