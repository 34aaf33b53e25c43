package mfa_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/factor"
	"github.com/caddymfa/caddy-mfa/mfa/store"
	"github.com/caddymfa/caddy-mfa/mfa/totp"
)

var updateLevels = flag.Bool("update-levels", false, "write the tables of docs/levels.md anew")

// levelsDocument is where the tables are published.
const levelsDocument = "../docs/levels.md"

// memory is a store.Store in a map, which can be set back to what it held.
type memory struct {
	mu        sync.Mutex
	documents map[string][]byte
}

func (m *memory) Get(_ context.Context, key string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return memoryTx(m.documents).Get(key)
}

func (m *memory) Update(_ context.Context, fn func(store.Tx) error, _ ...string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	changed := maps.Clone(m.documents)
	if err := fn(memoryTx(changed)); err != nil {
		return err
	}
	m.documents = changed
	return nil
}

func (m *memory) List(context.Context, string, string, int) ([]store.Document, error) {
	return nil, nil
}

func (m *memory) Close() error { return nil }

type memoryTx map[string][]byte

func (tx memoryTx) Get(key string) ([]byte, error) {
	value, ok := tx[key]
	if !ok {
		return nil, store.ErrNotFound
	}
	return slices.Clone(value), nil
}

func (tx memoryTx) Put(key string, value []byte) error {
	tx[key] = slices.Clone(value)
	return nil
}

func (tx memoryTx) Delete(key string) error {
	delete(tx, key)
	return nil
}

// holder is what a person has.
type holder struct {
	name                   string
	mail, app, key         bool
	appDisabled, keyOnHold bool // confirmed, and out of use
}

var holders = []holder{
	{name: "nothing"},
	{name: "mail", mail: true},
	{name: "app", app: true},
	{name: "passkey", key: true},
	{name: "mail, app", mail: true, app: true},
	{name: "mail, passkey", mail: true, key: true},
	{name: "app, passkey", app: true, key: true},
	{name: "mail, app, passkey", mail: true, app: true, key: true},
	{name: "app (disabled)", app: true, appDisabled: true},
	{name: "mail, passkey (disabled)", mail: true, key: true, keyOnHold: true},
	{name: "app, passkey (disabled)", app: true, key: true, keyOnHold: true},
}

// shown is a session, by what opened it.
type shown struct {
	name   string
	caller mfa.Caller
}

// levels drives every cell: each holder, with each session that they can have,
// recent and old, at every route.
type levels struct {
	*fixture
	memory *memory
	start  map[string][]byte
	day    time.Time
	device *device
	secret string // of the app
}

func newLevels(t *testing.T, policy mfa.StepUp) *levels {
	t.Helper()
	l := &levels{memory: &memory{documents: map[string][]byte{}}}
	keys, _, err := mfa.LoadKeys(t.Context(), l.memory, filepath.Join(t.TempDir(), "mfa.key"))
	if err != nil {
		t.Fatal(err)
	}
	l.fixture = newFixture(t, func(c *mfa.Config) {
		c.Store, c.Keys, c.StepUp = l.memory, keys, policy
	})
	l.enrolApp(of(bob, "acme"))
	l.start, l.day = l.memory.documents, l.now
	return l
}

// at sets the store and the clock back.
func (l *levels) at(documents map[string][]byte, now time.Time) {
	l.memory.documents, l.now = documents, now
}

// make enrols what h has, whose backup codes are of the level codes, and
// returns one of them, "" when none is left.
func (l *levels) make(h holder, codes string) string {
	l.t.Helper()
	l.at(l.start, l.day)
	l.device = newDevice(l.t)
	if h.name == "nothing" {
		return ""
	}
	ctx, set := l.t.Context(), []string(nil)
	owner := admin
	drop := func(t factor.Type) {
		if err := l.RemoveCredential(ctx, owner, l.credentialID(owner, t)); err != nil {
			l.t.Fatal(err)
		}
	}
	if codes == mfa.ACRMail {
		setup := l.setup(admin, mfa.SetupRequest{Type: factor.TypeMagicLink, Email: "admin@example.com"})
		set = setup.BackupCodes
		owner = l.as(admin)(l.VerifySetup(ctx, admin, factor.TypeMagicLink, factor.Proof{Token: l.mails.Token(l.t)}))
		if h.app {
			// Confirmed in another session, so that the codes stay.
			l.secret = l.setupApp(owner)
			other := l.byMail()
			owner = l.as(admin)(l.VerifySetup(ctx, other, factor.TypeTOTP, l.code(l.secret)))
			l.advance(30 * time.Second)
		}
	} else {
		app := l.enrolApp(admin)
		l.secret, set, owner = app.secret, app.backupCodes, app.caller
		if h.mail {
			l.setup(owner, mfa.SetupRequest{Type: factor.TypeMagicLink, Email: "admin@example.com"})
			if err := l.activate(l.mails.Token(l.t)); err != nil {
				l.t.Fatal(err)
			}
		}
	}
	if h.key {
		owner = l.enrolPasskey(owner, l.device)
	}
	if codes == mfa.ACRMail && !h.mail {
		drop(factor.TypeMagicLink)
	}
	if codes != mfa.ACRMail && !h.app {
		drop(factor.TypeTOTP)
	}
	for out, t := range map[*bool]factor.Type{&h.appDisabled: factor.TypeTOTP, &h.keyOnHold: factor.TypePasskey} {
		if *out {
			if err := l.Disable(ctx, owner, t); err != nil {
				l.t.Fatal(err)
			}
		}
	}
	if l.status(admin).BackupCodes == 0 {
		return ""
	}
	if got := l.status(admin).BackupCodesACR; got != codes {
		l.t.Fatalf("%s: the codes are of level %s, not %s", h.name, got, codes)
	}
	return set[0]
}

