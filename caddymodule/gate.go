package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddymfa/caddy-mfa/caddymodule/internal/option"
	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/api"
	"github.com/caddymfa/caddy-mfa/mfa/factor"
	"github.com/caddymfa/caddy-mfa/mfa/gate"
	"github.com/caddymfa/caddy-mfa/mfa/panics"
)

func init() {
	caddy.RegisterModule(Gate{})
}

// Gate lets requests pass only after a second factor. It stays closed on
// any doubt.
type Gate struct {
	// Paths are what the gate guards, as in a path matcher, but read more
	// loosely: every spelling that a backend might take for one of them is
	// guarded too. They are held against the path that the client sent and
	// against what it has become when it comes to the gate. Default:
	// everything that the route's matchers let by.
	Paths []string `json:"paths,omitempty"`

	// Query names query parameters that hold a route, such as q or
	// rest_route: their values are held against the paths too. The empty
	// name is the query that has no name, as in ?/admin/x. It needs paths.
	// Default: none.
	Query []string `json:"query,omitempty" option:"empty"`

	// MaxAge is how long ago the second factor may have been shown.
	// Default: as long as its session lasts.
	MaxAge caddy.Duration `json:"max_age,omitempty"`

	// Methods are the types of factor that open the gate: GOOGLE_AUTH,
	// MAGIC_LINK, PASSKEY, BACKUP_CODE. Default: any.
	Methods []string `json:"methods,omitempty"`

	// ACR is the level that is at least needed: mail, mfa or phr, which
	// cannot be phished. Default: any.
	ACR string `json:"acr,omitempty"`

	// Except names callers, by a claim of their access token, who need no
	// second factor, such as machines.
	Except []Exception `json:"except,omitempty"`

	// Enrollment is "required", or "optional" to let people pass who have no
	// factor, unless an organization of theirs demands one. Default:
	// required.
	Enrollment string `json:"enrollment,omitempty"`

	// HandleErrors hands refusals to the server's error routes
	// (handle_errors), with the headers set, instead of answering them. No
	// backend gets a refused request there as it was asked.
	// Default: false.
	HandleErrors bool `json:"handle_errors,omitempty"`

	// Source says where the directive stands, such as Caddyfile:12, for
	// messages about it. Default: not said.
	Source string `json:"source,omitempty"`

	app    *App
	policy api.Policy
	index  int // among the gates of its server
}

// Exception names callers by a claim of their access token.
type Exception struct {
	// Claim is the name of the claim, or a dotted path to it.
	Claim string `json:"claim,omitempty"`
	// Values are those of which the claim must have one.
	Values []string `json:"values,omitempty"`
}

// Values of Gate.Enrollment.
const (
	enrollmentRequired = "required"
	enrollmentOptional = "optional"
)

// CaddyModule returns the Caddy module information.
func (Gate) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.mfa_require",
		New: func() caddy.Module { return new(Gate) },
	}
}

// Provision checks the options and finds the app.
func (g *Gate) Provision(ctx caddy.Context) error {
	var err error
	if g.app, err = appFor("mfa_require", ctx); err != nil {
		return err
	}
	if err := g.expandPlaceholders(); err != nil {
		return fmt.Errorf("mfa_require: %w", err)
	}
	if err := option.Check(g); err != nil {
		return fmt.Errorf("mfa_require: %w", err)
	}
	if g.policy, err = g.makePolicy(); err != nil {
		return fmt.Errorf("mfa_require: %w", err)
	}
	if server := serverOf(ctx); server != nil {
		if g.app.gates == nil {
			g.app.gates = make(map[*caddyhttp.Server][]*Gate)
		}
		g.index = len(g.app.gates[server])
		g.app.gates[server] = append(g.app.gates[server], g)
	}
	return g.app.checkRoutes(ctx)
}

