package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// Open connects to the database of c and makes the tables, or migrates them,
// where that is needed.
//
// store.ErrUnavailable is returned when the server cannot be reached now or
// is not ready; every other error needs somebody to mend something.
func Open(ctx context.Context, c Config) (*Store, error) {
	config, err := c.pool()
	if err != nil {
		return nil, err
	}
	s := &Store{timeout: c.timeout(), report: c.Report, history: history{report: c.Report}}
	config.ConnConfig.ValidateConnect = s.admit
	// A connection that was lost shows when it is used: what is asked is
	// then asked again, which saves a round trip all the other times.
	config.ShouldPing = func(_ context.Context, p pgxpool.ShouldPingParams) bool { return s.suspect(p.IdleDuration) }
	config.PingTimeout = s.timeout / 2
	if s.pool, err = pgxpool.NewWithConfig(context.WithoutCancel(ctx), config); err != nil {
		return nil, fmt.Errorf("dsn: %w", err)
	}
	s.begin = transaction(s.timeout)
	s.close = sync.OnceValue(s.shut)
	if err := s.start(ctx, c, config); err != nil {
		s.pool.Close()
		var failed *fault
		if errors.As(err, &failed) && permanent(err) {
			err = fmt.Errorf("%s: %s", failed.doing, oneLine(failed.cause))
		}
		return nil, err
	}
	return s, nil
}

func (s *Store) start(ctx context.Context, c Config, config *pgxpool.Config) error {
	if err := s.explore(ctx, config); err != nil {
		return err
	}
	if err := s.makeTables(ctx); err != nil {
		return err
	}
	if err := s.checkTables(ctx); err != nil {
		return err
	}
	s.prepared.Store(true)
	if c.Listen == "" {
		return nil
	}
	listen, err := parse("listen", c.Listen, s.timeout)
	if err != nil {
		return err
	}
	listen.ConnConfig.ValidateConnect = s.admitListener
	if err := s.checkListener(ctx, listen.ConnConfig); err != nil {
		return err
	}
	s.bell = newBell(s, listen.ConnConfig)
	return nil
}

// checkTables makes sure that the tables outlive a crash.
func (s *Store) checkTables(ctx context.Context) error {
	return s.connected(ctx, "looking at the tables in postgres", func(ctx context.Context, conn link) error {
		before := s.history.now()
		found, err := s.stateOf(ctx, conn)
		switch {
		case err != nil:
			return err
		case found.passing != "":
			return &outcome{errPassing(found.passing)}
		}
		return s.judge(before, found)
	})
}

// Interface guard
var _ store.Shared = (*Store)(nil)
