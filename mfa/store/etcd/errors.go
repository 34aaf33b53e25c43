package etcd

import (
	"errors"
	"fmt"
	"strings"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// errClusters is returned when answers come from different clusters.
var errClusters = fmt.Errorf("%w: the endpoints belong to several clusters, or this one was made anew", store.ErrOther)

// failure is something that could not be done, with the sentinel that says
// what kind of failure it is, and the mend where it is known.
type failure struct {
	doing string
	kind  error
	cause error
	mend  string
}

func (f *failure) Error() string {
	return fmt.Sprintf("%s etcd: %v: %s", f.doing, f.kind, f.reason())
}

func (f *failure) reason() string {
	text := rpctypes.ErrorDesc(f.cause)
	if f.mend != "" {
		text += ": " + f.mend
	}
	return text
}

func (f *failure) Unwrap() []error { return []error{f.kind, f.cause} }

// unavailable says that something cannot be done, for whatever err is.
func (s *Store) unavailable(doing string, err error) error {
	f := &failure{doing: doing, kind: store.ErrUnavailable, cause: err, mend: s.mend(err)}
	switch {
	case errors.Is(err, rpctypes.ErrRequestTooLarge), errors.Is(err, rpctypes.ErrTooManyOps):
		f.kind = store.ErrTooLarge
	case errors.Is(err, rpctypes.ErrCorrupt):
		f.kind = store.ErrCorrupt
	}
	return f
}

// mend tells an operator what to do about an error that does not go away by
// itself, and is "" for others.
func (s *Store) mend(err error) string {
	switch {
	case errors.Is(err, rpctypes.ErrPermissionDenied):
		return fmt.Sprintf("let the user read and write the keys that begin with %q", s.prefix+"/")
	case errors.Is(err, rpctypes.ErrAuthFailed):
		return "check username and password"
	case errors.Is(err, rpctypes.ErrUserEmpty):
		return "give a username and password"
	case errors.Is(err, rpctypes.ErrNoSpace):
		return "compact and defragment it, disarm the alarm, or raise its --quota-backend-bytes"
	case errors.Is(err, rpctypes.ErrRequestTooLarge), errors.Is(err, rpctypes.ErrTooManyOps):
		return "set its --max-request-bytes and --max-txn-ops to their defaults or above"
	case errors.Is(err, errClusters):
		return "let them name one cluster, and restart this process"
	case strings.Contains(err.Error(), "x509: "):
		return "check the certificates, and the names in the endpoints"
	}
	return ""
}

// refusal is err, of the first request. Where waiting does not help it does
// not say that the store is unavailable.
func refusal(err error) error {
	var f *failure
	if errors.As(err, &f) && f.mend != "" {
		return fmt.Errorf("%s etcd: %s", f.doing, f.reason())
	}
	return err
}
