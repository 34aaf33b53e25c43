package postgres

import (
	"context"
	"crypto/tls"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// Error codes of PostgreSQL, Appendix A of its manual.
const (
	codeUniqueViolation      = "23505"
	codeReadOnly             = "25006"
	codeSerializationFailure = "40001"
	codeDeadlock             = "40P01"
	codePrivilege            = "42501"
	codeNoStatement          = "26000"
	codeStatementExists      = "42P05"
	codeObjectExists         = "42710"
	codeNoTable              = "42P01"
	codeTableExists          = "42P07"
	codeDataCorrupted        = "XX001"
	codeIndexCorrupted       = "XX002"
	codeNoDatabase           = "3D000"
	codeNotNow               = "55000" // object not in prerequisite state
	codeProtocol             = "08P01"
	codeNoTransaction        = "25P01"
)

// code returns the code of an error that the server has reported, else "".
func code(err error) string {
	var decided *outcome
	if errors.As(err, &decided) {
		err = decided.err
	}
	var failed *fault
	if errors.As(err, &failed) {
		err = failed.cause
	}
	var reported *pgconn.PgError
	if errors.As(err, &reported) {
		return reported.Code
	}
	return ""
}

// again reports whether a transaction failed because of others only, with
// nothing written, and may succeed when it is made again. The last is for a
// statement that was prepared in another session, in that of a pooler.
func again(err error) bool {
	switch code(err) {
	case codeSerializationFailure, codeDeadlock, codeNoStatement:
		return true
	}
	return false
}

// lost reports whether err says that the connection is of no use any more,
// as it is after the server was restarted or became a standby. That the
// server is too slow is not among it, nor that a new connection cannot be
// made: the others may be good.
func lost(err error) bool {
	var connecting *pgconn.ConnectError
	if errors.As(err, &connecting) {
		return false
	}
	var reported *pgconn.PgError
	if errors.As(err, &reported) {
		return reported.Severity == "FATAL" || reported.Code == codeReadOnly
	}
	var refused *refusal
	if errors.As(err, &refused) {
		return true // of that server; others may be good
	}
	return err != nil && !pgconn.Timeout(err) && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled)
}

// permanent reports whether no waiting mends what err says of connecting or
// of the schema: a wrong password, a database that does not exist, a
// certificate that is not trusted.
func permanent(err error) bool {
	switch c := code(err); {
	case c == codeNoDatabase:
		return true
	case len(c) == 5:
		return c[:2] == "28" || c[:2] == "42" // who one is, what one may do
	}
	var failed *fault
	if errors.As(err, &failed) {
		err = failed.cause
	}
	if onlyReplicas(err) || errors.Is(err, errForgetful) || errors.Is(err, errPooler) {
		return true
	}
	var certificate *tls.CertificateVerificationError
	return errors.As(err, &certificate) || errors.Is(err, errSchema) ||
		err != nil && strings.Contains(err.Error(), refusedTLS)
}

// refusedTLS is what pgx says of a server without TLS.
const refusedTLS = "server refused TLS connection"

// fault is what went wrong while doing something, as a caller of Store is
// told it. Of its cause only the text shows: the error of a context that is
// not the caller's must not look as if it were. The text has no secret in it:
// it names user, database and host at most.
type fault struct {
	doing    string
	sentinel error
	cause    error
}

func failure(doing string, cause error) error {
	sentinel := store.ErrUnavailable
	switch code(cause) {
	case codeDataCorrupted, codeIndexCorrupted:
		sentinel = store.ErrCorrupt
	}
	return &fault{doing, sentinel, cause}
}

func (f *fault) Error() string {
	return f.doing + ": " + f.sentinel.Error() + ": " + oneLine(f.cause)
}

func (f *fault) Unwrap() error { return f.sentinel }

// oneLine is the text of err without the line breaks that pgx puts into it.
func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
