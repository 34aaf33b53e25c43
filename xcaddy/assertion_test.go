package main_test

import (
	"slices"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jwt"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
)

// A backend that wants to check for itself needs a library that any language
// has, and the published keys.
func TestTheAssertionVerifiesByAStockLibraryAndThePublishedKeysAlone(t *testing.T) {
	e := edgetest.New(t)
	e.Start(gated(adminGate))
	alice := enrolled(t, e, "alice", nil)
	keys, err := jwk.Fetch(t.Context(), e.URL+"/mfa/jwks.json")
	if err != nil {
		t.Fatal(err)
	}
	verify := func(token string, keys jwk.Set) (jwt.Token, error) {
		return jwt.Parse([]byte(token), jwt.WithKeySet(keys), jwt.WithIssuer(e.URL), jwt.WithAudience(e.URL), jwt.WithSubject("alice"))
	}
	for name, token := range map[string]string{"fullAccessToken": alice.pair.access, "the cookie": alice.pair.cookie} {
		parsed, err := verify(token, keys)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		amr, _ := parsed.Get("amr")
		acr, _ := parsed.Get("acr")
		authTime, _ := parsed.Get("auth_time")
		if list, ok := amr.([]any); !ok || !slices.Contains(list, any("otp")) || !slices.Contains(list, any("mfa")) || acr != "mfa" {
			t.Errorf("%s: amr %v, acr %v", name, amr, acr)
		}
		seconds, _ := authTime.(float64)
		if age := time.Since(time.Unix(int64(seconds), 0)); age > time.Minute || parsed.JwtID() == "" ||
			parsed.Expiration().Sub(parsed.IssuedAt()) != time.Hour {
			t.Errorf("%s: %v", name, parsed)
		}
	}
	// The library does look: another edge's keys do not verify it.
	other := edgetest.New(t)
	other.Start(gated(adminGate))
	strangers, err := jwk.Fetch(t.Context(), other.URL+"/mfa/jwks.json")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := verify(alice.pair.access, strangers); err == nil {
		t.Error("the keys of another edge verify it")
	}
	other.Do("GET", "/admin/x", alice.pair.access, nil).WantError(t, 401, "invalid_token", "")
}
