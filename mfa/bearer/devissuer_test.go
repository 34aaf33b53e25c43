package bearer_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/bearer"
)

func TestADevIssuersTokensVerifyWithItsKeys(t *testing.T) {
	c := newClock()
	path := filepath.Join(t.TempDir(), "data", "dev.json")
	verifier := newVerifier(t, bearer.Config{Keys: bearer.DevKeys(path, nil)}, c)

	// Nothing but OpenDevIssuer makes the file.
	wantUnavailable(t, verifier, sign(object{"alg": "ES256"}, claimsAt(c, nil), p256Key()))
	if _, err := os.Stat(filepath.Dir(path)); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("the folder is there: %v", err)
	}

	issuer, err := bearer.OpenDevIssuer(path)
	if err != nil {
		t.Fatal(err)
	}
	issuer.Now = c.Now
	claims := object{"sub": "alice", "roles": []string{"OWNER"}}
	token, err := issuer.Sign(claims)
	if err != nil {
		t.Fatal(err)
	}
	if len(claims) != 2 {
		t.Errorf("the caller's claims were changed: %v", claims)
	}
	wantUnavailable(t, verifier, token)
	c.Advance(time.Second)
	identity := wantIdentity(t, verifier, token)
	if identity.Issuer != bearer.DevIssuerName || identity.Subject != "alice" || identity.Roles[0] != "OWNER" ||
		!identity.Expiry.Equal(c.Now().Add(time.Hour-time.Second)) || !identity.IssuedAt.Equal(c.Now().Add(-time.Second)) {
		t.Errorf("identity is %+v", identity)
	}
	wantInvalid(t, verifier, must(issuer.Sign(object{"sub": "a", "iss": "other"})), "another issuer")
	wantInvalid(t, verifier, must(issuer.Sign(object{"sub": "a", "exp": c.Now().Unix() - 1})), "expired")
	if _, err := issuer.Sign(object{"sub": make(chan int)}); err == nil {
		t.Error("claims that are no JSON were signed")
	}

	// Opened again it is the same issuer.
	again, err := bearer.OpenDevIssuer(path)
	if err != nil {
		t.Fatal(err)
	}
	again.Now = c.Now
	wantIdentity(t, verifier, must(again.Sign(object{"sub": "bob"})))

	// A new key needs no restart.
	must(0, os.Remove(path))
	renewed := must(bearer.OpenDevIssuer(path))
	renewed.Now = c.Now
	c.Advance(time.Second)
	wantIdentity(t, verifier, must(renewed.Sign(object{"sub": "bob"})))
	wantInvalid(t, verifier, token, "no known key fits")
}

func TestADevIssuersKeyFileIsItsOwnersAlone(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no file modes on this system")
	}
	path := filepath.Join(t.TempDir(), "dev.json")
	must(bearer.OpenDevIssuer(path))
	if mode := must(os.Stat(path)).Mode().Perm(); mode != 0o600 {
		t.Errorf("mode is %04o", mode)
	}
	must(0, os.Chmod(path, 0o644))
	if _, err := bearer.OpenDevIssuer(path); err == nil || !strings.Contains(err.Error(), "make it 0600") {
		t.Errorf("with mode 0644: %v", err)
	}
}

func TestDevIssuersOpenedAtTheSameTimeShareOneKey(t *testing.T) {
	c := newClock()
	folder := t.TempDir()
	path := filepath.Join(folder, "dev.json")
	tokens := make([]string, 16)
	start := make(chan struct{})
	var wait sync.WaitGroup
	for i := range tokens {
		wait.Go(func() {
			<-start
			issuer, err := bearer.OpenDevIssuer(path)
			if err != nil {
				t.Error(err)
				return
			}
			issuer.Now = c.Now
			tokens[i], _ = issuer.Sign(object{"sub": "alice"})
		})
	}
	close(start)
	wait.Wait()
	verifier := newVerifier(t, bearer.Config{Keys: bearer.DevKeys(path, nil)}, c)
	for _, token := range tokens {
		wantIdentity(t, verifier, token)
	}
	if entries := must(os.ReadDir(folder)); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestADamagedDevIssuerFileIsRefusedAndKept(t *testing.T) {
	c := newClock()
	for _, content := range []string{
		"", "{}", "null", string(must(p256Single())), `{"kty":"EC","crv":"P-256","x":"AA","y":"AA","d":"AA"}`,
		`{"kty":"oct","k":"` + b64(secret) + `"}`,
	} {
		path := writeFile(t, "dev.json", []byte(content))
		if _, err := bearer.OpenDevIssuer(path); err == nil || !strings.Contains(err.Error(), "remove the file") {
			t.Errorf("%q: %v", content, err)
		}
		if kept := must(os.ReadFile(path)); string(kept) != content {
			t.Errorf("%q was overwritten", content)
		}
		wantUnavailable(t, newVerifier(t, bearer.Config{Keys: bearer.DevKeys(path, nil)}, c),
			sign(object{"alg": "ES256"}, claimsAt(c, nil), p256Key()))
	}
}
