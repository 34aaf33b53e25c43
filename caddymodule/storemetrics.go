package caddymodule

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// measured is a store whose operations are timed.
type measured struct {
	store.Store
	get, update, list prometheus.Observer
}

// measuredExclusive and measuredShared are measured stores that are still
// what they were.
type (
	measuredExclusive struct {
		measured
		exclusive store.Exclusive
	}
	measuredShared struct {
		measured
		shared  store.Shared
		changed prometheus.Observer
	}
)

// measure returns st with its operations timed.
func (m *metrics) measure(st store.Store) store.Store {
	timed := measured{
		Store:  st,
		get:    m.store.WithLabelValues("get"),
		update: m.store.WithLabelValues("update"),
		list:   m.store.WithLabelValues("list"),
	}
	switch st := st.(type) {
	case store.Exclusive:
		return measuredExclusive{measured: timed, exclusive: st}
	case store.Shared:
		return measuredShared{measured: timed, shared: st, changed: m.store.WithLabelValues("changed")}
	}
	return timed
}

func observe(o prometheus.Observer, begun time.Time) { o.Observe(time.Since(begun).Seconds()) }

func (m measured) Get(ctx context.Context, key string) ([]byte, error) {
	defer observe(m.get, time.Now())
	return m.Store.Get(ctx, key)
}

func (m measured) Update(ctx context.Context, fn func(store.Tx) error, keys ...string) error {
	defer observe(m.update, time.Now())
	return m.Store.Update(ctx, fn, keys...)
}

func (m measured) List(ctx context.Context, prefix, after string, limit int) ([]store.Document, error) {
	defer observe(m.list, time.Now())
	return m.Store.List(ctx, prefix, after, limit)
}

// Epoch implements store.Exclusive.
func (m measuredExclusive) Epoch(key string) uint64 { return m.exclusive.Epoch(key) }

// GetVersion implements store.Shared.
func (m measuredShared) GetVersion(ctx context.Context, key string) ([]byte, int64, error) {
	defer observe(m.get, time.Now())
	return m.shared.GetVersion(ctx, key)
}

// Changed implements store.Shared.
func (m measuredShared) Changed(ctx context.Context, seen map[string]int64) ([]string, error) {
	defer observe(m.changed, time.Now())
	return m.shared.Changed(ctx, seen)
}

// Written implements store.Shared.
func (m measuredShared) Written() <-chan struct{} { return m.shared.Written() }
