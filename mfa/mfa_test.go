package mfa_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	otp "github.com/pquerna/otp/totp"

	"github.com/caddymfa/caddy-mfa/internal/mailtest"
	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/factor"
	"github.com/caddymfa/caddy-mfa/mfa/magiclink"
	"github.com/caddymfa/caddy-mfa/mfa/passkey"
	"github.com/caddymfa/caddy-mfa/mfa/store"
	"github.com/caddymfa/caddy-mfa/mfa/store/bolt"
	"github.com/caddymfa/caddy-mfa/mfa/totp"
)

// fixture is a Service over a store of its own, with a clock that the test
// sets and a mailbox that it reads.
type fixture struct {
	*mfa.Service
	t      *testing.T
	config mfa.Config
	store  store.Store
	// keyPath is where the key file is.
	keyPath string
	mails   *mailtest.Box
	events  *journal
	backup  string // a backup code that a test keeps for later

	mu  sync.Mutex
	now time.Time
}

var (
	alice = mfa.Caller{Issuer: "https://login.example.com", Subject: "alice"}
	bob   = mfa.Caller{Issuer: "https://login.example.com", Subject: "bob"}
)

// origin is where the product and its passkeys are used.
const origin = "https://example.com"

func newFixture(t *testing.T, change ...func(*mfa.Config)) *fixture {
	t.Helper()
	dir := t.TempDir()
	st, err := bolt.Open(filepath.Join(dir, "mfa.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	keys, _, err := mfa.LoadKeys(t.Context(), st, filepath.Join(dir, "mfa.key"))
	if err != nil {
		t.Fatal(err)
	}
	app, err := totp.New(totp.Config{Issuer: "Acme", Skew: 1})
	if err != nil {
		t.Fatal(err)
	}
	mails := &mailtest.Box{}
	link, err := magiclink.New(magiclink.Config{Sender: mails, LinkURL: "https://example.com/mfa/magic-link", Issuer: "Acme"})
	if err != nil {
		t.Fatal(err)
	}
	keyring, err := passkey.New(passkey.Config{RPID: "example.com", RPName: "Acme", Origins: []string{origin}})
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{t: t, store: st, keyPath: filepath.Join(dir, "mfa.key"), mails: mails, events: &journal{}, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	config := mfa.Config{
		Store: st,
		Keys:  keys,
		Kinds: []factor.Kind{app, link, keyring},

		AssertionIssuer: origin,
		Journal:         f.events,
		Now: func() time.Time {
			f.mu.Lock()
			defer f.mu.Unlock()
			return f.now
		},
	}
	for _, c := range change {
		c(&config)
	}
	f.config = config
	f.Service = f.node()
	t.Cleanup(func() {
		for _, e := range f.events.events {
			if e.ActorKind == "" {
				t.Errorf("the event %+v does not say who acted", e)
			}
		}
	})
	return f
}

// node is another Service over the same store, as on a second machine or
// after a restart.
func (f *fixture) node() *mfa.Service {
	f.t.Helper()
	s, err := mfa.New(f.config)
	if err != nil {
		f.t.Fatal(err)
	}
	return s
}

func (f *fixture) advance(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = f.now.Add(d)
}

// setup begins a setup that is expected to succeed.
func (f *fixture) setup(caller mfa.Caller, request mfa.SetupRequest) *mfa.Setup {
	f.t.Helper()
	setup, err := f.Setup(f.t.Context(), caller, request)
	if err != nil {
		f.t.Fatal(err)
	}
	return setup
}

// setupApp begins the setup of an authenticator app and returns its
// secret.
func (f *fixture) setupApp(caller mfa.Caller) string {
	f.t.Helper()
	return f.setup(caller, mfa.SetupRequest{Type: factor.TypeTOTP}).Offer.(totp.Enrolment).Secret
}

// code is what the app shows for secret now.
func (f *fixture) code(secret string) factor.Proof {
	f.t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	code, err := otp.GenerateCode(secret, f.now)
	if err != nil {
		f.t.Fatal(err)
	}
	return factor.Proof{Code: code}
}

// wrongCode is a code that the app shows at no accepted time.
func (f *fixture) wrongCode(secret string) factor.Proof {
	f.t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	shown := map[string]bool{}
	for step := -2; step <= 2; step++ {
		code, err := otp.GenerateCode(secret, f.now.Add(time.Duration(step)*30*time.Second))
		if err != nil {
			f.t.Fatal(err)
		}
		shown[code] = true
	}
	for n := 0; ; n++ {
		if code := fmt.Sprintf("%06d", n); !shown[code] {
			return factor.Proof{Code: code}
		}
	}
}

// verifySetup is VerifySetup for who does not want the grant.
func (f *fixture) verifySetup(caller mfa.Caller, t factor.Type, proof factor.Proof) error {
	_, err := f.VerifySetup(f.t.Context(), caller, t, proof)
	return err
}

func (f *fixture) confirmApp(caller mfa.Caller, secret string) error {
	f.t.Helper()
	return f.verifySetup(caller, factor.TypeTOTP, f.code(secret))
}

// activate opens the link of token, without a number.
func (f *fixture) activate(token string) error {
	return f.ActivateMagicLink(f.t.Context(), mfa.OpenedLink{Token: token})
}

func (f *fixture) status(caller mfa.Caller) mfa.Status {
	f.t.Helper()
	status, err := f.Status(f.t.Context(), caller)
	if err != nil {
		f.t.Fatal(err)
	}
	return status
}

// journal is a mfa.Journal that keeps the events.
type journal struct {
	mu     sync.Mutex
	events []mfa.Event
}

func (j *journal) Record(e mfa.Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.events = append(j.events, e)
}

// kinds are those of the events so far, in their order.
func (j *journal) kinds() []mfa.EventKind {
	j.mu.Lock()
	defer j.mu.Unlock()
	var kinds []mfa.EventKind
	for _, e := range j.events {
		kinds = append(kinds, e.Kind)
	}
	return kinds
}

// wantNone fails the test if an event holds one of the secrets.
func (j *journal) wantNone(t *testing.T, secrets ...string) {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, e := range j.events {
		text := fmt.Sprintf("%+v", e)
		for _, secret := range secrets {
			if strings.Contains(text, secret) {
				t.Errorf("%s tells a secret: %s", e.Kind, text)
			}
		}
	}
}

// wantError fails the test unless err wraps want.
func wantError(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
}

// wantStepUp fails the test unless err asks for a second factor.
func wantStepUp(t *testing.T, err error) {
	t.Helper()
	wantLevel(t, err, mfa.ACRMFA)
}

// wantPasskey fails the test unless err asks for a passkey.
func wantPasskey(t *testing.T, err error) {
	t.Helper()
	wantLevel(t, err, mfa.ACRPhR)
}

func wantLevel(t *testing.T, err error, acr string) {
	t.Helper()
	var stepUp *mfa.StepUpError
	if !errors.As(err, &stepUp) || stepUp.ACR != acr || stepUp.MaxAge != 15*time.Minute {
		t.Errorf("got %v, want a step-up to the level %s", err, acr)
	}
}
