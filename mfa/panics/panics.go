// Package panics keeps a panic where it happens. A goroutine that panics
// ends its process, with every site that the process serves, so all
// goroutines of the product are started by this package, and what panics in
// one of them is logged with its stack, counted by place, and at most one
// error of one caller or one round of one loop.
//
// Recovering says nothing of what the code had half done. Whoever recovers
// must leave no lock held and no transaction open, and let go of what may be
// incomplete.
package panics

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// Place is where a panic was recovered: one of a few fixed names, in lower
// case with underscores, that metrics carry.
type Place string

// The places.
const (
	Request     Place = "request"      // a route of the API
	Gate        Place = "gate"         // the check of a request before it goes on to a backend
	Demo        Place = "demo"         // the demo's backend
	Admin       Place = "admin"        // an operator's command
	Start       Place = "start"        // a configuration that starts
	Stop        Place = "stop"         // one that stops
	Events      Place = "events"       // a subscriber of Caddy's events
	Notices     Place = "notices"      // sending notifications
	Log         Place = "log"          // writing log lines that were left out
	Mail        Place = "mail"         // the end of a mail server's patience
	Sweep       Place = "sweep"        // removing records that have run out
	Keys        Place = "keys"         // following the key file
	Clock       Place = "clock"        // comparing the node's clock with the store's
	KeyFetch    Place = "key_fetch"    // fetching or reading the login's keys
	StoreOpen   Place = "store_open"   // opening a store, or waiting for it
	StoreCache  Place = "store_cache"  // keeping copies of documents fresh
	StoreWatch  Place = "store_watch"  // hearing what other nodes write
	StoreNotify Place = "store_notify" // telling other nodes
	StoreCall   Place = "store_call"   // one call of a store
)

// serves reports whether net/http recovers what panics there.
func (p Place) serves() bool { return p == Request || p == Gate || p == Demo || p == Admin }

// Places are all of them.
var Places = []Place{
	Request, Gate, Demo, Admin, Start, Stop, Events, Notices, Log, Mail, Sweep, Keys, Clock, KeyFetch,
	StoreOpen, StoreCache, StoreWatch, StoreNotify, StoreCall,
}

// ErrPanicked is returned for a call that panicked. What the panic said is in
// the log.
var ErrPanicked = errors.New("a panic, which is a bug: see the log")

// Recover is to be deferred: it recovers a panic of the function that defers
// it, reports it, and calls then with an error that wraps ErrPanicked. It does
// nothing when there is no panic.
func Recover(place Place, then func(err error)) {
	if value := recover(); value != nil {
		if value == http.ErrAbortHandler && place.serves() {
			panic(value) // no bug: it is how a handler ends a connection
		}
		report(place, value)
		then(fmt.Errorf("%s: %w", place, ErrPanicked))
	}
}

// Try calls f and returns its error, or one that wraps ErrPanicked when f
// panics.
func Try(place Place, f func() error) (err error) {
	defer Recover(place, func(panicked error) { err = panicked })
	return f()
}

// Do calls f and reports whether it returned without a panic.
func Do(place Place, f func()) (returned bool) {
	defer Recover(place, func(error) {})
	f()
	return true
}

// Func makes a function that others call, such as a callback of a library, in
// a goroutine of theirs.
func Func(place Place, f func()) func() {
	return func() { Do(place, f) }
}

// TryFunc is Func for a function that returns an error; see Try.
func TryFunc(place Place, f func() error) func() error {
	return func() error { return Try(place, f) }
}

// Go calls f in a goroutine of its own.
func Go(place Place, f func()) { go Do(place, f) }

// Times between a panic of a loop and its next start: the wait doubles with
// each panic, and begins anew after a loop that lasted longer than lastWait.
const (
	firstWait = time.Second
	lastWait  = time.Minute
)

// Keep calls loop, which is to return when ctx ends or there is nothing more
// to do. After a panic it is called again, in a while.
func Keep(ctx context.Context, place Place, loop func(ctx context.Context)) {
	for wait := firstWait; ; wait = min(2*wait, lastWait) {
		begun := time.Now()
		if Do(place, func() { loop(ctx) }) {
			return
		}
		if time.Since(begun) > lastWait {
			wait = firstWait
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// Group is goroutines that are waited for. Its zero value is ready.
type Group struct{ running sync.WaitGroup }

// Go calls f in a goroutine of the group.
func (g *Group) Go(place Place, f func()) { g.running.Go(Func(place, f)) }

// Keep is the function Keep in a goroutine of the group.
func (g *Group) Keep(ctx context.Context, place Place, loop func(ctx context.Context)) {
	g.Go(place, func() { Keep(ctx, place, loop) })
}

// Wait waits until all goroutines of the group have ended.
func (g *Group) Wait() { g.running.Wait() }
