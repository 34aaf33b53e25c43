package routecheck

import (
	"encoding/json"
	"net/url"
	"strings"

	"github.com/caddymfa/caddy-mfa/mfa/gate"
)

// rewriting is the configuration of the handler rewrite, and of
// reverse_proxy's own option.
type rewriting struct {
	URI             string            `json:"uri"`
	StripPathPrefix string            `json:"strip_path_prefix"`
	StripPathSuffix string            `json:"strip_path_suffix"`
	URISubstring    []json.RawMessage `json:"uri_substring"`
	PathRegexp      []json.RawMessage `json:"path_regexp"`
	Query           json.RawMessage   `json:"query"`
}

// path is what the path is set to, "" when it is not.
func (r *rewriting) path() string {
	path, _, _ := strings.Cut(r.URI, "?")
	path, _, _ = strings.Cut(path, "#")
	return path
}

// replaces reports whether nothing of the path that was asked for is left.
func (r *rewriting) replaces() bool {
	path := r.path()
	return path != "" && !strings.Contains(strings.ReplaceAll(path, "{http.error.", ""), "{")
}

// restores reports whether it makes the path the one that was asked for again,
// which stays what it was for a request that a gate has refused.
func (r *rewriting) restores() bool { return strings.Contains(r.path(), "{http.request.orig_uri}") }

// mayReach reports whether a path that a gate does not guard may become one
// that it does.
func (r *rewriting) mayReach(g *gateAt) bool {
	if g.paths == nil {
		return false // it guards all paths
	}
	if g.readsQuery && (len(r.Query) > 0 || strings.Contains(r.URI, "?")) {
		return true
	}
	if len(r.URISubstring) > 0 || len(r.PathRegexp) > 0 || r.StripPathSuffix != "" {
		return true
	}
	if prefix := strings.TrimSuffix(r.StripPathPrefix, "/"); prefix != "" && !g.guardsBelow(prefix) {
		return true
	}
	path := r.path()
	switch path {
	case "", "{http.request.uri.path}", "{http.request.uri}":
		return false
	case "{http.matchers.file.relative}":
		return false // try_files: a file that the path itself names, or one of the configuration's
	}
	literal, rest, variable := strings.Cut(path, "{")
	if !variable {
		return guards(g.paths, path)
	}
	if literal == "" || literal == "/" || !strings.HasPrefix(rest, "http.request.uri") {
		return !strings.HasPrefix(rest, "http.error.")
	}
	return guards(g.paths, literal) || guards(g.paths, strings.TrimSuffix(literal, "/")+"/x")
}

// guardsBelow reports whether the gate guards under prefix as well what it
// guards without.
func (g *gateAt) guardsBelow(prefix string) bool {
	for _, pattern := range g.patterns {
		if strings.HasPrefix(pattern, "*") || strings.HasPrefix(pattern, prefix+"/") {
			continue // it begins at any segment, or names the path before
		}
		if !guards(g.paths, prefix+strings.ReplaceAll(strings.TrimSuffix(pattern, "*"), "*", "x")) {
			return false
		}
	}
	return true
}

func guards(paths *gate.Paths, path string) bool {
	return paths.Match(&url.URL{Path: path})
}