func (l *levels) byMail() mfa.Caller {
	l.sendLink(admin)
	return l.as(admin)(l.VerifyLogin(l.t.Context(), admin, factor.TypeMagicLink, mfa.LoginProof{Token: l.mails.Token(l.t)}))
}

// sessions opens every session that h can have, beside the access token
// alone, which comes first.
func (l *levels) sessions(h holder, code, codes string) []shown {
	l.t.Helper()
	all := []shown{{"access token alone", admin}}
	if h.mail {
		all = append(all, shown{"mail link", l.byMail()})
	}
	if code != "" {
		all = append(all, shown{"backup code of level " + codes, l.as(admin)(l.byCode(admin, code), nil)})
	}
	if h.app && !h.appDisabled {
		all = append(all, shown{"app", l.as(admin)(l.login(admin, factor.TypeTOTP, l.appProof(l.secret)), nil)})
		l.advance(30 * time.Second)
	}
	if h.key && !h.keyOnHold {
		answer := l.device.answer(l.t, l.challenge(admin), origin)
		all = append(all, shown{"passkey", l.as(admin)(l.login(admin, factor.TypePasskey, answer), nil)})
	}
	return all
}

// needs returns the level that err asks for, "" when it asks for none.
func needs(err error) string {
	var stepUp *mfa.StepUpError
	if errors.As(err, &stepUp) {
		return stepUp.ACR
	}
	return ""
}

// own are the routes that change the caller's factors and codes.
func (l *levels) own(h holder) map[string]func(mfa.Caller) error {
	ctx := l.t.Context()
	kind := factor.TypePasskey
	if h.app {
		kind = factor.TypeTOTP
	} else if h.mail {
		kind = factor.TypeMagicLink
	}
	id := ""
	if h.name != "nothing" {
		id = l.credentialID(admin, kind)
	}
	return map[string]func(mfa.Caller) error{
		"setup": func(c mfa.Caller) error {
			_, err := l.Setup(ctx, c, mfa.SetupRequest{Type: factor.TypeTOTP})
			return err
		},
		"verify-setup": func(c mfa.Caller) error {
			proof := factor.Proof{Code: "000000"}
			if setup, err := l.Setup(ctx, c, mfa.SetupRequest{Type: factor.TypeTOTP}); err == nil {
				proof = l.code(setup.Offer.(totp.Enrolment).Secret)
			}
			grant, err := l.VerifySetup(ctx, c, factor.TypeTOTP, proof)
			if err == nil && l.acr(grant) != mfa.ACRMFA {
				l.t.Errorf("%s: confirming an app gives the level %s", h.name, l.acr(grant))
			}
			return err
		},
		"complete-registration": func(c mfa.Caller) error {
			return l.verifySetup(c, factor.TypePasskey, factor.Proof{Credential: []byte(`{}`)})
		},
		"enable":  func(c mfa.Caller) error { return l.Enable(ctx, c, kind) },
		"disable": func(c mfa.Caller) error { return l.Disable(ctx, c, kind) },
		"primary": func(c mfa.Caller) error { return l.SetPrimary(ctx, c, kind) },
		"reset":   func(c mfa.Caller) error { return l.Reset(ctx, c, "", false) },
		"rename":  func(c mfa.Caller) error { return l.RenameCredential(ctx, c, id, "phone") },
		"remove":  func(c mfa.Caller) error { return l.RemoveCredential(ctx, c, id) },
		"backup-codes": func(c mfa.Caller) error {
			_, err := l.ReplaceBackupCodes(ctx, c)
			return err
		},
	}
}

