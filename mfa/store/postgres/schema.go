package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// The tables.
const (
	sqlVersions = `CREATE TABLE IF NOT EXISTS caddy_mfa_schema (
	id integer PRIMARY KEY CHECK (id = 1),
	version bigint NOT NULL
)`
	sqlDocuments = `CREATE TABLE IF NOT EXISTS caddy_mfa_documents (
	key bytea PRIMARY KEY,
	value bytea NOT NULL,
	version bigint NOT NULL
)`
	sqlVersion = `INSERT INTO caddy_mfa_schema (id, version) VALUES (1, $1) ON CONFLICT (id) DO NOTHING`
)

// migrations lead from one version of the schema to the next: the first
// from none, with the table of versions alone, to version 1. A statement may
// be made twice.
var migrations = [][]string{
	{sqlDocuments},
}

// errSchema is returned when the tables are not such as this program needs.
var errSchema = errors.New("the tables do not fit")

// makeTables makes or migrates the schema, if it is not current. Any number of
// nodes may do so at once.
func (s *Store) makeTables(ctx context.Context) error {
	var err error
	for range attempts {
		err = s.connected(ctx, "making tables in postgres", func(ctx context.Context, conn link) error {
			if err := migrate(ctx, conn); err != nil {
				if meanwhile(err) || permanent(err) {
					return &outcome{err}
				}
				return err
			}
			return nil
		})
		if !meanwhile(err) {
			if permanent(err) {
				err = fmt.Errorf("making tables in postgres: %w", err)
			}
			return err
		}
		select { // another node is at it
		case <-time.After(lastPause / attempts):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return failure("making tables in postgres", err)
}

// meanwhile reports whether err says that another node is making the same
// table. IF NOT EXISTS does not keep two from doing so at once.
func meanwhile(err error) bool {
	switch code(err) {
	case codeUniqueViolation, codeTableExists, codeObjectExists: // an entry of a catalog, the table, its row type
		return true
	}
	return again(err)
}

// migrate brings the schema to the newest version.
func migrate(ctx context.Context, conn link) error {
	version, err := schemaVersion(ctx, conn, "")
	switch {
	case code(err) == codeNoTable, err == nil && version == 0:
		for _, s := range []statement{say(sqlVersions), say(sqlVersion).number(0)} {
			if _, err := conn.ask(ctx, s, nil); err != nil {
				return schemaError(err)
			}
		}
	case err != nil:
		return schemaError(err)
	case version == int64(len(migrations)):
		return nil
	}
	return migrateLocked(ctx, conn)
}

// migrateLocked makes what migrations are missing, while no other node does.
func migrateLocked(ctx context.Context, conn link) error {
	if _, err := conn.ask(ctx, say("BEGIN"), nil); err != nil {
		return err
	}
	defer func() {
		if !conn.IsClosed() && conn.TxStatus() != 'I' {
			_, _ = conn.ask(ctx, say("ROLLBACK"), nil) // else the server ends it with the connection
		}
	}()
	version, err := schemaVersion(ctx, conn, " FOR UPDATE")
	if err != nil {
		return schemaError(err)
	}
	if version > int64(len(migrations)) {
		return fmt.Errorf("%w: they are of version %d, made by a newer caddy-mfa, and this one knows %d: upgrade this node", errSchema, version, len(migrations))
	}
	for _, statements := range migrations[version:] {
		for _, sql := range statements {
			if _, err := conn.ask(ctx, say(sql), nil); err != nil {
				return schemaError(err)
			}
		}
	}
	newest := say(`UPDATE caddy_mfa_schema SET version = $1`).number(int64(len(migrations)))
	if _, err := conn.ask(ctx, newest, nil); err != nil {
		return schemaError(err)
	}
	_, err = conn.ask(ctx, say("COMMIT"), nil)
	return err
}

// schemaVersion reads the version, 0 when there is a table without one.
func schemaVersion(ctx context.Context, conn link, lock string) (version int64, err error) {
	_, err = conn.ask(ctx, say("SELECT version FROM caddy_mfa_schema WHERE id = 1"+lock), func(columns [][]byte) (err error) {
		version, err = number(columns[0])
		return err
	})
	return version, err
}

// schemaError says what helps when the user may not make tables.
func schemaError(err error) error {
	if code(err) == codePrivilege {
		return fmt.Errorf("%w: the user may not make or use them: its owner can, as docs/stores.md says: %w", errSchema, err)
	}
	return err
}
