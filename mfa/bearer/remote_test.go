package bearer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/bearer"
)

// issuerSite answers for an issuer without a network, so that tests can
// run in a synctest bubble, where waits cost no time.
type issuerSite struct {
	mu      sync.Mutex
	keys    []byte
	failing bool
	hanging bool
	fetches int
	open    int
}

func (s *issuerSite) RoundTrip(request *http.Request) (*http.Response, error) {
	s.mu.Lock()
	s.fetches++
	keys, failing, hanging := s.keys, s.failing, s.hanging
	s.open++
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.open--
		s.mu.Unlock()
	}()
	if hanging {
		<-request.Context().Done()
		return nil, request.Context().Err()
	}
	if failing {
		return nil, errors.New("connection refused")
	}
	return &http.Response{StatusCode: 200, Body: io.NopCloser(bytes.NewReader(keys)), Request: request}, nil
}

func (s *issuerSite) set(change func(*issuerSite)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

// wantFetches waits until nothing runs any more and compares the number of
// fetches since the last call.
func (s *issuerSite) wantFetches(t *testing.T, want int) {
	t.Helper()
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fetches != want {
		t.Fatalf("%d fetches, want %d", s.fetches, want)
	}
	s.fetches = 0
}

// remote runs a test in a bubble, where the tokens a and b are signed by
// two keys, of which the issuer publishes a at first.
func remote(t *testing.T, test func(t *testing.T, site *issuerSite, c *clock, verifier *bearer.Verifier, a, b string)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := newClock()
		site := &issuerSite{keys: keysA()}
		source, err := bearer.JWKSURL("https://login.example.com/jwks", bearer.RemoteOptions{Client: &http.Client{Transport: site}})
		if err != nil {
			t.Fatal(err)
		}
		verifier := newVerifier(t, bearer.Config{Keys: source}, c)
		site.wantFetches(t, 0) // constructors do not touch the network
		claims := claimsAt(c, object{"exp": c.Now().Add(1000 * time.Hour).Unix()})
		a := sign(object{"alg": "ES256", "kid": "a"}, claims, p256Key())
		b := sign(object{"alg": "ES256", "kid": "b"}, claims, p256Other())
		test(t, site, c, verifier, a, b)
	})
}

func keysA() []byte { return jwks(jwkOf(p256Key(), object{"kid": "a"})) }
func keysB() []byte { return jwks(jwkOf(p256Other(), object{"kid": "b"})) }
func keysAB() []byte {
	return jwks(jwkOf(p256Key(), object{"kid": "a"}), jwkOf(p256Other(), object{"kid": "b"}))
}

func TestKeysAreFetchedByTheFirstTokenAndKept(t *testing.T) {
	remote(t, func(t *testing.T, site *issuerSite, c *clock, verifier *bearer.Verifier, a, _ string) {
		wantIdentity(t, verifier, a)
		site.wantFetches(t, 1)
		for range 14 {
			c.Advance(time.Minute)
			wantIdentity(t, verifier, a)
		}
		site.wantFetches(t, 0)
	})
}

