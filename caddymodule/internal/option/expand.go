package option

import (
	"fmt"
	"maps"
	"slices"

	"github.com/caddyserver/caddy/v2"
)

// Expand replaces the global placeholders in an option, such as {env.X}
// and {file./path}. It fails on one that is unknown or turns out empty,
// which is what an unreadable file does: a secret that is quietly empty
// would be worse than no server.
func Expand(option string, value *string) error {
	replacer := caddy.NewReplacer()
	if _, err := replacer.ReplaceOrErr(*value, true, false); err != nil {
		return fmt.Errorf("%s: %w: is the environment variable set, the file readable?", option, err)
	}
	expanded, err := replacer.ReplaceOrErr(*value, false, true)
	if err != nil {
		// What is taken for a placeholder may be a part of a secret: it is
		// not repeated.
		return fmt.Errorf("%s: it holds an unknown placeholder; write a brace that is meant as it stands as \\{", option)
	}
	*value = expanded
	return nil
}

// ExpandAll expands texts by option, in one order, so that a configuration
// with two mistakes gives the same error each time.
func ExpandAll(texts map[string]*string) error {
	for _, option := range slices.Sorted(maps.Keys(texts)) {
		if err := Expand(option, texts[option]); err != nil {
			return err
		}
	}
	return nil
}
