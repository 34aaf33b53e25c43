package caddymodule

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/api"
	"github.com/caddymfa/caddy-mfa/mfa/panics"
)

// metrics are what the product counts. No label names a person, and each
// has few values.
type metrics struct {
	setups        *prometheus.CounterVec // method, result
	verifications *prometheus.CounterVec // method, result
	lockouts      prometheus.Counter
	decisions     map[api.Decision]prometheus.Counter
	store         *prometheus.HistogramVec // operation
}

// newMetrics registers the metrics. The registry is new with each
// configuration, so the counts begin anew at a reload, but for that of
// panics.
func newMetrics(registry prometheus.Registerer) (*metrics, error) {
	const namespace, subsystem = "caddy", "mfa"
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: subsystem, Name: name, Help: help,
		}, labels)
	}
	m := &metrics{
		setups:        counter("setups_total", "Setups of factors, by type and result.", "method", "result"),
		verifications: counter("verifications_total", "Verifications at login, by type and result.", "method", "result"),
		lockouts: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "lockouts_total", Help: "Times that code entry was locked for somebody.",
		}),
		decisions: make(map[api.Decision]prometheus.Counter),
		store: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "store_duration_seconds",
			Help: "Time that the store takes, by operation.", Buckets: prometheus.ExponentialBuckets(1e-6, 4, 12),
		}, []string{"operation"}),
	}
	// Counted with every request, so each is looked up but once.
	decisions := counter("gate_decisions_total", "Requests at gates, by decision.", "decision")
	for _, d := range api.Decisions {
		m.decisions[d] = decisions.WithLabelValues(string(d))
	}
	for _, place := range panics.Places {
		recovered := prometheus.NewCounterFunc(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "panics_total",
			Help:        "Panics that were recovered since the process began, by place. Each is a bug.",
			ConstLabels: prometheus.Labels{"place": string(place)},
		}, func() float64 { return float64(panics.Count(place)) })
		if err := registry.Register(recovered); err != nil {
			return nil, err
		}
	}
	for _, c := range []prometheus.Collector{m.setups, m.verifications, m.lockouts, decisions, m.store} {
		if err := registry.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// count counts a security event.
func (m *metrics) count(e mfa.Event) {
	switch e.Kind {
	case mfa.EventSetupBegun:
		m.setups.WithLabelValues(e.Method, "begun").Inc()
	case mfa.EventSetupFailed:
		m.setups.WithLabelValues(e.Method, "failed").Inc()
	case mfa.EventEnrolled:
		m.setups.WithLabelValues(e.Method, "enrolled").Inc()
	case mfa.EventVerified:
		m.verifications.WithLabelValues(e.Method, "verified").Inc()
	case mfa.EventFailed, mfa.EventClonedPasskey:
		m.verifications.WithLabelValues(e.Method, "failed").Inc()
	case mfa.EventLocked:
		m.lockouts.Inc()
	}
}

// decision counts what a gate decided.
func (m *metrics) decision(d api.Decision) { m.decisions[d].Inc() }
