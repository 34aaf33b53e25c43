package postgres

import (
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/internal/pgtest"
)

func TestTheServerTellsTheTime(t *testing.T) {
	server := pgtest.Shared(t)
	bouncer := pgtest.NewBouncer(t, server)
	database := server.Database()
	server.Exec(database, `CREATE SCHEMA fast`,
		`CREATE FUNCTION fast.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS 'SELECT pg_catalog.clock_timestamp() + interval ''2 minutes'''`)
	direct := server.DSN(pgtest.Superuser, database)
	for name, of := range map[string]struct {
		config Config
		ahead  time.Duration
	}{
		"the server itself":                {Config{DSN: direct}, 0},
		"behind PgBouncer":                 {Config{DSN: pgtest.DSN(bouncer.Address, pgtest.Superuser, database), Listen: direct}, 0},
		"a server whose clock is ahead":    {Config{DSN: direct + "&search_path=fast,public,pg_catalog"}, 2 * time.Minute},
		"a server in another time zone":    {Config{DSN: direct + "&timezone=Asia/Kathmandu"}, 0},
		"a server that writes dates oddly": {Config{DSN: direct + "&datestyle=German"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := mustOpen(t, of.config)
			before := time.Now()
			at, within, err := s.Time(t.Context())
			at = at.Add(-of.ahead)
			if err != nil || within > time.Millisecond || at.Before(before.Add(-within)) || at.After(time.Now().Add(within)) {
				t.Errorf("the store says that it is %v, within %v, %v; it is %v", at, within, err, before)
			}
		})
	}
}
