package caddymodule

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/api"
	"github.com/caddymfa/caddy-mfa/mfa/panics"
	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// metrics are what the product counts. No label names a person, and each
// has few values.
type metrics struct {
	setups        *prometheus.CounterVec // method, result
	verifications *prometheus.CounterVec // method, result
	lockouts      prometheus.Counter
	decisions     map[api.Decision]prometheus.Counter
	store         *prometheus.HistogramVec // operation
	findings      *prometheus.CounterVec   // kind
	clockSkew     prometheus.Gauge

	presence *presence

	all  []prometheus.Collector
	used atomic.Bool // some configuration with the app has been started
}

// processMetrics are the metrics of this process. They are one for all
// configurations, so that they go on over reloads.
var processMetrics = newMetrics()

// newMetrics makes metrics, which are registered nowhere.
func newMetrics() *metrics {
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
		clockSkew: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "store_clock_skew_seconds",
			Help: "How far this node's clock is ahead of the store's; 0 for an embedded store, NaN where the store tells no time.",
		}),
		store: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "store_duration_seconds",
			Help: "Time that the store takes, by operation.", Buckets: prometheus.ExponentialBuckets(1e-6, 4, 12),
		}, []string{"operation"}),
		findings: counter("store_findings_total", "What was found out about the store that its operator must know, by kind.", "kind"),
	}
	for _, kind := range store.FindingKinds {
		m.findings.WithLabelValues(string(kind)) // so that all are there from the start
	}
	// Counted with every request, so each is looked up but once.
	decisions := counter("gate_decisions_total", "Requests at gates, by decision.", "decision")
	for _, d := range api.Decisions {
		m.decisions[d] = decisions.WithLabelValues(string(d))
	}
	m.all = []prometheus.Collector{m.setups, m.verifications, m.lockouts, decisions, m.store, m.findings, m.clockSkew}
	m.presence = newPresence(namespace, subsystem)
	m.all = append(m.all, m.presence.collectors(namespace, subsystem)...)
	for _, place := range panics.Places {
		m.all = append(m.all, prometheus.NewCounterFunc(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "panics_total",
			Help:        "Panics that were recovered since the process began, by place. Each is a bug.",
			ConstLabels: prometheus.Labels{"place": string(place)},
		}, func() float64 { return float64(panics.Count(place)) }))
	}
	return m
}

// register has registry tell the metrics. Caddy makes a registry for each
// configuration that it tries; more than one caller may register with it.
func (m *metrics) register(registry prometheus.Registerer) error {
	err := registry.Register(m)
	var known prometheus.AlreadyRegisteredError
	if err == nil || errors.As(err, &known) {
		return nil
	}
	return fmt.Errorf("registering metrics: %w", err)
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(descriptions chan<- *prometheus.Desc) {
	for _, c := range m.all {
		c.Describe(descriptions)
	}
}

// Collect implements prometheus.Collector. A Caddy that has never had the app
// tells nothing of it.
func (m *metrics) Collect(values chan<- prometheus.Metric) {
	if !m.used.Load() {
		return
	}
	for _, c := range m.all {
		c.Collect(values)
	}
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
