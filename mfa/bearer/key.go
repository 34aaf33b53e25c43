package bearer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"
)

const (
	minRSABits = 2048
	// maxRSABits keeps one key from making every verification slow.
	maxRSABits     = 8192
	minSecretBytes = 32

	// maxTried bounds how many keys are tried for a token that names none.
	maxTried = 16

	// algEd25519 is RFC 9864's name for EdDSA with an Ed25519 key. A key may
	// have one name and its tokens the other: the algorithm is the same.
	algEd25519 = "Ed25519"
)

var (
	rsaAlgorithms     = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
	ecdsaAlgorithms   = map[string]string{"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}
	ed25519Algorithms = []string{"EdDSA", algEd25519}
	hmacAlgorithms    = []string{"HS256", "HS384", "HS512"}
)

// isSupported reports whether any kind of key here could verify alg.
func isSupported(alg string) bool {
	for _, name := range ecdsaAlgorithms {
		if name == alg {
			return true
		}
	}
	return slices.Contains(rsaAlgorithms, alg) || slices.Contains(ed25519Algorithms, alg) || slices.Contains(hmacAlgorithms, alg)
}

// key is a key with the algorithms that it may be used with.
type key struct {
	id         string // "" when it has none
	algorithms []string
	material   any // *rsa.PublicKey, *ecdsa.PublicKey, ed25519.PublicKey, or []byte
}

// newKey checks a key and binds it to its algorithms: to alg, or, where
// that is empty, to all that its type and curve allow.
func newKey(id, alg string, material any) (key, error) {
	var algorithms []string
	switch material := material.(type) {
	case *rsa.PublicKey:
		if bits := material.N.BitLen(); bits < minRSABits || bits > maxRSABits {
			return key{}, fmt.Errorf("RSA key has %d bits: it must have from %d to %d", bits, minRSABits, maxRSABits)
		}
		if e := int64(material.E); e < 3 || e > 1<<31-1 || e%2 == 0 {
			return key{}, errors.New("RSA key has an unusable exponent")
		}
		algorithms = rsaAlgorithms
	case *ecdsa.PublicKey:
		if _, err := material.ECDH(); err != nil {
			return key{}, fmt.Errorf("checking EC key: %w", err)
		}
		alg, ok := ecdsaAlgorithms[material.Curve.Params().Name]
		if !ok {
			return key{}, fmt.Errorf("EC key is on the curve %s: it must be on P-256, P-384 or P-521", material.Curve.Params().Name)
		}
		algorithms = []string{alg}
	case ed25519.PublicKey:
		if len(material) != ed25519.PublicKeySize {
			return key{}, fmt.Errorf("Ed25519 key has %d bytes: it must have %d", len(material), ed25519.PublicKeySize)
		}
		algorithms = ed25519Algorithms
	case []byte:
		if len(material) < minSecretBytes {
			return key{}, fmt.Errorf("HMAC secret has %d bytes: it must have at least %d random ones", len(material), minSecretBytes)
		}
		algorithms = hmacAlgorithms
	default:
		return key{}, fmt.Errorf("keys of type %T are not supported: use RSA, EC (P-256, P-384, P-521) or Ed25519", material)
	}
	if alg != "" {
		if !slices.Contains(algorithms, alg) {
			return key{}, fmt.Errorf("algorithm %q does not fit the key", alg)
		}
		if !slices.Contains(ed25519Algorithms, alg) {
			algorithms = []string{alg}
		}
	}
	return key{id: id, algorithms: algorithms, material: material}, nil
}

// keySet is an immutable set of keys.
type keySet struct {
	keys []key

	// nameless is set where keys have no names by nature (a PEM file, a
	// secret), so that whatever a token calls its key is meant.
	nameless bool
}

// find returns the keys to try for a token, at most maxTried of them and in
// the order of the set: all that fit algorithm, but for those whose name is
// another than keyID. A key without a name may be the one that the token
// means. Keys called keyID come first.
func (s *keySet) find(keyID, algorithm string) []key {
	var fitting, unnamed []key
	for _, k := range s.keys {
		switch {
		case !slices.Contains(k.algorithms, algorithm):
		case keyID == "" || s.nameless || k.id == keyID:
			fitting = append(fitting, k)
		case k.id == "":
			unnamed = append(unnamed, k)
		}
	}
	fitting = append(fitting, unnamed...)
	return fitting[:min(len(fitting), maxTried)]
}

// same reports whether k and other have the same public key.
func (k key) same(other key) bool {
	material, ok := k.material.(interface{ Equal(crypto.PublicKey) bool })
	return ok && material.Equal(other.material)
}
