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
type Admin struct {
	ctx caddy.Context
}

// CaddyModule returns the Caddy module information.
func (Admin) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "admin.api.mfa",
		New: func() caddy.Module { return new(Admin) },
	}
}

// Provision keeps the context, by which the app is found later: it may not
// have been provisioned yet.
func (a *Admin) Provision(ctx caddy.Context) error {
	a.ctx = ctx
	return nil
}

// Routes implements caddy.AdminRouter.
func (a *Admin) Routes() []caddy.AdminRoute {
	routes := map[string]func(*App, http.ResponseWriter, *http.Request) error{
		"GET /mfa/users":         (*App).adminUsers,
		"GET /mfa/user":          (*App).adminUser,
		"DELETE /mfa/user":       (*App).adminDelete,
		"POST /mfa/user/reset":   (*App).adminReset,
		"POST /mfa/user/unlock":  (*App).adminUnlock,
		"GET /mfa/keys":          (*App).adminKeys,
		"POST /mfa/keys/rotate":  (*App).adminRotate,
		"POST /mfa/keys/stage":   (*App).adminStage,
		"POST /mfa/keys/promote": (*App).adminPromote,
		"POST /mfa/keys/reseal":  (*App).adminReseal,
		"POST /mfa/keys/retire":  (*App).adminRetire,
		"GET /mfa/backup":        (*App).adminBackup,
		"POST /mfa/restore":      (*App).adminRestore,
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
				app, err := a.app()
				if err != nil {
					return err
				}
				return translateAdmin(panics.Try(panics.Admin, func() error { return serve(app, w, r) }))
			}),
		})
	}
	return paths
}

// app returns the running app.
func (a *Admin) app() (*App, error) {
	module, err := a.ctx.AppIfConfigured("mfa")
	if err != nil {
		return nil, adminError(http.StatusNotFound, errors.New("the running configuration has no global option mfa"))
	}
	app := module.(*App)
	if app.serving() == nil {
		return nil, adminError(http.StatusServiceUnavailable, errors.New("mfa has not started"))
	}
	return app, nil
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
		errors.Is(err, mfa.ErrKeyMismatch), errors.Is(err, mfa.ErrMoved), errors.Is(err, mfa.ErrUnfinishedCopy):
		return adminError(http.StatusServiceUnavailable, err)
	default:
		return adminError(http.StatusInternalServerError, err)
	}
}

// adminAccount is a person's record in the admin API.
type adminAccount struct {
	Issuer        string            `json:"issuer"`
	Subject       string            `json:"subject"`
	Email         string            `json:"email,omitempty"`
	Organizations []string          `json:"organizations,omitempty"`
	Enrolled      bool              `json:"enrolled"`
	Methods       []factor.Type     `json:"methods"`
	Primary       factor.Type       `json:"primary,omitempty"`
	Credentials   []adminCredential `json:"credentials"`
	Pending       []factor.Type     `json:"pending,omitempty"`
	BackupCodes   int               `json:"backup_codes"`
	MustEnroll    bool              `json:"must_enroll,omitempty"`
	LockedUntil   *time.Time        `json:"locked_until,omitempty"`
	CodesOff      bool              `json:"codes_off,omitempty"`
	Sessions      []adminSession    `json:"sessions,omitempty"`
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
	AuthTime  time.Time `json:"auth_time"`
	ExpiresAt time.Time `json:"expires_at"`
}

type adminPage struct {
	Users []adminAccount `json:"users"`
	Next  string         `json:"next,omitempty"`
}

func toAdmin(a mfa.Account) adminAccount {
	account := adminAccount{
		Issuer: a.Issuer, Subject: a.Subject, Email: a.Email, Organizations: a.Organizations,
		Enrolled: len(a.Methods) > 0, Methods: append([]factor.Type{}, a.Methods...), Primary: a.Primary,
		Credentials: []adminCredential{}, Pending: a.Pending, BackupCodes: a.BackupCodes,
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
func (a *App) adminUsers(w http.ResponseWriter, r *http.Request) error {
	query := r.URL.Query()
	limit, err := pageLimit(r)
	if err != nil {
		return err
	}
	accounts, next, err := a.service.Accounts(r.Context(), query.Get("cursor"), limit)
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
func (a *App) adminUser(w http.ResponseWriter, r *http.Request) error {
	account, err := a.named(r)
	if err != nil {
		return err
	}
	return writeAdmin(w, toAdmin(account))
}

// adminDelete removes all that is kept of a person.
func (a *App) adminDelete(_ http.ResponseWriter, r *http.Request) error {
	account, err := a.named(r)
	if err != nil {
		return err
	}
	return a.service.Delete(r.Context(), account.Issuer, account.Subject)
}

// adminReset removes a person's factors; with must_enroll=true they have to
// enrol at the next gate.
func (a *App) adminReset(_ http.ResponseWriter, r *http.Request) error {
	account, err := a.named(r)
	if err != nil {
		return err
	}
	return a.service.ResetAccount(r.Context(), account.Issuer, account.Subject, r.URL.Query().Get("must_enroll") == "true")
}

// adminUnlock opens code entry again.
func (a *App) adminUnlock(_ http.ResponseWriter, r *http.Request) error {
	account, err := a.named(r)
	if err != nil {
		return err
	}
	return a.service.Unlock(r.Context(), account.Issuer, account.Subject)
}

// named finds the record that subject and, where it is given, issuer name.
func (a *App) named(r *http.Request) (mfa.Account, error) {
	query := r.URL.Query()
	subject := query.Get("subject")
	if subject == "" {
		return mfa.Account{}, adminError(http.StatusBadRequest, errors.New("subject is required"))
	}
	if query.Has("issuer") {
		return a.service.Account(r.Context(), query.Get("issuer"), subject)
	}
	var found []mfa.Account
	for cursor := ""; ; {
		page, next, err := a.service.Accounts(r.Context(), cursor, store.MaxPage)
		if err != nil {
			return mfa.Account{}, err
		}
		for _, account := range page {
			if account.Subject == subject {
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
