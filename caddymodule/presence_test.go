package caddymodule

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// fullStore is a store that takes no writes.
type fullStore struct{ store.Store }

func (fullStore) Full() bool { return true }

func TestMetricsTellOfAFullStoreAndOfRefusalsWhileItIsOpen(t *testing.T) {
	m := newMetrics()
	m.used.Store(true)
	registry := prometheus.NewRegistry()
	if err := m.register(registry); err != nil {
		t.Fatal(err)
	}
	want := func(values map[string]float64) {
		t.Helper()
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		found := make(map[string]float64)
		for _, family := range families {
			if name, ok := strings.CutPrefix(family.GetName(), "caddy_mfa_"); ok && len(family.GetMetric()) == 1 {
				metric := family.GetMetric()[0]
				found[name] = metric.GetGauge().GetValue() + metric.GetCounter().GetValue()
			}
		}
		for name, value := range values {
			if got, ok := found[name]; !ok || got != value {
				t.Errorf("%s is %v (there: %v), want %v", name, got, ok, value)
			}
		}
	}
	want(map[string]float64{"store_full": 0, "store_away": 0, "view_age_seconds": 0, "view_refusals_total": 0})
	st := fullStore{}
	over := m.presence.open(&state{store: st, near: mfa.NewNear(mfa.Config{Store: st})})
	m.presence.refuse(store.ErrUnavailable)
	want(map[string]float64{"store_full": 1, "store_away": 0, "view_age_seconds": 0, "view_refusals_total": 1})
	over()
	want(map[string]float64{"store_full": 0, "view_refusals_total": 1})
}
