package caddymodule

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// presence are the metrics of how well this node knows what the store has.
type presence struct {
	refusals prometheus.Counter

	mu     sync.Mutex
	states map[*state]bool // that are open
}

func newPresence(namespace, subsystem string) *presence {
	p := &presence{
		states: make(map[*state]bool),
		refusals: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "view_refusals_total",
			Help: "Readings for gates that were refused because the store did not answer in time.",
		}),
	}
	return p
}

func (p *presence) collectors(namespace, subsystem string) []prometheus.Collector {
	gauge := func(name, help string, of func(s *state) float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: namespace, Subsystem: subsystem, Name: name, Help: help,
		}, func() float64 { return p.worst(of) })
	}
	return []prometheus.Collector{
		p.refusals,
		gauge("view_age_seconds", "How long ago the newest question was asked that a shared store has answered, by this node's clock.",
			func(s *state) float64 { return s.near.Age().Seconds() }),
		gauge("store_away", "Whether the store is plainly away: 1 while nothing that it is asked is answered.",
			func(s *state) float64 { return truth(s.near.Away()) }),
		gauge("store_full", "Whether the store is known to take no writes for want of room: nobody can be signed out then.",
			func(s *state) float64 {
				fillable, ok := s.store.(store.Fillable)
				return truth(ok && fillable.Full())
			}),
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// worst is the largest value of the states that are open, of which there are
// two while a reload changes them.
func (p *presence) worst(of func(s *state) float64) (worst float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for s := range p.states {
		worst = max(worst, of(s))
	}
	return worst
}

// open takes down that s is open, until over is called.
func (p *presence) open(s *state) (over func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.states[s] = true
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.states, s)
	}
}

// refuse counts and logs that a gate closes because this node cannot know what
// the store has.
func (p *presence) refuse(err error) {
	p.refusals.Inc()
	activeLimited.Error("a gate closes, for the store does not tell what is true now", zap.Error(err))
}
