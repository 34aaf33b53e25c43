package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// floorTime is how long each run of the floor takes.
const floorTime = 4 * time.Second

// runStore starts, measures and takes all down again. In each round what is
// measured stands between two runs of the floor, against whose mean it is
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
	var caddies [2]*setups // on the engine, and on the embedded store
	option, env := e.store()
	for i, d := range []deployment{{siteUngated, option, env}, {site: siteUngated}} {
		l, err := newLogin()
		if err != nil {
			return result, err
		}
		c, err := startCaddy(ctx, binary, filepath.Join(folder, fmt.Sprint("node", i)), d, l, "127.0.0.1:9", o.clients)
		if err != nil {
			return result, err
		}
		defer c.stop()
		caddies[i] = &setups{caddy: c, login: l, engine: e, clients: o.clients}
		if _, err := caddies[i].block(ctx, 1); err != nil {
			return result, err
		}
	}
	if err := e.prepare(ctx, o.documents); err != nil {
		return result, err
	}
	alone, err := newAlone(ctx, e, o.clients)
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, alone.store.Close()) }()
	m := &measurement{name: name, engine: e, options: o, parts: []*part{
		{what: "store alone, from Go", block: alone.block},
		{what: "setups through Caddy", block: caddies[0].block},
		{what: "the same, embedded store", block: caddies[1].block},
	}}
	if err := m.run(ctx, progress); err != nil || o.profile == "" {
		return m.result(), err
	}
	fmt.Fprintln(progress, "profile")
	profiled := make(chan error, 1)
	go func() { profiled <- caddies[0].caddy.profile(ctx, o.profile) }()
	return m.result(), until(profiled, func() error {
		_, err := caddies[0].block(ctx, 1000)
		return err
	})
}

// part is one of the things that are measured.
type part struct {
	what  string
	block func(ctx context.Context, n int) (setupCost, error)

	ratios, rates, busy, caddy, server, client []float64
}

// measurement is a run.
type measurement struct {
	name    string
	engine  engine
	options storeOptions
	parts   []*part

	floors, floorBusy, floorClient []float64
}

func (m *measurement) run(ctx context.Context, progress io.Writer) error {
	for _, p := range m.parts { // connections, caches, heap
		if _, err := p.block(ctx, min(m.options.setups, 1000)); err != nil {
			return err
		}
	}
	before, err := m.floor(ctx)
	if err != nil {
		return err
	}
	for round := range m.options.rounds {
		fmt.Fprintf(progress, "round %d of %d\n", round+1, m.options.rounds)
		for _, p := range m.parts {
			cost, err := p.block(ctx, m.options.setups)
			if err != nil {
				return err
			}
			after, err := m.floor(ctx)
			if err != nil {
				return err
			}
			p.ratios = append(p.ratios, cost.rate/((before+after)/2))
			p.rates, p.busy = append(p.rates, cost.rate), append(p.busy, cost.busy)
			p.caddy, p.server, p.client = append(p.caddy, cost.caddy), append(p.server, cost.server), append(p.client, cost.client)
			before = after
		}
	}
	return nil
}

func (m *measurement) floor(ctx context.Context) (rate float64, err error) {
	cost, err := m.engine.floor(ctx, m.options.clients, floorTime)
	m.floors = append(m.floors, cost.rate)
	m.floorBusy, m.floorClient = append(m.floorBusy, cost.busy), append(m.floorClient, cost.client)
	return cost.rate, err
}
