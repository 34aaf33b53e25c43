package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddymfa/caddy-mfa/internal/etcdserver"
	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// engine is what a store keeps its documents in: servers of this run's own,
// and the means to find out what they can do at best.
type engine interface {
	// start starts it, with a place for Caddy and one for the floor.
	start(ctx context.Context, folder string) error
	// store returns the option store for Caddy, and its environment.
	store() (option string, env []string)
	// prepare fills both places alike, with so many documents of the size
	// that a setup has left in the first.
	prepare(ctx context.Context, documents int) error
	// floor makes what is equivalent to setups, with the engine's own tool,
	// from so many clients and for so long.
	floor(ctx context.Context, clients int, d time.Duration) (floorCost, error)
	// open opens the place for the floor with the product's own engine.
	open(ctx context.Context) (store.Store, error)
	// document is one of the size of those that are there.
	document() []byte
	// processes returns the IDs of its processes.
	processes() []int
	stop() error
}

// floorCost is what came out of the engine's own tool.
type floorCost struct {
	rate   float64 // a second
	busy   float64 // cores, of the whole machine
	client float64 // CPU of the tool a transaction, in microseconds
}

// engines are those that are measured, by the name of their store.
var engines = map[string]func() engine{
	"etcd":        func() engine { return &etcdEngine{program: etcdserver.Current} },
	"etcd-system": func() engine { return &etcdEngine{program: etcdserver.System} },
	"postgres":    func() engine { return new(postgresEngine) },
}

func engineNames() string { return strings.Join(slices.Sorted(maps.Keys(engines)), ", ") }

func newEngine(name string) (engine, error) {
	make, ok := engines[name]
	if !ok {
		return nil, fmt.Errorf("no engine %q is measured, only %s", name, engineNames())
	}
	return make(), nil
}

// storeGoal is the least that setups should reach of the floor.
const storeGoal = 0.7

// storeOptions are the flags of the command store.
type storeOptions struct {
	setups    int
	rounds    int
	clients   int
	documents int
	json      bool
	profile   string
	timeout   time.Duration
}

func (o storeOptions) check() error {
	switch {
	case o.setups < 100 || o.setups > maxRequests:
		return fmt.Errorf("--setups must be from 100 to %d", maxRequests)
	case o.rounds < 1 || o.rounds > maxRounds:
		return fmt.Errorf("--rounds must be from 1 to %d", maxRounds)
	case o.clients < 1 || o.clients > 256:
		return errors.New("--clients must be from 1 to 256")
	case o.documents < 0 || o.documents > maxTokens:
		return fmt.Errorf("--documents must be from 0 to %d", maxTokens)
	}
	return nil
}

func storeCommand() *cobra.Command {
	var o storeOptions
	cmd := &cobra.Command{
		Use:          "store <engine>",
		Short:        "Measure setups through Caddy on a store, against the floor of its engine (" + engineNames() + ")",
		Args:         cobra.ExactArgs(1),
		SilenceUsage: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			e, err := newEngine(args[0])
			if err != nil {
				return err
			}
			if err := o.check(); err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), o.timeout)
			defer cancel()
			result, err := runStore(ctx, o, args[0], e, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			if o.json {
				encoder := json.NewEncoder(cmd.OutOrStdout())
				encoder.SetIndent("", "  ")
				return encoder.Encode(result)
			}
			return result.writeTable(cmd.OutOrStdout())
		},
	}
	flags := cmd.Flags()
	flags.IntVar(&o.setups, "setups", 6000, "setups in a block: each round has one")
	flags.IntVar(&o.rounds, "rounds", 5, "rounds")
	flags.IntVar(&o.clients, "clients", 64, "clients of Caddy, and of the engine's own tool")
	flags.IntVar(&o.documents, "documents", 50_000, "documents that are there before")
	flags.BoolVar(&o.json, "json", false, "print JSON")
	flags.StringVar(&o.profile, "profile", "", "leave a CPU profile of Caddy in this file")
	flags.DurationVar(&o.timeout, "timeout", 15*time.Minute, "give up after")
	return cmd
}
