package main_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"
)

// issuer signs access tokens and serves its keys, as a login does.
type issuer struct {
	*httptest.Server

	t       *testing.T
	mu      sync.Mutex
	current jwk.Key   // private, signs
	listed  []jwk.Key // public
	down    bool
}

func startIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{t: t}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(i.JWKS()) })
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]string{"issuer": i.URL, "jwks_uri": i.URL + "/keys"})
	})
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.mu.Lock()
		down := i.down
		i.mu.Unlock()
		if down {
			http.Error(w, "down", http.StatusBadGateway)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(i.Close)
	i.Rotate()
	return i
}

// Rotate makes a new key, the only one that is served from now on.
func (i *issuer) Rotate() {
	i.t.Helper()
	raw, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		i.t.Fatal(err)
	}
	key, err := jwk.FromRaw(raw)
	if err != nil {
		i.t.Fatal(err)
	}
	if err := jwk.AssignKeyID(key); err != nil {
		i.t.Fatal(err)
	}
	if err := key.Set(jwk.AlgorithmKey, jwa.ES256); err != nil {
		i.t.Fatal(err)
	}
	public, err := jwk.PublicKeyOf(key)
	if err != nil {
		i.t.Fatal(err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.current, i.listed = key, []jwk.Key{public}
}

// SetDown has the server answer errors, or its keys again.
func (i *issuer) SetDown(down bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.down = down
}

// JWKS returns the JWK set that is served.
func (i *issuer) JWKS() []byte {
	i.mu.Lock()
	defer i.mu.Unlock()
	encoded, err := json.Marshal(map[string]any{"keys": i.listed})
	if err != nil {
		panic(err)
	}
	return encoded
}

// PEM returns the public key as `openssl pkey -pubout` writes it.
func (i *issuer) PEM() []byte {
	i.t.Helper()
	i.mu.Lock()
	defer i.mu.Unlock()
	var public ecdsa.PublicKey
	if err := i.listed[0].Raw(&public); err != nil {
		i.t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&public)
	if err != nil {
		i.t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// Token signs claims with the current key.
func (i *issuer) Token(claims map[string]any) string {
	i.t.Helper()
	i.mu.Lock()
	defer i.mu.Unlock()
	return signed(i.t, claims, jws.WithKey(jwa.ES256, i.current))
}

// hmacToken signs claims with secret.
func hmacToken(t *testing.T, secret string, claims map[string]any) string {
	t.Helper()
	return signed(t, claims, jws.WithKey(jwa.HS256, []byte(secret)))
}

// unsignedToken makes a token of the algorithm none.
func unsignedToken(t *testing.T, claims map[string]any) string {
	t.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + encode(payload) + "."
}

func signed(t *testing.T, claims map[string]any, key jws.SignOption) string {
	t.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	token, err := jws.Sign(payload, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(token)
}

// claims returns those of a token for subject that is valid for minutes,
// with changes; nil takes a claim out.
func claims(subject string, changes map[string]any) map[string]any {
	all := map[string]any{
		"sub": subject,
		"iat": time.Now().Unix(),
		"exp": time.Now().Add(5 * time.Minute).Unix(),
	}
	for name, value := range changes {
		if value == nil {
			delete(all, name)
		} else {
			all[name] = value
		}
	}
	return all
}
