package assertion

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"io"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"
)

// signingKey is one key and the time in which it counts.
type signingKey struct {
	id      string // RFC 7638 thumbprint
	private *ecdsa.PrivateKey
	header  string // first segment of what it signs
	// from is when it begins to sign; it is published before.
	from time.Time
	// until is when it counts no more, zero while no key follows it.
	until time.Time
}

func makeSigningKey(from time.Time) (*signingKey, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making signing key: %w", err)
	}
	return newSigningKey(private, from.UTC(), time.Time{})
}

func newSigningKey(private *ecdsa.PrivateKey, from, until time.Time) (*signingKey, error) {
	public, err := jwk.FromRaw(private.Public())
	if err != nil {
		return nil, fmt.Errorf("encoding signing key: %w", err)
	}
	thumbprint, err := public.Thumbprint(crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("naming signing key: %w", err)
	}
	id := encodeSegment(thumbprint)
	return &signingKey{id: id, private: private, header: headerOf(id), from: from, until: until}, nil
}

func (k *signingKey) expired(now time.Time) bool { return !k.until.IsZero() && !now.Before(k.until) }

// sign returns the signature of input as a segment: the same one whenever it
// is asked for.
func (k *signingKey) sign(input string) (string, error) {
	signer, err := jws.NewSigner(jwa.ES256)
	if err != nil {
		return "", fmt.Errorf("signing assertion: %w", err)
	}
	signature, err := signer.Sign([]byte(input), deterministic{k.private})
	if err != nil {
		return "", fmt.Errorf("signing assertion: %w", err)
	}
	return encodeSegment(signature), nil
}

// deterministic signs as RFC 6979 has it, whatever randomness is offered.
type deterministic struct{ private *ecdsa.PrivateKey }

func (d deterministic) Public() crypto.PublicKey { return &d.private.PublicKey }

func (d deterministic) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return d.private.Sign(nil, digest, opts)
}
