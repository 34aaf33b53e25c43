package api

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/factor"
	"github.com/caddymfa/caddy-mfa/mfa/gate"
	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// MethodTrusted is how the gate names, to upstreams, a second factor that
// the login itself has asked for.
const MethodTrusted = "LOGIN"

// Policy is what a gate demands.
type Policy struct {
	// Paths are what it guards; nil means everything that comes by.
	Paths *gate.Paths
	// MaxAge is how long ago the second factor may have been shown; 0
	// means as long as its session lasts.
	MaxAge time.Duration
	// Methods are the types of factor that count, or mfa.MethodBackupCode;
	// none means any.
	Methods []string
	// ACR is the level that is at least needed, "" for any.
	ACR string
	// Except are callers who need no second factor, such as machines.
	Except []Exception
	// Optional lets people pass who have no factor, unless an organization
	// of theirs, or a reset, demands one.
	Optional bool
	// TrustAMR are values of the access token's amr claim (RFC 8176) by
	// which the login tells that it has asked for a second factor itself.
	TrustAMR []string
}

// Exception names the callers whose access token has one of the values in a
// claim.
type Exception struct {
	Claim  string
	Values []string
}

// Gate lets requests pass that have shown a second factor. It is safe for
// concurrent use.
type Gate struct {
	handler *Handler
	policy  Policy
}

// NewGate makes a gate that shares the caller's check with h.
func NewGate(h *Handler, policy Policy) *Gate { return &Gate{handler: h, policy: policy} }

// Decision is what a gate decided about a request.
type Decision string

// The decisions of a gate. All but those that let a request pass have been
// answered.
const (
	Passed        Decision = "passed"        // by a second factor
	PassedTrusted Decision = "passed_login"  // by the login's own second factor
	PassedExcept  Decision = "passed_except" // by an exception
	PassedNone    Decision = "passed_optional"
	Preflight     Decision = "preflight"
	NoToken       Decision = "unauthenticated"
	NoFactor      Decision = "factor_required"
	Redirected    Decision = "redirected"
	Refused       Decision = "refused" // a request that cannot be decided: malformed, or of another origin
	TooEarly      Decision = "too_early"
	Failed        Decision = "error" // on this side: closed
)

// Decisions are all that a gate can decide.
var Decisions = []Decision{
	Passed, PassedTrusted, PassedExcept, PassedNone, Preflight, NoToken, NoFactor, Redirected, Refused, TooEarly, Failed,
}

// Outcome is what became of a request at a gate.
type Outcome struct {
	Decision Decision
	// Pass says that the request goes on to the upstream, for which it has
	// been made fit, and Presented is for the gates behind.
	Pass      bool
	Presented *Presented
	// User is for whom it speaks, where that is known.
	User User
	// Refusal is the answer to a request that does not pass, which is not
	// written yet; see Gate.Write. Nil when it has been.
	Refusal error
}

// User is what the gate knows of the caller.
type User struct {
	ID      string // subject
	Issuer  string
	Email   string
	Methods []string
	ACR     string
	// AuthTime is when the second factor was shown, zero for none.
	AuthTime time.Time
}

