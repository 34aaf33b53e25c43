package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// errPooler is returned of a pooler that cannot be used.
var errPooler = errors.New("the pooler gives each statement another connection (pool_mode = statement), so that no transaction holds, " +
	"and what is decided over several records cannot be: set pool_mode = transaction, or session, for this database")

const (
	// sessionIdle is how long a connection may be idle behind a pooler that
	// gives each a server connection of its own: other nodes wait for it.
	sessionIdle = 10 * time.Second
	// probeWait is how long a pooler may take to give one more connection
	// before it counts as having none.
	probeWait = 500 * time.Millisecond
	// mostProbed is how many connections a pooler is asked for at most.
	mostProbed = 64
	// together is how many transactions of a node a pooler should let go on at
	// once.
	together = 4
)

// explore connects, and finds out whether there is a pooler on the way and
// what it does. PgBouncer tells clients another process ID than that of the
// server's process, as the key to cancel requests with.
func (s *Store) explore(ctx context.Context, config *pgxpool.Config) error {
	pooled := false
	err := s.connected(ctx, "connecting to postgres", func(ctx context.Context, conn link) error {
		process, err := backend(ctx, conn)
		pooled = process != int64(conn.PID())
		if err != nil || !pooled {
			return err
		}
		return transacts(ctx, conn)
	})
	if err != nil || !pooled {
		return err
	}
	return s.share(ctx, config)
}

// backend returns the process ID of the server's process.
func backend(ctx context.Context, conn link) (id int64, err error) {
	_, err = conn.ask(ctx, say("SELECT pg_backend_pid()::int8"), func(columns [][]byte) (err error) {
		id, err = number(columns[0])
		return err
	})
	return id, err
}

// transacts checks that a transaction keeps its server connection.
func transacts(ctx context.Context, conn link) error {
	var ids [2]int64
	_, err := conn.ask(ctx, say("BEGIN"), nil)
	for i := range ids {
		if err == nil {
			ids[i], err = backend(ctx, conn)
		}
	}
	if err == nil {
		_, err = conn.ask(ctx, say("ROLLBACK"), nil)
	}
	var reported *pgconn.PgError
	switch {
	case errors.As(err, &reported) && (reported.Code == codeProtocol || reported.Code == codeNoTransaction),
		err == nil && ids[0] != ids[1]:
		return &outcome{errPooler}
	}
	return err
}

// share finds out how much a pooler has for this node, and leaves something
// of it to the others where connections are taken for as long as they last.
func (s *Store) share(ctx context.Context, config *pgxpool.Config) error {
	probe := &probe{config: config.ConnConfig, store: s}
	defer probe.end()
	session, err := probe.session(ctx)
	switch {
	case err != nil:
		return failure("connecting to postgres", err)
	case !session:
		want := min(int(config.MaxConns), together)
		if got := probe.transactions(ctx, want); got < want {
			s.report.Found(store.FindingPooler, fmt.Sprintf("the pooler lets no more than %d transactions of this node go on at once, or others hold its connections: "+
				"nodes will wait for each other, and refuse requests when that takes longer than timeout. Raise default_pool_size", got))
		}
		return nil
	}
	got := int(s.pool.Stat().TotalConns()) + probe.connections(ctx, min(2*int(config.MaxConns), mostProbed))
	probe.end()
	// Half of what is free, so that something is left for the next node.
	wanted := config.MaxConns
	config.MaxConns = int32(max(1, min(int(wanted), got/2)))
	config.MinConns, config.MinIdleConns = 0, 0
	config.MaxConnIdleTime = min(config.MaxConnIdleTime, sessionIdle)
	config.HealthCheckPeriod = min(config.HealthCheckPeriod, sessionIdle/2)
	if config.MaxConns < wanted {
		s.report.Found(store.FindingPooler, fmt.Sprintf("the pooler keeps a server connection for each of this node's (pool_mode = session) and had %d left: "+
			"this node holds %d at most in place of %d, so that other nodes get some. "+
			"Raise default_pool_size to the number of nodes times max_connections, or set pool_mode = transaction", got, config.MaxConns, wanted))
	}
	pool, err := pgxpool.NewWithConfig(context.WithoutCancel(ctx), config)
	if err != nil {
		return fmt.Errorf("dsn: %w", err)
	}
	s.pool.Close()
	s.pool = pool
	return nil
}

