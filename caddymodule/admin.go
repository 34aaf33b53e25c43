package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/factor"
	"github.com/caddymfa/caddy-mfa/mfa/panics"
	"github.com/caddymfa/caddy-mfa/mfa/store"
)

func init() {
	caddy.RegisterModule(Admin{})
}

// Admin is the operator's hand on the running process: routes under /mfa/ of
// Caddy's admin endpoint, which the "caddy mfa" commands call.
//
// Caddy makes one for each configuration that it tries, and goes on with the
// last one also where that configuration was refused. So it keeps nothing of
// the configuration that it came with.
type Admin struct{}

// CaddyModule returns the Caddy module information.
func (Admin) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "admin.api.mfa",
		New: func() caddy.Module { return new(Admin) },
	}
}

// Provision has the endpoint's /metrics tell what the product counts. It does
// so here because a configuration that is refused may not get as far as the
// app, and /metrics is that of the last attempt.
func (*Admin) Provision(ctx caddy.Context) error {
	return processMetrics.register(ctx.GetMetricsRegistry())
}

// Routes implements caddy.AdminRouter.
func (*Admin) Routes() []caddy.AdminRoute {
	routes := map[string]func(*instance, http.ResponseWriter, *http.Request) error{
		"GET /mfa/users":         (*instance).adminUsers,
		"GET /mfa/user":          (*instance).adminUser,
		"DELETE /mfa/user":       (*instance).adminDelete,
		"POST /mfa/user/reset":   (*instance).adminReset,
		"POST /mfa/user/unlock":  (*instance).adminUnlock,
		"GET /mfa/keys":          (*instance).adminKeys,
		"POST /mfa/keys/rotate":  (*instance).adminRotate,
		"POST /mfa/keys/stage":   (*instance).adminStage,
		"POST /mfa/keys/promote": (*instance).adminPromote,
		"POST /mfa/keys/reseal":  (*instance).adminReseal,
		"POST /mfa/keys/retire":  (*instance).adminRetire,
		"GET /mfa/backup":        (*instance).adminBackup,
		"POST /mfa/restore":      (*instance).adminRestore,
	}
	var paths []caddy.AdminRoute
	allowed := make(map[string]string)
	for _, key := range slices.Sorted(maps.Keys(routes)) {
		method, path, _ := strings.Cut(key, " ")
		if allowed[path] != "" {
			allowed[path] += ", " + method
			continue
		}
		allowed[path] = method
		paths = append(paths, caddy.AdminRoute{
			Pattern: path,
			Handler: caddy.AdminHandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
				serve, ok := routes[r.Method+" "+path]
				if !ok {
					w.Header().Set("Allow", allowed[path])
					return adminError(http.StatusMethodNotAllowed, errors.New("method not allowed"))
				}
				running, err := running()
				if err != nil {
					return err
				}
				return translateAdmin(panics.Try(panics.Admin, func() error { return serve(running, w, r) }))
			}),
		})
	}
	return paths
}

// running returns what serves requests: of the configuration in force, whatever
// attempts to replace it have failed since.
func running() (*instance, error) {
	app := activeApp()
	if app == nil {
		return nil, adminError(http.StatusNotFound, errors.New("the running configuration has no global option mfa"))
	}
	serving := app.serving()
	if serving == nil {
		return nil, adminError(http.StatusServiceUnavailable, errors.New("mfa has not started"))
	}
	return serving, nil
}

func adminError(status int, err error) error { return caddy.APIError{HTTPStatus: status, Err: err} }

// translateAdmin gives errors the status that tells what kind they are of.
func translateAdmin(err error) error {
	var known caddy.APIError
	switch {
	case err == nil, errors.As(err, &known):
		return err
	case errors.Is(err, mfa.ErrNoUser):
		return adminError(http.StatusNotFound, mfa.ErrNoUser)
	case errors.Is(err, mfa.ErrNodesLackKeys), errors.Is(err, mfa.ErrRotationElsewhere),
		errors.Is(err, mfa.ErrNoRotation), errors.Is(err, mfa.ErrKeysNeeded):
		return adminError(http.StatusConflict, err)
	case errors.Is(err, store.ErrUnavailable), errors.Is(err, store.ErrClosed), errors.Is(err, context.DeadlineExceeded),
		errors.Is(err, mfa.ErrKeyMismatch), errors.Is(err, mfa.ErrMoved), errors.Is(err, mfa.ErrUnfinishedCopy),
		errors.Is(err, mfa.ErrNewerStore):
		return adminError(http.StatusServiceUnavailable, err)
	default:
		return adminError(http.StatusInternalServerError, err)
	}
}

// adminAccount is a person's record in the admin API.
type adminAccount struct {
	Issuer        string   `json:"issuer"`
	Subject       string   `json:"subject"`
	Email         string   `json:"email,omitempty"`
	Organizations []string `json:"organizations,omitempty"`
	// More says that the person was seen in more organizations than are kept.
	More        bool              `json:"more_organizations,omitempty"`
	Enrolled    bool              `json:"enrolled"`
	Methods     []factor.Type     `json:"methods"`
	Primary     factor.Type       `json:"primary,omitempty"`
	Credentials []adminCredential `json:"credentials"`
	Pending     []factor.Type     `json:"pending,omitempty"`
	BackupCodes int               `json:"backup_codes"`
	// BackupCodesACR is the level that a login by one of them has.
	BackupCodesACR string         `json:"backup_codes_acr,omitempty"`
	MustEnroll     bool           `json:"must_enroll,omitempty"`
	LockedUntil    *time.Time     `json:"locked_until,omitempty"`
	CodesOff       bool           `json:"codes_off,omitempty"`
	Sessions       []adminSession `json:"sessions,omitempty"`
}

