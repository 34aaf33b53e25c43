// Command bench measures what the product costs a proxied request, side by
// side with Caddy's reverse_proxy alone, in the same binary and the same
// run, and what a store lets through against the floor that its engine sets.
// See README.md.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// options are the command's flags.
type options struct {
	requests    int
	rounds      int
	connections int
	tokens      int
	json        bool
	profiles    string
	store       string
	timeout     time.Duration
}

// Bounds of the flags: a run measures, it is no load generator.
const (
	minRounds   = 5
	maxRounds   = 101
	maxRequests = 100_000
	maxTokens   = 1_000_000
)

func (o options) check() error {
	switch {
	case o.requests < 100 || o.requests > maxRequests:
		return fmt.Errorf("--requests must be from 100 to %d", maxRequests)
	case o.rounds < minRounds || o.rounds > maxRounds:
		return fmt.Errorf("--rounds must be from %d to %d", minRounds, maxRounds)
	case o.connections < 1 || o.connections > 64:
		return errors.New("--connections must be from 1 to 64")
	case o.tokens < 2 || o.tokens > maxTokens:
		return fmt.Errorf("--tokens must be from 2 to %d", maxTokens)
	}
	return nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := command().ExecuteContext(ctx)
	stop()
	if err != nil {
		os.Exit(1)
	}
}

func command() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:          "bench",
		Short:        "Measure what caddy-mfa costs a proxied request, against Caddy's reverse_proxy alone",
		Args:         cobra.NoArgs,
		SilenceUsage: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(); err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), o.timeout)
			defer cancel()
			result, err := run(ctx, o, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			if o.json {
				return result.writeJSON(cmd.OutOrStdout())
			}
			return result.writeTable(cmd.OutOrStdout())
		},
	}
	flags := cmd.Flags()
	flags.IntVar(&o.requests, "requests", 3000, "requests in a block: in each round each scenario gets one")
	flags.IntVar(&o.rounds, "rounds", 9, "rounds")
	flags.IntVar(&o.connections, "connections", 4, "kept-alive connections to each Caddy")
	flags.IntVar(&o.tokens, "tokens", 100_000, "distinct access tokens sent to see what memory they take")
	flags.BoolVar(&o.json, "json", false, "print JSON")
	flags.StringVar(&o.store, "store", "", "keep the state in this engine ("+engineNames()+"), not in the embedded store")
	flags.StringVar(&o.profiles, "profiles", "", "leave a CPU profile of each scenario in this folder")
	flags.DurationVar(&o.timeout, "timeout", 15*time.Minute, "give up after")
	cmd.AddCommand(storeCommand())
	return cmd
}
