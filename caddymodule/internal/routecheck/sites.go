package routecheck

import (
	"slices"
	"strings"
)

// otherSites finds sites of the same host, such as the one for http, that
// lead to an upstream which a gate guards.
func (r *Report) otherSites(g *gateAt) {
	for _, at := range r.servers {
		for _, u := range at.upstreams {
			if u.site == g.site || u.inErrors || !u.asAsked || len(u.before.passed) > 0 || !g.guardsUpstream(u.to) {
				continue
			}
			host, both := sharedHost(g.site, u.site)
			switch {
			case !both, at == g.site.server && u.before.takesHosts(g.site.hosts, host):
			case host == "":
				which := "any host"
				if at == g.site.server {
					which = "any other host"
				}
				r.warn("%s is reached at %s by way of %s without %s: give the site without hosts mfa and the gate as well, or hosts of its own",
					u, which, listening(at), g)
			default:
				r.warn("%s is reached at %s by way of %s without %s, whose site covers that host too: Caddy takes the more specific site. "+
					"Give the site %s mfa and the gate as well, or redirect it",
					u, host, listening(at), g, strings.Join(u.site.hosts, ", "))
			}
		}
	}
}

// sharedHost returns a host at which requests come to other that the site
// guarded is meant for as well, "" where other takes every host. In one
// server Caddy takes the more specific of two sites.
func sharedHost(guarded, other *site) (host string, ok bool) {
	if len(other.hosts) == 0 {
		return "", true
	}
	if len(guarded.hosts) == 0 {
		return other.hosts[0], true
	}
	for _, host := range other.hosts {
		for _, own := range guarded.hosts {
			if hostMatches(own, host) || guarded.server != other.server && hostMatches(host, own) {
				return host, true
			}
		}
	}
	return "", false
}

// takesHosts reports whether routes for hosts alone have answered the requests
// for host or, where it is "", for hosts: then they must have been behind mfa,
// as a host with a dot at its end is another one before.
func (st *state) takesHosts(hosts []string, host string) bool {
	if host != "" {
		hosts = []string{host}
	}
	missing := func(one string) bool {
		return !slices.ContainsFunc(st.taken, func(t taken) bool {
			r := t.under[len(t.under)-1]
			return (host != "" || t.mfa) && r.isForHosts() &&
				slices.ContainsFunc(r.hosts(), func(pattern string) bool { return hostMatches(pattern, one) })
		})
	}
	return len(hosts) > 0 && !slices.ContainsFunc(hosts, missing)
}

// hostMatches reports whether a host matcher of Caddy's takes host for
// pattern, in which each * is one label.
func hostMatches(pattern, host string) bool {
	want, labels := strings.Split(pattern, "."), strings.Split(host, ".")
	return slices.EqualFunc(want, labels, func(want, label string) bool { return want == "*" || strings.EqualFold(want, label) })
}
