package bearer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/lestrrat-go/jwx/v2/jwk"
)

// jwkMembers are the members of a JWK (RFC 7517, RFC 7518 section 6)
// that decide whether and how it is used. Others, certificates above all,
// are left aside, so that none of them can spoil a good key.
type jwkMembers struct {
	KeyType    string          `json:"kty"`
	KeyID      string          `json:"kid"`
	Use        string          `json:"use"`
	Algorithm  string          `json:"alg"`
	Operations []string        `json:"key_ops"`
	Private    json.RawMessage `json:"d"`
	Curve      string          `json:"crv"`
	X          string          `json:"x"`
	Y          string          `json:"y"`
	Modulus    string          `json:"n"`
	Exponent   string          `json:"e"`
	Secret     string          `json:"k"`
}

var errPrivateKey = errors.New("it is a private key: only public ones belong here, take out d and what follows from it")

// parseJWKS reads a JWK set. A key that cannot be used is passed over,
// with its reason in skipped; a set with no usable key is an error.
//
// Whoever publishes a secret to the world has none, so symmetric keys
// count only in a set that the operator wrote; and in that one a private
// key is an error, because it lies where only public ones should.
func parseJWKS(data []byte, fromOperator bool) (set *keySet, skipped []error, err error) {
	var document struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(data, &document); err != nil {
		return nil, nil, fmt.Errorf("parsing JWK set: %w", err)
	}
	set = &keySet{}
	for i, raw := range document.Keys {
		k, err := parseJWK(raw, fromOperator)
		if err != nil {
			err = fmt.Errorf("key %d: %w", i+1, err)
			if fromOperator && errors.Is(err, errPrivateKey) {
				return nil, nil, err
			}
			skipped = append(skipped, err)
			continue
		}
		set.keys = append(set.keys, k)
	}
	if len(set.keys) == 0 {
		err := errors.New(`JWK set holds no usable key: it must read {"keys":[...]} with a signature key in it`)
		return nil, nil, errors.Join(append([]error{err}, skipped...)...)
	}
	return set, skipped, nil
}

func parseJWK(data []byte, fromOperator bool) (key, error) {
	var members jwkMembers
	if err := json.Unmarshal(data, &members); err != nil {
		return key{}, fmt.Errorf("parsing JWK: %w", err)
	}
	switch {
	case members.Use != "" && members.Use != "sig":
		return key{}, errors.New("its use is not sig")
	case len(members.Operations) > 0 && !slices.Contains(members.Operations, "verify"):
		return key{}, errors.New("its key_ops do not include verify")
	case members.KeyType == "oct" && !fromOperator:
		return key{}, errors.New("symmetric keys are not taken from the network")
	case len(members.Private) > 0:
		return key{}, errPrivateKey
	}
	material, err := members.material()
	if err != nil {
		return key{}, err
	}
	return newKey(members.KeyID, members.Algorithm, material)
}

// material makes the key itself out of the members that hold it.
func (m jwkMembers) material() (any, error) {
	bare, err := json.Marshal(map[string]string{
		"kty": m.KeyType, "crv": m.Curve, "x": m.X, "y": m.Y, "n": m.Modulus, "e": m.Exponent, "k": m.Secret,
	})
	if err != nil {
		return nil, fmt.Errorf("encoding JWK: %w", err)
	}
	parsed, err := jwk.ParseKey(bare)
	if err != nil {
		return nil, fmt.Errorf("parsing JWK: %w", err)
	}
	if public, ok := parsed.(jwk.RSAPublicKey); ok && len(bytes.TrimLeft(public.E(), "\x00")) > 4 {
		// jwx cuts a longer exponent short without a word.
		return nil, errors.New("RSA key has an unusable exponent")
	}
	var material any
	if err := parsed.Raw(&material); err != nil {
		return nil, fmt.Errorf("reading JWK: %w", err)
	}
	return material, nil
}
