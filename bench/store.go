package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
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
	"postgres": func() engine { return new(postgresEngine) },
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
	names := strings.Join(slices.Sorted(maps.Keys(engines)), ", ")
	cmd := &cobra.Command{
		Use:          "store <engine>",
		Short:        "Measure setups through Caddy on a store, against the floor of its engine (" + names + ")",
		Args:         cobra.ExactArgs(1),
		SilenceUsage: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			make, ok := engines[args[0]]
			if !ok {
				return fmt.Errorf("no engine %q is measured, only %s", args[0], names)
			}
			if err := o.check(); err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), o.timeout)
			defer cancel()
			result, err := runStore(ctx, o, args[0], make(), cmd.ErrOrStderr())
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

// storeResult is what was measured.
type storeResult struct {
	Engine    string  `json:"engine"`
	CPU       string  `json:"cpu"`
	Cores     int     `json:"cores"`
	Clients   int     `json:"clients"`
	Rounds    int     `json:"rounds"`
	Floor     float64 `json:"floor_per_second"`
	FloorBusy float64 `json:"floor_cores_busy"`
	Setups    float64 `json:"setups_per_second"`
	// Ratio is the median, over the rounds, of the setups a second against
	// the floor beside them; Low and High are its quartiles.
	Ratio float64 `json:"ratio"`
	Low   float64 `json:"ratio_low"`
	High  float64 `json:"ratio_high"`
	Busy  float64 `json:"setups_cores_busy"`
	// CPU time a setup, in microseconds.
	Caddy  float64 `json:"caddy_cpu_microseconds_per_setup"`
	Server float64 `json:"engine_cpu_microseconds_per_setup"`
	Client float64 `json:"client_cpu_microseconds_per_setup"`
	Tool   float64 `json:"floor_client_cpu_microseconds"`
	Goal   float64 `json:"goal"`
	Met    bool    `json:"met"`
}

// runStore starts, measures and takes all down again. In each round a block
// of setups stands between two runs of the floor, against whose mean it is
// held.
func runStore(ctx context.Context, o storeOptions, name string, e engine, progress io.Writer) (result storeResult, err error) {
	folder, err := os.MkdirTemp("", "caddy-mfa-bench-")
	if err != nil {
		return result, err
	}
	defer os.RemoveAll(folder)
	fmt.Fprintln(progress, "building ./xcaddy/full")
	binary, err := build(ctx, folder, "./xcaddy/full")
	if err != nil {
		return result, err
	}
	fmt.Fprintln(progress, "starting", name)
	if err := e.start(ctx, folder); err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, e.stop()) }()
	l, err := newLogin()
	if err != nil {
		return result, err
	}
	option, env := e.store()
	c, err := startCaddy(ctx, binary, filepath.Join(folder, "node"), deployment{siteUngated, option, env}, l, "127.0.0.1:9", o.clients)
	if err != nil {
		return result, err
	}
	defer c.stop()
	s := &setups{caddy: c, login: l, engine: e, clients: o.clients}
	if _, err := s.block(ctx, 1); err != nil {
		return result, err
	}
	if err := e.prepare(ctx, o.documents); err != nil {
		return result, err
	}
	// Connections, caches, heap.
	if _, err := s.block(ctx, min(o.setups, 1000)); err != nil {
		return result, err
	}
	if result, err = s.measure(ctx, o, name, progress); err != nil || o.profile == "" {
		return result, err
	}
	fmt.Fprintln(progress, "profile")
	profiled := make(chan error, 1)
	go func() { profiled <- c.profile(ctx, o.profile) }()
	return result, until(profiled, func() error {
		_, err := s.block(ctx, 1000)
		return err
	})
}

func (s *setups) measure(ctx context.Context, o storeOptions, name string, progress io.Writer) (result storeResult, err error) {
	var floors, floorBusy, tool, rates, ratios, busy, caddyCPU, server, client []float64
	floor := func() (float64, error) {
		cost, err := s.engine.floor(ctx, o.clients, 4*time.Second)
		floors, floorBusy, tool = append(floors, cost.rate), append(floorBusy, cost.busy), append(tool, cost.client)
		return cost.rate, err
	}
	before, err := floor()
	if err != nil {
		return result, err
	}
	for round := range o.rounds {
		fmt.Fprintf(progress, "round %d of %d\n", round+1, o.rounds)
		cost, err := s.block(ctx, o.setups)
		if err != nil {
			return result, err
		}
		after, err := floor()
		if err != nil {
			return result, err
		}
		rates, ratios, busy = append(rates, cost.rate), append(ratios, cost.rate/((before+after)/2)), append(busy, cost.busy)
		caddyCPU, server, client = append(caddyCPU, cost.caddy), append(server, cost.server), append(client, cost.client)
		before = after
	}
	result = storeResult{
		Engine: name, CPU: processor(), Cores: runtime.NumCPU(), Clients: o.clients, Rounds: o.rounds,
		Floor: quantile(floors, 0.5), FloorBusy: quantile(floorBusy, 0.5), Tool: quantile(tool, 0.5),
		Setups: quantile(rates, 0.5), Busy: quantile(busy, 0.5),
		Ratio: quantile(ratios, 0.5), Low: quantile(ratios, 0.25), High: quantile(ratios, 0.75),
		Caddy: quantile(caddyCPU, 0.5), Server: quantile(server, 0.5), Client: quantile(client, 0.5), Goal: storeGoal,
	}
	result.Met = result.Ratio >= storeGoal
	return result, nil
}

func (r storeResult) writeTable(w io.Writer) error {
	fmt.Fprintf(w, "%s, %d cores; %s, %d clients, %d rounds\n\n", r.CPU, r.Cores, r.Engine, r.Clients, r.Rounds)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\tper second\tagainst the floor\tquartiles\tcores busy\tCPU: Caddy\tengine\tclient")
	fmt.Fprintf(t, "floor\t%.0f\t1\t\t%.2f of %d\t\t\t%.0f us\n", r.Floor, r.FloorBusy, r.Cores, r.Tool)
	fmt.Fprintf(t, "setups\t%.0f\t%.2f\t%.2f-%.2f\t%.2f of %d\t%.0f us\t%.0f us\t%.0f us\n",
		r.Setups, r.Ratio, r.Low, r.High, r.Busy, r.Cores, r.Caddy, r.Server, r.Client)
	if err := t.Flush(); err != nil {
		return err
	}
	verdict := "met"
	if !r.Met {
		verdict = fmt.Sprintf("MISSED; a setup takes %.0f us of CPU in all, so that the %d cores let %.0f a second through if they do nothing else",
			r.Caddy+r.Server+r.Client, r.Cores, float64(r.Cores)*1e6/(r.Caddy+r.Server+r.Client))
	}
	_, err := fmt.Fprintf(w, "\ngoal: at least %.2f of the floor, or bounded by CPU elsewhere: %s\n", r.Goal, verdict)
	return err
}