// probe is connections that are made to find out what a pooler does.
type probe struct {
	config *pgx.ConnConfig
	store  *Store
	conns  []link
}

// end closes the connections.
func (p *probe) end() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	for _, conn := range p.conns {
		if !conn.IsClosed() && conn.TxStatus() != 'I' {
			_, _ = conn.ask(ctx, say("ROLLBACK"), nil) // spares the pooler a server connection
		}
		_ = conn.Close(ctx) // whatever comes of it, it is of no more use
	}
	p.conns = nil
}

// add makes one more connection, and has it reach the server, unless that
// takes longer than within.
func (p *probe) add(ctx context.Context, within time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	session, err := pgconn.ConnectConfig(ctx, &p.config.Config) // which asks for its state
	if err != nil {
		return err
	}
	p.conns = append(p.conns, link{PgConn: session})
	return nil
}

// session reports whether a connection keeps its server connection, so that
// those of two are never the same.
func (p *probe) session(ctx context.Context) (bool, error) {
	if err := p.add(ctx, p.store.timeout); err != nil {
		return false, err
	}
	if err := p.add(ctx, probeWait); err != nil {
		return true, nil // the first has the only one
	}
	var ids [2]int64
	for round := range 3 {
		for i, conn := range p.conns {
			id, err := backend(ctx, conn)
			if err != nil {
				return false, err
			}
			if round > 0 && id != ids[i] {
				return false, nil
			}
			ids[i] = id
		}
		if ids[0] == ids[1] {
			return false, nil
		}
	}
	return true, nil
}

// connections returns how many connections there are at once, want at most.
func (p *probe) connections(ctx context.Context, want int) int {
	for len(p.conns) < want && p.add(ctx, probeWait) == nil {
	}
	return len(p.conns)
}

// transactions returns how many transactions go on at once, want at most.
func (p *probe) transactions(ctx context.Context, want int) int {
	for n := range want {
		if n == len(p.conns) && p.add(ctx, probeWait) != nil {
			return n
		}
		within, cancel := context.WithTimeout(ctx, probeWait)
		_, err := p.conns[n].ask(within, say("BEGIN"), nil)
		cancel()
		if err != nil {
			return n
		}
	}
	return want
}

// admitListener is admit for the connection of Config.Listen.
func (s *Store) admitListener(ctx context.Context, conn *pgconn.PgConn) error {
	found, err := s.stateOf(ctx, link{PgConn: conn})
	switch cluster := s.history.now().cluster; {
	case err != nil:
		return err
	case found.readOnly:
		return errReplica
	case cluster != "" && found.place.cluster != cluster:
		return &refusal{"listen leads to another database cluster than dsn"}
	}
	return nil
}

// checkListener makes sure that the connection of Config.Listen can hear
// something. That it cannot be made now is no error: it is tried again.
func (s *Store) checkListener(ctx context.Context, config *pgx.ConnConfig) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	session, err := pgconn.ConnectConfig(ctx, &config.Config)
	var refused *refusal
	switch {
	case errors.As(err, &refused):
		return fmt.Errorf("listen: %s", oneLine(err))
	case err != nil:
		return nil
	}
	defer session.Close(ctx)
	process, err := backend(ctx, link{PgConn: session})
	if err == nil && process != int64(session.PID()) {
		return errors.New("listen: it leads to a pooler, past which nothing is heard: give the address of the server itself")
	}
	return nil
}
