// Package issuertest is the login of tests: it signs access tokens and serves
// its keys, as an OpenID Connect issuer does.
package issuertest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"
)

// Issuer signs access tokens and serves its keys. It is safe for concurrent
// use.
type Issuer struct {
	*httptest.Server

	t       *testing.T
	mu      sync.Mutex
	current jwk.Key   // private, signs
	listed  []jwk.Key // public
	down    bool
	asked   int
}

// Start starts one on loopback, which ends with the test.
func Start(t *testing.T) *Issuer {
	t.Helper()
	i := &Issuer{t: t}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(i.JWKS()) })
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]string{"issuer": i.URL, "jwks_uri": i.URL + "/keys"})
	})
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.mu.Lock()
		down := i.down
		i.asked++
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
func (i *Issuer) Rotate() {
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
func (i *Issuer) SetDown(down bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.down = down
}

// Asked returns how many requests the server has had.
func (i *Issuer) Asked() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.asked
}

// JWKS returns the JWK set that is served.
func (i *Issuer) JWKS() []byte {
	i.mu.Lock()
	defer i.mu.Unlock()
	encoded, err := json.Marshal(map[string]any{"keys": i.listed})
	if err != nil {
		panic(err)
	}
	return encoded
}

// PEM returns the public key as `openssl pkey -pubout` writes it.
func (i *Issuer) PEM() []byte {
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
func (i *Issuer) Token(claims map[string]any) string {
	i.t.Helper()
	i.mu.Lock()
	defer i.mu.Unlock()
	return Signed(i.t, claims, jws.WithKey(jwa.ES256, i.current))
}

// HMAC signs claims with a shared secret.
func HMAC(t *testing.T, secret string, claims map[string]any) string {
	t.Helper()
	return Signed(t, claims, jws.WithKey(jwa.HS256, []byte(secret)))
}

// Signed signs claims as key says.
func Signed(t *testing.T, claims map[string]any, key jws.SignOption) string {
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
