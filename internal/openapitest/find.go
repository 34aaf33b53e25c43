package openapitest

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"strings"
)

// find returns the path of the document that target is of. Paths are
// compared as the product compares them: without regard to case, doubled
// slashes, dot segments and a slash at the end.
func (d *Document) find(target string) (pathItem, error) {
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return pathItem{}, fmt.Errorf("reading target: %w", err)
	}
	rest, ok := strings.CutPrefix(path.Clean(strings.ToLower(u.Path)), strings.ToLower(d.prefix))
	if !ok || rest != "" && rest[0] != '/' {
		return pathItem{}, fmt.Errorf("the path is not under %s", d.prefix)
	}
	if rest == "" {
		rest = "/"
	}
	for _, item := range d.paths {
		if matches(item.template, rest) {
			return item, nil
		}
	}
	return pathItem{}, errors.New("the path is not documented")
}

// matches reports whether a path is of the template, in which {name} stands
// for one segment.
func matches(template, p string) bool {
	expected, given := strings.Split(template, "/"), strings.Split(p, "/")
	if len(expected) != len(given) {
		return false
	}
	for i, segment := range expected {
		parameter := strings.HasPrefix(segment, "{") && strings.HasSuffix(segment, "}")
		if parameter && given[i] == "" || !parameter && !strings.EqualFold(segment, given[i]) {
			return false
		}
	}
	return true
}
