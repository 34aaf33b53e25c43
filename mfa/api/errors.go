package api

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/bearer"
	"github.com/caddymfa/caddy-mfa/mfa/gate"
	"github.com/caddymfa/caddy-mfa/mfa/panics"
	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// apiError is an error as the client is told it.
type apiError struct {
	status  int
	code    string // snake_case, for programs
	message string // for people
	// hint says what to do, where message is one of the literal ones. "" means
	// that there is nothing to say.
	hint string
	// challenge is the WWW-Authenticate header, "" for none.
	challenge string
	// retryAfter is the Retry-After header, 0 for none.
	retryAfter time.Duration
	// cause is for the log.
	cause error
}

func (e *apiError) Error() string {
	if e.cause != nil {
		return e.code + ": " + e.cause.Error()
	}
	return e.code
}

func (e *apiError) Unwrap() error { return e.cause }

// refusedToken is what the person is told of an access token, before the
// reason.
const refusedToken = "The access token is not valid: "

// realm names the protection space in challenges (RFC 9110, 11.5).
const realm = `Bearer realm="mfa"`

var (
	errNotFound = &apiError{status: http.StatusNotFound, code: "not_found", message: "Not found"}

	errNoCredentials = &apiError{
		status: http.StatusUnauthorized, code: "authentication_required",
		message:   "Authentication is required: send your access token as Authorization: Bearer.",
		challenge: realm,
	}

	errOrigin = &apiError{
		status: http.StatusForbidden, code: "origin_not_allowed",
		message: "An access token in a cookie is accepted only from pages of this site or of an allowed origin: the Origin header is missing or names another.",
	}

	errTooEarly = &apiError{
		status: http.StatusTooEarly, code: "too_early",
		message: "The request came before the TLS handshake was complete, as early data: send it again.",
	}

	errTooLarge = &apiError{
		status: http.StatusRequestEntityTooLarge, code: "request_too_large",
		message: "The request body is larger than 64 KiB.",
	}

	errUnsupportedMediaType = &apiError{
		status: http.StatusUnsupportedMediaType, code: "unsupported_media_type",
		message: "The request body must be JSON in UTF-8: send it with Content-Type: application/json and no Content-Encoding.",
	}
)

// badRequest is the answer to a request that cannot be read; message says
// what is wrong with it.
func badRequest(message string) error {
	return &apiError{status: http.StatusBadRequest, code: "invalid_request", message: message}
}

func errMethodNotAllowed(method, allow string) error {
	return &apiError{
		status: http.StatusMethodNotAllowed, code: "method_not_allowed",
		message: fmt.Sprintf("Method %s is not allowed here: use %s.", shorten(method), allow),
	}
}

// translate turns an error that any route may meet into what the client is
// told. What is not known here is this side's fault.
func translate(err error) *apiError {
	var (
		known  *apiError
		stepUp *mfa.StepUpError
		limit  *mfa.RateLimitError
		locked *mfa.LockedError
	)
	switch {
	case errors.As(err, &known):
		return known
	case errors.Is(err, panics.ErrPanicked):
		return errInternal // which has been logged
	case errors.Is(err, bearer.ErrInvalidToken):
		reason := cutSentinel(err, bearer.ErrInvalidToken)
		return &apiError{
			status: http.StatusUnauthorized, code: "invalid_token",
			message:   refusedToken + reason,
			challenge: realm + `, error="invalid_token", error_description="` + quotable(reason) + `"`,
		}
	case errors.Is(err, bearer.ErrKeysUnavailable):
		return unavailable("The keys that access tokens are checked with cannot be had now: try again soon.", err)
	case errors.As(err, &stepUp):
		return stepUpRequired(stepUp)
	case errors.As(err, &locked):
		return lockedOut(locked)
	case errors.As(err, &limit):
		return &apiError{
			status: http.StatusTooManyRequests, code: "rate_limited",
			message:    "Too many requests: try again in " + humanDuration(limit.RetryAfter) + ".",
			retryAfter: limit.RetryAfter,
		}
	case errors.Is(err, store.ErrUnavailable), errors.Is(err, store.ErrClosed),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return unavailable("MFA is not available now: try again soon.", err)
	default:
		return &apiError{status: http.StatusInternalServerError, code: "internal_error", message: "Internal server error", cause: err}
	}
}

func unavailable(message string, cause error) *apiError {
	return &apiError{
		status: http.StatusServiceUnavailable, code: "unavailable",
		message: message, retryAfter: time.Second, cause: cause,
	}
}

