package postgres

import (
	"context"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// sqlTime is what the server's clock shows, in microseconds since 1970, and
// whether the server is the primary.
const sqlTime = `SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::int8, current_setting('transaction_read_only')`

// Time implements store.Timed.
func (s *Store) Time(ctx context.Context) (at time.Time, within time.Duration, err error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return time.Time{}, 0, err
	}
	defer leave()
	var micros int64
	err = s.connected(ctx, "asking postgres for its time", func(ctx context.Context, conn link) error {
		_, err := conn.ask(ctx, say(sqlTime), func(columns [][]byte) (err error) {
			if err := primary(columns[1]); err != nil {
				return err
			}
			micros, err = number(columns[0])
			return err
		})
		return err
	})
	return time.UnixMicro(micros), time.Microsecond, err
}

var _ store.Timed = (*Store)(nil)
