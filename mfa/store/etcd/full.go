package etcd

import (
	"context"
	"strings"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/panics"
	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// fullLook is how often the cluster is asked whether it is full.
const fullLook = 30 * time.Second

// Full implements store.Fillable.
func (s *Store) Full() bool { return s.full.Load() }

// setFull takes down that the cluster takes no writes, or takes them again.
func (s *Store) setFull(full bool) {
	if s.full.Swap(full) == full || !full {
		return
	}
	s.report.Found(store.FindingFull, "etcd is full and takes no writes: nobody can sign in, be signed out or be reset, while gates stay open "+
		"for the sessions there are: compact and defragment it, disarm the alarm, or raise its --quota-backend-bytes")
}

// watchRoom asks now and again whether the cluster is full, so that an
// operator hears of it before somebody has to be signed out.
func (s *Store) watchRoom() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.behind.Go(panics.StoreWatch, func() {
		ticks := time.NewTicker(fullLook)
		defer ticks.Stop()
		for {
			if full, known := s.askFull(s.life); known {
				s.setFull(full)
			}
			select {
			case <-s.life.Done():
				return
			case <-ticks.C:
			}
		}
	})
}

// askFull asks the members until one answers: each knows the alarms of all.
// A user may not be let to ask; then a write that is refused tells.
func (s *Store) askFull(ctx context.Context) (full, known bool) {
	for _, endpoint := range s.client.Endpoints() {
		within, cancel := context.WithTimeout(ctx, s.timeout)
		status, err := s.client.Status(within, endpoint)
		cancel()
		if err != nil {
			continue
		}
		for _, text := range status.Errors {
			if strings.Contains(text, "NOSPACE") {
				return true, true
			}
		}
		return false, true
	}
	return false, false
}