func (g *Gate) makePolicy() (api.Policy, error) {
	p := api.Policy{
		MaxAge:   time.Duration(g.MaxAge),
		Methods:  g.Methods,
		ACR:      g.ACR,
		TrustAMR: g.app.Bearer.TrustAMR,
	}
	if g.MaxAge < 0 {
		return p, errors.New("max_age: must not be negative")
	}
	if len(g.Paths) > 0 {
		paths, err := gate.NewPaths(g.Paths)
		if err != nil {
			return p, err
		}
		if len(g.Query) > 0 {
			if paths, err = paths.ReadQuery(g.Query); err != nil {
				return p, fmt.Errorf("query: %w", err)
			}
		}
		p.Paths = paths
	} else if len(g.Query) > 0 {
		return p, errors.New("query: is for gates with paths, which the parameters are held against: " +
			"give the gate its paths, or take query out, as the gate guards every request that comes to it")
	}
	for _, method := range g.Methods {
		if !factor.Type(method).Known() && method != mfa.MethodBackupCode {
			return p, fmt.Errorf("methods: %q is none of GOOGLE_AUTH, MAGIC_LINK, PASSKEY, BACKUP_CODE", method)
		}
	}
	if g.ACR != "" && !mfa.KnownACR(g.ACR) {
		return p, fmt.Errorf("acr: %q is none of mail, mfa, phr", g.ACR)
	}
	switch g.Enrollment {
	case "", enrollmentRequired:
	case enrollmentOptional:
		p.Optional = true
	default:
		return p, fmt.Errorf("enrollment: must be required or optional, not %q", g.Enrollment)
	}
	for _, e := range g.Except {
		if e.Claim == "" || len(e.Values) == 0 || slices.Contains(e.Values, "") {
			return p, errors.New("except: name a claim and one value or more, for instance except claim client_id batch")
		}
		p.Except = append(p.Except, api.Exception{Claim: e.Claim, Values: e.Values})
		g.app.keepClaim(e.Claim)
	}
	return p, nil
}

func (g *Gate) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	// A panic of what is behind is not for the gate to recover.
	if passes, err := g.decide(w, r); !passes {
		g.app.disown(r)
		return err
	}
	return next.ServeHTTP(w, r)
}

// decide answers a request, returns an error for handle_errors to answer, or
// makes the request fit for what is behind and reports true. It stays closed
// when it panics.
func (g *Gate) decide(w http.ResponseWriter, r *http.Request) (passes bool, err error) {
	defer panics.Recover(panics.Gate, func(error) {
		passes, err = false, nil
		g.app.metrics.decision(api.Failed)
		api.AnswerFailure(w)
	})
	if api.RefuseUnreadable(w, r) {
		return false, nil
	}
	g.app.upgrades.Strip(r)
	if g.policy.Paths != nil {
		gate.StripPaths(r)
		if !g.policy.Paths.MatchRequest(sentURL(r), r) {
			return g.app.pass(w, r), nil
		}
	}
	handler := g.app.await(r.Context())
	if handler == nil {
		api.Unavailable(w)
		return false, nil
	}
	target := r.RequestURI
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok {
		target = original.RequestURI
	}
	v := visitOf(r)
	if v == nil || v == foreign {
		v = new(visit)
	}
	guard := api.NewGate(handler, g.policy)
	outcome := guard.Check(w, r, target, v.found)
	g.app.metrics.decision(outcome.Decision)
	v.meet(r, outcome.User)
	switch {
	case outcome.Pass:
		v.found = outcome.Presented
		v.pass(g.index)
		caddyhttp.SetVar(r.Context(), visitVar, v)
		return true, nil
	case outcome.Refusal == nil:
		return false, nil // answered
	case g.HandleErrors:
		status, err := guard.Hand(w, r, outcome.Refusal)
		return false, caddyhttp.Error(status, err)
	default:
		guard.Write(w, r, outcome.Refusal)
		return false, nil
	}
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Gate)(nil)
	_ caddyhttp.MiddlewareHandler = (*Gate)(nil)
)