// stepUpRequired is the challenge of RFC 9470, 3.
func stepUpRequired(e *mfa.StepUpError) *apiError {
	description := "A recent second factor is required"
	message := description
	switch e.ACR {
	case "":
		description = "A more recent sign-in is required"
		message = description
	case mfa.ACRPhR:
		description = "A recent passkey is required"
		message = description + ": show one of yours. If they are all lost, ask your administrator or help desk for a reset."
	}
	return &apiError{
		status: http.StatusUnauthorized, code: "insufficient_user_authentication",
		message:   message,
		challenge: stepUpChallenge(description, e.ACR, e.MaxAge),
	}
}

// stepUpChallenge is the WWW-Authenticate header of RFC 9470, 3; acr and
// maxAge stand in it unless they are empty.
func stepUpChallenge(description, acr string, maxAge time.Duration) string {
	challenge := realm + `, error="insufficient_user_authentication", error_description="` + quotable(description) + `"`
	if acr != "" {
		challenge += `, acr_values="` + acr + `"`
	}
	if maxAge > 0 {
		challenge += `, max_age="` + strconv.Itoa(int(maxAge/time.Second)) + `"`
	}
	return challenge
}

// lockedOut is the answer while codes are not accepted, the same for a
// right and a wrong one.
func lockedOut(e *mfa.LockedError) *apiError {
	locked := &apiError{status: http.StatusTooManyRequests, code: "locked"}
	if e.Off {
		locked.message = "Code entry is switched off after too many wrong codes: use a passkey, or ask an administrator."
		locked.retryAfter = 24 * time.Hour
		return locked
	}
	locked.message = "Too many wrong codes: try again in " + humanDuration(e.RetryAfter) + ", or use a passkey."
	locked.retryAfter = e.RetryAfter
	return locked
}

// maxLoggedPath is how much of a path is written to the log, in bytes.
const maxLoggedPath = 256

// fail writes err as the answer. What is this side's fault is logged as an
// error; why a proof was refused, which the client is not told, for whoever
// is asked about it.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	e := translate(err)
	if e.cause != nil {
		level := zap.InfoLevel
		switch {
		case r.Context().Err() != nil, errors.Is(err, bearer.ErrKeysUnavailable):
			level = zap.DebugLevel // the client has left; the fetch has logged its failure
		case e.status >= 500:
			level = zap.ErrorLevel
		}
		h.log.Log(level, "request refused",
			zap.String("method", r.Method), zap.String("path", cut(r.URL.Path, maxLoggedPath)),
			zap.Int("status", e.status), zap.String("code", e.code), zap.Error(e.cause))
	}
	discardBody(w, r)
	writeError(w, e)
}

// Unavailable answers that the product cannot serve requests yet, or any
// more.
func Unavailable(w http.ResponseWriter) {
	setHeaders(w)
	writeError(w, unavailable("MFA is starting or stopping: try again soon.", nil))
}

// RefuseUnreadable answers a request that no handler here can judge, and
// reports whether it did: one whose target is no path, and one that opens a
// tunnel, in which the upstream may read further requests.
func RefuseUnreadable(w http.ResponseWriter, r *http.Request) bool {
	var message string
	switch {
	case r.URL.Opaque != "":
		// A request target such as http:mfa/setup, which HTTP does not have
		// (RFC 9112, 3.2) and whose path an upstream may make up.
		message = "The request target is not a path that begins with a slash."
	case gate.Tunnels(r):
		message = "The method " + shorten(r.Method) + " opens a tunnel, and this is no proxy."
	default:
		return false
	}
	setHeaders(w)
	writeError(w, translate(badRequest(message)))
	return true
}

func writeError(w http.ResponseWriter, e *apiError) {
	setRefusalHeaders(w, e)
	_ = writeJSON(w, e.status, errorAnswer{Error: e.message, Code: e.code, Hint: e.hint}) // strings always encode
}

// setRefusalHeaders sets what a client needs to know to do better.
func setRefusalHeaders(w http.ResponseWriter, e *apiError) {
	if e.challenge != "" {
		w.Header().Set("WWW-Authenticate", e.challenge)
	}
	if e.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(e.retryAfter.Seconds()))))
	}
}

// cutSentinel returns the text of err behind that of the sentinel it
// wraps.
func cutSentinel(err, sentinel error) string {
	_, reason, found := strings.Cut(err.Error(), sentinel.Error()+": ")
	if !found {
		return sentinel.Error()
	}
	return reason
}

// quotable keeps what may stand in a quoted error_description (RFC 6750,
// 3).
func quotable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e || r == '"' || r == '\\' {
			return '\''
		}
		return r
	}, s)
}

// humanDuration rounds d up to what a person would say.
func humanDuration(d time.Duration) string {
	if d <= time.Minute {
		return plural(int(math.Ceil(d.Seconds())), "second")
	}
	return plural(int(math.Ceil(d.Minutes())), "minute")
}

func plural(n int, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return strconv.Itoa(n) + " " + unit + "s"
}
