package bearer_test

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/bearer"
)

// es256 signs claims with p256Key, which the key sets here call a.
func es256(claims object) string {
	return sign(object{"alg": "ES256", "kid": "a"}, claims, p256Key())
}

// withdrawable is a key source whose one key is p256Key until withdraw is
// called; a second later the source knows.
func withdrawable(t *testing.T) (keys bearer.KeySource, withdraw func()) {
	t.Helper()
	path := writeFile(t, "jwks.json", jwks(jwkOf(p256Key(), object{"kid": "a"})))
	keys, err := bearer.JWKSFile(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return keys, func() { rewrite(t, path, jwks(jwkOf(p256Other(), object{"kid": "a"}))) }
}

// wantCached checks that the token is accepted, or not.
func wantCached(t *testing.T, cached *bearer.Cached, token string, accepted bool) {
	t.Helper()
	if identity, err := cached.Verify(context.Background(), token); (err == nil) != accepted {
		t.Errorf("Verify: %v, %v; want accepted: %v", identity, err, accepted)
	}
}

// wantSame checks that the cache answers as the verifier does, asked once
// and once more.
func wantSame(t *testing.T, cached *bearer.Cached, verifier *bearer.Verifier, token string) {
	t.Helper()
	want, wantErr := verifier.Verify(context.Background(), token)
	for range 2 {
		got, err := cached.Verify(context.Background(), token)
		if fmt.Sprint(err) != fmt.Sprint(wantErr) || !reflect.DeepEqual(got, want) {
			t.Errorf("Verify(%.60q…) = %+v, %v; uncached %+v, %v", token, got, err, want, wantErr)
		}
	}
}

func TestACachedTokenCountsToTheInstantItWouldUncached(t *testing.T) {
	for _, skew := range []time.Duration{0, 25 * time.Second} {
		t.Run(skew.String(), func(t *testing.T) {
			c := newClock()
			verifier := newVerifier(t, bearer.Config{Keys: fileKeys(t, jwkOf(p256Key(), object{"kid": "a"})), Skew: skew}, c)
			cached := bearer.NewCached(verifier)
			token := es256(claimsAt(c, object{"exp": c.Now().Add(20 * time.Second).Unix()}))
			wantCached(t, cached, token, true)
			c.Advance(20*time.Second + skew - 1)
			wantCached(t, cached, token, true)
			wantSame(t, cached, verifier, token)
			c.Advance(1)
			wantCached(t, cached, token, false)
			wantSame(t, cached, verifier, token)
		})
	}
}

func TestACachedTokenIsNotYetValidWhenTheClockIsSetBack(t *testing.T) {
	c := newClock()
	verifier := newVerifier(t, bearer.Config{Keys: fileKeys(t, jwkOf(p256Key(), object{"kid": "a"}))}, c)
	cached := bearer.NewCached(verifier)
	token := es256(claimsAt(c, nil))
	wantCached(t, cached, token, true)
	c.Advance(-time.Second)
	wantCached(t, cached, token, false)
	wantSame(t, cached, verifier, token)
}

func TestAWithdrawnKeyStopsCountingWithinAMinute(t *testing.T) {
	c := newClock()
	keys, withdraw := withdrawable(t)
	verifier := newVerifier(t, bearer.Config{Keys: keys}, c)
	cached := bearer.NewCached(verifier)
	token := es256(claimsAt(c, object{"exp": c.Now().Add(time.Hour).Unix()}))
	wantCached(t, cached, token, true)
	withdraw()
	c.Advance(time.Second)
	wantInvalid(t, verifier, token, "signature does not verify")
	// Being used must not make the minute longer.
	for range 58 {
		wantCached(t, cached, token, true)
		c.Advance(time.Second)
	}
	c.Advance(time.Second - 1)
	wantCached(t, cached, token, true)
	c.Advance(1)
	wantCached(t, cached, token, false)
}

func TestTheMinuteStartsBeforeTheKeysAreLookedUp(t *testing.T) {
	c := newClock()
	keys, withdraw := withdrawable(t)
	// Time passes whenever it is asked for.
	now := func() time.Time { c.Advance(time.Millisecond); return c.Now() }
	cached := bearer.NewCached(newVerifier(t, bearer.Config{Keys: keys, Now: now}, c))
	token := es256(claimsAt(c, object{"exp": c.Now().Add(time.Hour).Unix()}))
	start := c.Now()
	wantCached(t, cached, token, true)
	withdraw()
	c.Advance(start.Add(time.Minute).Sub(c.Now()))
	wantCached(t, cached, token, false)
}

func TestRefusalsAreNotCached(t *testing.T) {
	c := newClock()
	keys, withdraw := withdrawable(t)
	cached := bearer.NewCached(newVerifier(t, bearer.Config{Keys: keys}, c))

	early := es256(claimsAt(c, object{"nbf": c.Now().Add(time.Second).Unix()}))
	wantCached(t, cached, early, false)
	c.Advance(time.Second)
	wantCached(t, cached, early, true)

	other := sign(object{"alg": "ES256", "kid": "a"}, claimsAt(c, nil), p256Other())
	wantCached(t, cached, other, false)
	withdraw()
	c.Advance(time.Second)
	wantCached(t, cached, other, true)
}

func TestACacheAnswersAsItsVerifier(t *testing.T) {
	c := newClock()
	verifier := newVerifier(t, bearer.Config{
		Keys: fileKeys(t, jwkOf(p256Key(), object{"kid": "a"})), Audience: []string{"api"}, Keep: []string{"plan"},
	}, c)
	cached := bearer.NewCached(verifier)
	rich := es256(claimsAt(c, object{
		"email": "alice@example.com", "organization": []string{"acme"}, "roles": "OWNER, STAFF", "aud": []string{"api", "web"},
		"amr": []string{"pwd"}, "auth_time": c.Now().Unix(), "plan": []any{"gold", 7, true},
	}))
	wantCached(t, cached, rich, true)
	segments := strings.Split(rich, ".")
	bob := strings.Split(es256(claimsAt(c, object{"sub": "bob", "aud": "api"})), ".")
	for _, token := range []string{
		rich,
		es256(claimsAt(c, object{"aud": "api"})),
		es256(claimsAt(c, object{"aud": "elsewhere"})),
		es256(claimsAt(c, object{"aud": "api", "exp": c.Now().Unix()})),
		es256(claimsAt(c, object{"aud": "api", "roles": strings.Repeat("a", 8<<10)})),
		segments[0] + "." + bob[1] + "." + segments[2],
		segments[0] + "." + segments[1] + "." + bob[2],
		rich[:len(rich)-1], rich + "A", " " + rich, rich + ".", "", "..",
	} {
		wantSame(t, cached, verifier, token)
	}
}

func TestCallersOfACacheGetTheirOwnIdentity(t *testing.T) {
	c := newClock()
	cached := bearer.NewCached(newVerifier(t, bearer.Config{Keys: fileKeys(t, jwkOf(p256Key(), object{"kid": "a"}))}, c))
	var subjects, tokens []string
	for i := range 20 {
		subjects = append(subjects, fmt.Sprint("user", i))
		tokens = append(tokens, es256(claimsAt(c, object{"sub": subjects[i]})))
	}
	var callers sync.WaitGroup
	for caller := range 8 {
		callers.Go(func() {
			for i := range 200 {
				i = (i + caller) % len(tokens)
				identity, err := cached.Verify(context.Background(), tokens[i])
				if err != nil || identity.Subject != subjects[i] {
					t.Errorf("Verify of the token of %s: %q, %v", subjects[i], identity.Subject, err)
				}
			}
		})
	}
	callers.Wait()
}

func TestVerifyingAKnownTokenAllocatesNothing(t *testing.T) {
	c := newClock()
	cached := bearer.NewCached(newVerifier(t, bearer.Config{Keys: fileKeys(t, jwkOf(p256Key(), object{"kid": "a"}))}, c))
	token := es256(claimsAt(c, object{"roles": strings.Repeat("a ", 400)}))
	if n := testing.AllocsPerRun(100, func() { wantCached(t, cached, token, true) }); n != 0 {
		t.Errorf("Verify allocates %v times", n)
	}
}

// What is kept is packed, which must not show.
func TestACacheTellsOfListsAsItsVerifier(t *testing.T) {
	c := newClock()
	verifier := newVerifier(t, bearer.Config{Keys: fileKeys(t, jwkOf(p256Key(), object{"kid": "a"})), Keep: []string{"plan", "seats"}}, c)
	cached := bearer.NewCached(verifier)
	for _, claims := range []object{
		{"roles": []string{}, "aud": []string{}, "amr": []string{}},
		{"roles": "a b", "aud": []string{"x", "", "y"}, "organization": object{"b": 1, "a": 2}, "plan": []string{"gold"}, "seats": 7},
		{"email": "\u00e4@example.com", "roles": []string{"\u0001\u0002"}, "plan": []string{}},
	} {
		wantSame(t, cached, verifier, es256(claimsAt(c, claims)))
	}
}
