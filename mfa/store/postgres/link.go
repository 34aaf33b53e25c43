package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

// link is a connection while it is used.
type link struct {
	*pgconn.PgConn
	store *Store // nil where nothing is prepared
}

// often are the statements that are prepared, which spares the server half
// of its work. The name of one is a digest of it, so that it is the same
// statement in whatever session of a pooler it is found.
var often = map[string][]uint32{
	sqlRead:    {pgtype.ByteaOID},
	sqlInsert:  {pgtype.ByteaOID, pgtype.ByteaOID, pgtype.Int8OID},
	sqlUpdate:  {pgtype.ByteaOID, pgtype.ByteaOID, pgtype.Int8OID, pgtype.Int8OID},
	sqlDelete:  {pgtype.ByteaOID, pgtype.Int8OID},
	sqlReserve: {pgtype.ByteaArrayOID},
	sqlLock:    {pgtype.ByteaArrayOID},
}

func statementName(sql string) string {
	sum := sha256.Sum256([]byte(sql))
	return "caddy_mfa_" + hex.EncodeToString(sum[:12])
}

// preparedKey is where a connection keeps its prepared statements.
const preparedKey = "caddy-mfa"

// descriptions are prepared statements by their SQL.
type descriptions map[string]*pgconn.StatementDescription

// link returns conn with its statements prepared, if they can be. Behind a
// pooler that gives each transaction another session, and knows nothing of
// prepared statements, they cannot: the first time that this shows, the store
// does without from then on.
func (s *Store) link(ctx context.Context, conn *pgconn.PgConn) link {
	l := link{conn, s}
	if !s.prepared.Load() || conn.CustomData()[preparedKey] != nil {
		return l
	}
	all, err := prepareAll(ctx, conn)
	switch {
	case err == nil:
		conn.CustomData()[preparedKey] = all
	case code(err) != "":
		s.prepared.Store(false)
	}
	// Any other error shows in what comes next.
	return l
}

// prepareAll prepares statements in one round trip.
func prepareAll(ctx context.Context, conn *pgconn.PgConn) (all descriptions, err error) {
	pipeline := conn.StartPipeline(ctx)
	defer func() {
		if closing := pipeline.Close(); err == nil {
			err = closing
		}
	}()
	var order []string
	for sql, types := range often {
		order = append(order, sql)
		pipeline.SendPrepare(statementName(sql), sql, types)
	}
	if err := pipeline.Sync(); err != nil {
		return nil, err
	}
	all = make(descriptions)
	for _, sql := range order {
		result, err := pipeline.GetResults()
		if err != nil {
			return nil, err
		}
		description, ok := result.(*pgconn.StatementDescription)
		if !ok {
			return nil, fmt.Errorf("unexpected answer %T", result)
		}
		description.Name = statementName(sql)
		all[sql] = description
	}
	return all, nil
}

// description returns the prepared statement of s, or nil.
func (l link) description(s statement) *pgconn.StatementDescription {
	if l.store == nil || !l.store.prepared.Load() {
		return nil
	}
	all, _ := l.CustomData()[preparedKey].(descriptions)
	return all[s.sql]
}

// noted has the store do without prepared statements where err says that
// they do not last.
func (l link) noted(err error) error {
	if l.store != nil && code(err) == codeNoStatement {
		l.store.prepared.Store(false)
	}
	return err
}

// ask makes one statement, hands its rows to each, if it is not nil, and
// returns how many rows the statement found or changed.
func (l link) ask(ctx context.Context, s statement, each row) (int64, error) {
	var reader *pgconn.ResultReader
	if d := l.description(s); d != nil {
		reader = l.ExecStatement(ctx, d, s.values, binaryFormat, binaryFormat)
	} else {
		reader = l.ExecParams(ctx, s.sql, s.values, s.types, binaryFormat, binaryFormat)
	}
	n, err := read(reader, each)
	return n, l.noted(err)
}

// askAll makes statements in one round trip, and hands all rows to each.
// Where one fails, those after it are not made.
func (l link) askAll(ctx context.Context, statements []statement, each row) (err error) {
	pipeline := l.StartPipeline(ctx)
	defer func() {
		if closing := pipeline.Close(); err == nil {
			err = closing
		}
		err = l.noted(err)
	}()
	for _, s := range statements {
		if d := l.description(s); d != nil {
			pipeline.SendQueryStatement(d, s.values, binaryFormat, binaryFormat)
		} else {
			pipeline.SendQueryParams(s.sql, s.values, s.types, binaryFormat, binaryFormat)
		}
	}
	if err := pipeline.Sync(); err != nil {
		return err
	}
	for range statements {
		results, err := pipeline.GetResults()
		if err != nil {
			return err
		}
		reader, ok := results.(*pgconn.ResultReader)
		if !ok {
			return fmt.Errorf("unexpected answer %T", results)
		}
		if _, err := read(reader, each); err != nil {
			return err
		}
	}
	return nil
}
