package routecheck

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// upstreamAt is a handler that hands requests to somebody else, or serves
// files.
type upstreamAt struct {
	site     *site
	name     string
	to       []string // the upstreams or the folder, none where they are not known
	files    bool
	under    []*route
	inErrors bool
	before   state
	asAsked  bool // the path is, or comes from, the one that was asked for
	rewrites map[*gateAt][]string
}

// proxy is the handler reverse_proxy: requests go on behind it only from its
// handle_response, as those of forward_auth do.
func (p place) proxy(h *handler, st state) state {
	var config struct {
		Rewrite          *rewriting      `json:"rewrite"`
		Upstreams        json.RawMessage `json:"upstreams"`
		DynamicUpstreams json.RawMessage `json:"dynamic_upstreams"`
	}
	_ = json.Unmarshal(h.config, &config)
	there := st
	asAsked := !st.replaced
	if config.Rewrite != nil {
		there = st.rewritten(config.Rewrite, "reverse_proxy's rewrite")
		asAsked = asAsked && !config.Rewrite.replaces()
		there.restored = there.restored || config.Rewrite.restores()
	}
	p.upstream(h.name, dials(string(config.Upstreams)+string(config.DynamicUpstreams)), there, asAsked)
	st.mayFail = true
	on := st
	on.answeredBy = h.name
	for _, routes := range h.replies {
		if after := p.walk(routes, st); after.answeredBy == "" {
			on = st
		}
	}
	if st.answeredBy != "" {
		on.answeredBy = st.answeredBy
	}
	return on
}

// files is the handler file_server.
func (p place) files(h *handler, st state) state {
	var config struct {
		Root     string `json:"root"`
		PassThru bool   `json:"pass_thru"`
	}
	_ = json.Unmarshal(h.config, &config)
	folder := config.Root
	if folder == "" || folder == "{http.vars.root}" {
		folder = st.root
	}
	var to []string
	if folder != "" {
		to = []string{"root " + strings.TrimSuffix(folder, "/")}
	}
	if u := p.upstream(h.name, to, st, !st.replaced); u != nil {
		u.files = true
	}
	if !config.PassThru && st.answeredBy == "" {
		st.answeredBy = h.name
	}
	return st
}

// upstream notes that requests come to a handler, and returns nil where none
// do.
func (p place) upstream(name string, to []string, st state, asAsked bool) *upstreamAt {
	if st.answeredBy != "" {
		return nil
	}
	u := &upstreamAt{site: p.site, name: name, to: to, under: p.under, inErrors: p.inErrors, before: st, asAsked: asAsked,
		rewrites: make(map[*gateAt][]string)}
	for _, passed := range st.passed {
		if len(passed.rewrites) > 0 {
			u.rewrites[passed.gate] = passed.rewrites
		}
	}
	p.server.upstreams = append(p.server.upstreams, u)
	return u
}

// dials returns the addresses in the JSON of upstreams, or the JSON itself
// where they are found out later.
func dials(upstreams string) []string {
	if upstreams == "" {
		return nil
	}
	var some []struct {
		Dial string `json:"dial"`
	}
	if json.Unmarshal([]byte(upstreams), &some) != nil {
		return []string{upstreams}
	}
	var all []string
	for _, u := range some {
		all = append(all, u.Dial)
	}
	slices.Sort(all)
	return all
}

// sameUpstream reports whether two handlers have an upstream or a folder in
// common.
func sameUpstream(a, b []string) bool {
	return slices.ContainsFunc(a, func(one string) bool {
		return slices.ContainsFunc(b, func(other string) bool { return loopback(one) == loopback(other) })
	})
}

// loopback gives the names of this machine one form.
func loopback(dial string) string {
	for _, name := range []string{"localhost:", "[::1]:"} {
		if port, ok := strings.CutPrefix(dial, name); ok {
			return "127.0.0.1:" + port
		}
	}
	return dial
}

// isBehind reports whether some requests come to u by way of the gate.
func (u *upstreamAt) isBehind(g *gateAt) bool {
	return slices.ContainsFunc(u.before.passed, func(p passage) bool { return p.gate == g })
}

// guardsUpstream reports whether one of the upstreams, or the folder, is
// behind the gate elsewhere.
func (g *gateAt) guardsUpstream(to []string) bool {
	return slices.ContainsFunc(g.site.server.upstreams, func(u *upstreamAt) bool { return g.leadsTo(u, to) })
}

// sharesUpstream reports whether what u leads to is behind the gate elsewhere.
// Of a handler that does not say where it leads, its name decides.
func (g *gateAt) sharesUpstream(u *upstreamAt) bool {
	return g.guardsUpstream(u.to) || len(u.to) == 0 && slices.ContainsFunc(g.site.server.upstreams, func(other *upstreamAt) bool {
		return !other.inErrors && other.name == u.name && len(other.to) == 0 && slices.Contains(other.before.gates, g)
	})
}

// guardsFolder reports whether the folder is behind the gate elsewhere, at
// the paths that the gate has looked at.
func (g *gateAt) guardsFolder(to []string) bool {
	return slices.ContainsFunc(g.site.server.upstreams, func(u *upstreamAt) bool { return g.leadsTo(u, to) && len(u.rewrites[g]) == 0 })
}

func (g *gateAt) leadsTo(u *upstreamAt, to []string) bool {
	return !u.inErrors && sameUpstream(u.to, to) && slices.Contains(u.before.gates, g)
}

func (u *upstreamAt) String() string {
	if to := strings.Join(u.to, " "); to != "" && len(to) < 100 {
		return fmt.Sprintf("%s (%s)", u.name, to)
	}
	return u.name
}
