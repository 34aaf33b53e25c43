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
	pool, err := pgxpool.NewWithConfig(context.WithoutCancel(ctx), config)
	if err != nil {
		return nil, fmt.Errorf("dsn: %w", err)
	}
	s := &Store{pool: pool, timeout: c.timeout()}
	s.begin = transaction(s.timeout)
	s.close = sync.OnceValue(s.shut)
	if err := s.start(ctx, c); err != nil {
		pool.Close()
		var failed *fault
		if errors.As(err, &failed) && permanent(err) {
			err = fmt.Errorf("%s: %s", failed.doing, oneLine(failed.cause))
		}
		return nil, err
	}
	return s, nil
}

func (s *Store) start(ctx context.Context, c Config) error {
	if err := s.check(ctx); err != nil {
		return err
	}
	if err := s.makeTables(ctx); err != nil {
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
	s.bell = newBell(s, listen.ConnConfig)
	return nil
}

// check makes sure that the server takes this user in, and that what it
// acknowledges is durable.
func (s *Store) check(ctx context.Context) error {
	var commit string
	err := s.connected(ctx, "connecting to postgres", func(ctx context.Context, conn link) error {
		// Servers that only speak the protocol may not have the setting.
		_, err := conn.ask(ctx, say("SELECT coalesce(current_setting('synchronous_commit', true), '')"), func(columns [][]byte) error {
			commit = string(columns[0])
			return nil
		})
		return err
	})
	if err != nil {
		return err
	}
	if commit == "off" {
		return errors.New("the database acknowledges writes that a crash can undo, after which a spent code could be spent again: " +
			"turn synchronous_commit on for this user (ALTER ROLE … SET synchronous_commit = on)")
	}
	return nil
}

// Interface guard
var _ store.Shared = (*Store)(nil)
