package bearer

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/lestrrat-go/jwx/v2/jwk"
)

// jwkMembers are the members of a JWK (RFC 7517, RFC 7518 section 6)
// that decide whether and how it is used. Others are left aside, so that none
// of them can spoil a good key; the certificate too, where there is a key
// beside it.
type jwkMembers struct {
	KeyType      string          `json:"kty"`
	KeyID        keyID           `json:"kid"`
	Use          string          `json:"use"`
	Algorithm    string          `json:"alg"`
	Operations   []string        `json:"key_ops"`
	Private      json.RawMessage `json:"d"`
	Curve        string          `json:"crv"`
	X            string          `json:"x"`
	Y            string          `json:"y"`
	Modulus      string          `json:"n"`
	Exponent     string          `json:"e"`
	Secret       string          `json:"k"`
	Certificates json.RawMessage `json:"x5c"`
}

// keyID is the name of a key: a string or, in the sets of some logins, a
// number, which is read as its digits.
type keyID string

// UnmarshalJSON reads a string or a number. null is no name.
func (id *keyID) UnmarshalJSON(data []byte) error {
	var number json.Number
	if data[0] != '"' && json.Unmarshal(data, &number) == nil {
		*id = keyID(number)
		return nil
	}
	return json.Unmarshal(data, (*string)(id))
}

var errPrivateKey = errors.New("it is a private key: only public ones belong here, take out d and what follows from it")

// errOtherUse is returned for a key that is for something else than
// signatures. Many sets hold such keys, rightly.
var errOtherUse = errors.New("it is not for signatures")

// skippedKeys are the reasons why keys of a set were passed over.
type skippedKeys []error

// unreadable are the reasons that an operator should know: those of keys which
// may be meant for signatures.
func (s skippedKeys) unreadable() []string {
	var reasons []string
	for _, reason := range s {
		if !errors.Is(reason, errOtherUse) {
			reasons = append(reasons, reason.Error())
		}
	}
	return reasons
}

// parseJWKS reads a JWK set, or an object whose members are PEM certificates
// or public keys, called as the keys are: Firebase and Google publish them so.
// A key that cannot be used is passed over, with its reason in skipped; a set
// with no usable key is an error.
//
// Whoever publishes a secret to the world has none, so symmetric keys
// count only in a set that the operator wrote; and in that one a private
// key is an error, because it lies where only public ones should.
func parseJWKS(data []byte, fromOperator bool) (set *keySet, skipped skippedKeys, err error) {
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("-----BEGIN ")) {
		return nil, nil, errors.New("it is a PEM file, not a JWK set: name it with the option public_key")
	}
	var document map[string]json.RawMessage
	if err := json.Unmarshal(data, &document); err != nil {
		return nil, nil, fmt.Errorf("parsing JWK set: %w", err)
	}
	set = &keySet{}
	add := func(name string, k key, err error) error {
		switch {
		case err == nil:
			set.keys = append(set.keys, k)
		case fromOperator && errors.Is(err, errPrivateKey):
			return fmt.Errorf("%s: %w", name, err)
		default:
			skipped = append(skipped, fmt.Errorf("%s: %w", name, err))
		}
		return nil
	}
	if list, ok := document["keys"]; ok {
		var keys []json.RawMessage
		if err := json.Unmarshal(list, &keys); err != nil {
			return nil, nil, fmt.Errorf("parsing JWK set: %w", err)
		}
		for i, raw := range keys {
			k, err := parseJWK(raw, fromOperator)
			if err := add(fmt.Sprintf("key %d", i+1), k, err); err != nil {
				return nil, nil, err
			}
		}
	} else {
		for _, id := range slices.Sorted(maps.Keys(document)) {
			k, isPEM, err := parseNamedPEM(id, document[id])
			if !isPEM {
				continue
			}
			if err := add(fmt.Sprintf("key %q", id), k, err); err != nil {
				return nil, nil, err
			}
		}
	}
	if len(set.keys) == 0 {
		err := errors.New(`JWK set holds no usable key: it must read {"keys":[...]} with a signature key in it`)
		return nil, nil, errors.Join(append([]error{err}, skipped...)...)
	}
	return set, skipped, nil
}

// parseNamedPEM reads a PEM block that stands in a text. isPEM is false for
// anything else.
func parseNamedPEM(id string, data json.RawMessage) (k key, isPEM bool, err error) {
	var text string
	if json.Unmarshal(data, &text) != nil || !strings.HasPrefix(strings.TrimSpace(text), "-----BEGIN ") {
		return key{}, false, nil
	}
	block, rest := pem.Decode([]byte(text))
	if block == nil || len(bytes.TrimSpace(rest)) > 0 {
		return key{}, true, errors.New("it must be one PEM block")
	}
	if strings.HasSuffix(block.Type, "PRIVATE KEY") {
		return key{}, true, errPrivateKey
	}
	material, err := parsePEMBlock(block)
	if err != nil {
		return key{}, true, err
	}
	k, err = newKey(id, "", material)
	return k, true, err
}

func parseJWK(data []byte, fromOperator bool) (key, error) {
	var members jwkMembers
	if err := json.Unmarshal(data, &members); err != nil {
		return key{}, fmt.Errorf("parsing JWK: %w", err)
	}
	switch {
	case members.Use != "" && members.Use != "sig":
		return key{}, fmt.Errorf("%w: its use is not sig", errOtherUse)
	case len(members.Operations) > 0 && !slices.Contains(members.Operations, "verify"):
		return key{}, fmt.Errorf("%w: its key_ops do not include verify", errOtherUse)
	case members.KeyType == "oct" && !fromOperator:
		return key{}, errors.New("symmetric keys are not taken from the network")
	case len(members.Private) > 0:
		return key{}, errPrivateKey
	}
	material, err := members.material()
	if err != nil {
		return key{}, err
	}
	return newKey(string(members.KeyID), members.Algorithm, material)
}

// certified returns the key of the certificate in x5c that is the key's own,
// the first (RFC 7517 section 4.7). Its dates and signatures count for
// nothing: the issuer vouches for the key by publishing it.
func (m jwkMembers) certified() (any, error) {
	var certificates []string
	if err := json.Unmarshal(m.Certificates, &certificates); err != nil || len(certificates) == 0 {
		return nil, errors.New("its x5c is not a list of certificates")
	}
	der, err := base64.StdEncoding.DecodeString(certificates[0])
	if err != nil {
		return nil, fmt.Errorf("decoding x5c: %w", err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("parsing x5c: %w", err)
	}
	return certificate.PublicKey, nil
}

// material makes the key itself out of the members that hold it, or out of
// the certificate where there are none.
func (m jwkMembers) material() (any, error) {
	if m.Certificates != nil && m.X == "" && m.Y == "" && m.Modulus == "" && m.Exponent == "" && m.Secret == "" {
		return m.certified()
	}
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