// others are the routes that act on others.
func (l *levels) others() map[string]func(mfa.Caller) error {
	ctx := l.t.Context()
	return map[string]func(mfa.Caller) error{
		"reset another": func(c mfa.Caller) error { return l.Reset(ctx, c, bob.Subject, false) },
		"enforce":       func(c mfa.Caller) error { return l.Enforce(ctx, c, true) },
	}
}

// free are the routes that need no second factor.
func (l *levels) free() map[string]func(mfa.Caller) error {
	ctx := l.t.Context()
	return map[string]func(mfa.Caller) error{
		"status":      func(c mfa.Caller) error { _, err := l.Status(ctx, c); return err },
		"methods":     func(c mfa.Caller) error { _, err := l.Methods(ctx, c); return err },
		"credentials": func(c mfa.Caller) error { _, err := l.Credentials(ctx, c); return err },
		"send":        func(c mfa.Caller) error { _, err := l.SendLink(ctx, c); return err },
		"options":     func(c mfa.Caller) error { _, err := l.PasskeyOptions(ctx, c); return err },
		"refresh":     func(c mfa.Caller) error { _, err := l.Refresh(ctx, c, "x.1.y"); return err },
		"verify":      func(c mfa.Caller) error { return l.tryCode(c, "000000") },
		"sign-out":    func(c mfa.Caller) error { _, err := l.SignOut(ctx, c, false); return err },
	}
}

// cell is what the routes say: the level that each of a group asks for.
func (l *levels) cell(where string, c mfa.Caller, routes map[string]func(mfa.Caller) error) string {
	l.t.Helper()
	documents, now := l.memory.documents, l.now
	said := map[string][]string{}
	for name, route := range routes {
		l.at(documents, now)
		asks := needs(route(c))
		said[asks] = append(said[asks], name)
	}
	l.at(documents, now)
	if len(said) != 1 {
		l.t.Errorf("%s: the routes do not agree: %v", where, said)
	}
	for asks := range said {
		if asks != "" {
			return "needs `" + asks + "`"
		}
	}
	return "yes"
}

// newCodes makes a set of codes, and returns the level of a login by one.
func (l *levels) newCodes(c mfa.Caller) string {
	l.t.Helper()
	documents, now := l.memory.documents, l.now
	defer func() { l.at(documents, now) }()
	set, err := l.ReplaceBackupCodes(l.t.Context(), c)
	if err != nil {
		return "–"
	}
	return "`" + l.acr(l.byCode(admin, set[0])) + "`"
}

// rows returns the table's rows by their first cells, for one policy.
func (l *levels) rows() (order []string, cells map[string][]string) {
	l.t.Helper()
	cells = map[string][]string{}
	for _, h := range holders {
		for _, codes := range []string{mfa.ACRMFA, mfa.ACRMail} {
			code := l.make(h, codes)
			all := l.sessions(h, code, codes)
			own, documents, now := l.own(h), l.memory.documents, l.now
			for _, age := range []time.Duration{0, 15*time.Minute + time.Second} {
				for _, s := range all {
					presented := s.name
					if age > 0 && s.caller.Session == "" {
						continue
					} else if age > 0 {
						presented += ", over 15 minutes ago"
					}
					l.at(documents, now.Add(age))
					where := "| " + h.name + " | " + presented
					if asks := l.cell(where, s.caller, l.free()); asks != "yes" {
						l.t.Errorf("%s: a route that needs no factor %s", where, asks)
					}
					got := []string{l.cell(where, s.caller, own), l.newCodes(s.caller), l.cell(where, s.caller, l.others())}
					if before, seen := cells[where]; seen && !slices.Equal(before, got) {
						l.t.Errorf("%s: %v with codes of another level, %v now", where, before, got)
					} else if !seen {
						order = append(order, where)
					}
					cells[where] = got
				}
			}
		}
	}
	return order, cells
}

func TestWhatEachLevelMayChangeIsAsTheDocumentSays(t *testing.T) {
	order, strongest := newLevels(t, mfa.StepUpStrongest).rows()
	_, anyFactor := newLevels(t, mfa.StepUpAny).rows()
	slices.SortStableFunc(order, func(a, b string) int { return placeOf(a) - placeOf(b) })
	var table strings.Builder
	table.WriteString("| In use | Presented | Own factors and codes | New codes are worth | Others | Own, `step_up any` | Others, `step_up any` |\n| --- | --- | --- | --- | --- | --- | --- |\n")
	for _, where := range order {
		s, a := strongest[where], anyFactor[where]
		fmt.Fprintf(&table, "%s | %s | %s | %s | %s | %s |\n", where, s[0], s[1], s[2], a[0], a[2])
	}
	wantTable(t, "changes", table.String())
}

