package bearer

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"runtime"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"
	"go.uber.org/zap"

	"github.com/caddymfa/caddy-mfa/mfa/internal/newfile"
)

// DevIssuerName is the iss of the tokens that a DevIssuer signs.
const DevIssuerName = "caddy-mfa-dev"

// devLifetime is how long a DevIssuer's token is good for when nobody
// says otherwise.
const devLifetime = time.Hour

// DevIssuer signs access tokens for trying the product out. Whoever can
// read its key file can be anyone: it is no login. It is safe for
// concurrent use.
type DevIssuer struct {
	// Now dates the tokens. Nil means time.Now.
	Now func() time.Time

	private jwk.Key
}

// OpenDevIssuer loads the ES256 key at path, or makes it, with mode 0600,
// when there is none, the folder too. Of several processes that make it
// at the same time one wins, and all have its key. The file is a private
// JWK; a damaged one, or one that others may read, is an error.
func OpenDevIssuer(path string) (*DevIssuer, error) {
	private, err := loadDevKey(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeDevKey(path); err != nil {
			return nil, fmt.Errorf("making dev issuer key: %w", err)
		}
		private, err = loadDevKey(path)
	}
	if err != nil {
		return nil, err
	}
	return &DevIssuer{private: private}, nil
}

// Sign makes a token of claims. Those that are absent of iss
// (DevIssuerName), iat (now) and exp (one hour after now) are added;
// claims itself is left as it is.
func (d *DevIssuer) Sign(claims map[string]any) (string, error) {
	now := time.Now()
	if d.Now != nil {
		now = d.Now()
	}
	all := map[string]any{
		"iss": DevIssuerName,
		"iat": now.Unix(),
		"exp": now.Add(devLifetime).Unix(),
	}
	maps.Copy(all, claims)
	payload, err := json.Marshal(all)
	if err != nil {
		return "", fmt.Errorf("encoding claims: %w", err)
	}
	headers := jws.NewHeaders()
	if err := headers.Set(jws.TypeKey, "JWT"); err != nil {
		return "", fmt.Errorf("signing token: %w", err)
	}
	token, err := jws.Sign(payload, jws.WithKey(jwa.ES256, d.private, jws.WithProtectedHeaders(headers)))
	if err != nil {
		return "", fmt.Errorf("signing token: %w", err)
	}
	return string(token), nil
}

// DevKeys is the public key of the DevIssuer at path. The file is read
// when a token comes, never made: until OpenDevIssuer has made it, Verify
// returns ErrKeysUnavailable. Tokens must be from DevIssuerName. A nil
// logger logs nothing.
func DevKeys(path string, log *zap.Logger) KeySource {
	source := newFileSource(path, log)
	source.iss = DevIssuerName
	source.parse = func(data []byte) (*keySet, error) {
		private, err := parseDevKey(data)
		if err != nil {
			return nil, err
		}
		material, err := jwk.PublicRawKeyOf(private)
		if err != nil {
			return nil, fmt.Errorf("reading public key: %w", err)
		}
		k, err := newKey(private.KeyID(), jwa.ES256.String(), material)
		if err != nil {
			return nil, err
		}
		return &keySet{keys: []key{k}}, nil
	}
	return source
}

func loadDevKey(path string) (jwk.Key, error) {
	content, err := readKeyFile(path)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("reading key file: %w", err)
	}
	// Windows has no such modes.
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		return nil, fmt.Errorf("reading key file %s: mode is %04o, others may read it: make it 0600", path, mode)
	}
	private, err := parseDevKey(content)
	if err != nil {
		return nil, fmt.Errorf("reading key file %s: %w", path, err)
	}
	return private, nil
}

// parseDevKey reads the private key and derives all else from it, so
// that what stands beside it in the file cannot contradict it.
func parseDevKey(content []byte) (jwk.Key, error) {
	parsed, err := jwk.ParseKey(content)
	if err != nil {
		return nil, fmt.Errorf("parsing dev issuer key: %w: remove the file to have a new one made", err)
	}
	members, ok := parsed.(jwk.ECDSAPrivateKey)
	if !ok || members.Crv() != jwa.P256 {
		return nil, errors.New("it holds no private P-256 key: remove the file to have a new one made")
	}
	raw, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), members.D())
	if err != nil {
		return nil, fmt.Errorf("parsing dev issuer key: %w: remove the file to have a new one made", err)
	}
	return devJWK(raw)
}

// devJWK names a key by its thumbprint (RFC 7638).
func devJWK(raw *ecdsa.PrivateKey) (jwk.Key, error) {
	private, err := jwk.FromRaw(raw)
	if err != nil {
		return nil, fmt.Errorf("encoding dev issuer key: %w", err)
	}
	if err := jwk.AssignKeyID(private); err != nil {
		return nil, fmt.Errorf("naming dev issuer key: %w", err)
	}
	return private, nil
}

// makeDevKey writes a new key to path, unless another process was there
// first.
func makeDevKey(path string) error {
	raw, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	private, err := devJWK(raw)
	if err != nil {
		return err
	}
	content, err := json.Marshal(private)
	if err != nil {
		return err
	}
	if err := newfile.Write(path, content); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}
