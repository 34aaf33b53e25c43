package api

import (
	"net/http"

	"github.com/caddymfa/caddy-mfa/mfa/panics"
)

// errInternal is the answer to a request that met a bug.
var errInternal = &apiError{status: http.StatusInternalServerError, code: "internal_error", message: "Internal server error"}

// AnswerFailure answers a request whose handling panicked before anything was
// written.
func AnswerFailure(w http.ResponseWriter) {
	setHeaders(w)
	writeError(w, errInternal)
}

// recovered calls serve and returns its error, or panics.ErrPanicked. When
// the answer had been begun by then, it aborts the connection: what the client
// has got of it must not look whole.
func recovered(w http.ResponseWriter, serve func(w http.ResponseWriter) error) error {
	a := &answer{ResponseWriter: w}
	returned := false
	err := panics.Try(panics.Request, func() error {
		err := serve(a)
		returned = true
		return err
	})
	if !returned && a.begun {
		panic(http.ErrAbortHandler)
	}
	return err
}

// answer is a response that knows whether it has been begun.
type answer struct {
	http.ResponseWriter
	begun bool
}

func (a *answer) WriteHeader(status int) {
	a.begun = true
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(p []byte) (int, error) {
	a.begun = true
	return a.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }
