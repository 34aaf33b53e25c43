package postgres

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/caddymfa/caddy-mfa/mfa/panics"
)

// channel is that of LISTEN and NOTIFY. What is told on it is who has
// written, by a name that says nothing to others, and not what.
const channel = "caddy_mfa_written"

const (
	// between is the shortest time between two notifications of a node. A
	// notification in every write's own transaction would have the server
	// commit them one by one.
	between = 20 * time.Millisecond
	// reconnect is the time between two attempts to listen.
	reconnect = 2 * time.Second
	// silence is how long nothing may come before the connection is tried.
	silence = 30 * time.Second
)

// bell tells other nodes that this one has written, and hears them.
type bell struct {
	store  *Store
	config *pgx.ConnConfig
	name   string
	heard  chan struct{} // something was written elsewhere, or may have been
	rung   chan struct{} // something was written here
	stop   func()
}

func newBell(s *Store, config *pgx.ConnConfig) *bell {
	ctx, cancel := context.WithCancel(context.Background())
	b := &bell{
		store: s, config: config, name: rand.Text(),
		heard: make(chan struct{}, 1), rung: make(chan struct{}, 1),
	}
	config.OnNotification = func(_ *pgconn.PgConn, n *pgconn.Notification) {
		if n.Payload != b.name {
			signal(b.heard)
		}
	}
	var running panics.Group
	running.Keep(ctx, panics.StoreWatch, b.listen)
	running.Keep(ctx, panics.StoreNotify, b.notify)
	b.stop = func() {
		cancel()
		running.Wait()
	}
	return b
}

// signal leaves a value in c, unless there is one.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// ring has others told that something was written.
func (b *bell) ring() { signal(b.rung) }

// notify tells others, for as long as ctx lasts. What cannot be told is left
// out: nothing rests on it.
func (b *bell) notify(ctx context.Context) {
	tell := say("SELECT pg_notify($1, $2)").
		with(pgtype.TextOID, []byte(channel)).with(pgtype.TextOID, []byte(b.name))
	for {
		select {
		case <-ctx.Done():
			return
		case <-b.rung:
		}
		_ = b.store.connected(ctx, "notifying", func(ctx context.Context, conn link) error {
			_, err := conn.ask(ctx, tell, nil)
			return err
		})
		if !wait(ctx, between) {
			return
		}
	}
}

// listen hears others, for as long as ctx lasts.
func (b *bell) listen(ctx context.Context) {
	for {
		b.session(ctx)
		if !wait(ctx, reconnect) {
			return
		}
	}
}

// session listens until the connection fails or ctx ends.
func (b *bell) session(ctx context.Context) {
	connecting, cancel := context.WithTimeout(ctx, b.store.timeout)
	defer cancel()
	session, err := pgconn.ConnectConfig(connecting, &b.config.Config)
	if err != nil {
		return
	}
	conn := link{PgConn: session}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(closing)
	}()
	if _, err := conn.ask(connecting, say("LISTEN "+channel), nil); err != nil {
		return
	}
	signal(b.heard) // of what was written before
	for ctx.Err() == nil && b.await(ctx, conn) == nil {
	}
}

// await waits for one notification, or for as long as it may be silent. It
// returns an error when the connection is of no use any more.
func (b *bell) await(ctx context.Context, conn link) error {
	quiet, cancel := context.WithTimeout(ctx, silence)
	defer cancel()
	err := conn.WaitForNotification(quiet)
	if err == nil || quiet.Err() == nil || ctx.Err() != nil {
		return err
	}
	trying, cancel := context.WithTimeout(ctx, b.store.timeout)
	defer cancel()
	_, err = conn.ask(trying, say("SELECT 1"), nil)
	return err
}

// wait waits for d and reports whether ctx still lasts.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
