package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// sqlState asks a server what it is. A standby does not tell where it
// stands: the functions fail there. No crash takes back what is asked: the
// position is that of WAL which has been flushed, and the transaction before
// which all have ended is told only when what they wrote has been.
const sqlState = `SELECT current_setting('transaction_read_only'), current_setting('synchronous_commit'),
current_setting('fsync'), current_setting('full_page_writes'),
coalesce((SELECT string_agg(relname || ' ' || relpersistence::text, ',' ORDER BY relname) FROM pg_catalog.pg_class
	WHERE oid IN (to_regclass('caddy_mfa_documents'), to_regclass('caddy_mfa_schema')) AND relpersistence <> 'p'), ''),
(SELECT system_identifier::text FROM pg_control_system()),
CASE WHEN pg_is_in_recovery() THEN '' ELSE left(pg_walfile_name(pg_current_wal_flush_lsn()), 8) END,
CASE WHEN pg_is_in_recovery() THEN '' ELSE (pg_current_wal_flush_lsn() - '0/0'::pg_lsn)::text END,
CASE WHEN pg_is_in_recovery() THEN '' WHEN pg_current_wal_insert_lsn() > pg_current_wal_flush_lsn() THEN ''
	ELSE txid_snapshot_xmin(txid_current_snapshot())::text END,
(SELECT oid::text FROM pg_catalog.pg_database WHERE datname = current_database())
	|| '.' || coalesce(to_regclass('caddy_mfa_documents')::oid::text, '')`

// sqlBasicState is for servers that only speak PostgreSQL's protocol, and may
// not have the settings either.
const sqlBasicState = `SELECT coalesce(current_setting('transaction_read_only', true), 'off'),
coalesce(current_setting('synchronous_commit', true), ''), '', '', '', '', '', '', '', ''`

// stateColumns is how many columns both have, unlike all other statements.
const stateColumns = 10

// state is what a server says it is.
type state struct {
	readOnly bool
	commit   string // synchronous_commit of the session
	unsafe   []string
	passing  string // tables that a crash empties, or that end with the session
	place    place
}

// readState reads the answer to sqlState.
func readState(columns [][]byte) (s state, err error) {
	text := func(i int) string { return string(columns[i]) }
	s.readOnly = text(0) == "on"
	s.commit = text(1)
	for i, name := range []string{"fsync", "full_page_writes"} {
		if text(2+i) == "off" {
			s.unsafe = append(s.unsafe, name)
		}
	}
	s.passing = text(4)
	s.place.cluster, s.place.table = text(5), text(9)
	if text(6) == "" {
		return s, nil
	}
	if s.place.timeline, err = strconv.ParseUint(text(6), 16, 32); err != nil {
		return s, fmt.Errorf("a timeline %q", text(6))
	}
	if s.place.flushed, err = strconv.ParseInt(text(7), 10, 64); err != nil {
		return s, fmt.Errorf("a position %q in the WAL", text(7))
	}
	if text(8) != "" {
		if s.place.ended, err = strconv.ParseInt(text(8), 10, 64); err != nil {
			return s, fmt.Errorf("a transaction %q", text(8))
		}
	}
	return s, nil
}

// askState returns the statement that asks for the state.
func (s *Store) askState() statement {
	if s.basic.Load() {
		return say(sqlBasicState)
	}
	return say(sqlState)
}

// stateOf asks a server what it is. A server that cannot tell all of it is
// asked for less, from then on.
func (s *Store) stateOf(ctx context.Context, conn link) (found state, err error) {
	for {
		basic := s.basic.Load()
		_, err = conn.ask(ctx, s.askState(), func(columns [][]byte) (err error) {
			found, err = readState(columns)
			return err
		})
		if c := code(err); basic || len(c) != 5 || c[:2] != "42" && c[:2] != "0A" && c != codeNotNow {
			return found, err
		}
		s.basic.Store(true)
	}
}

// refusal is the reason why a server is not used, with what mends it.
type refusal struct{ text string }

func (r *refusal) Error() string { return r.text }

// errReplica is returned of a server that is not the primary.
var errReplica = &refusal{"this server is a standby, or takes no writes (default_transaction_read_only), and what it says may be old: " +
	"have the DSN name the primary, or all servers that may become it, as in postgres://user:password@db-1,db-2/database"}

var errForgetful = &refusal{"the database acknowledges writes that a crash can undo, after which a spent code could be spent again: " +
	"turn synchronous_commit on for this user (ALTER ROLE … SET synchronous_commit = on)"}

// admit decides whether a server that a connection was made to is used. It
// is called before anything else is asked of it.
func (s *Store) admit(ctx context.Context, conn *pgconn.PgConn) error {
	before := s.history.now()
	found, err := s.stateOf(ctx, link{PgConn: conn})
	switch {
	case err != nil && ctx.Err() != nil:
		return fmt.Errorf("the connection was made, but nothing was answered: "+
			"a pooler may have no server connection left (default_pool_size), or the server hangs: %w", err)
	case err != nil:
		return err
	}
	return s.judge(before, found)
}

// judge decides whether a server in this state is believed. What was known
// of the history before it was asked is in before.
func (s *Store) judge(before place, found state) error {
	switch {
	case found.readOnly:
		return errReplica
	case found.commit == "off":
		return errForgetful
	}
	if err := s.history.follow(before, found.place); err != nil {
		return err
	}
	s.sayUnsafe(found)
	return nil
}

// sayUnsafe reports settings with which a crash of the machine can undo what
// was acknowledged, when they are found and when they have changed.
func (s *Store) sayUnsafe(found state) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := strings.Join(found.unsafe, " and "); now != s.unsafe {
		s.unsafe = now
		if now != "" {
			s.report.Found(store.FindingDurability, "a crash of the database's machine can undo what was acknowledged, or damage it, after which a spent code is good again: turn "+now+" on")
		}
	}
	if now := found.passing; now != s.passing {
		s.passing = now
		if now != "" {
			s.report.Found(store.FindingDurability, errPassing(now).Error())
		}
	}
}

// errPassing returns the refusal of tables that are not kept, given as
// sqlState tells of them.
func errPassing(tables string) error {
	var all []string
	for table := range strings.SplitSeq(tables, ",") {
		name, kind, _ := strings.Cut(table, " ")
		what := "UNLOGGED: a crash of the server empties it, and a standby does not have it: ALTER TABLE " + name + " SET LOGGED"
		if kind == "t" {
			what = "temporary, and ends with its connection: take pg_temp out of the user's search_path"
		}
		all = append(all, "the table "+name+" is "+what)
	}
	return errors.New(strings.Join(all, "; "))
}

// onlyReplicas reports whether err says that connecting has failed for no
// other reason than that no server of the DSN is the primary.
func onlyReplicas(err error) bool {
	var connecting *pgconn.ConnectError
	if !errors.As(err, &connecting) {
		return false
	}
	var each []error
	if joined, ok := connecting.Unwrap().(interface{ Unwrap() []error }); ok {
		each = joined.Unwrap()
	}
	replicas := 0
	for _, one := range each {
		switch {
		case errors.Is(one, errReplica):
			replicas++
		case !strings.Contains(one.Error(), refusedTLS): // which sslmode=prefer goes on after
			return false
		}
	}
	return replicas > 0
}
