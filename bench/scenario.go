package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
)

// scenario is a way to use a site, measured against plain Caddy.
type scenario struct {
	name string
	what string
	site site
	path string  // "" for guardedPath
	goal float64 // the most that the ratio of CPU should be, 0 for none

	// headers makes what the n requests of a block carry.
	headers func(ctx context.Context, r *runner, n int) (func(i int) header, error)
}

// scenarios are all that is measured.
var scenarios = []scenario{
	{
		name: "control", what: "reverse_proxy in a second process: the noise of this run",
		site: sitePlain, headers: ordinary,
	},
	{
		name: "ungated", what: "mfa, reverse_proxy; ordinary access token",
		site: siteUngated, goal: 1.02, headers: ordinary,
	},
	{
		name: "beside the gate", what: "mfa, mfa_require; a path it does not guard, ordinary access token",
		site: siteGated, path: "/public/reports/2026", goal: 1.02, headers: ordinary,
	},
	{
		name: "gate", what: "mfa, mfa_require; one assertion as the bearer",
		site: siteGated, goal: 1.10, headers: assertionAsBearer,
	},
	{
		name: "gate, cookie", what: "mfa, mfa_require; one access token and the cookie",
		site: siteGated, goal: 1.10, headers: assertionAsCookie,
	},
	{
		name: "distinct tokens", what: "gate; each access token is new, with the cookie",
		site: siteGated, goal: 2.2, headers: distinctTokens,
	},
	{
		name: "distinct assertions", what: "gate; each assertion is new, around one access token",
		site: siteGated, goal: 2.2, headers: distinctAssertions,
	},
}

// runner is a scenario with the Caddy that serves it.
type runner struct {
	scenario
	caddy  *caddy
	login  *login
	person *person
	costs  []cost
	ratios []float64
}

func (b *bench) startRunner(ctx context.Context, s scenario, connections int) (*runner, error) {
	l, err := newLogin()
	if err != nil {
		return nil, err
	}
	d := deployment{site: s.site}
	if b.store != nil && s.site != sitePlain {
		shared, ok := b.store.(placer)
		if !ok {
			return nil, errors.New("this engine has no room for several Caddies that know nothing of each other")
		}
		if d.store, d.env, err = shared.place(s.name); err != nil {
			return nil, err
		}
	}
	c, err := startCaddy(ctx, b.binary, filepath.Join(b.folder, s.name), d, l, b.upstream, connections)
	if err != nil {
		return nil, err
	}
	p, err := enroll(ctx, c, s.site, l)
	if err != nil {
		c.stop()
		return nil, fmt.Errorf("%s: %w", s.name, err)
	}
	return &runner{scenario: s, caddy: c, login: l, person: p}, nil
}

// block is so many requests, ready to be sent.
type block struct {
	runner  *runner
	n       int
	headers func(i int) header
}

// ready makes a block of n requests. The tokens in it are made here, so that
// this is no part of what is measured, nor comes between two blocks that are
// compared.
func (r *runner) ready(ctx context.Context, n int) (block, error) {
	headers, err := r.headers(ctx, r, n)
	if err != nil {
		return block{}, fmt.Errorf("%s: %w", r.name, err)
	}
	return block{runner: r, n: n, headers: headers}, nil
}

// send sends a block over so many connections and measures it.
func (b block) send(ctx context.Context, connections int) (cost, error) {
	r := b.runner
	took, err := r.caddy.block(ctx, cmp.Or(r.path, guardedPath), b.n, connections, b.headers)
	if err != nil {
		return cost{}, fmt.Errorf("%s: %w", r.name, err)
	}
	return took, nil
}

// block makes a block of n requests and sends it.
func (r *runner) block(ctx context.Context, n, connections int) (cost, error) {
	b, err := r.ready(ctx, n)
	if err != nil {
		return cost{}, err
	}
	return b.send(ctx, connections)
}

func always(h header) func(int) header { return func(int) header { return h } }

func ordinary(_ context.Context, r *runner, _ int) (func(int) header, error) {
	return always(header{bearer: r.person.bearer}), nil
}

func assertionAsBearer(_ context.Context, r *runner, _ int) (func(int) header, error) {
	return always(header{bearer: r.person.pair.Assertion}), nil
}

func assertionAsCookie(_ context.Context, r *runner, _ int) (func(int) header, error) {
	return always(header{bearer: r.person.bearer, cookie: r.person.cookie}), nil
}

func distinctTokens(_ context.Context, r *runner, n int) (func(int) header, error) {
	all := make([]header, n)
	for i := range all {
		token, err := r.login.token()
		if err != nil {
			return nil, err
		}
		all[i] = header{bearer: token, cookie: r.person.cookie}
	}
	return func(i int) header { return all[i] }, nil
}

func distinctAssertions(ctx context.Context, r *runner, n int) (func(int) header, error) {
	all := make([]header, n)
	for i := range all {
		token, err := r.person.another(ctx, r.caddy, r.person.bearer)
		if err != nil {
			return nil, err
		}
		all[i] = header{bearer: token}
	}
	return func(i int) header { return all[i] }, nil
}