type adminCredential struct {
	ID         string      `json:"id"`
	Type       factor.Type `json:"type"`
	Name       string      `json:"name"`
	CreatedAt  time.Time   `json:"created_at"`
	LastUsedAt *time.Time  `json:"last_used_at,omitempty"`
	Enabled    bool        `json:"enabled"`
}

type adminSession struct {
	Method    string    `json:"method"`
	ACR       string    `json:"acr"`
	AuthTime  time.Time `json:"auth_time"`
	ExpiresAt time.Time `json:"expires_at"`
}

type adminPage struct {
	Users []adminAccount `json:"users"`
	Next  string         `json:"next,omitempty"`
}

func toAdmin(a mfa.Account) adminAccount {
	account := adminAccount{
		Issuer: a.Issuer, Subject: a.Subject, Email: a.Email, Organizations: a.Organizations, More: a.MoreOrganizations,
		Enrolled: len(a.Methods) > 0, Methods: append([]factor.Type{}, a.Methods...), Primary: a.Primary,
		Credentials: []adminCredential{}, Pending: a.Pending, BackupCodes: a.BackupCodes, BackupCodesACR: a.BackupCodesACR,
		MustEnroll: a.MustEnroll, CodesOff: a.CodesOff,
	}
	if !a.LockedUntil.IsZero() {
		account.LockedUntil = &a.LockedUntil
	}
	for _, c := range a.Credentials {
		credential := adminCredential{ID: c.ID, Type: c.Type, Name: c.Name, CreatedAt: c.CreatedAt, Enabled: c.Enabled}
		if !c.UsedAt.IsZero() {
			credential.LastUsedAt = &c.UsedAt
		}
		account.Credentials = append(account.Credentials, credential)
	}
	for _, s := range a.Sessions {
		account.Sessions = append(account.Sessions, adminSession(s))
	}
	return account
}

// adminUsers lists records, a page at a time.
func (in *instance) adminUsers(w http.ResponseWriter, r *http.Request) error {
	query := r.URL.Query()
	limit, err := pageLimit(r)
	if err != nil {
		return err
	}
	accounts, next, err := in.service.Accounts(r.Context(), query.Get("cursor"), limit)
	if errors.Is(err, store.ErrTooLarge) {
		return adminError(http.StatusBadRequest, errors.New("cursor is not one that a page before gave"))
	}
	if err != nil {
		return err
	}
	page := adminPage{Users: make([]adminAccount, len(accounts)), Next: next}
	for i, account := range accounts {
		page.Users[i] = toAdmin(account)
	}
	return writeAdmin(w, page)
}

// pageLimit is how many entries a page is to have.
func pageLimit(r *http.Request) (int, error) {
	given := r.URL.Query().Get("limit")
	if given == "" {
		return 200, nil
	}
	n, err := strconv.Atoi(given)
	if err != nil || n < 1 || n > store.MaxPage {
		return 0, adminError(http.StatusBadRequest, fmt.Errorf("limit must be from 1 to %d", store.MaxPage))
	}
	return n, nil
}

// adminUser shows one record.
func (in *instance) adminUser(w http.ResponseWriter, r *http.Request) error {
	account, err := in.named(r)
	if err != nil {
		return err
	}
	return writeAdmin(w, toAdmin(account))
}

// adminDelete removes all that is kept of a person.
func (in *instance) adminDelete(_ http.ResponseWriter, r *http.Request) error {
	account, err := in.named(r)
	if err != nil {
		return err
	}
	return in.service.Delete(r.Context(), account.Issuer, account.Subject)
}

// adminReset removes a person's factors; with must_enroll=true they have to
// enrol at the next gate.
func (in *instance) adminReset(_ http.ResponseWriter, r *http.Request) error {
	account, err := in.named(r)
	if err != nil {
		return err
	}
	return in.service.ResetAccount(r.Context(), account.Issuer, account.Subject, r.URL.Query().Get("must_enroll") == "true")
}

// adminUnlock opens code entry again.
func (in *instance) adminUnlock(_ http.ResponseWriter, r *http.Request) error {
	account, err := in.named(r)
	if err != nil {
		return err
	}
	return in.service.Unlock(r.Context(), account.Issuer, account.Subject)
}

// named finds the record that subject and, where it is given, issuer name.
func (in *instance) named(r *http.Request) (mfa.Account, error) {
	query := r.URL.Query()
	subject := query.Get("subject")
	if subject == "" {
		return mfa.Account{}, adminError(http.StatusBadRequest, errors.New("subject is required"))
	}
	if query.Has("issuer") {
		return in.service.Account(r.Context(), query.Get("issuer"), subject)
	}
	var found []mfa.Account
	for cursor := ""; ; {
		page, next, err := in.service.Accounts(r.Context(), cursor, store.MaxPage)
		if err != nil {
			return mfa.Account{}, err
		}
		for _, account := range page {
			if in.service.Is(account, subject) {
				found = append(found, account)
			}
		}
		if cursor = next; cursor == "" {
			break
		}
	}
	switch len(found) {
	case 0:
		return mfa.Account{}, mfa.ErrNoUser
	case 1:
		return found[0], nil
	default:
		issuers := make([]string, len(found))
		for i, account := range found {
			issuers[i] = account.Issuer
		}
		return mfa.Account{}, adminError(http.StatusConflict, fmt.Errorf("there is a %q of several issuers, name one: %q", subject, issuers))
	}
}

func writeAdmin(w http.ResponseWriter, answer any) error {
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(answer)
}

// Interface guards
var (
	_ caddy.AdminRouter = (*Admin)(nil)
	_ caddy.Provisioner = (*Admin)(nil)
)