// Check decides about r, whose path the gate guards, and makes it fit for
// the upstream, in place, when it passes. Target is the request's target as
// the client wrote it, to which a browser comes back; found is what Pass, or
// a gate before, has found in r, nil for nothing.
func (g *Gate) Check(w http.ResponseWriter, r *http.Request, target string, found *Presented) Outcome {
	if early(r) {
		return Outcome{Decision: TooEarly, Refusal: errTooEarly}
	}
	if g.handler.gatePreflight(w, r) {
		return Outcome{Decision: Preflight}
	}
	c, err := g.handler.authenticate(r, found)
	if err == nil {
		err = g.handler.ownCookie(r, c)
	}
	if err != nil {
		return g.unauthenticated(w, r, target, c.byCookie, err)
	}
	if strings.TrimSpace(c.identity.Subject) != c.identity.Subject {
		// A header's outer blanks get lost: the upstream would take "bob " for bob.
		return Outcome{Decision: Refused, Refusal: errUnusable("its subject begins or ends with a blank")}
	}
	user := User{ID: c.identity.ClaimedSubject(), Issuer: c.identity.Issuer, Email: c.identity.Email}
	if c.staleCookie {
		clearCookie(w)
	}
	if g.excepted(c) {
		return g.forward(r, c, found, Outcome{Decision: PassedExcept, User: user})
	}
	now := g.handler.now()
	if c.shown != nil && g.satisfied(c.shown, now) {
		user.Methods, user.ACR, user.AuthTime = c.shown.Methods, c.shown.ACR, c.shown.AuthTime
		if err := g.see(r, c); err != nil {
			return Outcome{Decision: Failed, User: user, Refusal: err}
		}
		return g.forward(r, c, found, Outcome{Decision: Passed, User: user})
	}
	if at, ok := g.trusted(c, now); ok {
		user.Methods, user.ACR, user.AuthTime = []string{MethodTrusted}, mfa.ACRMFA, at
		if err := g.see(r, c); err != nil {
			return Outcome{Decision: Failed, User: user, Refusal: err}
		}
		return g.forward(r, c, found, Outcome{Decision: PassedTrusted, User: user})
	}
	standing, err := g.handler.service.Standing(r.Context(), g.handler.callerOf(r, c))
	if err != nil {
		return Outcome{Decision: Failed, User: user, Refusal: err}
	}
	if g.policy.Optional && !standing.Enrolled && !standing.Enforced && !standing.MustEnroll {
		return g.forward(r, c, found, Outcome{Decision: PassedNone, User: user})
	}
	if c.byCookie && wantsPage(r) && g.handler.page {
		g.sendToPage(w, r, target)
		return Outcome{Decision: Redirected, User: user}
	}
	return Outcome{Decision: NoFactor, User: user, Refusal: g.factorRequired(standing)}
}

