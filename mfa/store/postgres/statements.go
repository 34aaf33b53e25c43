package postgres

import (
	"encoding/binary"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

// The statements. A version is never 0 once it is committed.
const (
	// sqlRead has a row also where there is no document. Like whatever decides,
	// it tells whether the server may say so: behind a pooler, or after a
	// change of the configuration, it may be another than the connection was
	// made to.
	sqlRead = `SELECT d.value, d.version, current_setting('transaction_read_only')
FROM (SELECT $1::bytea AS key) AS asked LEFT JOIN caddy_mfa_documents AS d ON d.key = asked.key`
	sqlRole   = `SELECT current_setting('transaction_read_only')`
	sqlInsert = `INSERT INTO caddy_mfa_documents (key, value, version) VALUES ($1, $2, $3) ON CONFLICT (key) DO NOTHING`
	sqlUpdate = `UPDATE caddy_mfa_documents SET value = $2, version = $3 WHERE key = $1 AND version = $4`
	sqlDelete = `DELETE FROM caddy_mfa_documents WHERE key = $1 AND version = $2`
	sqlList   = `SELECT key, value FROM caddy_mfa_documents WHERE key >= $1 AND key < $2 ORDER BY key LIMIT $3`

	// sqlReserve makes a row of version 0 for each key that has none.
	sqlReserve = `INSERT INTO caddy_mfa_documents (key, value, version)
SELECT k, ''::bytea, 0 FROM unnest($1::bytea[]) AS k ORDER BY k
ON CONFLICT (key) DO NOTHING`
	sqlLock = `SELECT key, value, version FROM caddy_mfa_documents WHERE key = ANY($1::bytea[]) ORDER BY key FOR UPDATE`

	sqlChanged = `SELECT seen.key FROM unnest($1::bytea[], $2::int8[]) AS seen (key, version)
LEFT JOIN caddy_mfa_documents AS d ON d.key = seen.key
WHERE coalesce(d.version, 0) <> seen.version`
)

// statement is an SQL statement with its parameters, all in the binary
// format. As their types are given, nothing needs to be prepared.
type statement struct {
	sql    string
	values [][]byte
	types  []uint32
}

func say(sql string) statement { return statement{sql: sql} }

func (s statement) with(oid uint32, value []byte) statement {
	s.values, s.types = append(s.values, value), append(s.types, oid)
	return s
}

func (s statement) key(key string) statement { return s.with(pgtype.ByteaOID, []byte(key)) }

// bytes adds value, which is not nil: that would be NULL.
func (s statement) bytes(value []byte) statement { return s.with(pgtype.ByteaOID, value) }

func (s statement) number(n int64) statement {
	return s.with(pgtype.Int8OID, binary.BigEndian.AppendUint64(nil, uint64(n)))
}

func (s statement) keys(keys []string) statement {
	array := arrayHeader(pgtype.ByteaOID, len(keys))
	for _, key := range keys {
		array = binary.BigEndian.AppendUint32(array, uint32(len(key)))
		array = append(array, key...)
	}
	return s.with(pgtype.ByteaArrayOID, array)
}

func (s statement) numbers(numbers []int64) statement {
	array := arrayHeader(pgtype.Int8OID, len(numbers))
	for _, n := range numbers {
		array = binary.BigEndian.AppendUint32(array, 8)
		array = binary.BigEndian.AppendUint64(array, uint64(n))
	}
	return s.with(pgtype.Int8ArrayOID, array)
}

// arrayHeader is the beginning of an array of one dimension, of n elements
// that are not null.
func arrayHeader(element uint32, n int) []byte {
	var header []byte
	for _, field := range []uint32{1, 0, element, uint32(n), 1} { // dimensions, nulls, type, length, lower bound
		header = binary.BigEndian.AppendUint32(header, field)
	}
	return header
}

// binaryFormat is that of all parameters and results.
var binaryFormat = []int16{pgtype.BinaryFormatCode}

// row takes the columns of a row, which are valid only during the call.
type row func(columns [][]byte) error

func read(reader *pgconn.ResultReader, each row) (int64, error) {
	var failed error
	for reader.NextRow() {
		if each != nil && failed == nil {
			failed = each(reader.Values())
		}
	}
	tag, err := reader.Close()
	if err == nil {
		err = failed
	}
	return tag.RowsAffected(), err
}

// number reads an integer of 8 bytes.
func number(column []byte) (int64, error) {
	if len(column) != 8 {
		return 0, fmt.Errorf("a version of %d bytes", len(column))
	}
	return int64(binary.BigEndian.Uint64(column)), nil
}
