package assertion

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
)

// JWKS returns the public keys that count at now, or will, as a JWK set (RFC
// 7517 section 5).
func (k *Keyring) JWKS(now time.Time) ([]byte, error) {
	set := jwk.NewSet()
	for _, key := range k.keys {
		if key.expired(now) {
			continue
		}
		public, err := key.public()
		if err != nil {
			return nil, fmt.Errorf("encoding public key: %w", err)
		}
		if err := set.AddKey(public); err != nil {
			return nil, fmt.Errorf("encoding public keys: %w", err)
		}
	}
	return json.Marshal(set)
}

func (k *signingKey) public() (jwk.Key, error) {
	public, err := jwk.FromRaw(k.private.Public())
	if err != nil {
		return nil, err
	}
	for _, member := range []struct {
		name  string
		value any
	}{
		{jwk.KeyIDKey, k.id},
		{jwk.AlgorithmKey, jwa.ES256},
		{jwk.KeyUsageKey, jwk.ForSignature},
	} {
		if err := public.Set(member.name, member.value); err != nil {
			return nil, err
		}
	}
	return public, nil
}
