package routecheck

import (
	"encoding/json"
	"slices"
	"strings"
)

// root returns the folder that a handler vars sets for files.
func root(h *handler) (folder string, ok bool) {
	var vars map[string]any
	_ = json.Unmarshal(h.config, &vars)
	folder, ok = vars["root"].(string)
	return folder, ok && h.name == "vars"
}

// noteVariables notes the variables that a handler map or vars sets by the
// path, so that a matcher of one of them counts as one of the path.
func (p place) noteVariables(h *handler) {
	byMatcher := slices.ContainsFunc(p.under, func(r *route) bool { return r.pathDecides })
	note := func(names ...string) { p.server.fromPath = append(p.server.fromPath, names...) }
	if h.name == "map" {
		var m struct {
			Source       string   `json:"source"`
			Destinations []string `json:"destinations"`
		}
		_ = json.Unmarshal(h.config, &m)
		if byMatcher || p.server.tellsOfPath(m.Source) {
			note(m.Destinations...)
		}
		return
	}
	var vars map[string]json.RawMessage
	_ = json.Unmarshal(h.config, &vars)
	for name, value := range vars {
		if name == "handler" || name == "root" {
			continue
		}
		if byMatcher || p.server.tellsOfPath(string(value)) {
			quoted, _ := json.Marshal(name)
			note("{http.vars."+name+"}", string(quoted)+":")
		}
	}
}

// tellsOfPath reports whether a text with placeholders tells something of the
// path.
func (s *serverAt) tellsOfPath(text string) bool { return tellsOfPath(text, s.fromPath) }

func tellsOfPath(text string, fromPath []string) bool {
	return strings.Contains(text, "{http.request.uri") || strings.Contains(text, "{http.request.orig_uri") ||
		strings.Contains(text, "{http.regexp.") || strings.Contains(text, "{http.matchers.file.") ||
		slices.ContainsFunc(fromPath, func(name string) bool { return strings.Contains(text, name) })
}
