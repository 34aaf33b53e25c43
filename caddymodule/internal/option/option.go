// Package option reads the options of Caddyfile blocks, and expands the
// placeholders in them: strictly, alike for the app and for the stores that
// are built in on demand.
package option

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// Parser reads one option of a block; the cursor is on its name.
type Parser func(d *caddyfile.Dispenser) error

// Block reads the block that follows the cursor, if there is one. An
// option that is unknown, or given twice without being repeatable, is an
// error that names it: it would otherwise be a setting that somebody
// believes in and nobody applies.
func Block(d *caddyfile.Dispenser, block string, options map[string]Parser, repeatable ...string) error {
	seen := make(map[string]bool)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		name := d.Val()
		parse, ok := options[name]
		if !ok {
			return d.Errf("unknown option %q in %s: it takes %s", name, block,
				strings.Join(slices.Sorted(maps.Keys(options)), ", "))
		}
		if seen[name] && !slices.Contains(repeatable, name) {
			return d.Errf("option %q is given twice in %s: give it once, with all its values", name, block)
		}
		seen[name] = true
		if err := parse(d); err != nil {
			return err
		}
	}
	return nil
}

// NoValue makes sure that nothing but a block follows the name of an
// option.
func NoValue(d *caddyfile.Dispenser) error {
	name := d.Val()
	if d.NextArg() {
		return d.Errf("%s: takes no value, only a block, not %q", name, d.Val())
	}
	return nil
}

// Text reads exactly one argument, which must not be empty.
func Text(into *string) Parser {
	return func(d *caddyfile.Dispenser) error {
		name := d.Val()
		if d.CountRemainingArgs() != 1 {
			return d.Errf("%s: takes one value, not %d (quote a value that has spaces)", name, d.CountRemainingArgs())
		}
		d.NextArg()
		if d.Val() == "" {
			return d.Errf("%s: the value is empty", name)
		}
		*into = d.Val()
		return nil
	}
}

// Texts reads one argument or more.
func Texts(into *[]string) Parser {
	return func(d *caddyfile.Dispenser) error {
		name := d.Val()
		*into = d.RemainingArgs()
		if len(*into) == 0 || slices.Contains(*into, "") {
			return d.Errf("%s: takes one value or more, none of them empty", name)
		}
		return nil
	}
}

// Flag reads an option without arguments.
func Flag(into *bool) Parser {
	return func(d *caddyfile.Dispenser) error {
		name := d.Val()
		if d.NextArg() {
			return d.Errf("%s: takes no value", name)
		}
		*into = true
		return nil
	}
}

// Number reads a whole number that is not below least. Where 0 would be
// taken for an option that is not given, least is 1.
func Number(into *int, least int) Parser {
	return func(d *caddyfile.Dispenser) error {
		name := d.Val()
		var value string
		if err := Text(&value)(d); err != nil {
			return err
		}
		n, err := strconv.Atoi(value)
		if err != nil || n < least {
			return d.Errf("%s: %q is no whole number from %d up", name, value, least)
		}
		*into = n
		return nil
	}
}

// Duration reads a duration such as 90s, 15m or 1d.
func Duration(into *caddy.Duration) Parser {
	return func(d *caddyfile.Dispenser) error {
		name := d.Val()
		var value string
		if err := Text(&value)(d); err != nil {
			return err
		}
		parsed, err := caddy.ParseDuration(value)
		if err != nil || parsed < 0 {
			return d.Errf("%s: %q is no duration such as 90s, 15m or 1d", name, value)
		}
		*into = caddy.Duration(parsed)
		return nil
	}
}

// PositiveDuration is Duration for an option that cannot be 0.
func PositiveDuration(into *caddy.Duration) Parser {
	return func(d *caddyfile.Dispenser) error {
		name := d.Val()
		if err := Duration(into)(d); err != nil {
			return err
		}
		if *into == 0 {
			return d.Errf("%s: must be longer than 0, or left out for the default", name)
		}
		return nil
	}
}

// OptionalDuration is Duration for an option whose 0 differs from none.
func OptionalDuration(into **caddy.Duration) Parser {
	return func(d *caddyfile.Dispenser) error {
		var value caddy.Duration
		if err := Duration(&value)(d); err != nil {
			return err
		}
		*into = &value
		return nil
	}
}
