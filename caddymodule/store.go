package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddymfa/caddy-mfa/mfa/panics"
	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// Store is what a module in the namespace mfa.stores implements.
type Store interface {
	caddy.Module

	// PoolKey names the data that Open opens. Configurations that follow one another
	// share one open store as long as it stays the same.
	PoolKey() string

	// Open opens the data. It is called when the app starts, never when a
	// configuration is only checked.
	Open(ctx context.Context) (store.Store, error)
}

// Remote is implemented by a Store whose engine runs on its own, so that it
// may be out of reach when Caddy starts. Its Open returns
// store.ErrUnavailable then, and another error when only a person can help.
type Remote interface {
	Store

	// NearOptions says how this node keeps up with what others write. Embedding
	// Near is enough.
	NearOptions() Near
}

// open holds the stores in use: an embedded database lets nobody open it
// twice.
var open = newShared()

// openStore opens the store of engine, or shares the one that is open. The
// caller must call release once, when it is done.
func openStore(ctx context.Context, engine Store) (st store.Store, release func(), err error) {
	st, _, release, err = acquire(open, engine.PoolKey(), func() (store.Store, func(), error) {
		err := panics.Try(panics.StoreOpen, func() (err error) {
			st, err = engine.Open(ctx)
			return err
		})
		if err != nil {
			return nil, nil, err
		}
		return st, func() { _ = st.Close() }, nil
	})
	return st, release, err
}

// provisionStore loads the module of the configured engine.
func (a *App) provisionStore(ctx caddy.Context) error {
	if a.StoreRaw == nil {
		bolt := new(BoltStore)
		if err := bolt.Provision(ctx); err != nil {
			return fmt.Errorf("store: %w", err)
		}
		a.engine = bolt
		return nil
	}
	var chosen struct {
		Engine string `json:"engine"`
	}
	if err := json.Unmarshal(a.StoreRaw, &chosen); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	if err := checkEngine(chosen.Engine); err != nil {
		return err
	}
	module, err := ctx.LoadModule(a, "StoreRaw")
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	engine, ok := module.(Store)
	if !ok {
		return errors.New("store: the module is no store")
	}
	a.engine = engine
	return nil
}

// guestStores are the engines of this module that are built in on demand.
var guestStores = []string{"postgres", "etcd"}

// checkEngine makes sure that this program has the store engine.
func checkEngine(engine string) error {
	if engine == "" {
		return fmt.Errorf("store: name the engine: this build has %s", builtInStores())
	}
	if !builtIn("mfa.stores." + engine) {
		other := engine
		if !slices.Contains(guestStores, engine) {
			other = guestStores[0]
		}
		return fmt.Errorf("store: this build has no engine %q, only %s; build others in with xcaddy, for instance "+
			"--with github.com/caddymfa/caddy-mfa/caddymodule/%s", engine, builtInStores(), other)
	}
	return nil
}

func builtInStores() string {
	var names []string
	for _, module := range caddy.GetModules("mfa.stores") {
		names = append(names, module.ID.Name())
	}
	return strings.Join(names, ", ")
}

// builtIn reports whether this program has the module id.
func builtIn(id string) bool {
	_, err := caddy.GetModule(id)
	return err == nil
}
