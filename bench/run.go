package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// bench is what the Caddies of a run share.
type bench struct {
	binary   string
	folder   string
	upstream string
	store    engine // nil for the embedded one
}

// placer is an engine with room for several Caddies that know nothing of
// each other.
type placer interface {
	engine
	// place returns the option store of one of them, and its environment.
	place(name string) (option string, env []string, err error)
}

// run builds, starts, measures and takes all down again.
func run(ctx context.Context, o options, progress io.Writer) (_ result, err error) {
	folder, err := os.MkdirTemp("", "caddy-mfa-bench-")
	if err != nil {
		return result{}, err
	}
	defer os.RemoveAll(folder)
	b, source := &bench{folder: folder}, "./xcaddy"
	if o.store != "" {
		source = "./xcaddy/full"
		if b.store, err = newEngine(o.store); err != nil {
			return result{}, err
		}
		fmt.Fprintln(progress, "starting", o.store)
		if err := b.store.start(ctx, folder); err != nil {
			return result{}, err
		}
		defer func() { err = errors.Join(err, b.store.stop()) }()
	}
	fmt.Fprintln(progress, "building", source)
	if b.binary, err = build(ctx, folder, source); err != nil {
		return result{}, err
	}
	upstream, stop, err := startUpstream()
	if err != nil {
		return result{}, err
	}
	defer stop()
	b.upstream = upstream

	var all []*runner
	for _, s := range append([]scenario{{name: "plain", what: "reverse_proxy alone", site: sitePlain, headers: ordinary}}, scenarios...) {
		r, err := b.startRunner(ctx, s, o.connections)
		if err != nil {
			return result{}, err
		}
		defer r.caddy.stop()
		all = append(all, r)
	}
	plain, measured := all[0], all[1:]
	if err := measure(ctx, o, plain, measured, progress); err != nil {
		return result{}, err
	}
	if o.profiles != "" {
		if err := profileAll(ctx, o, all, progress); err != nil {
			return result{}, err
		}
	}
	memory, err := b.flood(ctx, o, progress)
	if err != nil {
		return result{}, err
	}
	return newResult(o, plain, measured, memory), nil
}

// measure runs the rounds. In each, every block of a scenario stands between
// two of plain Caddy, against whose mean it is held: what the machine does
// beside, and its drift, meets both.
func measure(ctx context.Context, o options, plain *runner, measured []*runner, progress io.Writer) error {
	for _, r := range append([]*runner{plain}, measured...) {
		if _, err := r.block(ctx, min(o.requests, 1000), o.connections); err != nil { // connections, caches, heap
			return err
		}
	}
	for round := range o.rounds {
		fmt.Fprintf(progress, "round %d of %d\n", round+1, o.rounds)
		for _, r := range measured {
			if err := between(ctx, o, plain, r); err != nil {
				return err
			}
		}
	}
	return nil
}

// between sends a block of r between two of plain Caddy.
func between(ctx context.Context, o options, plain, r *runner) error {
	ready, err := r.ready(ctx, o.requests)
	if err != nil {
		return err
	}
	before, err := plain.block(ctx, o.requests, o.connections)
	if err != nil {
		return err
	}
	took, err := ready.send(ctx, o.connections)
	if err != nil {
		return err
	}
	after, err := plain.block(ctx, o.requests, o.connections)
	if err != nil {
		return err
	}
	r.costs = append(r.costs, took)
	r.ratios = append(r.ratios, float64(took.cpu)/(float64(before.cpu+after.cpu)/2))
	plain.costs = append(plain.costs, before, after)
	return nil
}

// memory is the resident memory of a gate, in bytes, after so many distinct
// access tokens.
type memory struct {
	Tokens int   `json:"tokens"`
	Bytes  int64 `json:"bytes"`
}

// flood sends distinct access tokens to a gate of its own and looks at its
// memory as they go by.
func (b *bench) flood(ctx context.Context, o options, progress io.Writer) ([]memory, error) {
	i := slices.IndexFunc(scenarios, func(s scenario) bool { return s.name == "distinct tokens" })
	s := scenarios[i]
	s.name = "memory"
	r, err := b.startRunner(ctx, s, o.connections)
	if err != nil {
		return nil, err
	}
	defer r.caddy.stop()
	var seen []memory
	sent := 0
	for part := range 5 {
		until := o.tokens * part / 4
		fmt.Fprintf(progress, "memory: %d of %d tokens\n", until, o.tokens)
		for sent < until {
			n := min(until-sent, 5000)
			if _, err := r.block(ctx, n, o.connections); err != nil {
				return nil, err
			}
			sent += n
		}
		bytes, err := resident(r.caddy.pid())
		if err != nil {
			return nil, err
		}
		seen = append(seen, memory{Tokens: sent, Bytes: bytes})
	}
	return seen, nil
}

// profileAll leaves a CPU profile of each scenario in a folder.
func profileAll(ctx context.Context, o options, all []*runner, progress io.Writer) error {
	if err := os.MkdirAll(o.profiles, 0o755); err != nil {
		return err
	}
	for _, r := range all {
		fmt.Fprintf(progress, "profile: %s\n", r.name)
		profiled := make(chan error, 1)
		go func() { profiled <- r.caddy.profile(ctx, filepath.Join(o.profiles, r.name+".pprof")) }()
		err := until(profiled, func() error {
			_, err := r.block(ctx, o.requests, o.connections)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// until calls send until done tells how something else has ended.
func until(done <-chan error, send func() error) error {
	for {
		select {
		case err := <-done:
			return err
		default:
		}
		if err := send(); err != nil {
			return err
		}
	}
}

// startUpstream serves a small answer on loopback.
func startUpstream() (address string, stop func(), err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, fmt.Errorf("starting upstream: %w", err)
	}
	server := &http.Server{
		ReadHeaderTimeout: 30 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"ok":true}`) // the client sees what is missing
		}),
	}
	go func() { _ = server.Serve(listener) }() // ends with Close
	return listener.Addr().String(), func() { server.Close() }, nil
}