// see keeps the organizations that the access token of a request names, which
// passes. A store that is unavailable does not close the gate for it: nobody
// can be acted on until it is back, and the next request tells them again.
func (g *Gate) see(r *http.Request, c credentials) error {
	organizations := c.identity.Organizations
	if len(organizations) == 0 {
		return nil
	}
	ctx, service := r.Context(), g.handler.service
	if c.shown != nil {
		known, err := service.Knows(ctx, c.shown, organizations)
		if known || errors.Is(err, store.ErrUnavailable) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	err := service.See(ctx, g.handler.callerOf(r, c))
	if errors.Is(err, store.ErrUnavailable) {
		return nil
	}
	return err
}

// demands tells the page what the gate demands beyond any factor, so that it
// asks for the right one. Whoever changes them gains nothing: it is the
// gate that decides.
func (g *Gate) demands() string {
	demands := ""
	if g.policy.ACR != "" {
		demands += "&acr_values=" + url.QueryEscape(g.policy.ACR)
	}
	if len(g.policy.Methods) > 0 {
		demands += "&methods=" + url.QueryEscape(strings.Join(g.policy.Methods, " "))
	}
	return demands
}

// sendToPage sends a browser to the page, which sends it back.
func (g *Gate) sendToPage(w http.ResponseWriter, r *http.Request, target string) {
	redirect(w, r, g.handler.prefix+"/?return_to="+url.QueryEscape(ReturnTo(target))+g.demands())
}

// unauthenticated decides about a request that brought no access token that
// is good.
func (g *Gate) unauthenticated(w http.ResponseWriter, r *http.Request, target string, byCookie bool, err error) Outcome {
	e := translate(err)
	switch {
	case e.code == "invalid_token" && byCookie && wantsPage(r) && g.handler.page:
		// The sign-in has run out, say. The page tells the person so, and leads
		// to the login by a link: a login that takes them for signed in would
		// send them round in a circle.
		g.sendToPage(w, r, target)
		return Outcome{Decision: Redirected}
	case e == errNoCredentials && wantsPage(r) && g.handler.loginURL != "":
		redirect(w, r, g.handler.loginTarget(r, target))
		return Outcome{Decision: Redirected}
	case e.status == http.StatusUnauthorized:
		return Outcome{Decision: NoToken, Refusal: err}
	case e.status >= 500:
		return Outcome{Decision: Failed, Refusal: err}
	default:
		return Outcome{Decision: Refused, Refusal: err}
	}
}

// satisfied reports whether a second factor is one that the gate demands.
func (g *Gate) satisfied(shown *mfa.Shown, now time.Time) bool {
	if g.policy.MaxAge > 0 && now.Sub(shown.AuthTime) > g.policy.MaxAge {
		return false
	}
	if g.policy.ACR != "" && !mfa.ACRSatisfies(shown.ACR, g.policy.ACR) {
		return false
	}
	return len(g.policy.Methods) == 0 || slices.ContainsFunc(shown.Methods, func(method string) bool {
		return slices.Contains(g.policy.Methods, method)
	})
}

// trusted reports whether the login has asked for a second factor that is
// enough, and when, the zero time where that is not told. It does not say
// which: a gate that demands methods, or more than any second factor, stays
// closed.
func (g *Gate) trusted(c credentials, now time.Time) (at time.Time, ok bool) {
	if len(g.policy.Methods) > 0 || g.policy.ACR != "" && !mfa.ACRSatisfies(mfa.ACRMFA, g.policy.ACR) {
		return time.Time{}, false
	}
	at, ok = c.identity.SignedInBy(g.policy.TrustAMR)
	if !ok || g.policy.MaxAge == 0 {
		return at, ok
	}
	return at, !at.IsZero() && now.Sub(at) <= g.policy.MaxAge
}

// excepted reports whether the caller needs no second factor.
func (g *Gate) excepted(c credentials) bool {
	return slices.ContainsFunc(g.policy.Except, func(e Exception) bool {
		return slices.ContainsFunc(c.identity.Kept[e.Claim], func(value string) bool { return slices.Contains(e.Values, value) })
	})
}

// forward makes r what the upstream gets: with the login's own token, no
// assertion, and what the gate has found out.
func (g *Gate) forward(r *http.Request, c credentials, found *Presented, o Outcome) Outcome {
	if found == nil {
		found = &Presented{tokens: presented(r), by: g.handler, opened: c.asBearer == "", shown: c.shown}
		removeAssertionCookie(r)
		if c.asBearer != "" {
			found.wrapped, found.credentials = true, c
			r.Header["Authorization"] = []string{c.asBearer}
		}
	}
	gate.StripIdentity(r)
	// One piece of memory for the values of all four.
	values := make([]string, 0, 4)
	set := func(name, value string) {
		values = append(values, value)
		r.Header[name] = values[len(values)-1 : len(values) : len(values)]
	}
	set("X-Mfa-User", o.User.ID)
	if len(o.User.Methods) > 0 {
		set("X-Mfa-Methods", strings.Join(o.User.Methods, ","))
		set("X-Mfa-Acr", o.User.ACR)
	}
	if !o.User.AuthTime.IsZero() {
		set("X-Mfa-Auth-Time", o.User.AuthTime.UTC().Format(time.RFC3339))
	}
	o.Pass, o.Presented = true, found
	return o
}

// factorRequired is the challenge of RFC 9470, 3.
func (g *Gate) factorRequired(standing mfa.Standing) error {
	message := "A second factor is required: show one at " + g.handler.prefix + "/verify-login."
	if !standing.Enrolled {
		message = "A second factor is required and you have none yet: set one up at " + g.handler.prefix + "/setup."
	}
	acr := g.policy.ACR
	switch {
	case acr != "":
	case slices.Equal(g.policy.Methods, []string{string(factor.TypePasskey)}):
		acr = mfa.ACRPhR
	case slices.Contains(g.policy.Methods, string(factor.TypeMagicLink)):
		acr = mfa.ACRMail
	default:
		acr = mfa.ACRMFA
	}
	description := "A second factor is required"
	if g.policy.MaxAge > 0 {
		description = fmt.Sprintf("A second factor shown within the last %s is required", humanDuration(g.policy.MaxAge))
	}
	return &apiError{
		status: http.StatusUnauthorized, code: "insufficient_user_authentication", message: message,
		challenge: stepUpChallenge(description, acr, g.policy.MaxAge),
	}
}

// Write answers a request that does not pass.
func (g *Gate) Write(w http.ResponseWriter, r *http.Request, refusal error) {
	g.handler.refuse(w, r, refusal)
}

// Hand prepares the answer to a request that does not pass for somebody
// else to write: it sets the headers and returns the status. What only the
// edge may say or see is taken out of the request first, which may be sent to
// an upstream for a page of its own.
func (g *Gate) Hand(w http.ResponseWriter, r *http.Request, refusal error) (status int, err error) {
	Withhold(r)
	e := translate(refusal)
	w.Header().Set("Cache-Control", "no-store")
	g.handler.exposeRefusal(w, r)
	setRefusalHeaders(w, e)
	return e.status, e
}
