package etcd

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/internal/etcdtest"
	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// wantTime checks that a store tells the time of this machine, where its
// servers run.
func wantTime(t *testing.T, s *Store) {
	t.Helper()
	before := time.Now()
	at, within, err := s.Time(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// A member may have dated its answer from what it knew a moment before.
	if within > time.Second || at.Add(within).Before(before.Add(-2*time.Second)) || at.Add(-within).After(time.Now()) {
		t.Errorf("the store says that it is %v, within %v; it is %v", at, within, before)
	}
}

func TestTheClusterTellsTheTime(t *testing.T) {
	for name, program := range etcdtest.Programs {
		t.Run(name, func(t *testing.T) {
			tls := etcdtest.NewTLS(t)
			cluster := etcdtest.Start(t, etcdtest.Options{Program: program, TLS: tls})
			wantTime(t, mustOpen(t, Config{Endpoints: cluster.Endpoints(), TLS: &TLS{CA: tls.CA, Cert: tls.Cert, Key: tls.Key}}))
			cluster = etcdtest.Start(t, etcdtest.Options{Program: program})
			demand(t, cluster) // whoever may do nothing else may ask for the time
			s := mustOpen(t, Config{Endpoints: cluster.Endpoints(), Prefix: "acme", Username: "caddy", Password: password})
			wantTime(t, s)
			cluster.Kill()
			if _, _, err := s.Time(t.Context()); !errors.Is(err, store.ErrNoTime) {
				t.Errorf("a cluster that is away: %v", err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if _, _, err := s.Time(t.Context()); !errors.Is(err, store.ErrClosed) {
				t.Errorf("a closed store: %v", err)
			}
		})
	}
}

func TestOneMemberWhoseClockIsWrongCountsForNothing(t *testing.T) {
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	s := newStore(Config{})
	member := func(answer http.HandlerFunc) {
		server := httptest.NewServer(answer)
		t.Cleanup(server.Close)
		s.clocks = newClocks(Config{Endpoints: append(endpointsOf(s.clocks), server.URL)}, nil)
	}
	dated := func(at time.Time) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Date", at.Format(http.TimeFormat)) }
	}
	want := func(at time.Time) {
		t.Helper()
		if got, within, err := s.Time(t.Context()); err != nil || within != time.Second/2 || !got.Equal(at.Add(time.Second/2)) {
			t.Errorf("%v, %v, %v; want %v", got, within, err, at)
		}
	}
	s.clocks = newClocks(Config{}, nil)
	member(http.NotFound)
	member(dated(noon))
	want(noon)
	member(dated(noon.Add(time.Hour)))
	want(noon.Add(30 * time.Minute)) // of two, nobody knows which
	member(dated(noon.Add(time.Second)))
	want(noon.Add(time.Second))
	member(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Date", "yesterday") })
	want(noon.Add(time.Second))
}

// endpointsOf are the members that c asks.
func endpointsOf(c *clocks) []string {
	var endpoints []string
	for _, url := range c.urls {
		endpoints = append(endpoints, url[:len(url)-len("/version")])
	}
	return endpoints
}
