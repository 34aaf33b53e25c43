package mfa_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/factor"
	"github.com/caddymfa/caddy-mfa/mfa/store"
	"github.com/caddymfa/caddy-mfa/mfa/totp"
)

// enrolled is an authenticator app in use.
type enrolled struct {
	secret      string
	backupCodes []string
	grant       *mfa.Grant
	caller      mfa.Caller // with the session that the enrolment began
}

// enrolApp enrols an authenticator app and waits for its next code.
func (f *fixture) enrolApp(caller mfa.Caller) enrolled {
	f.t.Helper()
	setup := f.setup(caller, mfa.SetupRequest{Type: factor.TypeTOTP})
	e := enrolled{secret: setup.Offer.(totp.Enrolment).Secret, backupCodes: setup.BackupCodes}
	var err error
	e.grant, err = f.VerifySetup(f.t.Context(), caller, factor.TypeTOTP, f.code(e.secret))
	e.caller = f.as(caller)(e.grant, err)
	f.advance(30 * time.Second)
	return e
}

// enrolLink enrols a mailbox, and returns its owner with the session that
// began.
func (f *fixture) enrolLink(caller mfa.Caller, address string) mfa.Caller {
	f.t.Helper()
	f.setup(caller, mfa.SetupRequest{Type: factor.TypeMagicLink, Email: address})
	return f.as(caller)(f.VerifySetup(f.t.Context(), caller, factor.TypeMagicLink, factor.Proof{Token: f.mails.Token(f.t)}))
}

// as puts the session of a grant into the caller.
func (f *fixture) as(caller mfa.Caller) func(*mfa.Grant, error) mfa.Caller {
	f.t.Helper()
	return func(g *mfa.Grant, err error) mfa.Caller {
		f.t.Helper()
		if err != nil {
			f.t.Fatal(err)
		}
		caller.Session = f.open(g.Assertion).Session
		return caller
	}
}

// open opens an assertion that is expected to be good.
func (f *fixture) open(assertion string) *mfa.Shown {
	f.t.Helper()
	shown, err := f.OpenAssertion(f.t.Context(), assertion)
	if err != nil {
		f.t.Fatal(err)
	}
	return shown
}

// live reports whether the session of an assertion goes on.
func (f *fixture) live(assertion string) bool {
	f.t.Helper()
	live, err := f.Live(f.t.Context(), f.open(assertion))
	if err != nil {
		f.t.Fatal(err)
	}
	return live
}

// login verifies a login that is expected to succeed.
func (f *fixture) login(caller mfa.Caller, t factor.Type, proof mfa.LoginProof) *mfa.Grant {
	f.t.Helper()
	g, err := f.VerifyLogin(f.t.Context(), caller, t, proof)
	if err != nil {
		f.t.Fatal(err)
	}
	return g
}

// tryCode verifies a login by a code.
func (f *fixture) tryCode(caller mfa.Caller, code string) error {
	_, err := f.VerifyLogin(f.t.Context(), caller, factor.TypeTOTP, mfa.LoginProof{Code: code})
	return err
}

// appProof is a login by what the app shows now.
func (f *fixture) appProof(secret string) mfa.LoginProof {
	f.t.Helper()
	return mfa.LoginProof{Code: f.code(secret).Code}
}

// grants makes a hundred attempts at once, spread over two nodes, and
// returns how many were granted. The others must fail with want.
func (f *fixture) grants(want error, attempt func(context.Context, *mfa.Service) (*mfa.Grant, error)) int {
	f.t.Helper()
	nodes := []*mfa.Service{f.Service, f.node()}
	var (
		mu      sync.Mutex
		granted int
		wg      sync.WaitGroup
	)
	for n := range 100 {
		wg.Go(func() {
			g, err := attempt(f.t.Context(), nodes[n%len(nodes)])
			if err != nil {
				wantError(f.t, err, want)
				return
			}
			if g == nil || g.Assertion == "" {
				f.t.Error("granted nothing")
			}
			mu.Lock()
			defer mu.Unlock()
			granted++
		})
	}
	wg.Wait()
	return granted
}

// wantLocked fails the test unless err says that codes are locked for so
// long.
func wantLocked(t *testing.T, err error, want time.Duration) {
	t.Helper()
	var locked *mfa.LockedError
	if !errors.As(err, &locked) || locked.Off || locked.RetryAfter != want {
		t.Errorf("got %v, want codes locked for %v", err, want)
	}
}

// freshBackupCode replaces the backup codes of a caller who has a session,
// and returns one of the new ones.
func (f *fixture) freshBackupCode(caller mfa.Caller) string {
	f.t.Helper()
	codes, err := f.ReplaceBackupCodes(f.t.Context(), caller)
	if err != nil {
		f.t.Fatal(err)
	}
	return codes[0]
}

// sendLink sends a login link.
func (f *fixture) sendLink(caller mfa.Caller) *mfa.SentLink {
	f.t.Helper()
	sent, err := f.SendLink(f.t.Context(), caller)
	if err != nil {
		f.t.Fatal(err)
	}
	return sent
}

// approve opens a login link and enters the number.
func (f *fixture) approve(token string, number int) error {
	return f.ActivateMagicLink(f.t.Context(), mfa.OpenedLink{Token: token, Number: number})
}

// credentialID is that of the caller's only factor of type kind.
func (f *fixture) credentialID(caller mfa.Caller, kind factor.Type) string {
	f.t.Helper()
	all, err := f.Credentials(f.t.Context(), caller)
	if err != nil {
		f.t.Fatal(err)
	}
	var ids []string
	for _, c := range all {
		if c.Type == kind {
			ids = append(ids, c.ID)
		}
	}
	if len(ids) != 1 {
		f.t.Fatalf("%d factors of type %s", len(ids), kind)
	}
	return ids[0]
}

// snapshotted is a snapshot of a store.
type snapshotted []byte

func snapshot(t *testing.T, st store.Store) snapshotted {
	t.Helper()
	var buf bytes.Buffer
	if err := st.(store.Snapshotter).Snapshot(t.Context(), &buf); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func (s snapshotted) reader() io.Reader { return bytes.NewReader(s) }