// placeOf is the place of a row: those of one person stand together, in the
// order of what is presented, recent before old.
func placeOf(row string) int {
	place := slices.IndexFunc(holders, func(h holder) bool { return strings.HasPrefix(row, "| "+h.name+" |") })
	_, presented, _ := strings.Cut(strings.TrimPrefix(row, "| "), " | ")
	presented, age, old := strings.Cut(presented, ", ")
	place *= 100
	if old && age != "" {
		place += 50
	}
	return place + slices.Index([]string{
		"access token alone", "mail link", "backup code of level mail", "backup code of level mfa", "app", "passkey",
	}, presented)
}

func TestWhatALoginIsWorthIsAsTheDocumentSays(t *testing.T) {
	l := newLevels(t, mfa.StepUpStrongest)
	var table strings.Builder
	table.WriteString("| Login by | Level of the session, and after each refresh |\n| --- | --- |\n")
	row := func(name string, grant *mfa.Grant) {
		t.Helper()
		acr := l.acr(grant)
		if after := l.acr(l.refresh(admin, grant.Refresh)); after != acr {
			t.Errorf("%s: %s, and %s after a refresh", name, acr, after)
		}
		fmt.Fprintf(&table, "| %s | `%s` |\n", name, acr)
	}
	all := holders[slices.IndexFunc(holders, func(h holder) bool { return h.mail && h.app && h.key })]
	l.make(all, mfa.ACRMFA)
	l.sendLink(admin)
	row("a mailed link", l.login(admin, factor.TypeMagicLink, mfa.LoginProof{Token: l.mails.Token(t)}))
	row("a code of the app", l.login(admin, factor.TypeTOTP, l.appProof(l.secret)))
	row("a passkey", l.login(admin, factor.TypePasskey, l.device.answer(t, l.challenge(admin), origin)))

	for _, first := range []struct {
		name    string
		confirm func() []string
	}{
		{"a mailed link", func() []string {
			codes := l.setup(admin, mfa.SetupRequest{Type: factor.TypeMagicLink, Email: "admin@example.com"}).BackupCodes
			l.as(admin)(l.VerifySetup(t.Context(), admin, factor.TypeMagicLink, factor.Proof{Token: l.mails.Token(t)}))
			return codes
		}},
		{"an app", func() []string { return l.enrolApp(admin).backupCodes }},
		{"a passkey", func() []string {
			setup, proof := l.setupPasskey(admin, newDevice(t))
			l.as(admin)(l.VerifySetup(t.Context(), admin, factor.TypePasskey, proof))
			return setup.BackupCodes
		}},
	} {
		l.at(l.start, l.day)
		row("a backup code that came with the setup of "+first.name+", the first factor", l.byCode(admin, first.confirm()[0]))
	}
	l.at(l.start, l.day)
	owner := l.enrolLink(admin, "admin@example.com")
	setup := l.setup(owner, mfa.SetupRequest{Type: factor.TypeTOTP})
	l.as(admin)(l.VerifySetup(t.Context(), owner, factor.TypeTOTP, l.code(setup.Offer.(totp.Enrolment).Secret)))
	row("one that came with the setup of an app, begun and confirmed with a mailed link", l.byCode(admin, setup.BackupCodes[0]))
	for _, level := range []string{mfa.ACRMail, mfa.ACRMFA, mfa.ACRPhR} {
		h := map[string]holder{mfa.ACRMail: holders[1], mfa.ACRMFA: holders[2], mfa.ACRPhR: holders[3]}[level]
		codes := mfa.ACRMFA
		if level == mfa.ACRMail {
			codes = level
		}
		code := l.make(h, codes)
		sessions := l.sessions(h, code, codes)
		row("one of a set that was made in a session of level `"+level+"`", l.byCode(admin, l.freshBackupCode(sessions[len(sessions)-1].caller)))
	}
	wantTable(t, "logins", table.String())
}

// wantTable fails the test unless the document has the table under name.
func wantTable(t *testing.T, name, table string) {
	t.Helper()
	content, err := os.ReadFile(levelsDocument)
	if err != nil {
		t.Fatal(err)
	}
	begin, end := "<!-- "+name+": written by go test ./mfa -update-levels -->\n", "<!-- end of "+name+" -->"
	before, rest, found := strings.Cut(string(content), begin)
	old, after, closed := strings.Cut(rest, end)
	switch {
	case !found || !closed:
		t.Fatalf("%s has no place for the table %s", levelsDocument, name)
	case old == table:
	case *updateLevels:
		if err := os.WriteFile(levelsDocument, []byte(before+begin+table+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s says\n%s\nand this is so\n%s\n(go test ./mfa -run Document -update-levels writes it anew)", levelsDocument, old, table)
	}
}
