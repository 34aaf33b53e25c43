package passkey

import (
	"errors"
	"fmt"
	"math/big"

	"github.com/go-webauthn/webauthn/protocol/webauthncose"
)

const (
	// maxPublicKey is the size of the largest COSE key that is kept. RSA
	// keys of the longest length take a little over a thousand bytes.
	maxPublicKey = 2048

	// The shortest and longest RSA modulus in bits: shorter ones are
	// weak, longer ones make every login slow.
	minRSABits = 2048
	maxRSABits = 8192
)

// checkPublicKey returns the algorithm of a COSE key that later
// assertions can be verified with: an offered algorithm with a key of
// its type, a point on the curve, a sound RSA modulus. A key that passes
// registration and fails every login would lock its owner out.
func checkPublicKey(encoded []byte) (int64, error) {
	if len(encoded) > maxPublicKey {
		return 0, fmt.Errorf("the public key has %d bytes, more than %d", len(encoded), maxPublicKey)
	}
	parsed, err := webauthncose.ParsePublicKey(encoded)
	if err != nil {
		return 0, fmt.Errorf("the public key cannot be used: %w", err)
	}
	var got, want int64
	switch key := parsed.(type) {
	case webauthncose.EC2PublicKeyData:
		// The parser has held the curve against the algorithm.
		got = key.Algorithm
		if want = int64(webauthncose.AlgES256); got == int64(webauthncose.AlgES384) || got == int64(webauthncose.AlgES512) {
			want = got
		}
	case webauthncose.OKPPublicKeyData:
		got, want = key.Algorithm, int64(webauthncose.AlgEdDSA)
	case webauthncose.RSAPublicKeyData:
		got, want = key.Algorithm, int64(webauthncose.AlgRS256)
		if err := checkRSA(key); err != nil {
			return 0, err
		}
	default:
		return 0, errors.New("the public key is of a type that was not offered")
	}
	if got != want {
		return 0, fmt.Errorf("the public key is for the algorithm %d, which was not offered for its type", got)
	}
	return got, nil
}

func checkRSA(key webauthncose.RSAPublicKeyData) error {
	bits := new(big.Int).SetBytes(key.Modulus).BitLen()
	if bits < minRSABits || bits > maxRSABits {
		return fmt.Errorf("the RSA key has %d bits: %d to %d are accepted", bits, minRSABits, maxRSABits)
	}
	exponent, err := webauthncose.ParseRSAPublicKeyDataExponent(&key)
	if err != nil {
		return fmt.Errorf("reading RSA exponent: %w", err)
	}
	// crypto/rsa verifies nothing with other exponents.
	if exponent < 3 || exponent%2 == 0 || exponent > 1<<31-1 {
		return fmt.Errorf("the RSA key has the exponent %d: an odd one of 3 to 2^31-1 is accepted", exponent)
	}
	return nil
}
