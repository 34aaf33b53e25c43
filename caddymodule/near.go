package caddymodule

import (
	"errors"
	"maps"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddymfa/caddy-mfa/caddymodule/internal/option"
	"github.com/caddymfa/caddy-mfa/mfa"
)

// Near says how a node that shares its store with others keeps up with what
// they write. The modules of such stores embed it.
type Near struct {
	// Fresh is how old, by this node's clock, what its gates go by may be of
	// what other nodes have written, such as a sign-out; what this node writes
	// they see at once. Mostly they see it within half a second: this is the
	// bound, beyond which they ask the store, or close. From 100ms to 10s.
	// Default: 10s.
	Fresh caddy.Duration `json:"fresh,omitempty"`

	// Stale is for how long the gates of this node go by what was true last
	// while the store is plainly away: while nothing that it is asked is
	// answered. A store that answers slowly is waited for. At most 1h; no more
	// than fresh closes them at once. Default: 1m.
	Stale caddy.Duration `json:"stale,omitempty"`
}

// Bounds of Near.
const (
	minFresh = 100 * time.Millisecond
	maxFresh = 10 * time.Second
	maxStale = time.Hour
)

// CheckNear returns an error that names the option which is out of bounds.
func (n *Near) CheckNear() error {
	if fresh := time.Duration(n.Fresh); fresh != 0 && (fresh < minFresh || fresh > maxFresh) {
		return errors.New("fresh: must be from 100ms to 10s")
	}
	if stale := time.Duration(n.Stale); stale < 0 || stale > maxStale {
		return errors.New("stale: must be at most 1h")
	}
	return nil
}

// NearOptions implements Remote.
func (n *Near) NearOptions() Near { return *n }

// WithNear adds to the options of a store those of Near.
func (n *Near) WithNear(options map[string]option.Parser) map[string]option.Parser {
	options = maps.Clone(options)
	options["fresh"] = option.PositiveDuration(&n.Fresh)
	options["stale"] = option.PositiveDuration(&n.Stale)
	return options
}

// set puts the options into those of the service.
func (n Near) set(config *mfa.Config) {
	config.Fresh, config.Stale = time.Duration(n.Fresh), time.Duration(n.Stale)
}