func TestTheFirstFetchIsOneForAllRequestsThatWait(t *testing.T) {
	remote(t, func(t *testing.T, site *issuerSite, c *clock, verifier *bearer.Verifier, a, _ string) {
		release := make(chan struct{})
		slow := &http.Client{Transport: roundTripper(func(request *http.Request) (*http.Response, error) {
			<-release
			return site.RoundTrip(request)
		})}
		source, err := bearer.JWKSURL("https://login.example.com/jwks", bearer.RemoteOptions{Client: slow})
		if err != nil {
			t.Fatal(err)
		}
		verifier = newVerifier(t, bearer.Config{Keys: source}, c)
		var wait sync.WaitGroup
		for range 50 {
			wait.Go(func() {
				if _, err := verifier.Verify(context.Background(), a); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait() // all fifty wait now
		close(release)
		wait.Wait()
		site.wantFetches(t, 1)
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return f(request) }

func TestOldKeysServeWhileNewOnesAreFetched(t *testing.T) {
	remote(t, func(t *testing.T, site *issuerSite, c *clock, verifier *bearer.Verifier, a, b string) {
		wantIdentity(t, verifier, a)
		site.wantFetches(t, 1)
		site.set(func(s *issuerSite) { s.keys, s.hanging = keysB(), true })
		c.Advance(15*time.Minute + time.Second)
		began := time.Now()
		for range 5 {
			wantIdentity(t, verifier, a)
		}
		if waited := time.Since(began); waited != 0 {
			t.Errorf("the requests waited %v", waited)
		}
		site.wantFetches(t, 1)
		time.Sleep(6 * time.Second) // in the bubble: the hanging fetch gives up
		site.set(func(s *issuerSite) { s.hanging = false })
		c.Advance(30 * time.Second)
		wantIdentity(t, verifier, a)
		site.wantFetches(t, 1)
		// The key that is no longer published is out.
		wantIdentity(t, verifier, b)
		wantInvalid(t, verifier, a, "no known key fits")
		site.wantFetches(t, 0)
	})
}

func TestAnUnknownKidFetchesOnceInThirtySeconds(t *testing.T) {
	remote(t, func(t *testing.T, site *issuerSite, c *clock, verifier *bearer.Verifier, a, b string) {
		wantIdentity(t, verifier, a)
		site.wantFetches(t, 1)
		c.Advance(29 * time.Second)
		wantInvalid(t, verifier, b, "no known key fits")
		site.wantFetches(t, 0)
		c.Advance(time.Second)
		site.set(func(s *issuerSite) { s.keys = keysAB() })
		wantIdentity(t, verifier, b)
		wantIdentity(t, verifier, a)
		site.wantFetches(t, 1)
	})
}

func TestAFloodOfUnknownKidsFetchesOnceInThirtySeconds(t *testing.T) {
	remote(t, func(t *testing.T, site *issuerSite, c *clock, verifier *bearer.Verifier, a, _ string) {
		wantIdentity(t, verifier, a)
		site.wantFetches(t, 1)
		for round := range 3 {
			c.Advance(30 * time.Second)
			var wait sync.WaitGroup
			for worker := range 8 {
				wait.Go(func() {
					for i := range 50 {
						header := object{"alg": "ES256", "kid": fmt.Sprint(round, worker, i)}
						token := signRaw(must(jsonOf(header)), []byte("{}"), "EdDSA", ed25519Key())
						if _, err := verifier.Verify(context.Background(), token); !errors.Is(err, bearer.ErrInvalidToken) {
							t.Error(err)
						}
					}
				})
			}
			wait.Wait()
			wantIdentity(t, verifier, a)
			site.wantFetches(t, 1)
		}
	})
}

func TestAFailedFetchLeavesUnknownKidsUndecidedAndKnownOnesGood(t *testing.T) {
	remote(t, func(t *testing.T, site *issuerSite, c *clock, verifier *bearer.Verifier, a, b string) {
		wantIdentity(t, verifier, a)
		site.wantFetches(t, 1)
		site.set(func(s *issuerSite) { s.failing = true })
		c.Advance(30 * time.Second)
		wantUnavailable(t, verifier, b)
		site.wantFetches(t, 1)
		for range 29 {
			c.Advance(time.Second)
			wantUnavailable(t, verifier, b)
			wantIdentity(t, verifier, a)
		}
		site.wantFetches(t, 0)
		c.Advance(time.Second)
		site.set(func(s *issuerSite) { s.failing, s.keys = false, keysAB() })
		wantIdentity(t, verifier, b)
		site.wantFetches(t, 1)
	})
}

func TestKeysOutliveTheIssuerForADay(t *testing.T) {
	remote(t, func(t *testing.T, site *issuerSite, c *clock, verifier *bearer.Verifier, a, _ string) {
		wantIdentity(t, verifier, a)
		site.set(func(s *issuerSite) { s.failing = true })
		c.Advance(24 * time.Hour)
		wantIdentity(t, verifier, a)
		site.wantFetches(t, 2)
		c.Advance(time.Second)
		wantUnavailable(t, verifier, a)
		c.Advance(time.Hour)
		wantUnavailable(t, verifier, a)
		wantUnavailable(t, verifier, a)
		site.wantFetches(t, 1)
		c.Advance(30 * time.Second)
		site.set(func(s *issuerSite) { s.failing = false })
		wantIdentity(t, verifier, a)
		site.wantFetches(t, 1)
	})
}

func TestKeysThatGrewTooOldUnusedAreFetchedBeforeTheyCount(t *testing.T) {
	remote(t, func(t *testing.T, site *issuerSite, c *clock, verifier *bearer.Verifier, a, b string) {
		wantIdentity(t, verifier, a)
		c.Advance(24*time.Hour + time.Second)
		site.set(func(s *issuerSite) { s.keys = keysB() })
		wantInvalid(t, verifier, a, "no known key fits")
		wantIdentity(t, verifier, b)
		site.wantFetches(t, 2)
	})
}

func TestAnIssuerThatStartsSlowlyIsAskedAgainSoon(t *testing.T) {
	remote(t, func(t *testing.T, site *issuerSite, c *clock, verifier *bearer.Verifier, a, _ string) {
		site.set(func(s *issuerSite) { s.failing = true })
		wantUnavailable(t, verifier, a)
		site.wantFetches(t, 1)
		for _, backoff := range []time.Duration{1, 2, 4, 8, 16, 30, 30} {
			c.Advance(backoff*time.Second - time.Millisecond)
			wantUnavailable(t, verifier, a)
			site.wantFetches(t, 0)
			c.Advance(time.Millisecond)
			wantUnavailable(t, verifier, a)
			site.wantFetches(t, 1)
		}
		site.set(func(s *issuerSite) { s.failing = false })
		c.Advance(30 * time.Second)
		wantIdentity(t, verifier, a)
	})
}

func TestAnIssuerThatHangsCostsARequestThreeSecondsAtMost(t *testing.T) {
	remote(t, func(t *testing.T, site *issuerSite, c *clock, verifier *bearer.Verifier, a, _ string) {
		site.set(func(s *issuerSite) { s.hanging = true })
		began := time.Now()
		wantUnavailable(t, verifier, a)
		if waited := time.Since(began); waited != 3*time.Second {
			t.Errorf("the request waited %v", waited)
		}
		// A request that ends sooner waits no longer.
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if _, err := verifier.Verify(ctx, a); !errors.Is(err, bearer.ErrKeysUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Verify: %v", err)
		}
		if waited := time.Since(began); waited != 4*time.Second {
			t.Errorf("the requests waited %v", waited)
		}
		time.Sleep(2 * time.Second) // in the bubble: the fetch gives up
		synctest.Wait()
		if site.open != 0 {
			t.Error("the fetch goes on")
		}
		// Just after the failure nobody waits.
		began = time.Now()
		wantUnavailable(t, verifier, a)
		if waited := time.Since(began); waited != 0 {
			t.Errorf("the request waited %v", waited)
		}
		site.wantFetches(t, 1)
	})
}

func TestAFetchOutlivesTheRequestThatStartedIt(t *testing.T) {
	remote(t, func(t *testing.T, site *issuerSite, c *clock, verifier *bearer.Verifier, a, _ string) {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		// Both may be ready at once, so either answer is right.
		_, err := verifier.Verify(ctx, a)
		if err != nil && !errors.Is(err, bearer.ErrKeysUnavailable) {
			t.Errorf("Verify: %v", err)
		}
		site.wantFetches(t, 1)
		site.set(func(s *issuerSite) { s.failing = true })
		wantIdentity(t, verifier, a)
		site.wantFetches(t, 0)
	})
}

func TestASetWithoutUsableKeysKeepsTheOldOnes(t *testing.T) {
	remote(t, func(t *testing.T, site *issuerSite, c *clock, verifier *bearer.Verifier, a, b string) {
		wantIdentity(t, verifier, a)
		for _, keys := range []string{
			`{"keys":[]}`, `{}`, `<html>`, ``, `{"keys":[{"kty":"oct","kid":"b","k":"` + b64(secret) + `"}]}`,
			string(jwks(jwkOf(p256Other(), object{"kid": "b", "d": "AAAA"}))),
		} {
			site.set(func(s *issuerSite) { s.keys = []byte(keys) })
			c.Advance(30 * time.Second)
			wantUnavailable(t, verifier, b)
			wantIdentity(t, verifier, a)
		}
	})
}

func TestSecretsFromTheNetworkAreIgnored(t *testing.T) {
	remote(t, func(t *testing.T, site *issuerSite, c *clock, verifier *bearer.Verifier, a, _ string) {
		site.set(func(s *issuerSite) {
			s.keys = jwks(jwkOf(secret, object{"kid": "s"}), jwkOf(p256Key(), object{"kid": "a"}), jwkOf(p384Key(), object{"kid": "e", "use": "enc"}))
		})
		wantIdentity(t, verifier, a)
		wantInvalid(t, verifier, sign(object{"alg": "HS256", "kid": "s"}, claimsAt(c, nil), secret), "no known key fits")
		wantInvalid(t, verifier, sign(object{"alg": "HS256"}, claimsAt(c, nil), secret), "no known key fits")
		wantInvalid(t, verifier, sign(object{"alg": "ES384", "kid": "e"}, claimsAt(c, nil), p384Key()), "no known key fits")
	})
}

func TestAClockSetBackDoesNotStopFetching(t *testing.T) {
	remote(t, func(t *testing.T, site *issuerSite, c *clock, verifier *bearer.Verifier, a, b string) {
		c.Advance(time.Hour)
		wantIdentity(t, verifier, a)
		c.Advance(-time.Hour)
		site.set(func(s *issuerSite) { s.keys = keysAB() })
		wantIdentity(t, verifier, b)
		site.wantFetches(t, 2)
	})
}

func TestAKnownKidWithAnotherAlgorithmFetchesOnceInThirtySeconds(t *testing.T) {
	remote(t, func(t *testing.T, site *issuerSite, c *clock, verifier *bearer.Verifier, a, _ string) {
		wantIdentity(t, verifier, a)
		site.wantFetches(t, 1)
		c.Advance(29 * time.Second)
		changed := sign(object{"alg": "ES384", "kid": "a"}, claimsAt(c, nil), p384Key())
		wantInvalid(t, verifier, changed, "no known key fits")
		site.wantFetches(t, 0)
		c.Advance(time.Second)
		// An issuer may change the type of its key and keep the name.
		site.set(func(s *issuerSite) { s.keys = jwks(jwkOf(p384Key(), object{"kid": "a"})) })
		wantIdentity(t, verifier, changed)
		wantInvalid(t, verifier, a, "no known key fits")
		site.wantFetches(t, 1)
	})
}

func TestAKeyThatIsChangedUnderItsNameIsFetchedWithinThirtySeconds(t *testing.T) {
	for name, more := range map[string]object{"the same kid": {"kid": "a"}, "a number": {"kid": 7}, "no kid": nil} {
		for inTokens, header := range map[string]object{"as in the set": more, "of their own": {"kid": "x"}} {
			if more["kid"] != nil && inTokens == "of their own" {
				continue
			}
			t.Run(name+", in tokens one "+inTokens, func(t *testing.T) {
				remote(t, func(t *testing.T, site *issuerSite, c *clock, verifier *bearer.Verifier, _, _ string) {
					token := func(key any) string {
						all := object{"alg": "ES256"}
						maps.Copy(all, header)
						return sign(all, claimsAt(c, nil), key)
					}
					publish := func(key any) {
						site.set(func(s *issuerSite) { s.keys = jwks(jwkOf(key, more)) })
					}
					publish(p256Key())
					wantIdentity(t, verifier, token(p256Key()))
					site.wantFetches(t, 1)
					publish(p256Other())
					c.Advance(29 * time.Second)
					wantInvalid(t, verifier, token(p256Other()), "signature does not verify")
					site.wantFetches(t, 0)
					c.Advance(time.Second)
					wantIdentity(t, verifier, token(p256Other()))
					wantInvalid(t, verifier, token(p256Key()), "signature does not verify")
					site.wantFetches(t, 1)
				})
			})
		}
	}
}

func TestAFloodOfForgedSignaturesFetchesOnceInThirtySeconds(t *testing.T) {
	remote(t, func(t *testing.T, site *issuerSite, c *clock, verifier *bearer.Verifier, a, _ string) {
		wantIdentity(t, verifier, a)
		site.wantFetches(t, 1)
		forged := sign(object{"alg": "ES256", "kid": "a"}, claimsAt(c, nil), p256Other())
		for range 3 {
			c.Advance(30 * time.Second)
			var wait sync.WaitGroup
			for range 8 {
				wait.Go(func() {
					for range 10 {
						if _, err := verifier.Verify(context.Background(), forged); !errors.Is(err, bearer.ErrInvalidToken) {
							t.Error(err)
						}
					}
				})
			}
			wait.Wait()
			wantIdentity(t, verifier, a)
			site.wantFetches(t, 1)
		}
	})
}

func TestAForgedSignatureIsRefusedWhileTheIssuerIsAway(t *testing.T) {
	remote(t, func(t *testing.T, site *issuerSite, c *clock, verifier *bearer.Verifier, a, _ string) {
		wantIdentity(t, verifier, a)
		forged := sign(object{"alg": "ES256", "kid": "a"}, claimsAt(c, object{"exp": c.Now().Add(time.Hour).Unix()}), p256Other())
		for _, change := range []func(*issuerSite){
			func(s *issuerSite) { s.failing = true },
			func(s *issuerSite) { s.failing, s.hanging = false, true },
		} {
			site.set(change)
			c.Advance(time.Minute)
			began := time.Now()
			wantInvalid(t, verifier, forged, "signature does not verify")
			if waited := time.Since(began); waited > 3*time.Second {
				t.Errorf("the request waited %v", waited)
			}
			time.Sleep(6 * time.Second) // in the bubble: the hanging fetch gives up
			wantIdentity(t, verifier, a)
			wantInvalid(t, verifier, forged, "signature does not verify")
		}
	})
}

func TestAFetchThatPanicsKeepsNobodyWaitingAndTheNextOneCounts(t *testing.T) {
	remote(t, func(t *testing.T, site *issuerSite, c *clock, _ *bearer.Verifier, a, _ string) {
		panicking := true
		source, err := bearer.JWKSURL("https://login.example.com/jwks", bearer.RemoteOptions{Client: &http.Client{
			Transport: roundTripper(func(request *http.Request) (*http.Response, error) {
				if panicking {
					panic("on purpose")
				}
				return site.RoundTrip(request)
			}),
		}})
		if err != nil {
			t.Fatal(err)
		}
		verifier := newVerifier(t, bearer.Config{Keys: source}, c)
		begun := time.Now()
		wantUnavailable(t, verifier, a)
		if waited := time.Since(begun); waited > time.Second {
			t.Errorf("it took %v", waited)
		}
		panicking = false
		c.Advance(time.Minute)
		wantIdentity(t, verifier, a)
	})
}
